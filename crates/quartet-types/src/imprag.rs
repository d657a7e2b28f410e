//! Implicit-query retrieval (ImpRAG, Zhang et al. 2025, arXiv 2506.02279): how it is set up, what
//! happened in an answer, what it is worth. Section numbers are those of the paper.

use crate::contestant::Control;
use crate::id::Sha256;
use crate::training::StageReport;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use ts_rs::TS;

/// How passages are encoded for reading.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, TS,
)]
#[serde(rename_all = "snake_case")]
pub enum ImpragMode {
    /// Each passage alone, once, when documents come in; keys and values of layers `b..=t` are
    /// kept on disk and restored (appendix A, "independent").
    #[default]
    Fast,
    /// The passages of a question one after another in one sequence, each reading those before
    /// it, when the question is asked (section 3.1, the paper's main setting).
    Quality,
}

impl ImpragMode {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Fast, Self::Quality];

    /// The name used in commands and files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Quality => "quality",
        }
    }
}

/// How much of the model is taught.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, TS,
)]
#[serde(rename_all = "snake_case")]
pub enum ImpragTier {
    /// Nothing: the bare model.
    Untaught,
    /// Nothing on this collection: the general starting point as it is shipped.
    Start,
    /// The retrieval heads: low-rank changes of the query and key projections of layer `b`, used
    /// for retrieval only. Minutes. Not the paper's method: the reader stays as it was.
    #[default]
    T0,
    /// Low-rank changes of layers up to `b` on the side of the query; passages keep their vectors.
    T1q,
    /// The same on both sides.
    T1,
    /// The paper's objective: retrieval, self-distillation and generation together, low-rank
    /// changes of all layers, in force for vectors, keys, values and answers alike.
    T3,
}

impl ImpragTier {
    /// Those that can be trained.
    pub const ALL: [Self; 4] = [Self::T0, Self::T1q, Self::T1, Self::T3];

    /// The name used in commands and files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Untaught => "untaught",
            Self::Start => "start",
            Self::T0 => "t0",
            Self::T1q => "t1q",
            Self::T1 => "t1",
            Self::T3 => "t3",
        }
    }
}

impl ImpragTier {
    /// What it is, for people.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Untaught => "nothing was taught",
            Self::Start => {
                "the general starting point as it is shipped; nothing was taught on this collection"
            }
            Self::T0 => {
                "retrieval heads alone were taught; the reader is as it was: not the paper's method"
            }
            Self::T1q => {
                "layers below were taught to ask; passages and the reader are as they were: not the paper's method"
            }
            Self::T1 => {
                "layers below were taught to ask and to be found; the reader is as it was: not the paper's method"
            }
            Self::T3 => {
                "the paper's objective: retrieval and answering were taught together, in all layers"
            }
        }
    }
}

impl std::str::FromStr for ImpragTier {
    type Err = crate::Error;

    fn from_str(name: &str) -> crate::Result<Self> {
        Self::ALL.into_iter().find(|tier| tier.as_str() == name).ok_or_else(|| {
            crate::Error::new(
                crate::ErrorCode::InvalidInput,
                format!("`{name}` is not a tier; there are t0, t1q, t1 and t3"),
            )
        })
    }
}

/// Everything that decides how passages become vectors and how they are read. A vector or a
/// stored state of other settings is another one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct ImpragSettings {
    /// Layer `b`, from 0: its queries and keys are the vectors (sections 3.1 and 3.2), and it is
    /// the first that reads passages.
    pub first_layer: u32,
    /// Layer `t`, from 0: the last that reads passages.
    pub last_layer: u32,
    /// Tokens of a passage, at most (`l_max`, not stated in the paper). The prompt stands at
    /// `passages * longest`.
    pub longest: u32,
    /// Passages read (`k`).
    pub passages: u32,
    /// How passages are encoded for reading.
    pub mode: ImpragMode,
}

impl ImpragSettings {
    /// The card's proportions for a model with this many layers: the paper's models have
    /// `(b + 1) / layers` from .25 to .29 and `(t + 1) / layers` from .71 to .75. 24 layers give
    /// b = 7 and t = 17.
    #[must_use]
    pub fn for_layers(layers: u32) -> Self {
        let at = |share: f64| ((f64::from(layers) * share).round() as u32).clamp(1, layers) - 1;
        let first_layer = at(1.0 / 3.0);
        let last_layer = at(0.75).max(first_layer);
        Self { first_layer, last_layer, longest: 128, passages: 10, mode: ImpragMode::Fast }
    }

    /// Position of the first token of a prompt (section 3.1): the same whatever was found.
    #[must_use]
    pub fn prompt_position(&self) -> u32 {
        self.passages * self.longest
    }
}

/// What happened in an answer by implicit query.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, TS)]
pub struct ImpragTrace {
    /// How the passages were encoded.
    pub mode: ImpragMode,
    /// What had been taught.
    pub tier: ImpragTier,
    /// Layers that read the passages, first and last.
    pub layers: (u32, u32),
    /// Raw inner products of the passages that were read, in the order in which they were read;
    /// `None` for one that was found in another way.
    pub scores: Vec<Option<f32>>,
    /// The largest raw inner product of all passages; `None` where there are none.
    pub best: Option<f32>,
    /// Below this best score the documents are taken not to hold the answer; `None` where it was
    /// never calibrated.
    pub threshold: Option<f32>,
    /// Whether words were searched as well (BM25): not what the paper does.
    pub is_hybrid: bool,
    /// What was taken away, in a comparison.
    #[serde(default)]
    pub control: Option<Control>,
    /// Tokens of the passages that were read.
    pub passage_tokens: u32,
    /// Reading the prompt up to layer `b`, in milliseconds.
    pub query_ms: f64,
    /// Finding the passages, in milliseconds.
    pub search_ms: f64,
    /// Passages whose states had to be made for this question: in fast mode those that were not
    /// on disk, in quality mode all.
    pub encoded: u32,
    /// Making those that were not on disk, in milliseconds. In quality mode it is part of
    /// reading the prompt ([`Timings::prefill_ms`](crate::Timings::prefill_ms)), as is reading
    /// states from disk.
    pub encode_ms: f64,
    /// Bytes of states read from disk.
    pub restored_bytes: u64,
}

/// Recall of one retriever on one format of questions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct RetrievalResult {
    /// The format: `question`, `gap`, `next_sentence`.
    pub format: String,
    /// The retriever: `implicit`, `untrained`, `start`, `lexical`, `dense`, `hybrid`.
    pub retriever: String,
    /// Queries.
    pub queries: u32,
    /// Share of them with a right passage among the first ten.
    pub recall_10: f64,
    /// Mean of one over the rank of the first right passage, 0 beyond ten.
    pub mrr_10: f64,
}

/// How evenly passages win, and how far their vectors are apart (card, test 15).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, TS)]
pub struct HubReport {
    /// The largest share of queries that one passage wins.
    pub largest_share: f64,
    /// Standard deviation of the scores.
    pub deviation: f64,
    /// Mean cosine between vectors of different passages.
    pub mean_cosine: f64,
}

/// What an ImpRAG artefact is made of and what it is worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct ImpragReport {
    /// How it was made.
    pub settings: ImpragSettings,
    /// What was taught.
    pub tier: ImpragTier,
    /// The adapter that makes queries, beyond the starting point.
    pub query: Option<Sha256>,
    /// The adapter that makes passage vectors.
    pub passage: Option<Sha256>,
    /// The adapter in force while answers are written.
    pub reader: Option<Sha256>,
    /// The adapter in force while passages are encoded for reading; the bare model where `None`.
    pub states: Option<Sha256>,
    /// Adapters of the shipped starting point that it was taught on top of, by digest: the
    /// retriever, and where reading was taught as well the reader. Empty where it began with the
    /// bare model. Once others are shipped, it is stale.
    pub start: Vec<Sha256>,
    /// Numbers trained.
    pub parameters: u64,
    /// Training queries by format.
    pub queries: BTreeMap<String, u64>,
    /// Recall on queries that were not trained.
    pub retrieval: Vec<RetrievalResult>,
    /// Hubs before and after.
    pub hubs: (HubReport, HubReport),
    /// Raw best score below which the documents are taken not to hold the answer.
    pub threshold: Option<f32>,
    /// The stages of training.
    pub stages: Vec<StageReport>,
    /// Wall time of each part of the work, in seconds.
    pub seconds: BTreeMap<String, f64>,
}

impl ImpragReport {
    /// Whether implicit queries found the right passages of questions among ten as often as a
    /// search for their words.
    #[must_use]
    pub fn finds_as_much_as_words(&self) -> bool {
        let recall = |name: &str| {
            let mut all = self.retrieval.iter();
            let found = all.find(|one| one.retriever == name && one.format == "question");
            found.map(|one| one.recall_10)
        };
        recall("implicit").zip(recall("lexical")).is_some_and(|(own, words)| own >= words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_follow_the_papers_proportions() {
        let of = |layers| {
            let settings = ImpragSettings::for_layers(layers);
            (settings.first_layer, settings.last_layer)
        };
        assert_eq!(of(24), (7, 17));
        assert_eq!(of(28), (8, 20));
        assert_eq!(of(4), (0, 2));
        assert_eq!(of(1), (0, 0));
    }
}
