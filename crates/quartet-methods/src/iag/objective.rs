//! What is learnt in the second part (card, sections 4 and 7): weights for which the frozen base
//! writes the answer, and behaves as if it had read the documents.
//!
//! ```text
//! L = (1 - w) CE + w KL(teacher || student) + v mean over layers and tokens of (1 - cos)
//! ```
//!
//! over the positions that predict the answer, with both softmaxes at the temperature of the
//! update. Where the teacher has nothing to say of a row, it is `CE` alone. Every row has weights
//! of its own, so a pass holds one row; nothing reaches the base, the teacher or the features.

use super::bank::BankShape;
use super::hypernetwork::{Hypernetwork, Shape, length};
use super::shape::Side;
use super::teacher::{Teaching, compared_layers, temperature};
use quartet_train::{
    Adapters, Control, Decoder, Distillation, Gradients, Leaves, LoraPlan, Loss, LowRank,
    Objective, Parameters, Pass, Piece, Places, Tensor, activation, chained, cosine_distance,
    distilled_cross_entropy, rows_at,
};
use quartet_types::{Error, ErrorCode, Result, Tap, TapPoint};
use serde::{Deserialize, Serialize};

/// From this update on the length of the changes is looked at, every so many updates.
const WATCHED_FROM: u64 = 1_000;
const WATCHED_EVERY: u64 = 100;
/// Changes shorter than this are nothing.
const SHORTEST: f64 = 1e-4;

/// What makes weights of features.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Maker {
    /// A hypernetwork.
    Hypernetwork(Shape),
    /// A bank.
    Bank(BankShape),
}

impl Maker {
    /// Which base it is for, and of what inner size.
    #[must_use]
    pub fn shape(&self) -> &Shape {
        match self {
            Self::Hypernetwork(shape) => shape,
            Self::Bank(shape) => &shape.inner,
        }
    }

    /// Components of the features.
    #[must_use]
    pub fn components(&self) -> usize {
        self.shape().components
    }

    /// Names and shapes of what is trained.
    #[must_use]
    pub fn parts(&self) -> Vec<(String, usize, usize)> {
        match self {
            Self::Hypernetwork(shape) => shape.parts(),
            Self::Bank(shape) => shape.parts(),
        }
    }

    /// Fresh parameters.
    ///
    /// # Errors
    /// `Internal` if the shapes contradict each other.
    pub fn fresh(&self, seed: u64, tiny: bool) -> Result<Parameters> {
        match self {
            Self::Hypernetwork(shape) => shape.fresh(seed, tiny),
            Self::Bank(shape) => shape.fresh(seed),
        }
    }

    /// The adapters for features `[1, components]`, in the graph.
    ///
    /// # Errors
    /// `Internal` where a parameter is missing.
    pub fn adapters(
        &self,
        decoder: &Decoder,
        leaves: &Leaves,
        features: &[f32],
    ) -> Result<Adapters> {
        let compute = decoder.compute();
        match self {
            Self::Hypernetwork(shape) => shape.adapters(decoder, leaves, features),
            Self::Bank(shape) => {
                let features = compute.matrix(features.to_vec(), 1, features.len())?;
                shape.adapters(leaves, &features)
            }
        }
    }
}

impl Shape {
    /// The same as [`Hypernetwork::changes`](super::hypernetwork::Hypernetwork::changes), in the
    /// graph.
    ///
    /// # Errors
    /// `Internal` where a parameter is missing.
    pub fn adapters(
        &self,
        decoder: &Decoder,
        leaves: &Leaves,
        features: &[f32],
    ) -> Result<Adapters> {
        let mut adapters = Adapters::none();
        let compute = decoder.compute();
        for (place, class) in self.classes().iter().enumerate() {
            let slots: Vec<_> = class.slots(self.layers).collect();
            let mut read = Vec::with_capacity(slots.len() * (features.len() + 1));
            for slot in 0..slots.len() {
                read.extend_from_slice(features);
                read.push(self.slot_value(slot, slots.len()));
            }
            let read = compute.matrix(read, slots.len(), features.len() + 1)?;
            let network = |side: Side| -> Result<Tensor<2>> {
                let part = |name: &str| leaves.get(&side.name(place, name));
                let inner = read.clone().matmul(part("w1")?.transpose()) + part("b1")?;
                Ok(activation::relu(inner).matmul(part("w2")?.transpose()) + part("b2")?)
            };
            let down = network(Side::Down)?;
            let up = network(Side::Up)?.div_scalar((self.rank as f64).sqrt());
            for (slot, (layer, projection)) in slots.into_iter().enumerate() {
                let a = down.clone().narrow(0, slot, 1).reshape([self.rank, class.inputs]);
                let b = up.clone().narrow(0, slot, 1).reshape([class.outputs, self.rank]);
                adapters.add(layer, projection, LowRank { a, b, factor: 1.0 })?;
            }
        }
        Ok(adapters)
    }
}

/// A question with its features, its answer and what the teacher saw.
#[derive(Debug, Clone, PartialEq)]
pub struct Lesson {
    /// Tokens of the prompt.
    pub prompt: Vec<u32>,
    /// Tokens of the answer, the line break that ends it included.
    pub answer: Vec<u32>,
    /// Whitened, `[components]`.
    pub features: Vec<f32>,
    /// What the teacher saw, where it is worth listening to.
    pub teaching: Option<Teaching>,
}

/// How the loss is put together and computed.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// What makes the weights.
    pub maker: Maker,
    /// The static change of the feed-forward layers, if any.
    pub feed_forward: Option<LoraPlan>,
    /// `w`.
    pub teacher_weight: f64,
    /// `v`.
    pub hidden_weight: f64,
    /// The temperature never falls below 1.
    pub clamp_temperature: bool,
    /// Block by block, for small memories. Of the hidden states only the last are then compared.
    pub is_chained: bool,
    /// Give up where the changes are still nothing after a thousand updates: next to the saddle
    /// of the paper's start they may stay there (card, test 12).
    pub watches_saddle: bool,
}

/// The training objective of the second part.
pub struct Tuning<'a> {
    decoder: &'a Decoder,
    settings: Settings,
    lessons: Vec<Lesson>,
    held_out: Vec<Lesson>,
    control: Control,
}

impl<'a> Tuning<'a> {
    /// An objective over lessons. `control` is looked at between blocks.
    ///
    /// # Errors
    /// `InvalidInput` for a lesson without prompt or answer, or with features of another length.
    pub fn new(
        decoder: &'a Decoder,
        settings: Settings,
        lessons: Vec<Lesson>,
        held_out: Vec<Lesson>,
        control: Control,
    ) -> Result<Self> {
        let components = settings.maker.components();
        let is_broken = |one: &Lesson| {
            one.prompt.is_empty() || one.answer.is_empty() || one.features.len() != components
        };
        if lessons.iter().chain(&held_out).any(is_broken) {
            return Err(Error::new(
                ErrorCode::InvalidInput,
                "a lesson without prompt or answer, or with features of another length",
            ));
        }
        Ok(Self { decoder, settings, lessons, held_out, control })
    }

    /// Everything in force for a lesson.
    ///
    /// # Errors
    /// `Internal` where a parameter is missing.
    pub fn adapters(&self, leaves: &Leaves, features: &[f32]) -> Result<Adapters> {
        let mut adapters = self.settings.maker.adapters(self.decoder, leaves, features)?;
        if let Some(plan) = &self.settings.feed_forward {
            adapters.extend(plan.adapters(leaves)?);
        }
        Ok(adapters)
    }

    /// Whether anything is held out.
    #[must_use]
    pub fn holds_out(&self) -> bool {
        !self.held_out.is_empty()
    }

    /// Mean cross-entropy in nats per token of the held-out answers, without a graph.
    ///
    /// # Errors
    /// As [`Decoder::run`].
    pub fn held_out_loss(&self, leaves: &Leaves) -> Result<f64> {
        let (mut sum, mut tokens) = (0.0, 0);
        for lesson in &self.held_out {
            let loss = self.loss(leaves, lesson, None)?;
            sum += loss.value * lesson.answer.len() as f64;
            tokens += lesson.answer.len();
        }
        Ok(sum / tokens.max(1) as f64)
    }

    /// The loss of a lesson at update `step`; `None` for the cross-entropy alone.
    ///
    /// # Errors
    /// As [`Decoder::run`].
    pub fn loss(&self, leaves: &Leaves, lesson: &Lesson, step: Option<u64>) -> Result<Loss> {
        let adapters = self.adapters(leaves, &lesson.features)?;
        let spoken = &lesson.answer[..lesson.answer.len() - 1];
        let read: Vec<u32> = lesson.prompt.iter().chain(spoken).copied().collect();
        let places = Places::consecutive(0..read.len() as u32);
        let first = lesson.prompt.len() - 1;
        let targets: Vec<(usize, u32)> =
            lesson.answer.iter().enumerate().map(|(at, id)| (first + at, *id)).collect();
        let rows: Vec<usize> = targets.iter().map(|(row, _)| *row).collect();
        let rows_in = self.decoder.embed(&[Piece::Tokens(&read)])?;
        let whole = Pass::new(self.decoder, rows_in, &places, &adapters);
        let whole = Pass { control: Some(&self.control), ..whole };
        let Some((step, teaching)) = step.zip(lesson.teaching.as_ref()) else {
            let top = |hidden| distilled_cross_entropy(self.decoder, hidden, &targets, 1.0, None);
            return match self.settings.is_chained && step.is_some() {
                true => chained(self.decoder, &whole, top),
                false => top(self.decoder.run(&whole)?.hidden),
            };
        };
        let Settings { teacher_weight, hidden_weight, clamp_temperature, .. } = self.settings;
        let heat = temperature(step, clamp_temperature);
        let teacher = teaching.rows(heat)?;
        let top = |hidden: Tensor<2>| {
            let distillation =
                Distillation { teacher: &teacher, temperature: heat, weight: teacher_weight };
            let weight = 1.0 - teacher_weight;
            distilled_cross_entropy(self.decoder, hidden, &targets, weight, Some(distillation))
        };
        if self.settings.is_chained {
            return chained(self.decoder, &whole, |hidden| {
                let loss = top(hidden.clone())?;
                let last = teaching.states.last();
                let term = last.map(|states| self.distance(hidden, &rows, states)).transpose()?;
                match term {
                    Some(term) => join(loss, term, hidden_weight),
                    None => Ok(loss),
                }
            });
        }
        let layers = compared_layers(self.decoder.architecture().layers);
        let taps: Vec<Tap> = layers
            .iter()
            .map(|layer| Tap {
                point: TapPoint::LayerOutput,
                layer: *layer as u32,
                stop_after: false,
            })
            .collect();
        let outcome = self.decoder.run(&Pass { taps: &taps, ..whole })?;
        let mut loss = top(outcome.hidden)?;
        let share = hidden_weight / layers.len() as f64;
        if hidden_weight > 0.0 {
            for (own, states) in outcome.taps.into_iter().zip(&teaching.states) {
                loss = join(loss, self.distance(own, &rows, states)?, share)?;
            }
        }
        Ok(loss)
    }

    /// Refuses changes that are still nothing.
    fn check_saddle(&self, leaves: &Leaves, features: &[f32]) -> Result<()> {
        let Maker::Hypernetwork(shape) = &self.settings.maker else { return Ok(()) };
        let mut now = Parameters::new();
        for (name, rows, columns) in shape.parts() {
            let values = quartet_train::values(leaves.get(&name)?)?;
            now.add(name, rows, columns, values)?;
        }
        let changes = Hypernetwork::new(shape.clone(), &now)?.changes(features)?;
        if length(&changes, shape.rank) >= SHORTEST {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::InvalidInput,
            "the hypernetwork has not left its start after a thousand updates",
        )
        .hint("Train without `--published`: its start is next to a saddle."))
    }

    /// `1 - cos` to the teacher's states, the mean over positions.
    fn distance(&self, own: Tensor<2>, rows: &[usize], states: &[f32]) -> Result<Tensor<1>> {
        let width = self.decoder.architecture().width;
        let theirs = self.decoder.compute().matrix(states.to_vec(), rows.len(), width)?;
        Ok(cosine_distance(rows_at(own, rows), theirs))
    }
}

fn join(loss: Loss, term: Tensor<1>, weight: f64) -> Result<Loss> {
    let value = quartet_train::values_f64(term.clone())?.first().copied().unwrap_or_default();
    Ok(Loss {
        graph: loss.graph + term.mul_scalar(weight),
        value: weight.mul_add(value, loss.value),
    })
}

impl Objective for Tuning<'_> {
    fn samples(&self) -> usize {
        self.lessons.len()
    }

    fn gradients(&mut self, leaves: &Leaves, sample: usize, step: u64) -> Result<Gradients> {
        let lesson = self
            .lessons
            .get(sample)
            .ok_or_else(|| Error::internal("a lesson that is not there"))?;
        if self.settings.watches_saddle
            && step >= WATCHED_FROM
            && step.is_multiple_of(WATCHED_EVERY)
        {
            self.check_saddle(leaves, &lesson.features)?;
        }
        leaves.gradients(&self.loss(leaves, lesson, Some(step))?)
    }

    fn evaluate(&mut self, leaves: &Leaves) -> Result<Option<f64>> {
        if self.held_out.is_empty() {
            return Ok(None);
        }
        self.held_out_loss(leaves).map(Some)
    }
}
