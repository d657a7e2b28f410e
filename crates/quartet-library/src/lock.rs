//! One writer at a time, one training, one encoding of passages. A lock is the operating system's, so it ends with its holder
//! however that ends; the process id in the file is only for the message.

use quartet_types::{Error, ErrorCode, JobKind, Result};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

/// Held by whoever changes documents.
pub(crate) const WRITER: &str = "writer.lock";
/// Held by whoever trains, which leaves documents alone.
pub(crate) const TRAINER: &str = "trainer.lock";
/// Held by whoever encodes passages for implicit queries.
pub(crate) const ENCODER: &str = "encoder.lock";

/// The lock that a job of this kind needs.
pub(crate) fn lock_file(kind: JobKind) -> &'static str {
    match kind {
        JobKind::Import => WRITER,
        JobKind::Exam | JobKind::Synthesise | JobKind::Train => TRAINER,
        JobKind::Encode => ENCODER,
    }
}

/// The right to write to a data folder, or to train on it, until dropped.
#[derive(Debug)]
pub(crate) struct WriterLock {
    _file: File,
}

impl WriterLock {
    pub(crate) fn take(root: &Path, name: &str) -> Result<Self> {
        let path = root.join(name);
        let failed = |error: std::io::Error| Error::from_io(&error, &path);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                let holder = holder.trim();
                let process =
                    if holder.is_empty() { String::new() } else { format!(" (process {holder})") };
                let what = match name {
                    TRAINER => "training on",
                    ENCODER => "encoding passages of",
                    _ => "writing to",
                };
                return Err(Error::new(
                    ErrorCode::Busy,
                    format!("another Quartet{process} is {what} this data folder"),
                )
                .hint("Wait until it is done, or pause its job with `quartet jobs`; searching and asking work meanwhile.")
                .about_path(root));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0).map_err(failed)?;
        file.rewind().map_err(failed)?;
        write!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(Self { _file: file })
    }

    /// Whether nobody holds the lock at the moment.
    pub(crate) fn is_free(root: &Path, name: &str) -> bool {
        match OpenOptions::new().read(true).write(true).open(root.join(name)) {
            // Shared, so that two that look at the same time do not see each other.
            Ok(file) => file.try_lock_shared().is_ok(),
            Err(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_it_at_a_time_and_is_named() {
        let folder = tempfile::tempdir().unwrap();
        assert!(WriterLock::is_free(folder.path(), WRITER), "nobody has ever written");
        let held = WriterLock::take(folder.path(), WRITER).unwrap();
        assert!(!WriterLock::is_free(folder.path(), WRITER));
        let error = WriterLock::take(folder.path(), WRITER).unwrap_err();
        assert_eq!(error.code, ErrorCode::Busy);
        assert!(error.message.contains(&format!("process {}", std::process::id())), "{error}");
        assert!(error.hint.is_some() && error.subject.is_some());
        drop(WriterLock::take(folder.path(), TRAINER).expect("training is another matter"));
        drop(held);
        assert!(WriterLock::is_free(folder.path(), WRITER));
        WriterLock::take(folder.path(), WRITER).unwrap();
    }

    #[test]
    fn what_an_earlier_holder_left_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("writer.lock"), "12345678901234567890").unwrap();
        let _held = WriterLock::take(folder.path(), WRITER).unwrap();
        let process = std::fs::read_to_string(folder.path().join("writer.lock")).unwrap();
        assert_eq!(process, std::process::id().to_string());
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = WriterLock::take(&folder.path().join("absent"), WRITER).unwrap_err();
        assert_eq!(error.code, ErrorCode::NotFound);
        assert!(error.subject.unwrap().contains("absent"));
    }
}
