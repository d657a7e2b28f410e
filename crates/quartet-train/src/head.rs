//! From hidden states to the vocabulary, and the losses that live there.
//!
//! The head is frozen, so the gradient of a loss with respect to the hidden states is computed
//! together with the loss, block by block of the vocabulary, without a graph over
//! `[n, vocabulary]`. [`attach`] then hangs value and gradient into the graph.

use crate::compute::{Compute, values_f64};
use crate::fused;
use crate::weights::{Packed, Weight};
use burn::tensor::Tensor;
use quartet_types::{Error, ErrorCode, Result};

/// Rows of one block of the vocabulary on the processor: with its logits it stays in the cache
/// between the two products that need it.
const BLOCK_ROWS: usize = 4096;
/// On other devices: small enough for the buffer limit of modest graphics drivers (128 MiB) at a
/// width of 1024, large enough to keep a product busy.
const DEVICE_BLOCK_ROWS: usize = 32_768;
/// Before the first logit. Unlike minus infinity it makes no difference that is not a number.
const LOWEST: f64 = -1.0e30;

/// The output matrix, `[vocabulary, width]`, in blocks of rows.
#[derive(Debug)]
pub struct Head {
    stored: Packed,
    blocks: Vec<Weight>,
    block_rows: usize,
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
        let block_rows = if compute.is_processor() { BLOCK_ROWS } else { DEVICE_BLOCK_ROWS };
        let mut blocks = Vec::new();
        if !packed {
            for from in (0..stored.rows()).step_by(block_rows) {
                let to = (from + block_rows).min(stored.rows());
                let floats = stored.floats(from, to)?;
                blocks.push(Weight::Kept(compute.matrix(floats, to - from, stored.columns())?));
            }
        }
        Ok(Self { stored, blocks, block_rows, compute: compute.clone(), logit_cap })
    }

    fn block_count(&self) -> usize {
        self.stored.rows().div_ceil(self.block_rows)
    }

    fn block(&self, index: usize) -> Result<Tensor<2>> {
        if let Some(weight) = self.blocks.get(index) {
            return weight.tensor(&self.compute);
        }
        let from = index * self.block_rows;
        let to = (from + self.block_rows).min(self.stored.rows());
        self.compute.matrix(self.stored.floats(from, to)?, to - from, self.stored.columns())
    }

    /// Logits of normalised hidden states `[n, width]`: `[n, vocabulary]`, without gradient.
    ///
    /// # Errors
    /// As [`Packed::floats`].
    pub fn logits(&self, hidden: Tensor<2>) -> Result<Tensor<2>> {
        let hidden = hidden.without_autodiff();
        let blocks = (0..self.block_count())
            .map(|index| self.block(index).map(|block| self.block_logits(&hidden, block)));
        Ok(Tensor::cat(blocks.collect::<Result<Vec<_>>>()?, 1))
    }

    fn block_logits(&self, hidden: &Tensor<2>, block: Tensor<2>) -> Tensor<2> {
        let logits = hidden.clone().matmul(block.transpose());
        match self.logit_cap {
            Some(cap) => logits.div_scalar(cap).tanh().mul_scalar(cap),
            None => logits,
        }
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
        let running = self.softmax(&hidden, terms)?;
        let largest = values_f64(running.most)?;
        let mut gradient: Tensor<2> = hidden.zeros_like();
        let mut losses = Vec::with_capacity(terms.len());
        for (term, (sums, pull)) in terms.iter().zip(running.sums.into_iter().zip(running.pulls)) {
            let named = self.named(&hidden, term)?;
            let scores = values_f64(named.scores.clone())?;
            let parts = row_parts(term, named.most, &scores, &largest, &values_f64(sums)?);
            losses.push(parts.loss);
            let dense = self.compute.tensor_f64(parts.dense, [count, 1])?;
            let sparse = self.compute.tensor_f64(parts.sparse, [count, 1, named.most])?;
            gradient = gradient + pull * dense;
            gradient = gradient + sparse.matmul(named.rows).reshape([count, width]);
        }
        Ok(HeadLoss { terms: losses, gradient })
    }

    /// The softmax over the vocabulary and what it pulls towards, `softmax(h W^T) W`, block by
    /// block in one pass: what was summed under a smaller maximum is scaled down when a larger one
    /// is found (Milakov and Gimelshein 2018, arXiv 1805.02867). No more than one block of logits
    /// is ever there.
    fn softmax(&self, hidden: &Tensor<2>, terms: &[HeadTerm]) -> Result<Running> {
        let [count, _] = hidden.dims();
        let column = |value: f64| self.compute.tensor_f64(vec![value; count], [count, 1]);
        let sums = terms.iter().map(|_| column(0.0)).collect::<Result<Vec<_>>>()?;
        let pulls = vec![hidden.zeros_like(); terms.len()];
        let mut running = Running { most: column(LOWEST)?, sums, pulls };
        for index in 0..self.block_count() {
            let block = self.block(index)?;
            let logits = self.block_logits(hidden, block.clone());
            let mut most = running.most.clone();
            let mut waiting = Some(logits);
            for (at, term) in terms.iter().enumerate() {
                let is_last = at + 1 == terms.len();
                let logits = if is_last { waiting.take() } else { waiting.clone() };
                let Some(logits) = logits else { break };
                let heat = 1.0 / term.temperature;
                let raised = fused::raise(logits, &running.most, heat);
                let factor = (running.most.clone() - raised.most.clone()).mul_scalar(heat).exp();
                let (sum, pull) = (&mut running.sums[at], &mut running.pulls[at]);
                *sum = sum.clone() * factor.clone() + raised.sums;
                *pull = pull.clone() * factor + raised.shares.matmul(block.clone());
                most = raised.most;
            }
            running.most = most;
        }
        Ok(running)
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

/// A softmax over the blocks so far.
struct Running {
    /// Largest logits, `[n, 1]`.
    most: Tensor<2>,
    /// Of each term, the sum of `e^((logit - most) / temperature)`, `[n, 1]`.
    sums: Vec<Tensor<2>>,
    /// Of each term, the rows of the matrix summed with those weights, `[n, width]`.
    pulls: Vec<Tensor<2>>,
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
