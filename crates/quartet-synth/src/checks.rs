//! What keeps a pair or a paraphrase out, as far as words alone can tell.

use crate::filter::Dropped;
use crate::recipe::Recipe;
use crate::words::{contains, content_stems, count, key, share};
use quartet_methods::follow_up::leans_on_conversation;
use quartet_methods::text::words;
use quartet_types::Passage;
use std::collections::HashSet;

/// Phrases that speak of the text instead of the world.
const OF_THE_TEXT: [&str; 22] = [
    "this document",
    "the document",
    "this text",
    "the text",
    "this passage",
    "the passage",
    "this section",
    "the section",
    "this article",
    "the article",
    "this paragraph",
    "the paragraph",
    "this study",
    "this paper",
    "the author",
    "the authors",
    "the sentence",
    "the following",
    "mentioned",
    "the context",
    "the answer",
    "the given",
];

/// Words with which a question begins in English.
const QUESTION_WORDS: [&str; 24] = [
    "who", "whom", "whose", "what", "which", "when", "where", "why", "how", "is", "are", "was",
    "were", "do", "does", "did", "has", "have", "had", "can", "could", "should", "must", "may",
];

/// Looks at question and answer alone and beside the passage. `answer_words` may differ from
/// the recipe's: a definition is longer than a number.
///
/// # Errors
/// The first reason to drop the pair, in the order of [`Dropped`].
pub(crate) fn check_pair(
    question: &str,
    answer: &str,
    passage: &Passage,
    recipe: &Recipe,
) -> Result<(), Dropped> {
    check_question(question, recipe)?;
    check_answer(answer, passage, recipe)?;
    if holds_answer(question, answer) {
        return Err(Dropped::AnswerInQuestion);
    }
    if !is_self_contained(question) {
        return Err(Dropped::NotSelfContained);
    }
    check_grounding(question, passage)?;
    if echoes(question) {
        return Err(Dropped::NotAQuestion);
    }
    if !kind_fits(question, answer) {
        return Err(Dropped::WrongKind);
    }
    Ok(())
}

/// Form and length of a question.
pub(crate) fn check_question(question: &str, recipe: &Recipe) -> Result<(), Dropped> {
    let length = count(question);
    if length < *recipe.question_words.start() {
        return Err(Dropped::QuestionTooShort);
    }
    if length > *recipe.question_words.end() {
        return Err(Dropped::QuestionTooLong);
    }
    if question.trim_end().ends_with(['?', '？', '؟']) {
        Ok(())
    } else {
        Err(Dropped::NotAQuestion)
    }
}

/// Length and place of an answer.
pub(crate) fn check_answer(
    answer: &str,
    passage: &Passage,
    recipe: &Recipe,
) -> Result<(), Dropped> {
    let length = count(answer);
    if length < *recipe.answer_words.start() {
        return Err(Dropped::AnswerTooShort);
    }
    if length > *recipe.answer_words.end() {
        return Err(Dropped::AnswerTooLong);
    }
    if contains(&passage.text, answer) { Ok(()) } else { Err(Dropped::AnswerNotInPassage) }
}

/// Whether the question holds the answer, or nearly all of what it says.
pub(crate) fn holds_answer(question: &str, answer: &str) -> bool {
    if contains(question, answer) {
        return true;
    }
    let (asked, said) = (content_stems(question), content_stems(answer));
    !said.is_empty() && share(said.intersection(&asked).count(), said.len()) >= 0.8
}

/// Politeness before an indirect question, in lower case.
const FRAMES: [&str; 6] = [
    "can you tell me",
    "can you explain",
    "can you say",
    "do you know",
    "could you tell me",
    "please tell me",
];

/// The question without politeness before it.
fn bare(question: &str) -> &str {
    let lower = question.to_lowercase();
    FRAMES
        .iter()
        .find(|frame| lower.starts_with(**frame))
        .and_then(|frame| question.get(frame.len()..))
        .map_or(question, str::trim_start)
}

/// Whether it can be understood alone: no pronoun without its noun, no word on the text itself.
pub(crate) fn is_self_contained(question: &str) -> bool {
    let folded = format!(" {} ", question.to_lowercase());
    let of_the_text = OF_THE_TEXT.iter().any(|phrase| folded.contains(&format!(" {phrase}")));
    let of_the_writer = words(question).iter().any(|word| {
        matches!(word.folded.as_str(), "we" | "our" | "us" | "my" | "your" | "i" | "you" | "me")
    });
    // `Who said that it was his own oversight?`: `his` points to the one who is asked for.
    let folded = question.to_lowercase();
    let asks_for_person = folded.starts_with("who ") || folded.starts_with("which person ");
    let question = if asks_for_person {
        [" his ", " her ", " their "]
            .iter()
            .fold(question.to_owned(), |text, own| text.replace(own, " the "))
    } else {
        question.to_owned()
    };
    !of_the_text && !of_the_writer && !leans_on_conversation(&question)
}

/// Whether a question word stands where only a statement with a gap has one.
fn echoes(question: &str) -> bool {
    let asked = words(question);
    let late = asked.windows(2).skip(2).any(|pair| match pair {
        [first, second] => {
            first.folded == "how" && matches!(second.folded.as_str(), "many" | "much")
        }
        _ => false,
    });
    // A placeholder that was copied, and `What and Daughters`.
    let copied = question.split(|c: char| !c.is_alphabetic()).any(|word| {
        matches!(word, "WHO" | "WHAT" | "WHY" | "WHICH" | "WHEN" | "HOW" | "MANY" | "MUCH")
    });
    let joined = asked.get(1).is_some_and(|word| matches!(word.folded.as_str(), "and" | "or"));
    if copied || joined {
        return true;
    }
    let last = asked.last().map_or("", |word| word.folded.as_str());
    late || matches!(last, "what" | "who" | "why" | "when" | "which" | "where")
}

/// Whether it names what it asks about: it has a name, or a number, beside its first word.
pub(crate) fn names_something(question: &str) -> bool {
    words(question).iter().skip(1).any(|word| (word.capital || word.number) && !word.function)
}

/// Names and numbers of the question, and most of its content, stand in the passage or above it.
fn check_grounding(question: &str, passage: &Passage) -> Result<(), Dropped> {
    let heading = passage.heading.as_deref().unwrap_or_default();
    let around = format!("{} {} {}", passage.title, heading, passage.text);
    let there: HashSet<String> = words(&around).into_iter().map(|word| word.stem).collect();
    let asked = words(question);
    let invented = asked
        .iter()
        .skip(1)
        .any(|word| (word.capital || word.number) && !word.function && !there.contains(&word.stem));
    if invented {
        return Err(Dropped::InventedName);
    }
    let content: Vec<_> = asked.iter().filter(|word| !word.function).collect();
    let known = content.iter().filter(|word| there.contains(&word.stem)).count();
    if share(known, content.len()) < 0.5 { Err(Dropped::OffTopic) } else { Ok(()) }
}

/// Whether the question word can ask for such an answer. Only clear cases are refused.
pub(crate) fn kind_fits(question: &str, answer: &str) -> bool {
    let asked = words(question);
    let said = words(answer);
    let ask = |place: usize| asked.get(place).map_or("", |word| word.folded.as_str());
    let has_number =
        said.iter().any(|word| word.number || word.folded.contains(|c: char| c.is_ascii_digit()));
    let begins_with_number =
        said.first().is_some_and(|word| word.number) || answer.starts_with(['$', '€', '£']);
    let is_clause = said.len() >= 3 && !begins_with_number;
    match ask(0) {
        "who" | "whom" | "whose" => !begins_with_number,
        "where" => !begins_with_number,
        "why" => is_clause,
        "how"
            if matches!(
                ask(1),
                "many"
                    | "much"
                    | "long"
                    | "high"
                    | "tall"
                    | "deep"
                    | "wide"
                    | "far"
                    | "old"
                    | "often"
                    | "heavy"
            ) =>
        {
            has_number || ask(1) == "often" || ask(1) == "long"
        }
        "when" => {
            has_number
                || said.iter().any(|word| !word.function) && !said.iter().all(|word| word.capital)
        }
        _ if QUESTION_WORDS.iter().skip(9).any(|word| *word == ask(0)) => {
            matches!(key(answer).as_str(), "yes" | "no" | "true" | "false")
        }
        _ => true,
    }
}

/// Looks at a paraphrase beside its question.
///
/// # Errors
/// The first reason to drop it.
pub(crate) fn check_paraphrase(
    paraphrase: &str,
    question: &str,
    answer: &str,
    passage: &Passage,
    recipe: &Recipe,
) -> Result<(), Dropped> {
    if check_question(paraphrase, recipe).is_err()
        || holds_answer(paraphrase, answer)
        || !is_self_contained(bare(paraphrase))
        || !kind_fits(bare(paraphrase), answer)
    {
        return Err(Dropped::ParaphraseUnfit);
    }
    if key(paraphrase) == key(question) {
        return Err(Dropped::ParaphraseIdentical);
    }
    let said = words(bare(paraphrase));
    let stems: HashSet<&str> = said.iter().map(|word| word.stem.as_str()).collect();
    let asked: Vec<_> = words(question).into_iter().filter(|word| !word.function).collect();
    let lost_name = asked.iter().any(|word| {
        (word.number || (word.capital && word.range.start > 0))
            && !stems.contains(word.stem.as_str())
    });
    let stays: HashSet<&str> = asked.iter().map(|word| word.stem.as_str()).collect();
    let invented = said.iter().skip(1).any(|word| {
        (word.number || word.capital) && !word.function && !stays.contains(word.stem.as_str())
    });
    let carried = asked.iter().filter(|word| stems.contains(word.stem.as_str())).count();
    if lost_name || invented || share(carried, asked.len()) < 0.5 {
        return Err(Dropped::ParaphraseLostContent);
    }
    // One word of its own is a synonym; several are another matter.
    let around: HashSet<String> = words(&passage.text).into_iter().map(|word| word.stem).collect();
    let own = said
        .iter()
        .filter(|word| {
            !word.function
                && !stays.contains(word.stem.as_str())
                && !around.contains(&word.stem)
                && !ASKING.contains(&word.folded.as_str())
        })
        .count();
    if own > 1 { Err(Dropped::ParaphraseStrays) } else { Ok(()) }
}

/// Nouns with which a question is asked, whatever it is about.
const ASKING: [&str; 16] = [
    "amount",
    "date",
    "day",
    "height",
    "length",
    "name",
    "named",
    "number",
    "percentage",
    "person",
    "place",
    "price",
    "reason",
    "thing",
    "time",
    "year",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sentence::tests::passage;

    const TEXT: &str = "The bilge pump at Low Tern, a Harl 60, opens its relief valve at 3.4 bar. \
        Torvald Quillane greases it after the first frost, because the cold cracks the seals.";

    fn checked(question: &str, answer: &str) -> Result<(), Dropped> {
        check_pair(question, answer, &passage(1, "Pumps", TEXT), &Recipe::default())
    }

    #[test]
    fn every_filter_keeps_the_good_and_drops_the_bad() {
        let good = [
            ("At what pressure does the Harl 60 open its relief valve?", "3.4 bar"),
            ("Who greases the bilge pump at Low Tern?", "Torvald Quillane"),
            ("Who greases the pump after his first frost?", "Torvald Quillane"),
            (
                "Why is the pump at Low Tern greased after the first frost?",
                "the cold cracks the seals",
            ),
        ];
        for (question, answer) in good {
            assert_eq!(checked(question, answer), Ok(()), "{question}");
        }
        let bad = [
            ("Which valve?", "3.4 bar", Dropped::QuestionTooShort),
            (
                "At what pressure does the Harl 60 at Low Tern open its relief valve when it is set as \
              it was set in the year in which the pump was first put into the tower by the keepers?",
                "3.4 bar",
                Dropped::QuestionTooLong,
            ),
            ("The Harl 60 opens its valve", "3.4 bar", Dropped::NotAQuestion),
            ("At what pressure does the Harl 60 at WHAT open?", "3.4 bar", Dropped::NotAQuestion),
            ("Who and the Harl 60 were at Low Tern?", "Torvald Quillane", Dropped::NotAQuestion),
            ("The Harl 60 at Low Tern opens its valve at what?", "3.4 bar", Dropped::NotAQuestion),
            ("At what pressure does the Harl 60 open?", "?", Dropped::AnswerTooShort),
            ("What is said of the Harl 60 pump?", TEXT, Dropped::AnswerTooLong),
            ("At what pressure does the Harl 60 open?", "4.3 bar", Dropped::AnswerNotInPassage),
            ("Does the Harl 60 open at 3.4 bar?", "3.4 bar", Dropped::AnswerInQuestion),
            (
                "Who, if not Quillane, greases the Torvald pump?",
                "Torvald Quillane",
                Dropped::AnswerInQuestion,
            ),
            ("At what pressure does it open its valve?", "3.4 bar", Dropped::NotSelfContained),
            (
                "At what pressure does the pump in this document open?",
                "3.4 bar",
                Dropped::NotSelfContained,
            ),
            (
                "At what pressure does our pump at Low Tern open?",
                "3.4 bar",
                Dropped::NotSelfContained,
            ),
            ("At what pressure does the Harl 90 open its valve?", "3.4 bar", Dropped::InventedName),
            (
                "At what pressure does the kettle in the kitchen whistle a tune?",
                "3.4 bar",
                Dropped::OffTopic,
            ),
            ("Who opens the relief valve at Low Tern?", "3.4 bar", Dropped::WrongKind),
            ("How many seals does the Low Tern pump have?", "Torvald Quillane", Dropped::WrongKind),
            ("Why does the relief valve open at Low Tern?", "3.4 bar", Dropped::WrongKind),
        ];
        for (question, answer, why) in bad {
            assert_eq!(checked(question, answer), Err(why), "{question}");
        }
    }

    #[test]
    fn paraphrases_keep_names_numbers_and_sense() {
        let question = "At what pressure does the Harl 60 open its relief valve?";
        let checked = |wording: &str| {
            check_paraphrase(
                wording,
                question,
                "3.4 bar",
                &passage(1, "Pumps", TEXT),
                &Recipe::default(),
            )
        };
        for wording in [
            "Do you know at what pressure the Harl 60 opens its relief valve?",
            "What is the pressure at which the relief valve of the Harl 60 opens?",
        ] {
            assert_eq!(checked(wording), Ok(()), "{wording}");
        }
        for (wording, why) in [
            (
                "at what pressure does THE Harl 60 open its relief valve?",
                Dropped::ParaphraseIdentical,
            ),
            (
                "At what pressure does the pump open the relief valve?",
                Dropped::ParaphraseLostContent,
            ),
            (
                "At what pressure does the Harl 90 open its relief valve?",
                Dropped::ParaphraseLostContent,
            ),
            (
                "Which is the best of all Harl 60 pumps in the world?",
                Dropped::ParaphraseLostContent,
            ),
            (
                "What pressure makes the Harl 60 open its relief valve during the flood of the mill?",
                Dropped::ParaphraseStrays,
            ),
            ("Does the Harl 60 open its relief valve at 3.4 bar?", Dropped::ParaphraseUnfit),
            ("At what pressure does it open the Harl 60 relief valve", Dropped::ParaphraseUnfit),
        ] {
            assert_eq!(checked(wording), Err(why), "{wording}");
        }
    }
}
