//! Linked folders: read again whenever something changes in them.

use super::{Library, now};
use quartet_types::{CollectionId, Error, ErrorCode, LinkedFolder, Result};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use std::path::Path;

const FOLDERS: &str = "SELECT linked_folders.*, collections.name AS collection
   FROM linked_folders JOIN collections ON collections.id = linked_folders.collection_id";

impl Library {
    /// All linked folders, or those of one collection.
    ///
    /// # Errors
    /// If the library cannot be read.
    pub async fn linked_folders(&self, collection: Option<&str>) -> Result<Vec<LinkedFolder>> {
        let statement =
            format!("{FOLDERS} WHERE ?1 IS NULL OR collections.name = ?1 ORDER BY path");
        let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(collection)
            .fetch_all(&self.pool)
            .await
            .map_err(|error| self.failed(&error))?;
        Ok(rows.iter().map(folder).collect())
    }

    /// One linked folder.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn linked_folder(&self, id: i64) -> Result<LinkedFolder> {
        sqlx::query(sqlx::AssertSqlSafe(format!("{FOLDERS} WHERE linked_folders.id = ?")))
            .bind(id)
            .fetch_optional(&self.pool)
            .await
            .map_err(|error| self.failed(&error))?
            .as_ref()
            .map(folder)
            .ok_or_else(|| Error::new(ErrorCode::NotFound, "this folder is not linked any more"))
    }

    /// Links a folder to a collection; linking it twice changes nothing.
    ///
    /// # Errors
    /// `InvalidInput` for a path that is not UTF-8.
    pub async fn link_folder(&self, collection: CollectionId, path: &Path) -> Result<()> {
        let path = path.to_str().ok_or_else(|| {
            Error::new(ErrorCode::InvalidInput, "the path is not UTF-8").about_path(path)
        })?;
        sqlx::query(
            "INSERT INTO linked_folders (collection_id, path) VALUES (?, ?) ON CONFLICT DO NOTHING",
        )
        .bind(collection.0)
        .bind(path)
        .execute(&self.pool)
        .await
        .map(|_| ())
        .map_err(|error| self.failed(&error))
    }

    /// Unlinks a folder; its documents stay.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn unlink_folder(&self, id: i64) -> Result<()> {
        self.linked_folder(id).await?;
        sqlx::query("DELETE FROM linked_folders WHERE id = ?")
            .bind(id)
            .execute(&self.pool)
            .await
            .map(|_| ())
            .map_err(|error| self.failed(&error))
    }

    /// Notes that a folder is up to date.
    ///
    /// # Errors
    /// If the library cannot be written.
    pub async fn folder_synced(&self, id: i64) -> Result<()> {
        sqlx::query("UPDATE linked_folders SET synced_at = ? WHERE id = ?")
            .bind(now())
            .bind(id)
            .execute(&self.pool)
            .await
            .map(|_| ())
            .map_err(|error| self.failed(&error))
    }
}

fn folder(row: &SqliteRow) -> LinkedFolder {
    let path: String = row.get("path");
    LinkedFolder {
        id: row.get("id"),
        collection: row.get("collection"),
        found: Path::new(&path).is_dir(),
        path,
        synced_at: row.get("synced_at"),
    }
}
