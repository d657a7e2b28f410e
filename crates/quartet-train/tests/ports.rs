//! Who sees whom, and that shortcuts give what the long way gives.

mod common;

use quartet_train::{Adapters, Compute, Decoder, Holding, KeyValues, Pass, Piece, Places, values};
use quartet_types::{ErrorCode, Tap, TapPoint};

const FAMILIES: [&str; 4] = ["qwen2", "qwen3", "llama", "gemma3"];

fn load(family: &str) -> Decoder {
    let folder = tempfile::tempdir().unwrap();
    let path = common::tiny(folder.path(), family);
    Decoder::load(&path, &Compute::cpu(), Holding::Floats).unwrap()
}

fn run(decoder: &Decoder, ids: &[u32], from: u32, earlier: &[&KeyValues]) -> Vec<Vec<f32>> {
    let places = Places::consecutive(from..from + ids.len() as u32);
    hidden(decoder, ids, &places, earlier, 0..0).0
}

/// The output of every layer, and the keys and values of the layers `keep`.
fn hidden(
    decoder: &Decoder,
    ids: &[u32],
    places: &Places,
    earlier: &[&KeyValues],
    keep: std::ops::Range<usize>,
) -> (Vec<Vec<f32>>, KeyValues) {
    let none = Adapters::none();
    let tap = |layer| Tap { point: TapPoint::LayerOutput, layer, stop_after: false };
    let taps: Vec<Tap> = (0..common::LAYERS as u32).map(tap).collect();
    let rows = decoder.embed(&[Piece::Tokens(ids)]).unwrap();
    let pass = Pass { earlier, taps: &taps, keep, ..Pass::new(decoder, rows, places, &none) };
    let outcome = decoder.run(&pass).unwrap();
    (outcome.taps.into_iter().map(|tap| values(tap).unwrap()).collect(), outcome.key_values)
}

fn close(one: &[f32], other: &[f32]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| (a - b).abs() < 1e-4)
}

fn tail(layer: &[f32], rows: usize) -> &[f32] {
    &layer[layer.len() - rows * common::WIDTH..]
}

#[test]
fn a_later_token_changes_nothing_before_it() {
    for family in FAMILIES {
        let decoder = load(family);
        let mut ids = common::sequence();
        let before = run(&decoder, &ids, 0, &[]);
        ids[10] = 50;
        let after = run(&decoder, &ids, 0, &[]);
        for (before, after) in before.iter().zip(&after) {
            assert!(close(&before[..10 * common::WIDTH], &after[..10 * common::WIDTH]));
            assert!(!close(tail(before, 1), tail(after, 1)), "{family}");
        }
    }
}

#[test]
fn raw_rows_of_real_tokens_are_those_tokens() {
    for family in FAMILIES {
        let decoder = load(family);
        let (ids, none) = (common::sequence(), Adapters::none());
        let places = Places::consecutive(0..16);
        let rows = decoder.embed(&[Piece::Tokens(&ids[5..7])]).unwrap();
        let pieces = [Piece::Tokens(&ids[..5]), Piece::Rows(&rows), Piece::Tokens(&ids[7..])];
        let mixed = decoder.embed(&pieces).unwrap();
        let outcome = decoder.run(&Pass::new(&decoder, mixed, &places, &none)).unwrap();
        assert_eq!(values(outcome.hidden).unwrap(), run(&decoder, &ids, 0, &[])[3], "{family}");
    }
}

#[test]
fn a_cached_prefix_is_the_prefix() {
    for family in FAMILIES {
        let decoder = load(family);
        let ids = common::sequence();
        let whole = run(&decoder, &ids, 0, &[]);
        let (_, prefix) = hidden(&decoder, &ids[..9], &Places::consecutive(0..9), &[], 0..4);
        let rest = run(&decoder, &ids[9..], 9, &[&prefix]);
        for (whole, rest) in whole.iter().zip(&rest) {
            assert!(close(tail(whole, 7), rest), "{family}");
        }
    }
}

#[test]
fn packed_sequences_do_not_see_each_other() {
    for family in FAMILIES {
        let decoder = load(family);
        let ids = common::sequence();
        let places = Places::packed(&[5, 11], 0);
        let (packed, _) = hidden(&decoder, &ids, &places, &[], 0..0);
        let (first, second) = (run(&decoder, &ids[..5], 0, &[]), run(&decoder, &ids[5..], 0, &[]));
        for layer in 0..common::LAYERS {
            assert!(close(&packed[layer][..5 * common::WIDTH], &first[layer]), "{family}");
            assert!(close(tail(&packed[layer], 11), &second[layer]), "{family}");
        }
    }
}

#[test]
fn passages_are_seen_in_their_layers_and_nowhere_else() {
    let decoder = load("qwen2");
    let ids = common::sequence();
    let (_, passage) = hidden(&decoder, &ids[..6], &Places::consecutive(0..6), &[], 0..4);
    let alone = run(&decoder, &ids[6..], 20, &[]);

    // Revealed everywhere, at the next positions: plain decoding.
    let joined = run(&decoder, &ids[6..], 6, &[&passage]);
    assert!(close(tail(&run(&decoder, &ids, 0, &[])[3], 10), &joined[3]));

    // Hidden everywhere: no passages.
    let hidden = passage.clone().visible_in(0..0);
    assert_eq!(run(&decoder, &ids[6..], 20, &[&hidden]), alone);

    // Revealed in layers 1 and 2: layer 0 is bit for bit the same, layer 1 is not.
    let some = passage.visible_in(1..3);
    assert!(some.is_visible(2) && !some.is_visible(3));
    let shown = run(&decoder, &ids[6..], 20, &[&some]);
    assert_eq!(shown[0], alone[0]);
    assert!(!close(&shown[1], &alone[1]));

    // What layers outside would have seen does not matter.
    let (_, other) = {
        let mut ids = ids[..6].to_vec();
        ids[3] = 77;
        super_hidden(&decoder, &ids)
    };
    let swapped = run(&decoder, &ids[6..], 20, &[&other.visible_in(1..3)]);
    assert_eq!(swapped[0], shown[0]);
    assert!(!close(&swapped[1], &shown[1]));
}

fn super_hidden(decoder: &Decoder, ids: &[u32]) -> (Vec<Vec<f32>>, KeyValues) {
    let places = Places::consecutive(0..ids.len() as u32);
    hidden(decoder, ids, &places, &[], 0..4)
}

#[test]
fn independent_passages_may_overlap_in_position() {
    let decoder = load("qwen2");
    let ids = common::sequence();
    let (_, first) = super_hidden(&decoder, &ids[..4]);
    let (_, second) = super_hidden(&decoder, &ids[4..8]);
    let both = run(&decoder, &ids[8..], 20, &[&first, &second]);
    let swapped = run(&decoder, &ids[8..], 20, &[&second, &first]);
    assert!(close(&both[3], &swapped[3]));
    assert!(!close(&both[3], &run(&decoder, &ids[8..], 20, &[&first])[3]));
}

#[test]
fn upper_layers_go_on_from_cached_lower_ones() {
    let decoder = load("gemma3");
    let (ids, none) = (common::sequence(), Adapters::none());
    let places = Places::consecutive(0..16);
    let rows = decoder.embed(&[Piece::Tokens(&ids)]).unwrap();
    let whole = Pass::new(&decoder, rows, &places, &none);
    let lower = decoder.run(&Pass { layers: 0..2, ..whole.clone() }).unwrap().hidden;
    assert!(!lower.is_autodiff());
    let upper = decoder.run(&Pass { rows: lower, layers: 2..4, ..whole.clone() }).unwrap();
    let direct = decoder.run(&whole).unwrap();
    assert_eq!(values(upper.hidden).unwrap(), values(direct.hidden).unwrap());
}

#[test]
fn weights_held_as_stored_give_the_same_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let path = common::tiny(folder.path(), "qwen3");
    let stored = Decoder::load(&path, &Compute::cpu(), Holding::Stored).unwrap();
    let ids = common::sequence();
    let (kept, stored) = (run(&load("qwen3"), &ids, 0, &[]), run(&stored, &ids, 0, &[]));
    assert_eq!(kept, stored);
}

#[test]
fn what_does_not_fit_is_refused() {
    let decoder = load("qwen2");
    let none = Adapters::none();
    let refused = |result: quartet_types::Result<()>| {
        assert_eq!(result.unwrap_err().code, ErrorCode::InvalidInput);
    };
    refused(decoder.embed(&[]).map(drop));
    refused(decoder.embed(&[Piece::Tokens(&[96])]).map(drop));
    let narrow = Compute::cpu().matrix(vec![0.0; 8], 1, 8).unwrap();
    refused(decoder.embed(&[Piece::Rows(&narrow)]).map(drop));
    let rows = decoder.embed(&[Piece::Tokens(&[5, 6])]).unwrap();
    let places = Places::consecutive(0..3);
    refused(decoder.run(&Pass::new(&decoder, rows.clone(), &places, &none)).map(drop));
    let places = Places::consecutive(0..2);
    let pass = Pass { layers: 0..5, ..Pass::new(&decoder, rows.clone(), &places, &none) };
    refused(decoder.run(&pass).map(drop));
    let taps = [Tap { point: TapPoint::Key, layer: 3, stop_after: false }];
    let pass = Pass { layers: 0..2, taps: &taps, ..Pass::new(&decoder, rows, &places, &none) };
    refused(decoder.run(&pass).map(drop));
}
