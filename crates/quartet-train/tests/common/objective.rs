//! Four sequences for a tiny model to learn by heart.

use super::{Random, tiny};
use quartet_train::{
    Compute, Decoder, Gradients, Holding, Leaves, LoraPlan, Objective, Pass, Piece, Places, State,
    TrainingPlan, cross_entropy,
};
use quartet_types::Result;

pub struct Memorise {
    pub decoder: Decoder,
    pub plan: LoraPlan,
    pub sequences: Vec<Vec<u32>>,
    /// Pretends that the device went wrong at this update.
    pub poisoned_at: Option<u64>,
}

impl Memorise {
    pub fn new(family: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = tiny(folder.path(), family);
        let decoder = Decoder::load(&path, &Compute::cpu(), Holding::Floats).unwrap();
        let plan = LoraPlan::everywhere(decoder.architecture(), 8);
        let mut random = Random(5);
        // Each begins in its own way, or the second token could not be known.
        let mut sequence = |first: u32| -> Vec<u32> {
            let rest = (0..11).map(|_| 3 + (random.bits() % 93) as u32);
            std::iter::once(first).chain(rest).collect()
        };
        let sequences = [10, 20, 30, 40].map(&mut sequence).to_vec();
        Self { decoder, plan, sequences, poisoned_at: None }
    }

    pub fn state(&self) -> State {
        State::new(self.plan.parameters(self.decoder.architecture(), 11).unwrap())
    }

    pub fn hidden(&self, leaves: &Leaves, sample: usize) -> Result<quartet_train::Tensor<2>> {
        let ids = &self.sequences[sample];
        let adapters = self.plan.adapters(leaves)?;
        let places = Places::consecutive(0..ids.len() as u32);
        let rows = self.decoder.embed(&[Piece::Tokens(ids)])?;
        Ok(self.decoder.run(&Pass::new(&self.decoder, rows, &places, &adapters))?.hidden)
    }

    pub fn loss(&self, leaves: &Leaves, sample: usize) -> Result<quartet_train::Loss> {
        let ids = &self.sequences[sample];
        let targets: Vec<_> = (0..ids.len() - 1).map(|row| (row, ids[row + 1])).collect();
        cross_entropy(&self.decoder, self.hidden(leaves, sample)?, &targets)
    }
}

impl Objective for Memorise {
    fn samples(&self) -> usize {
        self.sequences.len()
    }

    fn gradients(&mut self, leaves: &Leaves, sample: usize, step: u64) -> Result<Gradients> {
        let mut loss = self.loss(leaves, sample)?;
        if self.poisoned_at == Some(step) {
            loss.graph = loss.graph.mul_scalar(f32::NAN);
        }
        leaves.gradients(&loss)
    }

    fn evaluate(&mut self, leaves: &Leaves) -> Result<Option<f64>> {
        let losses = (0..2).map(|sample| Ok(self.loss(leaves, sample)?.value));
        Ok(Some(losses.sum::<Result<f64>>()? / 2.0))
    }
}

pub fn plan() -> TrainingPlan {
    TrainingPlan {
        steps: 12,
        accumulate: 3,
        rate: 5e-3,
        warm_up: 2,
        evaluate_every: 4,
        checkpoint_every: 3,
        ..TrainingPlan::default()
    }
}
