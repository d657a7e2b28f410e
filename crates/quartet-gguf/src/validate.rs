//! Checks before use: what llama.cpp would abort on, and what would make nonsense.

use crate::reader::{GgufFile, bad};
use crate::value::Value;
use crate::vocabulary::check_vocabulary;
use quartet_types::{Error, ErrorCode, Pooling, Result};

/// llama.cpp's own bound on layers; it aborts beyond it.
pub const MAX_LAYERS: u64 = 512;
const MAX_WIDTH: u64 = 1 << 20;
const MAX_CONTEXT: u64 = 1 << 28;
const MAX_EXPERTS: u64 = 1024;
const ROPE_SCALINGS: [&str; 4] = ["none", "linear", "yarn", "longrope"];
/// Families in which llama.cpp asserts that a head's key is as long as its value.
const ALIKE: [&str; 13] = [
    "bert",
    "cohere",
    "command-r",
    "exaone",
    "falcon",
    "granite",
    "internlm",
    "llama",
    "olmo",
    "phi",
    "qwen",
    "smollm",
    "starcoder",
];
/// Architectures in which it asserts that all of a head is rotated.
const ROTATED_WHOLE: [&str; 10] = [
    "granite",
    "llama",
    "olmo",
    "olmo2",
    "qwen2",
    "qwen2moe",
    "qwen3",
    "qwen3moe",
    "smollm3",
    "starcoder2",
];
const EPSILONS: [&str; 3] = [
    "attention.layer_norm_rms_epsilon",
    "attention.layer_norm_epsilon",
    "attention.group_norm_epsilon",
];

/// What the header says about a model, once it has been found sound.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelFacts {
    /// `general.architecture`, for example `qwen2`.
    pub architecture: String,
    /// `general.name`, where given.
    pub name: Option<String>,
    /// Number of transformer blocks.
    pub layers: u32,
    /// Embedding length.
    pub width: u32,
    /// Attention heads of the layer that has most.
    pub heads: u32,
    /// Heads that share keys and values, per layer.
    pub key_value_heads: Vec<u32>,
    /// Length of one head's key.
    pub key_length: u32,
    /// Length of one head's value.
    pub value_length: u32,
    /// Length of the widest feed-forward layer; 0 where the file does not say.
    pub feed_forward: u32,
    /// Context length it was trained with, in tokens.
    pub trained_context: u32,
    /// Number of tokens in the vocabulary.
    pub vocabulary: u32,
    /// Size of the weights, in bytes.
    pub weight_bytes: u64,
    /// Whether attention looks only back, as in a generator.
    pub causal: bool,
    /// How token vectors become one, for an embedding model.
    pub pooling: Option<Pooling>,
    /// Whether the tokenizer is a word-piece one that strips accents, and so reads text in
    /// canonical decomposition (NFD).
    pub strips_accents: bool,
    /// The chat template, in Jinja, where given.
    pub chat_template: Option<String>,
}

impl ModelFacts {
    /// Checks the header of a model file and reports what it says.
    ///
    /// # Errors
    /// `BadModel`, naming the file and what is wrong with it.
    pub fn from_file(file: &GgufFile) -> Result<Self> {
        read_facts(file).map_err(|error| error.about_path(&file.path))
    }
}

fn read_facts(file: &GgufFile) -> Result<ModelFacts> {
    check_kind(file)?;
    let architecture = file
        .get("general.architecture")
        .and_then(Value::as_str)
        .filter(|name| !name.is_empty() && name.len() <= 64)
        .ok_or_else(|| bad("does not name its architecture"))?;
    let keys = Keys { file, architecture };

    let layers = keys.required("block_count", MAX_LAYERS)?;
    let width = keys.required("embedding_length", MAX_WIDTH)?;
    let trained_context = keys.required("context_length", MAX_CONTEXT)?;
    let heads = keys.per_layer("attention.head_count", layers)?.ok_or_else(|| {
        bad("has no attention heads").hint("Quartet serves transformer models only.")
    })?;
    let most_heads = heads.iter().copied().max().unwrap_or(0);
    if most_heads == 0 || most_heads > width {
        return Err(bad(format!("has {most_heads} attention heads for a width of {width}")));
    }
    let key_value_heads =
        keys.per_layer("attention.head_count_kv", layers)?.unwrap_or_else(|| heads.clone());
    for (own, shared) in heads.iter().zip(&key_value_heads) {
        if *shared > *own || (*shared > 0 && own % shared != 0) || (*shared == 0 && *own > 0) {
            return Err(bad(format!("has {own} attention heads over {shared} key-value heads")));
        }
    }
    let key_length = keys.head_length("attention.key_length", width, most_heads)?;
    let value_length = keys.head_length("attention.value_length", width, most_heads)?;
    let alike = ALIKE.iter().any(|family| architecture.starts_with(family));
    if alike && key_length != value_length {
        return Err(bad(format!("has keys of {key_length} numbers and values of {value_length}")));
    }
    check_numbers(&keys, key_length)?;
    check_experts(&keys, layers)?;
    let vocabulary = check_vocabulary(file, width)?;

    let small = |value: u64| u32::try_from(value).map_err(|_| bad("has a number out of range"));
    Ok(ModelFacts {
        architecture: architecture.to_owned(),
        name: file.get("general.name").and_then(Value::as_str).map(str::to_owned),
        layers: small(layers)?,
        width: small(width)?,
        heads: small(most_heads)?,
        key_value_heads: key_value_heads.into_iter().map(small).collect::<Result<_>>()?,
        key_length: small(key_length)?,
        value_length: small(value_length)?,
        feed_forward: small(
            keys.per_layer("feed_forward_length", layers)?
                .and_then(|lengths| lengths.into_iter().max())
                .unwrap_or(0),
        )?,
        trained_context: small(trained_context)?,
        vocabulary: small(vocabulary)?,
        weight_bytes: file.weight_bytes(),
        causal: !matches!(keys.get("attention.causal"), Some(Value::Bool(false))),
        pooling: pooling(&keys)?,
        strips_accents: strips_accents(file),
        chat_template: file
            .get("tokenizer.chat_template")
            .and_then(Value::as_str)
            .filter(|template| !template.trim().is_empty())
            .map(str::to_owned),
    })
}

fn check_kind(file: &GgufFile) -> Result<()> {
    if let Some(kind) = file.get("general.type").and_then(Value::as_str)
        && kind != "model"
    {
        return Err(Error::new(
            ErrorCode::BadModel,
            format!("is of the kind `{kind}`, not a model"),
        )
        .hint("Choose the file of the model itself."));
    }
    if file.get("split.count").and_then(Value::as_u64).is_some_and(|count| count > 1) {
        return Err(Error::new(
            ErrorCode::BadModel,
            "is one part of a model split into several files",
        )
        .hint("Join the parts into one file first, or get the model as a single file."));
    }
    if file.tensors().is_empty() {
        return Err(bad("has no tensors"));
    }
    Ok(())
}

fn check_numbers(keys: &Keys<'_>, key_length: u64) -> Result<()> {
    for name in EPSILONS {
        if let Some(value) = keys.get(name) {
            let epsilon = value.as_f64().unwrap_or(f64::NAN);
            // Also false for a value that is not a number.
            if !(epsilon > 0.0 && epsilon < 1.0) {
                return Err(bad(format!(
                    "has {epsilon} as `{name}`, which must be between 0 and 1"
                )));
            }
        }
    }
    if let Some(value) = keys.get("rope.scaling.type")
        && !value.as_str().is_some_and(|name| ROPE_SCALINGS.contains(&name))
    {
        return Err(bad("has an unknown kind of rotary scaling"));
    }
    for name in ["rope.freq_base", "rope.scaling.factor", "rope.scale_linear"] {
        if let Some(value) = keys.get(name)
            && !value.as_f64().is_some_and(|number| number.is_finite() && number >= 0.0)
        {
            return Err(bad(format!("has a bad `{name}`")));
        }
    }
    if keys.get("rope.dimension_count").is_some() {
        let rotated = keys.required("rope.dimension_count", MAX_WIDTH)?;
        let whole = ROTATED_WHOLE.contains(&keys.architecture);
        if rotated % 2 != 0 || rotated > key_length || (whole && rotated != key_length) {
            return Err(bad(format!("rotates {rotated} of {key_length} numbers per head")));
        }
    }
    Ok(())
}

fn check_experts(keys: &Keys<'_>, layers: u64) -> Result<()> {
    let number = |name: &str| keys.get(name).and_then(Value::as_u64).unwrap_or(0);
    let experts = number("expert_count");
    let used = keys
        .per_layer("expert_used_count", layers)?
        .and_then(|counts| counts.into_iter().max())
        .unwrap_or(0);
    let groups = number("expert_group_count");
    let groups_used = number("expert_group_used_count");
    let sound = if experts == 0 {
        used == 0 && groups == 0
    } else {
        experts <= MAX_EXPERTS
            && used > 0
            && used <= experts
            && groups < experts
            && (groups <= 1 || (experts % groups == 0 && groups_used > 0 && groups_used < groups))
    };
    let predicted = number("nextn_predict_layers");
    if sound && predicted <= layers {
        Ok(())
    } else {
        Err(bad(format!("uses {used} of {experts} experts in {groups} groups")))
    }
}

/// As in the normalizer of BERT: accents go when letters are made small, unless the file says
/// otherwise.
fn strips_accents(file: &GgufFile) -> bool {
    let flag = |name: &str| match file.get(&format!("tokenizer.ggml.normalizer.{name}")) {
        Some(Value::Bool(value)) => Some(*value),
        _ => None,
    };
    let is_word_piece =
        file.get("tokenizer.ggml.model").and_then(Value::as_str).is_some_and(|name| name == "bert");
    is_word_piece && flag("strip_accents").or(flag("lowercase")).unwrap_or(true)
}

fn pooling(keys: &Keys<'_>) -> Result<Option<Pooling>> {
    let Some(value) = keys.get("pooling_type") else { return Ok(None) };
    // Numbered as in llama.cpp: 0 none, 4 rank (a reranker, which has no vector to give).
    match value.as_u64() {
        Some(0 | 4) => Ok(None),
        Some(1) => Ok(Some(Pooling::Mean)),
        Some(2) => Ok(Some(Pooling::Cls)),
        Some(3) => Ok(Some(Pooling::Last)),
        _ => Err(bad("has an unknown kind of pooling")),
    }
}

struct Keys<'f> {
    file: &'f GgufFile,
    architecture: &'f str,
}

impl<'f> Keys<'f> {
    fn get(&self, name: &str) -> Option<&'f Value> {
        self.file.get(&format!("{}.{name}", self.architecture))
    }

    /// A number from 1 to `limit`.
    fn required(&self, name: &str, limit: u64) -> Result<u64> {
        let value = self.get(name).ok_or_else(|| bad(format!("does not say its `{name}`")))?;
        value
            .as_u64()
            .filter(|number| (1..=limit).contains(number))
            .ok_or_else(|| bad(format!("has a `{name}` out of the range 1 to {limit}")))
    }

    /// A number for each layer, given once for all or as an array.
    fn per_layer(&self, name: &str, layers: u64) -> Result<Option<Vec<u64>>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let wrong = || bad(format!("has a bad `{name}`"));
        let layers = usize::try_from(layers).map_err(|_| wrong())?;
        let numbers = match value.as_u64() {
            Some(number) => vec![number; layers],
            None => value.as_u64_array().filter(|list| list.len() >= layers).ok_or_else(wrong)?,
        };
        if numbers.iter().any(|number| *number > MAX_WIDTH * 64) {
            return Err(wrong());
        }
        Ok(Some(numbers))
    }

    fn head_length(&self, name: &str, width: u64, heads: u64) -> Result<u64> {
        if self.get(name).is_some() {
            return self.required(name, MAX_WIDTH);
        }
        if !width.is_multiple_of(heads) {
            return Err(bad(format!("has a width of {width}, not a multiple of {heads} heads")));
        }
        Ok(width / heads)
    }
}
