//! Losses. Each returns a scalar of the graph; sums of them train together.

use crate::decoder::Decoder;
use crate::head::{HeadTerm, RowTarget, attach};
use burn::tensor::{Int, Tensor, TensorData, activation};
use quartet_types::{Error, ErrorCode, Result};

/// Keeps a cosine finite for a row of zeros.
const SMALLEST_NORM: f64 = 1e-8;
/// Added to scores that do not belong in a sum of exponentials.
const NOT_A_NEGATIVE: f32 = -1.0e9;

/// A loss in the graph, with its parts as numbers.
#[derive(Debug, Clone)]
pub struct Loss {
    /// What [`Leaves::gradients`](crate::Leaves::gradients) differentiates, `[1]`.
    pub graph: Tensor<1>,
    /// Its value.
    pub value: f64,
}

/// What the student of a distillation sees of its teacher at one row.
#[derive(Debug, Clone, PartialEq)]
pub struct TeacherRow {
    /// The most probable tokens.
    pub ids: Vec<u32>,
    /// Their natural log-probabilities, already at the temperature of the distillation.
    pub log_probabilities: Vec<f64>,
}

/// The rows `indices` of a matrix.
#[must_use]
pub fn rows_at(hidden: Tensor<2>, indices: &[usize]) -> Tensor<2> {
    let ids: Vec<i32> = indices.iter().map(|index| *index as i32).collect();
    let device = hidden.device().without_autodiff();
    let ids = Tensor::<1, Int>::from_data(TensorData::new(ids, [indices.len()]), &device);
    hidden.select(0, ids)
}

/// Mean cross-entropy: row `i` of the pass should predict token `id`, for every `(i, id)` of
/// `targets`. `hidden` is the output of the last layer, `[n, width]`; only the rows named are
/// sent through the head.
///
/// # Errors
/// `InvalidInput` for no target, a row that is not there or an unknown token.
pub fn cross_entropy(
    decoder: &Decoder,
    hidden: Tensor<2>,
    targets: &[(usize, u32)],
) -> Result<Loss> {
    distilled_cross_entropy(decoder, hidden, targets, 1.0, None)
}

/// A teacher's rows for [`distilled_cross_entropy`].
#[derive(Debug, Clone, Copy)]
pub struct Distillation<'a> {
    /// One for each target.
    pub teacher: &'a [TeacherRow],
    /// Temperature of both softmaxes.
    pub temperature: f64,
    /// Factor of this part.
    pub weight: f64,
}

/// `weight` times [`cross_entropy`] plus `distillation.weight` times the mean divergence
/// `KL(teacher || student)` over the same rows (Hinton et al. 2015, arXiv 1503.02531).
///
/// Of the teacher only the most probable tokens are known; everything else is one more outcome,
/// the rest. No factor of the squared temperature is applied (IAG, section 4, leaves it out).
///
/// # Errors
/// As [`cross_entropy`]; also where teacher rows and targets differ in number.
pub fn distilled_cross_entropy(
    decoder: &Decoder,
    hidden: Tensor<2>,
    targets: &[(usize, u32)],
    weight: f64,
    distillation: Option<Distillation<'_>>,
) -> Result<Loss> {
    let [count, _] = hidden.dims();
    let wrong = |message: &str| Error::new(ErrorCode::InvalidInput, message.to_owned());
    if targets.is_empty() {
        return Err(wrong("there is nothing to predict"));
    }
    if targets.iter().any(|(row, _)| *row >= count) {
        return Err(wrong("a target names a row that is not there"));
    }
    let share = 1.0 / targets.len() as f64;
    let certain = |(_, id): &(usize, u32)| RowTarget {
        ids: vec![*id],
        probabilities: vec![1.0],
        rest: 0.0,
        weight: weight * share,
    };
    let mut terms =
        vec![HeadTerm { temperature: 1.0, rows: targets.iter().map(certain).collect() }];
    let mut entropy = 0.0;
    if let Some(distillation) = distillation {
        if distillation.teacher.len() != targets.len() {
            return Err(wrong("a distillation needs one teacher row for each target"));
        }
        let factor = distillation.weight * share;
        let rows = distillation.teacher.iter().map(|row| teacher_target(row, factor));
        let rows: Vec<RowTarget> = rows.collect();
        // Cross-entropy minus the teacher's own entropy is the divergence.
        entropy = rows.iter().map(|row| row.weight * self_entropy(row)).sum();
        terms.push(HeadTerm { temperature: distillation.temperature, rows });
    }
    let indices: Vec<usize> = targets.iter().map(|(row, _)| *row).collect();
    let chosen = decoder.normalise(rows_at(hidden, &indices));
    let loss = decoder.head().loss(chosen.clone(), &terms)?;
    let value = loss.terms.iter().sum::<f64>() - entropy;
    Ok(Loss { graph: attach(chosen, value, loss.gradient), value })
}

fn teacher_target(row: &TeacherRow, weight: f64) -> RowTarget {
    let probabilities: Vec<f64> = row.log_probabilities.iter().map(|log| log.exp()).collect();
    let rest = (1.0 - probabilities.iter().sum::<f64>()).max(0.0);
    RowTarget { ids: row.ids.clone(), probabilities, rest, weight }
}

fn self_entropy(row: &RowTarget) -> f64 {
    let outcomes = row.probabilities.iter().chain(std::iter::once(&row.rest));
    outcomes.filter(|share| **share > 0.0).map(|share| -share * share.ln()).sum()
}

/// Mean over rows of `1 - cos(x, y)`. Shapes `[n, d]`.
#[must_use]
pub fn cosine_distance(x: Tensor<2>, y: Tensor<2>) -> Tensor<1> {
    let norm = |tensor: &Tensor<2>| {
        (tensor.clone() * tensor.clone()).sum_dim(1).sqrt().clamp_min(SMALLEST_NORM)
    };
    let scale = norm(&x) * norm(&y);
    ((x * y).sum_dim(1) / scale).mean().neg().add_scalar(1.0)
}

/// Mean over all numbers of the squared difference. Shapes `[n, d]`.
#[must_use]
pub fn mean_squared_error(x: Tensor<2>, y: Tensor<2>) -> Tensor<1> {
    let difference = x - y;
    (difference.clone() * difference).mean()
}

/// The multi-label retrieval loss of ImpRAG (Zhang et al. 2025, equation 3): for each query the
/// sum over its positives `p` of `-log(e^s_p / (e^s_p + sum over negatives of e^s_n))`, the mean
/// over queries. Other positives are not in the denominator.
///
/// `scores` is `[queries, passages]`; `labels`, row-major, says of each passage whether it is a
/// positive of the query (`Some(true)`), a negative (`Some(false)`) or neither.
///
/// # Errors
/// `InvalidInput` where labels and scores differ in number, or a query has no positive or no
/// negative.
pub fn retrieval_loss(scores: &Tensor<2>, labels: &[Option<bool>]) -> Result<Tensor<1>> {
    let [queries, passages] = scores.dims();
    let wrong = |message: &str| Error::new(ErrorCode::InvalidInput, message.to_owned());
    if labels.len() != queries * passages || labels.is_empty() {
        return Err(wrong("a retrieval loss needs one label for each score"));
    }
    let has = |row: &[Option<bool>], label| row.contains(&Some(label));
    if !labels.chunks(passages).all(|row| has(row, true) && has(row, false)) {
        return Err(wrong("every query needs a positive and a negative passage"));
    }
    let device = scores.device().without_autodiff();
    let choose = |label: bool, yes: f32, no: f32| {
        let values = labels.iter().map(|one| if *one == Some(label) { yes } else { no });
        let data = TensorData::new(values.collect::<Vec<f32>>(), [queries, passages]);
        Tensor::<2>::from_data(data, (&device, scores.dtype()))
    };
    let negatives = scores.clone() + choose(false, 0.0, NOT_A_NEGATIVE);
    let largest = negatives.clone().without_autodiff().max_dim(1);
    let total = (negatives - largest.clone()).exp().sum_dim(1).log() + largest;
    let each = softplus(total - scores.clone()) * choose(true, 1.0, 0.0);
    Ok(each.sum().div_scalar(queries as f64))
}

/// `ln(1 + e^x)` without overflow.
fn softplus(x: Tensor<2>) -> Tensor<2> {
    let above = activation::relu(x.clone());
    above + x.abs().neg().exp().log1p()
}
