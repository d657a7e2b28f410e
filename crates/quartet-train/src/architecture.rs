//! What the metadata of a model file says about its decoder.
//!
//! Key names are those of the GGUF specification; what each family does with them was read from
//! llama.cpp (`src/models/qwen2.cpp`, `qwen3.cpp`, `llama.cpp`, `gemma3.cpp`).

use quartet_gguf::{GgufFile, ModelFacts, Value};
use quartet_types::{Error, ErrorCode, Result};

/// Layer count at which Gemma 3 (27B) scales its attention by width instead of head length.
const LAYERS_OF_GEMMA_27B: usize = 62;
/// Every sixth layer of Gemma 3 sees everything unless the file says otherwise.
const GEMMA_WINDOW_PERIOD: u64 = 6;
/// Rotary base of Gemma 3's windowed layers unless the file says otherwise.
const GEMMA_WINDOW_BASE: f64 = 10_000.0;

/// Families of decoders that can be differentiated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Biases on queries, keys and values.
    Qwen2,
    /// Normalised queries and keys.
    Qwen3,
    /// Neither; neighbouring numbers are rotated together.
    Llama,
    /// Norms around both halves of a block, windowed layers, scaled token rows.
    Gemma3,
}

/// Shapes and constants of a decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct Architecture {
    /// Which family.
    pub family: Family,
    /// `general.architecture`, as adapters must repeat it.
    pub name: String,
    /// Number of blocks.
    pub layers: usize,
    /// Length of a hidden state.
    pub width: usize,
    /// Attention heads.
    pub heads: usize,
    /// Heads that keys and values are shared by.
    pub key_value_heads: usize,
    /// Length of one head.
    pub head_length: usize,
    /// Length of the feed-forward layer.
    pub feed_forward: usize,
    /// Number of tokens in the vocabulary.
    pub vocabulary: usize,
    /// Added to the mean square before its root.
    pub epsilon: f64,
    /// Token rows are multiplied by this; raw rows are not (llama.cpp does the same).
    pub embedding_scale: f64,
    /// Scores are multiplied by this before the softmax.
    pub attention_scale: f64,
    /// Logits `z` become `cap * tanh(z / cap)`.
    pub logit_cap: Option<f64>,
    /// Per layer.
    pub attention: Vec<LayerAttention>,
}

/// What differs between layers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LayerAttention {
    /// A row sees rows less than this many positions back; `None`: all.
    pub window: Option<u32>,
    /// Base of the rotary frequencies.
    pub rotary_base: f64,
    /// Positions are multiplied by this before rotation.
    pub rotary_scale: f64,
}

impl Architecture {
    /// Reads the facts of a model that has passed [`ModelFacts::from_file`].
    ///
    /// # Errors
    /// `BadModel` for a broken header, `NotSupported` for a family, a rotary scaling or a layout
    /// that cannot be differentiated.
    pub fn from_file(file: &GgufFile) -> Result<Self> {
        read(file).map_err(|error| error.about_path(&file.path))
    }

    /// Numbers per row that all key-value heads have together.
    #[must_use]
    pub fn key_value_width(&self) -> usize {
        self.key_value_heads * self.head_length
    }

    /// Numbers per row that all query heads have together.
    #[must_use]
    pub fn query_width(&self) -> usize {
        self.heads * self.head_length
    }
}

fn read(file: &GgufFile) -> Result<Architecture> {
    let facts = ModelFacts::from_file(file)?;
    let family = match facts.architecture.as_str() {
        "qwen2" => Family::Qwen2,
        "qwen3" => Family::Qwen3,
        "llama" => Family::Llama,
        "gemma3" => Family::Gemma3,
        other => return Err(refused(format!("is of the family `{other}`"))),
    };
    let key_value_heads = facts.key_value_heads.first().copied().unwrap_or(facts.heads);
    if facts.key_value_heads.iter().any(|heads| *heads != key_value_heads) {
        return Err(refused("has another number of heads in each layer"));
    }
    if facts.key_length != facts.value_length {
        return Err(refused("has keys and values of different lengths"));
    }
    if facts.key_length % 2 != 0 {
        return Err(refused("has heads of odd length"));
    }
    let keys = Keys { file, name: &facts.architecture };
    if keys.number("expert_count").is_some_and(|count| count > 0) {
        return Err(refused("is a mixture of experts"));
    }
    let rotated = keys.number("rope.dimension_count");
    if rotated.is_some_and(|length| length != u64::from(facts.key_length)) {
        return Err(refused("rotates only a part of each head"));
    }
    let feed_forward = keys
        .number("feed_forward_length")
        .and_then(|length| usize::try_from(length).ok())
        .ok_or_else(|| refused("does not say how long its feed-forward layers are"))?;
    let epsilon = keys.float("attention.layer_norm_rms_epsilon").ok_or_else(|| {
        Error::new(ErrorCode::BadModel, "does not say the epsilon of its normalisation")
    })?;
    let (layers, width) = (facts.layers as usize, facts.width as usize);
    let head_length = facts.key_length as usize;
    let gemma = family == Family::Gemma3;
    let scaled_length = if gemma && layers == LAYERS_OF_GEMMA_27B {
        width / facts.heads as usize
    } else {
        head_length
    };
    Ok(Architecture {
        family,
        layers,
        width,
        heads: facts.heads as usize,
        key_value_heads: key_value_heads as usize,
        head_length,
        feed_forward,
        vocabulary: facts.vocabulary as usize,
        epsilon,
        embedding_scale: if gemma { (width as f64).sqrt() } else { 1.0 },
        attention_scale: 1.0 / (scaled_length as f64).sqrt(),
        logit_cap: keys.float("final_logit_softcapping").filter(|cap| gemma && *cap > 0.0),
        attention: attention(&keys, layers, gemma)?,
        name: facts.architecture,
    })
}

fn attention(keys: &Keys<'_>, layers: usize, gemma: bool) -> Result<Vec<LayerAttention>> {
    let scaling = keys.text("rope.scaling.type").unwrap_or("none");
    let factor = keys.float("rope.scaling.factor").or(keys.float("rope.scale_linear"));
    let rotary_scale = match (scaling, factor) {
        ("none", None) => 1.0,
        ("none" | "linear", Some(factor)) if factor > 0.0 => 1.0 / factor,
        ("none" | "linear", _) => 1.0,
        (other, _) => return Err(refused(format!("scales its rotation by `{other}`"))),
    };
    let rotary_base = keys.float("rope.freq_base").unwrap_or(10_000.0);
    let everywhere = LayerAttention { window: None, rotary_base, rotary_scale };
    let window = keys.number("attention.sliding_window").and_then(|n| u32::try_from(n).ok());
    let Some(window) = window.filter(|window| gemma && *window > 0) else {
        return Ok(vec![everywhere; layers]);
    };
    let near = LayerAttention {
        window: Some(window),
        rotary_base: keys.float("rope.freq_base_swa").unwrap_or(GEMMA_WINDOW_BASE),
        rotary_scale: 1.0,
    };
    let pattern = "attention.sliding_window_pattern";
    let is_near: Vec<bool> = match keys.get(pattern) {
        Some(Value::Numbers { bytes, element }) => {
            let size = element.fixed_size().unwrap_or(1);
            bytes.chunks_exact(size).map(|chunk| chunk.iter().any(|byte| *byte != 0)).collect()
        }
        _ => {
            let period = keys.number(pattern).unwrap_or(GEMMA_WINDOW_PERIOD);
            (0..layers as u64).map(|layer| period == 0 || layer % period < period - 1).collect()
        }
    };
    if is_near.len() < layers {
        return Err(refused("does not say of every layer whether it is windowed"));
    }
    Ok(is_near[..layers].iter().map(|is_near| if *is_near { near } else { everywhere }).collect())
}

fn refused(what: impl std::fmt::Display) -> Error {
    Error::new(ErrorCode::NotSupported, format!("{what}, which Quartet cannot train through"))
        .hint("Train with a Qwen2, Qwen3, Llama or Gemma 3 model.")
}

struct Keys<'a> {
    file: &'a GgufFile,
    name: &'a str,
}

impl Keys<'_> {
    fn get(&self, key: &str) -> Option<&Value> {
        self.file.get(&format!("{}.{key}", self.name))
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.get(key).and_then(Value::as_u64)
    }

    fn float(&self, key: &str) -> Option<f64> {
        self.get(key).and_then(Value::as_f64)
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Value::as_str)
    }
}
