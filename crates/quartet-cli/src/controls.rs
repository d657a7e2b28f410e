//! A trained method against its controls, in the terminal: shared by the methods' reports.

use crate::render;
use quartet_api::types::{ControlResult, Interval, NamedOption};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// One control: both figures, the difference question by question, and the verdict in a word.
pub(crate) fn line(control: &ControlResult) -> String {
    let interval = |one: Interval| format!("{:.3} [{:.3}, {:.3}]", one.value, one.low, one.high);
    let metric = if control.metric == "nll" { "loss" } else { "F1" };
    let verdict = match (control.is_beaten(), control.higher_is_better) {
        (true, _) => "better",
        (false, true) if control.difference.high < 0.0 => "worse",
        (false, false) if control.difference.low > 0.0 => "worse",
        _ => "no difference",
    };
    format!(
        "{metric:<5} {} against {} {}: {:+.3} [{:+.3}, {:+.3}] {verdict}",
        interval(control.method),
        control.name.replace('_', " "),
        interval(control.control),
        control.difference.value,
        control.difference.low,
        control.difference.high
    )
}

/// Where a method leaves its paper, one option a line.
pub(crate) fn deviations(options: &[NamedOption]) -> String {
    let mut text = String::new();
    for option in options {
        let state = if option.on { "on " } else { "off" };
        let _ = writeln!(text, "  {state} {}: {}", option.name, option.why);
    }
    text
}

/// Where the time went, one part of the work a line.
pub(crate) fn spent(seconds: &BTreeMap<String, f64>) -> String {
    let mut text = String::new();
    for (part, seconds) in seconds {
        let _ = writeln!(text, "  {part:<24} {}", render::seconds(*seconds));
    }
    text
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A control whose difference lies between `low` and `high`.
    pub(crate) fn control(name: &str, metric: &str, low: f64, high: f64) -> ControlResult {
        let value = |value: f64| Interval { value, low: value - 0.1, high: value + 0.1 };
        ControlResult {
            name: name.to_owned(),
            metric: metric.to_owned(),
            higher_is_better: metric != "nll",
            method: value(1.5),
            control: value(1.5 - (low + high) / 2.0),
            difference: Interval { value: (low + high) / 2.0, low, high },
        }
    }

    #[test]
    fn the_verdict_follows_the_interval_of_the_difference() {
        for (metric, low, high, verdict) in [
            ("nll", -0.4, -0.2, " better"),
            ("nll", -0.4, 0.2, " no difference"),
            ("nll", 0.2, 0.4, " worse"),
            ("f1", 0.2, 0.4, " better"),
            ("f1", -0.4, -0.2, " worse"),
            ("f1", -0.4, 0.0, " no difference"),
        ] {
            let line = line(&control("no_document", metric, low, high));
            assert!(line.contains("against no document"), "{line}");
            assert!(line.ends_with(verdict), "{line}");
        }
    }
}
