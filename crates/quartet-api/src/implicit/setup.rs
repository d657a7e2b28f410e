//! How a base is set up for a collection: as it was taught, as it is shipped, or bare.

use super::base::Base;
use super::folder::Folder;
use crate::Quartet;
use crate::engine::unexpected;
use quartet_gguf::sha256_of_bytes;
use quartet_library::StoredArtefact;
use quartet_methods::imprag::Setup;
use quartet_types::{
    AdapterSource, AdapterUse, ArtefactKind, CollectionId, EngineReply, EngineRequest, Error,
    ErrorCode, ImpragReport, ImpragSettings, ImpragTier, Result, Sha256,
};
use serde::Deserialize;
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

/// The starting point that is shipped, and what it was made for.
const START: &str = include_str!("../../../../assets/imprag/start.json");
/// Its adapters, by name.
const START_FILES: [(&str, &[u8]); 2] = [
    ("retriever.gguf", include_bytes!("../../../../assets/imprag/retriever.gguf")),
    ("reader.gguf", include_bytes!("../../../../assets/imprag/reader.gguf")),
];

/// `assets/imprag/start.json`.
#[derive(Deserialize)]
struct Start {
    /// Digest of the base that it was trained through.
    model_sha256: Sha256,
    settings: ImpragSettings,
    /// Files in force while queries and passage vectors are made.
    retriever: Vec<String>,
    /// Files in force while answers are written.
    reader: Vec<String>,
}

/// What is shipped for a base: general retrieval heads and a reader; `None` for any other base.
pub(crate) fn starting_point(base: &Sha256) -> Option<Taught> {
    let start: Start = serde_json::from_str(START).ok()?;
    if start.model_sha256 != *base {
        return None;
    }
    let mut files: Vec<(Sha256, AdapterSource)> = Vec::new();
    let mut take = |names: &[String]| -> Option<Vec<AdapterUse>> {
        let mut used = Vec::new();
        for name in names {
            let (_, bytes) = START_FILES.iter().find(|(known, _)| known == name)?;
            let adapter = sha256_of_bytes(bytes);
            if !files.iter().any(|(known, _)| *known == adapter) {
                files.push((adapter.clone(), AdapterSource::Bytes(bytes.to_vec())));
            }
            used.push(AdapterUse { adapter, scale: 1.0 });
        }
        Some(used)
    };
    let retriever = take(&start.retriever)?;
    let reader = take(&start.reader)?;
    Some(Taught {
        settings: start.settings,
        tier: ImpragTier::Untaught,
        query: retriever.clone(),
        passage: retriever,
        reader,
        states: Vec::new(),
        threshold: None,
        files,
    })
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
        let finds_enough = own.is_some_and(|(_, report)| report.finds_as_much_as_words());
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
            is_hybrid: match self.settings.imprag_words.as_str() {
                "always" => true,
                "never" => false,
                _ => !finds_enough,
            },
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

    fn report(settings: ImpragSettings, from_start: bool) -> ImpragReport {
        ImpragReport {
            settings,
            tier: ImpragTier::T3,
            query: Some(digest("c")),
            passage: Some(digest("d")),
            reader: Some(digest("d")),
            states: None,
            from_start,
            parameters: 1,
            queries: Default::default(),
            retrieval: Vec::new(),
            hubs: Default::default(),
            threshold: Some(-3.5),
            reading: Default::default(),
            stages: Vec::new(),
            seconds: Default::default(),
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
            let artefact = Artefact {
                kind: ArtefactKind::Imprag,
                collection: collection.id,
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
                stale: false,
            };
            quartet.library.put_artefact(&artefact, "imprag-1").await.unwrap();
        };
        let settings = ImpragSettings { first_layer: 6, ..ImpragSettings::for_layers(24) };
        put(report(settings.clone(), false)).await;
        let (taught, files) = quartet.setup_for(collection.id, &own).await.unwrap();
        assert_eq!((taught.tier, taught.threshold), (ImpragTier::T3, Some(-3.5)));
        assert_eq!(taught.settings, settings);
        let used = |letter| vec![AdapterUse { adapter: digest(letter), scale: 1.0 }];
        assert_eq!([&taught.query, &taught.passage], [&used("c"), &used("d")]);
        assert_eq!((&taught.reader, &taught.states), (&used("d"), &Vec::new()));
        let path = quartet.artefact_folder("imprag-1");
        let file = |letter: &str| {
            let name = format!("{}.gguf", digest(letter));
            (digest(letter), AdapterSource::File(path.join(name)))
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
        put(report(ImpragSettings { last_layer: 24, ..settings.clone() }, false)).await;
        let error = quartet.setup_for(collection.id, &own).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Corrupt);
        // What began at something that is not there any more is stale.
        if starting_point(&own.sha256).is_none() {
            put(report(settings, true)).await;
            let error = quartet.setup_for(collection.id, &own).await.unwrap_err();
            assert_eq!(error.code, ErrorCode::Corrupt);
            assert!(error.hint.unwrap().contains("train imprag"));
        }
    }
}
