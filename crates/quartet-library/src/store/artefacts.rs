//! What was trained: which files, made from what. The files themselves are not ours.

use super::Library;
use quartet_types::{Artefact, CollectionId, Error, Result};
use sqlx::Row;

/// An artefact with the name of its folder.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredArtefact {
    /// What is known of it; [`Artefact::stale`] says whether documents have changed since.
    pub artefact: Artefact,
    /// Its folder, below `artefacts/`.
    pub folder: String,
}

impl Library {
    /// Notes an artefact. Those of the same kind and collection go; their folders are
    /// returned, for whoever keeps the files.
    ///
    /// # Errors
    /// If the library cannot be written.
    pub async fn put_artefact(&self, artefact: &Artefact, folder: &str) -> Result<Vec<String>> {
        let failed = |error: sqlx::Error| self.failed(&error);
        let manifest =
            serde_json::to_string(artefact).map_err(|error| Error::internal(error.to_string()))?;
        let mut transaction = self.pool.begin().await.map_err(failed)?;
        let old = sqlx::query(
            "DELETE FROM artefacts WHERE kind = ? AND collection_id = ? RETURNING folder",
        )
        .bind(artefact.kind.as_str())
        .bind(artefact.collection.0)
        .fetch_all(&mut *transaction)
        .await
        .map_err(failed)?;
        sqlx::query(
            "INSERT INTO artefacts (kind, collection_id, folder, manifest, created_at)
             VALUES (?, ?, ?, ?, ?)",
        )
        .bind(artefact.kind.as_str())
        .bind(artefact.collection.0)
        .bind(folder)
        .bind(manifest)
        .bind(artefact.created_at)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        let folders = old.iter().map(|row| row.get("folder"));
        Ok(folders.filter(|old: &String| old != folder).collect())
    }

    /// Everything trained, newest first; of one collection or of all. What this version cannot
    /// read is left out.
    ///
    /// # Errors
    /// If the library cannot be read.
    pub async fn artefacts(&self, collection: Option<CollectionId>) -> Result<Vec<StoredArtefact>> {
        let rows = sqlx::query(
            "SELECT artefacts.collection_id, folder, manifest, collections.name
               FROM artefacts JOIN collections ON collections.id = artefacts.collection_id
              WHERE ?1 IS NULL OR collection_id = ?1 ORDER BY artefacts.id DESC",
        )
        .bind(collection.map(|id| id.0))
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.failed(&error))?;
        let mut found = Vec::new();
        for row in rows {
            let Ok(mut artefact) = serde_json::from_str::<Artefact>(row.get("manifest")) else {
                continue;
            };
            // A collection may have been renamed since.
            artefact.collection_name = row.get("name");
            artefact.stale = self.fingerprint(artefact.collection).await? != artefact.fingerprint;
            found.push(StoredArtefact { artefact, folder: row.get("folder") });
        }
        Ok(found)
    }
}
