//! What the user can set, in a commented TOML file.

use quartet_types::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The file written at first use: every setting, commented out, with its default.
pub(crate) const DEFAULT_FILE: &str = include_str!("../../../assets/config.toml");

/// Settings; what the file leaves out has its default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Base model by catalog name or file; `auto` measures this machine once and chooses.
    pub base: String,
    /// Context length of the base model, in tokens.
    pub context: u32,
    /// Threads to compute with; 0 means one per core.
    pub threads: u32,
    /// Layers of the base model to put on a GPU; -1 means all that fit.
    pub gpu_layers: i32,
    /// Longest a single PDF may take to read, in seconds.
    pub pdf_seconds: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            base: "auto".to_owned(),
            context: 4096,
            threads: 0,
            gpu_layers: -1,
            pdf_seconds: 600,
        }
    }
}

impl Settings {
    /// Reads the settings file, if there is one.
    ///
    /// # Errors
    /// If the file cannot be read, is not TOML, or has an unknown or out-of-range setting.
    pub fn load(path: &Path) -> Result<Self> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => return Err(Error::from_io(&error, path)),
        };
        let wrong = |message: String| {
            Error::new(ErrorCode::InvalidInput, message)
                .hint("Correct the file, or remove it to go back to the defaults.")
                .about_path(path)
        };
        let settings: Self =
            toml::from_str(&text).map_err(|error| wrong(error.to_string().trim().to_owned()))?;
        if !(512..=1 << 20).contains(&settings.context) {
            return Err(wrong(format!(
                "context: {} is not between 512 and 1048576",
                settings.context
            )));
        }
        if settings.pdf_seconds == 0 {
            return Err(wrong("pdf_seconds must be at least 1".to_owned()));
        }
        Ok(settings)
    }
}

/// Leaves the commented file where the settings would be, for the user to find. Failing to is
/// no error: the defaults are in force without it.
pub(crate) fn write_commented_file(path: &Path) {
    if !path.exists()
        && let Some(folder) = path.parent()
        && std::fs::create_dir_all(folder).is_ok()
    {
        let _ = std::fs::write(path, DEFAULT_FILE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commented_file_names_every_setting_with_its_default() {
        let uncommented: String = DEFAULT_FILE
            .lines()
            .filter_map(|line| line.strip_prefix("# ").filter(|rest| rest.contains(" = ")))
            .flat_map(|line| [line, "\n"])
            .collect();
        let settings: Settings = toml::from_str(&uncommented).unwrap();
        assert_eq!(settings, Settings::default());
        let names = toml::Table::try_from(Settings::default()).unwrap();
        for name in names.keys() {
            assert!(
                uncommented.contains(&format!("{name} = ")),
                "{name} is not in assets/config.toml"
            );
        }
    }

    #[test]
    fn a_misspelt_setting_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, "thread = 2\n").unwrap();
        let error = Settings::load(&path).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidInput);
        assert!(error.message.contains("thread"), "{error}");
    }
}
