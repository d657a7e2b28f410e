//! Where what was trained goes in the end.

use crate::Quartet;
use crate::models::write_atomically;
use quartet_types::{Artefact, Error, Result};
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// What a folder of an artefact says of itself.
const MANIFEST: &str = "manifest.json";

impl Quartet {
    /// Moves what was trained, the file or folder `from`, to the artefact's own folder, as `to`;
    /// writes `beside` (names and contents) and the manifest next to it, and notes the artefact
    /// as finished now. What it takes the place of is removed.
    ///
    /// # Errors
    /// `Io` where files cannot be moved or written; those of the library.
    pub(super) async fn keep_artefact(
        &self,
        artefact: Artefact,
        from: &Path,
        to: &str,
        beside: &[(&str, Vec<u8>)],
    ) -> Result<Artefact> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let created_at = i64::try_from(now).unwrap_or(i64::MAX);
        let artefact = Artefact { created_at, ..artefact };
        let short: String = artefact.adapter.0.chars().take(12).collect();
        let name = format!("{}-{}-{short}", artefact.kind.as_str(), artefact.collection);
        let folder = self.artefact_folder(&name);
        fs::create_dir_all(&folder).map_err(|error| Error::from_io(&error, &folder))?;
        let place = folder.join(to);
        // A folder is not moved onto one that is there already: the same was trained before.
        let _ = fs::remove_dir_all(&place);
        fs::rename(from, &place).map_err(|error| Error::from_io(&error, from))?;
        for (name, bytes) in beside {
            write_atomically(&folder.join(name), bytes)?;
        }
        let manifest = serde_json::to_vec_pretty(&artefact)
            .map_err(|error| Error::internal(error.to_string()))?;
        write_atomically(&folder.join(MANIFEST), &manifest)?;
        self.replace_artefact(&artefact, &name).await?;
        Ok(artefact)
    }
}
