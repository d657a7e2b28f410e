//! Imports, one after the other, and beside them trainings and encodings, each one after the
//! other. What waits is in SQLite, so nothing given is ever forgotten.

use super::replies::{DeskEvent, JobView};
use super::requests::{Nothing, OfCollection, OfJob, StartTraining, TrainExpert};
use super::{Desk, lock};
use crate::{
    ExpertRequest, GagRequest, IagRequest, ImplicitStatus, ImpragRequest, IndexRequest, Quartet,
    TrainRequest,
};
use quartet_types::{
    Artefact, CurvePoint, Error, ErrorCode, Job, JobId, JobKind, JobProgress, JobState, Method,
    Result,
};
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

/// Jobs of one kind: they wait for each other.
#[derive(Debug)]
struct Line {
    kind: JobKind,
    wake: Notify,
    running: Mutex<Option<(JobId, CancellationToken)>>,
    ended: CancellationToken,
}

impl Line {
    fn new(kind: JobKind) -> Self {
        Self {
            kind,
            wake: Notify::new(),
            running: Mutex::default(),
            ended: CancellationToken::new(),
        }
    }
}

/// The lines of jobs.
#[derive(Debug)]
pub(super) struct Runner {
    imports: Line,
    trainings: Line,
    encodings: Line,
    /// The loss of trainings since this program began to run them.
    curves: Mutex<HashMap<JobId, Vec<CurvePoint>>>,
    /// How many need the right to write; no job begins meanwhile.
    held: AtomicUsize,
    /// Which job brings which linked folder up to date.
    pub(super) syncing: Mutex<HashMap<JobId, i64>>,
}

impl Default for Runner {
    fn default() -> Self {
        Self {
            imports: Line::new(JobKind::Import),
            trainings: Line::new(JobKind::Train),
            encodings: Line::new(JobKind::Encode),
            curves: Mutex::default(),
            held: AtomicUsize::new(0),
            syncing: Mutex::default(),
        }
    }
}

impl Runner {
    pub(super) fn wake(&self) {
        for line in [&self.imports, &self.trainings, &self.encodings] {
            line.wake.notify_one();
        }
    }

    pub(super) async fn stopped(&self) {
        self.imports.ended.cancelled().await;
        self.trainings.ended.cancelled().await;
        self.encodings.ended.cancelled().await;
    }

    fn curve(&self, job: JobId) -> Vec<CurvePoint> {
        lock(&self.curves).get(&job).cloned().unwrap_or_default()
    }

    /// Adds what a step came to; what is told again about the same step is newer.
    fn note_point(&self, job: JobId, point: CurvePoint) {
        let mut curves = lock(&self.curves);
        let curve = curves.entry(job).or_default();
        // Another stage begins to count anew.
        if curve.last().is_some_and(|last| last.step > point.step) {
            curve.clear();
        }
        if curve.last().is_some_and(|last| last.step == point.step) {
            curve.pop();
        }
        curve.push(point);
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
        Ok(quartet.jobs().await?.into_iter().map(|job| self.view(job, &names)).collect())
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
        let wanted = match request.method {
            Method::Gag => {
                let mut wanted = GagRequest::new(&request.collection, request.preset);
                wanted.base.clone_from(&self.base);
                TrainRequest::Gag(wanted)
            }
            Method::Imprag => {
                let mut wanted = ImpragRequest::new(&request.collection, request.preset);
                wanted.base.clone_from(&self.base);
                TrainRequest::Imprag(wanted)
            }
            Method::Iag => {
                let mut wanted = IagRequest::new(&request.collection, request.preset);
                wanted.base.clone_from(&self.base);
                TrainRequest::Iag(wanted)
            }
            method => {
                let message = format!("`{method}` needs no training");
                return Err(Error::new(ErrorCode::InvalidInput, message));
            }
        };
        let job = self.quartet().queue_training(&wanted).await?;
        self.enqueue(job).await
    }

    pub(super) async fn train_expert(&self, request: TrainExpert) -> Result<JobView> {
        let request = ExpertRequest::new(&request.collection, request.preset);
        let job = self.quartet().queue_training(&TrainRequest::Expert(request)).await?;
        self.enqueue(job).await
    }

    /// Prepares the passages of a collection for implicit queries, by the base that answers here.
    pub(super) async fn index_passages(&self, request: OfCollection) -> Result<JobView> {
        let OfCollection { collection } = request;
        let request = IndexRequest { collection, base: self.base.clone(), mode: None };
        let job = self.quartet().queue_index(&request).await?;
        self.enqueue(job).await
    }

    pub(super) async fn passage_index(&self, request: OfCollection) -> Result<ImplicitStatus> {
        let (collection, base) = (Some(request.collection.as_str()), self.base.as_deref());
        let mut all = self.quartet().implicit_status(collection, base, &self.closing).await?;
        all.pop().ok_or_else(|| Error::internal("a collection without a status"))
    }

    pub(super) async fn artefacts(&self, request: OfCollection) -> Result<Vec<Artefact>> {
        self.quartet().artefacts(Some(&request.collection)).await
    }

    /// Lets a queued job be looked at and returns it.
    pub(super) async fn enqueue(&self, job: JobId) -> Result<JobView> {
        self.runner.wake();
        self.tell(job).await;
        self.job_view(job).await
    }

    /// Imports whose process ended without finishing them wait again. Trainings keep the
    /// machine busy for long, so they go on when somebody says so.
    pub(super) async fn go_on_with_interrupted_jobs(&self) -> Result<()> {
        let quartet = self.quartet();
        for job in quartet.jobs().await? {
            if job.state == JobState::Interrupted && job.kind == JobKind::Import {
                quartet.library.requeue_job(job.id).await?;
            }
        }
        Ok(())
    }

    /// Runs imports until the desk closes.
    pub(super) async fn run_imports(self: Arc<Self>) {
        self.run_jobs(&self.runner.imports).await;
    }

    /// Runs trainings until the desk closes.
    pub(super) async fn run_trainings(self: Arc<Self>) {
        self.run_jobs(&self.runner.trainings).await;
    }

    /// Encodes passages until the desk closes.
    pub(super) async fn run_encodings(self: Arc<Self>) {
        self.run_jobs(&self.runner.encodings).await;
    }

    async fn run_jobs(&self, line: &Line) {
        while !self.closing.is_cancelled() {
            if self.must_wait(line) {
                self.rest(line, BUSY_PAUSE / 10).await;
                continue;
            }
            if line.kind == JobKind::Import {
                self.queue_changed_folders().await;
            }
            let next = match self.next_job(line).await {
                Some(job) => job,
                None => {
                    self.rest(line, Duration::from_secs(3600)).await;
                    continue;
                }
            };
            let cancel = self.closing.child_token();
            *lock(&line.running) = Some((next, cancel.clone()));
            let outcome = self.run_job(next, &cancel).await;
            self.note_outcome(line, next, outcome).await;
            *lock(&line.running) = None;
        }
        line.ended.cancel();
    }

    /// Whether somebody else needs what jobs of this line need. Trainings write no documents.
    fn must_wait(&self, line: &Line) -> bool {
        line.kind == JobKind::Import && self.runner.is_held()
    }

    async fn rest(&self, line: &Line, time: Duration) {
        tokio::select! {
            () = line.wake.notified() => {}
            () = tokio::time::sleep(time) => {}
            () = self.closing.cancelled() => {}
        }
    }

    async fn next_job(&self, line: &Line) -> Option<JobId> {
        let jobs = self.quartet().jobs().await.ok()?;
        let waiting =
            jobs.iter().rev().find(|job| job.state == JobState::Queued && job.kind == line.kind);
        waiting.map(|job| job.id)
    }

    async fn run_job(&self, id: JobId, cancel: &CancellationToken) -> Result<()> {
        let quartet = self.quartet();
        let stored = quartet.library.job(id).await?;
        let names = collection_names(&quartet).await?;
        let told = Mutex::new((None::<Instant>, Instant::now()));
        let on_progress = |progress: &JobProgress| {
            if let Some(point) = progress.point {
                self.runner.note_point(id, point);
            }
            let mut told = lock(&told);
            if told.0.is_some_and(|at| at.elapsed() < TELL_EVERY) {
                return;
            }
            told.0 = Some(Instant::now());
            let mut job = stored.clone();
            job.state = JobState::Running;
            job.progress = progress.clone();
            self.publish(DeskEvent::Job { job: Box::new(self.view(job, &names)) });
            if told.1.elapsed() >= REFRESH_EVERY {
                told.1 = Instant::now();
                self.publish(DeskEvent::Library);
            }
        };
        quartet.resume_job(id, cancel, &on_progress).await.map(|_| ())
    }

    async fn note_outcome(&self, line: &Line, id: JobId, outcome: Result<()>) {
        let library = Arc::clone(&self.quartet().library);
        let state = library.job(id).await.map(|job| job.state);
        match outcome {
            Ok(()) => {
                let folder = lock(&self.runner.syncing).remove(&id);
                if let Some(folder) = folder {
                    let _ = library.folder_synced(folder).await;
                }
            }
            Err(error) if error.code == ErrorCode::Busy => self.rest(line, BUSY_PAUSE).await,
            // Not stopped by the person: it goes on at the next opportunity.
            Err(error) if error.code == ErrorCode::Cancelled && self.interrupts(line) => {
                if line.kind == JobKind::Import {
                    let _ = library.requeue_job(id).await;
                }
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
    fn interrupts(&self, line: &Line) -> bool {
        self.closing.is_cancelled() || self.must_wait(line)
    }

    /// Does something that needs the right to write: a running job of ours stops at a
    /// checkpoint for it and goes on afterwards.
    pub(super) async fn while_no_job_writes<T>(
        &self,
        work: impl AsyncFnOnce() -> Result<T>,
    ) -> Result<T> {
        let hold = Hold::new(&self.runner);
        let running = lock(&self.runner.imports.running).clone();
        if let Some((_, cancel)) = running {
            cancel.cancel();
            let started = Instant::now();
            while lock(&self.runner.imports.running).is_some() && started.elapsed() < PAUSE_PATIENCE
            {
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
        Ok(self.view(quartet.library.job(id).await?, &names))
    }

    fn view(&self, job: Job, names: &HashMap<i64, String>) -> JobView {
        let collection = job.collection.and_then(|id| names.get(&id.0).cloned());
        let curve = self.runner.curve(job.id);
        JobView { job, collection, curve }
    }

    async fn tell(&self, id: JobId) {
        if let Ok(job) = self.job_view(id).await {
            self.publish(DeskEvent::Job { job: Box::new(job) });
        }
    }
}

async fn collection_names(quartet: &Quartet) -> Result<HashMap<i64, String>> {
    let collections = quartet.collections().await?;
    Ok(collections.into_iter().map(|collection| (collection.id.0, collection.name)).collect())
}
