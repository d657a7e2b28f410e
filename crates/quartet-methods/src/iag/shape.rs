//! Shapes of a hypernetwork, and how it begins (card, sections 3.2 and 3.3).

use crate::gag::projector::normal;
use quartet_train::{Architecture, Parameters, Projection};
use quartet_types::Result;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Standard deviation of all weights at the start in the code of the paper.
const TINY: f64 = 1e-7;

/// A kind of projection that is changed, in all layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Which.
    pub projection: Projection,
    /// Numbers it takes.
    pub inputs: usize,
    /// Numbers it gives.
    pub outputs: usize,
}

/// Shapes of a hypernetwork.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Components of the features.
    pub components: usize,
    /// Hidden units of each network.
    pub hidden: usize,
    /// Inner length of the changes.
    pub rank: usize,
    /// Layers of the base.
    pub layers: usize,
    /// What is changed: queries and values in the paper.
    pub targets: Vec<Target>,
    /// Slots by their number, as in the code of the paper; otherwise from 0 to 1.
    pub raw_slots: bool,
    /// `general.architecture` of the base.
    pub architecture: String,
}

/// One of the two networks of a class, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Makes `A`.
    Down,
    /// Makes `B`.
    Up,
}

impl Side {
    pub(super) const BOTH: [Self; 2] = [Self::Down, Self::Up];

    pub(super) fn name(self, class: usize, part: &str) -> String {
        match self {
            Self::Down => format!("down{class}.{part}"),
            Self::Up => format!("up{class}.{part}"),
        }
    }
}

impl Shape {
    /// Query and value projections of a base.
    #[must_use]
    pub fn of(
        architecture: &Architecture,
        components: usize,
        (hidden, rank): (usize, usize),
        raw_slots: bool,
    ) -> Self {
        let width = architecture.width;
        let target = |projection, outputs| Target { projection, inputs: width, outputs };
        Self {
            components,
            hidden,
            rank,
            layers: architecture.layers,
            targets: vec![
                target(Projection::Query, architecture.query_width()),
                target(Projection::Value, architecture.key_value_width()),
            ],
            raw_slots,
            architecture: architecture.name.clone(),
        }
    }

    /// The shape classes: inputs, outputs, and the targets of each.
    #[must_use]
    pub fn classes(&self) -> Vec<Class> {
        let mut classes: Vec<Class> = Vec::new();
        for target in &self.targets {
            let same = |class: &&mut Class| {
                (class.inputs, class.outputs) == (target.inputs, target.outputs)
            };
            match classes.iter_mut().find(same) {
                Some(class) => class.projections.push(target.projection),
                None => classes.push(Class {
                    inputs: target.inputs,
                    outputs: target.outputs,
                    projections: vec![target.projection],
                }),
            }
        }
        classes
    }

    /// What the networks are told of slot `slot` of a class with so many.
    #[must_use]
    pub fn slot_value(&self, slot: usize, slots: usize) -> f32 {
        if self.raw_slots {
            slot as f32
        } else {
            slot as f32 / slots.saturating_sub(1).max(1) as f32
        }
    }

    /// Names and shapes `[rows, columns]` of what is trained.
    #[must_use]
    pub fn parts(&self) -> Vec<(String, usize, usize)> {
        let mut parts = Vec::new();
        for (place, class) in self.classes().iter().enumerate() {
            for side in Side::BOTH {
                let made = class.made(side, self.rank);
                parts.extend([
                    (side.name(place, "w1"), self.hidden, self.components + 1),
                    (side.name(place, "b1"), 1, self.hidden),
                    (side.name(place, "w2"), made, self.hidden),
                    (side.name(place, "b2"), 1, made),
                ]);
            }
        }
        parts
    }

    /// Numbers of all networks.
    #[must_use]
    pub fn count(&self) -> usize {
        self.parts().iter().map(|(_, rows, columns)| rows * columns).sum()
    }

    /// Fresh parameters. As published, all weights are a ten-millionth and biases zero: next to
    /// a saddle, as neither factor has a gradient while the other is nothing. Otherwise `A`
    /// begins about as a fresh LoRA does, different for each question, and `B` at zero: no change
    /// yet, and a full gradient at the first step.
    ///
    /// # Errors
    /// `Internal` if the shapes contradict each other.
    pub fn fresh(&self, seed: u64, tiny: bool) -> Result<Parameters> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let classes = self.classes();
        let mut parameters = Parameters::new();
        for (place, class) in classes.iter().enumerate() {
            for side in Side::BOTH {
                let made = class.made(side, self.rank);
                let scale = 1.0 / (class.inputs as f64).sqrt();
                // Of the hidden units about a half is at work, each about one in size.
                let spread = scale / (self.hidden as f64 / 2.0).sqrt() / 2.0;
                let deviations = match (tiny, side) {
                    (true, _) => [TINY, 0.0, TINY, 0.0],
                    (false, Side::Down) => [1.0, 0.0, spread, scale],
                    (false, Side::Up) => [1.0, 0.0, 0.0, 0.0],
                };
                let shapes = [
                    ("w1", self.hidden, self.components + 1),
                    ("b1", 1, self.hidden),
                    ("w2", made, self.hidden),
                    ("b2", 1, made),
                ];
                for ((part, rows, columns), deviation) in shapes.into_iter().zip(deviations) {
                    let values = match deviation {
                        0.0 => vec![0.0; rows * columns],
                        _ => (0..rows * columns).map(|_| normal(&mut random, deviation)).collect(),
                    };
                    parameters.add(side.name(place, part), rows, columns, values)?;
                }
            }
        }
        Ok(parameters)
    }
}

/// Projections of one shape, in all layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// Numbers they take.
    pub inputs: usize,
    /// Numbers they give.
    pub outputs: usize,
    /// Which.
    pub projections: Vec<Projection>,
}

impl Class {
    /// Numbers that a network of this class makes for one slot.
    pub(super) fn made(&self, side: Side, rank: usize) -> usize {
        match side {
            Side::Down => self.inputs * rank,
            Side::Up => self.outputs * rank,
        }
    }

    /// The layer and projection of each slot, in the order of their numbers: layer by layer
    /// (`2k` and `2k + 1` for queries and values of layer `k` where they share a class).
    pub(super) fn slots(&self, layers: usize) -> impl Iterator<Item = (usize, Projection)> + '_ {
        (0..layers).flat_map(|layer| self.projections.iter().map(move |one| (layer, *one)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Card, test 6: one pair of networks of the paper has `2 (256 h + h) + (h + 1) r (inputs +
    /// outputs)` numbers; T5-base has three pairs, of which each has 446,480.
    #[test]
    fn the_papers_counts_come_out() {
        let t5 = Shape {
            components: 255,
            hidden: 8,
            rank: 32,
            layers: 12,
            targets: vec![
                Target { projection: Projection::Query, inputs: 768, outputs: 768 },
                Target { projection: Projection::Value, inputs: 768, outputs: 768 },
            ],
            raw_slots: true,
            architecture: "t5".to_owned(),
        };
        assert_eq!(t5.classes().len(), 1);
        assert_eq!(t5.count(), 446_480);
        let (embeddings, feed_forward, norms) =
            (32_128 * 768, 24 * 2 * 768 * 3072, 12 * 2 * 768 + 12 * 3 * 768 + 2 * 768);
        let trained = embeddings + norms + 3 * t5.count();
        assert_eq!((trained as f64 / 1e4).round() / 100.0, 26.06, "the paper: 26.1 million");
        let whole = (trained + feed_forward) as f64 / 1e6;
        assert!((whole - 139.31).abs() < 0.01, "{whole}, the paper: 139.3 million");
    }
}
