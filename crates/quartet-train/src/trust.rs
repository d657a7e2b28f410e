//! Which device is used: the one asked for if it computes what the processor computes.
//!
//! Graphics drivers have been seen to skip work without an error, to fail only when a result is
//! read, and to end the process. The first two are found here; for the last, training runs in a
//! worker.

use crate::adapters::LowRank;
use crate::compute::{Compute, values};
use crate::fused;
use crate::kernels::Gate;
use burn::tensor::{Tensor, activation};
use quartet_types::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Largest difference that rounding explains, as a share of the largest number.
const TOLERANCE: f32 = 1e-3;

/// Devices that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// The processor.
    #[default]
    Processor,
    /// The default graphics device through WGSL (feature `wgpu`).
    Graphics,
    /// The first NVIDIA device (feature `cuda`).
    Cuda,
    /// Apple's graphics device (feature `metal`).
    Metal,
}

impl Wanted {
    /// The fastest device this build knows; the default build knows the processor.
    #[must_use]
    pub const fn fastest() -> Self {
        if cfg!(feature = "cuda") {
            Self::Cuda
        } else if cfg!(feature = "metal") {
            Self::Metal
        } else if cfg!(feature = "wgpu") {
            Self::Graphics
        } else {
            Self::Processor
        }
    }
}

/// A device that can be trusted.
#[derive(Debug)]
pub struct Chosen {
    /// The one asked for, or the processor.
    pub compute: Compute,
    /// Why it is the processor although another was asked for.
    pub reason: Option<Error>,
}

impl Compute {
    /// The device asked for if this build has it and it agrees with the processor on loss and
    /// gradients of a small network; otherwise the processor, with the reason. Asks a driver, so
    /// call it in a worker.
    #[must_use]
    pub fn trusted(wanted: Wanted) -> Chosen {
        if wanted == Wanted::Processor {
            return Chosen { compute: Self::cpu(), reason: None };
        }
        // Without a device, the library panics instead of returning an error.
        let checked = catch_unwind(AssertUnwindSafe(|| {
            let device = Self::of(wanted)?;
            device.check_device().map(|()| device)
        }));
        let checked = checked.unwrap_or_else(|panic| {
            let said = panic.downcast_ref::<String>().map(String::as_str);
            let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("");
            let first = said.lines().next().unwrap_or("");
            Err(refused(format!("the device could not be started: {first}")))
        });
        match checked {
            Ok(compute) => Chosen { compute, reason: None },
            Err(reason) => Chosen { compute: Self::cpu(), reason: Some(reason) },
        }
    }

    fn of(wanted: Wanted) -> Result<Self> {
        match wanted {
            Wanted::Processor => Ok(Self::cpu()),
            #[cfg(feature = "wgpu")]
            Wanted::Graphics => Ok(Self::wgpu()),
            #[cfg(feature = "cuda")]
            Wanted::Cuda => Ok(Self::cuda(0)),
            #[cfg(feature = "metal")]
            Wanted::Metal => Ok(Self::metal()),
            #[allow(unreachable_patterns)]
            other => Err(refused(format!("this build cannot train on `{other:?}`"))),
        }
    }

    /// Compares loss and gradients of a small network with the processor's.
    ///
    /// # Errors
    /// `NotSupported` if they differ, `Internal` if the device fails.
    pub fn check_device(&self) -> Result<()> {
        let (found, expected) = (probe(self)?, probe(&Self::cpu())?);
        for (part, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let scale = expected.iter().fold(f32::MIN_POSITIVE, |most, one| most.max(one.abs()));
            // A difference that is not a number must not pass as small.
            let agrees = |(a, b): (&f32, &f32)| (a - b).abs() / scale < TOLERANCE;
            if found.len() != expected.len() || !found.iter().zip(expected).all(agrees) {
                return Err(refused(format!(
                    "this device computes other numbers than the processor (part {part} of a \
                     small network)"
                )));
            }
        }
        Ok(())
    }
}

fn refused(message: String) -> Error {
    Error::new(ErrorCode::NotSupported, message)
        .hint("Train on the processor, or update the graphics driver.")
}

/// A block with an adapter and a softmax over a small vocabulary, made of the very operations
/// that decoders are made of, at sizes where drivers switch to their fast paths: the loss, its
/// gradients, and the softmax.
fn probe(compute: &Compute) -> Result<Vec<Vec<f32>>> {
    let (rows, heads, width, inner, words) = (48, 4, 256, 768, 2048);
    let wave = |rows: usize, columns: usize, pace: f64, height: f64| {
        let values = (0..rows * columns).map(|at| ((at as f64 * pace).sin() * height) as f32);
        compute.matrix(values.collect(), rows, columns)
    };
    let leaf = |tensor: Tensor<2>| tensor.autodiff().require_grad();
    let x = leaf(wave(rows, width, 0.37, 1.0)?);
    let (a, b) = (leaf(wave(8, width, 0.53, 0.1)?), leaf(wave(width, 8, 0.71, 0.1)?));
    let adapter = [LowRank { a: a.clone(), b: b.clone(), factor: 2.0 }];
    let norm = wave(1, width, 0.11, 0.2)?.add_scalar(1.0);
    let bias = wave(1, width, 0.19, 0.1)?;
    let weight = |pace: f64| wave(width, width, pace, 0.1);
    let angles: Vec<f32> = (0..rows * width / heads / 2).map(|at| at as f32 * 0.01).collect();
    let table = |turn: fn(f32) -> f32| {
        let values = angles.iter().copied().map(turn).collect();
        compute.tensor::<3>(values, [1, rows, width / heads / 2])
    };
    let (cosines, sines) = (table(f32::cos)?, table(f32::sin)?);
    let hidden = (0..rows * rows).map(|at| if at % rows > at / rows { -1.0e9 } else { 0.0 });
    let mask = compute.tensor::<3>(hidden.collect(), [1, rows, rows])?;

    let n = fused::normalise(x.clone(), &norm, 1e-6);
    let query = fused::linear(&n, &weight(0.73)?, Some(&bias), &adapter);
    let key = fused::linear(&n, &weight(0.91)?, None, &[]);
    let value = fused::linear(&n, &weight(1.07)?, None, &[]);
    let turn = |x: Tensor<2>| fused::turn(x, heads, (&cosines, &sines), false);
    let scores = turn(query).matmul(turn(key).swap_dims(1, 2));
    let shares = fused::softmax(scores, &mask, 0.125);
    let value = value.reshape([rows, heads, width / heads]).swap_dims(0, 1);
    let mixed = shares.matmul(value).swap_dims(0, 1).reshape([rows, width]);
    let gate = fused::linear(&mixed, &wave(inner, width, 0.83, 0.1)?, None, &[]);
    let up = fused::linear(&mixed, &wave(inner, width, 0.97, 0.1)?, None, &[]);
    let wide = fused::gated(Gate::Gelu, gate.clone(), up.clone());
    let wide = wide + fused::gated(Gate::Silu, up, gate);
    let out = x.clone() + fused::linear(&wide, &wave(width, inner, 1.13, 0.1)?, None, &[]);
    let loss = (out.clone() * activation::sigmoid(out.clone())).mean();

    let top = wave(words, width, 0.67, 0.1)?;
    let logits = out.without_autodiff().matmul(top.clone().transpose());
    let lowest = compute.matrix(vec![-1.0e30; rows], rows, 1)?;
    let raised = fused::raise(logits, &lowest, 1.0);
    let pulled = raised.shares.matmul(top) / raised.sums.clone();

    let mut found = loss.backward();
    let mut numbers = vec![values(loss)?, values(raised.sums)?, values(pulled)?];
    for leaf in [x, a, b] {
        let gradient = leaf.grad_remove(&mut found);
        let gradient = gradient.ok_or_else(|| Error::internal("a probe without a gradient"))?;
        numbers.push(values(gradient)?);
    }
    Ok(numbers)
}
