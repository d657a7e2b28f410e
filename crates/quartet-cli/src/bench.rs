//! `bench`.

use crate::arguments;
use crate::output::Output;
use quartet_api::types::Result;
use quartet_api::{BenchReport, BenchRequest, CancellationToken, Quartet};
use std::fmt::Write as _;
use std::process::ExitCode;

pub(crate) async fn bench(
    quartet: &Quartet,
    arguments: &arguments::Bench,
    output: Output,
    cancel: &CancellationToken,
) -> Result<ExitCode> {
    let request = BenchRequest {
        parts: arguments.parts.clone(),
        models: arguments.models.clone(),
        pdfs: arguments.pdfs.clone(),
        chunks: arguments.chunks,
    };
    let report = quartet
        .bench(&request, cancel, &|part| output.remark(&format!("measuring {part} ...")))
        .await?;
    output.result(&report, || tables(&report));
    Ok(ExitCode::SUCCESS)
}

/// The report as the Markdown tables of BENCHMARKS.md.
fn tables(report: &BenchReport) -> String {
    let mut text = format!("Machine: {}\n", report.machine);
    if !report.engine.is_empty() {
        text.push_str("\n| model | tokens/s read: bare loop | ours | ratio | tokens/s written: bare loop | ours | ratio |\n|---|---|---|---|---|---|---|\n");
        for speed in &report.engine {
            let _ = writeln!(
                text,
                "| {} | {:.1} | {:.1} | {:.3} | {:.1} | {:.1} | {:.3} |",
                speed.model,
                speed.prefill.0,
                speed.prefill.1,
                speed.prefill_ratio,
                speed.decode.0,
                speed.decode.1,
                speed.decode_ratio
            );
        }
    }
    if !report.search.is_empty() {
        text.push_str("\n| chunks | search p50 | p99 | cold start to first search | building the indexes |\n|---|---|---|---|---|\n");
        for speed in &report.search {
            let _ = writeln!(
                text,
                "| {} | {:.2} ms | {:.2} ms | {:.0} ms | {:.1} s |",
                speed.chunks, speed.p50_ms, speed.p99_ms, speed.cold_start_ms, speed.index_seconds
            );
        }
    }
    if let Some(speed) = &report.import {
        let (theirs, ratio) = match (speed.pdftotext, speed.ratio) {
            (Some(theirs), Some(ratio)) => (format!("{theirs:.1}"), format!("{ratio:.2}")),
            _ => ("not installed".to_owned(), "-".to_owned()),
        };
        text.push_str("\n| files | pages | pages/s ours (a process per file) | pdftotext | ratio |\n|---|---|---|---|---|\n");
        let _ = writeln!(
            text,
            "| {} | {} | {:.1} | {theirs} | {ratio} |",
            speed.files, speed.pages, speed.ours
        );
    }
    text
}
