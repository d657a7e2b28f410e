//! LoRA as parameters: which linears, how many, and how they start.

use crate::adapters::{Adapters, LowRank, Projection};
use crate::architecture::Architecture;
use crate::block::shape;
use crate::parameters::{Leaves, Parameters};
use quartet_types::{Error, ErrorCode, Result};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Which adapters are trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoraPlan {
    /// Inner length.
    pub rank: usize,
    /// Strength: the adapter counts `alpha / rank` times.
    pub alpha: f64,
    /// Which layers.
    pub layers: Range<usize>,
    /// Which linears of them.
    pub projections: Vec<Projection>,
    /// A layer of which only queries and keys are used, and so only these have adapters.
    #[serde(default)]
    pub heads_of: Option<usize>,
}

impl LoraPlan {
    /// Adapters of rank `rank` on every linear of every layer, with an alpha of twice the rank.
    #[must_use]
    pub fn everywhere(architecture: &Architecture, rank: usize) -> Self {
        Self {
            rank,
            alpha: 2.0 * rank as f64,
            layers: 0..architecture.layers,
            projections: Projection::ALL.to_vec(),
            heads_of: None,
        }
    }

    /// The factor of a trained adapter at full strength.
    #[must_use]
    pub fn factor(&self) -> f64 {
        self.alpha / self.rank as f64
    }

    /// The linears that have an adapter.
    pub(crate) fn places(&self) -> impl Iterator<Item = (usize, Projection)> + '_ {
        let all = self.layers.clone();
        let all = all.flat_map(|layer| self.projections.iter().map(move |one| (layer, *one)));
        all.filter(|(layer, projection)| {
            self.heads_of != Some(*layer)
                || matches!(projection, Projection::Query | Projection::Key)
        })
    }

    /// Fresh parameters, named as llama.cpp names the tensors of an adapter. `A` is uniform
    /// between `±1/sqrt(inputs)`, `B` is zero (Hu et al. 2021, with the bounds of PEFT), so a
    /// fresh adapter changes nothing.
    ///
    /// # Errors
    /// `InvalidInput` for a rank of zero, or layers or linears that are not there or named twice.
    pub fn parameters(&self, architecture: &Architecture, seed: u64) -> Result<Parameters> {
        if self.rank == 0 || self.layers.end > architecture.layers || self.layers.is_empty() {
            return Err(Error::new(
                ErrorCode::InvalidInput,
                format!(
                    "adapters of rank {} on layers {:?} of {}",
                    self.rank, self.layers, architecture.layers
                ),
            ));
        }
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut parameters = Parameters::new();
        for (layer, projection) in self.places() {
            let (outputs, inputs) = shape(architecture, projection);
            let bound = 1.0 / (inputs as f32).sqrt();
            let a = (0..self.rank * inputs).map(|_| random.random_range(-bound..bound)).collect();
            let (name_a, name_b) = names(layer, projection);
            parameters.add(name_a, self.rank, inputs, a)?;
            parameters.add(name_b, outputs, self.rank, vec![0.0; outputs * self.rank])?;
        }
        Ok(parameters)
    }

    /// The adapters, for a pass.
    ///
    /// # Errors
    /// `Internal` if `leaves` are of another plan.
    pub fn adapters(&self, leaves: &Leaves) -> Result<Adapters> {
        let mut adapters = Adapters::none();
        for (layer, projection) in self.places() {
            let (name_a, name_b) = names(layer, projection);
            let (a, b) = (leaves.get(&name_a)?, leaves.get(&name_b)?);
            adapters.add(layer, projection, LowRank { a, b, factor: self.factor() })?;
        }
        Ok(adapters)
    }
}

/// Names of the two matrices of an adapter.
pub(crate) fn names(layer: usize, projection: Projection) -> (String, String) {
    let stem = projection.tensor_name(layer);
    (format!("{stem}.lora_a"), format!("{stem}.lora_b"))
}
