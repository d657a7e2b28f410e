//! Imagination-augmented generation (IAG, Liao et al. 2024, arXiv 2403.15268): how it is made,
//! what happened in an answer, what it is worth. Section numbers are those of the paper.

use crate::answer::Usage;
use crate::gag::{ControlResult, NamedOption};
use crate::id::Sha256;
use crate::training::StageReport;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use ts_rs::TS;

/// What stands in the prompt besides the question.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, TS,
)]
#[serde(rename_all = "snake_case")]
pub enum IagMode {
    /// Nothing: only the weights made for the question (implicit imagination).
    ClosedBook,
    /// A short document that the imagine model writes from the question alone. No index is read.
    #[default]
    OwnDocument,
    /// Passages that are retrieved and squeezed to the same length: grounded, and not imagined.
    Retrieved,
}

impl IagMode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::ClosedBook, Self::OwnDocument, Self::Retrieved];

    /// The name used in commands and files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClosedBook => "closed_book",
            Self::OwnDocument => "own_document",
            Self::Retrieved => "retrieved",
        }
    }
}

impl std::str::FromStr for IagMode {
    type Err = crate::Error;

    fn from_str(name: &str) -> crate::Result<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == name).ok_or_else(|| {
            crate::Error::new(
                crate::ErrorCode::InvalidInput,
                format!(
                    "`{name}` is not a way to imagine; there are closed_book, own_document and \
                     retrieved"
                ),
            )
        })
    }
}

/// How a question becomes weights.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum IagForm {
    /// A hypernetwork writes both factors of every low-rank change (section 3.2).
    #[default]
    Hypernetwork,
    /// A few fixed adapters, of which the question decides the strengths only: a restricted
    /// variant for places where no adapter can be loaded per question.
    Bank,
}

/// What the weights are made from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum IagFeatures {
    /// Question and imagined document, as in the paper.
    #[default]
    QuestionAndDocument,
    /// The question alone: cheaper, and a little worse (the paper's table 4).
    Question,
}

/// Who writes the imagined document.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Imaginer {
    /// The small expert model: cheap to teach and quick to write, a model of its own as in the
    /// paper.
    #[default]
    Expert,
    /// The base itself under an adapter.
    Base,
}

/// How an IAG artefact is made. Everything that leaves the paper is a field here with a value
/// that keeps to it, or is named in the report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(default)]
pub struct IagOptions {
    /// How a question becomes weights.
    pub form: IagForm,
    /// What they are made from.
    pub features: IagFeatures,
    /// Who writes the document.
    pub imaginer: Imaginer,
    /// Tokens of a document, at most.
    pub document_tokens: u32,
    /// Passages that are squeezed into one document.
    pub passages: u32,
    /// Inner length of the generated changes; the paper's is 32.
    pub rank: u32,
    /// Hidden units of the hypernetwork; the paper's are 8.
    pub hidden: u32,
    /// Adapters of a bank.
    pub bank: u32,
    /// Components kept by the whitening, at most; the paper's are 255.
    pub components: u32,
    /// Inner length of the static change of the feed-forward layers; 0 leaves them alone.
    pub feed_forward_rank: u32,
    /// Learn from a teacher that reads the documents.
    pub distillation: bool,
    /// Weight of the divergence from the teacher; the answer itself has the rest.
    pub teacher_weight: f64,
    /// Weight of the distance from the teacher's hidden states.
    pub hidden_weight: f64,
    /// The distillation's temperature never falls below 1.
    pub clamp_temperature: bool,
    /// Documents for the second part are written about wordings the imagine model was not
    /// taught.
    pub cross_fit: bool,
    /// The questions are learnt without a document too, for [`IagMode::ClosedBook`].
    pub closed_book: bool,
    /// The strength of the weights made for a question is chosen on questions that were not
    /// trained on.
    pub choose_strength: bool,
    /// Slot numbers as they are, up to the number of layers, as in the code of the paper;
    /// otherwise from 0 to 1.
    pub raw_slots: bool,
    /// All weights of the hypernetwork begin at a ten-millionth, as in the code of the paper.
    pub tiny_start: bool,
}

impl Default for IagOptions {
    fn default() -> Self {
        Self {
            form: IagForm::Hypernetwork,
            features: IagFeatures::QuestionAndDocument,
            imaginer: Imaginer::Expert,
            document_tokens: 48,
            passages: 5,
            rank: 8,
            hidden: 64,
            bank: 8,
            components: 64,
            feed_forward_rank: 8,
            distillation: true,
            teacher_weight: 0.4,
            hidden_weight: 1.0,
            clamp_temperature: true,
            cross_fit: true,
            closed_book: true,
            choose_strength: true,
            raw_slots: false,
            tiny_start: false,
        }
    }
}

impl IagOptions {
    /// As near to the paper and its code as a decoder allows.
    #[must_use]
    pub fn published() -> Self {
        Self {
            rank: 32,
            hidden: 8,
            components: 255,
            document_tokens: 64,
            clamp_temperature: false,
            cross_fit: false,
            closed_book: false,
            choose_strength: false,
            raw_slots: true,
            tiny_start: true,
            ..Self::default()
        }
    }
}

/// How an answer by IAG came about.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, TS)]
pub struct IagTrace {
    /// What stood in the prompt.
    pub mode: IagMode,
    /// The document: the imagine model's own words, and no evidence of anything; or, with
    /// [`IagMode::Retrieved`], squeezed words of passages. Empty with [`IagMode::ClosedBook`].
    pub document: String,
    /// Whether it was written earlier for the same question.
    pub cached: bool,
    /// What was taken away, in a comparison.
    #[serde(default)]
    pub control: Option<crate::Control>,
    /// How the weights were made; `None` where none were.
    pub form: Option<IagForm>,
    /// What the imagine model read and wrote.
    pub imagine: Usage,
    /// Tokens that the base read for the features.
    pub feature_tokens: u32,
    /// Size of the adapter made for the question, in bytes.
    #[ts(type = "number")]
    pub adapter_bytes: u64,
    /// Writing the document, or finding and squeezing passages, in milliseconds.
    pub imagine_ms: f64,
    /// The features, in milliseconds.
    pub feature_ms: f64,
    /// Making the weights, in milliseconds.
    pub generate_ms: f64,
    /// Handing them to the engine, in milliseconds.
    pub load_ms: f64,
}

/// Whether there is anything to learn from a teacher that reads the documents (card, test 19).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, TS)]
pub struct TeacherGate {
    /// Questions asked of both.
    pub questions: u32,
    /// Share of exact answers of the teacher, with passages.
    pub teacher: f64,
    /// Share of exact answers of the student, without.
    pub student: f64,
    /// Mean token F1 of the teacher.
    pub teacher_f1: f64,
    /// Mean token F1 of the student.
    pub student_f1: f64,
    /// Whether the teacher is enough better to learn from.
    pub is_open: bool,
}

/// How passages were squeezed into documents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, TS)]
pub struct CompressionReport {
    /// Documents made.
    pub documents: u32,
    /// Mean tokens of the passages that went in.
    pub tokens_before: f64,
    /// Mean tokens of what was left.
    pub tokens_after: f64,
    /// Share of them that hold the answer, word for word.
    pub with_answer: f64,
    /// Share where the answer had to be put back.
    pub put_back: f64,
}

/// How different the weights of different questions are (card, test 7).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, TS)]
pub struct SpecificityReport {
    /// Pairs of questions compared.
    pub pairs: u32,
    /// Mean length of the difference of two questions' weight changes over the mean length of
    /// the changes.
    pub distance: f64,
}

/// How strongly weights made for a question are in force, and what that comes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, TS)]
pub struct TriedStrength {
    /// From 0, nothing, to 1, as they were trained.
    pub strength: f64,
    /// Loss of questions that were not trained on, in nats per token.
    pub loss: f64,
}

impl TriedStrength {
    /// The strength with the least loss, of equals the first; 1 where nothing was tried.
    #[must_use]
    pub fn best(tried: &[Self]) -> f64 {
        let start = Self { strength: 1.0, loss: f64::INFINITY };
        let better = |best: Self, one: &Self| if one.loss < best.loss { *one } else { best };
        tried.iter().fold(start, better).strength
    }
}

/// What an IAG artefact is made of and what it is worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct IagReport {
    /// How it was made.
    pub options: IagOptions,
    /// The same in words: where it leaves the paper.
    pub deviations: Vec<NamedOption>,
    /// The imagine model, by name.
    pub imagine_model: String,
    /// Digest of its file.
    pub imagine_model_sha256: Sha256,
    /// Digest of the adapter with which it imagines.
    pub imagine_adapter: Sha256,
    /// Digests of the fixed adapters of the base: the feed-forward layers' and, for a bank, its
    /// members in order.
    pub adapters: Vec<Sha256>,
    /// Numbers trained in the second part.
    #[ts(type = "number")]
    pub parameters: u64,
    /// Components of the features.
    pub components: u32,
    /// Questions learnt from.
    pub rows: u32,
    /// Wordings of them that were learnt without a document too.
    #[serde(default)]
    pub closed_book_rows: u32,
    /// Of them those that learnt from the teacher too.
    pub taught_rows: u32,
    /// How documents were made.
    pub compression: CompressionReport,
    /// Mean tokens of a document the imagine model writes.
    pub imagined_tokens: f64,
    /// Whether the teacher was worth listening to.
    pub gate: Option<TeacherGate>,
    /// Strengths of the weights made for a question that were tried; that with the least loss is
    /// in force.
    #[serde(default)]
    pub strengths: Vec<TriedStrength>,
    /// How different questions' weights are.
    pub specificity: SpecificityReport,
    /// Questions measured on, all in wordings nobody was trained on.
    pub questions: u32,
    /// How many of them were answered too, for F1.
    pub answered: u32,
    /// Against each control.
    pub controls: Vec<ControlResult>,
    /// The stages of training.
    pub stages: Vec<StageReport>,
    /// Wall time of each part of the work, in seconds.
    pub seconds: BTreeMap<String, f64>,
    /// Seconds foretold for training before its first update.
    pub foretold_seconds: Option<f64>,
}

impl IagReport {
    /// How strongly weights made for a question are in force; 1 where nothing was chosen.
    #[must_use]
    pub fn strength(&self) -> f64 {
        TriedStrength::best(&self.strengths)
    }

    /// Whether weights made for the question are better than those of another question and than
    /// one set for all. Otherwise the hypernetwork has collapsed into a fixed adapter.
    #[must_use]
    pub fn is_question_specific(&self) -> bool {
        ["shuffled_features", "constant_features"].iter().all(|name| self.beats(name))
    }

    /// Whether the answer is more probable than with this part taken away, beyond doubt.
    #[must_use]
    pub fn beats(&self, name: &str) -> bool {
        let mut all = self.controls.iter();
        all.find(|one| one.name == name && one.metric == "nll")
            .is_some_and(ControlResult::is_beaten)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read_as_they_are_written() {
        for mode in IagMode::ALL {
            assert_eq!(mode.as_str().parse::<IagMode>().unwrap(), mode);
        }
        assert!("dreams".parse::<IagMode>().is_err());
    }

    #[test]
    fn the_strength_with_the_least_loss_is_in_force() {
        let tried = |all: &[(f64, f64)]| -> f64 {
            let all: Vec<_> =
                all.iter().map(|&(strength, loss)| TriedStrength { strength, loss }).collect();
            TriedStrength::best(&all)
        };
        assert_eq!(tried(&[]), 1.0);
        assert_eq!(tried(&[(1.0, 2.0), (0.4, 1.5), (0.0, 1.5)]), 0.4);
        assert_eq!(tried(&[(1.0, f64::NAN), (0.0, 3.0)]), 0.0);
    }

    #[test]
    fn options_missing_in_an_older_file_are_the_usual_ones() {
        let read: IagOptions = serde_json::from_str(r#"{"rank": 4}"#).unwrap();
        assert_eq!(read, IagOptions { rank: 4, ..IagOptions::default() });
    }
}
