//! From a prompt to what goes into the first layer: tokens, and rows of embeddings at exactly
//! the place where the prompt has them.

use crate::model::Model;
use crate::native::{Input, Token};
use crate::template::Piece;
use quartet_types::{
    EmbeddingRows, Error, ErrorCode, Prompt, PromptPart, PromptTokens, Result, Segment,
};

/// Architectures in which llama.cpp refuses tokens and rows in one batch, because weights or
/// routing depend on which of the two a batch holds (its `llm_arch_supports_mixed_batch`).
const WITHOUT_ROWS: [&str; 6] =
    ["cogvlm", "deepseek4", "dflash", "eagle3", "gemma4-assistant", "graniteswitch"];

/// A prompt as the model reads it.
#[derive(Debug)]
pub(crate) struct ReadPrompt<'p> {
    /// One for each position.
    pub(crate) inputs: Vec<Input<'p>>,
    /// The same as text, rows as `[n embedding rows]`.
    pub(crate) text: String,
    /// Stop texts that go with the template.
    pub(crate) stops: &'static [&'static str],
}

/// Tokenises a prompt: template text with control tokens, content of messages without.
///
/// # Errors
/// `InvalidInput` for an empty prompt and for rows of another width or with numbers that are
/// not finite; `NotSupported` where the architecture cannot read rows.
pub(crate) fn read<'p>(model: &Model, prompt: &'p Prompt) -> Result<ReadPrompt<'p>> {
    let mut read = ReadPrompt { inputs: Vec::new(), text: String::new(), stops: &[] };
    match prompt {
        Prompt::Raw(segments) => {
            for segment in segments {
                match segment {
                    Segment::Text(text) => read.push_text(model, text, true)?,
                    Segment::Embeddings(rows) => read.push_rows(model, rows)?,
                }
            }
        }
        Prompt::Chat(messages) => {
            read.stops = model.template.stops();
            for piece in model.template.render(messages)? {
                match piece {
                    Piece::Template(text) => read.push_text(model, &text, true)?,
                    Piece::Content(text) => read.push_text(model, text, false)?,
                    Piece::Rows(rows) => read.push_rows(model, rows)?,
                }
            }
        }
    }
    if let Some(start) = model.native.start_token()
        && read.inputs.first() != Some(&Input::Token(start))
    {
        read.inputs.insert(0, Input::Token(start));
        read.text.insert_str(0, &model.native.boundary_texts().0);
    }
    if read.inputs.is_empty() {
        return Err(Error::new(ErrorCode::InvalidInput, "the prompt is empty"));
    }
    Ok(read)
}

impl<'p> ReadPrompt<'p> {
    fn push_text(&mut self, model: &Model, text: &str, is_ours: bool) -> Result<()> {
        let tokens = model.native.tokenize(text, false, is_ours)?;
        self.inputs.extend(tokens.into_iter().map(Input::Token));
        self.text.push_str(text);
        Ok(())
    }

    fn push_rows(&mut self, model: &Model, rows: &'p EmbeddingRows) -> Result<()> {
        check_rows(rows, model.native.input_width(), &model.facts.architecture)?;
        let inputs = rows.values.chunks_exact(rows.width.max(1) as usize).map(Input::Embedding);
        let before = self.inputs.len();
        self.inputs.extend(inputs);
        let count = self.inputs.len() - before;
        self.text.push_str(&format!("[{count} embedding rows]"));
        Ok(())
    }

    /// Runs of tokens and of rows, for whoever must read the same.
    pub(crate) fn parts(&self) -> Result<PromptTokens> {
        let mut parts: Vec<PromptPart> = Vec::new();
        for input in &self.inputs {
            match (input, parts.last_mut()) {
                (Input::Token(token), Some(PromptPart::Tokens(run))) => run.push(id_of(*token)?),
                (Input::Token(token), _) => parts.push(PromptPart::Tokens(vec![id_of(*token)?])),
                (Input::Embedding(_), Some(PromptPart::Rows(count))) => *count += 1,
                (Input::Embedding(_), _) => parts.push(PromptPart::Rows(1)),
            }
        }
        Ok(PromptTokens { parts, text: self.text.clone() })
    }
}

/// The id of a token as it is written outside of this crate.
pub(crate) fn id_of(token: Token) -> Result<u32> {
    u32::try_from(token).map_err(|_| Error::internal("a token below zero"))
}

/// Checks rows against the width of the first layer.
fn check_rows(rows: &EmbeddingRows, width: usize, architecture: &str) -> Result<()> {
    if WITHOUT_ROWS.contains(&architecture) {
        return Err(rows_not_supported());
    }
    let refused = |message: String| {
        Error::new(ErrorCode::InvalidInput, message)
            .hint("Rows must come from the model that reads them, or from a projector made for it.")
    };
    if rows.width as usize != width {
        return Err(refused(format!(
            "embedding rows are {} numbers wide, and this model reads rows of {width}",
            rows.width
        )));
    }
    if width == 0 || !rows.values.len().is_multiple_of(width) {
        return Err(refused(format!(
            "{} numbers do not make embedding rows of {width}",
            rows.values.len()
        )));
    }
    if let Some(place) = rows.values.iter().position(|value| !value.is_finite()) {
        return Err(refused(format!(
            "embedding row {} (counted from 0) holds a number that is not finite",
            place / width
        )));
    }
    Ok(())
}

/// The error where an architecture cannot read rows.
pub(crate) fn rows_not_supported() -> Error {
    Error::new(
        ErrorCode::NotSupported,
        "llama.cpp cannot read embedding rows among tokens with this model's architecture",
    )
    .hint("Use another base model for this method.")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_cannot_be_read_are_refused_by_name() {
        let rows = |count: usize, width: u32| EmbeddingRows { values: vec![0.5; count], width };
        assert_eq!(check_rows(&rows(12, 4), 4, "qwen2"), Ok(()));
        assert_eq!(check_rows(&rows(0, 4), 4, "qwen2"), Ok(()));
        let refused = |rows: EmbeddingRows, architecture: &str| {
            let error = check_rows(&rows, 4, architecture).unwrap_err();
            (error.code, error.message)
        };
        let (code, message) = refused(rows(12, 6), "qwen2");
        assert_eq!(code, ErrorCode::InvalidInput);
        assert!(message.contains("6 numbers wide") && message.contains("rows of 4"), "{message}");
        assert!(refused(rows(11, 4), "qwen2").1.contains("11 numbers"));
        assert!(refused(rows(12, 0), "qwen2").1.contains("0 numbers wide"));
        for number in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut bad = rows(12, 4);
            bad.values[9] = number;
            let (code, message) = refused(bad, "qwen2");
            assert_eq!(code, ErrorCode::InvalidInput);
            assert!(message.contains("row 2 "), "{message}");
        }
        assert_eq!(refused(rows(12, 4), "cogvlm").0, ErrorCode::NotSupported);
    }
}
