//! How much of a collection is prepared for implicit queries.

use super::base::Base;
use super::folder::Folder;
use super::live::Live;
use super::making::Place;
use crate::Quartet;
use quartet_types::{Collection, ImpragMode, ImpragTier, Result};
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use ts_rs::TS;

/// How much of a collection is prepared for a base.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
pub struct ImplicitStatus {
    /// The collection.
    pub collection: String,
    /// The base.
    pub base: String,
    /// How passages are read.
    pub mode: ImpragMode,
    /// What was taught.
    pub tier: ImpragTier,
    /// First and last layer that read passages.
    pub layers: (u32, u32),
    /// Passages there are.
    pub passages: u32,
    /// Passages that can be found: they have a vector.
    pub vectors: u32,
    /// Whether all of them can.
    pub is_whole: bool,
    /// Tokens of those with a vector.
    #[ts(type = "number")]
    pub tokens: u64,
    /// Bytes of a vector.
    pub vector_bytes: u32,
    /// Passages whose states are on disk.
    pub states: u32,
    /// Bytes of these states.
    #[ts(type = "number")]
    pub state_bytes: u64,
    /// Bytes of the states of a passage, on average; 0 where there are none.
    #[ts(type = "number")]
    pub state_bytes_per_passage: u64,
    /// Bytes that states of all collections may take.
    #[ts(type = "number")]
    pub state_limit: u64,
}

impl Quartet {
    /// How much is prepared, of one collection or of all.
    ///
    /// # Errors
    /// `NotFound` for the collection, `ModelMissing`, `NotSupported` for a base that cannot do
    /// this.
    pub async fn implicit_status(
        &self,
        collection: Option<&str>,
        base: Option<&str>,
        cancel: &CancellationToken,
    ) -> Result<Vec<ImplicitStatus>> {
        let collections = match collection {
            Some(name) => vec![self.find_collection(name).await?],
            None => self.collections().await?,
        };
        let model = self.base_model(base, cancel).await?;
        let base = self.implicit_base(&model)?;
        let mut all = Vec::with_capacity(collections.len());
        for collection in &collections {
            all.push(self.status_of(collection, &base).await?);
        }
        Ok(all)
    }

    pub(super) async fn status_of(
        &self,
        collection: &Collection,
        base: &Base,
    ) -> Result<ImplicitStatus> {
        let (setup, _) = self.setup_for(collection.id, base).await?;
        let live = Live::in_collection(&self.library, collection.id).await?;
        let folder = Folder::new(&self.paths.data, collection.id);
        let place = Place::new(folder, base, &setup, true)?;
        let index = place.index(&live)?;
        let states = place.states.read(&live)?;
        let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let state_bytes: u64 = states.values().map(|state| state.bytes).sum();
        Ok(ImplicitStatus {
            collection: collection.name.clone(),
            base: base.name.0.clone(),
            mode: setup.settings.mode,
            tier: setup.tier,
            layers: (setup.settings.first_layer, setup.settings.last_layer),
            passages: small(live.len()),
            vectors: small(index.chunks.len()),
            is_whole: index.chunks.len() == live.len(),
            tokens: index.all_tokens(),
            vector_bytes: small(4 * setup.heads.width()),
            states: small(states.len()),
            state_bytes,
            state_bytes_per_passage: state_bytes.checked_div(states.len() as u64).unwrap_or(0),
            state_limit: self.state_limit(),
        })
    }
}
