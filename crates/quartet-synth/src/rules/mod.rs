//! Pairs made without a model. The answer is a piece of a sentence, so it is grounded by
//! construction; each rule looks for one plain shape of sentence and lets everything else pass.
//!
//! The shapes are English. Text in other languages gets gaps and headings only.

mod definition;
mod event;
mod gap;
mod heading;
mod quantity;

use crate::corpus::Corpus;
use crate::mention::{Mention, mentions};
use crate::row::RowSource;
use crate::sentence::Sentence;
use crate::words::is_english;
use quartet_methods::text::one_line;
use quartet_types::Passage;

/// A question and answer from a rule, with other wordings of the question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) source: RowSource,
    pub(crate) question: String,
    pub(crate) answer: String,
    pub(crate) variants: Vec<String>,
    /// Index of the sentence it is from.
    pub(crate) sentence: usize,
}

/// What a rule looks at.
pub(crate) struct Seen<'a> {
    pub(crate) sentence: &'a Sentence,
    pub(crate) mentions: &'a [Mention],
    pub(crate) corpus: &'a Corpus,
    pub(crate) title: &'a str,
}

/// Every pair the rules find in a passage, in the order of its sentences.
pub(crate) fn pairs(
    passage: &Passage,
    sentences: &[Sentence],
    corpus: &Corpus,
    gaps: usize,
) -> Vec<Pair> {
    let title = one_line(&passage.title);
    let mut found = Vec::new();
    let mut gaps_left = gaps;
    found.extend(heading::pair(passage, sentences, &title));
    for (place, sentence) in sentences.iter().enumerate() {
        let mentions = mentions(sentence, &corpus.names);
        let seen = Seen { sentence, mentions: &mentions, corpus, title: &title };
        let mut pairs = Vec::new();
        if is_english(&sentence.line) {
            pairs.extend(definition::pairs(&seen));
            pairs.extend(quantity::pairs(&seen));
            pairs.extend(event::pairs(&seen));
        }
        if gaps_left > 0 {
            let gap = gap::pair(&seen);
            gaps_left -= usize::from(gap.is_some());
            pairs.extend(gap);
        }
        found.extend(pairs.into_iter().map(|pair| Pair { sentence: place, ..pair }));
    }
    found
}

/// The words from the sentence's beginning up to word `end`, as the subject of a question: it
/// has a name, no mark inside, no pronoun and no second clause. Its first word loses its capital
/// unless it is part of a name.
pub(crate) fn subject(seen: &Seen<'_>, end: usize) -> Option<String> {
    let words = seen.sentence.words.get(..end)?;
    if words.is_empty() || words.len() > 8 {
        return None;
    }
    let plain = words.windows(2).all(|pair| match pair {
        [left, right] => {
            matches!(seen.sentence.line.get(left.range.end..right.range.start), Some(" " | "-"))
        }
        _ => true,
    });
    let clause = words.iter().any(|word| {
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
                | "here"
                | "who"
                | "which"
                | "what"
                | "whose"
                | "we"
                | "our"
                | "you"
                | "your"
                | "i"
                | "my"
                | "if"
                | "when"
                | "while"
                | "because"
                | "as"
                | "but"
                | "or"
                | "and"
                | "not"
                | "no"
                | "only"
                | "each"
                | "every"
                | "any"
                | "is"
                | "are"
                | "was"
                | "were"
                | "has"
                | "have"
                | "had"
                | "be"
                | "been"
                | "may"
                | "must"
                | "can"
                | "will"
                | "would"
                | "should"
                | "do"
                | "does"
                | "did"
                | "to"
                | "one"
                | "some"
                | "other"
                | "another"
                | "since"
                | "until"
                | "after"
                | "before"
        )
    });
    let named = seen.mentions.iter().any(|mention| {
        mention.kind == crate::mention::MentionKind::Name && mention.words.end <= end
    });
    // What a preposition begins is no subject.
    let begins = words
        .first()
        .is_some_and(|word| !word.function || matches!(word.folded.as_str(), "the" | "a" | "an"));
    if !(plain && !clause && named && begins) {
        return None;
    }
    let last = words.last()?;
    let text = seen.sentence.line.get(..last.range.end)?;
    let in_name = seen.mentions.iter().any(|mention| mention.words.start == 0);
    Some(if in_name { text.to_owned() } else { lower_first(text) })
}

/// The text with its first letter in lower case.
pub(crate) fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    characters
        .next()
        .map(|first| first.to_lowercase().chain(characters).collect())
        .unwrap_or_default()
}

/// The text up to the first mark that ends a clause, without it.
pub(crate) fn clause(text: &str) -> &str {
    let end = text
        .char_indices()
        .find(|&(place, mark)| match mark {
            ';' | ':' | '(' | '\u{2014}' | '?' | '!' => true,
            // Not within a number such as 3.4 or 1,200.
            '.' | ',' => {
                text.get(place + 1..).is_none_or(|rest| rest.is_empty() || rest.starts_with(' '))
            }
            _ => false,
        })
        .map_or(text.len(), |(place, _)| place);
    text.get(..end).unwrap_or(text).trim()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sentence::of_passage;
    use crate::sentence::tests::passage;

    /// `source: question -> answer`, one a line, without gaps and headings.
    fn plain(text: &str) -> Vec<String> {
        let passage = passage(1, "Pumps", text);
        let corpus = Corpus::new(std::slice::from_ref(&passage));
        pairs(&passage, &of_passage(&passage), &corpus, 0)
            .into_iter()
            .filter(|pair| pair.source != RowSource::Heading)
            .map(|pair| format!("{:?}: {} -> {}", pair.source, pair.question, pair.answer))
            .collect()
    }

    #[test]
    fn plain_sentences_become_questions() {
        let cases: [(&str, &[&str]); 11] = [
            (
                "The Harl 60 is a bilge pump with a brass feeler.",
                &["Definition: What is the Harl 60? -> a bilge pump with a brass feeler"],
            ),
            (
                "The bilge pump at Low Tern, a Harl 60, is set with care.",
                &["Definition: What is the bilge pump at Low Tern? -> a Harl 60"],
            ),
            (
                "The master key is carried by the chief keeper, Torvald Quillane.",
                &["Name: Who is the chief keeper? -> Torvald Quillane"],
            ),
            (
                "The handbook of Varnholm was compiled by Maren Oskvay in one winter.",
                &["Name: Who was the handbook of Varnholm compiled by? -> Maren Oskvay"],
            ),
            (
                "The Gannet Point lens was repaired on 9 April 2031.",
                &["Date: When was the Gannet Point lens repaired? -> 9 April 2031"],
            ),
            (
                "The Skarvik clinic opened in 1987 with two beds.",
                &["Date: When did the Skarvik clinic open? -> 1987"],
            ),
            (
                "The Kettle Sound station has twelve racks and a cat.",
                &["Number: How many racks does the Kettle Sound station have? -> twelve"],
            ),
            (
                "The Gannet Point tower is 47 metres high.",
                &["Number: How high is the Gannet Point tower? -> 47 metres"],
            ),
            (
                "A berth at Hollow Quay costs 40 crowns a night.",
                &["Number: How much does a berth at Hollow Quay cost? -> 40 crowns"],
            ),
            ("It has twelve racks at Kettle Sound.", &[]),
            ("If the pump at Low Tern is a Harl 60, turn it off and call the keeper.", &[]),
        ];
        for (text, wanted) in cases {
            assert_eq!(plain(text), wanted, "{text}");
        }
    }

    #[test]
    fn other_languages_get_gaps_only() {
        let text = "Der Leuchtturm von Varnholm hat 47 Meter Höhe und steht auf dem Felsen.";
        assert_eq!(plain(text), Vec::<String>::new());
        let passage = passage(1, "Turm", text);
        let corpus = Corpus::new(std::slice::from_ref(&passage));
        let found = pairs(&passage, &of_passage(&passage), &corpus, 2);
        assert!(found.iter().any(|pair| pair.source == RowSource::Cloze), "{found:?}");
    }
}
