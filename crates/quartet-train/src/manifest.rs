//! What an artefact or a checkpoint was made from, and whether that is still so.

use quartet_types::{Error, ErrorCode, Result, Sha256};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Raised when the meaning of a stored file changes.
pub const FORMAT: u32 = 1;

/// A file that something depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// For messages: the model's or the collection's name.
    pub name: String,
    /// Digest of its content.
    pub sha256: Sha256,
}

/// What training depends on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// What is being made, for messages: `expert "contracts"`.
    pub artefact: String,
    /// The model trained through.
    pub base: Source,
    /// The study material.
    pub data: Source,
    /// Everything else that decides the result: plan, seed, preset, as JSON.
    pub settings: serde_json::Value,
}

impl Origin {
    /// Refuses to go on with something made from `self` where `now` holds.
    ///
    /// # Errors
    /// `Corrupt`, saying which artefact is stale and what changed.
    pub fn check(&self, now: &Self) -> Result<()> {
        let stale = |what: String| {
            Err(Error::new(ErrorCode::Corrupt, format!("{} is stale: {what}", self.artefact))
                .about(self.artefact.clone())
                .hint("Put the former file back, or train again from the start."))
        };
        let short = |digest: &Sha256| digest.0.chars().take(12).collect::<String>();
        for (what, then, now) in
            [("base model", &self.base, &now.base), ("study material", &self.data, &now.data)]
        {
            if then.sha256 != now.sha256 {
                return stale(format!(
                    "it was trained on the {what} `{}` ({}), which is now `{}` ({})",
                    then.name,
                    short(&then.sha256),
                    now.name,
                    short(&now.sha256)
                ));
            }
        }
        if self.settings != now.settings {
            return stale("it was trained with other settings".to_owned());
        }
        Ok(())
    }
}

/// Beside the tensors of a checkpoint or an artefact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`] when it was written.
    pub format: u32,
    /// What it was made from.
    pub origin: Origin,
    /// Updates done.
    pub step: u64,
    /// Digest of every file beside this one.
    pub files: BTreeMap<String, Sha256>,
}
