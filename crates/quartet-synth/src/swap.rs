//! One name, number or date of a text changed for another of the same shape, in such a way that
//! the collection does not say the result.

use crate::corpus::Corpus;
use crate::mention::{Mention, MentionKind, mentions};
use crate::sentence::Sentence;
use crate::split::number;
use crate::words::content_stems;
use std::collections::HashSet;

/// Changes tried for one mention, at most.
const TRIES: usize = 8;

/// Where a result must not be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unless {
    /// In one sentence (claims).
    SaidInSentence,
    /// In one passage (questions).
    SaidInPassage,
}

/// The text with one mention changed, or `None` where nothing can be changed safely.
/// `refused` counts the changes that the collection may say after all.
pub(crate) fn swapped(
    text: &Sentence,
    corpus: &Corpus,
    unless: Unless,
    seed: &str,
    refused: &mut u32,
) -> Option<String> {
    let mut found = mentions(text, &corpus.names);
    found.sort_by_key(|mention| {
        number(&["swap", seed, text.line.get(mention.range.clone()).unwrap_or_default()])
    });
    found.iter().find_map(|mention| {
        let own = text.line.get(mention.range.clone())?;
        let mut others: Vec<String> = corpus.others(own).into_iter().map(str::to_owned).collect();
        others.sort_by_key(|other| number(&["other", seed, other]));
        if mention.kind == MentionKind::Number && unless == Unless::SaidInSentence {
            others.extend(next_number(own));
        }
        others.into_iter().take(TRIES).find_map(|other| {
            if may_be_said(text, mention, &other, corpus, unless) {
                *refused += 1;
                return None;
            }
            let before = text.line.get(..mention.range.start)?;
            let after = text.line.get(mention.range.end..)?;
            Some(format!("{before}{other}{after}"))
        })
    })
}

/// Whether the collection may say the text with `other` in the place of `mention`: the new name,
/// the text's other names and numbers, and a good part of its content stand together somewhere.
fn may_be_said(
    text: &Sentence,
    mention: &Mention,
    other: &str,
    corpus: &Corpus,
    unless: Unless,
) -> bool {
    let outside = |place: usize| !mention.words.contains(&place);
    let rest =
        || text.words.iter().enumerate().filter(|(place, word)| outside(*place) && !word.function);
    let content: HashSet<String> = rest()
        .filter(|(_, word)| !word.capital && !word.number)
        .map(|(_, word)| word.stem.clone())
        .collect();
    let mut must = content_stems(other);
    match unless {
        Unless::SaidInPassage => corpus.said_in_passage(&must, &content, 0.5),
        Unless::SaidInSentence => {
            must.extend(
                rest()
                    .filter(|(place, word)| word.number || (word.capital && *place > 0))
                    .map(|(_, word)| word.stem.clone()),
            );
            corpus.said_in_sentence(&must, &content, 0.6)
        }
    }
}

/// The number with its first digit one higher (9 becomes 1): `212 litres` is `312 litres`.
fn next_number(text: &str) -> Option<String> {
    let place = text.find(|c: char| c.is_ascii_digit() && c != '0')?;
    let digit = text.get(place..=place)?.parse::<u32>().ok()?;
    let next = if digit == 9 { 1 } else { digit + 1 };
    Some(format!("{}{next}{}", text.get(..place)?, text.get(place + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sentence::tests::passage;

    fn corpus() -> Corpus {
        Corpus::new(&[
            passage(1, "a", "The Harl 60 at Low Tern opens its valve at 3.4 bar in summer."),
            passage(2, "b", "The Harl 90 at Gannet Point opens its valve at 7.9 bar in summer."),
        ])
    }

    #[test]
    fn a_changed_sentence_is_not_said_elsewhere() {
        let corpus = corpus();
        let text =
            Sentence::of_line("The Harl 60 at Low Tern opens its valve at 3.4 bar in summer.");
        for seed in ["1", "2", "3", "4", "5"] {
            let changed = swapped(&text, &corpus, Unless::SaidInSentence, seed, &mut 0).unwrap();
            assert_ne!(changed, text.line);
        }
    }

    #[test]
    fn a_question_the_collection_answers_is_not_unanswerable() {
        let corpus = corpus();
        let question = Sentence::of_line("At what pressure does the Harl 60 open its valve?");
        let mut refused = 0;
        assert_eq!(swapped(&question, &corpus, Unless::SaidInPassage, "1", &mut refused), None);
        assert_eq!(refused, 1);
    }

    #[test]
    fn numbers_change_in_their_first_digit() {
        assert_eq!(next_number("212 litres").as_deref(), Some("312 litres"));
        assert_eq!(next_number("0.95 bar").as_deref(), Some("0.15 bar"));
        assert_eq!(next_number("twelve"), None);
    }
}
