//! From raw pages to the text that is chunked, searched and cited.
//!
//! This needs the whole document: what repeats at the edges of pages is furniture, and how
//! a word is written elsewhere decides whether its hyphen stays. It is a pure function of
//! the raw pages, so the same pages always give the same character offsets.

mod characters;
mod furniture;
mod hyphens;
mod paragraphs;

use crate::raw::{LinePlace, RawPage};
use hyphens::Vocabulary;
use quartet_types::{PageProblem, PageText};

/// A page on its way to text.
#[derive(Debug)]
struct Page {
    number: u32,
    lines: Vec<Line>,
}

#[derive(Debug, Clone)]
struct Line {
    text: String,
    place: Option<LinePlace>,
    removed: bool,
}

impl Line {
    #[cfg(test)]
    fn unplaced(text: &str) -> Self {
        Self { text: text.to_owned(), place: None, removed: false }
    }
}

impl Page {
    /// The writing direction of most of its characters.
    fn main_turn(&self) -> i16 {
        let mut turns: Vec<(i16, usize)> = Vec::new();
        for line in &self.lines {
            let Some(place) = line.place else { continue };
            let length = line.text.chars().count();
            match turns.iter_mut().find(|(turn, _)| *turn == place.turn) {
                Some((_, total)) => *total += length,
                None => turns.push((place.turn, length)),
            }
        }
        turns.into_iter().max_by_key(|&(_, total)| total).map_or(0, |(turn, _)| turn)
    }
}

/// Turns the raw pages of one document, in order, into normalised text.
///
/// - Ligatures and other mere typography are folded, the rest is NFC; superscripts stay.
/// - Words cut at line ends are joined, compounds keep their hyphen (by the document's own
///   words). A word cut at a page's end is finished on that page.
/// - Running heads, running feet and page numbers are removed.
/// - Paragraphs are separated by `"\n\n"`; headings, list items and rows of tables stand on
///   lines of their own, cells of a row two spaces apart.
///
/// A page that has no text left carries [`PageProblem::Empty`].
#[must_use]
pub fn normalise_document(raw_pages: &[RawPage]) -> Vec<PageText> {
    let mut pages: Vec<Page> = raw_pages.iter().map(prepare).collect();
    furniture::remove(&mut pages);
    let mut vocabulary = Vocabulary::default();
    for page in &pages {
        vocabulary.add_lines(page.lines.iter().map(|line| line.text.as_str()));
    }
    let mut texts: Vec<String> =
        pages.iter().map(|page| paragraphs::assemble(page, &vocabulary)).collect();
    finish_cut_words(&mut texts, &vocabulary);
    raw_pages
        .iter()
        .zip(texts)
        .map(|(raw, text)| {
            let mut problems = raw.problems.clone();
            if text.is_empty() && !problems.contains(&PageProblem::Empty) {
                problems.push(PageProblem::Empty);
            }
            PageText { number: raw.number, text, extractor: raw.extractor, problems }
        })
        .collect()
}

fn prepare(raw: &RawPage) -> Page {
    let mut lines: Vec<Line> = raw
        .lines
        .iter()
        .map(|line| Line {
            text: characters::clean_line(&line.text),
            place: line.place.filter(|place| place.size.is_finite() && place.baseline.is_finite()),
            removed: false,
        })
        .collect();
    lines.retain(|line| line.place.is_none() || !line.text.is_empty());
    Page { number: raw.number.0, lines }
}

/// Moves the rest of a word that is cut at a page's end to where the word began.
fn finish_cut_words(texts: &mut [String], vocabulary: &Vocabulary) {
    for index in 1..texts.len() {
        let (before, after) = texts.split_at_mut(index);
        let (Some(last), Some(next)) = (before.last_mut(), after.first_mut()) else { continue };
        let starts_small = next.chars().next().is_some_and(char::is_lowercase);
        if !starts_small || !Vocabulary::is_cut(last, next) {
            continue;
        }
        let end = next.find(char::is_whitespace).unwrap_or(next.len());
        let rest: String = next.drain(..end).collect();
        vocabulary.join(last, &rest);
        next.drain(..next.len() - next.trim_start().len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw::RawLine;
    use proptest::prelude::*;
    use quartet_types::{Extractor, PageNumber};

    fn raw(number: u32, lines: &[&str]) -> RawPage {
        let mut page = RawPage::empty(PageNumber(number), Extractor::PdfOxide);
        page.lines = lines.iter().map(|&line| RawLine::unplaced(line)).collect();
        page
    }

    #[test]
    fn a_word_cut_by_the_page_is_finished_where_it_began() {
        let pages = normalise_document(&[raw(1, &["this is an exam-"]), raw(2, &["ple of it"])]);
        assert_eq!(pages[0].text, "this is an example");
        assert_eq!(pages[1].text, "of it");
    }

    #[test]
    fn a_page_of_controls_is_empty() {
        let pages = normalise_document(&[raw(1, &["\u{0}\u{1}", " \u{200b}"])]);
        assert_eq!(pages[0].text, "");
        assert_eq!(pages[0].problems, [PageProblem::Empty]);
    }

    proptest! {
        #[test]
        fn any_page_is_normalised(lines in prop::collection::vec("\\PC{0,60}", 0..30)) {
            let raw = RawPage {
                lines: lines.iter().map(RawLine::unplaced).collect(),
                ..RawPage::empty(PageNumber(1), Extractor::PdfOxide)
            };
            let pages = normalise_document(&[raw.clone(), RawPage { number: PageNumber(2), ..raw }]);
            for page in pages {
                prop_assert!(!page.text.contains("\n\n\n"));
                prop_assert_eq!(page.text.trim(), page.text.as_str());
                prop_assert!(!page.text.chars().any(|c| c.is_control() && c != '\n'));
            }
        }
    }
}
