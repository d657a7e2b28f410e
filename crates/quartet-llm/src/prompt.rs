//! From a prompt to tokens.

use crate::model::Model;
use crate::native::Token;
use crate::template::{Piece, text_of};
use quartet_types::{Error, ErrorCode, Prompt, Result};

/// A prompt as the model reads it.
#[derive(Debug)]
pub(crate) struct ReadPrompt {
    pub(crate) tokens: Vec<Token>,
    /// The same as text.
    pub(crate) text: String,
    /// Stop texts that go with the template.
    pub(crate) stops: &'static [&'static str],
}

/// Tokenises a prompt: template text with control tokens, content of messages without.
pub(crate) fn read(model: &Model, prompt: &Prompt) -> Result<ReadPrompt> {
    let mut tokens = Vec::new();
    let mut text = String::new();
    let mut stops: &'static [&'static str] = &[];
    match prompt {
        Prompt::Raw(segments) => {
            for segment in segments {
                let piece = text_of(segment)?;
                tokens.extend(model.native.tokenize(piece, false, true)?);
                text.push_str(piece);
            }
        }
        Prompt::Chat(messages) => {
            stops = model.template.stops();
            for piece in model.template.render(messages)? {
                let (piece, is_ours) = match &piece {
                    Piece::Template(piece) => (piece.as_str(), true),
                    Piece::Content(piece) => (*piece, false),
                };
                tokens.extend(model.native.tokenize(piece, false, is_ours)?);
                text.push_str(piece);
            }
        }
    }
    if model.with_start_token(&mut tokens) {
        text.insert_str(0, &model.native.boundary_texts().0);
    }
    if tokens.is_empty() {
        return Err(Error::new(ErrorCode::InvalidInput, "the prompt is empty"));
    }
    Ok(ReadPrompt { tokens, text, stops })
}

/// The error for a prompt of `tokens` tokens where `room` are possible.
pub(crate) fn too_long(what: &str, tokens: usize, room: usize) -> Error {
    let over = tokens.saturating_sub(room);
    Error::new(
        ErrorCode::PromptTooLong,
        format!("{what} has {tokens} tokens, {over} more than the {room} that fit"),
    )
    .hint("Shorten the text, or use a longer context where the model allows it.")
}
