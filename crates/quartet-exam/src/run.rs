//! Puts the questions to the contestants (methods and their controls), one at a time: measured
//! times are then of one answer, not of a queue. Questions go round the contestants, so an
//! interrupted exam has compared them on the same questions.

use crate::evidence::DocumentNames;
use crate::questions::{ExamQuestion, Expected};
use crate::result::QuestionResult;
use async_trait::async_trait;
use quartet_types::{Answer, Contestant, Error, ErrorCode, Result};
use std::collections::HashMap;
use tokio_util::sync::CancellationToken;

/// Whatever answers the questions.
#[async_trait]
pub trait Examinee: Send + Sync {
    /// Answers one question without a conversation before it. Gold answers and evidence are for
    /// controls that are given them on purpose, and for nobody else.
    async fn answer(
        &self,
        contestant: Contestant,
        question: &ExamQuestion,
        cancel: &CancellationToken,
    ) -> Result<Answer>;

    /// The loss of a gold answer behind the very prompt the contestant would answer from: mean
    /// negative natural logarithm of the probability of its tokens, in nats per token. Of
    /// several gold answers, the smallest loss. `None` where the contestant cannot say it.
    async fn likelihood(
        &self,
        _contestant: Contestant,
        _question: &str,
        _answers: &[String],
        _cancel: &CancellationToken,
    ) -> Result<Option<f64>> {
        Ok(None)
    }
}

/// A step of an exam.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// What has just been scored. Append it to a file (one JSON object a line) and give the
    /// rows back as `done` to go on later.
    pub result: &'a QuestionResult,
    /// Results so far, those given as `done` included.
    pub done: usize,
    /// Results in all.
    pub total: usize,
}

/// Asks every question of every contestant and returns the results in the order of questions
/// and contestants. Rows of `done` that belong to this exam are kept and not asked again.
///
/// # Errors
/// `Cancelled`; whatever `on_step` returns; and errors that every other question would meet
/// too: a missing or unfit model, a method that is not built or not trained. Any other error is recorded, as
/// a wrong answer or as a loss that was not measured, and the exam goes on.
pub async fn run(
    questions: &[ExamQuestion],
    contestants: &[Contestant],
    names: &DocumentNames,
    examinee: &dyn Examinee,
    done: Vec<QuestionResult>,
    on_step: &mut (dyn FnMut(Step<'_>) -> Result<()> + Send),
    cancel: &CancellationToken,
) -> Result<Vec<QuestionResult>> {
    let mut known: HashMap<(String, Contestant), QuestionResult> =
        done.into_iter().map(|row| ((row.id.clone(), row.method), row)).collect();
    let total = questions.len() * contestants.len();
    let mut kept = 0;
    for question in questions {
        for &contestant in contestants {
            let key = (question.id.clone(), contestant);
            match known.get(&key) {
                Some(row) if is_of(row, question) => kept += 1,
                _ => {
                    known.remove(&key);
                }
            }
        }
    }
    let mut results = Vec::with_capacity(total);
    let mut finished = kept;
    for question in questions {
        for &contestant in contestants {
            if let Some(row) = known.remove(&(question.id.clone(), contestant)) {
                results.push(row);
                continue;
            }
            if cancel.is_cancelled() {
                return Err(Error::cancelled());
            }
            let given = examinee.answer(contestant, question, cancel).await;
            if let Err(error) = &given
                && would_repeat(error.code)
            {
                return Err(error.clone());
            }
            let mut result = QuestionResult::score(question, contestant, &given, names);
            if question.expected == Expected::Answer {
                result.nll = loss(examinee, contestant, question, cancel).await?;
            }
            finished += 1;
            on_step(Step { result: &result, done: finished, total })?;
            results.push(result);
        }
    }
    Ok(results)
}

/// The loss of the gold answer; none where it could not be measured. It says nothing about what
/// was written, so it is asked for even where answering failed.
async fn loss(
    examinee: &dyn Examinee,
    contestant: Contestant,
    question: &ExamQuestion,
    cancel: &CancellationToken,
) -> Result<Option<f64>> {
    match examinee.likelihood(contestant, &question.question, &question.answers, cancel).await {
        // An infinite loss has no place in a mean, nor in JSON.
        Ok(loss) => Ok(loss.filter(|loss| loss.is_finite())),
        Err(error) if would_repeat(error.code) => Err(error),
        Err(_) => Ok(None),
    }
}

/// A row of an earlier run counts only if it was the same question with the same answers.
fn is_of(row: &QuestionResult, question: &ExamQuestion) -> bool {
    row.question == question.question
        && row.answers == question.answers
        && row.expected == question.expected
}

fn would_repeat(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::Cancelled
            | ErrorCode::NotSupported
            | ErrorCode::NotFound
            | ErrorCode::ModelMissing
            | ErrorCode::BadModel
            | ErrorCode::DoesNotFit
            | ErrorCode::DiskFull
            | ErrorCode::ReadOnly
            | ErrorCode::Corrupt
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::questions::parse_questions;
    use quartet_types::Method;
    use std::sync::Mutex;

    struct Script {
        asked: Mutex<Vec<String>>,
        fail: Option<ErrorCode>,
        /// What it says of the gold answers' likelihood, by question.
        losses: HashMap<&'static str, Result<Option<f64>>>,
    }

    #[async_trait]
    impl Examinee for Script {
        async fn answer(
            &self,
            contestant: Contestant,
            question: &ExamQuestion,
            _: &CancellationToken,
        ) -> Result<Answer> {
            self.asked.lock().unwrap().push(format!("{contestant} {}", question.question));
            match self.fail {
                Some(code) => Err(Error::new(code, "scripted")),
                None => Ok(crate::result::tests::answer("red", vec![], vec![])),
            }
        }

        async fn likelihood(
            &self,
            _: Contestant,
            question: &str,
            answers: &[String],
            _: &CancellationToken,
        ) -> Result<Option<f64>> {
            assert!(!answers.is_empty(), "asked only where there is a gold answer");
            self.losses.get(question).cloned().unwrap_or(Ok(None))
        }
    }

    fn script(fail: Option<ErrorCode>) -> Script {
        Script { asked: Mutex::new(Vec::new()), fail, losses: HashMap::new() }
    }

    fn questions() -> Vec<ExamQuestion> {
        parse_questions(
            "f",
            "{\"id\":\"1\",\"question\":\"A?\",\"answers\":[\"red\"]}\n{\"id\":\"2\",\"question\":\"B?\"}",
        )
        .unwrap()
    }

    async fn run_with(script: &Script, done: Vec<QuestionResult>) -> Result<Vec<QuestionResult>> {
        run(
            &questions(),
            &[Method::None.into(), Method::Rag.into()],
            &DocumentNames::default(),
            script,
            done,
            &mut |_| Ok(()),
            &CancellationToken::new(),
        )
        .await
    }

    #[tokio::test]
    async fn an_interrupted_exam_asks_only_what_is_missing() {
        let first = script(None);
        let mut kept = Vec::new();
        let stopped = run(
            &questions(),
            &[Method::None.into(), Method::Rag.into()],
            &DocumentNames::default(),
            &first,
            Vec::new(),
            &mut |step| {
                kept.push(step.result.clone());
                assert_eq!((step.done, step.total), (kept.len(), 4));
                if step.done == 3 { Err(Error::cancelled()) } else { Ok(()) }
            },
            &CancellationToken::new(),
        )
        .await;
        assert_eq!(stopped.unwrap_err().code, ErrorCode::Cancelled);
        let second = script(None);
        let resumed = run_with(&second, kept).await.unwrap();
        assert_eq!(*second.asked.lock().unwrap(), ["rag B?"]);
        assert_eq!(resumed, run_with(&script(None), Vec::new()).await.unwrap());
    }

    #[tokio::test]
    async fn rows_of_another_question_are_asked_again() {
        let mut rows = run_with(&script(None), Vec::new()).await.unwrap();
        rows[0].question = "something else".to_owned();
        let again = script(None);
        run_with(&again, rows).await.unwrap();
        assert_eq!(*again.asked.lock().unwrap(), ["none A?"]);
    }

    #[tokio::test]
    async fn one_failure_is_a_wrong_answer_but_a_missing_model_ends_the_exam() {
        let rows = run_with(&script(Some(ErrorCode::WorkerDied)), Vec::new()).await.unwrap();
        assert_eq!(rows.len(), 4);
        assert!(rows.iter().all(|row| row.error.is_some()));
        for code in [ErrorCode::ModelMissing, ErrorCode::NotFound] {
            let missing = run_with(&script(Some(code)), Vec::new()).await;
            assert_eq!(missing.unwrap_err().code, code);
        }
    }

    #[tokio::test]
    async fn cancelling_stops_before_the_next_question() {
        let cancel = CancellationToken::new();
        cancel.cancel();
        let script = script(None);
        let result = run(
            &questions(),
            &[Method::Rag.into()],
            &DocumentNames::default(),
            &script,
            Vec::new(),
            &mut |_| Ok(()),
            &cancel,
        )
        .await;
        assert_eq!(result.unwrap_err().code, ErrorCode::Cancelled);
        assert!(script.asked.lock().unwrap().is_empty());
    }

    async fn run_controls(
        script: &Script,
        names: &[&str],
        done: Vec<QuestionResult>,
    ) -> Result<Vec<QuestionResult>> {
        let contestants: Vec<Contestant> = names.iter().map(|name| name.parse().unwrap()).collect();
        let three = parse_questions(
            "f",
            r#"{"id":"1","question":"A?","answers":["red"]}
               {"id":"2","question":"B?"}
               {"id":"3","question":"C?","answers":["blue","azure"]}"#,
        )
        .unwrap();
        run(
            &three,
            &contestants,
            &DocumentNames::default(),
            script,
            done,
            &mut |_| Ok(()),
            &CancellationToken::new(),
        )
        .await
    }

    #[tokio::test]
    async fn rows_of_a_control_are_not_those_of_the_whole_method() {
        let shuffled = run_controls(&script(None), &["gag:shuffled"], Vec::new()).await.unwrap();
        assert!(shuffled.iter().all(|row| row.method.to_string() == "gag:shuffled"));
        let second = script(None);
        let names = ["gag", "gag:shuffled", "gag:zero"];
        let rows = run_controls(&second, &names, shuffled).await.unwrap();
        assert_eq!(
            *second.asked.lock().unwrap(),
            ["gag A?", "gag:zero A?", "gag B?", "gag:zero B?", "gag C?", "gag:zero C?"]
        );
        let order: Vec<String> = rows.iter().map(|row| row.method.to_string()).collect();
        assert_eq!(order, [names, names, names].concat());
    }

    #[tokio::test]
    async fn a_loss_that_cannot_be_measured_is_none_but_a_missing_model_ends_the_exam() {
        let died = || Err(Error::new(ErrorCode::WorkerDied, "scripted"));
        let mut first = script(None);
        first.losses =
            HashMap::from([("A?", Ok(Some(1.25))), ("B?", Ok(Some(9.0))), ("C?", died())]);
        let rows = run_controls(&first, &["gag"], Vec::new()).await.unwrap();
        let losses = |rows: &[QuestionResult]| rows.iter().map(|row| row.nll).collect::<Vec<_>>();
        assert_eq!(losses(&rows), [Some(1.25), None, None], "B? has no gold answer");
        assert!(rows.iter().all(|row| row.error.is_none()));

        // Asked for where answering failed, too; infinite ones are left out.
        let mut failing = script(Some(ErrorCode::WorkerDied));
        failing.losses = HashMap::from([("A?", Ok(Some(0.5))), ("C?", Ok(Some(f64::INFINITY)))]);
        let rows = run_controls(&failing, &["gag"], Vec::new()).await.unwrap();
        assert_eq!(losses(&rows), [Some(0.5), None, None]);
        assert!(rows.iter().all(|row| row.error.is_some()));

        let mut missing = script(None);
        missing.losses =
            HashMap::from([("C?", Err(Error::new(ErrorCode::ModelMissing, "scripted")))]);
        let ended = run_controls(&missing, &["gag"], Vec::new()).await;
        assert_eq!(ended.unwrap_err().code, ErrorCode::ModelMissing);
    }
}
