//! What the trainer is given for GAG: the expert's memories of every question, and the prompts
//! around them.

use super::expert::{Snapshot, Work};
use super::gag::{Assignment, GagWork};
use super::lessons::Speller;
use super::pace::{Detail, Pace, THINKING};
use super::plan::spread;
use super::student::Student;
use crate::engine::BaseReader;
use crate::experts::{PROJECTOR, Thoughts, cluster, encoder_key, general_bank};
use quartet_library::{Embedder, StoredArtefact};
use quartet_methods::Reader;
use quartet_methods::gag::projector::Shape;
use quartet_methods::gag::recipe::InjectionRecipe;
use quartet_methods::gag::router::{Bank, prototypes_of_domain};
use quartet_methods::gag::training::InjectionTraining;
use quartet_train::{Origin, Parameters, Source, write_artefact};
use quartet_types::{Error, ProgressUnit, Result, Sha256};

/// Questions of a domain that its prototypes are made from, at most.
const MOST_OF_DOMAIN: usize = 1_500;

/// Pooled states, with the place of their question.
#[derive(Debug, Default)]
pub(super) struct Memories {
    learnt: Vec<(usize, Vec<f32>)>,
    develop: Vec<(usize, Vec<f32>)>,
}

impl GagWork<'_> {
    /// Has the expert think about every question; keeps its memories for the trainer, and makes
    /// the domain's prototypes. Questions it says nothing to are left out.
    pub(super) async fn think(
        &self,
        assignment: &Assignment,
        student: &Student,
        expert: &StoredArtefact,
        pace: &Pace<'_>,
    ) -> Result<(Memories, Bank)> {
        let stop = self.lease.stop();
        let questions = spread(&assignment.questions, MOST_OF_DOMAIN);
        let total = (assignment.learnt.len() + assignment.develop.len() + questions.len()) as u64;
        pace.begin(THINKING, 0);
        let thoughts = Thoughts::new(&self.quartet.paths.data);
        let mut done = 0;
        let mut memories = Memories::default();
        for (is_learnt, exchanges) in [(true, &assignment.learnt), (false, &assignment.develop)] {
            for (place, exchange) in exchanges.iter().enumerate() {
                if stop.is_cancelled() {
                    return Err(Error::cancelled());
                }
                let adapter = Some(&expert.artefact.adapter);
                let thought = thoughts
                    .think(student, adapter, &exchange.question, &self.request.options)
                    .await?;
                if let Some(memory) = thought.memory {
                    let part = if is_learnt { &mut memories.learnt } else { &mut memories.develop };
                    part.push((place, memory.values));
                }
                done += 1;
                pace.tell(done, total, ProgressUnit::Questions, Detail::Nothing).await;
            }
        }
        let encoder = encoder_key(self.quartet, student)?;
        general_bank(self.quartet, student, &encoder, stop).await?;
        let mut vectors = Vec::with_capacity(questions.len());
        for question in &questions {
            if stop.is_cancelled() {
                return Err(Error::cancelled());
            }
            vectors.push(student.encode(question).await?);
            done += 1;
            pace.tell(done, total, ProgressUnit::Questions, Detail::Nothing).await;
        }
        let bank = cluster(&encoder, vectors, prototypes_of_domain(questions.len())).await?;
        Ok((memories, bank))
    }

    #[expect(clippy::too_many_arguments, reason = "everything that decides a training")]
    pub(super) async fn injection(
        &self,
        assignment: &Assignment,
        memories: &Memories,
        recipe: &InjectionRecipe,
        shape: Shape,
        reader: &BaseReader,
        base_sha256: &Sha256,
        snapshot: &Snapshot,
    ) -> Result<InjectionTraining> {
        let stop = self.lease.stop();
        let model = reader.model();
        let (path, _) = self.quartet.models.verified(reader.installed())?;
        let engine = &self.quartet.engine;
        let size = (shape.slots, model.width);
        let speller = Speller::new(engine, model.model.clone(), size, stop).await?;
        let mut parts = [Vec::new(), Vec::new()];
        let mut answers = Vec::new();
        for (part, (exchanges, kept)) in parts
            .iter_mut()
            .zip([(&assignment.learnt, &memories.learnt), (&assignment.develop, &memories.develop)])
        {
            for (place, _) in kept {
                part.push(speller.lesson(&exchanges[*place]).await?);
            }
        }
        for (place, _) in &memories.learnt {
            answers.push(assignment.learnt[*place].answer.clone());
        }
        let [learnt, held_out] = parts;
        let base = Source { name: model.model.0.clone(), sha256: base_sha256.clone() };
        let data = Source {
            name: self.collection.name.clone(),
            sha256: Sha256(snapshot.fingerprint.clone()),
        };
        let folder = self.folder.path().join("memories");
        self.write_memories(&folder, (&base, &data), memories, &answers).await?;
        Ok(InjectionTraining {
            model: path,
            base,
            data,
            artefact: format!("GAG \"{}\"", self.collection.name),
            shape,
            options: self.request.options.clone(),
            memories: folder,
            plan: recipe.plan(learnt.len()),
            learnt,
            held_out,
            batch: recipe.batch,
            is_small: Work::memory_is_small(reader.installed()),
            folder: self.folder.path().join("listening"),
            output: self.folder.path().join(PROJECTOR),
            seed: 1,
        })
    }

    async fn write_memories(
        &self,
        folder: &std::path::Path,
        (base, data): (&Source, &Source),
        memories: &Memories,
        answers: &[String],
    ) -> Result<()> {
        let mut kept = Parameters::new();
        for (name, part) in [("learnt", &memories.learnt), ("held_out", &memories.develop)] {
            if let Some((_, first)) = part.first() {
                let columns = first.len();
                let values = part.iter().flat_map(|(_, values)| values.iter().copied()).collect();
                kept.add(name, part.len(), columns, values)?;
            }
        }
        if self.request.options.semantic > 0.0 {
            let embedder = self.quartet.embedder(self.lease.stop()).await?;
            let values = embedder.embed(answers, self.lease.stop()).await?;
            kept.add("meanings", answers.len(), embedder.width(), values)?;
        }
        let origin = Origin {
            artefact: format!("memories of \"{}\"", self.collection.name),
            base: base.clone(),
            data: data.clone(),
            settings: serde_json::Value::Null,
        };
        write_artefact(folder, &origin, 0, &kept)
    }
}
