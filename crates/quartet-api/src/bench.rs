//! Speed, measured side by side in one run, so that the figures are ratios first.

use crate::Quartet;
use crate::pages::PdfReader;
use crate::workers::worker_command;
use quartet_library::PageReader as _;
pub use quartet_library::bench::SearchSpeed;
use quartet_library::bench::search_speed;
use quartet_types::{Error, ErrorCode, Result};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// What to measure.
#[derive(Debug, Clone)]
pub struct BenchRequest {
    /// Any of `engine`, `search`, `import`.
    pub parts: Vec<String>,
    /// Base models for the engine part.
    pub models: Vec<String>,
    /// PDFs for the import part: files or folders.
    pub pdfs: Vec<PathBuf>,
    /// Chunks in the largest collection of the search part.
    pub chunks: usize,
}

/// What was measured.
#[derive(Debug, Clone, Default, Serialize)]
pub struct BenchReport {
    /// Processor, cores and memory.
    pub machine: String,
    /// Our generation against the barest llama.cpp loop, for each model.
    pub engine: Vec<EngineSpeed>,
    /// Search by size of collection.
    pub search: Vec<SearchSpeed>,
    /// Reading PDFs against `pdftotext`.
    pub import: Option<ImportSpeed>,
}

/// Our generation against the barest loop over the same model, in one process, in turn.
#[derive(Debug, Clone, Serialize)]
pub struct EngineSpeed {
    /// The model.
    pub model: String,
    /// Version of llama.cpp.
    pub engine_build: String,
    /// Prompt tokens per second: the bare loop, ours.
    pub prefill: (f64, f64),
    /// Ours divided by bare, median over rounds.
    pub prefill_ratio: f64,
    /// Written tokens per second: the bare loop, ours.
    pub decode: (f64, f64),
    /// Ours divided by bare, median over rounds.
    pub decode_ratio: f64,
}

/// Reading PDFs: our worker processes against `pdftotext`, the same files in turn.
#[derive(Debug, Clone, Serialize)]
pub struct ImportSpeed {
    /// Files read by both.
    pub files: usize,
    /// Their pages.
    pub pages: u64,
    /// Pages per second, ours.
    pub ours: f64,
    /// Pages per second, `pdftotext`; `None` if it is not installed.
    pub pdftotext: Option<f64>,
    /// Ours divided by `pdftotext`.
    pub ratio: Option<f64>,
}

const ROUNDS: u32 = 3;
const PROMPT_TOKENS: u32 = 256;
const DECODE_TOKENS: u32 = 48;
const SEARCHES: usize = 500;

impl Quartet {
    /// Measures what is asked for. `on_part` is told what is being measured.
    ///
    /// # Errors
    /// `InvalidInput` for an unknown part; whatever stops a measurement.
    pub async fn bench(
        &self,
        request: &BenchRequest,
        cancel: &CancellationToken,
        on_part: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<BenchReport> {
        let mut report =
            BenchReport { machine: crate::machine_in_words(), ..BenchReport::default() };
        for part in &request.parts {
            if cancel.is_cancelled() {
                return Err(Error::cancelled());
            }
            match part.as_str() {
                "engine" => {
                    for name in &request.models {
                        on_part(&format!("engine: {name}"));
                        report.engine.push(self.engine_speed(name).await?);
                    }
                }
                "search" => {
                    let sizes = [1_000, 100_000, request.chunks];
                    let mut sizes: Vec<usize> =
                        sizes.into_iter().filter(|&size| size <= request.chunks).collect();
                    sizes.dedup();
                    for chunks in sizes {
                        on_part(&format!("search: {chunks} chunks"));
                        report.search.push(self.search_speed(chunks).await?);
                    }
                }
                "import" => {
                    on_part("import");
                    report.import = Some(self.import_speed(&request.pdfs, cancel).await?);
                }
                other => {
                    return Err(Error::new(
                        ErrorCode::InvalidInput,
                        format!("nothing called `{other}` is measured"),
                    )
                    .hint("Parts: engine, search, import."));
                }
            }
        }
        Ok(report)
    }

    async fn engine_speed(&self, name: &str) -> Result<EngineSpeed> {
        let (path, _) = self.models.verified(&self.models.find(name)?)?;
        let threads = self.settings.threads;
        let compared = tokio::task::spawn_blocking(move || {
            quartet_llm::bench::compare(&path, PROMPT_TOKENS, DECODE_TOKENS, threads, ROUNDS)
        })
        .await
        .map_err(|error| Error::internal(error.to_string()))??;
        Ok(EngineSpeed {
            model: name.to_owned(),
            engine_build: compared.engine_build,
            prefill: (
                compared.bare.prefill_tokens_per_second,
                compared.ours.prefill_tokens_per_second,
            ),
            prefill_ratio: compared.prefill_ratio,
            decode: (
                compared.bare.decode_tokens_per_second,
                compared.ours.decode_tokens_per_second,
            ),
            decode_ratio: compared.decode_ratio,
        })
    }

    async fn search_speed(&self, chunks: usize) -> Result<SearchSpeed> {
        // Beside the real data, on the same disk, and gone afterwards.
        let folder = self.paths.data.join(format!("bench-{}", std::process::id()));
        let measured = search_speed(&folder, chunks, SEARCHES).await;
        let _ = std::fs::remove_dir_all(&folder);
        measured
    }

    async fn import_speed(
        &self,
        paths: &[PathBuf],
        cancel: &CancellationToken,
    ) -> Result<ImportSpeed> {
        let reader = PdfReader::new(worker_command(&self.program, "pdf"), &self.settings);
        let (mut files, mut pages, mut ours, mut theirs) = (0, 0, 0.0, Some(0.0));
        for path in pdfs(paths) {
            let started = Instant::now();
            // A file that cannot be read says nothing about speed.
            let Ok(read) = reader.read(&path, &|_, _| {}, cancel).await else { continue };
            ours += started.elapsed().as_secs_f64();
            files += 1;
            pages += read.pages.len() as u64;
            if let Some(total) = theirs {
                let started = Instant::now();
                let run = Command::new("pdftotext").arg(&path).arg("-").output();
                theirs = run.ok().map(|_| total + started.elapsed().as_secs_f64());
            }
        }
        if files == 0 {
            return Err(Error::new(ErrorCode::NotFound, "there is no readable PDF")
                .hint("Name PDFs or folders with --pdfs."));
        }
        #[expect(clippy::cast_precision_loss, reason = "counts of pages")]
        let speed = |seconds: f64| pages as f64 / seconds.max(f64::MIN_POSITIVE);
        let (ours, theirs) = (speed(ours), theirs.map(speed));
        Ok(ImportSpeed {
            files,
            pages,
            ours,
            pdftotext: theirs,
            ratio: theirs.map(|theirs| ours / theirs),
        })
    }
}

fn pdfs(paths: &[PathBuf]) -> Vec<PathBuf> {
    let is_pdf = |path: &Path| {
        path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("pdf"))
    };
    let mut found: Vec<PathBuf> = paths
        .iter()
        .flat_map(|path| walkdir::WalkDir::new(path).into_iter().flatten())
        .map(walkdir::DirEntry::into_path)
        .filter(|path| path.is_file() && is_pdf(path))
        .collect();
    found.sort();
    found
}
