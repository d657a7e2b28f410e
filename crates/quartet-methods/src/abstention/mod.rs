//! "Not in your documents" as a calibrated outcome.
//!
//! The probability that the documents hold an answer is a logistic regression over features
//! that come free with an answer ([`Features`]). Coefficients live in
//! `assets/calibration/abstention.v1.json` with where they come from; larger readers use
//! another set than smaller ones, because their words and their confidence mean different
//! things.

mod calibration;
mod features;
mod fit;

pub use calibration::{Calibration, Coefficient, Provenance, ReaderClass};
pub use features::{FEATURE_NAMES, Features};
pub(crate) use features::{Observed, observe};
pub use fit::{Sample, fit};

use quartet_types::{Abstention, ModelDescription};

/// Works out the probability and sets the threshold beside it.
#[must_use]
pub fn decide(
    calibration: &Calibration,
    model: &ModelDescription,
    features: &Features,
) -> Abstention {
    let class = calibration.class_for(model.weight_bytes);
    Abstention {
        probability: class.probability(features),
        threshold: class.threshold,
        features: features.named().map(|(name, value)| (name.to_owned(), value)).collect(),
    }
}

/// The reply that the prompt offers where no passage says anything about the question. It is
/// never given: how probable it was is measured at the first token, and the reader then writes
/// its best answer. A small reader refuses far too readily for its word to be taken; how
/// readily says something all the same.
pub const REFUSAL: &str = "NOT IN DOCUMENTS";

/// Whether a reply says that the passages do not hold the answer, in the words that the
/// template asks for or in those that models use of their own accord.
#[must_use]
pub fn is_refusal(reply: &str) -> bool {
    let folded: Vec<String> =
        crate::text::words(reply).into_iter().map(|word| word.folded).collect();
    let folded = folded.join(" ");
    REFUSALS.iter().any(|phrase| folded.contains(phrase))
}

const REFUSALS: [&str; 32] = [
    "not in documents",
    "not in document",
    "not in the documents",
    "not in the passages",
    "not mentioned in",
    "not stated in",
    "not specified in",
    "not provided in",
    "not given in",
    "not explicitly",
    "not found in",
    "not included in",
    "not available in",
    "not contain",
    "not mention",
    "not provide",
    "not specify",
    "not state",
    "not include any",
    "not have any information",
    "not have enough information",
    "no passage",
    "none of the passages",
    "no information",
    "no mention",
    "not enough information",
    "cannot be determined",
    "cannot determine",
    "cannot answer",
    "can't answer",
    "unable to answer",
    "i don't know",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_recognised_and_answers_are_not() {
        for refusal in [
            "NOT IN DOCUMENTS",
            "Not in documents.",
            "The passages do not mention a telephone number.",
            "There is no information about his age.",
        ] {
            assert!(is_refusal(refusal), "{refusal}");
        }
        for answer in ["47 metres.", "The lamp was not lit.", "No.", "It is in the documents room."]
        {
            assert!(!is_refusal(answer), "{answer}");
        }
    }
}
