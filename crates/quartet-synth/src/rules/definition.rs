//! `X is a ...`, `X, a ..., ` and `the ROLE, NAME`.

use super::{Pair, Seen, clause, subject};
use crate::mention::MentionKind;
use crate::row::RowSource;
use crate::shape::ROLES;
use crate::words::count;

pub(super) fn pairs(seen: &Seen<'_>) -> Vec<Pair> {
    let mut found = Vec::new();
    found.extend(copula(seen));
    found.extend(apposition(seen));
    found.extend(role(seen));
    found
}

fn copula(seen: &Seen<'_>) -> Option<Pair> {
    let words = &seen.sentence.words;
    let verb = words
        .iter()
        .position(|word| matches!(word.folded.as_str(), "is" | "are" | "was" | "were"))?;
    let article = words.get(verb + 1)?;
    if !matches!(article.folded.as_str(), "a" | "an" | "the") {
        return None;
    }
    let rest = seen.sentence.line.get(article.range.start..)?;
    let mut answer = clause(rest);
    for cut in [" which ", " who ", " because ", " and ", " but ", " so "] {
        if let Some(end) = answer.find(cut) {
            answer = answer.get(..end)?;
        }
    }
    if !(2..=16).contains(&count(answer)) || answer.ends_with(" of") {
        return None;
    }
    let subject = subject(seen, verb)?;
    Some(ask(seen, words.get(verb)?.folded.as_str(), &subject, answer))
}

fn apposition(seen: &Seen<'_>) -> Option<Pair> {
    let line = &seen.sentence.line;
    let comma = line.find(", ")?;
    let inner = line.get(comma + 2..)?;
    if !(inner.starts_with("a ") || inner.starts_with("an ")) {
        return None;
    }
    let end = inner.find(", ")?;
    let answer = inner.get(..end)?.trim();
    let words = &seen.sentence.words;
    let subject_end = words.iter().take_while(|word| word.range.end <= comma).count();
    // After the second comma the sentence goes on with its verb; a list goes on with a noun.
    let after = words.iter().find(|word| word.range.start >= comma + 2 + end)?;
    let goes_on = matches!(
        after.folded.as_str(),
        "is" | "are" | "was" | "were" | "has" | "have" | "had" | "will" | "can" | "may" | "must"
    );
    if !goes_on || !(2..=12).contains(&count(answer)) {
        return None;
    }
    let subject = subject(seen, subject_end)?;
    Some(ask(seen, "is", &subject, answer))
}

fn ask(seen: &Seen<'_>, verb: &str, subject: &str, answer: &str) -> Pair {
    let who = if seen.corpus.is_person(subject) { "Who" } else { "What" };
    let variants = if who == "Who" {
        vec![format!("Can you say who {subject} {verb}?")]
    } else {
        vec![
            format!("Can you explain what {subject} {verb}?"),
            format!("What kind of thing {verb} {subject}?"),
        ]
    };
    Pair {
        source: RowSource::Definition,
        question: format!("{who} {verb} {subject}?"),
        answer: answer.to_owned(),
        variants,
        sentence: 0,
    }
}

/// `the chief keeper, Torvald Quillane.`
fn role(seen: &Seen<'_>) -> Option<Pair> {
    let (line, words) = (&seen.sentence.line, &seen.sentence.words);
    seen.mentions.iter().filter(|mention| mention.kind == MentionKind::Name).find_map(|mention| {
        let name = line.get(mention.range.clone())?;
        if !seen.corpus.is_person(name) {
            return None;
        }
        let last = mention.words.start.checked_sub(1)?;
        let noun = words.get(last)?;
        if !ROLES.contains(&noun.folded.as_str())
            || line.get(noun.range.end..mention.range.start) != Some(", ")
        {
            return None;
        }
        let after = line.get(mention.range.end..)?;
        if !(after.starts_with([',', '.', ':', ';']) || after.is_empty()) {
            return None;
        }
        let first = (last.saturating_sub(3)..last)
            .rev()
            .find(|&place| words.get(place).is_some_and(|word| word.folded == "the"))?;
        let between = words.get(first + 1..=last)?;
        if between.iter().any(|word| word.capital || word.function) {
            return None;
        }
        let start = words.get(first)?.range.start;
        let role = super::lower_first(line.get(start..noun.range.end)?);
        Some(Pair {
            source: RowSource::Name,
            question: format!("Who is {role}?"),
            answer: name.to_owned(),
            variants: vec![
                format!("What is the name of {role}?"),
                format!("By what name does one know {role}?"),
            ],
            sentence: 0,
        })
    })
}
