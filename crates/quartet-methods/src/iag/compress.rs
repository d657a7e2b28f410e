//! Passages squeezed into a short document: which of their words a question needs.
//!
//! After LongLLMLingua (Jiang et al. 2023, arXiv 2310.06839), with which IAG makes what its
//! imagine model learns to write (IAG card, section 2.1). Taken over are, in their order:
//!
//! 1. passages are ranked by how well they go with the question, best first;
//! 2. the best are kept up to [`SPARE_TOKENS`] more than the target;
//! 3. the share that is kept of each is tilted linearly by rank, by [`TILT`] either way;
//! 4. inside segments of [`SEGMENT_TOKENS`] the tokens with the largest contrast
//!    `ln p(x_i | question, x_<i) - ln p(x_i | x_<i)` are kept (the paper's contrastive
//!    perplexity), up to the share;
//! 5. the best passage comes first.
//!
//! Ours is the rest:
//!
//! - The scorer is any model of the engine. The paper ranks by `p(question | passage)`, which
//!   takes another pass over every passage. By Bayes' rule
//!   `ln p(question | passage) = ln p(passage | question) - ln p(passage) + ln p(question)`, and
//!   the difference is the sum of the contrasts, which are there already; the last term is the
//!   same for all passages. (A model keeps to that rule only roughly.)
//! - Whole words are kept or left out, with what punctuation clings to them: in a document of
//!   fifty tokens broken words teach nothing.
//! - A word is worth the mean contrast of its tokens, averaged with that of five words
//!   on either side. Alone, contrast finds the words of the question again, which a prompt has
//!   anyway; what answers it stands beside them.
//! - A passage that holds an answer that must survive goes before those that do not.
//! - Every token is scored once, in the whole passage, and not again in what is left of it.
//! - The length is never exceeded, and an answer that must survive is put back with its sentence.

mod scoring;
mod words;

pub use scoring::{Squeezer, score_passages};

use crate::text::sentences;
use std::cmp::Ordering;
use std::ops::Range;
use words::{Word, folded, runs_of, words_of};

/// Version of the procedure: part of the key of every document made with it.
pub const VERSION: &str = "squeeze.v2";
/// Tokens of kept passages beyond the target ("context budget +100").
pub const SPARE_TOKENS: usize = 100;
/// The share kept of the best passage is so much larger than the mean, that of the last so much
/// smaller ("dynamic ratio 0.4").
pub const TILT: f64 = 0.4;
/// Tokens that compete with each other, at most.
pub const SEGMENT_TOKENS: usize = 200;
/// Tokens of passages for each token of the document, at least: below that, imagining saves
/// nothing (card, section 10).
pub const SHRINKS_BY: usize = 5;

/// Words on either side that count for a word's worth, the less the farther away. Measured: with
/// five the answer survives nearly twice as often as with one, and with more no oftener.
const NEIGHBOURS: usize = 5;
/// Of the document, an answer that is put back may take its sentence up to this share.
const PUT_BACK_SHARE: f64 = 0.75;

/// The tokens of a passage and how probable they are.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scored {
    /// Text of each token; together they are the passage. A token that ends amid a character is
    /// empty here, the one that completes the character has it whole.
    pub pieces: Vec<String>,
    /// `ln p(x_i | x_<i)`, in nats.
    pub alone: Vec<f32>,
    /// `ln p(x_i | question, x_<i)`, in nats.
    pub given: Vec<f32>,
}

impl Scored {
    /// How much more probable each token is after the question.
    fn contrasts(&self) -> impl Iterator<Item = f64> + '_ {
        self.given.iter().zip(&self.alone).map(|(given, alone)| {
            let contrast = f64::from(*given) - f64::from(*alone);
            if contrast.is_finite() { contrast } else { 0.0 }
        })
    }

    /// How much more probable this passage makes the question, in nats, up to a constant.
    #[must_use]
    pub fn rank(&self) -> f64 {
        self.contrasts().sum()
    }
}

/// What is left of passages.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Squeezed {
    /// Words of the passages, a space between them.
    pub text: String,
    /// Its tokens.
    pub tokens: usize,
    /// Tokens of all passages.
    pub tokens_before: usize,
    /// Whether an answer had been lost and was put back.
    pub put_back: bool,
}

/// Whether a text holds an answer word for word; upper case and white space make no difference.
#[must_use]
pub fn holds(text: &str, answer: &str) -> bool {
    let (text, answer) = (folded(text), folded(answer));
    let is_part = |character: Option<char>| character.is_some_and(char::is_alphanumeric);
    // Not "12" in "1812".
    let is_whole = |start: usize| {
        let end = start + answer.len();
        let before = text[..start].chars().next_back();
        let after = text[end..].chars().next();
        !(is_part(before) && is_part(answer.chars().next())
            || is_part(after) && is_part(answer.chars().next_back()))
    };
    !answer.is_empty() && text.match_indices(&answer).any(|(start, _)| is_whole(start))
}

/// Squeezes passages to at most `target` tokens, counted as tokens of the passages. `must_hold`
/// are answers: passages that have one go first, and where none is left its sentence is put back,
/// in front, in place of the least valuable words. The question itself is never part of the result.
#[must_use]
pub fn squeeze(
    question: &str,
    passages: &[Scored],
    target: usize,
    must_hold: &[String],
) -> Squeezed {
    let mut order: Vec<usize> = (0..passages.len()).collect();
    let ranks: Vec<f64> = passages.iter().map(Scored::rank).collect();
    let has_answer = |one: &Scored| {
        let text = one.pieces.concat();
        must_hold.iter().any(|answer| holds(&text, answer))
    };
    let answers: Vec<bool> = passages.iter().map(has_answer).collect();
    order.sort_by(|one, other| {
        let by_answer = answers[*other].cmp(&answers[*one]);
        by_answer.then(ranks[*other].total_cmp(&ranks[*one])).then(one.cmp(other))
    });
    let ranked: Vec<Vec<Word>> =
        order.iter().map(|at| words_of(&passages[*at], question)).collect();
    let mut document = Document { ranked: &ranked, target, kept: Vec::new() };
    document.keep();
    document.part_with(question);
    let mut put_back = false;
    if !must_hold.iter().any(|answer| holds(&document.text(), answer)) {
        put_back = must_hold.iter().any(|answer| document.put_back(answer, question));
    }
    Squeezed {
        text: document.text(),
        tokens: document.cost(),
        tokens_before: passages.iter().map(|one| one.pieces.len()).sum(),
        put_back,
    }
}

/// Where a word is: in which passage, best first, and which word of it.
type Place = (usize, usize);

/// A document in the making.
struct Document<'a> {
    /// Words of the passages, the best passage first.
    ranked: &'a [Vec<Word>],
    target: usize,
    /// What is kept, in the order in which it is read.
    kept: Vec<Place>,
}

impl Document<'_> {
    fn word(&self, (passage, at): Place) -> &Word {
        &self.ranked[passage][at]
    }

    fn cost(&self) -> usize {
        self.kept.iter().map(|place| self.word(*place).tokens).sum()
    }

    fn text(&self) -> String {
        let words: Vec<&str> =
            self.kept.iter().map(|place| self.word(*place).text.as_str()).collect();
        words.join(" ")
    }

    /// Chooses words for the whole length.
    fn keep(&mut self) {
        let ranked = self.ranked;
        let lengths: Vec<usize> = ranked.iter().map(|words| tokens_of(words)).collect();
        let quotas = quotas(&lengths, self.target);
        let mut kept = Vec::new();
        let mut left = self.target;
        for (passage, quota) in quotas.into_iter().enumerate() {
            let words = &ranked[passage];
            let segments = lengths[passage].div_ceil(SEGMENT_TOKENS).max(1);
            let length = words.len().div_ceil(segments).max(1);
            for (segment, some) in words.chunks(length).enumerate() {
                let share = quota * tokens_of(some) as f64 / lengths[passage].max(1) as f64;
                let chosen = best(some, whole(share).min(left));
                left -= chosen.iter().map(|at| some[*at].tokens).sum::<usize>();
                kept.extend(chosen.into_iter().map(|at| (passage, segment * length + at)));
            }
        }
        self.kept = kept;
        self.fill();
    }

    /// Fills what is left, by words of the passages that are in it already.
    fn fill(&mut self) {
        let Some(last) = self.kept.iter().map(|place| place.0).max() else { return };
        let mut left = self.target.saturating_sub(self.cost());
        let rest = (0..=last)
            .flat_map(|passage| (0..self.ranked[passage].len()).map(move |at| (passage, at)));
        let mut rest: Vec<Place> =
            rest.filter(|place| !self.kept.contains(place) && self.word(*place).is_worth).collect();
        rest.sort_by(|one, other| better(self.word(*one), self.word(*other)).then(one.cmp(other)));
        for place in rest {
            let cost = self.word(place).tokens;
            if cost <= left {
                left -= cost;
                self.kept.push(place);
            }
        }
        self.kept.sort_unstable();
    }

    /// Puts the sentence that holds an answer in front; false where no passage has it, or it is
    /// longer than the document.
    fn put_back(&mut self, answer: &str, question: &str) -> bool {
        let Some((passage, found)) = self.find(answer) else { return false };
        let words = &self.ranked[passage];
        let around = self.around(words, found);
        let before = std::mem::take(&mut self.kept);
        let mut front: Vec<Place> = around.map(|at| (passage, at)).collect();
        self.kept.clone_from(&front);
        let mut left = self.target.saturating_sub(self.cost());
        let mut others: Vec<Place> =
            before.iter().copied().filter(|place| !front.contains(place)).collect();
        others
            .sort_by(|one, other| better(self.word(*one), self.word(*other)).then(one.cmp(other)));
        others.retain(|place| {
            let cost = self.word(*place).tokens;
            let fits = cost <= left;
            left -= if fits { cost } else { 0 };
            fits
        });
        others.sort_unstable();
        front.extend(others);
        self.kept = front;
        self.part_with(question);
        if holds(&self.text(), answer) {
            return true;
        }
        self.kept = before;
        false
    }

    /// The words of an answer, in the best passage that has it.
    fn find(&self, answer: &str) -> Option<(usize, Range<usize>)> {
        let length = answer.split_whitespace().count();
        self.ranked.iter().enumerate().find_map(|(passage, words)| {
            let is_it = |some: &[Word]| {
                some.iter().map(|word| word.tokens).sum::<usize>() <= self.target
                    && holds(&joined(some), answer)
            };
            let start = words.windows(length.max(1)).position(is_it)?;
            Some((passage, start..start + length))
        })
    }

    /// The sentence around some words, or as much of it as there is room for.
    fn around(&self, words: &[Word], found: Range<usize>) -> Range<usize> {
        let text = joined(words);
        let mut starts = Vec::with_capacity(words.len());
        let mut at = 0;
        for word in words {
            starts.push(at);
            at += word.text.len() + 1;
        }
        let own = starts[found.start];
        let sentence = sentences(&text).into_iter().find(|range| range.contains(&own));
        let sentence = sentence.unwrap_or(0..text.len());
        let first = starts.partition_point(|start| *start < sentence.start).min(found.start);
        let end = starts.partition_point(|start| *start < sentence.end).max(found.end);
        let room = (self.target as f64 * PUT_BACK_SHARE) as usize;
        if tokens_of(&words[first..end]) <= room {
            return first..end;
        }
        let mut range = found;
        loop {
            let left = tokens_of(&words[range.clone()]);
            let fits = |at: usize| left + words[at].tokens <= room;
            // What stands before an answer says what it answers.
            if range.start > first && fits(range.start - 1) {
                range.start -= 1;
            } else if range.end < end && fits(range.end) {
                range.end += 1;
            } else {
                return range;
            }
        }
    }

    /// Should the words that are left make up the question again, its least valuable one goes.
    fn part_with(&mut self, question: &str) {
        while let Some(least) = self.least_of(question) {
            self.kept.remove(least);
        }
    }

    /// The least valuable word of the question, where it stands among the kept words.
    fn least_of(&self, question: &str) -> Option<usize> {
        let texts: Vec<&str> =
            self.kept.iter().map(|place| self.word(*place).text.as_str()).collect();
        let run = runs_of(&texts, question).into_iter().next()?;
        run.max_by(|one, other| better(self.word(self.kept[*one]), self.word(self.kept[*other])))
    }
}

/// Tokens that may be kept of each passage, best passage first.
fn quotas(lengths: &[usize], target: usize) -> Vec<f64> {
    let mut total = 0;
    let mut count = 0;
    for length in lengths {
        if total > target + SPARE_TOKENS {
            break;
        }
        total += length;
        count += 1;
    }
    let mean = (target as f64 / total.max(1) as f64).min(1.0);
    let last = (count.max(2) - 1) as f64;
    let tilted = |(rank, length): (usize, &usize)| {
        let tilt = if count > 1 { TILT * (1.0 - 2.0 * rank as f64 / last) } else { 0.0 };
        (mean + tilt).clamp(0.0, 1.0) * *length as f64
    };
    let mut quotas: Vec<f64> = lengths[..count].iter().enumerate().map(tilted).collect();
    // Clamped shares do not average to the mean any more: the best passages have what they are
    // due, and the others what is left.
    let mut left = target as f64;
    for quota in &mut quotas {
        *quota = quota.min(left);
        left -= *quota;
    }
    quotas
}

/// Places of the best words that fit, in their order.
fn best(words: &[Word], room: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..words.len()).filter(|at| words[*at].is_worth).collect();
    order.sort_by(|one, other| better(&words[*one], &words[*other]).then(one.cmp(other)));
    let mut left = room;
    order.retain(|at| {
        let fits = words[*at].tokens <= left;
        left -= if fits { words[*at].tokens } else { 0 };
        fits
    });
    order.sort_unstable();
    order
}

/// The more valuable word first.
fn better(one: &Word, other: &Word) -> Ordering {
    other.worth.total_cmp(&one.worth)
}

fn tokens_of(words: &[Word]) -> usize {
    words.iter().map(|word| word.tokens).sum()
}

fn joined(words: &[Word]) -> String {
    let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    texts.join(" ")
}

fn whole(share: f64) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    let whole = share.round().max(0.0) as usize;
    whole
}
