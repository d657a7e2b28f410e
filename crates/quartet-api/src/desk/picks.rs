//! Files the user chose, as opaque ids: a page can only name what a person dropped, picked in a
//! dialog, or uploaded.

use super::replies::Pick;
use super::{Desk, lock};
use quartet_types::{Error, ErrorCode, Result};
use serde::Deserialize;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Names shown of a pick.
const NAMES_SHOWN: usize = 20;

/// What is being chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PickKind {
    /// PDF files.
    Files,
    /// A folder.
    Folder,
    /// A GGUF file.
    Model,
}

/// A folder that an upload is written to.
#[derive(Debug, Clone)]
pub struct Upload {
    /// Its id.
    pub id: String,
    /// The folder, below the data folder.
    pub folder: PathBuf,
}

/// What has been chosen and not been used yet.
#[derive(Debug, Default)]
pub(super) struct Picks {
    next: AtomicU64,
    paths: Mutex<HashMap<String, Vec<PathBuf>>>,
    uploads: Mutex<HashMap<String, PathBuf>>,
}

impl Desk {
    /// Remembers paths a person chose and returns the id a page may know them by.
    pub fn register(&self, paths: Vec<PathBuf>) -> Pick {
        let id = format!("pick-{}", self.picks.next.fetch_add(1, Ordering::Relaxed));
        let name = |path: &PathBuf| {
            path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
        };
        let folders = paths.iter().filter(|path| path.is_dir()).count();
        let pick = Pick {
            id: id.clone(),
            names: paths.iter().take(NAMES_SHOWN).map(name).collect(),
            files: u32::try_from(paths.len() - folders).unwrap_or(u32::MAX),
            folders: u32::try_from(folders).unwrap_or(u32::MAX),
        };
        lock(&self.picks.paths).insert(id, paths);
        pick
    }

    /// The paths of a pick; it can be used once.
    pub(super) fn take_pick(&self, id: &str) -> Result<Vec<PathBuf>> {
        lock(&self.picks.paths).remove(id).ok_or_else(|| {
            Error::new(ErrorCode::NotFound, "these files were taken in already")
                .hint("Drop or choose them again.")
        })
    }

    /// A fresh folder for an upload, below the data folder.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn begin_upload(&self) -> Result<Upload> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let id = format!("{now:x}-{}", self.picks.next.fetch_add(1, Ordering::Relaxed));
        let folder = self.uploads_folder().join(&id);
        std::fs::create_dir_all(&folder).map_err(|error| Error::from_io(&error, &folder))?;
        lock(&self.picks.uploads).insert(id.clone(), folder.clone());
        Ok(Upload { id, folder })
    }

    /// The folder of an upload under way.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn upload_folder(&self, id: &str) -> Result<PathBuf> {
        lock(&self.picks.uploads)
            .get(id)
            .cloned()
            .ok_or_else(|| Error::new(ErrorCode::NotFound, "there is no such upload"))
    }

    /// Registers what was uploaded.
    ///
    /// # Errors
    /// `NotFound` for the upload; `InvalidInput` if nothing was uploaded, or not one model.
    pub fn finish_upload(&self, id: &str, kind: PickKind) -> Result<Pick> {
        let folder = self.upload_folder(id)?;
        let entries =
            std::fs::read_dir(&folder).map_err(|error| Error::from_io(&error, &folder))?;
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        if paths.is_empty() || (kind == PickKind::Model && paths.len() != 1) {
            return Err(Error::new(ErrorCode::InvalidInput, "nothing usable was uploaded")
                .hint("Choose PDF files or a folder; for a model, one GGUF file."));
        }
        lock(&self.picks.uploads).remove(id);
        Ok(self.register(paths))
    }

    /// Where uploads are kept: copies of ours, which go with their documents.
    pub(super) fn uploads_folder(&self) -> PathBuf {
        self.quartet().paths().data.join("uploads")
    }

    /// Deletes our copy of an uploaded file; a file of the user's is left alone.
    pub(super) fn forget_upload(&self, path: &Path) {
        if path.starts_with(self.uploads_folder()) {
            let _ = std::fs::remove_file(path);
            if let Some(folder) = path.parent() {
                // Only if it is empty.
                let _ = std::fs::remove_dir(folder);
            }
        }
    }
}
