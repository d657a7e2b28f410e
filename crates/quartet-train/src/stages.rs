//! A whole training on text: stage after stage on the same adapter, from files to a file, going
//! on wherever it was interrupted.

use crate::adapter_file::write_adapter;
use crate::compute::Compute;
use crate::control::Control;
use crate::course::Course;
use crate::decoder::{Decoder, Holding};
use crate::lora::LoraPlan;
use crate::manifest::{Origin, Source};
use crate::parameters::Parameters;
use crate::state::State;
use crate::text::{TextObjective, TextSample, TextSettings, pack};
use crate::training::{TrainingEvent, TrainingPlan, calibrate};
use quartet_gguf::{Value, sha256_of_file};
use quartet_types::{Error, Result, Sha256};
use serde::{Deserialize, Serialize};
use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

/// Micro-batches measured of each stage before the first update; the first warms up.
const MEASURED: usize = 3;

/// A training on text, as asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextTraining {
    /// The model file trained through.
    pub model: PathBuf,
    /// Its name and digest, and those of the study material.
    pub base: Source,
    /// See [`TextTraining::base`].
    pub data: Source,
    /// What is made, for messages: `expert "contracts"`.
    pub artefact: String,
    /// The adapter that is trained; `None` for [`LoraPlan::everywhere`] with
    /// [`TextTraining::rank`].
    pub lora: Option<LoraPlan>,
    /// Inner length of the adapter where `lora` is `None`.
    pub rank: usize,
    /// The stages, one after the other on the same adapter.
    pub stages: Vec<TextStage>,
    /// Small memory: weights stay quantised, blocks are differentiated one by one. Slower, with
    /// the same result up to rounding.
    pub is_small: bool,
    /// Where checkpoints are kept until the end.
    pub folder: PathBuf,
    /// Where the adapter goes: a GGUF file that the engine loads.
    pub output: PathBuf,
    /// Seed of the adapter's start.
    pub seed: u64,
}

/// A part of a training with its own samples and plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextStage {
    /// Its name, for people: `reading`.
    pub name: String,
    /// How it goes. A `steps` of zero skips the stage.
    pub plan: TrainingPlan,
    /// What is learnt.
    pub samples: Vec<TextSample>,
    /// What is measured.
    pub held_out: Vec<TextSample>,
    /// Rows of a micro-batch, at most; a longer sample is one of its own.
    pub rows: usize,
}

/// What happens during a training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextEvent {
    /// It trains on the processor although the build knows a faster device.
    OnProcessor {
        /// Why.
        reason: Error,
    },
    /// Measured before the first update: how long each stage will take from where it is.
    Estimate {
        /// Index of the stage.
        stage: usize,
        /// Updates that were made earlier.
        first: u64,
        /// Seconds.
        seconds: f64,
    },
    /// An update was made.
    Step {
        /// Index of the stage.
        stage: usize,
        /// Updates done in it.
        step: u64,
        /// Mean loss of its micro-batches, in nats per token.
        loss: f64,
        /// Seconds it took.
        seconds: f64,
    },
    /// The held-out loss was measured.
    Evaluation {
        /// Index of the stage.
        stage: usize,
        /// Updates done in it.
        step: u64,
        /// The loss, in nats per token.
        loss: f64,
    },
    /// A checkpoint was written.
    Checkpoint {
        /// Index of the stage.
        stage: usize,
        /// Updates done in it.
        step: u64,
    },
}

/// What came of a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageOutcome {
    /// Its name.
    pub name: String,
    /// Updates made.
    pub steps: u64,
    /// Loss of each update, in nats per token.
    pub curve: Vec<f64>,
    /// Held-out losses: after how many updates, and how much.
    pub evaluations: Vec<(u64, f64)>,
    /// Whether it ended because the held-out loss no longer fell.
    pub is_early: bool,
}

/// What came of a training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainedText {
    /// Digest of the adapter file.
    pub adapter: Sha256,
    /// The adapter's inner length.
    pub rank: usize,
    /// Numbers in it.
    pub parameters: usize,
    /// One for each stage.
    pub stages: Vec<StageOutcome>,
}

/// Trains all stages and writes the adapter. Each stage keeps the parameters of its best
/// evaluation. What an earlier call finished is not done again; an interrupted stage goes on
/// from its newest checkpoint, so that the result is the same, bit for bit.
///
/// # Errors
/// `Cancelled` if `control` said so, after a checkpoint if it asked to pause; `Corrupt` if the
/// files it goes on from were made from something else; those of [`Decoder::load`] and
/// [`train`].
pub fn train_text(
    request: &TextTraining,
    compute: &Compute,
    control: &Control,
    on_event: &mut dyn FnMut(TextEvent),
) -> Result<TrainedText> {
    let decoder = load(request, compute)?;
    let plan = lora(request, &decoder);
    let run = Run { request, compute, control, decoder: &decoder, plan: &plan };
    let trained = run.stages(on_event)?;
    let parameters = &trained.parameters;
    let details = [
        ("general.name", Value::string(request.artefact.clone())),
        ("quartet.base_sha256", Value::string(request.base.sha256.0.clone())),
    ];
    if let Some(folder) = request.output.parent() {
        fs::create_dir_all(folder).map_err(|error| Error::from_io(&error, folder))?;
    }
    write_adapter(&request.output, decoder.architecture(), &plan, parameters, &details)?;
    Ok(TrainedText {
        adapter: sha256_of_file(&request.output, |_| ControlFlow::Continue(()))?,
        rank: plan.rank,
        parameters: parameters.all().iter().map(|one| one.values.len()).sum(),
        stages: trained.outcomes,
    })
}

/// How long a training would take from its start, in seconds. Nothing is written.
///
/// # Errors
/// As [`train_text`].
pub fn measure_text(request: &TextTraining, compute: &Compute, control: &Control) -> Result<f64> {
    let decoder = load(request, compute)?;
    let plan = lora(request, &decoder);
    let fresh = plan.parameters(decoder.architecture(), request.seed)?;
    let run = Run { request, compute, control, decoder: &decoder, plan: &plan };
    let mut whole = 0.0;
    run.estimate(0, &fresh, &mut |event| {
        if let TextEvent::Estimate { seconds, .. } = event {
            whole += seconds;
        }
    })?;
    Ok(whole)
}

fn load(request: &TextTraining, compute: &Compute) -> Result<Decoder> {
    let holding = if request.is_small { Holding::Stored } else { Holding::Floats };
    Decoder::load_checked(&request.model, &request.base, compute, holding)
}

fn lora(request: &TextTraining, decoder: &Decoder) -> LoraPlan {
    let everywhere = || LoraPlan::everywhere(decoder.architecture(), request.rank);
    request.lora.clone().unwrap_or_else(everywhere)
}

struct Run<'a> {
    request: &'a TextTraining,
    compute: &'a Compute,
    control: &'a Control,
    decoder: &'a Decoder,
    plan: &'a LoraPlan,
}

struct Trained {
    parameters: Parameters,
    outcomes: Vec<StageOutcome>,
}

impl Run<'_> {
    fn stages(&self, on_event: &mut dyn FnMut(TextEvent)) -> Result<Trained> {
        let fresh = self.plan.parameters(self.decoder.architecture(), self.request.seed)?;
        let mut trained = Trained { parameters: fresh, outcomes: Vec::new() };
        let mut is_measured = false;
        for (index, stage) in self.request.stages.iter().enumerate() {
            if stage.plan.steps == 0 {
                trained.outcomes.push(StageOutcome::nothing(&stage.name));
                continue;
            }
            let course = self.course(index);
            if let Some((parameters, outcome)) = course.finished()? {
                trained.parameters = parameters;
                trained.outcomes.push(outcome);
                continue;
            }
            if !is_measured {
                self.estimate(index, &trained.parameters, on_event)?;
                is_measured = true;
            }
            let mut objective = self.objective(stage)?;
            let (parameters, outcome) = course.run(
                self.compute,
                &mut objective,
                &trained.parameters,
                self.control,
                &mut |event| on_event(told(index, event)),
            )?;
            trained.parameters = parameters;
            trained.outcomes.push(outcome);
        }
        Ok(trained)
    }

    fn course(&self, index: usize) -> Course<'_> {
        let stage = &self.request.stages[index];
        Course {
            name: &stage.name,
            plan: &stage.plan,
            origin: self.origin(index),
            folder: self.request.folder.join(format!("stage-{index}")),
        }
    }

    /// How long stage `first` and those after it will take from here: measured on
    /// micro-batches of each, evaluations included.
    fn estimate(
        &self,
        first: usize,
        parameters: &Parameters,
        on_event: &mut dyn FnMut(TextEvent),
    ) -> Result<()> {
        for (index, stage) in self.request.stages.iter().enumerate().skip(first) {
            if stage.plan.steps == 0 {
                continue;
            }
            let state = if index == first {
                self.course(index).state(parameters)?
            } else {
                State::new(parameters.clone())
            };
            let mut objective = self.objective(stage)?;
            let (plan, control) = (&stage.plan, self.control);
            let updates = calibrate(plan, self.compute, &mut objective, &state, MEASURED, control)?;
            let mut seconds = updates.as_secs_f64();
            let batches = pack(stage.held_out.clone(), stage.rows);
            if let (Some(left), Some(one)) = (
                plan.steps.saturating_sub(state.step).checked_div(plan.evaluate_every),
                batches.first(),
            ) {
                let constants = state.parameters.constants(self.compute)?;
                let started = Instant::now();
                objective.mean_loss(&constants, std::slice::from_ref(one))?;
                let evaluation = started.elapsed().as_secs_f64() * batches.len() as f64;
                seconds += evaluation * (left + 1) as f64;
            }
            on_event(TextEvent::Estimate { stage: index, first: state.step, seconds });
        }
        Ok(())
    }

    fn objective(&self, stage: &TextStage) -> Result<TextObjective<'_>> {
        TextObjective::new(
            self.decoder,
            self.plan.clone(),
            pack(stage.samples.clone(), stage.rows),
            pack(stage.held_out.clone(), stage.rows),
            TextSettings { is_chained: self.request.is_small, keeps_lower_layers: true },
            self.control.clone(),
        )
    }

    /// What the result of a stage depends on: everything that comes before it too.
    fn origin(&self, index: usize) -> Origin {
        let plans: Vec<_> = self.request.stages[..=index]
            .iter()
            .map(|stage| serde_json::json!({ "plan": stage.plan, "rows": stage.rows }))
            .collect();
        Origin {
            artefact: self.request.artefact.clone(),
            base: self.request.base.clone(),
            data: self.request.data.clone(),
            settings: serde_json::json!({
                "lora": self.plan,
                "seed": self.request.seed,
                "is_small": self.request.is_small,
                "stages": plans,
            }),
        }
    }
}

impl StageOutcome {
    fn nothing(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            steps: 0,
            curve: Vec::new(),
            evaluations: Vec::new(),
            is_early: false,
        }
    }
}

/// An event of the loop, as one of stage `stage`.
#[must_use]
pub fn told(stage: usize, event: TrainingEvent) -> TextEvent {
    match event {
        TrainingEvent::Step { step, loss, duration, .. } => {
            TextEvent::Step { stage, step, loss, seconds: duration.as_secs_f64() }
        }
        TrainingEvent::Evaluation { step, loss } => TextEvent::Evaluation { stage, step, loss },
        TrainingEvent::Checkpoint { step } => TextEvent::Checkpoint { stage, step },
    }
}
