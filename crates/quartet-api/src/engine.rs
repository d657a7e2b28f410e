//! The engine worker as seen from here: it is started when needed, told which models to
//! have, and serves the library as embedder and the methods as reader.

use crate::models::{InstalledModel, ModelStore};
use crate::settings::Settings;
use async_trait::async_trait;
use quartet_library::Embedder;
use quartet_llm::EngineProtocol;
use quartet_methods::Reader;
use quartet_types::{
    AdapterUse, Device, EngineEvent, EngineReply, EngineRequest, Error, Generation,
    GenerationRequest, LoadRequest, ModelDescription, ModelId, Prompt, Result,
};
use quartet_worker::{CallOptions, Supervisor, WorkerCommand};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

/// Tokens the embedder was trained to read at once; chunks are kept below it.
const EMBEDDER_CONTEXT: u32 = 512;

/// Texts that are split into tokens in one request.
const TEXTS_AT_ONCE: usize = 256;
/// Stands for bytes that are no whole character.
const BROKEN: char = '\u{fffd}';
/// Tokens that a character, or two that share a token, may be spread over.
const TOKENS_OF_A_CHARACTER: usize = 6;

/// The engine worker and what it needs to load a model.
pub(crate) struct Engine {
    supervisor: Supervisor<EngineProtocol>,
    pub(crate) models: Arc<ModelStore>,
    settings: Settings,
    /// What the running worker has in memory.
    loaded: Mutex<BTreeMap<ModelId, ModelDescription>>,
}

impl Engine {
    pub(crate) fn new(command: WorkerCommand, models: Arc<ModelStore>, settings: Settings) -> Self {
        Self { supervisor: Supervisor::new(command), models, settings, loaded: Mutex::default() }
    }

    /// Has the model loaded. Cheap when it already is; loads again after a worker's death.
    pub(crate) async fn load(
        &self,
        model: &InstalledModel,
        context: u32,
        cancel: &CancellationToken,
        on_event: impl FnMut(EngineEvent) + Send,
    ) -> Result<ModelDescription> {
        let models = Arc::clone(&self.models);
        let wanted = model.clone();
        // Hashing a gigabyte the first time must not stall the runtime.
        let (path, _) = tokio::task::spawn_blocking(move || models.verified(&wanted))
            .await
            .map_err(|error| Error::internal(error.to_string()))??;
        let request = EngineRequest::Load(LoadRequest {
            model: model.name.clone(),
            path,
            sha256: None,
            context,
            threads: self.settings.threads,
            gpu_layers: u32::try_from(self.settings.gpu_layers).ok(),
            pooling: None,
        });
        match self.call(request, cancel, on_event).await? {
            EngineReply::Loaded(description) => {
                self.note_loaded().insert(description.model.clone(), description.clone());
                Ok(description)
            }
            other => Err(unexpected(&other)),
        }
    }

    /// What is in memory now; nothing once the worker has ended.
    pub(crate) fn loaded(&self) -> Vec<ModelDescription> {
        self.note_loaded().values().cloned().collect()
    }

    fn note_loaded(&self) -> MutexGuard<'_, BTreeMap<ModelId, ModelDescription>> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.supervisor.is_running() {
            loaded.clear();
        }
        loaded
    }

    pub(crate) async fn devices(&self) -> Result<Vec<Device>> {
        match self.call(EngineRequest::Devices, &CancellationToken::new(), |_| {}).await? {
            EngineReply::Devices(devices) => Ok(devices),
            other => Err(unexpected(&other)),
        }
    }

    pub(crate) async fn call(
        &self,
        request: EngineRequest,
        cancel: &CancellationToken,
        on_event: impl FnMut(EngineEvent) + Send,
    ) -> Result<EngineReply> {
        let options = CallOptions { cancel: cancel.clone(), wall_limit: None };
        self.supervisor.call(request, &options, on_event).await
    }

    async fn count(&self, model: &InstalledModel, texts: &[String]) -> Result<Vec<u32>> {
        let request =
            EngineRequest::CountTokens { model: model.name.clone(), texts: texts.to_vec() };
        match self.call(request, &CancellationToken::new(), |_| {}).await? {
            EngineReply::Counted(counts) => Ok(counts),
            other => Err(unexpected(&other)),
        }
    }
}

pub(crate) fn unexpected(reply: &EngineReply) -> Error {
    Error::internal(format!("the engine gave an answer to another question: {reply:?}"))
}

/// A base model that is loaded and can answer.
pub(crate) struct BaseReader {
    engine: Arc<Engine>,
    model: InstalledModel,
    description: ModelDescription,
}

impl BaseReader {
    pub(crate) async fn load(
        engine: Arc<Engine>,
        model: InstalledModel,
        cancel: &CancellationToken,
        on_event: impl FnMut(EngineEvent) + Send,
    ) -> Result<Self> {
        let context = engine.settings.context;
        let description = engine.load(&model, context, cancel, on_event).await?;
        Ok(Self { engine, model, description })
    }

    /// Texts as tokens, without special ones.
    pub(crate) async fn tokens(&self, texts: &[String]) -> Result<Vec<Vec<u32>>> {
        let mut all = Vec::with_capacity(texts.len());
        for some in texts.chunks(TEXTS_AT_ONCE) {
            let request = EngineRequest::Tokenise {
                model: self.model.name.clone(),
                texts: some.to_vec(),
                special: false,
            };
            match self.engine.call(request, &CancellationToken::new(), |_| {}).await? {
                EngineReply::Tokens(tokens) => all.extend(tokens),
                other => return Err(unexpected(&other)),
            }
        }
        Ok(all)
    }

    /// Lists of tokens as text, each by itself.
    async fn texts(&self, tokens: Vec<Vec<u32>>) -> Result<Vec<String>> {
        let model = self.model.name.clone();
        let request = EngineRequest::Detokenise { model, tokens, special: false };
        match self.engine.call(request, &CancellationToken::new(), |_| {}).await? {
            EngineReply::Texts(texts) => Ok(texts),
            other => Err(unexpected(&other)),
        }
    }

    /// The text of each token. Where one ends amid a character it is empty, and the one that
    /// completes the character has it.
    async fn pieces_of(&self, tokens: &[u32]) -> Result<Vec<String>> {
        let mut pieces = self.texts(tokens.iter().map(|token| vec![*token]).collect()).await?;
        let mut at = 0;
        while at < pieces.len() {
            if !pieces[at].contains(BROKEN) {
                at += 1;
                continue;
            }
            let longest = (pieces.len() - at).min(TOKENS_OF_A_CHARACTER);
            let together = (2..=longest).map(|length| tokens[at..at + length].to_vec()).collect();
            let whole = self.texts(together).await?;
            let complete = whole.into_iter().enumerate().find(|(_, text)| !text.contains(BROKEN));
            let Some((more, text)) = complete else {
                // No character at all: it stays as it is shown.
                at += 1;
                continue;
            };
            let last = at + 1 + more;
            pieces[at..last].fill(String::new());
            pieces[last] = text;
            at = last + 1;
        }
        Ok(pieces)
    }

    /// The model with its file.
    pub(crate) fn installed(&self) -> &InstalledModel {
        &self.model
    }
}

#[async_trait]
impl Reader for BaseReader {
    fn model(&self) -> &ModelDescription {
        &self.description
    }

    async fn generate(
        &self,
        request: GenerationRequest,
        cancel: &CancellationToken,
        on_event: &mut (dyn FnMut(EngineEvent) + Send),
    ) -> Result<Generation> {
        match self.engine.call(EngineRequest::Generate(request), cancel, on_event).await? {
            EngineReply::Generated(generation) => Ok(generation),
            other => Err(unexpected(&other)),
        }
    }

    async fn score(
        &self,
        prompt: Prompt,
        continuations: Vec<String>,
        cancel: &CancellationToken,
    ) -> Result<Vec<Vec<f32>>> {
        self.score_under(Vec::new(), prompt, continuations, cancel).await
    }

    async fn score_under(
        &self,
        adapters: Vec<AdapterUse>,
        prompt: Prompt,
        continuations: Vec<String>,
        cancel: &CancellationToken,
    ) -> Result<Vec<Vec<f32>>> {
        let model = self.model.name.clone();
        let request = EngineRequest::Score { model, prompt, continuations, adapters };
        match self.engine.call(request, cancel, |_| {}).await? {
            EngineReply::Scored(scores) => Ok(scores),
            other => Err(unexpected(&other)),
        }
    }

    async fn count_tokens(&self, texts: &[String]) -> Result<Vec<u32>> {
        self.engine.count(&self.model, texts).await
    }

    async fn pieces(&self, texts: &[String]) -> Result<Vec<Vec<String>>> {
        let mut all = Vec::with_capacity(texts.len());
        for tokens in self.tokens(texts).await? {
            all.push(self.pieces_of(&tokens).await?);
        }
        Ok(all)
    }
}

/// The embedding model, loaded and ready.
pub(crate) struct EngineEmbedder {
    engine: Arc<Engine>,
    model: InstalledModel,
    description: ModelDescription,
    key: String,
}

impl EngineEmbedder {
    pub(crate) async fn load(
        engine: Arc<Engine>,
        model: InstalledModel,
        cancel: &CancellationToken,
    ) -> Result<Self> {
        let description = engine.load(&model, EMBEDDER_CONTEXT, cancel, |_| {}).await?;
        let (_, sha256) = engine.models.verified(&model)?;
        let key = format!("{sha256}+{}", description.engine_build);
        Ok(Self { engine, model, description, key })
    }

    /// Vectors of questions, one after another: of a long one that of its beginning, whose words
    /// beyond still count in BM25.
    pub(crate) async fn embed_questions(
        &self,
        questions: &[&str],
        cancel: &CancellationToken,
    ) -> Result<Vec<f32>> {
        let head = |one: &&str| one.chars().take(MOST_EMBEDDED_CHARACTERS).collect();
        let heads: Vec<String> = questions.iter().map(head).collect();
        self.embed(&heads, cancel).await
    }
}

/// A question's vector is made from this much of it: no token is longer than a character, so
/// this always fits the embedder, and no honest question is longer.
const MOST_EMBEDDED_CHARACTERS: usize = 480;

#[async_trait]
impl Embedder for EngineEmbedder {
    fn key(&self) -> String {
        self.key.clone()
    }

    fn width(&self) -> usize {
        self.description.width as usize
    }

    fn max_tokens(&self) -> u32 {
        self.description.context
    }

    async fn count_tokens(&self, texts: &[String]) -> Result<Vec<u32>> {
        self.engine.count(&self.model, texts).await
    }

    async fn embed(&self, texts: &[String], cancel: &CancellationToken) -> Result<Vec<f32>> {
        let request =
            EngineRequest::Embed { model: self.model.name.clone(), texts: texts.to_vec() };
        match self.engine.call(request, cancel, |_| {}).await? {
            EngineReply::Embedded { values, .. } => Ok(values),
            other => Err(unexpected(&other)),
        }
    }
}
