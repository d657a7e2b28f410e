//! Settings of the methods.

use crate::abstention::Calibration;
use crate::rag::prompt::Template;
use crate::{iag, imprag};
use quartet_types::{Control, IagMode, RouteChoice, Sampling};
use std::sync::Arc;

/// How answers are made.
///
/// The default budget of passages comes from how often the gold sentence is among what is
/// read, over 367 questions in loose wording about twelve short documents (chunks of about 80
/// words, hybrid search): 200 tokens .59, 400 .73, 600 .79, 800 .82, 1,000 .84, 1,200 .86.
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
    /// By how much a domain must be nearer than the general route; the paper's is 0.
    pub route_margin: f32,
    /// The route a person chose; `None` leaves it to the router.
    pub route: Option<RouteChoice>,
    /// For IAG: what stands in the prompt besides the question.
    pub imagine: IagMode,
    /// A part to take away, to see what it was worth.
    pub control: Option<Control>,
    /// Gold evidence of an exam's question, for the oracle control of ImpRAG.
    pub evidence: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            retrieve: 24,
            passages: 6,
            passage_tokens: 600,
            answer_tokens: 160,
            sampling: Sampling::greedy(),
            abstain: true,
            calibration: Arc::new(Calibration::built_in()),
            route_margin: 0.0,
            route: None,
            imagine: IagMode::default(),
            control: None,
            evidence: Vec::new(),
        }
    }
}

impl Options {
    /// Everything that decides how an answer is made, besides models and documents: the text
    /// of every template, the calibration and the settings. For the key of anything that is
    /// kept and must not outlive a change of these.
    #[must_use]
    pub fn recipe(&self) -> String {
        let templates = [Template::NONE, Template::RAG, Template::REWRITE, Template::GAG];
        let versions = [imprag::template::VERSION, iag::template::VERSION];
        format!("{templates:?} {versions:?} {self:?}")
    }
}
