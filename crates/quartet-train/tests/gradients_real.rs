//! The gradient of a real model against the slope of its loss.

#![allow(clippy::print_stdout)]

mod common;

use burn::tensor::Tensor;
use quartet_train::{
    Adapters, Compute, Decoder, Holding, LoraPlan, Pass, Piece, Places, cross_entropy,
};
use std::sync::OnceLock;

/// A sentence in tokens of Gemma 3.
const IDS: [u32; 13] = [2, 818, 63937, 64222, 7971, 1418, 9137, 528, 496, 1944, 3730, 2260, 1003];

/// The expert, loaded once for all tests that are run together.
fn gemma() -> Option<&'static Decoder> {
    static LOADED: OnceLock<Option<Decoder>> = OnceLock::new();
    let load = || {
        let path = common::installed("gemma-3-270m-q4_k_m.gguf")?;
        Some(Decoder::load(&path, &Compute::cpu(), Holding::Floats).unwrap())
    };
    LOADED.get_or_init(load).as_ref()
}

/// The slope of the loss along its own gradient by one injected row, against a central
/// difference.
#[test]
fn the_gradient_of_an_injected_row_is_the_slope_of_the_loss() {
    let Some(decoder) = gemma() else { return };
    let ids = &IDS;
    let none = Adapters::none();
    let places = Places::consecutive(0..ids.len() as u32);
    let targets: Vec<_> = (6..ids.len() - 1).map(|row| (row, ids[row + 1])).collect();
    let loss = |row: &Tensor<2>| {
        let pieces = [Piece::Tokens(&ids[..3]), Piece::Rows(row), Piece::Tokens(&ids[4..])];
        let rows = decoder.embed(&pieces).unwrap();
        let hidden = decoder.run(&Pass::new(decoder, rows, &places, &none)).unwrap().hidden;
        cross_entropy(decoder, hidden, &targets).unwrap()
    };
    let row = decoder.embed(&[Piece::Tokens(&ids[3..4])]).unwrap();
    let leaf = row.clone().autodiff().require_grad();
    let found = loss(&leaf).graph.backward();
    let gradient = leaf.grad(&found).unwrap();
    let squares: f32 = (gradient.clone() * gradient.clone()).sum().into_scalar();
    let length = f64::from(squares).sqrt();
    let direction = gradient.div_scalar(length);
    let step = 0.05;
    let moved = |by: f64| loss(&(row.clone() + direction.clone().mul_scalar(by))).value;
    let slope = (moved(step) - moved(-step)) / (2.0 * step);
    println!("length of the gradient {length}, slope {slope}");
    assert!((slope / length - 1.0).abs() < 0.01, "{slope} is not {length}");
}

/// The same along the gradient by adapters on every linear.
#[test]
fn the_gradient_of_adapters_is_the_slope_of_the_loss() {
    let Some(decoder) = gemma() else { return };
    let compute = decoder.compute();
    let ids = &IDS;
    let places = Places::consecutive(0..ids.len() as u32);
    let targets: Vec<_> = (0..ids.len() - 1).map(|row| (row, ids[row + 1])).collect();
    let plan = LoraPlan::everywhere(decoder.architecture(), 4);
    let mut parameters = plan.parameters(decoder.architecture(), 3).unwrap();
    // B is not zero, or A would have no gradient.
    let names: Vec<String> = parameters.all().iter().map(|one| one.name.clone()).collect();
    let mut random = common::Random(4);
    for name in names.iter().filter(|name| name.ends_with("lora_b")) {
        let values = parameters.values_mut(name).unwrap();
        let fresh = random.floats(values.len(), 0.01);
        values.copy_from_slice(&fresh);
    }
    let run = |parameters: &quartet_train::Parameters, is_tracked: bool| {
        let leaves = if is_tracked {
            parameters.leaves(compute).unwrap()
        } else {
            parameters.constants(compute).unwrap()
        };
        let adapters = plan.adapters(&leaves).unwrap();
        let rows = decoder.embed(&[Piece::Tokens(ids)]).unwrap();
        let hidden = decoder.run(&Pass::new(decoder, rows, &places, &adapters)).unwrap().hidden;
        (cross_entropy(decoder, hidden, &targets).unwrap(), leaves)
    };
    let (loss, leaves) = run(&parameters, true);
    let gradients = leaves.gradients(&loss).unwrap();
    let length = gradients.norm();
    let moved = |by: f64| {
        let mut moved = parameters.clone();
        for (index, name) in names.iter().enumerate() {
            let values = moved.values_mut(name).unwrap().iter_mut();
            for (value, slope) in values.zip(gradients.of(index)) {
                *value += (by * f64::from(*slope) / length) as f32;
            }
        }
        run(&moved, false).0.value
    };
    let step = 2e-3;
    let slope = (moved(step) - moved(-step)) / (2.0 * step);
    println!("length of the gradient {length}, slope {slope}");
    assert!((slope / length - 1.0).abs() < 0.01, "{slope} is not {length}");
}
