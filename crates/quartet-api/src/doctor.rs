//! A look at this machine: what computes, what is installed, what is wrong.

use crate::Quartet;
use crate::machine::MachineProfile;
use quartet_types::{Device, Error, Result};
use serde::Serialize;
use std::collections::BTreeMap;
use ts_rs::TS;

/// What `quartet doctor` finds.
#[derive(Debug, Clone, Serialize, TS)]
pub struct Diagnosis {
    /// Quartet's version.
    pub version: String,
    /// Processor, cores and memory.
    pub machine: String,
    /// The data folder.
    pub data: String,
    /// The settings file.
    pub settings: String,
    /// Folders that are looked at for models.
    pub model_folders: Vec<String>,
    /// What can compute, or why that could not be found out.
    pub devices: std::result::Result<Vec<Device>, Error>,
    /// Which base was chosen for this machine and why, once measured.
    pub base: Option<MachineProfile>,
    /// A digest of everything in each collection, by name: equal content, equal digest.
    pub fingerprints: BTreeMap<String, String>,
    /// What is wrong, with what to do about it. Empty means healthy.
    pub problems: Vec<Error>,
}

impl Quartet {
    /// Looks at this machine, the models and the data.
    ///
    /// # Errors
    /// Only if the data cannot be read at all; everything else is part of the diagnosis.
    pub async fn doctor(&self) -> Result<Diagnosis> {
        let mut problems = Vec::new();
        let devices = self.engine.devices().await;
        if let Err(error) = &devices {
            problems.push(error.clone());
        }
        for model in self.models.list() {
            match model.path {
                Some(_) => {
                    if let Err(error) = self.models.verified(&model) {
                        problems.push(error);
                    }
                }
                None => problems.extend(self.models.find(&model.name.0).err()),
            }
        }
        let mut fingerprints = BTreeMap::new();
        for collection in self.library.collections().await? {
            if let Err(error) = self.library.check(collection.id).await {
                problems.push(error.about(format!("collection {}", collection.name)));
            }
            fingerprints.insert(collection.name, self.library.fingerprint(collection.id).await?);
        }
        Ok(Diagnosis {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            machine: machine_in_words(),
            data: self.paths.data.display().to_string(),
            settings: self.paths.settings.display().to_string(),
            model_folders: self
                .paths
                .models
                .iter()
                .map(|path| path.display().to_string())
                .collect(),
            devices,
            base: self.machine_profile(),
            fingerprints,
            problems,
        })
    }
}

/// Processor, cores, memory and system, as far as they can be read.
#[must_use]
pub fn machine_in_words() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let processor = std::fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("model name"))?;
            line.split_once(':').map(|(_, name)| name.trim().to_owned())
        })
        .unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let memory = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("MemTotal"))?;
        let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(format!(", {} GiB", kibibytes.div_ceil(1 << 20)))
    });
    format!("{processor}, {cores} cores{}, {}", memory.unwrap_or_default(), std::env::consts::OS)
}
