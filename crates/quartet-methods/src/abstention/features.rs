//! What the decision is made from. Every feature is free: none needs another pass of the
//! reader.

use super::is_refusal;
use crate::support::{Matcher, ReadPassage, Vocabulary};
use crate::text::{index_stems, words};
use quartet_types::{Generation, SearchHit, SearchTrace};
use std::collections::HashSet;

/// The features of one answer.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Features {
    values: [f32; FEATURE_NAMES.len()],
}

/// Names of the features, in the order they are kept.
///
/// | name | meaning | range |
/// |---|---|---|
/// | `dense_top` | highest cosine of any hit | -1 to 1 |
/// | `lexical_top` | highest BM25 of any hit over the sum of the terms' idf | 0 to about 2.2 |
/// | `coverage_best` | idf share of the question's terms in the best passage read | 0 to 1 |
/// | `coverage_union` | the same in all passages read together | 0 to 1 |
/// | `support_best` | best support score of a sentence of the answer | 0 to 1 |
/// | `answer_in_passages` | idf share of the answer's new words found in the passages | 0 to 1 |
/// | `mean_log_probability` | mean over the answer's tokens | at most 0 |
/// | `first_log_probability` | of the answer's first token | at most 0 |
/// | `lowest_log_probability` | of the answer's least likely token, at least -10 | -10 to 0 |
/// | `length` | natural log of 1 + tokens written | 0 and more |
/// | `absent_log_probability` | that the reply would have begun as a refusal, had it been allowed to, at least -12 | -12 to 0 |
/// | `said_absent` | 1 when the reply is a refusal | 0 or 1 |
pub const FEATURE_NAMES: [&str; 12] = [
    "dense_top",
    "lexical_top",
    "coverage_best",
    "coverage_union",
    "support_best",
    "answer_in_passages",
    "mean_log_probability",
    "first_log_probability",
    "lowest_log_probability",
    "length",
    "absent_log_probability",
    "said_absent",
];

impl Features {
    /// From `(name, value)` pairs; unknown names are ignored, missing ones are 0.
    #[must_use]
    pub fn from_named<'a>(pairs: impl IntoIterator<Item = (&'a str, f32)>) -> Self {
        let mut features = Self::default();
        for (name, value) in pairs {
            if let Some(place) = FEATURE_NAMES.iter().position(|&known| known == name) {
                features.values[place] = if value.is_finite() { value } else { 0.0 };
            }
        }
        features
    }

    /// Names with values.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, f32)> + '_ {
        FEATURE_NAMES.into_iter().zip(self.values)
    }

    /// The value of one feature; 0 for an unknown name.
    #[must_use]
    pub fn get(&self, name: &str) -> f32 {
        self.named().find(|&(known, _)| known == name).map_or(0.0, |(_, value)| value)
    }
}

/// What was seen while answering.
pub(crate) struct Observed<'a> {
    pub(crate) question: &'a str,
    pub(crate) hits: &'a [SearchHit],
    pub(crate) trace: &'a SearchTrace,
    pub(crate) read: &'a [ReadPassage<'a>],
    pub(crate) matcher: &'a Matcher<'a>,
    pub(crate) answer: &'a str,
    pub(crate) generation: &'a Generation,
}

/// Measures the features.
pub(crate) fn observe(seen: &Observed<'_>) -> Features {
    let highest = |score: fn(&SearchHit) -> Option<f32>| {
        seen.hits.iter().filter_map(score).fold(0.0_f32, f32::max)
    };
    let terms = weighted_terms(seen);
    let all_idf: f32 = terms.iter().map(|(_, idf)| idf).sum();
    let (coverage_best, coverage_union) = coverage(&terms, all_idf, seen.read);
    let support_best = crate::text::sentences(seen.answer)
        .into_iter()
        .filter_map(|range| seen.matcher.best(&seen.answer[range]))
        .fold(0.0_f32, |best, support| best.max(support.score));
    let log_probabilities = &seen.generation.token_log_probabilities;
    #[expect(clippy::cast_precision_loss, reason = "token counts are small")]
    let count = log_probabilities.len().max(1) as f32;
    Features::from_named([
        ("dense_top", highest(|hit| hit.dense.map(|(cosine, _)| cosine))),
        (
            "lexical_top",
            highest(|hit| hit.lexical.map(|(score, _)| score)) / all_idf.max(f32::EPSILON),
        ),
        ("coverage_best", coverage_best),
        ("coverage_union", coverage_union),
        ("support_best", support_best),
        ("answer_in_passages", seen.matcher.answer_in_passages(seen.answer)),
        ("mean_log_probability", log_probabilities.iter().sum::<f32>() / count),
        ("first_log_probability", log_probabilities.first().copied().unwrap_or_default()),
        (
            "lowest_log_probability",
            log_probabilities.iter().copied().fold(0.0, f32::min).max(-10.0),
        ),
        ("length", count.ln_1p()),
        (
            "absent_log_probability",
            seen.generation.avoided_log_probability.unwrap_or_default().max(-12.0),
        ),
        ("said_absent", f32::from(u8::from(is_refusal(&seen.generation.text)))),
    ])
}

/// The question's terms with their idf: from the search where it tells them, else from the
/// passages found.
fn weighted_terms(seen: &Observed<'_>) -> Vec<(String, f32)> {
    if !seen.trace.terms.is_empty() && seen.trace.terms.len() == seen.trace.idf.len() {
        return seen.trace.terms.iter().cloned().zip(seen.trace.idf.iter().copied()).collect();
    }
    let vocabulary = Vocabulary::new(seen.hits.iter().map(|hit| hit.passage.text.as_str()));
    words(seen.question)
        .into_iter()
        .filter(|word| !word.function)
        .map(|word| (word.stem.clone(), vocabulary.idf(&word.stem)))
        .collect()
}

fn coverage(terms: &[(String, f32)], all_idf: f32, read: &[ReadPassage<'_>]) -> (f32, f32) {
    if all_idf <= 0.0 {
        return (0.0, 0.0);
    }
    let share = |stems: &HashSet<String>| {
        terms.iter().filter(|(term, _)| stems.contains(term)).map(|(_, idf)| idf).sum::<f32>()
            / all_idf
    };
    let (mut best, mut union) = (0.0_f32, HashSet::new());
    for passage in read {
        let passage = passage.passage;
        let mut stems: HashSet<String> = index_stems(&passage.text).collect();
        stems.extend(index_stems(&passage.title));
        stems.extend(index_stems(passage.heading.as_deref().unwrap_or_default()));
        stems.extend(words(&passage.text).into_iter().map(|word| word.stem));
        best = best.max(share(&stems));
        union.extend(stems);
    }
    (best, share(&union))
}
