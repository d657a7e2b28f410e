//! Text to tokens, tokens to text, and the embeddings that tokens stand for.

use crate::model::Model;
use crate::native::Token;
use crate::prompt::{self, id_of};
use crate::text::Utf8Carry;
use quartet_types::{EmbeddingRows, Error, ErrorCode, Prompt, PromptTokens, Result, TokenInput};
use std::sync::atomic::{AtomicBool, Ordering};

/// Architectures in which llama.cpp multiplies the embeddings of tokens, but not rows that it is
/// given, by the square root of the width. (Gemma 1 and 2 multiply both; Granite, MiniCPM and
/// Grok multiply both by a number of their own. Their rows are those of the file.)
const SCALED: [&str; 4] = ["gemma-embedding", "gemma3", "gemma3n", "gemma4"];
const EMBEDDING: &str = "token_embd.weight";
/// Numbers in one reply; more would not go into one message.
const MAX_NUMBERS: usize = 8 << 20;

impl Model {
    /// Tokens of each text, without start or end token. `special` says whether control tokens
    /// written in a text are recognised.
    ///
    /// # Errors
    /// `InvalidInput` if a text is beyond two gibibytes; `Cancelled`.
    pub fn tokenise(
        &self,
        texts: &[String],
        special: bool,
        cancel: &AtomicBool,
    ) -> Result<Vec<Vec<u32>>> {
        let tokens = |text: &String| {
            if cancel.load(Ordering::Relaxed) {
                return Err(Error::cancelled());
            }
            self.split(text, special)?.into_iter().map(id_of).collect()
        };
        texts.iter().map(tokens).collect()
    }

    /// The text of each list of tokens; `special` says whether control tokens are written out
    /// or left out. Bytes that are no characters become U+FFFD.
    ///
    /// # Errors
    /// `InvalidInput` for an id beyond the vocabulary.
    pub fn detokenise(&self, tokens: &[Vec<u32>], special: bool) -> Result<Vec<String>> {
        let text = |ids: &Vec<u32>| {
            let mut carry = Utf8Carry::default();
            let mut text = String::new();
            for token in self.known(ids)? {
                text.push_str(&carry.push(&self.native.piece(token, special)));
            }
            text.push_str(&carry.finish());
            Ok(text)
        };
        tokens.iter().map(text).collect()
    }

    /// What the model reads for a prompt: the very tokens (and rows) of a generation.
    ///
    /// # Errors
    /// `InvalidInput` for an empty prompt or rows that cannot be read; `NotSupported` where the
    /// architecture cannot read rows.
    pub fn read_prompt(&self, prompt: &Prompt) -> Result<PromptTokens> {
        prompt::read(self, prompt)?.parts()
    }

    /// The model's own embeddings of tokens, `[tokens, width]`, dequantised from its file and at
    /// the scale at which they go into the first layer; given back as rows of a prompt they are
    /// the same to the model as the tokens themselves. Adapters of the embedding do not count.
    ///
    /// # Errors
    /// `InvalidInput` for an id beyond the vocabulary; `LimitExceeded` for more tokens than one
    /// reply can hold; `NotSupported` for a model without a plain table of embeddings.
    pub fn token_embeddings(&self, input: &TokenInput) -> Result<EmbeddingRows> {
        let ids = self.ids(input)?;
        let width = self.native.input_width();
        let table = self
            .weights
            .tensor(EMBEDDING)
            .filter(|table| table.shape.first() == Some(&(width as u64)))
            .ok_or_else(|| {
                Error::new(ErrorCode::NotSupported, "has no plain table of token embeddings")
                    .about(self.name())
            })?;
        if ids.len().saturating_mul(width) > MAX_NUMBERS {
            let most = MAX_NUMBERS / width.max(1);
            return Err(Error::new(
                ErrorCode::LimitExceeded,
                format!("{} token embeddings at once are more than the {most} possible", ids.len()),
            )
            .hint("Ask for them in several parts."));
        }
        let mut values = self.weights.rows(table, &ids)?;
        if SCALED.contains(&self.facts.architecture.as_str()) {
            let scale = (width as f32).sqrt();
            values.iter_mut().for_each(|value| *value *= scale);
        }
        Ok(EmbeddingRows { values, width: u32::try_from(width).unwrap_or(u32::MAX) })
    }

    /// Ids of tokens, each known to the model.
    pub(crate) fn ids(&self, input: &TokenInput) -> Result<Vec<u32>> {
        match input {
            TokenInput::Ids(ids) => {
                self.known(ids)?;
                Ok(ids.clone())
            }
            TokenInput::Text { text, special } => {
                self.split(text, *special)?.into_iter().map(id_of).collect()
            }
        }
    }

    fn split(&self, text: &str, special: bool) -> Result<Vec<Token>> {
        if special {
            self.native.tokenize(text, false, true)
        } else {
            self.tokenize_data(text, false)
        }
    }

    pub(crate) fn known(&self, ids: &[u32]) -> Result<Vec<Token>> {
        let size = self.native.vocabulary_size();
        let token = |id: &u32| {
            let inside = (*id as usize) < size;
            Token::try_from(*id).ok().filter(|_| inside).ok_or_else(|| {
                Error::new(
                    ErrorCode::InvalidInput,
                    format!("there is no token {id}; the vocabulary has {size}"),
                )
                .hint("Ids must come from this model's own tokenizer.")
            })
        };
        ids.iter().map(token).collect()
    }
}
