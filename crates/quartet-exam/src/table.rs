//! The report as plain text.

use crate::controls;
use crate::report::{Estimate, Report};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Metrics shown, with the name a reader sees and how the number is written.
const ROWS: [(&str, &str, Form); 24] = [
    ("contains", "answer contained", Form::Share),
    ("f1", "token F1", Form::Share),
    ("exact_match", "exact match", Form::Share),
    ("nll", "loss of the gold answer", Form::Loss),
    ("recall_at_5", "gold page in first 5", Form::Share),
    ("recall_at_10", "gold page in first 10", Form::Share),
    ("mrr", "mean reciprocal rank", Form::Share),
    ("citation_precision", "cited pages that are right", Form::Share),
    ("supported", "sentences supported", Form::Share),
    ("refused_unanswerable", "refused, unanswerable", Form::Share),
    ("refused_answerable", "refused, answerable", Form::Share),
    ("abstention_precision", "refusals that are right", Form::Share),
    ("routed_to_domain", "sent to a domain", Form::Share),
    ("expert_cached", "expert's states kept", Form::Share),
    ("error_rate", "errors", Form::Share),
    ("route_ms", "routing", Form::Time),
    ("expert_ms", "expert", Form::Time),
    ("project_ms", "projection", Form::Time),
    ("search_ms", "finding passages", Form::Time),
    ("prefill_ms", "reading", Form::Time),
    ("first_token_ms", "first token", Form::Time),
    ("total_ms", "whole answer", Form::Time),
    ("tokens_read", "tokens read", Form::Count),
    ("tokens_written", "tokens written", Form::Count),
];

#[derive(Clone, Copy)]
enum Form {
    Share,
    /// Nats per token.
    Loss,
    Time,
    Count,
}

/// Metrics shown of each format, where there are several.
const OF_FORMAT: [&str; 6] =
    ["contains", "f1", "exact_match", "nll", "recall_at_5", "recall_at_10"];

type Figures = BTreeMap<String, BTreeMap<String, Estimate>>;

/// Renders the metrics, one column per contestant: value and 95 % interval; below, a line for
/// each control, and the main figures of each format where several were asked.
#[must_use]
pub fn render(report: &Report) -> String {
    let methods: Vec<String> = if report.about.methods.is_empty() {
        report.methods.keys().cloned().collect()
    } else {
        report.about.methods.iter().map(ToString::to_string).collect()
    };
    let mut table = grid(&report.methods, &methods, "", &|_| true);
    let _ = writeln!(
        table,
        "\nQuestions: {}. In brackets: 95 % confidence interval (bootstrap over questions).",
        counts(&report.methods, &methods)
    );
    loss_in_words(&mut table, report, &methods);
    let controls = controls::lines(report);
    if !controls.is_empty() {
        let _ = writeln!(table, "\n{}", controls.join("\n"));
    }
    for one in &report.formats {
        let figures = grid(&one.methods, &methods, one.format.as_str(), &|metric| {
            OF_FORMAT.contains(&metric)
        });
        let _ = write!(table, "\n{figures}Questions: {}.\n", counts(&one.methods, &methods));
    }
    table
}

fn counts(figures: &Figures, methods: &[String]) -> String {
    let of = |method: &String| {
        let n = figures.get(method)?.get("questions")?.n;
        Some(format!("{method} {n}"))
    };
    methods.iter().filter_map(of).collect::<Vec<_>>().join(", ")
}

/// One line per metric that any contestant has, one column per contestant.
fn grid(
    figures: &Figures,
    methods: &[String],
    corner: &str,
    is_shown: &dyn Fn(&str) -> bool,
) -> String {
    let columns: Vec<Vec<String>> = methods
        .iter()
        .map(|method| {
            ROWS.iter()
                .map(|&(metric, _, form)| {
                    let found = figures.get(method).and_then(|m| m.get(metric));
                    let found = found.filter(|_| is_shown(metric));
                    found.map_or_else(|| "-".to_owned(), |estimate| cell(estimate, form))
                })
                .collect()
        })
        .collect();
    let widths: Vec<usize> = methods
        .iter()
        .zip(&columns)
        .map(|(method, column)| {
            column.iter().map(|cell| cell.chars().count()).chain([method.len()]).max().unwrap_or(0)
        })
        .collect();
    let label_width = ROWS.iter().map(|(_, label, _)| label.len()).max().unwrap_or(0);

    let mut table = String::new();
    let _ = write!(table, "{corner:label_width$}");
    for (method, width) in methods.iter().zip(&widths) {
        let _ = write!(table, "  {method:<width$}");
    }
    trim_and_break(&mut table);
    for (place, (_, label, _)) in ROWS.iter().enumerate() {
        if columns.iter().all(|column| column.get(place).is_none_or(|cell| cell == "-")) {
            continue;
        }
        let _ = write!(table, "{label:label_width$}");
        for (column, width) in columns.iter().zip(&widths) {
            let cell = column.get(place).map_or("-", String::as_str);
            let _ = write!(table, "  {cell:<width$}");
        }
        trim_and_break(&mut table);
    }
    table
}

/// Says what the loss is, and where it was not measured on every question: such columns should
/// not be read side by side.
fn loss_in_words(table: &mut String, report: &Report, methods: &[String]) {
    let n = |method: &str, metric: &str| {
        report.methods.get(method).and_then(|found| found.get(metric)).map_or(0, |found| found.n)
    };
    let measured: Vec<&String> = methods.iter().filter(|method| n(method, "nll") > 0).collect();
    if measured.is_empty() {
        return;
    }
    let _ = write!(table, "Loss: nats per token, lower is better.");
    let parts: Vec<String> = measured
        .into_iter()
        .map(|method| (method, n(method, "nll"), n(method, "exact_match")))
        .filter(|(_, measured, answerable)| measured < answerable)
        .map(|(method, measured, answerable)| format!("{method} {measured} of {answerable}"))
        .collect();
    if !parts.is_empty() {
        let _ = write!(table, " Not measured on every question: {}.", parts.join(", "));
    }
    table.push('\n');
}

fn trim_and_break(table: &mut String) {
    table.truncate(table.trim_end_matches(' ').len());
    table.push('\n');
}

fn cell(estimate: &Estimate, form: Form) -> String {
    let Some(mean) = estimate.mean else { return "-".to_owned() };
    let number = |value: f64| match form {
        Form::Share | Form::Loss => format!("{value:.2}"),
        Form::Time if value < 10.0 => format!("{value:.1} ms"),
        Form::Time if value >= 10_000.0 => format!("{:.0} s", value / 1000.0),
        Form::Time if value >= 1000.0 => format!("{:.1} s", value / 1000.0),
        Form::Time => format!("{value:.0} ms"),
        Form::Count => format!("{value:.0}"),
    };
    match (estimate.low, estimate.high) {
        (Some(low), Some(high)) => {
            format!("{} [{} to {}]", number(mean), number(low), number(high))
        }
        _ => number(mean),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::questions::Format;
    use crate::report::FormatFigures;
    use crate::report::{About, Difference};
    use quartet_types::Method;

    #[test]
    fn columns_line_up() {
        let estimate = |mean, n| Estimate {
            mean: Some(mean),
            low: Some(mean / 2.0),
            high: Some(mean * 1.5),
            n,
        };
        let none = Estimate { mean: None, low: None, high: None, n: 0 };
        let metrics = |contains: f64| {
            BTreeMap::from([
                ("contains".to_owned(), estimate(contains, 40)),
                ("total_ms".to_owned(), estimate(8000.0, 40)),
                ("mrr".to_owned(), none),
                ("questions".to_owned(), estimate(40.0, 40)),
            ])
        };
        let report = Report {
            methods: BTreeMap::from([
                ("none".to_owned(), metrics(0.02)),
                ("rag".to_owned(), metrics(0.6)),
            ]),
            differences: vec![],
            formats: vec![FormatFigures {
                format: Format::Claim,
                methods: BTreeMap::from([("rag".to_owned(), metrics(0.5))]),
                differences: vec![],
            }],
            questions: vec![],
            about: About {
                methods: vec![Method::None.into(), Method::Rag.into()],
                ..About::default()
            },
        };
        let expected = "                            none                   rag\n\
             answer contained            0.02 [0.01 to 0.03]    0.60 [0.30 to 0.90]\n\
             whole answer                8.0 s [4.0 s to 12 s]  8.0 s [4.0 s to 12 s]\n\n\
             Questions: none 40, rag 40. In brackets: 95 % confidence interval (bootstrap over questions).\n\n\
             claim                       none  rag\n\
             answer contained            -     0.50 [0.25 to 0.75]\n\
             Questions: rag 40.\n";
        assert_eq!(render(&report), expected);
    }

    #[test]
    fn a_control_has_a_column_and_a_line() {
        let exactly = |mean, n| Estimate { mean: Some(mean), low: None, high: None, n };
        let metrics = |nll: f64, measured: usize| {
            BTreeMap::from([
                ("exact_match".to_owned(), exactly(0.5, 40)),
                ("nll".to_owned(), exactly(nll, measured)),
                ("routed_to_domain".to_owned(), exactly(0.95, 40)),
                ("route_ms".to_owned(), exactly(4.4, 40)),
                ("expert_ms".to_owned(), exactly(1234.0, 40)),
                ("project_ms".to_owned(), exactly(0.3, 40)),
                ("questions".to_owned(), exactly(40.0, 40)),
            ])
        };
        let estimate = Estimate { mean: Some(-0.41), low: Some(-0.6), high: Some(-0.22), n: 38 };
        let (whole, zero) = ("gag".parse().unwrap(), "gag:zero".parse().unwrap());
        let report = Report {
            methods: BTreeMap::from([
                ("gag".to_owned(), metrics(1.5, 40)),
                ("gag:zero".to_owned(), metrics(1.91, 38)),
            ]),
            differences: vec![Difference {
                method: whole,
                baseline: zero,
                metric: "nll".to_owned(),
                estimate,
            }],
            formats: vec![],
            questions: vec![],
            about: About { methods: vec![whole, zero], ..About::default() },
        };
        let expected = "                            gag     gag:zero\n\
             exact match                 0.50    0.50\n\
             loss of the gold answer     1.50    1.91\n\
             sent to a domain            0.95    0.95\n\
             routing                     4.4 ms  4.4 ms\n\
             expert                      1.2 s   1.2 s\n\
             projection                  0.3 ms  0.3 ms\n\n\
             Questions: gag 40, gag:zero 40. In brackets: 95 % confidence interval (bootstrap over questions).\n\
             Loss: nats per token, lower is better. Not measured on every question: gag:zero 38 of 40.\n\n\
             gag against gag:zero: loss -0.41 [-0.60, -0.22] better\n";
        assert_eq!(render(&report), expected);
    }
}
