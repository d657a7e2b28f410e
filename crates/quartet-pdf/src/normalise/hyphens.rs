//! Words cut at a line's end, put together again.
//!
//! Whether the hyphen belongs to the word is a question of evidence: how the document
//! writes that word where no line ends.

use super::characters::SOFT_HYPHEN;
use std::collections::HashMap;

/// How often the document writes each word (lower case, hyphens kept) away from line ends.
#[derive(Debug, Default)]
pub(crate) struct Vocabulary {
    words: HashMap<String, u32>,
}

/// First parts that are usually followed by a real hyphen.
const COMPOUND_STARTS: [&str; 20] = [
    "cross", "first", "five", "four", "full", "half", "high", "large", "long", "low", "mid", "non",
    "one", "quasi", "self", "short", "small", "third", "three", "two",
];

/// First parts that are words themselves and yet start words without a hyphen.
const PREFIXES: [&str; 24] = [
    "after", "any", "back", "by", "counter", "every", "for", "fore", "in", "inter", "mis", "on",
    "out", "over", "pre", "some", "sub", "super", "there", "under", "up", "where", "with", "ex",
];

/// Last parts that are words themselves and yet end words without a hyphen.
const SUFFIXES: [&str; 14] = [
    "able", "ally", "age", "ages", "hood", "ion", "less", "ness", "ship", "ships", "ward", "wards",
    "wise", "press",
];

/// Numbers up to ninety-nine keep their hyphen whatever else the document says.
const TENS: [&str; 8] =
    ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const UNITS: [&str; 18] = [
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "first", "second",
    "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth",
];

/// Words after which `short- and long-term` goes on.
const CONJUNCTIONS: [&str; 8] = ["and", "or", "to", "und", "oder", "bis", "et", "ou"];

impl Vocabulary {
    /// Takes up the words of lines, except those that a line's end cuts.
    pub(crate) fn add_lines<'a>(&mut self, lines: impl IntoIterator<Item = &'a str>) {
        let mut after_cut = false;
        for line in lines {
            let whole = match line.split_once(' ') {
                _ if !after_cut => line,
                Some((_, rest)) => rest,
                None => "",
            };
            self.add_line(whole);
            after_cut = ends_cut(line);
        }
    }

    fn add_line(&mut self, line: &str) {
        let whole = match line.strip_suffix(['-', SOFT_HYPHEN]) {
            Some(rest) => rest.rfind(char::is_whitespace).map_or("", |end| &rest[..end]),
            None => line,
        };
        for word in whole.split(|c: char| !is_word_part(c)) {
            let word = word.trim_matches('-');
            if word.is_empty() {
                continue;
            }
            let word = word.to_lowercase();
            for part in word.split('-').filter(|part| part.len() < word.len() && !part.is_empty()) {
                *self.words.entry(part.to_owned()).or_default() += 1;
            }
            *self.words.entry(word).or_default() += 1;
        }
    }

    fn count(&self, word: &str) -> u32 {
        self.words.get(&word.to_lowercase()).copied().unwrap_or(0)
    }

    /// Appends the next line of a paragraph to `text`.
    pub(crate) fn join(&self, text: &mut String, next: &str) {
        match self.seam(text, next) {
            Seam::Space => text.push(' '),
            Seam::Nothing => {}
            Seam::WithoutHyphen => {
                text.pop();
            }
        }
        text.push_str(next);
    }

    /// Whether `text` ends within a word that `next` goes on with.
    pub(crate) fn is_cut(text: &str, next: &str) -> bool {
        ends_cut(text) && next.chars().next().is_some_and(char::is_alphanumeric)
    }

    fn seam(&self, text: &str, next: &str) -> Seam {
        let ends_wide = text.chars().next_back().is_some_and(is_east_asian);
        if ends_wide && next.chars().next().is_some_and(is_east_asian) {
            return Seam::Nothing;
        }
        // units—ten, 1904–1909: a dash without a space before it has none behind it.
        let mut end = text.chars().rev();
        if matches!(end.next(), Some('—' | '–')) && end.next().is_some_and(char::is_alphanumeric)
        {
            return Seam::Nothing;
        }
        if text.ends_with(SOFT_HYPHEN) {
            return Seam::WithoutHyphen;
        }
        if !ends_cut(text) {
            return Seam::Space;
        }
        let head = last_word(&text[..text.len() - 1]);
        let tail: String = next.chars().take_while(|&c| is_word_part(c)).collect();
        let tail = tail.trim_end_matches('-');
        let Some(first) = tail.chars().next() else { return Seam::Space };
        if CONJUNCTIONS.contains(&tail) {
            return Seam::Space;
        }
        // 1990-1995, US-American, Anglo-Saxon: only a lower-case letter goes on with a word.
        if !first.is_lowercase() || head.ends_with(|c: char| c.is_numeric() || c == '/') {
            return Seam::Nothing;
        }
        let (joined, compound) = (format!("{head}{tail}"), format!("{head}-{tail}"));
        let (joined, compound) = (self.count(&joined), self.count(&compound));
        if joined != compound {
            return if joined > compound { Seam::WithoutHyphen } else { Seam::Nothing };
        }
        // A second hyphen (state-of-the-art) or a capital abbreviation tells of a compound.
        let start = head.rsplit('-').next().unwrap_or(&head);
        let is_abbreviation = start.chars().count() > 1 && start.chars().all(char::is_uppercase);
        let parts = (self.count(start), self.count(tail.split('-').next().unwrap_or(tail)));
        let usual = COMPOUND_STARTS.contains(&start.to_lowercase().as_str());
        let small_start = start.to_lowercase();
        let first_tail = tail.split('-').next().unwrap_or(tail);
        let could_be_one_word =
            PREFIXES.contains(&small_start.as_str()) || SUFFIXES.contains(&first_tail);
        let long_enough = start.chars().count() > 2 && tail.chars().count() > 3;
        let both_are_words = long_enough && !could_be_one_word && parts.0 >= 2 && parts.1 >= 2;
        // state-owned, longest-serving: a participle that is a word by itself.
        let participle = long_enough
            && !could_be_one_word
            && (first_tail.ends_with("ing") || first_tail.ends_with("ed"))
            && first_tail.chars().count() >= 5
            && parts.0 >= 1
            && parts.1 >= 1;
        let number = TENS.contains(&small_start.as_str()) && UNITS.contains(&first_tail);
        if is_abbreviation
            || number
            || head.contains('-')
            || (usual && parts.1 >= 1)
            || both_are_words
            || participle
        {
            Seam::Nothing
        } else {
            Seam::WithoutHyphen
        }
    }
}

#[derive(Debug, PartialEq)]
enum Seam {
    Space,
    Nothing,
    WithoutHyphen,
}

fn is_word_part(character: char) -> bool {
    character.is_alphanumeric() || character == '-' || character == '\u{301}'
}

/// A hyphen right after a letter or digit.
fn ends_cut(text: &str) -> bool {
    let mut end = text.chars().rev();
    matches!(end.next(), Some('-' | SOFT_HYPHEN)) && end.next().is_some_and(char::is_alphanumeric)
}

fn last_word(text: &str) -> String {
    let start = text
        .char_indices()
        .rev()
        .take_while(|&(_, c)| is_word_part(c))
        .last()
        .map_or(text.len(), |(index, _)| index);
    text[start..].to_owned()
}

/// Scripts that put no space at a line's end.
fn is_east_asian(character: char) -> bool {
    matches!(character, '\u{2e80}'..='\u{a4cf}' | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe4f}'
        | '\u{ff00}'..='\u{ffef}' | '\u{20000}'..='\u{3134f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(document: &str, first: &str, second: &str) -> String {
        let mut vocabulary = Vocabulary::default();
        vocabulary.add_lines(document.lines());
        let mut text = first.to_owned();
        vocabulary.join(&mut text, second);
        text
    }

    #[test]
    fn hyphens_are_kept_or_dropped_by_evidence() {
        let long = "long-term plans are long-term\nthe international office";
        for (first, second, expected) in [
            ("an inter-", "national office", "an international office"),
            ("many long-", "term effects", "many long-term effects"),
            ("an exam-", "ple of it", "an example of it"),
            ("many short-", "and long-term", "many short- and long-term"),
            ("from 1990-", "1995 on", "from 1990-1995 on"),
            ("the Anglo-", "Saxon world", "the Anglo-Saxon world"),
            ("an EU-", "wide rule", "an EU-wide rule"),
            ("the ninety-", "second step", "the ninety-second step"),
            ("no hyphen", "here", "no hyphen here"),
            ("soft\u{ad}", "ware", "software"),
            ("eleven units—", "ten of them", "eleven units—ten of them"),
            ("a dash -", "then more", "a dash - then more"),
            ("日本語の文", "章です", "日本語の文章です"),
            ("state-of-the-", "art tools", "state-of-the-art tools"),
        ] {
            assert_eq!(joined(long, first, second), expected);
        }
    }

    #[test]
    fn two_words_of_the_document_are_taken_for_a_compound() {
        let document = "they owned it\nthe state";
        assert_eq!(joined(document, "a state-", "owned firm"), "a state-owned firm");
        let document = "an enforce-\nable rule\nthey enforce\nable men enforce\nable";
        assert_eq!(joined(document, "an enforce-", "able law"), "an enforceable law");
        let document = "the fifth try\nthe fifth day\nthe floor\nevery floor";
        assert_eq!(joined(document, "a fifth-", "floor room"), "a fifth-floor room");
    }
}
