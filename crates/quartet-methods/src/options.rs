//! Settings of the methods. Defaults are measured: see BENCHMARKS.md.

use crate::abstention::Calibration;
use quartet_types::Sampling;
use std::sync::Arc;

/// How answers are made.
#[derive(Debug, Clone)]
pub struct Options {
    /// Passages asked of the search. More than are read: evidence panel and exam look at all.
    pub retrieve: usize,
    /// Passages read, at most.
    pub passages: usize,
    /// Tokens of passages read, at most (as the reader counts them). Reading is the larger
    /// part of the waiting time on a CPU, so this is the main knob of speed.
    pub passage_tokens: u32,
    /// Tokens written, at most.
    pub answer_tokens: u32,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Whether a low calibrated probability turns an answer into "not in your documents".
    pub abstain: bool,
    /// The abstention model.
    pub calibration: Arc<Calibration>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            retrieve: 24,
            passages: 6,
            passage_tokens: 800,
            answer_tokens: 160,
            sampling: Sampling::greedy(),
            abstain: true,
            calibration: Arc::new(Calibration::built_in()),
        }
    }
}
