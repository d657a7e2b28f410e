//! The same executable, started again as a worker.

use quartet_types::{Error, ErrorCode, Result};
use quartet_worker::WorkerCommand;
use std::ffi::OsString;
use std::path::Path;

/// What a shell must do with `quartet worker KIND`: serve until the parent ends.
///
/// # Errors
/// `InvalidInput` for an unknown kind; whatever stops the worker.
pub fn run_worker(kind: &str) -> Result<()> {
    match kind {
        "engine" => quartet_llm::serve_engine(),
        "pdf" => quartet_pdf::serve(),
        "trainer" => crate::training::worker::serve_trainer(),
        _ => Err(Error::new(ErrorCode::InvalidInput, format!("there is no worker `{kind}`"))),
    }
}

/// How the parent starts a worker of this kind.
pub(crate) fn worker_command(program: &Path, kind: &str) -> WorkerCommand {
    let environment = match kind {
        "engine" => quartet_llm::ENGINE_ENVIRONMENT
            .iter()
            .map(|(name, value)| (OsString::from(name), OsString::from(value)))
            .collect(),
        _ => Vec::new(),
    };
    WorkerCommand {
        program: program.to_owned(),
        arguments: vec!["worker".into(), kind.into()],
        environment,
    }
}
