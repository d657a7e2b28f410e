//! ImpRAG's reading in the engine against the trainer, with the small base's weights written out
//! as 16-bit floats: what is left is the visibility of passages, not the rounding of weights
//! (card, test 10).

#![allow(clippy::print_stdout)]

mod agreement;
mod common;

use agreement::{Both, Given, log_softmax, raw, request};
use quartet_train::{Adapters, KeyValues, Pass, Piece, Places};
use quartet_types::{GenerationRequest, PassageSource, PassageTexts, PassageUse, TapRows};
use serde_json::Value;
use std::path::Path;

/// Prompts that are compared.
const PROMPTS: usize = 50;
/// Words of a passage, at most.
const WORDS: usize = 45;
const LAYERS: (u32, u32) = (7, 17);

/// Questions, each with its paragraph and one of another question.
fn cases() -> Option<Vec<(String, Vec<String>)>> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/squad/squad2-dev.json");
    let Ok(file) = std::fs::read(&path) else {
        assert!(std::env::var_os("QUARTET_REQUIRE_DATA").is_none(), "{} is absent", path.display());
        println!("skipped: {} is absent", path.display());
        return None;
    };
    let squad: Value = serde_json::from_slice(&file).unwrap();
    let mut all: Vec<(String, String)> = Vec::new();
    for article in squad["data"].as_array().unwrap() {
        for paragraph in article["paragraphs"].as_array().unwrap().iter().step_by(5) {
            let words: Vec<&str> = paragraph["context"].as_str().unwrap().split(' ').collect();
            let text = format!("{} ##", words[..words.len().min(WORDS)].join(" "));
            let question = paragraph["qas"][0]["question"].as_str().unwrap().to_owned();
            all.push((question, text));
        }
    }
    let case = |at: usize| {
        let (question, text) = &all[at];
        let other = &all[(at + 7) % all.len()].1;
        (format!("Q: {question}\nA:"), vec![text.clone(), other.clone()])
    };
    Some((0..PROMPTS.min(all.len())).map(case).collect())
}

#[test]
fn passages_are_read_alike_in_sixteen_bit_floats() {
    let Some(cases) = cases() else { return };
    let Some(both) = Both::real_in_floats("qwen2.5-coder-0.5b-instruct-q4_k_m.gguf") else {
        return;
    };
    let none = Adapters::none();
    let from = 512;
    let (mut same, mut largest) = (0, 0.0f64);
    for (index, (prompt, texts)) in cases.iter().enumerate() {
        let together = index % 2 == 0;
        let encode = |text: &str| -> KeyValues {
            let ids = both.ids(text);
            let places = Places::consecutive(0..ids.len() as u32);
            let rows = both.trainer.embed(&[Piece::Tokens(&ids)]).unwrap();
            let whole = Pass::new(&both.trainer, rows, &places, &none);
            let (first, end) = (LAYERS.0 as usize, LAYERS.1 as usize + 1);
            both.trainer
                .run(&Pass { layers: 0..end, keep: first..end, ..whole })
                .unwrap()
                .key_values
        };
        let passages: Vec<KeyValues> = match together {
            true => vec![encode(&texts.concat())],
            false => texts.iter().map(|text| encode(text)).collect(),
        };
        let earlier: Vec<&KeyValues> = passages.iter().collect();
        let prompt = raw(prompt);
        let given = Given { earlier: &earlier, from, ..Given::default() };
        let expected = both.trainer_norm(&prompt, &given);
        let shown = PassageUse {
            source: PassageSource::Texts(PassageTexts { texts: texts.clone(), together }),
            first_layer: LAYERS.0,
            last_layer: LAYERS.1,
            prompt_position: from,
            adapters: Vec::new(),
        };
        let asked = GenerationRequest { passages: Some(shown), ..request(prompt) };
        let found = both.engine_norm(&asked, TapRows::PromptLast);
        let (found, expected) = both.heads(&found, &expected);
        let best = |logits: &[f32]| {
            logits.iter().enumerate().max_by(|one, other| one.1.total_cmp(other.1)).unwrap().0
        };
        same += usize::from(best(&found) == best(&expected));
        let (theirs, ours) = (log_softmax(&found), log_softmax(&expected));
        let divergence: f64 = theirs
            .iter()
            .zip(&ours)
            .map(|(one, other)| f64::from(*one).exp() * f64::from(one - other))
            .sum();
        largest = largest.max(divergence);
        assert!(divergence < 1e-3, "prompt {index}: KL {divergence}");
    }
    println!("{same} of {} next tokens are the same, largest KL {largest:.1e}", cases.len());
    assert_eq!(same, cases.len(), "the next token");
}
