//! What an expert is taught, as text: which passages it reads, which it never sees, and which
//! wordings of a question it is asked.

use super::turns::Turns;
use quartet_types::{ChunkId, DocumentId, Passage};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Of so many passages one is held out of all training, to measure on.
const HELD_OUT_ONE_IN: usize = 12;
/// Never fewer than this, nor more.
const HELD_OUT: std::ops::RangeInclusive<usize> = 2..=40;
/// Fewer passages than this are all trained on: nothing is left to measure.
const FEWEST_TO_HOLD_OUT: usize = 8;

/// Text of which the end is learnt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lesson {
    /// Read, not learnt: control tokens in it count. Empty for running text.
    pub read: String,
    /// The question in it, between `read` and `then`: data.
    pub question: String,
    /// Read after the question: control tokens count.
    pub then: String,
    /// Learnt: data.
    pub learn: String,
    /// Learnt at the end: control tokens count.
    pub end: String,
}

/// A question with its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// The question.
    pub question: String,
    /// The answer.
    pub answer: String,
}

/// A question in several wordings, some of them only for measuring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wordings {
    /// The passage it was made from.
    pub chunk: ChunkId,
    /// Wordings that are trained.
    pub trained: Vec<String>,
    /// Wordings as a person might ask, among those above and below: no gaps, no headings.
    pub natural: Vec<String>,
    /// Wordings that are kept for whoever listens to the expert: it is not taught them, so that
    /// what it makes of them is what it will make of a new question.
    pub listened: Vec<String>,
    /// Wordings that are not.
    pub held_out: Vec<String>,
    /// The answer.
    pub answer: String,
}

/// A question as people type it in passing: another wording that costs nothing to make.
/// `place` chooses the manner.
#[must_use]
pub fn in_passing(question: &str, place: u64) -> String {
    let question = question.trim();
    let bare = question.trim_end_matches(['?', '.', ' ']);
    match place % 4 {
        0 => bare.to_lowercase(),
        1 => format!("Quick question: {question}"),
        2 => format!("I would like to know this: {question}"),
        _ => format!("{bare} please"),
    }
}

/// Everything an expert is taught and measured on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lessons {
    /// Running text.
    pub reading: Vec<Lesson>,
    /// Questions and answers.
    pub answering: Vec<Lesson>,
    /// Wordings nobody has been taught.
    pub asked: Vec<Exchange>,
}

/// Passages held out of all training: spread evenly over the collection, away from the first
/// and last passage of a document where possible, the same ones every time.
#[must_use]
pub fn held_out(passages: &[Passage]) -> BTreeSet<ChunkId> {
    if passages.len() < FEWEST_TO_HOLD_OUT {
        return BTreeSet::new();
    }
    let count = (passages.len() / HELD_OUT_ONE_IN).clamp(*HELD_OUT.start(), *HELD_OUT.end());
    let step = passages.len() / count;
    (0..count)
        .filter_map(|index| {
            let range = index * step..(index + 1) * step;
            let middle = range.start + step / 2;
            let inside = |at: &usize| {
                let document = |at: usize| passages.get(at).map(|passage| passage.document);
                let own: Option<DocumentId> = document(*at);
                own == document(at + 1) && *at > 0 && own == document(at - 1)
            };
            let mut near: Vec<usize> = range.collect();
            near.sort_by_key(|at| at.abs_diff(middle));
            let chosen = near.iter().copied().find(inside).or(near.first().copied())?;
            passages.get(chosen).map(|passage| passage.chunk)
        })
        .collect()
}

/// A passage as it is read: under its title and heading, which say what it is about.
#[must_use]
pub fn running_text(passage: &Passage) -> String {
    let mut text = passage.title.trim().to_owned();
    if let Some(heading) = passage.heading.as_deref().filter(|heading| *heading != passage.title) {
        text.push('\n');
        text.push_str(heading.trim());
    }
    text.push('\n');
    text.push_str(passage.text.trim());
    text
}

impl Lessons {
    /// Lessons from passages and questions. Passages in `held_out` and questions made from them
    /// are left out.
    #[must_use]
    pub fn prepare(
        passages: &[Passage],
        held_out: &BTreeSet<ChunkId>,
        questions: &[Wordings],
        turns: Turns,
    ) -> Self {
        let reading = passages
            .iter()
            .filter(|passage| !held_out.contains(&passage.chunk))
            .map(|passage| Lesson::text(running_text(passage)))
            .collect();
        let mut lessons = Self { reading, ..Self::default() };
        for wordings in questions.iter().filter(|one| !held_out.contains(&one.chunk)) {
            for question in &wordings.trained {
                lessons.answering.push(Lesson::exchange(turns, question, &wordings.answer));
            }
            lessons.asked.extend(wordings.held_out.iter().map(|question| Exchange {
                question: question.clone(),
                answer: wordings.answer.clone(),
            }));
        }
        lessons
    }
}

impl Lesson {
    /// Running text, all of it learnt.
    #[must_use]
    pub fn text(text: String) -> Self {
        Self {
            read: String::new(),
            question: String::new(),
            then: String::new(),
            learn: text,
            end: String::new(),
        }
    }

    /// A question, read, and its answer, learnt.
    #[must_use]
    pub fn exchange(turns: Turns, question: &str, answer: &str) -> Self {
        Self {
            read: turns.before_question().to_owned(),
            question: question.trim().to_owned(),
            then: turns.before_answer().to_owned(),
            learn: answer.trim().to_owned(),
            end: turns.after_answer().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quartet_types::{PageNumber, PageSpan};

    fn passage(chunk: i64, document: i64) -> Passage {
        Passage {
            chunk: ChunkId(chunk),
            document: DocumentId(document),
            title: "Pumps".to_owned(),
            path: "pumps.pdf".to_owned(),
            span: PageSpan { page: PageNumber(1), start: 0, end: 9 },
            heading: Some("Inlets".to_owned()),
            text: format!("Pump {chunk} has an inlet."),
        }
    }

    fn wordings(chunk: i64) -> Wordings {
        Wordings {
            chunk: ChunkId(chunk),
            trained: vec![format!("What has pump {chunk}?")],
            listened: vec![format!("what does pump {chunk} have")],
            natural: Vec::new(),
            held_out: vec![format!("Pump {chunk} has what?")],
            answer: "an inlet".to_owned(),
        }
    }

    #[test]
    fn what_is_held_out_is_neither_read_nor_asked_for() {
        let passages: Vec<Passage> = (0..60).map(|at| passage(at, at / 10)).collect();
        let held = held_out(&passages);
        assert_eq!(held.len(), 5);
        assert_eq!(held, held_out(&passages));
        assert!(held.iter().all(|chunk| !matches!(chunk.0 % 10, 0 | 9)), "{held:?}");

        let questions: Vec<Wordings> = (0..60).map(wordings).collect();
        let lessons = Lessons::prepare(&passages, &held, &questions, Turns::Gemma);
        assert_eq!([lessons.reading.len(), lessons.answering.len(), lessons.asked.len()], [55; 3]);
        for chunk in &held {
            let name = format!("ump {chunk} ");
            assert!(lessons.reading.iter().all(|lesson| !lesson.learn.contains(&name)));
            assert!(lessons.answering.iter().all(|lesson| !lesson.question.contains(&name)));
        }
        assert!(lessons.reading[0].learn.starts_with("Pumps\nInlets\nPump 0"));
    }

    #[test]
    fn questions_in_passing_are_other_wordings() {
        let made: BTreeSet<String> =
            (0..4).map(|place| in_passing("Who signed it?", place)).collect();
        assert_eq!(made.len(), 4);
        assert!(made.contains("who signed it") && made.contains("Who signed it please"));
    }

    #[test]
    fn a_handful_of_passages_is_all_trained_on() {
        let passages: Vec<Passage> = (0..7).map(|at| passage(at, 0)).collect();
        assert!(held_out(&passages).is_empty());
    }
}
