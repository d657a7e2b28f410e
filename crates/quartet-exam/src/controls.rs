//! What each control says of its method, in a line of plain text.

use crate::bootstrap::to_f64;
use crate::report::{Estimate, Report};
use quartet_types::Contestant;

/// Metrics a control is judged by: key, name for a reader, whether lower is better.
const JUDGES: [(&str, &str, bool); 2] = [("nll", "loss", true), ("f1", "token F1", false)];

/// One line per control whose method was examined as well, for example
/// `gag against gag:shuffled: loss -0.41 [-0.60, -0.22] better; token F1 +0.03 [-0.01, 0.06] no
/// difference`. In brackets the 95 % interval of the paired difference, method minus control.
#[must_use]
pub fn lines(report: &Report) -> Vec<String> {
    let mut pairs: Vec<(Contestant, Contestant)> = Vec::new();
    for found in &report.differences {
        let of_its_own = found.baseline.control.is_some()
            && found.method == Contestant::from(found.baseline.method);
        if of_its_own && !pairs.contains(&(found.method, found.baseline)) {
            pairs.push((found.method, found.baseline));
        }
    }
    pairs.into_iter().map(|(method, control)| line(report, method, control)).collect()
}

fn line(report: &Report, method: Contestant, control: Contestant) -> String {
    let verdicts: Vec<String> = JUDGES
        .into_iter()
        .filter_map(|(metric, name, lower_is_better)| {
            let found = report.differences.iter().find(|found| {
                (found.method, found.baseline) == (method, control) && found.metric == metric
            })?;
            Some(format!("{name} {}", verdict(&found.estimate, lower_is_better)?))
        })
        .collect();
    let verdicts =
        if verdicts.is_empty() { "nothing to compare".to_owned() } else { verdicts.join("; ") };
    // A failed answer is a wrong one, and two that fail alike look as if the part were worth
    // nothing.
    let failures: Vec<String> =
        [method, control].into_iter().filter_map(|contestant| failed(report, contestant)).collect();
    let failures = if failures.is_empty() {
        String::new()
    } else {
        format!(" (answers failed: {})", failures.join(", "))
    };
    format!("{method} against {control}: {verdicts}{failures}")
}

/// How many of the contestant's answers failed, where any did.
fn failed(report: &Report, contestant: Contestant) -> Option<String> {
    let errors = report.methods.get(&contestant.to_string())?.get("error_rate")?;
    let share = errors.mean.filter(|&share| share > 0.0)?;
    Some(format!("{contestant} {:.0} of {}", share * to_f64(errors.n), errors.n))
}

/// `None` where nothing was measured on both sides.
fn verdict(difference: &Estimate, lower_is_better: bool) -> Option<String> {
    let (mean, low, high) = (difference.mean?, difference.low?, difference.high?);
    let word = if low <= 0.0 && high >= 0.0 {
        "no difference"
    } else if (high < 0.0) == lower_is_better {
        "better"
    } else {
        "worse"
    };
    let digits = digits(low, high);
    let [mean, low, high] = [mean, low, high].map(|value| rounded(value, digits));
    Some(format!("{mean:+.digits$} [{low:.digits$}, {high:.digits$}] {word}"))
}

/// Two decimals, or as many more as keep an end of the interval that is not zero from being
/// written as zero: a reader checks the word against the brackets.
fn digits(low: f64, high: f64) -> usize {
    let vanishes =
        |value: f64, digits: usize| value != 0.0 && rounded(value, digits).abs() < f64::EPSILON;
    let enough = |digits: &usize| !vanishes(low, *digits) && !vanishes(high, *digits);
    (2..4).find(enough).unwrap_or(4)
}

/// Rounded, and never minus zero.
fn rounded(value: f64, digits: usize) -> f64 {
    let scale = [1.0, 10.0, 100.0, 1e3, 1e4].get(digits).copied().unwrap_or(1e4);
    (value * scale).round() / scale + 0.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{About, Difference};
    use std::collections::BTreeMap;

    fn report(differences: &[(&str, &str, &str, [f64; 3])]) -> Report {
        let of = |&(method, baseline, metric, [mean, low, high]): &(&str, &str, &str, [f64; 3])| {
            let known = |value: f64| Some(value).filter(|value| value.is_finite());
            Difference {
                method: method.parse().unwrap(),
                baseline: baseline.parse().unwrap(),
                metric: metric.to_owned(),
                estimate: Estimate { mean: known(mean), low: known(low), high: known(high), n: 9 },
            }
        };
        Report {
            methods: BTreeMap::new(),
            differences: differences.iter().map(of).collect(),
            formats: vec![],
            questions: vec![],
            about: About::default(),
        }
    }

    fn check(loss: [f64; 3], f1: [f64; 3], expected: &str) {
        let differences = [("gag", "gag:shuffled", "nll", loss), ("gag", "gag:shuffled", "f1", f1)];
        let expected = format!("gag against gag:shuffled: {expected}");
        assert_eq!(lines(&report(&differences)), [expected]);
    }

    const UNKNOWN: [f64; 3] = [f64::NAN; 3];

    #[test]
    fn less_loss_is_better_and_more_f1_is_better() {
        check(
            [-0.41, -0.60, -0.22],
            [0.08, 0.02, 0.13],
            "loss -0.41 [-0.60, -0.22] better; token F1 +0.08 [0.02, 0.13] better",
        );
        check(
            [0.3, 0.1, 0.5],
            [-0.2, -0.3, -0.1],
            "loss +0.30 [0.10, 0.50] worse; token F1 -0.20 [-0.30, -0.10] worse",
        );
    }

    #[test]
    fn an_interval_that_holds_zero_shows_no_difference() {
        check(
            [-0.1, -0.25, 0.05],
            [0.05, 0.0, 0.1],
            "loss -0.10 [-0.25, 0.05] no difference; token F1 +0.05 [0.00, 0.10] no difference",
        );
        check([0.0; 3], UNKNOWN, "loss +0.00 [0.00, 0.00] no difference");
    }

    #[test]
    fn small_differences_are_not_written_as_zero() {
        check([-0.0104, -0.02, -0.001], UNKNOWN, "loss -0.010 [-0.020, -0.001] better");
        check([-0.3, -0.6, 0.0004], UNKNOWN, "loss -0.3000 [-0.6000, 0.0004] no difference");
        check(
            [-0.00001, -0.00003, 0.00001],
            UNKNOWN,
            "loss +0.0000 [0.0000, 0.0000] no difference",
        );
    }

    #[test]
    fn what_was_not_measured_is_not_judged() {
        check(UNKNOWN, UNKNOWN, "nothing to compare");
    }

    #[test]
    fn only_a_method_against_its_own_control_is_a_line() {
        let values = [1.0, 0.5, 1.5];
        let found = lines(&report(&[
            ("rag", "none", "f1", values),
            ("gag:zero", "gag", "nll", values),
            ("rag", "gag:zero", "nll", values),
            ("gag:shuffled", "gag:zero", "nll", values),
            ("gag", "gag:zero", "nll", values),
        ]));
        assert_eq!(found, ["gag against gag:zero: loss +1.00 [0.50, 1.50] worse"]);
    }

    #[test]
    fn failed_answers_are_told() {
        let mut report = report(&[("gag", "gag:zero", "f1", [0.0; 3])]);
        for (name, share) in [("gag", 0.0), ("gag:zero", 0.3)] {
            let errors = Estimate { mean: Some(share), low: None, high: None, n: 10 };
            let metrics = BTreeMap::from([("error_rate".to_owned(), errors)]);
            report.methods.insert(name.to_owned(), metrics);
        }
        let expected = "gag against gag:zero: token F1 +0.00 [0.00, 0.00] no difference \
                        (answers failed: gag:zero 3 of 10)";
        assert_eq!(lines(&report), [expected]);
    }
}
