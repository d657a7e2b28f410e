//! Adapters for the tiny models, written on the spot.

use quartet_gguf::{GgufWriter, TensorType, Value};

/// One change: the matrix, its input length, the rank and its output length.
pub type Change<'c> = (&'c str, u64, u64, u64);

/// An adapter with small numbers that depend on `seed`.
pub fn adapter(architecture: &str, alpha: f32, seed: u32, changes: &[Change<'_>]) -> GgufWriter {
    let mut file = header(architecture, alpha);
    let mut state = seed.wrapping_mul(0x9E37_79B9) | 1;
    let mut next = || {
        // Marsaglia's xorshift (2003), from -0.2 to 0.2.
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state as f32 / u32::MAX as f32 - 0.5) * 0.4
    };
    for (base, input, rank, output) in changes {
        for (half, shape) in [("lora_a", [*input, *rank]), ("lora_b", [*rank, *output])] {
            let values: Vec<f32> = (0..shape[0] * shape[1]).map(|_| next()).collect();
            file.tensor(&format!("{base}.{half}"), &shape, TensorType::F32, &values).unwrap();
        }
    }
    file
}

/// An adapter that changes nothing yet.
pub fn header(architecture: &str, alpha: f32) -> GgufWriter {
    let mut file = GgufWriter::new();
    file.set("general.type", Value::string("adapter"))
        .set("general.architecture", Value::string(architecture))
        .set("adapter.type", Value::string("lora"))
        .set("adapter.lora.alpha", Value::f32(alpha));
    file
}

/// An adapter for the tiny generator that changes queries, values and the feed-forward part.
pub fn usual(seed: u32) -> GgufWriter {
    adapter(
        "qwen2",
        16.0,
        seed,
        &[
            ("blk.0.attn_q.weight", 32, 4, 32),
            ("blk.1.attn_v.weight", 32, 4, 16),
            ("blk.1.ffn_down.weight", 64, 2, 32),
        ],
    )
}
