//! Passages that a range of layers may read.

#![allow(clippy::print_stdout, reason = "the figures reached should be seen")]

mod common;

use common::families::{FAMILIES, HEAD_LENGTH, LAYERS, SHARED, family, letters};
use common::passages::{
    PIECE, UNIFORM, assert_same, encode, encoding, passages, stored, storing, tap, tapped, texts,
    using, with,
};
use common::{SMALL, generate, load, raw, real_model, refused, request};
use quartet_types::{
    ErrorCode, Generation, Grammar, PassageRequest, PassageSource, StopReason, Tap, TapPoint,
    TapRows, TapUse,
};

#[test]
fn revealed_to_all_layers_they_are_a_plain_prompt() {
    let folder = tempfile::tempdir().unwrap();
    for name in UNIFORM {
        let model = load(&family(folder.path(), name));
        let texts_of = passages(&model, 1, PIECE);
        let prompt = letters(150, 7);
        // Where the model wants a start token, the prompt begins with one of its own.
        let start = if name == "qwen2" { "" } else { "<s>" };
        let whole = format!("{}{start}{prompt}", texts_of[0]);
        let plain = tapped(&model, request(raw(&whole), 20));
        let source = PassageSource::Texts(texts(&texts_of, true));
        let shown = using(source, (0, LAYERS - 1), PIECE as u32);
        let revealed = tapped(&model, with(&request(raw(&prompt), 20), shown));
        assert_eq!(revealed.text, plain.text, "{name}");
        assert_eq!(revealed.token_log_probabilities, plain.token_log_probabilities, "{name}");
        assert_eq!(revealed.prompt_tokens + PIECE as u32, plain.prompt_tokens);
        for (whole, part) in plain.taps.iter().zip(&revealed.taps) {
            let before = PIECE * whole.width as usize;
            assert_eq!(whole.values[before..], part.values);
        }
    }
}

#[test]
fn hidden_from_all_layers_they_are_not_there() {
    let folder = tempfile::tempdir().unwrap();
    for name in UNIFORM {
        let model = load(&family(folder.path(), name));
        // Attention adds up cells in portions of 64, and of other sizes beyond 256 cells: with
        // less than that, hidden cells do not even change how sums are rounded.
        let asked = request(raw(&letters(80, 8)), 20);
        let many = passages(&model, 2, 64);
        for together in [true, false] {
            let position = 3 * PIECE as u32;
            let many = if together {
                vec![format!("{}{}", many[0], letters(64, 5))]
            } else {
                many.clone()
            };
            let source = PassageSource::Texts(texts(&many, together));
            let hidden = tapped(&model, with(&asked, using(source, (1, 0), position)));
            let none = PassageSource::Texts(texts(&[], together));
            let without = tapped(&model, with(&asked, using(none, (1, 2), position)));
            assert_same(&hidden, &without, name);
            // Without passages the position makes no difference but rounding.
            let plain = tapped(&model, asked.clone());
            for (moved, plain) in without.taps[0].values.iter().zip(&plain.taps[0].values) {
                assert!((moved - plain).abs() < 2e-2, "{name} {moved} {plain}");
            }
        }
    }
}

#[test]
fn layers_below_do_not_change_and_the_first_that_sees_them_does() {
    let folder = tempfile::tempdir().unwrap();
    for name in UNIFORM {
        let model = load(&family(folder.path(), name));
        let asked = request(raw(&letters(200, 9)), 10);
        let many = passages(&model, 2, 60);
        let position = 2 * PIECE as u32;
        let run = |layers| {
            let source = PassageSource::Texts(texts(&many, false));
            tapped(&model, with(&asked, using(source, layers, position)))
        };
        let hidden = run((1, 0));
        for first in 0..LAYERS - 1 {
            for last in first..LAYERS {
                let shown = run((first, last));
                let rows = hidden.prompt_tokens as usize;
                for (layer, (shown, hidden)) in shown.taps.iter().zip(&hidden.taps).enumerate() {
                    // The written text may differ; the prompt is the same.
                    let prompt = rows * shown.width as usize;
                    let same = shown.values[..prompt] == hidden.values[..prompt];
                    assert_eq!(same, layer < first as usize, "{name} {first}..={last}: {layer}");
                    let close = shown.values[..8]
                        .iter()
                        .zip(&hidden.values[..8])
                        .all(|(shown, hidden)| (shown - hidden).abs() < 1e-6);
                    assert_eq!(close, layer < first as usize, "the first row, layer {layer}");
                }
            }
        }
        // The last layer counts too: shown to it alone, the text's probabilities change.
        let last = run((LAYERS - 1, LAYERS - 1));
        assert_ne!(last.token_log_probabilities, hidden.token_log_probabilities, "{name}");
        // And what a layer in the middle saw is hidden again from those above.
        let (one, two) = (run((1, 1)), run((1, 2)));
        assert_eq!(one.taps[1].values[..64], two.taps[1].values[..64]);
        assert_ne!(one.taps[2].values[..64], two.taps[2].values[..64]);
    }
}

#[test]
fn keys_of_last_tokens_come_out() {
    let folder = tempfile::tempdir().unwrap();
    for name in FAMILIES {
        let model = load(&family(folder.path(), name));
        let many: Vec<String> =
            [3, 40, 200].into_iter().map(|length| letters(length, length as u64)).collect();
        for layer in 0..LAYERS {
            let encoded = encode(&model, &encoding(texts(&many, false), Some(layer))).unwrap();
            for (passage, text) in encoded.passages.iter().zip(&many) {
                // The same as the tap of a generation.
                let mut asked = request(raw(text), 1);
                let tap = Tap { point: TapPoint::Key, layer, stop_after: true };
                asked.taps = vec![TapUse { tap, rows: TapRows::PromptLast }];
                let read = generate(&model, &asked).0;
                assert_eq!(passage.key.len(), SHARED * HEAD_LENGTH);
                assert_eq!(passage.key, read.taps[0].values, "{name} layer {layer}");
                assert_eq!(passage.tokens, read.prompt_tokens);
            }
        }
        // Together, the first passage has read nothing else, and those after it have.
        let alone = encode(&model, &encoding(texts(&many, false), Some(2))).unwrap();
        let joint = encode(&model, &encoding(texts(&many, true), Some(2))).unwrap();
        assert_eq!(joint.passages.len(), 3);
        assert_ne!(joint.passages[1].key, alone.passages[1].key);
        let gap = |left: &[f32], right: &[f32]| {
            left.iter().zip(right).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max)
        };
        assert!(gap(&joint.passages[0].key, &alone.passages[0].key) < 0.05, "{name}");
        // A short passage does not end in the piece where a long one goes on.
        let whole = format!("{}{}{}", many[0], many[1], many[2]);
        let one = encode(&model, &encoding(texts(&[whole], false), Some(2))).unwrap();
        assert_eq!(one.passages[0].key, joint.passages[2].key, "{name}");
    }
}

#[test]
fn the_last_layer_of_a_whole_prompt_is_read_beside_passages() {
    let folder = tempfile::tempdir().unwrap();
    let model = load(&family(folder.path(), "qwen2"));
    let source = PassageSource::Texts(texts(&passages(&model, 2, 64), false));
    let mut asked = with(&request(raw(&letters(90, 3)), 8), using(source, (1, 2), 128));
    let plain = generate(&model, &asked).0;
    let of = |stop_after| TapUse {
        tap: Tap { point: TapPoint::FinalNorm, layer: 0, stop_after },
        rows: TapRows::Prompt,
    };
    asked.taps = vec![of(false)];
    let read = generate(&model, &asked).0;
    assert_eq!(read.token_log_probabilities, plain.token_log_probabilities);
    asked.taps = vec![of(true)];
    assert_eq!(generate(&model, &asked).0.taps, read.taps);
    assert_eq!(read.taps[0].rows, 90);
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let model = load(&family(folder.path(), "qwen2"));
    let states = folder.path().join("states");
    let text = |length| texts(&[letters(length, 1)], false);
    let code = |request: &PassageRequest| encode(&model, request).unwrap_err().code;
    assert_eq!(code(&encoding(text(5), None)), ErrorCode::InvalidInput);
    assert_eq!(code(&encoding(text(5), Some(LAYERS))), ErrorCode::InvalidInput);
    assert_eq!(code(&encoding(texts(&[], false), Some(1))), ErrorCode::InvalidInput);
    assert_eq!(code(&encoding(texts(&[String::new()], false), Some(1))), ErrorCode::InvalidInput);
    assert_eq!(code(&storing(text(5), &states, (2, 1))), ErrorCode::InvalidInput);
    assert_eq!(code(&storing(text(5), &states, (1, LAYERS))), ErrorCode::InvalidInput);
    let error = encode(&model, &storing(text(PIECE + 2), &states, (1, 2))).unwrap_err();
    assert_eq!(error.code, ErrorCode::PromptTooLong);
    assert!(error.message.contains("passage 0 has 130 tokens, 2 more"), "{error}");
    let error = encode(&model, &encoding(text(1200), Some(1))).unwrap_err();
    assert_eq!(error.code, ErrorCode::PromptTooLong);

    let asked = request(raw(&letters(100, 2)), 3);
    let shown = |texts, layers, position| {
        let passages = using(PassageSource::Texts(texts), layers, position);
        refused(&model, &with(&asked, passages))
    };
    assert_eq!(shown(text(50), (0, LAYERS), 128).code, ErrorCode::InvalidInput);
    let error = shown(text(50), (0, 1), 49);
    assert!(error.code == ErrorCode::InvalidInput && error.message.contains("49"), "{error}");
    let many: Vec<String> = (0..33).map(|_| "a".to_owned()).collect();
    assert_eq!(shown(texts(&many, false), (0, 1), 128).code, ErrorCode::InvalidInput);
    // Cells of the context, and positions that the model knows.
    let long = vec![letters(128, 1); 8];
    let error = shown(texts(&long, false), (0, 1), 128);
    assert!(error.code == ErrorCode::PromptTooLong && error.message.contains("beside"), "{error}");
    assert_eq!(shown(text(50), (0, 1), 1000).code, ErrorCode::PromptTooLong);

    let windowed = load(&family(folder.path(), "gemma3"));
    let passages = using(PassageSource::Texts(text(50)), (1, 2), 128);
    let error = refused(&windowed, &with(&asked, passages));
    assert_eq!(error.code, ErrorCode::NotSupported);
    assert!(error.message.contains("sliding window"), "{error}");
}

#[test]
fn many_passages_and_a_full_context() {
    let folder = tempfile::tempdir().unwrap();
    let model = load(&family(folder.path(), "qwen2"));
    let many: Vec<String> = (0..32).map(|seed| letters(20, seed)).collect();
    let mut asked = request(raw(&letters(100, 2)), 400);
    // Never ends by itself.
    asked.grammar = Some(Grammar::Gbnf("root ::= [a-z] root".to_owned()));
    let used = using(PassageSource::Texts(texts(&many, false)), (1, 2), 128);
    let generation = generate(&model, &with(&asked, used)).0;
    // 1,024 cells without 640 of passages and 100 of the prompt.
    assert_eq!(generation.written_tokens, 284);
    assert_eq!(generation.stop, StopReason::MaxTokens);
}

#[test]
fn requests_with_passages_and_without_do_not_disturb_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let model = load(&family(folder.path(), "qwen2"));
    let many = passages(&model, 2, 60);
    let run = |number: u64| {
        let asked = request(raw(&letters(150, 50 + number % 3)), 30);
        let asked = match number % 3 {
            0 => asked,
            1 => {
                let source = PassageSource::Texts(texts(&many, false));
                with(&asked, using(source, (1, 2), 256))
            }
            _ => {
                let source = PassageSource::Texts(texts(&many[..1], true));
                let mut asked = with(&asked, using(source, (0, 1), 128));
                asked.taps = vec![tap(2)];
                asked
            }
        };
        generate(&model, &asked).0
    };
    let alone: Vec<Generation> = (0..3).map(run).collect();
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..9).map(|number| (number, scope.spawn(move || run(number)))).collect();
        for (number, thread) in threads {
            let together = thread.join().unwrap();
            assert_same(&together, &alone[number as usize % 3], &format!("request {number}"));
        }
    });
}

#[test]
fn the_small_model_reads_its_passages() {
    let Some(path) = real_model(SMALL) else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = load(&path);
    let fact = "The lighthouse at Varnholm was lit for the first time in the spring of 1874. \
                Its first keeper was Ida Kestrel, who stayed for thirty-one years.\n";
    let filler = "The harbour master keeps a list of boats, and every boat has a number. ";
    let texts_of = [fact.to_owned(), format!("{filler}{filler}\n")];
    let prompt = "Question: Who was the first keeper of the lighthouse at Varnholm?\nAnswer:";
    let asked = request(raw(prompt), 8);
    let run = |source, layers| generate(&model, &with(&asked, using(source, layers, 256))).0;
    let now = || PassageSource::Texts(texts(&texts_of, false));
    let hidden = run(now(), (1, 0));
    let all = run(PassageSource::Texts(texts(&texts_of, true)), (0, 23));
    let some = run(now(), (7, 17));
    println!("hidden {:?}\nall {:?}\n7..=17 {:?}", hidden.text, all.text, some.text);
    assert!(all.text.contains("Ida Kestrel"), "{:?}", all.text);
    assert!(!hidden.text.contains("Kestrel"), "{:?}", hidden.text);
    assert_ne!(some.token_log_probabilities, hidden.token_log_probabilities);

    let start = std::time::Instant::now();
    let request = storing(texts(&texts_of, false), folder.path(), (7, 17));
    let request = PassageRequest { key_layer: Some(7), ..request };
    let encoded = encode(&model, &request).unwrap();
    println!("two passages encoded and stored in {:.0?}", start.elapsed());
    assert!(encoded.passages.iter().all(|passage| passage.key.len() == 128));
    for state in &encoded.stored {
        // Two heads of 64 numbers of 16 bits, keys and values, in eleven layers.
        let payload = u64::from(state.tokens) * 11 * 2 * 128 * 2;
        let header = state.bytes - payload;
        assert!((100..4096).contains(&header), "{} bytes", state.bytes);
    }
    let keys = encoded.stored.iter().map(|state| state.key.clone()).collect();
    let fast = run(stored(folder.path(), keys), (7, 17));
    println!("prefill {:.0} ms encoded now, {:.0} ms from files", some.prefill_ms, fast.prefill_ms);
    assert_same(&fast, &some, "from files");
}
