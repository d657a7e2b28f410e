//! Which passages of a collection hold the gold evidence of a question.

use crate::bootstrap::to_f64;
use crate::evidence::DocumentNames;
use crate::questions::{ExamQuestion, GoldEvidence};
use crate::text::{contains, normalise};
use quartet_types::Passage;
use std::collections::HashSet;

/// Share of a sentence's word triples in a passage that holds a good part of it: a long sentence
/// may be cut between two passages, and both then lead to it.
const OVERLAP: f64 = 0.5;

/// Passages that hold the evidence: on its page of its document, where the file names these, and
/// with its sentence. Without a sentence, those of the page (or document) that hold an answer in
/// so many words; without any such, all of it. None where the file names no evidence, or the
/// collection does not have it.
#[must_use]
pub fn gold_passages<'p>(
    question: &ExamQuestion,
    passages: &'p [Passage],
    names: &DocumentNames,
) -> Vec<&'p Passage> {
    let mut gold: Vec<&'p Passage> = Vec::new();
    for evidence in &question.evidence {
        if evidence.document.is_none() && evidence.text.is_none() {
            continue;
        }
        let there: Vec<&Passage> =
            passages.iter().filter(|passage| is_place(evidence, passage, names)).collect();
        let holding: Vec<&Passage> = match &evidence.text {
            Some(text) => {
                let sentence = Sentence::new(text);
                there.iter().copied().filter(|one| sentence.overlaps(&one.text)).collect()
            }
            // A title names the whole document, which every passage of it does, and that something
            // is true stands nowhere in so many words.
            None if evidence.page.is_none() || question.is_polar() => Vec::new(),
            None => {
                let holds = |one: &&Passage| contains(&one.text, &question.answers) > 0.5;
                there.iter().copied().filter(holds).collect()
            }
        };
        // A sentence without a place that is nowhere is not everywhere.
        let whole = if evidence.document.is_some() { there } else { Vec::new() };
        let found = if holding.is_empty() { whole } else { holding };
        for passage in found {
            if !gold.iter().any(|known| known.chunk == passage.chunk) {
                gold.push(passage);
            }
        }
    }
    gold
}

fn is_place(evidence: &GoldEvidence, passage: &Passage, names: &DocumentNames) -> bool {
    evidence.page.is_none_or(|page| passage.span.page.0 == page)
        && evidence.document.as_deref().is_none_or(|document| names.names(document, passage))
}

struct Sentence {
    text: String,
    triples: HashSet<String>,
}

impl Sentence {
    fn new(text: &str) -> Self {
        let text = normalise(text);
        Self { triples: triples(&text), text }
    }

    fn overlaps(&self, passage: &str) -> bool {
        let passage = normalise(passage);
        if self.text.is_empty() {
            return false;
        }
        if format!(" {passage} ").contains(&format!(" {} ", self.text)) {
            return true;
        }
        let found = triples(&passage);
        let common = self.triples.iter().filter(|triple| found.contains(*triple)).count();
        !self.triples.is_empty() && to_f64(common) / to_f64(self.triples.len()) >= OVERLAP
    }
}

fn triples(text: &str) -> HashSet<String> {
    let words: Vec<&str> = text.split(' ').collect();
    words.windows(3).map(|three| three.join(" ")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::questions::parse_questions;
    use crate::result::tests::hit;
    use quartet_types::ChunkId;

    fn passages() -> Vec<Passage> {
        let texts = [
            ("a01.pdf", 3, "Gannet Point stands on the cliffs. Its plane is 47 metres up."),
            ("a01.pdf", 3, "Low Tern is more modest than the other."),
            ("a01.pdf", 4, "Forty-seven metres is the height, as was said."),
            ("b.pdf", 3, "Its plane is 47 metres up."),
        ];
        (0..)
            .zip(texts)
            .map(|(chunk, (path, page, text))| {
                let mut passage = hit(path, "", page, text).passage;
                passage.chunk = ChunkId(chunk);
                passage
            })
            .collect()
    }

    fn gold(row: &str) -> Vec<i64> {
        let question = parse_questions("f", row).unwrap().remove(0);
        let passages = passages();
        let found = gold_passages(&question, &passages, &DocumentNames::default());
        found.iter().map(|passage| passage.chunk.0).collect()
    }

    #[test]
    fn place_and_sentence_decide() {
        for (what, row, expected) in [
            (
                "the sentence, and only on its page",
                r#"{"question":"Q","answers":["47 m"],"doc":"a01","page":3,"evidence":"Its plane is 47 metres up."}"#,
                vec![0],
            ),
            (
                "without a sentence, where the answer stands",
                r#"{"entity":"E","relation":"R","answers":["40 m","47 metres"],"doc":"a01","page":3}"#,
                vec![0],
            ),
            (
                "without either, the page",
                r#"{"entity":"E","relation":"R","answers":["unsaid"],"doc":"a01","page":3}"#,
                vec![0, 1],
            ),
            (
                "a sentence that extraction has lost leaves the page",
                r#"{"question":"Q","answers":["x"],"doc":"a01","page":4,"evidence":"Nothing like it was ever written here."}"#,
                vec![2],
            ),
            (
                "a title is led to by any passage",
                r#"{"context":"[START]x[END]","title":"47 metres","doc":"a01"}"#,
                vec![0, 1, 2],
            ),
            (
                "a sentence without a place, wherever it is",
                r#"{"question":"Q","answers":["x"],"evidence":"Its plane is 47 metres up."}"#,
                vec![0, 3],
            ),
            (
                "and nowhere if it is nowhere",
                r#"{"question":"Q","answers":["x"],"evidence":"Nothing like it was ever written."}"#,
                vec![],
            ),
            (
                "several pieces",
                r#"{"question":"Q","answers":["x"],"docs":["a01","b"],"pages":[4,3],"evidence":["Forty-seven metres is the height","Its plane is 47 metres up."]}"#,
                vec![2, 3],
            ),
            (
                "a document that is not there",
                r#"{"question":"Q","answers":["x"],"doc":"z","page":1}"#,
                vec![],
            ),
            ("no evidence", r#"{"question":"Q","answers":["x"]}"#, vec![]),
        ] {
            assert_eq!(gold(row), expected, "{what}");
        }
    }

    #[test]
    fn both_halves_of_a_sentence_lead_to_it() {
        let sentence = Sentence::new("One two three four five six seven eight nine ten eleven.");
        assert!(sentence.overlaps("Before. One two three four five six seven"));
        assert!(sentence.overlaps("five six seven eight nine ten eleven. After."));
        assert!(!sentence.overlaps("nine ten eleven. After."));
    }
}
