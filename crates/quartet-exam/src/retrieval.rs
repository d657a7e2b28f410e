//! How well passages are found, without anybody answering: at which rank each retriever has the
//! first passage that holds the gold evidence ([`crate::gold`]).
//!
//! | metric | meaning |
//! |---|---|
//! | `recall_1`, `recall_5`, `recall_10` | share of questions with a gold passage among the first 1, 5, 10 |
//! | `mrr_10` | mean of one over the rank of the first gold passage, 0 beyond ten |
//!
//! Over questions whose gold passages are known; the others are counted and left out. Intervals
//! are 95 % by bootstrap over questions, those of differences paired.

use crate::bootstrap::{RESAMPLES, Ratio, SEED, intervals, paired_interval};
use crate::questions::{ExamQuestion, Format};
use crate::report::Estimate;
use quartet_types::{ChunkId, SearchHit};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write as _;

/// Ranks that are looked at.
pub const DEPTH: usize = 10;
/// Metrics in the order they are shown.
pub const METRICS: [&str; 4] = ["recall_1", "recall_5", "recall_10", "mrr_10"];
/// Figures over all formats go by this name.
const ALL: &str = "all";

/// A question and where each retriever has its first gold passage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RankedQuestion {
    /// The question's id.
    pub id: String,
    /// The question.
    pub question: String,
    /// The question file.
    pub file: String,
    /// How it is put.
    pub format: Format,
    /// Gold passages in the collection; 0 where it has none or the file names none.
    pub gold: usize,
    /// Rank of the first gold passage by retriever, from 1; `None` beyond [`DEPTH`].
    pub ranks: BTreeMap<String, Option<usize>>,
    /// The largest raw score of the implicit query.
    pub best_score: Option<f32>,
}

impl RankedQuestion {
    /// A question before anything was searched.
    #[must_use]
    pub fn new(question: &ExamQuestion, gold: usize) -> Self {
        Self {
            id: question.id.clone(),
            question: question.question.clone(),
            file: question.file.clone(),
            format: question.format,
            gold,
            ranks: BTreeMap::new(),
            best_score: None,
        }
    }

    /// Notes what a retriever found, best first.
    pub fn note(&mut self, retriever: &str, hits: &[SearchHit], gold: &HashSet<ChunkId>) {
        let place = hits.iter().take(DEPTH).position(|hit| gold.contains(&hit.passage.chunk));
        self.ranks.insert(retriever.to_owned(), place.map(|place| place + 1));
    }

    fn part(&self, retriever: &str, metric: &str) -> Option<f64> {
        let rank = *self.ranks.get(retriever)?;
        let within = |most: usize| f64::from(u8::from(rank.is_some_and(|rank| rank <= most)));
        match metric {
            "recall_1" => Some(within(1)),
            "recall_5" => Some(within(5)),
            "recall_10" => Some(within(10)),
            "mrr_10" => Some(rank.map_or(0.0, |rank| 1.0 / crate::bootstrap::to_f64(rank.max(1)))),
            _ => None,
        }
    }
}

/// Figures of a retriever on the questions of a format.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RetrieverFigures {
    /// The format, or `all`.
    pub format: String,
    /// The retriever.
    pub retriever: String,
    /// Metrics by name.
    pub metrics: BTreeMap<String, Estimate>,
}

/// `retriever - baseline` on the same questions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RetrieverDifference {
    /// The format, or `all`.
    pub format: String,
    /// The retriever.
    pub retriever: String,
    /// What it is compared with.
    pub baseline: String,
    /// The metric.
    pub metric: String,
    /// The difference.
    #[serde(flatten)]
    pub estimate: Estimate,
}

/// What an exam of retrievers found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RetrievalReport {
    /// By format and retriever, in the order they were asked for.
    pub figures: Vec<RetrieverFigures>,
    /// The first retriever against each other one.
    pub differences: Vec<RetrieverDifference>,
    /// Mean time of each retriever's search in milliseconds, its query vector included.
    pub milliseconds: BTreeMap<String, f64>,
    /// Questions without a known gold passage, which count nowhere.
    pub without_gold: usize,
    /// One row per question.
    pub questions: Vec<RankedQuestion>,
    /// What was asked, of what.
    pub about: BTreeMap<String, String>,
}

impl RetrievalReport {
    /// Works out the figures; the first retriever is compared with the others.
    #[must_use]
    pub fn new(questions: Vec<RankedQuestion>, retrievers: &[&str]) -> Self {
        let known: Vec<&RankedQuestion> = questions.iter().filter(|one| one.gold > 0).collect();
        let asked: BTreeSet<Format> = known.iter().map(|one| one.format).collect();
        let mut groups: Vec<(&str, Vec<&RankedQuestion>)> = Vec::new();
        if asked.len() > 1 {
            groups.push((ALL, known.clone()));
        }
        groups.extend(asked.iter().map(|&format| {
            let of_format = known.iter().copied().filter(|one| one.format == format);
            (format.as_str(), of_format.collect())
        }));
        let (mut figures, mut differences) = (Vec::new(), Vec::new());
        for (format, rows) in &groups {
            for &retriever in retrievers {
                figures.push(RetrieverFigures {
                    format: (*format).to_owned(),
                    retriever: retriever.to_owned(),
                    metrics: metrics(retriever, rows),
                });
            }
            let Some((&first, others)) = retrievers.split_first() else { continue };
            for &baseline in others {
                differences.extend(METRICS.into_iter().map(|metric| RetrieverDifference {
                    format: (*format).to_owned(),
                    retriever: first.to_owned(),
                    baseline: baseline.to_owned(),
                    metric: metric.to_owned(),
                    estimate: difference(first, baseline, metric, rows),
                }));
            }
        }
        Self {
            figures,
            differences,
            milliseconds: BTreeMap::new(),
            without_gold: questions.len() - known.len(),
            questions,
            about: BTreeMap::new(),
        }
    }
}

fn ratio(retriever: &str, metric: &str, rows: &[&RankedQuestion]) -> Ratio {
    Ratio::mean_of(rows.iter().map(|row| row.part(retriever, metric)))
}

fn metrics(retriever: &str, rows: &[&RankedQuestion]) -> BTreeMap<String, Estimate> {
    let ratios: Vec<Ratio> = METRICS.iter().map(|metric| ratio(retriever, metric, rows)).collect();
    let intervals = intervals(&ratios, RESAMPLES, SEED);
    let estimate = |((metric, ratio), interval): ((&str, &Ratio), Option<(f64, f64)>)| {
        (metric.to_owned(), estimated(ratio.value(), interval, rows.len()))
    };
    METRICS.into_iter().zip(&ratios).zip(intervals).map(estimate).collect()
}

fn difference(first: &str, other: &str, metric: &str, rows: &[&RankedQuestion]) -> Estimate {
    let (left, right) = (ratio(first, metric, rows), ratio(other, metric, rows));
    let value = left.value().zip(right.value()).map(|(left, right)| left - right);
    let interval = value.and_then(|_| paired_interval(&left, &right, RESAMPLES, SEED));
    estimated(value, interval, rows.len())
}

fn estimated(value: Option<f64>, interval: Option<(f64, f64)>, n: usize) -> Estimate {
    Estimate {
        mean: value,
        low: interval.map(|(low, _)| low),
        high: interval.map(|(_, high)| high),
        n,
    }
}

/// The report as plain text: a block for each format, and below the differences.
#[must_use]
pub fn render(report: &RetrievalReport) -> String {
    let mut text = String::new();
    let mut formats: Vec<&str> = Vec::new();
    for figures in &report.figures {
        if !formats.contains(&figures.format.as_str()) {
            formats.push(&figures.format);
        }
    }
    for format in formats {
        let rows: Vec<&RetrieverFigures> =
            report.figures.iter().filter(|one| one.format == format).collect();
        let n = rows.first().and_then(|row| row.metrics.values().next()).map_or(0, |one| one.n);
        let _ = writeln!(
            text,
            "{:<14}  {:<21}  {:<21}  {:<21}  MRR@10",
            format!("{format} ({n})"),
            "first",
            "among 5",
            "among 10"
        );
        for row in rows {
            let cells: Vec<String> = METRICS
                .iter()
                .map(|metric| row.metrics.get(*metric).map_or_else(|| "-".to_owned(), cell))
                .collect();
            let line = format!(
                "{:<14}  {:<21}  {:<21}  {:<21}  {}",
                row.retriever, cells[0], cells[1], cells[2], cells[3]
            );
            let _ = writeln!(text, "{}", line.trim_end());
        }
        for one in report.differences.iter().filter(|one| {
            one.format == format && one.metric == "recall_10" && one.estimate.mean.is_some()
        }) {
            let _ = writeln!(text, "{}", in_words(one));
        }
        text.push('\n');
    }
    let times: Vec<String> = report
        .milliseconds
        .iter()
        .map(|(retriever, time)| format!("{retriever} {time:.1} ms"))
        .collect();
    if !times.is_empty() {
        let _ = writeln!(text, "Mean time of a search: {}.", times.join(", "));
    }
    if report.without_gold > 0 {
        let _ = writeln!(
            text,
            "{} questions have no known gold passage and count nowhere.",
            report.without_gold
        );
    }
    text.push_str("In brackets: 95 % confidence interval (bootstrap over questions).\n");
    text
}

fn cell(estimate: &Estimate) -> String {
    match (estimate.mean, estimate.low, estimate.high) {
        (Some(mean), Some(low), Some(high)) => format!("{mean:.3} [{low:.2} to {high:.2}]"),
        (Some(mean), ..) => format!("{mean:.3}"),
        _ => "-".to_owned(),
    }
}

fn in_words(one: &RetrieverDifference) -> String {
    let estimate = &one.estimate;
    let number = |value: Option<f64>| value.map_or_else(|| "?".to_owned(), |v| format!("{v:+.3}"));
    let verdict = match (estimate.low, estimate.high) {
        (Some(low), _) if low > 0.0 => "better",
        (_, Some(high)) if high < 0.0 => "worse",
        _ => "no difference",
    };
    format!(
        "  {} against {}, among 10: {} [{}, {}] {verdict}",
        one.retriever,
        one.baseline,
        number(estimate.mean),
        number(estimate.low),
        number(estimate.high)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::questions::parse_questions;
    use crate::result::tests::hit;

    fn found(chunks: &[i64]) -> Vec<SearchHit> {
        let one = |chunk: &i64| {
            let mut hit = hit("a.pdf", "", 1, "");
            hit.passage.chunk = ChunkId(*chunk);
            hit
        };
        chunks.iter().map(one).collect()
    }

    /// Three questions, one claim and one without gold, all with chunk 7 as gold.
    fn report() -> RetrievalReport {
        let asked = parse_questions(
            "f",
            r#"{"id":"1","question":"A","answers":["x"]}
               {"id":"2","question":"B","answers":["x"]}
               {"id":"3","question":"C","answers":["x"]}
               {"id":"4","statement":"D","label":true}
               {"id":"5","question":"E"}"#,
        )
        .unwrap();
        let gold = HashSet::from([ChunkId(7)]);
        let late: Vec<i64> = (10..20).chain([7]).collect();
        let implicit = [vec![7], vec![1, 7], late, vec![1, 2, 3, 4, 5, 7], vec![7]];
        let rows = asked.iter().zip(implicit).map(|(question, implicit)| {
            let gold_passages = usize::from(question.id != "5");
            let mut row = RankedQuestion::new(question, gold_passages);
            row.note("implicit", &found(&implicit), &gold);
            row.note("lexical", &found(&[1, 7]), &gold);
            row
        });
        RetrievalReport::new(rows.collect(), &["implicit", "lexical"])
    }

    #[test]
    fn ranks_become_figures_by_format() {
        let report = report();
        let of = |format: &str, retriever: &str, metric: &str| {
            let mut all = report.figures.iter();
            let found = all.find(|one| one.format == format && one.retriever == retriever);
            let estimate = found.unwrap().metrics[metric];
            ((estimate.mean.unwrap() * 1000.0).round() / 1000.0, estimate.n)
        };
        assert_eq!(of("question", "implicit", "recall_1"), (0.333, 3));
        assert_eq!(of("question", "implicit", "recall_10"), (0.667, 3), "the eleventh is too late");
        assert_eq!(of("question", "implicit", "mrr_10"), (0.5, 3));
        assert_eq!(of("question", "lexical", "mrr_10"), (0.5, 3));
        assert_eq!(of("claim", "implicit", "recall_5"), (0.0, 1));
        assert_eq!(of("claim", "implicit", "recall_10"), (1.0, 1));
        assert_eq!(of("all", "implicit", "recall_10"), (0.75, 4));
        assert_eq!(report.without_gold, 1);
        let differs = report
            .differences
            .iter()
            .find(|one| one.format == "question" && one.metric == "recall_10")
            .unwrap();
        assert_eq!(
            (differs.retriever.as_str(), differs.baseline.as_str()),
            ("implicit", "lexical")
        );
        assert!((differs.estimate.mean.unwrap() + 1.0 / 3.0).abs() < 1e-12);
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<RetrievalReport>(&json).unwrap(), report);
    }

    #[test]
    fn the_text_says_how_many_and_what_differs() {
        let mut report = report();
        report.milliseconds.insert("implicit".to_owned(), 81.25);
        let text = render(&report);
        assert!(text.contains("question (3)"), "{text}");
        assert!(text.contains("\nclaim (1)"), "{text}");
        assert!(text.contains("implicit against lexical, among 10: -0.333 ["), "{text}");
        assert!(text.contains("Mean time of a search: implicit 81.2 ms."), "{text}");
        assert!(text.contains("1 questions have no known gold passage"), "{text}");
    }

    #[test]
    fn one_format_needs_no_total_and_nothing_gives_nothing() {
        assert!(RetrievalReport::new(Vec::new(), &["implicit"]).figures.is_empty());
        let one = parse_questions("f", r#"{"question":"A","answers":["x"]}"#).unwrap();
        let row = RankedQuestion::new(&one[0], 1);
        let report = RetrievalReport::new(vec![row], &["implicit"]);
        assert_eq!(report.figures.len(), 1);
        assert_eq!(report.figures[0].metrics["recall_10"].mean, None, "nothing was searched");
    }
}
