//! What the tests of this crate share: tiny models written on the spot, and the real ones.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test file uses its part")]
#![allow(clippy::print_stdout, reason = "a skipped test should be seen")]

pub mod adapter;
pub mod engine;
pub mod families;
pub mod passages;
pub mod tiny;

use quartet_llm::Model;
use quartet_types::{
    EngineEvent, Error, Generation, GenerationRequest, LoadRequest, Prompt, Segment,
};
use std::path::{Path, PathBuf};

/// A request to load the file at `path` with little context and one or two threads.
pub fn load_request(path: &Path) -> LoadRequest {
    LoadRequest {
        model: "test".into(),
        path: path.to_owned(),
        sha256: None,
        context: 1024,
        threads: 2,
        gpu_layers: Some(0),
        pooling: None,
    }
}

pub fn load(path: &Path) -> Model {
    Model::load(&load_request(path), None, &quartet_llm::never(), |_| {}).unwrap()
}

pub fn with_model(file: &quartet_gguf::GgufWriter, test: impl FnOnce(&Model)) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    file.write(&path).unwrap();
    test(&load(&path));
}

pub fn request(prompt: Prompt, max_tokens: u32) -> GenerationRequest {
    let mut request = GenerationRequest::new("test".into(), prompt);
    request.limits.max_tokens = max_tokens;
    request
}

pub fn generate(model: &Model, request: &GenerationRequest) -> (Generation, Vec<EngineEvent>) {
    let mut events = Vec::new();
    let turn = model.turn(&quartet_llm::never()).unwrap();
    let generation = turn.generate(request, |event| events.push(event)).unwrap();
    (generation, events)
}

pub fn refused(model: &Model, request: &GenerationRequest) -> Error {
    let turn = model.turn(&quartet_llm::never()).unwrap();
    turn.generate(request, |_| {}).expect_err("the request should have been refused")
}

/// The file of a catalog model, or `None` with a printed reason. With
/// `QUARTET_REQUIRE_DATA=1` absence is a failure.
pub fn real_model(file: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("QUARTET_MODELS").map(PathBuf::from).or_else(|| {
        let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from);
        let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share"));
        Some(data.or(home)?.join("quartet/models"))
    })?;
    let path = folder.join(file);
    if path.is_file() {
        return Some(path);
    }
    let required = std::env::var("QUARTET_REQUIRE_DATA").is_ok_and(|value| value == "1");
    assert!(!required, "{} is required and not there", path.display());
    println!("skipped: {} is not there (`make models` fetches it)", path.display());
    None
}

pub const SMALL: &str = "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf";
pub const EMBEDDER: &str = "all-minilm-l6-v2-q8_0.gguf";

pub fn raw(text: &str) -> Prompt {
    Prompt::Raw(vec![Segment::Text(text.to_owned())])
}

pub fn cosine(left: &[f32], right: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
    dot(left, right) / (dot(left, left) * dot(right, right)).sqrt()
}
