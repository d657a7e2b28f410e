//! One document through the steps of an import.

use super::pace::Pace;
use super::{Importer, Tally, files};
use crate::chunk::{self, Budget, ChunkPlan};
use crate::dense::DenseIndex;
use crate::index::{blocking, context, is_damage};
use crate::ports::ReadDocument;
use crate::store::Library;
use crate::store::documents::{
    self, DocumentText, UnembeddedChunk, document, finish, finish_duplicate, quarantine,
    store_text, store_vector,
};
use quartet_types::{
    ChunkId, CollectionId, Document, DocumentId, DocumentStatus, Error, ErrorCode, ProgressUnit,
    Result, Sha256,
};
use sha2::Digest;
use sqlx::Row;
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Tokens of a chunk: short enough that several fit a prompt, long enough to stand alone.
const TARGET_TOKENS: u32 = 60;
/// The embedder was trained on texts of up to 256 tokens, two of them special; title and
/// heading stand before the text.
const MOST_TOKENS: u32 = 120;
/// Chunks embedded at once: about a second's work, which is what a crash may cost and what a
/// question may have to wait.
const BATCH: usize = 32;
/// Texts whose tokens are counted at once.
const COUNT_BATCH: usize = 512;
/// Chunks that the self-test looks for.
const SELF_TEST_CHUNKS: usize = 5;

/// A document with work left to do.
pub(crate) struct Pending {
    pub(crate) document: Document,
    pub(crate) replaces: Option<DocumentId>,
}

impl Library {
    /// Documents that are queued, or extracted but not embedded.
    pub(crate) async fn pending(&self, collection: CollectionId) -> Result<Vec<Pending>> {
        let rows = sqlx::query(
            "SELECT documents.*, (SELECT COUNT(*) FROM chunks WHERE chunks.document_id = documents.id) AS chunks
               FROM documents WHERE collection_id = ? AND status IN ('queued', 'extracted')",
        )
        .bind(collection.0)
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.failed(&error))?;
        Ok(rows
            .iter()
            .map(|row| Pending {
                document: document(row),
                replaces: row.get::<Option<i64>, _>("replaces").map(DocumentId),
            })
            .collect())
    }

    /// What is stored of each path, with the file's time.
    pub(crate) async fn known_files(
        &self,
        collection: CollectionId,
    ) -> Result<HashMap<String, (Document, i64)>> {
        let rows = sqlx::query(
            "SELECT documents.*, 0 AS chunks FROM documents WHERE collection_id = ? AND replaces IS NULL",
        )
        .bind(collection.0)
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.failed(&error))?;
        Ok(rows
            .iter()
            .map(|row| (row.get("path"), (document(row), row.get("modified_ns"))))
            .collect())
    }

    /// Paths whose new content is on its way in.
    pub(crate) async fn waiting_paths(&self, collection: CollectionId) -> Result<HashSet<String>> {
        let rows = sqlx::query(
            "SELECT path FROM documents WHERE collection_id = ? AND replaces IS NOT NULL",
        )
        .bind(collection.0)
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.failed(&error))?;
        Ok(rows.iter().map(|row| row.get("path")).collect())
    }

    /// Looks for a few chunks by their own words and vectors: an index that does not find them
    /// is broken, and is made anew.
    ///
    /// # Errors
    /// `Corrupt` if it is broken and rebuilding it did not help; `Busy` if it is not in step
    /// because another process writes.
    pub async fn check(&self, collection: CollectionId) -> Result<()> {
        if self.finds_itself(collection).await? {
            return Ok(());
        }
        let _lock = self.lock()?;
        self.check_or_rebuild(collection).await
    }

    /// As [`Library::check`], for a caller that holds the lock.
    pub(super) async fn check_or_rebuild(&self, collection: CollectionId) -> Result<()> {
        if self.finds_itself(collection).await? {
            return Ok(());
        }
        self.rebuild_index(collection).await?;
        if self.finds_itself(collection).await? {
            return Ok(());
        }
        Err(Error::new(ErrorCode::Corrupt, "the index does not find its own documents")
            .hint("Delete the collection and import it again; please report this."))
    }

    async fn finds_itself(&self, collection: CollectionId) -> Result<bool> {
        let index = match self.index(collection).await {
            Err(error) if is_damage(error.code) => return Ok(false),
            opened => opened?,
        };
        // Spread over the collection by a fixed stride, so that a check can be repeated.
        let rows = sqlx::query(
            "SELECT chunks.id, chunks.document_id, chunks.text, vectors.row FROM chunks
               JOIN documents ON documents.id = chunks.document_id
               LEFT JOIN vectors ON vectors.chunk_id = chunks.id
              WHERE documents.collection_id = ? AND documents.status IN ('ready', 'missing') AND documents.replaces IS NULL
              ORDER BY (chunks.id * 2654435761) % 4294967296 LIMIT ?",
        )
        .bind(collection.0)
        .bind(i64::try_from(SELF_TEST_CHUNKS).unwrap_or(1))
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.failed(&error))?;
        let found = blocking(move || {
            for row in rows {
                let (document, chunk) =
                    (DocumentId(row.get("document_id")), ChunkId(row.get("id")));
                let by_words = match &index.lexical {
                    Some(lexical) => {
                        lexical.finds(document, chunk, &row.get::<String, _>("text"))?
                    }
                    None => false,
                };
                let vector: Option<Vec<u8>> = row.get("row");
                let vector: Vec<f32> = bytemuck::pod_collect_to_vec(&vector.unwrap_or_default());
                let by_vector =
                    index.dense.as_ref().is_some_and(|dense| finds_vector(dense, &vector));
                if !by_words || !by_vector {
                    return Ok(false);
                }
            }
            Ok(true)
        })
        .await;
        match found {
            Err(error) if is_damage(error.code) => Ok(false),
            found => found,
        }
    }
}

impl Importer<'_> {
    /// Takes one document as far as it goes: searchable, duplicate or quarantined.
    pub(super) async fn bring_in(
        &self,
        pending: &Pending,
        pace: &mut Pace<'_>,
        stop: &CancellationToken,
        tally: &mut Tally,
    ) -> Result<()> {
        let document = &pending.document;
        let name =
            Path::new(&document.path).file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.as_deref().unwrap_or(&document.path);
        if document.status == DocumentStatus::Queued
            && !self.read(pending, name, pace, stop, tally).await?
        {
            return Ok(());
        }
        self.embed(document.id, name, pace, stop).await?;
        let failed = |error: sqlx::Error| self.library.failed(&error);
        let mut transaction = self.library.pool.begin().await.map_err(failed)?;
        finish(&mut transaction, document, pending.replaces).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        if pending.replaces.is_some() {
            tally.updated += 1;
        } else {
            tally.added += 1;
        }
        Ok(())
    }

    /// Reads and chunks a queued document. Returns whether there is anything to embed.
    async fn read(
        &self,
        pending: &Pending,
        name: &str,
        pace: &mut Pace<'_>,
        stop: &CancellationToken,
        tally: &mut Tally,
    ) -> Result<bool> {
        let library = self.library;
        let document = &pending.document;
        let failed = |error: sqlx::Error| library.failed(&error);
        let path = Path::new(&document.path);
        pace.stage("reading", Some(name), 0, None, ProgressUnit::Pages).await;
        let digest = {
            let path = path.to_owned();
            blocking(move || sha256(&path)).await
        };
        let sha256 = match digest {
            Ok(sha256) => sha256,
            Err(error) => return self.give_up(pending, None, &error).await,
        };
        if let Some(original) = self.same_content(document, pending.replaces, &sha256).await? {
            let mut transaction = library.pool.begin().await.map_err(failed)?;
            finish_duplicate(&mut transaction, document, pending.replaces, &original, &sha256)
                .await
                .map_err(failed)?;
            transaction.commit().await.map_err(failed)?;
            tally.duplicates += 1;
            return Ok(false);
        }
        let read = match self.read_pages(path, name, pace, stop).await {
            Ok(read)
                if read.pages.iter().any(|page| page.text.chars().any(char::is_alphanumeric)) =>
            {
                read
            }
            Ok(_) => {
                let error = Error::new(
                    ErrorCode::NoText,
                    "there is no text on its pages; they look scanned",
                )
                .hint("Run it through text recognition (OCR) first, then import the result.");
                return self.give_up(pending, Some(&sha256), &error).await;
            }
            Err(error) if is_about_the_file(error.code) => {
                return self.give_up(pending, Some(&sha256), &error).await;
            }
            Err(error) => return Err(error),
        };
        let title = read
            .title
            .clone()
            .or_else(|| chunk::title_of(&read.pages))
            .unwrap_or_else(|| files::stem(&document.path));
        let chunks = self.chunks(&read, stop).await?;
        let lost = read
            .pages
            .iter()
            .filter(|page| {
                page.problems.contains(&quartet_types::PageProblem::ExtractorFailed)
                    && page.text.is_empty()
            })
            .count();
        let missing =
            read.page_count.map_or(0, |count| (count as usize).saturating_sub(read.pages.len()));
        let failed_pages = u32::try_from(lost + missing).unwrap_or(u32::MAX);
        let problem = read.problem.clone().or_else(|| {
            (failed_pages > 0).then(|| {
                Error::new(
                    ErrorCode::BadFile,
                    format!("{failed_pages} of its pages could not be read"),
                )
            })
        });
        let text = DocumentText {
            title: &title,
            sha256: &sha256,
            pages: &read.pages,
            failed_pages,
            problem: problem.as_ref(),
            chunks: &chunks,
        };
        let mut transaction = library.pool.begin().await.map_err(failed)?;
        store_text(&mut transaction, document.id, &text).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(true)
    }

    /// Reads the pages while progress goes on being told.
    async fn read_pages(
        &self,
        path: &Path,
        name: &str,
        pace: &mut Pace<'_>,
        stop: &CancellationToken,
    ) -> Result<ReadDocument> {
        let done = AtomicU64::new(0);
        let total = AtomicU64::new(0);
        let note = |pages: u32, all: Option<u32>| {
            done.store(u64::from(pages), Ordering::Relaxed);
            total.store(u64::from(all.unwrap_or(0)), Ordering::Relaxed);
        };
        let mut reading = self.reader.read(path, &note, stop);
        loop {
            tokio::select! {
                read = &mut reading => return read,
                () = tokio::time::sleep(Duration::from_millis(100)) => {
                    let all = Some(total.load(Ordering::Relaxed)).filter(|&all| all > 0);
                    pace.stage("reading", Some(name), done.load(Ordering::Relaxed), all, ProgressUnit::Pages).await;
                }
            }
        }
    }

    async fn chunks(
        &self,
        read: &ReadDocument,
        stop: &CancellationToken,
    ) -> Result<Vec<ChunkPlan>> {
        let units = chunk::units(&read.pages);
        let mut tokens = Vec::with_capacity(units.len());
        for batch in units.chunks(COUNT_BATCH) {
            if stop.is_cancelled() {
                return Err(Error::cancelled());
            }
            let texts: Vec<String> = batch.iter().map(|unit| unit.text.clone()).collect();
            tokens.extend(self.embedder.count_tokens(&texts).await?);
        }
        let most = MOST_TOKENS.min(self.embedder.max_tokens().saturating_sub(48)).max(16);
        let budget = Budget { target: TARGET_TOKENS.min(most), most };
        Ok(chunk::plan(&read.pages, &units, &tokens, budget))
    }

    /// Makes the vectors that are missing, a batch and a transaction at a time.
    async fn embed(
        &self,
        id: DocumentId,
        name: &str,
        pace: &mut Pace<'_>,
        stop: &CancellationToken,
    ) -> Result<()> {
        let library = self.library;
        let failed = |error: sqlx::Error| library.failed(&error);
        let key = self.embedder.key();
        let title = library.document(id).await?.title;
        let waiting = {
            let mut connection = library.pool.acquire().await.map_err(failed)?;
            documents::unembedded(&mut connection, id, &key).await.map_err(failed)?
        };
        let total = waiting.len() as u64;
        let mut done = 0;
        for batch in waiting.chunks(BATCH) {
            if stop.is_cancelled() {
                return Err(Error::cancelled());
            }
            pace.stage("embedding", Some(name), done, Some(total), ProgressUnit::Chunks).await;
            let rows = self.embed_batch(&title, batch, stop).await?;
            let mut transaction = library.pool.begin().await.map_err(failed)?;
            for (chunk, row) in batch.iter().zip(rows.chunks(self.embedder.width().max(1))) {
                store_vector(&mut transaction, chunk.id, &key, row).await.map_err(failed)?;
            }
            transaction.commit().await.map_err(failed)?;
            done += batch.len() as u64;
        }
        Ok(())
    }

    /// Vectors of title, heading and text together. Where the title makes a chunk too long for
    /// the embedder, the chunk goes without it.
    async fn embed_batch(
        &self,
        title: &str,
        batch: &[UnembeddedChunk],
        stop: &CancellationToken,
    ) -> Result<Vec<f32>> {
        let mut texts: Vec<String> = batch
            .iter()
            .map(|chunk| format!("{}\n{}", context(title, chunk.heading.as_deref()), chunk.text))
            .collect();
        let most = self.embedder.max_tokens().saturating_sub(2);
        let counts = self.embedder.count_tokens(&texts).await?;
        for ((text, chunk), count) in texts.iter_mut().zip(batch).zip(counts) {
            if count > most {
                text.clone_from(&chunk.text);
            }
        }
        let rows = self.embedder.embed(&texts, stop).await?;
        let expected = batch.len() * self.embedder.width();
        if rows.len() != expected || rows.iter().any(|value| !value.is_finite()) {
            return Err(Error::internal(
                "the embedder returned rows of another shape, or not numbers",
            ));
        }
        Ok(rows)
    }

    /// Embeds again what another embedder has embedded, so that all vectors can be compared.
    pub(super) async fn refresh_vectors(
        &self,
        collection: CollectionId,
        pace: &mut Pace<'_>,
        stop: &CancellationToken,
    ) -> Result<()> {
        let rows = sqlx::query(
            "SELECT DISTINCT documents.id, documents.path FROM documents
               JOIN chunks ON chunks.document_id = documents.id
               LEFT JOIN vectors ON vectors.chunk_id = chunks.id AND vectors.embedder_key = ?
              WHERE documents.collection_id = ? AND documents.status IN ('ready', 'missing') AND vectors.chunk_id IS NULL",
        )
        .bind(self.embedder.key())
        .bind(collection.0)
        .fetch_all(&self.library.pool)
        .await
        .map_err(|error| self.library.failed(&error))?;
        if rows.is_empty() {
            return Ok(());
        }
        // Its key names the documents and the model, which cannot tell some vectors from all.
        self.library.indexes.remove_vectors(collection)?;
        for row in rows {
            self.embed(DocumentId(row.get("id")), &row.get::<String, _>("path"), pace, stop)
                .await?;
        }
        // Whoever has the old vectors open looks again.
        sqlx::query("UPDATE collections SET generation = generation + 1 WHERE id = ?")
            .bind(collection.0)
            .execute(&self.library.pool)
            .await
            .map(|_| ())
            .map_err(|error| self.library.failed(&error))
    }

    /// Another searchable document of the collection with this content.
    async fn same_content(
        &self,
        document: &Document,
        replaces: Option<DocumentId>,
        sha256: &Sha256,
    ) -> Result<Option<Document>> {
        let row = sqlx::query(
            "SELECT documents.*, 0 AS chunks FROM documents
              WHERE collection_id = ? AND sha256 = ? AND id <> ? AND id <> ? AND status IN ('ready', 'missing')
                AND duplicate_of IS NULL AND replaces IS NULL LIMIT 1",
        )
        .bind(document.collection.0)
        .bind(&sha256.0)
        .bind(document.id.0)
        .bind(replaces.map_or(-1, |id| id.0))
        .fetch_optional(&self.library.pool)
        .await
        .map_err(|error| self.library.failed(&error))?;
        Ok(row.as_ref().map(documents::document))
    }

    async fn give_up(
        &self,
        pending: &Pending,
        sha256: Option<&Sha256>,
        error: &Error,
    ) -> Result<bool> {
        let failed = |error: sqlx::Error| self.library.failed(&error);
        let mut transaction = self.library.pool.begin().await.map_err(failed)?;
        quarantine(&mut transaction, &pending.document, pending.replaces, sha256, error)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(false)
    }
}

/// Whether some vector in the file is as near to `vector` as it is to itself.
fn finds_vector(dense: &DenseIndex, vector: &[f32]) -> bool {
    let itself: f32 = vector.iter().map(|value| value * value).sum();
    dense.search(vector, 1).first().is_some_and(|(_, score)| *score >= itself * 0.999 - 1e-3)
}

/// Errors that say something about one file and nothing about the next.
fn is_about_the_file(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::Protected
            | ErrorCode::NoText
            | ErrorCode::BadFile
            | ErrorCode::LimitExceeded
            | ErrorCode::WorkerDied
            | ErrorCode::NotFound
            | ErrorCode::ReadOnly
            | ErrorCode::Io
    )
}

fn sha256(path: &Path) -> Result<Sha256> {
    let mut file = std::fs::File::open(path).map_err(|error| Error::from_io(&error, path))?;
    let mut digest = sha2::Sha256::new();
    std::io::copy(&mut file, &mut digest).map_err(|error| Error::from_io(&error, path))?;
    let mut text = String::with_capacity(64);
    for byte in digest.finalize() {
        let _ = write!(text, "{byte:02x}");
    }
    Ok(Sha256(text))
}
