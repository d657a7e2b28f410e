//! A training of implicit queries as the trainer is asked for it, and how it runs there.
//!
//! ```text
//! warming up (Eq. 3) ─▶ judging: log P_LM of the answer with each candidate alone
//!                    ─▶ distilling (Eq. 5) ─▶ adapter
//! ```
//!
//! Tiers T0 to T1 leave the reader as it is: judgements are then constants, made once. T3 learns
//! to answer in both stages, through the passages.

use super::reading::{Reading, ReadingRow, ReadingSettings};
use super::retrieval::{Query, Retrieval, RetrievalSettings};
use super::whole::Whole;
use quartet_train::{
    Adapters, Compute, Control, Course, Decoder, Holding, Leaves, LoraPlan, Objective, Origin,
    Parameters, Source, StageOutcome, TextEvent, TrainingPlan, calibrate, keep_value, kept_value,
    read_adapter, told, write_adapter,
};
use quartet_types::{ImpragSettings, ImpragTier, Result};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Instant;

/// Micro-batches measured before the first update; the first warms up.
const MEASURED: usize = 3;
/// Hidden states and passages' states kept between visits, at most, in bytes each.
const KEPT_BYTES: usize = 2 << 30;

/// Names of the stages.
pub const WARMING_UP: &str = "warming up";
/// See [`WARMING_UP`].
pub const JUDGING: &str = "judging";
/// See [`WARMING_UP`].
pub const DISTILLING: &str = "distilling";

/// A training of implicit queries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImpragTraining {
    /// The base's file.
    pub model: PathBuf,
    /// Its name and digest, and those of the study material.
    pub base: Source,
    /// See [`ImpragTraining::base`].
    pub data: Source,
    /// What is made, for messages: `ImpRAG "contracts"`.
    pub artefact: String,
    /// Layers, lengths, mode.
    pub settings: ImpragSettings,
    /// What is taught.
    pub tier: ImpragTier,
    /// Adapter of the starting point under vectors.
    pub retriever: Option<PathBuf>,
    /// Adapter of the starting point under reading.
    pub reader: Option<PathBuf>,
    /// What is trained.
    pub lora: LoraPlan,
    /// Tokens of all passages.
    pub passages: Vec<Vec<u32>>,
    /// What is learnt from.
    pub queries: Vec<TrainingQuery>,
    /// What is only measured.
    pub held_out: Vec<TrainingQuery>,
    /// Rows that are answered from their prompt: generation alone, for T3.
    pub rows: Vec<ReadingRow>,
    /// Queries of a micro-batch, and hard negatives of each.
    pub batch: usize,
    /// See [`ImpragTraining::batch`].
    pub negatives: usize,
    /// Divides scores in Eq. 3; 1 in the paper.
    pub divisor: f64,
    /// Queries that the reader judges candidates of; 0 leaves self-distillation out.
    pub judged: usize,
    /// Candidates of each (`|C|`).
    pub candidates: usize,
    /// `tau_t` and `tau_r`.
    pub temperatures: (f64, f64),
    /// Warm-up.
    pub warm_up: TrainingPlan,
    /// Self-distillation.
    pub distil: TrainingPlan,
    /// Weights stay quantised.
    pub is_small: bool,
    /// Where checkpoints are kept until the end.
    pub folder: PathBuf,
    /// Where the adapter goes.
    pub output: PathBuf,
    /// Seed of the adapter's start.
    pub seed: u64,
}

/// A query with the answer that it should lead to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainingQuery {
    /// The query.
    pub query: Query,
    /// Tokens of the answer with what ends it; empty where there is none to be read.
    pub answer: Vec<u32>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainedImprag {
    /// The stages.
    pub stages: Vec<StageOutcome>,
    /// Numbers trained.
    pub parameters: usize,
}

/// Trains and writes the adapter.
///
/// # Errors
/// `Cancelled`; `Corrupt` for files that are not what was asked for; those of training.
pub fn train_imprag(
    request: &ImpragTraining,
    compute: &Compute,
    control: &Control,
    on_event: &mut dyn FnMut(TextEvent),
) -> Result<TrainedImprag> {
    let mut work = Work::load(request, compute, control)?;
    let mut stages = Vec::new();
    let fresh = request.lora.parameters(work.decoder.architecture(), request.seed)?;
    let warmed = work.stage(0, &fresh, on_event, &mut stages)?;
    let trained = if request.judged > 0 && request.distil.steps > 0 {
        work.judge(&warmed, on_event)?;
        work.stage(2, &warmed, on_event, &mut stages)?
    } else {
        warmed
    };
    write_adapter(&request.output, work.decoder.architecture(), &request.lora, &trained, &[])?;
    Ok(TrainedImprag { stages, parameters: trained.count() })
}

/// A training with everything loaded.
struct Work<'a> {
    request: &'a ImpragTraining,
    compute: &'a Compute,
    control: &'a Control,
    decoder: Decoder,
    retriever: Adapters,
    reader: Adapters,
    queries: Vec<Query>,
    origin: Origin,
}

impl<'a> Work<'a> {
    fn load(
        request: &'a ImpragTraining,
        compute: &'a Compute,
        control: &'a Control,
    ) -> Result<Self> {
        let holding = if request.is_small { Holding::Stored } else { Holding::Floats };
        let decoder = Decoder::load_checked(&request.model, &request.base, compute, holding)?;
        let read = |file: &Option<PathBuf>| match file {
            Some(file) => read_adapter(file, decoder.architecture(), compute, 1.0),
            None => Ok(Adapters::none()),
        };
        let (retriever, reader) = (read(&request.retriever)?, read(&request.reader)?);
        let queries = request.queries.iter().map(|one| one.query.clone()).collect();
        let origin = Origin {
            artefact: request.artefact.clone(),
            base: request.base.clone(),
            data: request.data.clone(),
            settings: serde_json::json!({
                "settings": request.settings,
                "tier": request.tier,
                "lora": request.lora,
                "plans": [request.warm_up, request.distil],
                "batch": [request.batch, request.negatives, request.judged, request.candidates],
                "numbers": [request.divisor, request.temperatures.0, request.temperatures.1],
                "seed": request.seed,
                "is_small": request.is_small,
                "rows": [request.queries.len(), request.held_out.len(), request.rows.len()],
            }),
        };
        Ok(Self { request, compute, control, decoder, retriever, reader, queries, origin })
    }

    /// Runs stage 0 (warm-up) or 2 (self-distillation) from `start`; 1 is the judging between.
    fn stage(
        &self,
        stage: usize,
        start: &Parameters,
        on_event: &mut dyn FnMut(TextEvent),
        outcomes: &mut Vec<StageOutcome>,
    ) -> Result<Parameters> {
        let (name, plan) = match stage {
            0 => (WARMING_UP, &self.request.warm_up),
            _ => (DISTILLING, &self.request.distil),
        };
        let course = Course {
            name,
            plan,
            origin: self.origin.clone(),
            folder: self.request.folder.join(format!("stage-{stage}")),
        };
        if let Some((parameters, outcome)) = course.finished()? {
            outcomes.push(outcome);
            return Ok(parameters);
        }
        let mut objective: Box<dyn Objective + '_> = match self.request.tier {
            ImpragTier::T3 => {
                Box::new(Whole::new(self.retrieval(stage)?, self.reading(self.rows())?, 1.0))
            }
            _ => Box::new(self.retrieval(stage)?),
        };
        let state = course.state(start)?;
        let seconds =
            calibrate(plan, self.compute, &mut *objective, &state, MEASURED, self.control)?;
        let seconds = seconds.as_secs_f64();
        on_event(TextEvent::Estimate { stage, first: state.step, seconds });
        let (parameters, outcome) =
            course.run(self.compute, &mut *objective, start, self.control, &mut |event| {
                on_event(told(stage, event));
            })?;
        outcomes.push(outcome);
        Ok(parameters)
    }

    fn retrieval(&self, stage: usize) -> Result<Retrieval<'_>> {
        let request = self.request;
        let settings = RetrievalSettings {
            layer: request.settings.first_layer as usize,
            lora: request.lora.clone(),
            both_sides: request.tier != ImpragTier::T1q,
            batch: request.batch.max(1),
            positives: 2,
            negatives: request.negatives,
            divisor: request.divisor,
            warm_up: if stage == 0 { 1.0 } else { 0.0 },
            distillation: if stage == 0 { 0.0 } else { 1.0 },
            temperatures: request.temperatures,
            kept_bytes: KEPT_BYTES,
            seed: request.seed,
        };
        let queries = match stage {
            0 => self.queries.clone(),
            _ => self.queries.iter().filter(|one| one.judged.len() > 1).cloned().collect(),
        };
        let held_out = request.held_out.iter().map(|one| one.query.clone()).collect();
        let fixed = (self.retriever.clone(), self.retriever.clone());
        let passages = request.passages.clone();
        let control = self.control.clone();
        Retrieval::new(&self.decoder, settings, fixed, passages, queries, held_out, control)
    }

    fn reading(&self, rows: Vec<ReadingRow>) -> Result<Reading<'_>> {
        let request = self.request;
        let is_whole = request.tier == ImpragTier::T3;
        let settings = ReadingSettings {
            first_layer: request.settings.first_layer as usize,
            last_layer: request.settings.last_layer as usize,
            prompt_position: request.settings.prompt_position(),
            mode: request.settings.mode,
            lora: request.lora.clone(),
            through_passages: is_whole,
            batch: request.batch.max(1),
            kept_bytes: KEPT_BYTES,
        };
        let adapters = (self.reader.clone(), Adapters::none());
        let (passages, control) = (request.passages.clone(), self.control.clone());
        Reading::new(&self.decoder, settings, adapters, passages, rows, Vec::new(), control)
    }

    /// What T3 reads: each query's candidates, then rows of generation alone.
    fn rows(&self) -> Vec<ReadingRow> {
        let most = self.request.settings.passages as usize;
        let answered = self.request.queries.iter().filter(|one| !one.answer.is_empty());
        let row = |one: &TrainingQuery| {
            let query = &one.query;
            let mut passages: Vec<usize> = query.positives.iter().take(2).copied().collect();
            passages.extend(query.negatives.iter().take(most.saturating_sub(passages.len())));
            ReadingRow { prompt: query.prompt.clone(), passages, answer: one.answer.clone() }
        };
        answered.map(row).chain(self.request.rows.iter().cloned()).collect()
    }

    /// Has the reader judge the candidates of some queries, each passage alone. Judgements are
    /// kept as they are made.
    fn judge(&mut self, trained: &Parameters, on_event: &mut dyn FnMut(TextEvent)) -> Result<()> {
        let request = self.request;
        let leaves = trained.constants(self.compute)?;
        let file = request.folder.join("judged.json");
        let mut known: Vec<Vec<(usize, f64)>> = kept_value(&file)?.unwrap_or_default();
        let asked: Vec<usize> = (0..request.queries.len())
            .filter(|at| !request.queries[*at].answer.is_empty())
            .take(request.judged)
            .collect();
        let candidates = self.candidates(&leaves, &asked)?;
        let mut rows = Vec::new();
        for (at, candidates) in asked.iter().zip(&candidates) {
            let one = &request.queries[*at];
            rows.extend(candidates.iter().map(|place| ReadingRow {
                prompt: one.query.prompt.clone(),
                passages: vec![*place],
                answer: one.answer.clone(),
            }));
        }
        {
            let mut reading = self.reading(rows)?;
            // The reader as it answers: what is trained is part of it in T3 alone.
            let plain;
            let leaves = if request.tier == ImpragTier::T3 {
                &leaves
            } else {
                let shapes = self.decoder.architecture();
                plain = request.lora.parameters(shapes, request.seed)?.constants(self.compute)?;
                &plain
            };
            let mut first: usize = candidates.iter().take(known.len()).map(Vec::len).sum();
            for places in candidates.iter().skip(known.len()) {
                let rows: Vec<usize> = (first..first + places.len()).collect();
                first += places.len();
                let started = Instant::now();
                let judged = reading.judge(leaves, &rows)?;
                on_event(TextEvent::Step {
                    stage: 1,
                    step: known.len() as u64 + 1,
                    loss: -judged.iter().sum::<f64>() / judged.len().max(1) as f64,
                    seconds: started.elapsed().as_secs_f64(),
                });
                known.push(places.iter().copied().zip(judged).collect());
                if known.len().is_multiple_of(8) {
                    keep_value(&file, &known)?;
                }
            }
        }
        keep_value(&file, &known)?;
        for (at, judged) in asked.iter().zip(known) {
            self.queries[*at].judged = judged;
        }
        Ok(())
    }

    /// The nearest passages of each query now, with a right one among them.
    fn candidates(&self, leaves: &Leaves, asked: &[usize]) -> Result<Vec<Vec<usize>>> {
        let mut retrieval = self.retrieval(0)?;
        let mut found = retrieval.nearest(leaves, asked, self.request.candidates)?;
        for (at, places) in asked.iter().zip(&mut found) {
            let right = &self.request.queries[*at].query.positives;
            if !places.iter().any(|place| right.contains(place)) {
                places.pop();
                places.insert(0, right[0]);
            }
        }
        Ok(found)
    }
}
