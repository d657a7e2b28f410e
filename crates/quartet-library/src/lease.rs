//! A job under way in this process: its lock, what the user wishes of it, and how it ended.

use crate::lock::{WriterLock, lock_file};
use crate::store::Library;
use crate::store::jobs::Wish;
use quartet_types::{
    CollectionId, Error, ErrorCode, JobId, JobKind, JobProgress, JobState, Result,
};
use serde::Serialize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How often it is looked what the user wishes.
const WISH_INTERVAL: Duration = Duration::from_millis(150);

/// Progress is stored this often.
const STORE_EVERY: Duration = Duration::from_millis(500);

/// The right to work on a job, until dropped. Whoever ends without [`JobLease::end`] leaves an
/// interrupted job behind, which can go on.
pub struct JobLease {
    library: Arc<Library>,
    id: JobId,
    stop: CancellationToken,
    given_up: Arc<AtomicBool>,
    watch: JoinHandle<()>,
    stored: Mutex<Option<Instant>>,
    _lock: WriterLock,
}

impl Library {
    /// Begins a job, or goes on with the unfinished one with the same request. It is stopped
    /// through `cancel` or through [`Library::pause_job`] and [`Library::cancel_job`] of any
    /// process.
    ///
    /// # Errors
    /// `Busy` if another job of this kind is under way on this data folder.
    pub async fn begin_job(
        self: &Arc<Self>,
        kind: JobKind,
        collection: CollectionId,
        request: &impl Serialize,
        cancel: &CancellationToken,
    ) -> Result<JobLease> {
        let lock = self.lock_for(lock_file(kind))?;
        let id = self.start_job(kind, collection, request).await?;
        let stop = cancel.child_token();
        let given_up = Arc::new(AtomicBool::new(false));
        let watch = tokio::spawn(watch_for_wishes(
            Arc::clone(self),
            id,
            stop.clone(),
            Arc::clone(&given_up),
        ));
        let library = Arc::clone(self);
        Ok(JobLease { library, id, stop, given_up, watch, stored: Mutex::default(), _lock: lock })
    }
}

impl JobLease {
    /// The job.
    #[must_use]
    pub fn id(&self) -> JobId {
        self.id
    }

    /// Is cancelled when the work is to stop.
    #[must_use]
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Stores how far the job is, now and then.
    pub async fn note(&self, progress: &JobProgress) {
        {
            let mut stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
            if stored.is_some_and(|at| at.elapsed() < STORE_EVERY) {
                return;
            }
            *stored = Some(Instant::now());
        }
        // What is shown late is not worth failing for.
        let _ = self.library.set_job_progress(self.id, progress).await;
    }

    /// Notes how the work ended: finished, paused or cancelled as was wished, or failed.
    ///
    /// # Errors
    /// That of `outcome`; else if the end cannot be stored.
    pub async fn end<T>(self, outcome: Result<T>) -> Result<T> {
        let state = match &outcome {
            Ok(_) => JobState::Finished,
            Err(error) if error.code == ErrorCode::Cancelled && self.is_given_up() => {
                JobState::Cancelled
            }
            Err(error) if error.code == ErrorCode::Cancelled => JobState::Paused,
            Err(_) => JobState::Failed,
        };
        let error: Option<&Error> = outcome.as_ref().err();
        let stored = self.library.set_job_state(self.id, state, error).await;
        if outcome.is_ok() {
            stored?;
        }
        outcome
    }

    /// Whether the user has given the job up, rather than paused it.
    #[must_use]
    pub fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Relaxed)
    }
}

impl Drop for JobLease {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

async fn watch_for_wishes(
    library: Arc<Library>,
    job: JobId,
    stop: CancellationToken,
    given_up: Arc<AtomicBool>,
) {
    loop {
        tokio::time::sleep(WISH_INTERVAL).await;
        if let Some(wish) = library.job_wish(job).await {
            given_up.store(wish == Wish::Cancel, Ordering::Relaxed);
            stop.cancel();
            return;
        }
    }
}
