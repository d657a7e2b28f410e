//! The engine as a worker of a test that has no harness: the same executable is started again
//! as the worker.

use super::{load_request, raw};
use quartet_llm::{ENGINE_ENVIRONMENT, EngineProtocol};
use quartet_types::{EngineReply, EngineRequest, GenerationRequest, Result};
use quartet_worker::{CallOptions, Supervisor, WorkerCommand};
use std::path::Path;

const CHILD: &str = "QUARTET_TEST_ENGINE_CHILD";

/// Whether this process is the worker, and must print nothing but frames.
pub fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

pub fn supervisor() -> Supervisor<EngineProtocol> {
    let environment = ENGINE_ENVIRONMENT.iter().chain(&[(CHILD, "1")]);
    Supervisor::new(WorkerCommand {
        program: std::env::current_exe().unwrap(),
        arguments: Vec::new(),
        environment: environment.map(|(name, value)| (name.into(), value.into())).collect(),
    })
}

pub async fn call(
    engine: &Supervisor<EngineProtocol>,
    request: EngineRequest,
) -> Result<EngineReply> {
    engine.call(request, &CallOptions::default(), |_| {}).await
}

pub fn load_of(path: &Path) -> EngineRequest {
    EngineRequest::Load(load_request(path))
}

pub fn short(prompt: &str) -> GenerationRequest {
    let mut request = GenerationRequest::new("test".into(), raw(prompt));
    request.limits.max_tokens = 5;
    request
}
