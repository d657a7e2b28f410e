//! Answering: query, passages, their keys and values in the middle layers, answer; and the same
//! with a part taken away.

use super::finding::{Found, find};
use super::fitting::fit;
use super::{Setup, template};
use crate::abstention::is_refusal;
use crate::follow_up::stand_alone;
use crate::rag::prompt::clean_question;
use crate::run::{check_cancelled, milliseconds};
use crate::support::{Matcher, ReadPassage};
use crate::verdict::{cited, nearest};
use crate::writing::{Writing, request, room_beside, write};
use crate::{Options, Ports, Question};
use quartet_types::{
    Answer, AnswerEvent, Control, EngineEvent, ImpragMode, ImpragTrace, Method, Outcome, Passage,
    PassageSource, PassageTexts, PassageUse, Result, Timings, Usage,
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
    let setup = ports.implicit.setup()?;
    let words = template::prompt_text("");
    let room =
        room_beside(ports.reader, &[&words], SPECIAL_TOKENS, &question.text, options).await?;
    let rewritten = stand_alone(question, ports.reader, cancel).await?;
    if let Some(rewriting) = &rewritten {
        sink(AnswerEvent::Rewritten(rewriting.question.clone()));
    }
    let asked = rewritten.as_ref().map_or(&question.text, |rewriting| &rewriting.question);
    let asked = clean_question(asked);

    check_cancelled(cancel)?;
    // The prompt is read twice; progress is told of the second time, which is the longer one.
    let mut loading = |event| {
        if let EngineEvent::Loading(fraction) = event {
            sink(AnswerEvent::Loading(fraction));
        }
    };
    let found = find(&asked, setup, ports, options, cancel, &mut loading).await?;
    sink(AnswerEvent::Retrieved(found.hits.clone()));
    let mut answer = unanswered(question, ports, setup, options, &found);
    if let Some(rewriting) = &rewritten {
        rewriting.charge(&mut answer);
    }
    // Nothing found: a model asked all the same would answer as if it had read something.
    if found.hits.is_empty() {
        answer.timings.total_ms = milliseconds(started);
        answer.timings.first_token_ms = answer.timings.total_ms;
        return Ok(answer);
    }

    check_cancelled(cancel)?;
    let settings = &setup.settings;
    let most = settings.passages.min(room / settings.longest.max(1)).max(1) as usize;
    let chosen: Vec<&Passage> = found.hits.iter().take(most).map(|hit| &hit.passage).collect();
    let read = reading(&chosen, setup, ports, options.control, cancel).await?;
    let trace = answer.imprag.get_or_insert_default();
    trace.mode = read.mode;
    trace.layers = (read.passages.first_layer, read.passages.last_layer);
    trace.scores =
        found.hits.iter().take(most).map(|hit| hit.dense.map(|(product, _)| product)).collect();
    trace.passage_tokens = read.tokens;
    trace.encoded = read.encoded;
    trace.encode_ms = read.encode_ms;
    trace.restored_bytes = read.restored_bytes;

    let mut request = request(ports.reader, template::prompt(&asked), &[], options);
    request.adapters.clone_from(&setup.reader);
    request.passages = Some(read.passages);
    request.limits.stop = vec![template::STOP.to_owned()];
    let Writing { generation, first_token_ms } =
        write(ports.reader, request, cancel, sink, started).await?;

    let text = generation.text.trim().to_owned();
    let passages: Vec<ReadPassage<'_>> = chosen
        .iter()
        .zip(&read.bytes)
        .enumerate()
        .map(|(index, (passage, &bytes))| ReadPassage { index, passage, bytes })
        .collect();
    let far = found.best.zip(threshold(setup, options)).is_some_and(|(best, least)| best < least);
    if options.abstain && (far || text.is_empty() || is_refusal(&text)) {
        answer.text = nearest(chosen.first().copied());
        answer.withheld = Some(text);
    } else {
        answer.outcome = Outcome::Answered;
        answer.sentences = Matcher::new(&asked, &passages, &found.hits).sentences(&text);
        answer.used = cited(&answer);
        answer.text = text;
    }
    answer.read = (0..chosen.len()).collect();
    answer.usage.bytes_read = passages.iter().map(|read| read.bytes as u64).sum();
    answer.usage.tokens_read += generation.prompt_tokens + read.tokens_now;
    answer.usage.tokens_written += generation.written_tokens;
    answer.timings.queue_ms += generation.queue_ms;
    answer.timings.prefill_ms += generation.prefill_ms;
    answer.timings.decode_ms += generation.decode_ms;
    answer.timings.first_token_ms = first_token_ms;
    answer.prompt = generation.prompt_text;
    answer.retrieved = found.hits;
    answer.timings.total_ms = milliseconds(started);
    Ok(answer)
}

/// The answer before anything is read: what the query and the search took is in it.
fn unanswered(
    question: &Question,
    ports: &Ports<'_>,
    setup: &Setup,
    options: &Options,
    found: &Found,
) -> Answer {
    let settings = &setup.settings;
    Answer {
        id: None,
        question: question.text.clone(),
        searched_question: None,
        method: Method::Imprag,
        model: ports.reader.model().model.clone(),
        outcome: Outcome::NotInDocuments,
        text: nearest(None),
        withheld: None,
        sentences: Vec::new(),
        retrieved: Vec::new(),
        read: Vec::new(),
        used: Vec::new(),
        // A raw product is no probability: the threshold is in the trace.
        abstention: None,
        search: None,
        timings: Timings {
            queue_ms: found.query.queue_ms,
            search_ms: found.query_ms + found.search_ms,
            ..Timings::default()
        },
        usage: Usage { tokens_read: found.query.tokens, ..Usage::default() },
        gag: None,
        imprag: Some(ImpragTrace {
            mode: settings.mode,
            tier: setup.tier,
            layers: (settings.first_layer, settings.last_layer),
            best: found.best,
            threshold: threshold(setup, options),
            is_hybrid: setup.is_hybrid && !replaces_search(options.control),
            control: options.control,
            query_ms: found.query_ms,
            search_ms: found.search_ms,
            ..ImpragTrace::default()
        }),
        iag: None,
        prompt: String::new(),
    }
}

/// The calibrated threshold. It says nothing of the bare model's products, nor of passages that
/// were found by their words.
fn threshold(setup: &Setup, options: &Options) -> Option<f32> {
    let is_bare = options.control == Some(Control::UntrainedHeads);
    setup.threshold.filter(|_| !is_bare && !setup.is_hybrid)
}

fn replaces_search(control: Option<Control>) -> bool {
    matches!(control, Some(Control::Lexical | Control::Random | Control::Oracle))
}

/// Passages ready to be read.
struct Reading {
    passages: PassageUse,
    mode: ImpragMode,
    /// Bytes of each passage's text that are read.
    bytes: Vec<usize>,
    /// Tokens of all passages.
    tokens: u32,
    /// Those of them that are read while the question waits.
    tokens_now: u32,
    encoded: u32,
    encode_ms: f64,
    restored_bytes: u64,
}

/// Where keys and values of the passages come from, and which layers see them.
async fn reading(
    chosen: &[&Passage],
    setup: &Setup,
    ports: &Ports<'_>,
    control: Option<Control>,
    cancel: &CancellationToken,
) -> Result<Reading> {
    let settings = &setup.settings;
    let (first, last) = (settings.first_layer, settings.last_layer);
    let reveals = control == Some(Control::RevealAll);
    let (first_layer, last_layer) = match control {
        Some(Control::HideAll) => (last + 1, last),
        Some(Control::RevealAll) => (0, ports.reader.model().layers.saturating_sub(1)),
        _ => (first, last),
    };
    let shown = |source| PassageUse {
        source,
        first_layer,
        last_layer,
        prompt_position: settings.prompt_position(),
        adapters: setup.states.clone(),
    };
    // A plain prompt has its passages one after another, whatever is on disk.
    if settings.mode == ImpragMode::Quality || reveals {
        let fitted = fit(chosen, settings.longest, ports.reader).await?;
        let read = chosen.iter().zip(&fitted);
        let bytes = read.map(|(passage, one)| template::bytes_read(passage, &one.text)).collect();
        let tokens = fitted.iter().map(|one| one.tokens).sum();
        let texts = fitted.into_iter().map(|one| one.text).collect();
        return Ok(Reading {
            passages: shown(PassageSource::Texts(PassageTexts { texts, together: true })),
            mode: ImpragMode::Quality,
            bytes,
            tokens,
            tokens_now: tokens,
            encoded: u32::try_from(chosen.len()).unwrap_or(u32::MAX),
            encode_ms: 0.0,
            restored_bytes: 0,
        });
    }
    let fetching = Instant::now();
    let states = ports.implicit.states(chosen, cancel).await?;
    let fetch_ms = milliseconds(fetching);
    check_cancelled(cancel)?;
    // Where nothing may be kept on disk, they come as texts and are read now.
    let is_read_now = matches!(states.source, PassageSource::Texts(_));
    Ok(Reading {
        passages: shown(states.source),
        mode: ImpragMode::Fast,
        bytes: states.read,
        tokens: states.tokens,
        tokens_now: if is_read_now { states.tokens } else { 0 },
        encoded: states.encoded,
        encode_ms: if states.encoded > 0 { fetch_ms } else { 0.0 },
        restored_bytes: states.bytes,
    })
}
