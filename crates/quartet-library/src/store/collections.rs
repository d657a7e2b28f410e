//! Collections: make, list, rename, delete.

use super::{Library, count, now};
use quartet_types::{Collection, CollectionId, Error, ErrorCode, Result};
use sqlx::Row;

impl Library {
    /// All collections by name, with counts.
    ///
    /// # Errors
    /// If the library cannot be read.
    pub async fn collections(&self) -> Result<Vec<Collection>> {
        let rows = sqlx::query(
            "SELECT collections.id, collections.name,
                    COUNT(documents.id) AS documents,
                    COUNT(CASE WHEN documents.status IN ('ready', 'missing') THEN 1 END) AS ready,
                    COALESCE(SUM(CASE WHEN documents.status IN ('ready', 'missing') THEN documents.pages END), 0) AS pages,
                    (SELECT COUNT(*) FROM chunks JOIN documents AS owners ON owners.id = chunks.document_id
                      WHERE owners.collection_id = collections.id AND owners.status IN ('ready', 'missing')
                        AND owners.replaces IS NULL) AS chunks
               FROM collections
               LEFT JOIN documents ON documents.collection_id = collections.id AND documents.replaces IS NULL
              GROUP BY collections.id ORDER BY collections.name",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.failed(&error))?;
        Ok(rows
            .iter()
            .map(|row| Collection {
                id: CollectionId(row.get("id")),
                name: row.get("name"),
                ready_documents: count(row.get("ready")),
                documents: count(row.get("documents")),
                pages: count(row.get("pages")),
                chunks: count(row.get("chunks")),
            })
            .collect())
    }

    /// The collection of this name.
    ///
    /// # Errors
    /// `NotFound`, naming the collections there are.
    pub async fn collection(&self, name: &str) -> Result<Collection> {
        let mut all = self.collections().await?;
        if let Some(place) = all.iter().position(|collection| collection.name == name) {
            return Ok(all.swap_remove(place));
        }
        let names: Vec<String> = all.into_iter().map(|collection| collection.name).collect();
        let hint = if names.is_empty() {
            "Read some PDFs first: `quartet import PATH`.".to_owned()
        } else {
            format!("There are: {}.", names.join(", "))
        };
        Err(Error::new(ErrorCode::NotFound, format!("there is no collection `{name}`")).hint(hint))
    }

    /// Makes a collection; one that exists is returned as it is.
    ///
    /// # Errors
    /// `InvalidInput` for an empty or overlong name.
    pub async fn create_collection(&self, name: &str) -> Result<Collection> {
        check_name(name)?;
        sqlx::query(
            "INSERT INTO collections (name, created_at) VALUES (?, ?) ON CONFLICT DO NOTHING",
        )
        .bind(name)
        .bind(now())
        .execute(&self.pool)
        .await
        .map_err(|error| self.failed(&error))?;
        self.collection(name).await
    }

    /// Gives a collection another name.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` if the new name is taken or no name.
    pub async fn rename_collection(&self, from: &str, to: &str) -> Result<Collection> {
        check_name(to)?;
        let collection = self.collection(from).await?;
        sqlx::query("UPDATE collections SET name = ? WHERE id = ?")
            .bind(to)
            .bind(collection.id.0)
            .execute(&self.pool)
            .await
            .map_err(|error| match &error {
                sqlx::Error::Database(inner) if inner.is_unique_violation() => {
                    Error::new(ErrorCode::InvalidInput, format!("the name `{to}` is taken"))
                }
                _ => self.failed(&error),
            })?;
        self.collection(to).await
    }

    /// Deletes a collection, its text, its vectors and its indexes.
    ///
    /// # Errors
    /// `NotFound`; `Busy` while another process writes.
    pub async fn delete_collection(&self, name: &str) -> Result<()> {
        let _lock = self.lock()?;
        let collection = self.collection(name).await?;
        sqlx::query("DELETE FROM collections WHERE id = ?")
            .bind(collection.id.0)
            .execute(&self.pool)
            .await
            .map_err(|error| self.failed(&error))?;
        self.indexes.remove(collection.id)?;
        self.tidy().await
    }
}

fn check_name(name: &str) -> Result<()> {
    let fits = !name.trim().is_empty()
        && name.chars().count() <= 100
        && !name.chars().any(char::is_control);
    if fits {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::InvalidInput,
        "a collection needs a name of 1 to 100 visible characters",
    ))
}
