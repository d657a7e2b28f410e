//! The loop: micro-batches, updates, evaluations, checkpoints.

use crate::checkpoint::Checkpoints;
use crate::compute::{Compute, not_finite};
use crate::control::{Control, Wish};
use crate::optimiser::{AdamW, RateShare, Schedule};
use crate::parameters::{Gradients, Leaves, Parameters};
use crate::state::State;
use quartet_types::{Error, ErrorCode, Result};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// What is learnt: samples, and the loss of each.
pub trait Objective {
    /// Number of training samples (micro-batches).
    fn samples(&self) -> usize;

    /// Loss and gradients of one sample at update `step`: build a
    /// [`Loss`](crate::Loss) from `leaves`, then [`Leaves::gradients`].
    ///
    /// # Errors
    /// `Cancelled` if a pass was stopped by its [`control`](crate::Pass::control): the update is
    /// dropped and made again later. Any other error ends the training.
    fn gradients(&mut self, leaves: &Leaves, sample: usize, step: u64) -> Result<Gradients>;

    /// A held-out loss, smaller is better; `None` if there is nothing held out. `leaves` are
    /// constants.
    ///
    /// # Errors
    /// Any; it ends the training. `Cancelled` if a pass was stopped; it is then measured again
    /// when training goes on.
    fn evaluate(&mut self, leaves: &Leaves) -> Result<Option<f64>> {
        let _ = leaves;
        Ok(None)
    }

    /// Called after each update, for bounds on parameters.
    fn after_update(&mut self, parameters: &mut Parameters) {
        let _ = parameters;
    }
}

/// How training goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingPlan {
    /// Updates.
    pub steps: u64,
    /// Micro-batches per update; their gradients are averaged.
    pub accumulate: usize,
    /// Highest learning rate.
    pub rate: f64,
    /// Parameters that learn at a share of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shares: Vec<RateShare>,
    /// Updates until it is reached.
    pub warm_up: u64,
    /// What it does afterwards.
    pub schedule: Schedule,
    /// Longest gradient, over all parameters together.
    pub clip: Option<f64>,
    /// The optimiser.
    pub optimiser: AdamW,
    /// Decides the order of samples.
    pub seed: u64,
    /// Updates between evaluations, and one at the end; 0: none.
    pub evaluate_every: u64,
    /// Evaluations without a new best until training stops early; 0: never.
    pub patience: usize,
    /// Updates between checkpoints; 0: only when paused and at the end.
    pub checkpoint_every: u64,
}

impl Default for TrainingPlan {
    fn default() -> Self {
        Self {
            steps: 100,
            accumulate: 1,
            rate: 2e-4,
            shares: Vec::new(),
            warm_up: 5,
            schedule: Schedule::Cosine { floor: 0.1 },
            clip: Some(1.0),
            optimiser: AdamW::default(),
            seed: 0,
            evaluate_every: 0,
            patience: 0,
            checkpoint_every: 50,
        }
    }
}

/// What happens during training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TrainingEvent {
    /// An update was made.
    Step {
        /// Updates done.
        step: u64,
        /// Mean loss of its micro-batches.
        loss: f64,
        /// Length of the gradient before clipping.
        gradient_norm: f64,
        /// Learning rate.
        rate: f64,
        /// Wall time of the update.
        duration: Duration,
    },
    /// A held-out loss was measured.
    Evaluation {
        /// Updates done.
        step: u64,
        /// The loss.
        loss: f64,
    },
    /// A checkpoint was written.
    Checkpoint {
        /// Updates done.
        step: u64,
    },
}

/// How training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All updates were made.
    Finished,
    /// The held-out loss no longer fell.
    Early,
    /// Paused; a checkpoint was written.
    Paused,
    /// Cancelled.
    Cancelled,
}

/// Trains until the plan is done or somebody stops it. `state` is left as after the last
/// complete update; a part of an update is dropped and made again later, so going on from a
/// checkpoint repeats it exactly.
///
/// # Errors
/// `InvalidInput` for a plan without updates or an objective without samples; `Corrupt` naming
/// the tensor or gradient that is not finite, after which `state` must not be used; whatever the
/// objective or the disk reports. After an error of the disk, calling again goes on.
pub fn train(
    plan: &TrainingPlan,
    compute: &Compute,
    objective: &mut dyn Objective,
    state: &mut State,
    checkpoints: Option<&Checkpoints>,
    control: &Control,
    on_event: &mut dyn FnMut(TrainingEvent),
) -> Result<Ending> {
    let mut order = Order::new(plan, objective.samples())?;
    state.parameters.check_finite()?;
    let mut saved_at = None;
    let mut save = |state: &State, on_event: &mut dyn FnMut(TrainingEvent)| match checkpoints {
        Some(checkpoints) if saved_at != Some(state.step) => {
            checkpoints.save(state)?;
            saved_at = Some(state.step);
            on_event(TrainingEvent::Checkpoint { step: state.step });
            Ok(())
        }
        _ => Ok(()),
    };
    loop {
        let worked = evaluate_if_due(plan, compute, objective, state, on_event).and_then(|()| {
            if due(plan.checkpoint_every, state) || state.step == plan.steps {
                save(state, on_event)?;
            }
            if state.step >= plan.steps {
                return Ok(Some(Ending::Finished));
            }
            if plan.patience > 0 && state.evaluations_since_best() >= plan.patience {
                return Ok(Some(Ending::Early));
            }
            update(plan, compute, objective, state, &mut order, control, on_event).map(|()| None)
        });
        match worked {
            Ok(None) => {}
            Ok(Some(Ending::Early)) => {
                save(state, on_event)?;
                return Ok(Ending::Early);
            }
            Ok(Some(ending)) => return Ok(ending),
            Err(error) if error.code == ErrorCode::Cancelled => {
                if control.wish() != Wish::Pause {
                    return Ok(Ending::Cancelled);
                }
                save(state, on_event)?;
                return Ok(Ending::Paused);
            }
            Err(error) => return Err(error),
        }
    }
}

/// One update: all its micro-batches, then the optimiser.
fn update(
    plan: &TrainingPlan,
    compute: &Compute,
    objective: &mut dyn Objective,
    state: &mut State,
    order: &mut Order,
    control: &Control,
    on_event: &mut dyn FnMut(TrainingEvent),
) -> Result<()> {
    let started = Instant::now();
    let leaves = state.parameters.leaves(compute)?;
    let mut sum: Option<Gradients> = None;
    for part in 0..plan.accumulate {
        if control.wish() != Wish::GoOn {
            return Err(Error::cancelled());
        }
        let sample = order.sample(state.step, part);
        let gradients = objective.gradients(&leaves, sample, state.step)?;
        match &mut sum {
            None => sum = Some(gradients),
            Some(sum) => sum.add(&gradients),
        }
    }
    let mut gradients = sum.ok_or_else(|| Error::internal("an update without samples"))?;
    gradients.scale(1.0 / plan.accumulate as f64);
    let gradient_norm = match plan.clip {
        Some(longest) => gradients.clip(longest),
        None => gradients.norm(),
    };
    if !gradient_norm.is_finite() {
        return Err(not_finite("gradient norm", gradient_norm, 0));
    }
    let rate = plan.schedule.rate(plan.rate, state.step, plan.steps, plan.warm_up);
    let State { parameters, moments, .. } = state;
    plan.optimiser.update(parameters, moments, &gradients, rate, &plan.shares)?;
    objective.after_update(&mut state.parameters);
    state.step += 1;
    state.curve.push(gradients.loss);
    on_event(TrainingEvent::Step {
        step: state.step,
        loss: gradients.loss,
        gradient_norm,
        rate,
        duration: started.elapsed(),
    });
    Ok(())
}

fn due(every: u64, state: &State) -> bool {
    every > 0 && state.step > 0 && state.step.is_multiple_of(every)
}

/// Evaluates where the plan says so, unless that has been done already: an evaluation that was
/// interrupted is made when training goes on.
fn evaluate_if_due(
    plan: &TrainingPlan,
    compute: &Compute,
    objective: &mut dyn Objective,
    state: &mut State,
    on_event: &mut dyn FnMut(TrainingEvent),
) -> Result<()> {
    let is_last = plan.evaluate_every > 0 && state.step == plan.steps;
    let is_done = state.evaluations.last().is_some_and(|last| last.step == state.step);
    if is_done || !(is_last || due(plan.evaluate_every, state)) {
        return Ok(());
    }
    let constants = state.parameters.constants(compute)?;
    if let Some(loss) = objective.evaluate(&constants)? {
        if !loss.is_finite() {
            return Err(not_finite("held-out loss", loss, 0));
        }
        state.note(loss);
        on_event(TrainingEvent::Evaluation { step: state.step, loss });
    }
    Ok(())
}

/// Wall time that the rest of the plan will take, measured on a few micro-batches and without
/// changing anything. The first one warms up and is not counted if there is a second.
///
/// # Errors
/// As [`train`]; `Cancelled` if stopped.
pub fn calibrate(
    plan: &TrainingPlan,
    compute: &Compute,
    objective: &mut dyn Objective,
    state: &State,
    micro_batches: usize,
    control: &Control,
) -> Result<Duration> {
    let mut order = Order::new(plan, objective.samples())?;
    let leaves = state.parameters.leaves(compute)?;
    let mut times = Vec::new();
    for index in 0..micro_batches.max(1) {
        if control.wish() != Wish::GoOn {
            return Err(Error::cancelled());
        }
        let started = Instant::now();
        let sample =
            order.sample(state.step + (index / plan.accumulate) as u64, index % plan.accumulate);
        objective.gradients(&leaves, sample, state.step)?;
        times.push(started.elapsed());
    }
    let counted = if times.len() > 1 { &times[1..] } else { &times };
    let mean = counted.iter().sum::<Duration>().as_secs_f64() / counted.len() as f64;
    let left = plan.steps.saturating_sub(state.step) as f64 * plan.accumulate as f64;
    Ok(Duration::from_secs_f64(mean * left))
}

/// Which sample each micro-batch takes: every sample once per epoch, in an order that only the
/// seed and the epoch decide.
struct Order {
    seed: u64,
    accumulate: u64,
    epoch: Option<u64>,
    samples: Vec<usize>,
}

impl Order {
    fn new(plan: &TrainingPlan, samples: usize) -> Result<Self> {
        if samples == 0 || plan.accumulate == 0 || plan.steps == 0 {
            return Err(Error::new(ErrorCode::InvalidInput, "there is nothing to train on")
                .hint("Add documents to the collection, or choose a longer preset."));
        }
        let samples = (0..samples).collect();
        Ok(Self { seed: plan.seed, accumulate: plan.accumulate as u64, epoch: None, samples })
    }

    fn sample(&mut self, step: u64, part: usize) -> usize {
        let index = step * self.accumulate + part as u64;
        let count = self.samples.len() as u64;
        let epoch = index / count;
        if self.epoch != Some(epoch) {
            self.samples.sort_unstable();
            let mut random = ChaCha8Rng::seed_from_u64(self.seed);
            random.set_stream(epoch);
            self.samples.shuffle(&mut random);
            self.epoch = Some(epoch);
        }
        self.samples[(index % count) as usize]
    }
}
