//! Which models there are: the catalog, what is installed, and files the user added.

use crate::paths::Paths;
use quartet_gguf::{
    FitRequest, GgufFile, ModelFacts, available_memory, estimate_fit, sha256_of_file,
};
use quartet_types::{Error, ErrorCode, FitEstimate, ModelId, Result, Sha256};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::UNIX_EPOCH;
use ts_rs::TS;

const CATALOG: &str = include_str!("../../../models/catalog.toml");

/// What a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum ModelRole {
    /// Answers questions.
    Base,
    /// Thinks ahead of the base (GAG).
    Expert,
    /// Turns text into vectors for search.
    Embedder,
}

/// A model in `models/catalog.toml`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct CatalogModel {
    /// The name it goes by.
    pub(crate) name: String,
    /// What it is for.
    pub(crate) role: ModelRole,
    /// What its authors call it.
    pub(crate) upstream: String,
    /// One sentence for people.
    pub(crate) description: String,
    /// File name in a models folder.
    pub(crate) file: String,
    /// Size of the file, in bytes.
    pub(crate) size: u64,
    /// Digest of the file.
    pub(crate) sha256: Sha256,
    /// SPDX identifier of the licence, or `LicenseRef-NAME`.
    pub(crate) licence: String,
}

#[derive(Deserialize)]
struct Catalog {
    model: Vec<CatalogModel>,
}

/// A model that can be used here.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InstalledModel {
    /// The name it goes by: from the catalog, else the file's stem.
    pub name: ModelId,
    /// What it is for; unknown files count as bases.
    pub role: ModelRole,
    /// The file, where it is installed.
    pub path: Option<PathBuf>,
    /// Size of the file, in bytes.
    pub size: u64,
    /// Its licence, where the catalog names one.
    pub licence: Option<String>,
    /// One sentence for people.
    pub description: String,
    /// The digest it must have, for a model of the catalog.
    #[serde(skip)]
    expected: Option<Sha256>,
}

/// Whether an installed model is what it should be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelCheck {
    /// The model.
    pub model: ModelId,
    /// What is wrong with it; `None` means that its digest is right.
    pub error: Option<Error>,
}

/// A digest remembered with the size and time of the file it was computed from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Stamp {
    size: u64,
    modified_ns: u128,
    sha256: Sha256,
}

/// Finds models and vouches for their content.
pub(crate) struct ModelStore {
    catalog: Vec<CatalogModel>,
    folders: Vec<PathBuf>,
    stamps_path: PathBuf,
    stamps: Mutex<BTreeMap<PathBuf, Stamp>>,
}

impl ModelStore {
    /// Reads the catalog and the digests remembered from earlier runs.
    ///
    /// # Errors
    /// If the built-in catalog is malformed, which a test rules out.
    pub(crate) fn open(paths: &Paths) -> Result<Self> {
        let catalog: Catalog = toml::from_str(CATALOG)
            .map_err(|error| Error::internal(format!("models/catalog.toml: {error}")))?;
        let stamps_path = paths.data.join("model-digests.json");
        // A lost or broken file of digests costs one re-hash, nothing else.
        let stamps = std::fs::read(&stamps_path)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        Ok(Self {
            catalog: catalog.model,
            folders: paths.models.clone(),
            stamps_path,
            stamps: Mutex::new(stamps),
        })
    }

    /// Every model of the catalog, installed or not, then every other GGUF in the folders.
    pub(crate) fn list(&self) -> Vec<InstalledModel> {
        let mut models: Vec<InstalledModel> =
            self.catalog.iter().map(|entry| self.known(entry)).collect();
        for folder in &self.folders {
            let Ok(entries) = std::fs::read_dir(folder) else { continue };
            let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
            files.sort();
            for path in files {
                let is_gguf = path
                    .extension()
                    .is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"));
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                if is_gguf && !self.catalog.iter().any(|entry| entry.file == name) {
                    models.push(unknown(&path));
                }
            }
        }
        models
    }

    /// The installed model of this name, or the GGUF file at this path.
    ///
    /// # Errors
    /// `ModelMissing` with what to do about it.
    pub(crate) fn find(&self, name: &str) -> Result<InstalledModel> {
        let path = Path::new(name);
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"))
            && path.is_file()
        {
            return Ok(unknown(&crate::paths::absolute(path)?));
        }
        let missing = |message: String| {
            Error::new(ErrorCode::ModelMissing, message).hint(
                "`make models` gets the default models; `quartet models` lists what is there.",
            )
        };
        match self.list().into_iter().find(|model| model.name.0 == name) {
            Some(model) if model.path.is_some() => Ok(model),
            Some(_) => Err(missing(format!("the model `{name}` is not installed"))),
            None => Err(missing(format!("there is no model `{name}`"))),
        }
    }

    /// The embedding model.
    ///
    /// # Errors
    /// `ModelMissing`.
    pub(crate) fn embedder(&self) -> Result<InstalledModel> {
        let name = self.catalog.iter().find(|entry| entry.role == ModelRole::Embedder);
        self.find(name.map_or("embedder", |entry| entry.name.as_str()))
    }

    /// The model that becomes an expert.
    ///
    /// # Errors
    /// `ModelMissing`.
    pub(crate) fn expert(&self) -> Result<InstalledModel> {
        let name = self.catalog.iter().find(|entry| entry.role == ModelRole::Expert);
        self.find(name.map_or("expert", |entry| entry.name.as_str()))
    }

    /// Checks every installed model of the catalog against its digest.
    pub(crate) fn check_all(&self) -> Vec<ModelCheck> {
        let installed = self.list().into_iter().filter(|model| model.path.is_some());
        installed
            .map(|model| ModelCheck { error: self.verified(&model).err(), model: model.name })
            .collect()
    }

    /// The file of a model and its digest, checked against the catalog.
    ///
    /// A file is hashed once and again whenever its size or time changes.
    ///
    /// # Errors
    /// `ModelMissing`; `BadModel` where the digest is not the catalog's.
    pub(crate) fn verified(&self, model: &InstalledModel) -> Result<(PathBuf, Sha256)> {
        let path = model.path.clone().ok_or_else(|| {
            Error::new(
                ErrorCode::ModelMissing,
                format!("the model `{}` is not installed", model.name),
            )
        })?;
        let sha256 = self.digest(&path)?;
        if let Some(expected) = &model.expected
            && *expected != sha256
        {
            return Err(Error::new(
                ErrorCode::BadModel,
                format!("its SHA-256 is {sha256}, the catalog says {expected}"),
            )
            .hint("The file is damaged or was replaced: remove it and run `make models`.")
            .about_path(&path));
        }
        Ok((path, sha256))
    }

    /// Whether a model would fit into this machine's memory with `context` tokens.
    ///
    /// # Errors
    /// If the file is not a valid model.
    pub(crate) fn fit(&self, path: &Path, context: u32) -> Result<FitEstimate> {
        let facts = ModelFacts::from_file(&GgufFile::open(path)?)?;
        let request = FitRequest {
            context,
            batch: 512,
            output_rows: 1,
            available_bytes: available_memory().unwrap_or(u64::MAX),
        };
        Ok(estimate_fit(&facts, request))
    }

    /// Copies nothing: links a GGUF into the first models folder, after validating it.
    ///
    /// # Errors
    /// If the file is not a valid model, or the link cannot be made.
    pub(crate) fn add(&self, path: &Path) -> Result<InstalledModel> {
        let path = crate::paths::absolute(path)?;
        ModelFacts::from_file(&GgufFile::open(&path)?)?;
        let folder = self.folders.first().ok_or_else(|| Error::internal("no models folder"))?;
        std::fs::create_dir_all(folder).map_err(|error| Error::from_io(&error, folder))?;
        let name = path
            .file_name()
            .ok_or_else(|| Error::new(ErrorCode::InvalidInput, "not a file").about_path(&path))?;
        let target = folder.join(name);
        if target.exists() {
            return Err(Error::new(
                ErrorCode::InvalidInput,
                "a model of this name is already there",
            )
            .hint("Rename the file first.")
            .about_path(&target));
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(&path, &target)
            .map_err(|error| Error::from_io(&error, &target))?;
        #[cfg(not(unix))]
        std::fs::hard_link(&path, &target).map_err(|error| Error::from_io(&error, &target))?;
        Ok(unknown(&target))
    }

    /// Takes a model that was added off the list again. Only our link goes, never a file.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` for a model that was not added by a link.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        let model = self.find(name)?;
        let path = model.path.unwrap_or_default();
        if model.expected.is_none() && path.is_symlink() {
            return std::fs::remove_file(&path).map_err(|error| Error::from_io(&error, &path));
        }
        Err(Error::new(ErrorCode::InvalidInput, "this model was not added as a link")
            .hint("To be rid of it, delete the file yourself.")
            .about_path(&path))
    }

    fn known(&self, entry: &CatalogModel) -> InstalledModel {
        let path =
            self.folders.iter().map(|folder| folder.join(&entry.file)).find(|path| path.is_file());
        InstalledModel {
            name: ModelId(entry.name.clone()),
            role: entry.role,
            path,
            size: entry.size,
            licence: Some(entry.licence.clone()),
            description: format!("{} ({})", entry.description, entry.upstream),
            expected: Some(entry.sha256.clone()),
        }
    }

    fn digest(&self, path: &Path) -> Result<Sha256> {
        let metadata = std::fs::metadata(path).map_err(|error| Error::from_io(&error, path))?;
        let modified_ns = metadata
            .modified()
            .ok()
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
            .map_or(0, |age| age.as_nanos());
        let remembered = self.stamps().get(path).cloned();
        if let Some(stamp) = remembered
            && stamp.size == metadata.len()
            && stamp.modified_ns == modified_ns
        {
            return Ok(stamp.sha256);
        }
        let sha256 = sha256_of_file(path, |_| ControlFlow::Continue(()))?;
        let stamp = Stamp { size: metadata.len(), modified_ns, sha256: sha256.clone() };
        let mut stamps = self.stamps();
        stamps.insert(path.to_owned(), stamp);
        // Remembering is a convenience: a read-only data folder must not stop a search.
        if let Ok(bytes) = serde_json::to_vec_pretty(&*stamps) {
            let _ = write_atomically(&self.stamps_path, &bytes);
        }
        Ok(sha256)
    }

    fn stamps(&self) -> std::sync::MutexGuard<'_, BTreeMap<PathBuf, Stamp>> {
        self.stamps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unknown(path: &Path) -> InstalledModel {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("model");
    InstalledModel {
        name: ModelId(stem.to_owned()),
        role: ModelRole::Base,
        path: Some(path.to_owned()),
        size: std::fs::metadata(path).map_or(0, |metadata| metadata.len()),
        licence: None,
        description: "Added by you; its licence is yours to check.".to_owned(),
        expected: None,
    }
}

/// Writes a file so that a crash leaves either the old content or the new.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = path.with_extension("partial");
    let write = || {
        let mut file = std::fs::File::create(&temporary)?;
        file.write_all(bytes)?;
        // Renamed before it is on the disk, it could be empty after a power cut.
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    };
    write().map_err(|error| Error::from_io(&error, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalog_names_a_licence_and_a_digest_for_every_model() {
        let catalog: Catalog = toml::from_str(CATALOG).unwrap();
        assert!(catalog.model.iter().any(|model| model.role == ModelRole::Embedder));
        for model in catalog.model {
            assert!(!model.licence.is_empty(), "{} has no licence", model.name);
            assert_eq!(model.sha256.0.len(), 64, "{} has no digest", model.name);
        }
    }
}
