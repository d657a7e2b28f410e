//! The paper's objective as a whole (section 4): `J = J_gen + lambda J_ret`, one set of adapters in
//! force for vectors, keys, values and answers alike, and gradients through all of them (tier
//! T3).

use super::reading::Reading;
use super::retrieval::Retrieval;
use quartet_train::{Gradients, Leaves, Loss, Objective};
use quartet_types::Result;

/// Retrieval and generation learnt together.
pub struct Whole<'a> {
    retrieval: Retrieval<'a>,
    /// Rows that read, and rows of generation alone: there may be more than queries.
    reading: Reading<'a>,
    /// Weight of retrieval (`lambda`, not stated in the paper; 1).
    weight: f64,
}

impl<'a> Whole<'a> {
    /// Both. They must train the same adapters.
    #[must_use]
    pub fn new(retrieval: Retrieval<'a>, reading: Reading<'a>, weight: f64) -> Self {
        Self { retrieval, reading, weight }
    }
}

impl Objective for Whole<'_> {
    fn samples(&self) -> usize {
        self.reading.samples()
    }

    fn gradients(&mut self, leaves: &Leaves, sample: usize, step: u64) -> Result<Gradients> {
        let mut loss = self.reading.loss_of(leaves, sample)?;
        if sample < self.retrieval.samples() && self.weight != 0.0 {
            let retrieval = self.retrieval.loss_of(leaves, sample, step)?;
            let graph = loss.graph + retrieval.graph.mul_scalar(self.weight);
            loss = Loss { graph, value: loss.value + self.weight * retrieval.value };
        }
        leaves.gradients(&loss)
    }

    /// Retrieval and generation, each as it is measured alone.
    fn evaluate(&mut self, leaves: &Leaves) -> Result<Option<f64>> {
        let reading = self.reading.evaluate(leaves)?;
        let retrieval = self.retrieval.evaluate(leaves)?;
        Ok(reading.zip(retrieval).map(|(reading, retrieval)| reading + self.weight * retrieval))
    }
}
