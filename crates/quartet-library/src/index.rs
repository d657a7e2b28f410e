//! Keeps the two derived indexes of a collection in step with the store.

use crate::dense::{DenseIndex, DenseWriter};
use crate::lexical::{LexicalChunk, LexicalIndex};
use crate::store::Library;
use quartet_types::{ChunkId, CollectionId, DocumentId, Error, ErrorCode, Result};
use sha2::Digest;
use sqlx::Row;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Name of the vector file in a collection's index folder.
const DENSE_FILE: &str = "vectors.bin";

/// The indexes that are open, by collection.
pub(crate) struct Indexes {
    root: PathBuf,
    open: Mutex<HashMap<CollectionId, Arc<OpenIndex>>>,
}

/// Both indexes of one collection, as of one state of the store.
pub(crate) struct OpenIndex {
    /// `None` until the first import is done.
    pub(crate) lexical: Option<LexicalIndex>,
    pub(crate) dense: Option<DenseIndex>,
    state: StoreState,
    /// The collection's generation when this was known to be in step with the store; `None`
    /// if it is not, so that the next search looks again.
    generation: Option<i64>,
}

/// What the store holds that can be searched, in a form that is cheap to compare.
#[derive(Debug, Clone, PartialEq, Eq)]
struct StoreState {
    documents: BTreeSet<i64>,
    embedder: Option<String>,
}

impl StoreState {
    /// The key of the vector file: which documents' vectors, by which model.
    fn dense_key(&self) -> String {
        let mut digest = sha2::Sha256::new();
        for document in &self.documents {
            digest.update(document.to_le_bytes());
        }
        format!("{}{:x}", self.embedder_key(), digest.finalize())
    }

    /// The part of the key that any file with vectors of the same model has.
    fn embedder_key(&self) -> String {
        format!("1|{}|", self.embedder.as_deref().unwrap_or_default())
    }
}

impl Indexes {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root, open: Mutex::new(HashMap::new()) }
    }

    pub(crate) fn folder(&self, collection: CollectionId) -> PathBuf {
        self.root.join(collection.to_string())
    }

    /// Closes and deletes the indexes of a collection.
    pub(crate) fn remove(&self, collection: CollectionId) -> Result<()> {
        self.opened().remove(&collection);
        let folder = self.folder(collection);
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::from_io(&error, &folder))
            }
            _ => Ok(()),
        }
    }

    /// Deletes the vector file of a collection, whose vectors are about to be made anew.
    pub(crate) fn remove_vectors(&self, collection: CollectionId) -> Result<()> {
        self.opened().remove(&collection);
        let file = self.folder(collection).join(DENSE_FILE);
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::from_io(&error, &file))
            }
            _ => Ok(()),
        }
    }

    fn opened(&self) -> std::sync::MutexGuard<'_, HashMap<CollectionId, Arc<OpenIndex>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Library {
    /// The indexes of a collection, brought up to date if nobody else is doing so.
    pub(crate) async fn index(&self, collection: CollectionId) -> Result<Arc<OpenIndex>> {
        let generation = self.generation(collection).await?;
        let known = self.indexes.opened().get(&collection).cloned();
        if let Some(open) = known
            && open.generation == Some(generation)
        {
            return Ok(open);
        }
        let state = self.searchable(collection).await?;
        let mut open = self.open_index(collection).await;
        if open.as_ref().map_or(true, |open| open.state != state) {
            // A crash between the last document and its indexing, or a lost index. Whoever may
            // write repairs it; while another process writes, it is searched as it is.
            match self.lock_at_once() {
                Ok(_lock) => {
                    match self.update_index(collection).await {
                        Err(error) if is_damage(error.code) => {
                            self.rebuild_index(collection).await?;
                        }
                        updated => updated?,
                    }
                    open = self.open_index(collection).await;
                }
                Err(error) if matches!(error.code, ErrorCode::Busy | ErrorCode::ReadOnly) => {}
                Err(error) => return Err(error),
            }
        }
        let mut open = open?;
        open.generation = (open.state == state).then_some(generation);
        let open = Arc::new(open);
        self.indexes.opened().insert(collection, Arc::clone(&open));
        Ok(open)
    }

    async fn generation(&self, collection: CollectionId) -> Result<i64> {
        let row = sqlx::query("SELECT generation FROM collections WHERE id = ?")
            .bind(collection.0)
            .fetch_one(&self.pool)
            .await
            .map_err(|error| self.failed(&error))?;
        Ok(row.get("generation"))
    }

    async fn open_index(&self, collection: CollectionId) -> Result<OpenIndex> {
        let state = self.searchable(collection).await?;
        let folder = self.indexes.folder(collection);
        blocking(move || {
            let lexical = LexicalIndex::open(&folder.join("words"));
            let mut dense = open_dense(&folder, &state.dense_key())?;
            let mut documents = BTreeSet::new();
            if dense.is_some() || state.documents.is_empty() {
                documents = lexical.as_ref().map(LexicalIndex::documents).unwrap_or_default();
            } else {
                // The vectors of a moment ago are better than none while an import is under way.
                let prefix = state.embedder_key();
                dense = DenseIndex::open_where(&folder, DENSE_FILE, |key| {
                    key.starts_with(prefix.as_bytes())
                })
                .unwrap_or(None);
            }
            Ok(OpenIndex {
                lexical,
                dense,
                state: StoreState { documents, ..state },
                generation: None,
            })
        })
        .await
    }

    /// Brings the indexes of a collection in step with the store. The caller holds the lock.
    pub(crate) async fn update_index(&self, collection: CollectionId) -> Result<()> {
        self.indexes.opened().remove(&collection);
        let state = self.searchable(collection).await?;
        let folder = self.indexes.folder(collection);
        let words = folder.join("words");
        let lexical = blocking(move || LexicalIndex::open_or_create(&words)).await?;
        let indexed = lexical.documents();
        let removed: Vec<i64> = indexed.difference(&state.documents).copied().collect();
        let added: Vec<i64> = state.documents.difference(&indexed).copied().collect();
        if !removed.is_empty() || !added.is_empty() {
            let mut chunks = Vec::new();
            for &document in &added {
                chunks.extend(self.lexical_chunks(DocumentId(document)).await?);
            }
            blocking(move || lexical.change(&removed, &added, chunks.into_iter().map(Ok))).await?;
        }
        let key = state.dense_key();
        let open = {
            let (folder, key) = (folder.clone(), key.clone());
            blocking(move || open_dense(&folder, &key)).await?
        };
        if open.is_none() {
            self.write_vectors(collection, &state, &folder, &key).await?;
        }
        Ok(())
    }

    /// Makes the indexes of a collection anew. The caller holds the lock.
    pub(crate) async fn rebuild_index(&self, collection: CollectionId) -> Result<()> {
        self.indexes.remove(collection)?;
        self.update_index(collection).await
    }

    async fn write_vectors(
        &self,
        collection: CollectionId,
        state: &StoreState,
        folder: &Path,
        key: &str,
    ) -> Result<()> {
        let width_of = |row: &[u8]| row.len() / size_of::<f32>();
        let mut writer: Option<DenseWriter> = None;
        let mut after = 0_i64;
        loop {
            let rows = sqlx::query(
                "SELECT chunks.id, vectors.row FROM chunks
                   JOIN documents ON documents.id = chunks.document_id
                   JOIN vectors ON vectors.chunk_id = chunks.id AND vectors.embedder_key = ?
                  WHERE documents.collection_id = ? AND documents.status IN ('ready', 'missing')
                    AND documents.replaces IS NULL AND chunks.id > ?
                  ORDER BY chunks.id LIMIT 4096",
            )
            .bind(&state.embedder)
            .bind(collection.0)
            .bind(after)
            .fetch_all(&self.pool)
            .await
            .map_err(|error| self.failed(&error))?;
            let Some(last) = rows.last() else { break };
            after = last.get("id");
            for row in &rows {
                let bytes: Vec<u8> = row.get("row");
                let values: Vec<f32> = bytemuck::pod_collect_to_vec(&bytes);
                let writer = match &mut writer {
                    Some(writer) => writer,
                    empty => empty.insert(DenseWriter::create(
                        folder,
                        DENSE_FILE,
                        key,
                        width_of(&bytes),
                    )?),
                };
                writer.push(row.get("id"), &values)?;
            }
        }
        let writer = match writer {
            Some(writer) => writer,
            None => DenseWriter::create(folder, DENSE_FILE, key, 1)?,
        };
        blocking(move || writer.finish()).await
    }

    async fn lexical_chunks(&self, document: DocumentId) -> Result<Vec<LexicalChunk>> {
        let rows = sqlx::query(
            "SELECT chunks.id, chunks.heading, chunks.text, documents.title FROM chunks
               JOIN documents ON documents.id = chunks.document_id
              WHERE document_id = ? ORDER BY ordinal",
        )
        .bind(document.0)
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.failed(&error))?;
        Ok(rows
            .iter()
            .map(|row| {
                let heading: Option<String> = row.get("heading");
                LexicalChunk {
                    chunk: ChunkId(row.get("id")),
                    document,
                    heading: context(&row.get::<String, _>("title"), heading.as_deref()),
                    text: row.get("text"),
                }
            })
            .collect())
    }

    /// Documents whose text is searched, and the model that embedded them. Duplicates have no
    /// text of their own.
    async fn searchable(&self, collection: CollectionId) -> Result<StoreState> {
        let rows = sqlx::query(
            "SELECT id FROM documents WHERE collection_id = ? AND status IN ('ready', 'missing')
                AND replaces IS NULL AND duplicate_of IS NULL",
        )
        .bind(collection.0)
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.failed(&error))?;
        let embedder = sqlx::query(
            "SELECT vectors.embedder_key FROM documents
               JOIN chunks ON chunks.document_id = documents.id
               JOIN vectors ON vectors.chunk_id = chunks.id
              WHERE documents.collection_id = ? AND documents.status IN ('ready', 'missing')
              ORDER BY documents.id DESC LIMIT 1",
        )
        .bind(collection.0)
        .fetch_optional(&self.pool)
        .await
        .map_err(|error| self.failed(&error))?;
        Ok(StoreState {
            documents: rows.iter().map(|row| row.get("id")).collect(),
            embedder: embedder.map(|row| row.get("embedder_key")),
        })
    }
}

/// The vector file, if it is whole and has this key.
fn open_dense(folder: &Path, key: &str) -> Result<Option<DenseIndex>> {
    match DenseIndex::open(folder, DENSE_FILE, key) {
        // Derived data: a damaged file is as good as none.
        Err(error) if error.code == ErrorCode::Corrupt => Ok(None),
        opened => opened,
    }
}

/// Whether an error may come from damaged index files. A panic over them arrives as `Internal`.
pub(crate) fn is_damage(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::Corrupt | ErrorCode::Internal)
}

/// Title and heading of a chunk, as put before its text for both searches.
pub(crate) fn context(title: &str, heading: Option<&str>) -> String {
    match heading {
        Some(heading) if heading != title => format!("{title} — {heading}"),
        _ => title.to_owned(),
    }
}

/// Runs work that blocks on a thread that may.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::internal(error.to_string()))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_tells_sets_of_documents_and_models_apart_and_stays_short() {
        let state = |documents: &[i64], embedder: &str| StoreState {
            documents: documents.iter().copied().collect(),
            embedder: Some(embedder.to_owned()),
        };
        let key = state(&[1, 2], "a").dense_key();
        assert_eq!(key, state(&[2, 1], "a").dense_key());
        for other in [state(&[1], "a"), state(&[12], "a"), state(&[1, 2], "b"), state(&[], "a")] {
            assert_ne!(key, other.dense_key());
        }
        assert!(key.starts_with(&state(&[7], "a").embedder_key()));
        let many: Vec<i64> = (0..100_000).collect();
        assert!(state(&many, "a").dense_key().len() < 100);
    }
}
