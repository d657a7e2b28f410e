//! Passages through the engine: cut to length, then encoded.

use crate::engine::{Engine, unexpected};
use quartet_methods::imprag::fitting::{Fitted, Fitting};
use quartet_types::{
    AdapterUse, EncodedPassages, EngineReply, EngineRequest, Error, ModelId, PassageRequest,
    PassageStore, PassageTexts, Result,
};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// A base model that encodes passages; it is loaded.
#[derive(Clone)]
pub(crate) struct Encoder {
    engine: Arc<Engine>,
    model: ModelId,
}

impl Encoder {
    pub(crate) fn new(engine: Arc<Engine>, model: ModelId) -> Self {
        Self { engine, model }
    }

    async fn call(
        &self,
        request: EngineRequest,
        cancel: &CancellationToken,
    ) -> Result<EngineReply> {
        self.engine.call(request, cancel, |_| {}).await
    }

    /// Passages cut to fewer than `longest` tokens.
    pub(crate) async fn fit(
        &self,
        texts: Vec<String>,
        longest: u32,
        cancel: &CancellationToken,
    ) -> Result<Vec<Fitted>> {
        let mut fitting = Fitting::new(texts, longest);
        loop {
            let open = fitting.open();
            if open.is_empty() {
                return Ok(fitting.done());
            }
            fitting.told(&self.count(open, cancel).await?);
        }
    }

    async fn count(&self, texts: Vec<String>, cancel: &CancellationToken) -> Result<Vec<u32>> {
        let asked = texts.len();
        let request = EngineRequest::CountTokens { model: self.model.clone(), texts };
        match self.call(request, cancel).await? {
            EngineReply::Counted(counts) if counts.len() == asked => Ok(counts),
            other => Err(unexpected(&other)),
        }
    }

    /// Encodes passages, each alone.
    pub(crate) async fn encode(
        &self,
        texts: Vec<String>,
        adapters: &[AdapterUse],
        key_layer: Option<u32>,
        store: Option<PassageStore>,
        cancel: &CancellationToken,
    ) -> Result<EncodedPassages> {
        let count = texts.len();
        let stored = if store.is_some() { count } else { 0 };
        let request = EngineRequest::EncodePassages(PassageRequest {
            model: self.model.clone(),
            passages: PassageTexts { texts, together: false },
            adapters: adapters.to_vec(),
            key_layer,
            store,
        });
        match self.call(request, cancel).await? {
            EngineReply::PassagesEncoded(encoded)
                if encoded.passages.len() == count && encoded.stored.len() == stored =>
            {
                Ok(encoded)
            }
            EngineReply::PassagesEncoded(_) => {
                Err(Error::internal("the engine encoded other passages than it was given"))
            }
            other => Err(unexpected(&other)),
        }
    }
}
