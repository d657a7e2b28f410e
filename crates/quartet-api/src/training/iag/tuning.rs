//! What the trainer is asked for the second part.

use super::imagining::Imagined;
use super::{Asked, Assignment, IagWork};
use crate::models::InstalledModel;
use crate::training::expert::{Snapshot, Work};
use crate::training::pace::Pace;
use crate::training::student::Student;
use crate::training::trainer::Trainer;
use crate::training::worker::{TrainerReply, TrainerRequest};
use quartet_methods::expert::Lesson;
use quartet_methods::iag::template;
use quartet_methods::iag::training::{IagTraining, LessonTokens, TEACHING, TUNING, TrainedIag};
use quartet_train::{Origin, Parameters, Source, TextSample, write_artefact};
use quartet_types::{Error, Result, TeacherGate};

impl IagWork<'_> {
    /// What the trainer is asked for the second part.
    pub(super) async fn training(
        &self,
        assignment: &Assignment,
        imagined: &[Imagined],
        gate: Option<TeacherGate>,
        base: &InstalledModel,
        snapshot: &Snapshot,
    ) -> Result<IagTraining> {
        let student = Student::load(&self.quartet.engine, base, self.lease.stop()).await?;
        let (path, sha256) = self.quartet.models.verified(base)?;
        let source = Source { name: base.name.0.clone(), sha256 };
        let data = self.data(snapshot);
        let (learnt, held_out) = imagined.split_at(assignment.learnt.len().min(imagined.len()));
        let features = self.folder.path().join("features");
        let mut kept = Parameters::new();
        for (name, rows) in [("learnt", learnt), ("held_out", held_out)] {
            let width = rows.first().map_or(0, |row| row.features.len());
            if width == 0 {
                continue;
            }
            let values = rows.iter().flat_map(|row| row.features.iter().copied()).collect();
            kept.add(name, rows.len(), width, values)?;
            let alone: Vec<&Vec<f32>> = rows.iter().flat_map(|row| &row.alone).collect();
            if !alone.is_empty() {
                let values = alone.iter().flat_map(|row| row.iter().copied()).collect();
                kept.add(format!("{name}.alone"), alone.len(), width, values)?;
            }
        }
        let settings = serde_json::json!({ "template": template::VERSION });
        let artefact = format!("IAG \"{}\"", self.collection.name);
        let origin = Origin {
            artefact: artefact.clone(),
            base: source.clone(),
            data: data.clone(),
            settings,
        };
        write_artefact(&features, &origin, 0, &kept)?;
        let recipe = self.recipe();
        let training = IagTraining {
            model: path,
            base: source,
            data,
            artefact,
            options: self.request.options.clone(),
            is_taught: gate.is_some_and(|gate| gate.is_open),
            features,
            learnt: lessons(&student, &assignment.learnt, learnt).await?,
            held_out: lessons(&student, &assignment.develop, held_out).await?,
            plan: recipe.plan(assignment.rows(), self.request.study.updates),
            is_small: Work::memory_is_small(base),
            folder: self.folder.path().join("tuning"),
            output: self.files().tuner,
            feed_forward: self.files().feed_forward,
            seed: 1,
        };
        // For whoever tries other settings on the same questions (`examples/tune_iag.rs`).
        self.folder.store("tuning.json", &training)?;
        Ok(training)
    }

    pub(super) async fn tune(
        &self,
        training: &IagTraining,
        pace: &Pace<'_>,
    ) -> Result<(TrainedIag, Option<f64>)> {
        let teaching = if training.is_taught { training.learnt.len() as u64 } else { 0 };
        let stages = [(TEACHING.to_owned(), teaching), (TUNING.to_owned(), training.plan.steps)];
        let trainer = Trainer { quartet: self.quartet, stop: self.lease.stop() };
        let request = TrainerRequest::Tune(Box::new(training.clone()));
        match trainer.follow(request, &stages, pace).await? {
            (TrainerReply::Tuned(trained), foretold) => Ok((trained, foretold)),
            _ => Err(Error::internal("nothing was trained")),
        }
    }
}

/// Questions as tokens of the base, with the document imagined for each.
async fn lessons(
    student: &Student,
    asked: &[Asked],
    imagined: &[Imagined],
) -> Result<Vec<LessonTokens>> {
    let lesson =
        |one: &Asked, document: &str| template::answer_lesson(&one.question, document, &one.answer);
    let own: Vec<Lesson> =
        asked.iter().zip(imagined).map(|(one, made)| lesson(one, &made.document)).collect();
    let theirs: Vec<Lesson> =
        asked.iter().map(|one| lesson(one, &one.passages.join(" "))).collect();
    let alone: Vec<Lesson> = asked
        .iter()
        .flat_map(|one| {
            one.alone().map(|wording| template::answer_lesson(wording, "", &one.answer))
        })
        .collect();
    let prompt = |one: &TextSample| one.ids[..one.learn_from].to_vec();
    let own = student.samples(&own).await?;
    let theirs = student.samples(&theirs).await?;
    let alone = student.samples(&alone).await?;
    let mut alone = alone.iter().map(prompt);
    Ok(asked
        .iter()
        .zip(own.iter().zip(&theirs))
        .map(|(one, (own, theirs))| LessonTokens {
            prompt: prompt(own),
            alone: alone.by_ref().take(one.alone().count()).collect(),
            teacher: prompt(theirs),
            answer: own.ids[own.learn_from..].to_vec(),
        })
        .collect())
}
