//! Encoding a collection as a job: it can be paused, cancelled and killed, and goes on.

use super::base::Base;
use super::encoder::Encoder;
use super::folder::Folder;
use super::live::Live;
use super::making::{Maker, Place, Telling, lacking};
use super::states::Budget;
use super::status::ImplicitStatus;
use crate::Quartet;
use crate::engine::BaseReader;
use crate::keeping::OnProgress;
use quartet_library::JobLease;
use quartet_types::{Collection, ImpragMode, JobId, JobKind, Result};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// What to encode. Stored with the job, so that it can go on in another process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexRequest {
    /// The collection.
    pub collection: String,
    /// The base that retrieves; `None` for the one that answers on this machine.
    #[serde(default)]
    pub base: Option<String>,
    /// How passages are to be read from now on; `None` leaves it as it was chosen or taught.
    #[serde(default)]
    pub mode: Option<ImpragMode>,
}

impl Quartet {
    /// Encodes the passages of a collection for implicit queries, as far as that has not been
    /// done: vectors, and in fast mode states up to the budget. Goes on where it stopped.
    ///
    /// # Errors
    /// `NotFound` for the collection, `ModelMissing`, `NotSupported` for a base that cannot do
    /// this, `Busy` if this is under way, `Cancelled`, `DiskFull`.
    pub async fn index_implicit(
        &self,
        request: &IndexRequest,
        cancel: &CancellationToken,
        on_progress: OnProgress<'_>,
    ) -> Result<ImplicitStatus> {
        let collection = self.find_collection(&request.collection).await?;
        let lease = self.library.begin_job(JobKind::Encode, collection.id, request, cancel).await?;
        let outcome = self.encode_collection(&collection, request, &lease, on_progress).await;
        lease.end(outcome).await
    }

    /// Notes an encoding to be done when its turn comes.
    ///
    /// # Errors
    /// `NotFound` for the collection.
    pub async fn queue_index(&self, request: &IndexRequest) -> Result<JobId> {
        let collection = self.find_collection(&request.collection).await?;
        self.library.queue_job(JobKind::Encode, collection.id, request).await
    }

    async fn encode_collection(
        &self,
        collection: &Collection,
        request: &IndexRequest,
        lease: &JobLease,
        on_progress: OnProgress<'_>,
    ) -> Result<ImplicitStatus> {
        let folder = Folder::new(&self.paths.data, collection.id);
        let cancel = lease.stop();
        let model = self.base_model(request.base.as_deref(), cancel).await?;
        let base = self.implicit_base(&model)?;
        let lock = folder.lock()?;
        if let Some(mode) = request.mode {
            folder.choose(mode)?;
        }
        BaseReader::load(Arc::clone(&self.engine), model.clone(), cancel, |_| {}).await?;
        let made = self.encode_lacking(collection, &base, lease, on_progress).await;
        // Whatever came of it: what was deleted meanwhile must not stay.
        let is_there = self.library.collections().await?.iter().any(|one| one.id == collection.id);
        if is_there {
            folder.prune(&Live::in_collection(&self.library, collection.id).await?)?;
        }
        drop(lock);
        if !is_there {
            folder.remove();
        }
        made?;
        self.status_of(collection, &base).await
    }

    async fn encode_lacking(
        &self,
        collection: &Collection,
        base: &Base,
        lease: &JobLease,
        on_progress: OnProgress<'_>,
    ) -> Result<()> {
        let began = Instant::now();
        let folder = Folder::new(&self.paths.data, collection.id);
        let cancel = lease.stop();
        let (setup, files) = self.setup_for(collection.id, base).await?;
        self.take_adapters(base, &files, cancel).await?;
        let encoder = Encoder::new(Arc::clone(&self.engine), base.name.clone());
        let place = Place::new(folder.clone(), base, &setup, true)?;
        let live = Live::in_collection(&self.library, collection.id).await?;
        let index = place.index(&live)?;
        let maker = Maker { base, setup: &setup, encoder: &encoder, place: &place, cancel };
        let limit = self.state_limit();
        self.trim_states();
        let known = maker.wants_states(limit).then(|| place.states.read(&live)).transpose()?;
        let lacking = lacking(&live, &index, known.as_ref());
        // States of these passages do not make room for each other.
        let mut budget = Budget::new(&self.paths.data, limit, |path| place.states.holds(path));
        let before = live.len() - lacking.len();
        let told = Telling { lease: Some(lease), on_progress, before, began };
        maker.make(&lacking, &mut budget, &told).await?;
        let bare = Place::new(folder.clone(), base, &setup, false)?;
        let keep: HashSet<_> = [place.key.clone(), bare.key, place.state_key.clone()].into();
        folder.remove_outdated(&place.kind.owner, &keep);
        Ok(())
    }
}
