//! What the trainer is given for GAG: the expert's memories of every question, and the prompts
//! around them.

use super::expert::{Snapshot, Work};
use super::gag::{Assignment, GagWork};
use super::lessons::Speller;
use super::pace::{Detail, Pace, THINKING};
use super::plan::spread;
use super::student::Student;
use crate::engine::BaseReader;
use crate::experts::{Encoder, PROJECTOR, Thoughts, general_bank};
use quartet_library::{Embedder, StoredArtefact};
use quartet_methods::Reader;
use quartet_methods::gag::projector::Shape;
use quartet_methods::gag::recipe::InjectionRecipe;
use quartet_methods::gag::router::{Bank, prototypes_of_domain};
use quartet_methods::gag::training::InjectionTraining;
use quartet_methods::text::{one_line, sentences};
use quartet_train::{Origin, Parameters, Source, write_artefact};
use quartet_types::{Error, ProgressUnit, Result, RouterForm, Sha256};

/// Texts that a domain is known by, at most.
const MOST_OF_DOMAIN: usize = 4_000;
/// Texts that are encoded at once.
const TEXTS_AT_ONCE: usize = 32;
/// Shorter sentences say nothing of what they are about.
const FEWEST_WORDS: usize = 5;

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
        let texts = spread(&self.known_texts(assignment).await?, MOST_OF_DOMAIN);
        let total = (assignment.learnt.len() + assignment.develop.len() + texts.len()) as u64;
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
        let encoder = Encoder::of(self.quartet, self.request.options.router, student, stop).await?;
        general_bank(self.quartet, student, &encoder, stop).await?;
        let mut vectors = Vec::with_capacity(texts.len());
        for texts in texts.chunks(TEXTS_AT_ONCE) {
            vectors.extend(encoder.encode(student, texts, stop).await?);
            done += texts.len() as u64;
            pace.tell(done, total, ProgressUnit::Questions, Detail::Nothing).await;
        }
        let bank = encoder.bank(vectors, prototypes_of_domain(texts.len())).await?;
        Ok((memories, bank))
    }

    /// What the domain is known by: its questions, and in the form with neighbours its chunks
    /// and their sentences too.
    async fn known_texts(&self, assignment: &Assignment) -> Result<Vec<String>> {
        if self.request.options.router == RouterForm::Prototypes {
            return Ok(assignment.questions.clone());
        }
        let mut texts = assignment.natural.clone();
        for passage in self.quartet.library.all_passages(self.collection.id).await? {
            let text = one_line(&passage.text);
            texts.extend(
                sentences(&text)
                    .into_iter()
                    .filter_map(|range| text.get(range).map(|one| one.trim().to_owned()))
                    .filter(|sentence| sentence.split_whitespace().count() >= FEWEST_WORDS),
            );
            texts.push(text);
        }
        texts.retain(|text| !text.trim().is_empty());
        Ok(texts)
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
