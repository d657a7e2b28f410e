//! Broken and hostile files, each read in a worker process: every one of them ends within
//! its limits with a stated outcome, and this process survives them all.
//!
//! `QUARTET_PDF_FILES=folder` reads another folder.

#![allow(clippy::print_stdout, reason = "the outcome of each file should be seen")]

mod common;

use quartet_pdf::{ReadOptions, Reading, read_document, serve};
use quartet_types::{Error, ErrorCode};
use quartet_worker::WorkerCommand;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Set in the worker processes that this test starts of itself.
const WORKER: &str = "QUARTET_PDF_TEST_WORKER";

fn main() {
    if std::env::var_os(WORKER).is_some() {
        serve().expect("the worker serves");
        return;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let folder = std::env::var_os("QUARTET_PDF_FILES").map(PathBuf::from);
    let Some(folder) = folder.or_else(|| common::data("pdfs/nasty")) else { return };
    runtime.block_on(check_all(&folder));
}

async fn check_all(folder: &Path) {
    let mut failures = Vec::new();
    let mut files = common::files(folder, ".pdf").into_iter();
    let mut running = tokio::task::JoinSet::new();
    loop {
        while running.len() < 2
            && let Some(file) = files.next()
        {
            running.spawn(read(file));
        }
        let Some(done) = running.join_next().await else { break };
        let (file, outcome, took) = done.expect("a task");
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        println!("{name:40} {:>6.2} s  {}", took.as_secs_f64(), said(&outcome));
        if let Err(why) = check(&name, &outcome) {
            failures.push(format!("{name}: {why}; it was: {}", said(&outcome)));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

async fn read(file: PathBuf) -> (PathBuf, Result<Reading, Error>, Duration) {
    let command = WorkerCommand {
        program: std::env::current_exe().expect("this program"),
        arguments: Vec::new(),
        environment: vec![(WORKER.into(), "1".into())],
    };
    let options = ReadOptions { wall_limit: Duration::from_secs(20), ..ReadOptions::standard() };
    let start = Instant::now();
    let outcome = read_document(&command, &file, &options, |_, _| {}).await;
    (file, outcome, start.elapsed())
}

fn said(outcome: &Result<Reading, Error>) -> String {
    match outcome {
        Ok(reading) => format!(
            "{} of {} pages, {} lost, {} characters{}",
            reading.pages.len(),
            reading.total_pages,
            reading.failed_pages,
            reading.pages.iter().map(|page| page.text.chars().count()).sum::<usize>(),
            reading
                .incomplete
                .as_ref()
                .map_or(String::new(), |error| format!(", then: {}", error.message)),
        ),
        Err(error) => format!("{:?}: {}", error.code, error.message),
    }
}

/// What must be true of every outcome, and what is known of some files.
fn check(name: &str, outcome: &Result<Reading, Error>) -> Result<(), String> {
    match outcome {
        Ok(reading) => {
            if !reading.pages.iter().any(|page| page.text.chars().any(char::is_alphanumeric)) {
                return Err("a success without text".to_owned());
            }
        }
        Err(error) => {
            let stated = matches!(
                error.code,
                ErrorCode::BadFile
                    | ErrorCode::NoText
                    | ErrorCode::Protected
                    | ErrorCode::LimitExceeded
            );
            if !stated {
                return Err(format!("{:?} is no outcome of a document", error.code));
            }
            if error.hint.is_none()
                || !error.subject.as_ref().is_some_and(|subject| subject.ends_with(name))
            {
                return Err("the error lacks its hint or its file".to_owned());
            }
        }
    }
    let code = outcome.as_ref().err().map(|error| error.code);
    let expected = match name {
        "made_empty.pdf"
        | "made_notpdf_html.pdf"
        | "made_zeros_1m.pdf"
        | "made_random64k.pdf"
        | "made_header_only.pdf" => Some(ErrorCode::BadFile),
        "password-example.pdf" => Some(ErrorCode::Protected),
        "made_ok_baseline.pdf"
        | "made_form_selfrec.pdf"
        | "made_nested_dict_50000.pdf"
        | "mut_tracemonkey_flip200.pdf"
        | "mut_tracemonkey_trunc50.pdf" => None,
        _ => return Ok(()),
    };
    if code == expected { Ok(()) } else { Err(format!("expected {expected:?}")) }
}
