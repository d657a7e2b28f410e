//! `train imprag`: a base that retrieves from a collection by itself.

use super::expert::{Work, small};
use super::folder::WorkFolder;
use super::material::Material;
use super::pace::{Detail, FINDING, INDEXING, Pace, STUDY};
use super::probing::{Probing, Vectors};
use super::trainer::Trainer;
use super::worker::{TrainerReply, TrainerRequest};
use super::{ImpragRequest, report};
use crate::Quartet;
use crate::engine::BaseReader;
use crate::implicit::{Base, Taught};
use crate::keeping::OnProgress;
use crate::models::write_atomically;
use quartet_library::{Embedder, JobLease};
use quartet_methods::imprag::formats::rows_of;
use quartet_methods::imprag::labels::{Labels, label};
use quartet_methods::imprag::reading::ReadingRow;
use quartet_methods::imprag::recipe::ImpragRecipe;
use quartet_methods::imprag::template;
use quartet_methods::imprag::training::{
    DISTILLING, ImpragTraining, TrainedImprag, TrainingQuery, WARMING_UP,
};
use quartet_methods::imprag::vector::nearest;
use quartet_train::Source;
use quartet_types::{
    AdapterSource, AdapterUse, Artefact, ArtefactKind, ChunkId, Collection, Error, ErrorCode,
    ExpertReport, ImpragReport, ImpragTier, Passage, ProgressUnit, Result, RetrievalResult, Sha256,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Passages that a search finds for a label: the paper's ranks end at 50.
const LABELLED: usize = 50;
/// Queries that are only measured, at most, of each format.
const MEASURED: usize = 80;
/// One in so many passages is only measured with, in formats made from it.
const HELD_OUT_ONE_IN: usize = 8;
/// Characters of a question that are embedded.
const EMBEDDED_CHARACTERS: usize = 480;

/// A query as it was made, before it is split into tokens.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Made {
    format: String,
    input: String,
    answer: String,
    /// Place of the passage that it was made from.
    source: usize,
}

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
    from_start: bool,
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
        let parts = [STUDY, FINDING, WARMING_UP, DISTILLING, INDEXING].map(str::to_owned);
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
        let (trained, foretold) = self.train(&assignment, &pace).await?;
        pace.begin(INDEXING, 0);
        let report = self.measure(&base, start.as_ref(), &assignment, &trained, &pace).await?;
        pace.end();
        let _ = foretold;
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
        let passages: Vec<Passage> = library.all_passages(self.collection.id).await?;
        let texts: Vec<String> = passages.iter().map(crate::implicit::text_of).collect();
        let bodies: Vec<String> = passages.iter().map(|one| one.text.clone()).collect();
        let (mut learnt, mut held_out) = self.queries(&material, &passages);
        self.few(&mut learnt, &mut held_out);

        pace.begin(FINDING, 0);
        let settings = start.map_or_else(
            || quartet_types::ImpragSettings::for_layers(base.layers),
            |start| start.settings.clone(),
        );
        let tokens = Tokens { reader };
        let mut passage_tokens = tokens.of(&texts).await?;
        for tokens in &mut passage_tokens {
            shorten(tokens, settings.longest as usize);
        }
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
        let training =
            self.training(base, settings, start, (passage_tokens, labelled, measured), rows)?;
        Ok(Assignment {
            fingerprint: library.fingerprint(self.collection.id).await?,
            chunks: passages.iter().map(|one| one.chunk).collect(),
            texts,
            training,
            learnt: counts,
            measured: measured_rows,
            writer,
            from_start: start.is_some(),
        })
    }

    /// Questions of the study material, and rows of other formats made from the passages:
    /// what is learnt and what is only measured.
    fn queries(&self, material: &Material, passages: &[Passage]) -> (Vec<Made>, Vec<Made>) {
        let (mut learnt, mut held_out) = (Vec::new(), Vec::new());
        let place_of: HashMap<ChunkId, usize> =
            passages.iter().enumerate().map(|(place, one)| (one.chunk, place)).collect();
        for wordings in &material.questions {
            // A passage that is studied is several that are searched: the one with the answer.
            let Some(first) = place_of.get(&wordings.chunk) else { continue };
            let source = holder(passages, *first, &wordings.answer);
            let made = |question: &String| Made {
                format: "question".to_owned(),
                input: question.clone(),
                answer: wordings.answer.clone(),
                source,
            };
            if wordings.natural.is_empty() {
                continue;
            }
            learnt.extend(wordings.trained.iter().chain(&wordings.listened).map(made));
            held_out.extend(wordings.held_out.iter().map(made));
        }
        let texts: Vec<&str> = passages.iter().map(|one| one.text.as_str()).collect();
        for (place, row) in rows_of(&texts, 3).into_iter().enumerate() {
            let Some(row) = row else { continue };
            let made = Made {
                format: row.format.to_owned(),
                input: row.input,
                answer: row.answer,
                source: place,
            };
            let is_held_out = place % HELD_OUT_ONE_IN == HELD_OUT_ONE_IN - 1;
            if is_held_out { held_out.push(made) } else { learnt.push(made) }
        }
        let mut kept: BTreeMap<String, usize> = BTreeMap::new();
        held_out.retain(|one| {
            let count = kept.entry(one.format.clone()).or_default();
            *count += 1;
            *count <= MEASURED
        });
        (learnt, held_out)
    }

    /// To try it out, a few will do.
    fn few(&self, learnt: &mut Vec<Made>, held_out: &mut Vec<Made>) {
        if let Some(updates) = self.request.study.updates {
            let few = usize::try_from(updates).unwrap_or(usize::MAX).saturating_mul(8).max(16);
            *learnt = super::plan::spread(learnt, few);
            *held_out = super::plan::spread(held_out, few);
        }
    }

    /// Which passages are right for each query.
    async fn label(
        &self,
        made: &[Made],
        passages: &[Passage],
        bodies: &[String],
        tokens: &Tokens<'_>,
        pace: &Pace<'_>,
    ) -> Result<Vec<TrainingQuery>> {
        let stop = self.lease.stop();
        let place_of: HashMap<ChunkId, usize> =
            passages.iter().enumerate().map(|(place, one)| (one.chunk, place)).collect();
        let prompts: Vec<String> =
            made.iter().map(|one| template::prompt_text(&one.input)).collect();
        let answers: Vec<String> =
            made.iter().map(|one| format!(" {}{}", one.answer.trim(), template::STOP)).collect();
        let (prompts, answers) = (tokens.of(&prompts).await?, tokens.of(&answers).await?);
        let embedder = self.quartet.embedder(stop).await?;
        let mut labelled = Vec::with_capacity(made.len());
        for (at, (one, (prompt, answer))) in
            made.iter().zip(prompts.into_iter().zip(answers)).enumerate()
        {
            let head: String = one.input.chars().take(EMBEDDED_CHARACTERS).collect();
            let vector = embedder.embed(&[head], stop).await?;
            let (hits, _) = self
                .quartet
                .library
                .search(self.collection.id, &one.input, &vector, LABELLED)
                .await?;
            let found: Vec<usize> =
                hits.iter().filter_map(|hit| place_of.get(&hit.passage.chunk).copied()).collect();
            let how = match one.format.as_str() {
                "question" if self.request.published_labels => Labels::Published,
                // What a row was made from is its passage.
                _ => Labels::Sourced,
            };
            let query = label(prompt, &one.answer, one.source, &found, bodies, how);
            labelled.push(TrainingQuery { query, answer });
            if at % 16 == 0 {
                let total = made.len() as u64;
                pace.tell(at as u64, total, ProgressUnit::Questions, Detail::Nothing).await;
            }
        }
        Ok(labelled)
    }

    /// Rows that are answered from their own prompt (generation alone).
    async fn reading_rows(
        &self,
        passages: &[Passage],
        tokens: &Tokens<'_>,
    ) -> Result<Vec<ReadingRow>> {
        let mut made = Vec::new();
        let texts: Vec<&str> = passages.iter().map(|one| one.text.as_str()).collect();
        let rows = rows_of(&texts, 4);
        for (passage, row) in passages.iter().zip(rows).step_by(3) {
            made.extend(row.map(|row| (row.input, row.answer)));
            // Summarising: what a passage stands under says what it is about.
            if let Some(heading) = passage.heading.as_ref().filter(|one| one.len() > 8) {
                let input = format!("{} Summarise this in a few words.", passage.text);
                made.push((input, heading.clone()));
            }
        }
        let prompts: Vec<String> =
            made.iter().map(|(input, _)| template::prompt_text(input)).collect();
        let answers: Vec<String> =
            made.iter().map(|(_, answer)| format!(" {answer}{}", template::STOP)).collect();
        let (prompts, answers) = (tokens.of(&prompts).await?, tokens.of(&answers).await?);
        let rows = prompts.into_iter().zip(answers);
        Ok(rows
            .map(|(prompt, answer)| ReadingRow { prompt, passages: Vec::new(), answer })
            .collect())
    }

    fn training(
        &self,
        base: &Base,
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
                AdapterSource::File(path) => Ok(Some(path.clone())),
                AdapterSource::Bytes(bytes) => {
                    let path = self.folder.path().join(format!("{digest}.gguf"));
                    write_atomically(&path, bytes)?;
                    Ok(Some(path))
                }
            }
        };
        Ok(ImpragTraining {
            model: path,
            base: Source { name: model.name.0.clone(), sha256 },
            data: Source {
                name: self.collection.name.clone(),
                sha256: Sha256(format!("{}-{}", self.collection.id, queries.len())),
            },
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

    async fn train(
        &self,
        assignment: &Assignment,
        pace: &Pace<'_>,
    ) -> Result<(TrainedImprag, Option<f64>)> {
        let training = &assignment.training;
        let stages = [
            (WARMING_UP.to_owned(), training.warm_up.steps),
            (DISTILLING.to_owned(), training.distil.steps),
        ];
        let trainer = Trainer { quartet: self.quartet, stop: self.lease.stop() };
        let request = TrainerRequest::Retrieve(Box::new(training.clone()));
        match trainer.follow(request, &stages, pace).await? {
            (TrainerReply::Retrieved(trained), foretold) => Ok((trained, foretold)),
            _ => Err(Error::internal("nothing was trained")),
        }
    }

    /// What was taught, in the engine that serves it, against what it is compared with.
    async fn measure(
        &self,
        base: &Base,
        start: Option<&Taught>,
        assignment: &Assignment,
        trained: &TrainedImprag,
        pace: &Pace<'_>,
    ) -> Result<ImpragReport> {
        let stop = self.lease.stop();
        let training = &assignment.training;
        let probing = Probing {
            quartet: self.quartet,
            base,
            settings: &training.settings,
            collection: self.collection.id,
            chunks: &assignment.chunks,
            stop,
        };
        let own = probing.take(AdapterSource::File(training.output.clone())).await?;
        let with_own = |under: &[AdapterUse]| {
            let mut all = under.to_vec();
            all.push(AdapterUse { adapter: own.clone(), scale: 1.0 });
            all
        };
        let (query, passage) = start.map_or((&[][..], &[][..]), |one| (&one.query, &one.passage));
        if let Some(start) = start {
            self.quartet.take_adapters(base, &start.files, stop).await?;
        }
        let passage_is_own = training.tier != ImpragTier::T1q;
        let texts = &assignment.texts;
        let inputs: Vec<&str> =
            assignment.measured.iter().map(|(_, input, _)| input.as_str()).collect();
        let taught_passage = if passage_is_own { with_own(passage) } else { passage.to_vec() };
        let taught = probing.vectors(texts, &inputs, &with_own(query), &taught_passage).await?;
        let bare = probing.vectors(texts, &inputs, &[], &[]).await?;
        let mut ways: Vec<(&str, Vec<Vec<usize>>)> =
            vec![("implicit", taught.best()), ("untrained", bare.best())];
        if start.is_some() {
            let before = probing.vectors(texts, &inputs, query, passage).await?;
            ways.push(("start", before.best()));
        }
        ways.extend(probing.searches(&inputs).await?);
        pace.tell(1, 1, ProgressUnit::Questions, Detail::Nothing).await;
        let threshold = self.threshold(&probing, &taught, assignment, &with_own(query)).await?;
        let is_whole = training.tier == ImpragTier::T3;
        let digest = |used: bool| used.then(|| own.clone());
        Ok(ImpragReport {
            settings: training.settings.clone(),
            tier: training.tier,
            query: digest(true),
            passage: digest(passage_is_own),
            reader: digest(is_whole),
            states: digest(is_whole),
            from_start: assignment.from_start,
            parameters: trained.parameters as u64,
            queries: assignment.learnt.clone(),
            retrieval: results(&ways, &assignment.measured),
            hubs: (bare.hubs(), taught.hubs()),
            threshold,
            reading: BTreeMap::new(),
            stages: trained.stages.iter().map(report::stage).collect(),
            seconds: BTreeMap::new(),
        })
    }

    /// The raw best score that best tells questions of the collection from everyday ones, where
    /// that tells them apart at all.
    async fn threshold(
        &self,
        probing: &Probing<'_>,
        taught: &Vectors,
        assignment: &Assignment,
        query: &[AdapterUse],
    ) -> Result<Option<f32>> {
        let everyday = crate::experts::held_out_of_general();
        let everyday: Vec<&str> = everyday.into_iter().take(MEASURED).collect();
        let foreign = probing.queries(&everyday, query).await?;
        let best = |vector: &Vec<f32>| {
            nearest(vector, &taught.passages, 1).first().map(|(_, score)| *score)
        };
        let is_question = |(at, _): &(usize, &Vec<f32>)| assignment.measured[*at].0 == "question";
        let own: Vec<f32> = taught
            .queries
            .iter()
            .enumerate()
            .filter(is_question)
            .filter_map(|(_, vector)| best(vector))
            .collect();
        let foreign: Vec<f32> = foreign.iter().filter_map(best).collect();
        Ok(quartet_methods::imprag::threshold::best(&own, &foreign))
    }

    /// Moves the adapter to where artefacts are, and notes it.
    async fn keep(
        &self,
        base: &Base,
        assignment: &Assignment,
        report: ImpragReport,
    ) -> Result<Artefact> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
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
            created_at: i64::try_from(now).unwrap_or(i64::MAX),
            report: ExpertReport::default(),
            gag: None,
            imprag: Some(report),
            stale: false,
        };
        let short: String = digest.0.chars().take(12).collect();
        let name = format!("imprag-{}-{short}", self.collection.id);
        let folder = self.quartet.artefact_folder(&name);
        std::fs::create_dir_all(&folder).map_err(|error| Error::from_io(&error, &folder))?;
        let from = &assignment.training.output;
        std::fs::rename(from, folder.join(format!("{digest}.gguf")))
            .map_err(|error| Error::from_io(&error, from))?;
        let manifest = serde_json::to_vec_pretty(&artefact)
            .map_err(|error| Error::internal(error.to_string()))?;
        write_atomically(&folder.join("manifest.json"), &manifest)?;
        self.quartet.replace_artefact(&artefact, &name).await?;
        Ok(artefact)
    }
}

/// The passage from `first` on that holds an answer: one that is studied is several that are
/// searched, all of one page.
fn holder(passages: &[Passage], first: usize, answer: &str) -> usize {
    let start = &passages[first];
    let same = |one: &&Passage| {
        one.document == start.document
            && one.span.page == start.span.page
            && one.heading == start.heading
    };
    let near = passages[first..].iter().take_while(same).position(|one| one.text.contains(answer));
    near.map_or(first, |offset| first + offset)
}

/// Cuts a passage before its terminator, so that a start token still fits.
fn shorten(tokens: &mut Vec<u32>, longest: usize) {
    if let Some(&last) = tokens.last()
        && tokens.len() >= longest
    {
        tokens.truncate(longest.saturating_sub(2));
        tokens.push(last);
    }
}

/// Recall and reciprocal rank by format and retriever.
fn results(
    ways: &[(&str, Vec<Vec<usize>>)],
    measured: &[(String, String, Vec<usize>)],
) -> Vec<RetrievalResult> {
    let formats: std::collections::BTreeSet<&String> =
        measured.iter().map(|(format, _, _)| format).collect();
    let mut results = Vec::new();
    for format in formats {
        for (retriever, found) in ways {
            let rows = measured.iter().zip(found).filter(|((of, _, _), _)| of == format);
            let ranks: Vec<Option<usize>> = rows
                .map(|((_, _, right), found)| found.iter().position(|one| right.contains(one)))
                .collect();
            let count = ranks.len().max(1) as f64;
            let reciprocal = ranks.iter().flatten().map(|rank| 1.0 / (rank + 1) as f64);
            results.push(RetrievalResult {
                format: format.clone(),
                retriever: (*retriever).to_owned(),
                queries: small(ranks.len()),
                recall_10: ranks.iter().flatten().count() as f64 / count,
                mrr_10: reciprocal.sum::<f64>() / count,
            });
        }
    }
    results
}

/// The base's own tokens.
struct Tokens<'a> {
    reader: &'a BaseReader,
}

impl Tokens<'_> {
    async fn of(&self, texts: &[String]) -> Result<Vec<Vec<u32>>> {
        let all = self.reader.tokens(texts).await?;
        if all.iter().any(Vec::is_empty) {
            return Err(Error::new(ErrorCode::InvalidInput, "a passage or a question is empty"));
        }
        Ok(all)
    }
}
