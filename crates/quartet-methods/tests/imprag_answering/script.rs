//! A scripted reader and scripted passages, and what they were asked.

use async_trait::async_trait;
use quartet_methods::imprag::vector::Heads;
use quartet_methods::imprag::{Setup, template};
use quartet_methods::ports::NoImagination;
use quartet_methods::{
    Implicit, NoExperts, Options, Ports, Question, Reader, Searcher, States, answer,
};
use quartet_types::{
    AdapterUse, Answer, AnswerEvent, ChunkId, Control, DocumentId, EngineEvent, Generation,
    GenerationRequest, ImpragMode, ImpragSettings, ImpragTier, Method, ModelDescription, ModelId,
    PageNumber, PageSpan, Passage, PassageSource, PassageUse, Prompt, Result, SearchHit,
    SearchTrace, Segment, Sha256, StopReason, TapReading,
};
use std::path::PathBuf;
use std::sync::Mutex;
use tokio_util::sync::CancellationToken;

pub(crate) const LAYERS: u32 = 6;
/// What the tap of the scripted reader gives: four heads of two numbers.
pub(crate) const QUERIES: [f32; 8] = [1.0, 2.0, 3.0, 4.0, 10.0, 20.0, 30.0, 40.0];
/// Their means over the heads that share keys.
pub(crate) const VECTOR: [f32; 4] = [2.0, 3.0, 20.0, 30.0];

pub(crate) struct ScriptedReader {
    pub(crate) model: ModelDescription,
    pub(crate) reply: &'static str,
    pub(crate) requests: Mutex<Vec<GenerationRequest>>,
}

impl ScriptedReader {
    pub(crate) fn new(reply: &'static str) -> Self {
        let model = ModelDescription {
            model: ModelId::from("scripted"),
            architecture: "script".to_owned(),
            name: None,
            layers: LAYERS,
            width: 8,
            trained_context: 4096,
            context: 4096,
            weight_bytes: 1,
            has_chat_template: true,
            device: "CPU".to_owned(),
            engine_build: "test".to_owned(),
        };
        Self { model, reply, requests: Mutex::default() }
    }

    pub(crate) fn requests(&self) -> Vec<GenerationRequest> {
        self.requests.lock().unwrap().clone()
    }
}

#[async_trait]
impl Reader for ScriptedReader {
    fn model(&self) -> &ModelDescription {
        &self.model
    }

    async fn generate(
        &self,
        request: GenerationRequest,
        _: &CancellationToken,
        on_event: &mut (dyn FnMut(EngineEvent) + Send),
    ) -> Result<Generation> {
        let tapped = request.taps.len();
        let is_rewriting = matches!(request.prompt, Prompt::Chat(_));
        self.requests.lock().unwrap().push(request);
        on_event(EngineEvent::Prefill { done: 10, total: 10 });
        let text = match (tapped, is_rewriting) {
            (0, true) => "How high is Low Tern above the sea?",
            (0, false) => self.reply,
            _ => "",
        };
        if !text.is_empty() {
            on_event(EngineEvent::Text(text.to_owned()));
        }
        let reading = TapReading { values: QUERIES.to_vec(), width: 8, first_row: 9, rows: 1 };
        Ok(Generation {
            text: text.to_owned(),
            stop: if tapped > 0 { StopReason::TapRead } else { StopReason::StopText },
            prompt_tokens: 10,
            written_tokens: u32::from(tapped == 0) * 3,
            token_log_probabilities: vec![-0.1; 3],
            taps: vec![reading; tapped],
            avoided_log_probability: None,
            queue_ms: 1.0,
            prefill_ms: 2.0,
            decode_ms: 3.0,
            prompt_text: "as read".to_owned(),
        })
    }

    async fn score(
        &self,
        _: Prompt,
        _: Vec<String>,
        _: &CancellationToken,
    ) -> Result<Vec<Vec<f32>>> {
        panic!("not needed")
    }

    async fn count_tokens(&self, texts: &[String]) -> Result<Vec<u32>> {
        let words = |text: &String| u32::try_from(text.split_whitespace().count()).unwrap();
        Ok(texts.iter().map(words).collect())
    }
}

/// What was asked of the passages, in order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Asked {
    Nearest { query: Vec<f32>, taught: bool },
    Words(String),
    Random(String),
    States(Vec<i64>),
}

pub(crate) struct Passages {
    pub(crate) setup: Setup,
    pub(crate) near: Vec<SearchHit>,
    pub(crate) worded: Vec<SearchHit>,
    pub(crate) random: Vec<SearchHit>,
    pub(crate) asked: Mutex<Vec<Asked>>,
    /// Bytes of a passage that are in its state, at most.
    pub(crate) cut: usize,
    /// Cancelled as soon as passages are looked up.
    pub(crate) cancels: Option<CancellationToken>,
}

impl Passages {
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    fn note(&self, asked: Asked) {
        self.asked.lock().unwrap().push(asked);
    }
}

#[async_trait]
impl Implicit for Passages {
    fn setup(&self) -> Result<&Setup> {
        Ok(&self.setup)
    }

    async fn nearest(
        &self,
        query: &[f32],
        taught: bool,
        limit: usize,
        _: &CancellationToken,
    ) -> Result<Vec<SearchHit>> {
        self.note(Asked::Nearest { query: query.to_vec(), taught });
        if let Some(cancel) = &self.cancels {
            cancel.cancel();
        }
        let mut near = self.near.clone();
        if !taught {
            near.reverse();
        }
        near.truncate(limit);
        Ok(near)
    }

    async fn by_words(&self, question: &str, limit: usize) -> Result<Vec<SearchHit>> {
        self.note(Asked::Words(question.to_owned()));
        Ok(self.worded.iter().take(limit).cloned().collect())
    }

    async fn at_random(&self, question: &str, limit: usize) -> Result<Vec<SearchHit>> {
        self.note(Asked::Random(question.to_owned()));
        Ok(self.random.iter().take(limit).cloned().collect())
    }

    async fn states(&self, passages: &[&Passage], _: &CancellationToken) -> Result<States> {
        let chunks: Vec<i64> = passages.iter().map(|passage| passage.chunk.0).collect();
        self.note(Asked::States(chunks.clone()));
        let read = passages.iter().map(|passage| passage.text.len().min(self.cut)).collect();
        Ok(States { source: stored(&chunks), read, tokens: 30, encoded: 1, bytes: 5632 * 30 })
    }
}

pub(crate) fn sha256(byte: u8) -> Sha256 {
    Sha256(format!("{byte:02x}").repeat(32))
}

pub(crate) fn stored(chunks: &[i64]) -> PassageSource {
    let key = |chunk: &i64| sha256(u8::try_from(*chunk).unwrap());
    PassageSource::Stored {
        folder: PathBuf::from("states"),
        keys: chunks.iter().map(key).collect(),
        template: template::VERSION.to_owned(),
    }
}

pub(crate) struct NoSearch;

#[async_trait]
impl Searcher for NoSearch {
    async fn search(
        &self,
        _: &str,
        _: usize,
        _: &CancellationToken,
    ) -> Result<(Vec<SearchHit>, SearchTrace)> {
        panic!("nobody writes a query")
    }
}

pub(crate) fn adapter(byte: u8) -> Vec<AdapterUse> {
    vec![AdapterUse { adapter: sha256(byte), scale: 1.0 }]
}

pub(crate) fn setup(mode: ImpragMode) -> Setup {
    Setup {
        settings: ImpragSettings { first_layer: 2, last_layer: 4, longest: 16, passages: 2, mode },
        tier: ImpragTier::T0,
        heads: Heads { queries: 4, key_values: 2, length: 2 },
        query: adapter(1),
        passage: adapter(2),
        reader: adapter(3),
        states: adapter(4),
        threshold: None,
        is_hybrid: false,
    }
}

pub(crate) const GANNET: &str = "Gannet Point has a focal plane 47 metres above high water.";
pub(crate) const TERN: &str = "The lantern of Low Tern burns 19 metres above the sea.";
pub(crate) const STORES: &str = "Brass polish is kept in the second store.";
pub(crate) const ROPES: &str = "Ropes are tarred in May.";

pub(crate) fn hit(chunk: i64, text: &str, score: f32) -> SearchHit {
    let passage = Passage {
        chunk: ChunkId(chunk),
        document: DocumentId(chunk),
        title: "Lights".to_owned(),
        path: format!("{chunk}.pdf"),
        span: PageSpan {
            page: PageNumber(u32::try_from(chunk).unwrap() + 2),
            start: 0,
            end: u32::try_from(text.chars().count()).unwrap(),
        },
        heading: None,
        text: text.to_owned(),
    };
    SearchHit { passage, score, lexical: None, dense: None }
}

pub(crate) fn passages(setup: Setup) -> Passages {
    Passages {
        setup,
        near: vec![
            hit(1, GANNET, 9.0),
            hit(5, GANNET, 8.5),
            hit(2, STORES, 8.0),
            hit(3, ROPES, 7.0),
        ],
        worded: vec![hit(3, ROPES, 0.5), hit(4, TERN, 0.4)],
        random: vec![hit(3, ROPES, 0.0), hit(2, STORES, 0.0)],
        asked: Mutex::default(),
        cut: usize::MAX,
        cancels: None,
    }
}

pub(crate) const QUESTION: &str = "How high above the water is the focal plane of Gannet Point?";

pub(crate) struct Outing {
    pub(crate) answer: Result<Answer>,
    pub(crate) events: Vec<AnswerEvent>,
    pub(crate) requests: Vec<GenerationRequest>,
    pub(crate) asked: Vec<Asked>,
}

pub(crate) async fn ask_with(question: Question, passages: &Passages, options: &Options) -> Outing {
    ask_until(question, passages, options, " 47 metres", &CancellationToken::new()).await
}

pub(crate) async fn ask_until(
    question: Question,
    passages: &Passages,
    options: &Options,
    reply: &'static str,
    cancel: &CancellationToken,
) -> Outing {
    let reader = ScriptedReader::new(reply);
    let ports = Ports {
        reader: &reader,
        searcher: &NoSearch,
        experts: &NoExperts::default(),
        implicit: passages,
        imagination: &NoImagination::default(),
    };
    let mut events = Vec::new();
    let answer =
        answer(Method::Imprag, &question, &ports, options, cancel, &mut |event| events.push(event))
            .await;
    Outing { answer, events, requests: reader.requests(), asked: passages.asked() }
}

pub(crate) async fn ask(passages: &Passages) -> Outing {
    ask_with(Question::fresh(QUESTION), passages, &Options::default()).await
}

pub(crate) async fn ask_as(control: Control, passages: &Passages) -> Outing {
    let options = Options { control: Some(control), ..Options::default() };
    ask_with(Question::fresh(QUESTION), passages, &options).await
}

pub(crate) fn raw(question: &str) -> Prompt {
    Prompt::Raw(vec![Segment::Text(format!("Q: {question}\nA:"))])
}

pub(crate) fn shown(request: &GenerationRequest) -> &PassageUse {
    request.passages.as_ref().expect("passages")
}

pub(crate) fn ready() -> Passages {
    passages(setup(ImpragMode::Fast))
}
