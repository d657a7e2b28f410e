//! Hidden states read out of a running request.

#![allow(clippy::print_stdout, reason = "the figures reached should be seen")]

mod common;

use common::families::{FAMILIES, HEAD_LENGTH, HEADS, LAYERS, SHARED, WIDTH, family, letters};
use common::{SMALL, cosine, generate, load, raw, real_model, refused, request, tiny, with_model};
use quartet_llm::Model;
use quartet_types::{
    ErrorCode, Generation, GenerationRequest, Prompt, Segment, StopReason, Tap, TapPoint,
    TapReading, TapRows, TapUse, TokenInput,
};

fn tap(point: TapPoint, layer: u32, rows: TapRows) -> TapUse {
    TapUse { tap: Tap { point, layer, stop_after: false }, rows }
}

fn stopping(point: TapPoint, layer: u32, rows: TapRows) -> TapUse {
    TapUse { tap: Tap { point, layer, stop_after: true }, rows }
}

fn tapped(model: &Model, mut request: GenerationRequest, taps: &[TapUse]) -> Generation {
    request.taps = taps.to_vec();
    generate(model, &request).0
}

fn row(reading: &TapReading, index: usize) -> &[f32] {
    &reading.values[index * reading.width as usize..][..reading.width as usize]
}

/// The largest difference, as a share of the largest number.
fn gap(left: &[f32], right: &[f32]) -> f32 {
    assert_eq!(left.len(), right.len());
    let largest = left.iter().map(|x| x.abs()).fold(1e-3, f32::max);
    left.iter().zip(right).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max) / largest
}

/// Pieces of another size, and single tokens, are multiplied by other kernels, and attention
/// works in 16-bit floats: layers of random weights magnify that to about this much.
const ROUNDING: f32 = 2e-2;

/// Every kind of tap at every layer.
fn everything(rows: TapRows) -> Vec<TapUse> {
    let points = [TapPoint::Query, TapPoint::Key, TapPoint::LayerOutput];
    let layers = (0..LAYERS).flat_map(|layer| points.map(|point| tap(point, layer, rows)));
    layers.chain([tap(TapPoint::FinalNorm, 0, rows)]).collect()
}

#[test]
fn taps_have_the_documented_shapes_and_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for name in FAMILIES {
        let model = load(&family(folder.path(), name));
        let asked = request(raw(&letters(300, 3)), 12);
        let plain = generate(&model, &asked).0;
        assert!(plain.written_tokens > 1, "{name}");
        for rows in [TapRows::All, TapRows::Prompt, TapRows::PromptLast, TapRows::Written] {
            let generation = tapped(&model, asked.clone(), &everything(rows));
            assert_eq!(generation.text, plain.text, "{name} {rows:?}");
            assert_eq!(generation.token_log_probabilities, plain.token_log_probabilities);
            assert_eq!(generation.stop, plain.stop);
            let (prompt, written) = (plain.prompt_tokens, plain.written_tokens);
            let (first, count) = match rows {
                TapRows::All => (0, prompt + written),
                TapRows::Prompt => (0, prompt),
                TapRows::PromptLast => (prompt - 1, 1),
                TapRows::Written => (prompt, written),
            };
            assert_eq!(generation.taps.len(), everything(rows).len());
            for (reading, tap) in generation.taps.iter().zip(everything(rows)) {
                let width = match tap.tap.point {
                    TapPoint::Query => HEADS * HEAD_LENGTH,
                    TapPoint::Key => SHARED * HEAD_LENGTH,
                    TapPoint::LayerOutput | TapPoint::FinalNorm => WIDTH,
                };
                let what = format!("{name} {tap:?}");
                assert_eq!((reading.first_row, reading.rows), (first, count), "{what}");
                assert_eq!(reading.width as usize, width, "{what}");
                assert_eq!(reading.values.len(), width * count as usize, "{what}");
                assert!(reading.values.iter().all(|value| value.is_finite()), "{what}");
                assert!(reading.values.iter().any(|value| *value != 0.0), "{what}");
            }
        }
    }
}

#[test]
fn parts_of_the_rows_are_parts_of_all_rows() {
    let folder = tempfile::tempdir().unwrap();
    let model = load(&family(folder.path(), "qwen2"));
    let asked = request(raw(&letters(200, 5)), 9);
    let read = |rows| tapped(&model, asked.clone(), &everything(rows)).taps;
    let all = read(TapRows::All);
    for rows in [TapRows::Prompt, TapRows::PromptLast, TapRows::Written] {
        for (index, (part, all)) in read(rows).iter().zip(&all).enumerate() {
            for line in 0..part.rows as usize {
                let whole = row(all, part.first_row as usize + line);
                let difference = gap(row(part, line), whole);
                // The last layer's rows of a whole prompt come from a pass of their own, which
                // is cut into other pieces.
                let own_pass = index >= everything(rows).len() - 2;
                assert!(
                    difference <= if own_pass { ROUNDING } else { 0.0 },
                    "{index} {difference}"
                );
            }
        }
    }
}

#[test]
fn written_rows_belong_to_the_token_that_was_fed() {
    let folder = tempfile::tempdir().unwrap();
    let model = load(&family(folder.path(), "qwen2"));
    let taps = everything(TapRows::All);
    // A text whose continuation has no control tokens, which would leave no trace in it.
    let is_plain = |text: &String| {
        let written = generate(&model, &request(raw(text), 7)).0;
        written.text.chars().filter(|letter| ('!'..='z').contains(letter)).count() == 7
    };
    let text = (0..50).map(|seed| letters(20, seed)).find(is_plain).expect("none is plain");
    for tokens in [1, 7] {
        let generation = tapped(&model, request(raw(&text), tokens), &taps);
        assert_eq!((generation.written_tokens, generation.stop), (tokens, StopReason::MaxTokens));
        // The same tokens as a prompt: one letter is one token in this vocabulary.
        let whole = format!("{text}{}", generation.text);
        let prompt_taps = everything(TapRows::Prompt);
        let read = tapped(&model, request(raw(&whole), 1), &prompt_taps);
        assert_eq!(read.prompt_tokens, generation.prompt_tokens + tokens);
        for ((written, prompt), tap) in generation.taps.iter().zip(&read.taps).zip(&taps) {
            let difference = gap(&written.values, &prompt.values);
            println!("{difference}");
            assert!(difference < ROUNDING, "{tap:?} {difference}");
        }
    }
    // Nothing written: no rows, and the width is still known.
    let taps = [tap(TapPoint::LayerOutput, 1, TapRows::Written)];
    let generation = tapped(&model, request(raw(&text), 0), &taps);
    assert_eq!((generation.taps[0].rows, generation.taps[0].width), (0, WIDTH as u32));
    // The context is full after the last token, and its row is there all the same.
    let mut full = request(raw(&text), 100);
    full.limits.context = Some(24);
    let generation = tapped(&model, full, &taps);
    assert_eq!(generation.written_tokens, generation.taps[0].rows);
    assert_eq!(generation.written_tokens, 4);
}

#[test]
fn rows_are_there_however_the_text_ends() {
    with_model(&tiny::generator(), |model| {
        let taps = [
            tap(TapPoint::LayerOutput, 0, TapRows::Written),
            tap(TapPoint::FinalNorm, 0, TapRows::Written),
        ];
        let mut ends = Vec::new();
        for seed in 0..60 {
            let mut asked = request(raw("the sea"), 60);
            asked.sampling.temperature = 1.3;
            asked.sampling.seed = seed;
            let plain = generate(model, &asked).0;
            if seed % 2 == 1 && plain.text.chars().count() > 6 {
                asked.limits.stop = vec![plain.text.chars().skip(3).take(2).collect()];
            }
            let generation = tapped(model, asked, &taps);
            for reading in &generation.taps {
                assert_eq!(reading.rows, generation.written_tokens, "{:?}", generation.stop);
            }
            ends.push(generation.stop);
        }
        for end in [StopReason::StopText, StopReason::MaxTokens, StopReason::EndOfTurn] {
            assert!(ends.contains(&end), "no text ended with {end:?}");
        }
    });
}

#[test]
fn a_stopped_tap_is_the_tap_of_a_full_run_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    for name in FAMILIES {
        let model = load(&family(folder.path(), name));
        let asked = request(raw(&letters(290, 11)), 8);
        let fresh = generate(&model, &asked).0;
        let points = [TapPoint::Query, TapPoint::Key, TapPoint::LayerOutput];
        for (rows, point) in [
            (TapRows::Prompt, points[0]),
            (TapRows::PromptLast, points[1]),
            (TapRows::All, points[2]),
        ] {
            for layer in 0..LAYERS {
                let full = tapped(&model, asked.clone(), &[tap(point, layer, rows)]);
                let stopped = tapped(&model, asked.clone(), &[stopping(point, layer, rows)]);
                assert_eq!(stopped.stop, StopReason::TapRead);
                assert_eq!((stopped.text.as_str(), stopped.written_tokens), ("", 0));
                let count = stopped.taps[0].values.len();
                let whole = &full.taps[0].values[..count];
                assert_eq!(stopped.taps[0].values, whole, "{name} {point:?} {layer}");
            }
        }
        let norm = |tap| tapped(&model, asked.clone(), &[tap]).taps.remove(0);
        for rows in [TapRows::PromptLast, TapRows::Prompt] {
            let stopped = norm(stopping(TapPoint::FinalNorm, 0, rows));
            assert_eq!(stopped, norm(tap(TapPoint::FinalNorm, 0, rows)), "{name} {rows:?}");
        }
        // Two taps, one of them above what the first pieces compute for.
        let both = [
            tap(TapPoint::LayerOutput, 1, TapRows::PromptLast),
            stopping(TapPoint::FinalNorm, 0, TapRows::PromptLast),
        ];
        let stopped = tapped(&model, asked.clone(), &both);
        assert_eq!(stopped.taps[1], norm(tap(TapPoint::FinalNorm, 0, TapRows::PromptLast)));
        // What ran before in the same context makes no difference.
        let again = generate(&model, &asked).0;
        assert_eq!(again.token_log_probabilities, fresh.token_log_probabilities, "{name}");
        let after = tapped(&model, asked.clone(), &[tap(points[2], 1, TapRows::All)]);
        assert_eq!(after.token_log_probabilities, fresh.token_log_probabilities, "{name}");
        assert_eq!(after.text, fresh.text);
    }
}

#[test]
fn pieces_of_a_prompt_make_no_difference_but_rounding() {
    let folder = tempfile::tempdir().unwrap();
    let model = load(&family(folder.path(), "llama"));
    let text = letters(300, 21);
    let whole = tapped(&model, request(raw(&text), 1), &everything(TapRows::Prompt));
    // A prompt of another length is cut elsewhere: its last rows stand in a shorter piece.
    let shorter = tapped(&model, request(raw(&text[..140]), 1), &everything(TapRows::Prompt));
    for (long, short) in whole.taps.iter().zip(&shorter.taps) {
        let difference = gap(&long.values[..short.values.len()], &short.values);
        println!("{difference}");
        assert!(difference < ROUNDING, "{difference}");
    }
}

#[test]
fn queries_and_keys_do_not_depend_on_their_position_and_are_normalised_where_heads_are() {
    let folder = tempfile::tempdir().unwrap();
    for name in FAMILIES {
        let model = load(&family(folder.path(), name));
        // At layer 0 nothing has been attended to yet, so a letter has one query and one key
        // wherever it stands, unless rotation got in.
        let text = "aXbXcXXdX";
        let taps =
            [tap(TapPoint::Query, 0, TapRows::Prompt), tap(TapPoint::Key, 0, TapRows::Prompt)];
        let generation = tapped(&model, request(raw(text), 1), &taps);
        let start = generation.prompt_tokens as usize - text.len();
        for reading in &generation.taps {
            let of_letter = |letter| {
                let places = text.char_indices().filter(move |(_, c)| *c == letter);
                places.map(|(at, _)| row(reading, start + at)).collect::<Vec<_>>()
            };
            let same = of_letter('X');
            assert_eq!(same.len(), 5);
            for other in &same {
                assert!(gap(other, same[0]) < 1e-5, "{name}");
            }
            assert!(gap(of_letter('a')[0], same[0]) > 1e-3, "{name}");
        }
    }
}

#[test]
fn embedding_rows_of_a_prompt_are_rows_like_others() {
    let folder = tempfile::tempdir().unwrap();
    let model = load(&family(folder.path(), "qwen2"));
    let (before, within, after) = (letters(70, 1), letters(90, 2), letters(30, 3));
    let input = TokenInput::Text { text: within.clone(), special: false };
    let rows = Segment::Embeddings(model.token_embeddings(&input).unwrap());
    let mixed =
        Prompt::Raw(vec![Segment::Text(before.clone()), rows, Segment::Text(after.clone())]);
    let tokens = raw(&format!("{before}{within}{after}"));
    let read = |prompt| tapped(&model, request(prompt, 5), &everything(TapRows::All));
    let (mixed, tokens) = (read(mixed), read(tokens));
    assert_eq!(mixed.taps, tokens.taps);
    assert_eq!(mixed.taps[0].rows, 190 + mixed.written_tokens);
}

#[test]
fn taps_that_cannot_be_read_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let model = load(&family(folder.path(), "qwen2"));
    for (taps, part) in [
        (vec![tap(TapPoint::Key, LAYERS, TapRows::All)], "no layer 4"),
        (vec![tap(TapPoint::LayerOutput, u32::MAX, TapRows::All)], "no layer"),
        (vec![stopping(TapPoint::Key, 1, TapRows::Written)], "written"),
        (
            vec![
                stopping(TapPoint::Key, 1, TapRows::Prompt),
                tap(TapPoint::LayerOutput, 2, TapRows::Prompt),
            ],
            "above",
        ),
    ] {
        let mut asked = request(raw("abc"), 3);
        asked.taps = taps;
        let error = refused(&model, &asked);
        assert_eq!(error.code, ErrorCode::InvalidInput);
        assert!(error.message.contains(part), "{error}");
    }
    with_model(&tiny::embedder(), |model| {
        let mut asked = request(raw("the sea"), 3);
        asked.taps = vec![tap(TapPoint::Key, 0, TapRows::Prompt)];
        assert_eq!(refused(model, &asked).code, ErrorCode::InvalidInput);
    });
}

#[test]
fn a_cancelled_tap_leaves_the_model_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let model = load(&family(folder.path(), "qwen2"));
    let asked = request(raw(&letters(500, 2)), 5);
    let before = tapped(&model, asked.clone(), &everything(TapRows::All));
    let mut stopped = asked.clone();
    stopped.taps = everything(TapRows::All);
    let flag = quartet_llm::never();
    let turn = model.turn(&flag).unwrap();
    let error = turn
        .generate(&stopped, |_| flag.store(true, std::sync::atomic::Ordering::Relaxed))
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Cancelled);
    let after = tapped(&model, asked, &everything(TapRows::All));
    assert_eq!(after.taps, before.taps);
}

#[test]
fn the_small_model_is_tapped_without_a_change_and_stopped_early() {
    let Some(path) = real_model(SMALL) else { return };
    let model = load(&path);
    let text = "The lamp of the lighthouse at Varnholm was lit in 1874 by Ida Kestrel. ".repeat(9);
    let asked = request(raw(&text), 12);
    let plain = generate(&model, &asked).0;
    let taps = [
        tap(TapPoint::Query, 7, TapRows::PromptLast),
        tap(TapPoint::Key, 7, TapRows::All),
        tap(TapPoint::LayerOutput, 20, TapRows::Written),
        tap(TapPoint::FinalNorm, 0, TapRows::PromptLast),
    ];
    let full = tapped(&model, asked.clone(), &taps);
    assert_eq!(full.text, plain.text);
    assert_eq!(full.token_log_probabilities, plain.token_log_probabilities);
    assert_eq!(full.taps[0].width, 14 * 64);
    assert_eq!(full.taps[1].width, 2 * 64);
    assert_eq!(full.taps[2].rows, 12);
    let query = stopping(TapPoint::Query, 7, TapRows::PromptLast);
    let stopped = tapped(&model, asked.clone(), &[query]);
    assert_eq!(stopped.taps[0], full.taps[0]);
    println!(
        "{} tokens: full {:.0} ms, stopped at layer 7 {:.0} ms",
        full.prompt_tokens, plain.prefill_ms, stopped.prefill_ms
    );
    // The final normalisation of all rows, in one pass of its own.
    let norm = tapped(&model, asked, &[stopping(TapPoint::FinalNorm, 0, TapRows::Prompt)]);
    let last = norm.taps[0].rows as usize - 1;
    let similarity = cosine(row(&norm.taps[0], last), row(&full.taps[3], 0));
    println!("final normalisation alone {:.0} ms, cosine {similarity}", norm.prefill_ms);
    // Pieces of 32 rather than 128, over 24 layers of 4-bit weights.
    assert!(similarity > 0.999, "{similarity}");
}
