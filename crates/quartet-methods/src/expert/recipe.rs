//! How long and how strongly an expert is trained. The figures are our own, tuned on an
//! invented organisation's papers (BENCHMARKS.md); the paper trains all weights on a cluster.

use quartet_types::Preset;
use serde::{Deserialize, Serialize};

/// How an expert is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExpertRecipe {
    /// Inner length of the adapter, on every linear of every layer.
    pub rank: usize,
    /// Reading the collection.
    pub reading: StageRecipe,
    /// Answering questions about it, with text read along.
    pub answering: StageRecipe,
    /// Tokens of text that the untrained expert writes freely, to be read along: the
    /// cross-entropy on a model's own samples is, up to a constant, the divergence from it, so
    /// this holds everyday language where it was.
    pub recalled_tokens: u32,
    /// Rows of a micro-batch.
    pub rows: usize,
    /// Micro-batches per update.
    pub accumulate: usize,
}

/// How long a stage goes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StageRecipe {
    /// Times everything is seen, at most.
    pub passes: f64,
    /// Micro-batches seen, at most: the time it may take.
    pub micro_batches: u64,
    /// Highest learning rate.
    pub rate: f64,
    /// Share of recalled text among what is seen, 0 to 1.
    pub recalled: f64,
    /// Share of the collection's own text among what is seen, besides what the stage is about.
    pub read_along: f64,
    /// Evaluations in the course of it.
    pub evaluations: u64,
}

impl ExpertRecipe {
    /// The recipe of a preset.
    #[must_use]
    pub fn new(preset: Preset) -> Self {
        let reading = StageRecipe {
            passes: 4.0,
            micro_batches: 700,
            rate: 4e-4,
            recalled: 0.25,
            read_along: 0.0,
            evaluations: 4,
        };
        let answering = StageRecipe {
            passes: 6.0,
            micro_batches: 900,
            rate: 4e-4,
            recalled: 0.15,
            read_along: 0.15,
            evaluations: 4,
        };
        let standard =
            Self { rank: 16, reading, answering, recalled_tokens: 6_000, rows: 128, accumulate: 4 };
        match preset {
            Preset::Quick => Self {
                reading: StageRecipe { passes: 2.0, micro_batches: 120, evaluations: 2, ..reading },
                answering: StageRecipe {
                    passes: 3.0,
                    micro_batches: 150,
                    evaluations: 2,
                    ..answering
                },
                recalled_tokens: 2_000,
                ..standard
            },
            Preset::Standard => standard,
            Preset::Thorough => Self {
                rank: 32,
                reading: StageRecipe {
                    passes: 8.0,
                    micro_batches: 6_000,
                    evaluations: 8,
                    ..reading
                },
                answering: StageRecipe {
                    passes: 12.0,
                    micro_batches: 8_000,
                    evaluations: 8,
                    ..answering
                },
                recalled_tokens: 24_000,
                ..standard
            },
        }
    }
}

impl ExpertRecipe {
    /// Bounds every stage to so many updates, and what is prepared for them.
    pub fn shorten(&mut self, updates: u64) {
        let micro_batches = updates.saturating_mul(self.accumulate as u64);
        for stage in [&mut self.reading, &mut self.answering] {
            stage.micro_batches = stage.micro_batches.min(micro_batches);
        }
        let rows = micro_batches.saturating_mul(self.rows as u64);
        self.recalled_tokens =
            self.recalled_tokens.min(u32::try_from(rows / 4).unwrap_or(u32::MAX));
    }
}

impl StageRecipe {
    /// Updates for so many micro-batches of material.
    #[must_use]
    pub fn updates(&self, micro_batches: usize, accumulate: usize) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "small, positive"
        )]
        let wanted = (micro_batches as f64 * self.passes).ceil() as u64;
        wanted.min(self.micro_batches).div_ceil(accumulate.max(1) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_presets_train_longer_and_time_is_bounded() {
        let updates = Preset::ALL.map(|preset| {
            let recipe = ExpertRecipe::new(preset);
            recipe.reading.updates(10_000, recipe.accumulate)
        });
        assert_eq!(updates, [30, 175, 1500]);
        let mut short = ExpertRecipe::new(Preset::Standard);
        short.shorten(2);
        assert_eq!(short.reading.updates(10_000, short.accumulate), 2);
        assert_eq!(short.recalled_tokens, 256);
        let few = ExpertRecipe::new(Preset::Standard).reading.updates(10, 4);
        assert_eq!(few, 10);
    }
}
