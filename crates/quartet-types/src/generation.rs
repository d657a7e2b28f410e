//! One request, four ports.
//!
//! Every answer is a generation by the base model, and private knowledge can enter a
//! generation through exactly four ports: **segments** of the prompt, **adapters**,
//! **passages** (keys and values visible to a range of layers) and **taps** that read hidden
//! states out. A method is a plan that fills a [`GenerationRequest`] (ARCHITECTURE.md, "The
//! central idea"). A port that the engine does not serve yet is refused with
//! [`ErrorCode::NotSupported`](crate::ErrorCode::NotSupported), never ignored.

use crate::id::{ModelId, Sha256};
use serde::{Deserialize, Serialize};

/// Everything the engine needs for one generation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GenerationRequest {
    /// Which loaded model writes.
    pub model: ModelId,
    /// The prompt.
    pub prompt: Prompt,
    /// LoRA adapters in force during this request, as a complete set.
    #[serde(default)]
    pub adapters: Vec<AdapterUse>,
    /// Passages whose keys and values are visible to some layers only.
    #[serde(default)]
    pub passages: Vec<PassageUse>,
    /// Hidden states to read out.
    #[serde(default)]
    pub taps: Vec<Tap>,
    /// How the next token is chosen.
    pub sampling: Sampling,
    /// When to stop.
    pub limits: GenerationLimits,
    /// Constrains the output.
    #[serde(default)]
    pub grammar: Option<Grammar>,
    /// Replies the output must not begin with: the first token of each is excluded at the
    /// first position, and how probable it was there is reported
    /// ([`Generation::avoided_log_probability`]).
    #[serde(default)]
    pub avoid_first: Vec<String>,
}

impl GenerationRequest {
    /// A plain request: this prompt, greedy, the default limits, no other port in use.
    #[must_use]
    pub fn new(model: ModelId, prompt: Prompt) -> Self {
        Self {
            model,
            prompt,
            adapters: Vec::new(),
            passages: Vec::new(),
            taps: Vec::new(),
            sampling: Sampling::greedy(),
            limits: GenerationLimits::default(),
            grammar: None,
            avoid_first: Vec::new(),
        }
    }
}

/// The prompt: messages for the model's own chat template, or pieces used as they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prompt {
    /// Rendered with the chat template in the model's metadata (or the documented fallback).
    Chat(Vec<Message>),
    /// Used as it is; special tokens in the text are recognised, because we wrote it.
    Raw(Vec<Segment>),
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in pieces.
    pub content: Vec<Segment>,
}

impl Message {
    /// A message made of one piece of text.
    #[must_use]
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self { role, content: vec![Segment::Text(text.into())] }
    }
}

/// Who speaks in a chat prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Instructions by Quartet.
    System,
    /// The person.
    User,
    /// The model, in earlier turns.
    Assistant,
}

/// A piece of a prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Segment {
    /// Text. Inside a chat message it is tokenised as data: control tokens written in it
    /// (`<|im_end|>` in a PDF, say) stay ordinary characters.
    Text(String),
    /// Rows fed to the first layer in place of token embeddings (GAG).
    Embeddings(EmbeddingRows),
}

/// Raw rows for the first layer, `[rows, width]` in row-major order.
/// `width` is the model's embedding length.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EmbeddingRows {
    /// Row-major values; `values.len()` is a multiple of `width`.
    pub values: Vec<f32>,
    /// Length of one row.
    pub width: u32,
}

/// A LoRA adapter and its strength. Effective factor: `scale * alpha / rank`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AdapterUse {
    /// SHA-256 of the adapter file, which is how the engine knows it.
    pub adapter: Sha256,
    /// User-side multiplier; 1.0 is the strength it was trained with.
    pub scale: f32,
}

/// A passage whose keys and values some layers may attend to (ImpRAG).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PassageUse {
    /// Key of the stored state.
    pub key: String,
    /// First layer that sees the passage.
    pub first_layer: u32,
    /// Last layer that sees the passage.
    pub last_layer: u32,
}

/// A read-out of hidden states during the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tap {
    /// Where in the network.
    pub point: TapPoint,
    /// Layer index, from 0; ignored for [`TapPoint::FinalNorm`].
    pub layer: u32,
    /// Stop the forward pass once this tap has been read.
    pub stop_after: bool,
}

/// Places a [`Tap`] can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TapPoint {
    /// Output of a transformer block, `[tokens, n_embd]`.
    LayerOutput,
    /// Queries before rotary position encoding, `[tokens, heads * head_dim]`.
    Query,
    /// Keys before rotary position encoding, `[tokens, kv_heads * head_dim]`.
    Key,
    /// Output of the final normalisation, `[tokens, n_embd]`.
    FinalNorm,
}

/// How the next token is chosen from the logits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    /// 0 means greedy.
    pub temperature: f32,
    /// Keep the `top_k` best tokens; 0 keeps all.
    pub top_k: u32,
    /// Keep the smallest set with this probability mass; 1 keeps all.
    pub top_p: f32,
    /// Drop tokens below this share of the best token's probability; 0 keeps all.
    pub min_p: f32,
    /// Divides (or multiplies, where negative) the logits of recent tokens; 1 is off.
    pub repetition_penalty: f32,
    /// How many recent tokens the penalty looks at.
    pub repetition_window: u32,
    /// Seed of the random draws; the same seed gives the same text.
    pub seed: u32,
}

impl Sampling {
    /// Always the most probable token. Deterministic, used for answers and exams.
    #[must_use]
    pub fn greedy() -> Self {
        Self {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            repetition_window: 64,
            seed: 0,
        }
    }
}

/// When a generation ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GenerationLimits {
    /// At most this many tokens are written.
    pub max_tokens: u32,
    /// Context length to allocate, in tokens; `None` takes the engine's default.
    pub context: Option<u32>,
    /// Text that ends the generation and is not part of it.
    #[serde(default)]
    pub stop: Vec<String>,
}

impl Default for GenerationLimits {
    fn default() -> Self {
        Self { max_tokens: 512, context: None, stop: Vec::new() }
    }
}

/// A constraint on the output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grammar {
    /// A JSON Schema; the output is JSON that satisfies it.
    JsonSchema(String),
    /// llama.cpp's own grammar notation, root rule `root`.
    Gbnf(String),
}

/// What came of a [`GenerationRequest`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Generation {
    /// The text written, without the stop text.
    pub text: String,
    /// Why it ended.
    pub stop: StopReason,
    /// Tokens (and rows) read.
    pub prompt_tokens: u32,
    /// Tokens written.
    pub written_tokens: u32,
    /// Natural-log probability of each written token under the unmodified distribution.
    pub token_log_probabilities: Vec<f32>,
    /// Natural log of the probability that the output would have begun with one of
    /// [`GenerationRequest::avoid_first`]; `None` without any.
    #[serde(default)]
    pub avoided_log_probability: Option<f32>,
    /// Waiting for the model, in milliseconds.
    pub queue_ms: f64,
    /// Reading the prompt, in milliseconds.
    pub prefill_ms: f64,
    /// Writing, in milliseconds.
    pub decode_ms: f64,
    /// The prompt exactly as the model read it (template applied; embedding rows shown as
    /// `[n embedding rows]`).
    pub prompt_text: String,
}

/// Why a generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The model ended its turn.
    EndOfTurn,
    /// A stop text was reached.
    StopText,
    /// `max_tokens` was reached.
    MaxTokens,
}
