//! Whole answers by implicit query with a scripted reader and scripted passages: what exactly is
//! asked of the engine, and in what the controls differ.

use async_trait::async_trait;
use quartet_methods::imprag::vector::Heads;
use quartet_methods::imprag::{Setup, template};
use quartet_methods::{
    Implicit, NoExperts, NoImplicit, Options, Ports, Question, Reader, Searcher, States, Turn,
    answer,
};
use quartet_types::{
    AdapterUse, Answer, AnswerEvent, ChunkId, Control, DocumentId, EngineEvent, Error, ErrorCode,
    Generation, GenerationRequest, ImpragMode, ImpragSettings, ImpragTier, Method,
    ModelDescription, ModelId, Outcome, PageNumber, PageSpan, Passage, PassageSource, PassageTexts,
    PassageUse, Prompt, Result, SearchHit, SearchTrace, Segment, Sha256, StopReason, Tap, TapPoint,
    TapReading, TapRows, TapUse,
};
use std::path::PathBuf;
use std::sync::Mutex;
use tokio_util::sync::CancellationToken;

const LAYERS: u32 = 6;
/// What the tap of the scripted reader gives: four heads of two numbers.
const QUERIES: [f32; 8] = [1.0, 2.0, 3.0, 4.0, 10.0, 20.0, 30.0, 40.0];
/// Their means over the heads that share keys.
const VECTOR: [f32; 4] = [2.0, 3.0, 20.0, 30.0];

struct ScriptedReader {
    model: ModelDescription,
    reply: &'static str,
    requests: Mutex<Vec<GenerationRequest>>,
}

impl ScriptedReader {
    fn new(reply: &'static str) -> Self {
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

    fn requests(&self) -> Vec<GenerationRequest> {
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
enum Asked {
    Nearest { query: Vec<f32>, taught: bool },
    Words(String),
    Random(String),
    States(Vec<i64>),
}

struct Passages {
    setup: Setup,
    near: Vec<SearchHit>,
    worded: Vec<SearchHit>,
    random: Vec<SearchHit>,
    asked: Mutex<Vec<Asked>>,
    /// Cancelled as soon as passages are looked up.
    cancels: Option<CancellationToken>,
}

impl Passages {
    fn asked(&self) -> Vec<Asked> {
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
        Ok(States { source: stored(&chunks), tokens: 30, encoded: 1, bytes: 5632 * 30 })
    }
}

fn sha256(byte: u8) -> Sha256 {
    Sha256(format!("{byte:02x}").repeat(32))
}

fn stored(chunks: &[i64]) -> PassageSource {
    let key = |chunk: &i64| sha256(u8::try_from(*chunk).unwrap());
    PassageSource::Stored {
        folder: PathBuf::from("states"),
        keys: chunks.iter().map(key).collect(),
        template: template::VERSION.to_owned(),
    }
}

struct NoSearch;

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

fn adapter(byte: u8) -> Vec<AdapterUse> {
    vec![AdapterUse { adapter: sha256(byte), scale: 1.0 }]
}

fn setup(mode: ImpragMode) -> Setup {
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

const GANNET: &str = "Gannet Point has a focal plane 47 metres above high water.";
const TERN: &str = "The lantern of Low Tern burns 19 metres above the sea.";
const STORES: &str = "Brass polish is kept in the second store.";
const ROPES: &str = "Ropes are tarred in May.";

fn hit(chunk: i64, text: &str, score: f32) -> SearchHit {
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

fn passages(setup: Setup) -> Passages {
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
        cancels: None,
    }
}

const QUESTION: &str = "How high above the water is the focal plane of Gannet Point?";

struct Outing {
    answer: Result<Answer>,
    events: Vec<AnswerEvent>,
    requests: Vec<GenerationRequest>,
    asked: Vec<Asked>,
}

async fn ask_with(question: Question, passages: &Passages, options: &Options) -> Outing {
    ask_until(question, passages, options, " 47 metres", &CancellationToken::new()).await
}

async fn ask_until(
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
    };
    let mut events = Vec::new();
    let answer =
        answer(Method::Imprag, &question, &ports, options, cancel, &mut |event| events.push(event))
            .await;
    Outing { answer, events, requests: reader.requests(), asked: passages.asked() }
}

async fn ask(passages: &Passages) -> Outing {
    ask_with(Question::fresh(QUESTION), passages, &Options::default()).await
}

async fn ask_as(control: Control, passages: &Passages) -> Outing {
    let options = Options { control: Some(control), ..Options::default() };
    ask_with(Question::fresh(QUESTION), passages, &options).await
}

fn raw(question: &str) -> Prompt {
    Prompt::Raw(vec![Segment::Text(format!("Q: {question}\nA:"))])
}

fn shown(request: &GenerationRequest) -> &PassageUse {
    request.passages.as_ref().expect("passages")
}

#[tokio::test]
async fn the_query_stops_at_its_layer_and_the_answer_reads_in_the_middle() {
    let outing = ask(&passages(setup(ImpragMode::Fast))).await;
    let [query, written] = &outing.requests[..] else { panic!("two passes") };
    assert_eq!(query.prompt, raw(QUESTION));
    let tap = Tap { point: TapPoint::Query, layer: 2, stop_after: true };
    assert_eq!(query.taps, [TapUse { tap, rows: TapRows::PromptLast }]);
    assert_eq!((&query.adapters, &query.passages), (&adapter(1), &None));

    assert_eq!(written.prompt, raw(QUESTION));
    assert_eq!((&written.adapters, &written.taps[..]), (&adapter(3), &[][..]));
    assert_eq!(written.limits.stop, ["\n"]);
    // The same text (chunk 5) is read once, the best first; the prompt stands where it always
    // does, though there is room for fewer tokens than two passages may have.
    let expected = PassageUse {
        source: stored(&[1, 2]),
        first_layer: 2,
        last_layer: 4,
        prompt_position: 32,
        adapters: adapter(4),
    };
    assert_eq!(shown(written), &expected);
    assert_eq!(
        outing.asked,
        [Asked::Nearest { query: VECTOR.to_vec(), taught: true }, Asked::States(vec![1, 2])],
        "retrieved once"
    );
}

#[tokio::test]
async fn the_answer_cites_what_was_read_and_says_how_it_came_about() {
    let outing = ask(&passages(setup(ImpragMode::Fast))).await;
    let answer = outing.answer.unwrap();
    assert_eq!((answer.outcome, answer.text.as_str()), (Outcome::Answered, "47 metres"));
    let chunks: Vec<i64> = answer.retrieved.iter().map(|hit| hit.passage.chunk.0).collect();
    assert_eq!(
        (chunks, &answer.read[..], &answer.used[..]),
        (vec![1, 2, 3], &[0, 1][..], &[0][..])
    );
    assert_eq!(answer.sentences[0].support.as_ref().unwrap().span.page, PageNumber(3));
    assert_eq!(answer.usage.tokens_read, 20, "the prompt twice; states are not read again");
    assert_eq!(answer.usage.bytes_read, (GANNET.len() + STORES.len()) as u64);
    assert_eq!((answer.timings.queue_ms, answer.timings.prefill_ms), (2.0, 2.0));
    assert!(answer.abstention.is_none() && answer.search.is_none());
    let trace = answer.imprag.as_ref().unwrap();
    assert_eq!((trace.mode, trace.tier, trace.layers), (ImpragMode::Fast, ImpragTier::T0, (2, 4)));
    assert_eq!((&trace.scores[..], trace.best), (&[Some(9.0), Some(8.0)][..], Some(9.0)));
    assert_eq!((trace.encoded, trace.passage_tokens, trace.restored_bytes), (1, 30, 168_960));
    assert!(!trace.is_hybrid && trace.control.is_none() && trace.threshold.is_none());
    assert!(answer.timings.search_ms >= trace.query_ms + trace.search_ms);
    assert!(answer.timings.total_ms >= answer.timings.first_token_ms);

    let AnswerEvent::Retrieved(hits) = &outing.events[0] else { panic!("passages first") };
    assert_eq!(hits, &answer.retrieved);
    let read = outing.events.iter().filter(|one| matches!(one, AnswerEvent::Prefill { .. }));
    assert_eq!(read.count(), 1, "the query is no progress in reading");
    assert!(matches!(outing.events.last(), Some(AnswerEvent::Finished(last)) if **last == answer));
}

#[tokio::test]
async fn quality_reads_the_texts_together_best_first() {
    let outing = ask(&passages(setup(ImpragMode::Quality))).await;
    let read = shown(&outing.requests[1]);
    let texts = [GANNET, STORES].map(|text| template::passage("Lights", None, text));
    assert_eq!(
        read.source,
        PassageSource::Texts(PassageTexts { texts: texts.to_vec(), together: true })
    );
    assert_eq!((read.first_layer, read.last_layer, read.prompt_position), (2, 4, 32));
    assert_eq!(outing.asked.len(), 1, "no states are asked for");
    let answer = outing.answer.unwrap();
    // 13 and 10 words of passages, and the prompt twice.
    assert_eq!(answer.usage.tokens_read, 43);
    let trace = answer.imprag.unwrap();
    assert_eq!((trace.mode, trace.encoded, trace.passage_tokens), (ImpragMode::Quality, 2, 23));
    assert_eq!((trace.restored_bytes, answer.usage.bytes_read), (0, 99));
}

#[tokio::test]
async fn a_long_passage_is_cut_at_a_word_and_still_ends_as_all_do() {
    let mut long = passages(setup(ImpragMode::Quality));
    let text = "word ".repeat(400);
    long.near = vec![hit(1, text.trim(), 9.0)];
    let outing = ask(&long).await;
    let PassageSource::Texts(PassageTexts { texts, .. }) = &shown(&outing.requests[1]).source
    else {
        panic!("texts")
    };
    let tokens = texts[0].split_whitespace().count();
    assert!((10..=15).contains(&tokens), "{tokens} of 16, one left for a start token");
    assert!(texts[0].starts_with("Lights: word") && texts[0].ends_with("word ##"), "{}", texts[0]);
    assert_eq!(outing.answer.unwrap().usage.bytes_read, 5 * (tokens as u64 - 2) - 1);
}

#[tokio::test]
async fn a_control_differs_in_what_it_takes_away_and_in_nothing_else() {
    let whole = ask(&passages(setup(ImpragMode::Fast))).await;
    let [query, written] = &whole.requests[..] else { panic!("two passes") };
    let with = |change: &dyn Fn(&mut PassageUse)| {
        let mut request = written.clone();
        change(request.passages.as_mut().unwrap());
        request
    };
    let near = Asked::Nearest { query: VECTOR.to_vec(), taught: true };
    let bare = Asked::Nearest { query: VECTOR.to_vec(), taught: false };
    let texts = || {
        let texts = [GANNET, STORES].map(|text| template::passage("Lights", None, text)).to_vec();
        PassageSource::Texts(PassageTexts { texts, together: true })
    };
    let cases = [
        (
            Control::UntrainedHeads,
            // The nearest in the order of the bare model.
            with(&|shown| shown.source = stored(&[3, 2])),
            vec![bare, Asked::States(vec![3, 2])],
        ),
        (
            Control::Lexical,
            with(&|shown| shown.source = stored(&[3, 4])),
            vec![near.clone(), Asked::Words(QUESTION.to_owned()), Asked::States(vec![3, 4])],
        ),
        (
            Control::Random,
            with(&|shown| shown.source = stored(&[3, 2])),
            vec![near.clone(), Asked::Random(QUESTION.to_owned()), Asked::States(vec![3, 2])],
        ),
        (
            Control::HideAll,
            with(&|shown| (shown.first_layer, shown.last_layer) = (5, 4)),
            vec![near.clone(), Asked::States(vec![1, 2])],
        ),
        (
            Control::RevealAll,
            with(&|shown| {
                (shown.first_layer, shown.last_layer) = (0, 5);
                shown.source = texts();
            }),
            vec![near],
        ),
    ];
    for (control, expected, asked) in cases {
        let outing = ask_as(control, &passages(setup(ImpragMode::Fast))).await;
        assert_eq!(outing.requests[1], expected, "{control:?}");
        assert_eq!(outing.asked, asked, "{control:?}");
        let adapters_off = control == Control::UntrainedHeads;
        let expected = if adapters_off { Vec::new() } else { query.adapters.clone() };
        let same = GenerationRequest { adapters: expected, ..query.clone() };
        assert_eq!(outing.requests[0], same, "{control:?}");
        assert_eq!(outing.answer.unwrap().imprag.unwrap().control, Some(control));
    }
}

#[tokio::test]
async fn the_oracle_reads_the_gold_passage_wherever_it_was() {
    let passages = passages(setup(ImpragMode::Fast));
    let options = Options {
        control: Some(Control::Oracle),
        evidence: vec!["The lantern of Low Tern burns 19 met-\nres above the sea".to_owned()],
        ..Options::default()
    };
    let outing = ask_with(Question::fresh(QUESTION), &passages, &options).await;
    assert_eq!(outing.asked.last(), Some(&Asked::States(vec![4, 1])), "then the nearest");
    let words: Vec<&Asked> =
        outing.asked.iter().filter(|asked| matches!(asked, Asked::Words(_))).collect();
    assert_eq!(words.len(), 2, "by the question's words and by its own");
    let trace = outing.answer.unwrap().imprag.unwrap();
    assert_eq!(trace.scores, [None, Some(9.0)], "found by its words");

    // Without evidence it is the method itself.
    let outing = ask_as(Control::Oracle, &ready()).await;
    assert_eq!(outing.asked.last(), Some(&Asked::States(vec![1, 2])));
}

fn ready() -> Passages {
    passages(setup(ImpragMode::Fast))
}

#[tokio::test]
async fn the_fallback_fuses_words_and_says_so() {
    let hybrid = Setup { is_hybrid: true, ..setup(ImpragMode::Fast) };
    let outing = ask(&passages(hybrid.clone())).await;
    let answer = outing.answer.unwrap();
    // Chunk 3 is fourth here and first there; what words found leads.
    assert_eq!(outing.asked.last(), Some(&Asked::States(vec![3, 4])));
    assert_eq!(answer.retrieved[0].lexical, Some((0.5, 1)));
    assert_eq!(answer.retrieved[0].dense, Some((7.0, 4)));
    let trace = answer.imprag.unwrap();
    assert!(trace.is_hybrid);
    assert_eq!((trace.scores, trace.best), (vec![Some(7.0), None], Some(9.0)));
    // Words alone are no fusion.
    let outing = ask_as(Control::Lexical, &passages(hybrid)).await;
    assert!(!outing.answer.unwrap().imprag.unwrap().is_hybrid);
}

#[tokio::test]
async fn below_the_threshold_the_text_is_withheld() {
    let at = |threshold| Setup { threshold: Some(threshold), ..setup(ImpragMode::Fast) };
    let answer = ask(&passages(at(9.5))).await.answer.unwrap();
    assert_eq!(answer.outcome, Outcome::NotInDocuments);
    assert_eq!(answer.withheld.as_deref(), Some("47 metres"));
    assert!(answer.text.contains("page 3 of \u{201c}Lights\u{201d}"), "{}", answer.text);
    assert!(answer.used.is_empty() && answer.sentences.is_empty() && answer.abstention.is_none());
    let trace = answer.imprag.unwrap();
    assert_eq!((trace.best, trace.threshold), (Some(9.0), Some(9.5)));

    assert_eq!(ask(&passages(at(9.0))).await.answer.unwrap().outcome, Outcome::Answered);
    let always = Options { abstain: false, ..Options::default() };
    let forced = ask_with(Question::fresh(QUESTION), &passages(at(9.5)), &always).await;
    assert_eq!(forced.answer.unwrap().outcome, Outcome::Answered);
    // It was calibrated on products of what is taught: the bare model's are others.
    let bare = ask_as(Control::UntrainedHeads, &passages(at(9.5))).await.answer.unwrap();
    assert_eq!((bare.outcome, bare.imprag.unwrap().threshold), (Outcome::Answered, None));
    // Where words are searched as well, passages that the query would not have found are read.
    let fused = Setup { is_hybrid: true, ..at(9.5) };
    assert_eq!(ask(&passages(fused)).await.answer.unwrap().outcome, Outcome::Answered);
    // How a control finds passages changes nothing in whether it answers.
    let words = ask_as(Control::Lexical, &passages(at(9.5))).await.answer.unwrap();
    assert_eq!(words.outcome, Outcome::NotInDocuments);
}

#[tokio::test]
async fn a_reply_without_words_is_no_answer() {
    let cancel = CancellationToken::new();
    for reply in ["  ", " Not in the documents."] {
        let passages = passages(setup(ImpragMode::Fast));
        let question = Question::fresh(QUESTION);
        let outing = ask_until(question, &passages, &Options::default(), reply, &cancel).await;
        assert_eq!(outing.answer.unwrap().outcome, Outcome::NotInDocuments, "{reply:?}");
    }
}

#[tokio::test]
async fn nothing_found_means_that_the_model_is_not_asked() {
    let mut empty = passages(setup(ImpragMode::Fast));
    empty.near.clear();
    let outing = ask(&empty).await;
    let answer = outing.answer.unwrap();
    assert_eq!(answer.outcome, Outcome::NotInDocuments);
    assert_eq!(answer.text, "Nothing in your documents matches this question.");
    assert_eq!(outing.requests.len(), 1, "the query alone");
    let trace = answer.imprag.unwrap();
    assert_eq!((trace.best, trace.scores.len()), (None, 0));
}

#[tokio::test]
async fn every_turn_retrieves_anew_with_a_question_that_stands_alone() {
    let question = Question {
        text: "And how high is it?".to_owned(),
        history: vec![Turn {
            question: "Where does the lantern of Low Tern stand?".to_owned(),
            answer: "On the sandbar.".to_owned(),
        }],
    };
    let rewritten = "How high is Low Tern above the sea?";
    let outing = ask_with(question, &passages(setup(ImpragMode::Fast)), &Options::default()).await;
    let answer = outing.answer.unwrap();
    assert_eq!(outing.events[0], AnswerEvent::Rewritten(rewritten.to_owned()));
    assert_eq!(answer.searched_question.as_deref(), Some(rewritten));
    assert_eq!(answer.question, "And how high is it?");
    let prompts: Vec<&Prompt> = outing.requests[1..].iter().map(|one| &one.prompt).collect();
    assert_eq!(prompts, [&raw(rewritten), &raw(rewritten)]);
    assert_eq!(answer.usage.tokens_read, 30, "the rewriting counts");
}

#[tokio::test]
async fn a_small_context_is_given_fewer_passages() {
    let reader = ScriptedReader::new(" x");
    // 12 words of the question, 8 around, 160 to write, 2 for the template: 20 are left.
    let model = ModelDescription { context: 202, ..reader.model.clone() };
    let reader = ScriptedReader { model, ..reader };
    let passages = passages(setup(ImpragMode::Fast));
    let ports = Ports {
        reader: &reader,
        searcher: &NoSearch,
        experts: &NoExperts::default(),
        implicit: &passages,
    };
    let cancel = CancellationToken::new();
    let options = Options::default();
    let short = Question::fresh(QUESTION);
    answer(Method::Imprag, &short, &ports, &options, &cancel, &mut |_| {}).await.unwrap();
    assert_eq!(passages.asked().last(), Some(&Asked::States(vec![1])));
    let long = Question::fresh("word ".repeat(300));
    let error = answer(Method::Imprag, &long, &ports, &options, &cancel, &mut |_| {}).await;
    assert_eq!(error.unwrap_err().code, ErrorCode::PromptTooLong);
    assert_eq!(passages.asked().len(), 2, "refused before anything runs");
}

#[tokio::test]
async fn cancelling_stops_before_anything_and_between_the_passes() {
    let cancel = CancellationToken::new();
    cancel.cancel();
    let ready = passages(setup(ImpragMode::Fast));
    let question = || Question::fresh(QUESTION);
    let outing = ask_until(question(), &ready, &Options::default(), "x", &cancel).await;
    assert_eq!(outing.answer.unwrap_err().code, ErrorCode::Cancelled);
    assert!(outing.requests.is_empty());

    let cancel = CancellationToken::new();
    let stopping = Passages { cancels: Some(cancel.clone()), ..passages(setup(ImpragMode::Fast)) };
    let outing = ask_until(question(), &stopping, &Options::default(), "x", &cancel).await;
    assert_eq!(outing.answer.unwrap_err().code, ErrorCode::Cancelled);
    assert_eq!((outing.requests.len(), outing.asked.len()), (1, 1), "no answer was begun");
}

#[tokio::test]
async fn without_an_index_the_reason_is_told_and_nothing_runs() {
    let reader = ScriptedReader::new("x");
    let reason = Error::new(ErrorCode::NotFound, "no index yet").hint("Make one.");
    let ports = Ports {
        reader: &reader,
        searcher: &NoSearch,
        experts: &NoExperts::default(),
        implicit: &NoImplicit(reason.clone()),
    };
    let question = Question::fresh(QUESTION);
    let options = Options::default();
    let cancel = CancellationToken::new();
    let outcome = answer(Method::Imprag, &question, &ports, &options, &cancel, &mut |_| {}).await;
    assert_eq!(outcome.unwrap_err(), reason);
    assert!(reader.requests().is_empty());
}
