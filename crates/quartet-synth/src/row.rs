//! Rows of study material, one JSON object each.

use quartet_methods::text::words;
use quartet_types::{ChunkId, DocumentId, PageSpan};
use serde::{Deserialize, Serialize};

/// Version of the form of [`StudyRow`]; counts up when old rows can no longer be read.
pub const ROW_FORMAT: u32 = 1;

/// One question with its answer, one question without, or one claim.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StudyRow {
    /// [`ROW_FORMAT`] when it was written.
    pub format: u32,
    /// 16 hexadecimal digits, the same whenever the same row is made again.
    pub id: String,
    /// The piece of work it came from ([`crate::WorkKey`]).
    pub item: String,
    /// What it is.
    pub kind: RowKind,
    /// What made it.
    pub source: RowSource,
    /// The question; the statement, for a claim.
    pub question: String,
    /// The answer: words that stand in the passage; empty for an unanswerable question; `true`
    /// or `false` for a claim.
    pub answer: String,
    /// Other wordings of the question.
    pub paraphrases: Vec<Wording>,
    /// Where the answer stands. For an unanswerable question or a false claim: the sentence it
    /// was made from.
    pub provenance: Provenance,
    /// To which part its document belongs.
    pub document_part: Part,
    /// What the checks by the model measured.
    #[serde(default)]
    pub checks: Checks,
}

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowKind {
    /// A question and its answer.
    Question,
    /// A question that the collection does not answer.
    Unanswerable,
    /// A statement that is true or false.
    Claim,
}

/// What made a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowSource {
    /// The base model.
    Generated,
    /// Rule: `X is a ...`, `X, a ..., `.
    Definition,
    /// Rule: what stands under a heading.
    Heading,
    /// Rule: a gap in a sentence.
    Cloze,
    /// Rule: a number with its unit.
    Number,
    /// Rule: a date.
    Date,
    /// Rule: a person or thing by name.
    Name,
    /// A name or number of a question or sentence changed for another of the collection.
    Swap,
    /// A sentence negated.
    Negation,
    /// A sentence as it stands.
    Sentence,
}

impl RowSource {
    /// Whether the question is a template around a sentence or heading, which no model rewrites.
    pub(crate) fn is_gap_or_heading(self) -> bool {
        matches!(self, Self::Cloze | Self::Heading)
    }

    /// Whether a rule made the question by turning a sentence round.
    pub(crate) fn is_short_rule(self) -> bool {
        matches!(self, Self::Definition | Self::Number | Self::Date | Self::Name)
    }
}

/// Another wording of a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wording {
    /// The question in other words.
    pub text: String,
    /// The part it belongs to in a split by paraphrase; the first wording is always in
    /// [`Part::Train`].
    pub part: Part,
    /// Who wrote it.
    pub by: Writer,
}

/// Who wrote a wording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Writer {
    /// The base model.
    Model,
    /// The rule that made the question.
    Rule,
    /// Nobody: the question itself in a frame such as `Going by "Title", ...`.
    Frame,
}

/// A part of a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// To learn from.
    Train,
    /// To choose settings and to stop by.
    Develop,
    /// To measure with, once.
    Test,
}

/// Where something stands, to the sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The document.
    pub document: DocumentId,
    /// The chunk.
    pub chunk: ChunkId,
    /// The sentence's characters on its page.
    pub span: PageSpan,
    /// The sentence on one line.
    pub sentence: String,
}

/// What the checks by the model measured; `None` where a check was not made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Checks {
    /// F1 between the answer and what the model answers when it reads the passage, 0 to 1.
    pub round_trip_f1: Option<f32>,
    /// Mean natural-log probability of the answer's tokens when the model reads nothing.
    pub closed_book_log_probability: Option<f32>,
}

impl StudyRow {
    /// Every wording with its part, the first one included.
    pub fn wordings(&self) -> impl Iterator<Item = (&str, Part)> {
        let others = self.paraphrases.iter().map(|wording| (wording.text.as_str(), wording.part));
        std::iter::once((self.question.as_str(), Part::Train)).chain(others)
    }

    /// The answer and other ways of writing it that are as right: without its article, and with
    /// number words as digits. Empty for an unanswerable question.
    #[must_use]
    pub fn answers(&self) -> Vec<String> {
        if self.answer.is_empty() {
            return Vec::new();
        }
        let mut all = vec![self.answer.clone()];
        let bare = ["the ", "The ", "a ", "A ", "an ", "An "]
            .iter()
            .find_map(|article| self.answer.strip_prefix(article))
            .unwrap_or(&self.answer);
        let mut digits = bare.to_owned();
        for word in words(bare).iter().rev().filter(|word| word.number) {
            digits.replace_range(word.range.clone(), &word.folded);
        }
        for other in [bare.to_owned(), digits] {
            if !all.contains(&other) {
                all.push(other);
            }
        }
        all
    }
}
