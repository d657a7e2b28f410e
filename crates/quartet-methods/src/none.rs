//! The base model alone, with a neutral prompt: what it knows without the documents.
//! The control that every other method is compared with.

use crate::rag::prompt::{self, Template};
use crate::run::{check_cancelled, milliseconds};
use crate::support::unsupported_sentences;
use crate::writing::{Writing, check_room, write};
use crate::{Options, Ports, Question};
use quartet_types::{Answer, AnswerEvent, Method, Outcome, Result};
use std::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) async fn answer(
    question: &Question,
    ports: &Ports<'_>,
    options: &Options,
    cancel: &CancellationToken,
    sink: &mut (dyn FnMut(AnswerEvent) + Send),
    started: Instant,
) -> Result<Answer> {
    check_cancelled(cancel)?;
    check_room(ports.reader, Template::NONE, &question.text, options).await?;
    let prompt = prompt::conversation(Template::NONE, &question.history, &question.text);
    let Writing { generation, first_token_ms } =
        write(ports.reader, prompt, &[], options, cancel, sink, started).await?;
    let text = generation.text.trim().to_owned();
    Ok(Answer {
        id: None,
        question: question.text.clone(),
        searched_question: None,
        method: Method::None,
        model: ports.reader.model().model.clone(),
        outcome: Outcome::Answered,
        sentences: unsupported_sentences(&text),
        text,
        withheld: None,
        retrieved: Vec::new(),
        read: Vec::new(),
        used: Vec::new(),
        abstention: None,
        search: None,
        timings: quartet_types::Timings {
            queue_ms: generation.queue_ms,
            search_ms: 0.0,
            prefill_ms: generation.prefill_ms,
            first_token_ms,
            decode_ms: generation.decode_ms,
            total_ms: milliseconds(started),
        },
        usage: quartet_types::Usage {
            tokens_read: generation.prompt_tokens,
            tokens_written: generation.written_tokens,
            bytes_read: 0,
        },
        gag: None,
        prompt: generation.prompt_text,
    })
}
