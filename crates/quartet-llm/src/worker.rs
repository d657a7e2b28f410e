//! The engine as a worker process.

use crate::model::Model;
use quartet_types::{
    EngineEvent, EngineReply, EngineRequest, Error, ErrorCode, LoadRequest, ModelId, Result,
};
use quartet_worker::{Handler, Protocol, RequestContext};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::native;
use crate::queue::Queue;

/// Environment of the worker process. The first keeps OpenMP threads, where they are built in,
/// from burning processor time while they wait; the second keeps an abort from starting a
/// debugger.
pub const ENGINE_ENVIRONMENT: [(&str, &str); 2] =
    [("OMP_WAIT_POLICY", "passive"), ("GGML_NO_BACKTRACE", "1")];

/// The smallest step of progress that is reported.
const PROGRESS_STEP: f32 = 0.01;

/// How often an unload looks whether the last request is done.
const UNLOAD_LOOK: Duration = Duration::from_millis(10);

/// The messages of the engine.
pub struct EngineProtocol;

impl Protocol for EngineProtocol {
    type Request = EngineRequest;
    type Event = EngineEvent;
    type Reply = EngineReply;
    const NAME: &'static str = "engine";
}

/// Serves requests on standard input until it ends.
///
/// # Errors
/// If the pipes cannot be set up.
pub fn serve_engine() -> Result<()> {
    quartet_worker::serve::<EngineProtocol>(EngineHandler::new())
}

/// Owns the loaded models. Requests to one model advance in turn, token by token; different
/// models work at the same time.
#[derive(Default)]
pub struct EngineHandler {
    models: Mutex<HashMap<ModelId, Arc<Model>>>,
    loads: Queue,
}

impl Handler<EngineProtocol> for EngineHandler {
    fn handle(
        &self,
        request: EngineRequest,
        context: &RequestContext<EngineProtocol>,
    ) -> Result<EngineReply> {
        let cancel = context.cancel_flag();
        match request {
            EngineRequest::Load(request) => self.load(&request, context),
            EngineRequest::Unload(model) => self.unload(&model, context),
            EngineRequest::Generate(request) => {
                let model = self.model(&request.model)?;
                let turn = model.turn(&cancel)?;
                let generation = turn.generate(&request, |event| context.emit(event))?;
                Ok(EngineReply::Generated(generation))
            }
            EngineRequest::Embed { model, texts } => {
                let model = self.model(&model)?;
                let rows = model.turn(&cancel)?.embed(&texts)?;
                Ok(EngineReply::Embedded { values: rows.values, width: rows.width })
            }
            EngineRequest::CountTokens { model, texts } => {
                Ok(EngineReply::Counted(self.model(&model)?.count_tokens(&texts, &cancel)?))
            }
            EngineRequest::Score { model, prompt, continuations, adapters } => {
                let model = self.model(&model)?;
                let scores = model.turn(&cancel)?.score(&prompt, &continuations, &adapters)?;
                Ok(EngineReply::Scored(scores))
            }
            EngineRequest::Perplexity(request) => {
                let model = self.model(&request.model)?;
                Ok(EngineReply::Perplexity(model.turn(&cancel)?.perplexity(&request)?))
            }
            EngineRequest::Tokenise { model, texts, special } => {
                let tokens = self.model(&model)?.tokenise(&texts, special, &cancel)?;
                Ok(EngineReply::Tokens(tokens))
            }
            EngineRequest::Detokenise { model, tokens, special } => {
                Ok(EngineReply::Texts(self.model(&model)?.detokenise(&tokens, special)?))
            }
            EngineRequest::ReadPrompt { model, prompt } => {
                Ok(EngineReply::PromptRead(self.model(&model)?.read_prompt(&prompt)?))
            }
            EngineRequest::TokenEmbeddings { model, input } => {
                Ok(EngineReply::Rows(self.model(&model)?.token_embeddings(&input)?))
            }
            EngineRequest::LoadAdapter { model, source } => {
                let adapter = self.model(&model)?.load_adapter(&source)?;
                Ok(EngineReply::AdapterLoaded(adapter))
            }
            EngineRequest::FreeAdapter { model, adapter } => {
                self.model(&model)?.free_adapter(&adapter);
                Ok(EngineReply::Done)
            }
            EngineRequest::ListAdapters(model) => {
                Ok(EngineReply::Adapters(self.model(&model)?.adapters()))
            }
            EngineRequest::EncodePassages(request) => {
                let model = self.model(&request.model)?;
                let encoded = model.turn(&cancel)?.encode_passages(&request)?;
                Ok(EngineReply::PassagesEncoded(encoded))
            }
            EngineRequest::Devices => {
                let devices = native::devices().into_iter().map(|(device, _)| device);
                Ok(EngineReply::Devices(devices.collect()))
            }
        }
    }
}

impl EngineHandler {
    /// An engine without models.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn models(&self) -> MutexGuard<'_, HashMap<ModelId, Arc<Model>>> {
        self.models.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn model(&self, id: &ModelId) -> Result<Arc<Model>> {
        self.models().get(id).map(Arc::clone).ok_or_else(|| {
            Error::new(ErrorCode::NotFound, "this model is not loaded")
                .hint("Load it first; after a restart the engine starts empty.")
                .about(id.to_string())
        })
    }

    fn load(
        &self,
        request: &LoadRequest,
        context: &RequestContext<EngineProtocol>,
    ) -> Result<EngineReply> {
        let cancel = context.cancel_flag();
        let _place = self.loads.enter(&cancel)?;
        let loaded = self.models().get(&request.model).map(Arc::clone);
        if let Some(model) = loaded {
            if model.answers(request) {
                return Ok(EngineReply::Loaded(model.description().clone()));
            }
            // Two of them might not fit; the old one goes once its last request is done.
            drop(model);
            self.unload(&request.model, context)?;
        }
        let mut reported = 0.0;
        let model = Model::load(request, quartet_gguf::available_memory(), &cancel, |share| {
            if share - reported >= PROGRESS_STEP || share >= 1.0 {
                reported = share;
                context.emit(EngineEvent::Loading(share));
            }
        })?;
        let description = model.description().clone();
        self.models().insert(request.model.clone(), Arc::new(model));
        Ok(EngineReply::Loaded(description))
    }

    fn unload(
        &self,
        id: &ModelId,
        context: &RequestContext<EngineProtocol>,
    ) -> Result<EngineReply> {
        let removed = self.models().remove(id);
        let Some(model) = removed else { return Ok(EngineReply::Done) };
        // Requests that came before still finish, and only then is the memory given back.
        while Arc::strong_count(&model) > 1 {
            if context.is_cancelled() {
                self.models().entry(id.clone()).or_insert(model);
                return Err(Error::cancelled());
            }
            std::thread::sleep(UNLOAD_LOOK);
        }
        Ok(EngineReply::Done)
    }
}
