//! Asking: a base model and a collection brought together for one question or for many.

use crate::Quartet;
use crate::engine::{BaseReader, Engine, EngineEmbedder};
use async_trait::async_trait;
use quartet_library::Library;
use quartet_methods::{
    Experts, Imagination, Implicit, NoExperts, NoImagination, NoImplicit, Options, Ports, Question,
    Reader, Searcher,
};
use quartet_types::{
    Answer, AnswerEvent, CollectionId, Contestant, Control, EngineEvent, Error, ErrorCode, IagMode,
    JobProgress, Method, ModelDescription, Result, RouteChoice, RouteCorrection, RouteScore,
    SearchHit, SearchTrace,
};
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::sync::OnceCell;
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
    /// For GAG: the route a person chose; `None` leaves it to the router.
    pub route: Option<RouteChoice>,
    /// For IAG: what stands in the prompt besides the question.
    pub imagine: IagMode,
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
        let vector = self.embedder.embed_questions(&[question], cancel).await?;
        let embed_ms = started.elapsed().as_secs_f64() * 1000.0;
        let (hits, mut trace) =
            self.library.search(self.collection, question, &vector, limit).await?;
        trace.embed_ms = embed_ms;
        Ok((hits, trace))
    }
}

/// The same, opened when something is searched for the first time: what imagines seldom does.
struct LaterSearcher {
    engine: Arc<Engine>,
    library: Arc<Library>,
    collection: CollectionId,
    opened: OnceCell<CollectionSearcher>,
}

#[async_trait]
impl Searcher for LaterSearcher {
    async fn search(
        &self,
        question: &str,
        limit: usize,
        cancel: &CancellationToken,
    ) -> Result<(Vec<SearchHit>, SearchTrace)> {
        let open = || async {
            let model = self.engine.models.embedder()?;
            let embedder = EngineEmbedder::load(Arc::clone(&self.engine), model, cancel).await?;
            Ok(CollectionSearcher::new(Arc::clone(&self.library), self.collection, embedder))
        };
        self.opened.get_or_try_init(open).await?.search(question, limit, cancel).await
    }
}

/// Stands in for the search where the method has no use for documents.
pub(crate) struct NoDocuments;

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
    experts: Box<dyn Experts>,
    implicit: Box<dyn Implicit>,
    imagination: Box<dyn Imagination>,
    /// What answers by experts depend on.
    experts_key: String,
    /// What answers by implicit queries depend on.
    implicit_key: String,
    /// What answers by imagination depend on.
    imagination_key: String,
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
        let Self { experts_key, implicit_key, imagination_key, .. } = self;
        let recipe = self.options.recipe();
        format!("{recipe} {experts_key} {implicit_key} {imagination_key}")
    }

    /// With a route that a person chose.
    #[must_use]
    pub fn with_route(mut self, route: Option<RouteChoice>) -> Self {
        self.options.route = route;
        self
    }

    /// With what IAG is to put into the prompt.
    #[must_use]
    pub fn imagining(mut self, mode: IagMode) -> Self {
        self.options.imagine = mode;
        self
    }

    pub(crate) fn ports(&self) -> Ports<'_> {
        Ports {
            reader: &self.reader,
            searcher: &*self.searcher,
            experts: &*self.experts,
            implicit: &*self.implicit,
            imagination: &*self.imagination,
        }
    }

    /// The ports of a method. What imagines is not given the search, unless it is to squeeze what
    /// is retrieved.
    fn ports_of(&self, method: Method, options: &Options) -> Ports<'_> {
        let ports = self.ports();
        let retrieves =
            options.imagine == IagMode::Retrieved || options.control == Some(Control::Retrieved);
        if method == Method::Iag && !retrieves {
            return Ports { searcher: &NoDocuments, ..ports };
        }
        ports
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
        self.answer_as(method.into(), question, cancel, sink).await
    }

    /// Answers one question by a method, or by one with a part taken away.
    ///
    /// # Errors
    /// As [`quartet_methods::answer`].
    pub async fn answer_as(
        &self,
        contestant: Contestant,
        question: &Question,
        cancel: &CancellationToken,
        sink: &mut (dyn FnMut(AnswerEvent) + Send),
    ) -> Result<Answer> {
        self.answer_given(contestant, question, &[], cancel, sink).await
    }

    /// As [`Self::answer_as`]; the oracle control of ImpRAG reads passages that hold `evidence`.
    ///
    /// # Errors
    /// As [`quartet_methods::answer`].
    pub(crate) async fn answer_given(
        &self,
        contestant: Contestant,
        question: &Question,
        evidence: &[String],
        cancel: &CancellationToken,
        sink: &mut (dyn FnMut(AnswerEvent) + Send),
    ) -> Result<Answer> {
        let options = Options {
            control: contestant.control,
            evidence: evidence.to_vec(),
            ..self.options.clone()
        };
        let ports = self.ports_of(contestant.method, &options);
        quartet_methods::answer(contestant.method, question, &ports, &options, cancel, sink).await
    }

    /// Loss of the right answer in nats per token, the smallest over `answers`; `None` where the
    /// method cannot say.
    ///
    /// # Errors
    /// As [`quartet_methods::likelihood`].
    pub async fn likelihood(
        &self,
        contestant: Contestant,
        question: &str,
        answers: &[String],
        cancel: &CancellationToken,
    ) -> Result<Option<f64>> {
        let options = Options { control: contestant.control, ..self.options.clone() };
        let question = Question::fresh(question);
        let ports = self.ports_of(contestant.method, &options);
        quartet_methods::likelihood(contestant.method, &question, answers, &ports, &options, cancel)
            .await
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
        // GAG answers without documents: it is not even given a search. IAG is in one mode only.
        let searches = |method: &Method| matches!(method, Method::Rag | Method::Imprag);
        let searcher: Box<dyn Searcher> = if methods.iter().any(searches) {
            Box::new(self.searcher(collection, cancel).await?)
        } else if methods.contains(&Method::Iag) {
            Box::new(LaterSearcher {
                engine: Arc::clone(&self.engine),
                library: Arc::clone(&self.library),
                collection: self.find_collection(collection).await?.id,
                opened: OnceCell::new(),
            })
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
        let (experts, experts_key) = self.experts_for(methods, collection, &reader, cancel).await?;
        let options =
            Options { abstain, route_margin: self.settings.route_margin, ..Options::default() };
        let (implicit, implicit_key) =
            self.implicit_for(methods, collection, &reader, cancel, sink).await?;
        let (imagination, imagination_key) =
            self.imagination_for(methods, collection, &reader, cancel).await?;
        Ok(Answering {
            reader,
            searcher,
            experts,
            implicit,
            imagination,
            experts_key,
            implicit_key,
            imagination_key,
            options,
        })
    }

    /// Imagination, where a method uses it, and what its answers depend on. That nothing was
    /// trained is told to that method alone, so that others can still answer.
    async fn imagination_for(
        &self,
        methods: &[Method],
        collection: &str,
        reader: &BaseReader,
        cancel: &CancellationToken,
    ) -> Result<(Box<dyn Imagination>, String)> {
        if !methods.contains(&Method::Iag) {
            return Ok((Box::new(NoImagination::default()), String::new()));
        }
        let collection = self.find_collection(collection).await?;
        match self.imagination(&collection, reader, cancel).await {
            Ok(made) => {
                let key = made.key();
                Ok((Box::new(made), key))
            }
            Err(error) if error.code == ErrorCode::Cancelled => Err(error),
            Err(error) => Ok((Box::new(NoImagination(error)), String::new())),
        }
    }

    /// Implicit queries, where a method makes them, and what their answers depend on. Passages
    /// that are new are encoded first, if they are few. That a collection is not prepared is
    /// told to that method alone, so that others can still answer.
    async fn implicit_for(
        &self,
        methods: &[Method],
        collection: &str,
        reader: &BaseReader,
        cancel: &CancellationToken,
        sink: &mut (dyn FnMut(AnswerEvent) + Send),
    ) -> Result<(Box<dyn Implicit>, String)> {
        if !methods.contains(&Method::Imprag) {
            return Ok((Box::new(NoImplicit::default()), String::new()));
        }
        let collection = self.find_collection(collection).await?;
        let sink = Mutex::new(sink);
        let on_progress = |progress: &JobProgress| {
            if let (Some(total), Ok(mut sink)) = (progress.total, sink.lock()) {
                sink(AnswerEvent::Loading(progress.done as f32 / total.max(1) as f32));
            }
        };
        let model = reader.installed();
        match self.implicit_passages(&collection, model, cancel, &on_progress).await {
            Ok(passages) => {
                let key = passages.key();
                Ok((Box::new(passages), key))
            }
            Err(error) if error.code == ErrorCode::Cancelled => Err(error),
            Err(error) => Ok((Box::new(NoImplicit(error)), String::new())),
        }
    }

    /// The experts, where a method listens to them, and what their answers depend on. That there
    /// are none is told to that method alone, so that others can still answer.
    async fn experts_for(
        &self,
        methods: &[Method],
        collection: &str,
        reader: &BaseReader,
        cancel: &CancellationToken,
    ) -> Result<(Box<dyn Experts>, String)> {
        if !methods.contains(&Method::Gag) {
            return Ok((Box::new(NoExperts::default()), String::new()));
        }
        let (_, sha256) = self.models.verified(reader.installed())?;
        match self.panel(&reader.model().model.0, &sha256, Some(collection), cancel).await {
            Ok(panel) => {
                let key = panel.key();
                Ok((Box::new(panel), key))
            }
            Err(error) if error.code == ErrorCode::Cancelled => Err(error),
            Err(error) => Ok((Box::new(NoExperts(error)), String::new())),
        }
    }

    /// The route of this name: `general`, or a collection.
    ///
    /// # Errors
    /// `NotFound` for a collection that is not there.
    pub async fn route_named(&self, name: &str) -> Result<RouteChoice> {
        match self.find_collection(name).await {
            Ok(collection) => Ok(RouteChoice::Domain(collection.id)),
            Err(_) if name == "general" => Ok(RouteChoice::General),
            Err(error) => Err(error),
        }
    }

    /// How near questions are to every route, best first, without answering them.
    ///
    /// # Errors
    /// As [`Quartet::prepare`]; `NotFound` where GAG is not trained for this base.
    pub async fn route_scores(
        &self,
        questions: &[String],
        base: Option<&str>,
        cancel: &CancellationToken,
    ) -> Result<Vec<Vec<RouteScore>>> {
        let model = self.base_model(base, cancel).await?;
        let (_, sha256) = self.models.verified(&model)?;
        let panel = self.panel(&model.name.0, &sha256, None, cancel).await?;
        let mut all = Vec::with_capacity(questions.len());
        for question in questions {
            Question::fresh(question.clone()).check()?;
            let mut scores = panel.scores(question, cancel).await?;
            scores.sort_by(|one, other| other.score.total_cmp(&one.score));
            all.push(scores);
        }
        Ok(all)
    }

    /// Notes where a question belongs, for the router: it is one more prototype of that route.
    ///
    /// # Errors
    /// `InvalidInput` for an empty question, `NotFound` for the collection.
    pub async fn correct_route(&self, question: &str, route: RouteChoice) -> Result<()> {
        Question::fresh(question).check()?;
        self.library.correct_route(question, route).await.map(|_| ())
    }

    /// Every route that was put right.
    ///
    /// # Errors
    /// If the library cannot be read.
    pub async fn route_corrections(&self) -> Result<Vec<RouteCorrection>> {
        self.library.route_corrections().await
    }

    /// Forgets a correction.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn undo_route(&self, id: i64) -> Result<()> {
        self.library.undo_route(id).await
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
            .await?
            .with_route(request.route)
            .imagining(request.imagine);
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
