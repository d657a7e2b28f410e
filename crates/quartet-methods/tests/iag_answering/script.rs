//! Scripted ports, and what they were asked.

use async_trait::async_trait;
use quartet_gguf::sha256_of_bytes;
use quartet_methods::iag::bank::BankShape;
use quartet_methods::iag::hypernetwork::{Shape, Target};
use quartet_methods::iag::tuner::Tuned;
use quartet_methods::iag::whitening::Whitening;
use quartet_methods::iag::{Maker, Tuner, template};
use quartet_methods::{
    Imagination, Imagined, NoExperts, NoImplicit, Options, Ports, Question, Reader, Searcher,
    answer,
};
use quartet_train::{Parameters, Projection};
use quartet_types::{
    AdapterUse, Answer, AnswerEvent, ChunkId, Control, DocumentId, EngineEvent, Error, ErrorCode,
    Generation, GenerationRequest, IagMode, IagOptions, Method, ModelDescription, ModelId,
    PageNumber, PageSpan, Passage, Prompt, Result, SearchHit, SearchTrace, Segment, Sha256,
    StopReason, TapReading, Usage,
};
use std::sync::Mutex;
use tokio_util::sync::CancellationToken;

pub(crate) const QUESTION: &str = "How high above the water is the focal plane of Gannet Point?";
/// What is imagined about it: the answer is in it, and still it is no evidence.
pub(crate) const DOCUMENT: &str = "Gannet Point has a focal plane 47 metres above high water.";
/// What is said to a question that leans on the conversation.
pub(crate) const REWRITTEN: &str = "How high is Low Tern above the sea?";
const COMPONENTS: usize = 3;
const WIDTH: usize = 4;

fn model(name: &str) -> ModelDescription {
    ModelDescription {
        model: ModelId::from(name),
        architecture: "script".to_owned(),
        name: None,
        layers: 2,
        width: 4,
        trained_context: 4096,
        context: 4096,
        weight_bytes: 1,
        has_chat_template: true,
        device: "CPU".to_owned(),
        engine_build: "test".to_owned(),
    }
}

pub(crate) fn text_of(prompt: &Prompt) -> String {
    let Prompt::Raw(pieces) = prompt else { panic!("a raw prompt") };
    let text = |piece: &Segment| match piece {
        Segment::Text(text) => text.clone(),
        _ => panic!("text alone"),
    };
    pieces.iter().map(text).collect()
}

/// States of two rows that hang on every byte of a text.
fn states(text: &str) -> Vec<f32> {
    let mut sum = 7u32;
    (0..2 * WIDTH)
        .map(|at| {
            for byte in text.bytes() {
                sum = sum.wrapping_mul(31).wrapping_add(u32::from(byte) + at as u32);
            }
            (sum >> 8) as f32 / (1 << 24) as f32 - 0.5
        })
        .collect()
}

/// With which adapters, after which prompt, and what.
type Asked = (Vec<AdapterUse>, Prompt, Vec<String>);

/// The base: it is asked for features and for answers, and scores.
pub(crate) struct ScriptedReader {
    pub(crate) model: ModelDescription,
    pub(crate) reply: &'static str,
    pub(crate) requests: Mutex<Vec<GenerationRequest>>,
    pub(crate) scored: Mutex<Vec<Asked>>,
    /// Answers and scores fail with this.
    pub(crate) fails: Option<ErrorCode>,
    /// Features cannot be read.
    pub(crate) is_blind: bool,
}

impl ScriptedReader {
    pub(crate) fn new(reply: &'static str) -> Self {
        Self {
            model: model("base"),
            reply,
            requests: Mutex::default(),
            scored: Mutex::default(),
            fails: None,
            is_blind: false,
        }
    }

    fn fail(&self) -> Result<()> {
        self.fails.map_or(Ok(()), |code| Err(Error::new(code, "as the script says")))
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
        let is_rewriting = matches!(request.prompt, Prompt::Chat(_));
        let is_reading = !request.taps.is_empty();
        let mut taps = Vec::new();
        if is_reading {
            let values = states(&text_of(&request.prompt));
            taps.push(TapReading { values, width: 4, first_row: 0, rows: 2 });
        }
        self.requests.lock().unwrap().push(request);
        if is_reading && self.is_blind {
            return Err(Error::internal("no features"));
        }
        if !is_reading && !is_rewriting {
            self.fail()?;
        }
        on_event(EngineEvent::Prefill { done: 10, total: 10 });
        let text = match (is_reading, is_rewriting) {
            (true, _) => "",
            (false, true) => REWRITTEN,
            (false, false) => self.reply,
        };
        on_event(EngineEvent::Text(text.to_owned()));
        Ok(Generation {
            text: text.to_owned(),
            stop: if is_reading { StopReason::TapRead } else { StopReason::StopText },
            prompt_tokens: if is_reading { 20 } else { 10 },
            written_tokens: 3,
            token_log_probabilities: vec![-0.1; 3],
            taps,
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
        panic!("the weights made for the question would be left out")
    }

    async fn score_under(
        &self,
        adapters: Vec<AdapterUse>,
        prompt: Prompt,
        continuations: Vec<String>,
        _: &CancellationToken,
    ) -> Result<Vec<Vec<f32>>> {
        let scores = continuations.iter().map(|text| vec![-(text.len() as f32), -1.0]).collect();
        self.scored.lock().unwrap().push((adapters, prompt, continuations));
        self.fail()?;
        Ok(scores)
    }

    async fn count_tokens(&self, texts: &[String]) -> Result<Vec<u32>> {
        let words = |text: &String| u32::try_from(text.split_whitespace().count()).unwrap();
        Ok(texts.iter().map(words).collect())
    }
}

/// Scores the words of passages, each a token: those of the prompt are likelier.
pub(crate) struct Scorer(ModelDescription);

#[async_trait]
impl Reader for Scorer {
    fn model(&self) -> &ModelDescription {
        &self.0
    }

    async fn generate(
        &self,
        _: GenerationRequest,
        _: &CancellationToken,
        _: &mut (dyn FnMut(EngineEvent) + Send),
    ) -> Result<Generation> {
        panic!("it only scores")
    }

    async fn score(
        &self,
        prompt: Prompt,
        continuations: Vec<String>,
        _: &CancellationToken,
    ) -> Result<Vec<Vec<f32>>> {
        let known = text_of(&prompt);
        let score = |word: &str| if known.contains(word) { -0.5 } else { -3.0 };
        Ok(continuations.iter().map(|text| text.split(' ').map(score).collect()).collect())
    }

    async fn count_tokens(&self, texts: &[String]) -> Result<Vec<u32>> {
        let words = |text: &String| u32::try_from(text.split_whitespace().count()).unwrap();
        Ok(texts.iter().map(words).collect())
    }

    async fn pieces(&self, texts: &[String]) -> Result<Vec<Vec<String>>> {
        let piece = |(at, word): (usize, &str)| match at {
            0 => word.to_owned(),
            _ => format!(" {word}"),
        };
        Ok(texts.iter().map(|text| text.split(' ').enumerate().map(piece).collect()).collect())
    }
}

/// What imagines, and what it was asked.
pub(crate) struct ScriptedImagination {
    pub(crate) tuner: Tuner,
    pub(crate) scorer: Scorer,
    pub(crate) cached: bool,
    pub(crate) imagined: Mutex<Vec<String>>,
    pub(crate) taken: Mutex<Vec<Vec<u8>>>,
    pub(crate) forgotten: Mutex<Vec<Sha256>>,
    /// Cancelled as soon as something is imagined.
    pub(crate) cancels: Option<CancellationToken>,
    /// Adapters cannot be forgotten.
    pub(crate) is_stuck: bool,
}

impl ScriptedImagination {
    pub(crate) fn new(tuner: Tuner) -> Self {
        Self {
            tuner,
            scorer: Scorer(model("imagine")),
            cached: false,
            imagined: Mutex::default(),
            taken: Mutex::default(),
            forgotten: Mutex::default(),
            cancels: None,
            is_stuck: false,
        }
    }

    pub(crate) fn imagined(&self) -> Vec<String> {
        self.imagined.lock().unwrap().clone()
    }

    pub(crate) fn taken(&self) -> Vec<Vec<u8>> {
        self.taken.lock().unwrap().clone()
    }

    /// Whatever was taken was forgotten, each once.
    pub(crate) fn is_clean(&self) -> bool {
        let taken: Vec<Sha256> = self.taken().iter().map(|file| sha256_of_bytes(file)).collect();
        taken == *self.forgotten.lock().unwrap()
    }

    /// The file for features.
    pub(crate) fn file(&self, features: &[f32]) -> Vec<u8> {
        match self.tuner.tune(features).unwrap() {
            Tuned::File(file) => file,
            Tuned::Loaded(_) => panic!("a bank"),
        }
    }

    /// Features of a question with a document.
    pub(crate) fn features(&self, question: &str, document: &str) -> Vec<f32> {
        let states = states(&template::features_text(question, document));
        let mean: Vec<f32> =
            (0..WIDTH).map(|at| f32::midpoint(states[at], states[WIDTH + at])).collect();
        self.tuner.whitening.apply(&mean).unwrap()
    }
}

#[async_trait]
impl Imagination for ScriptedImagination {
    fn tuner(&self) -> Result<&Tuner> {
        Ok(&self.tuner)
    }

    async fn imagine(&self, question: &str, _: &CancellationToken) -> Result<Imagined> {
        self.imagined.lock().unwrap().push(question.to_owned());
        if let Some(cancel) = &self.cancels {
            cancel.cancel();
        }
        Ok(Imagined {
            text: DOCUMENT.to_owned(),
            usage: Usage { tokens_read: 15, tokens_written: 12, bytes_read: 0 },
            cached: self.cached,
        })
    }

    async fn take_adapter(&self, file: Vec<u8>, _: &CancellationToken) -> Result<Sha256> {
        let adapter = sha256_of_bytes(&file);
        self.taken.lock().unwrap().push(file);
        Ok(adapter)
    }

    async fn forget_adapter(&self, adapter: &Sha256) -> Result<()> {
        self.forgotten.lock().unwrap().push(adapter.clone());
        if self.is_stuck { Err(Error::internal("stuck")) } else { Ok(()) }
    }

    fn scorer(&self) -> Result<&dyn Reader> {
        Ok(&self.scorer)
    }
}

/// A search that counts who asks it.
#[derive(Default)]
pub(crate) struct Spy {
    pub(crate) hits: Vec<SearchHit>,
    pub(crate) asked: Mutex<Vec<(String, usize)>>,
}

#[async_trait]
impl Searcher for Spy {
    async fn search(
        &self,
        question: &str,
        limit: usize,
        _: &CancellationToken,
    ) -> Result<(Vec<SearchHit>, SearchTrace)> {
        self.asked.lock().unwrap().push((question.to_owned(), limit));
        Ok((self.hits.clone(), SearchTrace::default()))
    }
}

pub(crate) fn hit(chunk: i64, text: &str) -> SearchHit {
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
    SearchHit { passage, score: 1.0 / chunk as f32, lexical: None, dense: None }
}

fn numbers(count: usize, seed: u32) -> Vec<f32> {
    (0..count as u32).map(|at| ((at * 37 + seed * 11) % 101) as f32 / 50.0 - 1.0).collect()
}

fn inner() -> Shape {
    let target = |projection, outputs| Target { projection, inputs: 8, outputs };
    Shape {
        components: COMPONENTS,
        hidden: 5,
        rank: 2,
        layers: 2,
        targets: vec![target(Projection::Query, 8), target(Projection::Value, 4)],
        raw_slots: false,
        architecture: "qwen2".to_owned(),
    }
}

fn tuner_of(maker: &Maker) -> Tuner {
    let mut kept = Parameters::new();
    for (at, (name, rows, columns)) in maker.parts().into_iter().enumerate() {
        kept.add(name, rows, columns, numbers(rows * columns, at as u32)).unwrap();
    }
    let whitening =
        Whitening { mean: numbers(WIDTH, 50), directions: numbers(COMPONENTS * WIDTH, 51) };
    whitening.add_to(&mut kept).unwrap();
    kept.add("constant", 1, COMPONENTS, numbers(COMPONENTS, 52)).unwrap();
    kept.add("others", 4, COMPONENTS, numbers(4 * COMPONENTS, 53)).unwrap();
    let options = IagOptions { document_tokens: 8, passages: 2, ..IagOptions::default() };
    let mut tuner = Tuner::new(maker, options, &kept).unwrap();
    tuner.feed_forward = Some(feed_forward());
    tuner
}

pub(crate) fn tuner() -> Tuner {
    tuner_of(&Maker::Hypernetwork(inner()))
}

pub(crate) fn bank() -> Tuner {
    let mut tuner = tuner_of(&Maker::Bank(BankShape { inner: inner(), members: 3 }));
    tuner.members = (0..3).map(|member| Sha256(format!("{member:064}"))).collect();
    tuner
}

/// The static adapter of the feed-forward layers.
pub(crate) fn feed_forward() -> AdapterUse {
    AdapterUse { adapter: Sha256("ff".repeat(32)), scale: 1.0 }
}

/// The adapter made for a question.
pub(crate) fn made(file: &[u8]) -> AdapterUse {
    AdapterUse { adapter: sha256_of_bytes(file), scale: 1.0 }
}

pub(crate) struct Outing {
    pub(crate) answer: Result<Answer>,
    pub(crate) events: Vec<AnswerEvent>,
    pub(crate) requests: Vec<GenerationRequest>,
    pub(crate) searched: Vec<(String, usize)>,
}

pub(crate) fn ports<'a>(
    reader: &'a ScriptedReader,
    imagination: &'a dyn Imagination,
    searcher: &'a Spy,
) -> Ports<'a> {
    static NO_EXPERTS: std::sync::LazyLock<NoExperts> =
        std::sync::LazyLock::new(NoExperts::default);
    static NO_IMPLICIT: std::sync::LazyLock<NoImplicit> =
        std::sync::LazyLock::new(NoImplicit::default);
    Ports { reader, searcher, experts: &*NO_EXPERTS, implicit: &*NO_IMPLICIT, imagination }
}

pub(crate) async fn ask_with(
    question: Question,
    reader: &ScriptedReader,
    imagination: &dyn Imagination,
    searcher: &Spy,
    options: &Options,
    cancel: &CancellationToken,
) -> Outing {
    let mut events = Vec::new();
    let ports = ports(reader, imagination, searcher);
    let answer =
        answer(Method::Iag, &question, &ports, options, cancel, &mut |event| events.push(event))
            .await;
    Outing {
        answer,
        events,
        requests: reader.requests.lock().unwrap().clone(),
        searched: searcher.asked.lock().unwrap().clone(),
    }
}

pub(crate) fn imagining(imagine: IagMode) -> Options {
    Options { imagine, ..Options::default() }
}

pub(crate) fn without(control: Control) -> Options {
    Options { control: Some(control), ..Options::default() }
}

/// The usual question, with a fresh reader.
pub(crate) async fn ask(
    imagination: &ScriptedImagination,
    searcher: &Spy,
    options: &Options,
) -> Outing {
    let reader = ScriptedReader::new(" 47 metres");
    let question = Question::fresh(QUESTION);
    let cancel = CancellationToken::new();
    ask_with(question, &reader, imagination, searcher, options, &cancel).await
}
