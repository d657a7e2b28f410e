//! From hidden states to the vocabulary, and the losses that live there.
//!
//! The head is frozen, so the gradient of a loss with respect to the hidden states is computed
//! together with the loss, block by block of the vocabulary, without a graph over
//! `[n, vocabulary]`. [`attach`] then hangs value and gradient into the graph.

use crate::compute::{Compute, values_f64};
use crate::weights::{Packed, Weight};
use burn::tensor::Tensor;
use quartet_types::{Error, ErrorCode, Result};

/// Rows of one block of the vocabulary: small enough for the buffer limit of modest graphics
/// drivers (128 MiB) at a width of 1024, large enough to keep a product busy.
const BLOCK_ROWS: usize = 32_768;

/// The output matrix, `[vocabulary, width]`, in blocks of rows.
#[derive(Debug)]
pub struct Head {
    stored: Packed,
    blocks: Vec<Weight>,
    compute: Compute,
    logit_cap: Option<f64>,
}

/// What one row should predict, as terms of a loss over the softmax at `temperature`.
///
/// With `q` the softmax of the row's logits over the temperature, the loss of a row is
/// `-sum_k p_k ln q_k - rest * ln(1 - sum_k q_k)`.
#[derive(Debug, Clone, PartialEq)]
pub struct RowTarget {
    /// Token ids, all different.
    pub ids: Vec<u32>,
    /// Their probabilities `p_k`.
    pub probabilities: Vec<f64>,
    /// The probability of everything else together.
    pub rest: f64,
    /// Factor of this row in the sum of losses.
    pub weight: f64,
}

/// A loss over all rows at one temperature.
#[derive(Debug, Clone, PartialEq)]
pub struct HeadTerm {
    /// Logits are divided by this before the softmax.
    pub temperature: f64,
    /// One per row.
    pub rows: Vec<RowTarget>,
}

/// Values of a loss and its gradient with respect to the normalised hidden states.
#[derive(Debug)]
pub struct HeadLoss {
    /// The loss of each term, summed over rows with their weights.
    pub terms: Vec<f64>,
    /// Gradient of the sum of all terms, `[n, width]`.
    pub gradient: Tensor<2>,
}

impl Head {
    pub(crate) fn new(
        stored: Packed,
        compute: &Compute,
        logit_cap: Option<f64>,
        packed: bool,
    ) -> Result<Self> {
        let mut blocks = Vec::new();
        if !packed {
            for from in (0..stored.rows()).step_by(BLOCK_ROWS) {
                let to = (from + BLOCK_ROWS).min(stored.rows());
                let floats = stored.floats(from, to)?;
                blocks.push(Weight::Kept(compute.matrix(floats, to - from, stored.columns())?));
            }
        }
        Ok(Self { stored, blocks, compute: compute.clone(), logit_cap })
    }

    fn block_count(&self) -> usize {
        self.stored.rows().div_ceil(BLOCK_ROWS)
    }

    fn block(&self, index: usize) -> Result<Tensor<2>> {
        if let Some(weight) = self.blocks.get(index) {
            return weight.tensor(&self.compute);
        }
        let from = index * BLOCK_ROWS;
        let to = (from + BLOCK_ROWS).min(self.stored.rows());
        self.compute.matrix(self.stored.floats(from, to)?, to - from, self.stored.columns())
    }

    /// Logits of normalised hidden states `[n, width]`: `[n, vocabulary]`, without gradient.
    ///
    /// # Errors
    /// As [`Packed::floats`].
    pub fn logits(&self, hidden: Tensor<2>) -> Result<Tensor<2>> {
        let hidden = hidden.without_autodiff();
        let blocks = (0..self.block_count()).map(|index| self.block_logits(&hidden, index));
        Ok(Tensor::cat(blocks.collect::<Result<Vec<_>>>()?, 1))
    }

    fn block_logits(&self, hidden: &Tensor<2>, index: usize) -> Result<Tensor<2>> {
        let logits = hidden.clone().matmul(self.block(index)?.transpose());
        Ok(match self.logit_cap {
            Some(cap) => logits.div_scalar(cap).tanh().mul_scalar(cap),
            None => logits,
        })
    }

    /// The losses of `terms` for normalised hidden states `[n, width]`, and their gradient.
    ///
    /// With `P = sum_k p_k`, `Q = sum_k q_k` and `t` the temperature, the derivative by logit
    /// `j` is `(q_j (P - rest Q / (1 - Q)) + [j among the ids] (q_j rest / (1 - Q) - p_j)) / t`:
    /// a dense part that is a multiple of the softmax, and a few corrections.
    ///
    /// # Errors
    /// `InvalidInput` where a term has another number of rows, or names no token or an unknown
    /// one; `NotSupported` for a model that caps its logits.
    pub fn loss(&self, hidden: Tensor<2>, terms: &[HeadTerm]) -> Result<HeadLoss> {
        let hidden = hidden.without_autodiff();
        let [count, width] = hidden.dims();
        self.check(count, terms)?;
        let logits = (0..self.block_count())
            .map(|index| self.block_logits(&hidden, index))
            .collect::<Result<Vec<_>>>()?;
        let largest = logits
            .iter()
            .map(|block| block.clone().max_dim(1))
            .reduce(Tensor::max_pair)
            .ok_or_else(|| Error::internal("a vocabulary without tokens"))?;
        let mut slopes: Vec<Option<Tensor<2>>> = vec![None; logits.len()];
        let mut gradient: Tensor<2> = hidden.zeros_like();
        let mut losses = Vec::with_capacity(terms.len());
        for term in terms {
            let heat = 1.0 / term.temperature;
            let raised: Vec<Tensor<2>> = logits
                .iter()
                .map(|block| (block.clone() - largest.clone()).mul_scalar(heat).exp())
                .collect();
            let totals = raised
                .iter()
                .map(|block| block.clone().sum_dim(1))
                .reduce(|left, right| left + right)
                .ok_or_else(|| Error::internal("a vocabulary without tokens"))?;
            let named = self.named(&hidden, term)?;
            let scores = values_f64(named.scores.clone())?;
            let largest = values_f64(largest.clone())?;
            let sums = values_f64(totals)?;
            let parts = row_parts(term, named.most, &scores, &largest, &sums);
            losses.push(parts.loss);
            let dense = self.compute.tensor_f64(parts.dense, [count, 1])?;
            for (slope, block) in slopes.iter_mut().zip(raised) {
                let part = block * dense.clone();
                *slope = Some(match slope.take() {
                    Some(sum) => sum + part,
                    None => part,
                });
            }
            let sparse = self.compute.tensor_f64(parts.sparse, [count, 1, named.most])?;
            gradient = gradient + sparse.matmul(named.rows).reshape([count, width]);
        }
        for (index, slope) in slopes.into_iter().enumerate() {
            if let Some(slope) = slope {
                gradient = gradient + slope.matmul(self.block(index)?);
            }
        }
        Ok(HeadLoss { terms: losses, gradient })
    }

    fn check(&self, count: usize, terms: &[HeadTerm]) -> Result<()> {
        let wrong = |message: &str| Err(Error::new(ErrorCode::InvalidInput, message.to_owned()));
        if self.logit_cap.is_some() {
            return Err(Error::new(
                ErrorCode::NotSupported,
                "losses over capped logits are not built",
            ));
        }
        for term in terms {
            if term.rows.len() != count || count == 0 {
                return wrong("a loss needs one target for each row, and at least one row");
            }
            if !(term.temperature > 0.0 && term.temperature.is_finite()) {
                return wrong("the temperature of a loss must be positive");
            }
            let is_whole = |row: &RowTarget| row.ids.len() == row.probabilities.len();
            if !term.rows.iter().all(|row| is_whole(row) && !row.ids.is_empty()) {
                return wrong("a target needs tokens, and one probability for each");
            }
        }
        Ok(())
    }

    /// The rows of the matrix that a term names, padded to the longest target, and their logits.
    fn named(&self, hidden: &Tensor<2>, term: &HeadTerm) -> Result<Named> {
        let [count, width] = hidden.dims();
        let most = term.rows.iter().map(|row| row.ids.len()).max().unwrap_or(1);
        let mut ids = Vec::with_capacity(count * most);
        for row in &term.rows {
            ids.extend_from_slice(&row.ids);
            ids.extend(std::iter::repeat_n(0, most - row.ids.len()));
        }
        let rows = self.compute.tensor(self.stored.rows_of(&ids)?, [count, most, width])?;
        let scores = rows.clone().matmul(hidden.clone().reshape([count, width, 1]));
        Ok(Named { rows, scores, most })
    }
}

struct Named {
    /// `[n, most, width]`.
    rows: Tensor<3>,
    /// `[n, most, 1]`.
    scores: Tensor<3>,
    most: usize,
}

struct RowParts {
    loss: f64,
    /// Per row, the multiple of the raised logits.
    dense: Vec<f64>,
    /// Per row and named token.
    sparse: Vec<f64>,
}

fn row_parts(
    term: &HeadTerm,
    most: usize,
    scores: &[f64],
    largest: &[f64],
    sums: &[f64],
) -> RowParts {
    let heat = 1.0 / term.temperature;
    let mut parts = RowParts { loss: 0.0, dense: Vec::new(), sparse: vec![0.0; scores.len()] };
    for (index, row) in term.rows.iter().enumerate() {
        let log_sum = sums[index].ln();
        let named = &scores[index * most..][..row.ids.len()];
        let log_shares: Vec<f64> =
            named.iter().map(|score| (score - largest[index]) * heat - log_sum).collect();
        let covered: f64 = log_shares.iter().map(|share| share.exp()).sum();
        let uncovered = (1.0 - covered).max(f64::from(f32::EPSILON));
        let given: f64 = row.probabilities.iter().sum();
        let pull = if row.rest > 0.0 { row.rest / uncovered } else { 0.0 };
        let mut loss = if row.rest > 0.0 { -row.rest * uncovered.ln() } else { 0.0 };
        for (at, (share, probability)) in log_shares.iter().zip(&row.probabilities).enumerate() {
            loss -= probability * share;
            parts.sparse[index * most + at] =
                row.weight * heat * (share.exp() * pull - probability);
        }
        parts.loss += row.weight * loss;
        parts.dense.push(row.weight * heat * (given - pull * covered) / sums[index]);
    }
    parts
}

/// A scalar of the graph whose value is `value` and whose gradient with respect to `x` is
/// `gradient`, of the same shape.
#[must_use]
pub fn attach<const D: usize>(x: Tensor<D>, value: f64, gradient: Tensor<D>) -> Tensor<1> {
    let linear = (x * gradient.without_autodiff()).sum();
    let offset = linear.clone().without_autodiff().neg().add_scalar(value);
    linear + offset
}
