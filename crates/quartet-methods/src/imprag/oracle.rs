//! Whether a passage holds a sentence, for the control that is given the right passages.

use crate::text::words;
use std::collections::HashSet;
use unicode_normalization::UnicodeNormalization;

/// Share of a sentence's word triples that a passage must hold: PDF extraction may cost a word
/// here and there.
const TRIPLES_NEEDED: f64 = 0.8;

/// Whether `text` holds `sentence`, white space, hyphens and letter case aside.
#[must_use]
pub(super) fn holds(text: &str, sentence: &str) -> bool {
    let wanted = letters(sentence);
    if wanted.is_empty() {
        return false;
    }
    if letters(text).contains(&wanted) {
        return true;
    }
    let wanted = triples(sentence);
    let found = triples(text);
    let common = wanted.iter().filter(|triple| found.contains(*triple)).count();
    !wanted.is_empty() && common as f64 / wanted.len() as f64 >= TRIPLES_NEEDED
}

/// Letters and digits alone.
fn letters(text: &str) -> String {
    text.nfkc().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn triples(text: &str) -> HashSet<String> {
    let folded: Vec<String> = words(text).into_iter().map(|word| word.folded).collect();
    folded.windows(3).map(|three| three.join(" ")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_found_however_its_lines_are_broken() {
        let text = "Before. The light-\nhouse was\nre-lit in 1874, \u{201c}at dusk\u{201d}. After.";
        assert!(holds(text, "The lighthouse was relit in 1874, \"at dusk\"."));
        assert!(!holds(text, "The lighthouse was relit in 1875."));
        assert!(!holds(text, " \u{2026} "));
    }

    #[test]
    fn a_lost_word_is_forgiven_in_a_long_sentence() {
        let sentence = "The annual rate of growth was the highest that the town had seen in ten \
                        years, by far, as the council said.";
        let text = sentence.replace("the council", "counc");
        assert!(holds(&text, sentence));
        assert!(!holds("The town council said so.", sentence));
    }
}
