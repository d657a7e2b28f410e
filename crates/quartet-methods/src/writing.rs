//! The one generation behind every answer: room check before, events and clock during.

use crate::rag::prompt::Template;
use crate::run::{check_cancelled, milliseconds};
use crate::support::unsupported_sentences;
use crate::{Options, Question, Reader};
use quartet_types::{
    Answer, AnswerEvent, EngineEvent, Error, ErrorCode, Generation, GenerationLimits,
    GenerationRequest, Method, Outcome, Prompt, Result, Timings, Usage,
};
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// Tokens that a chat template adds around two messages; more than any template known to us.
const CHAT_TEMPLATE_TOKENS: u32 = 48;

pub(crate) struct Writing {
    pub(crate) generation: Generation,
    /// From the question to the first character, in milliseconds.
    pub(crate) first_token_ms: f64,
}

impl Writing {
    /// The answer of a method that read no document: nothing in it has support.
    #[expect(clippy::wrong_self_convention, reason = "the answer is from memory")]
    pub(crate) fn from_memory(
        self,
        method: Method,
        question: &Question,
        reader: &dyn Reader,
        started: Instant,
    ) -> Answer {
        let Self { generation, first_token_ms } = self;
        let text = generation.text.trim().to_owned();
        Answer {
            id: None,
            question: question.text.clone(),
            searched_question: None,
            method,
            model: reader.model().model.clone(),
            outcome: Outcome::Answered,
            sentences: unsupported_sentences(&text),
            text,
            withheld: None,
            retrieved: Vec::new(),
            read: Vec::new(),
            used: Vec::new(),
            abstention: None,
            search: None,
            timings: Timings {
                queue_ms: generation.queue_ms,
                search_ms: 0.0,
                prefill_ms: generation.prefill_ms,
                first_token_ms,
                decode_ms: generation.decode_ms,
                total_ms: milliseconds(started),
            },
            usage: Usage {
                tokens_read: generation.prompt_tokens,
                tokens_written: generation.written_tokens,
                bytes_read: 0,
            },
            gag: None,
            imprag: None,
            iag: None,
            prompt: generation.prompt_text,
        }
    }
}

/// A request for an answer to this prompt. `avoid_first` are replies that are measured but not
/// given.
pub(crate) fn request(
    reader: &dyn Reader,
    prompt: Prompt,
    avoid_first: &[&str],
    options: &Options,
) -> GenerationRequest {
    let mut request = GenerationRequest::new(reader.model().model.clone(), prompt);
    request.sampling = options.sampling.clone();
    request.avoid_first = avoid_first.iter().map(|&reply| reply.to_owned()).collect();
    request.limits = GenerationLimits {
        max_tokens: options.answer_tokens,
        // A model that was never taught to take turns goes on with a question of its own.
        stop: vec!["\nQuestion:".to_owned()],
        ..GenerationLimits::default()
    };
    request
}

/// Runs a request and passes its events on.
pub(crate) async fn write(
    reader: &dyn Reader,
    request: GenerationRequest,
    cancel: &CancellationToken,
    sink: &mut (dyn FnMut(AnswerEvent) + Send),
    started: Instant,
) -> Result<Writing> {
    check_cancelled(cancel)?;
    let mut first_token_ms = None;
    let generation = reader
        .generate(request, cancel, &mut |event| match event {
            EngineEvent::Loading(fraction) => sink(AnswerEvent::Loading(fraction)),
            EngineEvent::Prefill { done, total } => sink(AnswerEvent::Prefill { done, total }),
            EngineEvent::Text(text) => {
                first_token_ms.get_or_insert_with(|| milliseconds(started));
                sink(AnswerEvent::Text(text));
            }
        })
        .await?;
    check_cancelled(cancel)?;
    Ok(Writing {
        generation,
        first_token_ms: first_token_ms.unwrap_or_else(|| milliseconds(started)),
    })
}

/// Tokens left in the context beside instructions, question and answer.
///
/// # Errors
/// `PromptTooLong`, naming by how many tokens, when nothing is left.
pub(crate) async fn check_room(
    reader: &dyn Reader,
    template: Template,
    question: &str,
    options: &Options,
) -> Result<u32> {
    let (system, user) = template.parts();
    room_beside(reader, &[system, user], CHAT_TEMPLATE_TOKENS, question, options).await
}

/// Tokens left in the context beside our own `words`, `more` tokens, question and answer.
///
/// # Errors
/// As [`check_room`].
pub(crate) async fn room_beside(
    reader: &dyn Reader,
    words: &[&str],
    more: u32,
    question: &str,
    options: &Options,
) -> Result<u32> {
    let texts: Vec<String> = words.iter().chain([&question]).map(|&text| text.to_owned()).collect();
    let counts = reader.count_tokens(&texts).await?;
    let fixed: u32 = counts.iter().sum::<u32>() + more + options.answer_tokens;
    let context = reader.model().context;
    context.checked_sub(fixed).filter(|&room| room > 0).ok_or_else(|| {
        let question_tokens = counts.last().copied().unwrap_or_default();
        Error::new(
            ErrorCode::PromptTooLong,
            format!(
                "the question has {question_tokens} tokens, {} more than fit into the model's \
                 context of {context} tokens",
                fixed - context + 1
            ),
        )
        .hint("Shorten the question; long text belongs into a document that is imported.")
    })
}
