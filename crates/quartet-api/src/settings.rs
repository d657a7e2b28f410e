//! What the user can set, in a commented TOML file.

use quartet_types::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;
use ts_rs::TS;

/// The file written at first use: every setting, commented out, with its default.
pub(crate) const DEFAULT_FILE: &str = include_str!("../../../assets/config.toml");

/// Languages of the window.
const LANGUAGES: [&str; 3] = ["auto", "en", "de"];
/// Colours of the window.
const WORDS: [&str; 3] = ["auto", "always", "never"];
const THEMES: [&str; 3] = ["auto", "light", "dark"];

/// Settings; what the file leaves out has its default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
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
    /// GAG: by how much a domain must be nearer to a question than the general route (cosine, 0
    /// to 1); 0 takes the nearest, as the paper does.
    pub route_margin: f32,
    /// ImpRAG: states of passages kept on disk, of all collections together, in MiB; 0 keeps none.
    pub passage_states_mb: u32,
    /// ImpRAG: whether words are searched as well and both lists fused, which the paper does not:
    /// `auto` (unless implicit queries were measured to find as much here), `always` or `never`.
    pub imprag_words: String,
    /// Longest a single PDF may take to read, in seconds.
    pub pdf_seconds: u64,
    /// Language of the window: `auto`, `en` or `de`.
    pub language: String,
    /// Colours of the window: `auto`, `light` or `dark`.
    pub theme: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            base: "auto".to_owned(),
            context: 4096,
            threads: 0,
            gpu_layers: -1,
            route_margin: 0.0,
            passage_states_mb: 2048,
            imprag_words: "auto".to_owned(),
            pdf_seconds: 600,
            language: "auto".to_owned(),
            theme: "auto".to_owned(),
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
        settings.check().map_err(wrong)?;
        Ok(settings)
    }

    /// Says what is out of range.
    fn check(&self) -> std::result::Result<(), String> {
        if !(512..=1 << 20).contains(&self.context) {
            return Err(format!("context: {} is not between 512 and 1048576", self.context));
        }
        if self.threads > 1024 {
            return Err(format!("threads: {} is more than 1024", self.threads));
        }
        if !(0.0..=1.0).contains(&self.route_margin) {
            return Err(format!("route_margin: {} is not between 0 and 1", self.route_margin));
        }
        if self.passage_states_mb > 1 << 20 {
            let given = self.passage_states_mb;
            return Err(format!("passage_states_mb: {given} is not between 0 and 1048576"));
        }
        if !WORDS.contains(&self.imprag_words.as_str()) {
            return Err(format!("imprag_words: `{}` is none of {WORDS:?}", self.imprag_words));
        }
        if self.pdf_seconds == 0 {
            return Err("pdf_seconds must be at least 1".to_owned());
        }
        if !LANGUAGES.contains(&self.language.as_str()) {
            return Err(format!("language: `{}` is none of {LANGUAGES:?}", self.language));
        }
        if !THEMES.contains(&self.theme.as_str()) {
            return Err(format!("theme: `{}` is none of {THEMES:?}", self.theme));
        }
        Ok(())
    }

    /// Whether a model that is loaded under `other` would have to be loaded anew.
    pub(crate) fn concerns_engine(&self, other: &Self) -> bool {
        (self.context, self.threads, self.gpu_layers)
            != (other.context, other.threads, other.gpu_layers)
    }

    /// Writes the settings into the file, whose comments and order stay as they are. What has
    /// its default and is not in the file stays out of it.
    ///
    /// # Errors
    /// `InvalidInput` if something is out of range; `ReadOnly` and the like.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        self.check().map_err(|message| Error::new(ErrorCode::InvalidInput, message))?;
        write_commented_file(path);
        let text = std::fs::read_to_string(path).unwrap_or_else(|_| DEFAULT_FILE.to_owned());
        let wrong = |error: String| Error::new(ErrorCode::InvalidInput, error).about_path(path);
        let mut file: toml_edit::DocumentMut =
            text.parse().map_err(|error: toml_edit::TomlError| wrong(error.to_string()))?;
        let values = toml_edit::ser::to_document(self).map_err(|error| wrong(error.to_string()))?;
        let defaults = toml_edit::ser::to_document(&Self::default())
            .map_err(|error| wrong(error.to_string()))?;
        for (name, value) in values.iter() {
            let is_default =
                defaults.get(name).is_some_and(|other| other.to_string() == value.to_string());
            if !is_default || file.contains_key(name) {
                file[name] = value.clone();
            }
        }
        crate::models::write_atomically(path, file.to_string().as_bytes())
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
    fn saving_keeps_comments_and_writes_only_what_differs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, "# mine\nthreads = 2 # of eight\n").unwrap();
        let settings = Settings { threads: 3, theme: "dark".to_owned(), ..Settings::default() };
        settings.save(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# mine\nthreads = 3"), "{text}");
        assert!(text.contains("theme = \"dark\"") && !text.contains("context"), "{text}");
        assert_eq!(Settings::load(&path).unwrap(), settings);
        let back = Settings::default();
        back.save(&path).unwrap();
        assert_eq!(Settings::load(&path).unwrap(), back);
        assert!(Settings { context: 3, ..back }.save(&path).is_err());
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
