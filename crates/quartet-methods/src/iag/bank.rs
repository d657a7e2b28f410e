//! The restricted variant (card, section 8): fixed adapters, of which the question decides the
//! strengths and nothing else.
//!
//! ```text
//! s = W2 relu(W1 f + b1) + b2                          [members]
//! y = x W^T + sum_k s_k (x A_k^T) B_k^T
//! ```
//!
//! It reaches any point in the span of its members over the whole network, but no weights of one
//! layer alone, and none outside that span: it is not IAG, and is labelled so wherever it is used.

use super::hypernetwork::{Shape, Target};
use crate::gag::projector::normal;
use quartet_train::{
    Adapters, Change, Leaves, LowRank, Parameters, Tensor, activation, adapter_bytes,
};
use quartet_types::{Error, ErrorCode, Result};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Shapes of a bank.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BankShape {
    /// Components, hidden units, rank, layers, targets and base, as for a hypernetwork.
    pub inner: Shape,
    /// Adapters in it.
    pub members: usize,
}

/// Names of the network that gives the strengths.
const NETWORK: [&str; 4] = ["strengths.w1", "strengths.b1", "strengths.w2", "strengths.b2"];

fn names(member: usize, layer: usize, target: &Target) -> (String, String) {
    let stem = format!("member{member}.{}", target.projection.tensor_name(layer));
    (format!("{stem}.a"), format!("{stem}.b"))
}

impl BankShape {
    fn network(&self) -> [(&'static str, usize, usize); 4] {
        let [w1, b1, w2, b2] = NETWORK;
        let (components, hidden) = (self.inner.components, self.inner.hidden);
        [
            (w1, hidden, components),
            (b1, 1, hidden),
            (w2, self.members, hidden),
            (b2, 1, self.members),
        ]
    }

    /// Names and shapes of what is trained.
    #[must_use]
    pub fn parts(&self) -> Vec<(String, usize, usize)> {
        let network = self.network().into_iter();
        let mut parts: Vec<(String, usize, usize)> =
            network.map(|(name, rows, columns)| (name.to_owned(), rows, columns)).collect();
        for (member, layer) in self.places() {
            for target in &self.inner.targets {
                let (a, b) = names(member, layer, target);
                parts.push((a, self.inner.rank, target.inputs));
                parts.push((b, target.outputs, self.inner.rank));
            }
        }
        parts
    }

    fn places(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        (0..self.members)
            .flat_map(|member| (0..self.inner.layers).map(move |layer| (member, layer)))
    }

    /// Fresh parameters: members as fresh LoRA, all at strength one over their number, more or
    /// less by question.
    ///
    /// # Errors
    /// `Internal` if the shapes contradict each other.
    pub fn fresh(&self, seed: u64) -> Result<Parameters> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut parameters = Parameters::new();
        let spread = 1.0 / (self.inner.hidden as f64 / 2.0).sqrt() / self.members as f64;
        for (name, rows, columns) in self.parts() {
            let deviation = match name.as_str() {
                "strengths.w1" => 1.0,
                "strengths.w2" => spread,
                _ if name.ends_with(".a") => 1.0 / (columns as f64).sqrt(),
                _ => 0.0,
            };
            let values = match (name.as_str(), deviation) {
                ("strengths.b2", _) => vec![1.0 / self.members as f32; columns],
                (_, 0.0) => vec![0.0; rows * columns],
                _ => (0..rows * columns).map(|_| normal(&mut random, deviation)).collect(),
            };
            parameters.add(name, rows, columns, values)?;
        }
        Ok(parameters)
    }

    /// The adapters for features `[1, components]`, in the graph: all members side by side, as
    /// one of their ranks together.
    ///
    /// # Errors
    /// `Internal` where a parameter is missing.
    pub fn adapters(&self, leaves: &Leaves, features: &Tensor<2>) -> Result<Adapters> {
        let [w1, b1, w2, b2] = NETWORK;
        let inner = features.clone().matmul(leaves.get(w1)?.transpose()) + leaves.get(b1)?;
        let strengths =
            activation::relu(inner).matmul(leaves.get(w2)?.transpose()) + leaves.get(b2)?;
        let mut adapters = Adapters::none();
        for layer in 0..self.inner.layers {
            for target in &self.inner.targets {
                let (mut all_a, mut all_b) = (Vec::new(), Vec::new());
                for member in 0..self.members {
                    let (a, b) = names(member, layer, target);
                    all_a.push(leaves.get(&a)?);
                    all_b.push(leaves.get(&b)? * strengths.clone().narrow(1, member, 1));
                }
                let one =
                    LowRank { a: Tensor::cat(all_a, 0), b: Tensor::cat(all_b, 1), factor: 1.0 };
                adapters.add(layer, target.projection, one)?;
            }
        }
        Ok(adapters)
    }
}

/// A bank with its weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Bank {
    shape: BankShape,
    network: [Vec<f32>; 4],
    /// Adapter files of the members.
    members: Vec<Vec<u8>>,
}

impl Bank {
    /// A bank of these parameters.
    ///
    /// # Errors
    /// `Corrupt` where one is missing or has another shape.
    pub fn new(shape: BankShape, parameters: &Parameters) -> Result<Self> {
        let part = |name: &str, rows: usize, columns: usize| {
            let found =
                parameters.get(name).filter(|one| (one.rows, one.columns) == (rows, columns));
            found.map(|one| one.values.as_slice()).ok_or_else(|| {
                Error::new(ErrorCode::Corrupt, format!("a bank without `{name}`"))
                    .hint("Run `quartet train iag` again.")
            })
        };
        let mut network: [Vec<f32>; 4] = Default::default();
        for (slot, (name, rows, columns)) in network.iter_mut().zip(shape.network()) {
            *slot = part(name, rows, columns)?.to_vec();
        }
        let rank = shape.inner.rank;
        let mut members = Vec::new();
        for member in 0..shape.members {
            let mut changes = Vec::new();
            for layer in 0..shape.inner.layers {
                for target in &shape.inner.targets {
                    let (a, b) = names(member, layer, target);
                    let (a, b) = (part(&a, rank, target.inputs)?, part(&b, target.outputs, rank)?);
                    changes.push(Change { layer, projection: target.projection, rank, a, b });
                }
            }
            members.push(adapter_bytes(&shape.inner.architecture, rank as f64, &changes)?);
        }
        Ok(Self { shape, network, members })
    }

    /// Its shapes.
    #[must_use]
    pub fn shape(&self) -> &BankShape {
        &self.shape
    }

    /// The adapter files of its members, in order.
    #[must_use]
    pub fn members(&self) -> &[Vec<u8>] {
        &self.members
    }

    /// The strengths for features, `[components]`, one for each member.
    ///
    /// # Errors
    /// `Internal` for features of another length.
    pub fn strengths(&self, features: &[f32]) -> Result<Vec<f32>> {
        if features.len() != self.shape.inner.components {
            return Err(Error::internal("features of another length than the bank's"));
        }
        let [w1, b1, w2, b2] = &self.network;
        let layer = |weights: &[f32], bias: &[f32], x: &[f32]| -> Vec<f32> {
            let rows = weights.chunks_exact(x.len().max(1));
            rows.zip(bias)
                .map(|(row, bias)| bias + row.iter().zip(x).map(|(a, b)| a * b).sum::<f32>())
                .collect()
        };
        let mut hidden = layer(w1, b1, features);
        hidden.iter_mut().for_each(|value| *value = value.max(0.0));
        Ok(layer(w2, b2, &hidden))
    }
}
