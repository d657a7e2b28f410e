//! From the features of a question to low-rank changes of the base (card, section 3.2; paper,
//! equations 2 to 4), as plain numbers for answering. The same in differentiable form is in
//! [`objective`](super::objective); a test compares the two.
//!
//! Of every shape class (projections with the same numbers of inputs and outputs; all layers
//! share it) there are two small networks:
//!
//! ```text
//! z = [f ; slot]                                       [components + 1]
//! A = reshape(W2d relu(W1d z + b1d) + b2d)             [rank, inputs]
//! B = reshape(W2u relu(W1u z + b1u) + b2u) / sqrt(rank)  [outputs, rank]
//! y = x W^T + (x A^T) B^T
//! ```
//!
//! The paper's `D` is our `A` transposed and its `U` our `B` transposed: the order in which the
//! last layer's outputs are laid out is all that differs.

use super::shape::Side;
pub use super::shape::{Class, Shape, Target};
use quartet_train::{Change, Parameters, Projection, adapter_bytes};
use quartet_types::{Error, ErrorCode, Result};

/// A low-rank change of one projection.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// The layer.
    pub layer: usize,
    /// The projection.
    pub projection: Projection,
    /// `[rank, inputs]`.
    pub a: Vec<f32>,
    /// `[outputs, rank]`, divided by the root of the rank already.
    pub b: Vec<f32>,
}

/// A hypernetwork with its weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Hypernetwork {
    shape: Shape,
    /// In the order of [`Shape::parts`].
    parts: Vec<Vec<f32>>,
}

impl Hypernetwork {
    /// A hypernetwork of these parameters; others among them are passed over.
    ///
    /// # Errors
    /// `Corrupt` where one is missing or has another shape.
    pub fn new(shape: Shape, parameters: &Parameters) -> Result<Self> {
        let part = |(name, rows, columns): (String, usize, usize)| {
            let found =
                parameters.get(&name).filter(|one| (one.rows, one.columns) == (rows, columns));
            found.map(|one| one.values.clone()).ok_or_else(|| {
                Error::new(
                    ErrorCode::Corrupt,
                    format!("a hypernetwork without `{name}` of {rows} by {columns}"),
                )
                .hint("Run `quartet train iag` again.")
            })
        };
        let parts = shape.parts().into_iter().map(part).collect::<Result<_>>()?;
        Ok(Self { shape, parts })
    }

    /// Its shapes.
    #[must_use]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Whether `B` is zero whatever the features.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        let ups = self.parts.chunks_exact(4).skip(1).step_by(2);
        ups.flat_map(|parts| parts[2].iter().chain(&parts[3])).all(|value| *value == 0.0)
    }

    /// The changes for features, `[components]`.
    ///
    /// # Errors
    /// `Internal` for features of another length.
    pub fn changes(&self, features: &[f32]) -> Result<Vec<Made>> {
        if features.len() != self.shape.components {
            return Err(Error::internal("features of another length than the hypernetwork's"));
        }
        let (rank, layers) = (self.shape.rank, self.shape.layers);
        let root = (rank as f32).sqrt();
        let mut all = Vec::new();
        for (place, class) in self.shape.classes().iter().enumerate() {
            let slots: Vec<(usize, Projection)> = class.slots(layers).collect();
            let network = |side: Side| {
                let first = (place * 2 + usize::from(side == Side::Up)) * 4;
                self.outputs(first, features, slots.len(), class.made(side, rank))
            };
            let (downs, ups) = (network(Side::Down), network(Side::Up));
            for ((layer, projection), (a, mut b)) in
                slots.into_iter().zip(downs.into_iter().zip(ups))
            {
                b.iter_mut().for_each(|value| *value /= root);
                all.push(Made { layer, projection, a, b });
            }
        }
        all.sort_by_key(|made| (made.layer, made.projection));
        Ok(all)
    }

    /// What a network whose parts begin at `first` makes for every slot.
    fn outputs(&self, first: usize, features: &[f32], slots: usize, made: usize) -> Vec<Vec<f32>> {
        let [w1, b1, w2, b2] = [0, 1, 2, 3].map(|at| self.parts[first + at].as_slice());
        let hidden = self.shape.hidden;
        // What the features add is the same in every slot.
        let shared: Vec<f32> = w1
            .chunks_exact(features.len() + 1)
            .zip(b1)
            .map(|(row, bias)| bias + dot(&row[..features.len()], features))
            .collect();
        let by_slot: Vec<Vec<f32>> = (0..slots)
            .map(|slot| {
                let value = self.shape.slot_value(slot, slots);
                let last = w1.iter().skip(features.len()).step_by(features.len() + 1);
                shared.iter().zip(last).map(|(sum, by)| (sum + by * value).max(0.0)).collect()
            })
            .collect();
        let mut all = vec![Vec::with_capacity(made); slots];
        // Every row of the large matrix is read once, for all slots.
        for (row, bias) in w2.chunks_exact(hidden).zip(b2) {
            for (out, units) in all.iter_mut().zip(&by_slot) {
                out.push(bias + dot(row, units));
            }
        }
        all
    }

    /// The adapter file that llama.cpp loads for these changes: `lora_a` is `A`, `lora_b` is
    /// `B`, and an alpha as large as the rank, so that nothing is scaled twice.
    ///
    /// # Errors
    /// `Internal` for changes of another shape; `Corrupt` for numbers that are not finite.
    pub fn adapter(&self, changes: &[Made]) -> Result<Vec<u8>> {
        let rank = self.shape.rank;
        let changes: Vec<Change<'_>> = changes
            .iter()
            .map(|made| Change {
                layer: made.layer,
                projection: made.projection,
                rank,
                a: &made.a,
                b: &made.b,
            })
            .collect();
        adapter_bytes(&self.shape.architecture, rank as f64, &changes)
    }
}

/// Eight sums side by side, so that the compiler can use the processor's vectors.
fn dot(x: &[f32], y: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    let (xs, ys) = (x.chunks_exact(8), y.chunks_exact(8));
    let rest: f32 = xs.remainder().iter().zip(ys.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in xs.zip(ys) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f32>() + rest
}

/// Mean length of the difference of two sets of changes over their mean length, `|W1 - W2| /
/// ((|W1| + |W2|) / 2)`, with `W = B A` over all projections. Computed from the factors:
/// `<B A, B' A'> = sum (B^T B') * (A A'^T)`.
#[must_use]
pub fn relative_distance(one: &[Made], other: &[Made], rank: usize) -> f64 {
    let (own, foreign, both) =
        (product(one, one, rank), product(other, other, rank), product(one, other, rank));
    let mean = f64::midpoint(own.max(0.0).sqrt(), foreign.max(0.0).sqrt());
    if mean == 0.0 { 0.0 } else { (own + foreign - 2.0 * both).max(0.0).sqrt() / mean }
}

/// Length of a set of changes, `|B A|` over all projections.
#[must_use]
pub fn length(changes: &[Made], rank: usize) -> f64 {
    product(changes, changes, rank).max(0.0).sqrt()
}

fn product(one: &[Made], other: &[Made], rank: usize) -> f64 {
    let mut sum = 0.0;
    for (x, y) in one.iter().zip(other) {
        let (inputs, outputs) = (x.a.len() / rank, x.b.len() / rank);
        for i in 0..rank {
            for j in 0..rank {
                let rows = dot(&x.a[i * inputs..][..inputs], &y.a[j * inputs..][..inputs]);
                let columns: f32 =
                    (0..outputs).map(|row| x.b[row * rank + i] * y.b[row * rank + j]).sum();
                sum += f64::from(rows) * f64::from(columns);
            }
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gag::projector::normal;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn shape() -> Shape {
        let target = |projection, outputs| Target { projection, inputs: 6, outputs };
        Shape {
            components: 3,
            hidden: 4,
            rank: 2,
            layers: 3,
            targets: vec![target(Projection::Query, 6), target(Projection::Value, 2)],
            raw_slots: false,
            architecture: "qwen2".to_owned(),
        }
    }

    /// Weights of which none is nothing.
    fn full(shape: &Shape, seed: u64) -> Parameters {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut parameters = Parameters::new();
        for (name, rows, columns) in shape.parts() {
            let values = (0..rows * columns).map(|_| normal(&mut random, 0.5)).collect();
            parameters.add(name, rows, columns, values).unwrap();
        }
        parameters
    }

    /// Card, test 5: against the equations, written out number by number.
    #[test]
    fn changes_are_the_equations() {
        let shape = shape();
        let parameters = full(&shape, 1);
        let network = Hypernetwork::new(shape, &parameters).unwrap();
        assert!(!network.is_nothing());
        let features = [0.3, -0.7, 0.5];
        let made = network.changes(&features).unwrap();
        assert_eq!(made.len(), 6);
        let value = |name: &str, row: usize, column: usize| {
            let one = parameters.get(name).unwrap();
            f64::from(one.values[row * one.columns + column])
        };
        for (class, projection, outputs) in [(0, Projection::Query, 6), (1, Projection::Value, 2)] {
            for layer in 0..3 {
                let slot = layer as f64 / 2.0;
                let reference = |side: &str, at: usize| {
                    let name = |part: &str| format!("{side}{class}.{part}");
                    let mut sum = value(&name("b2"), 0, at);
                    for unit in 0..4 {
                        let mut inner = value(&name("b1"), 0, unit);
                        for (at, feature) in features.iter().enumerate() {
                            inner += value(&name("w1"), unit, at) * f64::from(*feature);
                        }
                        inner += value(&name("w1"), unit, 3) * slot;
                        sum += value(&name("w2"), at, unit) * inner.max(0.0);
                    }
                    sum
                };
                let one = made
                    .iter()
                    .find(|one| (one.layer, one.projection) == (layer, projection))
                    .unwrap();
                for at in 0..12 {
                    assert!((f64::from(one.a[at]) - reference("down", at)).abs() < 1e-5);
                }
                // The root of the rank is in `B`, once (card, test 3).
                for at in 0..outputs * 2 {
                    let wanted = reference("up", at) / 2.0f64.sqrt();
                    assert!((f64::from(one.b[at]) - wanted).abs() < 1e-5);
                }
            }
        }
    }

    /// Card, test 8: the slot counts, and one network serves all layers of a class.
    #[test]
    fn slots_differ_and_share_their_network() {
        let shape = shape();
        let mut parameters = full(&shape, 2);
        let features = [0.1, 0.2, 0.3];
        let of = |parameters: &Parameters| {
            Hypernetwork::new(shape.clone(), parameters).unwrap().changes(&features).unwrap()
        };
        let before = of(&parameters);
        assert_ne!(before[0].a, before[2].a, "queries of two layers");
        parameters.values_mut("down0.b2").unwrap()[0] += 1.0;
        let after = of(&parameters);
        for (one, other) in before.iter().zip(&after) {
            let changed = one.a != other.a;
            assert_eq!(changed, one.projection == Projection::Query, "layer {}", one.layer);
            assert_eq!(one.b, other.b);
        }
    }

    /// Card, test 1 and deviation (g): a fresh network changes nothing and is no saddle; the
    /// paper's start is one.
    #[test]
    fn a_fresh_network_changes_nothing() {
        let shape = shape();
        let network =
            |tiny| Hypernetwork::new(shape.clone(), &shape.fresh(3, tiny).unwrap()).unwrap();
        let usual = network(false).changes(&[0.5, 0.5, -0.5]).unwrap();
        assert!(
            Hypernetwork::new(shape.clone(), &shape.fresh(3, false).unwrap()).unwrap().is_nothing()
        );
        assert!(usual.iter().all(|one| one.b.iter().all(|value| *value == 0.0)));
        assert!(usual.iter().all(|one| one.a.iter().any(|value| value.abs() > 0.05)));
        let tiny = network(true).changes(&[0.5, 0.5, -0.5]).unwrap();
        assert!(tiny.iter().all(|one| one.a.iter().chain(&one.b).all(|v| v.abs() < 1e-10)));
    }

    /// `W = B A` is as much smaller as it is said to be, and nothing at nothing.
    #[test]
    fn changes_are_as_strong_as_chosen() {
        let shape = shape();
        let parameters = full(&shape, 6);
        let of = |strength| {
            let scaled = shape.scaled(&parameters, strength).unwrap();
            Hypernetwork::new(shape.clone(), &scaled).unwrap()
        };
        let features = [0.4, -0.1, 0.6];
        let whole = length(&of(1.0).changes(&features).unwrap(), 2);
        let part = length(&of(0.4).changes(&features).unwrap(), 2);
        assert!((part / whole - 0.4).abs() < 1e-4, "{part} of {whole}");
        assert!(of(0.0).is_nothing() && !of(0.4).is_nothing());
    }

    #[test]
    fn distances_are_those_of_the_products() {
        let shape = shape();
        let network = Hypernetwork::new(shape.clone(), &full(&shape, 4)).unwrap();
        let one = network.changes(&[0.9, 0.1, 0.0]).unwrap();
        let other = network.changes(&[-0.9, 0.4, 0.2]).unwrap();
        assert!(relative_distance(&one, &one, 2) < 1e-3);
        let dense = |all: &[Made]| -> Vec<f64> {
            let mut whole = Vec::new();
            for made in all {
                let (inputs, outputs) = (made.a.len() / 2, made.b.len() / 2);
                for row in 0..outputs {
                    for column in 0..inputs {
                        let sum: f32 =
                            (0..2).map(|r| made.b[row * 2 + r] * made.a[r * inputs + column]).sum();
                        whole.push(f64::from(sum));
                    }
                }
            }
            whole
        };
        let norm = |all: &[f64]| all.iter().map(|v| v * v).sum::<f64>().sqrt();
        let (x, y) = (dense(&one), dense(&other));
        let gap: Vec<f64> = x.iter().zip(&y).map(|(x, y)| x - y).collect();
        let wanted = norm(&gap) / f64::midpoint(norm(&x), norm(&y));
        assert!((relative_distance(&one, &other, 2) - wanted).abs() < 1e-4);
    }
}
