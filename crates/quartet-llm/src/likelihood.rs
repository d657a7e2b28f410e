//! How probable a long text is, token by token.
//!
//! The text is read in windows, each with an empty memory: the start token where the model has
//! one, then some tokens of the window before as context, then new ones. Every token is counted
//! once, given what its window holds before it; the very first one counts only after a start
//! token. With little overlap the tokens at the beginning of a window know little of the text,
//! so numbers can be compared only between runs with the same window and overlap.

use crate::generate::{log_probability, position_of};
use crate::model::Turn;
use crate::native::{Input, Row, Token};
use crate::pool::Purpose;
use crate::seat::Seat;
use quartet_types::{Error, ErrorCode, Perplexity, PerplexityRequest, Result};

impl Turn<'_> {
    /// Log-probability of every token of a text. The perplexity is `exp(-sum / count)`.
    ///
    /// # Errors
    /// `InvalidInput` for a text of fewer than two tokens (one where the model has a start
    /// token), a window below three or an overlap that leaves no room in it; `NotFound` for an
    /// adapter that is not loaded; `Cancelled`.
    pub fn perplexity(&self, request: &PerplexityRequest) -> Result<Perplexity> {
        let model = self.model;
        let adapters = model.adapters.set(&request.adapters)?;
        let tokens = model.known(&model.ids(&request.input)?)?;
        let start = model.native.start_token().filter(|start| tokens.first() != Some(start));
        let length = self.context_length(request.window);
        let plan = Plan::new(&tokens, start, length as usize, request.overlap as usize)?;

        let mut seat = self.seat(Purpose::Score, length, &adapters)?;
        let mut log_probabilities = Vec::with_capacity(tokens.len());
        while let Some(window) = plan.window(log_probabilities.len()) {
            seat.clear();
            read_window(&mut seat, &window, &mut log_probabilities)?;
        }
        Ok(Perplexity {
            sum: log_probabilities.iter().map(|value| f64::from(*value)).sum(),
            count: position_of(log_probabilities.len())?,
            log_probabilities,
        })
    }
}

/// How a text is cut.
struct Plan<'t> {
    tokens: &'t [Token],
    start: Option<Token>,
    /// Tokens of the text in one window.
    room: usize,
    overlap: usize,
}

/// Tokens to read, of which those from `first` on are counted.
#[derive(Debug, PartialEq)]
struct Window {
    tokens: Vec<Token>,
    first: usize,
}

impl<'t> Plan<'t> {
    fn new(
        tokens: &'t [Token],
        start: Option<Token>,
        length: usize,
        overlap: usize,
    ) -> Result<Self> {
        let refused = |message: String| Err(Error::new(ErrorCode::InvalidInput, message));
        if tokens.len() < 2 - usize::from(start.is_some()) {
            return refused("the text is too short to be measured".to_owned());
        }
        let room = length.saturating_sub(usize::from(start.is_some()));
        let overlap = overlap.max(1);
        if room <= overlap {
            return refused(format!(
                "a window of {length} tokens has no room beside an overlap of {overlap}"
            ));
        }
        Ok(Self { tokens, start, room, overlap })
    }

    /// The next window, once `counted` tokens have been counted; `None` at the end.
    fn window(&self, counted: usize) -> Option<Window> {
        // Without a start token the first token of the text is never counted.
        let next = counted + usize::from(self.start.is_none());
        if next >= self.tokens.len() {
            return None;
        }
        let begin = if counted == 0 { 0 } else { next.saturating_sub(self.overlap) };
        let end = (begin + self.room).min(self.tokens.len());
        let mut tokens: Vec<Token> = self.start.into_iter().collect();
        let first = next - begin + tokens.len();
        tokens.extend_from_slice(&self.tokens[begin..end]);
        Some(Window { tokens, first })
    }
}

fn read_window(seat: &mut Seat<'_>, window: &Window, out: &mut Vec<f32>) -> Result<()> {
    let shape = seat.shape();
    // The last token predicts nothing that is asked for.
    let read = &window.tokens[..window.tokens.len() - 1];
    // Rows whose next token counts give logits, of which only some are possible at once.
    let (silent, scored) = read.split_at(window.first - 1);
    let pieces = silent
        .chunks(shape.batch as usize)
        .map(|piece| (piece, false))
        .chain(scored.chunks(shape.output_rows as usize).map(|piece| (piece, true)));
    let mut position = 0;
    let mut rows = Vec::new();
    for (piece, output) in pieces {
        rows.clear();
        for (index, token) in piece.iter().enumerate() {
            let place = position_of(position + index)?;
            rows.push(Row { input: Input::Token(*token), position: place, sequence: 0, output });
        }
        let _step = seat.decode(&rows)?;
        position += piece.len();
        if output {
            let targets = &window.tokens[position + 1 - piece.len()..=position];
            for (row, target) in targets.iter().enumerate() {
                out.push(log_probability(seat.logits(row)?, *target)?);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_leaves_no_room_is_refused() {
        assert!(Plan::new(&[1], None, 16, 1).is_err());
        assert!(Plan::new(&[], Some(0), 16, 1).is_err());
        assert!(Plan::new(&[1], Some(0), 16, 1).is_ok());
        assert!(Plan::new(&[1, 2, 3], None, 2, 2).is_err());
        assert!(Plan::new(&[1, 2, 3], Some(0), 2, 1).is_err());
    }

    proptest! {
        #[test]
        fn every_token_is_counted_once_with_its_context(
            count in 2usize..200, room in 3usize..40, overlap in 0usize..39, with_start: bool,
        ) {
            let tokens: Vec<Token> = (0..count as Token).collect();
            let start = with_start.then_some(-7);
            let Ok(plan) = Plan::new(&tokens, start, room, overlap) else {
                prop_assert!(room - usize::from(with_start) <= overlap.max(1));
                return Ok(());
            };
            let mut counted = Vec::new();
            while let Some(window) = plan.window(counted.len()) {
                prop_assert!(window.tokens.len() <= room && window.first >= 1);
                prop_assert_eq!(window.tokens[0] == -7, with_start);
                let context = window.first - usize::from(with_start);
                prop_assert!(counted.is_empty() || context >= overlap.max(1).min(counted.len()));
                let new = &window.tokens[window.first..];
                prop_assert!(!new.is_empty());
                counted.extend_from_slice(new);
            }
            prop_assert_eq!(counted, &tokens[usize::from(!with_start)..]);
        }
    }
}
