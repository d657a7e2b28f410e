//! `collections`, `documents`, `models` and `doctor`.

use crate::arguments::{self, CollectionAction, DocumentAction, ModelAction};
use crate::output::Output;
use crate::progress::Progress;
use crate::render;
use quartet_api::types::{DocumentId, Error, ErrorCode, Result};
use quartet_api::{CancellationToken, Diagnosis, Quartet};
use serde_json::json;
use std::fmt::Write as _;
use std::io::{BufRead, IsTerminal};
use std::process::ExitCode;

pub(crate) async fn collections(
    quartet: &Quartet,
    arguments: &arguments::Collections,
    output: Output,
) -> Result<ExitCode> {
    match &arguments.action {
        None => {
            let collections = quartet.collections().await?;
            output.result(&json!({ "collections": collections }), || {
                render::collections(&collections)
            });
        }
        Some(CollectionAction::Create { name }) => {
            let collection = quartet.create_collection(name).await?;
            output.result(&collection, || format!("Made the collection {name}.\n"));
        }
        Some(CollectionAction::Rename { from, to }) => {
            let collection = quartet.rename_collection(from, to).await?;
            output.result(&collection, || format!("{from} is now {to}.\n"));
        }
        Some(CollectionAction::Delete { name, yes }) => {
            let collection = quartet.find_collection(name).await?;
            let question = format!(
                "Delete {name}: {} documents, {} chunks, and their index?",
                collection.documents, collection.chunks
            );
            if !*yes && !confirmed(&question, output)? {
                return Err(Error::new(ErrorCode::Cancelled, "nothing was deleted"));
            }
            quartet.delete_collection(name).await?;
            output.result(&json!({ "deleted": name }), || {
                format!("Deleted {name}. The PDFs are untouched.\n")
            });
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks on the terminal; without one the answer is no, and the error says how to say yes.
fn confirmed(question: &str, output: Output) -> Result<bool> {
    if output.json || !std::io::stdin().is_terminal() {
        return Err(
            Error::new(ErrorCode::InvalidInput, "deleting needs a confirmation").hint("Add --yes.")
        );
    }
    output.remark(&format!("{question} [y/N]"));
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    Ok(read.is_ok() && matches!(line.trim(), "y" | "Y" | "yes"))
}

pub(crate) async fn documents(
    quartet: &Quartet,
    arguments: &arguments::Documents,
    output: Output,
    cancel: &CancellationToken,
) -> Result<ExitCode> {
    let collection = arguments.collection.as_deref();
    match &arguments.action {
        None => {
            let documents = quartet.documents(collection).await?;
            output.result(&json!({ "documents": documents }), || render::documents(&documents));
        }
        Some(DocumentAction::Delete { id }) => {
            quartet.delete_document(DocumentId(*id)).await?;
            output.result(&json!({ "deleted": id }), || {
                format!("Deleted document {id}. The PDF is untouched.\n")
            });
        }
        Some(DocumentAction::History) => {
            let history = quartet.history(collection).await?;
            output.result(&json!({ "history": history }), || {
                let rows = history.iter().map(|entry| {
                    vec![entry.when.clone(), entry.change.clone(), entry.path.clone()]
                });
                render::table(&["when", "change", "path"], rows.collect())
            });
        }
        Some(DocumentAction::Retry) => {
            let progress = Progress::new(output.json);
            let report = quartet
                .retry(collection.unwrap_or("default"), cancel, &|step| progress.update(step))
                .await;
            progress.clear();
            return crate::importing::report(&report?, output);
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn models(
    quartet: &Quartet,
    arguments: &arguments::Models,
    output: Output,
) -> Result<ExitCode> {
    match &arguments.action {
        None => {
            let models = quartet.models();
            output.result(&json!({ "models": models }), || {
                let rows = models.iter().map(|model| {
                    vec![
                        model.name.to_string(),
                        render::name(&model.role),
                        if model.path.is_some() {
                            render::bytes(model.size)
                        } else {
                            "missing".to_owned()
                        },
                        model.licence.clone().unwrap_or_else(|| "unknown".to_owned()),
                        model.description.clone(),
                    ]
                });
                render::table(&["model", "role", "size", "licence", ""], rows.collect())
            });
        }
        Some(ModelAction::Verify) => {
            let checks = quartet.verify_models();
            let bad = checks.iter().filter(|check| check.error.is_some()).count();
            output.result(&json!({ "models": checks }), || {
                let rows = checks.iter().map(|check| {
                    let state =
                        check.error.as_ref().map_or_else(|| "good".to_owned(), ToString::to_string);
                    vec![check.model.to_string(), state]
                });
                render::table(&["model", ""], rows.collect())
            });
            if bad > 0 {
                return Ok(ExitCode::from(ErrorCode::BadModel.exit_code()));
            }
        }
        Some(ModelAction::Fit { model, context }) => {
            let fit = quartet.fit(model, *context)?;
            output.result(&fit, || {
                format!(
                    "weights {}, keys and values {}, scratch {}; available {}: {}\n",
                    render::bytes(fit.weight_bytes),
                    render::bytes(fit.kv_cache_bytes),
                    render::bytes(fit.compute_bytes),
                    render::bytes(fit.available_bytes),
                    if fit.fits { "it fits" } else { "it does not fit" }
                )
            });
        }
        Some(ModelAction::Add { path }) => {
            let model = quartet.add_model(path)?;
            output.result(&model, || format!("Added. Use it with --base {}\n", model.name));
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn doctor(quartet: &Quartet, output: Output) -> Result<ExitCode> {
    let diagnosis = quartet.doctor().await?;
    let healthy = diagnosis.problems.is_empty();
    output.result(&diagnosis, || describe(&diagnosis));
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn describe(diagnosis: &Diagnosis) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "quartet   {}", diagnosis.version);
    let _ = writeln!(text, "machine   {}", diagnosis.machine);
    let _ = writeln!(text, "data      {}", diagnosis.data);
    let _ = writeln!(text, "settings  {}", diagnosis.settings);
    for folder in &diagnosis.model_folders {
        let _ = writeln!(text, "models    {folder}");
    }
    for device in diagnosis.devices.iter().flatten() {
        let _ = writeln!(text, "device    {} ({})", device.name, device.description);
    }
    if let Some(base) = &diagnosis.base {
        let _ = writeln!(text, "base      {}: {}", base.base, base.reason);
    }
    for (name, fingerprint) in &diagnosis.fingerprints {
        let _ = writeln!(text, "content   {name}: {fingerprint}");
    }
    if diagnosis.problems.is_empty() {
        text.push_str("\nNothing is wrong.\n");
    }
    for problem in &diagnosis.problems {
        let _ = writeln!(text, "\n{}", render::error(problem));
    }
    text
}
