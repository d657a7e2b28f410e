//! One request, four ports.
//!
//! Every answer is a generation by the base model, and private knowledge can enter a
//! generation through exactly four ports: **segments** of the prompt, **adapters**,
//! **passages** (keys and values visible to a range of layers) and **taps** that read hidden
//! states out. A method is a plan that fills a [`GenerationRequest`] (ARCHITECTURE.md, "The
//! central idea"). A port that the engine does not serve yet is refused with
//! [`ErrorCode::NotSupported`](crate::ErrorCode::NotSupported), never ignored.

use crate::id::{ModelId, Sha256};
use crate::passage::PassageUse;
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
    pub passages: Option<PassageUse>,
    /// Hidden states to read out.
    #[serde(default)]
    pub taps: Vec<TapUse>,
    /// How the next token is chosen.
    pub sampling: Sampling,
    /// When to stop.
    pub limits: GenerationLimits,
    /// Constrains the output.
    #[serde(default)]
    pub grammar: Option<Grammar>,
    /// Use what is still in memory of an earlier request that began with the same tokens, and
    /// leave this one's beginning for the next. For many requests with one beginning: the same
    /// text in less time. Without effect beside adapters, passages, taps or embedding rows, and
    /// in models with a sliding window.
    #[serde(default)]
    pub keep_prefix: bool,
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
            passages: None,
            taps: Vec::new(),
            sampling: Sampling::greedy(),
            limits: GenerationLimits::default(),
            grammar: None,
            keep_prefix: false,
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
    /// Rows fed to the first layer in place of token embeddings (GAG), at exactly this place
    /// between the tokens.
    Embeddings(EmbeddingRows),
}

/// Raw rows for the first layer, `[rows, width]` in row-major order.
/// `width` is the model's embedding length; every number is finite.
///
/// Rows go into the first layer as they are. A Gemma 3 scales the embeddings of its tokens by
/// the square root of its width on the way there, but not such rows: whoever makes them brings
/// them at that scale ([`EngineRequest::TokenEmbeddings`](crate::EngineRequest::TokenEmbeddings)
/// gives rows that already have it).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EmbeddingRows {
    /// Row-major values; `values.len()` is a multiple of `width`.
    pub values: Vec<f32>,
    /// Length of one row.
    pub width: u32,
}

/// A LoRA adapter and its strength: a weight `W` acts as `W + scale * alpha / rank * B A`
/// (Hu et al. 2021, "LoRA", section 4.1). A scale of 0 is the same as leaving it out, a
/// negative one takes away; several adapters add up, and none may be listed twice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AdapterUse {
    /// SHA-256 of the adapter file, which is how the engine knows it once it is loaded
    /// ([`EngineRequest::LoadAdapter`](crate::EngineRequest::LoadAdapter)).
    pub adapter: Sha256,
    /// User-side multiplier, finite; 1.0 is the strength it was trained with.
    pub scale: f32,
}

/// A read-out of hidden states during the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tap {
    /// Where in the network.
    pub point: TapPoint,
    /// Layer index, from 0; ignored for [`TapPoint::FinalNorm`].
    pub layer: u32,
    /// Stop the forward pass once this tap has been read. In a generation nothing is written
    /// then ([`StopReason::TapRead`]), and layers above cost nothing.
    pub stop_after: bool,
}

/// A tap of a generation and the rows it is read for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TapUse {
    /// Where, and whether to stop there.
    pub tap: Tap,
    /// Which rows.
    pub rows: TapRows,
}

/// Rows a [`TapUse`] is read for. A row belongs to the token (or embedding row) that was *fed*
/// at its place: the state of a written token is the one computed when that token was read
/// back, not the one that predicted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TapRows {
    /// Every row of the prompt and every token written.
    All,
    /// Every row of the prompt.
    Prompt,
    /// The last row of the prompt.
    PromptLast,
    /// Every token written, without the token that ended the turn. The last one is read back
    /// too, at the cost of one more pass where the generation would have ended without it.
    Written,
}

/// What a [`TapUse`] read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TapReading {
    /// `[rows, width]`, row-major.
    pub values: Vec<f32>,
    /// Length of one row.
    pub width: u32,
    /// Place of the first row: rows of the prompt count from 0, and written tokens go on after
    /// them, so the first one is at [`Generation::prompt_tokens`].
    pub first_row: u32,
    /// Number of rows.
    pub rows: u32,
}

/// Places a [`Tap`] can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TapPoint {
    /// Output of a transformer block, `[tokens, n_embd]`.
    LayerOutput,
    /// Queries just before rotary position encoding, `[tokens, heads * head_dim]`: after the
    /// bias, and after the normalisation of heads in families that have one (Qwen 3, Gemma 3).
    Query,
    /// Keys just before rotary position encoding, `[tokens, kv_heads * head_dim]`: as queries.
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
    /// What each of [`GenerationRequest::taps`] read, in the order asked for.
    #[serde(default)]
    pub taps: Vec<TapReading>,
    /// Natural log of the probability that the output would have begun with one of
    /// [`GenerationRequest::avoid_first`]; `None` without any.
    #[serde(default)]
    pub avoided_log_probability: Option<f32>,
    /// Waiting for the model, in milliseconds.
    pub queue_ms: f64,
    /// Reading the prompt, in milliseconds; its passages too, from texts or files.
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
    /// A tap with [`Tap::stop_after`] was read; nothing was written.
    TapRead,
}
