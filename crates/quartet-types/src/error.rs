//! One error type at every crate border: a code for programs, a message for people,
//! a hint that says what to do, and the file it is about.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;
use ts_rs::TS;

/// `Result` with Quartet's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// What kind of thing went wrong. Shells classify by code, never by message text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The request itself is wrong (empty question, bad option value, unknown method).
    InvalidInput,
    /// Something named does not exist (file, collection, document, job).
    NotFound,
    /// A document needs a password.
    Protected,
    /// A document has no text layer (scanned pages).
    NoText,
    /// A file is broken, truncated or not what its name says.
    BadFile,
    /// A file or a page went past its limits of memory, time or output.
    LimitExceeded,
    /// A model file was refused or could not be loaded.
    BadModel,
    /// No model for this role is installed.
    ModelMissing,
    /// A model does not fit into this machine's memory.
    DoesNotFit,
    /// A prompt is longer than the context; the message says by how many tokens.
    PromptTooLong,
    /// Asked for something that is designed but not built yet.
    NotSupported,
    /// A worker process ended unexpectedly; the request in flight is lost, nothing else.
    WorkerDied,
    /// Cancelled by the user.
    Cancelled,
    /// The data folder cannot be written.
    ReadOnly,
    /// The disk is full.
    DiskFull,
    /// Another Quartet is writing to this data folder.
    Busy,
    /// Stored data does not match its key or checksum.
    Corrupt,
    /// An operating-system error that fits none of the above.
    Io,
    /// A defect in Quartet.
    Internal,
}

impl ErrorCode {
    /// Exit status of the terminal program for this kind of error (README, "Exit codes").
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::InvalidInput => 2,
            Self::NotFound => 3,
            Self::Protected | Self::NoText | Self::BadFile | Self::LimitExceeded => 4,
            Self::BadModel | Self::ModelMissing | Self::DoesNotFit => 5,
            Self::PromptTooLong => 6,
            Self::NotSupported => 7,
            Self::Busy => 8,
            Self::ReadOnly | Self::DiskFull | Self::Io => 9,
            Self::WorkerDied => 10,
            Self::Corrupt => 11,
            Self::Internal => 70,
            Self::Cancelled => 130,
        }
    }
}

/// An error that a person can act on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error, TS)]
pub struct Error {
    /// What kind of thing went wrong.
    pub code: ErrorCode,
    /// What happened, in one sentence, without the subject's path.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The file, folder, model or collection it is about.
    pub subject: Option<String>,
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subject {
            Some(subject) => write!(formatter, "{subject}: {}", self.message),
            None => formatter.write_str(&self.message),
        }
    }
}

impl Error {
    /// An error without hint or subject; add them with [`Error::hint`] and [`Error::about`].
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None, subject: None }
    }

    /// Adds what the user can do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Names what the error is about, unless a deeper layer has already done so.
    #[must_use]
    pub fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject.get_or_insert_with(|| subject.into());
        self
    }

    /// Names the file the error is about.
    #[must_use]
    pub fn about_path(self, path: &Path) -> Self {
        self.about(path.display().to_string())
    }

    /// Turns an operating-system error about `path` into one with a code and a hint.
    #[must_use]
    pub fn from_io(error: &std::io::Error, path: &Path) -> Self {
        use std::io::ErrorKind;
        let (code, hint) = match error.kind() {
            ErrorKind::NotFound => (ErrorCode::NotFound, "Check the path."),
            ErrorKind::PermissionDenied => {
                (ErrorCode::ReadOnly, "Check who may read and write there.")
            }
            ErrorKind::ReadOnlyFilesystem => (
                ErrorCode::ReadOnly,
                "Choose a data folder that can be written, with QUARTET_HOME.",
            ),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                (ErrorCode::DiskFull, "Free some disk space and try again; nothing was lost.")
            }
            _ => (ErrorCode::Io, "Try again; if it persists, check the disk."),
        };
        Self::new(code, error.to_string()).hint(hint).about_path(path)
    }

    /// A defect in Quartet: something that was thought impossible.
    #[must_use]
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Internal, message)
            .hint("This is a defect in Quartet; please report it with the command you ran.")
    }

    /// The user asked to stop.
    #[must_use]
    pub fn cancelled() -> Self {
        Self::new(ErrorCode::Cancelled, "cancelled")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_subject_wins() {
        let error = Error::new(ErrorCode::BadFile, "truncated").about("inner.pdf").about("outer");
        assert_eq!(error.to_string(), "inner.pdf: truncated");
    }

    #[test]
    fn a_full_disk_is_named_as_such() {
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let error = Error::from_io(&full, Path::new("library.sqlite"));
        assert_eq!(error.code, ErrorCode::DiskFull);
        assert_eq!(error.subject.as_deref(), Some("library.sqlite"));
    }
}
