//! Comparing texts by their words, as all filters do.

use quartet_methods::text::{Word, words};
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// Words that comparisons skip.
fn is_article(word: &Word) -> bool {
    matches!(word.folded.as_str(), "a" | "an" | "the")
}

fn kept(text: &str) -> Vec<Word> {
    words(text).into_iter().filter(|word| !is_article(word)).collect()
}

/// What makes two texts duplicates: folded words without articles, joined by spaces.
#[must_use]
pub fn key(text: &str) -> String {
    let folded: Vec<String> = kept(text).into_iter().map(|word| word.folded).collect();
    folded.join(" ")
}

/// F1 over folded words without articles, as a bag, from 0 to 1 (SQuAD's measure on our words).
#[must_use]
pub fn f1(left: &str, right: &str) -> f32 {
    let (left, right) = (kept(left), kept(right));
    if left.is_empty() || right.is_empty() {
        return if left.is_empty() && right.is_empty() { 1.0 } else { 0.0 };
    }
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for word in &left {
        *counts.entry(&word.folded).or_default() += 1;
    }
    let shared = right
        .iter()
        .filter(|word| match counts.get_mut(word.folded.as_str()) {
            Some(count) if *count > 0 => {
                *count -= 1;
                true
            }
            _ => false,
        })
        .count();
    share(2 * shared, left.len() + right.len())
}

/// `part / whole`; 0 when there is nothing.
#[must_use]
pub(crate) fn share(part: usize, whole: usize) -> f32 {
    if whole == 0 {
        return 0.0;
    }
    // Counts of words in a sentence are far below the 2^24 that f32 holds exactly.
    #[expect(clippy::cast_precision_loss, reason = "counts of words are small")]
    let share = part as f32 / whole as f32;
    share
}

/// Where the words of `phrase` stand in `text` one after the other, articles aside.
#[must_use]
pub fn find(text: &str, phrase: &str) -> Option<Range<usize>> {
    let wanted = kept(phrase);
    let there = kept(text);
    if wanted.is_empty() {
        return None;
    }
    there.windows(wanted.len()).find_map(|window| {
        let same = window.iter().zip(&wanted).all(|(a, b)| a.folded == b.folded);
        match (same, window.first(), window.last()) {
            (true, Some(first), Some(last)) => Some(first.range.start..last.range.end),
            _ => None,
        }
    })
}

/// Whether the words of `phrase` stand in `text` one after the other, articles aside.
#[must_use]
pub fn contains(text: &str, phrase: &str) -> bool {
    find(text, phrase).is_some()
}

/// Stems of the words that carry content.
#[must_use]
pub fn content_stems(text: &str) -> HashSet<String> {
    words(text).into_iter().filter(|word| !word.function).map(|word| word.stem).collect()
}

/// Number of words.
#[must_use]
pub fn count(text: &str) -> usize {
    words(text).len()
}

/// Whether a text is, by its function words, English enough for rules about English sentences.
#[must_use]
pub fn is_english(text: &str) -> bool {
    let all = words(text);
    let english = all.iter().filter(|word| word.function).count();
    all.len() >= 5 && share(english, all.len()) >= 0.2
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn duplicates_are_found_by_their_words() {
        assert_eq!(key("What is THE pressure?"), key("what is pressure"));
        assert_eq!(key("Twelve racks"), key("12 racks"));
        assert_ne!(key("How high is it?"), key("How long is it?"));
    }

    #[test]
    fn golden_f1() {
        assert!((f1("47 metres", "The 47 metres") - 1.0).abs() < 1e-6);
        assert!((f1("Maren Oskvay", "Oskvay") - 2.0 / 3.0).abs() < 1e-6);
        assert!(f1("red", "blue").abs() < 1e-6);
        assert!(f1("", "blue").abs() < 1e-6);
    }

    #[test]
    fn phrases_are_found_at_word_borders() {
        let text = "a bath of 212 litres of silicone";
        assert_eq!(find(text, "212 litres").map(|range| &text[range]), Some("212 litres"));
        assert!(!contains(text, "12 litres"));
        assert!(contains("in the blue\nchest", "blue chest"));
        assert!(!contains("anything", "?"));
    }

    #[test]
    fn english_is_told_from_other_languages() {
        assert!(is_english("The key to the tower is carried by the chief keeper."));
        assert!(!is_english("Der Schlüssel zum Turm wird vom Oberwärter getragen."));
    }

    proptest! {
        #[test]
        fn f1_is_symmetric_and_bounded(left in "[a-d ]{0,12}", right in "[a-d ]{0,12}") {
            let score = f1(&left, &right);
            prop_assert!((0.0..=1.0).contains(&score));
            prop_assert!((score - f1(&right, &left)).abs() < 1e-6);
        }

        #[test]
        fn what_is_found_has_the_same_key(text in ".{0,40}", phrase in ".{0,12}") {
            if let Some(range) = find(&text, &phrase) {
                prop_assert_eq!(key(&text[range]), key(&phrase));
            }
        }
    }
}
