//! Showing passages to some layers only, by the attention mask (the cross-sequence reveal).
//!
//! llama.cpp builds one mask for a pass, and every layer reads it. Passages stand in sequences
//! of their own, so the mask hides their cells from the prompt's sequence. Between the layers
//! that may not see them and those that may, the pass is stopped for a moment, and zeros are
//! written over the mask's columns of passage cells; after the last layer that may, they are
//! hidden again. The mask is made anew for every pass.
//!
//! Cells of passages must be the first ones, without a gap. The mask itself proves that before
//! it is changed: a prompt whose cells begin right after them sees exactly those from there on.

use super::watch::NodeRef;
use llama_cpp_sys_2 as sys;
use quartet_gguf::{f16_from_f32, f32_from_f16};
use std::ops::RangeInclusive;

/// Passages to show to some layers during a pass over rows of the prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reveal {
    /// Cells of passages, from 0.
    pub(crate) cells: usize,
    /// Layers that see them; empty for none.
    pub(crate) layers: RangeInclusive<u32>,
    /// Layers in all.
    pub(crate) layer_count: u32,
    /// Rows of the prompt's sequence that were read before this pass.
    pub(crate) before: usize,
    /// Rows of this pass.
    pub(crate) rows: usize,
}

impl Reveal {
    /// Whether `layer` sees the passages.
    fn shows(&self, layer: u32) -> bool {
        self.cells > 0 && self.layers.contains(&layer)
    }
}

/// The masks of a pass and what they show now.
#[derive(Debug, Default)]
pub(super) struct Masks {
    /// Places of the masks met in a census.
    pub(super) known: Vec<usize>,
    /// Place of each mask and whether it shows the passages.
    states: Vec<(usize, bool)>,
    /// Attention nodes met so far: the next one belongs to this layer.
    layer: u32,
    /// Whether a node has been asked about.
    begun: bool,
    /// Layers computed to their end: all below this one.
    computed: u32,
}

type Outcome<T> = std::result::Result<T, String>;

impl Masks {
    /// Looks at a node before it is computed; true if the pass must stop after it.
    pub(super) fn ask(&mut self, reveal: &Reveal, node: &NodeRef<'_>) -> Outcome<bool> {
        // Once anything has been computed, inputs have arrived on their device: a mask that is
        // changed for layer 0 cannot be overtaken by its own copy.
        let first = !std::mem::replace(&mut self.begun, true);
        if let Some(mask) = node.mask() {
            self.attention(reveal, mask)?;
        }
        let stops = reveal.shows(0) && first;
        let boundary = layer_of(node.name()).is_some_and(|layer| {
            layer + 1 < reveal.layer_count && reveal.shows(layer) != reveal.shows(layer + 1)
        });
        Ok(stops || boundary)
    }

    /// Notes that a node has been computed.
    pub(super) fn computed(&mut self, node: &NodeRef<'_>) {
        if let Some(layer) = layer_of(node.name()) {
            self.computed = layer + 1;
        }
    }

    fn attention(&mut self, reveal: &Reveal, mask: &sys::ggml_tensor) -> Outcome<()> {
        let layer = self.layer;
        self.layer += 1;
        let shown = reveal.shows(layer);
        let place = std::ptr::from_ref(mask) as usize;
        let index = match self.states.iter().position(|(known, _)| *known == place) {
            Some(index) => index,
            None => {
                if reveal.cells > 0 {
                    check(mask, reveal)?;
                }
                self.states.push((place, false));
                self.states.len() - 1
            }
        };
        if self.states[index].1 == shown {
            return Ok(());
        }
        // Layers that read the mask as it was must be through with it.
        if layer > 0 && self.computed != layer {
            return Err(format!(
                "layer {layer} came up while the pass stood after layer {}",
                self.computed
            ));
        }
        write(mask, reveal, shown)?;
        self.states[index].1 = shown;
        Ok(())
    }

    /// Checks that every layer was met.
    pub(super) fn check_done(&self, reveal: &Reveal) -> Outcome<()> {
        if self.layer == reveal.layer_count {
            return Ok(());
        }
        Err(format!("{} of {} layers have an attention mask", self.layer, reveal.layer_count))
    }
}

/// The layer of which a node is the output.
fn layer_of(name: &str) -> Option<u32> {
    name.strip_prefix("l_out-")?.parse().ok()
}

/// Reads and writes one kind of number of a mask.
struct Numbers {
    bytes: usize,
    read: fn(&[u8]) -> f32,
    /// As bytes, little endian.
    write: fn(f32) -> Vec<u8>,
}

fn numbers(mask: &sys::ggml_tensor) -> Outcome<Numbers> {
    match mask.type_ {
        sys::GGML_TYPE_F16 => Ok(Numbers {
            bytes: 2,
            read: |bytes| f32_from_f16(u16::from_le_bytes([bytes[0], bytes[1]])),
            write: |value| f16_from_f32(value).to_le_bytes().to_vec(),
        }),
        sys::GGML_TYPE_F32 => Ok(Numbers {
            bytes: 4,
            read: |bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
            write: |value| value.to_le_bytes().to_vec(),
        }),
        other => Err(format!("the attention mask has numbers of type {other}")),
    }
}

/// Columns of a mask that has room for the rows of this pass and the cells so far.
fn columns(mask: &sys::ggml_tensor, reveal: &Reveal, numbers: &Numbers) -> Outcome<usize> {
    let [columns, rows, third, fourth] = mask.ne;
    let columns = usize::try_from(columns).unwrap_or(0);
    let rows = usize::try_from(rows).unwrap_or(0);
    let needed = reveal.cells + reveal.before + reveal.rows;
    let packed = mask.nb[0] == numbers.bytes && mask.nb[1] == numbers.bytes * columns;
    if columns < needed || rows < reveal.rows || third != 1 || fourth != 1 || !packed {
        return Err(format!(
            "an attention mask of shape {:?} for {} rows and {needed} cells",
            mask.ne, reveal.rows
        ));
    }
    Ok(columns)
}

/// Checks that every row sees the cells of the prompt up to its own and nothing else, so that
/// the cells before those are the passages'.
fn check(mask: &sys::ggml_tensor, reveal: &Reveal) -> Outcome<()> {
    let numbers = numbers(mask)?;
    let columns = columns(mask, reveal, &numbers)?;
    let mut bytes = vec![0u8; columns * reveal.rows * numbers.bytes];
    // SAFETY: the mask is an input that has been filled; it holds at least this many numbers
    // without gaps.
    unsafe {
        sys::ggml_backend_tensor_get(mask, bytes.as_mut_ptr().cast(), 0, bytes.len());
    }
    for (row, line) in bytes.chunks_exact(columns * numbers.bytes).enumerate() {
        let own = reveal.cells..=reveal.cells + reveal.before + row;
        for (column, number) in line.chunks_exact(numbers.bytes).enumerate() {
            let expected = if own.contains(&column) { 0.0 } else { f32::NEG_INFINITY };
            if (numbers.read)(number) != expected {
                return Err(format!(
                    "row {row} of the attention mask says {} at cell {column}, not {expected}",
                    (numbers.read)(number)
                ));
            }
        }
    }
    Ok(())
}

/// Shows or hides the passages' cells in every row.
fn write(mask: &sys::ggml_tensor, reveal: &Reveal, shown: bool) -> Outcome<()> {
    let numbers = numbers(mask)?;
    let columns = columns(mask, reveal, &numbers)?;
    let value = if shown { 0.0 } else { f32::NEG_INFINITY };
    let bytes = (numbers.write)(value).repeat(reveal.cells);
    for row in 0..reveal.rows {
        // SAFETY: `columns` has checked that the row has room for these cells; nothing that
        // reads the mask is being computed.
        unsafe {
            sys::ggml_backend_tensor_set(
                std::ptr::from_ref(mask).cast_mut(),
                bytes.as_ptr().cast(),
                row * columns * numbers.bytes,
                bytes.len(),
            );
        }
    }
    Ok(())
}
