//! Reading hidden states out while a request runs.
//!
//! A generation with taps (or passages) runs in a context whose passes can be watched
//! (`native::watch`). What it writes does not depend on the taps: the prompt is cut into the
//! same pieces, and the same rows get logits.
//!
//! Outputs of the last layer and of the final normalisation exist only for rows whose logits
//! are asked for. Where they are wanted for a whole prompt, the prompt is read once for them,
//! without computing logits, and once more for the text; with
//! [`stop_after`](quartet_types::Tap::stop_after) only the first happens.

use crate::census::{Census, Place as Location};
use crate::generate::position_of;
use crate::model::{Model, Turn};
use crate::native::{Input, NodeName, Orders, Read, Reveal, Row};
use crate::queue::Place;
use crate::seat::Seat;
use quartet_types::{
    EngineEvent, Error, ErrorCode, Result, Tap, TapPoint, TapReading, TapRows, TapUse,
};
use std::ops::{Range, RangeInclusive};

/// Passages that some layers of a request see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    /// Cells that they take, from 0.
    pub(crate) cells: usize,
    /// Layers that see them.
    pub(crate) layers: RangeInclusive<u32>,
    /// Position of the prompt's first row.
    pub(crate) prompt_position: u32,
}

/// What is looked for in the passes of one request.
#[derive(Debug)]
pub(crate) struct Watching {
    taps: Vec<Watched>,
    stops: bool,
    shown: Option<Shown>,
    layers: u32,
}

#[derive(Debug)]
struct Watched {
    location: Location,
    rows: TapRows,
    /// Whether the place has rows only where logits are asked for.
    at_end: bool,
    values: Vec<f32>,
    count: u32,
}

/// Rows of the prompt that one pass reads.
#[derive(Debug, Clone, Copy)]
struct Piece {
    before: usize,
    rows: usize,
    total: usize,
    /// Whether all of them get outputs, or only the prompt's last.
    all_outputs: bool,
}

impl Turn<'_> {
    /// Checks the taps of a request and finds their places; `None` without taps and passages.
    ///
    /// # Errors
    /// `InvalidInput` for a layer that does not exist, a tap above one that stops the pass, and
    /// rows that are never read; `NotSupported` where the graph is not as expected.
    pub(crate) fn watching(
        &self,
        taps: &[TapUse],
        shown: Option<Shown>,
    ) -> Result<Option<Watching>> {
        if taps.is_empty() && shown.is_none() {
            return Ok(None);
        }
        let model = self.model;
        let stops = check(taps, model.facts.layers)?;
        let census = self.graph()?;
        let taps = taps.iter().map(|tap| watched(model, &census, tap)).collect::<Result<_>>()?;
        Ok(Some(Watching { taps, stops, shown, layers: model.facts.layers }))
    }
}

fn watched(model: &Model, census: &Census, tap: &TapUse) -> Result<Watched> {
    let location = census.place(model, &tap.tap)?;
    let last = tap.tap.layer + 1 == model.facts.layers;
    let at_end = match tap.tap.point {
        TapPoint::FinalNorm => true,
        TapPoint::LayerOutput => last,
        TapPoint::Query | TapPoint::Key => false,
    };
    Ok(Watched { location, rows: tap.rows, at_end, values: Vec::new(), count: 0 })
}

/// Where in a pass a tap is read: later places are larger.
fn place_in_pass(tap: &Tap) -> (u32, u8) {
    match tap.point {
        TapPoint::Query | TapPoint::Key => (tap.layer, 0),
        TapPoint::LayerOutput => (tap.layer, 1),
        TapPoint::FinalNorm => (u32::MAX, 2),
    }
}

/// Checks taps against each other; whether they stop the pass.
fn check(taps: &[TapUse], layers: u32) -> Result<bool> {
    let refused = |message: String, hint: &str| {
        Err(Error::new(ErrorCode::InvalidInput, message).hint(hint.to_owned()))
    };
    for TapUse { tap, .. } in taps {
        if tap.point != TapPoint::FinalNorm && tap.layer >= layers {
            return refused(
                format!("there is no layer {} to tap in a model with {layers}", tap.layer),
                "Layers are counted from 0.",
            );
        }
    }
    let stops = taps.iter().filter(|tap| tap.tap.stop_after);
    let Some(stop) = stops.map(|tap| place_in_pass(&tap.tap)).min() else { return Ok(false) };
    if taps.iter().any(|tap| place_in_pass(&tap.tap) > stop) {
        return refused(
            "a tap lies above the one that stops the pass".to_owned(),
            "Stop after the last tap.",
        );
    }
    if taps.iter().any(|tap| tap.rows == TapRows::Written) {
        return refused(
            "a tap wants rows of tokens that are written, and another stops the pass before"
                .to_owned(),
            "Ask for rows of the prompt, or do not stop.",
        );
    }
    Ok(true)
}

impl Watching {
    /// Whether the passes stop at the taps and nothing is written.
    pub(crate) fn stops(&self) -> bool {
        self.stops
    }

    /// Position of the prompt's first row.
    pub(crate) fn start(&self) -> u32 {
        self.shown.as_ref().map_or(0, |shown| shown.prompt_position)
    }

    /// Reads a prompt into sequence 0, with an event after each piece; returns the row of the
    /// last piece that carries the logits after the prompt.
    pub(crate) fn prefill(
        &mut self,
        seat: &mut Seat<'_>,
        inputs: &[Input<'_>],
        on_event: &mut impl FnMut(EngineEvent),
    ) -> Result<usize> {
        let whole = |tap: &Watched| tap.at_end && tap.rows.whole_prompt();
        if self.taps.iter().any(whole) {
            let stops = self.stops;
            let chosen = |tap: &Watched| stops || whole(tap);
            if stops {
                return self.read(seat, inputs, true, chosen, on_event);
            }
            self.read(seat, inputs, true, chosen, &mut |_| {})?;
            if !seat.forget_from(self.start()) {
                return Err(Error::new(
                    ErrorCode::NotSupported,
                    "the memory of this model cannot forget a prompt that was read for its taps",
                )
                .hint("Tap another layer than the last, or stop after the tap."));
            }
        }
        self.read(seat, inputs, false, |tap| !whole(tap), on_event)
    }

    /// Reads a prompt for the taps that `chosen` picks.
    fn read(
        &mut self,
        seat: &mut Seat<'_>,
        inputs: &[Input<'_>],
        all_outputs: bool,
        chosen: impl Fn(&Watched) -> bool,
        on_event: &mut impl FnMut(EngineEvent),
    ) -> Result<usize> {
        let shape = seat.shape();
        let size = if all_outputs { shape.batch.min(shape.output_rows) } else { shape.batch };
        let total = inputs.len();
        let chosen: Vec<bool> = self.taps.iter().map(chosen).collect();
        let mut before = 0;
        let mut rows = Vec::new();
        for inputs in inputs.chunks(size.max(1) as usize) {
            let piece = Piece { before, rows: inputs.len(), total, all_outputs };
            rows.clear();
            for (index, &input) in inputs.iter().enumerate() {
                let place = before + index;
                let position = self.start().saturating_add(position_of(place)?);
                let output = all_outputs || place + 1 == total;
                rows.push(Row { input, position, sequence: 0, output });
            }
            before += inputs.len();
            // Taps that have no rows yet must not be cut off with those below them.
            let waits =
                before < total && self.taps.iter().zip(&chosen).any(|(t, c)| *c && t.at_end);
            let stop = all_outputs || (self.stops && !waits);
            let ranges = self.ranges(piece, &chosen, stop);
            // Whoever listens must not hold up the others.
            drop(self.pass(seat, &rows, piece.before, ranges, stop)?);
            on_event(EngineEvent::Prefill {
                done: position_of(before)?,
                total: position_of(total)?,
            });
        }
        Ok(rows.len().saturating_sub(1))
    }

    /// Which rows of a piece each tap reads. With `stops`, taps without any are there too: the
    /// pass may not end below them.
    fn ranges(&self, piece: Piece, chosen: &[bool], stops: bool) -> Vec<Option<Range<usize>>> {
        let is_last = piece.before + piece.rows == piece.total;
        let of = |(tap, chosen): (&Watched, &bool)| {
            if !chosen || (tap.at_end && !piece.all_outputs && !is_last) {
                return None;
            }
            let last = if tap.at_end && !piece.all_outputs { 0 } else { piece.rows - 1 };
            let range = match tap.rows {
                TapRows::All | TapRows::Prompt => 0..piece.rows,
                TapRows::PromptLast if is_last => last..last + 1,
                TapRows::PromptLast => 0..0,
                TapRows::Written => return None,
            };
            (stops || !range.is_empty()).then_some(range)
        };
        self.taps.iter().zip(chosen).map(of).collect()
    }

    /// Feeds a written token, the `index`-th row of the request, and reads its taps; `ends`
    /// says that nothing follows.
    pub(crate) fn step<'m>(
        &mut self,
        seat: &mut Seat<'m>,
        row: Row<'_>,
        index: usize,
        ends: bool,
    ) -> Result<Place<'m>> {
        let range = |tap: &Watched| tap.rows.written().then_some(0..1);
        let ranges = self.taps.iter().map(range).collect();
        self.pass(seat, &[row], index, ranges, ends)
    }

    /// Whether taps are read for written tokens, so that the last one must be fed too.
    pub(crate) fn wants_written(&self) -> bool {
        self.taps.iter().any(|tap| tap.rows.written())
    }

    fn pass<'m>(
        &mut self,
        seat: &mut Seat<'m>,
        rows: &[Row<'_>],
        before: usize,
        ranges: Vec<Option<Range<usize>>>,
        stop: bool,
    ) -> Result<Place<'m>> {
        let mut reads = Vec::new();
        let mut readers = Vec::new();
        for (index, range) in ranges.into_iter().enumerate() {
            let Some(range) = range else { continue };
            let Location { node, heads, .. } = self.taps[index].location.clone();
            readers.push((index, range.len()));
            reads.push(Read { node, heads, rows: range });
        }
        let reveal = self.shown.as_ref().map(|shown| Reveal {
            cells: shown.cells,
            layers: shown.layers.clone(),
            layer_count: self.layers,
            before,
            rows: rows.len(),
        });
        let stop = stop && !reads.is_empty();
        let orders = Orders { reads, stop, reveal, ..Orders::default() };
        let (step, found) = seat.decode_watched(rows, orders)?;
        for ((index, count), values) in readers.into_iter().zip(found.values) {
            let tap = &mut self.taps[index];
            tap.count += position_of(count)?;
            tap.values.extend(values);
        }
        Ok(step)
    }

    /// What the taps have read, after a prompt of `prompt_rows`.
    pub(crate) fn finish(self, prompt_rows: u32) -> Vec<TapReading> {
        let reading = |tap: Watched| TapReading {
            values: tap.values,
            width: tap.location.width,
            first_row: match tap.rows {
                TapRows::All | TapRows::Prompt => 0,
                TapRows::PromptLast => prompt_rows.saturating_sub(1),
                TapRows::Written => prompt_rows,
            },
            rows: tap.count,
        };
        self.taps.into_iter().map(reading).collect()
    }
}

/// Which rows of a request a choice of rows means.
trait Rows {
    fn whole_prompt(self) -> bool;
    fn written(self) -> bool;
}

impl Rows for TapRows {
    fn whole_prompt(self) -> bool {
        matches!(self, Self::All | Self::Prompt)
    }

    fn written(self) -> bool {
        matches!(self, Self::All | Self::Written)
    }
}

/// Reads tokens into a sequence from position 0 and stops once `end` and `key` are computed,
/// so that nothing above costs anything; the rows of `key` at `marks` come back.
pub(crate) fn encode(
    seat: &mut Seat<'_>,
    sequence: u32,
    inputs: &[Input<'_>],
    end: Option<&NodeName>,
    key: Option<(&Location, &[usize])>,
) -> Result<Vec<Vec<f32>>> {
    let mut before = 0;
    let mut found_rows = Vec::new();
    for inputs in inputs.chunks(seat.shape().batch as usize) {
        let mut rows = Vec::with_capacity(inputs.len());
        for (index, &input) in inputs.iter().enumerate() {
            let position = position_of(before + index)?;
            rows.push(Row { input, position, sequence, output: false });
        }
        let range = before..before + inputs.len();
        before = range.end;
        let mut marks = Vec::new();
        let mut reads = Vec::new();
        if let Some((location, all)) = key {
            marks = all.iter().filter(|mark| range.contains(mark)).collect();
            let (node, heads) = (location.node.clone(), location.heads);
            let rows = if marks.is_empty() { 0..0 } else { 0..inputs.len() };
            reads.push(Read { node, heads, rows });
        }
        let orders = Orders { reads, stop: true, end: end.cloned(), ..Orders::default() };
        let (_step, found) = seat.decode_watched(&rows, orders)?;
        if let (Some((location, _)), Some(values)) = (key, found.values.first()) {
            let width = location.width.max(1) as usize;
            for mark in marks {
                let row = values.chunks_exact(width).nth(mark - range.start);
                let row = row.ok_or_else(|| Error::internal("a row that was not read"))?;
                found_rows.push(row.to_vec());
            }
        }
    }
    Ok(found_rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tap(point: TapPoint, layer: u32, rows: TapRows, stop_after: bool) -> TapUse {
        TapUse { tap: Tap { point, layer, stop_after }, rows }
    }

    #[test]
    fn taps_that_can_never_be_read_are_refused() {
        use TapPoint::{FinalNorm, Key, LayerOutput, Query};
        let code = |taps: &[TapUse]| check(taps, 4).map_err(|error| error.code);
        assert_eq!(code(&[tap(LayerOutput, 3, TapRows::All, false)]), Ok(false));
        assert_eq!(code(&[tap(FinalNorm, 99, TapRows::All, true)]), Ok(true));
        let pair = [tap(Query, 2, TapRows::All, false), tap(Key, 2, TapRows::Prompt, true)];
        assert_eq!(code(&pair), Ok(true));
        for bad in [
            vec![tap(LayerOutput, 4, TapRows::All, false)],
            vec![tap(Key, 2, TapRows::All, true), tap(LayerOutput, 2, TapRows::All, false)],
            vec![tap(LayerOutput, 1, TapRows::All, true), tap(LayerOutput, 2, TapRows::All, true)],
            vec![tap(Key, 2, TapRows::Written, true)],
            vec![tap(Key, 1, TapRows::Written, false), tap(Key, 2, TapRows::Prompt, true)],
        ] {
            assert_eq!(code(&bad), Err(ErrorCode::InvalidInput), "{bad:?}");
        }
    }
}
