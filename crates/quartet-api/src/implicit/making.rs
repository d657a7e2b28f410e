//! Encodes what has not been encoded yet: vectors, and in fast mode states as well.

use super::base::{Base, same_adapters};
use super::encoder::Encoder;
use super::folder::Folder;
use super::index::{self, Index};
use super::live::Live;
use super::records::{self, Kind, TextDigest};
use super::states::{Budget, StateFolder, bytes_of};
use crate::keeping::OnProgress;
use quartet_library::JobLease;
use quartet_methods::imprag::fitting::Fitted;
use quartet_methods::imprag::{Setup, template};
use quartet_types::{
    AdapterUse, ChunkId, Error, ErrorCode, ImpragMode, JobProgress, PassageStore, ProgressUnit,
    Result, Sha256, StoredPassage,
};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// Passages encoded in one request. What is under way is lost when the process is killed, and
/// progress is told this often.
const BATCH: usize = 8;
/// What the job says it does.
const STAGE: &str = "encoding";
/// About the header of a state's file, in bytes.
const STATE_HEADER: u64 = 2048;

/// One way of making vectors and states, and where they are.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) folder: Folder,
    /// Of vectors.
    pub(super) key: Sha256,
    /// Vectors: the file and what is in it.
    vectors: PathBuf,
    pub(super) kind: Kind,
    /// In force while vectors are made.
    adapters: Vec<AdapterUse>,
    /// States.
    pub(super) states: StateFolder,
    /// Of states.
    pub(super) state_key: Sha256,
}

impl Place {
    /// Where the vectors of `setup` are; those of the bare model where it is not `taught`.
    pub(super) fn new(folder: Folder, base: &Base, setup: &Setup, taught: bool) -> Result<Self> {
        let adapters = if taught { setup.passage.clone() } else { Vec::new() };
        let key = base.vector_key(setup, &adapters)?;
        let owner = bytes_of(&base.sha256);
        let size = index::size(setup.heads.width());
        let kind = Kind { size, owner, key: bytes_of(&key) };
        let state_key = base.state_key(setup)?;
        let states = StateFolder::new(folder.states(&state_key), owner, bytes_of(&state_key));
        Ok(Self { vectors: folder.vectors(&key), folder, key, kind, adapters, states, state_key })
    }

    pub(super) fn index(&self, live: &Live) -> Result<Index> {
        Index::read(&self.vectors, &self.kind, live)
    }
}

/// A passage that lacks something.
#[derive(Debug, Clone)]
pub(super) struct Lack {
    chunk: ChunkId,
    digest: TextDigest,
    text: String,
    pub(super) vector: bool,
    state: bool,
}

/// What lacks vectors, then what lacks states only. States count where they are wanted.
pub(super) fn lacking(
    live: &Live,
    index: &Index,
    states: Option<&BTreeMap<ChunkId, StoredPassage>>,
) -> Vec<Lack> {
    let mut all: Vec<Lack> = live
        .iter()
        .map(|(chunk, digest, text)| Lack {
            chunk,
            digest,
            text: text.to_owned(),
            vector: !index.has(chunk),
            state: states.is_some_and(|known| !known.contains_key(&chunk)),
        })
        .filter(|one| one.vector || one.state)
        .collect();
    all.sort_by_key(|one| !one.vector);
    all
}

/// Tells how far it is.
pub(super) struct Telling<'a> {
    /// The job, where it is one.
    pub(super) lease: Option<&'a JobLease>,
    pub(super) on_progress: OnProgress<'a>,
    /// Passages that had everything before it began.
    pub(super) before: usize,
    pub(super) began: Instant,
}

impl Telling<'_> {
    async fn tell(&self, done: usize, of: usize) {
        let elapsed = self.began.elapsed().as_secs_f64();
        let rate = (done > 0 && elapsed > 0.0).then(|| done as f64 / elapsed);
        let progress = JobProgress {
            stage: STAGE.to_owned(),
            subject: None,
            done: (self.before + done) as u64,
            total: Some((self.before + of) as u64),
            unit: ProgressUnit::Chunks,
            rate,
            eta_seconds: rate.map(|rate| (of - done) as f64 / rate),
            point: None,
        };
        (self.on_progress)(&progress);
        if let Some(lease) = self.lease {
            lease.note(&progress).await;
        }
    }
}

/// Makes what is lacking.
pub(super) struct Maker<'a> {
    pub(super) base: &'a Base,
    pub(super) setup: &'a Setup,
    pub(super) encoder: &'a Encoder,
    pub(super) place: &'a Place,
    pub(super) cancel: &'a CancellationToken,
}

impl Maker<'_> {
    /// States are wanted where they are read from disk.
    pub(super) fn wants_states(&self, limit: u64) -> bool {
        self.setup.settings.mode == ImpragMode::Fast && limit > 0
    }

    /// Encodes batch by batch; each is on the disk before the next begins. States are kept for
    /// as long as the budget has room for them.
    pub(super) async fn make(
        &self,
        lacking: &[Lack],
        budget: &mut Budget,
        told: &Telling<'_>,
    ) -> Result<()> {
        let mut has_room = true;
        let mut done = 0;
        told.tell(done, lacking.len()).await;
        // Batches do not mix what lacks different things.
        let runs = lacking.chunk_by(|a, b| (a.vector, a.state) == (b.vector, b.state));
        for batch in runs.flat_map(|run| run.chunks(BATCH)) {
            if self.cancel.is_cancelled() {
                return Err(Error::new(ErrorCode::Cancelled, "stopped"));
            }
            let (vector, state) =
                batch.first().map_or((false, false), |one| (one.vector, one.state));
            if vector || has_room {
                let texts: Vec<String> = batch.iter().map(|one| one.text.clone()).collect();
                let longest = self.setup.settings.longest;
                let fitted = self.encoder.fit(texts, longest, self.cancel).await?;
                if state {
                    has_room = has_room && budget.make_room(self.estimate(&fitted));
                }
                self.encode(batch, fitted, vector, state && has_room, budget).await?;
            }
            done += batch.len();
            told.tell(done, lacking.len()).await;
        }
        Ok(())
    }

    fn estimate(&self, fitted: &[Fitted]) -> u64 {
        let tokens: u64 = fitted.iter().map(|one| u64::from(one.tokens) + 1).sum();
        tokens * self.base.state_bytes_per_token(self.setup) + fitted.len() as u64 * STATE_HEADER
    }

    async fn encode(
        &self,
        batch: &[Lack],
        fitted: Vec<Fitted>,
        vector: bool,
        state: bool,
        budget: &mut Budget,
    ) -> Result<()> {
        let texts: Vec<String> = fitted.into_iter().map(|one| one.text).collect();
        let layer = vector.then_some(self.setup.settings.first_layer);
        let store = state.then(|| self.store());
        // The same weights for both: one pass makes both.
        let is_one = same_adapters(&self.place.adapters, &self.setup.states);
        let (mut keys, mut stored) = (Vec::new(), Vec::new());
        if is_one && (vector || state) {
            let encoded =
                self.encoder.encode(texts, &self.setup.states, layer, store, self.cancel).await?;
            (keys, stored) = (encoded.passages, encoded.stored);
        } else {
            if vector {
                let (adapters, texts) = (&self.place.adapters, texts.clone());
                let encoded =
                    self.encoder.encode(texts, adapters, layer, None, self.cancel).await?;
                keys = encoded.passages;
            }
            if state {
                let adapters = &self.setup.states;
                let encoded =
                    self.encoder.encode(texts, adapters, None, store, self.cancel).await?;
                stored = encoded.stored;
            }
        }
        if vector {
            let width = self.setup.heads.width();
            if let Some(wrong) = keys.iter().find(|one| one.key.len() != width) {
                let length = wrong.key.len();
                return Err(Error::internal(format!("a key of {length} numbers, not {width}")));
            }
            let payloads: Vec<Vec<u8>> = batch
                .iter()
                .zip(&keys)
                .map(|(one, key)| index::payload(one.chunk, one.digest, key.tokens, &key.key))
                .collect();
            records::append(&self.place.vectors, &self.place.kind, &payloads)?;
        }
        if state {
            budget.add(stored.iter().map(|state| state.bytes).sum());
            let made: Vec<_> = batch
                .iter()
                .zip(stored)
                .map(|(one, state)| (one.chunk, one.digest, state))
                .collect();
            self.place.states.note(&made)?;
        }
        Ok(())
    }

    /// Where states go.
    pub(super) fn store(&self) -> PassageStore {
        let settings = &self.setup.settings;
        PassageStore {
            folder: self.place.states.path.clone(),
            first_layer: settings.first_layer,
            last_layer: settings.last_layer,
            longest: settings.longest,
            template: template::VERSION.to_owned(),
        }
    }

    /// Encodes these passages, which are cut to length, for reading, whatever room there is, and
    /// notes it if nobody else writes here: a state without a note is of use now and made again
    /// the next time.
    pub(super) async fn make_states(
        &self,
        passages: &[(ChunkId, TextDigest, String)],
    ) -> Result<Vec<StoredPassage>> {
        let mut all = Vec::with_capacity(passages.len());
        for batch in passages.chunks(BATCH) {
            let texts: Vec<String> = batch.iter().map(|(_, _, text)| text.clone()).collect();
            let (adapters, store) = (&self.setup.states, Some(self.store()));
            let encoded = self.encoder.encode(texts, adapters, None, store, self.cancel).await?;
            all.extend(encoded.stored);
        }
        let made: Vec<_> = passages
            .iter()
            .zip(&all)
            .map(|((chunk, digest, _), state)| (*chunk, *digest, state.clone()))
            .collect();
        if let Ok(_lock) = self.place.folder.lock() {
            self.place.states.note(&made)?;
        }
        Ok(all)
    }
}
