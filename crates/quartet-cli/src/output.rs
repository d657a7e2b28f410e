//! The only place that prints: text for people, or one JSON document for programs.

use crate::render;
use quartet_api::types::Error;
use serde::Serialize;
use std::io::{self, Write};

/// How to print.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// JSON instead of text.
    pub(crate) json: bool,
}

impl Output {
    /// The result of a command: `value` as JSON, or `text`.
    pub(crate) fn result(self, value: &impl Serialize, text: impl FnOnce() -> String) {
        if self.json {
            match serde_json::to_string_pretty(value) {
                Ok(json) => write(&mut io::stdout(), &format!("{json}\n")),
                Err(error) => self.error(&Error::internal(error.to_string())),
            }
        } else {
            write(&mut io::stdout(), &text());
        }
    }

    /// The result of a command that goes on: one line, as JSON or as text, out at once.
    pub(crate) fn line(self, value: &serde_json::Value, text: &str) {
        if self.json {
            write(&mut io::stdout(), &format!("{value}\n"));
        } else {
            write(&mut io::stdout(), &format!("{text}\n"));
        }
    }

    /// More text for people; nothing with JSON.
    pub(crate) fn text(self, text: &str) {
        if !self.json {
            write(&mut io::stdout(), text);
        }
    }

    /// A remark for people beside the result; nothing with JSON.
    pub(crate) fn remark(self, text: &str) {
        if !self.json {
            write(&mut io::stderr(), &format!("{text}\n"));
        }
    }

    /// What went wrong.
    pub(crate) fn error(self, error: &Error) {
        if self.json {
            let value = serde_json::json!({ "error": error });
            write(&mut io::stdout(), &format!("{value:#}\n"));
        } else {
            write(&mut io::stderr(), &format!("{}\n", render::error(error)));
        }
    }
}

/// A reader that went away (`| head`) is no reason to complain.
fn write(to: &mut impl Write, text: &str) {
    let _ = to.write_all(text.as_bytes()).and_then(|()| to.flush());
}
