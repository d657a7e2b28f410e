//! Learning text by LoRA: continued pretraining and fine-tuning on questions are the same
//! objective with other samples.

use crate::chained::chained;
use crate::control::Control;
use crate::decoder::Decoder;
use crate::lora::LoraPlan;
use crate::loss::{Loss, cross_entropy};
use crate::parameters::{Gradients, Leaves};
use crate::pass::Pass;
use crate::rows::{Piece, Places};
use crate::training::Objective;
use burn::tensor::Tensor;
use quartet_types::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};

/// A piece of text to learn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextSample {
    /// Tokens, with whatever the model expects at the start and the end.
    pub ids: Vec<u32>,
    /// The first token that is learnt; those before it (a question) are only read. At least 1:
    /// nothing foretells the first token.
    pub learn_from: usize,
}

impl TextSample {
    /// All of a text.
    #[must_use]
    pub fn whole(ids: Vec<u32>) -> Self {
        Self { ids, learn_from: 1 }
    }

    fn learnt(&self) -> usize {
        self.ids.len().saturating_sub(self.learn_from.max(1))
    }
}

/// Puts samples together so that each micro-batch has at most `tokens` rows, where single
/// samples are not longer: small products waste a processor. Samples that teach nothing are
/// left out; the order is kept as far as possible, so the result is the same each time.
#[must_use]
pub fn pack(samples: Vec<TextSample>, tokens: usize) -> Vec<Vec<TextSample>> {
    let mut batches: Vec<(usize, Vec<TextSample>)> = Vec::new();
    for sample in samples.into_iter().filter(|sample| sample.learnt() > 0) {
        let length = sample.ids.len();
        match batches.iter_mut().find(|(used, _)| used + length <= tokens) {
            Some((used, batch)) => {
                *used += length;
                batch.push(sample);
            }
            None => batches.push((length, vec![sample])),
        }
    }
    batches.into_iter().map(|(_, batch)| batch).collect()
}

/// How a [`TextObjective`] computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TextSettings {
    /// Block by block, for small memories ([`chained`]).
    pub is_chained: bool,
    /// Keep what enters the lowest adapted layer after the first visit: `4 * width` bytes per
    /// token, and later epochs skip the layers below. Exact.
    pub keeps_lower_layers: bool,
}

/// Next-token prediction with LoRA.
#[derive(Debug)]
pub struct TextObjective<'a> {
    decoder: &'a Decoder,
    plan: LoraPlan,
    batches: Vec<Vec<TextSample>>,
    held_out: Vec<Vec<TextSample>>,
    settings: TextSettings,
    control: Control,
    /// Of each batch, what enters the lowest adapted layer.
    lower: Vec<Option<Tensor<2>>>,
}

impl<'a> TextObjective<'a> {
    /// An objective over packed samples. `control` is looked at between blocks.
    ///
    /// # Errors
    /// `InvalidInput` for an empty batch or a sample that teaches nothing.
    pub fn new(
        decoder: &'a Decoder,
        plan: LoraPlan,
        batches: Vec<Vec<TextSample>>,
        held_out: Vec<Vec<TextSample>>,
        settings: TextSettings,
        control: Control,
    ) -> Result<Self> {
        let teaches = |batch: &Vec<TextSample>| {
            !batch.is_empty() && batch.iter().all(|sample| sample.learnt() > 0)
        };
        if !batches.iter().chain(&held_out).all(teaches) {
            return Err(Error::new(ErrorCode::InvalidInput, "a sample teaches nothing"));
        }
        let lower = vec![None; batches.len()];
        Ok(Self { decoder, plan, batches, held_out, settings, control, lower })
    }

    /// Tokens that are predicted in one epoch.
    #[must_use]
    pub fn learnt_tokens(&self) -> usize {
        self.batches.iter().flatten().map(TextSample::learnt).sum()
    }

    /// Mean cross-entropy in nats per predicted token over `batches`, without a graph; its
    /// exponential is the perplexity.
    ///
    /// # Errors
    /// As [`Decoder::run`] and [`cross_entropy`].
    pub fn mean_loss(&self, leaves: &Leaves, batches: &[Vec<TextSample>]) -> Result<f64> {
        let (mut sum, mut count) = (0.0, 0usize);
        for batch in batches {
            let learnt: usize = batch.iter().map(TextSample::learnt).sum();
            sum += self.loss(leaves, batch, None, false)?.value * learnt as f64;
            count += learnt;
        }
        Ok(sum / count.max(1) as f64)
    }

    fn loss(
        &self,
        leaves: &Leaves,
        batch: &[TextSample],
        lower: Option<Tensor<2>>,
        is_chained: bool,
    ) -> Result<Loss> {
        let lengths: Vec<usize> = batch.iter().map(|sample| sample.ids.len()).collect();
        let places = Places::packed(&lengths, 0);
        let mut targets = Vec::new();
        let mut start = 0;
        for sample in batch {
            let learnt = sample.learn_from.max(1)..sample.ids.len();
            targets.extend(learnt.map(|at| (start + at - 1, sample.ids[at])));
            start += sample.ids.len();
        }
        let adapters = self.plan.adapters(leaves)?;
        let first = if lower.is_some() { self.plan.layers.start } else { 0 };
        let rows = match lower {
            Some(rows) => rows,
            None => self.embed(batch)?,
        };
        let whole = Pass::new(self.decoder, rows, &places, &adapters);
        let layers = first..whole.layers.end;
        let pass = Pass { layers, control: Some(&self.control), ..whole };
        let top = |hidden| cross_entropy(self.decoder, hidden, &targets);
        if is_chained {
            chained(self.decoder, &pass, top)
        } else {
            top(self.decoder.run(&pass)?.hidden)
        }
    }

    fn embed(&self, batch: &[TextSample]) -> Result<Tensor<2>> {
        let pieces: Vec<_> = batch.iter().map(|sample| Piece::Tokens(&sample.ids)).collect();
        self.decoder.embed(&pieces)
    }

    /// What enters the lowest adapted layer, computed once.
    fn lower(&mut self, index: usize) -> Result<Option<Tensor<2>>> {
        let first = self.plan.layers.start;
        if first == 0 || !self.settings.keeps_lower_layers {
            return Ok(None);
        }
        if self.lower[index].is_none() {
            let batch = &self.batches[index];
            let lengths: Vec<usize> = batch.iter().map(|sample| sample.ids.len()).collect();
            let places = Places::packed(&lengths, 0);
            let none = crate::adapters::Adapters::none();
            let pass = Pass {
                layers: 0..first,
                control: Some(&self.control),
                ..Pass::new(self.decoder, self.embed(batch)?, &places, &none)
            };
            self.lower[index] = Some(self.decoder.run(&pass)?.hidden);
        }
        Ok(self.lower[index].clone())
    }
}

impl Objective for TextObjective<'_> {
    fn samples(&self) -> usize {
        self.batches.len()
    }

    fn gradients(&mut self, leaves: &Leaves, sample: usize, _step: u64) -> Result<Gradients> {
        let lower = self.lower(sample)?;
        let loss = self.loss(leaves, &self.batches[sample], lower, self.settings.is_chained)?;
        leaves.gradients(&loss)
    }

    fn evaluate(&mut self, leaves: &Leaves) -> Result<Option<f64>> {
        if self.held_out.is_empty() {
            return Ok(None);
        }
        self.mean_loss(leaves, &self.held_out).map(Some)
    }
}
