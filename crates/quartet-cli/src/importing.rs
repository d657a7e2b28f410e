//! `import` and `jobs`.

use crate::arguments::{self, JobAction};
use crate::implicit;
use crate::output::Output;
use crate::progress::Progress;
use crate::render;
use crate::training;
use quartet_api::types::{ErrorCode, JobId, Result};
use quartet_api::{CancellationToken, ImportReport, JobOutcome, Quartet};
use serde_json::json;
use std::fmt::Write as _;
use std::process::ExitCode;

pub(crate) async fn import(
    quartet: &Quartet,
    arguments: &arguments::Import,
    output: Output,
    cancel: &CancellationToken,
) -> Result<ExitCode> {
    let progress = Progress::new(output.json);
    let result = quartet
        .import(&arguments.collection.collection, &arguments.paths, cancel, &|step| {
            progress.update(step);
        })
        .await;
    progress.clear();
    let imported = result.inspect_err(|error| remark_if_stopped(error.code, output))?;
    report(&imported, output)
}

pub(crate) async fn jobs(
    quartet: &Quartet,
    arguments: &arguments::Jobs,
    output: Output,
    cancel: &CancellationToken,
) -> Result<ExitCode> {
    match &arguments.action {
        None => {
            let jobs = quartet.jobs().await?;
            output.result(&json!({ "jobs": jobs }), || render::jobs(&jobs));
        }
        Some(JobAction::Pause { id }) => {
            quartet.pause_job(JobId(*id)).await?;
            output.result(&json!({ "pausing": id }), || {
                format!("Job {id} stops at its next checkpoint.\n")
            });
        }
        Some(JobAction::Cancel { id }) => {
            quartet.cancel_job(JobId(*id)).await?;
            output
                .result(&json!({ "cancelling": id }), || format!("Job {id} is being cancelled.\n"));
        }
        Some(JobAction::Resume { id }) => {
            let progress = Progress::new(output.json);
            let result =
                quartet.resume_job(JobId(*id), cancel, &|step| progress.update(step)).await;
            progress.clear();
            return match result.inspect_err(|error| remark_if_stopped(error.code, output))? {
                JobOutcome::Imported(imported) => report(&imported, output),
                JobOutcome::Trained(artefact) => Ok(training::report(&artefact, output)),
                JobOutcome::Indexed(status) => Ok(implicit::report(&status, output)),
            };
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn remark_if_stopped(code: ErrorCode, output: Output) {
    if code == ErrorCode::Cancelled {
        output.remark("Stopped. What was done is kept; the same command goes on from here.");
    }
}

/// Prints what an import did. Files that could not be read make the exit status 4.
pub(crate) fn report(report: &ImportReport, output: Output) -> Result<ExitCode> {
    output.result(report, || {
        let mut text = String::new();
        let _ = writeln!(
            text,
            "{} ready: {} added, {} updated, {} unchanged, {} removed, {} duplicates. {} chunks.",
            report.ready,
            report.added,
            report.updated,
            report.unchanged,
            report.removed,
            report.duplicates,
            report.chunks
        );
        for document in &report.problems {
            let _ = writeln!(
                text,
                "  {:<9} {}: {}",
                document.status.as_str(),
                document.path,
                render::clean(document.reason.as_deref().unwrap_or_default())
            );
            if let Some(hint) = &document.hint {
                let _ = writeln!(text, "            {hint}");
            }
        }
        text
    });
    let unread = ExitCode::from(ErrorCode::BadFile.exit_code());
    Ok(if report.failed > 0 { unread } else { ExitCode::SUCCESS })
}
