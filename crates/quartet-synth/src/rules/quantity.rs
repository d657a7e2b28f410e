//! Numbers with units: `X is 47 metres high`, `X has twelve racks`, `X costs 40 crowns`.

use super::{Pair, Seen, subject};
use crate::mention::{Mention, MentionKind};
use crate::row::RowSource;

/// Adjectives that stand after a measure and ask with `How`.
const ADJECTIVES: [&str; 9] =
    ["deep", "far", "high", "long", "old", "tall", "thick", "wide", "heavy"];

/// Verb as it stands, its base form and the auxiliary a question takes.
const VERBS: [(&str, &str, &str); 36] = [
    ("has", "have", "does"),
    ("have", "have", "do"),
    ("had", "have", "did"),
    ("holds", "hold", "does"),
    ("hold", "hold", "do"),
    ("held", "hold", "did"),
    ("carries", "carry", "does"),
    ("carry", "carry", "do"),
    ("carried", "carry", "did"),
    ("contains", "contain", "does"),
    ("contain", "contain", "do"),
    ("contained", "contain", "did"),
    ("gives", "give", "does"),
    ("give", "give", "do"),
    ("gave", "give", "did"),
    ("needs", "need", "does"),
    ("need", "need", "do"),
    ("needed", "need", "did"),
    ("uses", "use", "does"),
    ("use", "use", "do"),
    ("used", "use", "did"),
    ("employs", "employ", "does"),
    ("employ", "employ", "do"),
    ("employed", "employ", "did"),
    ("seats", "seat", "does"),
    ("stores", "store", "does"),
    ("produces", "produce", "does"),
    ("requires", "require", "does"),
    ("require", "require", "do"),
    ("required", "require", "did"),
    ("costs", "cost", "does"),
    ("cost", "cost", "do"),
    ("weighs", "weigh", "does"),
    ("weigh", "weigh", "do"),
    ("weighed", "weigh", "did"),
    ("covers", "cover", "does"),
];

/// Words between verb and number that change nothing about what is asked.
const SOFTENERS: [&str; 9] =
    ["about", "almost", "around", "at", "exactly", "just", "nearly", "only", "roughly"];

pub(super) fn pairs(seen: &Seen<'_>) -> Vec<Pair> {
    // Only the first number has the plain shape.
    let number = seen.mentions.iter().find(|mention| mention.kind == MentionKind::Number);
    number
        .and_then(|number| measure(seen, number).or_else(|| amount(seen, number)))
        .into_iter()
        .collect()
}

/// The verb before the number, softeners skipped.
fn verb_before(seen: &Seen<'_>, number: &Mention) -> Option<usize> {
    let words = &seen.sentence.words;
    let mut place = number.words.start.checked_sub(1)?;
    while SOFTENERS.contains(&words.get(place)?.folded.as_str()) {
        place = place.checked_sub(1)?;
    }
    Some(place)
}

fn pair(question: String, answer: &str, variants: Vec<String>) -> Pair {
    Pair {
        source: RowSource::Number,
        question,
        answer: answer.trim_end_matches('.').to_owned(),
        variants,
        sentence: 0,
    }
}

/// `X is 47 metres high`.
fn measure(seen: &Seen<'_>, number: &Mention) -> Option<Pair> {
    let words = &seen.sentence.words;
    let place = verb_before(seen, number)?;
    let verb = words.get(place)?.folded.as_str();
    let adjective = words.get(number.words.end)?.folded.as_str();
    if !matches!(verb, "is" | "are" | "was" | "were") || !ADJECTIVES.contains(&adjective) {
        return None;
    }
    let subject = subject(seen, place)?;
    let answer = seen.sentence.line.get(number.range.clone())?;
    Some(pair(
        format!("How {adjective} {verb} {subject}?"),
        answer,
        vec![format!("Can you say how {adjective} {subject} {verb}?")],
    ))
}

/// `X has twelve racks`, `X costs 40 crowns`.
fn amount(seen: &Seen<'_>, number: &Mention) -> Option<Pair> {
    let (line, words) = (&seen.sentence.line, &seen.sentence.words);
    let place = verb_before(seen, number)?;
    let verb = words.get(place)?.folded.as_str();
    let &(_, base, auxiliary) = VERBS.iter().find(|(form, _, _)| *form == verb)?;
    let subject = subject(seen, place)?;
    if matches!(base, "cost" | "weigh") {
        let answer = line.get(number.range.clone())?;
        return Some(pair(
            format!("How much {auxiliary} {subject} {base}?"),
            answer,
            vec![format!("Can you say how much {subject} {verb}?")],
        ));
    }
    // The thing counted: what the mention took as unit, or one or two words in lower case.
    let last = words.get(number.words.end.checked_sub(1)?)?;
    let (digits_end, things) = if last.number {
        let mut end = number.words.end;
        while end < number.words.end + 2
            && words.get(end).is_some_and(|word| {
                let before = words.get(end - 1).map_or(0, |before| before.range.end);
                !word.function && !word.capital && line.get(before..word.range.start) == Some(" ")
            })
        {
            end += 1;
        }
        (number.words.end, words.get(number.words.end..end)?)
    } else {
        (number.words.end - 1, words.get(number.words.end - 1..number.words.end)?)
    };
    let (first, final_word) = (things.first()?, things.last()?);
    if !final_word.folded.ends_with('s') {
        return None;
    }
    let thing = line.get(first.range.start..final_word.range.end)?;
    let start = words.get(number.words.start)?.range.start;
    let answer = line.get(start..words.get(digits_end.checked_sub(1)?)?.range.end)?;
    Some(pair(
        format!("How many {thing} {auxiliary} {subject} {base}?"),
        answer,
        vec![format!("What number of {thing} {auxiliary} {subject} {base}?")],
    ))
}
