//! A sentence with a gap where a number, date or name stood. The document's title stands
//! before it, so that it can be understood alone.

use super::{Pair, Seen};
use crate::mention::{Mention, MentionKind};
use crate::row::RowSource;
use crate::words::{contains, is_english};

pub(super) const GAP: &str = "____";

pub(super) fn pair(seen: &Seen<'_>) -> Option<Pair> {
    let sentence = seen.sentence;
    if seen.title.is_empty() || !(8..=36).contains(&sentence.words.len()) || sentence.leans() {
        return None;
    }
    let mention = seen
        .mentions
        .iter()
        .filter(|mention| {
            let text = sentence.line.get(mention.range.clone()).unwrap_or_default();
            !seen.corpus.is_generic(text)
        })
        .min_by_key(|mention| rank(mention))?;
    let answer = sentence.line.get(mention.range.clone())?;
    let before = sentence.line.get(..mention.range.start)?;
    let after = sentence.line.get(mention.range.end..)?;
    let gapped = format!("{before}{GAP}{after}");
    // Enough must be left to tell which sentence it is, and the answer must be gone.
    let content = sentence
        .words
        .iter()
        .filter(|word| !word.function && !mention.range.contains(&word.range.start))
        .count();
    if content < 4 || contains(&gapped, answer) || contains(seen.title, answer) {
        return None;
    }
    let title = seen.title;
    let mut variants = vec![format!(
        "\u{201c}{gapped}\u{201d} (\u{201c}{title}\u{201d}): what stands in the gap?"
    )];
    variants.extend(echo(seen, mention, before, after));
    Some(Pair {
        source: RowSource::Cloze,
        question: format!(
            "What is missing in this sentence from \u{201c}{title}\u{201d}: \u{201c}{gapped}\u{201d}?"
        ),
        answer: answer.to_owned(),
        variants,
        sentence: 0,
    })
}

/// The sentence as an echo: `The tower holds how many racks?`
fn echo(seen: &Seen<'_>, mention: &Mention, before: &str, after: &str) -> Option<String> {
    let words = seen.sentence.words.get(mention.words.clone())?;
    let (first, last) = (words.first()?, words.last()?);
    let asked = match mention.kind {
        MentionKind::Number if !last.number && words.len() > 1 && last.folded.ends_with('s') => {
            format!("how many {}", seen.sentence.line.get(last.range.clone())?)
        }
        MentionKind::Date if words.len() == 1 && before.ends_with("in ") => "which year".to_owned(),
        MentionKind::Date if before.ends_with("on ") => "which day".to_owned(),
        MentionKind::Name => {
            let text = seen.sentence.line.get(first.range.start..last.range.end)?;
            let person = seen.corpus.is_person(text) && before.ends_with(" by ");
            if !person {
                return None;
            }
            "whom".to_owned()
        }
        _ => return None,
    };
    if !before.ends_with(' ') || !is_english(&seen.sentence.line) {
        return None;
    }
    let title = seen.title;
    let line = format!("{before}{asked}{after}");
    let line = line.trim_end_matches(['.', '!']);
    Some(format!("\u{201c}{title}\u{201d}: {line}?"))
}

/// Numbers first: they are learnt worst; names where there is no other fact.
fn rank(mention: &Mention) -> (u8, usize) {
    let kind = match mention.kind {
        MentionKind::Number => 0,
        MentionKind::Date => 1,
        MentionKind::Name => 2,
        MentionKind::Reason => 3,
    };
    (kind, mention.words.start)
}
