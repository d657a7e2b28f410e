//! From an expert's memory to rows of the base's prompt: mix of layers and projector, as plain
//! numbers for answering. The same in differentiable form is in [`objective`](super::objective);
//! a test compares the two.
//!
//! | form | rows `z` | numbers |
//! |---|---|---|
//! | one token (version 1) | `W2 gelu(W1 k + b1) + b2` | `d2 d1 + d1 + d1² + d1` |
//! | slots (version 4) | `u + sigmoid(Wg n + bg) * (Wb gelu(Wa n + ba) + bb)`, `u = W0 LN1(f) + b0`, `n = LN2(u)` | `2 d2 + d2 d1 + d1 + 2 d1 + 3 (d1² + d1)`, and `slots * layers` of the mix |
//!
//! `f` is the mix of layers of a slot, `d2` the expert's width, `d1` the base's (GAG card, 4b
//! and 4c). All rows are multiplied by a constant gain, 1 in the paper.

use quartet_train::{Parameter, Parameters};
use quartet_types::{Error, GagForm, Result};
use rand::{Rng as _, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Under the root of the normalisations with parameters (PyTorch's default).
pub(crate) const EPSILON: f64 = 1e-5;
/// Standard deviation of fresh weights (the default of the library the paper uses).
const FRESH: f64 = 0.02;
/// Bound of the mix's logits (card, 4b).
pub(crate) const MIX_BOUND: f32 = 10.0;

/// Shapes of a projector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Shape {
    /// Which form.
    pub form: GagForm,
    /// Layers of a memory.
    pub layers: usize,
    /// Slots of a memory, and rows made.
    pub slots: usize,
    /// Width of the expert.
    pub from: usize,
    /// Width of the base.
    pub to: usize,
}

impl Shape {
    /// Names and shapes `[rows, columns]` of what is trained.
    #[must_use]
    pub fn parts(&self) -> Vec<(&'static str, usize, usize)> {
        let (from, to) = (self.from, self.to);
        match self.form {
            GagForm::OneToken => {
                vec![("w1", to, from), ("b1", 1, to), ("w2", to, to), ("b2", 1, to)]
            }
            GagForm::Slots => vec![
                ("mix", self.slots, self.layers),
                ("ln1.weight", 1, from),
                ("ln1.bias", 1, from),
                ("w0", to, from),
                ("b0", 1, to),
                ("ln2.weight", 1, to),
                ("ln2.bias", 1, to),
                ("gate.weight", to, to),
                ("gate.bias", 1, to),
                ("wa", to, to),
                ("ba", 1, to),
                ("wb", to, to),
                ("bb", 1, to),
            ],
        }
    }

    /// Fresh parameters: linears from a normal distribution, biases zero, norms one, the mix
    /// even.
    ///
    /// # Errors
    /// `Internal` if the shapes contradict each other.
    pub fn fresh(&self, seed: u64) -> Result<Parameters> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut parameters = Parameters::new();
        for (name, rows, columns) in self.parts() {
            let count = rows * columns;
            let values = match name {
                "ln1.weight" | "ln2.weight" => vec![1.0; count],
                _ if rows == 1 || name == "mix" => vec![0.0; count],
                _ => (0..count).map(|_| normal(&mut random, FRESH)).collect(),
            };
            parameters.add(name, rows, columns, values)?;
        }
        Ok(parameters)
    }
}

/// A number of a normal distribution around zero (Box and Muller 1958).
pub(crate) fn normal(random: &mut ChaCha8Rng, deviation: f64) -> f32 {
    let first: f64 = 1.0 - random.random::<f64>();
    let second: f64 = random.random();
    let length = (-2.0 * first.ln()).sqrt();
    (deviation * length * (std::f64::consts::TAU * second).cos()) as f32
}

/// A projector with its weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Projector {
    shape: Shape,
    gain: f32,
    /// In the order of [`Shape::parts`].
    parts: Vec<Parameter>,
}

impl Projector {
    /// A projector of these parameters; others among them are passed over.
    ///
    /// # Errors
    /// `Internal` where one is missing or has another shape.
    pub fn new(shape: Shape, gain: f32, parameters: &Parameters) -> Result<Self> {
        let part = |(name, rows, columns): (&str, usize, usize)| {
            let found =
                parameters.get(name).filter(|one| (one.rows, one.columns) == (rows, columns));
            found.cloned().ok_or_else(|| {
                Error::internal(format!("a projector without `{name}` of {rows} by {columns}"))
            })
        };
        let parts = shape.parts().into_iter().map(part).collect::<Result<_>>()?;
        Ok(Self { shape, gain, parts })
    }

    /// Its shapes.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Constant factor of its rows.
    #[must_use]
    pub fn gain(&self) -> f32 {
        self.gain
    }

    /// Rows for the base, `[slots, to]`, of a stabilised memory `[layers, slots, from]`.
    #[must_use]
    pub fn rows(&self, memory: &[f32]) -> Vec<f32> {
        let mixed = self.mixed(memory);
        let mut rows = Vec::with_capacity(self.shape.slots * self.shape.to);
        for slot in mixed.chunks_exact(self.shape.from) {
            rows.extend(self.row(slot).into_iter().map(|value| value * self.gain));
        }
        rows
    }

    /// The mix of layers of each slot, `[slots, from]` (card, 4b).
    fn mixed(&self, memory: &[f32]) -> Vec<f32> {
        let Shape { layers, slots, from, form, .. } = self.shape;
        if form == GagForm::OneToken {
            return memory.to_vec();
        }
        let mut mixed = vec![0.0; slots * from];
        for (slot, sum) in mixed.chunks_exact_mut(from).enumerate() {
            let logits = &self.values("mix")[slot * layers..(slot + 1) * layers];
            for (layer, share) in shares(logits).into_iter().enumerate() {
                let row = &memory[(layer * slots + slot) * from..][..from];
                sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += share * value);
            }
        }
        mixed
    }

    fn row(&self, slot: &[f32]) -> Vec<f32> {
        match self.shape.form {
            GagForm::OneToken => {
                let inner = self.linear(slot, "w1", "b1").into_iter().map(gelu);
                self.linear(&inner.collect::<Vec<_>>(), "w2", "b2")
            }
            GagForm::Slots => {
                let base = self.linear(&self.norm(slot, "ln1.weight", "ln1.bias"), "w0", "b0");
                let normed = self.norm(&base, "ln2.weight", "ln2.bias");
                let gate = self.linear(&normed, "gate.weight", "gate.bias");
                let inner = self.linear(&normed, "wa", "ba").into_iter().map(gelu);
                let branch = self.linear(&inner.collect::<Vec<_>>(), "wb", "bb");
                let open = |gate: f32| 1.0 / (1.0 + (-gate).exp());
                let sum = base.iter().zip(gate).zip(branch);
                sum.map(|((base, gate), branch)| base + open(gate) * branch).collect()
            }
        }
    }

    fn linear(&self, input: &[f32], weight: &str, bias: &str) -> Vec<f32> {
        let rows = self.values(weight).chunks_exact(input.len());
        rows.zip(self.values(bias))
            .map(|(row, bias)| {
                row.iter().zip(input).map(|(weight, value)| weight * value).sum::<f32>() + bias
            })
            .collect()
    }

    fn norm(&self, input: &[f32], weight: &str, bias: &str) -> Vec<f32> {
        let count = input.len() as f64;
        let mean = input.iter().map(|value| f64::from(*value)).sum::<f64>() / count;
        let variance = input.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>();
        let scale = 1.0 / (variance / count + EPSILON).sqrt();
        let parameters = self.values(weight).iter().zip(self.values(bias));
        let normed = input.iter().map(|value| ((f64::from(*value) - mean) * scale) as f32);
        normed.zip(parameters).map(|(value, (weight, bias))| value * weight + bias).collect()
    }

    fn values(&self, name: &str) -> &[f32] {
        self.parts.iter().find(|part| part.name == name).map_or(&[], |part| &part.values)
    }
}

/// The softmax of bounded logits.
fn shares(logits: &[f32]) -> Vec<f32> {
    let bounded: Vec<f32> =
        logits.iter().map(|logit| logit.clamp(-MIX_BOUND, MIX_BOUND).exp()).collect();
    let whole: f32 = bounded.iter().sum();
    bounded.into_iter().map(|share| share / whole).collect()
}

/// `x Φ(x)` with the exact error function, as PyTorch's default.
fn gelu(value: f32) -> f32 {
    let wide = f64::from(value);
    (wide * 0.5 * (1.0 + libm::erf(wide / std::f64::consts::SQRT_2))) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(form: GagForm) -> Shape {
        match form {
            GagForm::OneToken => Shape { form, layers: 1, slots: 1, from: 640, to: 896 },
            GagForm::Slots => Shape { form, layers: 4, slots: 4, from: 640, to: 896 },
        }
    }

    #[test]
    fn numbers_trained_are_those_of_the_card() {
        assert_eq!(shape(GagForm::OneToken).fresh(1).unwrap().count(), 1_378_048);
        assert_eq!(shape(GagForm::Slots).fresh(1).unwrap().count(), 2_988_544 + 16);
        // The paper's sizes: 1.7B expert, 8B base.
        let large = |form| Shape { from: 2048, to: 4096, ..shape(form) };
        let count = |form| -> usize {
            large(form).parts().iter().map(|(_, rows, columns)| rows * columns).sum()
        };
        assert!((count(GagForm::OneToken) as f64 / 1e6 - 25.2).abs() < 0.05);
        assert!((count(GagForm::Slots) as f64 / 1e6 - 58.8).abs() < 0.06);
    }

    #[test]
    fn an_even_mix_is_the_mean_and_slots_are_independent() {
        let small = Shape { form: GagForm::Slots, layers: 4, slots: 4, from: 3, to: 5 };
        let mut parameters = small.fresh(3).unwrap();
        let memory: Vec<f32> = (0..48).map(|at| at as f32 * 0.1).collect();
        let even = Projector::new(small, 1.0, &parameters).unwrap();
        let mixed = even.mixed(&memory);
        for (at, value) in mixed.iter().enumerate() {
            let mean = (0..4).map(|layer| memory[layer * 12 + at]).sum::<f32>() / 4.0;
            assert!((value - mean).abs() < 1e-6);
        }
        let before = even.rows(&memory);
        parameters.values_mut("mix").unwrap()[0] = 3.0;
        let after = Projector::new(small, 1.0, &parameters).unwrap().rows(&memory);
        assert_ne!(before[..5], after[..5]);
        assert_eq!(before[5..], after[5..]);
    }

    #[test]
    fn the_gain_scales_every_row() {
        let small = Shape { form: GagForm::OneToken, layers: 1, slots: 1, from: 2, to: 3 };
        let parameters = small.fresh(5).unwrap();
        let rows = |gain| Projector::new(small, gain, &parameters).unwrap().rows(&[0.5, -1.0]);
        let doubled: Vec<f32> = rows(1.0).iter().map(|value| value * 2.0).collect();
        assert_eq!(rows(2.0), doubled);
    }

    #[test]
    fn gelu_is_exact() {
        for (value, expected) in [(0.0, 0.0), (1.0, 0.841_344_7), (-1.0, -0.158_655_25)] {
            assert!((gelu(value) - expected).abs() < 1e-6);
        }
    }
}
