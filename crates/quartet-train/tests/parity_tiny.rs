//! Tiny models of every family against numbers from llama.cpp (32-bit weights and cache, no
//! flash attention; the models are those of `common::writer`).

#![allow(clippy::print_stdout)]

mod common;

use quartet_train::{
    Adapters, Compute, Decoder, Holding, Pass, Piece, Places, adapter_writer, read_adapter, values,
};
use quartet_types::{Tap, TapPoint};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Golden {
    rows: Vec<usize>,
    ids: Vec<u32>,
    logits: Vec<Vec<f32>>,
    /// With `common::random_adapter` at scale 0.5.
    adapted: Vec<Vec<f32>>,
    /// Last row of each layer.
    layers: Vec<Vec<f32>>,
    norm: Vec<f32>,
    /// Layer 1, last row, before rotation.
    query: Vec<f32>,
    key: Vec<f32>,
}

fn close(what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
    println!("{what}: largest difference {worst:e}");
    // The engine looks the GELU of Gemma up in a table of 16-bit floats.
    let bound = if what.starts_with("gemma") { 2.5e-3 } else { 1e-4 };
    assert!(worst < bound, "{what} differs by {worst}");
}

#[test]
fn every_family_gives_the_numbers_of_the_engine() {
    let golden: BTreeMap<String, Golden> =
        serde_json::from_str(include_str!("fixtures/tiny-golden.json")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (family, golden) in golden {
        let path = common::tiny(folder.path(), &family);
        let decoder = Decoder::load(&path, &Compute::cpu(), Holding::Floats).unwrap();
        assert_eq!(golden.ids, common::sequence());
        let places = Places::consecutive(0..16);
        let tap = |point, layer| Tap { point, layer, stop_after: false };
        let mut taps: Vec<Tap> = (0..4).map(|layer| tap(TapPoint::LayerOutput, layer)).collect();
        taps.extend([tap(TapPoint::FinalNorm, 0), tap(TapPoint::Query, 1), tap(TapPoint::Key, 1)]);
        let none = Adapters::none();
        let rows = decoder.embed(&[Piece::Tokens(&golden.ids)]).unwrap();
        let pass = Pass { taps: &taps, ..Pass::new(&decoder, rows.clone(), &places, &none) };
        let outcome = decoder.run(&pass).unwrap();
        let last = |index: usize| values(outcome.taps[index].clone().narrow(0, 15, 1)).unwrap();
        for (layer, expected) in golden.layers.iter().enumerate() {
            close(&format!("{family} layer {layer}"), &last(layer), expected);
        }
        close(&format!("{family} norm"), &last(4), &golden.norm);
        close(&format!("{family} query"), &last(5), &golden.query);
        close(&format!("{family} key"), &last(6), &golden.key);
        let logits = decoder.logits(outcome.hidden).unwrap();
        for (row, expected) in golden.rows.iter().zip(&golden.logits) {
            let found = values(logits.clone().narrow(0, *row, 1)).unwrap();
            close(&format!("{family} logits of row {row}"), &found, expected);
        }

        let (plan, parameters) = common::random_adapter(decoder.architecture());
        let adapter = folder.path().join("adapter.gguf");
        let file = adapter_writer(decoder.architecture(), &plan, &parameters, &[]).unwrap();
        file.write(&adapter).unwrap();
        let compute = decoder.compute();
        let adapters = read_adapter(&adapter, decoder.architecture(), compute, 0.5).unwrap();
        let outcome = decoder.run(&Pass::new(&decoder, rows, &places, &adapters)).unwrap();
        let logits = decoder.logits(outcome.hidden).unwrap();
        for (row, expected) in golden.rows.iter().zip(&golden.adapted) {
            let found = values(logits.clone().narrow(0, *row, 1)).unwrap();
            close(&format!("{family} adapted logits of row {row}"), &found, expected);
        }
    }
}
