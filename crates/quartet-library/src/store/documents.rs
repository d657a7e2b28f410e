//! Documents, their pages, chunks and vectors.

use super::journal::{self, Change};
use super::{Library, count, now, small};
use crate::chunk::ChunkPlan;
use quartet_types::{
    ChunkId, CollectionId, Document, DocumentId, DocumentStatus, Error, ErrorCode, PageNumber,
    PageSpan, PageText, Passage, Result, Sha256,
};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use std::collections::HashMap;

/// What is known of a file before it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileFacts {
    pub(crate) path: String,
    pub(crate) bytes: u64,
    pub(crate) modified_ns: i64,
}

/// What was read of a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DocumentText<'a> {
    pub(crate) title: &'a str,
    pub(crate) sha256: &'a Sha256,
    pub(crate) pages: &'a [PageText],
    pub(crate) failed_pages: u32,
    pub(crate) problem: Option<&'a Error>,
    pub(crate) chunks: &'a [ChunkPlan],
}

/// A chunk that waits for its vector.
#[derive(Debug, Clone)]
pub(crate) struct UnembeddedChunk {
    pub(crate) id: i64,
    pub(crate) text: String,
    pub(crate) heading: Option<String>,
}

impl Library {
    /// Every file ever given, by path; of one collection or of all.
    ///
    /// # Errors
    /// If the library cannot be read.
    pub async fn documents(&self, collection: Option<CollectionId>) -> Result<Vec<Document>> {
        let rows = sqlx::query(
            "SELECT documents.*, (SELECT COUNT(*) FROM chunks WHERE chunks.document_id = documents.id) AS chunks
               FROM documents WHERE replaces IS NULL AND (?1 IS NULL OR collection_id = ?1)
              ORDER BY collection_id, path",
        )
        .bind(collection.map(|collection| collection.0))
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.failed(&error))?;
        Ok(rows.iter().map(document).collect())
    }

    /// One document.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn document(&self, id: DocumentId) -> Result<Document> {
        let row = sqlx::query(
            "SELECT documents.*, (SELECT COUNT(*) FROM chunks WHERE chunks.document_id = documents.id) AS chunks
               FROM documents WHERE id = ?",
        )
        .bind(id.0)
        .fetch_optional(&self.pool)
        .await
        .map_err(|error| self.failed(&error))?;
        row.as_ref().map(document).ok_or_else(|| {
            Error::new(ErrorCode::NotFound, format!("there is no document {id}"))
                .hint("`quartet documents` lists them with their numbers.")
        })
    }

    /// The pages of a document, in order.
    ///
    /// # Errors
    /// If the library cannot be read.
    pub async fn pages(&self, id: DocumentId) -> Result<Vec<(PageNumber, String)>> {
        let rows =
            sqlx::query("SELECT number, text FROM pages WHERE document_id = ? ORDER BY number")
                .bind(id.0)
                .fetch_all(&self.pool)
                .await
                .map_err(|error| self.failed(&error))?;
        Ok(rows.iter().map(|row| (PageNumber(small(row.get("number"))), row.get("text"))).collect())
    }

    /// Deletes a document: text, chunks, vectors, index entries, and the kept answers that
    /// were made from it. Where another file has the same content, that one takes its place.
    ///
    /// # Errors
    /// `NotFound`; `Busy` while another process writes.
    pub async fn delete_document(&self, id: DocumentId) -> Result<()> {
        let _lock = self.lock()?;
        let document = self.document(id).await?;
        let mut transaction = self.pool.begin().await.map_err(|error| self.failed(&error))?;
        let heir =
            remove(&mut transaction, &document).await.map_err(|error| self.failed(&error))?;
        if heir.is_none() {
            // Kept answers quote what they were made from.
            forget_answers(&mut transaction, &document)
                .await
                .map_err(|error| self.failed(&error))?;
        }
        transaction.commit().await.map_err(|error| self.failed(&error))?;
        self.update_index(document.collection).await?;
        self.tidy().await
    }

    /// Passages by chunk id, with document and place; chunks deleted meanwhile are left out.
    ///
    /// # Errors
    /// If the library cannot be read.
    pub async fn passages(&self, ids: &[ChunkId]) -> Result<HashMap<ChunkId, Passage>> {
        // A JSON list keeps the statement one and the same for any number of ids.
        let list =
            serde_json::to_string(ids).map_err(|error| Error::internal(error.to_string()))?;
        let rows = sqlx::query(
            "SELECT chunks.*, documents.title, documents.path
               FROM json_each(?) AS wanted
               JOIN chunks ON chunks.id = wanted.value
               JOIN documents ON documents.id = chunks.document_id",
        )
        .bind(list)
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.failed(&error))?;
        Ok(rows.iter().map(passage).map(|passage| (passage.chunk, passage)).collect())
    }

    /// Every passage of a collection that can be searched, document by document in the order
    /// of their paths, each from its beginning: the order does not depend on when a document
    /// came.
    ///
    /// # Errors
    /// If the library cannot be read.
    pub async fn all_passages(&self, collection: CollectionId) -> Result<Vec<Passage>> {
        let rows = sqlx::query(
            "SELECT chunks.*, documents.title, documents.path
               FROM chunks JOIN documents ON documents.id = chunks.document_id
              WHERE documents.collection_id = ? AND documents.status IN ('ready', 'missing')
                AND documents.duplicate_of IS NULL AND documents.replaces IS NULL
              ORDER BY documents.path, chunks.ordinal",
        )
        .bind(collection.0)
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.failed(&error))?;
        Ok(rows.iter().map(passage).collect())
    }
}

/// A row of `chunks` with its document's title and path.
fn passage(row: &SqliteRow) -> Passage {
    Passage {
        chunk: ChunkId(row.get("id")),
        document: DocumentId(row.get("document_id")),
        title: row.get("title"),
        path: row.get("path"),
        span: PageSpan {
            page: PageNumber(small(row.get("page"))),
            start: small(row.get("span_start")),
            end: small(row.get("span_end")),
        },
        heading: row.get("heading"),
        text: row.get("text"),
    }
}

/// A row of `documents` with its number of chunks.
pub(crate) fn document(row: &SqliteRow) -> Document {
    let status: String = row.get("status");
    Document {
        id: DocumentId(row.get("id")),
        collection: CollectionId(row.get("collection_id")),
        path: row.get("path"),
        sha256: row.get::<Option<String>, _>("sha256").map(Sha256),
        title: row.get("title"),
        status: DocumentStatus::parse(&status).unwrap_or(DocumentStatus::Failed),
        reason: row.get("reason"),
        hint: row.get("hint"),
        duplicate_of: row.get::<Option<i64>, _>("duplicate_of").map(DocumentId),
        pages: small(row.get("pages")),
        failed_pages: small(row.get("failed_pages")),
        chunks: small(row.get("chunks")),
        bytes: count(row.get("bytes")),
        added_at: row.get("added_at"),
    }
}

/// Notes a file that is to be read: a new row, or the row that waits from an earlier attempt.
pub(crate) async fn enqueue(
    connection: &mut SqliteConnection,
    collection: CollectionId,
    file: &FileFacts,
    title: &str,
    replaces: Option<DocumentId>,
) -> sqlx::Result<DocumentId> {
    let row = sqlx::query(
        "INSERT INTO documents (collection_id, path, title, status, replaces, bytes, modified_ns, added_at)
         VALUES (?, ?, ?, 'queued', ?, ?, ?, ?) RETURNING id",
    )
    .bind(collection.0)
    .bind(&file.path)
    .bind(title)
    .bind(replaces.map(|document| document.0))
    .bind(i64::try_from(file.bytes).unwrap_or(i64::MAX))
    .bind(file.modified_ns)
    .bind(now())
    .fetch_one(connection)
    .await?;
    Ok(DocumentId(row.get("id")))
}

/// Stores what was read: pages and chunks, in one transaction with the status `extracted`.
pub(crate) async fn store_text(
    connection: &mut SqliteConnection,
    id: DocumentId,
    text: &DocumentText<'_>,
) -> sqlx::Result<()> {
    let DocumentText { title, sha256, pages, failed_pages, problem, chunks } = *text;
    for table in
        ["DELETE FROM pages WHERE document_id = ?", "DELETE FROM chunks WHERE document_id = ?"]
    {
        sqlx::query(table).bind(id.0).execute(&mut *connection).await?;
    }
    for page in pages {
        sqlx::query("INSERT INTO pages (document_id, number, text, extractor, problems) VALUES (?, ?, ?, ?, ?)")
            .bind(id.0)
            .bind(page.number.0)
            .bind(&page.text)
            .bind(serde_json::to_string(&page.extractor).unwrap_or_default())
            .bind(serde_json::to_string(&page.problems).unwrap_or_default())
            .execute(&mut *connection)
            .await?;
    }
    for chunk in chunks {
        sqlx::query(
            "INSERT INTO chunks (document_id, ordinal, page, span_start, span_end, heading, tokens, text)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(id.0)
        .bind(chunk.ordinal)
        .bind(chunk.span.page.0)
        .bind(chunk.span.start)
        .bind(chunk.span.end)
        .bind(&chunk.heading)
        .bind(chunk.tokens)
        .bind(&chunk.text)
        .execute(&mut *connection)
        .await?;
    }
    sqlx::query(
        "UPDATE documents SET status = 'extracted', title = ?, sha256 = ?, pages = ?, failed_pages = ?,
                              reason = ?, hint = ? WHERE id = ?",
    )
    .bind(title)
    .bind(&sha256.0)
    .bind(i64::try_from(pages.len()).unwrap_or(i64::MAX))
    .bind(failed_pages)
    .bind(problem.map(|error| error.message.clone()))
    .bind(problem.and_then(|error| error.hint.clone()))
    .bind(id.0)
    .execute(connection)
    .await
    .map(|_| ())
}

/// Makes an embedded document searchable and drops the version it replaces.
pub(crate) async fn finish(
    connection: &mut SqliteConnection,
    document: &Document,
    replaced: Option<DocumentId>,
) -> sqlx::Result<()> {
    let mut change = Change::Added;
    if let Some(old) = replaced {
        change = Change::Updated;
        drop_replaced(connection, old).await?;
    }
    sqlx::query("UPDATE documents SET status = 'ready', replaces = NULL WHERE id = ?")
        .bind(document.id.0)
        .execute(&mut *connection)
        .await?;
    journal::record(connection, document.collection, change, &document.path).await
}

/// Marks a file as having the same content as a searchable document.
pub(crate) async fn finish_duplicate(
    connection: &mut SqliteConnection,
    document: &Document,
    replaced: Option<DocumentId>,
    original: &Document,
    sha256: &Sha256,
) -> sqlx::Result<()> {
    if let Some(old) = replaced {
        drop_replaced(connection, old).await?;
    }
    sqlx::query(
        "UPDATE documents SET status = 'ready', replaces = NULL, duplicate_of = ?, sha256 = ?, title = ?,
                              reason = ?, hint = NULL WHERE id = ?",
    )
    .bind(original.id.0)
    .bind(&sha256.0)
    .bind(&original.title)
    .bind(format!("same content as {}", original.path))
    .bind(document.id.0)
    .execute(&mut *connection)
    .await?;
    if original.status == DocumentStatus::Missing {
        // The file was moved: what is found in it must lead to where it is now.
        hand_over(connection, original.id).await?;
    }
    journal::record(connection, document.collection, Change::Added, &document.path).await
}

/// Puts a file into quarantine with the reason.
pub(crate) async fn quarantine(
    connection: &mut SqliteConnection,
    document: &Document,
    replaced: Option<DocumentId>,
    sha256: Option<&Sha256>,
    error: &Error,
) -> sqlx::Result<()> {
    if let Some(old) = replaced {
        drop_replaced(connection, old).await?;
    }
    for table in
        ["DELETE FROM pages WHERE document_id = ?", "DELETE FROM chunks WHERE document_id = ?"]
    {
        sqlx::query(table).bind(document.id.0).execute(&mut *connection).await?;
    }
    let status = match error.code {
        ErrorCode::Protected => DocumentStatus::Protected,
        ErrorCode::NoText => DocumentStatus::NoText,
        _ => DocumentStatus::Failed,
    };
    sqlx::query("UPDATE documents SET status = ?, reason = ?, hint = ?, sha256 = ?, replaces = NULL WHERE id = ?")
        .bind(status.as_str())
        .bind(&error.message)
        .bind(&error.hint)
        .bind(sha256.map(|digest| digest.0.clone()))
        .bind(document.id.0)
        .execute(&mut *connection)
        .await?;
    journal::record(connection, document.collection, Change::Failed, &document.path).await
}

/// Deletes a document; its text lives on under another path with the same content, if there
/// still is a file. Returns the document that has the text now.
pub(crate) async fn remove(
    connection: &mut SqliteConnection,
    document: &Document,
) -> sqlx::Result<Option<DocumentId>> {
    sqlx::query("DELETE FROM documents WHERE duplicate_of = ? AND status = 'missing'")
        .bind(document.id.0)
        .execute(&mut *connection)
        .await?;
    let heir = promote_duplicate(connection, document.id).await?.or(document.duplicate_of);
    sqlx::query("DELETE FROM documents WHERE id = ?")
        .bind(document.id.0)
        .execute(&mut *connection)
        .await?;
    journal::record(connection, document.collection, Change::Removed, &document.path).await?;
    Ok(heir)
}

/// Deletes the turns with an answer whose search found the document: they hold its text. What
/// was written of answers that failed may hold it too.
async fn forget_answers(
    connection: &mut SqliteConnection,
    document: &Document,
) -> sqlx::Result<()> {
    sqlx::query(
        "DELETE FROM turns WHERE id IN (
             SELECT turn_id FROM answers, json_each(answers.answer, '$.retrieved') AS hit
              WHERE json_extract(hit.value, '$.passage.document') = ?)",
    )
    .bind(document.id.0)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "UPDATE failures SET partial = NULL WHERE turn_id IN (
             SELECT turns.id FROM turns JOIN chats ON chats.id = turns.chat_id
              WHERE chats.collection_id = ?)",
    )
    .bind(document.collection.0)
    .execute(connection)
    .await
    .map(|_| ())
}

/// Gives the text of a document whose file is gone to a duplicate whose file is there, so that
/// what is found leads to a file that can be opened.
pub(crate) async fn hand_over(
    connection: &mut SqliteConnection,
    missing: DocumentId,
) -> sqlx::Result<()> {
    let heir = sqlx::query("SELECT id FROM documents WHERE duplicate_of = ? AND status = 'ready' ORDER BY path LIMIT 1")
        .bind(missing.0)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(heir) = heir else { return Ok(()) };
    let heir = DocumentId(heir.get("id"));
    inherit(connection, missing, heir).await?;
    sqlx::query(
        "UPDATE documents SET duplicate_of = ?1, pages = 0, failed_pages = 0, hint = NULL,
                reason = 'same content as ' || (SELECT path FROM documents WHERE id = ?1) WHERE id = ?2",
    )
    .bind(heir.0)
    .bind(missing.0)
    .execute(connection)
    .await
    .map(|_| ())
}

/// Moves pages, chunks and duplicates from one document to another with the same content.
async fn inherit(
    connection: &mut SqliteConnection,
    from: DocumentId,
    heir: DocumentId,
) -> sqlx::Result<()> {
    for statement in [
        "UPDATE pages SET document_id = ?1 WHERE document_id = ?2",
        "UPDATE chunks SET document_id = ?1 WHERE document_id = ?2",
        "UPDATE documents SET duplicate_of = ?1,
                reason = 'same content as ' || (SELECT path FROM documents WHERE id = ?1)
          WHERE duplicate_of = ?2 AND id <> ?1",
        "UPDATE documents SET duplicate_of = NULL,
                (reason, hint, pages, failed_pages) =
                    (SELECT reason, hint, pages, failed_pages FROM documents WHERE id = ?2) WHERE id = ?1",
    ] {
        sqlx::query(statement).bind(heir.0).bind(from.0).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Deletes a version whose successor is complete; duplicates of it keep its text.
async fn drop_replaced(connection: &mut SqliteConnection, old: DocumentId) -> sqlx::Result<()> {
    promote_duplicate(connection, old).await?;
    sqlx::query("DELETE FROM documents WHERE id = ?")
        .bind(old.0)
        .execute(connection)
        .await
        .map(|_| ())
}

/// Gives the text of a document that is about to go to a duplicate, one with a file if there
/// is any. Returns the duplicate that has it now, if there was one.
async fn promote_duplicate(
    connection: &mut SqliteConnection,
    id: DocumentId,
) -> sqlx::Result<Option<DocumentId>> {
    let heir = sqlx::query(
        "SELECT id FROM documents WHERE duplicate_of = ? ORDER BY status = 'missing', path LIMIT 1",
    )
    .bind(id.0)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(heir) = heir else { return Ok(None) };
    let heir = DocumentId(heir.get("id"));
    inherit(connection, id, heir).await?;
    Ok(Some(heir))
}

/// Chunks of a document without a vector of this embedder, in order.
pub(crate) async fn unembedded(
    connection: &mut SqliteConnection,
    id: DocumentId,
    key: &str,
) -> sqlx::Result<Vec<UnembeddedChunk>> {
    let rows = sqlx::query(
        "SELECT chunks.id, chunks.text, chunks.heading FROM chunks
           LEFT JOIN vectors ON vectors.chunk_id = chunks.id AND vectors.embedder_key = ?
          WHERE chunks.document_id = ? AND vectors.chunk_id IS NULL ORDER BY chunks.ordinal",
    )
    .bind(key)
    .bind(id.0)
    .fetch_all(connection)
    .await?;
    Ok(rows
        .iter()
        .map(|row| UnembeddedChunk {
            id: row.get("id"),
            text: row.get("text"),
            heading: row.get("heading"),
        })
        .collect())
}

/// Stores one vector.
pub(crate) async fn store_vector(
    connection: &mut SqliteConnection,
    chunk: i64,
    key: &str,
    row: &[f32],
) -> sqlx::Result<()> {
    sqlx::query("INSERT OR REPLACE INTO vectors (chunk_id, embedder_key, row) VALUES (?, ?, ?)")
        .bind(chunk)
        .bind(key)
        .bind(bytemuck::cast_slice::<f32, u8>(row).to_vec())
        .execute(connection)
        .await
        .map(|_| ())
}
