//! The folder of a training under way: every finished part is a file, written whole or not at
//! all, so that another process goes on after it.

use crate::models::write_atomically;
use quartet_types::{Error, ErrorCode, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs;
use std::path::{Path, PathBuf};

/// A folder for one job.
#[derive(Debug, Clone)]
pub(super) struct WorkFolder(PathBuf);

impl WorkFolder {
    pub(super) fn open(path: PathBuf) -> Result<Self> {
        fs::create_dir_all(&path).map_err(|error| Error::from_io(&error, &path))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// What an earlier run left under this name.
    pub(super) fn load<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let path = self.0.join(name);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|error| Error::from_io(&error, &path))?,
        };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            Error::new(ErrorCode::Corrupt, format!("cannot be read: {error}"))
                .hint("Cancel this training and start it again.")
                .about_path(&path)
        })
    }

    pub(super) fn store(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let bytes =
            serde_json::to_vec(value).map_err(|error| Error::internal(error.to_string()))?;
        write_atomically(&self.0.join(name), &bytes)
    }

    /// The work is done, or given up.
    pub(super) fn remove(&self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
