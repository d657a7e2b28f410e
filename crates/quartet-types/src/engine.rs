//! What the engine worker is asked and what it replies.
//!
//! The engine owns models and contexts in a process of its own, because llama.cpp aborts on
//! some inputs and no `catch` can hold an abort.

use crate::adapter::{AdapterDescription, AdapterSource};
use crate::generation::{AdapterUse, EmbeddingRows, Generation, GenerationRequest, Prompt};
use crate::id::{ModelId, Sha256};
use crate::passage::{EncodedPassages, PassageRequest};
use crate::tokens::{Perplexity, PerplexityRequest, PromptTokens, TokenInput};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use ts_rs::TS;

/// A request to the engine worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineRequest {
    /// Load a model (validated first); does nothing if the same file is already loaded
    /// under this id. Reply: [`EngineReply::Loaded`].
    Load(LoadRequest),
    /// Give a model's memory back. Reply: [`EngineReply::Done`].
    Unload(ModelId),
    /// Generate text. Reply: [`EngineReply::Generated`]; text streams as events.
    Generate(GenerationRequest),
    /// Turn texts into L2-normalised vectors. Reply: [`EngineReply::Embedded`].
    Embed {
        /// An embedding model that is loaded.
        model: ModelId,
        /// The texts; each must fit the model's context, or the request fails with
        /// `PromptTooLong` naming which.
        texts: Vec<String>,
    },
    /// Count tokens of each text as the model's own tokenizer does, without special tokens.
    /// Reply: [`EngineReply::Counted`].
    CountTokens {
        /// A loaded model.
        model: ModelId,
        /// The texts.
        texts: Vec<String>,
    },
    /// Log-probabilities of continuations after a prompt. Reply: [`EngineReply::Scored`].
    Score {
        /// A loaded model.
        model: ModelId,
        /// The prompt, read once.
        prompt: Prompt,
        /// Texts scored as if the model went on with them.
        continuations: Vec<String>,
        /// LoRA adapters in force, as a complete set.
        #[serde(default)]
        adapters: Vec<AdapterUse>,
    },
    /// Log-probability of every token of a text, however long.
    /// Reply: [`EngineReply::Perplexity`].
    Perplexity(PerplexityRequest),
    /// Split texts into tokens as the model's own tokenizer does, without start or end token.
    /// Reply: [`EngineReply::Tokens`].
    Tokenise {
        /// A loaded model.
        model: ModelId,
        /// The texts.
        texts: Vec<String>,
        /// Whether control tokens written in a text are recognised.
        special: bool,
    },
    /// Join tokens to text. Reply: [`EngineReply::Texts`].
    Detokenise {
        /// A loaded model.
        model: ModelId,
        /// Ids of tokens, one list for each text.
        tokens: Vec<Vec<u32>>,
        /// Whether control tokens are written out or left out.
        special: bool,
    },
    /// What the model reads for a prompt. Reply: [`EngineReply::PromptRead`].
    ReadPrompt {
        /// A loaded model.
        model: ModelId,
        /// The prompt.
        prompt: Prompt,
    },
    /// The model's own embeddings of tokens, as they go into the first layer (where a Gemma
    /// scales them by the square root of its width, scaled so).
    /// Reply: [`EngineReply::Rows`].
    TokenEmbeddings {
        /// A loaded model.
        model: ModelId,
        /// The tokens.
        input: TokenInput,
    },
    /// Load a LoRA adapter for a model (validated first); does nothing if it is loaded
    /// already. It goes with the model. Reply: [`EngineReply::AdapterLoaded`].
    LoadAdapter {
        /// A loaded model.
        model: ModelId,
        /// The adapter.
        source: AdapterSource,
    },
    /// Forget an adapter; its memory is given back once the last request that uses it is done.
    /// Reply: [`EngineReply::Done`], also when it is not loaded.
    FreeAdapter {
        /// A loaded model.
        model: ModelId,
        /// SHA-256 of the adapter's file.
        adapter: Sha256,
    },
    /// Which adapters are loaded for a model. Reply: [`EngineReply::Adapters`].
    ListAdapters(ModelId),
    /// Encode passages, for an index of their keys, for a store of their states, or both.
    /// Reply: [`EngineReply::PassagesEncoded`].
    EncodePassages(PassageRequest),
    /// Which devices exist and which is in use. Reply: [`EngineReply::Devices`].
    Devices,
}

/// How to load a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadRequest {
    /// The id it goes by from now on.
    pub model: ModelId,
    /// The GGUF file.
    pub path: PathBuf,
    /// Refuse the file unless it has this digest. Checked once per file version: the caller
    /// passes `None` when it has already verified this very file (size and time unchanged).
    pub sha256: Option<Sha256>,
    /// Context length to allocate, in tokens.
    pub context: u32,
    /// Threads to compute with; 0 means one per physical core.
    pub threads: u32,
    /// Layers to offload to a GPU backend; `None` means all that fit.
    pub gpu_layers: Option<u32>,
    /// How token vectors become one vector; `None` takes what the file says, and a model
    /// without pooling is a generator.
    pub pooling: Option<Pooling>,
}

/// How an embedding model turns token vectors into one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// The mean over all tokens.
    Mean,
    /// The first token.
    Cls,
    /// The last token.
    Last,
}

/// Something that happens while the engine works.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineEvent {
    /// Loading a model, from 0 to 1.
    Loading(f32),
    /// Reading the prompt: tokens done of tokens in all.
    Prefill {
        /// Tokens read.
        done: u32,
        /// Tokens in the prompt.
        total: u32,
    },
    /// More text; always whole characters.
    Text(String),
}

/// The end of a request to the engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineReply {
    /// The model is ready.
    Loaded(ModelDescription),
    /// Nothing to report.
    Done,
    /// The text is complete.
    Generated(Generation),
    /// One unit-length row of `width` values for each text, row-major.
    Embedded {
        /// Values of all rows.
        values: Vec<f32>,
        /// Length of one row.
        width: u32,
    },
    /// One count for each text.
    Counted(Vec<u32>),
    /// For each continuation, the natural-log probability of each of its tokens.
    Scored(Vec<Vec<f32>>),
    /// How probable a text is.
    Perplexity(Perplexity),
    /// The tokens of each text.
    Tokens(Vec<Vec<u32>>),
    /// One text for each list of tokens; bytes that are no characters become U+FFFD.
    Texts(Vec<String>),
    /// A prompt as the model reads it.
    PromptRead(PromptTokens),
    /// One row for each token.
    Rows(EmbeddingRows),
    /// The adapter is ready.
    AdapterLoaded(AdapterDescription),
    /// The adapters of a model, sorted by digest.
    Adapters(Vec<AdapterDescription>),
    /// The passages are encoded.
    PassagesEncoded(EncodedPassages),
    /// What can compute here.
    Devices(Vec<Device>),
}

/// What is known of a loaded model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelDescription {
    /// The id it goes by.
    pub model: ModelId,
    /// `general.architecture`, for example `qwen2`.
    pub architecture: String,
    /// `general.name`, where given.
    pub name: Option<String>,
    /// Number of transformer blocks.
    pub layers: u32,
    /// Embedding length.
    pub width: u32,
    /// Context length it was trained with, in tokens.
    pub trained_context: u32,
    /// Context length allocated, in tokens.
    pub context: u32,
    /// Size of the weights, in bytes.
    pub weight_bytes: u64,
    /// Whether the file carries a chat template (else the fallback is used).
    pub has_chat_template: bool,
    /// The device really computing, for example `CPU` or `CUDA0`.
    pub device: String,
    /// Build of llama.cpp that serves it; part of the key of everything derived.
    pub engine_build: String,
}

/// A compute device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct Device {
    /// Short name, for example `CPU` or `Vulkan0`.
    pub name: String,
    /// What the driver calls it.
    pub description: String,
    /// Memory free now, in bytes; 0 where unknown.
    pub memory_free: u64,
    /// Memory in all, in bytes; 0 where unknown.
    pub memory_total: u64,
}

/// Whether a model would fit, worked out from its header before anything is loaded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct FitEstimate {
    /// Weights, in bytes.
    pub weight_bytes: u64,
    /// Keys and values for the context asked for, in bytes.
    pub kv_cache_bytes: u64,
    /// Scratch buffers, in bytes (an estimate).
    pub compute_bytes: u64,
    /// Memory available now, in bytes.
    pub available_bytes: u64,
    /// Whether the sum is below what is available, with a margin.
    pub fits: bool,
}
