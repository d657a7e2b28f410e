//! Keys and values of a sequence as bytes, cut down to some layers and filled up again.
//!
//! What llama.cpp writes for a sequence of a plain cache with flash attention (measured and
//! read in its `llama_kv_cache::state_write`, little endian):
//!
//! ```text
//! u32 magic, i32 sequence, u32 streams (1), u32 cells
//! cells times: i32 position, u32 sequences (1), i32 sequence
//! u32 values transposed (0), u32 layers, u32 key rotation, u32 value rotation
//! per layer, keys:   i32 type, u64 bytes of a row, rows
//! per layer, values: i32 type, u64 bytes of a row, rows
//! ```
//!
//! Everything is checked before llama.cpp sees it: it trusts positions and counts.

use super::context::NativeContext;
use llama_cpp_sys_2 as sys;
use quartet_types::{Error, ErrorCode, Result};

/// Keys and values of some layers for tokens at positions 0 and up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LayerStates {
    /// Tokens.
    pub(crate) tokens: u32,
    /// First of the layers.
    pub(crate) first_layer: u32,
    /// Keys of each layer, `tokens` rows each.
    pub(crate) keys: Vec<Vec<u8>>,
    /// Values of each layer, likewise.
    pub(crate) values: Vec<Vec<u8>>,
}

/// What surrounds the rows in a state of one model and context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StateLayout {
    magic: u32,
    rotations: [u32; 2],
    keys: Vec<Rows>,
    values: Vec<Rows>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rows {
    kind: i32,
    bytes: u64,
}

impl StateLayout {
    /// Bytes of one token's keys and values in each layer.
    pub(crate) fn row_bytes(&self) -> Vec<(u64, u64)> {
        self.keys.iter().zip(&self.values).map(|(key, value)| (key.bytes, value.bytes)).collect()
    }

    /// Types of keys and values as ggml numbers them, for the key of a stored state.
    pub(crate) fn kinds(&self) -> (Vec<i32>, Vec<i32>) {
        let kinds = |rows: &[Rows]| rows.iter().map(|rows| rows.kind).collect();
        (kinds(&self.keys), kinds(&self.values))
    }
}

fn not_understood(what: &str) -> Error {
    Error::new(
        ErrorCode::NotSupported,
        format!("the state of this model's context cannot be taken apart: {what}"),
    )
    .hint("Encode the passages together with the question instead.")
}

struct Reader<'b> {
    rest: &'b [u8],
}

impl<'b> Reader<'b> {
    fn take(&mut self, count: usize) -> Result<&'b [u8]> {
        let (taken, rest) =
            self.rest.split_at_checked(count).ok_or_else(|| not_understood("it is too short"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn number<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| not_understood("it is too short"))
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.number()?))
    }

    fn i32(&mut self) -> Result<i32> {
        Ok(i32::from_le_bytes(self.number()?))
    }

    /// Type and rows of one layer.
    fn rows(&mut self, tokens: u32) -> Result<(Rows, &'b [u8])> {
        let rows = Rows { kind: self.i32()?, bytes: u64::from_le_bytes(self.number()?) };
        let size = rows.bytes.checked_mul(u64::from(tokens));
        let size = size.and_then(|size| usize::try_from(size).ok());
        Ok((rows, self.take(size.ok_or_else(|| not_understood("it is too long"))?)?))
    }
}

/// Takes a state apart, keeping the rows of some layers.
fn take_apart(bytes: &[u8], layers: std::ops::Range<u32>) -> Result<(StateLayout, LayerStates)> {
    let mut reader = Reader { rest: bytes };
    let magic = reader.u32()?;
    let _sequence = reader.i32()?;
    if reader.u32()? != 1 {
        return Err(not_understood("it has several streams"));
    }
    let tokens = reader.u32()?;
    for position in 0..tokens {
        let cell = (reader.i32()?, reader.u32()?, reader.i32()?);
        if i64::from(cell.0) != i64::from(position) || cell.1 != 1 {
            return Err(not_understood("its tokens are not in order"));
        }
    }
    if reader.u32()? != 0 {
        return Err(not_understood("its values are transposed (no flash attention here)"));
    }
    let count = reader.u32()?;
    let rotations = [reader.u32()?, reader.u32()?];
    if u64::from(count) > quartet_gguf::MAX_LAYERS {
        return Err(not_understood("it has too many layers"));
    }
    let first_layer = layers.start;
    let mut layout = StateLayout { magic, rotations, keys: Vec::new(), values: Vec::new() };
    let mut states = LayerStates { tokens, first_layer, keys: Vec::new(), values: Vec::new() };
    for layer in 0..count {
        let (rows, bytes) = reader.rows(tokens)?;
        layout.keys.push(rows);
        if layers.contains(&layer) {
            states.keys.push(bytes.to_vec());
        }
    }
    for layer in 0..count {
        let (rows, bytes) = reader.rows(tokens)?;
        layout.values.push(rows);
        if layers.contains(&layer) {
            states.values.push(bytes.to_vec());
        }
    }
    if !reader.rest.is_empty() {
        return Err(not_understood("it goes on after the last layer"));
    }
    Ok((layout, states))
}

/// Puts a state together again; layers that were not kept are filled with zeros.
fn put_together(layout: &StateLayout, states: &LayerStates) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut number = |value: u32| bytes.extend(value.to_le_bytes());
    for value in [layout.magic, 0, 1, states.tokens] {
        number(value);
    }
    for position in 0..states.tokens {
        for value in [position, 1, 0] {
            number(value);
        }
    }
    let count = u32::try_from(layout.keys.len()).unwrap_or(u32::MAX);
    for value in [0, count, layout.rotations[0], layout.rotations[1]] {
        number(value);
    }
    for (kept, all) in [(&states.keys, &layout.keys), (&states.values, &layout.values)] {
        for (layer, rows) in all.iter().enumerate() {
            bytes.extend(rows.kind.to_le_bytes());
            bytes.extend(rows.bytes.to_le_bytes());
            let size = rows.bytes * u64::from(states.tokens);
            let size = usize::try_from(size).map_err(|_| not_understood("it is too long"))?;
            match layer.checked_sub(states.first_layer as usize).and_then(|index| kept.get(index)) {
                Some(kept) if kept.len() == size => bytes.extend(kept),
                Some(_) => return Err(Error::internal("a stored layer has another length")),
                None => bytes.resize(bytes.len() + size, 0),
            }
        }
    }
    Ok(bytes)
}

impl NativeContext {
    /// Keys and values that a sequence, read from position 0, has in some layers.
    ///
    /// # Errors
    /// `NotSupported` where the memory of this kind of model is laid out in another way.
    pub(crate) fn states(
        &mut self,
        sequence: u32,
        layers: std::ops::Range<u32>,
    ) -> Result<(StateLayout, LayerStates)> {
        let sequence = self.sequence(sequence)?;
        // SAFETY: the context is valid, the sequence is in range, and the buffer is as long as
        // we say; llama.cpp catches its own exceptions and returns 0.
        let bytes = unsafe {
            let size = sys::llama_state_seq_get_size(self.as_ptr(), sequence);
            let mut bytes = vec![0u8; size];
            let written =
                sys::llama_state_seq_get_data(self.as_ptr(), bytes.as_mut_ptr(), size, sequence);
            bytes.truncate(written);
            bytes
        };
        take_apart(&bytes, layers)
    }

    /// Puts stored keys and values into an empty sequence; layers without any get zeros.
    ///
    /// # Errors
    /// `PromptTooLong` if there are not enough free cells.
    pub(crate) fn restore(
        &mut self,
        sequence: u32,
        layout: &StateLayout,
        states: &LayerStates,
    ) -> Result<()> {
        let sequence = self.sequence(sequence)?;
        let bytes = put_together(layout, states)?;
        let _ = super::take_complaint();
        // SAFETY: the context is valid, the sequence is in range, and the buffer is as long as
        // we say. Counts and positions in it are ours, as are the lengths of rows, which were
        // read from a state of this very context.
        let read = unsafe {
            sys::llama_state_seq_set_data(self.as_ptr(), bytes.as_ptr(), bytes.len(), sequence)
        };
        if read == bytes.len() {
            return Ok(());
        }
        let reason = super::take_complaint();
        Err(Error::new(
            ErrorCode::PromptTooLong,
            format!("the state of a passage does not fit the context: {reason}"),
        )
        .hint("Use fewer passages or a longer context."))
    }

    fn sequence(&self, sequence: u32) -> Result<sys::llama_seq_id> {
        if sequence < self.shape().sequences {
            return Ok(sequence as sys::llama_seq_id);
        }
        Err(Error::internal("no such sequence"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn example(tokens: u32) -> (StateLayout, LayerStates) {
        let keys = [4u64, 6, 8].map(|bytes| Rows { kind: 1, bytes }).to_vec();
        let values = [2u64, 4, 6].map(|bytes| Rows { kind: 1, bytes }).to_vec();
        let fill = |rows: &[Rows], start: u8| {
            rows.iter()
                .map(|rows| {
                    (0..rows.bytes as usize * tokens as usize)
                        .map(|index| start.wrapping_add(index as u8))
                        .collect()
                })
                .collect()
        };
        let states = LayerStates {
            tokens,
            first_layer: 0,
            keys: fill(&keys, 1),
            values: fill(&values, 101),
        };
        (StateLayout { magic: 7, rotations: [8, 8], keys, values }, states)
    }

    #[test]
    fn what_is_cut_out_comes_back_between_zeros() {
        let (layout, states) = example(3);
        let bytes = put_together(&layout, &states).unwrap();
        let (found, middle) = take_apart(&bytes, 1..2).unwrap();
        assert_eq!(found, layout);
        assert_eq!((middle.first_layer, middle.keys.len()), (1, 1));
        assert_eq!(middle.keys[0], states.keys[1]);
        let bytes = put_together(&layout, &middle).unwrap();
        let (_, filled) = take_apart(&bytes, 0..3).unwrap();
        assert_eq!(filled.values[1], states.values[1]);
        assert!(filled.keys[0].iter().chain(&filled.values[2]).all(|byte| *byte == 0));
        let mut short = middle;
        short.keys[0].pop();
        assert_eq!(put_together(&layout, &short).unwrap_err().code, ErrorCode::Internal);
    }

    proptest! {
        #[test]
        fn broken_states_are_refused_without_a_crash(
            tokens in 0u32..5,
            cut in 0usize..200,
            place in 0usize..200,
            bit in 0u8..8,
        ) {
            let (layout, states) = example(tokens);
            let whole = put_together(&layout, &states).unwrap();
            if cut < whole.len() {
                prop_assert!(take_apart(&whole[..cut], 0..3).is_err());
            }
            let mut flipped = whole;
            let place = place % flipped.len();
            flipped[place] ^= 1 << bit;
            let _ = take_apart(&flipped, 0..3);
        }
    }
}
