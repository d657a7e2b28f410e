//! Adapter files, and models that cannot be trained through.

mod common;

use quartet_gguf::{GgufFile, GgufWriter, TensorType, Value};
use quartet_train::{
    Compute, Decoder, Holding, LoraPlan, Projection, adapter_writer, read_adapter, write_adapter,
};
use quartet_types::ErrorCode;

fn load(family: &str) -> Decoder {
    let folder = tempfile::tempdir().unwrap();
    let path = common::tiny(folder.path(), family);
    Decoder::load(&path, &Compute::cpu(), Holding::Floats).unwrap()
}

#[test]
fn names_shapes_and_metadata_are_those_that_the_engine_reads() {
    let decoder = load("qwen2");
    let (plan, parameters) = common::random_adapter(decoder.architecture());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adapter.gguf");
    let details = [("quartet.base.sha256", Value::string("ab"))];
    write_adapter(&path, decoder.architecture(), &plan, &parameters, &details).unwrap();
    let file = GgufFile::open(&path).unwrap();
    let text = |key: &str| file.get(key).and_then(Value::as_str).unwrap();
    assert_eq!(text("general.type"), "adapter");
    assert_eq!(text("general.architecture"), "qwen2");
    assert_eq!(text("adapter.type"), "lora");
    assert_eq!(text("quartet.base.sha256"), "ab");
    assert_eq!(file.get("adapter.lora.alpha").and_then(Value::as_f64), Some(6.0));
    let shape = |name: &str| file.tensor(name).unwrap().shape.clone();
    assert_eq!(shape("blk.3.ffn_down.weight.lora_a"), [48, 3]);
    assert_eq!(shape("blk.3.ffn_down.weight.lora_b"), [3, 32]);
    assert_eq!(file.tensors().len(), 4 * 7 * 2);
}

#[test]
fn an_adapter_of_something_else_is_refused() {
    let decoder = load("qwen2");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adapter.gguf");
    let (plan, parameters) = common::random_adapter(decoder.architecture());
    let sound = adapter_writer(decoder.architecture(), &plan, &parameters, &[]).unwrap();
    let code = |file: &GgufWriter| {
        file.write(&path).unwrap();
        let read = read_adapter(&path, decoder.architecture(), decoder.compute(), 1.0);
        read.err().map(|error| error.code)
    };
    assert_eq!(code(&sound), None);
    let mut other = sound.clone();
    other.set("general.architecture", Value::string("gemma3"));
    assert_eq!(code(&other), Some(ErrorCode::BadModel));
    let mut other = sound.clone();
    other.set("general.type", Value::string("model"));
    assert_eq!(code(&other), Some(ErrorCode::BadModel));
    let mut other = sound;
    other.tensor("blk.9.attn_q.weight.lora_a", &[1], TensorType::F32, &[1.0]).unwrap();
    assert_eq!(code(&other), Some(ErrorCode::BadModel));
    let mut half = GgufWriter::new();
    half.set("general.type", Value::string("adapter"))
        .set("general.architecture", Value::string("qwen2"))
        .set("adapter.type", Value::string("lora"));
    half.tensor("blk.0.attn_q.weight.lora_a", &[32, 1], TensorType::F32, &[1.0; 32]).unwrap();
    assert_eq!(code(&half), Some(ErrorCode::BadModel));
    let mut wide = half.clone();
    wide.tensor("blk.0.attn_q.weight.lora_b", &[1, 33], TensorType::F32, &[1.0; 33]).unwrap();
    assert_eq!(code(&wide), Some(ErrorCode::BadModel));
}

#[test]
fn a_plan_that_does_not_fit_is_refused() {
    let decoder = load("qwen2");
    let sound = LoraPlan {
        rank: 4,
        alpha: 8.0,
        layers: 2..4,
        projections: vec![Projection::Query, Projection::Value],
        heads_of: None,
    };
    let parameters = sound.parameters(decoder.architecture(), 1).unwrap();
    assert_eq!(parameters.count(), 2 * (4 * 32 + 32 * 4 + 4 * 32 + 16 * 4));
    assert_eq!(parameters, sound.parameters(decoder.architecture(), 1).unwrap());
    assert_ne!(parameters, sound.parameters(decoder.architecture(), 2).unwrap());
    let twice = vec![Projection::Query, Projection::Query];
    for broken in [
        LoraPlan { rank: 0, ..sound.clone() },
        LoraPlan { layers: 2..5, ..sound.clone() },
        LoraPlan { layers: 2..2, ..sound.clone() },
        LoraPlan { projections: twice, ..sound },
    ] {
        let error = broken.parameters(decoder.architecture(), 1).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidInput);
    }
}

#[test]
fn models_that_cannot_be_trained_through_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let code = |file: &GgufWriter| {
        file.write(&path).unwrap();
        let loaded = Decoder::load(&path, &Compute::cpu(), Holding::Floats);
        loaded.map(drop).unwrap_err().code
    };
    let mut file = common::writer("qwen2");
    file.set("general.architecture", Value::string("mamba"));
    assert!(matches!(code(&file), ErrorCode::NotSupported | ErrorCode::BadModel));
    let mut file = common::writer("qwen2");
    file.set("qwen2.rope.scaling.type", Value::string("yarn"));
    assert_eq!(code(&file), ErrorCode::NotSupported);
    let mut file = common::writer("qwen2");
    file.set("qwen2.feed_forward_length", Value::u32(47));
    assert_eq!(code(&file), ErrorCode::BadModel);
    let mut file = common::writer("qwen2");
    file.set("qwen2.block_count", Value::u32(5));
    assert_eq!(code(&file), ErrorCode::BadModel);
    assert_eq!(
        Decoder::load("absent.gguf".as_ref(), &Compute::cpu(), Holding::Floats)
            .map(drop)
            .unwrap_err()
            .code,
        ErrorCode::NotFound
    );
}
