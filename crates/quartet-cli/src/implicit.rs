//! `imprag`: passages prepared for implicit queries.

use crate::arguments::ImpragAction;
use crate::importing::remark_if_stopped;
use crate::output::Output;
use crate::progress::Progress;
use crate::render;
use quartet_api::types::{ImpragMode, Result};
use quartet_api::{CancellationToken, ImplicitStatus, IndexRequest, Quartet};
use serde_json::json;
use std::fmt::Write as _;
use std::process::ExitCode;

pub(crate) async fn imprag(
    quartet: &Quartet,
    action: ImpragAction,
    output: Output,
    cancel: &CancellationToken,
) -> Result<ExitCode> {
    match action {
        ImpragAction::Index { collection, base, mode } => {
            let mode =
                ImpragMode::ALL.into_iter().find(|known| mode.as_deref() == Some(known.as_str()));
            let request = IndexRequest { collection, base: base.base, mode };
            let progress = Progress::new(output.json);
            let result =
                quartet.index_implicit(&request, cancel, &|step| progress.update(step)).await;
            progress.clear();
            let status = result.inspect_err(|error| remark_if_stopped(error.code, output))?;
            Ok(report(&status, output))
        }
        ImpragAction::Status { collection, base } => {
            let (collection, base) = (collection.as_deref(), base.base.as_deref());
            let all = quartet.implicit_status(collection, base, cancel).await?;
            output.result(&json!({ "imprag": all }), || {
                if all.is_empty() {
                    return "There are no collections yet.\n".to_owned();
                }
                all.iter().map(describe).collect::<Vec<_>>().join("\n")
            });
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Prints what is prepared of a collection.
pub(crate) fn report(status: &ImplicitStatus, output: Output) -> ExitCode {
    output.result(status, || describe(status));
    ExitCode::SUCCESS
}

fn describe(status: &ImplicitStatus) -> String {
    let mut text = String::new();
    let (first, last) = status.layers;
    let _ = writeln!(
        text,
        "ImpRAG on `{}` ({}, {}, {}; layers {first} to {last} read)",
        render::clean(&status.collection),
        status.base,
        status.tier.as_str(),
        status.mode.as_str(),
    );
    let remark = if status.is_whole {
        String::new()
    } else {
        format!("; `quartet imprag index {}` makes the rest", render::clean(&status.collection))
    };
    let _ = writeln!(
        text,
        "  vectors   {} of {} passages, {} bytes each{remark}",
        status.vectors, status.passages, status.vector_bytes
    );
    let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let _ = writeln!(
        text,
        "  states    {} passages, {:.1} MiB, {} bytes each (of all collections at most {:.0} MiB)",
        status.states,
        mebibytes(status.state_bytes),
        status.state_bytes_per_passage,
        mebibytes(status.state_limit)
    );
    text
}
