//! The comparison itself.

use super::{SUPPORT_THRESHOLD, Vocabulary};
use crate::text::{Word, characters_before, sentences, words};
use quartet_types::{AnswerSentence, PageSpan, Passage, SearchHit, Support};
use std::collections::HashSet;
use std::ops::Range;

/// Score left to a span that shares one word with the answer and none with the question.
const RELATION_FLOOR: f32 = 0.05;
/// What each further word shared with the answer adds to it: the more an answer says that
/// stands in the span, the less the question has to confirm it.
const FLOOR_PER_WORD: f32 = 0.1;
/// Relation at which the question no longer holds the score back.
const RELATION_FULL: f32 = 0.5;
/// Highest score of a span that lacks a number or a name of the sentence.
const MISSING_NAME_CAP: f32 = 0.3;
/// How much better two sentences must be than one to be cited together.
const LONGER_SPAN_MARGIN: f32 = 0.05;

/// A passage that the model was given.
#[derive(Debug, Clone, Copy)]
pub struct ReadPassage<'a> {
    /// Its index in what was retrieved.
    pub index: usize,
    /// The passage.
    pub passage: &'a Passage,
    /// How many bytes of its text were read (all, unless it was cut to fit).
    pub bytes: usize,
}

/// Finds support in a set of passages for answers to one question.
pub struct Matcher<'a> {
    question: Vec<Word>,
    question_stems: HashSet<String>,
    vocabulary: Vocabulary,
    passages: Vec<Prepared<'a>>,
}

struct Prepared<'a> {
    read: ReadPassage<'a>,
    text: &'a str,
    spans: Vec<Span>,
    /// Share of the question's idf in text, title and heading.
    relation: f32,
    stems: HashSet<String>,
}

struct Span {
    range: Range<usize>,
    stems: HashSet<String>,
    folded: HashSet<String>,
    relation: f32,
}

impl<'a> Matcher<'a> {
    /// Prepares the passages read; `retrieved` (all hits) tells rare words from common ones.
    #[must_use]
    pub fn new(question: &str, read: &[ReadPassage<'a>], retrieved: &[SearchHit]) -> Self {
        let vocabulary = Vocabulary::new(retrieved.iter().map(|hit| hit.passage.text.as_str()));
        let question: Vec<Word> = content(words(question));
        let question_stems = stems(&question);
        let mut matcher = Self { question, question_stems, vocabulary, passages: Vec::new() };
        for &read in read {
            let prepared = matcher.prepare(read);
            matcher.passages.push(prepared);
        }
        matcher
    }

    fn prepare(&self, read: ReadPassage<'a>) -> Prepared<'a> {
        let text = read.passage.text.get(..read.bytes).unwrap_or(&read.passage.text);
        let singles: Vec<Range<usize>> = sentences(text);
        let mut ranges = singles.clone();
        ranges.extend(singles.windows(2).map(|pair| pair[0].start..pair[1].end));
        let spans: Vec<Span> = ranges
            .into_iter()
            .map(|range| {
                let inside = words(&text[range.clone()]);
                let stems = stems(&inside);
                let folded = inside.into_iter().map(|word| word.folded).collect();
                Span { range, relation: self.relation(&stems), stems, folded }
            })
            .collect();
        let mut all: HashSet<String> = stems(&words(text));
        let in_text = all.clone();
        all.extend(stems(&words(&read.passage.title)));
        all.extend(stems(&words(read.passage.heading.as_deref().unwrap_or_default())));
        Prepared { read, text, spans, relation: self.relation(&all), stems: in_text }
    }

    /// Share of the question's idf among `stems`, from 0 to 1.
    fn relation(&self, stems: &HashSet<String>) -> f32 {
        self.share(self.question.iter(), |word| stems.contains(&word.stem))
    }

    /// Share of the idf of `of` for which `found` holds, from 0 to 1; 0 when `of` is empty.
    fn share<'w>(&self, of: impl Iterator<Item = &'w Word>, found: impl Fn(&Word) -> bool) -> f32 {
        let (mut all, mut carried) = (0.0, 0.0);
        for word in of {
            let idf = self.vocabulary.idf(&word.stem);
            all += idf;
            if found(word) {
                carried += idf;
            }
        }
        if all > 0.0 { carried / all } else { 0.0 }
    }

    /// The answer's sentences, each with its best support at or above the threshold.
    #[must_use]
    pub fn sentences(&self, answer: &str) -> Vec<AnswerSentence> {
        sentences(answer)
            .into_iter()
            .map(|range| AnswerSentence {
                start: characters_before(answer, range.start),
                end: characters_before(answer, range.end),
                support: self
                    .best(&answer[range])
                    .filter(|support| support.score >= SUPPORT_THRESHOLD),
            })
            .collect()
    }

    /// The best span for one sentence, whatever its score; `None` when the sentence says
    /// nothing that the question does not already say.
    #[must_use]
    pub fn best(&self, sentence: &str) -> Option<Support> {
        let new = self.new_words(sentence);
        if new.is_empty() {
            return None;
        }
        let mut best: Option<(f32, &Prepared<'a>, &Span)> = None;
        for prepared in &self.passages {
            // Single sentences stand before pairs, so a pair has to win by the margin.
            for span in &prepared.spans {
                let score = self.score(&new, prepared, span);
                let margin = match best {
                    Some((_, _, held)) if span.range.len() > held.range.len() => LONGER_SPAN_MARGIN,
                    _ => 0.0,
                };
                if best.is_none_or(|(held, _, _)| score > held + margin) {
                    best = Some((score, prepared, span));
                }
            }
        }
        let (score, prepared, span) = best?;
        let passage = prepared.read.passage;
        let start = passage.span.start + characters_before(prepared.text, span.range.start);
        let end = passage.span.start + characters_before(prepared.text, span.range.end);
        Some(Support {
            passage: prepared.read.index,
            document: passage.document,
            span: PageSpan {
                page: passage.span.page,
                start: start.min(passage.span.end),
                end: end.min(passage.span.end),
            },
            score,
        })
    }

    /// Share of the idf of the answer's new words that occur in the passages read, together.
    /// 0 when there are none.
    #[must_use]
    pub fn answer_in_passages(&self, answer: &str) -> f32 {
        let new = self.new_words(answer);
        self.share(new.iter().map(|(word, _)| word), |word| {
            self.passages.iter().any(|prepared| prepared.stems.contains(&word.stem))
        })
    }

    /// Content words of the sentence that the question lacks, and whether each is a number or
    /// a name, which must be matched exactly.
    fn new_words(&self, sentence: &str) -> Vec<(Word, bool)> {
        let all = words(sentence);
        let long = all.len() > 3;
        all.into_iter()
            .enumerate()
            .filter(|(_, word)| !word.function && !self.question_stems.contains(&word.stem))
            .map(|(place, word)| {
                let name = word.capital && !(place == 0 && long);
                let exact = name || word.number;
                (word, exact)
            })
            .collect()
    }

    fn score(&self, new: &[(Word, bool)], prepared: &Prepared<'_>, span: &Span) -> f32 {
        let carried =
            self.share(new.iter().map(|(word, _)| word), |word| span.stems.contains(&word.stem));
        if carried == 0.0 {
            return 0.0;
        }
        let relation = 0.9 * span.relation + 0.1 * prepared.relation;
        let shared = new.iter().filter(|(word, _)| span.stems.contains(&word.stem)).count();
        let floor = (1..shared.min(10)).fold(RELATION_FLOOR, |floor, _| floor + FLOOR_PER_WORD);
        let held = floor + (1.0 - floor) * (relation / RELATION_FULL).min(1.0);
        let score = carried * held;
        let missing = new.iter().any(|(word, exact)| *exact && !span.folded.contains(&word.folded));
        if missing { score.min(MISSING_NAME_CAP) } else { score }
    }
}

fn content(words: Vec<Word>) -> Vec<Word> {
    words.into_iter().filter(|word| !word.function).collect()
}

fn stems(words: &[Word]) -> HashSet<String> {
    words.iter().map(|word| word.stem.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rag::tests::hit;

    const TEXT: &str = "Gannet Point stands on the western cliffs. It is the taller of the pair, \
        with a focal plane 47 metres above high water. Low Tern burns only 19 metres above the \
        sea. Casimir Veldhuyn drew up the restart order, because the fire pumps are there.";

    fn support(question: &str, sentence: &str) -> Option<(String, f32)> {
        let hits = [hit(1, "Handbook", 3, 100, TEXT), hit(2, "Stores", 1, 0, OTHER)];
        let read: Vec<ReadPassage<'_>> = hits
            .iter()
            .enumerate()
            .map(|(index, hit)| ReadPassage {
                index,
                passage: &hit.passage,
                bytes: hit.passage.text.len(),
            })
            .collect();
        let matcher = Matcher::new(question, &read, &hits);
        matcher.best(sentence).map(|support| {
            let text = &hits[support.passage].passage.text;
            let first = hits[support.passage].passage.span.start;
            let span = text
                .chars()
                .skip((support.span.start - first) as usize)
                .take((support.span.end - support.span.start) as usize)
                .collect();
            (span, support.score)
        })
    }

    const OTHER: &str = "The store holds 47 drums of paint. Brass polish is kept on shelf 19.";

    #[test]
    fn a_short_answer_is_cited_where_question_and_answer_meet() {
        let (span, score) =
            support("How high above the water is the focal plane of Gannet Point?", "47 metres.")
                .unwrap();
        assert!(span.contains("47 metres above high water"), "{span}");
        assert!(score >= SUPPORT_THRESHOLD, "{score}");
    }

    #[test]
    fn a_wrong_number_is_not_supported_however_much_else_agrees() {
        let (_, score) = support(
            "How high is Gannet Point?",
            "The focal plane is 48 metres above high water on the western cliffs.",
        )
        .unwrap();
        assert!(score < SUPPORT_THRESHOLD, "{score}");
    }

    #[test]
    fn a_wrong_name_is_not_supported() {
        let question = "Who drew up the restart order?";
        let right = support(question, "Casimir Veldhuyn drew up the restart order.").unwrap();
        let wrong = support(question, "Casimir Oskvay drew up the restart order.").unwrap();
        assert!(right.1 >= SUPPORT_THRESHOLD, "{}", right.1);
        assert!(wrong.1 < SUPPORT_THRESHOLD, "{}", wrong.1);
    }

    #[test]
    fn repeating_the_question_gains_nothing() {
        assert_eq!(
            support(
                "How high is the focal plane above the water?",
                "The focal plane is high above the water."
            ),
            None
        );
    }

    #[test]
    fn the_same_number_about_something_else_is_weak() {
        let (span, score) = support("How many drums of paint are there?", "47").unwrap();
        assert!(span.contains("drums of paint"), "{span}");
        assert!(score >= SUPPORT_THRESHOLD);
        let (_, unrelated) =
            support("What is the harbour master's telephone number?", "47").unwrap();
        assert!(unrelated < SUPPORT_THRESHOLD, "{unrelated}");
    }

    #[test]
    fn two_sentences_are_cited_only_where_one_is_not_enough() {
        let (span, score) = support(
            "Which light is tallest, and how high?",
            "Gannet Point is the taller, 47 metres above high water.",
        )
        .unwrap();
        assert!(span.starts_with("Gannet Point") && span.ends_with("high water."), "{span}");
        assert!(score >= SUPPORT_THRESHOLD, "{score}");
    }

    #[test]
    fn spans_are_characters_of_the_page() {
        let text = "Über die Brücke. The ferry leaves at 7 o'clock.";
        let hits = [hit(1, "Ferry", 2, 40, text)];
        let read = [ReadPassage { index: 0, passage: &hits[0].passage, bytes: text.len() }];
        let matcher = Matcher::new("When does the ferry leave?", &read, &hits);
        let found = matcher.sentences("At 7 o'clock.");
        let support = found[0].support.as_ref().unwrap();
        assert_eq!((support.span.start, support.span.end), (57, 87));
        assert_eq!((found[0].start, found[0].end), (0, 13));
    }
}
