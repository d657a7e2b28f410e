//! GAG in the terminal: where a question went, what its training is worth, routes put right.

use crate::arguments::RouteChange;
use crate::output::Output;
use crate::{controls, render};
use quartet_api::types::{
    Answer, Artefact, GagReport, GagTrace, Method, Result, RouteChoice, RouteScore,
};
use quartet_api::{CancellationToken, Quartet};
use serde_json::json;
use std::fmt::Write as _;
use std::process::ExitCode;

/// The route of an answer, and the expert's words.
pub(crate) fn trace(trace: &GagTrace) -> String {
    let mut text = String::new();
    let distances: Vec<String> = trace
        .scores
        .iter()
        .map(|one| {
            let mark = if one.route == trace.route { "*" } else { "" };
            format!("{}{mark} {:.3}", render::clean(&one.name), 1.0 - one.score)
        })
        .collect();
    let how = if trace.pinned { "pinned" } else { "nearest" };
    let _ = writeln!(text, "  route: {} (distance; * {how})", distances.join(" \u{b7} "));
    if trace.route == RouteChoice::General {
        return text;
    }
    if !trace.background.is_empty() {
        let words = render::clean(&trace.background);
        let _ = writeln!(text, "  the expert's own words, no evidence: {words}");
    }
    let _ = writeln!(
        text,
        "  {} rows of its states in place of passages{}; route {:.0} ms, expert {:.0} ms, projection {:.0} ms",
        trace.rows,
        if trace.cached { ", kept from before" } else { "" },
        trace.route_ms,
        trace.expert_ms,
        trace.project_ms
    );
    text
}

/// Tokens the base did not have to read, where RAG answered the same question.
pub(crate) fn saved(answers: &[Answer]) -> String {
    let of = |method| answers.iter().find(|answer| answer.method == method);
    let (Some(rag), Some(gag)) = (of(Method::Rag), of(Method::Gag)) else {
        return String::new();
    };
    let (more, less) = (i64::from(rag.usage.tokens_read), i64::from(gag.usage.tokens_read));
    let expert = gag.gag.as_ref().map_or(0, |t| t.expert.tokens_read + t.expert.tokens_written);
    format!(
        "\nGAG: {} tokens {} than RAG read by the base; {expert} read and written by the expert\n",
        (more - less).abs(),
        if more >= less { "fewer" } else { "more" }
    )
}

/// What a GAG artefact is worth.
pub(crate) fn describe(artefact: &Artefact, report: &GagReport) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "GAG on `{}` ({} listens, {}){}",
        render::clean(&artefact.collection_name),
        artefact.model,
        artefact.preset,
        if artefact.stale { ", stale: documents have changed since" } else { "" }
    );
    let verdict = if report.carries_information() {
        "the expert's states carry information: better than those of another question and than one for all"
    } else {
        "the expert's states make no measurable difference here: prefer RAG"
    };
    let _ = writeln!(text, "  {verdict}");
    let _ = writeln!(
        text,
        "  trained      {} numbers on {} wordings, {} visits",
        report.parameters, report.memories, report.visits
    );
    let _ = writeln!(text, "  against its controls on {} other wordings:", report.questions);
    for control in &report.controls {
        let _ = writeln!(text, "    {}", controls::line(control));
    }
    if let Some(oracle) = report.oracle {
        let _ = writeln!(text, "    loss  {oracle:.3} had the expert written the right answers");
    }
    let (asked, right) = report.routing.domain;
    let (everyday, general) = report.routing.general;
    let _ = writeln!(
        text,
        "  routing      {right} of {asked} questions come here, {general} of {everyday} everyday questions stay general ({} routes, {} prototypes)",
        report.routing.routes, report.routing.prototypes
    );
    text.push_str(&controls::deviations(&report.deviations));
    text.push_str(&controls::spent(&report.seconds));
    text
}

pub(crate) async fn routes(
    quartet: &Quartet,
    change: Option<RouteChange>,
    output: Output,
    cancel: &CancellationToken,
) -> Result<ExitCode> {
    match change {
        Some(RouteChange::Show { questions, base }) => {
            let all = quartet.route_scores(&questions, base.base.as_deref(), cancel).await?;
            let shown: Vec<_> = questions
                .iter()
                .zip(&all)
                .map(|(question, scores)| json!({ "question": question, "scores": scores }))
                .collect();
            output.result(&json!({ "routes": shown }), || {
                let line = |(question, scores): (&String, &Vec<RouteScore>)| {
                    let scores: Vec<String> = scores
                        .iter()
                        .map(|one| format!("{} {:.3}", render::clean(&one.name), 1.0 - one.score))
                        .collect();
                    format!("{}\n  {}\n", render::clean(question), scores.join(" \u{b7} "))
                };
                questions.iter().zip(&all).map(line).collect()
            });
            return Ok(ExitCode::SUCCESS);
        }
        Some(RouteChange::Add { question, to }) => {
            let route = quartet.route_named(&to).await?;
            quartet.correct_route(&question, route).await?;
        }
        Some(RouteChange::Remove { id }) => quartet.undo_route(id).await?,
        None => {}
    }
    let corrections = quartet.route_corrections().await?;
    let names = quartet.collections().await?;
    output.result(&json!({ "corrections": corrections }), || {
        if corrections.is_empty() {
            return "No route has been put right.\n".to_owned();
        }
        let mut text = String::new();
        for one in &corrections {
            let name = match one.route {
                RouteChoice::General => "general",
                RouteChoice::Domain(id) => {
                    names.iter().find(|other| other.id == id).map_or("?", |other| &other.name)
                }
            };
            let question = render::clean(&one.question);
            let _ = writeln!(text, "{:>4}  {}  {question}", one.id, render::clean(name));
        }
        text
    });
    Ok(ExitCode::SUCCESS)
}
