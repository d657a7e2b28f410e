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
mod gag;
mod iag;
mod imprag;
mod keep;
mod lessons;
mod material;
mod measure;
mod pace;
mod passages;
mod plan;
mod probing;
mod report;
mod student;
mod thinking;
mod trainer;
mod verdict;
pub(crate) mod worker;

use crate::Quartet;
use crate::engine::BaseReader;
use crate::experts::Thoughts;
use crate::keeping::OnProgress;
use crate::models::{InstalledModel, write_atomically};
use crate::workers::worker_command;
use expert::Work;
use folder::WorkFolder;
use gag::GagWork;
use iag::IagWork;
use imprag::ImpragWork;
use pace::Pace;
use quartet_library::StoredArtefact;
use quartet_synth::Journal;
use quartet_types::{
    Artefact, ArtefactKind, CollectionId, DocumentId, Error, GagOptions, IagOptions, ImpragTier,
    JobId, JobKind, Preset, Result,
};
use quartet_worker::Supervisor;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
pub(crate) use student::Student;
use tokio_util::sync::CancellationToken;
use worker::TrainerProtocol;

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

/// How a base is taught to listen to an expert. Stored with the job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GagRequest {
    /// The expert it listens to; trained first, unless there is one already.
    pub expert: ExpertRequest,
    /// The base that listens; `None` for the one that answers on this machine.
    #[serde(default)]
    pub base: Option<String>,
    /// How it is made.
    pub options: GagOptions,
}

impl GagRequest {
    /// GAG on a collection, with everything else as usual.
    #[must_use]
    pub fn new(collection: &str, preset: Preset) -> Self {
        Self {
            expert: ExpertRequest::new(collection, preset),
            base: None,
            options: GagOptions::default(),
        }
    }
}

/// How a base is taught to retrieve by itself. Stored with the job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImpragRequest {
    /// The collection and the questions that are made of it. Of an expert nothing is trained.
    pub study: ExpertRequest,
    /// How much is taught.
    pub tier: ImpragTier,
    /// The base that is taught; `None` for the one that answers on this machine.
    #[serde(default)]
    pub base: Option<String>,
    /// Whether passages are labelled as published and not by where a question came from.
    #[serde(default)]
    pub published_labels: bool,
    /// Whether it begins at the starting point that is shipped for the base, if there is one.
    pub use_start: bool,
}

impl ImpragRequest {
    /// Implicit queries on a collection, with everything else as usual.
    #[must_use]
    pub fn new(collection: &str, preset: Preset) -> Self {
        Self {
            study: ExpertRequest::new(collection, preset),
            tier: ImpragTier::default(),
            base: None,
            published_labels: false,
            use_start: true,
        }
    }
}

/// How imagination is trained. Stored with the job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IagRequest {
    /// The collection, the questions that are made of it, and the model that imagines.
    pub study: ExpertRequest,
    /// The base that answers; `None` for the one that answers on this machine.
    #[serde(default)]
    pub base: Option<String>,
    /// How it is made.
    pub options: IagOptions,
}

impl IagRequest {
    /// Imagination on a collection, with everything else as usual.
    #[must_use]
    pub fn new(collection: &str, preset: Preset) -> Self {
        Self {
            study: ExpertRequest::new(collection, preset),
            base: None,
            options: IagOptions::default(),
        }
    }
}

/// What a training job is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TrainRequest {
    /// A base that retrieves by itself.
    Imprag(ImpragRequest),
    /// A model that imagines, and weights made for each question.
    Iag(IagRequest),
    /// An expert and a base that listens.
    Gag(GagRequest),
    /// An expert.
    Expert(ExpertRequest),
}

impl TrainRequest {
    fn collection(&self) -> &str {
        match self {
            Self::Imprag(request) => &request.study.collection,
            Self::Iag(request) => &request.study.collection,
            Self::Gag(request) => &request.expert.collection,
            Self::Expert(request) => &request.collection,
        }
    }
}

/// The base that writes questions where time is short: the larger one takes three times as
/// long for a passage.
const SMALL: &str = "small";
/// Instead of a writer: only rules make questions.
const NOBODY: &str = "none";

fn remove_if_there(file: &Path) -> Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::from_io(&error, file))
        }
        _ => Ok(()),
    }
}

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
        self.train(&TrainRequest::Expert(request.clone()), cancel, on_progress).await
    }

    /// Trains whatever is asked for, as [`Quartet::train_expert`] does.
    ///
    /// # Errors
    /// As [`Quartet::train_expert`].
    pub async fn train(
        &self,
        request: &TrainRequest,
        cancel: &CancellationToken,
        on_progress: OnProgress<'_>,
    ) -> Result<Artefact> {
        let collection = self.find_collection(request.collection()).await?;
        let lease = self.library.begin_job(JobKind::Train, collection.id, request, cancel).await?;
        let folder = WorkFolder::open(self.training_folder(lease.id()))?;
        let outcome = match request {
            TrainRequest::Expert(request) => {
                let pace = Pace::new(&lease, on_progress, expert::PARTS.map(str::to_owned));
                let work =
                    Work { quartet: self, request, collection, lease: &lease, folder: &folder };
                work.run(&pace).await
            }
            TrainRequest::Imprag(request) => {
                let work = ImpragWork {
                    quartet: self,
                    request,
                    collection,
                    lease: &lease,
                    folder: &folder,
                };
                work.run(on_progress).await
            }
            TrainRequest::Iag(request) => {
                let work =
                    IagWork { quartet: self, request, collection, lease: &lease, folder: &folder };
                work.run(on_progress).await
            }
            TrainRequest::Gag(request) => {
                let work =
                    GagWork { quartet: self, request, collection, lease: &lease, folder: &folder };
                work.run(on_progress).await
            }
        };
        if outcome.is_ok() || lease.is_given_up() {
            folder.remove();
        }
        lease.end(outcome).await
    }

    /// Notes a training to be done when its turn comes.
    ///
    /// # Errors
    /// `NotFound` for the collection, `ModelMissing`.
    pub async fn queue_training(&self, request: &TrainRequest) -> Result<JobId> {
        let collection = self.find_collection(request.collection()).await?;
        match request {
            TrainRequest::Expert(request) => self.expert_model(request)?,
            TrainRequest::Gag(request) => self.expert_model(&request.expert)?,
            TrainRequest::Iag(request) => self.expert_model(&request.study)?,
            TrainRequest::Imprag(request) => match &request.base {
                Some(base) => self.models.find(base)?,
                None => self.models.embedder()?,
            },
        };
        self.library.queue_job(JobKind::Train, collection.id, request).await
    }

    /// Where a training keeps what it has done so far.
    pub(crate) fn training_folder(&self, job: JobId) -> PathBuf {
        self.paths.data.join("training").join(format!("job-{job}"))
    }

    /// Where the study material of a collection is.
    pub(crate) fn study_file(&self, collection: CollectionId) -> PathBuf {
        self.paths.data.join("study").join(format!("collection-{collection}.jsonl"))
    }

    /// Where squeezed documents of a collection are.
    pub(crate) fn documents_file(&self, collection: CollectionId) -> PathBuf {
        self.paths.data.join("study").join(format!("collection-{collection}-documents.jsonl"))
    }

    /// Forgets what was made of a document to study it.
    ///
    /// # Errors
    /// An operating-system error.
    pub(crate) fn forget_studied(
        &self,
        collection: CollectionId,
        document: DocumentId,
    ) -> Result<()> {
        // Squeezed documents are made of several: they are made anew.
        remove_if_there(&self.documents_file(collection))?;
        let file = self.study_file(collection);
        let text = match std::fs::read(&file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            read => read.map_err(|error| Error::from_io(&error, &file))?,
        };
        let kept = Journal::read(&String::from_utf8_lossy(&text)).without(document)?;
        write_atomically(&file, kept.as_bytes())
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

    /// Notes an artefact and removes what it takes the place of, with all that hung on it.
    async fn replace_artefact(&self, artefact: &Artefact, folder: &str) -> Result<()> {
        let before = self.library.artefacts(Some(artefact.collection)).await?;
        let gone = self.library.put_artefact(artefact, folder).await?;
        for old in before.iter().filter(|old| gone.contains(&old.folder)) {
            self.forget_artefact(old);
        }
        Ok(())
    }

    /// Removes the files of an artefact that is not noted any more.
    pub(crate) fn forget_artefact(&self, one: &StoredArtefact) {
        let _ = std::fs::remove_dir_all(self.artefact_folder(&one.folder));
        if one.artefact.kind == ArtefactKind::Expert {
            Thoughts::new(&self.paths.data).forget(&one.artefact.adapter);
        }
        if let Ok(mut domains) = self.domains.lock() {
            domains.remove(&one.folder);
        }
    }

    pub(crate) fn artefact_folder(&self, name: &str) -> PathBuf {
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
