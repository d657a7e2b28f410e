//! The desktop program: one window on `quartet-api`, and the workers it starts, which are this
//! same executable.

// No console window beside the window on Windows.
#![cfg_attr(not(debug_assertions), windows_subsystem = "windows")]

mod commands;
mod dialogs;
mod drops;
mod window;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.as_slice() {
        [word, kind] if word == "worker" => quartet_api::run_worker(kind),
        _ => window::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => ExitCode::from(error.code.exit_code()),
    }
}
