//! What GAG is worth: whole against each part taken away, on wordings nobody was trained on.

use super::folder::WorkFolder;
use super::pace::{Detail, Pace};
use crate::answering::NoDocuments;
use crate::engine::BaseReader;
use crate::experts::Panel;
use quartet_exam::bootstrap::{RESAMPLES, Ratio, SEED, intervals, paired_interval};
use quartet_exam::text::f1;
use quartet_methods::expert::Exchange;
use quartet_methods::gag::answering::filled;
use quartet_methods::{NoImagination, NoImplicit, Options, Ports, Question, Reader, likelihood};
use quartet_types::{
    CollectionId, Control, ControlResult, Error, Interval, Method, ProgressUnit, Result,
    RouteChoice,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tokio_util::sync::CancellationToken;

/// The method itself among its controls.
pub(super) const WHOLE: &str = "whole";
/// The whole, had the expert written the right answer.
const ORACLE: &str = "oracle";
/// The base alone.
pub(super) const NONE: &str = "none";
/// Loss of the right answer, in nats per token.
pub(super) const NLL: &str = "nll";
/// Token F1 of what is answered.
pub(super) const F1: &str = "f1";

/// What is compared by the loss of the right answer.
const BY_LOSS: [Option<Control>; 6] = [
    None,
    Some(Control::Shuffled),
    Some(Control::Constant),
    Some(Control::Zero),
    Some(Control::Untrained),
    Some(Control::WrongRoute),
];
/// What is compared by answers: it takes longer.
const BY_ANSWER: [Option<Control>; 3] = [None, Some(Control::Shuffled), Some(Control::ExpertAlone)];

/// The scores of one question.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Row {
    question: String,
    /// By metric and contestant.
    scores: BTreeMap<String, BTreeMap<String, f64>>,
}

impl Row {
    pub(super) fn of(question: &str) -> Self {
        Self { question: question.to_owned(), ..Self::default() }
    }

    pub(super) fn note(&mut self, metric: &str, name: &str, value: f64) {
        self.scores.entry(metric.to_owned()).or_default().insert(name.to_owned(), value);
    }
}

/// Asks everything of everyone. The first `answered` questions are answered, all are scored.
/// What an earlier call scored is not asked again.
pub(super) async fn compare(
    domain: CollectionId,
    asked: &[Exchange],
    answered: usize,
    (reader, panel): (&BaseReader, &Panel),
    folder: &WorkFolder,
    pace: &Pace<'_>,
    cancel: &CancellationToken,
) -> Result<Vec<Row>> {
    const FILE: &str = "compared.json";
    let ports = &Ports {
        reader,
        searcher: &NoDocuments,
        experts: panel,
        implicit: &NoImplicit::default(),
        imagination: &NoImagination::default(),
    };
    let mut rows: Vec<Row> = folder.load(FILE)?.unwrap_or_default();
    rows.truncate(asked.len());
    for (place, exchange) in asked.iter().enumerate().skip(rows.len()) {
        if cancel.is_cancelled() {
            return Err(Error::cancelled());
        }
        let question = Question::fresh(exchange.question.trim());
        let gold = std::slice::from_ref(&exchange.answer);
        let mut row = Row::of(&exchange.question);
        let of = |control| Options {
            route: Some(RouteChoice::Domain(domain)),
            control,
            // Answers of the material are short.
            answer_tokens: 48,
            ..Options::default()
        };
        for control in BY_LOSS {
            let loss =
                likelihood(Method::Gag, &question, gold, ports, &of(control), cancel).await?;
            if let Some(loss) = loss {
                row.note(NLL, control.map_or(WHOLE, Control::as_str), loss);
            }
        }
        if let Some(rows) = panel.oracle(domain, &question.text, &exchange.answer).await? {
            let prompt = filled(&question.text, rows);
            let scores = reader.score(prompt, gold.to_vec(), cancel).await?.concat();
            let sum: f64 = scores.iter().map(|score| f64::from(*score)).sum();
            row.note(ORACLE, WHOLE, -sum / scores.len().max(1) as f64);
        }
        let plain = of(None);
        if let Some(loss) = likelihood(Method::None, &question, gold, ports, &plain, cancel).await?
        {
            row.note(NLL, NONE, loss);
        }
        if place < answered {
            let answer = async |method, options: &Options| {
                quartet_methods::answer(method, &question, ports, options, cancel, &mut |_| {})
                    .await
                    .map(|answer| f1(&answer.text, gold))
            };
            for control in BY_ANSWER {
                let score = answer(Method::Gag, &of(control)).await?;
                row.note(F1, control.map_or(WHOLE, Control::as_str), score);
            }
            let score = answer(Method::None, &plain).await?;
            row.note(F1, NONE, score);
        }
        rows.push(row);
        folder.store(FILE, &rows)?;
        let (done, total) = (rows.len() as u64, asked.len() as u64);
        pace.tell(done, total, ProgressUnit::Questions, Detail::Nothing).await;
    }
    Ok(rows)
}

/// The mean loss, had the expert written the right answers.
pub(super) fn oracle(rows: &[Row]) -> Option<f64> {
    let score = |row: &Row| row.scores.get(ORACLE)?.get(WHOLE).copied();
    Ratio::mean_of(rows.iter().map(score)).value()
}

/// The method against each control, with intervals over questions.
pub(super) fn controls(rows: &[Row]) -> Vec<ControlResult> {
    let mut results = Vec::new();
    for (metric, higher_is_better) in [(NLL, false), (F1, true)] {
        let of = |name: &str| {
            let score = |row: &Row| row.scores.get(metric)?.get(name).copied();
            Ratio::mean_of(rows.iter().map(score))
        };
        let names: Vec<String> = rows
            .first()
            .and_then(|row| row.scores.get(metric))
            .map(|scores| scores.keys().filter(|name| *name != WHOLE).cloned().collect())
            .unwrap_or_default();
        let whole = of(WHOLE);
        for name in names {
            let control = of(&name);
            let pair = intervals(&[whole.clone(), control.clone()], RESAMPLES, SEED);
            let paired = paired_interval(&whole, &control, RESAMPLES, SEED);
            let interval = |value: Option<f64>, found: Option<(f64, f64)>| {
                let value = value?;
                let (low, high) = found.unwrap_or((value, value));
                Some(Interval { value, low, high })
            };
            let difference = whole.value().zip(control.value()).map(|(own, other)| own - other);
            let (Some(method), Some(other), Some(difference)) = (
                interval(whole.value(), pair.first().copied().flatten()),
                interval(control.value(), pair.get(1).copied().flatten()),
                interval(difference, paired),
            ) else {
                continue;
            };
            results.push(ControlResult {
                name,
                metric: metric.to_owned(),
                higher_is_better,
                method,
                control: other,
                difference,
            });
        }
    }
    results
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(whole: f64, shuffled: f64) -> Row {
        let mut row = Row::default();
        row.note(NLL, WHOLE, whole);
        row.note(NLL, "shuffled", shuffled);
        row
    }

    #[test]
    fn a_control_is_beaten_only_by_a_whole_interval() {
        let clear: Vec<Row> =
            (0..30).map(|at| row(2.0 + f64::from(at) * 0.1, 3.0 + f64::from(at) * 0.1)).collect();
        let found = controls(&clear);
        assert_eq!(found.len(), 1);
        assert!(found[0].is_beaten());
        assert!((found[0].difference.value + 1.0).abs() < 1e-9);
        let doubtful: Vec<Row> =
            (0..30).map(|at| row(2.0, if at % 2 == 0 { 1.0 } else { 3.1 })).collect();
        assert!(!controls(&doubtful)[0].is_beaten());
        assert!(controls(&[]).is_empty());
    }
}
