//! How long and how strongly implicit queries are taught. The paper states no learning rate,
//! optimiser, batch size or temperatures (card, section 0); everything here is ours.

use quartet_train::{AdamW, LoraPlan, Projection, Schedule, TrainingPlan};
use quartet_types::{ImpragSettings, ImpragTier, Preset};
use serde::{Deserialize, Serialize};

/// Checkpoints are this many updates apart.
const CHECKPOINT_EVERY: u64 = 10;
/// Evaluations in the course of a stage.
const EVALUATIONS: u64 = 6;
/// Evaluations without a new best until a stage ends early.
const PATIENCE: usize = 3;

/// A recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImpragRecipe {
    /// Updates of the warm-up, at most.
    pub warm_up: u64,
    /// Updates of self-distillation, at most.
    pub distil: u64,
    /// Queries of a micro-batch.
    pub batch: usize,
    /// Hard negatives of each.
    pub negatives: usize,
    /// Highest learning rate.
    pub rate: f64,
    /// Inner length of the adapters.
    pub rank: usize,
    /// Times every query is visited in the warm-up, at most.
    pub passes: f64,
    /// Queries whose candidates are judged.
    pub judged: usize,
    /// Candidates of each.
    pub candidates: usize,
    /// `tau_t` for log-likelihoods of whole answers, and `tau_r`.
    pub temperatures: (f64, f64),
}

impl ImpragRecipe {
    /// The recipe of a tier and preset.
    #[must_use]
    pub fn new(tier: ImpragTier, preset: Preset) -> Self {
        let place = preset as usize;
        let heads = matches!(tier, ImpragTier::T0 | ImpragTier::Start | ImpragTier::Untaught);
        let warm_up = if heads { [60, 240, 800] } else { [12, 80, 600] };
        let distil = if heads { [0, 60, 200] } else { [0, 20, 150] };
        Self {
            warm_up: warm_up[place],
            distil: distil[place],
            batch: match tier {
                ImpragTier::T3 => 4,
                ImpragTier::T1 | ImpragTier::T1q => 16,
                ImpragTier::T0 | ImpragTier::Start | ImpragTier::Untaught => 48,
            },
            negatives: 2,
            rate: if heads { 1e-3 } else { 4e-4 },
            rank: if heads { 32 } else { 8 },
            passes: 20.0,
            judged: [0, 48, 400][place],
            candidates: 8,
            temperatures: (1.0, 4.0),
        }
    }

    /// Which linears are taught: of T0 the heads of layer `b`, of T1 and T1q the layers from the
    /// middle of those below, of T3 all.
    #[must_use]
    pub fn lora(&self, tier: ImpragTier, settings: &ImpragSettings, layers: usize) -> LoraPlan {
        let layer = settings.first_layer as usize;
        let (layers, heads_of) = match tier {
            ImpragTier::T0 | ImpragTier::Start | ImpragTier::Untaught => {
                (layer..layer + 1, Some(layer))
            }
            ImpragTier::T1 | ImpragTier::T1q => (layer.div_ceil(2)..layer + 1, Some(layer)),
            ImpragTier::T3 => (0..layers, None),
        };
        LoraPlan {
            rank: self.rank,
            alpha: 2.0 * self.rank as f64,
            layers,
            projections: Projection::ALL.to_vec(),
            heads_of,
        }
    }

    /// The plans of warm-up and self-distillation for so many queries.
    #[must_use]
    pub fn plans(&self, queries: usize) -> (TrainingPlan, TrainingPlan) {
        let steps = |most: u64, queries: usize| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
            let wanted = (queries as f64 * self.passes / self.batch.max(1) as f64).ceil() as u64;
            wanted.clamp(1, most.max(1))
        };
        let plan = |steps: u64, rate: f64| TrainingPlan {
            steps,
            accumulate: 1,
            rate,
            shares: Vec::new(),
            warm_up: (steps / 10).max(1),
            schedule: Schedule::Linear { floor: 0.05 },
            clip: Some(1.0),
            optimiser: AdamW { weight_decay: 0.0, ..AdamW::default() },
            seed: 1,
            evaluate_every: steps.div_ceil(EVALUATIONS),
            patience: PATIENCE,
            checkpoint_every: CHECKPOINT_EVERY,
        };
        let warm_up = plan(steps(self.warm_up, queries), self.rate);
        let mut distil = plan(steps(self.distil, self.judged.min(queries)), self.rate / 2.0);
        if self.distil == 0 {
            distil.steps = 0;
        }
        (warm_up, distil)
    }
}
