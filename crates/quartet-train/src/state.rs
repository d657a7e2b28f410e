//! The state of a training between two updates: all that a checkpoint keeps.

use crate::optimiser::Moments;
use crate::parameters::Parameters;
use quartet_types::{Error, Result};

/// An evaluation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// Updates done before it.
    pub step: u64,
    /// What was measured; smaller is better.
    pub loss: f64,
}

/// Parameters as they were at the best evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// When, and how good.
    pub at: Measured,
    /// Values of each parameter.
    pub values: Vec<Vec<f32>>,
}

/// Everything that decides how a training goes on; the order of samples follows from the seed
/// and the step.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// What is trained.
    pub parameters: Parameters,
    /// Of the optimiser.
    pub moments: Moments,
    /// Updates done.
    pub step: u64,
    /// Loss of each update so far, the mean over its micro-batches.
    pub curve: Vec<f64>,
    /// Evaluations so far.
    pub evaluations: Vec<Measured>,
    /// The best of them.
    pub best: Option<Snapshot>,
}

impl State {
    /// Before the first update.
    #[must_use]
    pub fn new(parameters: Parameters) -> Self {
        let moments = Moments::new(&parameters);
        Self {
            parameters,
            moments,
            step: 0,
            curve: Vec::new(),
            evaluations: Vec::new(),
            best: None,
        }
    }

    /// The parameters of the best evaluation; the latest ones if there was none.
    ///
    /// # Errors
    /// `Internal` if the snapshot is of other parameters.
    pub fn best_parameters(&self) -> Result<Parameters> {
        let Some(best) = &self.best else { return Ok(self.parameters.clone()) };
        let mut parameters = Parameters::new();
        if best.values.len() != self.parameters.all().len() {
            return Err(Error::internal("a snapshot of other parameters"));
        }
        for (one, values) in self.parameters.all().iter().zip(&best.values) {
            parameters.add(one.name.clone(), one.rows, one.columns, values.clone())?;
        }
        Ok(parameters)
    }

    /// Notes an evaluation, and the parameters if it is the best so far.
    pub(crate) fn note(&mut self, loss: f64) {
        let at = Measured { step: self.step, loss };
        self.evaluations.push(at);
        if self.best.as_ref().is_none_or(|best| loss < best.at.loss) {
            let values = self.parameters.all().iter().map(|one| one.values.clone()).collect();
            self.best = Some(Snapshot { at, values });
        }
    }

    /// Evaluations since the best one.
    pub(crate) fn evaluations_since_best(&self) -> usize {
        let best = self.best.as_ref().map_or(0, |best| best.at.step);
        self.evaluations.iter().filter(|one| one.step > best).count()
    }
}
