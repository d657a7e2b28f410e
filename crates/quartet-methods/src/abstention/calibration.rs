//! Coefficients, and where they come from.

use super::{FEATURE_NAMES, Features};
use quartet_types::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};

/// A set of coefficients for each class of reader.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Name and version, as in the file's name.
    pub version: String,
    /// Classes from the smallest reader to the largest; never empty.
    pub classes: Vec<ReaderClass>,
}

/// Coefficients for readers up to a size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReaderClass {
    /// Its name.
    pub name: String,
    /// Readers up to this many bytes of weights belong here; `None` means all larger ones.
    pub max_weight_bytes: Option<u64>,
    /// Log-odds when every feature is at its mean.
    pub intercept: f32,
    /// One for each feature in use.
    pub coefficients: Vec<Coefficient>,
    /// Below this probability the answer is set aside.
    pub threshold: f32,
    /// Where the numbers come from.
    pub provenance: Provenance,
}

/// The part of one feature: `weight * (value - mean) / deviation` is added to the log-odds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coefficient {
    /// One of [`FEATURE_NAMES`].
    pub feature: String,
    /// Mean over the data it was fitted on.
    pub mean: f32,
    /// Standard deviation over that data; above 0.
    pub deviation: f32,
    /// Weight.
    pub weight: f32,
}

/// Where coefficients come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// The questions, or `set by hand` for starting values that were not fitted.
    pub data: String,
    /// The reader that answered them.
    pub model: String,
    /// How many questions.
    pub questions: u32,
    /// When, as year-month-day.
    pub date: String,
    /// Mean logistic loss on questions held out of the fit, in nats; `None` if not fitted.
    pub held_out_loss: Option<f32>,
    /// What else to know.
    pub note: String,
}

impl Calibration {
    /// The coefficients that Quartet comes with.
    #[must_use]
    pub fn built_in() -> Self {
        Self::parse(include_str!("../../../../assets/calibration/abstention.v1.json"))
            .unwrap_or_else(|_| Self::never())
    }

    /// Reads and checks a calibration file's text.
    ///
    /// # Errors
    /// `BadFile` when it is not such a file, has no class, names an unknown feature or holds a
    /// number out of range.
    pub fn parse(json: &str) -> Result<Self> {
        let bad = |message: String| Error::new(ErrorCode::BadFile, message);
        let calibration: Self =
            serde_json::from_str(json).map_err(|error| bad(error.to_string()))?;
        if calibration.classes.is_empty() {
            return Err(bad("no class of readers".to_owned()));
        }
        for class in &calibration.classes {
            if !(0.0..=1.0).contains(&class.threshold) || !class.intercept.is_finite() {
                return Err(bad(format!("class `{}`: number out of range", class.name)));
            }
            for coefficient in &class.coefficients {
                let known = FEATURE_NAMES.contains(&coefficient.feature.as_str());
                let sound = coefficient.deviation > 0.0
                    && coefficient.mean.is_finite()
                    && coefficient.weight.is_finite();
                if !known || !sound {
                    return Err(bad(format!(
                        "class `{}`: bad coefficient `{}`",
                        class.name, coefficient.feature
                    )));
                }
            }
        }
        Ok(calibration)
    }

    /// The class for a reader of this size.
    #[must_use]
    pub fn class_for(&self, weight_bytes: u64) -> &ReaderClass {
        self.classes
            .iter()
            .find(|class| class.max_weight_bytes.is_none_or(|most| weight_bytes <= most))
            .or(self.classes.last())
            .unwrap_or(&NEVER)
    }

    /// A calibration that never abstains.
    #[must_use]
    pub fn never() -> Self {
        Self { version: "never".to_owned(), classes: vec![NEVER.clone()] }
    }
}

static NEVER: ReaderClass = ReaderClass {
    name: String::new(),
    max_weight_bytes: None,
    intercept: 0.0,
    coefficients: Vec::new(),
    threshold: 0.0,
    provenance: Provenance {
        data: String::new(),
        model: String::new(),
        questions: 0,
        date: String::new(),
        held_out_loss: None,
        note: String::new(),
    },
};

impl ReaderClass {
    /// Probability that the documents hold the answer.
    #[must_use]
    pub fn probability(&self, features: &Features) -> f32 {
        let log_odds = self.coefficients.iter().fold(self.intercept, |sum, coefficient| {
            let value = features.get(&coefficient.feature);
            sum + coefficient.weight * (value - coefficient.mean) / coefficient.deviation
        });
        1.0 / (1.0 + (-log_odds).exp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_file_is_sound() {
        let calibration =
            Calibration::parse(include_str!("../../../../assets/calibration/abstention.v1.json"))
                .unwrap();
        assert_eq!(calibration.version, "abstention.v1");
        assert!(calibration.classes.last().unwrap().max_weight_bytes.is_none());
        for class in &calibration.classes {
            assert!(!class.provenance.data.is_empty(), "{} says where it is from", class.name);
        }
    }

    #[test]
    fn an_unknown_feature_is_refused() {
        let text = include_str!("../../../../assets/calibration/abstention.v1.json")
            .replace("\"absent_log_probability\"", "\"mood\"");
        assert_eq!(Calibration::parse(&text).unwrap_err().code, ErrorCode::BadFile);
    }

    #[test]
    fn the_probability_is_a_logistic_of_standardised_features() {
        let class = ReaderClass {
            intercept: 1.0,
            coefficients: vec![Coefficient {
                feature: "support_best".to_owned(),
                mean: 0.5,
                deviation: 0.25,
                weight: 2.0,
            }],
            ..NEVER.clone()
        };
        // 1 + 2 * (0.25 - 0.5) / 0.25 = -1; the logistic of -1 is 0.268941.
        let probability = class.probability(&Features::from_named([("support_best", 0.25)]));
        assert!((probability - 0.268_941).abs() < 1e-5);
    }
}
