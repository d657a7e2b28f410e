//! Tiny models: the smallest files that are sound.

use quartet_gguf::{GgufWriter, TensorType, Value};

/// A writer holding a two-layer `qwen2` model of width 32 with 64 tokens.
pub(crate) fn tiny_generator() -> GgufWriter {
    let mut file = GgufWriter::new();
    let tokens: Vec<String> = (0..64).map(|number| format!("t{number}")).collect();
    file.set("general.architecture", Value::string("qwen2"))
        .set("general.name", Value::string("tiny"))
        .set("qwen2.block_count", Value::u32(2))
        .set("qwen2.context_length", Value::u32(128))
        .set("qwen2.embedding_length", Value::u32(32))
        .set("qwen2.feed_forward_length", Value::u32(64))
        .set("qwen2.attention.head_count", Value::u32(4))
        .set("qwen2.attention.head_count_kv", Value::u32(2))
        .set("qwen2.attention.layer_norm_rms_epsilon", Value::f32(1e-6))
        .set("tokenizer.ggml.model", Value::string("gpt2"))
        .set("tokenizer.ggml.tokens", Value::strings(&tokens))
        .set("tokenizer.ggml.token_type", Value::i32s(&[1; 64]))
        .set("tokenizer.ggml.merges", Value::strings(["t 0"]))
        .set("tokenizer.ggml.eos_token_id", Value::u32(0));
    let ramp: Vec<f32> = (0..32 * 64).map(|index| (index % 17) as f32 / 17.0 - 0.5).collect();
    file.tensor("token_embd.weight", &[32, 64], TensorType::Q8_0, &ramp).unwrap();
    file.tensor("output_norm.weight", &[32], TensorType::F32, &[1.0; 32]).unwrap();
    file.tensor("output.weight", &[32, 64], TensorType::F16, &ramp).unwrap();
    file
}
