//! Where things are on disk.

use quartet_types::{Error, ErrorCode, Result};
use std::env;
use std::path::{Path, PathBuf};

/// The environment variables Quartet reads, all in one place.
pub mod variables {
    /// Puts all data, and the settings, below this folder.
    pub const HOME: &str = "QUARTET_HOME";
    /// A folder with models, looked at before the others.
    pub const MODELS: &str = "QUARTET_MODELS";
    /// The base model to use, in place of the one in the settings.
    pub const BASE: &str = "QUARTET_BASE";
}

/// The folders Quartet reads and writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// Library, jobs and everything derived from documents.
    pub data: PathBuf,
    /// The settings file.
    pub settings: PathBuf,
    /// Folders that may hold models, in the order they are looked at. Models are only read
    /// here, so they may be shared by several data folders.
    pub models: Vec<PathBuf>,
}

impl Paths {
    /// Works the folders out from the environment.
    ///
    /// # Errors
    /// If there is neither `QUARTET_HOME` nor a home folder.
    pub fn discover() -> Result<Self> {
        let variable =
            |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let user = directories::ProjectDirs::from("", "", "quartet");
        let user_data = user.as_ref().map(|folders| folders.data_dir().to_owned());
        let home = variable(variables::HOME);
        let data = home.clone().or_else(|| user_data.clone()).ok_or_else(|| {
            Error::new(ErrorCode::NotFound, "there is no home folder to keep data in")
                .hint("Set QUARTET_HOME to a folder that can be written.")
        })?;
        let settings = match (&home, &user) {
            (None, Some(folders)) => folders.config_dir().join("config.toml"),
            _ => data.join("config.toml"),
        };
        let models = variable(variables::MODELS)
            .into_iter()
            .chain(home.map(|home| home.join("models")))
            .chain(user_data.map(|data| data.join("models")))
            .collect();
        Ok(Self { data: absolute(&data)?, settings, models })
    }
}

/// Makes a path independent of the current folder, which workers may not share.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|error| Error::from_io(&error, path))
}
