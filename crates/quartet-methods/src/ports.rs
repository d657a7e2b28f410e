//! What a method is given. The door (`quartet-api`) implements these over the engine worker
//! and the library; tests implement them with scripts. A method itself opens nothing.

use async_trait::async_trait;
use quartet_types::{
    EngineEvent, Generation, GenerationRequest, ModelDescription, Prompt, Result, SearchHit,
    SearchTrace,
};
use tokio_util::sync::CancellationToken;

/// The base model that reads prompts and writes answers.
#[async_trait]
pub trait Reader: Send + Sync {
    /// What is known of the model.
    fn model(&self) -> &ModelDescription;

    /// Runs one request; prefill progress and text arrive through `on_event`.
    async fn generate(
        &self,
        request: GenerationRequest,
        cancel: &CancellationToken,
        on_event: &mut (dyn FnMut(EngineEvent) + Send),
    ) -> Result<Generation>;

    /// Natural-log probability of each token of each continuation after `prompt`.
    async fn score(
        &self,
        prompt: Prompt,
        continuations: Vec<String>,
        cancel: &CancellationToken,
    ) -> Result<Vec<Vec<f32>>>;

    /// Number of tokens of each text, without special tokens.
    async fn count_tokens(&self, texts: &[String]) -> Result<Vec<u32>>;
}

/// The search over one collection.
#[async_trait]
pub trait Searcher: Send + Sync {
    /// The `limit` best passages for a stand-alone question, best first.
    async fn search(
        &self,
        question: &str,
        limit: usize,
        cancel: &CancellationToken,
    ) -> Result<(Vec<SearchHit>, SearchTrace)>;
}

/// Everything a method may use.
#[derive(Clone, Copy)]
pub struct Ports<'a> {
    /// The base model.
    pub reader: &'a dyn Reader,
    /// The search; the method `none` never calls it.
    pub searcher: &'a dyn Searcher,
}
