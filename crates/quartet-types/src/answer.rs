//! An answer: text, what supports it, what it cost.

use crate::document::PageSpan;
use crate::gag::{GagTrace, RouteChoice, RouteScore};
use crate::iag::{IagMode, IagTrace};
use crate::id::{AnswerId, DocumentId, ModelId};
use crate::imprag::ImpragTrace;
use crate::search::{SearchHit, SearchTrace};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use ts_rs::TS;

/// A way of getting private knowledge into the base model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// No private knowledge: the base model alone. The control for every other method.
    None,
    /// Retrieval-augmented generation.
    Rag,
    /// Generation-augmented generation: a domain expert's hidden states as rows of the prompt.
    Gag,
    /// Imagination-augmented generation: an imagined document, and weights made for the question.
    Iag,
    /// Retrieval by the base model's own bottom layers, read by its middle ones.
    Imprag,
}

impl Method {
    /// All methods, in the order they are shown.
    pub const ALL: [Self; 5] = [Self::None, Self::Rag, Self::Gag, Self::Iag, Self::Imprag];

    /// The name used in commands, JSON and SQLite.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Rag => "rag",
            Self::Gag => "gag",
            Self::Iag => "iag",
            Self::Imprag => "imprag",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for Method {
    type Err = crate::Error;

    fn from_str(name: &str) -> crate::Result<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == name).ok_or_else(|| {
            crate::Error::new(crate::ErrorCode::InvalidInput, format!("unknown method `{name}`"))
                .hint("Methods: none, rag, gag, iag, imprag.")
        })
    }
}

/// One method's answer to one question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct Answer {
    /// Set once it is stored.
    pub id: Option<AnswerId>,
    /// The question as asked.
    pub question: String,
    /// The question as searched, where a follow-up was rewritten to stand alone.
    pub searched_question: Option<String>,
    /// How it was made.
    pub method: Method,
    /// The model that wrote it.
    pub model: ModelId,
    /// Whether the documents hold an answer.
    pub outcome: Outcome,
    /// The answer as shown. For [`Outcome::NotInDocuments`] it is our own sentence.
    pub text: String,
    /// What the model wrote before it was set aside, for [`Outcome::NotInDocuments`].
    pub withheld: Option<String>,
    /// The answer sentence by sentence, with what supports each.
    pub sentences: Vec<AnswerSentence>,
    /// What search found, best first. Being here does not mean it was used.
    pub retrieved: Vec<SearchHit>,
    /// Indices into `retrieved` of the passages the model was given.
    pub read: Vec<usize>,
    /// Indices into `retrieved` of the passages that support a sentence: the citations.
    pub used: Vec<usize>,
    /// How the decision to answer or not was taken; `None` where the method never abstains.
    pub abstention: Option<Abstention>,
    /// What the search did.
    pub search: Option<SearchTrace>,
    /// How long each part took.
    pub timings: Timings,
    /// What was read and written.
    pub usage: Usage,
    /// How it came about, for GAG.
    #[serde(default)]
    pub gag: Option<GagTrace>,
    /// How it came about, for ImpRAG.
    #[serde(default)]
    pub imprag: Option<ImpragTrace>,
    /// How it came about, for IAG.
    #[serde(default)]
    pub iag: Option<IagTrace>,
    /// The prompt exactly as the model read it.
    pub prompt: String,
}

/// Whether the documents hold an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Answered.
    Answered,
    /// The calibrated score says that the documents do not hold the answer.
    NotInDocuments,
}

/// A sentence of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct AnswerSentence {
    /// First character in the answer's text.
    pub start: u32,
    /// One past its last character.
    pub end: u32,
    /// What supports it; `None` means that nothing given to the model does.
    pub support: Option<Support>,
}

/// A span of a document that supports a sentence, found by our own matcher.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct Support {
    /// Index into [`Answer::retrieved`].
    pub passage: usize,
    /// The document.
    pub document: DocumentId,
    /// Where in the document.
    pub span: PageSpan,
    /// Share of the sentence's content that the span carries, from 0 to 1.
    pub score: f32,
}

/// The decision to answer or to say "not in your documents".
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct Abstention {
    /// Calibrated probability that the documents hold the answer, from 0 to 1.
    pub probability: f32,
    /// Below this it abstains.
    pub threshold: f32,
    /// The features the probability was made from, by name.
    pub features: Vec<(String, f32)>,
}

/// How long each part took, in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, TS)]
pub struct Timings {
    /// Waiting for the engine.
    pub queue_ms: f64,
    /// Search, including the question's vector.
    pub search_ms: f64,
    /// Reading the prompt.
    pub prefill_ms: f64,
    /// From the question to the first character of the answer.
    pub first_token_ms: f64,
    /// Writing.
    pub decode_ms: f64,
    /// From the question to the end.
    pub total_ms: f64,
}

/// What was read and written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Usage {
    /// Tokens read by the base model.
    pub tokens_read: u32,
    /// Tokens written by the base model.
    pub tokens_written: u32,
    /// Bytes of documents' text given to the model.
    pub bytes_read: u64,
}

/// What happens while an answer is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum AnswerEvent {
    /// Waiting for, or loading, a model: fraction done.
    Loading(f32),
    /// The follow-up was rewritten to this stand-alone question.
    Rewritten(String),
    /// Search is done.
    Retrieved(Vec<SearchHit>),
    /// The route is chosen; the expert begins to write, unless it is general.
    Routed(Vec<RouteScore>, RouteChoice),
    /// The expert has written this background: its own words, no evidence.
    Background(String),
    /// Work on the document for the prompt begins.
    Imagining(IagMode),
    /// The document for the prompt: imagined, or squeezed from passages that were retrieved.
    Imagined(String, IagMode),
    /// Reading the prompt: tokens done of tokens in all.
    Prefill {
        /// Tokens read.
        done: u32,
        /// Tokens in the prompt.
        total: u32,
    },
    /// More of the answer.
    Text(String),
    /// The answer is complete; its text replaces what was streamed.
    Finished(Box<Answer>),
}
