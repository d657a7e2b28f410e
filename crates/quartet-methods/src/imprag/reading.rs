//! What the reader learns: answers from passages that layers `b..=t` alone can see (`J_gen`,
//! section 4): the mean cross-entropy of the answer's tokens.
//!
//! Passages are encoded by fixed adapters (or none) and without a gradient, so that their keys
//! and values are those on disk, and training leaves them valid. The paper states neither
//! whether gradients reach the passages; [`Whole`](super::whole) is the form in which they do.

use super::encoding::states_of;
use quartet_train::{
    Adapters, Control, Decoder, Gradients, KeyValues, Leaves, LoraPlan, Loss, Objective, Pass,
    Piece, Places, Tensor, cross_entropy, values,
};
use quartet_types::{Error, ErrorCode, ImpragMode, Result};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// A prompt with what is read for it and the answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadingRow {
    /// Tokens of the prompt.
    pub prompt: Vec<u32>,
    /// Passages in the order in which they are read, by place; none for a row that is answered
    /// from the prompt.
    pub passages: Vec<usize>,
    /// Tokens of the answer, the line break that ends it included.
    pub answer: Vec<u32>,
}

/// How reading is learnt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReadingSettings {
    /// Layer `b`.
    pub first_layer: usize,
    /// Layer `t`.
    pub last_layer: usize,
    /// Position of every prompt, `k * l_max`.
    pub prompt_position: u32,
    /// How passages are encoded.
    pub mode: ImpragMode,
    /// What is trained.
    pub lora: LoraPlan,
    /// Whether what is trained acts on passages too, and learns through them (T3).
    #[serde(default)]
    pub through_passages: bool,
    /// Rows of a micro-batch.
    pub batch: usize,
    /// Bytes of passages' states kept between visits, at most.
    pub kept_bytes: usize,
}

/// The training objective of a reader.
pub struct Reading<'a> {
    decoder: &'a Decoder,
    settings: ReadingSettings,
    /// In force besides what is trained.
    fixed: Adapters,
    /// In force while passages are encoded.
    encoding: Adapters,
    passages: Vec<Vec<u32>>,
    rows: Vec<ReadingRow>,
    held_out: Vec<ReadingRow>,
    control: Control,
    states: HashMap<usize, KeyValues>,
    kept: usize,
    /// What enters the lowest layer that is trained or sees passages, by row: nothing below it
    /// changes.
    entering: HashMap<usize, Vec<f32>>,
}

/// Where a row's tokens are predicted, and which.
type Targets = Vec<(usize, u32)>;

impl<'a> Reading<'a> {
    /// An objective. `control` is looked at between blocks.
    ///
    /// # Errors
    /// `InvalidInput` for a row without prompt or answer, a passage that is not there, a passage
    /// or a question's passages that reach beyond the prompt's position, or layers that are not
    /// there.
    pub fn new(
        decoder: &'a Decoder,
        settings: ReadingSettings,
        (fixed, encoding): (Adapters, Adapters),
        passages: Vec<Vec<u32>>,
        rows: Vec<ReadingRow>,
        held_out: Vec<ReadingRow>,
        control: Control,
    ) -> Result<Self> {
        let wrong = |message: &str| Err(Error::new(ErrorCode::InvalidInput, message.to_owned()));
        if settings.last_layer >= decoder.architecture().layers {
            return wrong("passages are read in layers that the model does not have");
        }
        for row in rows.iter().chain(&held_out) {
            if row.prompt.is_empty() || row.answer.is_empty() {
                return wrong("a row without prompt or answer");
            }
            let lengths = row.passages.iter().map(|place| passages.get(*place).map(Vec::len));
            let Some(lengths) = lengths.collect::<Option<Vec<usize>>>() else {
                return wrong("a row with a passage that is not there");
            };
            let reach = match settings.mode {
                ImpragMode::Fast => lengths.iter().copied().max().unwrap_or(0),
                ImpragMode::Quality => lengths.iter().sum(),
            };
            if reach > settings.prompt_position as usize {
                return wrong("passages reach beyond the position of the prompt");
            }
        }
        Ok(Self {
            decoder,
            settings,
            fixed,
            encoding,
            passages,
            rows,
            held_out,
            control,
            states: HashMap::new(),
            kept: 0,
            entering: HashMap::new(),
        })
    }

    /// Mean loss in nats per token of the answers of `rows`, without a graph.
    ///
    /// # Errors
    /// As [`Decoder::run`].
    pub fn mean_loss(&mut self, leaves: &Leaves, rows: &[usize]) -> Result<f64> {
        let (mut sum, mut tokens) = (0.0, 0);
        for batch in rows.chunks(self.settings.batch.max(1)) {
            let predicted: usize = batch.iter().map(|at| self.row(*at).answer.len()).sum();
            sum += self.loss(leaves, batch)?.value * predicted as f64;
            tokens += predicted;
        }
        Ok(sum / tokens.max(1) as f64)
    }

    /// Places of the rows that are only measured.
    #[must_use]
    pub fn held_out(&self) -> Vec<usize> {
        (self.rows.len()..self.rows.len() + self.held_out.len()).collect()
    }

    /// Places, in a list of rows followed by held-out rows.
    fn row(&self, at: usize) -> &ReadingRow {
        self.rows.get(at).unwrap_or_else(|| &self.held_out[at - self.rows.len()])
    }

    /// The lowest layer that is not the same for every parameter.
    fn from(&self) -> usize {
        let lowest = self.fixed.lowest_layer().unwrap_or(usize::MAX);
        lowest.min(self.settings.lora.layers.start).min(self.settings.first_layer)
    }

    /// The loss of micro-batch `sample`.
    ///
    /// # Errors
    /// As [`Decoder::run`].
    pub fn loss_of(&mut self, leaves: &Leaves, sample: usize) -> Result<Loss> {
        let first = sample * self.settings.batch;
        let last = (first + self.settings.batch).min(self.rows.len());
        let batch: Vec<usize> = (first..last).collect();
        self.loss(leaves, &batch)
    }

    /// Log-likelihood of each row's whole answer, a sum over its tokens (`log P_LM`, section
    /// 4), without a graph. For rows of one passage each this is what retrieval is distilled
    /// from.
    ///
    /// # Errors
    /// As [`Decoder::run`].
    pub fn judge(&mut self, leaves: &Leaves, rows: &[usize]) -> Result<Vec<f64>> {
        let mut judged = Vec::with_capacity(rows.len());
        for batch in rows.chunks(self.settings.batch.max(1)) {
            let (hidden, targets) = self.hidden(leaves, batch)?;
            for targets in targets {
                let loss = cross_entropy(self.decoder, hidden.clone(), &targets)?;
                judged.push(-loss.value * targets.len() as f64);
            }
        }
        Ok(judged)
    }

    fn loss(&mut self, leaves: &Leaves, batch: &[usize]) -> Result<Loss> {
        let (hidden, targets) = self.hidden(leaves, batch)?;
        cross_entropy(self.decoder, hidden, &targets.concat())
    }

    /// The last layer's output for some rows packed together, and of each row what is to be
    /// predicted where.
    fn hidden(&mut self, leaves: &Leaves, batch: &[usize]) -> Result<(Tensor<2>, Vec<Targets>)> {
        let mut adapters = self.fixed.clone();
        let trained = self.settings.lora.adapters(leaves)?;
        adapters.extend(trained.clone());
        let mut earlier = Vec::new();
        for (sequence, at) in batch.iter().enumerate() {
            for states in self.seen_by(*at, &trained)? {
                earlier.push(states.of_sequence(sequence as u32));
            }
        }
        let from = self.from();
        let width = self.decoder.architecture().width;
        let mut hidden = Vec::new();
        let mut places = Vec::with_capacity(batch.len());
        let mut targets = Vec::new();
        let mut start = 0;
        for at in batch {
            hidden.extend(self.enter(*at, from)?);
            let row = self.row(*at);
            let first = start + row.prompt.len() - 1;
            let wanted = row.answer.iter().enumerate();
            targets.push(wanted.map(|(place, id)| (first + place, *id)).collect());
            let length = row.prompt.len() + row.answer.len() - 1;
            places.push((length, self.settings.prompt_position));
            start += length;
        }
        let places = Places::placed(&places);
        let earlier: Vec<&KeyValues> = earlier.iter().collect();
        let rows = self.decoder.compute().matrix(hidden, start, width)?;
        let whole = Pass::new(self.decoder, rows, &places, &adapters);
        let layers = from..self.decoder.architecture().layers;
        let pass = Pass { layers, earlier: &earlier, control: Some(&self.control), ..whole };
        Ok((self.decoder.run(&pass)?.hidden, targets))
    }

    /// What enters layer `from` for a row, `[prompt + answer - 1, width]`.
    fn enter(&mut self, at: usize, from: usize) -> Result<Vec<f32>> {
        if let Some(kept) = self.entering.get(&at) {
            return Ok(kept.clone());
        }
        let row = self.row(at);
        let spoken = &row.answer[..row.answer.len() - 1];
        let ids: Vec<u32> = row.prompt.iter().chain(spoken).copied().collect();
        let start = self.settings.prompt_position;
        let places = Places::consecutive(start..start + ids.len() as u32);
        let rows = self.decoder.embed(&[Piece::Tokens(&ids)])?;
        let made = if from == 0 {
            values(rows)?
        } else {
            let whole = Pass::new(self.decoder, rows, &places, &self.fixed);
            let pass = Pass { layers: 0..from, control: Some(&self.control), ..whole };
            values(self.decoder.run(&pass)?.hidden)?
        };
        self.entering.insert(at, made.clone());
        Ok(made)
    }

    /// States of what a row reads.
    fn seen_by(&mut self, at: usize, trained: &Adapters) -> Result<Vec<KeyValues>> {
        let places = self.row(at).passages.clone();
        let layers = (self.settings.first_layer, self.settings.last_layer);
        let is_kept = !self.settings.through_passages;
        let mut encoding = self.encoding.clone();
        if self.settings.through_passages {
            encoding.extend(trained.clone());
        }
        let encode = |this: &Self, tokens: &[u32]| {
            let made = states_of(this.decoder, tokens, layers, &encoding, &this.control)?;
            Ok::<_, Error>(if is_kept { made.detached() } else { made })
        };
        match self.settings.mode {
            ImpragMode::Quality if places.is_empty() => Ok(Vec::new()),
            ImpragMode::Quality => {
                let all: Vec<u32> =
                    places.iter().flat_map(|place| &self.passages[*place]).copied().collect();
                Ok(vec![encode(self, &all)?])
            }
            ImpragMode::Fast => {
                let mut found = Vec::with_capacity(places.len());
                for place in places {
                    if let Some(kept) = self.states.get(&place) {
                        found.push(kept.clone());
                        continue;
                    }
                    let made = encode(self, &self.passages[place])?;
                    let shapes = self.decoder.architecture();
                    let width = shapes.key_value_heads * shapes.head_length * 8;
                    let bytes = self.passages[place].len() * (layers.1 + 1 - layers.0) * width;
                    if is_kept && self.kept + bytes <= self.settings.kept_bytes {
                        self.kept += bytes;
                        self.states.insert(place, made.clone());
                    }
                    found.push(made);
                }
                Ok(found)
            }
        }
    }
}

impl Objective for Reading<'_> {
    fn samples(&self) -> usize {
        self.rows.len().div_ceil(self.settings.batch.max(1))
    }

    fn gradients(&mut self, leaves: &Leaves, sample: usize, _step: u64) -> Result<Gradients> {
        let loss = self.loss_of(leaves, sample)?;
        leaves.gradients(&loss)
    }

    fn evaluate(&mut self, leaves: &Leaves) -> Result<Option<f64>> {
        if self.held_out.is_empty() {
            return Ok(None);
        }
        let all = self.held_out();
        self.mean_loss(leaves, &all).map(Some)
    }
}
