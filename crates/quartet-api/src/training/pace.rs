//! How far a training is: which part, how much of it, and how long the rest will take.

use crate::keeping::OnProgress;
use quartet_library::JobLease;
use quartet_types::{CurvePoint, JobProgress, ProgressUnit};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The parts of the work, in order.
pub(super) const STUDY: &str = "study";
pub(super) const RECALLING: &str = "recalling";
pub(super) const BEFORE: &str = "measuring before";
pub(super) const AFTER: &str = "measuring after";
/// Those of GAG, after its expert's.
pub(super) const THINKING: &str = "thinking";
pub(super) const LISTENING: &str = "listening";
pub(super) const COMPARING: &str = "comparing with controls";
/// Those of ImpRAG besides the trainer's.
pub(super) const FINDING: &str = "finding passages";
pub(super) const INDEXING: &str = "measuring retrieval";

/// A rate is not told of less time than this, in seconds.
const SHORTEST: f64 = 0.5;

/// What else is told.
pub(super) enum Detail {
    Nothing,
    /// What is being worked on.
    Subject(String),
    /// What a step of training came to.
    Point(CurvePoint),
}

struct Part {
    name: String,
    /// Foretold, in seconds.
    foretold: Option<f64>,
    spent: f64,
}

struct Now {
    parts: Vec<Part>,
    /// The part under way: its place, when it began, how much of it was done then.
    current: Option<(usize, Instant, u64)>,
}

/// Tells progress, and keeps account of time.
pub(super) struct Pace<'a> {
    lease: &'a JobLease,
    on_progress: OnProgress<'a>,
    now: Mutex<Now>,
}

impl<'a> Pace<'a> {
    pub(super) fn new(
        lease: &'a JobLease,
        on_progress: OnProgress<'a>,
        parts: impl IntoIterator<Item = String>,
    ) -> Self {
        let part = |name| Part { name, foretold: None, spent: 0.0 };
        let parts = parts.into_iter().map(part).collect();
        Self { lease, on_progress, now: Mutex::new(Now { parts, current: None }) }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long a part will take, once that is known.
    pub(super) fn foretell(&self, name: &str, seconds: f64) {
        let mut now = self.now();
        if let Some(part) = now.parts.iter_mut().find(|part| part.name == name) {
            part.foretold = Some(seconds);
        }
    }

    /// Begins a part of which `done` units were done earlier.
    pub(super) fn begin(&self, name: &str, done: u64) {
        let mut now = self.now();
        now.close();
        let place = now.parts.iter().position(|part| part.name == name);
        now.current = place.map(|place| (place, Instant::now(), done));
    }

    /// The last part is over.
    pub(super) fn end(&self) {
        self.now().close();
    }

    /// Tells how far the part under way is.
    pub(super) async fn tell(&self, done: u64, total: u64, unit: ProgressUnit, detail: Detail) {
        let progress = self.at(done, total, unit, detail);
        (self.on_progress)(&progress);
        self.lease.note(&progress).await;
    }

    fn at(&self, done: u64, total: u64, unit: ProgressUnit, detail: Detail) -> JobProgress {
        let now = self.now();
        let Some((place, began, before)) = now.current else { return JobProgress::default() };
        let elapsed = began.elapsed().as_secs_f64();
        let fresh = done.saturating_sub(before);
        let rate = (fresh > 0 && elapsed > SHORTEST).then(|| fresh as f64 / elapsed);
        let (subject, point) = match detail {
            Detail::Nothing => (None, None),
            Detail::Subject(subject) => (Some(subject), None),
            Detail::Point(point) => (None, Some(point)),
        };
        let left = total.saturating_sub(done) as f64;
        let here = match (rate, now.parts[place].foretold) {
            (Some(rate), _) => Some(left / rate),
            (None, Some(foretold)) => Some((foretold - elapsed).max(0.0)),
            (None, None) => None,
        };
        let later: Option<f64> = now.parts[place + 1..].iter().map(|part| part.foretold).sum();
        JobProgress {
            stage: now.parts[place].name.clone(),
            subject,
            done,
            total: Some(total),
            unit,
            rate,
            eta_seconds: here.zip(later).map(|(here, later)| here + later),
            point,
        }
    }

    /// Seconds spent on each part by this process.
    pub(super) fn spent(&self) -> BTreeMap<String, f64> {
        let now = self.now();
        let spent = now.parts.iter().filter(|part| part.spent > 0.0);
        spent.map(|part| (part.name.clone(), part.spent)).collect()
    }
}

impl Now {
    fn close(&mut self) {
        if let Some((place, began, _)) = self.current.take() {
            self.parts[place].spent += began.elapsed().as_secs_f64();
        }
    }
}
