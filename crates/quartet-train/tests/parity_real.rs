//! The real models against llama.cpp: which token each of them finds most probable.

#![allow(clippy::print_stdout)]

mod common;

use burn::tensor::Tensor;
use quartet_train::{
    Adapters, Compute, Decoder, Holding, LoraPlan, Pass, Piece, Places, cross_entropy,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    prompts: Vec<Prompt>,
}

#[derive(Deserialize)]
struct Prompt {
    ids: Vec<u32>,
    top: Vec<u32>,
    /// By how much the most probable token led the second.
    gap: Vec<f64>,
}

/// llama.cpp rounds activations to eight bits before a product, the trainer does not: only a
/// lead smaller than that may change hands.
fn agrees(model: &str, golden: &str) {
    let Some(path) = common::installed(model) else { return };
    let golden: Golden = serde_json::from_str(golden).unwrap();
    let decoder = Decoder::load(&path, &Compute::cpu(), Holding::Floats).unwrap();
    let none = Adapters::none();
    let (mut all, mut same, mut clear, mut clear_same, mut last_same) = (0, 0, 0, 0, 0);
    for group in golden.prompts.chunks(8) {
        let lengths: Vec<usize> = group.iter().map(|prompt| prompt.ids.len()).collect();
        let ids: Vec<u32> = group.iter().flat_map(|prompt| prompt.ids.clone()).collect();
        let places = Places::packed(&lengths, 0);
        let rows = decoder.embed(&[Piece::Tokens(&ids)]).unwrap();
        let hidden = decoder.run(&Pass::new(&decoder, rows, &places, &none)).unwrap().hidden;
        let logits = decoder.logits(hidden).unwrap();
        let top: Vec<i64> = logits.argmax(1).into_data().iter::<i64>().collect();
        let mut at = 0;
        for prompt in group {
            for (index, (expected, gap)) in prompt.top.iter().zip(&prompt.gap).enumerate() {
                let hit = usize::from(top[at] == i64::from(*expected));
                at += 1;
                all += 1;
                same += hit;
                if *gap > 0.5 {
                    clear += 1;
                    clear_same += hit;
                }
                if index + 1 == prompt.top.len() {
                    last_same += hit;
                }
            }
        }
    }
    let prompts = golden.prompts.len();
    println!(
        "{model}: {same}/{all} rows, {clear_same}/{clear} clear rows, {last_same}/{prompts} last rows"
    );
    assert!(clear_same * 1000 >= clear * 995, "{clear_same} of {clear} clear rows agree");
    assert!(same * 100 >= all * 93, "{same} of {all} rows agree");
    assert!(last_same * 100 >= prompts * 96, "{last_same} of {prompts} last rows agree");
}

#[test]
fn gemma_agrees_with_the_engine() {
    agrees("gemma-3-270m-q4_k_m.gguf", include_str!("fixtures/top-gemma-3-270m.json"));
}

#[test]
fn qwen_agrees_with_the_engine() {
    agrees(
        "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        include_str!("fixtures/top-qwen2.5-coder-0.5b.json"),
    );
}

/// The slope of the loss along its own gradient by one injected row, against a central
/// difference.
#[test]
fn the_gradient_of_an_injected_row_is_the_slope_of_the_loss() {
    let Some(path) = common::installed("gemma-3-270m-q4_k_m.gguf") else { return };
    let decoder = Decoder::load(&path, &Compute::cpu(), Holding::Floats).unwrap();
    let golden: Golden =
        serde_json::from_str(include_str!("fixtures/top-gemma-3-270m.json")).unwrap();
    let ids = &golden.prompts[0].ids;
    let none = Adapters::none();
    let places = Places::consecutive(0..ids.len() as u32);
    let targets: Vec<_> = (6..ids.len() - 1).map(|row| (row, ids[row + 1])).collect();
    let loss = |row: &Tensor<2>| {
        let pieces = [Piece::Tokens(&ids[..3]), Piece::Rows(row), Piece::Tokens(&ids[4..])];
        let rows = decoder.embed(&pieces).unwrap();
        let hidden = decoder.run(&Pass::new(&decoder, rows, &places, &none)).unwrap().hidden;
        cross_entropy(&decoder, hidden, &targets).unwrap()
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
    let Some(path) = common::installed("gemma-3-270m-q4_k_m.gguf") else { return };
    let compute = Compute::cpu();
    let decoder = Decoder::load(&path, &compute, Holding::Floats).unwrap();
    let golden: Golden =
        serde_json::from_str(include_str!("fixtures/top-gemma-3-270m.json")).unwrap();
    let ids = &golden.prompts[0].ids;
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
            parameters.leaves(&compute).unwrap()
        } else {
            parameters.constants(&compute).unwrap()
        };
        let adapters = plan.adapters(&leaves).unwrap();
        let rows = decoder.embed(&[Piece::Tokens(ids)]).unwrap();
        let hidden = decoder.run(&Pass::new(&decoder, rows, &places, &adapters)).unwrap().hidden;
        (cross_entropy(&decoder, hidden, &targets).unwrap(), leaves)
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
