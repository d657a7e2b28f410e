//! Activation checkpointing (Chen et al. 2016, arXiv 1604.06174), one block at a time.
//!
//! The pass runs twice: once without a graph, keeping only what enters each block, then block by
//! block from the top, each with a small graph of its own. At no time does more than one block
//! keep its activations, and weights that are held as stored are floats for one block only.
//! About half as much time again, for a fraction of the memory.

use crate::adapters::{Adapters, LowRank, Projection};
use crate::decoder::Decoder;
use crate::loss::Loss;
use crate::pass::{Pass, Shared};
use burn::tensor::Tensor;
use quartet_types::{Error, ErrorCode, Result};

/// Runs `pass` and the loss `top` of its output, and returns a loss in the graph of the rows and
/// adapters that went in: the same value and gradients as running them directly.
///
/// `top` gets the output of the last layer, `[n, width]`; gradients reach the model only through
/// it. Keys and values of earlier rows are taken as constants.
///
/// # Errors
/// As [`Decoder::run`]; `InvalidInput` for taps or kept keys and values, which this way of
/// running does not serve.
pub fn chained(
    decoder: &Decoder,
    pass: &Pass<'_>,
    top: impl FnOnce(Tensor<2>) -> Result<Loss>,
) -> Result<Loss> {
    pass.check(&decoder.architecture)?;
    if !pass.taps.is_empty() || !pass.keep.is_empty() {
        return Err(Error::new(
            ErrorCode::InvalidInput,
            "a chained pass has no taps and keeps no keys and values",
        ));
    }
    let earlier: Vec<_> = pass.earlier.iter().map(|set| (*set).clone().detached()).collect();
    let earlier: Vec<_> = earlier.iter().collect();
    let rows_wanted = pass.rows.is_autodiff() && pass.rows.is_tracked();
    let first = if rows_wanted {
        pass.layers.start
    } else {
        pass.adapters.lowest_layer().unwrap_or(pass.layers.end).max(pass.layers.start)
    };
    let plain = constants(pass.adapters);
    let still = Pass {
        rows: pass.rows.clone().without_autodiff(),
        adapters: &plain,
        earlier: &earlier,
        ..pass.clone()
    };

    let mut shared = Shared::default();
    let mut entering = Vec::new();
    let mut hidden = still.rows.clone();
    for layer in pass.layers.clone() {
        if layer >= first {
            entering.push(hidden.clone());
        }
        hidden = decoder.block(&decoder.scene(&plain), &still, layer, hidden, &mut shared)?.hidden;
    }

    let above = hidden.autodiff().require_grad();
    let loss = top(above.clone())?;
    let mut slope = gradient(&loss.graph, &above)?;
    let mut surrogate: Option<Tensor<1>> = None;
    let mut join = |tensor: &Tensor<2>, slope: Tensor<2>| {
        let part = (tensor.clone() * slope).sum();
        surrogate = Some(match surrogate.take() {
            Some(sum) => sum + part,
            None => part,
        });
    };
    for layer in (first..pass.layers.end).rev() {
        let Some(entered) = entering.pop() else { break };
        let entered = entered.autodiff().require_grad();
        let leaves = leaves_of(pass.adapters, layer)?;
        let scene = decoder.scene(&leaves);
        let left = decoder.block(&scene, &still, layer, entered.clone(), &mut shared)?.hidden;
        let mut found = (left * slope).sum().backward();
        for (place, adapters) in Projection::ALL.map(|one| (one, leaves.on(layer, one))) {
            for (given, leaf) in pass.adapters.on(layer, place).iter().zip(adapters) {
                for (given, leaf) in [(&given.a, &leaf.a), (&given.b, &leaf.b)] {
                    if given.is_autodiff()
                        && given.is_tracked()
                        && let Some(slope) = leaf.grad_remove(&mut found)
                    {
                        join(given, slope);
                    }
                }
            }
        }
        slope = entered
            .grad_remove(&mut found)
            .ok_or_else(|| Error::internal("a block without a gradient"))?;
    }
    if rows_wanted {
        join(&pass.rows, slope);
    }
    let linear = surrogate.ok_or_else(|| Error::internal("the pass depends on nothing trained"))?;
    let offset = linear.clone().without_autodiff().neg().add_scalar(loss.value);
    Ok(Loss { graph: linear + offset, value: loss.value })
}

fn gradient(loss: &Tensor<1>, leaf: &Tensor<2>) -> Result<Tensor<2>> {
    let mut found = loss.backward();
    leaf.grad_remove(&mut found)
        .ok_or_else(|| Error::internal("the loss does not depend on the pass"))
}

fn mapped(adapters: &[LowRank], change: impl Fn(Tensor<2>) -> Tensor<2>) -> Vec<LowRank> {
    let one = |adapter: &LowRank| LowRank {
        a: change(adapter.a.clone().without_autodiff()),
        b: change(adapter.b.clone().without_autodiff()),
        factor: adapter.factor,
    };
    adapters.iter().map(one).collect()
}

fn constants(adapters: &Adapters) -> Adapters {
    let mut plain = Adapters::none();
    for (layer, projection, all) in adapters.iter() {
        for adapter in mapped(all, |tensor| tensor) {
            // The ranks were checked when they were added first.
            let _ = plain.add(layer, projection, adapter);
        }
    }
    plain
}

fn leaves_of(adapters: &Adapters, layer: usize) -> Result<Adapters> {
    let mut leaves = Adapters::none();
    for projection in Projection::ALL {
        let all = mapped(adapters.on(layer, projection), |one| one.autodiff().require_grad());
        all.into_iter().try_for_each(|adapter| leaves.add(layer, projection, adapter))?;
    }
    Ok(leaves)
}
