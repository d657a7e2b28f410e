//! What the projector learns: rows for which the frozen base finds the answer most probable
//! (GAG card, section 4).
//!
//! The prompt is `before ++ rows ++ after ++ answer`. Nothing before the rows depends on them,
//! so its keys and values are computed once and kept; each pass runs over rows, `after` and
//! answer alone, several questions packed together. Exact, as attention is causal.
//!
//! `L = NLL + semantic * SEM + diversity * DIV` (section 4e). NLL is the mean over the predicted
//! tokens of a micro-batch, answer and end of turn. SEM compares a small head over the mean of
//! the finally normalised states at the answer's positions with a sentence vector of the answer;
//! the last token is not read back, so its position is left out. DIV is the mean squared cosine
//! between different rows of one question.

use super::projector::{EPSILON, MIX_BOUND, Shape};
use quartet_train::{
    Adapters, Control, Decoder, Gradients, KeyValues, Leaves, Loss, Objective, Parameters, Pass,
    Piece, Places, Tensor, activation, chained, cosine_distance, cross_entropy, rows_at,
    values_f64,
};
use quartet_types::{Error, ErrorCode, GagForm, Result};

/// Keeps a cosine finite for a row of zeros.
const SMALLEST_NORM: f64 = 1e-8;

/// A question with what the expert thought and the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Lesson {
    /// Tokens before the rows: template and question.
    pub before: Vec<u32>,
    /// Tokens between the rows and the answer.
    pub after: Vec<u32>,
    /// The answer, end of turn included.
    pub answer: Vec<u32>,
    /// The stabilised memory, `[layers, slots, from]`.
    pub memory: Vec<f32>,
    /// Sentence vector of the answer; empty without semantic loss.
    pub meaning: Vec<f32>,
}

/// How the loss is put together and computed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Weight of SEM.
    pub semantic: f64,
    /// Weight of DIV.
    pub diversity: f64,
    /// Constant factor of the rows.
    pub gain: f32,
    /// Questions of a micro-batch.
    pub batch: usize,
    /// Block by block, for small memories.
    pub is_chained: bool,
    /// Bytes of kept keys and values, at most.
    pub kept_bytes: usize,
}

/// The training objective of a projector through the frozen base.
pub struct Injection<'a> {
    decoder: &'a Decoder,
    shape: Shape,
    settings: Settings,
    lessons: Vec<Lesson>,
    held_out: Vec<Lesson>,
    control: Control,
    /// What all prompts begin with.
    common: Vec<u32>,
    shared: Option<KeyValues>,
    /// Of each lesson, then of each held-out one: keys and values before the rows.
    prefixes: Vec<Option<KeyValues>>,
    kept: usize,
    none: Adapters,
}

impl<'a> Injection<'a> {
    /// An objective over lessons. `control` is looked at between blocks.
    ///
    /// # Errors
    /// `InvalidInput` for a lesson without answer, without text before the rows, or with a
    /// memory of another shape.
    pub fn new(
        decoder: &'a Decoder,
        shape: Shape,
        settings: Settings,
        lessons: Vec<Lesson>,
        held_out: Vec<Lesson>,
        control: Control,
    ) -> Result<Self> {
        let length = shape.layers * shape.slots * shape.from;
        for lesson in lessons.iter().chain(&held_out) {
            if lesson.answer.is_empty() || lesson.before.is_empty() || lesson.memory.len() != length
            {
                return Err(Error::new(
                    ErrorCode::InvalidInput,
                    "a lesson without answer or question, or with a memory of another shape",
                ));
            }
        }
        let count = lessons.len() + held_out.len();
        let common = common_beginning(lessons.iter().chain(&held_out));
        Ok(Self {
            decoder,
            shape,
            settings,
            lessons,
            held_out,
            control,
            common,
            shared: None,
            prefixes: vec![None; count],
            kept: 0,
            none: Adapters::none(),
        })
    }

    /// Parameters of the head of the semantic loss, which is trained along and then discarded.
    ///
    /// # Errors
    /// `Internal` if the shapes contradict each other.
    pub fn head(shape: &Shape, meaning: usize, seed: u64) -> Result<Parameters> {
        let square =
            Shape { form: GagForm::OneToken, layers: 1, slots: 1, from: shape.to, to: shape.to };
        let narrow = Shape { to: meaning, ..square };
        let (wide, narrow) = (square.fresh(seed)?, narrow.fresh(seed + 1)?);
        let mut head = Parameters::new();
        for (from, name, to) in [
            (&wide, "w1", "head.w1"),
            (&wide, "b1", "head.b1"),
            (&narrow, "w1", "head.w2"),
            (&narrow, "b1", "head.b2"),
        ] {
            if let Some(one) = from.get(name) {
                head.add(to, one.rows, one.columns, one.values.clone())?;
            }
        }
        Ok(head)
    }

    /// Mean NLL in nats per predicted token over lessons, without a graph.
    ///
    /// # Errors
    /// As [`Decoder::run`].
    pub fn mean_loss(&mut self, leaves: &Leaves, held_out: bool) -> Result<f64> {
        let (first, count) = match held_out {
            true => (self.lessons.len(), self.held_out.len()),
            false => (0, self.lessons.len()),
        };
        let all: Vec<usize> = (first..first + count).collect();
        let (mut sum, mut tokens) = (0.0, 0);
        for batch in all.chunks(self.settings.batch) {
            let predicted: usize = batch.iter().map(|at| self.lesson(*at).answer.len()).sum();
            sum += self.loss(leaves, batch, false)?.value * predicted as f64;
            tokens += predicted;
        }
        Ok(sum / tokens.max(1) as f64)
    }

    fn lesson(&self, at: usize) -> &Lesson {
        self.lessons.get(at).unwrap_or_else(|| &self.held_out[at - self.lessons.len()])
    }

    /// Keys and values of a lesson's tokens before the rows, beyond the common beginning.
    fn prefix(&mut self, at: usize) -> Result<KeyValues> {
        if let Some(kept) = &self.prefixes[at] {
            return Ok(kept.clone());
        }
        let layers = 0..self.decoder.architecture().layers;
        let encode = |this: &Self, ids: &[u32], from: usize, earlier: &[&KeyValues]| {
            let end = from + ids.len();
            let places = Places::consecutive(from as u32..end as u32);
            let rows = this.decoder.embed(&[Piece::Tokens(ids)])?;
            let whole = Pass::new(this.decoder, rows, &places, &this.none);
            let pass =
                Pass { earlier, keep: layers.clone(), control: Some(&this.control), ..whole };
            this.decoder.run(&pass).map(|outcome| outcome.key_values)
        };
        if self.shared.is_none() && !self.common.is_empty() {
            self.shared = Some(encode(self, &self.common, 0, &[])?);
        }
        let start = self.common.len();
        let own = self.lesson(at).before[start..].to_vec();
        let earlier: Vec<&KeyValues> = self.shared.iter().collect();
        let made = encode(self, &own, start, &earlier)?;
        let shapes = self.decoder.architecture();
        let bytes = own.len() * shapes.layers * shapes.key_value_heads * shapes.head_length * 8;
        if self.kept + bytes <= self.settings.kept_bytes {
            self.kept += bytes;
            self.prefixes[at] = Some(made.clone());
        }
        Ok(made)
    }

    fn loss(&mut self, leaves: &Leaves, batch: &[usize], with_terms: bool) -> Result<Loss> {
        let mut prefixes = Vec::with_capacity(batch.len());
        for (sequence, at) in batch.iter().enumerate() {
            prefixes.push(self.prefix(*at)?.of_sequence(sequence as u32));
        }
        let lessons: Vec<&Lesson> = batch.iter().map(|at| self.lesson(*at)).collect();
        let slots = self.shape.slots;
        let made = self.rows(leaves, &lessons)?;

        let mut read = Vec::with_capacity(batch.len());
        let mut places = Vec::with_capacity(batch.len());
        let mut targets = Vec::new();
        let mut answers = Vec::with_capacity(batch.len());
        let mut start = 0;
        for (place, lesson) in lessons.iter().enumerate() {
            let spoken = &lesson.answer[..lesson.answer.len() - 1];
            let tokens: Vec<u32> = lesson.after.iter().chain(spoken).copied().collect();
            let first = start + slots + lesson.after.len() - 1;
            targets.extend(lesson.answer.iter().enumerate().map(|(at, id)| (first + at, *id)));
            answers.push((first + 1..first + 1 + spoken.len()).collect::<Vec<_>>());
            let length = slots + tokens.len();
            places.push((length, lesson.before.len() as u32));
            read.push((made.clone().narrow(0, place * slots, slots), tokens));
            start += length;
        }
        let pieces: Vec<Piece<'_>> = read
            .iter()
            .flat_map(|(rows, tokens)| [Piece::Rows(rows), Piece::Tokens(tokens)])
            .collect();
        let places = Places::placed(&places);
        let mut earlier: Vec<&KeyValues> = self.shared.iter().collect();
        earlier.extend(&prefixes);
        let whole = Pass::new(self.decoder, self.decoder.embed(&pieces)?, &places, &self.none);
        let pass = Pass { earlier: &earlier, control: Some(&self.control), ..whole };
        let Settings { semantic, diversity, .. } = self.settings;
        let has_meaning = with_terms && semantic != 0.0;
        let mut seen = None;
        let mut top = |hidden: Tensor<2>| {
            let loss = cross_entropy(self.decoder, hidden.clone(), &targets)?;
            if !has_meaning {
                return Ok(loss);
            }
            seen = Some(hidden.clone().without_autodiff());
            let term = self.semantic(leaves, hidden, &answers, &lessons)?;
            join(loss, term, semantic)
        };
        let mut loss = if self.settings.is_chained && with_terms {
            chained(self.decoder, &pass, &mut top)?
        } else {
            top(self.decoder.run(&pass)?.hidden)?
        };
        if self.settings.is_chained
            && let Some(hidden) = seen
        {
            // A chained pass knows the way to the rows alone; the head's is added without its
            // value, which is counted already.
            let term = self.semantic(leaves, hidden, &answers, &lessons)?;
            loss = Loss { value: loss.value, ..join(loss, term, semantic)? };
        }
        if !with_terms || diversity == 0.0 || slots < 2 {
            return Ok(loss);
        }
        join(loss, diversity_of(&made, slots), diversity)
    }

    /// Rows of all lessons, `[lessons * slots, to]`: the same as
    /// [`Projector::rows`](super::projector::Projector::rows), in the graph.
    ///
    /// # Errors
    /// `Internal` where a parameter is missing.
    pub fn rows(&self, leaves: &Leaves, lessons: &[&Lesson]) -> Result<Tensor<2>> {
        let Shape { form, layers, slots, from, .. } = self.shape;
        let compute = self.decoder.compute();
        let count = lessons.len() * slots;
        let layer = |layer: usize| {
            let length = slots * from;
            let all = lessons.iter().flat_map(|one| &one.memory[layer * length..][..length]);
            compute.matrix(all.copied().collect(), count, from)
        };
        let gain = f64::from(self.settings.gain);
        if form == GagForm::OneToken {
            let inner = activation::gelu(linear(leaves, layer(0)?, "w1", "b1")?);
            return Ok(linear(leaves, inner, "w2", "b2")?.mul_scalar(gain));
        }
        let mix = leaves.get("mix")?.clamp(-f64::from(MIX_BOUND), f64::from(MIX_BOUND));
        let shares = activation::softmax(mix, 1);
        let mut mixed: Option<Tensor<2>> = None;
        for place in 0..layers {
            let share = shares.clone().narrow(1, place, 1).repeat(&[lessons.len(), 1]);
            let part = layer(place)? * share;
            mixed = Some(match mixed {
                Some(sum) => sum + part,
                None => part,
            });
        }
        let mixed = mixed.ok_or_else(|| Error::internal("a memory without layers"))?;
        let base = linear(leaves, norm(leaves, mixed, "ln1.weight", "ln1.bias")?, "w0", "b0")?;
        let normed = norm(leaves, base.clone(), "ln2.weight", "ln2.bias")?;
        let gate = activation::sigmoid(linear(leaves, normed.clone(), "gate.weight", "gate.bias")?);
        let inner = activation::gelu(linear(leaves, normed, "wa", "ba")?);
        let branch = linear(leaves, inner, "wb", "bb")?;
        Ok((base + gate * branch).mul_scalar(gain))
    }

    fn semantic(
        &self,
        leaves: &Leaves,
        hidden: Tensor<2>,
        answers: &[Vec<usize>],
        lessons: &[&Lesson],
    ) -> Result<Tensor<1>> {
        let states = self.decoder.normalise(hidden);
        let mut said = Vec::new();
        let mut meant = Vec::new();
        for (rows, lesson) in answers.iter().zip(lessons) {
            // An answer of one token is read nowhere.
            if !rows.is_empty() {
                said.push(rows_at(states.clone(), rows).mean_dim(0));
                meant.extend_from_slice(&lesson.meaning);
            }
        }
        let width = lessons.first().map_or(0, |lesson| lesson.meaning.len());
        if said.is_empty() || width == 0 || meant.len() != said.len() * width {
            return Err(Error::new(ErrorCode::InvalidInput, "answers without sentence vectors"));
        }
        let meant = self.decoder.compute().matrix(meant, said.len(), width)?;
        let inner = linear(leaves, Tensor::cat(said, 0), "head.w1", "head.b1")?;
        let said = linear(leaves, activation::gelu(inner), "head.w2", "head.b2")?;
        Ok(cosine_distance(said, meant))
    }
}

impl Objective for Injection<'_> {
    fn samples(&self) -> usize {
        self.lessons.len().div_ceil(self.settings.batch)
    }

    fn gradients(&mut self, leaves: &Leaves, sample: usize, _step: u64) -> Result<Gradients> {
        let first = sample * self.settings.batch;
        let batch: Vec<usize> =
            (first..(first + self.settings.batch).min(self.lessons.len())).collect();
        let loss = self.loss(leaves, &batch, true)?;
        leaves.gradients(&loss)
    }

    fn evaluate(&mut self, leaves: &Leaves) -> Result<Option<f64>> {
        if self.held_out.is_empty() {
            return Ok(None);
        }
        self.mean_loss(leaves, true).map(Some)
    }

    fn after_update(&mut self, parameters: &mut Parameters) {
        if let Some(mix) = parameters.values_mut("mix") {
            mix.iter_mut().for_each(|logit| *logit = logit.clamp(-MIX_BOUND, MIX_BOUND));
        }
    }
}

/// Mean over lessons of the mean squared cosine of different rows of one, for rows
/// `[lessons * slots, to]`: 0 for orthogonal rows, 1 for equal ones.
#[must_use]
pub fn diversity_of(rows: &Tensor<2>, slots: usize) -> Tensor<1> {
    let [count, width] = rows.dims();
    let lessons = count / slots;
    let length = (rows.clone() * rows.clone()).sum_dim(1).sqrt().clamp_min(SMALLEST_NORM);
    let units = (rows.clone() / length).reshape([lessons, slots, width]);
    let cosines = units.clone().matmul(units.swap_dims(1, 2));
    let squares = (cosines.clone() * cosines).sum();
    // The diagonal is one everywhere.
    let pairs = (lessons * slots * (slots - 1)) as f64;
    squares.add_scalar(-((lessons * slots) as f64)).div_scalar(pairs)
}

fn join(loss: Loss, term: Tensor<1>, weight: f64) -> Result<Loss> {
    let value = values_f64(term.clone())?.first().copied().unwrap_or_default();
    Ok(Loss { graph: loss.graph + term.mul_scalar(weight), value: loss.value + weight * value })
}

fn linear(leaves: &Leaves, input: Tensor<2>, weight: &str, bias: &str) -> Result<Tensor<2>> {
    Ok(input.matmul(leaves.get(weight)?.transpose()) + leaves.get(bias)?)
}

fn norm(leaves: &Leaves, input: Tensor<2>, weight: &str, bias: &str) -> Result<Tensor<2>> {
    let centred = input.clone() - input.mean_dim(1);
    let variance = (centred.clone() * centred.clone()).mean_dim(1);
    let normed = centred / variance.add_scalar(EPSILON).sqrt();
    Ok(normed * leaves.get(weight)? + leaves.get(bias)?)
}

/// What all prompts begin with, at least one token less than the shortest.
fn common_beginning<'b>(lessons: impl Iterator<Item = &'b Lesson>) -> Vec<u32> {
    let mut common: Option<Vec<u32>> = None;
    for lesson in lessons {
        let own = &lesson.before[..lesson.before.len() - 1];
        common = Some(match common {
            None => own.to_vec(),
            Some(common) => {
                let same = common.iter().zip(own).take_while(|(one, other)| one == other).count();
                common[..same].to_vec()
            }
        });
    }
    common.unwrap_or_default()
}
