//! Windows on long lists, so that ten thousand documents open as fast as ten.

use super::documents::document;
use super::{Library, small};
use quartet_types::{
    CollectionId, DocumentId, DocumentPage, DocumentStatus, PageNumber, Result, StatusCount,
};
use sqlx::Row;

impl Library {
    /// A window of the documents of a collection, by title: those whose title or path contains
    /// `query`, and of the status asked for.
    ///
    /// # Errors
    /// If the library cannot be read.
    pub async fn document_page(
        &self,
        collection: CollectionId,
        query: &str,
        status: Option<DocumentStatus>,
        offset: u32,
        limit: u32,
    ) -> Result<DocumentPage> {
        const MATCHING: &str = "FROM documents WHERE replaces IS NULL AND collection_id = ?1
            AND (?2 = '' OR instr(lower(title), lower(?2)) OR instr(lower(path), lower(?2)))
            AND (?3 IS NULL OR status = ?3)";
        let failed = |error: sqlx::Error| self.failed(&error);
        let query = query.trim();
        let status = status.map(DocumentStatus::as_str);
        let total =
            sqlx::query(sqlx::AssertSqlSafe(format!("SELECT COUNT(*) AS total {MATCHING}")))
                .bind(collection.0)
                .bind(query)
                .bind(status)
                .fetch_one(&self.pool)
                .await
                .map_err(failed)?;
        let list = format!(
            "SELECT documents.*, (SELECT COUNT(*) FROM chunks WHERE chunks.document_id = documents.id) AS chunks
               {MATCHING} ORDER BY lower(title), path LIMIT ?4 OFFSET ?5"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(list))
            .bind(collection.0)
            .bind(query)
            .bind(status)
            .bind(limit)
            .bind(offset)
            .fetch_all(&self.pool)
            .await
            .map_err(failed)?;
        let counts = sqlx::query(
            "SELECT status, COUNT(*) AS documents FROM documents
              WHERE replaces IS NULL AND collection_id = ? GROUP BY status ORDER BY status",
        )
        .bind(collection.0)
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        Ok(DocumentPage {
            total: small(total.get("total")),
            documents: rows.iter().map(document).collect(),
            counts: counts
                .iter()
                .filter_map(|row| {
                    let status = DocumentStatus::parse(row.get("status"))?;
                    Some(StatusCount { status, count: small(row.get("documents")) })
                })
                .collect(),
        })
    }

    /// The text of a page, which character spans refer to; `None` for a page that was not read.
    ///
    /// # Errors
    /// If the library cannot be read.
    pub async fn page_text(&self, id: DocumentId, page: PageNumber) -> Result<Option<String>> {
        let row = sqlx::query(
            "SELECT pages.text FROM documents
               JOIN pages ON pages.document_id = coalesce(documents.duplicate_of, documents.id)
              WHERE documents.id = ? AND pages.number = ?",
        )
        .bind(id.0)
        .bind(page.0)
        .fetch_optional(&self.pool)
        .await
        .map_err(|error| self.failed(&error))?;
        Ok(row.map(|row| row.get("text")))
    }
}
