//! Imports, one after the other. What waits is in SQLite, so nothing given is ever forgotten.

use super::replies::{DeskEvent, JobView};
use super::requests::{Nothing, OfJob, StartTraining};
use super::{Desk, lock};
use crate::Quartet;
use quartet_types::{Error, ErrorCode, Job, JobId, JobKind, JobProgress, JobState, Result};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Progress is told this often.
const TELL_EVERY: Duration = Duration::from_millis(200);
/// While documents come in, lists are told to look again this often.
const REFRESH_EVERY: Duration = Duration::from_secs(2);
/// How long to wait for another Quartet that writes.
const BUSY_PAUSE: Duration = Duration::from_secs(1);
/// How long to wait for our own job to reach a checkpoint.
const PAUSE_PATIENCE: Duration = Duration::from_secs(5);

/// The line of jobs.
#[derive(Debug, Default)]
pub(super) struct Runner {
    wake: Notify,
    running: Mutex<Option<(JobId, CancellationToken)>>,
    /// How many need the right to write; no job begins meanwhile.
    held: AtomicUsize,
    ended: CancellationToken,
    /// Which job brings which linked folder up to date.
    pub(super) syncing: Mutex<HashMap<JobId, i64>>,
}

impl Runner {
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    pub(super) async fn stopped(&self) {
        self.ended.cancelled().await;
    }

    fn is_held(&self) -> bool {
        self.held.load(Ordering::Acquire) > 0
    }
}

/// Keeps jobs from beginning for as long as it lives, however its holder ends.
struct Hold<'a>(&'a Runner);

impl<'a> Hold<'a> {
    fn new(runner: &'a Runner) -> Self {
        runner.held.fetch_add(1, Ordering::AcqRel);
        Self(runner)
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::AcqRel);
        self.0.wake();
    }
}

impl Desk {
    pub(super) async fn list_jobs(&self, _: Nothing) -> Result<Vec<JobView>> {
        let quartet = self.quartet();
        let names = collection_names(&quartet).await?;
        Ok(quartet.jobs().await?.into_iter().map(|job| view(job, &names)).collect())
    }

    pub(super) async fn pause_job(&self, request: OfJob) -> Result<Nothing> {
        self.quartet().pause_job(request.job).await?;
        self.tell(request.job).await;
        Ok(Nothing {})
    }

    pub(super) async fn cancel_job(&self, request: OfJob) -> Result<Nothing> {
        self.quartet().cancel_job(request.job).await?;
        self.tell(request.job).await;
        Ok(Nothing {})
    }

    pub(super) async fn resume_job(&self, request: OfJob) -> Result<Nothing> {
        self.quartet().library.requeue_job(request.job).await?;
        self.tell(request.job).await;
        self.runner.wake();
        Ok(Nothing {})
    }

    pub(super) async fn start_training(&self, request: StartTraining) -> Result<JobView> {
        quartet_methods::check_built(request.method)?;
        Err(Error::new(ErrorCode::InvalidInput, format!("`{}` needs no training", request.method)))
    }

    /// Lets a queued job be looked at and returns it.
    pub(super) async fn enqueue(&self, job: JobId) -> Result<JobView> {
        self.runner.wake();
        self.tell(job).await;
        self.job_view(job).await
    }

    /// Jobs whose process ended without finishing them wait again.
    pub(super) async fn go_on_with_interrupted_jobs(&self) -> Result<()> {
        let quartet = self.quartet();
        for job in quartet.jobs().await? {
            if job.state == JobState::Interrupted && job.kind == JobKind::Import {
                quartet.library.requeue_job(job.id).await?;
            }
        }
        Ok(())
    }

    /// Runs jobs until the desk closes.
    pub(super) async fn run_jobs(self: Arc<Self>) {
        while !self.closing.is_cancelled() {
            if self.runner.is_held() {
                self.rest(BUSY_PAUSE / 10).await;
                continue;
            }
            self.queue_changed_folders().await;
            let next = match self.next_job().await {
                Some(job) => job,
                None => {
                    self.rest(Duration::from_secs(3600)).await;
                    continue;
                }
            };
            let cancel = self.closing.child_token();
            *lock(&self.runner.running) = Some((next, cancel.clone()));
            let outcome = self.run_job(next, &cancel).await;
            self.note_outcome(next, outcome).await;
            *lock(&self.runner.running) = None;
        }
        self.runner.ended.cancel();
    }

    async fn rest(&self, time: Duration) {
        tokio::select! {
            () = self.runner.wake.notified() => {}
            () = tokio::time::sleep(time) => {}
            () = self.closing.cancelled() => {}
        }
    }

    async fn next_job(&self) -> Option<JobId> {
        let jobs = self.quartet().jobs().await.ok()?;
        let waiting = jobs
            .iter()
            .rev()
            .find(|job| job.state == JobState::Queued && job.kind == JobKind::Import);
        waiting.map(|job| job.id)
    }

    async fn run_job(&self, id: JobId, cancel: &CancellationToken) -> Result<()> {
        let quartet = self.quartet();
        let stored = quartet.library.job(id).await?;
        let names = collection_names(&quartet).await?;
        let told = Mutex::new((None::<Instant>, Instant::now()));
        let on_progress = |progress: &JobProgress| {
            let mut told = lock(&told);
            if told.0.is_some_and(|at| at.elapsed() < TELL_EVERY) {
                return;
            }
            told.0 = Some(Instant::now());
            let mut job = stored.clone();
            job.state = JobState::Running;
            job.progress = progress.clone();
            self.publish(DeskEvent::Job { job: view(job, &names) });
            if told.1.elapsed() >= REFRESH_EVERY {
                told.1 = Instant::now();
                self.publish(DeskEvent::Library);
            }
        };
        quartet.resume_job(id, cancel, &on_progress).await.map(|_| ())
    }

    async fn note_outcome(&self, id: JobId, outcome: Result<()>) {
        let library = Arc::clone(&self.quartet().library);
        let state = library.job(id).await.map(|job| job.state);
        match outcome {
            Ok(()) => {
                let folder = lock(&self.runner.syncing).remove(&id);
                if let Some(folder) = folder {
                    let _ = library.folder_synced(folder).await;
                }
            }
            Err(error) if error.code == ErrorCode::Busy => self.rest(BUSY_PAUSE).await,
            // Not stopped by the person: it goes on at the next opportunity.
            Err(error) if error.code == ErrorCode::Cancelled && self.interrupts() => {
                let _ = library.requeue_job(id).await;
            }
            // It failed before it could say so itself, and would fail again and again.
            Err(error) if state == Ok(JobState::Queued) => {
                let _ = library.fail_job(id, &error).await;
            }
            Err(_) => {}
        }
        self.tell(id).await;
        self.publish(DeskEvent::Library);
    }

    /// Whether it is the desk itself that stops jobs now.
    fn interrupts(&self) -> bool {
        self.closing.is_cancelled() || self.runner.is_held()
    }

    /// Does something that needs the right to write: a running job of ours stops at a
    /// checkpoint for it and goes on afterwards.
    pub(super) async fn while_no_job_writes<T>(
        &self,
        work: impl AsyncFnOnce() -> Result<T>,
    ) -> Result<T> {
        let hold = Hold::new(&self.runner);
        let running = lock(&self.runner.running).clone();
        if let Some((_, cancel)) = running {
            cancel.cancel();
            let started = Instant::now();
            while lock(&self.runner.running).is_some() && started.elapsed() < PAUSE_PATIENCE {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        let outcome = work().await;
        drop(hold);
        outcome
    }

    async fn job_view(&self, id: JobId) -> Result<JobView> {
        let quartet = self.quartet();
        let names = collection_names(&quartet).await?;
        Ok(view(quartet.library.job(id).await?, &names))
    }

    async fn tell(&self, id: JobId) {
        if let Ok(job) = self.job_view(id).await {
            self.publish(DeskEvent::Job { job });
        }
    }
}

async fn collection_names(quartet: &Quartet) -> Result<HashMap<i64, String>> {
    let collections = quartet.collections().await?;
    Ok(collections.into_iter().map(|collection| (collection.id.0, collection.name)).collect())
}

fn view(job: Job, names: &HashMap<i64, String>) -> JobView {
    let collection = job.collection.and_then(|id| names.get(&id.0).cloned());
    JobView { job, collection, curve: Vec::new() }
}
