//! Other rows than questions, made from the documents without a model (section 4.1 of the paper:
//! phrase denoising, next and previous sentence, reading). Their formats are none of those that
//! transfer is measured on: no claims, no relations, no titles.

use crate::text::sentences;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Words of a sentence that a row is made of, at least.
const FEWEST_WORDS: usize = 8;

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatRow {
    /// Its format: `gap`, `repair` or `go_on`.
    pub format: &'static str,
    /// What is asked.
    pub input: String,
    /// What is to be written.
    pub answer: String,
}

/// A row about one of the sentences of `text`; `elsewhere` is text of another place. `None`
/// where the sentence that was drawn is too short.
#[must_use]
pub fn row_of(text: &str, elsewhere: &str, random: &mut ChaCha8Rng) -> Option<FormatRow> {
    let all = sentences(text);
    if all.is_empty() {
        return None;
    }
    let place = random.random_range(0..all.len());
    let sentence = text.get(all[place].clone())?;
    let parts: Vec<&str> = sentence.split_whitespace().collect();
    if parts.len() < FEWEST_WORDS {
        return None;
    }
    let length = random.random_range(1..=3);
    let start = random.random_range(1..parts.len() - length);
    let (before, rest) = parts.split_at(start);
    let (gone, after) = rest.split_at(length);
    let (before, after) = (before.join(" "), after.join(" "));
    Some(match random.random_range(0..3) {
        0 => FormatRow {
            format: "gap",
            input: format!("Fill the gap: {before} ____ {after}"),
            answer: gone.join(" "),
        },
        1 => {
            let words: Vec<&str> = elsewhere.split_whitespace().collect();
            let from = random.random_range(0..words.len().saturating_sub(length).max(1));
            let wrong = words.get(from..(from + length).min(words.len())).unwrap_or(&[]).join(" ");
            FormatRow {
                format: "repair",
                input: format!("{before} [START]{wrong}[END] {after} Repair the marked words."),
                answer: gone.join(" "),
            }
        }
        _ => {
            let keep = (parts.len() * 2 / 3).max(FEWEST_WORDS / 2);
            FormatRow {
                format: "go_on",
                input: format!("Go on: {}", parts[..keep].join(" ")),
                answer: parts[keep..].join(" "),
            }
        }
    })
}

/// A row about each of several texts, where one can be made; the same for the same seed.
#[must_use]
pub fn rows_of(texts: &[&str], seed: u64) -> Vec<Option<FormatRow>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let row = |text: &&str| {
        let other = texts[random.random_range(0..texts.len())];
        row_of(text, other, &mut random)
    };
    texts.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_made_of_the_text_and_never_claims_or_relations() {
        let text = "The lamp of the northern tower was lit for the first time in May 1874.";
        let other = "Nobody paints the harbour wall in winter, for the paint would freeze.";
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..60 {
            let row = row_of(text, other, &mut ChaCha8Rng::seed_from_u64(seed)).unwrap();
            assert!(text.contains(&row.answer), "{row:?}");
            assert!(!row.input.contains("[SEP]") && !row.input.contains("true?"), "{row:?}");
            seen.insert(row.format);
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["gap", "go_on", "repair"]);
        assert!(row_of("Too short.", other, &mut ChaCha8Rng::seed_from_u64(1)).is_none());
    }
}
