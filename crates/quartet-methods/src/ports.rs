//! What a method is given. The door (`quartet-api`) implements these over the engine worker
//! and the library; tests implement them with scripts. A method itself opens nothing.

use crate::gag::Listener;
use crate::gag::memory::Memory;
use crate::iag::Tuner;
use crate::imprag::Setup;
use async_trait::async_trait;
use quartet_types::{
    AdapterUse, CollectionId, EngineEvent, Error, ErrorCode, Generation, GenerationRequest,
    ModelDescription, Passage, PassageSource, Prompt, Result, RouteScore, SearchHit, SearchTrace,
    Sha256, Usage,
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

    /// As [`Reader::score`], under adapters.
    ///
    /// # Errors
    /// `NotSupported` where adapters cannot be put under a score.
    async fn score_under(
        &self,
        adapters: Vec<AdapterUse>,
        prompt: Prompt,
        continuations: Vec<String>,
        cancel: &CancellationToken,
    ) -> Result<Vec<Vec<f32>>> {
        if adapters.is_empty() {
            return self.score(prompt, continuations, cancel).await;
        }
        Err(Error::new(ErrorCode::NotSupported, "scores under adapters"))
    }

    /// Number of tokens of each text, without special tokens.
    async fn count_tokens(&self, texts: &[String]) -> Result<Vec<u32>>;

    /// Text of each token of each text, without special tokens; together they are the text. A
    /// token that ends amid a character is empty, the one that completes it has it whole.
    async fn pieces(&self, texts: &[String]) -> Result<Vec<Vec<String>>> {
        let _ = texts;
        let message = "this model does not show the text of its tokens";
        Err(Error::new(ErrorCode::NotSupported, message))
    }
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

/// Stands in where there are no experts to ask: tells whoever tries why.
#[derive(Debug, Clone)]
pub struct NoExperts(pub Error);

impl Default for NoExperts {
    /// For methods that have no use for experts.
    fn default() -> Self {
        Self(Error::internal("a method without experts asked one"))
    }
}

#[async_trait]
impl Experts for NoExperts {
    async fn scores(&self, _: &str, _: &CancellationToken) -> Result<Vec<RouteScore>> {
        Err(self.0.clone())
    }

    fn listener(&self, _: CollectionId) -> Result<&Listener> {
        Err(self.0.clone())
    }

    async fn think(
        &self,
        _: CollectionId,
        _: bool,
        _: &str,
        _: &CancellationToken,
    ) -> Result<Thought> {
        Err(self.0.clone())
    }

    async fn answer_alone(
        &self,
        _: CollectionId,
        _: &str,
        _: &CancellationToken,
    ) -> Result<Generation> {
        Err(self.0.clone())
    }
}

/// Passages as the base finds and reads them by itself (ImpRAG).
#[async_trait]
pub trait Implicit: Send + Sync {
    /// How it is set up for this base and collection.
    ///
    /// # Errors
    /// `NotFound` where the collection has no index yet.
    fn setup(&self) -> Result<&Setup>;

    /// The passages with the largest inner products, best first; [`SearchHit::score`] is the
    /// product. `taught` is false for vectors of the bare model.
    async fn nearest(
        &self,
        query: &[f32],
        taught: bool,
        limit: usize,
        cancel: &CancellationToken,
    ) -> Result<Vec<SearchHit>>;

    /// Passages by their words (BM25), best first.
    async fn by_words(&self, question: &str, limit: usize) -> Result<Vec<SearchHit>>;

    /// Passages drawn at random, the same for the same question.
    async fn at_random(&self, question: &str, limit: usize) -> Result<Vec<SearchHit>>;

    /// Keys and values of these passages, each encoded alone; what is not on disk is made.
    async fn states(&self, passages: &[&Passage], cancel: &CancellationToken) -> Result<States>;
}

/// Where the states of passages are, and what it took.
#[derive(Debug, Clone, PartialEq)]
pub struct States {
    /// For a request.
    pub source: PassageSource,
    /// Bytes of each passage's own text that are in its state: fewer than it has, if it was cut.
    pub read: Vec<usize>,
    /// Tokens of all passages.
    pub tokens: u32,
    /// How many had to be encoded.
    pub encoded: u32,
    /// Bytes that are read.
    pub bytes: u64,
}

/// Stands in where there is no index: tells whoever tries why.
#[derive(Debug, Clone)]
pub struct NoImplicit(pub Error);

impl Default for NoImplicit {
    /// For methods that have no use for it.
    fn default() -> Self {
        Self(Error::internal("a method without implicit queries made one"))
    }
}

#[async_trait]
impl Implicit for NoImplicit {
    fn setup(&self) -> Result<&Setup> {
        Err(self.0.clone())
    }

    async fn nearest(
        &self,
        _: &[f32],
        _: bool,
        _: usize,
        _: &CancellationToken,
    ) -> Result<Vec<SearchHit>> {
        Err(self.0.clone())
    }

    async fn by_words(&self, _: &str, _: usize) -> Result<Vec<SearchHit>> {
        Err(self.0.clone())
    }

    async fn at_random(&self, _: &str, _: usize) -> Result<Vec<SearchHit>> {
        Err(self.0.clone())
    }

    async fn states(&self, _: &[&Passage], _: &CancellationToken) -> Result<States> {
        Err(self.0.clone())
    }
}

/// A document that was imagined for a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Imagined {
    /// The imagine model's own words.
    pub text: String,
    /// What it read and wrote.
    pub usage: Usage,
    /// Whether it was kept from an earlier time.
    pub cached: bool,
}

/// What imagines for a base and a collection (IAG).
#[async_trait]
pub trait Imagination: Send + Sync {
    /// How a question becomes weights.
    ///
    /// # Errors
    /// `NotFound` where nothing was trained for this base and collection.
    fn tuner(&self) -> Result<&Tuner>;

    /// A document from the question alone. Reads no index.
    async fn imagine(&self, question: &str, cancel: &CancellationToken) -> Result<Imagined>;

    /// Has the engine know the adapter made for a question.
    async fn take_adapter(&self, file: Vec<u8>, cancel: &CancellationToken) -> Result<Sha256>;

    /// Has the engine forget it again.
    async fn forget_adapter(&self, adapter: &Sha256) -> Result<()>;

    /// The model that scores words when retrieved passages are squeezed.
    ///
    /// # Errors
    /// As [`Imagination::tuner`].
    fn scorer(&self) -> Result<&dyn Reader>;
}

/// Stands in where nothing imagines: tells whoever tries why.
#[derive(Debug, Clone)]
pub struct NoImagination(pub Error);

impl Default for NoImagination {
    /// For methods that have no use for it.
    fn default() -> Self {
        Self(Error::internal("a method without imagination used it"))
    }
}

#[async_trait]
impl Imagination for NoImagination {
    fn tuner(&self) -> Result<&Tuner> {
        Err(self.0.clone())
    }

    async fn imagine(&self, _: &str, _: &CancellationToken) -> Result<Imagined> {
        Err(self.0.clone())
    }

    async fn take_adapter(&self, _: Vec<u8>, _: &CancellationToken) -> Result<Sha256> {
        Err(self.0.clone())
    }

    async fn forget_adapter(&self, _: &Sha256) -> Result<()> {
        Err(self.0.clone())
    }

    fn scorer(&self) -> Result<&dyn Reader> {
        Err(self.0.clone())
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
    /// Implicit queries; only ImpRAG makes them.
    pub implicit: &'a dyn Implicit,
    /// Imagination; only IAG uses it.
    pub imagination: &'a dyn Imagination,
}
