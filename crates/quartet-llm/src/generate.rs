//! Writing text.
//!
//! A prompt must leave room for one token in the context, or the request fails with
//! `PromptTooLong`; nothing is ever cut. A text that reaches the end of the context ends with
//! [`StopReason::MaxTokens`], as it does after `max_tokens`.

use crate::model::Turn;
use crate::native::{
    Decoded, Input, NativeContext, NativeGrammar, NativeSampler, Row, Token, schema_to_grammar,
};
use crate::pool::{Kind, Purpose};
use crate::probability::{argmax, log_sum_exp};
use crate::prompt::{self, ReadPrompt};
use crate::seat::Seat;
use crate::taps::Watching;
use crate::text::{StopScanner, Utf8Carry};
use quartet_types::{
    EngineEvent, Error, ErrorCode, Generation, GenerationRequest, Grammar, Result, Sampling,
    StopReason,
};
use std::sync::Arc;
use std::time::Instant;

impl Turn<'_> {
    /// Writes an answer; `on_event` hears how far the prompt has been read, then the text.
    /// Up to four answers are written at the same time, token by token in turn; others wait.
    ///
    /// # Errors
    /// `PromptTooLong`, `InvalidInput` (settings, grammar, embedding rows, adapters),
    /// `InvalidInput` (taps, layers of passages), `NotFound` (an adapter that is not loaded, a
    /// passage that is not stored), `Corrupt` (a stored passage that is damaged or was made
    /// with something else), `NotSupported` (taps, passages or rows in an architecture that
    /// cannot have them), `Cancelled`.
    pub fn generate(
        &self,
        request: &GenerationRequest,
        mut on_event: impl FnMut(EngineEvent),
    ) -> Result<Generation> {
        check_sampling(&request.sampling)?;
        let model = self.model;
        let mut chooser = Chooser::new(model, request)?;
        let avoided = first_tokens(model, &request.avoid_first)?;
        let mut avoided_log_probability = None;
        let read = prompt::read(model, &request.prompt)?;
        let adapters = model.adapters.set(&request.adapters)?;
        let passages = match &request.passages {
            Some(passages) => Some(self.prepare_passages(passages)?),
            None => None,
        };
        let shown = passages.as_ref().map(|passages| passages.shown.clone());
        let mut watching = self.watching(&request.taps, shown)?;
        let whole = self.context_length(request.limits.context);
        let length = self.prompt_length(whole, passages.as_ref());
        let room = (length as usize).saturating_sub(1);
        if read.inputs.len() > room {
            let what =
                if passages.is_some() { "the prompt beside its passages" } else { "the prompt" };
            return Err(prompt::too_long(what, read.inputs.len(), room));
        }
        let watched = if watching.is_some() { Kind::WATCHED } else { Kind::PLAIN };
        let kind = passages.as_ref().map_or(watched, |passages| passages.kind);
        let keeps = request.keep_prefix
            && kind == Kind::PLAIN
            && request.adapters.is_empty()
            && passages.is_none()
            && read.inputs.iter().all(|input| matches!(input, Input::Token(_)));
        let mut seat = if keeps {
            self.seat_as_left(Purpose::Write, whole)?
        } else {
            self.seat_of(Purpose::Write, kind, whole, &adapters)?
        };

        let start = Instant::now();
        if let Some(passages) = &passages {
            passages.place(&mut seat, &adapters)?;
        }
        let mut row = match &mut watching {
            Some(watching) => watching.prefill(&mut seat, &read.inputs, &mut on_event)?,
            None if keeps => prefill_keeping(&mut seat, &read.inputs, &mut on_event)?,
            None => prefill(&mut seat, &read.inputs, &mut on_event)?,
        };
        let prefill_ms = start.elapsed().as_secs_f64() * 1e3;

        let start = Instant::now();
        let mut writer = Writer::new(request, &read);
        let mut step = None;
        let first_position = watching.as_ref().map_or(0, Watching::start);
        let mut place = read.inputs.len();
        // The last token written, while it has not been read back.
        let mut unread = None;
        let stop = loop {
            if watching.as_ref().is_some_and(Watching::stops) {
                break StopReason::TapRead;
            }
            if writer.log_probabilities.len() >= request.limits.max_tokens as usize
                || place >= length as usize
            {
                break StopReason::MaxTokens;
            }
            let logits = seat.logits(row)?;
            // Before any choice: with numbers that are not finite, every choice is nonsense.
            let normaliser = normaliser(logits)?;
            let token = if !avoided.is_empty() && writer.log_probabilities.is_empty() {
                let (share, rest) = without(logits, &avoided)?;
                avoided_log_probability = Some(share);
                chooser.choose(&rest)?
            } else {
                chooser.choose(logits)?
            };
            if model.native.ends_generation(token) {
                break StopReason::EndOfTurn;
            }
            writer.log_probabilities.push(logit_of(logits, token)? - normaliser);
            chooser.accept(token)?;
            drop(step.take());
            let input = Input::Token(token);
            let position = first_position.saturating_add(position_of(place)?);
            let next = Row { input, position, sequence: 0, output: true };
            unread = Some((next, place));
            place += 1;
            if writer.write(&model.native.piece(token, false), &mut on_event) {
                break StopReason::StopText;
            }
            if place >= length as usize
                || writer.log_probabilities.len() >= request.limits.max_tokens as usize
            {
                break StopReason::MaxTokens;
            }
            step = Some(match &mut watching {
                Some(watching) => watching.step(&mut seat, next, place - 1, false)?,
                None => seat.decode(&[next])?,
            });
            unread = None;
            row = 0;
        };
        drop(step);
        writer.finish(stop, &mut on_event);
        if let (Some(watching), Some((last, place))) = (&mut watching, unread)
            && watching.wants_written()
        {
            drop(watching.step(&mut seat, last, place, true)?);
        }
        let prompt_tokens = position_of(read.inputs.len())?;
        Ok(Generation {
            text: writer.text,
            stop,
            prompt_tokens,
            written_tokens: position_of(writer.log_probabilities.len())?,
            token_log_probabilities: writer.log_probabilities,
            taps: watching.map_or_else(Vec::new, |watching| watching.finish(prompt_tokens)),
            avoided_log_probability,
            queue_ms: seat.waited().as_secs_f64() * 1e3,
            prefill_ms,
            decode_ms: start.elapsed().as_secs_f64() * 1e3,
            prompt_text: read.text,
        })
    }
}

/// Reads a prompt from position 0, with an event after each piece; returns the row of the
/// last piece that carries the logits after the prompt.
pub(crate) fn prefill(
    seat: &mut Seat<'_>,
    inputs: &[Input<'_>],
    on_event: &mut impl FnMut(EngineEvent),
) -> Result<usize> {
    let total = position_of(inputs.len())?;
    let batch = seat.shape().batch as usize;
    let mut done = 0;
    let mut rows = Vec::with_capacity(batch);
    for piece in inputs.chunks(batch) {
        rows.clear();
        for &input in piece {
            let position = position_of(done)?;
            done += 1;
            rows.push(Row { input, position, sequence: 0, output: done == inputs.len() });
        }
        // Whoever listens must not hold up the others.
        drop(seat.decode(&rows)?);
        on_event(EngineEvent::Prefill { done: position_of(done)?, total });
    }
    Ok(rows.len().saturating_sub(1))
}

/// Tokens of a piece that can be kept for the next request: small, so that much of a common
/// beginning is in whole pieces.
const KEPT_PIECE: usize = 32;

/// As [`prefill`], in small pieces, leaving out those that are still in memory: an earlier
/// request read the same tokens in the same pieces, so the result is the same bit for bit.
fn prefill_keeping(
    seat: &mut Seat<'_>,
    inputs: &[Input<'_>],
    on_event: &mut impl FnMut(EngineEvent),
) -> Result<usize> {
    let total = position_of(inputs.len())?;
    let tokens: Vec<Token> = inputs
        .iter()
        .filter_map(|input| match input {
            Input::Token(token) => Some(*token),
            Input::Embedding(_) => None,
        })
        .collect();
    let piece = KEPT_PIECE.min(seat.shape().batch as usize);
    let noted = seat.context().noted();
    let common = noted.iter().zip(&tokens).take_while(|(one, other)| one == other).count();
    // The last piece is read again: it gives the logits.
    let last = tokens.len().saturating_sub(1) / piece * piece;
    let kept = (common / piece * piece).min(last);
    seat.context().keep_noted(kept);
    // A memory that cannot keep a part has kept nothing.
    let mut done = seat.context().noted().len();
    let mut count = 0;
    for piece in tokens[done..].chunks(piece) {
        let mut rows = Vec::with_capacity(piece.len());
        for &token in piece {
            let position = position_of(done)?;
            done += 1;
            let (input, output) = (Input::Token(token), done == tokens.len());
            rows.push(Row { input, position, sequence: 0, output });
        }
        drop(seat.decode(&rows)?);
        if done < tokens.len() {
            seat.context().note(piece);
        }
        count = rows.len();
        on_event(EngineEvent::Prefill { done: position_of(done)?, total });
    }
    Ok(count.saturating_sub(1))
}

/// Decodes, with cancellation as an error.
pub(crate) fn decode(context: &mut NativeContext, rows: &[Row<'_>]) -> Result<()> {
    match context.decode(rows)? {
        Decoded::Done => Ok(()),
        Decoded::Cancelled => Err(Error::cancelled()),
    }
}

pub(crate) fn position_of(index: usize) -> Result<u32> {
    u32::try_from(index).map_err(|_| Error::internal("a position beyond 32 bits"))
}

/// Natural log of the probability of a token.
pub(crate) fn log_probability(logits: &[f32], token: Token) -> Result<f32> {
    Ok(logit_of(logits, token)? - normaliser(logits)?)
}

fn logit_of(logits: &[f32], token: Token) -> Result<f32> {
    let place = usize::try_from(token).ok();
    place.and_then(|place| logits.get(place)).copied().ok_or_else(unusable)
}

/// What turns a logit into a log-probability.
fn normaliser(logits: &[f32]) -> Result<f32> {
    let sum = log_sum_exp(logits);
    if sum.is_finite() { Ok(sum) } else { Err(unusable()) }
}

pub(crate) fn unusable() -> Error {
    Error::new(ErrorCode::BadModel, "the model computes numbers that are not finite")
        .hint(
            "Its file is probably damaged; get it again. With adapters or embedding rows: they are too large for it.",
        )
}

/// The first token of each text.
fn first_tokens(model: &crate::Model, texts: &[String]) -> Result<Vec<Token>> {
    let mut tokens = Vec::with_capacity(texts.len());
    for text in texts {
        tokens.extend(model.native.tokenize(text, false, false)?.first().copied());
    }
    tokens.sort_unstable();
    tokens.dedup();
    Ok(tokens)
}

/// The log of the tokens' joint probability, and the logits with them excluded.
fn without(logits: &[f32], tokens: &[Token]) -> Result<(f32, Vec<f32>)> {
    let total = log_sum_exp(logits);
    let mut rest = logits.to_vec();
    let mut share = 0.0;
    for &token in tokens {
        let place = usize::try_from(token).map_err(|_| unusable())?;
        let logit = rest.get_mut(place).ok_or_else(unusable)?;
        share += (*logit - total).exp();
        *logit = f32::NEG_INFINITY;
    }
    Ok((share.ln(), rest))
}

fn check_sampling(sampling: &Sampling) -> Result<()> {
    let checks = [
        ("temperature", sampling.temperature, (0.0..=100.0).contains(&sampling.temperature)),
        ("top-p", sampling.top_p, sampling.top_p > 0.0 && sampling.top_p <= 1.0),
        ("min-p", sampling.min_p, (0.0..=1.0).contains(&sampling.min_p)),
        (
            "repetition penalty",
            sampling.repetition_penalty,
            sampling.repetition_penalty > 0.0 && sampling.repetition_penalty <= 100.0,
        ),
    ];
    for (name, value, good) in checks {
        if !good {
            return Err(Error::new(
                ErrorCode::InvalidInput,
                format!("{value} is not possible as {name}"),
            )
            .hint("Temperature is 0 or more, top-p and min-p are shares, penalty is near 1."));
        }
    }
    Ok(())
}

/// Chooses tokens as a request asks.
struct Chooser {
    /// `None` for the plain case: the largest logit.
    sampler: Option<NativeSampler>,
    grammar: Option<NativeGrammar>,
}

impl Chooser {
    fn new(model: &crate::Model, request: &GenerationRequest) -> Result<Self> {
        let grammar = match &request.grammar {
            None => None,
            Some(Grammar::Gbnf(rules)) => Some(NativeGrammar::new(&model.native, rules)?),
            Some(Grammar::JsonSchema(schema)) => {
                let schema = crate::schema::checked(schema)?;
                Some(NativeGrammar::new(&model.native, &schema_to_grammar(&schema)?)?)
            }
        };
        let sampling = &request.sampling;
        let plain =
            sampling.temperature == 0.0 && sampling.repetition_penalty == 1.0 && grammar.is_none();
        let sampler = if plain {
            None
        } else {
            let window = sampling.repetition_window.min(1 << 16);
            let settings = Sampling { repetition_window: window, ..sampling.clone() };
            Some(NativeSampler::new(&settings, model.native.vocabulary_size())?)
        };
        Ok(Self { sampler, grammar })
    }

    fn choose(&mut self, logits: &[f32]) -> Result<Token> {
        match &mut self.sampler {
            None => Token::try_from(argmax(logits)).map_err(|_| unusable()),
            Some(sampler) => sampler.choose(logits, self.grammar.as_mut()),
        }
    }

    fn accept(&mut self, token: Token) -> Result<()> {
        if let Some(sampler) = &mut self.sampler {
            sampler.accept(token);
        }
        match &mut self.grammar {
            Some(grammar) => grammar.accept(token),
            None => Ok(()),
        }
    }
}

/// Collects what is written and passes it on.
struct Writer {
    carry: Utf8Carry,
    scanner: StopScanner,
    text: String,
    log_probabilities: Vec<f32>,
}

impl Writer {
    fn new(request: &GenerationRequest, read: &ReadPrompt<'_>) -> Self {
        let own = request.limits.stop.iter().cloned();
        let stops = own.chain(read.stops.iter().map(|stop| (*stop).to_owned()));
        Self {
            carry: Utf8Carry::default(),
            scanner: StopScanner::new(stops),
            text: String::new(),
            log_probabilities: Vec::new(),
        }
    }

    /// Adds the bytes of a token; true when a stop text was reached.
    fn write(&mut self, bytes: &[u8], on_event: &mut impl FnMut(EngineEvent)) -> bool {
        let scanned = self.scanner.push(&self.carry.push(bytes));
        self.show(scanned.text, on_event);
        scanned.stopped
    }

    fn finish(&mut self, stop: StopReason, on_event: &mut impl FnMut(EngineEvent)) {
        if stop != StopReason::StopText {
            let scanned = self.scanner.push(&self.carry.finish());
            self.show(scanned.text, on_event);
            let rest = self.scanner.finish();
            self.show(rest, on_event);
        }
    }

    fn show(&mut self, text: String, on_event: &mut impl FnMut(EngineEvent)) {
        if !text.is_empty() {
            self.text.push_str(&text);
            on_event(EngineEvent::Text(text));
        }
    }
}

/// A flag that nobody raises, for work that cannot be cancelled.
#[must_use]
pub fn never() -> Arc<std::sync::atomic::AtomicBool> {
    Arc::default()
}
