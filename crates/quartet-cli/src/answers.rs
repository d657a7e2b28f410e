//! `search`, `ask`, `compare` and `exam`.

use crate::arguments;
use crate::output::Output;
use crate::progress::Progress;
use crate::render;
use crate::training;
use quartet_api::types::{
    Answer, AnswerEvent, Contestant, Control, IagMode, JobProgress, Method, Outcome, ProgressUnit,
    Result,
};
use quartet_api::{AskRequest, CancellationToken, ExamRequest, Quartet};
use serde_json::json;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Instant;

pub(crate) async fn search(
    quartet: &Quartet,
    arguments: &arguments::Search,
    output: Output,
    cancel: &CancellationToken,
) -> Result<ExitCode> {
    let collection = &arguments.collection.collection;
    let (hits, trace) =
        quartet.search(collection, &arguments.question, arguments.limit as usize, cancel).await?;
    output.result(&json!({ "hits": hits, "trace": trace }), || render::hits(&hits));
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn ask(
    quartet: &Quartet,
    arguments: &arguments::Ask,
    output: Output,
    cancel: &CancellationToken,
) -> Result<ExitCode> {
    if arguments.expert {
        return training::ask(quartet, arguments, output, cancel).await;
    }
    let route = match &arguments.route {
        Some(name) => Some(quartet.route_named(name).await?),
        None => None,
    };
    let request = AskRequest {
        route,
        imagine: arguments.imagine.parse()?,
        question: arguments.question.clone(),
        method: arguments.method.parse()?,
        collection: arguments.collection.collection.clone(),
        base: arguments.base.base.clone(),
        follow_up: arguments.follow_up,
        abstain: !arguments.no_abstain,
    };
    let mut view = AnswerView::new(output);
    let answer = quartet.ask(&request, cancel, &mut |event| view.show(event)).await?;
    view.finish(&answer);
    output.result(&answer, || {
        let prompt = format!(
            "\n--- the prompt as the model read it ---\n{}\n",
            render::printable(&answer.prompt)
        );
        if arguments.show_prompt { prompt } else { String::new() }
    });
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn compare(
    quartet: &Quartet,
    arguments: &arguments::Compare,
    output: Output,
    cancel: &CancellationToken,
) -> Result<ExitCode> {
    let methods = methods(&arguments.methods)?;
    let request = AskRequest {
        question: arguments.question.clone(),
        method: methods.first().copied().unwrap_or(Method::None),
        collection: arguments.collection.collection.clone(),
        base: arguments.base.base.clone(),
        follow_up: false,
        abstain: true,
        route: None,
        imagine: arguments.imagine.parse()?,
    };
    let mut view = AnswerView::new(output);
    let mut shown = None;
    let answers = quartet
        .compare(&request, &methods, cancel, &mut |method, event| {
            if shown != Some(method) && !matches!(event, AnswerEvent::Loading(_)) {
                view.heading(method);
                shown = Some(method);
            }
            let finished = match &event {
                AnswerEvent::Finished(answer) => Some(answer.clone()),
                _ => None,
            };
            view.show(event);
            if let Some(answer) = finished {
                view.finish(&answer);
            }
        })
        .await?;
    output.result(&json!({ "answers": answers }), || {
        [
            crate::gag::saved(&answers),
            crate::imprag::sooner(&answers),
            crate::iag::against(&answers),
        ]
        .concat()
    });
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn exam(
    quartet: &Quartet,
    arguments: &arguments::Exam,
    output: Output,
    cancel: &CancellationToken,
) -> Result<ExitCode> {
    let methods = contestants(&arguments.methods, arguments.controls)?;
    if arguments.controls && methods.iter().all(|contestant| contestant.control.is_none()) {
        output.remark("None of these methods has controls.");
    }
    let route = match &arguments.route {
        Some(name) => Some(quartet.route_named(name).await?),
        None => None,
    };
    let request = ExamRequest {
        route,
        questions: arguments.questions.clone(),
        methods,
        collection: arguments.collection.collection.clone(),
        base: arguments.base.base.clone(),
        limit: arguments.limit,
        seed: arguments.seed,
        fresh: arguments.fresh,
        report: arguments.report.clone(),
    };
    let progress = Progress::new(output.json);
    let mut loading = |event| {
        if let AnswerEvent::Loading(fraction) = event {
            progress.loading(fraction);
        }
    };
    let started = Instant::now();
    let mut before = None;
    let report = quartet
        .exam(&request, cancel, &mut loading, &mut |step| {
            let before = *before.get_or_insert(step.done - 1);
            #[expect(clippy::cast_precision_loss, reason = "counts of questions")]
            let rate = (step.done - before) as f64 / started.elapsed().as_secs_f64();
            #[expect(clippy::cast_precision_loss, reason = "counts of questions")]
            let left = (step.total - step.done) as f64 / rate;
            progress.update(&JobProgress {
                point: None,
                stage: "examining".to_owned(),
                subject: Some(step.result.question.clone()),
                done: step.done as u64,
                total: Some(step.total as u64),
                unit: ProgressUnit::Questions,
                rate: Some(rate),
                eta_seconds: Some(left),
            });
        })
        .await;
    progress.clear();
    let report = report.inspect_err(|error| {
        if error.code == quartet_api::types::ErrorCode::Cancelled {
            output.remark("Stopped. The same command goes on with the next question.");
        }
    })?;
    let summary = json!({
        "methods": report.methods,
        "differences": report.differences,
        "formats": report.formats,
        "about": report.about,
    });
    output.result(&summary, || {
        let mut text = quartet_api::render_exam(&report);
        if let Some(path) = &arguments.report {
            text.push_str(&format!("\nReport: {}\n", path.display()));
        }
        text
    });
    Ok(ExitCode::SUCCESS)
}

fn methods(names: &[String]) -> Result<Vec<Method>> {
    names.iter().map(|name| name.trim().parse()).collect()
}

/// Methods and controls by name; with `controls`, each whole method is followed by all of its
/// own.
fn contestants(names: &[String], controls: bool) -> Result<Vec<Contestant>> {
    let mut contestants = Vec::new();
    for name in names {
        let contestant: Contestant = name.trim().parse()?;
        contestants.push(contestant);
        if controls && contestant.control.is_none() {
            let method = contestant.method;
            contestants.extend(
                Control::of(method).map(|control| Contestant { method, control: Some(control) }),
            );
        }
    }
    Ok(contestants)
}

/// Shows an answer while it is made: streamed on a terminal, whole elsewhere.
struct AnswerView {
    output: Output,
    progress: Progress,
    streams: bool,
    streamed: bool,
}

impl AnswerView {
    fn new(output: Output) -> Self {
        let streams = !output.json && std::io::stdout().is_terminal();
        Self { output, progress: Progress::new(!streams), streams, streamed: false }
    }

    fn heading(&self, method: Method) {
        self.progress.clear();
        self.output.text(&format!("\n== {method} ==\n"));
    }

    fn show(&mut self, event: AnswerEvent) {
        match event {
            AnswerEvent::Loading(fraction) => self.progress.loading(fraction),
            AnswerEvent::Prefill { done, total } => self.progress.reading(done, total),
            AnswerEvent::Imagining(mode) => self.progress.busy(match mode {
                IagMode::ClosedBook => "weights",
                IagMode::OwnDocument => "imagining",
                IagMode::Retrieved => "squeezing",
            }),
            AnswerEvent::Rewritten(question) => {
                self.progress.clear();
                self.output.text(&format!("(understood as: {})\n", render::clean(&question)));
            }
            // Elsewhere the whole of it follows the answer.
            AnswerEvent::Imagined(document, mode) if self.streams => {
                self.progress.clear();
                self.output.text(&crate::iag::imagined(&document, mode));
            }
            AnswerEvent::Text(text) if self.streams => {
                self.progress.clear();
                self.streamed = true;
                self.output.text(&render::printable(&text));
            }
            AnswerEvent::Text(_)
            | AnswerEvent::Retrieved(_)
            | AnswerEvent::Routed(..)
            | AnswerEvent::Background(_)
            | AnswerEvent::Imagined(..)
            | AnswerEvent::Finished(_) => {}
        }
    }

    fn finish(&mut self, answer: &Answer) {
        self.progress.clear();
        // What was streamed may have been withheld since, and then the verdict follows it.
        if !self.streamed || answer.outcome == Outcome::NotInDocuments {
            let gap = if self.streamed { "\n" } else { "" };
            self.output.text(&format!("{gap}{}", render::printable(&answer.text)));
        }
        self.output.text(&format!("\n{}\n", render::evidence(answer)));
        self.streamed = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::{Arguments, Command};
    use clap::Parser as _;

    fn parsed(line: &str) -> Result<Vec<String>> {
        let words = "quartet exam --questions q.jsonl".split(' ').chain(line.split_whitespace());
        let arguments = Arguments::try_parse_from(words).expect("arguments");
        let Command::Exam(exam) = arguments.command else { panic!("another command") };
        let contestants = contestants(&exam.methods, exam.controls)?;
        Ok(contestants.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_control_is_asked_for_by_name() {
        let found = parsed("--methods none,gag,gag:shuffled").unwrap();
        assert_eq!(found, ["none", "gag", "gag:shuffled"]);
        assert_eq!(parsed("").unwrap(), ["none", "rag"]);
    }

    #[test]
    fn all_controls_of_a_method_come_after_it() {
        let found = parsed("--methods none,gag,rag --controls").unwrap();
        let controls = Control::of(Method::Gag).map(|control| format!("gag:{}", control.as_str()));
        let mut expected = vec!["none".to_owned(), "gag".to_owned()];
        expected.extend(controls);
        expected.push("rag".to_owned());
        assert_eq!(found, expected);
        assert!(found.len() > 3);
        assert_eq!(parsed("--methods gag:zero --controls").unwrap(), ["gag:zero"]);
    }

    #[test]
    fn an_unknown_control_names_those_that_exist() {
        let error = parsed("--methods gag:nonsense").unwrap_err();
        assert!(error.message.contains("gag:nonsense"), "{error:?}");
        let hint = error.hint.expect("a hint");
        for control in Control::of(Method::Gag) {
            assert!(hint.contains(control.as_str()), "{hint}");
        }
        let error = parsed("--methods rag:shuffled").unwrap_err();
        assert!(error.hint.expect("a hint").contains("no controls"));
    }
}
