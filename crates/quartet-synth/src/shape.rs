//! What a name or number looks like, so that like can stand for like.

use crate::mention::{Mention, MentionKind};
use crate::sentence::Sentence;
use std::collections::HashMap;

/// Mentions of the same shape can be swapped and the sentence stays a sensible one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Shape {
    /// Two or three words, never with an article: a person, as far as one can tell.
    Person,
    /// A name that stands after `at`, `in`, `to`, `from`, `near`.
    Place,
    /// A name that ends in a number, with the words before it.
    Numbered(String),
    /// A number with this unit, after `whole` or `decimal`.
    Measure(String),
    /// A date with so many words.
    Date(usize),
    /// Any other name of so many words, with an article or without.
    Thing(usize, bool),
}

/// How a name is used.
#[derive(Debug, Default)]
pub(crate) struct Uses {
    all: u32,
    with_article: u32,
    after_place_word: u32,
    as_a_person: u32,
}

impl Uses {
    pub(crate) fn note(&mut self, sentence: &Sentence, mention: &Mention) {
        self.all += 1;
        let before = mention.words.start.checked_sub(1).and_then(|place| sentence.words.get(place));
        match before.map(|word| word.folded.as_str()) {
            Some("the" | "a" | "an") => self.with_article += 1,
            Some("at" | "in" | "near" | "off" | "on") => self.after_place_word += 1,
            Some("by") => self.as_a_person += 1,
            Some(role) if ROLES.contains(&role) => self.as_a_person += 1,
            None => {
                let next = sentence.words.get(mention.words.end).map_or("", |w| w.folded.as_str());
                let deed = next.ends_with("ed") || DEEDS.contains(&next);
                self.as_a_person += u32::from(deed);
            }
            _ => {}
        }
    }
}

/// Nouns that name what a person does.
pub(crate) const ROLES: [&str; 44] = [
    "apprentice",
    "attendant",
    "author",
    "baker",
    "boss",
    "captain",
    "chair",
    "chairman",
    "chairwoman",
    "chief",
    "clerk",
    "cook",
    "director",
    "doctor",
    "editor",
    "engineer",
    "foreman",
    "founder",
    "guard",
    "head",
    "inspector",
    "keeper",
    "leader",
    "librarian",
    "manager",
    "master",
    "mate",
    "mayor",
    "minister",
    "nurse",
    "officer",
    "owner",
    "pilot",
    "president",
    "professor",
    "secretary",
    "skipper",
    "steward",
    "superintendent",
    "surveyor",
    "teacher",
    "treasurer",
    "warden",
    "widow",
];

/// What people do at the beginning of a sentence, where it does not end in `ed`.
const DEEDS: [&str; 26] = [
    "brought", "built", "chose", "drew", "found", "gave", "holds", "keeps", "kept", "knew", "laid",
    "led", "made", "met", "read", "runs", "said", "saw", "says", "sold", "spoke", "took", "told",
    "went", "won", "wrote",
];

/// Last words that make a name something other than a person's.
const NOT_PERSONS: [&str; 34] = [
    "act",
    "agency",
    "association",
    "authority",
    "bank",
    "bay",
    "board",
    "bridge",
    "church",
    "city",
    "club",
    "college",
    "committee",
    "company",
    "council",
    "county",
    "harbour",
    "hill",
    "house",
    "inn",
    "island",
    "ironmongers",
    "light",
    "meeting",
    "office",
    "point",
    "quay",
    "report",
    "road",
    "school",
    "sound",
    "street",
    "tower",
    "university",
];

/// The shape of a mention; `uses` knows how every name of the collection is used.
pub(crate) fn shape_of(
    mention: &Mention,
    sentence: &Sentence,
    uses: &HashMap<String, Uses>,
) -> Option<Shape> {
    let parts = sentence.words.get(mention.words.clone())?;
    let text = sentence.line.get(mention.range.clone())?;
    match mention.kind {
        MentionKind::Reason => None,
        MentionKind::Date => Some(Shape::Date(parts.len())),
        MentionKind::Number => {
            let unit = parts.last().filter(|word| !word.number).map(|word| word.stem.clone());
            let sign = text.trim_start_matches(|c: char| c.is_ascii_digit() || " ,.".contains(c));
            let unit = unit.unwrap_or_else(|| {
                if sign.chars().count() <= 3 { sign.to_owned() } else { String::new() }
            });
            let whole = if text.contains('.') { "decimal" } else { "whole" };
            Some(Shape::Measure(format!("{whole} {unit}")))
        }
        MentionKind::Name => {
            let last = parts.last()?;
            if last.number {
                let head: Vec<&str> =
                    parts.iter().take(parts.len() - 1).map(|word| word.folded.as_str()).collect();
                return Some(Shape::Numbered(head.join(" ")));
            }
            let uses = uses.get(text)?;
            let place = 2 * uses.after_place_word > uses.all;
            let person = (2..=3).contains(&parts.len())
                && uses.as_a_person > 0
                && uses.with_article == 0
                && uses.after_place_word == 0
                && parts.iter().all(|word| word.capital)
                && !parts.iter().any(|word| NOT_PERSONS.contains(&word.folded.as_str()));
            Some(match (person, place) {
                (true, _) => Shape::Person,
                (_, true) => Shape::Place,
                _ => Shape::Thing(parts.len(), uses.with_article > 0),
            })
        }
    }
}
