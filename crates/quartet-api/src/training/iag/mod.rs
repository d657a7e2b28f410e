//! `train iag`: a model that imagines what a collection says, and weights made for a question.
//!
//! ```text
//! study ─ squeezing ─▶ imagine model reads, then learns to write ─▶ documents and features of
//! other wordings ─▶ gate: is the teacher better? ─▶ teacher, kept ─▶ tuning ─▶ controls
//! ```

mod comparing;
mod gate;
mod imagining;
mod material;
mod tuning;

use super::IagRequest;
use super::expert::{Snapshot, Work, small};
use super::folder::WorkFolder;
use super::material::Material;
use super::pace::{COMPARING, Pace, STUDY};
use super::plan::{READING, Samples, spread};
use super::report;
use super::student::Student;
use super::trainer::Trainer;
use super::verdict::controls;
use super::worker::{TrainerReply, TrainerRequest};
use crate::Quartet;
use crate::engine::BaseReader;
use crate::imagination::{Files, MADE, load_adapter};
use crate::keeping::OnProgress;
use crate::models::{InstalledModel, write_atomically};
use gate::{ASKING, teacher_gate};
use imagining::WRITING;
use material::{Context, SQUEEZING, Squeezing};
use quartet_gguf::sha256_of_bytes;
use quartet_library::JobLease;
use quartet_methods::expert::lessons::running_text;
use quartet_methods::expert::{Lesson, Lessons, Wordings};
use quartet_methods::gag::recipe::develop_or_test;
use quartet_methods::iag::recipe::IagRecipe;
use quartet_methods::iag::training::{IagTraining, TEACHING, TUNING};
use quartet_methods::iag::{deviations, template};
use quartet_methods::{Imagination, Reader};
use quartet_train::{Source, TextTraining};
use quartet_types::{
    AdapterSource, AdapterUse, Artefact, ArtefactKind, Collection, Error, ErrorCode, ExpertReport,
    IagReport, Imaginer, Passage, Result, Sha256, SpecificityReport, StageReport, TeacherGate,
};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;

/// The stage after reading, of the imagine model.
const IMAGINING: &str = "learning to imagine";
/// Questions that are scored, and of these answered, at most: quick, standard, thorough.
const COMPARED: [(usize, usize); 3] = [(16, 8), (40, 24), (200, 120)];

/// A question for the second part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Asked {
    question: String,
    answer: String,
    /// Passages that the teacher reads, the one the question was made from first.
    passages: Vec<String>,
}

/// What the parts after the study work on.
#[derive(Debug, Serialize, Deserialize)]
struct Assignment {
    /// How the imagine model is taught.
    imagine: TextTraining,
    learnt: Vec<Asked>,
    /// By these the best evaluation is chosen.
    develop: Vec<Asked>,
    /// On these it is compared with its controls.
    tested: Vec<Asked>,
    compression: quartet_types::CompressionReport,
    writer: Option<String>,
}

/// The imagine model, taught.
struct TaughtImaginer {
    adapter: Sha256,
    stages: Vec<StageReport>,
    foretold: Option<f64>,
}

/// A training under way.
pub(super) struct IagWork<'a> {
    pub(super) quartet: &'a Quartet,
    pub(super) request: &'a IagRequest,
    pub(super) collection: Collection,
    pub(super) lease: &'a JobLease,
    pub(super) folder: &'a WorkFolder,
}

impl IagWork<'_> {
    pub(super) async fn run(&self, on_progress: OnProgress<'_>) -> Result<Artefact> {
        let parts =
            [STUDY, SQUEEZING, READING, IMAGINING, WRITING, ASKING, TEACHING, TUNING, COMPARING];
        let pace = Pace::new(self.lease, on_progress, parts.map(str::to_owned));
        let stop = self.lease.stop();
        let engine = &self.quartet.engine;
        let base = self.quartet.base_model(self.request.base.as_deref(), stop).await?;
        let model = match self.request.options.imaginer {
            Imaginer::Base => base.clone(),
            Imaginer::Expert => self.quartet.expert_model(&self.request.study)?,
        };
        let snapshot = self.study_work().snapshot().await?;
        let student = Student::load(engine, &model, stop).await?;
        let imaginer = BaseReader::load(Arc::clone(engine), model.clone(), stop, |_| {}).await?;
        let assignment = match self.folder.load::<Assignment>("assignment.json")? {
            Some(assignment) => assignment,
            None => {
                let made = self.assign(&snapshot, &student, &imaginer, &model, &pace).await?;
                self.folder.store("assignment.json", &made)?;
                made
            }
        };
        let imagine = self.imaginer(&assignment.imagine, &snapshot, &pace).await?;

        let source = AdapterSource::File(assignment.imagine.output.clone());
        let adapter = load_adapter(engine, &imaginer.model().model, source, stop).await?;
        let reader = BaseReader::load(Arc::clone(engine), base.clone(), stop, |_| {}).await?;
        let adapters = [AdapterUse { adapter, scale: 1.0 }];
        let writing = imagining::Writing {
            options: &self.request.options,
            imaginer: &imaginer,
            adapters: &adapters,
            reader: &reader,
            folder: self.folder,
        };
        let asked: Vec<&Asked> = assignment.learnt.iter().chain(&assignment.develop).collect();
        let imagined = writing.all(&asked, &pace, stop).await?;
        let gate = self.gate(&assignment, &reader, &pace).await?;
        let training = self.training(&assignment, &imagined, gate, &base, &snapshot).await?;
        let (trained, foretold_tuning) = self.tune(&training, &pace).await?;

        pace.begin(COMPARING, 0);
        let files = self.files();
        let made = self.quartet.imaginings(&files, model.clone(), &reader, stop).await?;
        let (scored, answered) = self.compared();
        let tested = spread(&assignment.tested, scored);
        let rows =
            comparing::compare(&tested, answered, (&reader, &made), self.folder, &pace, stop)
                .await?;
        pace.end();
        let (pairs, distance) = made.tuner()?.specificity()?;
        let (_, imagine_sha256) = self.quartet.models.verified(&model)?;
        let report = IagReport {
            options: self.request.options.clone(),
            deviations: deviations(&self.request.options),
            imagine_model: model.name.0.clone(),
            imagine_model_sha256: imagine_sha256,
            imagine_adapter: imagine.adapter,
            adapters: made.adapters(),
            parameters: trained.parameters as u64,
            components: small(trained.components),
            rows: small(assignment.learnt.len()),
            taught_rows: small(trained.taught),
            compression: assignment.compression,
            imagined_tokens: imagining::mean_tokens(&imagined),
            gate,
            specificity: SpecificityReport { pairs, distance },
            questions: small(rows.len()),
            answered: small(rows.len().min(answered)),
            controls: controls(&rows),
            stages: imagine
                .stages
                .into_iter()
                .chain(std::iter::once(report::stage(&trained.stage)))
                .collect(),
            seconds: pace.spent(),
            foretold_seconds: imagine.foretold.zip(foretold_tuning).map(|(one, other)| one + other),
        };
        self.keep(&training, &snapshot, assignment.writer, report).await
    }

    fn study_work(&self) -> Work<'_> {
        Work {
            quartet: self.quartet,
            request: &self.request.study,
            collection: self.collection.clone(),
            lease: self.lease,
            folder: self.folder,
        }
    }

    fn recipe(&self) -> IagRecipe {
        let mut recipe = IagRecipe::new(self.request.study.preset);
        if let Some(updates) = self.request.study.updates {
            recipe.shorten(updates);
        }
        recipe
    }

    fn compared(&self) -> (usize, usize) {
        let (scored, answered) = COMPARED[self.request.study.preset as usize];
        let few = self.request.study.updates.map_or(usize::MAX, |updates| updates as usize * 4);
        (scored.min(few), answered.min(few))
    }

    /// Where everything that is kept in the end is made.
    fn files(&self) -> Files {
        Files::below(&self.folder.path().join(MADE))
    }

    /// Study material, squeezed documents, and of both what is taught and asked.
    async fn assign(
        &self,
        snapshot: &Snapshot,
        student: &Student,
        imaginer: &BaseReader,
        model: &InstalledModel,
        pace: &Pace<'_>,
    ) -> Result<Assignment> {
        let recipe = self.recipe();
        let taught: Vec<Passage> = snapshot.part(false).cloned().collect();
        let work = self.study_work();
        let (Material { questions, .. }, writer) = work.study(&taught, pace).await?;
        let questions = self.chosen(questions, &recipe);
        if questions.is_empty() {
            return Err(Error::new(
                ErrorCode::InvalidInput,
                format!("no questions could be made of `{}`", self.collection.name),
            )
            .hint("Import documents with whole sentences, then train again."));
        }
        let squeezing = Squeezing {
            quartet: self.quartet,
            collection: self.collection.id,
            options: &self.request.options,
            scorer: imaginer,
            file: &self.quartet.documents_file(self.collection.id),
            fingerprint: &snapshot.fingerprint,
            lease: self.lease,
        };
        let contexts = squeezing.contexts(&questions, pace).await?;
        let held: Vec<Lesson> =
            snapshot.part(true).map(|passage| Lesson::text(running_text(passage))).collect();
        let imagine =
            self.imagine_training(&taught, (&questions, &contexts), &held, student, model).await?;
        let (mut learnt, mut others, mut develop, mut tested) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (wordings, context) in questions.iter().zip(&contexts) {
            let asked = |question: &String| Asked {
                question: question.clone(),
                answer: wordings.answer.clone(),
                passages: context.passages.clone(),
            };
            let own = match self.request.options.cross_fit {
                true => &wordings.listened,
                false => &wordings.trained,
            };
            // What a person might ask goes first.
            let part = if wordings.natural.is_empty() { &mut others } else { &mut learnt };
            part.extend(own.iter().map(asked));
            for question in &wordings.held_out {
                let part = if develop_or_test(question) { &mut develop } else { &mut tested };
                part.push(asked(question));
            }
        }
        let mut learnt = spread(&learnt, recipe.questions);
        learnt.extend(spread(&others, recipe.questions - learnt.len()));
        Ok(Assignment {
            imagine,
            learnt,
            develop: spread(&develop, recipe.developed_on),
            tested: spread(&tested, self.compared().0),
            compression: material::report(&contexts),
            writer,
        })
    }

    /// To try it out, a few questions will do.
    fn chosen(&self, questions: Vec<Wordings>, recipe: &IagRecipe) -> Vec<Wordings> {
        match self.request.study.updates {
            Some(_) => spread(&questions, recipe.questions * 2),
            None => questions,
        }
    }

    /// How the imagine model is taught: it reads the passages, then writes documents.
    async fn imagine_training(
        &self,
        taught: &[Passage],
        (questions, contexts): (&[Wordings], &[Context]),
        held: &[Lesson],
        student: &Student,
        model: &InstalledModel,
    ) -> Result<TextTraining> {
        let recipe = self.recipe().imagining;
        let none = std::collections::BTreeSet::new();
        let reading = Lessons::prepare(taught, &none, &[], student.turns).reading;
        let (mut writing, mut held_writing) = (Vec::new(), Vec::new());
        for (wordings, context) in questions.iter().zip(contexts) {
            let lesson = |question: &String| template::imagine_lesson(question, &context.document);
            writing.extend(wordings.trained.iter().map(lesson));
            if !self.request.options.cross_fit {
                writing.extend(wordings.listened.iter().map(lesson));
            }
            held_writing.extend(wordings.held_out.iter().map(lesson));
        }
        let samples = Samples {
            reading: student.samples(&reading).await?,
            answering: student.samples(&writing).await?,
            recalled: Vec::new(),
            held_reading: student.samples(&spread(held, MEASURED_ON)).await?,
            held_answering: student.samples(&spread(&held_writing, MEASURED_ON)).await?,
        };
        let mut stages = samples.stages(&recipe);
        if let Some(last) = stages.last_mut() {
            IMAGINING.clone_into(&mut last.name);
        }
        let (path, sha256) = self.quartet.models.verified(model)?;
        Ok(TextTraining {
            model: path,
            base: Source { name: model.name.0.clone(), sha256 },
            data: self.data().await?,
            artefact: format!("imagination of \"{}\"", self.collection.name),
            lora: None,
            rank: recipe.rank,
            stages,
            is_small: Work::memory_is_small(model),
            folder: self.folder.path().join("imagine"),
            output: self.files().imagine,
            seed: 1,
        })
    }

    async fn data(&self) -> Result<Source> {
        let fingerprint = self.study_work().snapshot().await?.fingerprint;
        Ok(Source { name: self.collection.name.clone(), sha256: Sha256(fingerprint) })
    }

    /// Teaches the imagine model, or takes it as an earlier training of the same left it.
    async fn imaginer(
        &self,
        training: &TextTraining,
        snapshot: &Snapshot,
        pace: &Pace<'_>,
    ) -> Result<TaughtImaginer> {
        if let Some(known) = self.known_imaginer(training, snapshot).await? {
            return Ok(known);
        }
        let stages: Vec<(String, u64)> =
            training.stages.iter().map(|stage| (stage.name.clone(), stage.plan.steps)).collect();
        let trainer = Trainer { quartet: self.quartet, stop: self.lease.stop() };
        match trainer.follow(TrainerRequest::Train(training.clone()), &stages, pace).await? {
            (TrainerReply::Trained(trained), foretold) => Ok(TaughtImaginer {
                adapter: trained.adapter,
                stages: trained.stages.iter().map(report::stage).collect(),
                foretold,
            }),
            _ => Err(Error::internal("nothing was trained")),
        }
    }

    /// The imagine model of the artefact there is, if that was taught the same from the same.
    async fn known_imaginer(
        &self,
        training: &TextTraining,
        snapshot: &Snapshot,
    ) -> Result<Option<TaughtImaginer>> {
        let study = &self.request.study;
        if study.updates.is_some() || study.passages.is_some() {
            return Ok(None);
        }
        let own = &self.request.options;
        let stored = self.quartet.library.artefacts(Some(self.collection.id)).await?;
        for one in &stored {
            let Some(report) = &one.artefact.iag else { continue };
            let other = &report.options;
            let is_same = one.artefact.fingerprint == snapshot.fingerprint
                && one.artefact.preset == study.preset
                && report.imagine_model_sha256 == training.base.sha256
                && (other.imaginer, other.document_tokens, other.passages, other.cross_fit)
                    == (own.imaginer, own.document_tokens, own.passages, own.cross_fit);
            if !is_same {
                continue;
            }
            let from = Files::below(&self.quartet.artefact_folder(&one.folder).join(MADE)).imagine;
            let bytes = std::fs::read(&from).map_err(|error| Error::from_io(&error, &from))?;
            if sha256_of_bytes(&bytes) != report.imagine_adapter {
                continue;
            }
            let folder = self.folder.path().join(MADE);
            std::fs::create_dir_all(&folder).map_err(|error| Error::from_io(&error, &folder))?;
            write_atomically(&training.output, &bytes)?;
            let (stages, _) = report.stages.split_at(report.stages.len().saturating_sub(1));
            return Ok(Some(TaughtImaginer {
                adapter: report.imagine_adapter.clone(),
                stages: stages.to_vec(),
                foretold: None,
            }));
        }
        Ok(None)
    }

    /// Whether there is anything to distil; `None` where it is not wanted.
    async fn gate(
        &self,
        assignment: &Assignment,
        reader: &BaseReader,
        pace: &Pace<'_>,
    ) -> Result<Option<TeacherGate>> {
        const FILE: &str = "gate.json";
        if !self.request.options.distillation {
            return Ok(None);
        }
        if let Some(known) = self.folder.load(FILE)? {
            return Ok(known);
        }
        let asked = spread(&assignment.develop, self.recipe().gate);
        let gate = Some(teacher_gate(&asked, reader, pace, self.lease.stop()).await?);
        self.folder.store(FILE, &gate)?;
        Ok(gate)
    }

    /// Moves what was made to where artefacts are, and notes it.
    async fn keep(
        &self,
        training: &IagTraining,
        snapshot: &Snapshot,
        writer: Option<String>,
        report: IagReport,
    ) -> Result<Artefact> {
        let manifest = training.output.join("manifest.json");
        let manifest =
            std::fs::read(&manifest).map_err(|error| Error::from_io(&error, &manifest))?;
        let artefact = Artefact {
            kind: ArtefactKind::Iag,
            collection: self.collection.id,
            collection_name: self.collection.name.clone(),
            preset: self.request.study.preset,
            model: training.base.name.clone(),
            model_sha256: training.base.sha256.clone(),
            writer,
            fingerprint: snapshot.fingerprint.clone(),
            adapter: sha256_of_bytes(&manifest),
            created_at: 0,
            report: ExpertReport::default(),
            gag: None,
            imprag: None,
            iag: Some(report),
            stale: false,
        };
        let made: PathBuf = self.folder.path().join(MADE);
        self.quartet.keep_artefact(artefact, &made, MADE, &[]).await
    }
}

/// Held-out samples that the imagine model is measured on, at most.
const MEASURED_ON: usize = 24;
