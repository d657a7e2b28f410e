//! How far an import is: told to the caller at once, stored a few times a second.

use crate::store::Library;
use quartet_types::{JobId, JobProgress, ProgressUnit};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often progress is stored.
const STORE_INTERVAL: Duration = Duration::from_millis(300);
/// Weight of the newest measurement in the smoothed rate.
const SMOOTHING: f64 = 0.3;

pub(super) struct Pace<'a> {
    library: Arc<Library>,
    job: JobId,
    on_progress: &'a (dyn Fn(&JobProgress) + Send + Sync),
    progress: JobProgress,
    documents: (u64, u64),
    bytes: (u64, u64),
    started: Instant,
    stage_started: Instant,
    stored: Instant,
}

impl<'a> Pace<'a> {
    pub(super) fn new(
        library: Arc<Library>,
        job: JobId,
        on_progress: &'a (dyn Fn(&JobProgress) + Send + Sync),
        documents: u64,
        bytes: u64,
    ) -> Self {
        let now = Instant::now();
        Self {
            library,
            job,
            on_progress,
            progress: JobProgress::default(),
            documents: (0, documents),
            bytes: (0, bytes),
            started: now,
            stage_started: now,
            stored: now.checked_sub(STORE_INTERVAL).unwrap_or(now),
        }
    }

    /// A new stage, or the same one further on.
    pub(super) async fn stage(
        &mut self,
        stage: &str,
        subject: Option<&str>,
        done: u64,
        total: Option<u64>,
        unit: ProgressUnit,
    ) {
        let is_new = self.progress.stage != stage || self.progress.subject.as_deref() != subject;
        if is_new {
            self.stage_started = Instant::now();
            self.progress.rate = None;
        }
        let place = format!(
            "file {} of {}",
            (self.documents.0 + 1).min(self.documents.1.max(1)),
            self.documents.1
        );
        self.progress.stage = stage.to_owned();
        self.progress.subject =
            Some(subject.map_or_else(|| place.clone(), |subject| format!("{subject} ({place})")));
        self.progress.done = done;
        self.progress.total = total;
        self.progress.unit = unit;
        self.measure(done);
        (self.on_progress)(&self.progress);
        if self.stored.elapsed() >= STORE_INTERVAL || is_new {
            self.store().await;
        }
    }

    /// A document is finished, one way or another.
    pub(super) async fn document_done(&mut self, bytes: u64) {
        self.documents.0 += 1;
        self.bytes.0 += bytes;
        if self.stored.elapsed() >= STORE_INTERVAL {
            self.store().await;
        }
    }

    pub(super) async fn finish(&mut self) {
        let files = self.documents.1;
        self.progress = JobProgress {
            point: None,
            stage: "done".to_owned(),
            subject: None,
            done: files,
            total: Some(files),
            unit: ProgressUnit::Files,
            rate: None,
            eta_seconds: Some(0.0),
        };
        (self.on_progress)(&self.progress);
        self.store().await;
    }

    #[expect(clippy::cast_precision_loss, reason = "estimates")]
    fn measure(&mut self, done: u64) {
        let elapsed = self.stage_started.elapsed().as_secs_f64();
        if done > 0 && elapsed > 0.05 {
            let rate = done as f64 / elapsed;
            let smoothed = self.progress.rate.map_or(rate, |old| old + SMOOTHING * (rate - old));
            self.progress.rate = Some(smoothed);
        }
        // The rest takes as long per byte as what is done took.
        self.progress.eta_seconds = (self.bytes.0 > 0).then(|| {
            let left = self.bytes.1.saturating_sub(self.bytes.0) as f64;
            self.started.elapsed().as_secs_f64() / self.bytes.0 as f64 * left
        });
    }

    async fn store(&mut self) {
        self.stored = Instant::now();
        // Progress that cannot be stored must not end the work; the work itself will say why.
        let _ = self.library.set_job_progress(self.job, &self.progress).await;
    }
}
