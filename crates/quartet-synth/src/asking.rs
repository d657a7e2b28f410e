//! What the base model is asked: to write questions, to answer them with and without the
//! passage, and to say them in other words.

use crate::filter::Dropped;
use crate::grammar;
use crate::prompts::Template;
use crate::recipe::Recipe;
use crate::split::number;
use crate::words::{contains, count, f1};
use quartet_methods::Reader;
use quartet_methods::text::one_line;
use quartet_types::{
    Error, ErrorCode, GenerationLimits, GenerationRequest, Grammar, Passage, Prompt, Result,
    Sampling,
};
use tokio_util::sync::CancellationToken;

/// Tokens of a question, at most.
const QUESTION_TOKENS: u32 = 56;
/// Tokens of a checking answer.
const CHECK_TOKENS: u32 = 40;
/// Words beyond the answer that a checking answer may have around it.
const WORDS_AROUND: usize = 12;

/// The model and how it is asked.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) reader: &'a dyn Reader,
    pub(crate) recipe: &'a Recipe,
    pub(crate) cancel: &'a CancellationToken,
}

/// What the model said, or why there is nothing to use.
pub(crate) type Said<T> = std::result::Result<T, Dropped>;

impl Asking<'_> {
    /// Fails once the caller has cancelled.
    pub(crate) fn go_on(&self) -> Result<()> {
        if self.cancel.is_cancelled() { Err(Error::cancelled()) } else { Ok(()) }
    }

    async fn text(&self, request: GenerationRequest) -> Result<Said<String>> {
        self.go_on()?;
        let written = self.reader.generate(request, self.cancel, &mut |_| {}).await;
        self.go_on()?;
        match written {
            Ok(generation) => Ok(Ok(generation.text)),
            Err(error) if error.code == ErrorCode::PromptTooLong => {
                Ok(Err(Dropped::PassageTooLong))
            }
            Err(error) => Err(error),
        }
    }

    fn request(&self, prompt: Prompt, max_tokens: u32) -> GenerationRequest {
        let mut request = GenerationRequest::new(self.reader.model().model.clone(), prompt);
        request.limits = GenerationLimits { max_tokens, ..GenerationLimits::default() };
        // One template after the other about one passage after the other.
        request.keep_prefix = true;
        request
    }

    fn about(&self, passage: &Passage) -> [String; 3] {
        let heading = one_line(passage.heading.as_deref().unwrap_or_default());
        let text: String = passage.text.chars().take(self.recipe.passage_characters).collect();
        [one_line(&passage.title), heading, one_line(&text)]
    }

    /// A statement turned into a question for the part of it that stands in capitals. The first
    /// try takes the most probable one.
    pub(crate) async fn question(
        &self,
        statement: &str,
        openings: &[String],
        attempt: u32,
    ) -> Result<Said<String>> {
        let prompt = Template::QUESTION.fill(&[("statement", &one_line(statement))]);
        let mut request = self.request(prompt, QUESTION_TOKENS);
        request.grammar = Some(Grammar::Gbnf(grammar::question(openings)));
        if attempt > 0 {
            request.sampling = self.lively(attempt, &[statement]);
        }
        Ok(self
            .text(request)
            .await?
            .and_then(|text| lines(&text).into_iter().next().ok_or(Dropped::Malformed)))
    }

    /// Sampling that differs from the most probable text, the same at every run.
    fn lively(&self, attempt: u32, about: &[&str]) -> Sampling {
        let (seed, attempt) = (self.recipe.seed.to_string(), attempt.to_string());
        let mut pieces = vec![seed.as_str(), attempt.as_str()];
        pieces.extend(about);
        Sampling {
            temperature: 0.7,
            top_p: 0.95,
            seed: u32::try_from(number(&pieces) & 0xffff_ffff).unwrap_or_default(),
            ..Sampling::greedy()
        }
    }

    /// F1 between the answer and what the model answers when it reads the passage.
    pub(crate) async fn round_trip(
        &self,
        passage: &Passage,
        question: &str,
        answer: &str,
    ) -> Result<Said<f32>> {
        let [title, heading, text] = self.about(passage);
        let prompt = Template::CHECK.fill(&[
            ("title", &title),
            ("heading", &heading),
            ("passage", &text),
            ("question", &one_line(question)),
        ]);
        let mut request = self.request(prompt, CHECK_TOKENS);
        request.limits.stop = vec!["\n".to_owned()];
        Ok(self.text(request).await?.map(|said| {
            let around = count(&said).saturating_sub(count(answer));
            if contains(&said, answer) && around <= WORDS_AROUND { 1.0 } else { f1(&said, answer) }
        }))
    }

    /// Mean natural-log probability of the answer's tokens when the model reads nothing.
    pub(crate) async fn closed_book(&self, question: &str, answer: &str) -> Result<Option<f32>> {
        self.go_on()?;
        let prompt = Template::CLOSED.fill(&[("question", &one_line(question))]);
        let scores = self.reader.score(prompt, vec![one_line(answer)], self.cancel).await?;
        self.go_on()?;
        let Some(tokens) = scores.first().filter(|tokens| !tokens.is_empty()) else {
            return Ok(None);
        };
        #[expect(clippy::cast_precision_loss, reason = "an answer has a handful of tokens")]
        let mean = tokens.iter().sum::<f32>() / tokens.len() as f32;
        Ok(Some(mean))
    }

    /// Other wordings of a question, one for each group of beginnings.
    pub(crate) async fn paraphrases(
        &self,
        question: &str,
        openings: &[Vec<String>],
        attempt: u32,
    ) -> Result<Said<Vec<String>>> {
        let question = one_line(question);
        let prompt = Template::PARAPHRASE.fill(&[("question", &question)]);
        let asked = u32::try_from(openings.len()).unwrap_or(u32::MAX);
        let mut request = self.request(prompt, asked.saturating_mul(QUESTION_TOKENS));
        request.grammar = Some(Grammar::Gbnf(grammar::questions(openings)));
        if attempt > 0 {
            request.sampling = self.lively(attempt, &[&question]);
        }
        Ok(self.text(request).await?.map(|text| lines(&text)))
    }
}

/// The questions of a reply, one a line; the last is left out where the tokens ran out in it.
fn lines(text: &str) -> Vec<String> {
    text.lines().map(one_line).filter(|line| line.ends_with(['?', '\u{ff1f}', '\u{61f}'])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_that_was_cut_is_left_out() {
        assert_eq!(lines("Who sold it?\nWhen was the mi"), ["Who sold it?"]);
        assert_eq!(lines("Who"), Vec::<String>::new());
    }
}
