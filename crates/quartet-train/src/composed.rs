//! The operations of `fused.rs` made of the tensor library's own: for every device, and as the
//! yardstick of the fused ones.

use crate::adapters::LowRank;
use crate::fused::Raised;
use crate::kernels::Gate;
use burn::tensor::{Tensor, activation};

pub(crate) fn normalise(x: Tensor<2>, weight: &Tensor<2>, epsilon: f64) -> Tensor<2> {
    let mean = (x.clone() * x.clone()).mean_dim(1);
    x * mean.add_scalar(epsilon).sqrt().recip() * weight.clone()
}

pub(crate) fn gated(gate: Gate, x: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
    let (a, b) = gate.exponent();
    let exponent = (x.clone() * x.clone()).mul_scalar(b).add_scalar(a) * x.clone();
    x * activation::sigmoid(exponent) * up
}

pub(crate) fn turn(
    x: Tensor<2>,
    heads: usize,
    (cosines, sines): (&Tensor<3>, &Tensor<3>),
    neighbours: bool,
) -> Tensor<3> {
    let [rows, width] = x.dims();
    let (length, half) = (width / heads, width / heads / 2);
    let x = x.reshape([rows, heads, length]).swap_dims(0, 1);
    let rotate = |first: Tensor<3>, second: Tensor<3>| {
        (
            first.clone() * cosines.clone() - second.clone() * sines.clone(),
            second * cosines.clone() + first * sines.clone(),
        )
    };
    if neighbours {
        let pairs = x.reshape([heads, rows, half, 2]);
        let first = pairs.clone().narrow(3, 0, 1).reshape([heads, rows, half]);
        let second = pairs.narrow(3, 1, 1).reshape([heads, rows, half]);
        let (first, second) = rotate(first, second);
        let column = |tensor: Tensor<3>| tensor.reshape([heads, rows, half, 1]);
        return Tensor::cat(vec![column(first), column(second)], 3).reshape([heads, rows, length]);
    }
    let (first, second) = rotate(x.clone().narrow(2, 0, half), x.narrow(2, half, half));
    Tensor::cat(vec![first, second], 2)
}

pub(crate) fn softmax(scores: Tensor<3>, mask: &Tensor<3>, scale: f64) -> Tensor<3> {
    activation::softmax(scores.mul_scalar(scale) + mask.clone(), 2)
}

pub(crate) fn linear(
    x: &Tensor<2>,
    weight: &Tensor<2>,
    bias: Option<&Tensor<2>>,
    adapters: &[LowRank],
) -> Tensor<2> {
    let y = x.clone().matmul(weight.clone().transpose());
    let y = if let Some(bias) = bias { y + bias.clone() } else { y };
    adapters.iter().fold(y, |y, adapter| y + adapter.apply(x.clone()))
}

pub(crate) fn raise(logits: Tensor<2>, most: &Tensor<2>, heat: f64) -> Raised {
    let most = most.clone().max_pair(logits.clone().max_dim(1));
    let shares = (logits - most.clone()).mul_scalar(heat).exp();
    Raised { sums: shares.clone().sum_dim(1), most, shares }
}
