//! Asking: a base model and a collection brought together for one question or for many.

use crate::Quartet;
use crate::engine::{BaseReader, EngineEmbedder};
use async_trait::async_trait;
use quartet_library::{Embedder, Library};
use quartet_methods::{Options, Ports, Question, Reader, Searcher};
use quartet_types::{
    Answer, AnswerEvent, CollectionId, EngineEvent, Error, ErrorCode, Method, ModelDescription,
    Result, SearchHit, SearchTrace,
};
use std::sync::Arc;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// A question and how to answer it.
#[derive(Debug, Clone)]
pub struct AskRequest {
    /// The question as typed.
    pub question: String,
    /// How to answer.
    pub method: Method,
    /// The collection to answer from.
    pub collection: String,
    /// The base model; `None` takes the one chosen for this machine.
    pub base: Option<String>,
    /// Whether the question goes on with the last conversation in this collection.
    pub follow_up: bool,
    /// Whether "not in your documents" is a possible outcome.
    pub abstain: bool,
}

/// The search over one collection, as the methods see it.
pub(crate) struct CollectionSearcher {
    library: Arc<Library>,
    collection: CollectionId,
    embedder: EngineEmbedder,
}

impl CollectionSearcher {
    pub(crate) fn new(
        library: Arc<Library>,
        collection: CollectionId,
        embedder: EngineEmbedder,
    ) -> Self {
        Self { library, collection, embedder }
    }
}

#[async_trait]
impl Searcher for CollectionSearcher {
    async fn search(
        &self,
        question: &str,
        limit: usize,
        cancel: &CancellationToken,
    ) -> Result<(Vec<SearchHit>, SearchTrace)> {
        let started = Instant::now();
        // The embedder reads a few hundred tokens; the words beyond still count in BM25.
        let head: String = question.chars().take(MOST_EMBEDDED_CHARACTERS).collect();
        let vector = self.embedder.embed(&[head], cancel).await?;
        let embed_ms = started.elapsed().as_secs_f64() * 1000.0;
        let (hits, mut trace) =
            self.library.search(self.collection, question, &vector, limit).await?;
        trace.embed_ms = embed_ms;
        Ok((hits, trace))
    }
}

/// A question's vector is made from this much of it: no token is longer than a character, so
/// this always fits the embedder, and no honest question is longer.
const MOST_EMBEDDED_CHARACTERS: usize = 480;

/// Stands in for the search where the method has no use for documents.
struct NoDocuments;

#[async_trait]
impl Searcher for NoDocuments {
    async fn search(
        &self,
        _question: &str,
        _limit: usize,
        _cancel: &CancellationToken,
    ) -> Result<(Vec<SearchHit>, SearchTrace)> {
        Err(Error::internal("a method without documents searched them"))
    }
}

/// A loaded base model and, where needed, an open collection.
pub struct Answering {
    reader: BaseReader,
    searcher: Box<dyn Searcher>,
    options: Options,
}

impl Answering {
    /// The base model in use.
    #[must_use]
    pub fn model(&self) -> &ModelDescription {
        self.reader.model()
    }

    /// Prompts, budgets and calibration in one line: answers of another recipe are others.
    #[must_use]
    pub fn recipe(&self) -> String {
        self.options.recipe()
    }

    /// Answers one question.
    ///
    /// # Errors
    /// As [`quartet_methods::answer`].
    pub async fn answer(
        &self,
        method: Method,
        question: &Question,
        cancel: &CancellationToken,
        sink: &mut (dyn FnMut(AnswerEvent) + Send),
    ) -> Result<Answer> {
        let ports = Ports { reader: &self.reader, searcher: &*self.searcher };
        quartet_methods::answer(method, question, &ports, &self.options, cancel, sink).await
    }
}

impl Quartet {
    /// Loads what answering takes. With `collection`, an absent or empty one is an error.
    ///
    /// # Errors
    /// `ModelMissing`, `DoesNotFit`, `NotFound` for the collection, `NotSupported` for a
    /// method that is not built yet.
    pub async fn prepare(
        &self,
        methods: &[Method],
        collection: &str,
        base: Option<&str>,
        abstain: bool,
        cancel: &CancellationToken,
        sink: &mut (dyn FnMut(AnswerEvent) + Send),
    ) -> Result<Answering> {
        for &method in methods {
            quartet_methods::check_built(method)?;
        }
        let searcher: Box<dyn Searcher> = if methods.iter().any(|&method| method != Method::None) {
            Box::new(self.searcher(collection, cancel).await?)
        } else {
            Box::new(NoDocuments)
        };
        let model = self.base_model(base, cancel).await?;
        let on_event = |event| {
            if let EngineEvent::Loading(fraction) = event {
                sink(AnswerEvent::Loading(fraction));
            }
        };
        let reader = BaseReader::load(Arc::clone(&self.engine), model, cancel, on_event).await?;
        Ok(Answering { reader, searcher, options: Options { abstain, ..Options::default() } })
    }

    /// Answers a question and keeps the answer in the collection's conversation.
    ///
    /// # Errors
    /// As [`Quartet::prepare`] and [`Answering::answer`].
    pub async fn ask(
        &self,
        request: &AskRequest,
        cancel: &CancellationToken,
        sink: &mut (dyn FnMut(AnswerEvent) + Send),
    ) -> Result<Answer> {
        let mut answers =
            self.compare(request, &[request.method], cancel, &mut |_, event| sink(event)).await?;
        answers.pop().ok_or_else(|| Error::internal("no answer"))
    }

    /// Answers a question by several methods, one after the other; events carry the method.
    ///
    /// # Errors
    /// As [`Quartet::ask`]; the first failure ends the comparison.
    pub async fn compare(
        &self,
        request: &AskRequest,
        methods: &[Method],
        cancel: &CancellationToken,
        sink: &mut (dyn FnMut(Method, AnswerEvent) + Send),
    ) -> Result<Vec<Answer>> {
        let first = *methods.first().ok_or_else(|| {
            Error::new(ErrorCode::InvalidInput, "no method to compare")
                .hint("For example: --methods none,rag")
        })?;
        let mut question = Question::fresh(request.question.clone());
        question.check()?;
        if request.follow_up
            && let Some(chat) = self.last_chat(&request.collection).await?
        {
            question.history = self.turns_before(chat, None).await?;
        }
        let answering = self
            .prepare(
                methods,
                &request.collection,
                request.base.as_deref(),
                request.abstain,
                cancel,
                &mut |event| sink(first, event),
            )
            .await?;
        let mut answers = Vec::new();
        for &method in methods {
            let answer = answering
                .answer(method, &question, cancel, &mut |event| sink(method, event))
                .await?;
            answers.push(answer);
        }
        self.remember(&request.collection, request.follow_up, &request.question, &mut answers)
            .await?;
        Ok(answers)
    }

    /// Finds passages without asking a model.
    ///
    /// # Errors
    /// `NotFound` for the collection, `InvalidInput` for an empty question.
    pub async fn search(
        &self,
        collection: &str,
        question: &str,
        limit: usize,
        cancel: &CancellationToken,
    ) -> Result<(Vec<SearchHit>, SearchTrace)> {
        Question::fresh(question).check()?;
        self.searcher(collection, cancel).await?.search(question, limit, cancel).await
    }
}
