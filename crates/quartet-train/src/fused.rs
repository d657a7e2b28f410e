//! Operations of a block as single steps of the graph.
//!
//! On the processor each is one pass over memory (`kernels.rs`) with a derivative written by hand
//! that reuses the buffers of the forward pass; made of the tensor library's own operations, they
//! would be five to ten passes, each with a fresh buffer. On other devices, and for other widths
//! of floats, they are composed of those operations. Both ways are tested against each other and
//! against differences.

use crate::adapters::LowRank;
use crate::composed;
use crate::kernels::{self, Gate, Heads};
use crate::real::Real;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::{DType, Tensor, TensorData};
use std::sync::{Arc, Mutex, PoisonError};

type Recorded = FloatTensor<Autodiff<Flex>>;
/// From the gradient of a result to those of the inputs that are asked for.
type Pull<const N: usize> =
    Box<dyn FnOnce(FlexTensor, [bool; N]) -> [Option<FlexTensor>; N] + Send>;

/// An input: its numbers, and its place in the graph if it has one. The place does not hold the
/// numbers, so that a buffer nobody else needs can be written to.
struct Input {
    value: FlexTensor,
    node: Option<NodeGuard>,
}

impl Input {
    /// `None` for a tensor of another device or another kind of floats.
    fn of<const D: usize>(tensor: &Tensor<D>) -> Option<Self> {
        let tensor = tensor.clone();
        let input = if tensor.is_autodiff() {
            let (value, node) = tensor.try_into_primitive::<Autodiff<Flex>>().ok()?.into_parts();
            Self { value, node: Some(node) }
        } else {
            Self { value: tensor.try_into_primitive::<Flex>().ok()?, node: None }
        };
        matches!(input.value.dtype(), DType::F32 | DType::F64).then_some(input)
    }
}

/// The numbers in row-major order in a buffer that is theirs alone, copied only if they are not.
fn own(tensor: FlexTensor) -> FlexTensor {
    let whole = tensor.to_contiguous();
    drop(tensor);
    whole
}

/// Runs a kernel for the width of `$tensor`'s floats.
macro_rules! by_width {
    ($tensor:expr, $real:ident => $body:expr) => {
        match $tensor.dtype() {
            DType::F64 => {
                type $real = f64;
                $body
            }
            _ => {
                type $real = f32;
                $body
            }
        }
    };
}

fn tensor<T: Real>(values: Vec<T>, shape: &[usize]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape.to_vec()))
}

fn zeros<T: Real>(shape: &[usize]) -> FlexTensor {
    FlexTensor::empty(shape.to_vec().into(), T::dtype())
}

#[derive(Debug)]
struct Step;

struct State<const N: usize>(Arc<Mutex<Option<Pull<N>>>>);

impl<const N: usize> Clone for State<N> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<const N: usize> std::fmt::Debug for State<N> {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("State")
    }
}

impl<const N: usize> Backward<Flex, N> for Step {
    type State = State<N>;

    fn backward(self, ops: Ops<State<N>, N>, found: &mut Gradients, _: &mut Checkpointer) {
        let slope = found.consume::<Flex>(&ops.node);
        let pull = ops.state.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(pull) = pull else { return };
        let wanted = ops.parents.each_ref().map(Option::is_some);
        for (parent, slope) in ops.parents.into_iter().zip(pull(slope, wanted)) {
            if let (Some(parent), Some(slope)) = (parent, slope) {
                found.register::<Flex>(parent.id, slope);
            }
        }
    }
}

/// Puts `output` into the graph of its inputs, if any of them is in one.
fn record<const N: usize, const D: usize>(
    nodes: [Option<NodeGuard>; N],
    output: FlexTensor,
    pull: impl FnOnce(FlexTensor, [bool; N]) -> [Option<FlexTensor>; N] + Send + 'static,
) -> Tensor<D> {
    if nodes.iter().all(Option::is_none) {
        return Tensor::from_primitive::<Flex>(output);
    }
    let guards = nodes.map(|node| node.unwrap_or_else(|| Recorded::new(output.clone()).node()));
    let prepared = Step.prepare::<NoCheckpointing>(guards).compute_bound().stateful();
    let output = match prepared {
        OpsKind::Tracked(step) => {
            step.finish(State(Arc::new(Mutex::new(Some(Box::new(pull))))), output)
        }
        OpsKind::UnTracked(step) => step.finish(output),
    };
    Tensor::from_primitive::<Autodiff<Flex>>(output)
}

/// `x / sqrt(mean(x^2) + epsilon) * weight` over the columns of `x` (Zhang and Sennrich 2019),
/// with the constant `weight` `[1, columns]`.
pub(crate) fn normalise(x: Tensor<2>, weight: &Tensor<2>, epsilon: f64) -> Tensor<2> {
    let (Some(input), Some(scale)) = (Input::of(&x), Input::of(weight)) else {
        return composed::normalise(x, weight, epsilon);
    };
    let [rows, columns] = x.dims();
    drop(x);
    let Input { value: x, node } = input;
    let (x, weight) = (own(x), own(scale.value));
    by_width!(x, T => {
        let mut y = zeros::<T>(&[rows, columns]);
        let mut inverse = vec![T::ZERO; rows];
        kernels::normalise::<T>(
            x.storage(), weight.storage(), epsilon, y.storage_mut(), &mut inverse,
        );
        record([node], y, move |slope, _| {
            let mut slope = own(slope);
            let numbers = slope.storage_mut::<T>();
            kernels::normalise_back(x.storage(), weight.storage(), &inverse, numbers);
            [Some(slope)]
        })
    })
}

/// `gate(x) * up`, of matrices of one shape.
pub(crate) fn gated(gate: Gate, x: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
    let (Some(first), Some(second)) = (Input::of(&x), Input::of(&up)) else {
        return composed::gated(gate, x, up);
    };
    let shape = x.dims();
    drop((x, up));
    let (mut x, mut up) = (own(first.value), own(second.value));
    let (one, other) = (first.node, second.node);
    by_width!(x, T => {
        let mut out = zeros::<T>(&shape);
        kernels::gated::<T>(gate, x.storage(), up.storage(), out.storage_mut());
        record([one, other], out, move |slope, _| {
            // The inputs are not needed any more: their buffers become their gradients.
            let slope = own(slope);
            kernels::gated_back::<T>(gate, x.storage_mut(), up.storage_mut(), slope.storage());
            [Some(x), Some(up)]
        })
    })
}

/// Splits rows `[rows, heads * length]` into `[heads, rows, length]` and turns each head by the
/// angles of its row, whose constant cosines and sines are `[1, rows, length / 2]`. `neighbours`:
/// pairs are numbers `2i` and `2i + 1`, otherwise `i` and `i + length / 2`.
pub(crate) fn turn(
    x: Tensor<2>,
    heads: usize,
    (cosines, sines): (&Tensor<3>, &Tensor<3>),
    neighbours: bool,
) -> Tensor<3> {
    let angles = (Input::of(cosines), Input::of(sines));
    let (Some(input), Some(even), Some(odd)) = (Input::of(&x), angles.0, angles.1) else {
        return composed::turn(x, heads, (cosines, sines), neighbours);
    };
    let [rows, width] = x.dims();
    drop(x);
    let Input { value, node } = input;
    let shape = Heads { rows, heads, length: width / heads, neighbours };
    let (value, cosines, sines) = (own(value), own(even.value), own(odd.value));
    by_width!(value, T => {
        let mut out = zeros::<T>(&[heads, rows, width / heads]);
        let angles = (cosines.storage::<T>(), sines.storage::<T>());
        kernels::turn::<T>(shape, value.storage(), angles.0, angles.1, out.storage_mut());
        record([node], out, move |slope, _| {
            let slope = own(slope);
            let mut back = zeros::<T>(&[rows, width]);
            let angles = (cosines.storage::<T>(), sines.storage::<T>());
            kernels::turn_back(shape, slope.storage(), angles.0, angles.1, back.storage_mut());
            [Some(back)]
        })
    })
}

/// Softmax over the columns of `scores * scale + mask`: scores `[heads, rows, columns]`, the
/// constant mask `[1, rows, columns]`.
pub(crate) fn softmax(scores: Tensor<3>, mask: &Tensor<3>, scale: f64) -> Tensor<3> {
    let (Some(input), Some(hidden)) = (Input::of(&scores), Input::of(mask)) else {
        return composed::softmax(scores, mask, scale);
    };
    let [_, _, columns] = scores.dims();
    drop(scores);
    let Input { value: scores, node } = input;
    let (mut scores, mask) = (own(scores), own(hidden.value));
    by_width!(scores, T => {
        kernels::softmax::<T>(scores.storage_mut(), mask.storage(), columns, scale);
        let shares = scores.clone();
        record([node], scores, move |slope, _| {
            let mut slope = own(slope);
            let numbers = slope.storage_mut::<T>();
            kernels::softmax_back(shares.storage(), numbers, columns, scale);
            [Some(slope)]
        })
    })
}

/// `x W^T + bias` with the constant `weight` `[outputs, inputs]` and `bias` `[1, outputs]`, plus
/// what the adapters add.
pub(crate) fn linear(
    x: &Tensor<2>,
    weight: &Tensor<2>,
    bias: Option<&Tensor<2>>,
    adapters: &[LowRank],
) -> Tensor<2> {
    let composed = || composed::linear(x, weight, bias, adapters);
    let first = adapters.first().map(|one| (Input::of(&one.a), Input::of(&one.b), one.factor));
    let adapter = match first {
        None => None,
        Some((Some(a), Some(b), factor)) => Some((a, b, factor)),
        Some(_) => return composed(),
    };
    let constants = (Input::of(weight), bias.map(Input::of));
    let (Some(input), Some(weight), bias) = (Input::of(x), constants.0, constants.1) else {
        return composed();
    };
    let bias = match bias {
        None => None,
        Some(Some(bias)) => Some(bias.value),
        Some(None) => return composed(),
    };
    let Input { value, node } = input;
    let y = match adapter {
        None => frozen(value, node, weight.value, bias),
        Some(adapter) => adapted(value, node, weight.value, bias, adapter),
    };
    adapters.iter().skip(1).fold(y, |y, adapter| y + adapter.apply(x.clone()))
}

fn affine(x: FlexTensor, weight: FlexTensor, bias: Option<FlexTensor>) -> FlexTensor {
    let mut y = Flex::float_matmul(x, Flex::float_transpose(weight));
    if let Some(bias) = bias {
        let bias = own(bias);
        by_width!(y, T => kernels::add_row::<T>(y.storage_mut(), bias.storage()));
    }
    y
}

fn frozen(
    x: FlexTensor,
    node: Option<NodeGuard>,
    weight: FlexTensor,
    bias: Option<FlexTensor>,
) -> Tensor<2> {
    let y = affine(x, weight.clone(), bias);
    record([node], y, move |slope, _| [Some(Flex::float_matmul(slope, weight))])
}

fn adapted(
    x: FlexTensor,
    node: Option<NodeGuard>,
    weight: FlexTensor,
    bias: Option<FlexTensor>,
    (a, b, factor): (Input, Input, f64),
) -> Tensor<2> {
    let x = own(x);
    let mut y = affine(x.clone(), weight.clone(), bias);
    let (node_a, node_b) = (a.node, b.node);
    let (a, b) = (own(a.value), own(b.value));
    let rank = a.layout().shape()[0];
    let (outputs, inputs) = (b.layout().shape()[0], a.layout().shape()[1]);
    by_width!(y, T => {
        let wide = kernels::transposed::<T>(b.storage(), outputs, rank);
        let narrow = kernels::narrowed::<T>(x.storage(), a.storage(), rank, factor);
        kernels::add_product(y.storage_mut::<T>(), &narrow, &wide, rank);
        record([node, node_a, node_b], y, move |slope, [to_x, to_a, to_b]| {
            let slope = own(slope);
            let less = kernels::narrowed::<T>(slope.storage(), &wide, rank, factor);
            let slope_b = to_b.then(|| {
                tensor(kernels::outer::<T>(slope.storage(), &narrow, rank), &[outputs, rank])
            });
            let slope_a = to_a.then(|| {
                let found = kernels::outer::<T>(x.storage(), &less, rank);
                tensor(kernels::transposed(&found, inputs, rank), &[rank, inputs])
            });
            let slope_x = to_x.then(|| {
                let mut back = Flex::float_matmul(slope, weight);
                kernels::add_product::<T>(back.storage_mut(), &less, a.storage(), rank);
                back
            });
            [slope_x, slope_a, slope_b]
        })
    })
}

/// A block of the vocabulary in a running softmax ([`Head::loss`](crate::Head::loss)).
pub(crate) struct Raised {
    /// Largest logit of each row so far, `[n, 1]`.
    pub(crate) most: Tensor<2>,
    /// `e^(heat (logit - most))`, `[n, block]`.
    pub(crate) shares: Tensor<2>,
    /// Their sums, `[n, 1]`.
    pub(crate) sums: Tensor<2>,
}

/// Raises a block of logits, given the largest logits of earlier blocks. Without gradient.
pub(crate) fn raise(logits: Tensor<2>, most: &Tensor<2>, heat: f64) -> Raised {
    let (Some(z), Some(found)) = (Input::of(&logits), Input::of(most)) else {
        return composed::raise(logits, most, heat);
    };
    let [rows, columns] = logits.dims();
    drop(logits);
    let (mut z, found) = (own(z.value), own(found.value));
    by_width!(z, T => {
        let mut most = found.storage::<T>().to_vec();
        kernels::row_maxima::<T>(z.storage(), columns, &mut most);
        let sums = kernels::raise(z.storage_mut::<T>(), columns, &most, heat);
        let column = |values: Vec<T>| Tensor::from_primitive::<Flex>(tensor(values, &[rows, 1]));
        Raised {
            most: column(most),
            shares: Tensor::from_primitive::<Flex>(z),
            sums: column(sums),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::{Compute, values_f64};

    /// Values and gradients of the fused and the composed operation.
    fn compare<const N: usize, const D: usize>(
        what: &str,
        shapes: [[usize; 2]; N],
        fused: impl Fn([Tensor<2>; N]) -> Tensor<D>,
        composed: impl Fn([Tensor<2>; N]) -> Tensor<D>,
    ) {
        let compute = Compute::cpu_f64();
        let wave = |seed: usize, count: usize| -> Vec<f64> {
            (0..count).map(|at| (at as f64 * 0.731 + seed as f64).sin() * 2.0).collect()
        };
        let mut seed = 0;
        let leaves = shapes.map(|[rows, columns]| {
            seed += 1;
            let tensor = compute.tensor_f64(wave(seed, rows * columns), [rows, columns]).unwrap();
            tensor.autodiff().require_grad()
        });
        let run = |operation: &dyn Fn([Tensor<2>; N]) -> Tensor<D>| {
            // Inputs that others hold, and inputs that nobody else holds.
            let moved = leaves.each_ref().map(|leaf| leaf.clone().mul_scalar(1.0));
            let out = operation(moved);
            let direct = operation(leaves.clone());
            let weights = wave(9, out.shape().num_elements());
            let shape: [usize; D] = out.dims();
            let weights = compute.tensor_f64(weights, shape).unwrap();
            let loss = (out.clone() * weights.clone()).sum() + (direct * weights).sum();
            let found = loss.backward();
            let mut numbers = values_f64(out).unwrap();
            for leaf in &leaves {
                numbers.extend(values_f64(leaf.grad(&found).unwrap()).unwrap());
            }
            numbers
        };
        let (one, other) = (run(&fused), run(&composed));
        assert_eq!(one.len(), other.len());
        for (index, (one, other)) in one.iter().zip(&other).enumerate() {
            assert!(
                (one - other).abs() < 1e-9 * other.abs().max(1.0),
                "{what} {index}: {one} {other}"
            );
        }
    }

    fn constant<const D: usize>(shape: [usize; D], pace: f64) -> Tensor<D> {
        let count = shape.iter().product();
        let values = (0..count).map(|at: usize| (at as f64 * pace).cos()).collect();
        Compute::cpu_f64().tensor_f64(values, shape).unwrap()
    }

    #[test]
    fn fused_operations_are_the_composed_ones() {
        let weight = constant([1, 37], 0.3);
        compare(
            "normalise",
            [[19, 37]],
            |[x]| normalise(x, &weight, 1e-6),
            |[x]| composed::normalise(x, &weight, 1e-6),
        );
        for gate in [Gate::Silu, Gate::Gelu] {
            compare(
                "gated",
                [[5, 33], [5, 33]],
                |[x, up]| gated(gate, x, up),
                |[x, up]| composed::gated(gate, x, up),
            );
        }
        let (cosines, sines) = (constant([1, 6, 4], 0.2), constant([1, 6, 4], 0.5));
        for neighbours in [false, true] {
            compare(
                "turn",
                [[6, 24]],
                |[x]| turn(x, 3, (&cosines, &sines), neighbours),
                |[x]| composed::turn(x, 3, (&cosines, &sines), neighbours),
            );
        }
        let mask = constant([1, 6, 9], 2.0).mul_scalar(4.0);
        compare(
            "softmax",
            [[12, 9]],
            |[x]| softmax(x.reshape([2, 6, 9]), &mask, 0.7),
            |[x]| composed::softmax(x.reshape([2, 6, 9]), &mask, 0.7),
        );
        let (weight, bias) = (constant([11, 21], 0.4), constant([1, 11], 0.6));
        let adapters = |[a, b, c, d]: [Tensor<2>; 4]| {
            vec![LowRank { a, b, factor: 0.5 }, LowRank { a: c, b: d, factor: 1.5 }]
        };
        for count in 0..3 {
            let run = |[x, a, b, c, d]: [Tensor<2>; 5], is_fused: bool| {
                let unused = [&a, &b, &c, &d].map(|one| one.clone().sum());
                let adapters = &adapters([a, b, c, d])[..count];
                let y = if is_fused {
                    linear(&x, &weight, Some(&bias), adapters)
                } else {
                    composed::linear(&x, &weight, Some(&bias), adapters)
                };
                unused.into_iter().fold(y, |y, one| y + one.reshape([1, 1]))
            };
            compare(
                "linear",
                [[7, 21], [5, 21], [11, 5], [2, 21], [11, 2]],
                |inputs| run(inputs, true),
                |inputs| run(inputs, false),
            );
        }
    }

    #[test]
    fn a_running_softmax_is_the_softmax() {
        let logits = constant([3, 50], 1.3).mul_scalar(9.0);
        let most = constant([3, 1], 0.1).mul_scalar(5.0);
        let (one, other) = (raise(logits.clone(), &most, 0.6), composed::raise(logits, &most, 0.6));
        for (one, other) in
            [(one.most, other.most), (one.sums, other.sums), (one.shares, other.shares)]
        {
            let pairs = values_f64(one).unwrap().into_iter().zip(values_f64(other).unwrap());
            pairs.for_each(|(one, other)| assert!((one - other).abs() < 1e-12, "{one} {other}"));
        }
    }
}
