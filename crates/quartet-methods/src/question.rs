//! A question, with the conversation that led to it.

use quartet_types::{Error, ErrorCode, Result};

/// A question to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The question as typed.
    pub text: String,
    /// Earlier turns of the same conversation, oldest first; empty for a fresh question.
    pub history: Vec<Turn>,
}

/// An earlier question and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// The question as searched, where it was rewritten to stand alone, else as typed.
    pub question: String,
    /// The answer as shown.
    pub answer: String,
}

impl Question {
    /// A question without a conversation before it.
    #[must_use]
    pub fn fresh(text: impl Into<String>) -> Self {
        Self { text: text.into(), history: Vec::new() }
    }

    /// Refuses a question without a letter or digit.
    ///
    /// # Errors
    /// `InvalidInput`.
    pub fn check(&self) -> Result<()> {
        if self.text.chars().any(char::is_alphanumeric) {
            return Ok(());
        }
        Err(Error::new(ErrorCode::InvalidInput, "the question is empty")
            .hint("Ask in a sentence, for example: quartet ask \"Who signed the contract?\""))
    }
}
