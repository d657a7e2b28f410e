//! What retrieval learns: vectors of questions near those of their passages.
//!
//! Warm-up (section 4, Eq. 3): for each query the sum over its positives of
//! `-log(e^s_p / (e^s_p + sum over negatives of e^s_n))`, other positives not in the denominator.
//! Negatives are hard ones of its own and everything in the batch that is not known to be right.
//! Self-distillation (Eq. 5): `KL(P_T || P_R)` over the query's own candidates, with
//! `P_T = softmax(log P_LM / tau_t)` of the model's own reader and `P_R = softmax(s / tau_r)`.

use super::encoding::{Side, TextEncoder};
use super::vector::nearest;
use quartet_train::{
    Adapters, Control, Decoder, Gradients, Leaves, LoraPlan, Loss, Objective, Tensor, activation,
    retrieval_loss, values, values_f64,
};
use quartet_types::{Error, ErrorCode, Result};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Passages a held-out query is looked for in, besides the right ones.
const DISTRACTORS: usize = 240;
/// Ranks that count.
const TOP: usize = 10;

/// A query with what is known of its passages, by their place in the list of passages.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Query {
    /// Tokens of the prompt.
    pub prompt: Vec<u32>,
    /// Right passages.
    pub positives: Vec<usize>,
    /// Wrong ones that look right.
    pub negatives: Vec<usize>,
    /// Neither counted as right nor as wrong: near copies, other places with the answer.
    pub unclear: Vec<usize>,
    /// What the reader thinks of candidates: the log-likelihood of the answer with each alone.
    /// Empty before self-distillation.
    #[serde(default)]
    pub judged: Vec<(usize, f64)>,
}

/// How retrieval is learnt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RetrievalSettings {
    /// Layer `b`.
    pub layer: usize,
    /// What is trained.
    pub lora: LoraPlan,
    /// Whether passages have vectors of the same adapters (T1) or keep theirs (T1q).
    pub both_sides: bool,
    /// Queries of a micro-batch.
    pub batch: usize,
    /// Positives of a query in a batch, at most.
    pub positives: usize,
    /// Hard negatives of a query in a batch.
    pub negatives: usize,
    /// Divides all scores in Eq. 3: 1 in the paper; a frozen constant where scores spread so
    /// widely that the softmax saturates.
    pub divisor: f64,
    /// Weight of Eq. 3.
    pub warm_up: f64,
    /// Weight of Eq. 5; needs judged queries.
    pub distillation: f64,
    /// `tau_t` and `tau_r`.
    pub temperatures: (f64, f64),
    /// Bytes of hidden states kept, at most.
    pub kept_bytes: usize,
    /// Seed of what a batch is made of.
    pub seed: u64,
}

/// The training objective of retrieval.
pub struct Retrieval<'a> {
    decoder: &'a Decoder,
    settings: RetrievalSettings,
    /// In force besides what is trained, on each side.
    fixed: (Adapters, Adapters),
    queries: Vec<Query>,
    held_out: Vec<Query>,
    /// Texts: passages, then queries, then held-out queries.
    texts: TextEncoder<'a>,
    passages: usize,
    /// Passages that held-out queries are looked for in.
    searched: Vec<usize>,
}

impl<'a> Retrieval<'a> {
    /// An objective. `fixed` adapters act under those that are trained, on queries and on
    /// passages.
    ///
    /// # Errors
    /// `InvalidInput` for a query without a right passage, or places that are not there.
    pub fn new(
        decoder: &'a Decoder,
        settings: RetrievalSettings,
        fixed: (Adapters, Adapters),
        passages: Vec<Vec<u32>>,
        queries: Vec<Query>,
        held_out: Vec<Query>,
        control: Control,
    ) -> Result<Self> {
        let count = passages.len();
        for query in queries.iter().chain(&held_out) {
            let all = query.positives.iter().chain(&query.negatives).chain(&query.unclear);
            let judged = query.judged.iter().map(|(place, _)| place);
            if query.positives.is_empty()
                || query.prompt.is_empty()
                || all.chain(judged).any(|place| *place >= count)
            {
                return Err(Error::new(
                    ErrorCode::InvalidInput,
                    "a query without a right passage, or with one that is not there",
                ));
            }
        }
        let mut random = ChaCha8Rng::seed_from_u64(settings.seed);
        let mut searched: Vec<usize> =
            held_out.iter().flat_map(|query| query.positives.iter().copied()).collect();
        let every: Vec<usize> = (0..count).collect();
        searched.extend(every.choose_multiple(&mut random, DISTRACTORS.min(count)));
        searched.sort_unstable();
        searched.dedup();
        let lowest = [fixed.0.lowest_layer(), fixed.1.lowest_layer()];
        let from = lowest.into_iter().flatten().chain([settings.lora.layers.start]).min();
        let mut texts = passages;
        texts.extend(queries.iter().chain(&held_out).map(|query| query.prompt.clone()));
        let texts = TextEncoder::new(
            decoder,
            settings.layer,
            from.unwrap_or(0),
            texts,
            settings.kept_bytes,
            control,
        );
        Ok(Self { decoder, settings, fixed, queries, held_out, texts, passages: count, searched })
    }

    /// The encoder: passages, then queries, then held-out queries.
    pub fn texts(&mut self) -> &mut TextEncoder<'a> {
        &mut self.texts
    }

    fn adapters(&self, leaves: &Leaves, side: Side) -> Result<Adapters> {
        let mut all = match side {
            Side::Query => self.fixed.0.clone(),
            Side::Passage => self.fixed.1.clone(),
        };
        if side == Side::Query || self.settings.both_sides {
            all.extend(self.settings.lora.adapters(leaves)?);
        }
        Ok(all)
    }

    /// The loss of micro-batch `sample` at update `step`.
    ///
    /// # Errors
    /// As [`Decoder::run`].
    pub fn loss_of(&mut self, leaves: &Leaves, sample: usize, step: u64) -> Result<Loss> {
        let first = sample * self.settings.batch;
        let last = (first + self.settings.batch).min(self.queries.len());
        let batch: Vec<usize> = (first..last).collect();
        self.loss(leaves, &batch, step)
    }

    fn loss(&mut self, leaves: &Leaves, batch: &[usize], step: u64) -> Result<Loss> {
        let chosen = self.candidates(batch, step);
        let mut columns: Vec<usize> = chosen.iter().flatten().copied().collect();
        columns.sort_unstable();
        columns.dedup();
        let places: Vec<usize> = batch.iter().map(|at| self.passages + at).collect();
        let on_query = self.adapters(leaves, Side::Query)?;
        let on_passage = self.adapters(leaves, Side::Passage)?;
        let queries = self.texts.vectors(&places, Side::Query, &on_query)?;
        let passages = self.texts.vectors(&columns, Side::Passage, &on_passage)?;
        let scores = queries.matmul(passages.transpose());
        let mut graph: Option<Tensor<1>> = None;
        let mut add = |term: Tensor<1>| {
            graph = Some(match graph.take() {
                Some(sum) => sum + term,
                None => term,
            });
        };
        if self.settings.warm_up != 0.0 {
            let labels = self.labels(batch, &chosen, &columns);
            let divided = scores.clone().div_scalar(self.settings.divisor);
            add(retrieval_loss(&divided, &labels)?.mul_scalar(self.settings.warm_up));
        }
        if self.settings.distillation != 0.0 {
            add(self.distil(batch, &columns, &scores)?.mul_scalar(self.settings.distillation));
        }
        let graph = graph.ok_or_else(|| Error::internal("an objective without a part"))?;
        let value = values_f64(graph.clone())?.first().copied().unwrap_or_default();
        Ok(Loss { graph, value })
    }

    /// Passages that each query of a batch brings along.
    fn candidates(&self, batch: &[usize], step: u64) -> Vec<Vec<usize>> {
        let mut random = ChaCha8Rng::seed_from_u64(self.settings.seed);
        random.set_stream(step + 1);
        let mut draw = |from: &[usize], count: usize| -> Vec<usize> {
            from.choose_multiple(&mut random, count.min(from.len())).copied().collect()
        };
        let mut chosen = Vec::with_capacity(batch.len());
        for at in batch {
            let query = &self.queries[*at];
            let mut own = draw(&query.positives, self.settings.positives);
            own.extend(draw(&query.negatives, self.settings.negatives));
            if self.settings.distillation != 0.0 {
                own.extend(query.judged.iter().map(|(place, _)| *place));
            }
            chosen.push(own);
        }
        // A query must have something to be told from.
        let others: Vec<usize> = (0..8).map(|_| random.random_range(0..self.passages)).collect();
        if let Some(first) = chosen.first_mut() {
            first.extend(others);
        }
        chosen
    }

    fn labels(
        &self,
        batch: &[usize],
        chosen: &[Vec<usize>],
        columns: &[usize],
    ) -> Vec<Option<bool>> {
        let mut labels = Vec::with_capacity(batch.len() * columns.len());
        for (at, own) in batch.iter().zip(chosen) {
            let query = &self.queries[*at];
            labels.extend(columns.iter().map(|place| {
                if query.positives.contains(place) {
                    // One that another query brought in counts for that one alone.
                    own.contains(place).then_some(true)
                } else if query.unclear.contains(place) {
                    None
                } else {
                    Some(false)
                }
            }));
        }
        labels
    }

    /// Mean divergence over the queries of a batch that have been judged.
    fn distil(&self, batch: &[usize], columns: &[usize], scores: &Tensor<2>) -> Result<Tensor<1>> {
        let (teacher, student) = self.settings.temperatures;
        let mut sum: Option<Tensor<1>> = None;
        let mut count = 0.0;
        for (row, at) in batch.iter().enumerate() {
            let judged = &self.queries[*at].judged;
            if judged.len() < 2 {
                continue;
            }
            let places: Vec<usize> =
                judged.iter().filter_map(|(place, _)| columns.binary_search(place).ok()).collect();
            let own = scores.clone().narrow(0, row, 1).transpose();
            let own = quartet_train::rows_at(own, &places).transpose();
            let target: Vec<f64> = judged.iter().map(|(_, judgement)| *judgement).collect();
            let term = divergence(&target, own, teacher, student, self.decoder)?;
            sum = Some(match sum {
                Some(sum) => sum + term,
                None => term,
            });
            count += 1.0;
        }
        let sum = sum.ok_or_else(|| {
            Error::new(ErrorCode::InvalidInput, "no query of the batch has been judged")
        })?;
        Ok(sum.div_scalar(count))
    }

    /// The `limit` nearest of all passages for some queries, best first.
    ///
    /// # Errors
    /// As [`Decoder::run`].
    pub fn nearest(
        &mut self,
        leaves: &Leaves,
        queries: &[usize],
        limit: usize,
    ) -> Result<Vec<Vec<usize>>> {
        let places: Vec<usize> = queries.iter().map(|at| self.passages + at).collect();
        let every: Vec<usize> = (0..self.passages).collect();
        let on_query = self.adapters(leaves, Side::Query)?;
        let on_passage = self.adapters(leaves, Side::Passage)?;
        let queries = values(self.texts.vectors(&places, Side::Query, &on_query)?)?;
        let passages = values(self.texts.vectors(&every, Side::Passage, &on_passage)?)?;
        let best = queries.chunks_exact(self.texts.heads().width()).map(|query| {
            nearest(query, &passages, limit).into_iter().map(|(place, _)| place).collect()
        });
        Ok(best.collect())
    }

    /// Mean reciprocal rank among the first ten of the first right passage, over held-out
    /// queries, and the share of them that have one.
    ///
    /// # Errors
    /// As [`Decoder::run`].
    pub fn ranks(&mut self, leaves: &Leaves) -> Result<(f64, f64)> {
        let first = self.passages + self.queries.len();
        let places: Vec<usize> = (first..first + self.held_out.len()).collect();
        let on_query = self.adapters(leaves, Side::Query)?;
        let on_passage = self.adapters(leaves, Side::Passage)?;
        let queries = values(self.texts.vectors(&places, Side::Query, &on_query)?)?;
        let searched = self.searched.clone();
        let passages = values(self.texts.vectors(&searched, Side::Passage, &on_passage)?)?;
        let width = self.texts.heads().width();
        let (mut reciprocal, mut found) = (0.0, 0.0);
        for (query, vector) in self.held_out.iter().zip(queries.chunks_exact(width)) {
            let best = nearest(vector, &passages, TOP);
            let is_right = |(place, _): &(usize, f32)| query.positives.contains(&searched[*place]);
            if let Some(rank) = best.iter().position(is_right) {
                reciprocal += 1.0 / (rank + 1) as f64;
                found += 1.0;
            }
        }
        let count = self.held_out.len().max(1) as f64;
        Ok((reciprocal / count, found / count))
    }
}

impl Objective for Retrieval<'_> {
    fn samples(&self) -> usize {
        self.queries.len().div_ceil(self.settings.batch.max(1))
    }

    fn gradients(&mut self, leaves: &Leaves, sample: usize, step: u64) -> Result<Gradients> {
        let loss = self.loss_of(leaves, sample, step)?;
        leaves.gradients(&loss)
    }

    /// One minus the mean reciprocal rank of held-out queries.
    fn evaluate(&mut self, leaves: &Leaves) -> Result<Option<f64>> {
        if self.held_out.is_empty() {
            return Ok(None);
        }
        self.ranks(leaves).map(|(reciprocal, _)| Some(1.0 - reciprocal))
    }
}

/// `KL(softmax(target / teacher) || softmax(scores / student))` for scores `[1, n]` (Eq. 5); no
/// gradient flows into the target.
///
/// # Errors
/// `InvalidInput` where they differ in number.
pub fn divergence(
    target: &[f64],
    scores: Tensor<2>,
    teacher: f64,
    student: f64,
    decoder: &Decoder,
) -> Result<Tensor<1>> {
    let [_, count] = scores.dims();
    if count != target.len() {
        return Err(Error::new(ErrorCode::InvalidInput, "candidates that were not judged"));
    }
    let shares = softmax(target, teacher);
    let entropy: f64 =
        shares.iter().filter(|share| **share > 0.0).map(|share| share * share.ln()).sum();
    let shares = shares.iter().map(|share| *share as f32).collect();
    let shares = decoder.compute().matrix(shares, 1, count)?;
    let logarithms = activation::log_softmax(scores.div_scalar(student), 1);
    Ok((logarithms * shares).sum().neg().add_scalar(entropy))
}

/// Shares of a softmax with a temperature.
#[must_use]
pub fn softmax(values: &[f64], temperature: f64) -> Vec<f64> {
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> =
        values.iter().map(|value| ((value - largest) / temperature).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}
