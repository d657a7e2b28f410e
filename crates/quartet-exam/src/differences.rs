//! How contestants differ on the same questions.

use crate::bootstrap::{RESAMPLES, Ratio, SEED, paired_interval};
use crate::report::{Difference, Estimate, part};
use crate::result::QuestionResult;
use quartet_types::Contestant;
use std::collections::BTreeMap;

/// Metrics in which each contestant is set against the first.
const AGAINST_FIRST: [&str; 6] =
    ["exact_match", "f1", "contains", "combined_f1", "total_ms", "nll"];

/// Metrics in which a method is set against its controls.
const AGAINST_CONTROL: [&str; 3] = ["f1", "contains", "nll"];

/// Each contestant against the first, and each method against its own controls.
pub(crate) fn differences(
    results: &[QuestionResult],
    contestants: &[Contestant],
) -> Vec<Difference> {
    let Some((&first, others)) = contestants.split_first() else { return Vec::new() };
    let mut pairs: Vec<(Contestant, Contestant, &[&str])> =
        others.iter().map(|&other| (other, first, AGAINST_FIRST.as_slice())).collect();
    for &control in contestants {
        let whole = Contestant::from(control.method);
        let known =
            pairs.iter().any(|&(method, baseline, _)| (method, baseline) == (whole, control));
        if control.control.is_some() && contestants.contains(&whole) && !known {
            pairs.push((whole, control, &AGAINST_CONTROL));
        }
    }
    let rows_of = |contestant: Contestant| -> BTreeMap<&str, &QuestionResult> {
        results
            .iter()
            .filter(|row| row.method == contestant)
            .map(|row| (row.id.as_str(), row))
            .collect()
    };
    let mut differences = Vec::new();
    for (method, baseline, metrics) in pairs {
        let base = rows_of(baseline);
        let shared: Vec<(&QuestionResult, &QuestionResult)> = rows_of(method)
            .into_iter()
            .filter_map(|(id, row)| base.get(id).map(|&base| (row, base)))
            .collect();
        differences.extend(metrics.iter().map(|&metric| Difference {
            method,
            baseline,
            metric: metric.to_owned(),
            estimate: paired(metric, &shared),
        }));
    }
    differences
}

/// The difference of a metric over pairs of rows. A pair in which one side lacks the metric
/// counts on neither side: else a method would gain by failing where questions are hard.
fn paired(metric: &str, pairs: &[(&QuestionResult, &QuestionResult)]) -> Estimate {
    let parts: Vec<Option<(f64, f64)>> =
        pairs.iter().map(|(row, base)| part(metric, row).zip(part(metric, base))).collect();
    let row = Ratio::mean_of(parts.iter().map(|pair| pair.map(|(row, _)| row)));
    let base = Ratio::mean_of(parts.iter().map(|pair| pair.map(|(_, base)| base)));
    let mean = row.value().zip(base.value()).map(|(row, base)| row - base);
    let interval = mean.and_then(|_| paired_interval(&row, &base, RESAMPLES, SEED));
    Estimate {
        mean,
        low: interval.map(|(low, _)| low),
        high: interval.map(|(_, high)| high),
        n: parts.iter().flatten().count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::DocumentNames;
    use crate::questions::parse_questions;
    use crate::report::{About, Report};
    use crate::result::tests::{answer, trace};

    fn contestant(name: &str) -> Contestant {
        name.parse().unwrap()
    }

    /// Losses of `gag`, of `gag:shuffled` and of `none`, by question; the last cannot say it.
    const LOSSES: [(&str, [Option<f64>; 6]); 3] = [
        ("none", [None; 6]),
        ("gag", [Some(1.0), Some(2.0), None, Some(1.5), Some(0.5), Some(9.0)]),
        ("gag:shuffled", [Some(1.5), Some(2.6), Some(40.0), Some(2.1), Some(1.2), None]),
    ];

    fn rows() -> Vec<QuestionResult> {
        let lines: Vec<String> = (0..6)
            .map(|i| format!("{{\"id\":\"{i}\",\"question\":\"Q{i}\",\"answers\":[\"red\"]}}"))
            .collect();
        let questions = parse_questions("f", &lines.join("\n")).unwrap();
        let mut rows = Vec::new();
        for (name, losses) in LOSSES {
            for (place, (question, nll)) in questions.iter().zip(losses).enumerate() {
                let right = name == "gag" && place < 3;
                let mut given = answer(if right { "red" } else { "grey" }, vec![], vec![]);
                if name != "none" {
                    // Two stay general; of the other four, one finds its states kept.
                    given.gag = Some(trace((place >= 2).then_some("papers"), place == 5));
                }
                let row = QuestionResult::score(
                    question,
                    contestant(name),
                    &Ok(given),
                    &DocumentNames::default(),
                );
                rows.push(QuestionResult { nll, ..row });
            }
        }
        rows
    }

    fn difference<'a>(report: &'a Report, pair: (&str, &str), metric: &str) -> Vec<&'a Estimate> {
        let pair = (contestant(pair.0), contestant(pair.1));
        report
            .differences
            .iter()
            .filter(|found| (found.method, found.baseline) == pair && found.metric == metric)
            .map(|found| &found.estimate)
            .collect()
    }

    fn near(found: Option<f64>, expected: f64) {
        assert!(
            found.is_some_and(|found| (found - expected).abs() < 1e-12),
            "{found:?} {expected}"
        );
    }

    #[test]
    fn a_method_is_set_against_its_control_where_both_were_measured() {
        let report = Report::new(rows(), About::default());
        assert_eq!(
            report.methods.keys().collect::<Vec<_>>(),
            ["gag", "gag:shuffled", "none"],
            "a control has a column of its own"
        );
        let whole = report.methods["gag"]["nll"];
        near(whole.mean, 14.0 / 5.0);
        assert_eq!((whole.n, report.methods["none"]["nll"].mean), (5, None));
        assert!(whole.low < whole.mean && whole.mean < whole.high);

        // Questions 0, 1, 3 and 4: -0.5, -0.6, -0.6, -0.7. The 40 and the 9 stand alone.
        let found = difference(&report, ("gag", "gag:shuffled"), "nll");
        assert_eq!((found.len(), found[0].n), (1, 4));
        near(found[0].mean, -0.6);
        assert!(found[0].low.unwrap() >= -0.7 - 1e-9, "{found:?}");
        assert!(found[0].high.unwrap() <= -0.5 + 1e-9, "{found:?}");
        for metric in ["f1", "contains"] {
            let found = difference(&report, ("gag", "gag:shuffled"), metric);
            assert_eq!((found.len(), found[0].n), (1, 6));
            near(found[0].mean, 0.5);
        }
        // The first one is still what everybody is compared with.
        near(difference(&report, ("gag", "none"), "f1")[0].mean, 0.5);
        assert_eq!(difference(&report, ("gag:shuffled", "none"), "total_ms").len(), 1);
        assert_eq!(difference(&report, ("gag", "none"), "nll")[0].mean, None);
    }

    #[test]
    fn no_pair_comes_twice_and_a_control_without_its_method_has_none() {
        let about = |names: &[&str]| About {
            methods: names.iter().map(|name| contestant(name)).collect(),
            ..About::default()
        };
        let control_first = Report::new(rows(), about(&["gag:shuffled", "gag", "none"]));
        assert_eq!(difference(&control_first, ("gag", "gag:shuffled"), "nll").len(), 1);
        let method_first = Report::new(rows(), about(&["gag", "gag:shuffled", "none"]));
        near(difference(&method_first, ("gag:shuffled", "gag"), "nll")[0].mean, 0.6);
        near(difference(&method_first, ("gag", "gag:shuffled"), "nll")[0].mean, -0.6);

        let alone: Vec<QuestionResult> =
            rows().into_iter().filter(|row| row.method != contestant("gag")).collect();
        let report = Report::new(alone, About::default());
        assert!(report.differences.iter().all(|found| found.baseline == contestant("none")));
    }

    #[test]
    fn routes_and_the_parts_of_the_time_are_counted() {
        let report = Report::new(rows(), About::default());
        let gag = &report.methods["gag"];
        for (metric, mean, n) in [
            ("routed_to_domain", 4.0 / 6.0, 6),
            ("expert_cached", 1.0 / 4.0, 4),
            ("route_ms", 3.0, 6),
            ("expert_ms", 900.0, 3),
            ("project_ms", 0.5, 4),
        ] {
            near(gag[metric].mean, mean);
            assert_eq!(gag[metric].n, n, "{metric}");
            assert_eq!(report.methods["none"][metric].n, 0, "{metric}");
        }
    }

    #[test]
    fn controls_keep_their_names_in_json() {
        let report = Report::new(rows(), About::default());
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["questions"][17]["method"], "gag:shuffled");
        assert!(json["methods"]["gag:shuffled"]["nll"]["mean"].is_number());
        let back: Report = serde_json::from_value(json).unwrap();
        assert_eq!((back.questions, back.differences), (report.questions, report.differences));
    }
}
