//! Which span of which page supports a sentence of an answer.
//!
//! The model is never asked: small models cannot name their evidence reliably, and a mark
//! that a model writes proves nothing. Instead every sentence of the answer is compared with
//! every span (one sentence, or two that follow each other) of the passages that were read:
//!
//! ```text
//! carried  = sum of idf of new words found in the span / sum of idf of new words
//! relation = 0.9 * share of the question's idf in the span
//!          + 0.1 * share of the question's idf in the passage, its title and its heading
//! floor    = RELATION_FLOOR + FLOOR_PER_WORD for each new word found after the first
//! score    = carried * (floor + (1 - floor) * min(1, relation / RELATION_FULL))
//! ```
//!
//! *New* words are content words that the question does not already have: an answer that
//! repeats the question gains nothing. A number or a name among the new words that the span
//! lacks caps the score below the threshold, however many other words agree.
//! Inverse document frequency is taken over the sentences of everything retrieved:
//! `idf = ln(1 + (n - df + 0.5) / (df + 0.5))`, as in BM25 (Robertson and Zaragoza, "The
//! Probabilistic Relevance Framework: BM25 and Beyond", 2009).
//! The constants were chosen on half of the SQuAD 2.0 development set, and `tests/squad.rs`
//! holds the other half to the figures reached: the gold answer is supported by its own
//! paragraph for 96 of 100 questions, and by another paragraph of the article for 1 of 100.
//!
//! What it cannot do: tell that words which stand close to the question's words are the
//! wrong answer. Support says where a sentence comes from, not that it answers.

mod matcher;
mod vocabulary;

pub use matcher::{Matcher, ReadPassage};
pub(crate) use vocabulary::Vocabulary;

use crate::text::{characters_before, sentences};
use quartet_types::AnswerSentence;

/// At or above this score a span supports a sentence.
pub const SUPPORT_THRESHOLD: f32 = 0.5;

/// The sentences of an answer for which nothing was read.
#[must_use]
pub fn unsupported_sentences(answer: &str) -> Vec<AnswerSentence> {
    sentences(answer)
        .into_iter()
        .map(|range| AnswerSentence {
            start: characters_before(answer, range.start),
            end: characters_before(answer, range.end),
            support: None,
        })
        .collect()
}
