//! One door for all methods.

use crate::rag::prompt::{Template, conversation};
use crate::{Options, Ports, Question, gag, iag, imprag, none, rag};
use quartet_types::{Answer, AnswerEvent, Control, Error, Method, Result};
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// Answers `question` by `method`. Events arrive through `sink` as they happen; the last is
/// [`AnswerEvent::Finished`] with the same answer that is returned.
///
/// # Errors
/// `InvalidInput` for an empty question, `PromptTooLong` for one that leaves no room in the
/// model's context, `NotSupported` for a method that is not built yet, `Cancelled`, and
/// whatever the reader or the search report.
pub async fn answer(
    method: Method,
    question: &Question,
    ports: &Ports<'_>,
    options: &Options,
    cancel: &CancellationToken,
    sink: &mut (dyn FnMut(AnswerEvent) + Send),
) -> Result<Answer> {
    let started = Instant::now();
    question.check()?;
    let answer = match method {
        Method::None => none::answer(question, ports, options, cancel, sink, started).await?,
        Method::Rag => rag::answer(question, ports, options, cancel, sink, started).await?,
        Method::Gag => {
            gag::answering::answer(question, ports, options, cancel, sink, started).await?
        }
        Method::Imprag => {
            imprag::answering::answer(question, ports, options, cancel, sink, started).await?
        }
        Method::Iag => {
            iag::answering::answer(question, ports, options, cancel, sink, started).await?
        }
    };
    sink(AnswerEvent::Finished(Box::new(answer.clone())));
    Ok(answer)
}

/// How improbable the base finds the right answer when a method has prepared it: mean loss in
/// nats per token, the smallest over `answers`. `None` where the method cannot say.
///
/// # Errors
/// As [`answer`].
pub async fn likelihood(
    method: Method,
    question: &Question,
    answers: &[String],
    ports: &Ports<'_>,
    options: &Options,
    cancel: &CancellationToken,
) -> Result<Option<f64>> {
    question.check()?;
    let prompt = match method {
        Method::None => conversation(Template::NONE, &question.history, &question.text),
        // The expert alone has no part in the base.
        Method::Gag if options.control == Some(Control::ExpertAlone) => return Ok(None),
        Method::Gag => gag::answering::prompt(question, ports, options, cancel).await?,
        Method::Iag => return improbable(question, answers, ports, options, cancel).await,
        Method::Rag | Method::Imprag => return Ok(None),
    };
    let scores = ports.reader.score(prompt, answers.to_vec(), cancel).await?;
    Ok(least(&scores))
}

/// As [`likelihood`], for IAG: under the weights made for the question.
async fn improbable(
    question: &Question,
    answers: &[String],
    ports: &Ports<'_>,
    options: &Options,
    cancel: &CancellationToken,
) -> Result<Option<f64>> {
    let prepared = iag::answering::prepare(question, ports, options, cancel).await?;
    // As they are learnt, without the line break that ends them: other methods have none.
    let learnt = answers.iter().map(|one| iag::template::learnt(one));
    let answers: Vec<String> = learnt.map(|one| one.trim_end().to_owned()).collect();
    let scores =
        ports.reader.score_under(prepared.adapters, prepared.prompt, answers, cancel).await;
    if let Some(made) = &prepared.made {
        ports.imagination.forget_adapter(made).await?;
    }
    Ok(least(&scores?))
}

/// Mean loss of the most probable continuation.
fn least(scores: &[Vec<f32>]) -> Option<f64> {
    let loss = |tokens: &Vec<f32>| -> Option<f64> {
        let sum: f64 = tokens.iter().map(|one| f64::from(*one)).sum();
        (!tokens.is_empty()).then(|| -sum / tokens.len() as f64)
    };
    scores.iter().filter_map(loss).min_by(f64::total_cmp)
}

/// Returns `Cancelled` if the user has asked to stop.
pub(crate) fn check_cancelled(cancel: &CancellationToken) -> Result<()> {
    if cancel.is_cancelled() { Err(Error::cancelled()) } else { Ok(()) }
}

/// Milliseconds since `start`.
pub(crate) fn milliseconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1000.0
}
