//! A question that leans on the conversation is made to stand alone before it is searched:
//! every turn retrieves anew, so the middle of a document is never lost to a stale context.

use crate::rag::prompt::{KEPT_TURNS, Template, clean_question, shorten};
use crate::run::check_cancelled;
use crate::text::{Word, words};
use crate::{Question, Reader, Turn};
use quartet_types::{Answer, GenerationLimits, GenerationRequest, Result};
use tokio_util::sync::CancellationToken;

/// Tokens of a rewritten question, at most.
const REWRITE_TOKENS: u32 = 64;

/// A rewritten question and what it cost.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rewriting {
    pub(crate) question: String,
    pub(crate) tokens_read: u32,
    pub(crate) tokens_written: u32,
    pub(crate) queue_ms: f64,
    pub(crate) prefill_ms: f64,
    pub(crate) decode_ms: f64,
}

impl Rewriting {
    /// Notes in an answer what was asked in the end, and what finding that out cost.
    pub(crate) fn charge(&self, answer: &mut Answer) {
        answer.searched_question = Some(self.question.clone());
        answer.timings.queue_ms += self.queue_ms;
        answer.timings.prefill_ms += self.prefill_ms;
        answer.timings.decode_ms += self.decode_ms;
        answer.usage.tokens_read += self.tokens_read;
        answer.usage.tokens_written += self.tokens_written;
    }
}

/// The stand-alone question; `None` where the question already stands alone.
pub(crate) async fn stand_alone(
    question: &Question,
    reader: &dyn Reader,
    cancel: &CancellationToken,
) -> Result<Option<Rewriting>> {
    let Some(last) = question.history.last() else { return Ok(None) };
    if !leans_on_conversation(&question.text) {
        return Ok(None);
    }
    check_cancelled(cancel)?;
    let asked = clean_question(&question.text);
    let prompt = Template::REWRITE
        .fill(&[("conversation", &transcript(&question.history)), ("question", &asked)]);
    let mut request = GenerationRequest::new(reader.model().model.clone(), prompt);
    request.limits = GenerationLimits {
        max_tokens: REWRITE_TOKENS,
        stop: vec!["\n".to_owned()],
        ..GenerationLimits::default()
    };
    let written = reader.generate(request, cancel, &mut |_| {}).await?;
    let question = accept(&written.text, &question.history, &asked).unwrap_or_else(|| {
        // Both questions together find the passages of the conversation at least.
        format!("{} {asked}", shorten(&last.question, 300))
    });
    Ok(Some(Rewriting {
        question,
        tokens_read: written.prompt_tokens,
        tokens_written: written.written_tokens,
        queue_ms: written.queue_ms,
        prefill_ms: written.prefill_ms,
        decode_ms: written.decode_ms,
    }))
}

fn transcript(history: &[Turn]) -> String {
    let lines: Vec<String> = history
        .iter()
        .skip(history.len().saturating_sub(KEPT_TURNS))
        .map(|turn| {
            format!(
                "Question: {}\nAnswer: {}",
                shorten(&turn.question, 300),
                shorten(&turn.answer, 300)
            )
        })
        .collect();
    lines.join("\n")
}

/// Takes the model's rewriting only if it is a sane question made of words that are there.
fn accept(written: &str, history: &[Turn], asked: &str) -> Option<String> {
    let line = written.trim().lines().next()?.trim();
    let line = line.strip_prefix("Rewritten question:").unwrap_or(line).trim();
    let line = line.trim_matches(['"', '\u{201c}', '\u{201d}']).trim();
    if line.is_empty() || line.chars().count() > 300 {
        return None;
    }
    let mut known: Vec<Word> = words(asked);
    for turn in history {
        known.extend(words(&turn.question));
        known.extend(words(&turn.answer));
    }
    let content: Vec<Word> = words(line).into_iter().filter(|word| !word.function).collect();
    let invented = content
        .iter()
        .filter(|word| (word.number || word.capital) && !known.iter().any(|k| k.stem == word.stem))
        .count();
    // The first word of a question is capital without being a name.
    let first = usize::from(content.first().is_some_and(|word| word.range.start == 0));
    (!content.is_empty() && invented <= first).then(|| clean_question(line))
}

/// A cheap test: does the question have a pronoun without a name before it, or too few
/// content words to be searched?
#[must_use]
pub fn leans_on_conversation(question: &str) -> bool {
    let words = words(question);
    let content = words.iter().filter(|word| !word.function).count();
    if content < 2 {
        return true;
    }
    let folded: Vec<&str> = words.iter().map(|word| word.folded.as_str()).collect();
    if matches!(folded.as_slice(), ["and" | "but" | "or" | "so", ..])
        || matches!(folded.as_slice(), ["what" | "how", "about", ..])
    {
        return true;
    }
    words.iter().enumerate().any(|(place, word)| {
        let named_before =
            words.iter().take(place).skip(1).any(|before| before.capital && before.folded != "i");
        let function_next = words.get(place + 1).is_none_or(|next| next.function);
        match word.folded.as_str() {
            "it" | "its" | "itself" | "they" | "them" | "their" | "theirs" | "he" | "him"
            | "his" | "she" | "her" | "hers" => !named_before,
            "this" | "these" | "those" | "former" | "latter" => true,
            // `that` is a relative pronoun after a noun, and points back after a function word.
            "that" => {
                place == 0
                    || words.get(place - 1).is_some_and(|before| before.function)
                    || place + 1 == words.len()
            }
            "there" => {
                // `Is there a tug?` asks; `Who works there?` points back.
                !words.get(place.wrapping_sub(1)).is_some_and(|before| {
                    matches!(before.folded.as_str(), "is" | "are" | "was" | "were" | "how")
                }) && function_next
            }
            "one" | "ones" => place + 1 == words.len(),
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_questions_that_lean_are_rewritten() {
        for leaning in [
            "And who designed it?",
            "Why?",
            "What about the other light?",
            "How high is it above the sea?",
            "Why was that lamp repaired?",
            "When did she join the Authority?",
            "Who works there?",
            "Which is the taller one?",
        ] {
            assert!(leans_on_conversation(leaning), "{leaning}");
        }
        for alone in [
            "Who compiled the fourth revision of the Keeper's Handbook?",
            "How many racks are there at Kettle Sound?",
            "What did Maren Oskvay do before she wrote the handbook?",
            "Which light failed on the night that the tug sank?",
            "What does a cluster for Low Tern cost?",
        ] {
            assert!(!leans_on_conversation(alone), "{alone}");
        }
    }

    #[test]
    fn a_rewriting_may_not_invent_names() {
        let history = [Turn {
            question: "Who designed the restart order?".to_owned(),
            answer: "Casimir Veldhuyn.".to_owned(),
        }];
        let asked = "Why did he do it?";
        assert_eq!(
            accept("Why did Casimir Veldhuyn design the restart order?\n", &history, asked)
                .as_deref(),
            Some("Why did Casimir Veldhuyn design the restart order?")
        );
        assert_eq!(accept("Why did Napoleon cross the Alps in 1800?", &history, asked), None);
        assert_eq!(accept("  \n", &history, asked), None);
    }
}
