//! A trained domain, from its files.

use crate::Quartet;
use crate::training::Student;
use quartet_library::StoredArtefact;
use quartet_methods::gag::Listener;
use quartet_methods::gag::memory::Channels;
use quartet_methods::gag::projector::{Projector, Shape};
use quartet_methods::gag::router::Bank;
use quartet_train::{Manifest, Parameters, read_artefact};
use quartet_types::{
    AdapterUse, ArtefactKind, CollectionId, Error, ErrorCode, GagOptions, Result, Sha256,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The projector's folder in that of the artefact.
pub(crate) const PROJECTOR: &str = "projector";
/// The prototypes.
pub(crate) const BANK: &str = "bank.json";

/// An expert, and how the base listens to it.
pub(crate) struct Domain {
    pub(crate) collection: CollectionId,
    /// The collection's name.
    pub(crate) name: String,
    pub(crate) listener: Listener,
    pub(crate) bank: Bank,
    pub(crate) options: GagOptions,
    pub(crate) expert_model: String,
    pub(crate) expert_sha256: Sha256,
    /// Digest of the expert's adapter.
    pub(crate) adapter: Sha256,
    pub(crate) adapter_file: PathBuf,
}

impl Domain {
    pub(crate) fn used(&self) -> AdapterUse {
        AdapterUse { adapter: self.adapter.clone(), scale: 1.0 }
    }

    /// Has the engine know the expert.
    pub(crate) async fn load(&self, student: &Student) -> Result<()> {
        if student.take_adapter(&self.adapter_file).await? == self.adapter {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::Corrupt,
            format!("the expert on `{}` is damaged: its file is not the one trained", self.name),
        )
        .hint("Train it again.")
        .about_path(&self.adapter_file))
    }
}

impl Quartet {
    /// A domain of a stored GAG artefact, with its expert among `stored`. Read once for as long
    /// as this program runs.
    pub(crate) async fn domain_of(
        &self,
        one: &StoredArtefact,
        stored: &[StoredArtefact],
    ) -> Result<Arc<Domain>> {
        let stale = |what: &str| {
            let message = format!("GAG on `{}` is stale: {what}", one.artefact.collection_name);
            Error::new(ErrorCode::Corrupt, message).hint("Run `quartet train gag` again.")
        };
        let report = one.artefact.gag.as_ref().ok_or_else(|| stale("it says nothing of itself"))?;
        let expert = stored.iter().find(|other| {
            other.artefact.kind == ArtefactKind::Expert
                && other.artefact.collection == one.artefact.collection
                && other.artefact.adapter == report.expert
        });
        let expert = expert.ok_or_else(|| stale("the expert it listens to has been replaced"))?;
        let known = self.domains.lock().ok().and_then(|known| known.get(&one.folder).cloned());
        if let Some(known) = known.filter(|known| known.name == one.artefact.collection_name) {
            return Ok(known);
        }
        let folder = self.artefact_folder(&one.folder);
        let place = folder.join(PROJECTOR);
        let (manifest, kept) = read_artefact(&place, None)?;
        let listener = listener(&manifest, &kept)?;
        let domain = Domain {
            collection: one.artefact.collection,
            name: one.artefact.collection_name.clone(),
            listener,
            bank: read_bank(&folder.join(BANK))?,
            options: report.options.clone(),
            expert_model: report.expert_model.clone(),
            expert_sha256: report.expert_model_sha256.clone(),
            adapter: report.expert.clone(),
            adapter_file: self.artefact_folder(&expert.folder).join("adapter.gguf"),
        };
        let domain = Arc::new(domain);
        if let Ok(mut known) = self.domains.lock() {
            known.insert(one.folder.clone(), Arc::clone(&domain));
        }
        Ok(domain)
    }
}

/// The listener of a projector's artefact.
pub(crate) fn listener(manifest: &Manifest, kept: &Parameters) -> Result<Listener> {
    let missing = |what: &str| {
        Error::new(ErrorCode::Corrupt, format!("{} has no {what}", manifest.origin.artefact))
            .hint("Run `quartet train gag` again.")
    };
    let setting = |name: &str| manifest.origin.settings.get(name).cloned().unwrap_or_default();
    let shape: Shape = serde_json::from_value(setting("shape")).map_err(|_| missing("shape"))?;
    let seed = setting("seed").as_u64().ok_or_else(|| missing("seed"))?;
    let values =
        |name: &str| kept.get(name).map(|one| one.values.clone()).ok_or_else(|| missing(name));
    let gain = values("gain")?.first().copied().ok_or_else(|| missing("gain"))?;
    let channels = match kept.get("channels.mean") {
        Some(mean) => {
            Some(Channels { mean: mean.values.clone(), deviation: values("channels.deviation")? })
        }
        None => None,
    };
    // What is indexed by the shape must have it, whatever a file says.
    let length = shape.layers * shape.slots * shape.from;
    let (constant, others) = (values("constant")?, values("others")?);
    let fits = |one: &Channels| {
        let width = shape.layers * shape.from;
        one.mean.len() == width && one.deviation.len() == width
    };
    if constant.len() != length
        || others.len() % length.max(1) != 0
        || !channels.as_ref().is_none_or(fits)
    {
        return Err(missing("tensors of its own shape"));
    }
    Ok(Listener { projector: Projector::new(shape, gain, kept)?, channels, seed, constant, others })
}

pub(crate) fn read_bank(path: &Path) -> Result<Bank> {
    let bytes = std::fs::read(path).map_err(|error| Error::from_io(&error, path))?;
    serde_json::from_slice(&bytes).map_err(|error| {
        Error::new(ErrorCode::Corrupt, format!("cannot be read: {error}"))
            .hint("Run `quartet train gag` again.")
            .about_path(path)
    })
}
