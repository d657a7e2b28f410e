//! Gradients against central differences, in 64 bits, for everything that can be trained.

mod common;

use burn::tensor::Tensor;
use quartet_train::{
    Adapters, Compute, Decoder, Distillation, Holding, KeyValues, LowRank, Pass, Piece, Places,
    Projection, TeacherRow, chained, cosine_distance, cross_entropy, distilled_cross_entropy,
    mean_squared_error, retrieval_loss, values_f64,
};
use quartet_types::{Tap, TapPoint};

const FAMILIES: [&str; 4] = ["qwen2", "qwen3", "llama", "gemma3"];
const STEP: f64 = 1e-5;

fn load(family: &str, holding: Holding) -> Decoder {
    let folder = tempfile::tempdir().unwrap();
    let path = common::tiny(folder.path(), family);
    Decoder::load(&path, &Compute::cpu_f64(), holding).unwrap()
}

fn numbers(seed: u64, count: usize, scale: f32) -> Vec<f64> {
    common::Random(seed).floats(count, scale).into_iter().map(f64::from).collect()
}

/// Checks the gradient of `loss` by every input (or every `stride`-th number of it).
fn check(
    what: &str,
    inputs: &[([usize; 2], Vec<f64>)],
    stride: usize,
    loss: impl Fn(&[Tensor<2>]) -> Tensor<1>,
) {
    let compute = Compute::cpu_f64();
    let put = |inputs: &[([usize; 2], Vec<f64>)]| -> Vec<Tensor<2>> {
        inputs.iter().map(|(shape, all)| compute.tensor_f64(all.clone(), *shape).unwrap()).collect()
    };
    let leaves: Vec<Tensor<2>> =
        put(inputs).into_iter().map(|tensor| tensor.autodiff().require_grad()).collect();
    let found = loss(&leaves).backward();
    let value = |inputs: &[([usize; 2], Vec<f64>)]| values_f64(loss(&put(inputs))).unwrap()[0];
    for (index, leaf) in leaves.iter().enumerate() {
        let gradient = values_f64(leaf.grad(&found).expect("a gradient")).unwrap();
        let largest = gradient.iter().fold(0f64, |most, one| most.max(one.abs()));
        assert!(largest > 1e-6, "{what}: input {index} has no influence");
        for at in (index % stride..gradient.len()).step_by(stride) {
            let moved = |by: f64| {
                let mut inputs = inputs.to_vec();
                inputs[index].1[at] += by;
                value(&inputs)
            };
            let slope = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
            let error = (slope - gradient[at]).abs();
            assert!(
                error < 1e-6 * largest.max(slope.abs()) + 1e-9,
                "{what}: input {index} at {at}: {} is not {slope}",
                gradient[at]
            );
        }
    }
}

/// A prompt with two raw rows in the middle, and targets on its last four rows.
fn prompt(decoder: &Decoder, raw: &Tensor<2>) -> (Tensor<2>, Places, Vec<(usize, u32)>) {
    let ids = common::sequence();
    let pieces = [Piece::Tokens(&ids[..4]), Piece::Rows(raw), Piece::Tokens(&ids[6..12])];
    let rows = decoder.embed(&pieces).unwrap();
    let targets = (8..12).map(|row| (row, ids[row + 1])).collect();
    (rows, Places::consecutive(0..12), targets)
}

fn adapters_of(inputs: &[Tensor<2>]) -> Adapters {
    let mut adapters = Adapters::none();
    let places = [(0, Projection::Query), (1, Projection::Down), (2, Projection::Key)];
    for ((layer, projection), pair) in places.into_iter().zip(inputs.chunks(2)) {
        let low_rank = LowRank { a: pair[0].clone(), b: pair[1].clone(), factor: 0.7 };
        adapters.add(layer, projection, low_rank).unwrap();
    }
    adapters
}

/// A raw row pair and three adapters.
fn inputs() -> Vec<([usize; 2], Vec<f64>)> {
    let shapes = [[2, 32], [2, 32], [32, 2], [2, 48], [32, 2], [2, 32], [16, 2]];
    let fill = |(seed, shape): (usize, [usize; 2])| {
        (shape, numbers(seed as u64, shape[0] * shape[1], 0.4))
    };
    shapes.into_iter().enumerate().map(fill).collect()
}

#[test]
fn raw_rows_and_adapters_of_every_family() {
    for family in FAMILIES {
        let decoder = load(family, Holding::Floats);
        check(family, &inputs(), 5, |inputs| {
            let (rows, places, targets) = prompt(&decoder, &inputs[0]);
            let adapters = adapters_of(&inputs[1..]);
            let outcome = decoder.run(&Pass::new(&decoder, rows, &places, &adapters)).unwrap();
            cross_entropy(&decoder, outcome.hidden, &targets).unwrap().graph
        });
    }
}

#[test]
fn a_chained_pass_has_the_same_loss_and_gradients() {
    let compute = Compute::cpu_f64();
    for (family, holding) in
        [("qwen2", Holding::Floats), ("gemma3", Holding::Stored), ("llama", Holding::Stored)]
    {
        let decoder = load(family, holding);
        let leaves: Vec<Tensor<2>> = inputs()
            .into_iter()
            .map(|(shape, all)| compute.tensor_f64::<2>(all, shape).unwrap())
            .map(|tensor| tensor.autodiff().require_grad())
            .collect();
        let run = |is_chained: bool| {
            let (rows, places, targets) = prompt(&decoder, &leaves[0]);
            let adapters = adapters_of(&leaves[1..]);
            let pass = Pass::new(&decoder, rows, &places, &adapters);
            let top = |hidden: Tensor<2>| cross_entropy(&decoder, hidden, &targets);
            let loss = if is_chained {
                chained(&decoder, &pass, top).unwrap()
            } else {
                top(decoder.run(&pass).unwrap().hidden).unwrap()
            };
            let found = loss.graph.backward();
            let slopes = leaves.iter().map(|leaf| values_f64(leaf.grad(&found).unwrap()).unwrap());
            (loss.value, values_f64(loss.graph).unwrap()[0], slopes.collect::<Vec<_>>())
        };
        let (direct, recomputed) = (run(false), run(true));
        assert!((direct.0 - recomputed.0).abs() < 1e-12);
        assert!((direct.1 - direct.0).abs() < 1e-12 && (recomputed.1 - direct.0).abs() < 1e-12);
        for (one, other) in direct.2.iter().flatten().zip(recomputed.2.iter().flatten()) {
            assert!((one - other).abs() < 1e-12, "{one} is not {other}");
        }
    }
}

#[test]
fn a_generated_adapter() {
    let decoder = load("qwen2", Holding::Floats);
    // A network from a code of four numbers to both matrices of an adapter.
    let inputs = [
        ([1, 4], numbers(1, 4, 1.0)),
        ([4, 64], numbers(2, 256, 0.3)),
        ([4, 32], numbers(3, 128, 0.3)),
    ];
    check("generated", &inputs, 3, |inputs| {
        let a = inputs[0].clone().matmul(inputs[1].clone()).tanh().reshape([2, 32]);
        let b = inputs[0].clone().matmul(inputs[2].clone()).tanh().reshape([16, 2]);
        let mut adapters = Adapters::none();
        for layer in [1, 3] {
            let low_rank = LowRank { a: a.clone(), b: b.clone(), factor: 1.0 };
            adapters.add(layer, Projection::Value, low_rank).unwrap();
        }
        let ids = common::sequence();
        let places = Places::consecutive(0..10);
        let rows = decoder.embed(&[Piece::Tokens(&ids[..10])]).unwrap();
        let outcome = decoder.run(&Pass::new(&decoder, rows, &places, &adapters)).unwrap();
        cross_entropy(&decoder, outcome.hidden, &[(4, 9), (9, 30)]).unwrap().graph
    });
}

#[test]
fn passages_seen_by_some_layers() {
    let decoder = load("qwen2", Holding::Floats);
    let ids = common::sequence();
    let inputs = [([5, 32], numbers(4, 160, 0.6))];
    check("passage", &inputs, 3, |inputs| {
        let none = Adapters::none();
        let places = Places::consecutive(0..5);
        let pass = Pass {
            layers: 0..3,
            keep: 1..3,
            ..Pass::new(&decoder, inputs[0].clone(), &places, &none)
        };
        let passage: KeyValues = decoder.run(&pass).unwrap().key_values;
        let places = Places::consecutive(20..26);
        let rows = decoder.embed(&[Piece::Tokens(&ids[..6])]).unwrap();
        let pass = Pass { earlier: &[&passage], ..Pass::new(&decoder, rows, &places, &none) };
        let hidden = decoder.run(&pass).unwrap().hidden;
        cross_entropy(&decoder, hidden, &[(4, 9), (5, 30)]).unwrap().graph
    });
}

#[test]
fn distillation_and_hidden_state_losses() {
    let decoder = load("qwen2", Holding::Floats);
    let inputs = [([3, 32], numbers(5, 96, 1.0)), ([3, 32], numbers(6, 96, 1.0))];
    let teacher: Vec<TeacherRow> = (0..3)
        .map(|row| TeacherRow {
            ids: vec![row, 40 + row, 80],
            log_probabilities: vec![0.5f64.ln(), 0.2f64.ln(), 0.1f64.ln()],
        })
        .collect();
    check("distillation", &inputs[..1], 1, |inputs| {
        let distillation = Distillation { teacher: &teacher, temperature: 1.7, weight: 0.4 };
        let targets = [(0, 3), (1, 40), (2, 95)];
        let hidden = inputs[0].clone();
        distilled_cross_entropy(&decoder, hidden, &targets, 0.6, Some(distillation)).unwrap().graph
    });
    check("cosine", &inputs, 1, |inputs| cosine_distance(inputs[0].clone(), inputs[1].clone()));
    check("retrieval", &[([2, 5], numbers(8, 10, 3.0))], 1, |inputs| {
        let (p, n) = (Some(true), Some(false));
        retrieval_loss(&inputs[0], &[p, n, n, p, None, n, p, n, None, n]).unwrap()
    });
    check("squares", &inputs, 1, |inputs| mean_squared_error(inputs[0].clone(), inputs[1].clone()));
}

#[test]
fn queries_and_keys_that_are_read_out() {
    for family in FAMILIES {
        let decoder = load(family, Holding::Floats);
        let taps = [
            Tap { point: TapPoint::Query, layer: 2, stop_after: false },
            Tap { point: TapPoint::Key, layer: 1, stop_after: false },
        ];
        check(family, &inputs()[..3], 7, |inputs| {
            let (rows, places, _) = prompt(&decoder, &inputs[0]);
            let adapters = adapters_of(&inputs[1..]);
            let pass =
                Pass { layers: 0..3, taps: &taps, ..Pass::new(&decoder, rows, &places, &adapters) };
            let outcome = decoder.run(&pass).unwrap();
            let last = |index: usize| outcome.taps[index].clone().narrow(0, 11, 1);
            let (query, key) = (last(0).reshape([2, 2, 8]), last(1).reshape([2, 8]));
            // The score of ImpRAG: queries of a group averaged, then an inner product.
            (query.mean_dim(1).reshape([2, 8]) * key).sum()
        });
    }
}

/// A learnt head over a query and the keys of passages that were read out, and the adapters of the
/// layers below, through the loss that trains them.
#[test]
fn a_retrieval_head() {
    let decoder = load("qwen2", Holding::Floats);
    let ids = common::sequence();
    let shapes = [[2, 32], [32, 2], [2, 48], [32, 2], [2, 32], [16, 2], [32, 5], [16, 5]];
    let fill = |(seed, shape): (usize, [usize; 2])| {
        (shape, numbers(20 + seed as u64, shape[0] * shape[1], 0.4))
    };
    let inputs: Vec<_> = shapes.into_iter().enumerate().map(fill).collect();
    let read = |adapters: &Adapters, ids: &[u32], point: TapPoint| {
        let taps = [Tap { point, layer: 2, stop_after: false }];
        let places = Places::consecutive(0..ids.len() as u32);
        let rows = decoder.embed(&[Piece::Tokens(ids)]).unwrap();
        let pass =
            Pass { layers: 0..3, taps: &taps, ..Pass::new(&decoder, rows, &places, adapters) };
        decoder.run(&pass).unwrap().taps.remove(0)
    };
    check("retrieval head", &inputs, 5, |inputs| {
        let adapters = adapters_of(&inputs[..6]);
        let query = read(&adapters, &ids[..6], TapPoint::Query).narrow(0, 5, 1);
        let keys = [0..5, 5..11, 11..16].map(|range: std::ops::Range<usize>| {
            read(&adapters, &ids[range], TapPoint::Key).mean_dim(0)
        });
        let keys = Tensor::cat(keys.to_vec(), 0).matmul(inputs[7].clone());
        let scores = query.matmul(inputs[6].clone()).matmul(keys.transpose());
        retrieval_loss(&scores, &[Some(false), Some(true), Some(false)]).unwrap()
    });
}

#[test]
fn the_retrieval_loss_is_that_of_the_paper() {
    let compute = Compute::cpu_f64();
    let loss = |scores: &[f64], labels: &[Option<bool>]| {
        let scores = compute.tensor_f64(scores.to_vec(), [1, scores.len()]).unwrap();
        values_f64(retrieval_loss(&scores, labels).unwrap()).unwrap()[0]
    };
    let (p, n) = (Some(true), Some(false));
    // One positive: InfoNCE.
    let single = -(2f64.exp() / (2f64.exp() + 1f64.exp() + 3f64.exp())).ln();
    assert!((loss(&[2.0, 1.0, 3.0], &[p, n, n]) - single).abs() < 1e-12);
    // A second positive adds its own term and does not touch the first.
    let second = -(0.5f64.exp() / (0.5f64.exp() + 1f64.exp() + 3f64.exp())).ln();
    assert!((loss(&[2.0, 1.0, 3.0, 0.5], &[p, n, n, p]) - single - second).abs() < 1e-12);
    assert!((loss(&[2000.0, 1.0], &[p, n])).abs() < 1e-12);
    assert!((loss(&[1.0, 2000.0], &[p, n]) - 1999.0).abs() < 1e-9);
    let scores = compute.tensor_f64(vec![1.0, 2.0], [1, 2]).unwrap();
    assert!(retrieval_loss(&scores, &[p, p]).is_err());
}

#[test]
fn distillation_from_oneself_costs_nothing() {
    let decoder = load("qwen2", Holding::Floats);
    let compute = Compute::cpu_f64();
    let hidden = compute.tensor_f64(numbers(9, 32, 1.0), [1, 32]).unwrap();
    let logits = values_f64(decoder.logits(hidden.clone()).unwrap()).unwrap();
    let raised: Vec<f64> = logits.iter().map(|logit| logit / 2.0).collect();
    let total = raised.iter().map(|one| one.exp()).sum::<f64>().ln();
    let ids: Vec<u32> = vec![3, 8, 50, 90];
    let log_probabilities = ids.iter().map(|id| raised[*id as usize] - total).collect();
    let teacher = [TeacherRow { ids, log_probabilities }];
    let distillation = Distillation { teacher: &teacher, temperature: 2.0, weight: 1.0 };
    let leaf = hidden.autodiff().require_grad();
    let loss = distilled_cross_entropy(&decoder, leaf.clone(), &[(0, 3)], 0.0, Some(distillation));
    let loss = loss.unwrap();
    assert!(loss.value.abs() < 1e-9, "{}", loss.value);
    let found = loss.graph.backward();
    let gradient = values_f64(leaf.grad(&found).unwrap()).unwrap();
    assert!(gradient.iter().all(|slope| slope.abs() < 1e-9));
}
