//! Files to searchable documents, as a job.
//!
//! Every file is noted as `queued` first, so that nothing given is ever forgotten. Then, small
//! files first, each goes through these steps, every one a transaction:
//!
//! ```text
//! queued ─ read, chunk ─▶ extracted (pages and chunks stored) ─ embed, batch by batch ─▶ ready
//!    └──── cannot be read ─▶ failed | protected | no_text (quarantine, with the reason)
//! ```
//!
//! `kill -9` therefore costs at most the page reading of one document or one batch of
//! vectors, and the same command goes on. A changed file is read into a new row that stays out
//! of sight until it is complete; then it takes the old row's place in one transaction.

mod files;
mod pace;
mod steps;

use crate::ports::{Embedder, PageReader};
use crate::store::Library;
use crate::store::documents::{FileFacts, enqueue, hand_over, remove};
use crate::store::journal::{self, Change};
use files::Found;
use pace::Pace;
use quartet_types::{
    Collection, Document, DocumentId, DocumentStatus, Error, JobId, JobKind, JobProgress,
    ProgressUnit, Result,
};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What an import takes.
pub struct Importer<'a> {
    /// The library.
    pub library: &'a Arc<Library>,
    /// Reads files.
    pub reader: &'a dyn PageReader,
    /// Makes vectors.
    pub embedder: &'a dyn Embedder,
    /// Is told how far it is.
    pub on_progress: &'a (dyn Fn(&JobProgress) + Send + Sync),
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImportReport {
    /// The job.
    pub job: JobId,
    /// Files given that can be searched now.
    pub ready: u64,
    /// Files that became searchable.
    pub added: u64,
    /// Files whose changed content replaced an earlier one.
    pub updated: u64,
    /// Files that were searchable already.
    pub unchanged: u64,
    /// Files that are no longer where they were.
    pub removed: u64,
    /// Files with the same content as another.
    pub duplicates: u64,
    /// Files that could not be read.
    pub failed: u64,
    /// Chunks that can be searched in the whole collection.
    pub chunks: u64,
    /// The files that could not be read, or only in part, with their reasons.
    pub problems: Vec<Document>,
}

/// What was asked for; stored with the job, so that it can go on in another process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ImportRequest {
    collection: String,
    paths: Vec<PathBuf>,
    /// Read again what is in quarantine.
    retry: bool,
}

/// Counts of one import.
#[derive(Debug, Default)]
struct Tally {
    added: u64,
    updated: u64,
    unchanged: u64,
    removed: u64,
    duplicates: u64,
}

impl Importer<'_> {
    /// Reads files and folders into a collection, which is made if it does not exist.
    ///
    /// An import of the same paths that was interrupted goes on.
    ///
    /// # Errors
    /// `NotFound` for a path that is not there, before anything is read; `Busy` while another
    /// process writes; `Cancelled` when stopped, and then the job can go on later; `DiskFull`
    /// and the like. A file that cannot be read is not an error but part of the report.
    pub async fn import(
        &self,
        collection: &str,
        paths: &[PathBuf],
        cancel: &CancellationToken,
    ) -> Result<ImportReport> {
        let paths = files::absolute(paths)?;
        let request = ImportRequest { collection: collection.to_owned(), paths, retry: false };
        self.run(request, cancel).await
    }

    /// Reads again what is in quarantine in a collection.
    ///
    /// # Errors
    /// As [`Importer::import`].
    pub async fn retry(
        &self,
        collection: &str,
        cancel: &CancellationToken,
    ) -> Result<ImportReport> {
        let collection = self.library.collection(collection).await?;
        let paths = quarantined(self.library, &collection).await?;
        self.run(ImportRequest { collection: collection.name, paths, retry: true }, cancel).await
    }

    /// Notes an import that is to run when its turn comes, with [`Importer::resume`]: from then
    /// on it survives the end of the process.
    ///
    /// # Errors
    /// `NotFound` for a path that is not there; `InvalidInput` for the collection's name.
    pub async fn queue(library: &Library, collection: &str, paths: &[PathBuf]) -> Result<JobId> {
        let paths = files::absolute(paths)?;
        files::find(&paths, false)?;
        let request = ImportRequest { collection: collection.to_owned(), paths, retry: false };
        Self::note(library, &request).await
    }

    /// As [`Importer::queue`], for what is in quarantine.
    ///
    /// # Errors
    /// `NotFound` for the collection.
    pub async fn queue_retry(library: &Library, collection: &str) -> Result<JobId> {
        let collection = library.collection(collection).await?;
        let paths = quarantined(library, &collection).await?;
        let request = ImportRequest { collection: collection.name, paths, retry: true };
        Self::note(library, &request).await
    }

    async fn note(library: &Library, request: &ImportRequest) -> Result<JobId> {
        let collection = library.create_collection(&request.collection).await?;
        library.queue_job(JobKind::Import, collection.id, request).await
    }

    /// Goes on with a job that was queued, paused or interrupted.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` if it has ended; else as [`Importer::import`].
    pub async fn resume(&self, job: JobId, cancel: &CancellationToken) -> Result<ImportReport> {
        self.library.job(job).await?.check_resumable()?;
        self.run(self.library.job_request(job).await?, cancel).await
    }

    async fn run(
        &self,
        request: ImportRequest,
        cancel: &CancellationToken,
    ) -> Result<ImportReport> {
        let found = files::find(&request.paths, request.retry)?;
        // Before the collection is made: whoever has to wait leaves nothing behind.
        drop(self.library.lock()?);
        let collection = self.library.create_collection(&request.collection).await?;
        let lease =
            self.library.begin_job(JobKind::Import, collection.id, &request, cancel).await?;
        let outcome = self.work(&collection, &request, found, lease.id(), lease.stop()).await;
        lease.end(outcome).await
    }

    async fn work(
        &self,
        collection: &Collection,
        request: &ImportRequest,
        found: Found,
        job: JobId,
        stop: &CancellationToken,
    ) -> Result<ImportReport> {
        let mut tally = Tally::default();
        self.note_files(collection, request, &found, &mut tally).await?;
        // What another job has left, cancelled perhaps, is not this one's business.
        let given: HashSet<&str> = found.files.iter().map(|file| file.path.as_str()).collect();
        let mut pending = self.library.pending(collection.id).await?;
        pending.retain(|pending| given.contains(pending.document.path.as_str()));
        pending.sort_by(|left, right| {
            (left.document.bytes, &left.document.path)
                .cmp(&(right.document.bytes, &right.document.path))
        });
        let bytes = pending.iter().map(|pending| pending.document.bytes).sum();
        let mut pace =
            Pace::new(Arc::clone(self.library), job, self.on_progress, pending.len() as u64, bytes);
        for pending in pending {
            if stop.is_cancelled() {
                return Err(Error::cancelled());
            }
            self.bring_in(&pending, &mut pace, stop, &mut tally).await?;
            pace.document_done(pending.document.bytes).await;
        }
        self.refresh_vectors(collection.id, &mut pace, stop).await?;
        pace.stage("indexing", None, 0, None, ProgressUnit::Chunks).await;
        self.library.update_index(collection.id).await?;
        self.library.check_or_rebuild(collection.id).await?;
        self.library.tidy().await?;
        pace.finish().await;
        self.report(collection, &found, job, &tally).await
    }

    /// Notes every file before the first is read; notices what is gone.
    async fn note_files(
        &self,
        collection: &Collection,
        request: &ImportRequest,
        found: &Found,
        tally: &mut Tally,
    ) -> Result<()> {
        let library = self.library;
        let known = library.known_files(collection.id).await?;
        let waiting = library.waiting_paths(collection.id).await?;
        let failed = |error: sqlx::Error| library.failed(&error);
        let mut transaction = library.pool.begin().await.map_err(failed)?;
        for file in &found.files {
            let Some((document, modified_ns)) = known.get(&file.path) else {
                enqueue(&mut transaction, collection.id, file, &files::stem(&file.path), None)
                    .await
                    .map_err(failed)?;
                continue;
            };
            let same = document.bytes == file.bytes && *modified_ns == file.modified_ns;
            match document.status {
                DocumentStatus::Queued | DocumentStatus::Extracted if same => {}
                _ if waiting.contains(&file.path) => {}
                DocumentStatus::Ready if same => tally.unchanged += 1,
                DocumentStatus::Missing if same => {
                    set_status(&mut transaction, document.id, DocumentStatus::Ready)
                        .await
                        .map_err(failed)?;
                    tally.unchanged += 1;
                }
                _ if same && !request.retry => {}
                // Not searchable yet: read again in place. Else beside the old content.
                DocumentStatus::Ready | DocumentStatus::Missing => {
                    enqueue(
                        &mut transaction,
                        collection.id,
                        file,
                        &document.title,
                        Some(document.id),
                    )
                    .await
                    .map_err(failed)?;
                }
                _ => requeue(&mut transaction, document.id, file).await.map_err(failed)?,
            }
        }
        let given: HashSet<&str> = found.files.iter().map(|file| file.path.as_str()).collect();
        for (path, (document, _)) in &known {
            let gone =
                found.folders.iter().any(|folder| std::path::Path::new(path).starts_with(folder))
                    && !given.contains(path.as_str());
            if gone && document.status == DocumentStatus::Ready {
                set_status(&mut transaction, document.id, DocumentStatus::Missing)
                    .await
                    .map_err(failed)?;
                hand_over(&mut transaction, document.id).await.map_err(failed)?;
                journal::record(&mut transaction, collection.id, Change::Missing, path)
                    .await
                    .map_err(failed)?;
                tally.removed += 1;
            } else if gone && document.status != DocumentStatus::Missing {
                remove(&mut transaction, document).await.map_err(failed)?;
                tally.removed += 1;
            }
        }
        transaction.commit().await.map_err(failed)
    }

    async fn report(
        &self,
        collection: &Collection,
        found: &Found,
        job: JobId,
        tally: &Tally,
    ) -> Result<ImportReport> {
        let given: HashSet<&str> = found.files.iter().map(|file| file.path.as_str()).collect();
        let documents = self.library.documents(Some(collection.id)).await?;
        let given: Vec<Document> = documents
            .into_iter()
            .filter(|document| given.contains(document.path.as_str()))
            .collect();
        let collection = self.library.collection(&collection.name).await?;
        Ok(ImportReport {
            job,
            ready: given.iter().filter(|document| document.status == DocumentStatus::Ready).count()
                as u64,
            added: tally.added,
            updated: tally.updated,
            unchanged: tally.unchanged,
            removed: tally.removed,
            duplicates: tally.duplicates,
            failed: given.iter().filter(|document| is_quarantined(document)).count() as u64,
            chunks: collection.chunks,
            problems: given
                .into_iter()
                .filter(|document| is_quarantined(document) || document.failed_pages > 0)
                .collect(),
        })
    }
}

/// The paths of what is in quarantine.
async fn quarantined(library: &Library, collection: &Collection) -> Result<Vec<PathBuf>> {
    let documents = library.documents(Some(collection.id)).await?;
    Ok(documents.into_iter().filter(is_quarantined).map(|document| document.path.into()).collect())
}

fn is_quarantined(document: &Document) -> bool {
    matches!(
        document.status,
        DocumentStatus::Failed | DocumentStatus::Protected | DocumentStatus::NoText
    )
}

async fn set_status(
    connection: &mut sqlx::SqliteConnection,
    id: DocumentId,
    status: DocumentStatus,
) -> sqlx::Result<()> {
    sqlx::query("UPDATE documents SET status = ? WHERE id = ?")
        .bind(status.as_str())
        .bind(id.0)
        .execute(connection)
        .await
        .map(|_| ())
}

async fn requeue(
    connection: &mut sqlx::SqliteConnection,
    id: DocumentId,
    file: &FileFacts,
) -> sqlx::Result<()> {
    sqlx::query("UPDATE documents SET status = 'queued', reason = NULL, hint = NULL, bytes = ?, modified_ns = ? WHERE id = ?")
        .bind(i64::try_from(file.bytes).unwrap_or(i64::MAX))
        .bind(file.modified_ns)
        .bind(id.0)
        .execute(connection)
        .await
        .map(|_| ())
}
