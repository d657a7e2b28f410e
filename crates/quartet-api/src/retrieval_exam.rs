//! How well passages are found, without anybody answering: the implicit query beside words,
//! meaning and both, on questions whose passages are known.

use crate::Quartet;
use crate::examining::check_writable;
use crate::models::write_atomically;
use quartet_exam::{
    DocumentNames, RankedQuestion, RetrievalReport, gold_passages, parse_questions,
};
use quartet_library::SearchMode;
use quartet_methods::imprag::finding;
use quartet_types::{AnswerEvent, ChunkId, EngineEvent, Error, Method, Result, SearchHit};
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::PathBuf;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// What to examine.
#[derive(Debug, Clone)]
pub struct RetrievalRequest {
    /// Question files.
    pub questions: Vec<PathBuf>,
    /// The collection that is searched.
    pub collection: String,
    /// The base model that makes the queries; `None` takes the one chosen for this machine.
    pub base: Option<String>,
    /// Ask only so many questions: a fixed sample over all kinds.
    pub limit: Option<usize>,
    /// Seed of the sample.
    pub seed: u64,
    /// Where the report goes, as JSON.
    pub report: Option<PathBuf>,
}

/// Retrievers in the order of the report; the first is compared with the others.
const RETRIEVERS: [&str; 6] = ["implicit", "lexical", "dense", "hybrid", "fused", "untrained"];
/// Passages asked of each, as for an answer: a fusion looks deeper than what is shown.
const ASKED: usize = 24;

impl Quartet {
    /// Looks up every question by the implicit query (`implicit`; `untrained` for the bare
    /// model), BM25 (`lexical`), vectors of the embedder (`dense`), the search of RAG (`hybrid`),
    /// and the fusion of implicit query and BM25 (`fused`). `on_step` is told how many are done.
    ///
    /// # Errors
    /// `BadFile` with the line of a malformed question, `NotFound` for the collection or where it
    /// has no index of passage vectors, and whatever stops every question alike.
    pub async fn retrieval_exam(
        &self,
        request: &RetrievalRequest,
        cancel: &CancellationToken,
        on_loading: &mut (dyn FnMut(AnswerEvent) + Send),
        on_step: &mut (dyn FnMut(usize, usize) + Send),
    ) -> Result<RetrievalReport> {
        let mut questions = Vec::new();
        for path in &request.questions {
            let text = fs::read_to_string(path).map_err(|error| Error::from_io(&error, path))?;
            questions.extend(parse_questions(&path.display().to_string(), &text)?);
        }
        if let Some(limit) = request.limit {
            questions = quartet_exam::sample(questions, limit, request.seed);
        }
        if let Some(report) = &request.report {
            check_writable(report)?;
        }
        let collection = self.find_collection(&request.collection).await?;
        let base = request.base.as_deref();
        let methods = [Method::Imprag];
        let answering =
            self.prepare(&methods, &request.collection, base, true, cancel, on_loading).await?;
        let ports = answering.ports();
        let setup = ports.implicit.setup()?;
        let embedder = self.embedder(cancel).await?;
        let passages = self.library.all_passages(collection.id).await?;
        let names = DocumentNames::default();

        let mut clock = Clock::default();
        let mut rows = Vec::with_capacity(questions.len());
        for question in &questions {
            if cancel.is_cancelled() {
                return Err(Error::cancelled());
            }
            let asked = question.question.as_str();
            let gold: HashSet<ChunkId> =
                gold_passages(question, &passages, &names).iter().map(|one| one.chunk).collect();
            let mut row = RankedQuestion::new(question, gold.len());

            let mut implicit = Vec::new();
            for (retriever, taught) in [("implicit", true), ("untrained", false)] {
                let started = Instant::now();
                let mut quiet = |_: EngineEvent| {};
                let query =
                    finding::query(asked, setup, taught, ports.reader, cancel, &mut quiet).await?;
                let hits = ports.implicit.nearest(&query.vector, taught, ASKED, cancel).await?;
                clock.add(retriever, started);
                row.note(retriever, &hits, &gold);
                if taught {
                    row.best_score = hits.first().map(|hit| hit.score);
                    implicit = hits;
                }
            }

            let started = Instant::now();
            let vector = embedder.embed_questions(&[asked], cancel).await?;
            let embedding = started.elapsed().as_secs_f64();
            let mut words = Vec::new();
            for (retriever, mode) in [
                ("lexical", SearchMode::Lexical),
                ("dense", SearchMode::Dense),
                ("hybrid", SearchMode::Hybrid),
            ] {
                let started = Instant::now();
                let (hits, _) =
                    self.library.search_by(mode, collection.id, asked, &vector, ASKED).await?;
                clock.add(retriever, started);
                row.note(retriever, &hits, &gold);
                if mode == SearchMode::Lexical {
                    words = hits;
                } else {
                    clock.more(retriever, embedding);
                }
            }
            let fused: Vec<SearchHit> = finding::fuse(implicit, words, ASKED);
            row.note("fused", &fused, &gold);
            rows.push(row);
            on_step(rows.len(), questions.len());
        }

        let mut report = RetrievalReport::new(rows, &RETRIEVERS);
        report.milliseconds = clock.means(questions.len());
        let model = answering.model();
        report.about = BTreeMap::from([
            ("base".to_owned(), model.model.to_string()),
            ("collection".to_owned(), self.library.fingerprint(collection.id).await?),
            ("passages".to_owned(), passages.len().to_string()),
            ("setup".to_owned(), format!("{:?} {}", setup.settings, setup.tier.as_str())),
            ("machine".to_owned(), crate::doctor::machine_in_words()),
        ]);
        if let Some(path) = &request.report {
            let bytes = serde_json::to_vec_pretty(&report)
                .map_err(|error| Error::internal(error.to_string()))?;
            write_atomically(path, &bytes)?;
        }
        Ok(report)
    }
}

/// Time spent by each retriever, in seconds.
#[derive(Default)]
struct Clock(BTreeMap<&'static str, f64>);

impl Clock {
    fn add(&mut self, retriever: &'static str, started: Instant) {
        self.more(retriever, started.elapsed().as_secs_f64());
    }

    fn more(&mut self, retriever: &'static str, seconds: f64) {
        *self.0.entry(retriever).or_default() += seconds;
    }

    /// Milliseconds for each question.
    fn means(&self, questions: usize) -> BTreeMap<String, f64> {
        let each = 1000.0 / questions.max(1) as f64;
        self.0.iter().map(|(name, seconds)| ((*name).to_owned(), seconds * each)).collect()
    }
}
