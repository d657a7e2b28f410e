//! Words, stems and sentences, as support, abstention and follow-ups see them.

use frostem::{Algorithm, Stemmer};
use std::ops::Range;
use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

/// A word of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Its bytes in the text.
    pub range: Range<usize>,
    /// Lower case, compatibility characters folded, possessive `'s` removed, digits without
    /// thousands separators, small number words as digits.
    pub folded: String,
    /// Snowball English stem of `folded`; equal to it for numbers.
    pub stem: String,
    /// Whether it is written with, or stands for, digits.
    pub number: bool,
    /// Whether it begins with an upper-case letter.
    pub capital: bool,
    /// Whether it is a function word, which carries no content of its own.
    pub function: bool,
}

/// Splits text into words (UAX 29 word boundaries; pieces without a letter or digit dropped).
#[must_use]
pub fn words(text: &str) -> Vec<Word> {
    let stemmer = Stemmer::new(Algorithm::English);
    text.unicode_word_indices()
        .map(|(start, raw)| {
            let folded = fold(raw);
            let (folded, number) = number_form(&folded).map_or((folded, false), |n| (n, true));
            let stem = if number { folded.clone() } else { stemmer.stem(&folded).to_string() };
            Word {
                range: start..start + raw.len(),
                number,
                capital: raw.chars().next().is_some_and(char::is_uppercase),
                function: FUNCTION_WORDS.binary_search(&folded.as_str()).is_ok(),
                folded,
                stem,
            }
        })
        .collect()
}

/// Stems of a text as a lexical index with a simple tokenizer sees them: split wherever a
/// character is neither letter nor digit, lower case, Snowball English.
/// Used to look up the terms of a [`SearchTrace`](quartet_types::SearchTrace).
pub fn index_stems(text: &str) -> impl Iterator<Item = String> + '_ {
    let stemmer = Stemmer::new(Algorithm::English);
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|piece| !piece.is_empty())
        .map(move |piece| stemmer.stem(&piece.to_lowercase()).to_string())
}

fn fold(raw: &str) -> String {
    let mut folded: String = raw.nfkc().flat_map(char::to_lowercase).collect();
    if folded.contains('\u{2019}') {
        folded = folded.replace('\u{2019}', "'");
    }
    if let Some(owner) = folded.strip_suffix("'s").filter(|owner| !owner.is_empty()) {
        folded = owner.to_owned();
    }
    folded
}

/// Digits without thousands separators, or `None` for a word that is not a number.
fn number_form(folded: &str) -> Option<String> {
    if let Ok(place) = NUMBER_WORDS.binary_search_by_key(&folded, |&(word, _)| word) {
        return NUMBER_WORDS.get(place).map(|&(_, digits)| digits.to_owned());
    }
    if !folded.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let groups: Vec<&str> = folded.split(',').collect();
    let grouped = groups.len() > 1
        && groups.first().is_some_and(|group| (1..=3).contains(&group.len()))
        && groups.iter().skip(1).all(|group| {
            group.len() >= 3
                && group.chars().take(3).all(|c| c.is_ascii_digit())
                && !group.chars().nth(3).is_some_and(|c| c.is_ascii_digit())
        });
    Some(if grouped { groups.concat() } else { folded.to_owned() })
}

/// Splits text into sentences (UAX 29, then abbreviations and initials joined again).
/// A single line break is a space, because PDF text is wrapped; a blank line, or a line that
/// begins like a list item, ends a sentence. Ranges are bytes, without surrounding white space.
#[must_use]
pub fn sentences(text: &str) -> Vec<Range<usize>> {
    let unwrapped = unwrap_lines(text);
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let mut joined = false;
    for (start, piece) in unwrapped.split_sentence_bound_indices() {
        let trimmed = piece.trim();
        if trimmed.is_empty() {
            joined = false;
            continue;
        }
        let start = start + (piece.len() - piece.trim_start().len());
        let end = start + trimmed.len();
        match ranges.last_mut() {
            Some(last) if joined => last.end = end,
            _ => ranges.push(start..end),
        }
        joined = !piece.ends_with('\n') && ends_in_abbreviation(trimmed);
    }
    ranges
}

/// Turns single line breaks into spaces, byte for byte, so that offsets stay.
fn unwrap_lines(text: &str) -> String {
    let mut unwrapped = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(place) = rest.find('\n') {
        let (line, after) = rest.split_at(place);
        let after = &after[1..];
        unwrapped.push_str(line);
        let blank = line.trim().is_empty()
            || after.trim_start_matches([' ', '\t', '\r']).starts_with('\n')
            || starts_like_item(after.trim_start_matches([' ', '\t']));
        unwrapped.push(if blank { '\n' } else { ' ' });
        rest = after;
    }
    unwrapped.push_str(rest);
    unwrapped.replace('\r', " ")
}

fn starts_like_item(line: &str) -> bool {
    let mut characters = line.chars();
    match characters.next() {
        Some('\u{2022}' | '\u{2023}' | '\u{25aa}' | '\u{25cf}' | '\u{00b7}') => true,
        Some('-' | '\u{2013}' | '*') => characters.next() == Some(' '),
        Some(digit) if digit.is_ascii_digit() => {
            let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
            rest.starts_with(". ") || rest.starts_with(") ")
        }
        _ => false,
    }
}

fn ends_in_abbreviation(sentence: &str) -> bool {
    let Some(stem) = sentence.strip_suffix('.') else { return false };
    let last = stem.rsplit(|c: char| c.is_whitespace() || c == '(').next().unwrap_or_default();
    let mut letters = last.chars();
    let initial =
        matches!((letters.next(), letters.next()), (Some(letter), None) if letter.is_uppercase());
    initial || ABBREVIATIONS.contains(&last)
}

/// Number of characters before byte `offset`.
pub(crate) fn characters_before(text: &str, offset: usize) -> u32 {
    let count =
        text.get(..offset).map_or_else(|| text.chars().count(), |head| head.chars().count());
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Text fit to be shown or quoted on one line: line breaks and control characters become
/// spaces, runs of white space become one space, invisible characters are dropped.
#[must_use]
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_whitespace() || character.is_control() {
            if !line.ends_with(' ') && !line.is_empty() {
                line.push(' ');
            }
        } else if !is_invisible(character) {
            line.push(character);
        }
    }
    line.truncate(line.trim_end().len());
    line
}

/// Where in `text` so many of the characters end that [`one_line`] keeps, spaces not counted.
pub(crate) fn end_of_drawn(text: &str, count: usize) -> usize {
    let is_drawn = |one: char| !one.is_whitespace() && !one.is_control() && !is_invisible(one);
    let Some(last) = count.checked_sub(1) else { return 0 };
    let mut drawn = text.char_indices().filter(|(_, one)| is_drawn(*one));
    drawn.nth(last).map_or(text.len(), |(start, one)| start + one.len_utf8())
}

/// Characters that are not drawn but could hide or reverse text: zero-width characters,
/// direction marks and overrides, soft hyphen, byte-order mark, Unicode tag characters.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{00ad}'
            | '\u{061c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

const ABBREVIATIONS: [&str; 38] = [
    "Mr", "Mrs", "Ms", "Dr", "Prof", "St", "Sr", "Jr", "Rev", "Gen", "Col", "Capt", "Lt", "Sgt",
    "Hon", "No", "Nos", "no", "Fig", "fig", "Figs", "Eq", "Sec", "Ch", "Vol", "vol", "pp", "p",
    "vs", "v", "cf", "e.g", "i.e", "etc", "approx", "ca", "Inc", "Art",
];

/// Sorted by word.
const NUMBER_WORDS: [(&str, &str); 30] = [
    ("billion", "billion"),
    ("eight", "8"),
    ("eighteen", "18"),
    ("eighty", "80"),
    ("eleven", "11"),
    ("fifteen", "15"),
    ("fifty", "50"),
    ("five", "5"),
    ("forty", "40"),
    ("four", "4"),
    ("fourteen", "14"),
    ("hundred", "hundred"),
    ("million", "million"),
    ("nine", "9"),
    ("nineteen", "19"),
    ("ninety", "90"),
    ("seven", "7"),
    ("seventeen", "17"),
    ("seventy", "70"),
    ("six", "6"),
    ("sixteen", "16"),
    ("sixty", "60"),
    ("ten", "10"),
    ("thirteen", "13"),
    ("thirty", "30"),
    ("thousand", "thousand"),
    ("three", "3"),
    ("twelve", "12"),
    ("twenty", "20"),
    ("two", "2"),
];

/// Sorted. Articles, pronouns, prepositions, conjunctions, auxiliaries, question words, and
/// yes and no.
const FUNCTION_WORDS: [&str; 147] = [
    "a",
    "about",
    "after",
    "again",
    "against",
    "all",
    "also",
    "although",
    "am",
    "an",
    "and",
    "any",
    "are",
    "as",
    "at",
    "be",
    "because",
    "been",
    "before",
    "being",
    "between",
    "both",
    "but",
    "by",
    "can",
    "could",
    "did",
    "do",
    "does",
    "doing",
    "done",
    "during",
    "each",
    "either",
    "else",
    "every",
    "few",
    "for",
    "from",
    "further",
    "had",
    "has",
    "have",
    "having",
    "he",
    "her",
    "here",
    "hers",
    "herself",
    "him",
    "himself",
    "his",
    "how",
    "however",
    "i",
    "if",
    "in",
    "into",
    "is",
    "it",
    "its",
    "itself",
    "just",
    "may",
    "me",
    "might",
    "more",
    "most",
    "much",
    "must",
    "my",
    "myself",
    "neither",
    "no",
    "nor",
    "not",
    "of",
    "off",
    "on",
    "once",
    "one",
    "only",
    "or",
    "other",
    "our",
    "ours",
    "out",
    "over",
    "own",
    "per",
    "same",
    "shall",
    "she",
    "should",
    "since",
    "so",
    "some",
    "such",
    "than",
    "that",
    "the",
    "their",
    "theirs",
    "them",
    "themselves",
    "then",
    "there",
    "therefore",
    "these",
    "they",
    "this",
    "those",
    "though",
    "through",
    "thus",
    "to",
    "too",
    "under",
    "until",
    "up",
    "upon",
    "us",
    "very",
    "was",
    "we",
    "were",
    "what",
    "when",
    "where",
    "whether",
    "which",
    "while",
    "who",
    "whom",
    "whose",
    "why",
    "will",
    "with",
    "within",
    "without",
    "would",
    "yes",
    "yet",
    "you",
    "your",
    "yours",
    "yourself",
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(text: &str) -> Vec<&str> {
        sentences(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn tables_are_sorted_for_binary_search() {
        assert!(FUNCTION_WORDS.is_sorted());
        assert!(NUMBER_WORDS.is_sorted_by_key(|&(word, _)| word));
    }

    #[test]
    fn words_are_folded() {
        let folded =
            |text: &str| words(text).into_iter().map(|word| word.folded).collect::<Vec<_>>();
        assert_eq!(
            folded("The Keeper\u{2019}s 1,175 crowns, \u{fb01}xed"),
            ["the", "keeper", "1175", "crowns", "fixed"]
        );
        assert_eq!(folded("twelve racks at 7.9 bar"), ["12", "racks", "at", "7.9", "bar"]);
        assert_eq!(folded("10,20,30"), ["10,20,30"]);
    }

    #[test]
    fn sentences_end_where_a_reader_would_end_them() {
        assert_eq!(split("One. Two! Three?"), ["One.", "Two!", "Three?"]);
        assert_eq!(
            split("Dr. Smith met J. K. Holm. They left."),
            ["Dr. Smith met J. K. Holm.", "They left."]
        );
        assert_eq!(
            split("A wrapped\nsentence here. Next one."),
            ["A wrapped\nsentence here.", "Next one."]
        );
        assert_eq!(split("A heading\n\nA paragraph."), ["A heading", "A paragraph."]);
        assert_eq!(split("Bring:\n- rope\n- a lamp"), ["Bring:", "- rope", "- a lamp"]);
        assert_eq!(
            split("It relieves at 3.4 bar. It is old."),
            ["It relieves at 3.4 bar.", "It is old."]
        );
        assert!(split(" \n ").is_empty());
    }

    #[test]
    fn one_line_hides_nothing() {
        assert_eq!(one_line("a\u{202e}b\u{200b}c\u{0007}d\r\n\r\n e\u{2028}f  "), "abc d e f");
    }

    proptest! {
        #[test]
        fn sentence_ranges_are_ordered_and_on_character_borders(text in "\\PC{0,80}|[a-zA-Z.!? \n\r\\-•0-9]{0,80}") {
            let mut last = 0;
            for range in sentences(&text) {
                prop_assert!(range.start >= last && range.end > range.start);
                prop_assert!(text.get(range.clone()).is_some());
                last = range.end;
            }
        }

        #[test]
        fn one_line_is_one_line(text in any::<String>()) {
            let line = one_line(&text);
            let broken = line.chars().any(|c| c.is_control() || (c.is_whitespace() && c != ' '));
            prop_assert!(!broken);
        }
    }
}
