//! The terminal program `quartet`: reads the command line, calls `quartet-api`, prints.
//!
//! Text for people goes to standard output, progress and errors to standard error. With
//! `--json` standard output carries exactly one JSON document, also for errors. The exit
//! status says what kind of thing went wrong (README, "Exit codes").

mod answers;
mod arguments;
mod bench;
mod controls;
mod gag;
mod housekeeping;
mod iag;
mod implicit;
mod importing;
mod imprag;
mod output;
mod progress;
mod render;
mod serve;
mod training;

use arguments::{Arguments, Command};
use clap::Parser;
use output::Output;
use quartet_api::types::{Error, Result};
use quartet_api::{CancellationToken, Quartet};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let output = Output { json: arguments.json };
    let outcome = match arguments.command {
        Command::Worker { kind } => quartet_api::run_worker(&kind).map(|()| ExitCode::SUCCESS),
        command => match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(run(command, output)),
            Err(error) => Err(Error::internal(format!("no runtime: {error}"))),
        },
    };
    outcome.unwrap_or_else(|error| {
        output.error(&error);
        ExitCode::from(error.code.exit_code())
    })
}

async fn run(command: Command, output: Output) -> Result<ExitCode> {
    let cancel = CancellationToken::new();
    tokio::spawn(cancel_on_interrupt(cancel.clone()));
    let quartet = Quartet::open().await?;
    match command {
        Command::Import(arguments) => {
            importing::import(&quartet, &arguments, output, &cancel).await
        }
        Command::Jobs(arguments) => importing::jobs(&quartet, &arguments, output, &cancel).await,
        Command::Collections(arguments) => {
            housekeeping::collections(&quartet, &arguments, output).await
        }
        Command::Documents(arguments) => {
            housekeeping::documents(&quartet, &arguments, output, &cancel).await
        }
        Command::Train(arguments) => training::train(&quartet, &arguments, output, &cancel).await,
        Command::Artefacts(arguments) => training::artefacts(&quartet, &arguments, output).await,
        Command::Routes(arguments) => gag::routes(&quartet, arguments.what, output, &cancel).await,
        Command::Imprag(arguments) => {
            implicit::imprag(&quartet, arguments.what, output, &cancel).await
        }
        Command::Models(arguments) => housekeeping::models(&quartet, &arguments, output),
        Command::Doctor => housekeeping::doctor(&quartet, output).await,
        Command::Search(arguments) => answers::search(&quartet, &arguments, output, &cancel).await,
        Command::Ask(arguments) => answers::ask(&quartet, &arguments, output, &cancel).await,
        Command::Compare(arguments) => {
            answers::compare(&quartet, &arguments, output, &cancel).await
        }
        Command::Exam(arguments) => answers::exam(&quartet, &arguments, output, &cancel).await,
        Command::Retrieval(arguments) => {
            imprag::retrieval(&quartet, &arguments, output, &cancel).await
        }
        Command::Bench(arguments) => bench::bench(&quartet, &arguments, output, &cancel).await,
        Command::Serve(arguments) => serve::serve(quartet, &arguments, output, &cancel).await,
        Command::Worker { .. } => Err(Error::internal("workers do not start workers")),
    }
}

/// The first Ctrl-C asks the work to stop where it can go on later; the second ends it.
async fn cancel_on_interrupt(cancel: CancellationToken) {
    while tokio::signal::ctrl_c().await.is_ok() {
        if cancel.is_cancelled() {
            std::process::exit(130);
        }
        cancel.cancel();
    }
}
