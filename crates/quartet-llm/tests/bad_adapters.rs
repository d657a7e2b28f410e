//! Adapter files that must not be used: each is refused by name, none ends the process, and the
//! model answers afterwards as before.

#![allow(clippy::print_stdout, reason = "the figures reached should be seen")]

mod common;

use common::adapter::{adapter, header, usual};
use common::{generate, raw, request, tiny, with_model};
use quartet_gguf::{GgufWriter, TensorType, Value};
use quartet_llm::Model;
use quartet_types::{AdapterSource, Error, ErrorCode};

fn refused(model: &Model, bytes: Vec<u8>) -> Error {
    let source = AdapterSource::Bytes(bytes);
    model.load_adapter(&source).expect_err("the adapter should have been refused")
}

fn with_pair(a: (&str, &[u64]), b: (&str, &[u64])) -> GgufWriter {
    let mut file = header("qwen2", 8.0);
    for (name, shape) in [a, b] {
        let values = vec![0.1; shape.iter().product::<u64>() as usize];
        file.tensor(name, shape, TensorType::F32, &values).unwrap();
    }
    file
}

const Q: &str = "blk.0.attn_q.weight";

fn query(a: &[u64], b: &[u64]) -> GgufWriter {
    with_pair((&format!("{Q}.lora_a"), a), (&format!("{Q}.lora_b"), b))
}

fn with_key(key: &str, value: Value) -> GgufWriter {
    let mut file = usual(1);
    file.set(key, value);
    file
}

fn without_key(key: &str) -> GgufWriter {
    let mut file = usual(1);
    file.unset(key);
    file
}

#[test]
fn every_bad_file_is_refused_and_says_why() {
    let mut extra = usual(1);
    extra.tensor("blk.0.attn_norm.weight", &[32], TensorType::F32, &[1.0; 32]).unwrap();
    let mut half = header("qwen2", 8.0);
    half.tensor(&format!("{Q}.lora_a"), &[32, 4], TensorType::F32, &[0.1; 128]).unwrap();
    let mut quantised = header("qwen2", 8.0);
    quantised.tensor(&format!("{Q}.lora_a"), &[32, 4], TensorType::Q8_0, &[0.1; 128]).unwrap();
    quantised.tensor(&format!("{Q}.lora_b"), &[4, 32], TensorType::F32, &[0.1; 128]).unwrap();
    let mut nan = header("qwen2", 8.0);
    nan.tensor(&format!("{Q}.lora_a"), &[32, 4], TensorType::F32, &[f32::NAN; 128]).unwrap();
    nan.tensor(&format!("{Q}.lora_b"), &[4, 32], TensorType::F32, &[0.1; 128]).unwrap();
    let mut infinite = header("qwen2", 8.0);
    infinite.tensor(&format!("{Q}.lora_a"), &[32, 4], TensorType::F32, &[0.1; 128]).unwrap();
    infinite
        .tensor(&format!("{Q}.lora_b"), &[4, 32], TensorType::F16, &[f32::INFINITY; 128])
        .unwrap();
    let alpha = |alpha: f32| with_key("adapter.lora.alpha", Value::f32(alpha));
    let output = |name: &str| {
        with_pair((&format!("{name}.lora_a"), &[32, 2]), (&format!("{name}.lora_b"), &[2, 264]))
    };
    let files: Vec<(GgufWriter, &str)> = vec![
        (tiny::generator(), "general.type"),
        (GgufWriter::new(), "general.type"),
        (with_key("general.type", Value::string("model")), "of the kind `model`"),
        (with_key("general.type", Value::u32(1)), "general.type"),
        (with_key("adapter.type", Value::string("control_vector")), "control_vector"),
        (without_key("adapter.type"), "adapter.type"),
        (with_key("general.architecture", Value::string("gemma3")), "for a `gemma3` model"),
        (without_key("general.architecture"), "general.architecture"),
        (with_key("general.alignment", Value::u32(0)), "alignment"),
        (with_key("adapter.alora.invocation_tokens", Value::i32s(&[1])), "switch on"),
        (without_key("adapter.lora.alpha"), "alpha"),
        (with_key("adapter.lora.alpha", Value::u32(16)), "alpha"),
        (with_key("adapter.lora.alpha", Value::string("16")), "alpha"),
        (alpha(0.0), "above zero"),
        (alpha(-1.0), "above zero"),
        (alpha(f32::NAN), "above zero"),
        (alpha(f32::INFINITY), "above zero"),
        (header("qwen2", 8.0), "changes no matrix"),
        (extra, "attn_norm.weight`, which is no LoRA factor"),
        (half, "only one of the two"),
        (quantised, "Q8_0"),
        (nan, "not finite"),
        (infinite, "not finite"),
        (query(&[32, 4], &[5, 32]), "cannot be multiplied"),
        (query(&[4, 32], &[32, 4]), "would fit"),
        (query(&[64, 4], &[4, 32]), "would fit"),
        (query(&[32, 4], &[4, 31]), "would fit"),
        (query(&[32, 4, 2], &[4, 32, 2]), "would fit"),
        (query(&[32], &[32]), "cannot be multiplied"),
        (output("blk.7.attn_q.weight"), "does not have"),
        (output("nothing"), "does not have"),
        (
            with_pair(
                ("blk.0.attn_q.bias.lora_a", &[32, 2]),
                ("blk.0.attn_q.bias.lora_b", &[2, 1]),
            ),
            "no matrix",
        ),
        (output("token_embd.weight"), "cannot be multiplied"),
    ];
    with_model(&tiny::generator(), |model| {
        let (before, _) = generate(model, &request(raw("hello"), 12));
        for (file, said) in files {
            let error = refused(model, file.to_bytes());
            assert_eq!(error.code, ErrorCode::BadModel, "{error}");
            assert!(error.message.contains(said), "{said}: {error}");
            assert_eq!(error.subject.as_deref(), Some("adapter in memory"));
            assert!(error.hint.is_some(), "{error}");
        }
        assert!(model.adapters().is_empty());
        let (after, _) = generate(model, &request(raw("hello"), 12));
        assert_eq!(before.token_log_probabilities, after.token_log_probabilities);
    });
}

/// llama.cpp would use the factors of the embedding for the output matrix too, and abort.
#[test]
fn an_embedding_that_is_also_the_output_matrix_cannot_be_changed() {
    with_model(&tiny::gemma(), |model| {
        let mut file = header("gemma3", 2.0);
        file.tensor("token_embd.weight.lora_a", &[2, 264], TensorType::F32, &[0.1; 528]).unwrap();
        file.tensor("token_embd.weight.lora_b", &[2, 32], TensorType::F32, &[0.1; 64]).unwrap();
        let error = refused(model, file.to_bytes());
        assert!(error.message.contains("also uses as its output matrix"), "{error}");
        let file = adapter("gemma3", 2.0, 1, &[("output.weight", 32, 2, 264)]);
        assert!(refused(model, file.to_bytes()).message.contains("does not have"));
    });
}

#[test]
fn damaged_files_are_errors_or_whole_adapters() {
    let whole = usual(1).to_bytes();
    let mut copies: Vec<Vec<u8>> = vec![Vec::new(), b"GGUF".to_vec(), vec![0x41; 5000]];
    for share in [0.001, 0.01, 0.1, 0.3, 0.5, 0.9, 0.99] {
        copies.push(whole[..(whole.len() as f64 * share) as usize].to_vec());
    }
    copies.push(whole[..whole.len() - 1].to_vec());
    for flip in 0..200usize {
        let mut copy = whole.clone();
        // Metadata and the table of tensors take the first 700 bytes.
        let place = (flip * 7919 + 5) % 700;
        copy[place] ^= 1 << (flip % 8);
        copies.push(copy);
    }
    with_model(&tiny::generator(), |model| {
        let (before, _) = generate(model, &request(raw("hello"), 12));
        let (mut refused, mut loaded) = (0, 0);
        for bytes in copies {
            match model.load_adapter(&AdapterSource::Bytes(bytes)) {
                Err(error) => {
                    assert_eq!(error.code, ErrorCode::BadModel, "{error}");
                    refused += 1;
                }
                Ok(adapter) => {
                    // Whatever it is, it can be used without harm.
                    let mut with = request(raw("hello"), 2);
                    let scale = 1.0;
                    with.adapters =
                        vec![quartet_types::AdapterUse { adapter: adapter.adapter.clone(), scale }];
                    let _ = model.turn(&quartet_llm::never()).unwrap().generate(&with, |_| {});
                    assert!(model.free_adapter(&adapter.adapter));
                    loaded += 1;
                }
            }
        }
        println!("{refused} refused, {loaded} loaded");
        assert!(refused > 60, "{refused} refused, {loaded} loaded");
        let (after, _) = generate(model, &request(raw("hello"), 12));
        assert_eq!(before.token_log_probabilities, after.token_log_probabilities);
    });
}

#[test]
fn files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.gguf");
    with_model(&tiny::generator(), |model| {
        let load = || model.load_adapter(&AdapterSource::File(path.clone())).unwrap_err();
        let missing = load();
        assert_eq!(missing.code, ErrorCode::NotFound);
        assert_eq!(missing.subject, Some(path.display().to_string()));
        std::fs::write(&path, &usual(1).to_bytes()[..700]).unwrap();
        let broken = load();
        assert_eq!(broken.code, ErrorCode::BadModel, "{broken}");
        assert_eq!(broken.subject, Some(path.display().to_string()));
        let error = model.load_adapter(&AdapterSource::File(folder.path().to_owned()));
        assert_eq!(error.unwrap_err().code, ErrorCode::BadModel);
    });
}
