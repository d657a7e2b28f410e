//! What a sound file says, and how every known way of being broken is named.

mod common;

use common::tiny_generator;
use proptest::prelude::*;
use quartet_gguf::{GgufFile, GgufWriter, ModelFacts, TensorType, Value, ValueType};
use quartet_types::{ErrorCode, Result};
use std::path::Path;

fn facts_of(bytes: &[u8]) -> Result<ModelFacts> {
    let file = GgufFile::read(bytes, bytes.len() as u64, Path::new("tiny.gguf"))?;
    ModelFacts::from_file(&file)
}

#[test]
fn a_sound_file_is_understood() {
    let facts = facts_of(&tiny_generator().to_bytes()).unwrap();
    assert_eq!(facts.architecture, "qwen2");
    assert_eq!((facts.layers, facts.width, facts.heads), (2, 32, 4));
    assert_eq!(facts.key_value_heads, [2, 2]);
    assert_eq!((facts.key_length, facts.value_length), (8, 8));
    assert_eq!((facts.vocabulary, facts.trained_context), (64, 128));
    assert_eq!(facts.weight_bytes, 64 * 34 + 32 * 4 + 32 * 64 * 2);
    assert!(facts.causal && facts.pooling.is_none() && facts.chat_template.is_none());
}

#[test]
fn what_is_written_is_read() {
    let mut writer = tiny_generator();
    let values = [
        ("test.u8", Value::Unsigned(200, ValueType::U8)),
        ("test.i16", Value::Signed(-3, ValueType::I16)),
        ("test.u64", Value::Unsigned(u64::MAX, ValueType::U64)),
        ("test.i64", Value::Signed(i64::MIN, ValueType::I64)),
        ("test.f64", Value::Float(0.1, ValueType::F64)),
        ("test.bool", Value::Bool(true)),
        ("test.string", Value::string("naïve ☃")),
        ("test.strings", Value::strings(["a", "", "bc"])),
        ("test.floats", Value::f32s(&[1.5, -2.0])),
    ];
    for (key, value) in &values {
        writer.set(key, value.clone());
    }
    let bytes = writer.to_bytes();
    let file = GgufFile::read(bytes.as_slice(), bytes.len() as u64, Path::new("x")).unwrap();
    for (key, value) in &values {
        assert_eq!(file.get(key), Some(value), "{key}");
    }
    let table = file.tensor("token_embd.weight").unwrap();
    assert_eq!((table.shape.as_slice(), table.kind), ([32, 64].as_slice(), TensorType::Q8_0));
    assert_eq!(file.data_start % 32, 0);
}

fn refused(name: &str, change: impl FnOnce(&mut GgufWriter), expected: &str) {
    let mut writer = tiny_generator();
    change(&mut writer);
    let error = facts_of(&writer.to_bytes()).expect_err(name);
    assert_eq!(error.code, ErrorCode::BadModel, "{name}: {error}");
    assert!(error.message.contains(expected), "{name}: `{}` lacks `{expected}`", error.message);
    assert_eq!(error.subject.as_deref(), Some("tiny.gguf"), "{name}");
    assert!(error.hint.is_some(), "{name} has no hint");
}

#[test]
fn metadata_that_would_abort_or_mislead_is_refused() {
    let set = |key: &'static str, value: Value| {
        move |writer: &mut GgufWriter| {
            writer.set(key, value);
        }
    };
    let epsilon = "qwen2.attention.layer_norm_rms_epsilon";
    refused("no layers", set("qwen2.block_count", Value::u32(0)), "block_count");
    refused("a billion layers", set("qwen2.block_count", Value::u32(1_000_000_000)), "block_count");
    refused("epsilon NaN", set(epsilon, Value::f32(f32::NAN)), "epsilon");
    refused("epsilon negative", set(epsilon, Value::f32(-1e-6)), "epsilon");
    refused("epsilon zero", set(epsilon, Value::f32(0.0)), "epsilon");
    refused("epsilon infinite", set(epsilon, Value::f32(f32::INFINITY)), "epsilon");
    refused("no context", set("qwen2.context_length", Value::u32(0)), "context_length");
    refused("no width", set("qwen2.embedding_length", Value::u32(0)), "embedding_length");
    refused("no heads", set("qwen2.attention.head_count", Value::u32(0)), "heads");
    refused("odd heads", set("qwen2.attention.head_count", Value::u32(5)), "heads");
    refused("kv heads", set("qwen2.attention.head_count_kv", Value::u32(3)), "key-value heads");
    refused("rope kind", set("qwen2.rope.scaling.type", Value::string("odd")), "rotary");
    refused("rope size", set("qwen2.rope.dimension_count", Value::u32(6)), "rotates");
    refused("key size", set("qwen2.attention.key_length", Value::u32(4)), "keys of 4");
    refused("experts", set("qwen2.expert_count", Value::u32(8)), "experts");
    refused("pooling", set("qwen2.pooling_type", Value::u32(9)), "pooling");
    refused("adapter", set("general.type", Value::string("adapter")), "adapter");
    refused("split", set("split.count", Value::u32(4)), "part");
    refused("alignment", set("general.alignment", Value::u32(3)), "alignment");
    refused("bad bos", set("tokenizer.ggml.bos_token_id", Value::u32(64)), "bos_token_id");
    refused("few tokens", set("tokenizer.ggml.tokens", Value::strings(["a"])), "token embeddings");
    refused("few types", set("tokenizer.ggml.token_type", Value::i32s(&[1])), "token_type");
    let twice = Value::strings((0..64).map(|number| format!("t{}", number.min(62))));
    refused("twice", set("tokenizer.ggml.tokens", twice), "twice");
    refused("bert without separator", set("tokenizer.ggml.model", Value::string("bert")), "token");
    for key in ["general.architecture", "qwen2.block_count", "tokenizer.ggml.tokens"] {
        refused(
            key,
            |writer| {
                writer.unset(key);
            },
            "",
        );
    }
}

#[test]
fn every_truncation_is_noticed() {
    let bytes = tiny_generator().to_bytes();
    for length in (0..bytes.len() - 32).step_by(7) {
        let error = facts_of(&bytes[..length]).expect_err("a truncated file was accepted");
        assert_eq!(error.code, ErrorCode::BadModel, "at {length}: {error}");
    }
}

#[test]
fn counts_beyond_the_file_take_no_memory() {
    let mut bytes = tiny_generator().to_bytes();
    for (offset, value) in [(8usize, u64::MAX), (16, u64::MAX), (8, 60_000), (16, 60_000)] {
        let mut copy = bytes.clone();
        copy[offset..offset + 8].copy_from_slice(&value.to_le_bytes());
        assert_eq!(facts_of(&copy).expect_err("a false count").code, ErrorCode::BadModel);
    }
    // The length of the first key.
    bytes[24..32].copy_from_slice(&(1u64 << 62).to_le_bytes());
    assert_eq!(facts_of(&bytes).expect_err("a false length").code, ErrorCode::BadModel);
}

#[test]
fn other_files_are_named_as_such() {
    for bytes in [
        &b""[..],
        b"G",
        b"GGUF",
        b"\x89PNG\r\n\x1a\n and so on, a picture",
        b"%PDF-1.7 this is text",
    ] {
        let error = facts_of(bytes).expect_err("not a model");
        assert_eq!(error.code, ErrorCode::BadModel);
        assert!(error.hint.is_some());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_mutation_makes_it_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = tiny_generator().to_bytes();
        let header = 1800.min(bytes.len());
        for (place, value) in changes {
            let index = place.index(header);
            bytes[index] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Err(error) = facts_of(&bytes) {
            prop_assert_eq!(error.code, ErrorCode::BadModel);
        }
    }
}
