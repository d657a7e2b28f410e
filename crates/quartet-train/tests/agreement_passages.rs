//! Passages that some layers see, in the engine and in the trainer.

#![allow(clippy::print_stdout)]

mod agreement;
mod common;

use agreement::{
    Both, FAMILIES, Given, bound, cosine, largest_gap, last_row, log_softmax, raw, request, text,
};
use quartet_train::{Adapters, KeyValues, Pass, Piece, Places, values};
use quartet_types::{
    ErrorCode, GenerationRequest, Grammar, PassageRequest, PassageSource, PassageTexts, PassageUse,
    Prompt, Segment, Tap, TapPoint, TapRows,
};

/// Families whose layers share one attention mask; the engine refuses the others.
const UNIFORM: [&str; 3] = ["qwen2", "qwen3", "llama"];

fn with(
    prompt: &Prompt,
    texts: &[String],
    together: bool,
    layers: (u32, u32),
    at: u32,
) -> GenerationRequest {
    let source = PassageSource::Texts(PassageTexts { texts: texts.to_vec(), together });
    let (first_layer, last_layer) = layers;
    let passages =
        PassageUse { source, first_layer, last_layer, prompt_position: at, adapters: Vec::new() };
    GenerationRequest { passages: Some(passages), ..request(prompt.clone()) }
}

/// The trainer's keys and values of a passage, computed up to the last layer that sees them.
fn encoded(both: &Both, text: &str, layers: (u32, u32)) -> KeyValues {
    let ids = both.ids(text);
    let places = Places::consecutive(0..ids.len() as u32);
    let none = Adapters::none();
    let rows = both.trainer.embed(&[Piece::Tokens(&ids)]).unwrap();
    let (first, end) = (layers.0 as usize, layers.1 as usize + 1);
    let whole = Pass::new(&both.trainer, rows, &places, &none);
    both.trainer.run(&Pass { layers: 0..end, keep: first..end, ..whole }).unwrap().key_values
}

/// Compares all logits of the prompt, and the engine's own log-probabilities of a text after it.
fn assert_agree(both: &Both, what: &str, asked: &GenerationRequest, given: &Given<'_>) -> Vec<f32> {
    let expected = both.trainer_logits(&asked.prompt, given);
    let found = both.engine_logits(asked, TapRows::Prompt);
    let gap = largest_gap(&found, &expected);

    let forced = text(6, 99);
    let mut writing = asked.clone();
    writing.limits.max_tokens = 6;
    writing.grammar = Some(Grammar::Gbnf(format!("root ::= \"{forced}\"")));
    let written = both.generate(&writing);
    assert_eq!(written.text, forced);
    let Prompt::Raw(segments) = &asked.prompt else { panic!("not a raw prompt") };
    let [Segment::Text(prompt)] = &segments[..] else { panic!("not a text") };
    let longer = raw(&format!("{prompt}{forced}"));
    let rows = both.trainer_logits(&longer, given);
    let ids = both.ids(&format!("{prompt}{forced}"));
    let from = ids.len() - 6;
    let log_probability = |at: usize| {
        let row = &rows[(from + at - 1) * common::VOCABULARY..][..common::VOCABULARY];
        log_softmax(row)[ids[from + at] as usize]
    };
    let forced_probabilities: Vec<f32> = (0..6).map(log_probability).collect();
    let written_gap = largest_gap(&written.token_log_probabilities, &forced_probabilities);
    println!("{what}: logits differ by {gap:.1e}, a text's log-probabilities by {written_gap:.1e}");
    assert!(gap < bound("qwen2"), "{what}: logits differ by {gap}");
    assert!(written_gap < bound("qwen2"), "{what}: log-probabilities differ by {written_gap}");
    found
}

#[test]
fn passages_together_are_seen_the_same() {
    for family in UNIFORM {
        let both = Both::tiny(family);
        let texts = [text(14, 41), text(10, 42), text(17, 43)];
        // The paper's position of the prompt: behind as many passages of the greatest length.
        let position = 3 * both.ids(&texts[2]).len() as u32;
        let prompt = raw(&text(20, 44));
        let mut seen: Vec<Vec<f32>> = Vec::new();
        for layers in [(0, 3), (1, 2), (2, 2), (0, 0), (3, 3)] {
            let passages = encoded(&both, &texts.concat(), layers);
            let given = Given { earlier: &[&passages], from: position, ..Given::default() };
            let asked = with(&prompt, &texts, true, layers, position);
            let what = format!("{family}, layers {layers:?}");
            let found = assert_agree(&both, &what, &asked, &given);
            for other in &seen {
                assert!(largest_gap(&found, other) > 0.05, "{what}: as with other layers");
            }
            seen.push(found);
        }
    }
}

#[test]
fn passages_alone_are_seen_the_same() {
    for family in UNIFORM {
        let both = Both::tiny(family);
        let texts = [text(12, 45), text(19, 46), text(8, 47)];
        let position = 3 * both.ids(&texts[1]).len() as u32;
        let prompt = raw(&text(20, 48));
        for layers in [(0, 3), (1, 2)] {
            let all: Vec<KeyValues> =
                texts.iter().map(|text| encoded(&both, text, layers)).collect();
            let earlier: Vec<&KeyValues> = all.iter().collect();
            let given = Given { earlier: &earlier, from: position, ..Given::default() };
            let asked = with(&prompt, &texts, false, layers, position);
            assert_agree(&both, &format!("{family}, alone, layers {layers:?}"), &asked, &given);
        }
    }
}

#[test]
fn shown_to_all_they_are_a_plain_prompt_and_hidden_from_all_they_are_not_there() {
    for family in UNIFORM {
        let both = Both::tiny(family);
        let (passage, prompt) = (text(25, 51), text(20, 52));
        let length = both.ids(&passage).len();
        let texts = [passage.clone()];
        // Where there is a start token, the prompt begins with one of its own.
        let start = if both.ids(&passage)[0] == 1 { "<s>" } else { "" };
        let whole = raw(&format!("{passage}{start}{prompt}"));
        let prompt = raw(&prompt);
        let tail = |logits: Vec<f32>| logits[length * common::VOCABULARY..].to_vec();

        let all = (0, both.layers() - 1);
        let passages = encoded(&both, &passage, all);
        let shown = Given { earlier: &[&passages], from: length as u32, ..Given::default() };
        let asked = with(&prompt, &texts, true, all, length as u32);
        let found = assert_agree(&both, &format!("{family}, shown to all"), &asked, &shown);
        let plain = tail(both.engine_logits(&request(whole.clone()), TapRows::Prompt));
        assert!(
            largest_gap(&found, &plain) < bound("qwen2"),
            "{family}: {}",
            largest_gap(&found, &plain)
        );
        let ours = both.trainer_logits(&prompt, &shown);
        let plain = tail(both.trainer_logits(&whole, &Given::default()));
        assert!(largest_gap(&ours, &plain) < 1e-4, "{family}: {}", largest_gap(&ours, &plain));

        // At another position, which is all that is left of them.
        let position = 2 * length as u32;
        let hidden = passages.clone().visible_in(0..0);
        let given = Given { earlier: &[&hidden], from: position, ..Given::default() };
        let asked = with(&prompt, &texts, true, (1, 0), position);
        let found = assert_agree(&both, &format!("{family}, hidden from all"), &asked, &given);
        let without = both.engine_logits(&request(prompt.clone()), TapRows::Prompt);
        assert!(
            largest_gap(&found, &without) < bound("qwen2"),
            "{}",
            largest_gap(&found, &without)
        );
        let ours = both.trainer_logits(&prompt, &given);
        let alone = Given { from: position, ..Given::default() };
        assert_eq!(ours, both.trainer_logits(&prompt, &alone), "{family}");
        let without = both.trainer_logits(&prompt, &Given::default());
        assert!(largest_gap(&ours, &without) < 1e-4, "{}", largest_gap(&ours, &without));
        // And they would have made a difference.
        let last = |logits: &[f32]| last_row(logits, common::VOCABULARY).to_vec();
        let ours = last(&both.trainer_logits(&prompt, &shown));
        assert!(largest_gap(&ours, &last(&without)) > 0.02, "{family}");
    }
}

/// The bound is narrow enough: passages one place off are far outside of it.
#[test]
fn a_prompt_one_place_off_would_be_noticed() {
    for family in UNIFORM {
        let both = Both::tiny(family);
        let passages = encoded(&both, &text(30, 53), (1, 2));
        let prompt = raw(&text(20, 54));
        let logits = |from| {
            let given = Given { earlier: &[&passages], from, ..Given::default() };
            both.trainer_logits(&prompt, &given)
        };
        let gap = largest_gap(&logits(60), &logits(61));
        println!("{family}: one place off moves logits by {gap:.1e}");
        assert!(gap > 5.0 * bound(family), "{family}: {gap}");
    }
}

/// The keys of last tokens, by which passages are found, are those that the trainer reads.
#[test]
fn keys_of_passages_are_the_same() {
    for family in FAMILIES {
        let both = Both::tiny(family);
        let texts = vec![text(12, 61), text(30, 62)];
        for layer in 0..both.layers() {
            let request = PassageRequest {
                model: "test".into(),
                passages: PassageTexts { texts: texts.clone(), together: false },
                adapters: Vec::new(),
                key_layer: Some(layer),
                store: None,
            };
            let turn = both.engine.turn(&quartet_llm::never()).unwrap();
            let found = turn.encode_passages(&request).unwrap();
            for (found, text) in found.passages.iter().zip(&texts) {
                let taps = [Tap { point: TapPoint::Key, layer, stop_after: true }];
                let outcome = both.pass(&raw(text), &Given { taps: &taps, ..Given::default() });
                let key = values(outcome.taps.into_iter().next().unwrap()).unwrap();
                let key = &key[key.len() - found.key.len()..];
                let angle = cosine(&found.key, key);
                assert!(angle > 0.9999, "{family} layer {layer}: {angle}");
            }
        }
    }
}

#[test]
fn a_sliding_window_is_refused_by_the_engine() {
    let both = Both::tiny("gemma3");
    let asked = with(&raw(&text(5, 1)), &[text(5, 2)], true, (1, 2), 16);
    let turn = both.engine.turn(&quartet_llm::never()).unwrap();
    assert_eq!(turn.generate(&asked, |_| {}).unwrap_err().code, ErrorCode::NotSupported);
}
