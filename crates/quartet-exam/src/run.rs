//! Puts the questions to the methods, one at a time: measured times are then of one answer,
//! not of a queue. Questions go round the methods, so an interrupted exam has compared them
//! on the same questions.

use crate::evidence::DocumentNames;
use crate::questions::ExamQuestion;
use crate::result::QuestionResult;
use async_trait::async_trait;
use quartet_types::{Answer, Error, ErrorCode, Method, Result};
use std::collections::HashMap;
use tokio_util::sync::CancellationToken;

/// Whatever answers the questions.
#[async_trait]
pub trait Examinee: Send + Sync {
    /// Answers one question without a conversation before it.
    async fn answer(
        &self,
        method: Method,
        question: &str,
        cancel: &CancellationToken,
    ) -> Result<Answer>;
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

/// Asks every question by every method and returns the results in the order of questions and
/// methods. Rows of `done` that belong to this exam are kept and not asked again.
///
/// # Errors
/// `Cancelled`; whatever `on_step` returns; and errors that every other question would meet
/// too: a missing or unfit model, a method that is not built. Any other error is recorded as
/// a wrong answer and the exam goes on.
pub async fn run(
    questions: &[ExamQuestion],
    methods: &[Method],
    names: &DocumentNames,
    examinee: &dyn Examinee,
    done: Vec<QuestionResult>,
    on_step: &mut (dyn FnMut(Step<'_>) -> Result<()> + Send),
    cancel: &CancellationToken,
) -> Result<Vec<QuestionResult>> {
    let mut known: HashMap<(String, Method), QuestionResult> =
        done.into_iter().map(|row| ((row.id.clone(), row.method), row)).collect();
    let total = questions.len() * methods.len();
    let mut kept = 0;
    for question in questions {
        for &method in methods {
            let key = (question.id.clone(), method);
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
        for &method in methods {
            if let Some(row) = known.remove(&(question.id.clone(), method)) {
                results.push(row);
                continue;
            }
            if cancel.is_cancelled() {
                return Err(Error::cancelled());
            }
            let given = examinee.answer(method, &question.question, cancel).await;
            if let Err(error) = &given
                && would_repeat(error.code)
            {
                return Err(error.clone());
            }
            let result = QuestionResult::score(question, method, &given, names);
            finished += 1;
            on_step(Step { result: &result, done: finished, total })?;
            results.push(result);
        }
    }
    Ok(results)
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
    use std::sync::Mutex;

    struct Script {
        asked: Mutex<Vec<String>>,
        fail: Option<ErrorCode>,
    }

    #[async_trait]
    impl Examinee for Script {
        async fn answer(
            &self,
            method: Method,
            question: &str,
            _: &CancellationToken,
        ) -> Result<Answer> {
            self.asked.lock().unwrap().push(format!("{method} {question}"));
            match self.fail {
                Some(code) => Err(Error::new(code, "scripted")),
                None => Ok(crate::result::tests::answer("red", vec![], vec![])),
            }
        }
    }

    fn script(fail: Option<ErrorCode>) -> Script {
        Script { asked: Mutex::new(Vec::new()), fail }
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
            &[Method::None, Method::Rag],
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
            &[Method::None, Method::Rag],
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
        let missing = run_with(&script(Some(ErrorCode::ModelMissing)), Vec::new()).await;
        assert_eq!(missing.unwrap_err().code, ErrorCode::ModelMissing);
    }

    #[tokio::test]
    async fn cancelling_stops_before_the_next_question() {
        let cancel = CancellationToken::new();
        cancel.cancel();
        let script = script(None);
        let result = run(
            &questions(),
            &[Method::Rag],
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
}
