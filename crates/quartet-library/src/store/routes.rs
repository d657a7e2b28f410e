//! Routes that a person put right.

use super::{Library, now};
use quartet_types::{CollectionId, Error, ErrorCode, Result, RouteChoice, RouteCorrection};
use sqlx::Row;

impl Library {
    /// Notes where a question belongs; what was noted of the same question before goes.
    ///
    /// # Errors
    /// `NotFound` for a collection that is not there.
    pub async fn correct_route(&self, question: &str, route: RouteChoice) -> Result<i64> {
        let collection = match route {
            RouteChoice::General => None,
            RouteChoice::Domain(collection) => Some(collection.0),
        };
        let known =
            sqlx::query("SELECT ?1 IS NULL OR EXISTS (SELECT 1 FROM collections WHERE id = ?1)")
                .bind(collection)
                .fetch_one(&self.pool)
                .await
                .map_err(|error| self.failed(&error))?;
        if !known.get::<bool, _>(0) {
            return Err(Error::new(ErrorCode::NotFound, "there is no such collection"));
        }
        let row = sqlx::query(
            "INSERT INTO route_corrections (question, collection_id, created_at) VALUES (?, ?, ?)
             ON CONFLICT (question) DO UPDATE SET
               collection_id = excluded.collection_id, created_at = excluded.created_at
             RETURNING id",
        )
        .bind(question.trim())
        .bind(collection)
        .bind(now())
        .fetch_one(&self.pool)
        .await
        .map_err(|error| self.failed(&error))?;
        Ok(row.get("id"))
    }

    /// Everything that was put right, oldest first.
    ///
    /// # Errors
    /// If the library cannot be read.
    pub async fn route_corrections(&self) -> Result<Vec<RouteCorrection>> {
        let rows =
            sqlx::query("SELECT id, question, collection_id FROM route_corrections ORDER BY id")
                .fetch_all(&self.pool)
                .await
                .map_err(|error| self.failed(&error))?;
        let correction = |row: &sqlx::sqlite::SqliteRow| RouteCorrection {
            id: row.get("id"),
            question: row.get("question"),
            route: match row.get::<Option<i64>, _>("collection_id") {
                Some(id) => RouteChoice::Domain(CollectionId(id)),
                None => RouteChoice::General,
            },
        };
        Ok(rows.iter().map(correction).collect())
    }

    /// Forgets a correction.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn undo_route(&self, id: i64) -> Result<()> {
        let done = sqlx::query("DELETE FROM route_corrections WHERE id = ?")
            .bind(id)
            .execute(&self.pool)
            .await
            .map_err(|error| self.failed(&error))?;
        if done.rows_affected() == 0 {
            return Err(Error::new(ErrorCode::NotFound, "this correction is not there any more"));
        }
        Ok(())
    }
}
