//! `train iag`: a model that imagines what a collection says, and weights made for a question.
//!
//! ```text
//! study ─ squeezing ─▶ imagine model reads, then learns to write ─▶ documents and features of
//! other wordings ─▶ gate: is the teacher better? ─▶ teacher, kept ─▶ tuning ─▶ controls
//! ```

mod comparing;
mod gate;
mod imaginer;
mod imagining;
mod material;
mod tuning;

use super::IagRequest;
use super::expert::{Snapshot, Work, small};
use super::folder::WorkFolder;
use super::material::Material;
use super::pace::{COMPARING, Pace, STUDY};
use super::plan::{READING, spread};
use super::report;
use super::student::Student;
use super::verdict::controls;
use crate::Quartet;
use crate::engine::BaseReader;
use crate::imagination::{Files, MADE, load_adapter};
use crate::keeping::OnProgress;
use crate::models::InstalledModel;
use gate::{ASKING, teacher_gate};
use imaginer::IMAGINING;
use imagining::WRITING;
use material::{SQUEEZING, Squeezing};
use quartet_gguf::sha256_of_bytes;
use quartet_library::JobLease;
use quartet_methods::gag::recipe::develop_or_test;
use quartet_methods::iag::deviations;
use quartet_methods::iag::recipe::IagRecipe;
use quartet_methods::iag::training::{IagTraining, TEACHING, TUNING};
use quartet_methods::{Imagination, Reader};
use quartet_train::TextTraining;
use quartet_types::{
    AdapterSource, AdapterUse, Artefact, ArtefactKind, Collection, Error, ErrorCode, ExpertReport,
    IagReport, Imaginer, Passage, Result, SpecificityReport, TeacherGate,
};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;

/// Questions that are scored, and of these answered, at most: quick, standard, thorough.
const COMPARED: [(usize, usize); 3] = [(16, 8), (32, 16), (200, 120)];

/// One question in so many is not tuned on.
const SET_ASIDE: usize = 8;

/// Seconds for each gigabyte of the model's file, on two cores; measured beside other work. Of a
/// question whose passages are squeezed:
const SQUEEZED_IN: f64 = 8.0;
/// A document that is imagined; the features take about a second more.
const WRITTEN_IN: f64 = 4.0;
/// Those of a question without its document.
const ALONE_IN: f64 = 0.4;
/// A question that teacher and student answer.
const ASKED_IN: f64 = 8.0;
/// An answer the teacher reads.
const TAUGHT_IN: f64 = 5.0;
/// A visit in tuning, with a document and without.
const VISITED_IN: f64 = 4.0;
/// See [`VISITED_IN`].
const VISITED_ALONE_IN: f64 = 1.5;
/// An answer that is scored or written under one control.
const SCORED_IN: f64 = 2.0;

/// A question for the second part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Asked {
    question: String,
    /// It is asked without a document too.
    #[serde(default)]
    is_alone: bool,
    /// Other wordings that are asked without a document.
    #[serde(default)]
    wordings: Vec<String>,
    answer: String,
    /// Passages that the teacher reads, the one the question was made from first.
    passages: Vec<String>,
}

impl Asked {
    /// What is asked without a document: the question itself and its other wordings.
    fn alone(&self) -> impl Iterator<Item = &str> {
        let own = self.is_alone.then_some(&self.question);
        own.into_iter().chain(&self.wordings).map(String::as_str)
    }
}

/// Takes one question in so many out of what is tuned on, at most `most` of them: whatever the
/// tuning makes of these, it makes of everything it was not tuned on. Without a document nothing
/// could be known of them, so they are asked with one only.
fn set_aside(all: Vec<Asked>, most: usize) -> (Vec<Asked>, Vec<Asked>) {
    let mut aside = Vec::new();
    let mut learnt = Vec::with_capacity(all.len());
    for (at, one) in all.into_iter().enumerate() {
        if at % SET_ASIDE == SET_ASIDE - 1 && aside.len() < most {
            aside.push(Asked { is_alone: false, wordings: Vec::new(), ..one });
        } else {
            learnt.push(one);
        }
    }
    (aside, learnt)
}

/// What the parts after the study work on.
#[derive(Debug, Serialize, Deserialize)]
struct Assignment {
    /// How the imagine model is taught.
    imagine: TextTraining,
    learnt: Vec<Asked>,
    /// By these the best evaluation is chosen, and the strength of what was learnt.
    develop: Vec<Asked>,
    /// On these it is compared with its controls.
    tested: Vec<Asked>,
    compression: quartet_types::CompressionReport,
    writer: Option<String>,
}

impl Assignment {
    /// What is learnt in the second part: questions with a document, and without.
    fn rows(&self) -> usize {
        self.learnt.iter().map(|one| 1 + one.alone().count()).sum()
    }
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
                let models = (&base, &model);
                let made = self.assign(&snapshot, &student, &imaginer, models, &pace).await?;
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
            closed_book_rows: small(assignment.rows() - assignment.learnt.len()),
            taught_rows: small(trained.taught),
            compression: assignment.compression,
            imagined_tokens: imagining::mean_tokens(&imagined),
            gate,
            strengths: trained.strengths.clone(),
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
        (base, model): (&InstalledModel, &InstalledModel),
        pace: &Pace<'_>,
    ) -> Result<Assignment> {
        let recipe = self.recipe();
        let taught: Vec<Passage> = snapshot.part(false).cloned().collect();
        let work = self.study_work();
        let (Material { questions, .. }, writer) = work.study(&taught, pace).await?;
        let questions = spread(&questions, recipe.documents);
        self.foretell(base, model, questions.len(), pace);
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
        let imagine =
            self.imagine_training(snapshot, (&questions, &contexts), student, model).await?;
        let (mut learnt, mut others, mut develop, mut tested) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (wordings, context) in questions.iter().zip(&contexts) {
            let options = &self.request.options;
            let asked = |question: &String| Asked {
                question: question.clone(),
                is_alone: options.closed_book && recipe.alone > 0,
                wordings: Vec::new(),
                answer: wordings.answer.clone(),
                passages: context.passages.clone(),
            };
            let (own, more) = match options.cross_fit {
                true => (&wordings.listened, wordings.trained.as_slice()),
                false => (&wordings.trained, &[][..]),
            };
            let more = match options.closed_book {
                true => &more[..more.len().min(recipe.alone.saturating_sub(1))],
                false => &[],
            };
            // What a person might ask goes first.
            let part = if wordings.natural.is_empty() { &mut others } else { &mut learnt };
            part.extend(own.iter().map(|one| Asked { wordings: more.to_vec(), ..asked(one) }));
            for question in &wordings.held_out {
                let part = if develop_or_test(question) { &mut develop } else { &mut tested };
                part.push(asked(question));
            }
        }
        let mut learnt = spread(&learnt, recipe.questions);
        learnt.extend(spread(&others, recipe.questions - learnt.len()));
        let (unknown, learnt) = set_aside(learnt, recipe.developed_on);
        let mut develop = spread(&develop, recipe.developed_on);
        develop.extend(unknown);
        Ok(Assignment {
            imagine,
            learnt,
            develop,
            tested: spread(&tested, self.compared().0),
            compression: material::report(&contexts),
            writer,
        })
    }

    /// Roughly, for two cores, until something is measured. `documents` are the questions there
    /// are. Time goes with the size of the model that works.
    fn foretell(
        &self,
        base: &InstalledModel,
        model: &InstalledModel,
        documents: usize,
        pace: &Pace<'_>,
    ) {
        let gigabytes = |model: &InstalledModel| {
            let weights = model.path.as_ref().and_then(|path| path.metadata().ok());
            weights.map_or(0.5, |file| file.len() as f64 / 1e9)
        };
        let (imaginer, base) = (gigabytes(model), gigabytes(base));
        let IagRecipe { questions, alone, passes, developed_on, gate, .. } = self.recipe();
        let alone = if self.request.options.closed_book { alone as f64 } else { 0.0 };
        let questions = questions.min(documents) as f64;
        let imagined = questions + developed_on as f64;
        pace.foretell(SQUEEZING, documents as f64 * imaginer * SQUEEZED_IN);
        pace.foretell(
            WRITING,
            imagined * imaginer.mul_add(WRITTEN_IN, base * (1.0 + alone * ALONE_IN)),
        );
        if self.request.options.distillation {
            pace.foretell(ASKING, gate as f64 * base * ASKED_IN);
            pace.foretell(TEACHING, questions * base * TAUGHT_IN);
        }
        let visit = VISITED_IN + alone * VISITED_ALONE_IN;
        pace.foretell(TUNING, questions * passes * base * visit);
        let (scored, answered) = self.compared();
        let each = comparing::CONTROLS.len() + 1;
        pace.foretell(COMPARING, ((scored + answered) * each) as f64 * base * SCORED_IN);
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
