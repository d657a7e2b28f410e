//! GAG in the engine against GAG in the trainer, on tiny models: which states are read, and that
//! rows lead to the same losses.

#![allow(clippy::print_stdout)]

#[path = "../../quartet-train/tests/agreement/mod.rs"]
mod agreement;
#[path = "../../quartet-train/tests/common/mod.rs"]
mod common;

use agreement::{Both, Given, bound, log_softmax, raw, request, row_cosines, text};
use quartet_methods::gag::memory::{pool, tap_of};
use quartet_methods::gag::objective::{Injection, Lesson, Settings};
use quartet_methods::gag::projector::{Projector, Shape};
use quartet_train::Control;
use quartet_types::{
    EmbeddingRows, GagForm, GagOptions, Prompt, PromptPart, Segment, Tap, TapPoint, TapRows,
    TapUse, TokenInput,
};

/// A prompt with rows between two texts: the tiny vocabulary has no letters for the template.
fn around(rows: EmbeddingRows) -> Prompt {
    let pieces = [Segment::Text(text(7, 5)), Segment::Embeddings(rows), Segment::Text(text(3, 6))];
    Prompt::Raw(pieces.into())
}

/// T1: the paper's layers are the engine's and the trainer's; the final normalisation times the
/// head is what the engine chooses by.
#[test]
fn layers_from_the_end_are_the_same_on_both_sides() {
    for family in ["gemma3", "qwen2"] {
        let both = Both::tiny(family);
        let prompt = raw(&text(12, 4));
        let taps: Vec<Tap> =
            [1, 2, 3, 4].iter().map(|from| tap_of(*from, both.layers()).unwrap()).collect();
        assert_eq!(taps[3].layer, 0, "the fourth from the end of four blocks is the first");
        let uses = taps.iter().map(|tap| TapUse { tap: tap.clone(), rows: TapRows::Prompt });
        let mut asked = request(prompt.clone());
        asked.taps = uses.collect();
        asked.limits.max_tokens = 1;
        let read = both.generate(&asked).taps;
        let outcome = both.pass(&prompt, &Given { taps: &taps, ..Given::default() });
        for (place, (reading, tensor)) in read.iter().zip(outcome.taps).enumerate() {
            let expected = quartet_train::values(tensor).unwrap();
            let (worst, _) = row_cosines(&reading.values, &expected, both.width());
            assert!(worst > 0.999, "{family}, {} from the end: cosine {worst}", place + 1);
        }
        let last = read[0].values.len() - both.width();
        let scores = log_softmax(&both.head(&read[0].values[last..]));
        let found = both.scores(&prompt, &agreement::letters(), &[]);
        for (one, other) in found.iter().zip(&scores[3..]) {
            assert!((one - other).abs() < bound(family), "{family}: {one} is not {other}");
        }
    }
}

/// T2: states while writing are those of reading the same tokens at once; the token that ended
/// the turn has none.
#[test]
fn states_while_writing_are_those_of_reading() {
    for family in ["gemma3", "qwen2"] {
        let both = Both::tiny(family);
        let question = text(9, 21);
        let tap = tap_of(2, both.layers()).unwrap();
        let mut asked = request(raw(&question));
        asked.limits.max_tokens = 8;
        asked.taps = vec![TapUse { tap: tap.clone(), rows: TapRows::Written }];
        let written = both.generate(&asked);
        assert_eq!(written.taps[0].rows, written.written_tokens);
        assert!(written.written_tokens > 1, "{family} says nothing: choose another question");
        let mut again = request(raw(&format!("{question}{}", written.text)));
        again.limits.max_tokens = 1;
        again.taps = vec![TapUse { tap, rows: TapRows::Prompt }];
        let read = both.generate(&again);
        let start = read.taps[0].values.len() - written.taps[0].values.len();
        let scale = read.taps[0].values.iter().fold(0f32, |most, one| most.max(one.abs()));
        for (one, other) in written.taps[0].values.iter().zip(&read.taps[0].values[start..]) {
            assert!((one - other).abs() < 2e-3 * scale, "{family}: {one} is not {other}");
        }
        // What is read out can be pooled.
        let options = GagOptions { readout: vec![2], ..GagOptions::new(GagForm::Slots) };
        let memory = pool(&[written.taps[0].values.clone()], both.width(), &options).unwrap();
        assert_eq!((memory.layers, memory.slots, memory.width), (1, 4, both.width()));
    }
}

/// T7 and T8, and that training and serving mean the same: the loss of an answer behind
/// projected rows is the same number in both.
#[test]
fn rows_lead_to_the_same_loss_in_trainer_and_engine() {
    let both = Both::tiny("qwen2");
    let (from, to) = (5, both.width());
    let shape = Shape { form: GagForm::Slots, layers: 2, slots: 3, from, to };
    let parameters = shape.fresh(4).unwrap();
    let mut random = common::Random(3);
    let memory = random.floats(shape.layers * shape.slots * from, 1.5);
    let projector = Projector::new(shape, 0.8, &parameters).unwrap();
    let rows = |values: Vec<f32>| EmbeddingRows { values, width: to as u32 };
    let prompt = around(rows(projector.rows(&memory)));
    let answer = text(4, 9);

    let mut lesson = Lesson {
        before: Vec::new(),
        after: Vec::new(),
        answer: Vec::new(),
        memory,
        meaning: Vec::new(),
    };
    let mut is_after = false;
    for part in both.engine.read_prompt(&prompt).unwrap().parts {
        match part {
            PromptPart::Rows(count) => {
                assert_eq!(count, 3);
                is_after = true;
            }
            PromptPart::Tokens(ids) if is_after => lesson.after.extend(ids),
            PromptPart::Tokens(ids) => lesson.before.extend(ids),
        }
    }
    let own = both.ids(&answer);
    lesson.answer = own[own.len() - 4..].to_vec();
    let settings = Settings {
        semantic: 0.0,
        diversity: 0.0,
        gain: 0.8,
        batch: 1,
        is_chained: false,
        kept_bytes: 0,
    };
    let leaves = parameters.constants(both.trainer.compute()).unwrap();
    let lessons = vec![lesson.clone()];
    let trained =
        Injection::new(&both.trainer, shape, settings, lessons, Vec::new(), Control::new())
            .unwrap()
            .mean_loss(&leaves, false)
            .unwrap();
    let loss = |prompt| {
        let scores = both.scores(&prompt, std::slice::from_ref(&answer), &[]);
        assert_eq!(scores.len(), 4, "the answer's tokens and nothing else");
        -f64::from(scores.iter().sum::<f32>()) / 4.0
    };
    let served = loss(prompt);
    println!("trainer {trained:.6}, engine {served:.6}");
    assert!((trained - served).abs() < f64::from(bound("qwen2")), "{trained} and {served}");

    // Rows of zeros take part: they are not nothing.
    let zeros = loss(around(rows(vec![0.0; 3 * to])));
    let none = loss(around(rows(Vec::new())));
    assert!((zeros - none).abs() > 1e-6, "{zeros}");
    // A token's own row in the slot is that token.
    let input = TokenInput::Text { text: text(3, 8), special: false };
    let spliced = around(both.engine.token_embeddings(&input).unwrap());
    let read = both.engine_logits(&request(spliced.clone()), TapRows::PromptLast);
    let Prompt::Raw(mut pieces) = spliced else { panic!("a raw prompt") };
    pieces[1] = Segment::Text(text(3, 8));
    let plain = both.engine_logits(&request(Prompt::Raw(pieces)), TapRows::PromptLast);
    for (one, other) in read.iter().zip(&plain) {
        assert!((one - other).abs() < 1e-3, "{one} is not {other}");
    }
    let final_norm = Tap { point: TapPoint::FinalNorm, layer: 0, stop_after: false };
    assert_eq!(tap_of(1, both.layers()).unwrap(), final_norm);
}
