//! Commands, events, jobs and settings: the only crate a shell may call.
//!
//! The window, the terminal program and the loopback server are thin: each of their
//! commands is one call of a method of [`Quartet`]. Progress and text arrive through
//! callbacks; a [`CancellationToken`] stops any of them within a second.
//!
//! ```no_run
//! # async fn example() -> quartet_types::Result<()> {
//! use quartet_api::{AskRequest, CancellationToken, Quartet};
//! use quartet_api::types::{IagMode, Method};
//!
//! let quartet = Quartet::open().await?;
//! let cancel = CancellationToken::new();
//! quartet.import("default", &["papers".into()], &cancel, &|_| {}).await?;
//! let request = AskRequest {
//!     question: "Who signed the contract?".to_owned(),
//!     method: Method::Rag,
//!     collection: "default".to_owned(),
//!     base: None,
//!     follow_up: false,
//!     abstain: true,
//!     route: None,
//!     imagine: IagMode::default(),
//! };
//! let answer = quartet.ask(&request, &cancel, &mut |_| {}).await?;
//! println!("{}", answer.text);
//! # Ok(())
//! # }
//! ```

mod answering;
mod bench;
pub mod desk;
mod doctor;
mod engine;
mod examining;
mod experts;
mod imagination;
mod implicit;
mod keeping;
mod machine;
mod models;
mod pages;
mod paths;
mod retrieval_exam;
mod settings;
mod training;
mod workers;

pub use answering::{Answering, AskRequest};
pub use bench::{BenchReport, BenchRequest, EngineSpeed, ImportSpeed, SearchSpeed};
pub use desk::Desk;
pub use doctor::{Diagnosis, machine_in_words};
pub use examining::ExamRequest;
pub use implicit::{ImplicitStatus, IndexRequest};
pub use keeping::{ImportReport, JobOutcome, OnProgress};
pub use machine::MachineProfile;
pub use models::{InstalledModel, ModelCheck, ModelRole};
pub use paths::{Paths, variables};
pub use quartet_exam::Report as ExamReport;
pub use quartet_exam::RetrievalReport;
pub use quartet_exam::retrieval::render as render_retrieval;
pub use quartet_exam::table::render as render_exam;
pub use quartet_library::JournalEntry;
pub use quartet_types as types;
pub use retrieval_exam::RetrievalRequest;
pub use settings::Settings;
pub use tokio_util::sync::CancellationToken;
pub use training::{ExpertRequest, GagRequest, IagRequest, ImpragRequest, TrainRequest};
pub use workers::run_worker;

use crate::answering::CollectionSearcher;
use crate::engine::{Engine, EngineEmbedder};
use crate::experts::Domain;
use crate::models::ModelStore;
use quartet_library::Library;
use quartet_methods::gag::router::Bank;
use quartet_types::{CollectionId, Error, FitEstimate, Result};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Quartet on one data folder.
pub struct Quartet {
    paths: Paths,
    settings: Settings,
    models: Arc<ModelStore>,
    engine: Arc<Engine>,
    library: Arc<Library>,
    program: PathBuf,
    /// Trained domains that have been read, by their folders.
    domains: Arc<Mutex<HashMap<String, Arc<Domain>>>>,
    /// The prototypes of the general route, once there was need of them.
    general: Arc<Mutex<Option<Arc<Bank>>>>,
}

impl Quartet {
    /// Opens the data folder that the environment names, making it if necessary.
    ///
    /// # Errors
    /// `ReadOnly` or `Io` if the folder cannot be used, `InvalidInput` for bad settings,
    /// `Corrupt` for a damaged library.
    pub async fn open() -> Result<Self> {
        let program = std::env::current_exe()
            .map_err(|error| Error::internal(format!("cannot find this program: {error}")))?;
        Self::open_at(Paths::discover()?, program).await
    }

    /// Opens a data folder; workers are started from `program`, which must pass
    /// `worker KIND` on to [`run_worker`].
    ///
    /// # Errors
    /// As [`Quartet::open`].
    pub async fn open_at(paths: Paths, program: PathBuf) -> Result<Self> {
        let settings = Settings::load(&paths.settings)?;
        let library = Arc::new(Library::open(&paths.data).await?);
        settings::write_commented_file(&paths.settings);
        let models = Arc::new(ModelStore::open(&paths)?);
        let command = workers::worker_command(&program, "engine");
        let engine = Arc::new(Engine::new(command, Arc::clone(&models), settings.clone()));
        let (domains, general) = (Arc::default(), Arc::default());
        Ok(Self { paths, settings, models, engine, library, program, domains, general })
    }

    /// The folders in use.
    #[must_use]
    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Every model of the catalog, and every other model found.
    #[must_use]
    pub fn models(&self) -> Vec<InstalledModel> {
        self.models.list()
    }

    /// Checks every installed model of the catalog against its digest.
    #[must_use]
    pub fn verify_models(&self) -> Vec<ModelCheck> {
        self.models.check_all()
    }

    /// Whether a model, by name or file, would fit into memory with `context` tokens.
    ///
    /// # Errors
    /// `ModelMissing` or `BadModel`.
    pub fn fit(&self, model: &str, context: u32) -> Result<FitEstimate> {
        let model = self.models.find(model)?;
        let path =
            model.path.ok_or_else(|| Error::internal("an installed model without a file"))?;
        self.models.fit(&path, context)
    }

    /// Links a GGUF file of the user's into the models folder, after validating it.
    ///
    /// # Errors
    /// `BadModel`; `InvalidInput` if the name is taken.
    pub fn add_model(&self, path: &Path) -> Result<InstalledModel> {
        self.models.add(path)
    }

    /// The base model: as asked for, else as set, else as measured for this machine.
    async fn base_model(
        &self,
        asked: Option<&str>,
        cancel: &CancellationToken,
    ) -> Result<InstalledModel> {
        let profile = self.profile_path();
        machine::choose_base(asked, &self.settings, &self.models, &self.engine, &profile, cancel)
            .await
    }

    /// The same data with other settings. The engine starts anew where they concern it; what
    /// is under way ends with the old one.
    pub(crate) fn with_settings(&self, settings: Settings) -> Self {
        let engine = if settings.concerns_engine(&self.settings) {
            let command = workers::worker_command(&self.program, "engine");
            Arc::new(Engine::new(command, Arc::clone(&self.models), settings.clone()))
        } else {
            Arc::clone(&self.engine)
        };
        Self {
            paths: self.paths.clone(),
            settings,
            models: Arc::clone(&self.models),
            engine,
            library: Arc::clone(&self.library),
            program: self.program.clone(),
            domains: Arc::clone(&self.domains),
            general: Arc::clone(&self.general),
        }
    }

    /// What `auto` has chosen for this machine, once measured.
    pub(crate) fn machine_profile(&self) -> Option<MachineProfile> {
        let bytes = std::fs::read(self.profile_path()).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    fn profile_path(&self) -> PathBuf {
        self.paths.data.join("machine.json")
    }

    async fn embedder(&self, cancel: &CancellationToken) -> Result<EngineEmbedder> {
        let model = self.models.embedder()?;
        EngineEmbedder::load(Arc::clone(&self.engine), model, cancel).await
    }

    async fn searcher(
        &self,
        collection: &str,
        cancel: &CancellationToken,
    ) -> Result<CollectionSearcher> {
        let collection = self.find_collection(collection).await?;
        self.searcher_of(collection.id, cancel).await
    }

    async fn searcher_of(
        &self,
        collection: CollectionId,
        cancel: &CancellationToken,
    ) -> Result<CollectionSearcher> {
        let embedder = self.embedder(cancel).await?;
        Ok(CollectionSearcher::new(Arc::clone(&self.library), collection, embedder))
    }
}
