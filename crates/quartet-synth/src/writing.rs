//! Questions by the model: an answer is chosen, its sentence gets a question word in its place,
//! and the model turns that statement into a question.

use crate::answers::{Candidate, candidates};
use crate::asking::{Asking, Said};
use crate::checks::{check_pair, names_something};
use crate::corpus::Corpus;
use crate::filter::{Dropped, Tally};
use crate::mention::{MentionKind, mentions};
use crate::openings;
use crate::passage_work::{Draft, PassageWork};
use crate::row::{Checks, RowSource};
use crate::sentence::Sentence;
use crate::words::{contains, content_stems, is_english, key, share};
use quartet_methods::text::one_line;
use quartet_types::Result;
use std::collections::HashSet;

impl PassageWork<'_> {
    /// Questions by the model, each for an answer that was chosen beforehand; one that is
    /// dropped is tried again.
    pub(crate) async fn by_model(
        &self,
        asking: &Asking<'_>,
        sentences: &[Sentence],
        by_rules: &[Draft],
        tally: &mut Tally,
    ) -> Result<Vec<Draft>> {
        let heading = self.passage.heading.as_deref().unwrap_or_default();
        let above = format!("{} {heading}", self.passage.title);
        let most = self.recipe.generated_per_passage;
        let taken: HashSet<(usize, String)> = by_rules
            .iter()
            .filter(|draft| draft.source.is_short_rule())
            .map(|draft| (draft.sentence, key(&draft.answer)))
            .collect();
        let mut drafts = Vec::new();
        for candidate in candidates(sentences, self.corpus, &above, &taken, most) {
            for attempt in 0..self.recipe.tries {
                tally.made(RowSource::Generated);
                match self.one_by_model(asking, sentences, &candidate, attempt).await? {
                    Ok(draft) => {
                        drafts.push(draft);
                        break;
                    }
                    Err(why) => tally.dropped(RowSource::Generated, why),
                }
            }
        }
        Ok(drafts)
    }

    async fn one_by_model(
        &self,
        asking: &Asking<'_>,
        sentences: &[Sentence],
        candidate: &Candidate,
        attempt: u32,
    ) -> Result<Said<Draft>> {
        let answer = one_line(&candidate.text);
        let Some(statement) = statement_of(sentences, candidate, self.corpus) else {
            return Ok(Err(Dropped::AnswerNotInPassage));
        };
        let openings = if is_english(&self.passage.text) {
            openings::of_question(candidate.kind, &answer, self.corpus)
        } else {
            Vec::new()
        };
        let written = asking.question(&statement, &openings, attempt).await?;
        let question = match written {
            Ok(question) => question,
            Err(why) => return Ok(Err(why)),
        };
        if let Err(why) = check_pair(&question, &answer, self.passage, self.recipe) {
            return Ok(Err(why));
        }
        // A reason for something else is given by the same sentence: the question must say what
        // the sentence says before the reason.
        if candidate.kind == MentionKind::Reason {
            let cause = content_stems(&statement);
            let asked = content_stems(&question);
            if share(cause.intersection(&asked).count(), cause.len()) < 0.5 {
                return Ok(Err(Dropped::OffTopic));
            }
        }
        if asks_about_another(&question, sentences, candidate, self.corpus) {
            return Ok(Err(Dropped::OffTopic));
        }
        let anchored = !names_something(&question);
        if anchored && self.passage.title.trim().is_empty() {
            return Ok(Err(Dropped::NotSelfContained));
        }
        let Some(sentence) = sentence_of(&question, &answer, sentences, candidate.sentence) else {
            return Ok(Err(Dropped::AnswerNotInPassage));
        };
        let mut draft = Draft {
            source: RowSource::Generated,
            question,
            anchored,
            answer,
            sentence,
            variants: Vec::new(),
            checks: Checks::default(),
        };
        Ok(match asking.round_trip(self.passage, &draft.question, &draft.answer).await? {
            Ok(f1) if f1 >= self.recipe.round_trip_f1 => {
                draft.checks.round_trip_f1 = Some(f1);
                Ok(draft)
            }
            Ok(_) => Err(Dropped::NotFoundByReader),
            Err(why) => Err(why),
        })
    }
}

/// `A gives two every 55 seconds, and B gives one every 35 seconds`: whether the question asks for
/// B's measure in the name of A. Only where the sentence has the same measure twice; then the
/// question must hold the name that stands nearest before its answer, if it holds any.
fn asks_about_another(
    question: &str,
    sentences: &[Sentence],
    candidate: &Candidate,
    corpus: &Corpus,
) -> bool {
    let Some(sentence) = sentences.get(candidate.sentence) else { return false };
    let text =
        |range: &std::ops::Range<usize>| sentence.line.get(range.clone()).unwrap_or_default();
    let unit = |text: &str| text.rsplit(' ').next().unwrap_or_default().to_lowercase();
    let all = mentions(sentence, &corpus.names);
    let twice = all.iter().any(|other| {
        other.kind == MentionKind::Number
            && other.range != candidate.range
            && unit(text(&other.range)) == unit(&candidate.text)
    });
    if candidate.kind != MentionKind::Number || !twice {
        return false;
    }
    let names = || {
        all.iter().filter(|mention| mention.kind == MentionKind::Name).map(|mention| &mention.range)
    };
    let nearest = names().rev().find(|range| range.end <= candidate.range.start);
    let held = names().any(|range| contains(question, text(range)));
    held && nearest.is_some_and(|range| !contains(question, text(range)))
}

/// The sentence with a question word in capitals where the answer stands.
fn statement_of(sentences: &[Sentence], candidate: &Candidate, corpus: &Corpus) -> Option<String> {
    let line = sentences.get(candidate.sentence)?.line.as_str();
    let before = line.get(..candidate.range.start)?;
    let after = line.get(candidate.range.end..)?;
    let word = openings::placeholder(candidate.kind, &candidate.text, corpus);
    Some(format!("{before}{word}{after}"))
}

/// The sentence that carries the answer: of those that hold it, the one nearest to the question,
/// the chosen one where it is as near as any.
fn sentence_of(
    question: &str,
    answer: &str,
    sentences: &[Sentence],
    chosen: usize,
) -> Option<usize> {
    let asked = content_stems(question);
    let near = |place: usize| {
        sentences.get(place).map_or(0.0, |sentence| {
            let said = content_stems(&sentence.line);
            share(asked.intersection(&said).count(), asked.len())
                + if chosen == place { 0.01 } else { 0.0 }
        })
    };
    (0..sentences.len())
        .filter(|&place| {
            sentences.get(place).is_some_and(|sentence| contains(&sentence.line, answer))
        })
        .max_by(|&left, &right| near(left).total_cmp(&near(right)).then(right.cmp(&left)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sentence::of_passage;
    use crate::sentence::tests::passage;

    #[test]
    fn the_measure_of_one_is_not_asked_in_the_name_of_another() {
        let passage = passage(
            1,
            "Horns",
            "The horn at Gannet Point gives two blasts every 55 seconds, \
            and the horn at Low Tern gives one long blast every 35 seconds.",
        );
        let sentences = of_passage(&passage);
        let corpus = Corpus::new(std::slice::from_ref(&passage));
        let all = candidates(&sentences, &corpus, "", &HashSet::new(), 9);
        let later = all.iter().find(|candidate| candidate.text == "35 seconds").unwrap();
        let other = |question| asks_about_another(question, &sentences, later, &corpus);
        assert!(other("How many seconds are between the blasts at Gannet Point?"));
        assert!(!other("How many seconds are between the blasts at Low Tern?"));
        assert!(!other("How many seconds are between two blasts?"));
    }
}
