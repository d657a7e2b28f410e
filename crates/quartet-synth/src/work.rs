//! Pieces of work and what the caller gives and gets: the sink, progress, the report.

use crate::filter::Tally;
use crate::recipe::WorkKey;
use crate::row::{RowKind, StudyRow};
use async_trait::async_trait;
use quartet_types::{ChunkId, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What was made of one passage.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkItem {
    /// Which passage under which recipe.
    pub key: WorkKey,
    /// The passage.
    pub chunk: ChunkId,
    /// The rows made of it.
    pub rows: Vec<StudyRow>,
    /// What was made, kept and dropped.
    pub tally: Tally,
}

/// Keeps what is finished. Called once per piece of work; what it has accepted is never made
/// again if the caller hands it back on the next run.
#[async_trait]
pub trait Sink: Send {
    /// Keeps a piece of work, all of its rows or none.
    async fn keep(&mut self, item: &WorkItem) -> Result<()>;
}

/// How far the work is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// Passages finished.
    pub done: u64,
    /// Passages in all.
    pub total: u64,
    /// Title of the document being worked on.
    pub subject: String,
}

/// What is being done to a passage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Pairs without a model.
    Rules,
    /// The model writes questions.
    Questions,
    /// The model answers them.
    Checks,
    /// The model rewrites them.
    Paraphrases,
    /// Claims and unanswerable questions.
    Claims,
    /// The passage is done.
    Finished,
}

impl Stage {
    /// The name used in progress and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rules => "rules",
            Self::Questions => "questions",
            Self::Checks => "checks",
            Self::Paraphrases => "paraphrases",
            Self::Claims => "claims",
            Self::Finished => "finished",
        }
    }
}

/// What there is at the end, work of earlier runs included.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StudyReport {
    /// Passages.
    pub passages: u64,
    /// Of these, finished by an earlier run.
    pub resumed: u64,
    /// Rows by kind.
    pub rows: BTreeMap<RowKind, u64>,
    /// Questions with at least two paraphrases.
    pub with_two_paraphrases: u64,
    /// What was made, kept and dropped, and why.
    pub tally: Tally,
}

/// Facts below which training on a collection is not worth while (our own judgement; the papers
/// trained on thousands).
pub const FEWEST_FACTS: u64 = 200;

impl StudyReport {
    pub(crate) fn note(&mut self, item: &WorkItem) {
        for row in &item.rows {
            *self.rows.entry(row.kind).or_default() += 1;
            if row.kind == RowKind::Question && row.paraphrases.len() >= 2 {
                self.with_two_paraphrases += 1;
            }
        }
        self.tally.add(&item.tally);
    }

    /// Questions with an answer: the facts there are to learn.
    #[must_use]
    pub fn facts(&self) -> u64 {
        self.rows.get(&RowKind::Question).copied().unwrap_or_default()
    }
}
