//! The engine's worker as a reader.

use async_trait::async_trait;
use quartet_methods::Reader;
use quartet_types::{
    EngineEvent, EngineReply, EngineRequest, Error, Generation, GenerationRequest, LoadRequest,
    ModelDescription, ModelId, Prompt, Result,
};
use quartet_worker::{CallOptions, Protocol, Supervisor, WorkerCommand};
use std::path::PathBuf;
use tokio_util::sync::CancellationToken;

struct Engine;

impl Protocol for Engine {
    type Request = EngineRequest;
    type Event = EngineEvent;
    type Reply = EngineReply;
    const NAME: &'static str = "engine";
}

pub(crate) struct WorkerReader {
    supervisor: Supervisor<Engine>,
    description: ModelDescription,
}

fn unexpected(reply: &EngineReply) -> Error {
    Error::internal(format!("unexpected reply {reply:?}"))
}

impl WorkerReader {
    pub(crate) async fn load(program: PathBuf, path: PathBuf) -> Result<Self> {
        let supervisor = Supervisor::new(WorkerCommand {
            program,
            arguments: vec!["worker".into(), "engine".into()],
            environment: vec![("OMP_WAIT_POLICY".into(), "passive".into())],
        });
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let request = EngineRequest::Load(LoadRequest {
            model: ModelId(name.unwrap_or_default()),
            path,
            sha256: None,
            context: 4096,
            threads: 0,
            gpu_layers: Some(0),
            pooling: None,
        });
        match supervisor.call(request, &CallOptions::default(), |_| {}).await? {
            EngineReply::Loaded(description) => Ok(Self { supervisor, description }),
            other => Err(unexpected(&other)),
        }
    }

    async fn call(
        &self,
        request: EngineRequest,
        cancel: &CancellationToken,
    ) -> Result<EngineReply> {
        let options = CallOptions { cancel: cancel.clone(), wall_limit: None };
        self.supervisor.call(request, &options, |_| {}).await
    }
}

#[async_trait]
impl Reader for WorkerReader {
    fn model(&self) -> &ModelDescription {
        &self.description
    }

    async fn generate(
        &self,
        request: GenerationRequest,
        cancel: &CancellationToken,
        _: &mut (dyn FnMut(EngineEvent) + Send),
    ) -> Result<Generation> {
        match self.call(EngineRequest::Generate(request), cancel).await? {
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
        let model = self.description.model.clone();
        let adapters = Vec::new();
        let request = EngineRequest::Score { model, prompt, continuations, adapters };
        match self.call(request, cancel).await? {
            EngineReply::Scored(scores) => Ok(scores),
            other => Err(unexpected(&other)),
        }
    }

    async fn count_tokens(&self, texts: &[String]) -> Result<Vec<u32>> {
        let request = EngineRequest::CountTokens {
            model: self.description.model.clone(),
            texts: texts.to_vec(),
        };
        match self.call(request, &CancellationToken::new()).await? {
            EngineReply::Counted(counts) => Ok(counts),
            other => Err(unexpected(&other)),
        }
    }
}
