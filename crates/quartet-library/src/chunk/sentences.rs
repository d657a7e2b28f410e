//! Sentences, by Unicode's sentence bounds (UAX #29) with the layout and the abbreviations that
//! the standard leaves to others.

use super::heading::{is_heading, is_item, is_row, number_depth, split_number};
use std::ops::Range;
use unicode_segmentation::UnicodeSegmentation;

/// Never the end of a sentence.
const ABBREVIATIONS: [&str; 29] = [
    "al", "approx", "ca", "cf", "capt", "col", "dr", "e.g", "eg", "esp", "etc", "gen", "gov",
    "hon", "i.e", "ie", "incl", "jr", "mr", "mrs", "ms", "prof", "resp", "rev", "sen", "sgt", "st",
    "viz", "vs",
];
/// Not the end of a sentence when a number follows.
const REFERENCES: [&str; 42] = [
    "app", "apr", "art", "arts", "aug", "ch", "chap", "cl", "dec", "ed", "eq", "eqs", "ex", "feb",
    "fig", "figs", "jan", "jul", "jun", "lemma", "mar", "no", "nos", "nov", "nr", "oct", "p",
    "para", "paras", "pp", "pt", "ref", "refs", "rev", "s", "sec", "sect", "sep", "sept", "tab",
    "thm", "vol",
];

/// What a piece of a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PieceKind {
    /// A line that heads what follows.
    Heading,
    /// A row of a table.
    Row,
    /// A sentence, of running text or of a list item.
    Sentence,
}

/// A sentence, a heading line or a table row.
pub(super) struct Piece {
    /// Characters of the page, without white space at the ends.
    pub(super) range: Range<usize>,
    pub(super) kind: PieceKind,
    /// Whether a paragraph, list item or line ends here.
    pub(super) ends_paragraph: bool,
}

/// The sentences of a text as character ranges, in order and trimmed of white space.
///
/// Blank lines and lines that begin a list item always end a sentence; a heading line and a table
/// row are units of their own; other line breaks are spaces. Every character that is not white
/// space lies in exactly one range.
pub fn sentences(text: &str) -> Vec<Range<usize>> {
    pieces(text).into_iter().map(|piece| piece.range).collect()
}

struct Line<'a> {
    text: &'a str,
    /// Its first character's place in the page.
    start: usize,
}

impl Line<'_> {
    fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }
}

pub(super) fn pieces(text: &str) -> Vec<Piece> {
    let mut start = 0;
    let lines: Vec<Line<'_>> = text
        .split('\n')
        .map(|line| {
            let line = Line { text: line, start };
            start += line.text.chars().count() + 1;
            line
        })
        .collect();
    let headings = headings(&lines);
    let mut pieces = Vec::new();
    let mut block = String::new();
    let mut block_start = 0;
    for (line, is_heading) in lines.iter().zip(headings) {
        let row = !is_item(line.text) && is_row(line.text);
        if line.is_blank() || is_heading || row || is_item(line.text) {
            split_block(&block, block_start, &mut pieces);
            block.clear();
        }
        if line.is_blank() {
            continue;
        }
        if is_heading || row {
            let kind = if is_heading { PieceKind::Heading } else { PieceKind::Row };
            push(line.text, line.start, kind, &mut pieces);
            if let Some(last) = pieces.last_mut() {
                last.ends_paragraph = true;
            }
            continue;
        }
        if block.is_empty() {
            block_start = line.start;
        } else {
            block.push(' ');
        }
        block.push_str(line.text);
    }
    split_block(&block, block_start, &mut pieces);
    pieces
}

/// Which lines are headings: they look like one, begin a paragraph, and are neither one item of a
/// numbered list nor the first line of a sentence that goes on below.
fn headings(lines: &[Line<'_>]) -> Vec<bool> {
    let mut found = vec![false; lines.len()];
    let mut next_text = vec![None; lines.len()];
    for index in (0..lines.len().saturating_sub(1)).rev() {
        next_text[index] =
            if lines[index + 1].is_blank() { next_text[index + 1] } else { Some(index + 1) };
    }
    let mut previous: Option<usize> = None;
    for (index, line) in lines.iter().enumerate() {
        if line.is_blank() {
            continue;
        }
        let begins = previous.is_none_or(|before| before + 1 < index || found[before]);
        let sibling = |other: Option<usize>| {
            let depth = number_depth(line.text);
            depth.is_some() && other.is_some_and(|other| number_depth(lines[other].text) == depth)
        };
        let next = next_text[index];
        let goes_on = next.is_some_and(|next| {
            next == index + 1 && {
                let below = lines[next].text.trim_start();
                below.starts_with(char::is_lowercase) || is_row(below)
            }
        });
        found[index] = begins
            && !goes_on
            && is_heading(line.text)
            && !sibling(next)
            && !sibling(previous.filter(|before| !found[*before]));
        previous = Some(index);
    }
    found
}

/// Adds the sentences of one paragraph or list item, whose line breaks are spaces by now.
fn split_block(block: &str, start: usize, pieces: &mut Vec<Piece>) {
    let first = pieces.len();
    let (mut open, mut byte, mut at) = (0, 0, start);
    for bound in block.split_sentence_bounds() {
        byte += bound.len();
        let sentence = &block[open..byte];
        if byte < block.len() && !is_end(sentence, &block[byte..]) {
            continue;
        }
        push(sentence, at, PieceKind::Sentence, pieces);
        at += sentence.chars().count();
        open = byte;
    }
    if let Some(last) = pieces[first..].last_mut() {
        last.ends_paragraph = true;
    }
}

fn push(text: &str, start: usize, kind: PieceKind, pieces: &mut Vec<Piece>) {
    let leading = text.chars().take_while(|c| c.is_whitespace()).count();
    let length = text.trim().chars().count();
    if length > 0 {
        let start = start + leading;
        pieces.push(Piece { range: start..start + length, kind, ends_paragraph: false });
    }
}

/// Whether a sentence may end between `before` and `after`.
fn is_end(before: &str, after: &str) -> bool {
    let before = before.trim();
    let next = after.split_whitespace().next().unwrap_or_default();
    // Stray punctuation, such as the quote that closes a sentence, stays with what precedes it.
    if !next.chars().any(char::is_alphanumeric) && after.trim() == next {
        return false;
    }
    let Some(stem) = before.strip_suffix('.') else {
        return true;
    };
    let word =
        stem.rsplit([' ', '\t', '\u{a0}', '(', '[', '"', '“', '/']).next().unwrap_or_default();
    // The number of a list item or clause is no sentence: "1. Open the lid."
    if word.len() + 1 >= before.len() && split_number(before).0.is_some() {
        return false;
    }
    let mut letters = word.chars();
    let initial =
        letters.next().is_some_and(|c| c.is_uppercase() && c != 'I') && letters.next().is_none();
    let dotted = word.contains('.')
        && word.split('.').all(|part| part.chars().count() == 1)
        && word.chars().all(|c| c == '.' || c.is_alphabetic());
    if initial || dotted {
        return false;
    }
    // Words longer than any entry need no lower-case copy.
    if word.len() > 6 {
        return true;
    }
    let word = word.to_lowercase();
    let numbered = next
        .trim_start_matches(['(', '[', '§', '#'])
        .starts_with(|c: char| c.is_numeric() || "VXL".contains(c));
    !(ABBREVIATIONS.contains(&word.as_str()) || numbered && REFERENCES.contains(&word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<String> {
        let characters: Vec<char> = text.chars().collect();
        sentences(text).into_iter().map(|range| characters[range].iter().collect()).collect()
    }

    #[test]
    fn abbreviations_and_numbers_do_not_end_sentences() {
        for whole in [
            "Dr. Smith met J. R. Jones, e.g. Bob, cf. Fig. 3 and No. 5.",
            "Pi is 3.14 on p. 3 of Vol. 2.",
            "Pens, paper, etc. Staples too.",
            "The U.S. Army et al. (2020) agree.",
            "1. Open the lid.",
        ] {
            assert_eq!(split(whole), [whole]);
        }
        assert_eq!(
            split("Did he? No. He left at 3.15. Then rain."),
            ["Did he?", "No.", "He left at 3.15.", "Then rain."]
        );
    }

    #[test]
    fn layout_ends_sentences() {
        let text = "2.1 Fruit\nWe sell\nfruit of two kinds:\n• red apples\n• green\n  apples\n\nApples  3  4\nPears  5  6\n\nso ends\n\nit. Yes.";
        assert_eq!(
            split(text),
            [
                "2.1 Fruit",
                "We sell\nfruit of two kinds:",
                "• red apples",
                "• green\n  apples",
                "Apples  3  4",
                "Pears  5  6",
                "so ends",
                "it.",
                "Yes."
            ]
        );
    }

    #[test]
    fn numbered_lists_are_not_headings() {
        let kinds = |text: &str| pieces(text).iter().map(|piece| piece.kind).collect::<Vec<_>>();
        assert!(!kinds("1. Open\n2. Close\n3. Lock").contains(&PieceKind::Heading));
        assert!(!kinds("1. Open\n\n2. Close").contains(&PieceKind::Heading));
        assert_eq!(kinds("1. Scope\n\nThis is it."), [PieceKind::Heading, PieceKind::Sentence]);
        assert_eq!(kinds("The cat\nsat here."), [PieceKind::Sentence]);
    }

    #[test]
    #[expect(clippy::single_range_in_vec_init, reason = "the range of one sentence")]
    fn other_scripts_and_long_text_are_split() {
        assert_eq!(split("今天下雨。我们走吧。"), ["今天下雨。", "我们走吧。"]);
        assert_eq!(split("هل هذا صحيح؟ نعم هو كذلك.").len(), 2);
        assert_eq!(sentences(&"word ".repeat(10_000)), [0..49_999]);
        assert_eq!(sentences(&"Dr. ".repeat(12_500)).len(), 1);
        assert!(sentences(" \n\n ").is_empty());
    }
}
