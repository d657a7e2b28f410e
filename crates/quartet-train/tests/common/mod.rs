//! Tiny models with random weights, the same on every machine.
#![allow(dead_code, unreachable_pub, clippy::print_stdout)]

pub mod objective;
use quartet_gguf::{GgufWriter, TensorType, Value};
use std::path::{Path, PathBuf};

/// SplitMix64 (Steele, Lea and Flood 2014): golden numbers must not hang on a library's version.
pub struct Random(pub u64);

impl Random {
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Between -1 and 1.
    pub fn float(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    pub fn floats(&mut self, count: usize, scale: f32) -> Vec<f32> {
        (0..count).map(|_| self.float() * scale).collect()
    }
}

pub const VOCABULARY: usize = 96;
pub const WIDTH: usize = 32;
pub const LAYERS: usize = 4;
pub const HEADS: usize = 4;
pub const SHARED: usize = 2;
pub const HEAD_LENGTH: usize = 8;
pub const INNER: usize = 48;

/// A tiny model of the family, all weights 32-bit floats, written to `folder`.
pub fn tiny(folder: &Path, family: &str) -> PathBuf {
    let path = folder.join(format!("{family}.gguf"));
    writer(family).write(&path).unwrap();
    path
}

pub fn writer(family: &str) -> GgufWriter {
    build(family, 1.0)
}

/// The model of a family with what attention adds multiplied by `attention`; all else the same.
pub fn build(family: &str, attention: f32) -> GgufWriter {
    let mut random = Random(family.bytes().map(u64::from).sum());
    let mut file = GgufWriter::new();
    let key = |name: &str| format!("{family}.{name}");
    file.set("general.architecture", Value::string(family))
        .set("general.type", Value::string("model"))
        .set(&key("block_count"), Value::u32(LAYERS as u32))
        .set(&key("context_length"), Value::u32(256))
        .set(&key("embedding_length"), Value::u32(WIDTH as u32))
        .set(&key("feed_forward_length"), Value::u32(INNER as u32))
        .set(&key("attention.head_count"), Value::u32(HEADS as u32))
        .set(&key("attention.head_count_kv"), Value::u32(SHARED as u32))
        .set(&key("attention.layer_norm_rms_epsilon"), Value::f32(1e-6))
        .set(&key("attention.key_length"), Value::u32(HEAD_LENGTH as u32))
        .set(&key("attention.value_length"), Value::u32(HEAD_LENGTH as u32))
        .set(&key("rope.dimension_count"), Value::u32(HEAD_LENGTH as u32))
        .set(&key("rope.freq_base"), Value::f32(1_000_000.0));
    if family == "gemma3" {
        file.set(&key("attention.sliding_window"), Value::u32(6))
            .set(&key("attention.sliding_window_pattern"), Value::u32(2));
    }
    // A vocabulary of single characters that llama.cpp accepts.
    let tokens: Vec<String> = (0..VOCABULARY)
        .map(|index| match index {
            0 => "<unk>".to_owned(),
            1 => "<s>".to_owned(),
            2 => "</s>".to_owned(),
            other => char::from_u32(0x100 + other as u32).unwrap().to_string(),
        })
        .collect();
    let kinds: Vec<i32> = (0..VOCABULARY).map(|index| if index < 3 { 3 } else { 1 }).collect();
    file.set("tokenizer.ggml.model", Value::string("llama"))
        .set("tokenizer.ggml.tokens", Value::strings(&tokens))
        .set("tokenizer.ggml.scores", Value::f32s(&[0.0; VOCABULARY]))
        .set("tokenizer.ggml.token_type", Value::i32s(&kinds))
        .set("tokenizer.ggml.add_space_prefix", Value::Bool(false))
        .set("tokenizer.ggml.bos_token_id", Value::u32(1))
        .set("tokenizer.ggml.eos_token_id", Value::u32(2))
        .set("tokenizer.ggml.unknown_token_id", Value::u32(0));

    let mut add = |name: &str, columns: usize, rows: usize, scale: f32, shift: f32| {
        let values: Vec<f32> =
            random.floats(rows * columns, scale).into_iter().map(|value| value + shift).collect();
        let shape: Vec<u64> =
            if rows == 1 { vec![columns as u64] } else { vec![columns as u64, rows as u64] };
        file.tensor(name, &shape, TensorType::F32, &values).unwrap();
    };
    // Gemma multiplies token rows by the root of the width.
    let scale = if family == "gemma3" { 0.2 } else { 0.6 };
    add("token_embd.weight", WIDTH, VOCABULARY, scale, 0.0);
    if family != "gemma3" {
        add("output.weight", WIDTH, VOCABULARY, 0.4, 0.0);
    }
    add("output_norm.weight", WIDTH, 1, 0.3, 1.0);
    let (query, shared) = (HEADS * HEAD_LENGTH, SHARED * HEAD_LENGTH);
    for layer in 0..LAYERS {
        let mut add = |stem: &str, columns: usize, rows: usize, scale: f32, shift: f32| {
            add(&format!("blk.{layer}.{stem}"), columns, rows, scale, shift);
        };
        add("attn_norm.weight", WIDTH, 1, 0.3, 1.0);
        add("attn_q.weight", WIDTH, query, 0.3, 0.0);
        add("attn_k.weight", WIDTH, shared, 0.3, 0.0);
        add("attn_v.weight", WIDTH, shared, 0.3, 0.0);
        if family == "qwen2" {
            add("attn_q.bias", query, 1, 0.2, 0.0);
            add("attn_k.bias", shared, 1, 0.2, 0.0);
            add("attn_v.bias", shared, 1, 0.2, 0.0);
        }
        // A norm after attention undoes any factor before it.
        let (output, norm) = if family == "gemma3" { (1.0, attention) } else { (attention, 1.0) };
        add("attn_output.weight", query, WIDTH, 0.3 * output, 0.0);
        if family == "gemma3" || family == "qwen3" {
            add("attn_q_norm.weight", HEAD_LENGTH, 1, 0.3, 1.0);
            add("attn_k_norm.weight", HEAD_LENGTH, 1, 0.3, 1.0);
        }
        if family == "gemma3" {
            add("post_attention_norm.weight", WIDTH, 1, 0.3 * norm, norm);
            add("post_ffw_norm.weight", WIDTH, 1, 0.3, 1.0);
        }
        add("ffn_norm.weight", WIDTH, 1, 0.3, 1.0);
        add("ffn_gate.weight", WIDTH, INNER, 0.3, 0.0);
        add("ffn_up.weight", WIDTH, INNER, 0.3, 0.0);
        add("ffn_down.weight", INNER, WIDTH, 0.3, 0.0);
    }
    file
}

/// Token ids of one fixed sequence of 16.
pub fn sequence() -> Vec<u32> {
    let mut random = Random(7);
    std::iter::once(1).chain((0..15).map(|_| 3 + (random.bits() % 93) as u32)).collect()
}

/// Where models are installed, if the one of this name is.
pub fn installed(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("QUARTET_MODELS").map(PathBuf::from).or_else(|| {
        let home = PathBuf::from(std::env::var_os("HOME")?);
        Some(home.join(".local/share/quartet/models"))
    })?;
    let path = folder.join(name);
    if path.is_file() {
        return Some(path);
    }
    let required = std::env::var("QUARTET_REQUIRE_DATA").is_ok_and(|value| value == "1");
    assert!(!required, "{name} is not installed and QUARTET_REQUIRE_DATA=1 is set");
    println!("skipped: {name} is not installed");
    None
}

/// A rank-3 adapter with random numbers on both sides, on every linear of a tiny model.
pub fn random_adapter(
    architecture: &quartet_train::Architecture,
) -> (quartet_train::LoraPlan, quartet_train::Parameters) {
    let plan = quartet_train::LoraPlan::everywhere(architecture, 3);
    let names = plan.parameters(architecture, 1).unwrap();
    let mut random = Random(99);
    let mut parameters = quartet_train::Parameters::new();
    for one in names.all() {
        let values = random.floats(one.values.len(), 0.2);
        parameters.add(one.name.clone(), one.rows, one.columns, values).unwrap();
    }
    (plan, parameters)
}
