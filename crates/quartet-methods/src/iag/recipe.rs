//! How long and how strongly imagination is trained. The paper's 50,000 updates of 8 would take
//! a desktop weeks (card, section 10); these are bounded by the clock.

use crate::expert::ExpertRecipe;
use quartet_train::{AdamW, RateShare, Schedule, TrainingPlan};
use quartet_types::Preset;
use serde::{Deserialize, Serialize};

/// Checkpoints are this many updates apart.
const CHECKPOINT_EVERY: u64 = 5;
/// Evaluations in the course of the second part.
const EVALUATIONS: u64 = 6;
/// Evaluations without a new best until it ends early.
const PATIENCE: usize = 4;

/// How both parts are trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IagRecipe {
    /// The imagine model: it reads the collection, then learns to write documents, as an expert
    /// learns to answer.
    pub imagining: ExpertRecipe,
    /// Questions whose passages are squeezed into documents, at most, spread over the collection.
    pub documents: usize,
    /// Questions of the second part, at most.
    pub questions: usize,
    /// Wordings of each that are learnt without a document too.
    pub alone: usize,
    /// Times each row is visited.
    pub passes: f64,
    /// Rows of an update (the paper: 8 for its base model, 4 for the large one).
    pub batch: usize,
    /// Highest learning rate of the second part (the paper: 1e-3 for its base model).
    pub rate: f64,
    /// Share of that rate at which a hypernetwork learns: each number it writes is a sum over its
    /// hidden units, and moves by all their steps together.
    pub hypernetwork: f64,
    /// Questions that choose the best evaluation, at most.
    pub developed_on: usize,
    /// Questions that teacher and student answer before.
    pub gate: usize,
}

impl IagRecipe {
    /// The recipe of a preset.
    #[must_use]
    pub fn new(preset: Preset) -> Self {
        let mut imagining = ExpertRecipe::new(preset);
        // It is asked for documents only: there is no everyday language to keep.
        imagining.recalled_tokens = 0;
        imagining.reading.recalled = 0.0;
        imagining.answering.recalled = 0.0;
        let standard = Self {
            imagining,
            documents: 320,
            questions: 160,
            alone: 3,
            passes: 1.5,
            batch: 4,
            rate: 8e-4,
            hypernetwork: 0.15,
            developed_on: 24,
            gate: 24,
        };
        match preset {
            Preset::Quick => {
                let mut quick = Self {
                    documents: 64,
                    questions: 48,
                    alone: 1,
                    developed_on: 8,
                    gate: 8,
                    ..standard
                };
                quick.imagining.reading.micro_batches = 60;
                quick
            }
            Preset::Standard => standard,
            Preset::Thorough => {
                Self { documents: 8_000, questions: 4_000, developed_on: 60, gate: 60, ..standard }
            }
        }
    }

    /// Bounds everything to so many updates, and what is prepared for them.
    pub fn shorten(&mut self, updates: u64) {
        self.imagining.shorten(updates);
        self.imagining.recalled_tokens = 0;
        let few = usize::try_from(updates).unwrap_or(usize::MAX).saturating_mul(8).max(12);
        self.questions = self.questions.min(few);
        self.documents = self.documents.min(few * 2);
        self.developed_on = self.developed_on.min(4);
        self.gate = self.gate.min(4);
    }

    /// The plan of the second part for so many rows, with `updates` at most.
    #[must_use]
    pub fn plan(&self, rows: usize, updates: Option<u64>) -> TrainingPlan {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let wanted = (rows as f64 * self.passes / self.batch.max(1) as f64).ceil() as u64;
        let steps = wanted.clamp(1, updates.unwrap_or(u64::MAX).max(1));
        TrainingPlan {
            steps,
            accumulate: self.batch,
            rate: self.rate,
            shares: ["down", "up"]
                .map(|side| RateShare {
                    prefix: side.to_owned(),
                    share: self.hypernetwork,
                    after: 0,
                })
                .to_vec(),
            // The paper's 8 %, then a line down.
            warm_up: (steps / 12).max(1),
            schedule: Schedule::Linear { floor: 0.0 },
            clip: Some(1.0),
            optimiser: AdamW::default(),
            seed: 1,
            evaluate_every: steps.div_ceil(EVALUATIONS),
            patience: PATIENCE,
            checkpoint_every: CHECKPOINT_EVERY,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_presets_visit_more() {
        let steps = Preset::ALL.map(|preset| {
            let recipe = IagRecipe::new(preset);
            recipe.plan(recipe.questions * (1 + recipe.alone), None).steps
        });
        assert_eq!(steps, [36, 240, 6_000]);
        let mut short = IagRecipe::new(Preset::Standard);
        short.shorten(2);
        assert_eq!(short.plan(short.questions, Some(2)).steps, 2);
        assert_eq!(short.questions, 16);
    }
}
