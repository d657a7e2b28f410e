//! What a method is given. The door (`quartet-api`) implements these over the engine worker
//! and the library; tests implement them with scripts. A method itself opens nothing.

use crate::gag::Listener;
use crate::gag::memory::Memory;
use async_trait::async_trait;
use quartet_types::{
    CollectionId, EngineEvent, Error, Generation, GenerationRequest, ModelDescription, Prompt,
    Result, RouteScore, SearchHit, SearchTrace, Usage,
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

/// What an expert thought about a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Thought {
    /// Its pooled hidden states; `None` where it wrote nothing.
    pub memory: Option<Memory>,
    /// What it wrote.
    pub text: String,
    /// What it read and wrote.
    pub usage: Usage,
    /// Whether all this was kept from an earlier time.
    pub cached: bool,
}

/// The router of GAG and the experts behind it.
#[async_trait]
pub trait Experts: Send + Sync {
    /// How near the question is to every route; the general one first.
    async fn scores(&self, question: &str, cancel: &CancellationToken) -> Result<Vec<RouteScore>>;

    /// How the base listens to an expert.
    ///
    /// # Errors
    /// `NotFound` where there is none for the base in use.
    fn listener(&self, domain: CollectionId) -> Result<&Listener>;

    /// Has an expert think about a question; `taught` is false for the model before it was
    /// taught anything.
    async fn think(
        &self,
        domain: CollectionId,
        taught: bool,
        question: &str,
        cancel: &CancellationToken,
    ) -> Result<Thought>;

    /// An expert answers by itself.
    async fn answer_alone(
        &self,
        domain: CollectionId,
        question: &str,
        cancel: &CancellationToken,
    ) -> Result<Generation>;
}

/// Stands in where no method listens to experts.
#[derive(Debug, Clone, Copy)]
pub struct NoExperts;

fn nobody() -> Error {
    Error::internal("a method without experts asked one")
}

#[async_trait]
impl Experts for NoExperts {
    async fn scores(&self, _: &str, _: &CancellationToken) -> Result<Vec<RouteScore>> {
        Err(nobody())
    }

    fn listener(&self, _: CollectionId) -> Result<&Listener> {
        Err(nobody())
    }

    async fn think(
        &self,
        _: CollectionId,
        _: bool,
        _: &str,
        _: &CancellationToken,
    ) -> Result<Thought> {
        Err(nobody())
    }

    async fn answer_alone(
        &self,
        _: CollectionId,
        _: &str,
        _: &CancellationToken,
    ) -> Result<Generation> {
        Err(nobody())
    }
}

/// Everything a method may use.
#[derive(Clone, Copy)]
pub struct Ports<'a> {
    /// The base model.
    pub reader: &'a dyn Reader,
    /// The search; the method `none` never calls it.
    pub searcher: &'a dyn Searcher,
    /// The experts; only GAG calls them.
    pub experts: &'a dyn Experts,
}
