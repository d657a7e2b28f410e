//! How a question about a given kind of answer can begin. A small model that is held to a fitting
//! first word writes far better questions than one that is free to choose it.
//!
//! English only; for other languages the model is free.

use crate::corpus::Corpus;
use crate::mention::MentionKind;
use quartet_methods::text::words;

/// What stands in a statement in the place of the answer: the question word in capitals.
pub(crate) fn placeholder(kind: MentionKind, text: &str, corpus: &Corpus) -> String {
    let all = words(text);
    match kind {
        MentionKind::Reason => "WHY".to_owned(),
        MentionKind::Date if all.len() == 1 => "WHICH YEAR".to_owned(),
        MentionKind::Date => "WHICH DAY".to_owned(),
        MentionKind::Name if corpus.is_person(text) => "WHO".to_owned(),
        MentionKind::Name => "WHAT".to_owned(),
        MentionKind::Number => match unit_of(text) {
            Some(unit) if unit.len() > 3 => format!("HOW MANY {unit}"),
            _ => "HOW MUCH".to_owned(),
        },
    }
}

/// What follows the number: `newton metres`.
fn unit_of(text: &str) -> Option<String> {
    let all = words(text);
    let first = all.iter().find(|word| !word.number)?;
    text.get(first.range.start..).map(str::to_lowercase)
}

/// Beginnings of a question whose answer is `text`; none means any.
pub(crate) fn of_question(kind: MentionKind, text: &str, corpus: &Corpus) -> Vec<String> {
    let fixed = |list: &[&str]| list.iter().map(|&opening| format!("{opening} ")).collect();
    match kind {
        MentionKind::Reason => fixed(&["Why"]),
        MentionKind::Date => {
            if words(text).len() == 1 {
                fixed(&["When", "In which year", "Which year"])
            } else {
                fixed(&["When", "On which day", "Which day"])
            }
        }
        MentionKind::Number => {
            let unit = unit_of(text);
            match unit {
                Some(unit) if unit.ends_with('s') && unit.len() > 3 => {
                    let mut list = vec![format!("How many {unit} ")];
                    list.extend(MEASURES.iter().map(|&measure| format!("{measure} ")));
                    list
                }
                Some(_) => fixed(&["What", "How many", "How much", "At what", "At which"]),
                None if text.contains('%') => fixed(&["What percentage", "What share", "How much"]),
                None => fixed(&["How many", "How much", "What", "At what time", "When"]),
            }
        }
        MentionKind::Name if corpus.is_person(text) => {
            fixed(&["Who", "Whose", "By whom", "To whom", "From whom"])
        }
        MentionKind::Name => fixed(&["What", "Which", "Where", "To which", "In which", "At which"]),
    }
}

const MEASURES: [&str; 8] =
    ["How long", "How high", "How far", "How deep", "How old", "How wide", "How often", "How much"];

/// Two groups of beginnings for other wordings of a question, unlike its own.
pub(crate) fn of_paraphrases(question: &str) -> [Vec<String>; 2] {
    let asked = words(question);
    let ask = |place: usize| asked.get(place).map_or("", |word| word.folded.as_str());
    let pair = |first: &[&str], second: &[&str]| {
        [first, second].map(|list| list.iter().map(|&opening| format!("{opening} ")).collect())
    };
    match (ask(0), ask(1)) {
        ("who", _) => pair(
            &[
                "Which person",
                "What is the name of the person who",
                "What was the name of the person who",
            ],
            &["Do you know who", "Can you tell me who"],
        ),
        ("when", _) => pair(
            &["On what date", "In which year", "On which day", "At what time"],
            &["Do you know when", "Can you tell me when"],
        ),
        ("why", _) => pair(
            &["For what reason", "What is the reason", "What was the reason"],
            &["Do you know why", "Can you explain why"],
        ),
        ("where", _) => pair(
            &["At which place", "In which place", "In what place"],
            &["Do you know where", "Can you tell me where"],
        ),
        ("how", "many") => pair(
            &["What number of", "What is the number of", "What was the number of"],
            &["Do you know how many", "Can you tell me how many"],
        ),
        ("how", _) => pair(&["What", "Which"], &["Do you know how", "Can you tell me how"]),
        // With another noun after `Which` a small model asks for another thing.
        ("what", _) => pair(&["Do you know what"], &["Can you tell me what"]),
        ("which", _) => pair(&["Do you know which"], &["Can you tell me which"]),
        ("at" | "in" | "on" | "to" | "by" | "from", _) => {
            pair(&["Do you know"], &["Can you tell me"])
        }
        _ => [Vec::new(), Vec::new()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_fits_the_answer() {
        let corpus = Corpus::default();
        let first = |kind, text| of_question(kind, text, &corpus).first().cloned().unwrap();
        assert_eq!(first(MentionKind::Number, "212 litres"), "How many litres ");
        assert_eq!(first(MentionKind::Number, "3.4 bar"), "What ");
        assert_eq!(first(MentionKind::Number, "2.2 newton metres"), "How many newton metres ");
        assert_eq!(
            placeholder(MentionKind::Number, "2.2 newton metres", &corpus),
            "HOW MANY newton metres"
        );
        assert_eq!(placeholder(MentionKind::Number, "55", &corpus), "HOW MUCH");
        assert_eq!(first(MentionKind::Date, "1911"), "When ");
        assert_eq!(first(MentionKind::Reason, "the river had moved"), "Why ");
    }

    #[test]
    fn a_paraphrase_begins_otherwise() {
        for question in ["Who sold it?", "When was it sold?", "How many mills?", "Which mill?"] {
            let own = question.split(' ').next().unwrap();
            for openings in of_paraphrases(question) {
                assert!(!openings.is_empty() && openings.iter().all(|o| !o.starts_with(own)));
            }
        }
    }
}
