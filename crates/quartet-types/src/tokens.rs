//! Text as a model reads it: tokens, their embeddings, and how probable they are.

use crate::generation::AdapterUse;
use crate::id::ModelId;
use serde::{Deserialize, Serialize};

/// Tokens, or text that becomes tokens. Nothing is put in front or after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenInput {
    /// Ids of tokens, each below the size of the model's vocabulary.
    Ids(Vec<u32>),
    /// Text.
    Text {
        /// The text.
        text: String,
        /// Whether control tokens written in it are recognised, as in [`Prompt::Raw`](crate::Prompt::Raw);
        /// otherwise they are plain characters, as in a document.
        special: bool,
    },
}

/// A prompt exactly as the model reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptTokens {
    /// Its positions, in order, start token included where the model wants one.
    pub parts: Vec<PromptPart>,
    /// The same as text (template applied; rows shown as `[n embedding rows]`).
    pub text: String,
}

/// A run of positions of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptPart {
    /// Ids of tokens.
    Tokens(Vec<u32>),
    /// This many embedding rows, in the order in which the prompt has them.
    Rows(u32),
}

/// How probable a text is, token by token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PerplexityRequest {
    /// A loaded model.
    pub model: ModelId,
    /// The text, of any length.
    pub input: TokenInput,
    /// Tokens read at once, the start token included; `None` takes the model's context. The
    /// text is read window by window, each with an empty memory.
    pub window: Option<u32>,
    /// How many tokens of the window before are read again as context, without counting twice:
    /// from 1 (fastest) to `window - 2`; smaller numbers count as 1.
    pub overlap: u32,
    /// LoRA adapters in force, as a complete set.
    #[serde(default)]
    pub adapters: Vec<AdapterUse>,
}

/// What came of a [`PerplexityRequest`]. The perplexity is `exp(-sum / count)`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Perplexity {
    /// Sum of the natural-log probabilities.
    pub sum: f64,
    /// Tokens counted: all but the first, or all where the model has a start token.
    pub count: u32,
    /// Natural-log probability of each token counted, in order.
    pub log_probabilities: Vec<f32>,
}
