//! Golden numbers of retrieval, with the real embedder: BM25 alone, vectors alone, both.
//!
//! Every paragraph or abstract is a document of one page; the question's own one is the only
//! relevant document. Deterministic: the same files give the same numbers.

#![allow(clippy::print_stderr, reason = "a skipped test and the figures reached should be seen")]

use async_trait::async_trait;
use quartet_api::CancellationToken;
use quartet_exam::ranking::ndcg_at_k;
use quartet_library::{Embedder, Importer, Library, PageReader, ReadDocument, SearchMode};
use quartet_llm::Model;
use quartet_types::{
    CollectionId, Error, Extractor, LoadRequest, ModelId, PageNumber, PageText, Result,
};
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Questions per set: every n-th, so that the test stays short.
const QUESTIONS: usize = 500;

fn absent(what: &str) {
    assert!(std::env::var_os("QUARTET_REQUIRE_DATA").is_none(), "required here: {what}");
    eprintln!("skipped: {what} is absent");
}

fn data(name: &str) -> Option<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    let Ok(text) = std::fs::read_to_string(&path) else {
        absent(&path.display().to_string());
        return None;
    };
    Some(serde_json::from_str(&text).expect("JSON"))
}

/// The embedder in this process: a test may crash with it.
struct InProcess(Model);

impl InProcess {
    fn load() -> Option<Self> {
        let paths = quartet_api::Paths::discover().expect("paths");
        let path = paths
            .models
            .iter()
            .map(|folder| folder.join("all-minilm-l6-v2-q8_0.gguf"))
            .find(|path| path.is_file());
        let Some(path) = path else {
            absent("the embedder");
            return None;
        };
        let request = LoadRequest {
            model: ModelId::from("embedder"),
            path,
            sha256: None,
            context: 512,
            threads: 0,
            gpu_layers: Some(0),
            pooling: None,
        };
        Some(Self(
            Model::load(&request, None, &AtomicBool::new(false), |_| {})
                .expect("the embedder loads"),
        ))
    }
}

#[async_trait]
impl Embedder for InProcess {
    fn key(&self) -> String {
        "in-process".to_owned()
    }

    fn width(&self) -> usize {
        self.0.description().width as usize
    }

    fn max_tokens(&self) -> u32 {
        self.0.description().context
    }

    async fn count_tokens(&self, texts: &[String]) -> Result<Vec<u32>> {
        self.0.count_tokens(texts, &AtomicBool::new(false))
    }

    async fn embed(&self, texts: &[String], _: &CancellationToken) -> Result<Vec<f32>> {
        Ok(self.0.turn(&quartet_llm::never())?.embed(texts)?.values)
    }
}

/// A file is a page.
struct OnePage;

#[async_trait]
impl PageReader for OnePage {
    async fn read(
        &self,
        path: &Path,
        _: &(dyn Fn(u32, Option<u32>) + Send + Sync),
        _: &CancellationToken,
    ) -> Result<ReadDocument> {
        let text = std::fs::read_to_string(path).map_err(|error| Error::from_io(&error, path))?;
        let page = PageText {
            number: PageNumber(1),
            text,
            extractor: Extractor::PdfExtract,
            problems: Vec::new(),
        };
        let title = Some(String::new());
        Ok(ReadDocument { title, pages: vec![page], page_count: Some(1), problem: None })
    }
}

struct Corpus {
    library: Arc<Library>,
    collection: CollectionId,
    embedder: InProcess,
    _folder: tempfile::TempDir,
}

impl Corpus {
    async fn of(texts: &[String], embedder: InProcess) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let sources = folder.path().join("sources");
        std::fs::create_dir(&sources).expect("made");
        for (number, text) in texts.iter().enumerate() {
            std::fs::write(sources.join(format!("{number:05}.pdf")), text).expect("written");
        }
        let library =
            Arc::new(Library::open(&folder.path().join("home")).await.expect("a library"));
        let importer = Importer {
            library: &library,
            reader: &OnePage,
            embedder: &embedder,
            on_progress: &|_| {},
        };
        let report = importer
            .import("golden", &[sources], &CancellationToken::new())
            .await
            .expect("imported");
        assert_eq!(report.failed, 0, "{:?}", report.problems);
        let collection = library.collection("golden").await.expect("there").id;
        Self { library, collection, embedder, _folder: folder }
    }

    /// Mean nDCG@10 over questions, by the place of the right document.
    async fn ndcg(&self, mode: SearchMode, questions: &[(String, usize)], vectors: &[f32]) -> f64 {
        let mut sum = 0.0;
        for ((question, right), vector) in
            questions.iter().zip(vectors.chunks(self.embedder.width()))
        {
            let (hits, _) = self
                .library
                .search_by(mode, self.collection, question, vector, 50)
                .await
                .expect("searched");
            let mut documents: Vec<PathBuf> = Vec::new();
            for hit in hits {
                let path = PathBuf::from(hit.passage.path);
                if !documents.contains(&path) {
                    documents.push(path);
                }
            }
            let name = format!("{right:05}.pdf");
            let relevant: Vec<bool> = documents.iter().map(|path| path.ends_with(&name)).collect();
            sum += ndcg_at_k(&relevant, 1, 10);
        }
        sum / questions.len() as f64
    }

    /// BM25 alone, vectors alone, both by scores, both by ranks.
    async fn all_modes(&self, questions: &[(String, usize)]) -> [f64; 4] {
        let texts: Vec<String> = questions.iter().map(|(question, _)| question.clone()).collect();
        let vectors =
            self.embedder.embed(&texts, &CancellationToken::new()).await.expect("embedded");
        let modes = [
            SearchMode::Lexical,
            SearchMode::Dense,
            SearchMode::Hybrid,
            SearchMode::ReciprocalRank,
        ];
        let mut found = [0.0; 4];
        for (value, mode) in found.iter_mut().zip(modes) {
            *value = self.ndcg(mode, questions, &vectors).await;
        }
        eprintln!(
            "nDCG@10 of {} questions: BM25 {:.4}, vectors {:.4}, both {:.4}, both by ranks {:.4}",
            questions.len(),
            found[0],
            found[1],
            found[2],
            found[3]
        );
        found
    }
}

fn thinned(questions: Vec<(String, usize)>) -> Vec<(String, usize)> {
    let step = questions.len().div_ceil(QUESTIONS).max(1);
    questions.into_iter().step_by(step).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn squad_paragraphs() {
    let (Some(squad), Some(embedder)) = (data("squad/squad2-dev.json"), InProcess::load()) else {
        return;
    };
    let mut texts: Vec<String> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut questions = Vec::new();
    for article in squad["data"].as_array().expect("articles") {
        for paragraph in article["paragraphs"].as_array().expect("paragraphs") {
            let text = paragraph["context"].as_str().expect("text").to_owned();
            let place = *places.entry(text.clone()).or_insert_with(|| {
                texts.push(text);
                texts.len() - 1
            });
            for question in paragraph["qas"].as_array().expect("questions") {
                if question["is_impossible"] == false {
                    questions
                        .push((question["question"].as_str().expect("text").to_owned(), place));
                }
            }
        }
    }
    let corpus = Corpus::of(&texts, embedder).await;
    let [lexical, _, hybrid, _] = corpus.all_modes(&thinned(questions)).await;
    assert!(lexical >= 0.90, "BM25 {lexical:.4}");
    assert!(hybrid >= lexical + 0.01, "hybrid {hybrid:.4} is not clearly above BM25 {lexical:.4}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pubmedqa_abstracts() {
    let (Some(pubmed), Some(embedder)) = (data("pubmedqa/pubmedqa-dev.json"), InProcess::load())
    else {
        return;
    };
    let mut texts = Vec::new();
    let mut questions = Vec::new();
    for entry in pubmed.as_object().expect("entries").values() {
        let contexts = entry["CONTEXTS"].as_array().expect("contexts");
        let text: Vec<&str> = contexts.iter().filter_map(Value::as_str).collect();
        questions.push((entry["QUESTION"].as_str().expect("text").to_owned(), texts.len()));
        texts.push(text.join("\n\n"));
    }
    let corpus = Corpus::of(&texts, embedder).await;
    let [_, _, hybrid, _] = corpus.all_modes(&thinned(questions)).await;
    assert!(hybrid >= 0.985, "hybrid {hybrid:.4}");
}
