//! Devices: the checks that decide whether one is trusted.

#![allow(clippy::print_stdout)]

mod common;

use quartet_train::{Compute, Decoder, Wanted};

#[test]
fn the_processor_agrees_with_itself() {
    Compute::cpu().check_device().unwrap();
    let chosen = Compute::trusted(Wanted::Processor);
    assert!(chosen.compute.is_processor() && chosen.reason.is_none());
}

/// Built without a device, it is the processor, and the reason is said.
#[cfg(not(feature = "cuda"))]
#[test]
fn without_the_device_it_is_the_processor() {
    let chosen = Compute::trusted(Wanted::Cuda);
    assert!(chosen.compute.is_processor());
    assert_eq!(chosen.reason.unwrap().code, quartet_types::ErrorCode::NotSupported);
}

/// Training runs on a thread of its own.
#[test]
fn a_decoder_may_move_between_threads() {
    fn movable<T: Send + Sync>() {}
    movable::<Decoder>();
    movable::<Compute>();
}

/// Loss and gradients of tiny models, and some updates, on the graphics device against the
/// processor. A machine without one fails here: the feature was asked for.
#[cfg(feature = "wgpu")]
mod graphics {
    use super::*;
    use common::objective::{Memorise, plan};
    use quartet_train::{
        Control, Holding, LoraPlan, Objective, Pass, Piece, Places, Projection, cross_entropy,
        train, values,
    };

    #[test]
    fn it_computes_what_the_processor_computes() {
        let chosen = Compute::trusted(Wanted::Graphics);
        assert!(chosen.reason.is_none(), "{:?}", chosen.reason);
        let device = chosen.compute;
        assert!(!device.is_processor());
        for family in ["qwen2", "gemma3"] {
            let mut here = Memorise::new(family);
            let mut there = Memorise::new(family);
            let folder = tempfile::tempdir().unwrap();
            let path = common::tiny(folder.path(), family);
            there.decoder = Decoder::load(&path, &device, Holding::Floats).unwrap();
            let mut state = here.state();
            // B is zero at first, and so is the gradient of A: train a little.
            let compute = Compute::cpu();
            let control = Control::new();
            train(&plan(), &compute, &mut here, &mut state, None, &control, &mut |_| {}).unwrap();
            let one = state.parameters.leaves(&compute).unwrap();
            let other = state.parameters.leaves(&device).unwrap();
            let expected = here.gradients(&one, 1, 0).unwrap();
            let found = there.gradients(&other, 1, 0).unwrap();
            println!("{family}: {} and {}", expected.loss, found.loss);
            assert!((expected.loss - found.loss).abs() < 1e-4);
            for index in 0..state.parameters.all().len() {
                let (expected, found) = (expected.of(index), found.of(index));
                let largest = expected.iter().fold(1e-4f32, |most, one| most.max(one.abs()));
                for (one, other) in expected.iter().zip(found) {
                    assert!((one - other).abs() < 1e-3 * largest, "{one} is not {other}");
                }
            }
            let mut elsewhere = here.state();
            train(&plan(), &device, &mut there, &mut elsewhere, None, &control, &mut |_| {})
                .unwrap();
            for (one, other) in state.curve.iter().zip(&elsewhere.curve) {
                assert!((one - other).abs() < 5e-3 * one, "{one} is not {other}");
            }
        }
    }

    /// Loss and gradients of a step through the real expert: adapters in its top layers and one
    /// injected row.
    #[test]
    fn a_step_of_the_expert_is_that_of_the_processor() {
        let Some(path) = common::installed("gemma-3-270m-q4_k_m.gguf") else { return };
        let device = Compute::wgpu();
        let ids: Vec<u32> = (0..8).map(|at| 1000 + at * 977).collect();
        let run = |compute: &Compute| {
            let decoder = Decoder::load(&path, compute, Holding::Floats).unwrap();
            let shapes = decoder.architecture();
            let projections = vec![Projection::Query, Projection::Value, Projection::Down];
            let plan = LoraPlan { layers: 15..18, projections, ..LoraPlan::everywhere(shapes, 4) };
            let mut parameters = plan.parameters(shapes, 3).unwrap();
            // B is not zero, or A would have no gradient.
            let names: Vec<String> = parameters.all().iter().map(|one| one.name.clone()).collect();
            let mut random = common::Random(4);
            for name in names.iter().filter(|name| name.ends_with("lora_b")) {
                let values = parameters.values_mut(name).unwrap();
                let fresh = random.floats(values.len(), 0.02);
                values.copy_from_slice(&fresh);
            }
            let row = values(decoder.embed(&[Piece::Tokens(&ids[3..4])]).unwrap()).unwrap();
            parameters.add("row", 1, row.len(), row).unwrap();
            let leaves = parameters.leaves(compute).unwrap();
            let adapters = plan.adapters(&leaves).unwrap();
            let row = leaves.get("row").unwrap();
            let pieces = [Piece::Tokens(&ids[..3]), Piece::Rows(&row), Piece::Tokens(&ids[4..])];
            let rows = decoder.embed(&pieces).unwrap();
            let places = Places::consecutive(0..8);
            let hidden =
                decoder.run(&Pass::new(&decoder, rows, &places, &adapters)).unwrap().hidden;
            let targets = [(5, ids[6]), (6, ids[7])];
            let loss = cross_entropy(&decoder, hidden, &targets).unwrap();
            let gradients = leaves.gradients(&loss).unwrap();
            let all: Vec<Vec<f32>> = (0..names.len()).map(|at| gradients.of(at).to_vec()).collect();
            (loss.value, all)
        };
        let (found, expected) = (run(&device), run(&Compute::cpu()));
        println!("loss {} and {}", found.0, expected.0);
        assert!((found.0 - expected.0).abs() < 1e-3 * expected.0);
        for (found, expected) in found.1.iter().zip(&expected.1) {
            let largest = expected.iter().fold(0f32, |most, one| most.max(one.abs()));
            assert!(largest > 0.0);
            for (one, other) in found.iter().zip(expected) {
                assert!((one - other).abs() < 5e-3 * largest, "{one} is not {other}");
            }
        }
    }
}
