//! A data folder with files to import, a reader that takes them for pages of plain text, and an
//! embedder that hashes words: everything deterministic, no model and no PDF.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test uses its own part")]

use async_trait::async_trait;
use quartet_library::{Embedder, ImportReport, Importer, Library, PageReader, ReadDocument};
use quartet_types::{Error, ErrorCode, Extractor, PageNumber, PageText, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

pub const WIDTH: usize = 32;

/// Reads a text file; form feeds separate pages. A first line `!protected`, `!no text`,
/// `!broken` or `!died` makes it fail that way; `!lost` loses the page after the last.
#[derive(Default)]
pub struct TextReader {
    pub delay: Duration,
}

#[async_trait]
impl PageReader for TextReader {
    async fn read(
        &self,
        path: &Path,
        progress: &(dyn Fn(u32, Option<u32>) + Send + Sync),
        cancel: &CancellationToken,
    ) -> Result<ReadDocument> {
        let text = std::fs::read_to_string(path).map_err(|error| Error::from_io(&error, path))?;
        let refusal = match text.lines().next() {
            Some("!protected") => Some(ErrorCode::Protected),
            Some("!no text") => Some(ErrorCode::NoText),
            Some("!broken") => Some(ErrorCode::BadFile),
            Some("!died") => Some(ErrorCode::WorkerDied),
            _ => None,
        };
        if let Some(code) = refusal {
            return Err(Error::new(code, "told to fail")
                .hint("Write another first line.")
                .about_path(path));
        }
        let mut pages = Vec::new();
        for (number, page) in (1..).zip(text.split('\u{c}')) {
            if cancel.is_cancelled() {
                return Err(Error::cancelled());
            }
            tokio::time::sleep(self.delay).await;
            progress(number, None);
            pages.push(PageText {
                number: PageNumber(number),
                text: page.trim_start_matches("!lost\n").to_owned(),
                extractor: Extractor::PdfExtract,
                problems: Vec::new(),
            });
        }
        let read = u32::try_from(pages.len()).unwrap_or(0);
        let lost = text.starts_with("!lost");
        let problem =
            lost.then(|| Error::new(ErrorCode::WorkerDied, "the reader crashed on the last page"));
        Ok(ReadDocument { title: None, pages, page_count: Some(read + u32::from(lost)), problem })
    }
}

/// Counts words as tokens; a vector is the normalised sum of its words' hashed directions.
#[derive(Clone)]
pub struct HashEmbedder {
    pub delay: Duration,
    pub name: String,
}

impl Default for HashEmbedder {
    fn default() -> Self {
        Self { delay: Duration::ZERO, name: "hash-1".to_owned() }
    }
}

impl HashEmbedder {
    pub fn vector(&self, text: &str) -> Vec<f32> {
        let mut row = [0.0_f32; WIDTH];
        row[0] = 0.1;
        for word in
            text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty())
        {
            let mut hash = 0xcbf2_9ce4_8422_2325_u64;
            for byte in self.name.bytes().chain(word.to_lowercase().bytes()) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
            let sign = if hash >> 63 == 0 { 1.0 } else { -1.0 };
            row[usize::try_from(hash % WIDTH as u64).unwrap_or(0)] += sign;
        }
        let length = row.iter().map(|value| value * value).sum::<f32>().sqrt();
        row.iter().map(|value| value / length).collect()
    }
}

#[async_trait]
impl Embedder for HashEmbedder {
    fn key(&self) -> String {
        self.name.clone()
    }

    fn width(&self) -> usize {
        WIDTH
    }

    fn max_tokens(&self) -> u32 {
        512
    }

    async fn count_tokens(&self, texts: &[String]) -> Result<Vec<u32>> {
        Ok(texts
            .iter()
            .map(|text| u32::try_from(text.split_whitespace().count()).unwrap_or(u32::MAX))
            .collect())
    }

    async fn embed(&self, texts: &[String], _cancel: &CancellationToken) -> Result<Vec<f32>> {
        tokio::time::sleep(self.delay).await;
        Ok(texts.iter().flat_map(|text| self.vector(text)).collect())
    }
}

/// A data folder and a folder of documents.
pub struct Place {
    _folder: tempfile::TempDir,
    pub home: PathBuf,
    pub papers: PathBuf,
}

impl Place {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (home, papers) = (folder.path().join("home"), folder.path().join("papers"));
        std::fs::create_dir_all(&papers).expect("a folder for documents");
        Self { _folder: folder, home, papers }
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.papers.join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(&path, text).expect("a document");
        path
    }

    pub async fn open(&self) -> Arc<Library> {
        Arc::new(Library::open(&self.home).await.expect("a library"))
    }

    /// Imports the folder of documents into `default`.
    pub async fn import(&self, library: &Arc<Library>) -> ImportReport {
        import(library, std::slice::from_ref(&self.papers), &HashEmbedder::default())
            .await
            .expect("an import")
    }
}

pub async fn import(
    library: &Arc<Library>,
    paths: &[PathBuf],
    embedder: &HashEmbedder,
) -> Result<ImportReport> {
    let reader = TextReader::default();
    let importer = Importer { library, reader: &reader, embedder, on_progress: &|_| {} };
    importer.import("default", paths, &CancellationToken::new()).await
}

pub async fn retry(library: &Arc<Library>) -> Result<ImportReport> {
    let (reader, embedder) = (TextReader::default(), HashEmbedder::default());
    let importer = Importer { library, reader: &reader, embedder: &embedder, on_progress: &|_| {} };
    importer.retry("default", &CancellationToken::new()).await
}

/// What a search finds, as file name, page and text.
pub async fn find(library: &Library, question: &str) -> Vec<(String, u32, String)> {
    let collection = library.collection("default").await.expect("the collection").id;
    let vector = HashEmbedder::default().vector(question);
    let (hits, _) = library.search(collection, question, &vector, 10).await.expect("a search");
    hits.into_iter()
        .map(|hit| {
            let name = Path::new(&hit.passage.path)
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            (name, hit.passage.span.page.0, hit.passage.text)
        })
        .collect()
}

/// Some sentences about nothing, the same for the same seed.
pub fn prose(seed: u64, sentences: usize) -> String {
    const WORDS: [&str; 24] = [
        "harbour", "lantern", "keeper", "granite", "signal", "tide", "ledger", "copper", "engine",
        "anchor", "meadow", "winter", "bridge", "council", "payment", "archive", "orchard",
        "vessel", "marble", "river", "clock", "garden", "window", "cellar",
    ];
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap_or(0)
    };
    let mut text = String::new();
    for _ in 0..sentences {
        let subject = WORDS[next() % WORDS.len()];
        text.push_str(&format!(
            "The {subject} of the {} costs {} coins in the {}. ",
            WORDS[next() % WORDS.len()],
            next() % 1000,
            WORDS[next() % WORDS.len()]
        ));
    }
    text
}
