//! The report as plain text.

use crate::report::{Estimate, Report};
use std::fmt::Write as _;

/// Metrics shown, with the name a reader sees and how the number is written.
const ROWS: [(&str, &str, Form); 16] = [
    ("contains", "answer contained", Form::Share),
    ("f1", "token F1", Form::Share),
    ("exact_match", "exact match", Form::Share),
    ("recall_at_5", "gold page in first 5", Form::Share),
    ("recall_at_10", "gold page in first 10", Form::Share),
    ("mrr", "mean reciprocal rank", Form::Share),
    ("citation_precision", "cited pages that are right", Form::Share),
    ("supported", "sentences supported", Form::Share),
    ("refused_unanswerable", "refused, unanswerable", Form::Share),
    ("refused_answerable", "refused, answerable", Form::Share),
    ("abstention_precision", "refusals that are right", Form::Share),
    ("error_rate", "errors", Form::Share),
    ("first_token_ms", "first token", Form::Time),
    ("total_ms", "whole answer", Form::Time),
    ("tokens_read", "tokens read", Form::Count),
    ("tokens_written", "tokens written", Form::Count),
];

#[derive(Clone, Copy)]
enum Form {
    Share,
    Time,
    Count,
}

/// Renders the metrics, one column per method: value and 95 % interval.
#[must_use]
pub fn render(report: &Report) -> String {
    let methods: Vec<&str> = if report.about.methods.is_empty() {
        report.methods.keys().map(String::as_str).collect()
    } else {
        report.about.methods.iter().map(|method| method.as_str()).collect()
    };
    let columns: Vec<Vec<String>> = methods
        .iter()
        .map(|&method| {
            ROWS.iter()
                .map(|&(metric, _, form)| {
                    let found = report.methods.get(method).and_then(|m| m.get(metric));
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
    let _ = write!(table, "{:label_width$}", "");
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
    let counts: Vec<String> = methods
        .iter()
        .filter_map(|&method| {
            let n = report.methods.get(method)?.get("questions")?.n;
            Some(format!("{method} {n}"))
        })
        .collect();
    let _ = writeln!(
        table,
        "\nQuestions: {}. In brackets: 95 % confidence interval (bootstrap over questions).",
        counts.join(", ")
    );
    table
}

fn trim_and_break(table: &mut String) {
    table.truncate(table.trim_end_matches(' ').len());
    table.push('\n');
}

fn cell(estimate: &Estimate, form: Form) -> String {
    let Some(mean) = estimate.mean else { return "-".to_owned() };
    let number = |value: f64| match form {
        Form::Share => format!("{value:.2}"),
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
    use crate::report::About;
    use quartet_types::Method;
    use std::collections::BTreeMap;

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
            questions: vec![],
            about: About { methods: vec![Method::None, Method::Rag], ..About::default() },
        };
        let expected = "                            none                   rag\n\
             answer contained            0.02 [0.01 to 0.03]    0.60 [0.30 to 0.90]\n\
             whole answer                8.0 s [4.0 s to 12 s]  8.0 s [4.0 s to 12 s]\n\n\
             Questions: none 40, rag 40. In brackets: 95 % confidence interval (bootstrap over questions).\n";
        assert_eq!(render(&report), expected);
    }
}
