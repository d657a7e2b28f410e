//! Imagination for a base and a collection: the imagine model, and what makes weights.

use crate::Quartet;
use crate::engine::{BaseReader, Engine, unexpected};
use crate::models::InstalledModel;
use async_trait::async_trait;
use quartet_gguf::sha256_of_bytes;
use quartet_library::StoredArtefact;
use quartet_methods::iag::imagining::imagine;
use quartet_methods::iag::tuner::Weights;
use quartet_methods::iag::{Maker, Tuner, template};
use quartet_methods::{Imagination, Imagined, Reader};
use quartet_train::read_artefact;
use quartet_types::{
    AdapterSource, AdapterUse, ArtefactKind, Collection, EngineReply, EngineRequest, Error,
    ErrorCode, ModelId, Result, Sha256,
};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

/// Where an artefact's files are, below its folder.
pub(crate) const MADE: &str = "made";

/// The files of an IAG artefact.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    /// A folder.
    pub(crate) tuner: PathBuf,
    pub(crate) feed_forward: PathBuf,
    pub(crate) imagine: PathBuf,
}

impl Files {
    pub(crate) fn below(folder: &Path) -> Self {
        Self {
            tuner: folder.join("tuner"),
            feed_forward: folder.join("feed_forward.gguf"),
            imagine: folder.join("imagine.gguf"),
        }
    }
}

/// Imagination, loaded and ready.
pub(crate) struct Imaginings {
    engine: Arc<Engine>,
    base: ModelId,
    tuner: Tuner,
    imaginer: BaseReader,
    adapters: Vec<AdapterUse>,
    key: String,
    /// Documents by question, for as long as this lives.
    written: Mutex<HashMap<String, Imagined>>,
}

impl Imaginings {
    /// What answers depend on.
    pub(crate) fn key(&self) -> String {
        self.key.clone()
    }

    pub(crate) fn adapters(&self) -> Vec<Sha256> {
        let fixed = self.tuner.feed_forward.iter().map(|one| one.adapter.clone());
        fixed.chain(self.tuner.members.iter().cloned()).collect()
    }
}

#[async_trait]
impl Imagination for Imaginings {
    fn tuner(&self) -> Result<&Tuner> {
        Ok(&self.tuner)
    }

    async fn imagine(&self, question: &str, cancel: &CancellationToken) -> Result<Imagined> {
        let known =
            self.written.lock().unwrap_or_else(PoisonError::into_inner).get(question).cloned();
        if let Some(known) = known {
            return Ok(Imagined { cached: true, ..known });
        }
        let tokens = self.tuner.options.document_tokens;
        let made = imagine(question, &self.imaginer, &self.adapters, tokens, cancel).await?;
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.insert(question.to_owned(), made.clone());
        Ok(made)
    }

    async fn take_adapter(&self, file: Vec<u8>, cancel: &CancellationToken) -> Result<Sha256> {
        load_adapter(&self.engine, &self.base, AdapterSource::Bytes(file), cancel).await
    }

    async fn forget_adapter(&self, adapter: &Sha256) -> Result<()> {
        let request =
            EngineRequest::FreeAdapter { model: self.base.clone(), adapter: adapter.clone() };
        // Whatever was cancelled, memory is given back.
        match self.engine.call(request, &CancellationToken::new(), |_| {}).await? {
            EngineReply::Done => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    fn scorer(&self) -> Result<&dyn Reader> {
        Ok(&self.imaginer)
    }
}

pub(crate) async fn load_adapter(
    engine: &Engine,
    model: &ModelId,
    source: AdapterSource,
    cancel: &CancellationToken,
) -> Result<Sha256> {
    let request = EngineRequest::LoadAdapter { model: model.clone(), source };
    match engine.call(request, cancel, |_| {}).await? {
        EngineReply::AdapterLoaded(loaded) => Ok(loaded.adapter),
        other => Err(unexpected(&other)),
    }
}

impl Quartet {
    /// What imagines for a base and a collection.
    ///
    /// # Errors
    /// `NotFound` where nothing was trained; `ModelMissing` for the imagine model; `Corrupt` for
    /// files that are not the ones trained.
    pub(crate) async fn imagination(
        &self,
        collection: &Collection,
        base: &BaseReader,
        cancel: &CancellationToken,
    ) -> Result<Imaginings> {
        let (_, sha256) = self.models.verified(base.installed())?;
        let stored = self.library.artefacts(Some(collection.id)).await?;
        let fits = |one: &&StoredArtefact| {
            one.artefact.kind == ArtefactKind::Iag && one.artefact.model_sha256 == sha256
        };
        let found = stored.iter().find(fits);
        let Some((one, report)) =
            found.and_then(|one| one.artefact.iag.as_ref().map(|report| (one, report)))
        else {
            return Err(Error::new(
                ErrorCode::NotFound,
                format!(
                    "nothing imagines for `{}` and the base `{}` yet",
                    collection.name,
                    base.model().model
                ),
            )
            .hint("`quartet train iag` makes it."));
        };
        let files = Files::below(&self.artefact_folder(&one.folder).join(MADE));
        let model = self.models.find(&report.imagine_model)?;
        let (_, imagine_sha256) = self.models.verified(&model)?;
        if imagine_sha256 != report.imagine_model_sha256 {
            return Err(Error::new(
                ErrorCode::Corrupt,
                format!("the imagine model `{}` is not the one that was taught", model.name.0),
            )
            .hint("Run `quartet train iag` again."));
        }
        let made = self.imaginings(&files, model, base, cancel).await?;
        let known = (&report.imagine_adapter, &report.adapters);
        let (own, fixed) = (made.adapters.first().map(|one| &one.adapter), made.adapters());
        if own != Some(known.0) || fixed != *known.1 {
            return Err(Error::new(
                ErrorCode::Corrupt,
                "an adapter of IAG is damaged: its file is not the one trained",
            )
            .hint("Run `quartet train iag` again.")
            .about_path(&files.imagine));
        }
        Ok(made)
    }

    /// Loads what was made.
    pub(crate) async fn imaginings(
        &self,
        files: &Files,
        imagine_model: InstalledModel,
        base: &BaseReader,
        cancel: &CancellationToken,
    ) -> Result<Imaginings> {
        let (manifest, kept) = read_artefact(&files.tuner, None)?;
        let settings = &manifest.origin.settings;
        let stale = || {
            Error::new(ErrorCode::Corrupt, "was made by another version")
                .hint("Run `quartet train iag` again.")
                .about_path(&files.tuner)
        };
        if settings.get("template").and_then(|one| one.as_str()) != Some(template::VERSION) {
            return Err(stale());
        }
        let setting = |name: &str| settings.get(name).cloned().unwrap_or_default();
        let maker: Maker = serde_json::from_value(setting("maker")).map_err(|_| stale())?;
        let options = serde_json::from_value(setting("options")).map_err(|_| stale())?;
        // What is indexed by the shape must be the base's, whatever a file says.
        let (shape, described) = (maker.shape(), base.model());
        if shape.layers != described.layers as usize || shape.architecture != described.architecture
        {
            return Err(stale());
        }
        let mut tuner = Tuner::new(&maker, options, &kept)?;
        let id = base.model().model.clone();
        if files.feed_forward.exists() {
            let source = AdapterSource::File(files.feed_forward.clone());
            let adapter = load_adapter(&self.engine, &id, source, cancel).await?;
            tuner.feed_forward = Some(AdapterUse { adapter, scale: 1.0 });
        }
        if let Weights::Bank(bank) = &tuner.weights {
            let mut members = Vec::new();
            for file in bank.members() {
                let source = AdapterSource::Bytes(file.clone());
                members.push(load_adapter(&self.engine, &id, source, cancel).await?);
            }
            tuner.members = members;
        }
        let engine = Arc::clone(&self.engine);
        let imaginer = BaseReader::load(engine, imagine_model, cancel, |_| {}).await?;
        let source = AdapterSource::File(files.imagine.clone());
        let imagine_id = imaginer.model().model.clone();
        let adapter = load_adapter(&self.engine, &imagine_id, source, cancel).await?;
        let digests = serde_json::to_vec(&manifest.files)
            .map_err(|error| Error::internal(error.to_string()))?;
        let key = format!("{} {adapter}", sha256_of_bytes(&digests));
        Ok(Imaginings {
            engine: Arc::clone(&self.engine),
            base: id,
            tuner,
            imaginer,
            adapters: vec![AdapterUse { adapter, scale: 1.0 }],
            key,
            written: Mutex::new(HashMap::new()),
        })
    }
}
