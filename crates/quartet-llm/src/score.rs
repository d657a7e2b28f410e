//! How probable a continuation is.

use crate::generate::{log_probability, position_of, prefill};
use crate::model::Turn;
use crate::native::{Input, Row, Token};
use crate::pool::Purpose;
use crate::prompt;
use crate::seat::Seat;
use quartet_types::{AdapterUse, Prompt, Result};

impl Turn<'_> {
    /// For each continuation, the natural-log probability of each of its tokens after the
    /// prompt, with `adapters` in force. The prompt is read once; continuations are tokenised
    /// as data.
    ///
    /// # Errors
    /// `PromptTooLong` if the prompt with the longest continuation does not fit; `NotFound` for
    /// an adapter that is not loaded; `InvalidInput`; `Cancelled`.
    pub fn score(
        &self,
        prompt: &Prompt,
        continuations: &[String],
        adapters: &[AdapterUse],
    ) -> Result<Vec<Vec<f32>>> {
        let model = self.model;
        let adapters = model.adapters.set(adapters)?;
        let read = prompt::read(model, prompt)?;
        let texts: Vec<Vec<Token>> = continuations
            .iter()
            .map(|text| model.native.tokenize(text, false, false))
            .collect::<Result<_>>()?;
        let longest = texts.iter().map(Vec::len).max().unwrap_or(0);
        let length = self.context_length(None);
        let whole = read.inputs.len() + longest;
        if whole > length as usize {
            let what = "the prompt with its longest continuation";
            return Err(prompt::too_long(what, whole, length as usize));
        }
        let mut seat = self.seat(Purpose::Score, length, &adapters)?;
        let row = prefill(&mut seat, &read.inputs, &mut |_| {})?;
        let first = seat.logits(row)?.to_vec();
        let start = position_of(read.inputs.len())?;
        let mut scores = Vec::with_capacity(texts.len());
        for text in &texts {
            scores.push(continue_with(&mut seat, &first, start, text)?);
            if !seat.forget_from(start) {
                // Some kinds of memory cannot forget a part: read the prompt again.
                seat.clear();
                prefill(&mut seat, &read.inputs, &mut |_| {})?;
            }
        }
        Ok(scores)
    }
}

fn continue_with(
    seat: &mut Seat<'_>,
    first: &[f32],
    start: u32,
    tokens: &[Token],
) -> Result<Vec<f32>> {
    let mut scores = Vec::with_capacity(tokens.len());
    let Some((head, targets)) = tokens.split_first() else { return Ok(scores) };
    scores.push(log_probability(first, *head)?);
    let batch = seat.shape().output_rows as usize;
    let mut position = start;
    for (read, wanted) in tokens.chunks(batch).zip(targets.chunks(batch)) {
        let mut rows = Vec::with_capacity(wanted.len());
        // The very last token of a continuation predicts nothing that is asked for.
        for token in read.iter().take(wanted.len()) {
            let input = Input::Token(*token);
            rows.push(Row { input, position, sequence: 0, output: true });
            position += 1;
        }
        let _step = seat.decode(&rows)?;
        for (row, target) in wanted.iter().enumerate() {
            scores.push(log_probability(seat.logits(row)?, *target)?);
        }
    }
    Ok(scores)
}
