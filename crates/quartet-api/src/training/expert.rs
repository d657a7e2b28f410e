//! `train expert`: a small model is taught a collection.

use super::ExpertRequest;
use super::folder::WorkFolder;
use super::material::{self, Material};
use super::measure::{Measured, Yardstick, measure};
use super::pace::{AFTER, BEFORE, Detail, Pace, RECALLING, STUDY};
use super::passages::to_study;
use super::plan::{ANSWERING, READING, Samples, spread, stage};
use super::report::{Parts, report};
use super::student::Student;
use super::trainer::Trainer;
use super::worker::{TrainerReply, TrainerRequest};
use crate::Quartet;
use crate::models::InstalledModel;
use quartet_library::JobLease;
use quartet_methods::Reader;
use quartet_methods::expert::lessons::{held_out, running_text};
use quartet_methods::expert::{Exchange, ExpertRecipe, Lesson, Lessons};
use quartet_train::{Source, TextSample, TextTraining, TrainedText, pack};
use quartet_types::{
    AdapterUse, Artefact, ArtefactKind, ChunkId, Collection, Error, ErrorCode, ExpertReport,
    Passage, ProgressUnit, Result, Sha256,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Questions asked from memory before and after, at most: quick, standard, thorough.
const ASKED: [usize; 3] = [30, 80, 200];
/// Passages with text, at least: with fewer there is nothing to hold out, and nothing to gain.
const FEWEST_PASSAGES: usize = 8;
/// Tokens of a recalled text.
const RECALLED_AT_ONCE: u32 = 96;
/// How a model left to itself may begin.
const OPENINGS: [&str; 12] = [
    "The",
    "In",
    "A",
    "When",
    "I",
    "How to",
    "She said",
    "There are",
    "It was",
    "For",
    "This",
    "What is",
];
/// Tokens of questions and answers that a passage is expected to give; only for the time
/// foretold before they are made.
const EXPECTED_TOKENS: usize = 500;

/// What is trained on, as it was when the job began: documents may change meanwhile.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Snapshot {
    pub(super) fingerprint: String,
    passages: Vec<Passage>,
    held_out: BTreeSet<ChunkId>,
}

impl Snapshot {
    pub(super) fn part(&self, is_held_out: bool) -> impl Iterator<Item = &Passage> {
        self.passages
            .iter()
            .filter(move |passage| self.held_out.contains(&passage.chunk) == is_held_out)
    }
}

/// What the trainer is asked, and what the student is asked before and after.
#[derive(Debug, Serialize, Deserialize)]
struct Assignment {
    training: TextTraining,
    asked: Vec<Exchange>,
    parts: Parts,
    /// The model that wrote the questions, if not only rules did.
    writer: Option<String>,
}

/// The parts of the work, in order.
pub(super) const PARTS: [&str; 6] = [STUDY, RECALLING, BEFORE, READING, ANSWERING, AFTER];

/// A training under way.
pub(super) struct Work<'a> {
    pub(super) quartet: &'a Quartet,
    pub(super) request: &'a ExpertRequest,
    pub(super) collection: Collection,
    pub(super) lease: &'a JobLease,
    pub(super) folder: &'a WorkFolder,
}

impl Work<'_> {
    pub(super) async fn run(&self, pace: &Pace<'_>) -> Result<Artefact> {
        let model = self.quartet.expert_model(self.request)?;
        let snapshot = self.snapshot().await?;
        let student = Student::load(&self.quartet.engine, &model, self.lease.stop()).await?;
        let assignment = match self.folder.load::<Assignment>("assignment.json")? {
            Some(assignment) => assignment,
            None => {
                let made = self.assign(&snapshot, &student, &model, pace).await?;
                self.folder.store("assignment.json", &made)?;
                made
            }
        };
        let texts: Vec<String> = snapshot.part(true).map(|passage| passage.text.clone()).collect();
        let yardstick = Yardstick { texts: &texts, asked: &assignment.asked };
        let before = match self.folder.load::<Measured>("before.json")? {
            Some(before) => before,
            None => {
                pace.begin(BEFORE, 0);
                let before = measure(&student, &yardstick, &[], pace).await?;
                self.folder.store("before.json", &before)?;
                before
            }
        };
        let (trained, foretold) = self.train(&assignment.training, pace).await?;
        pace.begin(AFTER, 0);
        let adapter = student.take_adapter(&assignment.training.output).await?;
        let used = AdapterUse { adapter: adapter.clone(), scale: 1.0 };
        let after = measure(&student, &yardstick, &[used], pace).await?;
        pace.end();
        let mut report = report(&trained, &assignment.parts, before, after);
        report.questions = small(assignment.asked.len());
        report.passages = small(snapshot.part(false).count());
        report.held_out_passages = small(texts.len());
        report.seconds = pace.spent();
        report.foretold_seconds = foretold;
        self.keep(&snapshot, &assignment, adapter, report).await
    }

    /// What is trained on: as it was when the job began.
    pub(super) async fn snapshot(&self) -> Result<Snapshot> {
        if let Some(snapshot) = self.folder.load("snapshot.json")? {
            return Ok(snapshot);
        }
        let library = &self.quartet.library;
        // Before what is read: what changes meanwhile makes it stale.
        let fingerprint = library.fingerprint(self.collection.id).await?;
        let chunks = library.all_passages(self.collection.id).await?;
        let mut passages = to_study(library, chunks).await?;
        passages.truncate(self.request.passages.unwrap_or(usize::MAX));
        let filled = passages.len();
        if filled < FEWEST_PASSAGES {
            return Err(Error::new(
                ErrorCode::InvalidInput,
                format!(
                    "`{}` has {filled} passages of text; at least {FEWEST_PASSAGES} are needed",
                    self.collection.name
                ),
            )
            .hint("Import more documents; training is worth its time from about 200 facts on."));
        }
        let snapshot = Snapshot { fingerprint, held_out: held_out(&passages), passages };
        self.folder.store("snapshot.json", &snapshot)?;
        Ok(snapshot)
    }

    /// Makes the study material, and of it what the trainer is asked.
    async fn assign(
        &self,
        snapshot: &Snapshot,
        student: &Student,
        model: &InstalledModel,
        pace: &Pace<'_>,
    ) -> Result<Assignment> {
        let recipe = self.recipe();
        let taught: Vec<Passage> = snapshot.part(false).cloned().collect();
        let (path, sha256) = self.quartet.models.verified(model)?;
        let mut training = TextTraining {
            model: path,
            base: Source { name: model.name.0.clone(), sha256 },
            data: Source {
                name: self.collection.name.clone(),
                sha256: Sha256(snapshot.fingerprint.clone()),
            },
            artefact: format!("expert \"{}\"", self.collection.name),
            lora: None,
            rank: recipe.rank,
            stages: Vec::new(),
            is_small: Self::memory_is_small(model),
            folder: self.folder.path().join("trainer"),
            output: self.folder.path().join("adapter.gguf"),
            seed: 1,
        };
        self.foretell(&taught, student, &recipe, &training, pace).await?;

        let (material, writer) = self.study(&taught, pace).await?;
        let lessons =
            Lessons::prepare(&taught, &snapshot.held_out, &material.questions, student.turns);
        let recalled = self.recall(student, recipe.recalled_tokens, pace).await?;
        let held: Vec<Lesson> =
            snapshot.part(true).map(|passage| Lesson::text(running_text(passage))).collect();
        let samples = Samples::prepare(student, &lessons, &held, recalled).await?;
        training.stages = samples.stages(&recipe);
        let asked = spread(&lessons.asked, self.questions());
        Ok(Assignment { training, asked, parts: Parts::of(&material.report), writer })
    }

    /// How many questions are asked before and after, at most.
    fn questions(&self) -> usize {
        let few = self.request.updates.map(|updates| updates.saturating_mul(4));
        let few = few.and_then(|few| usize::try_from(few).ok()).unwrap_or(usize::MAX);
        ASKED[self.request.preset as usize].min(few)
    }

    fn recipe(&self) -> ExpertRecipe {
        let mut recipe = ExpertRecipe::new(self.request.preset);
        if let Some(updates) = self.request.updates {
            recipe.shorten(updates);
        }
        recipe
    }

    /// Whether training with all weights as floats would not leave room for anything else.
    pub(super) fn memory_is_small(model: &InstalledModel) -> bool {
        let weights = model.path.as_ref().and_then(|path| path.metadata().ok());
        // Four bytes for what takes about one in the file, and as much again to compute with.
        let needed = weights.map_or(0, |file| file.len()) * 8;
        quartet_gguf::available_memory().is_some_and(|available| available < needed)
    }

    /// Measures a few updates, so that the whole can be foretold before it begins.
    async fn foretell(
        &self,
        taught: &[Passage],
        student: &Student,
        recipe: &ExpertRecipe,
        training: &TextTraining,
        pace: &Pace<'_>,
    ) -> Result<()> {
        let reading = Lessons::prepare(taught, &BTreeSet::new(), &[], student.turns).reading;
        let samples = student.samples(&reading).await?;
        let batches = pack(samples.clone(), recipe.rows).len();
        let stage = stage(READING, recipe, &recipe.reading, samples, Vec::new(), 1);
        let updates = stage.plan.steps.max(1);
        let request = TextTraining { stages: vec![stage], ..training.clone() };
        let trainer = Trainer { quartet: self.quartet, stop: self.lease.stop() };
        let seconds = match trainer.ask(TrainerRequest::Measure(request), |_| {}).await? {
            TrainerReply::Measured { seconds } => seconds / updates as f64,
            _ => return Err(Error::internal("nothing was to be trained")),
        };
        let answering = (taught.len() * EXPECTED_TOKENS).div_ceil(recipe.rows);
        for (part, how, batches) in
            [(READING, &recipe.reading, batches), (ANSWERING, &recipe.answering, answering)]
        {
            // With the text that is read along.
            let batches = batches as f64 / (1.0 - how.recalled - how.read_along);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
            let updates = how.updates(batches as usize, recipe.accumulate);
            pace.foretell(part, seconds * updates as f64);
        }
        // Rough: these parts are short.
        let asked = self.questions() as f64;
        pace.foretell(BEFORE, asked.mul_add(0.7, 15.0));
        pace.foretell(AFTER, asked.mul_add(0.5, 15.0));
        pace.foretell(RECALLING, f64::from(recipe.recalled_tokens) / 40.0);
        Ok(())
    }

    /// The study material, and which model wrote questions for it.
    pub(super) async fn study(
        &self,
        taught: &[Passage],
        pace: &Pace<'_>,
    ) -> Result<(Material, Option<String>)> {
        let stop = self.lease.stop();
        let reader = self.quartet.study_reader(self.request, stop).await?;
        let file = self.quartet.study_file(self.collection.id);
        let reader = reader.as_ref().map(|reader| reader as &dyn Reader);
        let writer = reader.map(|reader| reader.model().model.0.clone());
        let material =
            material::make(&file, taught, reader, self.request.preset, pace, stop).await?;
        Ok((material, writer))
    }

    /// What the untrained student writes when left to itself.
    async fn recall(
        &self,
        student: &Student,
        tokens: u32,
        pace: &Pace<'_>,
    ) -> Result<Vec<TextSample>> {
        let count = tokens.div_ceil(RECALLED_AT_ONCE);
        pace.begin(RECALLING, 0);
        let mut samples = Vec::new();
        for index in 0..count {
            let opening = OPENINGS[index as usize % OPENINGS.len()];
            let written = student.recall(opening, RECALLED_AT_ONCE, index + 1).await?;
            samples.push(student.whole(&written));
            pace.tell(u64::from(index) + 1, u64::from(count), ProgressUnit::Texts, Detail::Nothing)
                .await;
        }
        Ok(samples)
    }

    /// Trains in the worker. Also returns how long that was foretold to take, unless an earlier
    /// process did a part of it.
    async fn train(
        &self,
        training: &TextTraining,
        pace: &Pace<'_>,
    ) -> Result<(TrainedText, Option<f64>)> {
        let stages: Vec<(String, u64)> =
            training.stages.iter().map(|stage| (stage.name.clone(), stage.plan.steps)).collect();
        let request = TrainerRequest::Train(training.clone());
        let trainer = Trainer { quartet: self.quartet, stop: self.lease.stop() };
        match trainer.follow(request, &stages, pace).await? {
            (TrainerReply::Trained(trained), foretold) => Ok((trained, foretold)),
            _ => Err(Error::internal("nothing was trained")),
        }
    }

    /// Moves the adapter to where artefacts are, and notes it.
    async fn keep(
        &self,
        snapshot: &Snapshot,
        assignment: &Assignment,
        adapter: Sha256,
        report: ExpertReport,
    ) -> Result<Artefact> {
        let artefact = Artefact {
            kind: ArtefactKind::Expert,
            collection: self.collection.id,
            collection_name: self.collection.name.clone(),
            preset: self.request.preset,
            model: self.request.expert.clone().unwrap_or(assignment.training.base.name.clone()),
            model_sha256: assignment.training.base.sha256.clone(),
            writer: assignment.writer.clone(),
            fingerprint: snapshot.fingerprint.clone(),
            adapter,
            created_at: 0,
            report,
            gag: None,
            imprag: None,
            iag: None,
            stale: false,
        };
        let from = &assignment.training.output;
        self.quartet.keep_artefact(artefact, from, "adapter.gguf", &[]).await
    }
}

pub(super) fn small(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
