//! The training of a projector as the trainer is asked for it, and how it runs there.

use super::memory::{Channels, Memory, stabilise};
use super::objective::{Injection, Lesson, Settings};
use super::projector::{Projector, Shape};
use quartet_train::{
    Compute, Control, Course, Decoder, Holding, Origin, Parameters, Source, StageOutcome, State,
    TextEvent, TrainingPlan, calibrate, read_artefact, told, write_artefact,
};
use quartet_types::{Error, ErrorCode, GagOptions, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Micro-batches measured before the first update; the first warms up.
const MEASURED: usize = 3;
/// Keys and values kept between visits, at most, in bytes.
const KEPT_BYTES: usize = 1 << 30;
/// Memories of other questions that an artefact keeps, for the shuffled control.
pub const OTHERS: usize = 16;

/// A training of a projector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InjectionTraining {
    /// The base's file.
    pub model: PathBuf,
    /// Its name and digest, and those of the study material.
    pub base: Source,
    /// See [`InjectionTraining::base`].
    pub data: Source,
    /// What is made, for messages: `GAG "contracts"`.
    pub artefact: String,
    /// Shapes of the projector.
    pub shape: Shape,
    /// How it is made.
    pub options: GagOptions,
    /// Folder with the pooled memories: `learnt` and `held_out`, one row for each lesson, and
    /// `meanings` of the learnt ones where there is a semantic loss.
    pub memories: PathBuf,
    /// Prompts and answers, in the order of the memories.
    pub learnt: Vec<LessonTokens>,
    /// The same for what is only measured.
    pub held_out: Vec<LessonTokens>,
    /// Questions of a micro-batch.
    pub batch: usize,
    /// How it goes.
    pub plan: TrainingPlan,
    /// Small memory: weights stay quantised.
    pub is_small: bool,
    /// Where checkpoints are kept until the end.
    pub folder: PathBuf,
    /// Where the artefact goes, a folder.
    pub output: PathBuf,
    /// Seed of the projector's start.
    pub seed: u64,
}

/// A prompt around the rows and an answer, as tokens of the base.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LessonTokens {
    /// Before the rows.
    pub before: Vec<u32>,
    /// After the rows.
    pub after: Vec<u32>,
    /// The answer, end of turn included.
    pub answer: Vec<u32>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainedInjection {
    /// The stage.
    pub stage: StageOutcome,
    /// Numbers of projector and mix.
    pub parameters: usize,
    /// Factor of the rows.
    pub gain: f32,
}

/// Trains and writes the artefact: parameters of projector and mix, `gain`, the channels'
/// `mean` and `deviation` where memories are standardised, the `constant` mean memory and
/// [`OTHERS`] memories of other questions (`others`), both stabilised.
///
/// # Errors
/// `Cancelled`; `Corrupt` for files that are not what was asked for; those of training.
pub fn train_injection(
    request: &InjectionTraining,
    compute: &Compute,
    control: &Control,
    on_event: &mut dyn FnMut(TextEvent),
) -> Result<TrainedInjection> {
    let work = Work::load(request, compute)?;
    let course = work.course();
    let (trained, stage) = match course.finished()? {
        Some(finished) => finished,
        None => {
            let mut objective = work.objective(control)?;
            work.estimate(&course, &mut objective, control, on_event)?;
            course.run(compute, &mut objective, &work.fresh, control, &mut |event| {
                on_event(told(0, event));
            })?
        }
    };
    let mut kept = Parameters::new();
    for (name, rows, columns) in request.shape.parts() {
        let found = trained.get(name).ok_or_else(|| Error::internal("a part is missing"))?;
        kept.add(name, rows, columns, found.values.clone())?;
    }
    let parameters = kept.count();
    kept.add("gain", 1, 1, vec![work.gain])?;
    if let Some(channels) = &work.channels {
        let (layers, from) = (request.shape.layers, request.shape.from);
        kept.add("channels.mean", layers, from, channels.mean.clone())?;
        kept.add("channels.deviation", layers, from, channels.deviation.clone())?;
    }
    let length = request.shape.layers * request.shape.slots * request.shape.from;
    kept.add("constant", 1, length, mean(&work.lessons, length))?;
    let step = (work.lessons.len() / OTHERS).max(1);
    let others: Vec<&Lesson> = work.lessons.iter().step_by(step).take(OTHERS).collect();
    let values = others.iter().flat_map(|lesson| lesson.memory.iter().copied()).collect();
    kept.add("others", others.len(), length, values)?;
    write_artefact(&request.output, &work.origin, stage.steps, &kept)?;
    Ok(TrainedInjection { stage, parameters, gain: work.gain })
}

/// A training with everything loaded.
struct Work<'a> {
    request: &'a InjectionTraining,
    compute: &'a Compute,
    decoder: Decoder,
    channels: Option<Channels>,
    lessons: Vec<Lesson>,
    held_out: Vec<Lesson>,
    fresh: Parameters,
    gain: f32,
    origin: Origin,
}

impl<'a> Work<'a> {
    fn load(request: &'a InjectionTraining, compute: &'a Compute) -> Result<Self> {
        let holding = if request.is_small { Holding::Stored } else { Holding::Floats };
        let decoder = Decoder::load_checked(&request.model, &request.base, compute, holding)?;
        if decoder.architecture().width != request.shape.to {
            return Err(Error::new(ErrorCode::InvalidInput, "a projector for another base"));
        }
        let (_, kept) = read_artefact(&request.memories, None)?;
        let learnt = memories(&kept, "learnt", request)?;
        let held_out = memories(&kept, "held_out", request)?;
        let channels =
            if request.options.standardise { Some(Channels::measure(&learnt)?) } else { None };
        let form = request.options.form;
        let lesson = |(tokens, memory): (&LessonTokens, &Memory)| Lesson {
            before: tokens.before.clone(),
            after: tokens.after.clone(),
            answer: tokens.answer.clone(),
            memory: stabilise(memory, channels.as_ref(), form),
            meaning: Vec::new(),
        };
        let mut lessons: Vec<Lesson> = request.learnt.iter().zip(&learnt).map(lesson).collect();
        let held_out: Vec<Lesson> = request.held_out.iter().zip(&held_out).map(lesson).collect();
        if lessons.len() != request.learnt.len() || held_out.len() != request.held_out.len() {
            return Err(stale(&request.memories));
        }
        let mut fresh = request.shape.fresh(request.seed)?;
        if request.options.semantic > 0.0 {
            let meanings = kept.get("meanings").ok_or_else(|| stale(&request.memories))?;
            for (lesson, meaning) in
                lessons.iter_mut().zip(meanings.values.chunks_exact(meanings.columns))
            {
                lesson.meaning = meaning.to_vec();
            }
            fresh.extend(Injection::head(&request.shape, meanings.columns, request.seed + 1)?)?;
        }
        let gain = if request.options.match_scale {
            gain(&decoder, request.shape, &fresh, &lessons)?
        } else {
            1.0
        };
        let origin = Origin {
            artefact: request.artefact.clone(),
            base: request.base.clone(),
            data: request.data.clone(),
            settings: serde_json::json!({
                "shape": request.shape,
                "options": request.options,
                "plan": request.plan,
                "batch": request.batch,
                "seed": request.seed,
                "is_small": request.is_small,
                "lessons": [request.learnt.len(), request.held_out.len()],
            }),
        };
        Ok(Self { request, compute, decoder, channels, lessons, held_out, fresh, gain, origin })
    }

    fn course(&self) -> Course<'_> {
        Course {
            name: "listening",
            plan: &self.request.plan,
            origin: self.origin.clone(),
            folder: self.request.folder.clone(),
        }
    }

    fn objective(&self, control: &Control) -> Result<Injection<'_>> {
        let settings = Settings {
            semantic: self.request.options.semantic,
            diversity: self.request.options.diversity,
            gain: self.gain,
            batch: self.request.batch.max(1),
            is_chained: self.request.is_small,
            kept_bytes: KEPT_BYTES,
        };
        Injection::new(
            &self.decoder,
            self.request.shape,
            settings,
            self.lessons.clone(),
            self.held_out.clone(),
            control.clone(),
        )
    }

    fn estimate(
        &self,
        course: &Course<'_>,
        objective: &mut Injection<'_>,
        control: &Control,
        on_event: &mut dyn FnMut(TextEvent),
    ) -> Result<()> {
        let state: State = course.state(&self.fresh)?;
        let plan = &self.request.plan;
        // Of a warm pass: prefixes are made at the first visit only.
        let updates = calibrate(plan, self.compute, objective, &state, MEASURED, control)?;
        let mut seconds = updates.as_secs_f64();
        if let Some(left) = plan.steps.saturating_sub(state.step).checked_div(plan.evaluate_every) {
            // An evaluation is a forward pass: a third of a visit.
            let visits = (plan.steps * plan.accumulate as u64).max(1) as f64;
            let batches = self.held_out.len().div_ceil(self.request.batch.max(1)) as f64;
            seconds += seconds / visits / 3.0 * batches * (left + 1) as f64;
        }
        on_event(TextEvent::Estimate { stage: 0, first: state.step, seconds });
        Ok(())
    }
}

fn stale(place: &Path) -> Error {
    Error::new(ErrorCode::Corrupt, "the memories are not those of this training")
        .hint("Cancel this training and start it again.")
        .about_path(place)
}

fn memories(kept: &Parameters, name: &str, request: &InjectionTraining) -> Result<Vec<Memory>> {
    let Some(found) = kept.get(name) else { return Ok(Vec::new()) };
    let Shape { layers, slots, from, .. } = request.shape;
    if found.columns != layers * slots * from {
        return Err(stale(&request.memories));
    }
    let rows = found.values.chunks_exact(found.columns);
    Ok(rows.map(|row| Memory { layers, slots, width: from, values: row.to_vec() }).collect())
}

/// The factor that makes fresh rows as long as the base's own rows of tokens.
fn gain(decoder: &Decoder, shape: Shape, fresh: &Parameters, lessons: &[Lesson]) -> Result<f32> {
    let tokens: Vec<u32> =
        lessons.iter().flat_map(|one| &one.answer).copied().take(2_000).collect();
    let wanted = decoder.mean_row_length(&tokens)?;
    let projector = Projector::new(shape, 1.0, fresh)?;
    let mut lengths = Vec::new();
    for lesson in lessons.iter().take(64) {
        for row in projector.rows(&lesson.memory).chunks_exact(shape.to) {
            lengths.push(row.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt());
        }
    }
    let found = lengths.iter().sum::<f64>() / lengths.len().max(1) as f64;
    Ok(if found > 0.0 { (wanted / found) as f32 } else { 1.0 })
}

fn mean(lessons: &[Lesson], length: usize) -> Vec<f32> {
    let mut sum = vec![0.0f64; length];
    for lesson in lessons {
        sum.iter_mut().zip(&lesson.memory).for_each(|(sum, value)| *sum += f64::from(*value));
    }
    sum.into_iter().map(|value| (value / lessons.len().max(1) as f64) as f32).collect()
}
