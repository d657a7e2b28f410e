//! True and false statements made from sentences.

use crate::corpus::Corpus;
use crate::filter::{Dropped, Tally};
use crate::mention::mentions;
use crate::row::RowSource;
use crate::sentence::Sentence;
use crate::split::number;
use crate::swap::{Unless, swapped};
use crate::words::is_english;

/// A statement and whether it is true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) source: RowSource,
    pub(crate) statement: String,
    pub(crate) label: bool,
    pub(crate) sentence: usize,
}

/// Up to `most` claims, true and false in turn; which comes first follows from the seed, so
/// that over a collection both are equally frequent.
pub(crate) fn claims(
    sentences: &[Sentence],
    corpus: &Corpus,
    most: usize,
    seed: &str,
    tally: &mut Tally,
) -> Vec<Claim> {
    let mut usable: Vec<usize> = (0..sentences.len())
        .filter(|&place| {
            sentences.get(place).is_some_and(|sentence| stands_alone(sentence, corpus))
        })
        .collect();
    usable.sort_by_key(|place| number(&["claim", seed, &place.to_string()]));
    let mut label = number(&["label", seed]).is_multiple_of(2);
    let mut found = Vec::new();
    for place in usable {
        if found.len() >= most {
            break;
        }
        let Some(sentence) = sentences.get(place) else { continue };
        let claim = if label {
            tally.made(RowSource::Sentence);
            Some((RowSource::Sentence, sentence.line.clone()))
        } else {
            false_version(sentence, corpus, seed, tally)
        };
        if let Some((source, statement)) = claim {
            found.push(Claim { source, statement, label, sentence: place });
            label = !label;
        }
    }
    found
}

/// A statement that needs no other beside it: no pronoun at its head, a name in it, no speech.
fn stands_alone(sentence: &Sentence, corpus: &Corpus) -> bool {
    let leaning = sentence.words.iter().take(3).any(|word| {
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
                | "these"
                | "those"
                | "we"
                | "our"
                | "you"
                | "your"
                | "i"
        )
    });
    (5..=30).contains(&sentence.words.len())
        && !sentence.leans()
        && !leaning
        && !sentence.line.contains(['"', '\u{201c}', '\u{201d}', '?'])
        && mentions(sentence, &corpus.names).iter().any(|mention| mention.words.len() > 1)
}

fn false_version(
    sentence: &Sentence,
    corpus: &Corpus,
    seed: &str,
    tally: &mut Tally,
) -> Option<(RowSource, String)> {
    let mut refused = 0;
    let change = |refused: &mut u32| {
        swapped(sentence, corpus, Unless::SaidInSentence, seed, refused)
            .map(|statement| (RowSource::Swap, statement))
    };
    let deny = || negated(sentence).map(|statement| (RowSource::Negation, statement));
    // One in three is a negation, so that `not` alone tells little.
    let claim = if number(&["negate", seed, &sentence.line]).is_multiple_of(3) {
        deny().or_else(|| change(&mut refused))
    } else {
        change(&mut refused).or_else(deny)
    };
    for _ in 0..refused {
        tally.made(RowSource::Swap);
        tally.dropped(RowSource::Swap, Dropped::MayBeTrue);
    }
    if let Some((source, _)) = &claim {
        tally.made(*source);
    }
    claim
}

/// The sentence with `not` after its first auxiliary, or without the `not` that stands there.
/// Only where the auxiliary stands in the main clause and no other word would change the sense.
pub(crate) fn negated(sentence: &Sentence) -> Option<String> {
    if !is_english(&sentence.line) {
        return None;
    }
    let tangled = sentence.words.iter().any(|word| {
        matches!(
            word.folded.as_str(),
            "all"
                | "any"
                | "both"
                | "but"
                | "either"
                | "every"
                | "each"
                | "few"
                | "if"
                | "neither"
                | "never"
                | "no"
                | "nobody"
                | "none"
                | "nor"
                | "nothing"
                | "only"
                | "or"
                | "some"
                | "somebody"
                | "something"
                | "unless"
                | "until"
                | "when"
                | "whenever"
                | "while"
                | "although"
                | "though"
                | "who"
                | "which"
                | "whose"
        )
    });
    if tangled {
        return None;
    }
    let place = sentence.words.iter().position(|word| {
        matches!(
            word.folded.as_str(),
            "is" | "are"
                | "was"
                | "were"
                | "can"
                | "could"
                | "will"
                | "would"
                | "must"
                | "may"
                | "should"
        )
    })?;
    let auxiliary = sentence.words.get(place)?;
    let (before, after) = sentence.line.split_at_checked(auxiliary.range.end)?;
    // A comma before the auxiliary may begin another clause; `that` does.
    let second_clause = before.contains([',', ';', ':', '(', '\u{2014}'])
        || sentence.words.get(..place)?.iter().any(|word| {
            matches!(word.folded.as_str(), "that" | "because" | "since" | "as" | "where")
        });
    let spoken = sentence.words.get(..place)?.iter().any(|word| {
        matches!(word.folded.as_str(), "said" | "says" | "asked" | "agreed" | "warned" | "wrote")
    });
    if second_clause || spoken || place == 0 {
        return None;
    }
    if let Some(rest) = after.strip_prefix(" not ") {
        return Some(format!("{before} {rest}"));
    }
    let elsewhere = sentence.words.iter().any(|word| word.folded == "not");
    (!elsewhere && after.starts_with(' ')).then(|| format!("{before} not{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_sentences_are_negated_and_tangled_ones_left() {
        let cases = [
            (
                "The lamp at Low Tern is a sealed cluster.",
                Some("The lamp at Low Tern is not a sealed cluster."),
            ),
            ("Keepers must not open the housing.", Some("Keepers must open the housing.")),
            (
                "The chair was taken by Cosima Ballantree.",
                Some("The chair was not taken by Cosima Ballantree."),
            ),
            ("Every lamp at Low Tern is sealed well.", None),
            ("The horn, when it fails, is rung by hand at night.", None),
            ("Odile Tamsett kept the minutes of the meeting.", None),
            ("She said the roof was not safe in the winter.", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(negated(&Sentence::of_line(text)).as_deref(), wanted, "{text}");
        }
    }
}
