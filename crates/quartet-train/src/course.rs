//! One stage of a training in a folder of its own: it goes on from its newest checkpoint, and
//! what it came to is kept there, so that a stage that ended is not run again.

use crate::artefact::{read_artefact, write_artefact};
use crate::checkpoint::Checkpoints;
use crate::compute::Compute;
use crate::control::Control;
use crate::durable::write_synchronised;
use crate::manifest::Origin;
use crate::parameters::Parameters;
use crate::stages::StageOutcome;
use crate::state::State;
use crate::training::{Ending, Objective, TrainingEvent, TrainingPlan, train};
use quartet_types::{Error, ErrorCode, Result};
use std::fs;
use std::path::PathBuf;

/// A stage.
#[derive(Debug)]
pub struct Course<'a> {
    /// Its name, for people.
    pub name: &'a str,
    /// How it goes.
    pub plan: &'a TrainingPlan,
    /// Everything the result depends on.
    pub origin: Origin,
    /// Where its files are.
    pub folder: PathBuf,
}

impl Course<'_> {
    /// What an earlier call came to, if it came to an end.
    ///
    /// # Errors
    /// `Corrupt` if it was made from something else, or is damaged.
    pub fn finished(&self) -> Result<Option<(Parameters, StageOutcome)>> {
        let (_, parameters) = match read_artefact(&self.parameters(), Some(&self.origin)) {
            Err(error) if error.code == ErrorCode::NotFound => return Ok(None),
            read => read?,
        };
        let path = self.outcome();
        let text = fs::read(&path).map_err(|error| Error::from_io(&error, &path))?;
        let outcome = serde_json::from_slice(&text)
            .map_err(|error| Error::new(ErrorCode::Corrupt, error.to_string()).about_path(&path))?;
        Ok(Some((parameters, outcome)))
    }

    /// Where it stands: the newest checkpoint, or a start from `fresh`.
    ///
    /// # Errors
    /// As [`Checkpoints::load`].
    pub fn state(&self, fresh: &Parameters) -> Result<State> {
        let state = self.checkpoints().load(fresh)?;
        Ok(state.unwrap_or_else(|| State::new(fresh.clone())))
    }

    /// Trains to the end and returns the parameters of the best evaluation.
    ///
    /// # Errors
    /// `Cancelled` if `control` said so, after a checkpoint if it asked to pause; those of
    /// [`train`].
    pub fn run(
        &self,
        compute: &Compute,
        objective: &mut dyn Objective,
        fresh: &Parameters,
        control: &Control,
        on_event: &mut dyn FnMut(TrainingEvent),
    ) -> Result<(Parameters, StageOutcome)> {
        let mut state = self.state(fresh)?;
        let checkpoints = self.checkpoints();
        let checkpoints = Some(&checkpoints);
        let ending =
            train(self.plan, compute, objective, &mut state, checkpoints, control, on_event)?;
        if matches!(ending, Ending::Paused | Ending::Cancelled) {
            return Err(Error::cancelled());
        }
        let outcome = StageOutcome {
            name: self.name.to_owned(),
            steps: state.step,
            curve: state.curve.clone(),
            evaluations: state.evaluations.iter().map(|one| (one.step, one.loss)).collect(),
            is_early: ending == Ending::Early,
        };
        let best = state.best_parameters()?;
        // The outcome first: a stage counts as finished by its parameters.
        let text = serde_json::to_vec(&outcome).map_err(|e| Error::internal(e.to_string()))?;
        write_synchronised(&self.outcome(), &text)?;
        write_artefact(&self.parameters(), &self.origin, state.step, &best)?;
        let _ = fs::remove_dir_all(self.folder.join(CHECKPOINTS));
        Ok((best, outcome))
    }

    fn checkpoints(&self) -> Checkpoints {
        Checkpoints::new(self.folder.join(CHECKPOINTS), self.origin.clone())
    }

    fn outcome(&self) -> PathBuf {
        self.folder.join("outcome.json")
    }

    fn parameters(&self) -> PathBuf {
        self.folder.join("parameters")
    }
}

const CHECKPOINTS: &str = "checkpoints";
