//! The second part of the training as the trainer is asked for it, and how it runs there.
//!
//! ```text
//! teaching: the base with the documents, run once, kept ─▶ tuning: hypernetwork and
//!                                          feed-forward layers ─▶ tensors, adapter
//! ```

use super::bank::BankShape;
use super::hypernetwork::Shape;
use super::objective::{Lesson, Maker, Settings, Tuning};
use super::strength::strongest;
use super::teacher::{Teaching, teach_once, temperatures};
use super::template;
use super::whitening::Whitening;
use quartet_train::{
    Compute, Control, Course, Decoder, Holding, LoraPlan, Origin, Parameters, Projection, Source,
    StageOutcome, TextEvent, TrainingPlan, calibrate, read_artefact, told, write_adapter,
    write_artefact,
};
use quartet_types::{Error, ErrorCode, IagForm, IagOptions, Result, TriedStrength};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Names of the stages.
pub const TEACHING: &str = "teaching";
/// See [`TEACHING`].
pub const TUNING: &str = "tuning";

/// Micro-batches measured before the first update; the first warms up.
const MEASURED: usize = 3;
/// Features of other questions that an artefact keeps, for the shuffled control.
pub const OTHERS: usize = 32;
/// A teacher knows the answer to a row where its loss, in nats per token, is not above this; of
/// other rows there is nothing to learn from it.
const TEACHES_BELOW: f64 = 1.0;

/// A training of the second part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IagTraining {
    /// The base's file.
    pub model: PathBuf,
    /// Its name and digest, and those of the study material.
    pub base: Source,
    /// See [`IagTraining::base`].
    pub data: Source,
    /// What is made, for messages: `IAG "contracts"`.
    pub artefact: String,
    /// How it is made.
    pub options: IagOptions,
    /// Whether there is a teacher worth listening to.
    pub is_taught: bool,
    /// Folder with the base's states of questions: `learnt` and `held_out`, one row for each
    /// lesson; and `learnt.alone` and `held_out.alone`, one for each prompt without a document.
    pub features: PathBuf,
    /// Prompts and answers, in the order of the features.
    pub learnt: Vec<LessonTokens>,
    /// The same for what is only measured.
    pub held_out: Vec<LessonTokens>,
    /// How it goes.
    pub plan: TrainingPlan,
    /// Small memory: weights stay quantised.
    pub is_small: bool,
    /// Where checkpoints and what the teacher saw are kept until the end.
    pub folder: PathBuf,
    /// Where the tensors go, a folder.
    pub output: PathBuf,
    /// Where the adapter of the feed-forward layers goes.
    pub feed_forward: PathBuf,
    /// Seed of the start.
    pub seed: u64,
}

/// A question as tokens of the base.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LessonTokens {
    /// What the student reads.
    pub prompt: Vec<u32>,
    /// The same question, and others with this answer, without a document.
    #[serde(default)]
    pub alone: Vec<Vec<u32>>,
    /// What the teacher reads.
    pub teacher: Vec<u32>,
    /// The answer, the line break that ends it included.
    pub answer: Vec<u32>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainedIag {
    /// The stage.
    pub stage: StageOutcome,
    /// Numbers of hypernetwork (or bank) and feed-forward change.
    pub parameters: usize,
    /// Components of the features.
    pub components: usize,
    /// Questions that were learnt from the teacher too.
    pub taught: usize,
    /// Strengths of the weights made for a question that were tried; that with the least loss is
    /// in force.
    pub strengths: Vec<TriedStrength>,
}

/// Trains and writes the artefact: the maker's tensors, the whitening, the `constant` mean
/// features, and features of [`OTHERS`] questions (`others`); and, where there is one, the
/// adapter of the feed-forward layers.
///
/// # Errors
/// `Cancelled`; `Corrupt` for files that are not what was asked for; those of training.
pub fn train_iag(
    request: &IagTraining,
    compute: &Compute,
    control: &Control,
    on_event: &mut dyn FnMut(TextEvent),
) -> Result<TrainedIag> {
    let work = Work::load(request, compute, control)?;
    let teachings = work.teach(on_event)?;
    let taught = teachings.iter().flatten().count();
    let course = work.course();
    let (trained, stage) = match course.finished()? {
        Some(finished) => finished,
        None => {
            let mut objective = work.objective(teachings)?;
            let state = course.state(&work.fresh)?;
            let plan = &request.plan;
            let updates = calibrate(plan, compute, &mut objective, &state, MEASURED, control)?;
            let mut seconds = updates.as_secs_f64();
            if let Some(every) = plan.steps.checked_div(plan.evaluate_every) {
                // An evaluation is a forward pass: a third of a visit.
                let visit = seconds / (plan.steps.max(1) * plan.accumulate as u64) as f64;
                let rows = work.held_out.own.len() + work.held_out.alone.len();
                seconds += visit / 3.0 * (rows as u64 * (every + 1)) as f64;
            }
            on_event(TextEvent::Estimate { stage: 1, first: state.step, seconds });
            course.run(compute, &mut objective, &work.fresh, control, &mut |event| {
                on_event(told(1, event));
            })?
        }
    };
    let (trained, strengths) = match request.options.choose_strength {
        true => {
            let tuning = work.objective(vec![None; request.learnt.len()])?;
            strongest(&work.maker, &tuning, trained, compute)?
        }
        false => (trained, Vec::new()),
    };
    if let Some(plan) = &work.feed_forward {
        let shapes = work.decoder.architecture();
        write_adapter(&request.feed_forward, shapes, plan, &trained, &[])?;
    }
    let kept = work.kept(&trained)?;
    write_artefact(&request.output, &work.origin, stage.steps, &kept)?;
    let components = work.maker.components();
    Ok(TrainedIag { stage, parameters: trained.count(), components, taught, strengths })
}

/// A training with everything loaded.
struct Work<'a> {
    request: &'a IagTraining,
    control: &'a Control,
    decoder: Decoder,
    whitening: Whitening,
    learnt: Features,
    held_out: Features,
    maker: Maker,
    feed_forward: Option<LoraPlan>,
    fresh: Parameters,
    origin: Origin,
}

impl<'a> Work<'a> {
    fn load(request: &'a IagTraining, compute: &'a Compute, control: &'a Control) -> Result<Self> {
        let holding = if request.is_small { Holding::Stored } else { Holding::Floats };
        let decoder = Decoder::load_checked(&request.model, &request.base, compute, holding)?;
        let options = &request.options;
        let (_, kept) = read_artefact(&request.features, None)?;
        let learnt = Features::read(&kept, "learnt", &request.learnt, &request.features)?;
        let held_out = Features::read(&kept, "held_out", &request.held_out, &request.features)?;
        let states: Vec<Vec<f32>> = learnt.own.iter().chain(&learnt.alone).cloned().collect();
        let whitening = Whitening::fit(&states, options.components.max(1) as usize)?;
        let (learnt, held_out) = (learnt.whitened(&whitening)?, held_out.whitened(&whitening)?);
        let inner = Shape::of(
            decoder.architecture(),
            whitening.components(),
            (options.hidden.max(1) as usize, options.rank.max(1) as usize),
            options.raw_slots,
        );
        let maker = match options.form {
            IagForm::Hypernetwork => Maker::Hypernetwork(inner),
            IagForm::Bank => {
                Maker::Bank(BankShape { inner, members: options.bank.max(1) as usize })
            }
        };
        let feed_forward = feed_forward(options, decoder.architecture().layers);
        let mut fresh = maker.fresh(request.seed, options.tiny_start)?;
        if let Some(plan) = &feed_forward {
            fresh.extend(plan.parameters(decoder.architecture(), request.seed + 1)?)?;
        }
        let origin = Origin {
            artefact: request.artefact.clone(),
            base: request.base.clone(),
            data: request.data.clone(),
            settings: serde_json::json!({
                "maker": maker,
                "options": options,
                "template": template::VERSION,
                "is_taught": request.is_taught,
                "plan": request.plan,
                "seed": request.seed,
                "is_small": request.is_small,
                "lessons": [learnt.own.len(), held_out.own.len(), learnt.alone.len()],
            }),
        };
        Ok(Self {
            request,
            control,
            decoder,
            whitening,
            learnt,
            held_out,
            maker,
            feed_forward,
            fresh,
            origin,
        })
    }

    fn course(&self) -> Course<'_> {
        Course {
            name: TUNING,
            plan: &self.request.plan,
            origin: self.origin.clone(),
            folder: self.request.folder.join("tuning"),
        }
    }

    /// What the teacher sees at every answer; `None` where it does not know it.
    fn teach(&self, on_event: &mut dyn FnMut(TextEvent)) -> Result<Vec<Option<Teaching>>> {
        let request = self.request;
        if !request.is_taught {
            return Ok(vec![None; request.learnt.len()]);
        }
        let heats = temperatures(request.plan.steps, request.options.clamp_temperature);
        let folder = request.folder.join("teacher");
        let mut all = Vec::with_capacity(request.learnt.len());
        let mut first = None;
        for (at, lesson) in request.learnt.iter().enumerate() {
            let started = Instant::now();
            let place = folder.join(at.to_string());
            let is_kept = place.exists();
            let read = (lesson.teacher.as_slice(), lesson.answer.as_slice());
            let made = teach_once(&place, &self.origin, &self.decoder, read, &heats, self.control)?;
            let seconds = started.elapsed().as_secs_f64();
            if !is_kept && first.is_none() {
                first = Some(at);
                let left = (request.learnt.len() - at) as f64;
                on_event(TextEvent::Estimate {
                    stage: 0,
                    first: at as u64,
                    seconds: seconds * left,
                });
            }
            let loss = made.loss;
            on_event(TextEvent::Step { stage: 0, step: at as u64 + 1, loss, seconds });
            all.push((loss <= TEACHES_BELOW).then_some(made));
        }
        Ok(all)
    }

    fn objective(&self, teachings: Vec<Option<Teaching>>) -> Result<Tuning<'_>> {
        let options = &self.request.options;
        let settings = Settings {
            maker: self.maker.clone(),
            feed_forward: self.feed_forward.clone(),
            teacher_weight: options.teacher_weight,
            hidden_weight: options.hidden_weight,
            clamp_temperature: options.clamp_temperature,
            is_chained: self.request.is_small,
            watches_saddle: options.tiny_start,
        };
        let learnt = self.learnt.lessons(&self.request.learnt, teachings);
        let untaught = vec![None; self.request.held_out.len()];
        let held_out = self.held_out.lessons(&self.request.held_out, untaught);
        Tuning::new(&self.decoder, settings, learnt, held_out, self.control.clone())
    }

    /// The tensors of the artefact.
    fn kept(&self, trained: &Parameters) -> Result<Parameters> {
        let mut kept = Parameters::new();
        for (name, rows, columns) in self.maker.parts() {
            let found = trained.get(&name).ok_or_else(|| Error::internal("a part is missing"))?;
            kept.add(name, rows, columns, found.values.clone())?;
        }
        self.whitening.add_to(&mut kept)?;
        let components = self.maker.components();
        let mut constant = vec![0.0f32; components];
        for row in &self.learnt.own {
            constant.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
        }
        constant.iter_mut().for_each(|value| *value /= self.learnt.own.len() as f32);
        kept.add("constant", 1, components, constant)?;
        let step = (self.learnt.own.len() / OTHERS).max(1);
        let others: Vec<&Vec<f32>> = self.learnt.own.iter().step_by(step).take(OTHERS).collect();
        let values = others.iter().flat_map(|row| row.iter().copied()).collect();
        kept.add("others", others.len(), components, values)?;
        Ok(kept)
    }
}

/// What the base makes of the questions of lessons.
struct Features {
    /// Of each question with its document.
    own: Vec<Vec<f32>>,
    /// Of each prompt without one, those of the first lesson first.
    alone: Vec<Vec<f32>>,
}

impl Features {
    fn read(kept: &Parameters, name: &str, lessons: &[LessonTokens], place: &Path) -> Result<Self> {
        let alone = lessons.iter().map(|one| one.alone.len()).sum();
        Ok(Self {
            own: rows(kept, name, lessons.len(), place)?,
            alone: rows(kept, &format!("{name}.alone"), alone, place)?,
        })
    }

    fn whitened(self, whitening: &Whitening) -> Result<Self> {
        let apply = |all: Vec<Vec<f32>>| -> Result<Vec<Vec<f32>>> {
            all.iter().map(|row| whitening.apply(row)).collect()
        };
        Ok(Self { own: apply(self.own)?, alone: apply(self.alone)? })
    }

    /// Every question with its document and without, each with what the teacher saw.
    fn lessons(&self, all: &[LessonTokens], teachings: Vec<Option<Teaching>>) -> Vec<Lesson> {
        let mut lessons = Vec::with_capacity(self.own.len() + self.alone.len());
        let mut alone = self.alone.iter();
        for ((tokens, own), teaching) in all.iter().zip(&self.own).zip(teachings) {
            let prompts = std::iter::once(&tokens.prompt).chain(&tokens.alone);
            let features = std::iter::once(own).chain(alone.by_ref().take(tokens.alone.len()));
            for (prompt, features) in prompts.zip(features) {
                lessons.push(Lesson {
                    prompt: prompt.clone(),
                    answer: tokens.answer.clone(),
                    features: features.clone(),
                    teaching: teaching.clone(),
                });
            }
        }
        lessons
    }
}

/// The static change of the feed-forward layers of a base with so many layers, if there is one.
#[must_use]
pub fn feed_forward(options: &IagOptions, layers: usize) -> Option<LoraPlan> {
    let rank = options.feed_forward_rank as usize;
    (rank > 0).then(|| LoraPlan {
        rank,
        alpha: 2.0 * rank as f64,
        layers: 0..layers,
        projections: vec![Projection::Gate, Projection::Up, Projection::Down],
        heads_of: None,
    })
}

/// Rows of a tensor, as many as there are lessons.
fn rows(kept: &Parameters, name: &str, count: usize, place: &Path) -> Result<Vec<Vec<f32>>> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let found = kept.get(name).filter(|one| one.rows == count).ok_or_else(|| {
        Error::new(ErrorCode::Corrupt, "the features are not those of this training")
            .hint("Cancel this training and start it again.")
            .about_path(place)
    })?;
    Ok(found.values.chunks_exact(found.columns).map(<[f32]>::to_vec).collect())
}
