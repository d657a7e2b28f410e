//! Requests that encode passages and use them.

use super::families::{LAYERS, letters};
use super::generate;
use quartet_llm::Model;
use quartet_types::{
    EncodedPassages, Generation, GenerationRequest, PassageRequest, PassageSource, PassageStore,
    PassageTexts, PassageUse, Result, Sha256, Tap, TapPoint, TapRows, TapUse,
};
use std::path::Path;

/// Families whose layers all share one attention mask.
pub const UNIFORM: [&str; 3] = ["qwen2", "qwen3", "llama"];
/// Tokens of a passage with which pieces of the prompt fall the same way with and without it.
pub const PIECE: usize = 128;

pub fn encode(model: &Model, request: &PassageRequest) -> Result<EncodedPassages> {
    model.turn(&quartet_llm::never()).unwrap().encode_passages(request)
}

pub fn texts(texts: &[String], together: bool) -> PassageTexts {
    PassageTexts { texts: texts.to_vec(), together }
}

pub fn encoding(passages: PassageTexts, key_layer: Option<u32>) -> PassageRequest {
    let model = "test".into();
    PassageRequest { model, passages, adapters: Vec::new(), key_layer, store: None }
}

pub fn storing(passages: PassageTexts, folder: &Path, layers: (u32, u32)) -> PassageRequest {
    let store = PassageStore {
        folder: folder.to_owned(),
        first_layer: layers.0,
        last_layer: layers.1,
        longest: PIECE as u32,
        template: "passage.v1".to_owned(),
    };
    PassageRequest { store: Some(store), ..encoding(passages, None) }
}

pub fn using(source: PassageSource, layers: (u32, u32), prompt_position: u32) -> PassageUse {
    let (first_layer, last_layer) = layers;
    PassageUse { source, first_layer, last_layer, prompt_position, adapters: Vec::new() }
}

pub fn stored(folder: &Path, keys: Vec<Sha256>) -> PassageSource {
    PassageSource::Stored { folder: folder.to_owned(), keys, template: "passage.v1".to_owned() }
}

pub fn with(request: &GenerationRequest, passages: PassageUse) -> GenerationRequest {
    GenerationRequest { passages: Some(passages), ..request.clone() }
}

pub fn tap(layer: u32) -> TapUse {
    let tap = Tap { point: TapPoint::LayerOutput, layer, stop_after: false };
    TapUse { tap, rows: TapRows::All }
}

/// The outputs of all layers but the last, for prompt and text.
pub fn tapped(model: &Model, mut request: GenerationRequest) -> Generation {
    request.taps = (0..LAYERS - 1).map(tap).collect();
    generate(model, &request).0
}

pub fn assert_same(left: &Generation, right: &Generation, what: &str) {
    assert_eq!(left.text, right.text, "{what}");
    assert_eq!(left.token_log_probabilities, right.token_log_probabilities, "{what}");
    for (layer, (left, right)) in left.taps.iter().zip(&right.taps).enumerate() {
        assert_eq!(left.values, right.values, "{what}, layer {layer}");
    }
}

/// `count` texts of as many tokens, with the start token where a model wants one.
pub fn passages(model: &Model, count: usize, tokens: usize) -> Vec<String> {
    let start = usize::from(model.description().architecture != "qwen2");
    (0..count as u64).map(|seed| letters(tokens - start, 100 + seed)).collect()
}
