//! The sentences of a passage, with where they stand on the page.

use crate::row::Provenance;
use quartet_methods::text::{Word, one_line, sentences, words};
use quartet_types::{PageSpan, Passage};
use std::ops::Range;

/// A sentence fit to be studied.
#[derive(Debug, Clone)]
pub(crate) struct Sentence {
    /// Its text on one line.
    pub(crate) line: String,
    /// The words of `line`.
    pub(crate) words: Vec<Word>,
    /// Its bytes in the passage's text.
    pub(crate) range: Range<usize>,
}

impl Sentence {
    /// A text on one line that stands in no passage: a question, for example.
    pub(crate) fn of_question(line: &str) -> Self {
        Self { line: line.to_owned(), words: words(line), range: 0..line.len() }
    }

    /// A sentence on its own.
    #[cfg(test)]
    pub(crate) fn of_line(line: &str) -> Self {
        Self::of_question(line)
    }

    /// Whether it begins with a word that points back to what was said before.
    pub(crate) fn leans(&self) -> bool {
        self.words.first().is_none_or(|word| {
            matches!(
                word.folded.as_str(),
                "it" | "its"
                    | "they"
                    | "their"
                    | "he"
                    | "his"
                    | "she"
                    | "her"
                    | "this"
                    | "that"
                    | "these"
                    | "those"
                    | "there"
                    | "then"
                    | "here"
                    | "such"
                    | "both"
                    | "neither"
                    | "and"
                    | "but"
                    | "so"
                    | "or"
                    | "also"
                    | "however"
                    | "therefore"
                    | "thus"
                    | "otherwise"
                    | "instead"
                    | "we"
                    | "our"
                    | "i"
                    | "my"
                    | "you"
                    | "your"
            )
        })
    }

    /// Where it stands.
    pub(crate) fn provenance(&self, passage: &Passage) -> Provenance {
        let place = |byte: usize| {
            let characters = passage.text.get(..byte).map_or(0, |head| head.chars().count());
            let place = u32::try_from(characters).unwrap_or(u32::MAX);
            passage.span.start.saturating_add(place).min(passage.span.end)
        };
        Provenance {
            document: passage.document,
            chunk: passage.chunk,
            span: PageSpan {
                page: passage.span.page,
                start: place(self.range.start),
                end: place(self.range.end),
            },
            sentence: self.line.clone(),
        }
    }
}

/// Whole sentences of prose: at least five words, ended by a mark, mostly letters. Headings,
/// rows of tables and captions are left out.
pub(crate) fn of_passage(passage: &Passage) -> Vec<Sentence> {
    sentences(&passage.text)
        .into_iter()
        .filter_map(|range| {
            let line = one_line(passage.text.get(range.clone())?);
            let line = line.trim_start_matches(['•', '‣', '▪', '●', '·', '-', '–', '*', ' ']);
            let ended = line.ends_with(['.', '!', '。', '！'])
                || line.trim_end_matches(['"', '\'', '\u{201d}', '\u{2019}', ')']).ends_with('.');
            let words = words(line);
            let letters = line.chars().filter(|c| c.is_alphabetic() || *c == ' ').count();
            let prose = 10 * letters >= 7 * line.chars().count();
            let begins = line.chars().next().is_some_and(|c| !c.is_lowercase());
            let long = words.len() >= 5 && words.len() <= 60;
            (ended && prose && begins && long).then(|| Sentence {
                line: line.to_owned(),
                words,
                range,
            })
        })
        .collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use quartet_types::{ChunkId, DocumentId, PageNumber};

    pub(crate) fn passage(chunk: i64, heading: &str, text: &str) -> Passage {
        Passage {
            chunk: ChunkId(chunk),
            document: DocumentId(1 + chunk / 10),
            title: "The Keeper's Handbook".to_owned(),
            path: "handbook.pdf".to_owned(),
            span: PageSpan {
                page: PageNumber(3),
                start: 100,
                end: 100 + u32::try_from(text.chars().count()).unwrap(),
            },
            heading: Some(heading.to_owned()),
            text: text.to_owned(),
        }
    }

    #[test]
    fn prose_is_told_from_headings_and_tables() {
        let text = "Lenses and lamps\n\nThe lens turns on a bath\nof oil. Übrig.\n\n\
                    Task  Gannet Point  Low Tern\nWipe the panes 1 2 3 4 5 6 7";
        let passage = passage(1, "Lenses and lamps", text);
        let found = of_passage(&passage);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].line, "The lens turns on a bath of oil.");
        let place = found[0].provenance(&passage);
        assert_eq!((place.span.start, place.span.end), (118, 150));
    }

    #[test]
    fn a_sentence_that_points_back_is_known() {
        assert!(Sentence::of_line("It was built long ago here.").leans());
        assert!(!Sentence::of_line("The pump was built long ago.").leans());
    }
}
