//! A context: the state of one forward pass after another.

use super::adapter::{AdapterSet, AdaptersInForce};
use super::batch::{Input, MixedBatch, Row, RowBuffers};
use super::model::{NativeModel, Token};
use super::take_complaint;
use super::threads::NativeThreads;
use super::watch::Watch;
use llama_cpp_sys_2 as sys;
use quartet_types::{Error, ErrorCode, Pooling, Result};
use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard};

/// How large a context is and what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ContextShape {
    /// Tokens it can hold in all.
    pub(crate) context: u32,
    /// Tokens that may be decoded in one call.
    pub(crate) batch: u32,
    /// Sequences it can hold at once.
    pub(crate) sequences: u32,
    /// Rows of logits that may be asked for in one call; unused for embeddings.
    pub(crate) output_rows: u32,
    /// `Some` makes it an embedder: pooled vectors instead of logits.
    pub(crate) pooling: Option<Pooling>,
    /// Whether its passes can be watched. A callback costs next to nothing on a processor, but
    /// graphics devices then compute a pass in pieces, so only those who look get one.
    pub(crate) watched: bool,
}

/// How a decode ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// All rows were read.
    Done,
    /// The cancel flag was seen; the memory holds an unknown part and must be cleared.
    Cancelled,
}

/// A context and everything that must live as long as it does.
pub(crate) struct NativeContext {
    pointer: NonNull<sys::llama_context>,
    shape: ContextShape,
    vocabulary_size: usize,
    input_width: usize,
    output_width: usize,
    cancel: Arc<AtomicBool>,
    noted: Vec<Token>,
    rows: RowBuffers,
    watch: Option<Arc<Watch>>,
    // Fields are dropped after the context itself is freed.
    adapters: AdaptersInForce,
    threads: Arc<NativeThreads>,
    model: Arc<NativeModel>,
}

// SAFETY: nothing in a context is tied to the thread that made it; `&mut` keeps it single.
unsafe impl Send for NativeContext {}

impl Drop for NativeContext {
    fn drop(&mut self) {
        // SAFETY: the pointer came from its constructor and is freed once, before the threads
        // and the model that it uses.
        unsafe { sys::llama_free(self.pointer.as_ptr()) };
    }
}

unsafe extern "C" fn is_cancelled(flag: *mut c_void) -> bool {
    // SAFETY: the context keeps the flag alive for as long as llama.cpp may call this.
    unsafe { &*flag.cast::<AtomicBool>() }.load(Ordering::Relaxed)
}

impl NativeContext {
    /// Makes a context that computes with `threads`.
    pub(crate) fn new(
        model: &Arc<NativeModel>,
        threads: &Arc<NativeThreads>,
        shape: ContextShape,
    ) -> Result<Self> {
        let count = i32::try_from(threads.count()).unwrap_or(i32::MAX);
        let watch = shape.watched.then(Watch::new);
        let _ = take_complaint();
        let _still = model.adapters_stay();
        // SAFETY: default parameters are valid, the model is loaded and outlives the context
        // because the context holds an `Arc` of it.
        let pointer = unsafe {
            let mut parameters = sys::llama_context_default_params();
            parameters.n_ctx = shape.context;
            parameters.n_batch = shape.batch;
            parameters.n_ubatch = shape.batch;
            parameters.n_seq_max = shape.sequences;
            parameters.n_threads = count;
            parameters.n_threads_batch = count;
            parameters.n_outputs_max_per_seq = 0;
            parameters.no_perf = true;
            parameters.kv_unified = true;
            if let Some(watch) = &watch {
                (parameters.cb_eval, parameters.cb_eval_user_data) = watch.callback();
            }
            match shape.pooling {
                Some(pooling) => {
                    parameters.embeddings = true;
                    // Flash attention sums in half precision here, which lets a vector depend on
                    // its company in the batch (2e-3 measured); an encoder's batches are short
                    // enough to do without.
                    parameters.flash_attn_type = sys::LLAMA_FLASH_ATTN_TYPE_DISABLED;
                    parameters.pooling_type = match pooling {
                        Pooling::Mean => sys::LLAMA_POOLING_TYPE_MEAN,
                        Pooling::Cls => sys::LLAMA_POOLING_TYPE_CLS,
                        Pooling::Last => sys::LLAMA_POOLING_TYPE_LAST,
                    };
                }
                None => {
                    parameters.n_outputs_max = shape.output_rows;
                }
            }
            sys::llama_init_from_model(model.as_ptr(), parameters)
        };
        let Some(pointer) = NonNull::new(pointer) else {
            let reason = take_complaint();
            return Err(Error::new(
                ErrorCode::DoesNotFit,
                format!("a context of {} tokens cannot be made: {reason}", shape.context)
                    .trim_end_matches(": ")
                    .to_owned(),
            )
            .hint("Use a shorter context or a smaller model."));
        };
        let mut context = Self {
            pointer,
            shape,
            vocabulary_size: model.vocabulary_size(),
            input_width: model.input_width(),
            output_width: model.output_width(),
            cancel: Arc::new(AtomicBool::new(false)),
            noted: Vec::new(),
            rows: RowBuffers::default(),
            adapters: AdaptersInForce::default(),
            watch,
            threads: Arc::clone(threads),
            model: Arc::clone(model),
        };
        // SAFETY: the context is valid, it holds an `Arc` of the threads until it is freed, and
        // `decode` holds them.
        unsafe { threads.attach(pointer) };
        context.set_cancel(Arc::new(AtomicBool::new(false)));
        Ok(context)
    }

    /// Who looks into its passes.
    pub(super) fn watch(&self) -> Option<&Watch> {
        self.watch.as_deref()
    }

    pub(super) fn as_ptr(&self) -> *mut sys::llama_context {
        self.pointer.as_ptr()
    }

    /// The threads it computes with, held for as long as the guard lives.
    pub(super) fn hold_threads(&self) -> Option<MutexGuard<'_, ()>> {
        self.threads.hold()
    }

    /// The shape it was made with.
    pub(crate) fn shape(&self) -> ContextShape {
        self.shape
    }

    /// From now on, this flag stops a decode within moments.
    pub(crate) fn set_cancel(&mut self, flag: Arc<AtomicBool>) {
        // SAFETY: the context keeps the new flag, and the old one until after this call; no
        // decode is running because we are borrowed mutably.
        unsafe {
            sys::llama_set_abort_callback(
                self.pointer.as_ptr(),
                Some(is_cancelled),
                Arc::as_ptr(&flag).cast_mut().cast(),
            );
        }
        self.cancel = flag;
    }

    /// Replaces the adapters in force by `set`. Everything is forgotten when that changes
    /// anything, because keys and values of one set are nonsense with another.
    pub(crate) fn set_adapters(&mut self, set: &AdapterSet) -> Result<()> {
        // SAFETY: the context is valid, of this model, and the field is its own.
        if unsafe { self.adapters.replace(self.pointer, &self.model, set)? } {
            self.clear();
        }
        Ok(())
    }

    /// The tokens at the beginning of the first sequence that were noted as read. They are in
    /// memory, with whatever was read after them.
    pub(crate) fn noted(&self) -> &[Token] {
        &self.noted
    }

    /// Notes tokens as read, after those noted before.
    pub(crate) fn note(&mut self, tokens: &[Token]) {
        self.noted.extend_from_slice(tokens);
    }

    /// Forgets all but the first `length` noted tokens. What cannot be forgotten in part is
    /// forgotten as a whole.
    pub(crate) fn keep_noted(&mut self, length: usize) {
        let length = length.min(self.noted.len());
        let position = u32::try_from(length).unwrap_or(0);
        // What a sliding window has passed is no longer in memory.
        let can_keep = !self.model.has_sliding_window();
        if position == 0 || !can_keep || !self.forget_from(0, position) {
            self.clear();
        }
        self.noted.truncate(length);
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.noted.clear();
        // SAFETY: the context is valid; a model without memory has a null one.
        unsafe {
            let memory = sys::llama_get_memory(self.pointer.as_ptr());
            if !memory.is_null() {
                sys::llama_memory_clear(memory, false);
            }
        }
    }

    /// Forgets a sequence from `position` on; false if this kind of memory cannot.
    pub(crate) fn forget_from(&mut self, sequence: u32, position: u32) -> bool {
        let (Ok(sequence), Ok(position)) = (i32::try_from(sequence), i32::try_from(position))
        else {
            return false;
        };
        if sequence < 0 || sequence.unsigned_abs() >= self.shape.sequences {
            return false;
        }
        // SAFETY: the context is valid and the sequence is in range.
        unsafe {
            let memory = sys::llama_get_memory(self.pointer.as_ptr());
            !memory.is_null() && sys::llama_memory_seq_rm(memory, sequence, position, -1)
        }
    }

    /// Reads rows. Everything that llama.cpp would abort on is checked here.
    pub(crate) fn decode(&mut self, rows: &[Row<'_>]) -> Result<Decoded> {
        let outputs = rows.iter().filter(|row| row.output).count();
        let fits = !rows.is_empty()
            && rows.len() <= self.shape.batch as usize
            && (self.shape.pooling.is_some() || outputs <= self.shape.output_rows as usize);
        let sound = rows.iter().all(|row| {
            let known = match row.input {
                Input::Token(token) => self.model.knows(token),
                Input::Embedding(values) => {
                    values.len() == self.input_width && self.shape.pooling.is_none()
                }
            };
            known && row.sequence < self.shape.sequences && row.position < i32::MAX as u32
        });
        if !fits || !sound {
            return Err(Error::internal("a batch does not fit its context"));
        }
        let _ = take_complaint();
        let status = self.read(rows)?;
        match status {
            0 => Ok(Decoded::Done),
            2 => Ok(Decoded::Cancelled),
            1 => Err(Error::new(ErrorCode::PromptTooLong, "the context is full")
                .hint("Shorten the text or use a longer context.")),
            other => {
                let reason = take_complaint();
                if reason.contains("mixing token and embedding") {
                    return Err(crate::prompt::rows_not_supported());
                }
                Err(Error::new(ErrorCode::Internal, format!("decoding failed ({other}) {reason}")))
            }
        }
    }

    /// Hands rows to llama.cpp; returns its status.
    fn read(&mut self, rows: &[Row<'_>]) -> Result<i32> {
        if self.rows.load(rows) {
            let batch = self.rows.as_batch();
            let _still = self.model.adapters_stay();
            let _held = self.threads.hold();
            // SAFETY: every column of the batch has `n_tokens` entries and outlives the call;
            // size, tokens and sequences were checked by `decode`.
            return Ok(unsafe { sys::llama_decode(self.pointer.as_ptr(), batch) });
        }
        // llama.cpp turns a batch of tokens into a mixed one itself, so both ways compute the
        // same; this one copies every row once more.
        // SAFETY: the context is valid.
        let batch = unsafe { MixedBatch::new(self.pointer, rows)? };
        let _still = self.model.adapters_stay();
        let _held = self.threads.hold();
        // SAFETY: the batch was made for this context and holds copies of the rows, which were
        // checked by `decode`.
        Ok(unsafe {
            let kind = sys::LLAMA_PROCESS_TYPE_DECODE;
            sys::llama_process(self.pointer.as_ptr(), kind, batch.as_ptr())
        })
    }

    /// Logits after row `index` of the last decode, one per token of the vocabulary.
    pub(crate) fn logits(&self, index: usize) -> Result<&[f32]> {
        let index = i32::try_from(index).map_err(|_| Error::internal("no such row"))?;
        // SAFETY: llama.cpp returns null for rows without logits, otherwise a row of
        // `vocabulary_size` numbers that stay until the next decode, which needs `&mut`.
        unsafe {
            let row = sys::llama_get_logits_ith(self.pointer.as_ptr(), index);
            if row.is_null() {
                return Err(Error::internal("logits were not computed for this row"));
            }
            Ok(std::slice::from_raw_parts(row, self.vocabulary_size))
        }
    }

    /// The pooled vector of a sequence after the last decode.
    pub(crate) fn pooled(&self, sequence: u32) -> Result<&[f32]> {
        let index = i32::try_from(sequence).map_err(|_| Error::internal("no such sequence"))?;
        // SAFETY: as for logits; a pooled vector has the model's output width.
        unsafe {
            let row = sys::llama_get_embeddings_seq(self.pointer.as_ptr(), index);
            if row.is_null() {
                return Err(Error::internal("no vector was computed for this text"));
            }
            Ok(std::slice::from_raw_parts(row, self.output_width))
        }
    }
}
