//! Fits the abstention model of one class of readers to exam reports and prints the class as
//! it stands in `assets/calibration/abstention.v1.json`.
//!
//! `cargo run --release -p quartet-exam --example fit_abstention -- CLASS MODEL DATE REPORT.json...`
//!
//! Held-out figures come from five folds by question. The threshold is the highest at which
//! at most `FALSE_REFUSALS` of the answerable questions that the reader answered rightly would
//! be refused, in the folds.

use quartet_exam::report::Report;
use quartet_exam::{Expected, QuestionResult, text};
use quartet_methods::abstention::{Features, Provenance, ReaderClass, Sample, fit};
use std::io::Write as _;

/// Right answers that may be lost to refusal.
const FALSE_REFUSALS: f64 = 0.03;
const PENALTY: f64 = 0.05;
/// Where the reports given come from; say so here when others are used.
const DATA: &str = "questions on SQuAD 2.0 paragraphs and on the sample documents";
/// Few enough for a hundred questions; the others say nearly the same and would only fit noise.
const SIGNALS: [&str; 6] = [
    "dense_top",
    "coverage_best",
    "support_best",
    "lowest_log_probability",
    "absent_log_probability",
    "said_absent",
];
const FOLDS: usize = 5;

struct Case {
    sample: Sample,
    right: bool,
    said_absent: bool,
}

fn case(row: &QuestionResult) -> Option<Case> {
    if row.features.is_empty() {
        return None;
    }
    let features = Features::from_named(row.features.iter().map(|(name, v)| (name.as_str(), *v)));
    let written = row.withheld.as_deref().unwrap_or(&row.answer);
    Some(Case {
        sample: Sample { features, answerable: row.expected == Expected::Answer },
        right: text::contains(written, &row.answers) > 0.5,
        said_absent: features.get("said_absent") > 0.5,
    })
}

#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn number(count: usize) -> f64 {
    count as f64
}

fn share(part: usize, whole: usize) -> f64 {
    number(part) / number(whole.max(1))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |what: &str| arguments.next().ok_or(format!("missing: {what}"));
    let (name, model, date) = (next("class")?, next("model")?, next("date")?);
    let mut cases = Vec::new();
    for path in arguments {
        let report: Report = serde_json::from_str(&std::fs::read_to_string(path)?)?;
        cases.extend(report.questions.iter().filter_map(case));
    }
    let class = |cases: &[&Case]| {
        let samples: Vec<Sample> = cases.iter().map(|case| case.sample).collect();
        let (intercept, coefficients) = fit(&samples, &SIGNALS, PENALTY);
        ReaderClass {
            name: name.clone(),
            max_weight_bytes: None,
            intercept,
            coefficients,
            threshold: 0.0,
            provenance: Provenance {
                data: DATA.to_owned(),
                model: model.clone(),
                questions: u32::try_from(samples.len()).unwrap_or(u32::MAX),
                date: date.clone(),
                held_out_loss: None,
                note: String::new(),
            },
        }
    };

    let mut held_out: Vec<(f64, &Case)> = Vec::new();
    for fold in 0..FOLDS {
        let inside = |place: usize| place % FOLDS != fold;
        let training: Vec<&Case> =
            cases.iter().enumerate().filter(|(i, _)| inside(*i)).map(|(_, c)| c).collect();
        let fitted = class(&training);
        held_out.extend(
            cases
                .iter()
                .enumerate()
                .filter(|(i, _)| !inside(*i))
                .map(|(_, case)| (f64::from(fitted.probability(&case.sample.features)), case)),
        );
    }
    // Both kinds of question weigh the same, as in the fit.
    let mean = |values: &[f64]| values.iter().sum::<f64>() / number(values.len().max(1));
    let losses = |answerable: bool| -> Vec<f64> {
        held_out
            .iter()
            .filter(|(_, case)| case.sample.answerable == answerable)
            .map(|(p, _)| -(if answerable { *p } else { 1.0 - p }).max(1e-9).ln())
            .collect()
    };
    let loss = f64::midpoint(mean(&losses(true)), mean(&losses(false)));

    let mut right: Vec<f64> = held_out
        .iter()
        .filter(|(_, case)| case.right && case.sample.answerable && !case.said_absent)
        .map(|(p, _)| *p)
        .collect();
    right.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index from a share of a length"
    )]
    let place = (number(right.len()) * FALSE_REFUSALS).floor() as usize;
    let threshold = right.get(place).copied().unwrap_or(0.0);
    let refused = |answerable: bool| {
        let of: Vec<_> =
            held_out.iter().filter(|(_, c)| c.sample.answerable == answerable).collect();
        share(of.iter().filter(|(p, c)| c.said_absent || *p < threshold).count(), of.len())
    };
    let said = |answerable: bool| {
        let of: Vec<_> = cases.iter().filter(|c| c.sample.answerable == answerable).collect();
        share(of.iter().filter(|c| c.said_absent).count(), of.len())
    };
    let answerable = cases.iter().filter(|c| c.sample.answerable).count();
    let note = format!(
        "Held out (5 folds): refuses {:.2} of unanswerable and {:.2} of answerable questions; \
         the reader itself said so for {:.2} and {:.2}; it was right on {:.2} of the answerable.",
        refused(false),
        refused(true),
        said(false),
        said(true),
        share(cases.iter().filter(|c| c.right && c.sample.answerable).count(), answerable)
    );
    let all: Vec<&Case> = cases.iter().collect();
    let mut fitted = class(&all);
    #[expect(clippy::cast_possible_truncation, reason = "single precision is what the file holds")]
    {
        fitted.threshold = threshold as f32;
        fitted.provenance.held_out_loss = Some(loss as f32);
    }
    fitted.provenance.note = note;
    writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&fitted)?)?;
    Ok(())
}
