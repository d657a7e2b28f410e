//! Training: from a collection to something that knows it, as a job that can be paused,
//! cancelled and killed.
//!
//! ```text
//! passages ─ study material ─ lessons ─┬─ measured before ─ trainer ─ measured after ─▶ artefact
//!                  (engine)            └─ text recalled by the untrained model
//! ```

mod asking;
mod expert;
mod folder;
mod material;
mod measure;
mod pace;
mod passages;
mod plan;
mod report;
mod student;

use crate::Quartet;
use crate::engine::BaseReader;
use crate::keeping::OnProgress;
use crate::models::InstalledModel;
use crate::workers::worker_command;
use expert::Work;
use folder::WorkFolder;
use quartet_library::StoredArtefact;
use quartet_train::TrainerProtocol;
use quartet_types::{Artefact, Collection, JobId, JobKind, Preset, Result};
use quartet_worker::Supervisor;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What an expert is trained on and how. Stored with the job, so that it can go on in another
/// process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpertRequest {
    /// The collection.
    pub collection: String,
    /// How long it may take.
    pub preset: Preset,
    /// The expert model; `None` for the one of the catalog.
    #[serde(default)]
    pub expert: Option<String>,
    /// The model that writes the questions; `None` for the small base, or with the thorough
    /// preset the base that answers; `none` leaves them to rules.
    #[serde(default)]
    pub writer: Option<String>,
    /// Train on so many passages only, to try it out.
    #[serde(default)]
    pub passages: Option<usize>,
    /// Make so many updates per stage at most, to try it out.
    #[serde(default)]
    pub updates: Option<u64>,
}

impl ExpertRequest {
    /// An expert on a collection, with everything else as usual.
    #[must_use]
    pub fn new(collection: &str, preset: Preset) -> Self {
        Self {
            collection: collection.to_owned(),
            preset,
            expert: None,
            writer: None,
            passages: None,
            updates: None,
        }
    }
}

/// The base that writes questions where time is short: the larger one takes three times as
/// long for a passage.
const SMALL: &str = "small";
/// Instead of a writer: only rules make questions.
const NOBODY: &str = "none";

impl Quartet {
    /// Trains an expert on a collection; goes on where an interrupted training of the same
    /// request stopped. What was trained for the collection before is replaced at the end.
    ///
    /// # Errors
    /// `NotFound` for the collection; `InvalidInput` for one without text; `ModelMissing`;
    /// `Busy` if another training is under way; `Cancelled`.
    pub async fn train_expert(
        &self,
        request: &ExpertRequest,
        cancel: &CancellationToken,
        on_progress: OnProgress<'_>,
    ) -> Result<Artefact> {
        let collection = self.find_collection(&request.collection).await?;
        let lease = self.library.begin_job(JobKind::Train, collection.id, request, cancel).await?;
        let folder = WorkFolder::open(self.training_folder(lease.id()))?;
        let work = Work { quartet: self, request, collection, lease: &lease, folder: &folder };
        let outcome = work.run(on_progress).await;
        if outcome.is_ok() || lease.is_given_up() {
            folder.remove();
        }
        lease.end(outcome).await
    }

    /// Notes a training to be done when its turn comes.
    ///
    /// # Errors
    /// `NotFound` for the collection, `ModelMissing`.
    pub async fn queue_expert(&self, request: &ExpertRequest) -> Result<JobId> {
        let collection = self.find_collection(&request.collection).await?;
        self.expert_model(request)?;
        self.library.queue_job(JobKind::Train, collection.id, request).await
    }

    /// Where a training keeps what it has done so far.
    pub(crate) fn training_folder(&self, job: JobId) -> PathBuf {
        self.paths.data.join("training").join(format!("job-{job}"))
    }

    /// Where the study material of a collection is.
    fn study_file(&self, collection: &Collection) -> PathBuf {
        self.paths.data.join("study").join(format!("collection-{}.jsonl", collection.id))
    }

    fn expert_model(&self, request: &ExpertRequest) -> Result<InstalledModel> {
        match &request.expert {
            Some(name) => self.models.find(name),
            None => self.models.expert(),
        }
    }

    /// The model that writes study material; `None` where only rules do.
    async fn study_reader(
        &self,
        request: &ExpertRequest,
        cancel: &CancellationToken,
    ) -> Result<Option<BaseReader>> {
        let model = match (request.writer.as_deref(), request.preset) {
            (Some(NOBODY), _) => return Ok(None),
            (Some(name), _) => self.models.find(name)?,
            (None, Preset::Quick | Preset::Standard) => self.models.find(SMALL)?,
            (None, Preset::Thorough) => self.base_model(None, cancel).await?,
        };
        BaseReader::load(Arc::clone(&self.engine), model, cancel, |_| {}).await.map(Some)
    }

    /// Everything trained, newest first; of one collection or of all.
    ///
    /// # Errors
    /// `NotFound` for the collection.
    pub async fn artefacts(&self, collection: Option<&str>) -> Result<Vec<Artefact>> {
        let stored = self.stored_artefacts(collection).await?;
        Ok(stored.into_iter().map(|one| one.artefact).collect())
    }

    async fn stored_artefacts(&self, collection: Option<&str>) -> Result<Vec<StoredArtefact>> {
        let collection = match collection {
            Some(name) => Some(self.library.collection(name).await?.id),
            None => None,
        };
        self.library.artefacts(collection).await
    }

    fn artefact_folder(&self, name: &str) -> PathBuf {
        self.paths.data.join("artefacts").join(name)
    }

    fn trainer(&self) -> Supervisor<TrainerProtocol> {
        let mut command = worker_command(&self.program, "trainer");
        if self.settings.threads > 0 {
            // The number of threads is part of what makes a result repeatable.
            let threads = self.settings.threads.to_string();
            command.environment.push(("RAYON_NUM_THREADS".into(), threads.into()));
        }
        Supervisor::new(command)
    }
}
