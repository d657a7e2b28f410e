//! Names, numbers, dates and reasons in a sentence: what short answers are made of.

use crate::sentence::Sentence;
use quartet_methods::text::Word;
use std::collections::HashSet;
use std::ops::Range;

/// Something a short answer can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mention {
    /// Its bytes in the sentence's line.
    pub(crate) range: Range<usize>,
    /// Its first and one past its last word.
    pub(crate) words: Range<usize>,
    /// What it is.
    pub(crate) kind: MentionKind,
}

/// What a mention is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum MentionKind {
    /// A run of words with capital letters.
    Name,
    /// A number, with its unit where one follows.
    Number,
    /// A day, a month with day or year, or a year.
    Date,
    /// What follows `because` and its like.
    Reason,
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// Words that measure though they have no plural `s`.
const UNITS: [&str; 26] = [
    "bar", "c", "cm", "feet", "ft", "g", "gb", "ghz", "ha", "hz", "k", "kg", "km", "kw", "kwh",
    "l", "m", "mb", "mhz", "mm", "nm", "percent", "rpm", "s", "v", "w",
];

/// What follows `and` in the name of a firm.
const KIN: [&str; 8] =
    ["associates", "brothers", "company", "daughters", "partners", "sisters", "son", "sons"];

/// First words of units of two.
const HALF_UNITS: [&str; 8] =
    ["cubic", "kilowatt", "light", "nautical", "newton", "sea", "square", "watt"];

fn is_month(word: &Word) -> bool {
    word.capital && MONTHS.contains(&word.folded.as_str())
}

/// Whether nothing but spaces (or a hyphen, where allowed) stands between two words.
fn adjacent(line: &str, left: &Word, right: &Word, hyphen: bool) -> bool {
    let between = line.get(left.range.end..right.range.start).unwrap_or("?");
    between == " " || (hyphen && between == "-")
}

/// Every mention of a sentence, in order, not overlapping. `names` are words seen with a capital
/// letter inside sentences: only these are names where a capital may come from the sentence's
/// beginning.
pub(crate) fn mentions(sentence: &Sentence, names: &HashSet<String>) -> Vec<Mention> {
    let mut found = Vec::new();
    let mut place = 0;
    while place < sentence.words.len() {
        let next = date(sentence, place)
            .or_else(|| number(sentence, place))
            .or_else(|| name(sentence, place, names));
        match next {
            Some(mention) => {
                place = mention.words.end;
                found.push(mention);
            }
            None => place += 1,
        }
    }
    found
}

fn mention(sentence: &Sentence, words: Range<usize>, kind: MentionKind) -> Option<Mention> {
    let first = sentence.words.get(words.start)?;
    let last = sentence.words.get(words.end.checked_sub(1)?)?;
    Some(Mention { range: first.range.start..last.range.end, words, kind })
}

fn date(sentence: &Sentence, place: usize) -> Option<Mention> {
    let words = &sentence.words;
    let word = words.get(place)?;
    let digits = |word: &Word| word.folded.chars().all(|c| c.is_ascii_digit());
    let is_day = |word: &Word| digits(word) && matches!(word.folded.parse::<u32>(), Ok(1..=31));
    let is_year =
        |word: &Word| digits(word) && matches!(word.folded.parse::<u32>(), Ok(1000..=2999));
    let follows = |at: usize, test: &dyn Fn(&Word) -> bool| {
        let gap = sentence.line.get(words.get(at - 1)?.range.end..words.get(at)?.range.start)?;
        (matches!(gap, " " | ", ") && test(words.get(at)?)).then_some(())
    };
    let mut end = place + 1;
    if (is_day(word) && follows(end, &is_month).is_some())
        || (is_month(word) && follows(end, &is_day).is_some())
    {
        end += 1;
        if follows(end, &is_year).is_some() {
            end += 1;
        }
    } else if is_month(word) && follows(end, &is_year).is_some() {
        end += 1;
    } else {
        let before = place.checked_sub(1).and_then(|before| words.get(before))?;
        let raw = sentence.line.get(word.range.clone())?;
        let dated =
            matches!(before.folded.as_str(), "in" | "since" | "until" | "by" | "from" | "of");
        let unit = words.get(end).is_some_and(|next| {
            adjacent(&sentence.line, word, next, false) && !next.function && !next.capital
        });
        if !(dated && is_year(word) && raw.len() == 4 && !unit) {
            return None;
        }
    }
    mention(sentence, place..end, MentionKind::Date)
}

fn number(sentence: &Sentence, place: usize) -> Option<Mention> {
    let words = &sentence.words;
    if !words.get(place)?.number {
        return None;
    }
    let mut end = place + 1;
    while let (Some(last), Some(next)) = (words.get(end - 1), words.get(end)) {
        if !(next.number && adjacent(&sentence.line, last, next, true)) {
            break;
        }
        end += 1;
    }
    // `newton metres`: the first half of a unit.
    if let (Some(last), Some(half), Some(next)) =
        (words.get(end - 1), words.get(end), words.get(end + 1))
        && HALF_UNITS.contains(&half.folded.as_str())
        && adjacent(&sentence.line, last, half, false)
        && adjacent(&sentence.line, half, next, true)
        && next.folded.ends_with('s')
    {
        end += 1;
    }
    if let (Some(last), Some(next)) = (words.get(end - 1), words.get(end)) {
        let folded = next.folded.as_str();
        let plural = folded.len() > 3 && folded.ends_with('s') && !folded.ends_with("ss");
        if adjacent(&sentence.line, last, next, false)
            && !next.function
            && !next.capital
            && (plural || UNITS.contains(&folded))
        {
            end += 1;
        }
    }
    let mut found = mention(sentence, place..end, MentionKind::Number)?;
    // A sign that belongs to the number: `7.5 %`, `€ 40`.
    let after = sentence.line.get(found.range.end..)?;
    if let Some(sign) = ["%", " %", "°C", " °C"].iter().find(|sign| after.starts_with(**sign)) {
        found.range.end += sign.len();
    }
    let before = sentence.line.get(..found.range.start)?;
    if let Some(sign) = ["$", "€", "£"].iter().find(|sign| before.ends_with(**sign)) {
        found.range.start -= sign.len();
    }
    Some(found)
}

fn name(sentence: &Sentence, place: usize, names: &HashSet<String>) -> Option<Mention> {
    let words = &sentence.words;
    let is_part = |word: &Word| word.capital && !word.function && !is_month(word);
    if !is_part(words.get(place)?) {
        return None;
    }
    let mut end = place + 1;
    while let (Some(last), Some(next)) = (words.get(end - 1), words.get(end)) {
        let part =
            is_part(next) || (next.number && next.folded.starts_with(|c: char| c.is_ascii_digit()));
        if part && adjacent(&sentence.line, last, next, true) && !last.number {
            end += 1;
            continue;
        }
        // `Feast of Saint Orla`: `of` joins two parts.
        let beyond = words.get(end + 1);
        let joins = next.folded == "of"
            && adjacent(&sentence.line, last, next, false)
            && beyond.is_some_and(|b| is_part(b) && adjacent(&sentence.line, next, b, false));
        // `Meuland and Daughters` is one firm.
        let firm = next.folded == "and"
            && adjacent(&sentence.line, last, next, false)
            && beyond.is_some_and(|b| b.capital && KIN.contains(&b.folded.as_str()));
        if !(joins || firm) {
            break;
        }
        end += 2;
    }
    if place == 0 && end == 1 && !names.contains(words.first()?.folded.as_str()) {
        return None;
    }
    if words.get(place..end)?.iter().all(|word| word.folded.chars().count() < 2) {
        return None;
    }
    mention(sentence, place..end, MentionKind::Name)
}

/// The clause after `because` and its like, up to the next mark, 3 to 16 words.
pub(crate) fn reason(sentence: &Sentence) -> Option<Mention> {
    let words = &sentence.words;
    let place = words.iter().position(|word| {
        matches!(word.folded.as_str(), "because" | "since" | "as") && !word.capital
    })?;
    let cue = words.get(place)?;
    let gap = sentence.line.get(..cue.range.start)?.trim_end();
    // `since 1987` and `as well as` give no reasons; after a comma, `since` and `as` do.
    if cue.folded != "because" && !gap.ends_with(',') {
        return None;
    }
    let next = words.get(place + 1)?;
    if next.number || matches!(next.folded.as_str(), "of" | "well" | "long" | "soon" | "much") {
        return None;
    }
    let tail = sentence.line.get(next.range.start..)?;
    let stop = tail.find([',', ';', ':', '(', '.']).map_or(tail.len(), |end| {
        // A point inside a number does not end the clause.
        if tail.get(end..).is_some_and(|rest| rest.starts_with('.') && rest.len() > 1) {
            tail.len()
        } else {
            end
        }
    });
    let end = next.range.start + stop;
    let last = words.iter().rposition(|word| word.range.end <= end)?;
    let length = (last + 1).checked_sub(place + 1)?;
    if !(3..=16).contains(&length) {
        return None;
    }
    mention(sentence, place + 1..last + 1, MentionKind::Reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sentence::Sentence;

    fn found(text: &str) -> Vec<(String, MentionKind)> {
        let sentence = Sentence::of_line(text);
        let mut all = mentions(&sentence, &HashSet::from(["gannet".to_owned()]));
        all.extend(reason(&sentence));
        all.into_iter().map(|m| (sentence.line[m.range].to_owned(), m.kind)).collect()
    }

    #[test]
    fn mentions_are_whole() {
        use MentionKind::{Date, Name, Number, Reason};
        let cases: [(&str, &[(&str, MentionKind)]); 10] = [
            (
                "The bilge pump at Low Tern, a Harl 60, opens at 3.4 bar.",
                &[("Low Tern", Name), ("Harl 60", Name), ("3.4 bar", Number)],
            ),
            (
                "Income stood at 93,400 crowns on 9 April 2031.",
                &[("93,400 crowns", Number), ("9 April 2031", Date)],
            ),
            ("It was built in 1887 by Saint Orla.", &[("1887", Date), ("Saint Orla", Name)]),
            ("Keepers may go.", &[]),
            (
                "Meuland and Daughters met Torvald Quillane.",
                &[("Meuland and Daughters", Name), ("Torvald Quillane", Name)],
            ),
            ("The torque is not to exceed 2.2 newton metres.", &[("2.2 newton metres", Number)]),
            ("Gannet stands.", &[("Gannet", Name)]),
            (
                "The feast of Saint Orla costs twenty-five crowns.",
                &[("Saint Orla", Name), ("twenty-five crowns", Number)],
            ),
            (
                "Keepers must not open it, because the drying gas inside escapes.",
                &[("the drying gas inside escapes", Reason)],
            ),
            ("It has served since 1990 and grew by 7.5 %.", &[("1990", Date), ("7.5 %", Number)]),
        ];
        for (text, wanted) in cases {
            let wanted: Vec<(String, MentionKind)> =
                wanted.iter().map(|&(name, kind)| (name.to_owned(), kind)).collect();
            assert_eq!(found(text), wanted, "{text}");
        }
    }

    #[test]
    fn nothing_breaks_on_odd_text() {
        for text in ["", "…", "5", "May", "1 May", "because", "3.4 3.4 3.4", "日本 2031年"] {
            let _ = found(text);
        }
    }
}
