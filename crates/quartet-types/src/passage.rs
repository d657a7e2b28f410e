//! Passages whose keys and values a range of layers may read (ImpRAG, arXiv 2506.02279,
//! sections 3.1 and A): how they are encoded, stored and used.
//!
//! Layers are counted from 0 and ranges include both ends, as in the paper: passages are
//! encoded through layers `0..=t` and read in layers `b..=t`.

use crate::generation::AdapterUse;
use crate::id::{ModelId, Sha256};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Passages as text, and how they are encoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassageTexts {
    /// The texts, tokenised as data: control tokens written in them are plain characters.
    /// Where the model wants a start token, each passage encoded alone gets one, and the first
    /// of passages encoded together.
    pub texts: Vec<String>,
    /// Whether they stand in one sequence, one after another, each reading those before it
    /// (the paper's main setting). Otherwise each stands alone, from position 0 (its
    /// appendix A).
    pub together: bool,
}

/// A request to encode passages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PassageRequest {
    /// A loaded model.
    pub model: ModelId,
    /// What to encode.
    pub passages: PassageTexts,
    /// LoRA adapters in force, as a complete set.
    #[serde(default)]
    pub adapters: Vec<AdapterUse>,
    /// Layer whose keys of each passage's last token are wanted (the paper's layer `b`).
    #[serde(default)]
    pub key_layer: Option<u32>,
    /// Where the states are kept, if they are.
    #[serde(default)]
    pub store: Option<PassageStore>,
}

/// Where states of encoded passages are kept, and which part of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassageStore {
    /// Folder of the states, one file each; made if it is not there.
    pub folder: PathBuf,
    /// First layer whose keys and values are kept (`b`).
    pub first_layer: u32,
    /// Last layer whose keys and values are kept (`t`); encoding stops there.
    pub last_layer: u32,
    /// Tokens that a passage may have (`l_max`); a longer one is refused.
    pub longest: u32,
    /// Version of the template that made the texts; part of the key.
    pub template: String,
}

/// What came of a [`PassageRequest`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EncodedPassages {
    /// One for each text, in order.
    pub passages: Vec<EncodedPassage>,
    /// One for each text encoded alone, one in all for texts encoded together; none unless
    /// [`PassageRequest::store`] asked for it.
    pub stored: Vec<StoredPassage>,
}

/// An encoded passage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EncodedPassage {
    /// Its length, in tokens.
    pub tokens: u32,
    /// Keys of its last token at [`PassageRequest::key_layer`] before rotary position
    /// encoding, `[kv_heads * head_dim]`: the passage vector of the paper's Eq. 1. Empty
    /// unless asked for.
    pub key: Vec<f32>,
}

/// A state in a [`PassageStore`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPassage {
    /// Its key: the SHA-256 of everything it depends on (model file, engine build, attention
    /// kernel, cache types, adapters, layers, longest passage, template version, tokens).
    pub key: Sha256,
    /// Its length, in tokens.
    pub tokens: u32,
    /// Size of its file, in bytes.
    pub bytes: u64,
}

/// Passages used by a generation. The prompt and what is written read the passages in layers
/// `first_layer..=last_layer` only; passages never read the prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PassageUse {
    /// Where their keys and values come from.
    pub source: PassageSource,
    /// First layer that sees the passages. Above `last_layer`: none does.
    pub first_layer: u32,
    /// Last layer that sees the passages.
    pub last_layer: u32,
    /// Position of the prompt's first row, `k * l_max` in the paper; no smaller than the end of
    /// any passage.
    pub prompt_position: u32,
    /// LoRA adapters in force while passages are encoded, as a complete set; stored ones must
    /// have been made with them. The request's own adapters act on the prompt alone.
    #[serde(default)]
    pub adapters: Vec<AdapterUse>,
}

/// Where the keys and values of passages come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PassageSource {
    /// Encoded when the request runs, through layers `0..=last_layer`.
    Texts(PassageTexts),
    /// Read from a [`PassageStore`]; refused with
    /// [`ErrorCode::Corrupt`](crate::ErrorCode::Corrupt) unless they were made by this very
    /// model, engine build and set of adapters, and with `NotFound` where there is none.
    Stored {
        /// The folder.
        folder: PathBuf,
        /// [`StoredPassage::key`] of each.
        keys: Vec<Sha256>,
        /// Version of the template that the texts must have been made with.
        template: String,
    },
}
