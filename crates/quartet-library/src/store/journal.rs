//! The change journal: what was added, updated and removed, and when.

use super::{Library, now};
use quartet_types::{CollectionId, Result};
use serde::Serialize;
use sqlx::{Row, SqliteConnection};
use ts_rs::TS;

/// What happened to a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It became searchable.
    Added,
    /// Its content changed.
    Updated,
    /// It was deleted.
    Removed,
    /// Its file is no longer where it was.
    Missing,
    /// It could not be read.
    Failed,
}

impl Change {
    fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Updated => "updated",
            Self::Removed => "removed",
            Self::Missing => "missing",
            Self::Failed => "failed",
        }
    }
}

/// A line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
pub struct JournalEntry {
    /// When, seconds since 1970.
    pub happened_at: i64,
    /// When, in local time, as `2026-11-21 14:05`.
    pub when: String,
    /// What: `added`, `updated`, `removed`, `missing` or `failed`.
    pub change: String,
    /// To which file.
    pub path: String,
}

/// Writes a line, in the caller's transaction.
pub(crate) async fn record(
    connection: &mut SqliteConnection,
    collection: CollectionId,
    change: Change,
    path: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO journal (collection_id, happened_at, change, path) VALUES (?, ?, ?, ?)",
    )
    .bind(collection.0)
    .bind(now())
    .bind(change.as_str())
    .bind(path)
    .execute(connection)
    .await
    .map(|_| ())
}

impl Library {
    /// The journal of a collection, newest first.
    ///
    /// # Errors
    /// If the library cannot be read.
    pub async fn journal(&self, collection: CollectionId) -> Result<Vec<JournalEntry>> {
        let rows = sqlx::query(
            "SELECT happened_at, change, path, strftime('%Y-%m-%d %H:%M', happened_at, 'unixepoch', 'localtime') AS happened
               FROM journal WHERE collection_id = ? ORDER BY id DESC LIMIT 10000",
        )
        .bind(collection.0)
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.failed(&error))?;
        Ok(rows
            .iter()
            .map(|row| JournalEntry {
                happened_at: row.get("happened_at"),
                when: row.get("happened"),
                change: row.get("change"),
                path: row.get("path"),
            })
            .collect())
    }
}
