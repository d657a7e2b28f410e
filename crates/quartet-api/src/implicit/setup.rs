//! How a base is set up for a collection: as it was taught, as it is shipped, or bare.

use super::base::Base;
use super::folder::Folder;
use super::start::starting_point;
use crate::Quartet;
use crate::engine::unexpected;
use quartet_library::StoredArtefact;
use quartet_methods::imprag::Setup;
use quartet_types::{
    AdapterSource, AdapterUse, ArtefactKind, CollectionId, EngineReply, EngineRequest, Error,
    ErrorCode, ImpragReport, ImpragSettings, ImpragTier, Result, Sha256,
};
use std::fmt;
use std::path::PathBuf;
use tokio_util::sync::CancellationToken;

/// Where the file of an adapter is.
#[derive(Clone, PartialEq)]
pub(crate) enum AdapterFile {
    /// It was trained here.
    Trained(PathBuf),
    /// It is part of the program.
    Shipped(&'static [u8]),
}

impl fmt::Debug for AdapterFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trained(path) => formatter.debug_tuple("Trained").field(path).finish(),
            Self::Shipped(bytes) => write!(formatter, "Shipped({} bytes)", bytes.len()),
        }
    }
}

impl AdapterFile {
    /// For the engine.
    fn source(&self) -> AdapterSource {
        match self {
            Self::Trained(path) => AdapterSource::File(path.clone()),
            Self::Shipped(bytes) => AdapterSource::Bytes(bytes.to_vec()),
        }
    }
}

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
    pub(crate) files: Vec<(Sha256, AdapterFile)>,
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

    /// The adapters that something of this tier is taught on top of: it is of no use with
    /// others.
    pub(crate) fn under(&self, tier: ImpragTier) -> Vec<Sha256> {
        let reader = if tier == ImpragTier::T3 { &self.reader[..] } else { &[] };
        self.query.iter().chain(reader).map(|used| used.adapter.clone()).collect()
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
    ) -> Result<(Setup, Vec<(Sha256, AdapterFile)>)> {
        let start = starting_point(&base.sha256);
        let stored = self.library.artefacts(Some(collection)).await?;
        let own = stored.iter().find_map(|one| {
            let fits = one.artefact.kind == ArtefactKind::Imprag
                && one.artefact.model_sha256 == base.sha256;
            one.artefact.imprag.as_ref().filter(|_| fits).map(|report| (one, report))
        });
        let finds_enough = own.is_some_and(|(_, report)| report.finds_as_much_as_words());
        let taught = match (own, start) {
            (Some((one, report)), start) => self.taught(one, report, start)?,
            (None, Some(start)) => start,
            (None, None) => Taught::nothing(ImpragSettings::for_layers(base.layers)),
        };
        check(&taught.settings, base)?;
        let settings = self.in_chosen_mode(collection, taught.settings);
        let setup = Setup {
            settings,
            tier: taught.tier,
            heads: base.heads,
            query: taught.query,
            passage: taught.passage,
            reader: taught.reader,
            states: taught.states,
            threshold: taught.threshold,
            is_hybrid: match self.settings.imprag_words.as_str() {
                "always" => true,
                "never" => false,
                _ => !finds_enough,
            },
        };
        Ok((setup, taught.files))
    }

    /// Settings in the mode that somebody chose for a collection; as they are where nobody did.
    pub(crate) fn in_chosen_mode(
        &self,
        collection: CollectionId,
        mut settings: ImpragSettings,
    ) -> ImpragSettings {
        if let Some(chosen) = Folder::new(&self.paths.data, collection).mode() {
            settings.mode = chosen;
        }
        settings
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
        let mut taught = match start {
            _ if report.start.is_empty() => Taught::nothing(report.settings.clone()),
            Some(start) if start.under(report.tier) == report.start => start,
            _ => return Err(stale()),
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
                taught.files.push((adapter.clone(), AdapterFile::Trained(file)));
            }
        }
        Ok(taught)
    }

    /// Has the engine know adapters of a loaded base; those it knows are not sent again.
    ///
    /// # Errors
    /// `Corrupt` for a file that is not the one trained; what the engine says.
    pub(crate) async fn take_adapters(
        &self,
        base: &Base,
        files: &[(Sha256, AdapterFile)],
        cancel: &CancellationToken,
    ) -> Result<()> {
        if files.is_empty() {
            return Ok(());
        }
        let request = EngineRequest::ListAdapters(base.name.clone());
        let known = match self.engine.call(request, cancel, |_| {}).await? {
            EngineReply::Adapters(known) => known,
            other => return Err(unexpected(&other)),
        };
        for (adapter, file) in files {
            if known.iter().any(|one| one.adapter == *adapter) {
                continue;
            }
            let (model, source) = (base.name.clone(), file.source());
            let request = EngineRequest::LoadAdapter { model, source };
            let loaded = match self.engine.call(request, cancel, |_| {}).await? {
                EngineReply::AdapterLoaded(loaded) => loaded.adapter,
                other => return Err(unexpected(&other)),
            };
            if loaded != *adapter {
                let message = "an adapter of ImpRAG is damaged: its file is not the one trained";
                let error = Error::new(ErrorCode::Corrupt, message).hint("Train it again.");
                return Err(match file {
                    AdapterFile::Trained(path) => error.about_path(path),
                    AdapterFile::Shipped(_) => error,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Paths;
    use crate::implicit::making::Place;
    use quartet_methods::imprag::vector::Heads;
    use quartet_types::{Artefact, ExpertReport, ImpragMode, Preset};

    fn digest(letter: &str) -> Sha256 {
        Sha256(letter.repeat(64))
    }

    fn base(model: &str) -> Base {
        let heads = Heads { queries: 14, key_values: 2, length: 64 };
        let engine = "one".to_owned();
        Base { name: "small".into(), sha256: digest(model), layers: 24, heads, engine }
    }

    fn report(settings: ImpragSettings, start: Vec<Sha256>) -> ImpragReport {
        ImpragReport {
            settings,
            tier: ImpragTier::T3,
            query: Some(digest("c")),
            passage: Some(digest("d")),
            reader: Some(digest("d")),
            states: None,
            start,
            parameters: 1,
            queries: Default::default(),
            retrieval: Vec::new(),
            hubs: Default::default(),
            threshold: Some(-3.5),
            stages: Vec::new(),
            seconds: Default::default(),
        }
    }

    fn artefact(collection: CollectionId, report: ImpragReport) -> Artefact {
        Artefact {
            kind: ArtefactKind::Imprag,
            collection,
            collection_name: "pumps".to_owned(),
            preset: Preset::Quick,
            model: "small".to_owned(),
            model_sha256: digest("f"),
            writer: None,
            fingerprint: String::new(),
            adapter: digest("c"),
            created_at: 0,
            report: ExpertReport::default(),
            gag: None,
            imprag: Some(report),
            iag: None,
            stale: false,
        }
    }

    #[tokio::test]
    async fn what_was_taught_for_this_base_is_used_and_changes_the_keys() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().to_owned();
        let paths = Paths { settings: data.join("config.toml"), models: Vec::new(), data };
        let quartet = Quartet::open_at(paths, "quartet".into()).await.unwrap();
        let collection = quartet.create_collection("pumps").await.unwrap();
        let own = base("f");
        let place = |setup: &Setup| {
            let folder = Folder::new(&quartet.paths.data, collection.id);
            Place::new(folder, &own, setup, true).unwrap()
        };
        let (bare, files) = quartet.setup_for(collection.id, &own).await.unwrap();
        assert_eq!((bare.tier, bare.threshold), (ImpragTier::Untaught, None));
        assert_eq!(bare.settings, ImpragSettings::for_layers(24));
        assert!(files.is_empty() && bare.query.is_empty());

        let put = async |report: ImpragReport| {
            let artefact = artefact(collection.id, report);
            quartet.library.put_artefact(&artefact, "imprag-1").await.unwrap();
        };
        let settings = ImpragSettings { first_layer: 6, ..ImpragSettings::for_layers(24) };
        put(report(settings.clone(), Vec::new())).await;
        let (taught, files) = quartet.setup_for(collection.id, &own).await.unwrap();
        assert_eq!((taught.tier, taught.threshold), (ImpragTier::T3, Some(-3.5)));
        assert_eq!(taught.settings, settings);
        let used = |letter| vec![AdapterUse { adapter: digest(letter), scale: 1.0 }];
        assert_eq!([&taught.query, &taught.passage], [&used("c"), &used("d")]);
        assert_eq!((&taught.reader, &taught.states), (&used("d"), &Vec::new()));
        let path = quartet.artefact_folder("imprag-1");
        let file = |letter: &str| {
            let name = format!("{}.gguf", digest(letter));
            (digest(letter), AdapterFile::Trained(path.join(name)))
        };
        assert_eq!(files, [file("c"), file("d")], "each once");
        let (before, after) = (place(&bare), place(&taught));
        assert_ne!(before.key, after.key, "another layer and other adapters: other vectors");
        assert_ne!(before.state_key, after.state_key, "another layer: other states");

        // It was taught to this base and to no other.
        let (other, _) = quartet.setup_for(collection.id, &base("e")).await.unwrap();
        assert_eq!(other, bare);
        // Somebody's choice counts more than how it was taught.
        let chosen = Folder::new(&quartet.paths.data, collection.id);
        chosen.choose(ImpragMode::Quality).unwrap();
        let (chosen, _) = quartet.setup_for(collection.id, &own).await.unwrap();
        assert_eq!(chosen.settings.mode, ImpragMode::Quality);

        // Settings of another model are refused before anything is computed with them.
        put(report(ImpragSettings { last_layer: 24, ..settings.clone() }, Vec::new())).await;
        let error = quartet.setup_for(collection.id, &own).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Corrupt);
        // What began at something that is not shipped any more is stale, whatever else is.
        put(report(settings.clone(), vec![digest("9")])).await;
        let error = quartet.setup_for(collection.id, &own).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Corrupt);
        assert!(error.hint.unwrap().contains("train imprag"));
    }

    #[tokio::test]
    async fn what_began_at_the_shipped_start_stacks_on_it_and_on_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().to_owned();
        let paths = Paths { settings: data.join("config.toml"), models: Vec::new(), data };
        let quartet = Quartet::open_at(paths, "quartet".into()).await.unwrap();
        let collection = quartet.create_collection("pumps").await.unwrap();
        let own = Base { sha256: super::super::start::model().unwrap(), ..base("f") };
        let start = starting_point(&own.sha256).unwrap();
        let (setup, files) = quartet.setup_for(collection.id, &own).await.unwrap();
        assert_eq!((setup.tier, setup.tier.as_str()), (ImpragTier::Start, "start"));
        assert_eq!((&setup.query, &setup.passage), (&start.query, &start.query));
        assert_eq!((setup.reader, &files), (start.reader.clone(), &start.files));

        let folder = quartet.artefact_folder("imprag-1");
        let stored = |report: ImpragReport| StoredArtefact {
            artefact: artefact(collection.id, report),
            folder: "imprag-1".to_owned(),
        };
        let stack = |report: ImpragReport| {
            let (one, start) = (stored(report.clone()), starting_point(&own.sha256));
            quartet.taught(&one, &report, start)
        };
        let settings = start.settings.clone();
        let both = start.under(ImpragTier::T3);
        let whole = stack(report(settings.clone(), both.clone())).unwrap();
        let used = |letter| AdapterUse { adapter: digest(letter), scale: 1.0 };
        assert_eq!(whole.query, [start.query.clone(), vec![used("c")]].concat());
        assert_eq!(whole.reader, [start.reader.clone(), vec![used("d")]].concat());
        let last = whole.files.last().unwrap();
        let file = folder.join(format!("{}.gguf", digest("d")));
        assert_eq!(last, &(digest("d"), AdapterFile::Trained(file)));

        // A reader that was taught needs the reader below it; heads alone do not.
        let heads = ImpragReport { tier: ImpragTier::T0, ..report(settings.clone(), both) };
        assert!(stack(heads).is_err());
        let retriever = start.under(ImpragTier::T0);
        let heads = ImpragReport { tier: ImpragTier::T0, ..report(settings.clone(), retriever) };
        assert_eq!(stack(heads.clone()).unwrap().tier, ImpragTier::T0);
        assert!(stack(ImpragReport { tier: ImpragTier::T3, ..heads }).is_err());
        assert!(stack(report(settings, vec![digest("9")])).is_err());
    }
}
