//! What goes into one pass: tokens, and rows that stand in for a token's embedding.

use super::model::Token;
use llama_cpp_sys_2 as sys;
use quartet_types::{Error, Result};
use std::ptr::NonNull;

/// What one position of a prompt is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Input<'i> {
    /// A token of the vocabulary.
    Token(Token),
    /// A row that takes the place of a token's embedding at the first layer, as long as
    /// [`NativeModel::input_width`] says, and finite.
    Embedding(&'i [f32]),
}

/// One position to decode.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'i> {
    pub(crate) input: Input<'i>,
    pub(crate) position: u32,
    pub(crate) sequence: u32,
    /// Whether logits (or a part in the pooled vector) are wanted for it.
    pub(crate) output: bool,
}

/// The columns of a batch, reused from call to call.
#[derive(Default)]
pub(super) struct RowBuffers {
    tokens: Vec<Token>,
    positions: Vec<sys::llama_pos>,
    counts: Vec<i32>,
    sequences: Vec<sys::llama_seq_id>,
    sequence_pointers: Vec<*mut sys::llama_seq_id>,
    outputs: Vec<i8>,
}

impl RowBuffers {
    /// Fills the columns; false if a row is no token.
    pub(super) fn load(&mut self, rows: &[Row<'_>]) -> bool {
        self.tokens.clear();
        self.positions.clear();
        self.counts.clear();
        self.sequences.clear();
        self.sequence_pointers.clear();
        self.outputs.clear();
        for row in rows {
            let Input::Token(token) = row.input else { return false };
            self.tokens.push(token);
            self.positions.push(row.position as sys::llama_pos);
            self.counts.push(1);
            self.sequences.push(row.sequence as sys::llama_seq_id);
            self.outputs.push(i8::from(row.output));
        }
        self.sequence_pointers.extend(self.sequences.iter_mut().map(std::ptr::from_mut));
        true
    }

    /// The columns as llama.cpp reads them; they must not change while it does.
    pub(super) fn as_batch(&mut self) -> sys::llama_batch {
        sys::llama_batch {
            n_tokens: self.tokens.len() as i32,
            token: self.tokens.as_mut_ptr(),
            embd: std::ptr::null_mut(),
            pos: self.positions.as_mut_ptr(),
            n_seq_id: self.counts.as_mut_ptr(),
            seq_id: self.sequence_pointers.as_mut_ptr(),
            logits: self.outputs.as_mut_ptr(),
        }
    }
}

/// A batch of tokens and embedding rows.
pub(super) struct MixedBatch {
    pointer: NonNull<sys::llama_batch_ext>,
}

impl Drop for MixedBatch {
    fn drop(&mut self) {
        // SAFETY: it came from its constructor and is freed once.
        unsafe { sys::llama_batch_ext_free(self.pointer.as_ptr()) };
    }
}

impl MixedBatch {
    pub(super) fn as_ptr(&self) -> *mut sys::llama_batch_ext {
        self.pointer.as_ptr()
    }

    /// Copies rows into a new batch.
    ///
    /// # Safety
    /// The context is valid.
    pub(super) unsafe fn new(
        context: NonNull<sys::llama_context>,
        rows: &[Row<'_>],
    ) -> Result<Self> {
        let refused = || Error::internal("a row was refused");
        // SAFETY: the caller promises that the context is valid; the batch copies what is added.
        let pointer = unsafe { sys::llama_batch_ext_init(context.as_ptr()) };
        let batch = Self { pointer: NonNull::new(pointer).ok_or_else(refused)? };
        for row in rows {
            let sequence = row.sequence as sys::llama_seq_id;
            // Rows of text stand at one position; the model's other axes of position, where it
            // has any, are set as llama.cpp sets them for tokens.
            let place = row.position as sys::llama_pos;
            let positions = [place, place, place, 0];
            // SAFETY: the batch is valid, a row is as long as it says, and up to four positions
            // are read; every index comes from the batch itself.
            let added = unsafe {
                let index = match row.input {
                    Input::Token(token) => sys::llama_batch_ext_add_token(pointer, sequence, token),
                    Input::Embedding(values) => {
                        let row = sys::llama_embd {
                            data: values.as_ptr(),
                            n_rows: 1,
                            n_embd: values.len(),
                        };
                        sys::llama_batch_ext_add_embd(pointer, sequence, row)
                    }
                };
                index >= 0
                    && sys::llama_batch_ext_set_pos(pointer, index, positions.as_ptr())
                    && sys::llama_batch_ext_set_output_logits(pointer, index, row.output)
            };
            if !added {
                return Err(refused());
            }
        }
        Ok(batch)
    }
}
