//! The base model alone, with a neutral prompt: what it knows without the documents.
//! The control that every other method is compared with.

use crate::rag::prompt::{self, Template};
use crate::run::check_cancelled;
use crate::writing::{check_room, request, write};
use crate::{Options, Ports, Question};
use quartet_types::{Answer, AnswerEvent, Method, Result};
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
    let request = request(ports.reader, prompt, &[], options);
    let writing = write(ports.reader, request, cancel, sink, started).await?;
    Ok(writing.from_memory(Method::None, question, ports.reader, started))
}
