//! What is kept for implicit queries, on disk.
//!
//! ```text
//! DATA/implicit/<collection>/<key>.vectors            vectors, for one way of making them
//!                           /states/<key>/ledger      which passages have states
//!                           /states/<key>/*.passage   the states, one file each
//!                           /mode                     how passages are read, where chosen
//!                           /lock                     held by whoever writes here
//! ```

use super::live::Live;
use super::records;
use super::states::LEDGER;
use crate::models::write_atomically;
use quartet_types::{CollectionId, Error, ErrorCode, ImpragMode, Result, Sha256};
use std::collections::HashSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

/// The folder of a collection.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    path: PathBuf,
}

/// The right to write into a [`Folder`], until dropped.
pub(super) struct FolderLock {
    _file: File,
}

/// Everything of all collections.
pub(super) fn root(data: &Path) -> PathBuf {
    data.join("implicit")
}

impl Folder {
    pub(crate) fn new(data: &Path, collection: CollectionId) -> Self {
        Self { path: root(data).join(collection.to_string()) }
    }

    pub(super) fn vectors(&self, key: &Sha256) -> PathBuf {
        self.path.join(format!("{key}.vectors"))
    }

    pub(super) fn states(&self, key: &Sha256) -> PathBuf {
        self.path.join("states").join(&key.0)
    }

    fn mode_file(&self) -> PathBuf {
        self.path.join("mode")
    }

    /// How passages are to be read, if somebody chose.
    pub(super) fn mode(&self) -> Option<ImpragMode> {
        let name = std::fs::read_to_string(self.mode_file()).ok()?;
        ImpragMode::ALL.into_iter().find(|mode| mode.as_str() == name.trim())
    }

    /// Notes how passages are to be read.
    pub(crate) fn choose(&self, mode: ImpragMode) -> Result<()> {
        std::fs::create_dir_all(&self.path).map_err(|error| Error::from_io(&error, &self.path))?;
        write_atomically(&self.mode_file(), mode.as_str().as_bytes())
    }

    /// The right to write here.
    ///
    /// # Errors
    /// `Busy` while somebody else has it.
    pub(super) fn lock(&self) -> Result<FolderLock> {
        let path = self.path.join("lock");
        let failed = |error: std::io::Error| Error::from_io(&error, &path);
        std::fs::create_dir_all(&self.path).map_err(failed)?;
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(FolderLock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(Error::new(
                ErrorCode::Busy,
                "the passages of this collection are being encoded at the moment",
            )
            .hint("Wait until that is done; `quartet jobs` shows how far it is.")),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// Removes everything.
    pub(crate) fn remove(&self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }

    /// Whether there is anything.
    pub(super) fn is_there(&self) -> bool {
        self.path.is_dir()
    }

    fn vector_files(&self) -> Vec<PathBuf> {
        let is_vectors = |path: &PathBuf| path.extension().is_some_and(|end| end == "vectors");
        entries(&self.path).into_iter().filter(is_vectors).collect()
    }

    fn state_folders(&self) -> Vec<PathBuf> {
        entries(&self.path.join("states")).into_iter().filter(|path| path.is_dir()).collect()
    }

    /// Removes vectors and states of passages that are not there any more. The caller holds
    /// the lock.
    pub(super) fn prune(&self, live: &Live) -> Result<()> {
        for file in self.vector_files() {
            records::retain(&file, |chunk, text| live.has(chunk, text))?;
        }
        for folder in self.state_folders() {
            super::states::prune(&folder, live)?;
        }
        Ok(())
    }

    /// Removes what a model made here in other ways than those of now. The caller holds the
    /// lock.
    pub(super) fn remove_outdated(&self, owner: &[u8; 32], keep: &HashSet<Sha256>) {
        let is_outdated = |name: Option<&std::ffi::OsStr>, file: &Path| {
            let name = name.and_then(|name| name.to_str()).unwrap_or_default();
            records::kind_of(file).is_some_and(|kind| kind.owner == *owner)
                && !keep.iter().any(|key| key.0 == name)
        };
        for file in self.vector_files() {
            if is_outdated(file.file_stem(), &file) {
                let _ = std::fs::remove_file(&file);
            }
        }
        for folder in self.state_folders() {
            if is_outdated(folder.file_name(), &folder.join(LEDGER)) {
                let _ = std::fs::remove_dir_all(&folder);
            }
        }
    }
}

/// What is in a folder, in order; nothing if it cannot be read.
pub(super) fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(found) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = found.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;
    use quartet_types::ChunkId;

    #[test]
    fn one_writes_at_a_time_and_a_mode_is_remembered() {
        let data = tempfile::tempdir().unwrap();
        let folder = Folder::new(data.path(), CollectionId(3));
        assert!(!folder.is_there() && folder.mode().is_none());
        let held = folder.lock().unwrap();
        assert_eq!(folder.lock().err().unwrap().code, ErrorCode::Busy);
        drop(held);
        drop(folder.lock().unwrap());
        folder.choose(ImpragMode::Quality).unwrap();
        assert_eq!(folder.mode(), Some(ImpragMode::Quality));
        folder.remove();
        assert!(!folder.is_there());
    }

    #[test]
    fn what_a_model_made_in_another_way_goes_and_that_of_others_stays() {
        let data = tempfile::tempdir().unwrap();
        let folder = Folder::new(data.path(), CollectionId(3));
        let key = |letter: &str| Sha256(letter.repeat(64));
        let live = Live::of(vec![(ChunkId(1), "one".to_owned())]);
        let records: Vec<Vec<u8>> = [(1, "one"), (2, "gone")]
            .map(|(chunk, text)| records::head(ChunkId(chunk), records::digest_of(text)))
            .to_vec();
        for (owner, name) in [(1, "a"), (1, "b"), (2, "c")] {
            let kind = records::Kind { size: records::HEAD, owner: [owner; 32], key: [0; 32] };
            records::append(&folder.vectors(&key(name)), &kind, &records).unwrap();
            records::append(&folder.states(&key(name)).join(LEDGER), &kind, &[]).unwrap();
        }
        folder.prune(&live).unwrap();
        for file in folder.vector_files() {
            let kind = records::kind_of(&file).unwrap();
            assert_eq!(records::read(&file, &kind).unwrap(), records[..1]);
        }
        folder.remove_outdated(&[1; 32], &[key("b")].into());
        let left = |name| (folder.vectors(&key(name)).exists(), folder.states(&key(name)).exists());
        assert_eq!([left("a"), left("b"), left("c")], [(false, false), (true, true), (true, true)]);
    }
}
