//! How a base is set up for a collection: as it was taught, as it is shipped, or bare.

use super::base::Base;
use super::folder::Folder;
use crate::Quartet;
use crate::engine::unexpected;
use quartet_library::StoredArtefact;
use quartet_methods::imprag::Setup;
use quartet_types::{
    AdapterSource, AdapterUse, ArtefactKind, CollectionId, EngineReply, EngineRequest, Error,
    ErrorCode, ImpragReport, ImpragSettings, ImpragTier, Result, Sha256,
};
use tokio_util::sync::CancellationToken;

/// What a base was taught, with the files of its adapters.
#[derive(Debug, Clone)]
pub(crate) struct Taught {
    pub(crate) settings: ImpragSettings,
    pub(crate) tier: ImpragTier,
    /// In force while the query is made.
    pub(crate) query: Vec<AdapterUse>,
    /// In force while passage vectors are made.
    pub(crate) passage: Vec<AdapterUse>,
    /// In force while the answer is written.
    pub(crate) reader: Vec<AdapterUse>,
    /// In force while passages are encoded for reading.
    pub(crate) states: Vec<AdapterUse>,
    pub(crate) threshold: Option<f32>,
    /// Every adapter that is used, and where it is.
    pub(crate) files: Vec<(Sha256, AdapterSource)>,
}

/// What is shipped for a base: general retrieval heads and a reader.
pub(crate) fn starting_point(_base: &Sha256) -> Option<Taught> {
    // STARTING POINT: read assets/imprag/ here.
    None
}

impl Taught {
    /// A base that was taught nothing.
    fn nothing(settings: ImpragSettings) -> Self {
        Self {
            settings,
            tier: ImpragTier::Untaught,
            query: Vec::new(),
            passage: Vec::new(),
            reader: Vec::new(),
            states: Vec::new(),
            threshold: None,
            files: Vec::new(),
        }
    }
}

impl Quartet {
    /// How a base retrieves from a collection and reads, and the adapters that this takes.
    ///
    /// # Errors
    /// `Corrupt` for something trained that is damaged or fits nothing any more.
    pub(crate) async fn setup_for(
        &self,
        collection: CollectionId,
        base: &Base,
    ) -> Result<(Setup, Vec<(Sha256, AdapterSource)>)> {
        let start = starting_point(&base.sha256);
        let stored = self.library.artefacts(Some(collection)).await?;
        let own = stored.iter().find_map(|one| {
            let fits = one.artefact.kind == ArtefactKind::Imprag
                && one.artefact.model_sha256 == base.sha256;
            one.artefact.imprag.as_ref().filter(|_| fits).map(|report| (one, report))
        });
        let taught = match (own, start) {
            (Some((one, report)), start) => self.taught(one, report, start)?,
            (None, Some(start)) => start,
            (None, None) => Taught::nothing(ImpragSettings::for_layers(base.layers)),
        };
        check(&taught.settings, base)?;
        let mut settings = taught.settings;
        if let Some(mode) = Folder::new(&self.paths.data, collection).mode() {
            settings.mode = mode;
        }
        let setup = Setup {
            settings,
            tier: taught.tier,
            heads: base.heads,
            query: taught.query,
            passage: taught.passage,
            reader: taught.reader,
            states: taught.states,
            threshold: taught.threshold,
            is_hybrid: false,
        };
        Ok((setup, taught.files))
    }

    /// What an artefact adds to its beginning.
    fn taught(
        &self,
        one: &StoredArtefact,
        report: &ImpragReport,
        start: Option<Taught>,
    ) -> Result<Taught> {
        let stale = || {
            let name = &one.artefact.collection_name;
            let message =
                format!("ImpRAG on `{name}` is stale: what it began with is not shipped any more");
            Error::new(ErrorCode::Corrupt, message).hint("Run `quartet train imprag` again.")
        };
        let mut taught = match (report.from_start, start) {
            (true, Some(start)) => start,
            (true, None) => return Err(stale()),
            (false, _) => Taught::nothing(report.settings.clone()),
        };
        taught.settings = report.settings.clone();
        taught.tier = report.tier;
        taught.threshold = report.threshold;
        let folder = self.artefact_folder(&one.folder);
        for (role, adapter) in [
            (&mut taught.query, &report.query),
            (&mut taught.passage, &report.passage),
            (&mut taught.reader, &report.reader),
            (&mut taught.states, &report.states),
        ] {
            let Some(adapter) = adapter else { continue };
            role.push(AdapterUse { adapter: adapter.clone(), scale: 1.0 });
            if !taught.files.iter().any(|(known, _)| known == adapter) {
                let file = folder.join(format!("{adapter}.gguf"));
                taught.files.push((adapter.clone(), AdapterSource::File(file)));
            }
        }
        Ok(taught)
    }

    /// Has the engine know adapters of a loaded base.
    ///
    /// # Errors
    /// `Corrupt` for a file that is not the one trained; what the engine says.
    pub(crate) async fn take_adapters(
        &self,
        base: &Base,
        files: &[(Sha256, AdapterSource)],
        cancel: &CancellationToken,
    ) -> Result<()> {
        for (adapter, source) in files {
            let request =
                EngineRequest::LoadAdapter { model: base.name.clone(), source: source.clone() };
            let loaded = match self.engine.call(request, cancel, |_| {}).await? {
                EngineReply::AdapterLoaded(loaded) => loaded.adapter,
                other => return Err(unexpected(&other)),
            };
            if loaded != *adapter {
                let message = "an adapter of ImpRAG is damaged: its file is not the one trained";
                let error = Error::new(ErrorCode::Corrupt, message).hint("Train it again.");
                return Err(match source {
                    AdapterSource::File(path) => error.about_path(path),
                    AdapterSource::Bytes(_) => error,
                });
            }
        }
        Ok(())
    }
}

/// What is read from a file must fit the base before it is computed with.
fn check(settings: &ImpragSettings, base: &Base) -> Result<()> {
    let sound = settings.first_layer <= settings.last_layer
        && settings.last_layer < base.layers
        && (16..=4096).contains(&settings.longest)
        && (1..=32).contains(&settings.passages);
    if sound {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::Corrupt,
        format!("ImpRAG is set up for another model than `{}`: {settings:?}", base.name),
    )
    .hint("Run `quartet train imprag` again."))
}
