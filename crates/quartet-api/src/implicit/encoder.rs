//! Passages through the engine: cut to length, then encoded.

use crate::engine::{Engine, unexpected};
use quartet_methods::imprag::template;
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

/// A passage as it is encoded.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fitted {
    pub(crate) text: String,
    /// Without a start token.
    pub(crate) tokens: u32,
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

    /// Passages cut to fewer than `longest` tokens, so that a start token fits as well. What
    /// every passage ends with stays.
    pub(crate) async fn fit(
        &self,
        texts: &[String],
        longest: u32,
        cancel: &CancellationToken,
    ) -> Result<Vec<Fitted>> {
        let most = longest.saturating_sub(1);
        let counts = self.count(texts, cancel).await?;
        let mut fitted = Vec::with_capacity(texts.len());
        for (text, tokens) in texts.iter().zip(counts) {
            let one = Fitted { text: text.clone(), tokens };
            fitted.push(if tokens <= most { one } else { self.cut(one, most, cancel).await? });
        }
        Ok(fitted)
    }

    /// Takes words away from the end of a passage until it fits.
    async fn cut(&self, whole: Fitted, most: u32, cancel: &CancellationToken) -> Result<Fitted> {
        let terminator = template::passage("", None, "");
        let mut body = whole.text.strip_suffix(&terminator).unwrap_or(&whole.text).to_owned();
        let mut tokens = whole.tokens;
        while tokens > most && !body.is_empty() {
            // Nearly every token has more than one character, so this ends soon.
            let over = (tokens - most) as usize;
            let kept = body.chars().count().saturating_sub(over);
            body = body.chars().take(kept).collect();
            let end = body.rfind(' ').filter(|end| *end > 0 && body.len() - end < 40);
            body.truncate(end.unwrap_or(body.len()));
            let text = [format!("{}{terminator}", body.trim_end())];
            tokens = self.count(&text, cancel).await?.first().copied().unwrap_or(0);
        }
        Ok(Fitted { text: format!("{}{terminator}", body.trim_end()), tokens })
    }

    async fn count(&self, texts: &[String], cancel: &CancellationToken) -> Result<Vec<u32>> {
        let request =
            EngineRequest::CountTokens { model: self.model.clone(), texts: texts.to_vec() };
        match self.call(request, cancel).await? {
            EngineReply::Counted(counts) if counts.len() == texts.len() => Ok(counts),
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
