//! The desktop program: one window on `quartet-api`, and the workers it starts, which are this
//! same executable.

// No console window beside the window on Windows.
#![cfg_attr(not(debug_assertions), windows_subsystem = "windows")]

mod commands;
mod dialogs;
mod drops;
mod window;

use quartet_api::types::{Error, ErrorCode, Result};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.as_slice() {
        [word, kind] if word == "worker" => quartet_api::run_worker(kind),
        _ => check_display().and_then(|()| window::run()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&error);
            ExitCode::from(error.code.exit_code())
        }
    }
}

/// Refuses to start where there is no place for a window.
fn check_display() -> Result<()> {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if cfg!(target_os = "linux") && !is_set("DISPLAY") && !is_set("WAYLAND_DISPLAY") {
        return Err(Error::new(ErrorCode::NotSupported, "there is no display to open a window on")
            .hint("Use the terminal program: `quartet ask`, or `quartet serve` for the window in a browser."));
    }
    Ok(())
}

/// Says what went wrong to whoever started the program from a terminal.
#[expect(clippy::print_stderr, reason = "there is no window to say it in")]
fn tell(error: &Error) {
    eprintln!("error: {error}");
    if let Some(hint) = &error.hint {
        eprintln!("hint: {hint}");
    }
}
