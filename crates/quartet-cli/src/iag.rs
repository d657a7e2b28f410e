//! IAG in the terminal: what was imagined for an answer, what weights were made for it, and what
//! its training is worth.

use crate::{controls, render};
use quartet_api::types::{
    Answer, Artefact, IagForm, IagMode, IagReport, IagTrace, Method, TeacherGate,
};
use std::fmt::Write as _;

/// The document while it is made, on one line.
pub(crate) fn imagined(document: &str, mode: IagMode) -> String {
    let what = match mode {
        IagMode::Retrieved => "grounded, squeezed from passages",
        _ => "imagined, no evidence",
    };
    format!("({what}: \u{201c}{}\u{201d})\n", render::clean(document))
}

/// What stood in the prompt, and which weights were made for the question.
pub(crate) fn trace(answer: &Answer, trace: &IagTrace) -> String {
    let mut text = String::new();
    let document = render::clean(&trace.document);
    let _ = match trace.mode {
        IagMode::ClosedBook => writeln!(text, "  closed book: no document in the prompt"),
        _ if document.is_empty() => writeln!(text, "  no document: nothing was written"),
        IagMode::OwnDocument => {
            writeln!(text, "  imagined, no evidence: \u{201c}{document}\u{201d}")
        }
        IagMode::Retrieved => {
            let (read, found) = (answer.read.len(), answer.retrieved.len());
            let read = if read == 0 { found } else { read };
            let passages = if read == 1 { "passage" } else { "passages" };
            writeln!(
                text,
                "  grounded: squeezed from {read} {passages} (mode retrieved): \u{201c}{document}\u{201d}"
            )
        }
    };
    if let Some(control) = trace.control {
        let _ = writeln!(text, "  control: {}", control.as_str().replace('_', " "));
    }
    let (read, written) = (trace.imagine.tokens_read, trace.imagine.tokens_written);
    let _ = match trace.mode {
        IagMode::ClosedBook => Ok(()),
        _ if trace.cached && read + written == 0 => writeln!(text, "  document kept from before"),
        _ if trace.cached => writeln!(
            text,
            "  document kept from before; the imagine model had read {read} tokens and written {written}"
        ),
        IagMode::OwnDocument => writeln!(
            text,
            "  the imagine model read {read} tokens and wrote {written} in {:.0} ms",
            trace.imagine_ms
        ),
        IagMode::Retrieved => writeln!(
            text,
            "  passages found and squeezed in {:.0} ms ({read} tokens read for it)",
            trace.imagine_ms
        ),
    };
    let Some(form) = trace.form else {
        text.push_str("  no weights were made for the question\n");
        return text;
    };
    if form == IagForm::Bank {
        text.push_str(
            "  restricted variant: a bank of fixed adapters, of which the question sets the strengths only\n",
        );
    }
    let size = match trace.adapter_bytes {
        0 => String::new(),
        bytes => format!(", {}", kilobytes(bytes)),
    };
    let features = match trace.feature_tokens {
        0 => String::new(),
        read => format!("features of {read} tokens in {:.0} ms, ", trace.feature_ms),
    };
    let _ = writeln!(
        text,
        "  weights for the question{size}: {features}made in {:.1} ms, loaded in {:.1} ms",
        trace.generate_ms, trace.load_ms
    );
    text
}

/// End-to-end latency and tokens against RAG, where both answered the same question.
pub(crate) fn against(answers: &[Answer]) -> String {
    let of = |method| answers.iter().find(|answer| answer.method == method);
    let (Some(rag), Some(iag)) = (of(Method::Rag), of(Method::Iag)) else {
        return String::new();
    };
    let (theirs, ours) = (rag.timings.total_ms, iag.timings.total_ms);
    if theirs <= 0.0 || ours <= 0.0 {
        return String::new();
    }
    let (times, what) =
        if theirs >= ours { (theirs / ours, "faster") } else { (ours / theirs, "slower") };
    let trace = iag.iag.as_ref();
    // What a kept document had cost was paid by another question. The features are among what
    // the base read.
    let imagine = trace.filter(|trace| !trace.cached).map(|trace| &trace.imagine);
    let read = iag.usage.tokens_read + imagine.map_or(0, |usage| usage.tokens_read);
    let written = iag.usage.tokens_written + imagine.map_or(0, |usage| usage.tokens_written);
    let imagining = match trace {
        Some(trace) if trace.cached => "document kept from before",
        Some(trace) if trace.mode == IagMode::OwnDocument => "imagining included",
        _ => "end to end",
    };
    format!(
        "\nIAG: {times:.1} times {what} than RAG, {imagining} ({:.1} s against {:.1} s); {read} tokens read and {written} written by all its models, against {} and {}\n",
        ours / 1000.0,
        theirs / 1000.0,
        rag.usage.tokens_read,
        rag.usage.tokens_written
    )
}

/// What an IAG artefact is worth.
pub(crate) fn describe(artefact: &Artefact, report: &IagReport) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "IAG on `{}` ({} answers, {} imagines, {}){}",
        render::clean(&artefact.collection_name),
        artefact.model,
        render::clean(&report.imagine_model),
        artefact.preset,
        if artefact.stale { ", stale: documents have changed since" } else { "" }
    );
    let _ = writeln!(text, "  {}", verdict(report));
    if report.options.form == IagForm::Bank {
        text.push_str("  restricted variant: a bank of fixed adapters in place of made weights\n");
    }
    text.push_str(&gate(report));
    let squeezed = &report.compression;
    let _ = writeln!(
        text,
        "  documents    {} squeezed from {:.0} tokens of passages to {:.0}; {:.0} % hold the answer ({:.0} % had it put back)",
        squeezed.documents,
        squeezed.tokens_before,
        squeezed.tokens_after,
        squeezed.with_answer * 100.0,
        squeezed.put_back * 100.0
    );
    let _ = writeln!(text, "  imagined     {:.0} tokens on average", report.imagined_tokens);
    let _ = writeln!(
        text,
        "  trained      {} numbers on {} questions, {} of them with the teacher; {} components",
        report.parameters, report.rows, report.taught_rows, report.components
    );
    let _ = writeln!(text, "  strength     {}", strength(report));
    let _ = writeln!(
        text,
        "  difference   {:.0} % of their size between the weights of two questions ({} pairs)",
        report.specificity.distance * 100.0,
        report.specificity.pairs
    );
    if !report.controls.is_empty() {
        let _ = writeln!(
            text,
            "  against its controls on {} other wordings, {} of them answered:",
            report.questions, report.answered
        );
    }
    for control in &report.controls {
        let _ = writeln!(text, "    {}", controls::line(control));
    }
    text.push_str(&controls::deviations(&report.deviations));
    text.push_str(&controls::spent(&report.seconds));
    text
}

/// Whether weights made for a question are worth more than fixed ones.
fn verdict(report: &IagReport) -> &'static str {
    let is_lost = |name: &str| {
        let mut all = report.controls.iter();
        all.any(|one| one.name == name && one.metric == "nll" && !one.is_beaten())
    };
    if report.strength() == 0.0 {
        "switched off: questions that were not trained on do better without weights made for them"
    } else if report.is_question_specific() {
        "question-specific: weights made for a question are better than those of another and than one set for all"
    } else if is_lost("shuffled_features") || is_lost("constant_features") {
        "collapsed: weights made for a question are no better than those of another; they might as well be one fixed adapter"
    } else {
        "not measured: whether weights made for a question are better than those of another"
    }
}

/// How strongly weights made for a question are in force, and why.
fn strength(report: &IagReport) -> String {
    let tried: Vec<String> =
        report.strengths.iter().map(|one| format!("{:.3} at {}", one.loss, one.strength)).collect();
    match tried.is_empty() {
        true => "as trained".to_owned(),
        false => format!(
            "{} of the weights made for a question (loss of questions not trained on: {})",
            report.strength(),
            tried.join(", ")
        ),
    }
}

/// Whether there was anything to learn from the teacher.
fn gate(report: &IagReport) -> String {
    let figures = |gate: &TeacherGate| {
        format!(
            "reads the passages and answers {:.0} % of {} questions (F1 {:.3}); without them {:.0} % (F1 {:.3})",
            gate.teacher * 100.0,
            gate.questions,
            gate.teacher_f1,
            gate.student * 100.0,
            gate.student_f1
        )
    };
    match &report.gate {
        Some(gate) if gate.is_open => format!("  teacher      {}\n", figures(gate)),
        Some(gate) => {
            format!("  teacher      no better, so there was nothing to distil: {}\n", figures(gate))
        }
        None => "  teacher      none: trained without distillation\n".to_owned(),
    }
}

fn kilobytes(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a few digits are shown")]
    let bytes = bytes as f64;
    if bytes < 1e6 { format!("{:.0} kB", bytes / 1e3) } else { format!("{:.1} MB", bytes / 1e6) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controls::tests::control;
    use quartet_api::types::{Control, TriedStrength, Usage};

    fn answer(method: &str, total_ms: f64, read: u32) -> Answer {
        serde_json::from_value(serde_json::json!({
            "id": null, "question": "Who?", "searched_question": null, "method": method,
            "model": "small", "outcome": "answered", "text": "Ann", "withheld": null,
            "sentences": [], "read": [], "used": [], "abstention": null, "search": null,
            "retrieved": [], "timings": { "queue_ms": 0.0, "search_ms": 0.0, "prefill_ms": 30.0,
                "first_token_ms": 20.0, "decode_ms": 9.0, "total_ms": total_ms },
            "usage": { "tokens_read": read, "tokens_written": 2, "bytes_read": 0 },
            "prompt": "Q: Who?\nA:",
        }))
        .expect("an answer")
    }

    fn traced() -> IagTrace {
        IagTrace {
            document: "Ann signed\nthe lease \u{1b}[31m1901".to_owned(),
            form: Some(IagForm::Hypernetwork),
            imagine: Usage { tokens_read: 21, tokens_written: 12, ..Usage::default() },
            feature_tokens: 24,
            adapter_bytes: 412_000,
            imagine_ms: 310.4,
            feature_ms: 35.0,
            generate_ms: 2.25,
            load_ms: 3.0,
            ..IagTrace::default()
        }
    }

    #[test]
    fn what_is_imagined_is_never_shown_as_evidence() {
        let text = trace(&answer("iag", 100.0, 20), &traced());
        let expected = "  imagined, no evidence: \u{201c}Ann signed the lease [31m1901\u{201d}\n\
            \x20 the imagine model read 21 tokens and wrote 12 in 310 ms\n\
            \x20 weights for the question, 412 kB: features of 24 tokens in 35 ms, made in 2.2 ms, loaded in 3.0 ms\n";
        assert_eq!(text, expected);
        assert!(imagined("Ann", IagMode::OwnDocument).contains("imagined, no evidence"));
        let grounded = imagined("Ann", IagMode::Retrieved);
        assert!(grounded.contains("grounded") && !grounded.contains("imagined"), "{grounded}");
    }

    #[test]
    fn every_mode_says_what_stood_in_the_prompt() {
        let mut with = traced();
        with.mode = IagMode::ClosedBook;
        with.document.clear();
        let text = trace(&answer("iag", 100.0, 20), &with);
        assert!(text.starts_with("  closed book: no document in the prompt\n"), "{text}");
        assert!(!text.contains("imagin"), "{text}");

        let mut with = traced();
        with.mode = IagMode::Retrieved;
        let mut found = answer("iag", 100.0, 20);
        found.read = vec![0, 1, 2];
        let text = trace(&found, &with);
        assert!(text.contains("grounded: squeezed from 3 passages (mode retrieved)"), "{text}");
        assert!(!text.contains("imagin"), "{text}");
    }

    #[test]
    fn what_is_not_the_method_itself_is_labelled() {
        let mut with = traced();
        with.control = Some(Control::ShuffledFeatures);
        with.form = Some(IagForm::Bank);
        with.cached = true;
        let text = trace(&answer("iag", 100.0, 20), &with);
        for part in ["control: shuffled features", "restricted variant", "kept from before"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        with.form = None;
        let text = trace(&answer("iag", 100.0, 20), &with);
        assert!(text.ends_with("no weights were made for the question\n"), "{text}");
    }

    #[test]
    fn imagining_counts_when_it_is_compared_with_retrieval() {
        let mut iag = answer("iag", 500.0, 40);
        iag.iag = Some(traced());
        let mut both = [answer("rag", 2000.0, 600), iag];
        let text = against(&both);
        assert!(text.contains("4.0 times faster than RAG, imagining included"), "{text}");
        assert!(text.contains("61 tokens read and 14 written"), "{text}");
        assert!(text.contains("against 600 and 2"), "{text}");
        if let Some(trace) = &mut both[1].iag {
            trace.cached = true;
        }
        let kept = against(&both);
        assert!(kept.contains("document kept from before"), "{kept}");
        assert!(kept.contains("40 tokens read and 2 written"), "{kept}");
        both[1].timings.total_ms = 4000.0;
        assert!(against(&both).contains("2.0 times slower"));
        assert_eq!(against(&both[..1]), "");
    }

    fn report(controls: Vec<quartet_api::types::ControlResult>) -> IagReport {
        let mut report: IagReport = serde_json::from_value(serde_json::json!({
            "options": {}, "deviations": [{ "name": "no attention maps", "on": true, "why": "why" }],
            "imagine_model": "expert", "imagine_model_sha256": "a", "imagine_adapter": "b",
            "adapters": [], "parameters": 100, "components": 64, "rows": 200, "taught_rows": 150,
            "compression": { "documents": 200, "tokens_before": 500.0, "tokens_after": 40.0,
                "with_answer": 0.9, "put_back": 0.05 },
            "imagined_tokens": 38.0, "gate": null, "specificity": { "pairs": 40, "distance": 0.25 },
            "questions": 60, "answered": 30, "controls": [], "stages": [],
            "seconds": { "imagining": 120.0 }, "foretold_seconds": null,
        }))
        .expect("a report");
        report.controls = controls;
        report
    }

    #[test]
    fn a_collapse_is_said_first() {
        let specific = vec![
            control("shuffled_features", "nll", -0.4, -0.2),
            control("constant_features", "nll", -0.3, -0.1),
        ];
        assert!(verdict(&report(specific.clone())).starts_with("question-specific"));
        let mut same = specific;
        same[1] = control("constant_features", "nll", -0.3, 0.1);
        assert!(verdict(&report(same.clone())).starts_with("collapsed"));
        same.truncate(1);
        assert!(verdict(&report(same)).starts_with("not measured"));
    }

    #[test]
    fn the_strength_is_told_with_what_was_tried() {
        let mut report = report(Vec::new());
        assert_eq!(strength(&report), "as trained");
        let tried = |strength, loss| TriedStrength { strength, loss };
        report.strengths = vec![tried(1.0, 2.5), tried(0.4, 2.25)];
        let told = strength(&report);
        assert!(told.starts_with("0.4 of the weights") && told.contains("2.500 at 1"), "{told}");
        report.strengths.push(tried(0.0, 2.0));
        assert!(verdict(&report).starts_with("switched off"));
    }

    #[test]
    fn a_closed_gate_says_that_there_was_nothing_to_distil() {
        let mut report = report(Vec::new());
        assert!(gate(&report).contains("without distillation"));
        let shut =
            TeacherGate { questions: 40, teacher: 0.25, student: 0.2, ..TeacherGate::default() };
        report.gate = Some(shut);
        assert!(gate(&report).contains("nothing to distil"));
        report.gate = Some(TeacherGate { is_open: true, ..shut });
        assert!(gate(&report).contains("25 % of 40 questions"));
        assert!(!gate(&report).contains("nothing"));
    }
}
