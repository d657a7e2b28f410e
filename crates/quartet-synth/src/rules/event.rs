//! Dates and agents: `X was built in 1887`, `X opened on 3 May`, `X was compiled by NAME`.

use super::{Pair, Seen, clause, subject};
use crate::mention::{Mention, MentionKind};
use crate::row::RowSource;

/// Past forms without an object, with their base form.
const HAPPENINGS: [(&str, &str); 16] = [
    ("opened", "open"),
    ("closed", "close"),
    ("began", "begin"),
    ("started", "start"),
    ("ended", "end"),
    ("finished", "finish"),
    ("died", "die"),
    ("arrived", "arrive"),
    ("left", "leave"),
    ("sank", "sink"),
    ("retired", "retire"),
    ("failed", "fail"),
    ("happened", "happen"),
    ("collapsed", "collapse"),
    ("burned", "burn"),
    ("broke", "break"),
];

/// Participles that do not end in `ed`.
const PARTICIPLES: [&str; 26] = [
    "begun", "bought", "born", "broken", "brought", "built", "caught", "chosen", "cut", "drawn",
    "driven", "found", "given", "held", "kept", "laid", "led", "lent", "lost", "made", "put",
    "sold", "sunk", "taken", "won", "written",
];

pub(super) fn pairs(seen: &Seen<'_>) -> Vec<Pair> {
    let mut found = Vec::new();
    if let Some(date) = seen.mentions.iter().find(|mention| mention.kind == MentionKind::Date) {
        found.extend(date_of_deed(seen, date).or_else(|| date_of_happening(seen, date)));
    }
    found.extend(
        seen.mentions
            .iter()
            .filter(|mention| mention.kind == MentionKind::Name)
            .find_map(|name| agent(seen, name)),
    );
    found.extend(doer(seen));
    found
}

/// `NAME presented a plan`: the name gives way to `Who`, nothing else changes.
fn doer(seen: &Seen<'_>) -> Option<Pair> {
    let (line, words) = (&seen.sentence.line, &seen.sentence.words);
    let name = seen
        .mentions
        .first()
        .filter(|name| name.kind == MentionKind::Name && name.words.start == 0)?;
    let answer = line.get(name.range.clone())?;
    let verb = words.get(name.words.end)?;
    let adjacent = line.get(name.range.end..verb.range.start) == Some(" ");
    let finite = !verb.capital
        && !verb.number
        && !matches!(
            verb.folded.as_str(),
            "and" | "or" | "of" | "for" | "in" | "at" | "who" | "who'd"
        );
    if !(adjacent && finite && seen.corpus.is_person(answer)) {
        return None;
    }
    let mut rest = clause(line.get(verb.range.start..)?);
    // What follows `that` or `and` is another clause, with its own pronouns.
    for cut in [" and ", " but ", " so ", " who ", " which ", " because ", " he ", " she "] {
        rest = rest.split(cut).next()?;
    }
    let content = crate::words::content_stems(rest).len();
    let points_back = rest.split(' ').any(|word| {
        matches!(
            word,
            "it" | "he" | "she" | "they" | "them" | "this" | "his" | "her" | "their" | "its"
        )
    });
    if content < 3 || points_back || rest.ends_with(" that") {
        return None;
    }
    Some(Pair {
        source: RowSource::Name,
        question: format!("Who {rest}?"),
        answer: answer.to_owned(),
        variants: vec![
            format!("Which person {rest}?"),
            format!("What is the name of the person who {rest}?"),
        ],
        sentence: 0,
    })
}

fn is_participle(folded: &str) -> bool {
    (folded.ends_with("ed") && folded.len() > 4) || PARTICIPLES.contains(&folded)
}

/// `was PARTICIPLE` before word `end`: where the auxiliary stands.
fn passive_before<'a>(seen: &Seen<'a>, end: usize) -> Option<(usize, &'a str, &'a str)> {
    let words = &seen.sentence.words;
    let participle = words.get(end.checked_sub(1)?)?;
    let place = end.checked_sub(2)?;
    let auxiliary = words.get(place)?;
    let passive = matches!(auxiliary.folded.as_str(), "is" | "are" | "was" | "were")
        && is_participle(&participle.folded);
    passive.then_some((place, auxiliary.folded.as_str(), participle.folded.as_str()))
}

fn preposition_before(seen: &Seen<'_>, mention: &Mention, wanted: &[&str]) -> Option<usize> {
    let place = mention.words.start.checked_sub(1)?;
    let word = seen.sentence.words.get(place)?;
    let adjacent = seen.sentence.line.get(word.range.end..mention.range.start) == Some(" ");
    (adjacent && wanted.contains(&word.folded.as_str())).then_some(place)
}

fn date_pair(question: String, variant: String, answer: &str) -> Pair {
    Pair {
        source: RowSource::Date,
        question,
        answer: answer.to_owned(),
        variants: vec![variant],
        sentence: 0,
    }
}

fn date_of_deed(seen: &Seen<'_>, date: &Mention) -> Option<Pair> {
    let place = preposition_before(seen, date, &["in", "on"])?;
    let (verb, auxiliary, participle) = passive_before(seen, place)?;
    let subject = subject(seen, verb)?;
    let answer = seen.sentence.line.get(date.range.clone())?;
    Some(date_pair(
        format!("When {auxiliary} {subject} {participle}?"),
        format!("Can you say when {subject} {auxiliary} {participle}?"),
        answer,
    ))
}

fn date_of_happening(seen: &Seen<'_>, date: &Mention) -> Option<Pair> {
    let place = preposition_before(seen, date, &["in", "on"])?;
    let verb = place.checked_sub(1)?;
    let folded = seen.sentence.words.get(verb)?.folded.as_str();
    let &(past, base) = HAPPENINGS.iter().find(|(past, _)| *past == folded)?;
    let subject = subject(seen, verb)?;
    let answer = seen.sentence.line.get(date.range.clone())?;
    Some(date_pair(
        format!("When did {subject} {base}?"),
        format!("Can you say when {subject} {past}?"),
        answer,
    ))
}

fn agent(seen: &Seen<'_>, name: &Mention) -> Option<Pair> {
    let place = preposition_before(seen, name, &["by"])?;
    let (verb, auxiliary, participle) = passive_before(seen, place)?;
    let subject = subject(seen, verb)?;
    let answer = seen.sentence.line.get(name.range.clone())?;
    if !seen.corpus.is_person(answer) {
        return None;
    }
    Some(Pair {
        source: RowSource::Name,
        question: format!("Who {auxiliary} {subject} {participle} by?"),
        answer: answer.to_owned(),
        variants: vec![
            format!("By whom {auxiliary} {subject} {participle}?"),
            format!(
                "Which person's name belongs here: {subject} {auxiliary} {participle} by whom?"
            ),
        ],
        sentence: 0,
    })
}
