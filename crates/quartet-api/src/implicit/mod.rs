//! Implicit queries (ImpRAG): passages as the base finds and reads them by itself.
//!
//! ```text
//! passages of the library ─ engine ─┬─▶ vectors, one file for each way of making them
//!                                   └─▶ states (keys and values), up to a budget on disk
//! question's vector ─ nearest vectors ─▶ passages ─▶ their states, or those made now
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | `setup` | what a base was taught on a collection, and with which adapters |
//! | `start` | what is shipped for a base, to begin with |
//! | `base` | what vectors and states depend on: their keys |
//! | `live` | the passages as they are now |
//! | `records`, `index` | a file that is appended to; vectors in it |
//! | `states` | which passages have states; which go first when there are too many |
//! | `folder` | where all this is, and how it is removed |
//! | `encoder`, `making` | encodes what is lacking |
//! | `job`, `status` | the same as a job; how much there is |

mod base;
mod encoder;
mod folder;
mod index;
mod job;
mod live;
mod making;
mod records;
mod setup;
mod start;
mod states;
mod status;

pub use job::IndexRequest;
pub use status::ImplicitStatus;

use crate::Quartet;
use crate::models::InstalledModel;
use async_trait::async_trait;
pub(crate) use base::Base;
pub(crate) use encoder::Encoder;
pub(crate) use setup::{AdapterFile, Taught};
pub(crate) use start::starting_point;

use folder::Folder;
use index::Index;
use live::Live;
use making::{Maker, Place, Telling, lacking};
use quartet_library::{Library, SearchMode};
use quartet_methods::imprag::fitting::Fitted;
use quartet_methods::imprag::vector::nearest;
use quartet_methods::imprag::{Setup, template};
use quartet_methods::{Implicit, States};
use quartet_types::{
    ChunkId, Collection, CollectionId, Error, ErrorCode, JobProgress, Passage, PassageSource,
    PassageTexts, Result, SearchHit, StoredPassage,
};
use records::{TextDigest, digest_of};
use sha2::Digest;
use states::Budget;
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

/// So many passages without a vector are encoded while a question waits; more are a job.
const MOST_ON_THE_SPOT: usize = 200;

/// The passages of one collection, for one base.
pub(crate) struct ImplicitPassages {
    library: Arc<Library>,
    data: PathBuf,
    collection: CollectionId,
    base: Base,
    setup: Setup,
    encoder: Encoder,
    live: Live,
    taught: Index,
    taught_place: Place,
    /// Vectors of the bare model, once a control asks for them.
    untaught: OnceCell<Index>,
    /// Which passages have states.
    known: Mutex<BTreeMap<ChunkId, StoredPassage>>,
    /// Bytes that states may take.
    limit: u64,
}

impl ImplicitPassages {
    /// What answers depend on.
    pub(crate) fn key(&self) -> String {
        format!("{} {:?}", self.base.sha256, self.setup)
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<ChunkId, StoredPassage>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn maker<'a>(&'a self, place: &'a Place, cancel: &'a CancellationToken) -> Maker<'a> {
        Maker { base: &self.base, setup: &self.setup, encoder: &self.encoder, place, cancel }
    }

    /// Vectors of the bare model.
    async fn untaught(&self, cancel: &CancellationToken) -> Result<&Index> {
        if self.setup.passage.is_empty() {
            return Ok(&self.taught);
        }
        let make = async || {
            let folder = self.taught_place.folder.clone();
            let place = Place::new(folder, &self.base, &self.setup, false)?;
            let maker = self.maker(&place, cancel);
            bring_up_to_date(&maker, &self.live, usize::MAX, &|_| {}).await
        };
        self.untaught.get_or_try_init(make).await
    }

    /// Passages by their chunks, in this order, with these scores; what was deleted meanwhile
    /// is left out.
    async fn hits(&self, found: Vec<(ChunkId, f32)>) -> Result<Vec<SearchHit>> {
        let ids: Vec<ChunkId> = found.iter().map(|(chunk, _)| *chunk).collect();
        let mut passages = self.library.passages(&ids).await?;
        let hit = |(chunk, score)| {
            let passage = passages.remove(&chunk)?;
            Some(SearchHit { passage, score, lexical: None, dense: None })
        };
        Ok(found.into_iter().filter_map(hit).collect())
    }
}

/// Passages as texts, where none are to be kept.
fn as_texts(fitted: Vec<Fitted>, read: Vec<usize>) -> States {
    let tokens = fitted.iter().map(|one| one.tokens).sum();
    let texts: Vec<String> = fitted.into_iter().map(|one| one.text).collect();
    let encoded = count(texts.len());
    let source = PassageSource::Texts(PassageTexts { texts, together: false });
    States { source, read, tokens, encoded, bytes: 0 }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[async_trait]
impl Implicit for ImplicitPassages {
    fn setup(&self) -> Result<&Setup> {
        Ok(&self.setup)
    }

    async fn nearest(
        &self,
        query: &[f32],
        taught: bool,
        limit: usize,
        cancel: &CancellationToken,
    ) -> Result<Vec<SearchHit>> {
        if query.len() != self.setup.heads.width() {
            return Err(Error::internal("a query of another model"));
        }
        let index = if taught { &self.taught } else { self.untaught(cancel).await? };
        let found = nearest(query, &index.rows, limit);
        let chunk = |(place, score): (usize, f32)| Some((*index.chunks.get(place)?, score));
        self.hits(found.into_iter().filter_map(chunk).collect()).await
    }

    async fn by_words(&self, question: &str, limit: usize) -> Result<Vec<SearchHit>> {
        let (mode, collection) = (SearchMode::Lexical, self.collection);
        let (hits, _) = self.library.search_by(mode, collection, question, &[], limit).await?;
        Ok(hits)
    }

    async fn at_random(&self, question: &str, limit: usize) -> Result<Vec<SearchHit>> {
        let drawn = draw(question, &self.taught.chunks, limit);
        self.hits(drawn.into_iter().map(|chunk| (chunk, 0.0)).collect()).await
    }

    async fn states(&self, passages: &[&Passage], cancel: &CancellationToken) -> Result<States> {
        let texts: Vec<String> = passages.iter().map(|passage| template::filled(passage)).collect();
        let digests: Vec<TextDigest> = texts.iter().map(|text| digest_of(text)).collect();
        // Also of those on disk: a state does not say how much of its passage is in it.
        let fitted = self.encoder.fit(texts, self.setup.settings.longest, cancel).await?;
        let both = passages.iter().zip(&fitted);
        let read = both.map(|(passage, one)| template::bytes_read(passage, &one.text)).collect();
        if self.limit == 0 || passages.is_empty() {
            return Ok(as_texts(fitted, read));
        }
        let states = &self.taught_place.states;
        let mut missing = Vec::new();
        let mut found: BTreeMap<ChunkId, StoredPassage> = BTreeMap::new();
        for ((passage, one), digest) in passages.iter().zip(fitted).zip(digests) {
            let known = self.known().get(&passage.chunk).cloned();
            match known.filter(|_| self.live.has(passage.chunk, digest)) {
                Some(state) if states.touch(&state.key) => {
                    found.insert(passage.chunk, state);
                }
                _ => missing.push((passage.chunk, digest, one.text)),
            }
        }
        if !missing.is_empty() {
            let made = self.maker(&self.taught_place, cancel).make_states(&missing).await?;
            for ((chunk, _, _), state) in missing.iter().zip(made) {
                self.known().insert(*chunk, state.clone());
                found.insert(*chunk, state);
            }
            // What this question reads stays, whatever the budget.
            let read: HashSet<&str> = found.values().map(|state| state.key.0.as_str()).collect();
            let is_read = |path: &Path| {
                states.holds(path)
                    && path
                        .file_stem()
                        .is_some_and(|name| name.to_str().is_some_and(|name| read.contains(name)))
            };
            Budget::new(&self.data, self.limit, is_read).trim();
        }
        let in_order: Vec<&StoredPassage> =
            passages.iter().filter_map(|passage| found.get(&passage.chunk)).collect();
        Ok(States {
            read,
            tokens: in_order.iter().map(|state| state.tokens).sum(),
            bytes: in_order.iter().map(|state| state.bytes).sum(),
            encoded: count(missing.len()),
            source: PassageSource::Stored {
                folder: states.path.clone(),
                keys: in_order.iter().map(|state| state.key.clone()).collect(),
                template: template::VERSION.to_owned(),
            },
        })
    }
}

/// Chunks by lot: the same for the same question, and nearly the same once there are others.
fn draw(question: &str, chunks: &[ChunkId], limit: usize) -> Vec<ChunkId> {
    let mut lots: Vec<([u8; 32], ChunkId)> = chunks
        .iter()
        .map(|chunk| {
            let mut hash = sha2::Sha256::new_with_prefix(chunk.0.to_le_bytes());
            hash.update(question);
            (hash.finalize().into(), *chunk)
        })
        .collect();
    lots.sort_unstable();
    lots.into_iter().take(limit).map(|(_, chunk)| chunk).collect()
}

/// Reads an index and encodes what it lacks, if that is at most so much.
async fn bring_up_to_date(
    maker: &Maker<'_>,
    live: &Live,
    most: usize,
    on_progress: &(dyn Fn(&JobProgress) + Send + Sync),
) -> Result<Index> {
    let index = maker.place.index(live)?;
    let missing = lacking(live, &index, None);
    if missing.is_empty() {
        return Ok(index);
    }
    if missing.len() > most {
        let of = live.len();
        let message = match missing.len() {
            all if all == of => {
                format!("the passages have not been prepared for `{}`", maker.base.name)
            }
            some => {
                format!("{some} of {of} passages have not been prepared for `{}`", maker.base.name)
            }
        };
        return Err(Error::new(ErrorCode::NotFound, message));
    }
    let _lock = maker.place.folder.lock()?;
    if index.is_mostly_dead() {
        maker.place.folder.prune(live)?;
    }
    let before = live.len() - missing.len();
    let told = Telling { lease: None, on_progress, before, began: Instant::now() };
    maker.make(&missing, &mut Budget::none(), &told).await?;
    maker.place.index(live)
}

impl Quartet {
    /// The passages of a collection as a loaded base finds and reads them. A few that are new
    /// are encoded first.
    ///
    /// # Errors
    /// `NotFound` where the collection has not been prepared for this base; `NotSupported` for
    /// a base that cannot do this; `Cancelled`.
    pub(crate) async fn implicit_passages(
        &self,
        collection: &Collection,
        model: &InstalledModel,
        cancel: &CancellationToken,
        on_progress: &(dyn Fn(&JobProgress) + Send + Sync),
    ) -> Result<ImplicitPassages> {
        let base = self.implicit_base(model)?;
        let (setup, files) = self.setup_for(collection.id, &base).await?;
        self.take_adapters(&base, &files, cancel).await?;
        let encoder = Encoder::new(Arc::clone(&self.engine), base.name.clone());
        let live = Live::in_collection(&self.library, collection.id).await?;
        let folder = Folder::new(&self.paths.data, collection.id);
        let place = Place::new(folder, &base, &setup, true)?;
        let maker = Maker { base: &base, setup: &setup, encoder: &encoder, place: &place, cancel };
        let taught = bring_up_to_date(&maker, &live, MOST_ON_THE_SPOT, on_progress).await;
        let taught = taught.map_err(|error| match error.code {
            ErrorCode::NotFound => {
                error.hint(format!("`quartet imprag index {}` prepares them.", collection.name))
            }
            _ => error,
        })?;
        let known = place.states.read(&live)?;
        Ok(ImplicitPassages {
            library: Arc::clone(&self.library),
            data: self.paths.data.clone(),
            collection: collection.id,
            base,
            setup,
            encoder,
            live,
            taught,
            taught_place: place,
            untaught: OnceCell::new(),
            known: Mutex::new(known),
            limit: self.state_limit(),
        })
    }

    /// Removes states of passages beyond what may be kept, those used least recently first.
    pub(crate) fn trim_states(&self) {
        Budget::new(&self.paths.data, self.state_limit(), |_| false).trim();
    }

    /// Bytes that states of passages may take.
    fn state_limit(&self) -> u64 {
        u64::from(self.settings.passage_states_mb) << 20
    }

    /// Removes vectors and states of passages that are not there any more. While a collection
    /// is being encoded, that job does so when it ends.
    pub(crate) async fn prune_implicit(&self, collection: CollectionId) -> Result<()> {
        let folder = Folder::new(&self.paths.data, collection);
        if !folder.is_there() {
            return Ok(());
        }
        let Ok(_lock) = folder.lock() else { return Ok(()) };
        folder.prune(&Live::in_collection(&self.library, collection).await?)
    }

    /// Removes all that is kept for implicit queries of a collection.
    pub(crate) fn forget_implicit(&self, collection: CollectionId) {
        Folder::new(&self.paths.data, collection).remove();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lots_depend_on_the_question_and_stay_when_others_come() {
        let chunks: Vec<ChunkId> = (1..=50).map(ChunkId).collect();
        let drawn = draw("Who?", &chunks, 10);
        assert_eq!(drawn, draw("Who?", &chunks, 10));
        assert_ne!(drawn, draw("Why?", &chunks, 10));
        assert_eq!(drawn.iter().collect::<HashSet<_>>().len(), 10);
        let more: Vec<ChunkId> = (1..=51).map(ChunkId).collect();
        let kept = draw("Who?", &more, 10);
        assert!(drawn.iter().filter(|chunk| kept.contains(chunk)).count() >= 9);
        assert_eq!(draw("Who?", &chunks[..3], 10).len(), 3);
    }
}
