//! The imagine model: taught, or taken as an earlier training of the same left it.

use super::IagWork;
use super::material::Context;
use crate::imagination::{Files, MADE};
use crate::models::{InstalledModel, write_atomically};
use crate::training::expert::{Snapshot, Work};
use crate::training::pace::Pace;
use crate::training::plan::{Samples, spread};
use crate::training::report;
use crate::training::student::Student;
use crate::training::trainer::Trainer;
use crate::training::worker::{TrainerReply, TrainerRequest};
use quartet_gguf::sha256_of_bytes;
use quartet_methods::expert::lessons::running_text;
use quartet_methods::expert::{Lesson, Wordings};
use quartet_methods::iag::template;
use quartet_train::{Source, TextTraining};
use quartet_types::{Error, Result, Sha256, StageReport};
use std::path::{Path, PathBuf};

/// The stage after reading.
pub(super) const IMAGINING: &str = "learning to imagine";
/// Held-out samples that the imagine model is measured on, at most.
const MEASURED_ON: usize = 24;

/// The imagine model, taught.
pub(super) struct TaughtImaginer {
    pub(super) adapter: Sha256,
    pub(super) stages: Vec<StageReport>,
    pub(super) foretold: Option<f64>,
}

impl IagWork<'_> {
    /// How the imagine model is taught: it reads the passages, then writes documents.
    pub(super) async fn imagine_training(
        &self,
        snapshot: &Snapshot,
        (questions, contexts): (&[Wordings], &[Context]),
        student: &Student,
        model: &InstalledModel,
    ) -> Result<TextTraining> {
        let recipe = self.recipe().imagining;
        let read = |is_held_out| -> Vec<Lesson> {
            snapshot.part(is_held_out).map(|one| Lesson::text(running_text(one))).collect()
        };
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
            reading: student.samples(&read(false)).await?,
            answering: student.samples(&writing).await?,
            recalled: Vec::new(),
            held_reading: student.samples(&spread(&read(true), MEASURED_ON)).await?,
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
            data: self.data(snapshot),
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

    /// What is learnt from, by name and state.
    pub(super) fn data(&self, snapshot: &Snapshot) -> Source {
        let sha256 = Sha256(snapshot.fingerprint.clone());
        Source { name: self.collection.name.clone(), sha256 }
    }

    /// Teaches the imagine model, or takes it as an earlier training of the same left it.
    pub(super) async fn imaginer(
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
            (TrainerReply::Trained(trained), foretold) => {
                let recipe = recipe_of(training)?;
                write_atomically(&recipe_beside(&training.output), recipe.0.as_bytes())?;
                Ok(TaughtImaginer {
                    adapter: trained.adapter,
                    stages: trained.stages.iter().map(report::stage).collect(),
                    foretold,
                })
            }
            _ => Err(Error::internal("nothing was trained")),
        }
    }

    /// The imagine model of the artefact there is, if that was taught the same from the same.
    async fn known_imaginer(
        &self,
        training: &TextTraining,
        snapshot: &Snapshot,
    ) -> Result<Option<TaughtImaginer>> {
        let recipe = recipe_of(training)?;
        let stored = self.quartet.library.artefacts(Some(self.collection.id)).await?;
        for one in &stored {
            let Some(report) = &one.artefact.iag else { continue };
            if one.artefact.fingerprint != snapshot.fingerprint {
                continue;
            }
            let from = Files::below(&self.quartet.artefact_folder(&one.folder).join(MADE)).imagine;
            // One of an earlier version has none, and is not taken.
            let known = std::fs::read(recipe_beside(&from)).unwrap_or_default();
            if known != recipe.0.as_bytes() {
                continue;
            }
            let bytes = std::fs::read(&from).unwrap_or_default();
            if sha256_of_bytes(&bytes) != report.imagine_adapter {
                continue;
            }
            let folder = self.folder.path().join(MADE);
            std::fs::create_dir_all(&folder).map_err(|error| Error::from_io(&error, &folder))?;
            write_atomically(&training.output, &bytes)?;
            write_atomically(&recipe_beside(&training.output), recipe.0.as_bytes())?;
            let (stages, _) = report.stages.split_at(report.stages.len().saturating_sub(1));
            return Ok(Some(TaughtImaginer {
                adapter: report.imagine_adapter.clone(),
                stages: stages.to_vec(),
                foretold: None,
            }));
        }
        Ok(None)
    }
}

/// Where the digest of what an imagine model was taught, and how, is kept.
fn recipe_beside(adapter: &Path) -> PathBuf {
    adapter.with_extension("recipe")
}

/// Digest of everything that decides what the imagine model becomes: every sample and every plan.
fn recipe_of(training: &TextTraining) -> Result<Sha256> {
    let nowhere = TextTraining {
        model: PathBuf::new(),
        artefact: String::new(),
        folder: PathBuf::new(),
        output: PathBuf::new(),
        ..training.clone()
    };
    let bytes = serde_json::to_vec(&nowhere).map_err(|error| Error::internal(error.to_string()))?;
    Ok(sha256_of_bytes(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use quartet_train::{TextSample, TextStage, TrainingPlan};

    fn training(updates: u64, token: u32, folder: &str) -> TextTraining {
        let source = |name: &str| Source { name: name.to_owned(), sha256: Sha256("ab".repeat(32)) };
        let sample = TextSample::whole(vec![1, token]);
        TextTraining {
            model: PathBuf::from(folder),
            base: source("expert"),
            data: source("contracts"),
            artefact: folder.to_owned(),
            lora: None,
            rank: 8,
            stages: vec![TextStage {
                name: IMAGINING.to_owned(),
                plan: TrainingPlan { steps: updates, ..TrainingPlan::default() },
                samples: vec![sample],
                held_out: Vec::new(),
                rows: 64,
            }],
            is_small: false,
            folder: PathBuf::from(folder),
            output: PathBuf::from(folder),
            seed: 1,
        }
    }

    /// A training that was cut short to try it out must not be taken for a whole one.
    #[test]
    fn only_what_was_taught_the_same_is_taken() {
        let of = |updates, token, folder| recipe_of(&training(updates, token, folder)).unwrap();
        assert_eq!(of(9, 3, "here"), of(9, 3, "there"), "places make no difference");
        assert_ne!(of(9, 3, "here"), of(1, 3, "here"), "updates do");
        assert_ne!(of(9, 3, "here"), of(9, 4, "here"), "and samples");
    }
}
