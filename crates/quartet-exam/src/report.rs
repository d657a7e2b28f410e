//! The report: `{"methods": {contestant: {metric: {"mean", "low", "high", "n"}}}, "questions":
//! [..], "differences": [..], "formats": [..], "about": {..}}`. A contestant is a method (`gag`)
//! or a method with a part taken away (`gag:shuffled`). Where questions of several formats were
//! asked, `formats` has the same figures and differences for each of them.
//!
//! | metric | over | meaning |
//! |---|---|---|
//! | `exact_match`, `f1`, `contains` | answerable questions | see [`crate::text`]; refused or failed scores 0 |
//! | `combined_f1` | all questions | F1, where refusing an unanswerable question scores 1 (as SQuAD 2.0) |
//! | `nll` | answerable questions whose loss was measured | negative log-probability of the gold answer, nats per token; lower is better |
//! | `recall_at_5`, `recall_at_10`, `mrr` | questions with gold pages, methods that search | distinct pages in rank order |
//! | `citation_precision` | answered questions with citations | share of cited pages that are gold |
//! | `abstention_precision` | refused questions | share that is unanswerable |
//! | `abstention_recall`, `refused_unanswerable` | unanswerable questions | share refused |
//! | `refused_answerable` | answerable questions | share refused |
//! | `supported` | answered questions | share of sentences with support |
//! | `first_token_ms`, `total_ms`, `tokens_read`, `tokens_written` | questions without error | means |
//! | `search_ms` | the same, methods that search | finding passages, the question's vector included |
//! | `prefill_ms` | the same | reading the prompt, and passages from texts or files with it |
//! | `routed_to_domain` | answers with a route | share that went to a domain, not to the base alone |
//! | `route_ms` | answers with a route | mean |
//! | `expert_cached`, `project_ms` | answers that went to a domain | share whose expert's states were kept from earlier; mean |
//! | `expert_ms` | the same, where the expert was at work | mean |
//! | `error_rate` | all questions | share that failed |
//!
//! A metric without a single case has `mean`, `low` and `high` null and `n` 0.
//!
//! Differences are of each contestant against the first, and of each method against its own
//! controls; always on the questions for which both sides have the metric.

use crate::bootstrap::{RESAMPLES, Ratio, SEED, intervals, to_f64};
use crate::differences::differences;
use crate::questions::{Expected, Format};
use crate::result::{GENERAL, QuestionResult};
use quartet_types::Contestant;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A value with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The value.
    pub mean: Option<f64>,
    /// Lower end.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// Cases it is made from.
    pub n: usize,
}

/// What an exam found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Metrics by contestant.
    pub methods: BTreeMap<String, BTreeMap<String, Estimate>>,
    /// How each contestant differs from the first one, and each method from its own controls,
    /// on the same questions.
    pub differences: Vec<Difference>,
    /// The same by format, where there are several.
    #[serde(default)]
    pub formats: Vec<FormatFigures>,
    /// One row per question and contestant.
    pub questions: Vec<QuestionResult>,
    /// What was examined, with what, where and when.
    pub about: About,
}

/// Figures on the questions of one format.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FormatFigures {
    /// The format.
    pub format: Format,
    /// Metrics by contestant.
    pub methods: BTreeMap<String, BTreeMap<String, Estimate>>,
    /// As [`Report::differences`].
    pub differences: Vec<Difference>,
}

/// `method - baseline` of one metric, with a paired bootstrap interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The contestant.
    pub method: Contestant,
    /// What it is compared with.
    pub baseline: Contestant,
    /// The metric.
    pub metric: String,
    /// The difference.
    #[serde(flatten)]
    pub estimate: Estimate,
}

/// What was examined; filled by the caller, who knows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// Question files.
    pub files: Vec<String>,
    /// Contestants, in the order they were asked for.
    pub methods: Vec<Contestant>,
    /// Models by role.
    pub models: BTreeMap<String, String>,
    /// Collection, with a fingerprint of its content.
    pub collection: Option<String>,
    /// Commit of the program.
    pub commit: Option<String>,
    /// Processor, memory, system.
    pub machine: Option<String>,
    /// When, as the caller writes it.
    pub date: Option<String>,
    /// Seed and size of the sample, where not all questions were asked.
    pub sample: Option<String>,
    /// Anything else.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// Metrics in the order they are shown.
pub const METRICS: [&str; 27] = [
    "exact_match",
    "f1",
    "contains",
    "combined_f1",
    "nll",
    "recall_at_5",
    "recall_at_10",
    "mrr",
    "citation_precision",
    "abstention_precision",
    "abstention_recall",
    "refused_answerable",
    "refused_unanswerable",
    "supported",
    "error_rate",
    "first_token_ms",
    "total_ms",
    "search_ms",
    "prefill_ms",
    "tokens_read",
    "tokens_written",
    "routed_to_domain",
    "expert_cached",
    "route_ms",
    "expert_ms",
    "project_ms",
    "questions",
];

impl Report {
    /// Works out the metrics of `results`, with confidence intervals.
    #[must_use]
    pub fn new(results: Vec<QuestionResult>, about: About) -> Self {
        let contestants: Vec<Contestant> = {
            let mut seen = about.methods.clone();
            for row in &results {
                if !seen.contains(&row.method) {
                    seen.push(row.method);
                }
            }
            seen
        };
        let (methods, differences) = figures(&results, &contestants);
        let asked: BTreeSet<Format> = results.iter().map(|row| row.format).collect();
        let of_format = |format: Format| {
            let rows: Vec<QuestionResult> =
                results.iter().filter(|row| row.format == format).cloned().collect();
            let (methods, differences) = figures(&rows, &contestants);
            FormatFigures { format, methods, differences }
        };
        let formats =
            if asked.len() > 1 { asked.into_iter().map(of_format).collect() } else { Vec::new() };
        Self { methods, differences, formats, questions: results, about }
    }
}

type Figures = BTreeMap<String, BTreeMap<String, Estimate>>;

fn figures(rows: &[QuestionResult], contestants: &[Contestant]) -> (Figures, Vec<Difference>) {
    let of = |contestant: &Contestant| {
        let rows: Vec<&QuestionResult> =
            rows.iter().filter(|row| row.method == *contestant).collect();
        (contestant.to_string(), estimates(&rows))
    };
    (contestants.iter().map(of).collect(), differences(rows, contestants))
}

fn estimates(rows: &[&QuestionResult]) -> BTreeMap<String, Estimate> {
    let names: Vec<&str> = METRICS.into_iter().filter(|&name| name != "questions").collect();
    let ratios: Vec<Ratio> = names.iter().map(|name| ratio(name, rows)).collect();
    let intervals = intervals(&ratios, RESAMPLES, SEED);
    let mut estimates: BTreeMap<String, Estimate> = names
        .iter()
        .zip(&ratios)
        .zip(intervals)
        .map(|((&name, ratio), interval)| {
            let estimate = Estimate {
                mean: ratio.value(),
                low: interval.map(|(low, _)| low),
                high: interval.map(|(_, high)| high),
                n: ratio.denominator.iter().filter(|&&below| below > 0.0).count(),
            };
            (name.to_owned(), estimate)
        })
        .collect();
    let count = Some(to_f64(rows.len()));
    estimates.insert(
        "questions".to_owned(),
        Estimate { mean: count, low: count, high: count, n: rows.len() },
    );
    estimates
}

/// One question's part of a metric; `None` where the metric is not defined for it.
pub(crate) fn part(metric: &str, row: &QuestionResult) -> Option<f64> {
    let answerable = row.expected == Expected::Answer;
    let flag = |holds: bool| f64::from(u8::from(holds));
    match metric {
        "exact_match" => row.exact_match,
        "f1" => row.f1,
        "contains" => row.contains,
        "nll" => row.nll,
        "combined_f1" => Some(row.f1.unwrap_or_else(|| flag(row.refused))),
        "recall_at_5" => row.recall_at_5,
        "recall_at_10" => row.recall_at_10,
        "mrr" => row.reciprocal_rank,
        "citation_precision" => row.citation_precision,
        "abstention_precision" => row.refused.then(|| flag(!answerable)),
        "abstention_recall" | "refused_unanswerable" => (!answerable).then(|| flag(row.refused)),
        "refused_answerable" => answerable.then(|| flag(row.refused)),
        "supported" => row.supported,
        "error_rate" => Some(flag(row.error.is_some())),
        "first_token_ms" => row.first_token_ms,
        "total_ms" => row.total_ms,
        "search_ms" => row.search_ms,
        "prefill_ms" => row.prefill_ms,
        "tokens_read" => row.tokens_read.map(f64::from),
        "tokens_written" => row.tokens_written.map(f64::from),
        "routed_to_domain" => row.route.as_deref().map(|route| flag(route != GENERAL)),
        "expert_cached" => row.expert_cached.map(flag),
        "route_ms" => row.route_ms,
        "expert_ms" => row.expert_ms,
        "project_ms" => row.project_ms,
        _ => None,
    }
}

fn ratio(metric: &str, rows: &[&QuestionResult]) -> Ratio {
    Ratio::mean_of(rows.iter().map(|row| part(metric, row)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::DocumentNames;
    use crate::questions::{ExamQuestion, parse_questions};
    use crate::result::tests::{answer, hit};
    use quartet_types::{Answer, Error, ErrorCode, Method, Outcome};

    fn refusal() -> Answer {
        let mut refusal = answer("Not in your documents.", vec![hit("a.pdf", "", 9, "")], vec![]);
        refusal.outcome = Outcome::NotInDocuments;
        refusal
    }

    fn report() -> Report {
        let questions = parse_questions(
            "f",
            r#"{"id":"1","question":"A","answers":["red"],"doc":"a","page":1}
               {"id":"2","question":"B","answers":["blue"],"doc":"a","page":2}
               {"id":"3","question":"C","answers":["green"],"doc":"a","page":3}
               {"id":"4","question":"D"}
               {"id":"5","question":"E"}"#,
        )
        .unwrap();
        let pages = || (1..=3).map(|page| hit("a.pdf", "", page, "")).collect::<Vec<_>>();
        let given: Vec<Result<Answer, Error>> = vec![
            Ok(answer("red", pages(), vec![0])),
            Ok(refusal()),
            Err(Error::new(ErrorCode::WorkerDied, "gone")),
            Ok(refusal()),
            Ok(answer("purple", pages(), vec![1])),
        ];
        let score = |method: Method, question: &ExamQuestion, given: &Result<Answer, Error>| {
            QuestionResult::score(question, method.into(), given, &DocumentNames::default())
        };
        let mut rows = Vec::new();
        for (question, given) in questions.iter().zip(&given) {
            let closed = answer("grey", vec![], vec![]);
            let closed = Answer { search: None, sentences: vec![], ..closed };
            rows.push(score(Method::None, question, &Ok(closed)));
            rows.push(score(Method::Rag, question, given));
        }
        let about =
            About { methods: vec![Method::None.into(), Method::Rag.into()], ..About::default() };
        Report::new(rows, about)
    }

    #[test]
    fn every_metric_by_hand() {
        let report = report();
        let rag = &report.methods["rag"];
        for (metric, mean, n) in [
            ("exact_match", Some(1.0 / 3.0), 3),
            ("contains", Some(1.0 / 3.0), 3),
            ("combined_f1", Some(2.0 / 5.0), 5),
            ("recall_at_5", Some(1.0 / 2.0), 2),
            ("mrr", Some(1.0 / 2.0), 2),
            ("citation_precision", Some(1.0), 1),
            ("abstention_precision", Some(1.0 / 2.0), 2),
            ("abstention_recall", Some(1.0 / 2.0), 2),
            ("refused_answerable", Some(1.0 / 3.0), 3),
            ("error_rate", Some(1.0 / 5.0), 5),
            ("total_ms", Some(20.0), 4),
            ("nll", None, 0),
            ("routed_to_domain", None, 0),
            ("expert_ms", None, 0),
            ("questions", Some(5.0), 5),
        ] {
            let estimate = rag[metric];
            assert_eq!(estimate.n, n, "{metric}");
            match (estimate.mean, mean) {
                (Some(found), Some(expected)) => {
                    assert!((found - expected).abs() < 1e-12, "{metric}: {found}");
                }
                (found, expected) => assert_eq!(found, expected, "{metric}"),
            }
        }
        let none = &report.methods["none"];
        assert_eq!((none["recall_at_5"].mean, none["recall_at_5"].n), (None, 0));
        assert_eq!(none["abstention_precision"].mean, None);
        assert_eq!(none["abstention_recall"].mean, Some(0.0));
    }

    /// A mean is over every question, however many there are: those that were refused or went wrong
    /// count too (IAG card, test 16).
    #[test]
    fn a_mean_is_over_all_questions() {
        let lines: Vec<String> = (0..11)
            .map(|at| format!(r#"{{"id":"{at}","question":"Q","answers":["red"]}}"#))
            .collect();
        let questions = parse_questions("f", &lines.join("\n")).unwrap();
        let row = |(at, question): (usize, &ExamQuestion)| {
            let given = match at {
                0 => Ok(answer("red", vec![], vec![])),
                1 => Err(Error::new(ErrorCode::WorkerDied, "gone")),
                2 => Ok(refusal()),
                3 => Ok(answer("", vec![], vec![])),
                _ => Ok(answer("blue", vec![], vec![])),
            };
            QuestionResult::score(question, Method::Iag.into(), &given, &DocumentNames::default())
        };
        let rows = questions.iter().enumerate().map(row).collect();
        let about = About { methods: vec![Method::Iag.into()], ..About::default() };
        let report = Report::new(rows, about);
        for metric in ["exact_match", "f1", "contains"] {
            let estimate = report.methods["iag"][metric];
            assert_eq!(estimate.n, 11, "{metric}");
            assert!((estimate.mean.unwrap() - 1.0 / 11.0).abs() < 1e-12, "{metric}");
        }
    }

    #[test]
    fn formats_have_figures_of_their_own_where_there_are_several() {
        assert!(report().formats.is_empty());
        let questions = parse_questions(
            "f",
            r#"{"id":"1","question":"A","answers":["red"]}
               {"id":"2","question":"B","answers":["red"]}
               {"id":"3","statement":"It is red.","label":true}"#,
        )
        .unwrap();
        let row = |method: Method, question: &ExamQuestion, text: &str| {
            let given = Ok(answer(text, vec![], vec![]));
            QuestionResult::score(question, method.into(), &given, &DocumentNames::default())
        };
        let rows = questions
            .iter()
            .zip(["red", "blue", "Yes."])
            .flat_map(|(question, text)| {
                [row(Method::None, question, "no"), row(Method::Rag, question, text)]
            })
            .collect();
        let report = Report::new(rows, About::default());
        let found: Vec<(&str, Option<f64>, usize)> = report
            .formats
            .iter()
            .map(|one| {
                let contains = one.methods["rag"]["contains"];
                (one.format.as_str(), contains.mean, contains.n)
            })
            .collect();
        assert_eq!(found, [("question", Some(0.5), 2), ("claim", Some(1.0), 1)]);
        let of_claims = &report.formats[1].differences;
        let contains = of_claims.iter().find(|one| one.metric == "contains").unwrap();
        assert_eq!(contains.estimate.mean, Some(1.0));
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["formats"][1]["format"], "claim");
        assert_eq!(json["questions"][5]["format"], "claim");
    }

    #[test]
    fn the_json_has_the_promised_shape() {
        let json = serde_json::to_value(report()).unwrap();
        for metric in METRICS {
            let value = &json["methods"]["rag"][metric];
            for key in ["mean", "low", "high"] {
                assert!(value.get(key).is_some(), "{metric} has {key}");
            }
        }
        assert_eq!(json["questions"].as_array().unwrap().len(), 10);
        assert_eq!(json["questions"][1]["method"], "rag");
        let difference = &json["differences"][2];
        assert_eq!(difference["metric"], "contains");
        assert!((difference["mean"].as_f64().unwrap() - 1.0 / 3.0).abs() < 1e-12);
        let back: Report = serde_json::from_value(json).unwrap();
        assert_eq!(back.questions, report().questions);
    }
}
