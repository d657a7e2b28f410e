//! Why things are dropped, and how often each reason did.

use crate::row::{RowSource, Writer};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Why something was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dropped {
    /// The model's reply was not what its grammar asks for (it ran out of tokens).
    Malformed,
    /// The prompt does not fit into the model's context.
    PassageTooLong,
    /// Not a question.
    NotAQuestion,
    /// The question has too few words.
    QuestionTooShort,
    /// The question has too many words.
    QuestionTooLong,
    /// The answer has too few words.
    AnswerTooShort,
    /// The answer has too many words.
    AnswerTooLong,
    /// The answer does not stand in the passage.
    AnswerNotInPassage,
    /// The question holds its answer.
    AnswerInQuestion,
    /// The question cannot be understood without the passage beside it.
    NotSelfContained,
    /// The question has a name or number that passage, heading and title lack.
    InventedName,
    /// Too little of what the question says stands in the passage.
    OffTopic,
    /// The question asks for another kind of answer (`Who` for a number).
    WrongKind,
    /// The same question was there before.
    Duplicate,
    /// The model does not find the answer when it reads the passage.
    NotFoundByReader,
    /// The model finds the answer without reading anything.
    KnownWithoutPassage,
    /// A paraphrase that is the question itself or another paraphrase.
    ParaphraseIdentical,
    /// A paraphrase that lost a name, a number or most of the content.
    ParaphraseLostContent,
    /// A paraphrase that says things neither question nor passage say.
    ParaphraseStrays,
    /// A paraphrase that is no question, holds the answer, or is too long or short.
    ParaphraseUnfit,
    /// A paraphrase to which the model, reading the passage, gives another answer.
    ParaphraseNotFoundByReader,
    /// The collection may hold an answer after all.
    MayBeAnswerable,
    /// The changed sentence may be true after all.
    MayBeTrue,
}

/// How many were made, kept and dropped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Rows proposed, by what made them.
    pub made: BTreeMap<RowSource, u32>,
    /// Rows kept.
    pub kept: BTreeMap<RowSource, u32>,
    /// What was dropped, by what made it and why. Paraphrases count under their question.
    #[serde(with = "pairs")]
    pub dropped: BTreeMap<(RowSource, Dropped), u32>,
    /// Paraphrases kept, by who wrote them.
    pub paraphrases: BTreeMap<Writer, u32>,
}

impl Tally {
    pub(crate) fn made(&mut self, source: RowSource) {
        *self.made.entry(source).or_default() += 1;
    }

    pub(crate) fn kept(&mut self, source: RowSource) {
        *self.kept.entry(source).or_default() += 1;
    }

    pub(crate) fn dropped(&mut self, source: RowSource, why: Dropped) {
        *self.dropped.entry((source, why)).or_default() += 1;
    }

    /// Adds another tally.
    pub fn add(&mut self, other: &Self) {
        for (source, count) in &other.made {
            *self.made.entry(*source).or_default() += count;
        }
        for (source, count) in &other.kept {
            *self.kept.entry(*source).or_default() += count;
        }
        for (pair, count) in &other.dropped {
            *self.dropped.entry(*pair).or_default() += count;
        }
        for (writer, count) in &other.paraphrases {
            *self.paraphrases.entry(*writer).or_default() += count;
        }
    }

    /// Everything dropped for one reason.
    #[must_use]
    pub fn dropped_for(&self, why: Dropped) -> u32 {
        self.dropped.iter().filter(|((_, held), _)| *held == why).map(|(_, count)| count).sum()
    }
}

/// JSON objects have strings as keys; a list of `[source, reason, count]` stays readable.
mod pairs {
    use super::{Dropped, RowSource};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::collections::BTreeMap;

    type Map = BTreeMap<(RowSource, Dropped), u32>;

    pub(super) fn serialize<S: Serializer>(map: &Map, serializer: S) -> Result<S::Ok, S::Error> {
        let list: Vec<(RowSource, Dropped, u32)> =
            map.iter().map(|(&(source, why), &count)| (source, why, count)).collect();
        list.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Map, D::Error> {
        let list = Vec::<(RowSource, Dropped, u32)>::deserialize(from)?;
        Ok(list.into_iter().map(|(source, why, count)| ((source, why), count)).collect())
    }
}
