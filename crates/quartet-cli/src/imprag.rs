//! ImpRAG in the terminal: what an implicit query found and how it was read, and how well
//! passages are found.

use crate::arguments;
use crate::output::Output;
use crate::progress::Progress;
use crate::render;
use quartet_api::types::{
    Answer, AnswerEvent, ImpragMode, ImpragTier, ImpragTrace, JobProgress, Method, ProgressUnit,
    Result,
};
use quartet_api::{CancellationToken, Quartet, RetrievalRequest};
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Instant;

/// Passages named below an answer, at most.
const NAMED: usize = 10;

/// What was found without words, with raw scores, and which layers read it.
pub(crate) fn trace(answer: &Answer, trace: &ImpragTrace) -> String {
    let mut text = String::new();
    let taught = match trace.tier {
        ImpragTier::Untaught => "untaught".to_owned(),
        ImpragTier::Start => "as shipped, nothing taught on this collection".to_owned(),
        tier => format!("tier {}", tier.as_str()),
    };
    let (first, last) = trace.layers;
    let layers = if first > last {
        "no layer reads the passages".to_owned()
    } else {
        format!("layers {first} to {last} read the passages")
    };
    let _ = writeln!(text, "  implicit query, {} mode, {taught}; {layers}", trace.mode.as_str());
    if let Some(control) = trace.control {
        let _ = writeln!(text, "  control: {}", control.as_str().replace('_', " "));
    }
    if trace.is_hybrid {
        let _ = writeln!(text, "  fallback: words were searched as well (BM25), both lists fused");
    }
    for (index, hit) in answer.retrieved.iter().enumerate().take(NAMED) {
        let score = hit.dense.map_or_else(|| "by words".to_owned(), |(one, _)| format!("{one:.1}"));
        let mark = match (answer.used.contains(&index), answer.read.contains(&index)) {
            (true, _) => "cited",
            (false, true) => "read",
            (false, false) => "",
        };
        let line = format!("  {score:>9}  {mark:<5}  {}", render::place(hit));
        let _ = writeln!(text, "{}", line.trim_end());
    }
    if let Some(threshold) = trace.threshold {
        let best = trace.best.map_or_else(|| "none".to_owned(), |best| format!("{best:.1}"));
        let _ = writeln!(text, "  best score {best}; below {threshold:.1} it does not answer");
    }
    if answer.read.is_empty() {
        let _ =
            writeln!(text, "  query {:.0} ms, search {:.1} ms", trace.query_ms, trace.search_ms);
        return text;
    }
    let states = match trace.mode {
        ImpragMode::Quality => format!("{} tokens read together", trace.passage_tokens),
        ImpragMode::Fast => {
            let made = if trace.encoded > 0 {
                format!(" ({} of them made now in {:.0} ms)", trace.encoded, trace.encode_ms)
            } else {
                String::new()
            };
            format!(
                "states of {} tokens, {:.1} MB, restored{made}",
                trace.passage_tokens,
                trace.restored_bytes as f64 / 1e6
            )
        }
    };
    let _ = writeln!(
        text,
        "  query {:.0} ms, search {:.1} ms, {states} and prompt read in {:.0} ms",
        trace.query_ms, trace.search_ms, answer.timings.prefill_ms
    );
    text
}

/// How much earlier the first word came than with RAG, where both answered the same question.
pub(crate) fn sooner(answers: &[Answer]) -> String {
    let of = |method| answers.iter().find(|answer| answer.method == method);
    let (Some(rag), Some(imprag)) = (of(Method::Rag), of(Method::Imprag)) else {
        return String::new();
    };
    let (theirs, ours) = (rag.timings.first_token_ms, imprag.timings.first_token_ms);
    if ours <= 0.0 || theirs <= 0.0 {
        return String::new();
    }
    let (times, what) =
        if theirs >= ours { (theirs / ours, "sooner") } else { (ours / theirs, "later") };
    format!(
        "\nImpRAG: first word {times:.1} times {what} than RAG ({ours:.0} ms against {theirs:.0} ms)\n"
    )
}

pub(crate) async fn retrieval(
    quartet: &Quartet,
    arguments: &arguments::Retrieval,
    output: Output,
    cancel: &CancellationToken,
) -> Result<ExitCode> {
    let request = RetrievalRequest {
        questions: arguments.questions.clone(),
        collection: arguments.collection.collection.clone(),
        base: arguments.base.base.clone(),
        limit: arguments.limit,
        seed: arguments.seed,
        report: arguments.report.clone(),
    };
    let progress = Progress::new(output.json);
    let mut loading = |event| {
        if let AnswerEvent::Loading(fraction) = event {
            progress.loading(fraction);
        }
    };
    let started = Instant::now();
    let report = quartet
        .retrieval_exam(&request, cancel, &mut loading, &mut |done, total| {
            let rate = done as f64 / started.elapsed().as_secs_f64();
            progress.update(&JobProgress {
                point: None,
                stage: "searching".to_owned(),
                subject: None,
                done: done as u64,
                total: Some(total as u64),
                unit: ProgressUnit::Questions,
                rate: Some(rate),
                eta_seconds: Some((total - done) as f64 / rate),
            });
        })
        .await;
    progress.clear();
    let report = report?;
    let summary = serde_json::json!({
        "figures": report.figures,
        "differences": report.differences,
        "milliseconds": report.milliseconds,
        "without_gold": report.without_gold,
        "about": report.about,
    });
    output.result(&summary, || {
        let mut text = quartet_api::render_retrieval(&report);
        if let Some(path) = &arguments.report {
            let _ = writeln!(text, "\nReport: {}", path.display());
        }
        text
    });
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(method: &str, first_token_ms: f64) -> Answer {
        serde_json::from_value(serde_json::json!({
            "id": null, "question": "Who?", "searched_question": null, "method": method,
            "model": "small", "outcome": "answered", "text": "Ann", "withheld": null,
            "sentences": [], "read": [0], "used": [0], "abstention": null, "search": null,
            "retrieved": [hit("a", 12.34), hit("b", 11.0), words("c")],
            "timings": { "queue_ms": 0.0, "search_ms": 50.0, "prefill_ms": 30.0,
                "first_token_ms": first_token_ms, "decode_ms": 9.0, "total_ms": 99.0 },
            "usage": { "tokens_read": 20, "tokens_written": 2, "bytes_read": 300 },
            "prompt": "Q: Who?\nA:",
        }))
        .expect("an answer")
    }

    fn hit(name: &str, product: f64) -> serde_json::Value {
        serde_json::json!({
            "passage": { "chunk": 1, "document": 1, "title": name, "path": format!("{name}.pdf"),
                "span": { "page": 3, "start": 0, "end": 9 }, "heading": null, "text": "Ann did." },
            "score": product, "lexical": null, "dense": [product, 1],
        })
    }

    fn words(name: &str) -> serde_json::Value {
        let mut found = hit(name, 0.1);
        found["dense"] = serde_json::Value::Null;
        found
    }

    fn traced() -> ImpragTrace {
        ImpragTrace {
            layers: (7, 17),
            tier: ImpragTier::T0,
            best: Some(12.34),
            passage_tokens: 60,
            query_ms: 41.4,
            search_ms: 0.3,
            restored_bytes: 337_920,
            ..ImpragTrace::default()
        }
    }

    #[test]
    fn an_answer_says_what_was_found_without_words() {
        let text = trace(&answer("imprag", 100.0), &traced());
        let expected = "  implicit query, fast mode, tier t0; layers 7 to 17 read the passages\n\
            \x20      12.3  cited  a, page 3 (a.pdf)\n\
            \x20      11.0         b, page 3 (b.pdf)\n\
            \x20  by words         c, page 3 (c.pdf)\n\
            \x20 query 41 ms, search 0.3 ms, states of 60 tokens, 0.3 MB, restored and prompt read in 30 ms\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_is_not_the_method_itself_is_labelled() {
        let mut with = traced();
        with.is_hybrid = true;
        with.control = Some(quartet_api::types::Control::HideAll);
        with.layers = (18, 17);
        with.threshold = Some(15.0);
        with.encoded = 1;
        with.encode_ms = 12.0;
        let text = trace(&answer("imprag", 100.0), &with);
        for part in [
            "no layer reads the passages",
            "control: hide all",
            "fallback: words were searched as well",
            "best score 12.3; below 15.0 it does not answer",
            "(1 of them made now in 12 ms)",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn the_first_words_are_compared() {
        let both = [answer("rag", 1000.0), answer("imprag", 125.0)];
        assert!(sooner(&both).contains("8.0 times sooner than RAG (125 ms against 1000 ms)"));
        assert!(
            sooner(&[answer("rag", 100.0), answer("imprag", 150.0)]).contains("1.5 times later")
        );
        assert_eq!(sooner(&both[..1]), "");
    }
}
