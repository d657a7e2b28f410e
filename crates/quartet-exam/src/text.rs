//! Comparing an answer with the gold answers, as the SQuAD 1.1 evaluation does (Rajpurkar et
//! al., 2016): lower case, ASCII punctuation removed, the articles a, an and the removed,
//! white space collapsed. Typographic quotation marks and dashes, which PDFs are full of, are
//! treated as the ASCII punctuation they stand for, and compatibility characters (ligatures)
//! are folded first. Every score is the highest over the gold answers.

use std::collections::HashMap;
use unicode_normalization::UnicodeNormalization;

/// The normalised text: words separated by single spaces.
#[must_use]
pub fn normalise(text: &str) -> String {
    let kept: String = text
        .nfkc()
        .flat_map(char::to_lowercase)
        .filter(|&character| !is_punctuation(character))
        .collect();
    let words: Vec<&str> =
        kept.split_whitespace().filter(|word| !matches!(*word, "a" | "an" | "the")).collect();
    words.join(" ")
}

fn is_punctuation(character: char) -> bool {
    character.is_ascii_punctuation()
        || matches!(
            character,
            '\u{2010}'..='\u{2015}' | '\u{2018}'..='\u{201f}' | '\u{2026}' | '\u{ab}' | '\u{bb}'
        )
}

/// 1 when answer and a gold answer are equal after normalisation, else 0.
#[must_use]
pub fn exact_match(answer: &str, gold: &[String]) -> f64 {
    let answer = normalise(answer);
    highest(gold, |gold| f64::from(u8::from(normalise(gold) == answer)))
}

/// Harmonic mean of precision and recall over the words of answer and gold answer, counted
/// with repetition.
#[must_use]
pub fn f1(answer: &str, gold: &[String]) -> f64 {
    let answer = normalise(answer);
    highest(gold, |gold| word_f1(&answer, &normalise(gold)))
}

/// 1 when the words of a gold answer occur in the answer, next to each other and in order.
/// Whole words: `7` is not contained in `47`.
#[must_use]
pub fn contains(answer: &str, gold: &[String]) -> f64 {
    let answer = format!(" {} ", normalise(answer));
    highest(gold, |gold| {
        let gold = normalise(gold);
        f64::from(u8::from(!gold.is_empty() && answer.contains(&format!(" {gold} "))))
    })
}

/// 1 when the answer takes the same side as the gold answer to a yes-no question. The side is
/// the first word, where that is yes, no, true or false, else the only such word in the text.
#[must_use]
pub fn same_polarity(answer: &str, gold: &[String]) -> f64 {
    let answer = polarity(answer);
    highest(gold, |gold| f64::from(u8::from(answer.is_some() && answer == polarity(gold))))
}

fn polarity(text: &str) -> Option<bool> {
    let text = normalise(text);
    let side = |word: &str| match word {
        "yes" | "true" | "correct" => Some(true),
        "no" | "false" | "incorrect" => Some(false),
        _ => None,
    };
    if let Some(first) = text.split(' ').next().and_then(side) {
        return Some(first);
    }
    let sides: Vec<bool> = text.split(' ').filter_map(side).collect();
    match sides.as_slice() {
        [only] => Some(*only),
        _ => None,
    }
}

fn word_f1(answer: &str, gold: &str) -> f64 {
    let answer: Vec<&str> = answer.split_whitespace().collect();
    let gold: Vec<&str> = gold.split_whitespace().collect();
    if answer.is_empty() || gold.is_empty() {
        return f64::from(u8::from(answer == gold));
    }
    let mut left: HashMap<&str, u32> = HashMap::new();
    for word in &gold {
        *left.entry(word).or_default() += 1;
    }
    let mut common = 0_u32;
    for word in &answer {
        if let Some(count) = left.get_mut(word).filter(|count| **count > 0) {
            *count -= 1;
            common += 1;
        }
    }
    if common == 0 {
        return 0.0;
    }
    // 2PR / (P + R) with P = common / |answer| and R = common / |gold|.
    2.0 * f64::from(common) / crate::bootstrap::to_f64(answer.len() + gold.len())
}

fn highest(gold: &[String], score: impl Fn(&str) -> f64) -> f64 {
    gold.iter().map(|gold| score(gold)).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gold(answers: &[&str]) -> Vec<String> {
        answers.iter().map(|&answer| answer.to_owned()).collect()
    }

    #[test]
    fn normalisation_is_that_of_squad() {
        for (text, normal) in [
            ("The  Eiffel Tower.", "eiffel tower"),
            ("The  U.S.!", "us"),
            ("An apple, a pear and THE plum!", "apple pear and plum"),
            ("1,175 crowns", "1175 crowns"),
            ("twenty-one", "twentyone"),
            ("Keeper\u{2019}s \u{201c}Log\u{201d}", "keepers log"),
            ("theatre anthem", "theatre anthem"),
            ("o\u{fb03}ce", "office"),
            ("a", ""),
        ] {
            assert_eq!(normalise(text), normal);
        }
    }

    #[test]
    fn f1_by_hand() {
        // Answer 4 words, gold 2, common 2: P = 1/2, R = 1, F1 = 2/3.
        assert!((f1("it is 47 metres", &gold(&["47 metres"])) - 2.0 / 3.0).abs() < 1e-12);
        // Articles do not count; the better gold answer is taken.
        assert!((f1("the red lamp", &gold(&["green lamp", "a red lamp"])) - 1.0).abs() < 1e-12);
        // Repetition: `yes yes` against `yes`: P = 1/2, R = 1.
        assert!((f1("yes yes", &gold(&["yes"])) - 2.0 / 3.0).abs() < 1e-12);
        assert!(f1("blue", &gold(&["red"])).abs() < 1e-12);
        assert!(f1("", &gold(&["red"])).abs() < 1e-12);
        assert!(f1("red", &[]).abs() < 1e-12);
    }

    /// The best alias counts, and saying nothing is no answer to anything (IAG card, test 15).
    #[test]
    fn the_best_of_several_gold_answers_counts() {
        let names = gold(&["United States", "the U.S.", "USA"]);
        assert!(exact_match("The  U.S.!", &names) > 0.5);
        assert!(exact_match("usa", &names) > 0.5);
        assert!(exact_match("United Kingdom", &names) < 0.5);
        assert!((f1("United Kingdom", &names) - 0.5).abs() < 1e-12);
        for nothing in ["", " ", "...", "the"] {
            assert!(exact_match(nothing, &names) < 0.5, "{nothing:?}");
            assert!(f1(nothing, &names) < 1e-12, "{nothing:?}");
            assert!(contains(nothing, &names) < 0.5, "{nothing:?}");
        }
        assert!(exact_match("us", &[]) < 0.5, "without a gold answer nothing is right");
    }

    #[test]
    fn containment_is_by_whole_words() {
        assert!(contains("The focal plane is 47 metres up.", &gold(&["47 metres"])) > 0.5);
        assert!(contains("It is 147 metres up.", &gold(&["47 metres"])) < 0.5);
        assert!(contains("at 7.9 bar", &gold(&["7.9"])) > 0.5);
        assert!(contains("anything", &gold(&["the"])) < 0.5, "an empty gold is never contained");
        assert!(exact_match("The Low Tern.", &gold(&["low tern"])) > 0.5);
        assert!(exact_match("Low Tern light", &gold(&["low tern"])) < 0.5);
    }

    #[test]
    fn yes_and_no_are_compared_by_side() {
        assert!(same_polarity("Yes, every autumn.", &gold(&["yes"])) > 0.5);
        assert!(same_polarity("No.", &gold(&["yes"])) < 0.5);
        assert!(same_polarity("The answer is no", &gold(&["no"])) > 0.5);
        assert!(same_polarity("It is blue.", &gold(&["yes"])) < 0.5);
        assert!(same_polarity("false", &gold(&["no"])) > 0.5);
    }
}
