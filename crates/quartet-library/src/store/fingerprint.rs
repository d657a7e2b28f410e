//! A digest of a collection's content: equal content, equal digest, whatever the row ids.

use super::Library;
use quartet_types::{CollectionId, Result};
use sha2::Digest;
use sqlx::Row;
use std::fmt::Write as _;

impl Library {
    /// Digests documents, pages, chunks and vectors in canonical order.
    ///
    /// # Errors
    /// If the library cannot be read.
    pub async fn fingerprint(&self, collection: CollectionId) -> Result<String> {
        let failed = |error: sqlx::Error| self.failed(&error);
        let mut digest = sha2::Sha256::new();
        let documents = sqlx::query(
            "SELECT documents.id, documents.path, documents.sha256, documents.status, documents.title,
                    documents.failed_pages, originals.path AS original
               FROM documents LEFT JOIN documents AS originals ON originals.id = documents.duplicate_of
              WHERE documents.collection_id = ? AND documents.replaces IS NULL ORDER BY documents.path",
        )
        .bind(collection.0)
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        for document in documents {
            let id: i64 = document.get("id");
            for column in ["path", "sha256", "status", "title", "original"] {
                add(
                    &mut digest,
                    document.get::<Option<String>, _>(column).unwrap_or_default().as_bytes(),
                );
            }
            add(&mut digest, &document.get::<i64, _>("failed_pages").to_le_bytes());
            let pages =
                sqlx::query("SELECT number, text FROM pages WHERE document_id = ? ORDER BY number")
                    .bind(id)
                    .fetch_all(&self.pool)
                    .await
                    .map_err(failed)?;
            for page in pages {
                add(&mut digest, &page.get::<i64, _>("number").to_le_bytes());
                add(&mut digest, page.get::<String, _>("text").as_bytes());
            }
            let chunks = sqlx::query(
                "SELECT chunks.page, chunks.span_start, chunks.span_end, chunks.tokens, chunks.heading,
                        vectors.embedder_key, vectors.row
                   FROM chunks LEFT JOIN vectors ON vectors.chunk_id = chunks.id
                  WHERE chunks.document_id = ? ORDER BY chunks.ordinal",
            )
            .bind(id)
            .fetch_all(&self.pool)
            .await
            .map_err(failed)?;
            for chunk in chunks {
                for column in ["page", "span_start", "span_end", "tokens"] {
                    add(&mut digest, &chunk.get::<i64, _>(column).to_le_bytes());
                }
                for column in ["heading", "embedder_key"] {
                    add(
                        &mut digest,
                        chunk.get::<Option<String>, _>(column).unwrap_or_default().as_bytes(),
                    );
                }
                add(&mut digest, &chunk.get::<Option<Vec<u8>>, _>("row").unwrap_or_default());
            }
        }
        Ok(digest.finalize().iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        }))
    }
}

/// Adds a field with its length, so that no two different lists of fields digest alike.
fn add(digest: &mut sha2::Sha256, bytes: &[u8]) {
    digest.update((bytes.len() as u64).to_le_bytes());
    digest.update(bytes);
}
