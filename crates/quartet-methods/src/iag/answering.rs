//! Answering: a document, features, weights, answer; and the same with a part taken away.

use super::compress::{Squeezer, holds};
use super::features::{Pooled, pooled};
use super::template;
use super::tuner::{Tuned, Tuner, Weights};
use crate::follow_up::stand_alone;
use crate::rag::prompt::clean_question;
use crate::run::{check_cancelled, milliseconds};
use crate::support::{Matcher, ReadPassage};
use crate::verdict::cited;
use crate::writing::{request, room_beside, write};
use crate::{Options, Ports, Question};
use quartet_types::{
    AdapterUse, Answer, AnswerEvent, Control, IagFeatures, IagForm, IagMode, IagTrace, Method,
    Prompt, Result, SearchHit, Sha256, Usage,
};
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// Special tokens around a prompt; more than any model known to us adds.
const SPECIAL_TOKENS: u32 = 8;

pub(crate) async fn answer(
    question: &Question,
    ports: &Ports<'_>,
    options: &Options,
    cancel: &CancellationToken,
    sink: &mut (dyn FnMut(AnswerEvent) + Send),
    started: Instant,
) -> Result<Answer> {
    check_cancelled(cancel)?;
    let tuner = ports.imagination.tuner()?;
    let words = template::answer_text("", "Context");
    let more = SPECIAL_TOKENS + tuner.options.document_tokens;
    room_beside(ports.reader, &[&words], more, &question.text, options).await?;
    let rewritten = stand_alone(question, ports.reader, cancel).await?;
    if let Some(rewriting) = &rewritten {
        sink(AnswerEvent::Rewritten(rewriting.question.clone()));
    }
    let asked = rewritten.as_ref().map_or(&question.text, |rewriting| &rewriting.question);
    let asked = clean_question(asked);

    let document = document(&asked, tuner, ports, options, cancel, sink).await?;
    let mut trace = IagTrace {
        mode: document.mode,
        document: document.text.clone(),
        cached: document.cached,
        control: options.control,
        imagine: document.usage.clone(),
        imagine_ms: document.milliseconds,
        ..IagTrace::default()
    };
    let in_force = weights(&asked, &document.text, tuner, ports, options, &mut trace, cancel).await;
    let in_force = in_force?;
    let mut request = request(ports.reader, template::answer(&asked, &document.text), &[], options);
    request.adapters = in_force.adapters;
    request.limits.stop = vec![template::STOP.to_owned()];
    let written = write(ports.reader, request, cancel, sink, started).await;
    if let Some(made) = &in_force.made {
        // What was made for this question goes with it, however that ended.
        let forgotten = ports.imagination.forget_adapter(made).await;
        if written.is_ok() {
            forgotten?;
        }
    }
    let written = written?;
    let text = written.generation.text.trim().to_owned();
    let mut answer = written.from_memory(Method::Iag, question, ports.reader, started);
    if document.mode == IagMode::Retrieved {
        ground(&mut answer, &asked, &text, document.hits, document.read);
    }
    answer.usage.tokens_read += trace.feature_tokens;
    answer.timings.search_ms = document.search_ms;
    answer.iag = Some(trace);
    if let Some(rewriting) = &rewritten {
        rewriting.charge(&mut answer);
    }
    answer.timings.total_ms = milliseconds(started);
    Ok(answer)
}

/// Prompt and adapters with which IAG would have the base answer, and the adapter among them that
/// was made for it, to be forgotten.
pub(crate) struct Prepared {
    pub(crate) prompt: Prompt,
    pub(crate) adapters: Vec<AdapterUse>,
    pub(crate) made: Option<Sha256>,
}

/// Everything up to the answer.
///
/// # Errors
/// As answering.
pub(crate) async fn prepare(
    question: &Question,
    ports: &Ports<'_>,
    options: &Options,
    cancel: &CancellationToken,
) -> Result<Prepared> {
    let tuner = ports.imagination.tuner()?;
    let asked = clean_question(&question.text);
    let document = document(&asked, tuner, ports, options, cancel, &mut |_| {}).await?;
    let mut trace = IagTrace::default();
    let in_force =
        weights(&asked, &document.text, tuner, ports, options, &mut trace, cancel).await?;
    Ok(Prepared {
        prompt: template::answer(&asked, &document.text),
        adapters: in_force.adapters,
        made: in_force.made,
    })
}

/// What stands in the prompt besides the question.
struct Document {
    mode: IagMode,
    text: String,
    cached: bool,
    /// Of the imagine model.
    usage: Usage,
    milliseconds: f64,
    search_ms: f64,
    /// What was found, where anything was searched, and how many of them were squeezed.
    hits: Vec<SearchHit>,
    read: usize,
}

fn mode(options: &Options) -> IagMode {
    match options.control {
        Some(Control::NoDocument) => IagMode::ClosedBook,
        Some(Control::Retrieved) => IagMode::Retrieved,
        _ => options.imagine,
    }
}

async fn document(
    asked: &str,
    tuner: &Tuner,
    ports: &Ports<'_>,
    options: &Options,
    cancel: &CancellationToken,
    sink: &mut (dyn FnMut(AnswerEvent) + Send),
) -> Result<Document> {
    check_cancelled(cancel)?;
    let begun = Instant::now();
    let mut made = Document {
        mode: mode(options),
        text: String::new(),
        cached: false,
        usage: Usage::default(),
        milliseconds: 0.0,
        search_ms: 0.0,
        hits: Vec::new(),
        read: 0,
    };
    sink(AnswerEvent::Imagining(made.mode));
    match made.mode {
        IagMode::ClosedBook => return Ok(made),
        IagMode::OwnDocument => {
            let imagined = ports.imagination.imagine(asked, cancel).await?;
            made.text = imagined.text;
            made.cached = imagined.cached;
            made.usage = imagined.usage;
        }
        IagMode::Retrieved => {
            let (hits, _) = ports.searcher.search(asked, options.retrieve, cancel).await?;
            made.search_ms = milliseconds(begun);
            sink(AnswerEvent::Retrieved(hits.clone()));
            made.hits = unlike(hits);
            let most = tuner.options.passages as usize;
            let texts: Vec<String> =
                made.hits.iter().take(most).map(|hit| hit.passage.text.clone()).collect();
            made.read = texts.len();
            let mut squeezer = Squeezer::new(ports.imagination.scorer()?);
            let tokens = tuner.options.document_tokens as usize;
            let squeezed = squeezer.squeeze(asked, &texts, tokens, &[], cancel).await?;
            // Read twice: alone and after the question.
            made.usage.tokens_read = u32::try_from(squeezed.tokens_before * 2).unwrap_or(u32::MAX);
            made.usage.bytes_read = texts.iter().map(|text| text.len() as u64).sum();
            made.text = squeezed.text;
            // Nothing was found: there is no document to speak of.
            if made.text.is_empty() {
                made.mode = IagMode::ClosedBook;
            }
        }
    }
    made.milliseconds = milliseconds(begun);
    sink(AnswerEvent::Imagined(made.text.clone(), made.mode));
    Ok(made)
}

/// The same text once.
fn unlike(hits: Vec<SearchHit>) -> Vec<SearchHit> {
    let mut kept: Vec<SearchHit> = Vec::new();
    for hit in hits {
        if !kept.iter().any(|known| holds(&known.passage.text, &hit.passage.text)) {
            kept.push(hit);
        }
    }
    kept
}

/// Adapters for a request.
struct InForce {
    adapters: Vec<AdapterUse>,
    made: Option<Sha256>,
}

async fn weights(
    asked: &str,
    document: &str,
    tuner: &Tuner,
    ports: &Ports<'_>,
    options: &Options,
    trace: &mut IagTrace,
    cancel: &CancellationToken,
) -> Result<InForce> {
    let mut in_force = InForce { adapters: Vec::new(), made: None };
    if options.control != Some(Control::NoFeedForward) {
        in_force.adapters.extend(tuner.feed_forward.clone());
    }
    if options.control == Some(Control::NoHypernetwork) || tuner.weights.are_nothing() {
        return Ok(in_force);
    }
    check_cancelled(cancel)?;
    let reading = Instant::now();
    let features = match options.control {
        Some(Control::ConstantFeatures) => tuner.constant.clone(),
        Some(Control::ShuffledFeatures) => tuner.another(asked).to_vec(),
        control => {
            let alone = control == Some(Control::QuestionFeatures)
                || tuner.options.features == IagFeatures::Question;
            let beside = if alone { "" } else { document };
            let Pooled { vector, tokens } = pooled(asked, beside, ports.reader, cancel).await?;
            trace.feature_tokens = tokens;
            tuner.whitening.apply(&vector)?
        }
    };
    trace.feature_ms = milliseconds(reading);
    let making = Instant::now();
    let tuned = tuner.tune(&features)?;
    trace.generate_ms = milliseconds(making);
    trace.form = Some(match tuner.weights {
        Weights::Hypernetwork(_) => IagForm::Hypernetwork,
        Weights::Bank(_) => IagForm::Bank,
    });
    let loading = Instant::now();
    match tuned {
        Tuned::Loaded(uses) => in_force.adapters.extend(uses),
        Tuned::File(file) => {
            trace.adapter_bytes = file.len() as u64;
            let adapter = ports.imagination.take_adapter(file, cancel).await?;
            in_force.adapters.push(AdapterUse { adapter: adapter.clone(), scale: 1.0 });
            in_force.made = Some(adapter);
        }
    }
    trace.load_ms = milliseconds(loading);
    Ok(in_force)
}

/// An answer from passages that were retrieved has sources, as others have: spans of those
/// passages, found by our own matcher.
fn ground(answer: &mut Answer, asked: &str, text: &str, hits: Vec<SearchHit>, read: usize) {
    let passages: Vec<ReadPassage<'_>> = hits
        .iter()
        .take(read)
        .enumerate()
        .map(|(index, hit)| ReadPassage {
            index,
            passage: &hit.passage,
            bytes: hit.passage.text.len(),
        })
        .collect();
    answer.sentences = Matcher::new(asked, &passages, &hits).sentences(text);
    answer.used = cited(answer);
    answer.read = (0..read).collect();
    answer.usage.bytes_read = passages.iter().map(|one| one.bytes as u64).sum();
    answer.retrieved = hits;
}
