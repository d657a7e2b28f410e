//! What a training was worth, in figures.

use super::measure::Measured;
use quartet_synth::StudyReport;
use quartet_train::{StageOutcome, TrainedText};
use quartet_types::{BeforeAfter, CurvePoint, ExpertReport, StageReport};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the study material consists of.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Parts {
    rows: BTreeMap<String, u64>,
    dropped: BTreeMap<String, u64>,
}

impl Parts {
    pub(super) fn of(report: &StudyReport) -> Self {
        let mut parts = Self::default();
        for (source, count) in &report.tally.kept {
            *parts.rows.entry(name(source)).or_default() += u64::from(*count);
        }
        for ((_, reason), count) in &report.tally.dropped {
            *parts.dropped.entry(name(reason)).or_default() += u64::from(*count);
        }
        parts
    }
}

/// A plain enum value by its serialised name.
fn name(value: &impl Serialize) -> String {
    let value = serde_json::to_value(value).ok();
    value.and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

pub(super) fn report(
    trained: &TrainedText,
    parts: &Parts,
    before: Measured,
    after: Measured,
) -> ExpertReport {
    let pair = |before: Option<f64>, after: Option<f64>| {
        before.zip(after).map(|(before, after)| BeforeAfter { before, after })
    };
    ExpertReport {
        in_domain: pair(before.in_domain, after.in_domain),
        general: BeforeAfter { before: before.general, after: after.general },
        closed_book_f1: pair(before.f1, after.f1),
        rows: parts.rows.clone(),
        dropped: parts.dropped.clone(),
        stages: trained.stages.iter().map(stage).collect(),
        ..ExpertReport::default()
    }
}

pub(super) fn stage(outcome: &StageOutcome) -> StageReport {
    let evaluations: BTreeMap<u64, f64> = outcome.evaluations.iter().copied().collect();
    let point = |(index, loss): (usize, &f64)| {
        let step = index as u64 + 1;
        CurvePoint { step, loss: *loss, evaluation: evaluations.get(&step).copied() }
    };
    StageReport {
        name: outcome.name.clone(),
        curve: outcome.curve.iter().enumerate().map(point).collect(),
        is_early: outcome.is_early,
    }
}
