//! Questions and answers as the base reads them, in tokens: the very prompt that answering
//! fills, split at the rows.

use crate::engine::{Engine, unexpected};
use quartet_methods::expert::Exchange;
use quartet_methods::gag::answering::filled;
use quartet_methods::gag::training::LessonTokens;
use quartet_types::{
    EmbeddingRows, EngineReply, EngineRequest, Error, Message, ModelId, Prompt, PromptPart, Result,
    Role,
};
use tokio_util::sync::CancellationToken;

/// A base whose prompts are wanted.
pub(super) struct Speller<'a> {
    engine: &'a Engine,
    model: ModelId,
    cancel: &'a CancellationToken,
    rows: EmbeddingRows,
    /// What ends an answer.
    end: Vec<u32>,
}

impl<'a> Speller<'a> {
    /// For prompts with so many rows of this width.
    pub(super) async fn new(
        engine: &'a Engine,
        model: ModelId,
        (slots, width): (usize, u32),
        cancel: &'a CancellationToken,
    ) -> Result<Self> {
        let rows = EmbeddingRows { values: vec![0.0; slots * width as usize], width };
        let mut speller = Self { engine, model, cancel, rows, end: Vec::new() };
        speller.end = speller.end_of_turn().await?;
        Ok(speller)
    }

    /// The lesson of an exchange.
    pub(super) async fn lesson(&self, exchange: &Exchange) -> Result<LessonTokens> {
        let read = self.read(filled(exchange.question.trim(), self.rows.clone())).await?;
        let mut lesson = LessonTokens::default();
        let mut is_after = false;
        for part in read {
            match part {
                PromptPart::Rows(_) => is_after = true,
                PromptPart::Tokens(tokens) if is_after => lesson.after.extend(tokens),
                PromptPart::Tokens(tokens) => lesson.before.extend(tokens),
            }
        }
        lesson.answer = self.plain(exchange.answer.trim()).await?;
        lesson.answer.extend(&self.end);
        Ok(lesson)
    }

    /// The first token that the template puts after an answer. Empty where it puts nothing of
    /// its own.
    async fn end_of_turn(&self) -> Result<Vec<u32>> {
        let question = Message::text(Role::User, "a");
        let asked = self.tokens(Prompt::Chat(vec![question.clone()])).await?;
        let talk =
            vec![question, Message::text(Role::Assistant, "b"), Message::text(Role::User, "c")];
        let whole = self.tokens(Prompt::Chat(talk)).await?;
        let answer = self.plain("b").await?;
        let rest = whole.strip_prefix(&asked[..]).and_then(|rest| rest.strip_prefix(&answer[..]));
        Ok(rest.and_then(|rest| rest.first().copied()).into_iter().collect())
    }

    async fn tokens(&self, prompt: Prompt) -> Result<Vec<u32>> {
        let parts = self.read(prompt).await?.into_iter();
        Ok(parts
            .flat_map(|part| match part {
                PromptPart::Tokens(tokens) => tokens,
                PromptPart::Rows(_) => Vec::new(),
            })
            .collect())
    }

    async fn read(&self, prompt: Prompt) -> Result<Vec<PromptPart>> {
        let request = EngineRequest::ReadPrompt { model: self.model.clone(), prompt };
        match self.engine.call(request, self.cancel, |_| {}).await? {
            EngineReply::PromptRead(read) => Ok(read.parts),
            other => Err(unexpected(&other)),
        }
    }

    async fn plain(&self, text: &str) -> Result<Vec<u32>> {
        let (model, texts) = (self.model.clone(), vec![text.to_owned()]);
        let request = EngineRequest::Tokenise { model, texts, special: false };
        match self.engine.call(request, self.cancel, |_| {}).await? {
            EngineReply::Tokens(mut tokens) => {
                tokens.pop().ok_or_else(|| Error::internal("no tokens for a text"))
            }
            other => Err(unexpected(&other)),
        }
    }
}
