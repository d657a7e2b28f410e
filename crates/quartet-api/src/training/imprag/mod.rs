//! `train imprag`: a base that retrieves from a collection by itself.
//!
//! Passages are read in training as the collection has them read in answers, alone or together
//! (`quartet imprag mode`). It makes a difference to T3 only, which learns to read: the other
//! tiers are judged by passages one at a time.

mod material;
mod measuring;

use super::ImpragRequest;
use super::expert::Work;
use super::folder::WorkFolder;
use super::pace::{FINDING, INDEXING, Pace, STUDY};
use super::trainer::Trainer;
use super::worker::{TrainerReply, TrainerRequest};
use crate::Quartet;
use crate::engine::BaseReader;
use crate::implicit::{AdapterFile, Base, Encoder, Taught};
use crate::keeping::OnProgress;
use crate::models::write_atomically;
use material::{Made, Tokens};
use quartet_library::JobLease;
use quartet_methods::imprag::reading::ReadingRow;
use quartet_methods::imprag::recipe::ImpragRecipe;
use quartet_methods::imprag::template;
use quartet_methods::imprag::training::{
    DISTILLING, ImpragTraining, JUDGING, TrainedImprag, TrainingQuery, WARMING_UP,
};
use quartet_train::Source;
use quartet_types::{
    AdapterUse, Artefact, ArtefactKind, ChunkId, Collection, Error, ExpertReport, ImpragReport,
    ImpragTier, Passage, Result, Sha256,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// What the trainer is asked, and what is measured afterwards.
#[derive(Debug, Serialize, Deserialize)]
struct Assignment {
    fingerprint: String,
    chunks: Vec<ChunkId>,
    texts: Vec<String>,
    training: ImpragTraining,
    learnt: BTreeMap<String, u64>,
    /// What is measured: format, input and right passages.
    measured: Vec<(String, String, Vec<usize>)>,
    writer: Option<String>,
    /// Adapters of the starting point that it is taught on top of.
    start: Vec<Sha256>,
}

/// A training under way.
pub(super) struct ImpragWork<'a> {
    pub(super) quartet: &'a Quartet,
    pub(super) request: &'a ImpragRequest,
    pub(super) collection: Collection,
    pub(super) lease: &'a JobLease,
    pub(super) folder: &'a WorkFolder,
}

impl ImpragWork<'_> {
    pub(super) async fn run(&self, on_progress: OnProgress<'_>) -> Result<Artefact> {
        let parts = [STUDY, FINDING, WARMING_UP, JUDGING, DISTILLING, INDEXING].map(str::to_owned);
        let pace = Pace::new(self.lease, on_progress, parts);
        let stop = self.lease.stop();
        let model = self.quartet.base_model(self.request.base.as_deref(), stop).await?;
        let base = self.quartet.implicit_base(&model)?;
        let reader =
            BaseReader::load(Arc::clone(&self.quartet.engine), model.clone(), stop, |_| {}).await?;
        let start = if self.request.use_start {
            crate::implicit::starting_point(&base.sha256)
        } else {
            None
        };
        let assignment = match self.folder.load::<Assignment>("assignment.json")? {
            Some(assignment) => assignment,
            None => {
                let made = self.assign(&base, &reader, start.as_ref(), &pace).await?;
                self.folder.store("assignment.json", &made)?;
                made
            }
        };
        let trained = self.train(&assignment, &pace).await?;
        pace.begin(INDEXING, 0);
        let both = (&base, &reader);
        let report = self.measure(both, start.as_ref(), &assignment, &trained, &pace).await?;
        pace.end();
        self.keep(&base, &assignment, ImpragReport { seconds: pace.spent(), ..report }).await
    }

    /// Study material, labels, and of both what the trainer is asked.
    async fn assign(
        &self,
        base: &Base,
        reader: &BaseReader,
        start: Option<&Taught>,
        pace: &Pace<'_>,
    ) -> Result<Assignment> {
        let folder = WorkFolder::open(self.folder.path().join("study"))?;
        let study = Work {
            quartet: self.quartet,
            request: &self.request.study,
            collection: self.collection.clone(),
            lease: self.lease,
            folder: &folder,
        };
        let snapshot = study.snapshot().await?;
        let taught: Vec<Passage> = snapshot.part(false).cloned().collect();
        let (material, writer) = study.study(&taught, pace).await?;
        let library = &self.quartet.library;
        // Before what is read: what changes meanwhile makes it stale.
        let fingerprint = library.fingerprint(self.collection.id).await?;
        let passages: Vec<Passage> = library.all_passages(self.collection.id).await?;
        let bodies: Vec<String> = passages.iter().map(|one| one.text.clone()).collect();
        let (mut learnt, mut held_out) = self.queries(&material, &passages);
        self.few(&mut learnt, &mut held_out);

        pace.begin(FINDING, 0);
        let settings = start.map_or_else(
            || quartet_types::ImpragSettings::for_layers(base.layers),
            |start| start.settings.clone(),
        );
        let settings = self.quartet.in_chosen_mode(self.collection.id, settings);
        let encoder = Encoder::new(Arc::clone(&self.quartet.engine), base.name.clone());
        let texts: Vec<String> = passages.iter().map(template::filled).collect();
        let fitted = encoder.fit(texts, settings.longest, self.lease.stop()).await?;
        let texts: Vec<String> = fitted.into_iter().map(|one| one.text).collect();
        let tokens = Tokens { reader };
        let passage_tokens = tokens.of(&texts).await?;
        let labelled = self.label(&learnt, &passages, &bodies, &tokens, pace).await?;
        let measured = self.label(&held_out, &passages, &bodies, &tokens, pace).await?;
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        learnt.iter().for_each(|one| *counts.entry(one.format.clone()).or_default() += 1);
        let right = |(made, query): (&Made, &TrainingQuery)| {
            (made.format.clone(), made.input.clone(), query.query.positives.clone())
        };
        let measured_rows = held_out.iter().zip(&measured).map(right).collect();
        let rows = match self.request.tier {
            ImpragTier::T3 => self.reading_rows(&passages, &tokens).await?,
            _ => Vec::new(),
        };
        let data =
            Source { name: self.collection.name.clone(), sha256: Sha256(fingerprint.clone()) };
        let all = (passage_tokens, labelled, measured);
        let training = self.training((base, data), settings, start, all, rows)?;
        Ok(Assignment {
            fingerprint,
            chunks: passages.iter().map(|one| one.chunk).collect(),
            texts,
            training,
            learnt: counts,
            measured: measured_rows,
            writer,
            start: start.map_or_else(Vec::new, |start| start.under(self.request.tier)),
        })
    }

    fn training(
        &self,
        (base, data): (&Base, Source),
        settings: quartet_types::ImpragSettings,
        start: Option<&Taught>,
        (passages, queries, held_out): (Vec<Vec<u32>>, Vec<TrainingQuery>, Vec<TrainingQuery>),
        rows: Vec<ReadingRow>,
    ) -> Result<ImpragTraining> {
        let mut recipe = ImpragRecipe::new(self.request.tier, self.request.study.preset);
        if let Some(updates) = self.request.study.updates {
            recipe.warm_up = recipe.warm_up.min(updates);
            recipe.distil = recipe.distil.min(updates);
            recipe.judged = recipe.judged.min(8);
        }
        let (warm_up, distil) = recipe.plans(queries.len());
        let model = self.quartet.models.find(&base.name.0)?;
        let (path, sha256) = self.quartet.models.verified(&model)?;
        let file = |adapters: &[AdapterUse]| -> Result<Option<PathBuf>> {
            let Some(first) = adapters.first() else { return Ok(None) };
            let found = start
                .and_then(|start| start.files.iter().find(|(known, _)| *known == first.adapter));
            let Some((digest, source)) = found else { return Ok(None) };
            match source {
                AdapterFile::Trained(path) => Ok(Some(path.clone())),
                AdapterFile::Shipped(bytes) => {
                    let path = self.folder.path().join(format!("{digest}.gguf"));
                    write_atomically(&path, bytes)?;
                    Ok(Some(path))
                }
            }
        };
        Ok(ImpragTraining {
            model: path,
            base: Source { name: model.name.0.clone(), sha256 },
            data,
            artefact: format!("ImpRAG \"{}\"", self.collection.name),
            retriever: file(start.map_or(&[], |start| &start.query))?,
            reader: file(start.map_or(&[], |start| &start.reader))?,
            lora: recipe.lora(self.request.tier, &settings, base.layers as usize),
            settings,
            tier: self.request.tier,
            passages,
            queries,
            held_out,
            rows,
            batch: recipe.batch,
            negatives: recipe.negatives,
            divisor: 1.0,
            judged: recipe.judged,
            candidates: recipe.candidates,
            temperatures: recipe.temperatures,
            warm_up,
            distil,
            is_small: Work::memory_is_small(&model),
            folder: self.folder.path().join("trainer"),
            output: self.folder.path().join("adapter.gguf"),
            seed: 1,
        })
    }

    async fn train(&self, assignment: &Assignment, pace: &Pace<'_>) -> Result<TrainedImprag> {
        let training = &assignment.training;
        let stages = [
            (WARMING_UP.to_owned(), training.warm_up.steps),
            (JUDGING.to_owned(), training.judged as u64),
            (DISTILLING.to_owned(), training.distil.steps),
        ];
        let trainer = Trainer { quartet: self.quartet, stop: self.lease.stop() };
        let request = TrainerRequest::Retrieve(Box::new(training.clone()));
        match trainer.follow(request, &stages, pace).await? {
            (TrainerReply::Retrieved(trained), _) => Ok(trained),
            _ => Err(Error::internal("nothing was trained")),
        }
    }

    /// Moves the adapter to where artefacts are, and notes it.
    async fn keep(
        &self,
        base: &Base,
        assignment: &Assignment,
        report: ImpragReport,
    ) -> Result<Artefact> {
        let digest = report.query.clone().ok_or_else(|| Error::internal("no adapter"))?;
        let artefact = Artefact {
            kind: ArtefactKind::Imprag,
            collection: self.collection.id,
            collection_name: self.collection.name.clone(),
            preset: self.request.study.preset,
            model: base.name.0.clone(),
            model_sha256: base.sha256.clone(),
            writer: assignment.writer.clone(),
            fingerprint: assignment.fingerprint.clone(),
            adapter: digest.clone(),
            created_at: 0,
            report: ExpertReport::default(),
            gag: None,
            imprag: Some(report),
            iag: None,
            stale: false,
        };
        let (from, name) = (&assignment.training.output, format!("{digest}.gguf"));
        self.quartet.keep_artefact(artefact, from, &name, &[]).await
    }
}
