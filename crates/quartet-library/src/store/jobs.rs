//! Jobs as stored: what was asked for, how far it is, and what the user wishes of it.

use super::{Library, now};
use crate::lock::{WriterLock, lock_file};
use quartet_types::{
    CollectionId, Error, ErrorCode, Job, JobId, JobKind, JobProgress, JobState, Result,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::Row;

/// What the user wishes of a job that runs in some process; that process looks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    Pause,
    Cancel,
}

impl Library {
    /// All jobs, newest first. One that says it runs while nobody writes was interrupted.
    ///
    /// # Errors
    /// If the library cannot be read.
    pub async fn jobs(&self) -> Result<Vec<Job>> {
        let idle = |kind| WriterLock::is_free(&self.root, lock_file(kind));
        let abandoned = [JobKind::Import, JobKind::Train, JobKind::Encode]
            .map(|kind| (lock_file(kind), idle(kind)));
        let rows = sqlx::query("SELECT * FROM jobs ORDER BY id DESC LIMIT 1000")
            .fetch_all(&self.pool)
            .await
            .map_err(|error| self.failed(&error))?;
        Ok(rows
            .iter()
            .map(|row| {
                let state: JobState = from_text(row.get("state")).unwrap_or(JobState::Failed);
                let error: Option<String> = row.get("error");
                let kind = from_text(row.get("kind")).unwrap_or(JobKind::Import);
                let abandoned = abandoned.contains(&(lock_file(kind), true));
                Job {
                    id: JobId(row.get("id")),
                    kind,
                    collection: row.get::<Option<i64>, _>("collection_id").map(CollectionId),
                    state: if abandoned && state == JobState::Running {
                        JobState::Interrupted
                    } else {
                        state
                    },
                    progress: from_text(row.get("progress")).unwrap_or_default(),
                    error: error.and_then(from_text),
                    created_at: row.get("created_at"),
                    updated_at: row.get("updated_at"),
                }
            })
            .collect())
    }

    /// Asks a running job to stop at its next checkpoint, so that it can go on later.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` if it is not running.
    pub async fn pause_job(&self, id: JobId) -> Result<()> {
        self.wish(id, Wish::Pause).await
    }

    /// Asks a job to stop for good. What it has finished stays.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` if it has ended.
    pub async fn cancel_job(&self, id: JobId) -> Result<()> {
        self.wish(id, Wish::Cancel).await
    }

    async fn wish(&self, id: JobId, wish: Wish) -> Result<()> {
        let job = self.job(id).await?;
        let stopped =
            matches!(job.state, JobState::Paused | JobState::Interrupted | JobState::Queued);
        match (wish, job.state) {
            (_, JobState::Running) => {
                let name = if wish == Wish::Pause { "pause" } else { "cancel" };
                sqlx::query("UPDATE jobs SET wish = ? WHERE id = ?")
                    .bind(name)
                    .bind(id.0)
                    .execute(&self.pool)
                    .await
                    .map(|_| ())
                    .map_err(|error| self.failed(&error))
            }
            // Nobody works on it, so nobody needs to be asked.
            (Wish::Cancel, _) if stopped => self.set_job_state(id, JobState::Cancelled, None).await,
            (Wish::Pause, JobState::Queued) => self.set_job_state(id, JobState::Paused, None).await,
            (Wish::Pause, _) if stopped => Ok(()),
            _ => Err(Error::new(ErrorCode::InvalidInput, format!("job {id} has already ended"))),
        }
    }

    /// Lets a job that has stopped short of its end wait for its turn again.
    ///
    /// # Errors
    /// `NotFound`; `Busy` if it is running; `InvalidInput` if it has ended well or for good.
    pub async fn requeue_job(&self, id: JobId) -> Result<()> {
        match self.job(id).await?.state {
            JobState::Queued => Ok(()),
            JobState::Paused | JobState::Interrupted | JobState::Failed => {
                self.set_job_state(id, JobState::Queued, None).await
            }
            JobState::Running => Err(Error::new(ErrorCode::Busy, format!("job {id} is running"))),
            JobState::Finished | JobState::Cancelled => {
                Err(Error::new(ErrorCode::InvalidInput, format!("job {id} has already ended")))
            }
        }
    }

    /// Notes that a job cannot be done, and why.
    ///
    /// # Errors
    /// If the library cannot be written.
    pub async fn fail_job(&self, id: JobId, error: &Error) -> Result<()> {
        self.set_job_state(id, JobState::Failed, Some(error)).await
    }

    /// One job.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn job(&self, id: JobId) -> Result<Job> {
        self.jobs().await?.into_iter().find(|job| job.id == id).ok_or_else(|| {
            Error::new(ErrorCode::NotFound, format!("there is no job {id}"))
                .hint("`quartet jobs` lists them.")
        })
    }

    /// The request of a job.
    ///
    /// # Errors
    /// `Corrupt` if it is of another kind.
    pub async fn job_request<T: DeserializeOwned>(&self, id: JobId) -> Result<T> {
        let row = sqlx::query("SELECT request FROM jobs WHERE id = ?")
            .bind(id.0)
            .fetch_one(&self.pool)
            .await
            .map_err(|error| self.failed(&error))?;
        serde_json::from_str(row.get("request")).map_err(|error| {
            Error::new(ErrorCode::Corrupt, format!("the request of job {id}: {error}"))
        })
    }

    /// Notes a job as running: a new one, or the unfinished one with the same request.
    pub(crate) async fn start_job(
        &self,
        kind: JobKind,
        collection: CollectionId,
        request: &impl Serialize,
    ) -> Result<JobId> {
        let id = self.queue_job(kind, collection, request).await?;
        self.set_job_state(id, JobState::Running, None).await?;
        Ok(id)
    }

    /// Notes a job as waiting for its turn: a new one, or the unfinished one with the same
    /// request, whatever its state.
    pub async fn queue_job(
        &self,
        kind: JobKind,
        collection: CollectionId,
        request: &impl Serialize,
    ) -> Result<JobId> {
        let request =
            serde_json::to_string(request).map_err(|error| Error::internal(error.to_string()))?;
        let unfinished = sqlx::query(
            "SELECT id FROM jobs WHERE kind = ? AND collection_id = ? AND request = ?
                AND state IN ('queued', 'running', 'paused', 'interrupted') ORDER BY id DESC LIMIT 1",
        )
        .bind(text(&kind))
        .bind(collection.0)
        .bind(&request)
        .fetch_optional(&self.pool)
        .await
        .map_err(|error| self.failed(&error))?;
        if let Some(row) = unfinished {
            return Ok(JobId(row.get("id")));
        }
        let row = sqlx::query(
            "INSERT INTO jobs (kind, collection_id, state, request, progress, created_at, updated_at)
             VALUES (?, ?, 'queued', ?, '{}', ?, ?) RETURNING id",
        )
        .bind(text(&kind))
        .bind(collection.0)
        .bind(&request)
        .bind(now())
        .bind(now())
        .fetch_one(&self.pool)
        .await
        .map_err(|error| self.failed(&error))?;
        Ok(JobId(row.get("id")))
    }

    pub(crate) async fn set_job_state(
        &self,
        id: JobId,
        state: JobState,
        error: Option<&Error>,
    ) -> Result<()> {
        sqlx::query(
            "UPDATE jobs SET state = ?, error = ?, wish = NULL, updated_at = ? WHERE id = ?",
        )
        .bind(text(&state))
        .bind(error.map(|error| serde_json::to_string(error).unwrap_or_default()))
        .bind(now())
        .bind(id.0)
        .execute(&self.pool)
        .await
        .map(|_| ())
        .map_err(|error| self.failed(&error))
    }

    pub(crate) async fn set_job_progress(&self, id: JobId, progress: &JobProgress) -> Result<()> {
        sqlx::query("UPDATE jobs SET progress = ?, updated_at = ? WHERE id = ?")
            .bind(serde_json::to_string(progress).unwrap_or_default())
            .bind(now())
            .bind(id.0)
            .execute(&self.pool)
            .await
            .map(|_| ())
            .map_err(|error| self.failed(&error))
    }

    /// What the user wishes of a job.
    pub(crate) async fn job_wish(&self, id: JobId) -> Option<Wish> {
        let row = sqlx::query("SELECT wish FROM jobs WHERE id = ?")
            .bind(id.0)
            .fetch_optional(&self.pool)
            .await;
        match row.ok().flatten()?.get::<Option<String>, _>("wish").as_deref() {
            Some("pause") => Some(Wish::Pause),
            Some("cancel") => Some(Wish::Cancel),
            _ => None,
        }
    }
}

/// A plain enum value by its serialised name.
fn text(value: &impl Serialize) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// The reverse of [`text`]; structures are stored as JSON and read by the same function.
fn from_text<T: DeserializeOwned>(stored: String) -> Option<T> {
    serde_json::from_str(&stored)
        .or_else(|_| serde_json::from_value(serde_json::Value::String(stored)))
        .ok()
}
