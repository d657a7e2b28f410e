//! Which pieces of a passage the model is asked to write questions for.

use crate::corpus::Corpus;
use crate::mention::{Mention, MentionKind, mentions, reason};
use crate::sentence::Sentence;
use crate::words::{contains, key};
use std::collections::{HashSet, VecDeque};
use std::ops::Range;

/// An answer that stands in a sentence of the passage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Index of the sentence.
    pub(crate) sentence: usize,
    /// The answer's text.
    pub(crate) text: String,
    /// Its bytes in the sentence's line.
    pub(crate) range: Range<usize>,
    /// What it is.
    pub(crate) kind: MentionKind,
}

/// Up to `most` answers: the best of every sentence, then the next best, so that they are
/// spread over the passage. What stands in title or heading already is no answer; nor is what
/// `taken` says is asked for already (sentence and key of the answer).
pub(crate) fn candidates(
    sentences: &[Sentence],
    corpus: &Corpus,
    above: &str,
    taken: &HashSet<(usize, String)>,
    most: usize,
) -> Vec<Candidate> {
    let mut by_sentence: Vec<VecDeque<Candidate>> = sentences
        .iter()
        .enumerate()
        .map(|(place, sentence)| {
            // What points back would make a question that does.
            if sentence.leans() {
                return VecDeque::new();
            }
            let mut all = mentions(sentence, &corpus.names);
            all.extend(reason(sentence));
            all.sort_by_key(rank);
            all.into_iter()
                .filter_map(|mention| {
                    let text = sentence.line.get(mention.range.clone())?.to_owned();
                    let usable = !contains(above, &text)
                        && !corpus.is_generic(&text)
                        && !taken.contains(&(place, key(&text)));
                    let Mention { range, kind, .. } = mention;
                    usable.then_some(Candidate { sentence: place, text, range, kind })
                })
                .collect()
        })
        .collect();
    let mut chosen: Vec<Candidate> = Vec::new();
    let mut seen: HashSet<String> = HashSet::new();
    while chosen.len() < most && by_sentence.iter().any(|list| !list.is_empty()) {
        for list in &mut by_sentence {
            if chosen.len() >= most {
                break;
            }
            let Some(candidate) = list.pop_front() else { continue };
            if seen.insert(key(&candidate.text)) {
                chosen.push(candidate);
            }
        }
    }
    chosen.sort_by_key(|candidate| candidate.sentence);
    chosen
}

fn rank(mention: &Mention) -> (u8, usize) {
    let kind = match mention.kind {
        MentionKind::Reason => 0,
        MentionKind::Date => 1,
        MentionKind::Number => 2,
        MentionKind::Name => 3,
    };
    (kind, mention.words.start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sentence::of_passage;
    use crate::sentence::tests::passage;

    #[test]
    fn answers_are_spread_over_the_sentences() {
        let passage = passage(
            1,
            "Pumps",
            "The pump at Low Tern, a Harl 60, opens at 3.4 bar. \
            Torvald Quillane greases it in May 2031, because the frost cracks the seals.",
        );
        let corpus = Corpus::new(std::slice::from_ref(&passage));
        let texts = |most| {
            candidates(&of_passage(&passage), &corpus, "Low Tern", &HashSet::new(), most)
                .into_iter()
                .map(|candidate| candidate.text)
                .collect::<Vec<_>>()
        };
        assert_eq!(texts(2), ["3.4 bar", "the frost cracks the seals"]);
        assert_eq!(
            texts(9),
            ["3.4 bar", "Harl 60", "the frost cracks the seals", "May 2031", "Torvald Quillane"]
        );
    }
}
