//! Collections, documents, imports and jobs: the library, with workers to read and embed.

use crate::Quartet;
use crate::implicit::{ImplicitStatus, IndexRequest};
use crate::pages::PdfReader;
use crate::workers::worker_command;
use quartet_library::{Importer, JournalEntry};
use quartet_methods::Turn;
use quartet_types::{
    Answer, Artefact, ChatId, Collection, Document, DocumentId, Error, ErrorCode, Job, JobId,
    JobKind, JobProgress, JobState, Result, TurnId,
};
use serde::Serialize;
use std::path::PathBuf;
use tokio_util::sync::CancellationToken;

pub use quartet_library::ImportReport;

/// Answers of the conversation that a follow-up is asked in: enough to resolve what it leans on.
const REMEMBERED_TURNS: usize = 3;

/// Is told how far a job is.
pub type OnProgress<'a> = &'a (dyn Fn(&JobProgress) + Send + Sync);

/// What came of a job.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum JobOutcome {
    /// Of an import.
    Imported(ImportReport),
    /// Of a training.
    Trained(Box<Artefact>),
    /// Of an encoding of passages.
    Indexed(Box<ImplicitStatus>),
}

/// What an import is about.
enum Work<'a> {
    Paths(&'a str, &'a [PathBuf]),
    Retry(&'a str),
    Resume(JobId),
}

impl Quartet {
    /// All collections, by name.
    ///
    /// # Errors
    /// If the library cannot be read.
    pub async fn collections(&self) -> Result<Vec<Collection>> {
        self.library.collections().await
    }

    /// The collection of this name.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn find_collection(&self, name: &str) -> Result<Collection> {
        self.library.collection(name).await
    }

    /// Makes a collection; one that exists is returned as it is.
    ///
    /// # Errors
    /// `InvalidInput` for a name that is none.
    pub async fn create_collection(&self, name: &str) -> Result<Collection> {
        self.library.create_collection(name).await
    }

    /// Gives a collection another name.
    ///
    /// # Errors
    /// `NotFound`, `InvalidInput`.
    pub async fn rename_collection(&self, from: &str, to: &str) -> Result<Collection> {
        self.library.rename_collection(from, to).await
    }

    /// Deletes a collection with everything derived from it. The PDFs are untouched.
    ///
    /// # Errors
    /// `NotFound`, `Busy`.
    pub async fn delete_collection(&self, name: &str) -> Result<()> {
        let collection = self.library.collection(name).await?;
        let stored = self.library.artefacts(Some(collection.id)).await?;
        self.library.delete_collection(name).await?;
        // What was learnt from the documents goes with them.
        for one in stored {
            self.forget_artefact(&one);
        }
        let _ = std::fs::remove_file(self.study_file(collection.id));
        let _ = std::fs::remove_file(self.documents_file(collection.id));
        self.forget_implicit(collection.id);
        Ok(())
    }

    /// Every file ever given, in one collection or in all.
    ///
    /// # Errors
    /// `NotFound` for the collection.
    pub async fn documents(&self, collection: Option<&str>) -> Result<Vec<Document>> {
        let collection = match collection {
            Some(name) => Some(self.library.collection(name).await?.id),
            None => None,
        };
        self.library.documents(collection).await
    }

    /// Deletes a document and everything derived from it. The PDF is untouched.
    ///
    /// # Errors
    /// `NotFound`, `Busy`.
    pub async fn delete_document(&self, id: DocumentId) -> Result<()> {
        let collection = self.library.document(id).await?.collection;
        self.library.delete_document(id).await?;
        self.forget_studied(collection, id)?;
        self.prune_implicit(collection).await
    }

    /// What was added, updated and removed, newest first; of one collection or of all.
    ///
    /// # Errors
    /// `NotFound` for the collection.
    pub async fn history(&self, collection: Option<&str>) -> Result<Vec<JournalEntry>> {
        let mut history = Vec::new();
        for known in self.library.collections().await? {
            if collection.is_none_or(|name| name == known.name) {
                history.extend(self.library.journal(known.id).await?);
            }
        }
        if let Some(name) = collection {
            self.library.collection(name).await?;
        }
        history.sort_by_key(|entry| std::cmp::Reverse(entry.happened_at));
        Ok(history)
    }

    /// Reads files and folders into a collection; goes on where an interrupted import of the
    /// same paths stopped.
    ///
    /// # Errors
    /// `NotFound` for a path, `ModelMissing` without an embedder, `Busy`, `Cancelled`, `DiskFull`.
    pub async fn import(
        &self,
        collection: &str,
        paths: &[PathBuf],
        cancel: &CancellationToken,
        on_progress: OnProgress<'_>,
    ) -> Result<ImportReport> {
        self.bring_in(Work::Paths(collection, paths), cancel, on_progress).await
    }

    /// Reads again what is in quarantine.
    ///
    /// # Errors
    /// As [`Quartet::import`].
    pub async fn retry(
        &self,
        collection: &str,
        cancel: &CancellationToken,
        on_progress: OnProgress<'_>,
    ) -> Result<ImportReport> {
        self.bring_in(Work::Retry(collection), cancel, on_progress).await
    }

    /// Goes on with a queued, paused or interrupted job.
    ///
    /// # Errors
    /// As [`Quartet::import`] or [`Quartet::train_expert`]; `InvalidInput` for a job that has
    /// ended.
    pub async fn resume_job(
        &self,
        job: JobId,
        cancel: &CancellationToken,
        on_progress: OnProgress<'_>,
    ) -> Result<JobOutcome> {
        let stored = self.library.job(job).await?;
        match stored.kind {
            JobKind::Import => self
                .bring_in(Work::Resume(job), cancel, on_progress)
                .await
                .map(JobOutcome::Imported),
            JobKind::Train => {
                stored.check_resumable()?;
                let request = self.library.job_request(job).await?;
                let trained = self.train(&request, cancel, on_progress).await?;
                Ok(JobOutcome::Trained(Box::new(trained)))
            }
            JobKind::Encode => {
                stored.check_resumable()?;
                let request: IndexRequest = self.library.job_request(job).await?;
                let status = self.index_implicit(&request, cancel, on_progress).await?;
                Ok(JobOutcome::Indexed(Box::new(status)))
            }
            JobKind::Exam | JobKind::Synthesise => Err(Error::new(
                ErrorCode::NotSupported,
                format!("job {job} cannot be resumed by itself"),
            )),
        }
    }

    async fn bring_in(
        &self,
        work: Work<'_>,
        cancel: &CancellationToken,
        on_progress: OnProgress<'_>,
    ) -> Result<ImportReport> {
        if let Work::Paths(_, paths) = &work {
            // Before a model is loaded for nothing.
            for path in *paths {
                std::fs::metadata(path).map_err(|error| Error::from_io(&error, path))?;
            }
        }
        let embedder = self.embedder(cancel).await?;
        let reader = PdfReader::new(worker_command(&self.program, "pdf"), &self.settings);
        let importer =
            Importer { library: &self.library, reader: &reader, embedder: &embedder, on_progress };
        let imported = match work {
            Work::Paths(collection, paths) => importer.import(collection, paths, cancel).await,
            Work::Retry(collection) => importer.retry(collection, cancel).await,
            Work::Resume(job) => importer.resume(job, cancel).await,
        }?;
        // Documents may have gone or changed, and what was derived from them goes as well.
        for collection in self.library.collections().await? {
            self.prune_implicit(collection.id).await?;
        }
        Ok(imported)
    }

    /// All jobs, newest first.
    ///
    /// # Errors
    /// If the library cannot be read.
    pub async fn jobs(&self) -> Result<Vec<Job>> {
        self.library.jobs().await
    }

    /// Asks a running job to stop at its next checkpoint.
    ///
    /// # Errors
    /// `NotFound`, `InvalidInput`.
    pub async fn pause_job(&self, job: JobId) -> Result<()> {
        self.library.pause_job(job).await
    }

    /// Asks a job to stop for good.
    ///
    /// # Errors
    /// `NotFound`, `InvalidInput`.
    pub async fn cancel_job(&self, job: JobId) -> Result<()> {
        self.library.cancel_job(job).await?;
        // One that nobody works on has nobody to tidy up after it.
        if self.library.job(job).await?.state == JobState::Cancelled {
            let _ = std::fs::remove_dir_all(self.training_folder(job));
        }
        Ok(())
    }

    /// The last turns of a conversation before `asked`, oldest first: what a follow-up leans
    /// on. `asked` is the turn in the making, where it is noted already.
    pub(crate) async fn turns_before(
        &self,
        chat: ChatId,
        asked: Option<TurnId>,
    ) -> Result<Vec<Turn>> {
        let heads = self.library.open_chat(chat).await?.turns;
        let earlier = heads.iter().filter(|turn| Some(turn.id) != asked);
        let mut last: Vec<TurnId> =
            earlier.rev().take(REMEMBERED_TURNS).map(|turn| turn.id).collect();
        last.reverse();
        let turns = self.library.turns(&last).await?;
        // Of several answers to one question the best informed speaks for the turn.
        let answers = turns.into_iter().filter_map(|turn| {
            turn.outcomes.into_iter().filter_map(|outcome| outcome.answer).next_back()
        });
        Ok(answers
            .map(|answer| Turn {
                question: answer.searched_question.unwrap_or(answer.question),
                answer: answer.text,
            })
            .collect())
    }

    /// The newest conversation of a collection, if there is any.
    pub(crate) async fn last_chat(&self, collection: &str) -> Result<Option<ChatId>> {
        let collection = self.library.collection(collection).await?;
        self.library.last_chat(collection.id).await
    }

    /// Keeps answers in the newest conversation, or in a new one. An answer to nobody's
    /// documents is not kept; one that cannot be kept is still an answer.
    pub(crate) async fn remember(
        &self,
        collection: &str,
        follow_up: bool,
        question: &str,
        answers: &mut [Answer],
    ) -> Result<()> {
        let collection = match self.library.collection(collection).await {
            Ok(collection) => collection,
            Err(error) if error.code == ErrorCode::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let last = if follow_up { self.library.last_chat(collection.id).await? } else { None };
        let chat = match last {
            Some(chat) => Ok(chat),
            None => self.library.create_chat(collection.id).await,
        };
        let Ok(chat) = chat else { return Ok(()) };
        let Ok(turn) = self.library.add_turn(chat, question, false, None).await else {
            return Ok(());
        };
        for answer in answers {
            answer.id = self.library.append_answer(turn.id, answer).await.ok();
        }
        Ok(())
    }
}
