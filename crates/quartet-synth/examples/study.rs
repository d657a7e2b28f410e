//! Makes study material from passages with the real engine, to look at and to measure.
//!
//! ```text
//! study PASSAGES.jsonl OUT.jsonl PROGRAM MODEL.gguf [LIMIT [STRIDE]]
//! ```
//!
//! PASSAGES has one `Passage` a line. PROGRAM is `quartet`, which is started as the engine's
//! worker. All passages tell what the collection says; material is made of every STRIDE-th up to
//! LIMIT of them. Run again, it goes on where it stopped.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what was made, and how far it is, should be seen"
)]

mod support;

use async_trait::async_trait;
use quartet_synth::{Journal, Recipe, Sink, Study, WorkItem, journal};
use quartet_types::{Error, Passage, Result};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;
use support::WorkerReader;
use tokio_util::sync::CancellationToken;

/// Appends to a file; stops the run after so many passages.
struct File {
    path: PathBuf,
    wanted: Vec<i64>,
    left: usize,
    cancel: CancellationToken,
}

#[async_trait]
impl Sink for File {
    async fn keep(&mut self, item: &WorkItem) -> Result<()> {
        let failed = |error: std::io::Error| Error::from_io(&error, &self.path);
        let mut file =
            fs::OpenOptions::new().create(true).append(true).open(&self.path).map_err(failed)?;
        file.write_all(journal::lines(item)?.as_bytes()).map_err(failed)?;
        if self.wanted.contains(&item.chunk.0) {
            self.left = self.left.saturating_sub(1);
        }
        if self.left == 0 {
            self.cancel.cancel();
        }
        Ok(())
    }
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|error| Error::from_io(&error, path))
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().unwrap_or_default();
    let (passages, out) = (PathBuf::from(next()), PathBuf::from(next()));
    let (program, model) = (PathBuf::from(next()), PathBuf::from(next()));
    let limit: usize = next().parse().unwrap_or(usize::MAX);
    let stride: usize = next().parse().unwrap_or(1);
    let all: Vec<Passage> =
        read(&passages)?.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let finished = Journal::read(&fs::read_to_string(&out).unwrap_or_default());
    // The wanted passages come first; the others are there for the checks.
    let (first, rest): (Vec<_>, Vec<_>) =
        all.into_iter().enumerate().partition(|(place, _)| place % stride.max(1) == 0);
    let wanted: Vec<i64> = first.iter().take(limit).map(|(_, passage)| passage.chunk.0).collect();
    let ordered: Vec<Passage> = first.into_iter().chain(rest).map(|(_, passage)| passage).collect();

    let started = Instant::now();
    let reader = WorkerReader::load(program, model).await?;
    let recipe = Recipe::default();
    let study = Study { passages: &ordered, reader: Some(&reader), recipe: &recipe };
    let cancel = CancellationToken::new();
    let already = finished.items.iter().filter(|item| wanted.contains(&item.chunk.0)).count();
    let left = wanted.len().saturating_sub(already).max(1);
    let mut sink = File { path: out.clone(), wanted, left, cancel: cancel.clone() };
    let result = study
        .make(
            &finished,
            &mut sink,
            &mut |progress| {
                eprintln!(
                    "{:7.1} s  {} of {}  {}  {}",
                    started.elapsed().as_secs_f64(),
                    progress.done,
                    progress.total,
                    progress.stage.as_str(),
                    progress.subject
                );
            },
            &cancel,
        )
        .await;
    let journal = Journal::read(&read(&out)?);
    let mut tally = quartet_synth::Tally::default();
    for item in &journal.items {
        tally.add(&item.tally);
    }
    println!("{}", serde_json::to_string_pretty(&tally).unwrap_or_default());
    println!("{} rows, {:.0} s", journal.rows().count(), started.elapsed().as_secs_f64());
    match result {
        Err(error) if error.code != quartet_types::ErrorCode::Cancelled => Err(error),
        _ => Ok(()),
    }
}
