//! Long work: import, indexing, study material, training, exams.

use crate::id::{CollectionId, JobId};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// A long-running piece of work, as stored and as shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// What it does.
    pub kind: JobKind,
    /// The collection it works on.
    pub collection: Option<CollectionId>,
    /// Where it stands.
    pub state: JobState,
    /// How far it is.
    pub progress: JobProgress,
    /// Why it failed.
    pub error: Option<crate::Error>,
    /// When it was created, seconds since 1970.
    pub created_at: i64,
    /// When it last changed, seconds since 1970.
    pub updated_at: i64,
}

impl Job {
    /// Whether the job can be worked on now.
    ///
    /// # Errors
    /// `Busy` if somebody does; `InvalidInput` if it has ended.
    pub fn check_resumable(&self) -> crate::Result<()> {
        use crate::{Error, ErrorCode};
        let id = self.id;
        match self.state {
            JobState::Paused | JobState::Interrupted | JobState::Queued => Ok(()),
            JobState::Running => Err(Error::new(ErrorCode::Busy, format!("job {id} is running"))),
            JobState::Finished | JobState::Failed | JobState::Cancelled => {
                Err(Error::new(ErrorCode::InvalidInput, format!("job {id} has already ended")))
            }
        }
    }
}

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Read, chunk, embed and index documents.
    Import,
    /// Put questions to methods and score the answers.
    Exam,
    /// Make study material from a collection.
    Synthesise,
    /// Train an artefact.
    Train,
    /// Encode passages for implicit queries (ImpRAG).
    Encode,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waiting for its turn.
    Queued,
    /// Under way, in the process that holds the lease.
    Running,
    /// Stopped by the user at a checkpoint; can go on.
    Paused,
    /// Its process ended without finishing it; goes on from the last checkpoint.
    Interrupted,
    /// Done.
    Finished,
    /// Given up; the error says why.
    Failed,
    /// Stopped for good by the user.
    Cancelled,
}

/// How far a job is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, TS)]
pub struct JobProgress {
    /// What is being done, for example `reading` or `embedding`.
    pub stage: String,
    /// What it is being done to, for example a file name.
    pub subject: Option<String>,
    /// Units done in this stage.
    pub done: u64,
    /// Units in this stage, where known.
    pub total: Option<u64>,
    /// What is counted.
    pub unit: ProgressUnit,
    /// Units per second, smoothed; `None` until measured.
    pub rate: Option<f64>,
    /// Seconds to the end of the job, where it can be estimated.
    pub eta_seconds: Option<f64>,
    /// What the last step of a training came to.
    #[serde(default)]
    pub point: Option<CurvePoint>,
}

/// What a job counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum ProgressUnit {
    /// Files.
    #[default]
    Files,
    /// Pages.
    Pages,
    /// Chunks.
    Chunks,
    /// Questions.
    Questions,
    /// Texts.
    Texts,
    /// Optimiser steps.
    Steps,
}

/// A point of a training curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, TS)]
pub struct CurvePoint {
    /// Optimiser steps done.
    pub step: u64,
    /// Training loss, in nats per token.
    pub loss: f64,
    /// Loss on held-out material, where it was measured at this step.
    pub evaluation: Option<f64>,
}
