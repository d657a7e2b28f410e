//! What a document says under a heading: the first sentence that stands there.

use super::Pair;
use crate::row::RowSource;
use crate::sentence::Sentence;
use crate::words::{contains, count, key};
use quartet_methods::text::one_line;
use quartet_types::Passage;

/// Words of the answer, at most: a sentence, not a paragraph.
pub(crate) const MOST_WORDS: usize = 40;

pub(super) fn pair(passage: &Passage, sentences: &[Sentence], title: &str) -> Option<Pair> {
    let heading = one_line(passage.heading.as_deref()?);
    let heading = heading.trim_start_matches(|c: char| c.is_ascii_digit() || " .)".contains(c));
    let usable = (1..=8).contains(&count(heading))
        && heading.chars().filter(|c| c.is_alphabetic()).count() >= 3
        && !title.is_empty()
        && !contains(title, heading)
        && !contains(heading, title);
    let first = sentences.first()?;
    // Only where the section begins in this passage: the heading stands right before it.
    let above = passage.text.get(..first.range.start)?;
    let begins = above
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .is_some_and(|line| key(line) == key(heading));
    if !usable || !begins || first.words.len() > MOST_WORDS || first.leans() {
        return None;
    }
    let question = format!(
        "What does \u{201c}{title}\u{201d} say first under the heading \u{201c}{heading}\u{201d}?"
    );
    Some(Pair {
        source: RowSource::Heading,
        question,
        answer: first.line.clone(),
        variants: vec![format!(
            "How does the section \u{201c}{heading}\u{201d} of \u{201c}{title}\u{201d} begin?"
        )],
        sentence: 0,
    })
}
