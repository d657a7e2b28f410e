//! Devices: the checks that decide whether one is trusted.

#![allow(clippy::print_stdout)]

mod common;

use quartet_train::{Compute, Decoder};

#[test]
fn the_processor_agrees_with_itself() {
    Compute::cpu().check_device().unwrap();
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
    use quartet_train::{Control, Holding, Objective, train};

    #[test]
    fn it_computes_what_the_processor_computes() {
        let device = Compute::wgpu();
        device.check_device().unwrap();
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
}
