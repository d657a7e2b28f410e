//! Tokens to words: what they cost and what they are worth.

use super::{NEIGHBOURS, Scored};
use std::ops::Range;

/// Questions of fewer words may stand in a passage by chance.
const FEWEST_QUESTION_WORDS: usize = 3;

/// A word of a passage with what punctuation clings to it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Word {
    pub(super) text: String,
    /// Tokens that are spent on it.
    pub(super) tokens: usize,
    /// How much the question speaks for it.
    pub(super) worth: f64,
    /// Whether it may be kept: neither bare punctuation nor a part of the question.
    pub(super) is_worth: bool,
}

/// The words of a passage.
pub(super) fn words_of(scored: &Scored, question: &str) -> Vec<Word> {
    let text = scored.pieces.concat();
    let ranges = words(&text);
    let mut contrasts: Vec<Vec<f64>> = vec![Vec::new(); ranges.len()];
    let mut costs = vec![0; ranges.len()];
    let (mut start, mut word) = (0, 0);
    for (piece, contrast) in scored.pieces.iter().zip(scored.contrasts()) {
        let rest = &text[start..];
        let at = start + (rest.len() - rest.trim_start().len());
        let is_blank = !piece.is_empty() && at >= start + piece.len();
        start += piece.len();
        while ranges.get(word).is_some_and(|range| range.end <= at) {
            word += 1;
        }
        let Some(own) = contrasts.get_mut(word) else { break };
        // A space that is a token of its own (before digits, say) is paid for and says nothing.
        costs[word] += 1;
        if !is_blank {
            own.push(contrast);
        }
    }
    let own: Vec<f64> =
        contrasts.iter().map(|all| all.iter().sum::<f64>() / all.len().max(1) as f64).collect();
    let texts: Vec<&str> = ranges.iter().map(|range| &text[range.clone()]).collect();
    let mut is_worth: Vec<bool> =
        texts.iter().map(|text| text.contains(char::is_alphanumeric)).collect();
    for run in runs_of(&texts, question) {
        is_worth[run].fill(false);
    }
    let worth = |at: usize| {
        let near = at.saturating_sub(NEIGHBOURS)..own.len().min(at + NEIGHBOURS + 1);
        let (sum, weights) = near.fold((0.0, 0.0), |(sum, weights), other| {
            let weight = (NEIGHBOURS + 1 - at.abs_diff(other)) as f64;
            (sum + weight * own[other], weights + weight)
        });
        sum / weights
    };
    (0..texts.len())
        .map(|at| Word {
            text: texts[at].to_owned(),
            tokens: costs[at].max(1),
            worth: worth(at),
            is_worth: is_worth[at],
        })
        .collect()
}

/// Bytes of what stands between white space.
fn words(text: &str) -> Vec<Range<usize>> {
    let start = text.as_ptr() as usize;
    text.split_whitespace()
        .map(|word| {
            let at = word.as_ptr() as usize - start;
            at..at + word.len()
        })
        .collect()
}

/// Lower case, single spaces.
pub(super) fn folded(text: &str) -> String {
    let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    words.join(" ")
}

/// Runs of words that are the question; upper case and punctuation around words make no
/// difference.
pub(super) fn runs_of(words: &[&str], question: &str) -> Vec<Range<usize>> {
    let bare = |word: &str| {
        word.trim_matches(|character: char| !character.is_alphanumeric()).to_lowercase()
    };
    let asked: Vec<String> =
        question.split_whitespace().map(bare).filter(|word| !word.is_empty()).collect();
    if asked.len() < FEWEST_QUESTION_WORDS {
        return Vec::new();
    }
    let words: Vec<String> = words.iter().map(|word| bare(word)).collect();
    let starts = words.windows(asked.len()).enumerate().filter(|(_, some)| *some == asked);
    starts.map(|(start, _)| start..start + asked.len()).collect()
}
