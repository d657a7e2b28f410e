//! One tiny model of each family that taps and passages must work with, and some that stand
//! for what can go wrong.

use super::tiny::Weights;
use quartet_gguf::{GgufWriter, TensorType, Value};
use std::path::{Path, PathBuf};

/// Families with a graph of their own in llama.cpp.
pub const FAMILIES: [&str; 4] = ["qwen2", "qwen3", "llama", "gemma3"];
pub const LAYERS: u32 = 4;
pub const WIDTH: usize = 32;
pub const HEADS: usize = 4;
pub const SHARED: usize = 2;
pub const HEAD_LENGTH: usize = 8;
pub const CONTEXT: u32 = 1024;
const INNER: usize = 48;
/// Tokens of one letter each, after the three of control.
const LETTERS: usize = 90;

/// The model of a family, all weights 32-bit floats, written to `folder`.
pub fn family(folder: &Path, family: &str) -> PathBuf {
    let path = folder.join(format!("{family}.gguf"));
    writer(family).write(&path).unwrap();
    path
}

pub fn writer(family: &str) -> GgufWriter {
    build(family, false)
}

fn build(family: &str, fused: bool) -> GgufWriter {
    let mut file = GgufWriter::new();
    let key = |name: &str| format!("{family}.{name}");
    file.set("general.architecture", Value::string(family))
        .set("general.type", Value::string("model"))
        .set(&key("block_count"), Value::u32(LAYERS))
        .set(&key("context_length"), Value::u32(CONTEXT))
        .set(&key("embedding_length"), Value::u32(WIDTH as u32))
        .set(&key("feed_forward_length"), Value::u32(INNER as u32))
        .set(&key("attention.head_count"), Value::u32(HEADS as u32))
        .set(&key("attention.head_count_kv"), Value::u32(SHARED as u32))
        .set(&key("attention.layer_norm_rms_epsilon"), Value::f32(1e-6))
        .set(&key("attention.key_length"), Value::u32(HEAD_LENGTH as u32))
        .set(&key("attention.value_length"), Value::u32(HEAD_LENGTH as u32))
        .set(&key("rope.dimension_count"), Value::u32(HEAD_LENGTH as u32))
        .set(&key("rope.freq_base"), Value::f32(10_000.0));
    if family == "gemma3" {
        file.set(&key("attention.sliding_window"), Value::u32(16))
            .set(&key("attention.sliding_window_pattern"), Value::u32(2));
    }
    let controls = ["<unk>", "<s>", "</s>"].map(str::to_owned);
    let letters = (0..LETTERS as u32).map(|index| char::from_u32(0x21 + index).unwrap().into());
    let tokens: Vec<String> = controls.into_iter().chain(letters).collect();
    let kinds: Vec<i32> = (0..tokens.len()).map(|index| if index < 3 { 3 } else { 1 }).collect();
    file.set("tokenizer.ggml.model", Value::string("llama"))
        .set("tokenizer.ggml.tokens", Value::strings(&tokens))
        .set("tokenizer.ggml.scores", Value::f32s(&vec![0.0; tokens.len()]))
        .set("tokenizer.ggml.token_type", Value::i32s(&kinds))
        .set("tokenizer.ggml.add_bos_token", Value::Bool(family != "qwen2"))
        .set("tokenizer.ggml.add_space_prefix", Value::Bool(false))
        .set("tokenizer.ggml.bos_token_id", Value::u32(1))
        .set("tokenizer.ggml.eos_token_id", Value::u32(2))
        .set("tokenizer.ggml.unknown_token_id", Value::u32(0));

    let mut weights = Weights(family.bytes().map(u64::from).sum());
    let mut add = |name: &str, shape: &[usize], scale: f32, shift: f32| {
        let values: Vec<f32> =
            (0..shape.iter().product::<usize>()).map(|_| weights.next() * scale + shift).collect();
        let shape: Vec<u64> = shape.iter().map(|length| *length as u64).collect();
        file.tensor(name, &shape, TensorType::F32, &values).unwrap();
    };
    // Gemma multiplies the rows of tokens by the root of the width.
    let scale = if family == "gemma3" { 0.4 } else { 2.0 };
    add("token_embd.weight", &[WIDTH, LETTERS + 3], scale, 0.0);
    if family != "gemma3" {
        add("output.weight", &[WIDTH, LETTERS + 3], 2.0, 0.0);
    }
    add("output_norm.weight", &[WIDTH], 1.0, 1.0);
    let (query, shared) = (HEADS * HEAD_LENGTH, SHARED * HEAD_LENGTH);
    for layer in 0..LAYERS {
        let mut add = |stem: &str, shape: &[usize], shift: f32| {
            add(&format!("blk.{layer}.{stem}"), shape, 1.2, shift);
        };
        add("attn_norm.weight", &[WIDTH], 1.0);
        if fused {
            add("attn_qkv.weight", &[WIDTH, query + 2 * shared], 0.0);
        } else {
            add("attn_q.weight", &[WIDTH, query], 0.0);
            add("attn_k.weight", &[WIDTH, shared], 0.0);
            add("attn_v.weight", &[WIDTH, shared], 0.0);
        }
        if family == "qwen2" && !fused {
            add("attn_q.bias", &[query], 0.0);
            add("attn_k.bias", &[shared], 0.0);
            add("attn_v.bias", &[shared], 0.0);
        }
        add("attn_output.weight", &[query, WIDTH], 0.0);
        if family == "gemma3" || family == "qwen3" {
            add("attn_q_norm.weight", &[HEAD_LENGTH], 1.0);
            add("attn_k_norm.weight", &[HEAD_LENGTH], 1.0);
        }
        if family == "gemma3" {
            add("post_attention_norm.weight", &[WIDTH], 1.0);
            add("post_ffw_norm.weight", &[WIDTH], 1.0);
        }
        add("ffn_norm.weight", &[WIDTH], 1.0);
        add("ffn_gate.weight", &[WIDTH, INNER], 0.0);
        add("ffn_up.weight", &[WIDTH, INNER], 0.0);
        add("ffn_down.weight", &[INNER, WIDTH], 0.0);
    }
    file
}

/// A text of `count` letters, each one token, the same for the same seed.
pub fn letters(count: usize, seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(12_345);
            char::from(b'0' + ((state >> 33) % 60) as u8)
        })
        .collect()
}

/// A `qwen2` model whose queries, keys and values come from one matrix.
pub fn fused() -> GgufWriter {
    build("qwen2", true)
}
