//! The barest possible loop over llama.cpp, to measure our own against.

use super::context::{ContextShape, NativeContext};
use super::model::{NativeModel, Token};
use super::threads::NativeThreads;
use llama_cpp_sys_2 as sys;
use quartet_types::{Error, Result};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long reading and writing took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) prefill: Duration,
    pub(crate) decode: Duration,
}

/// Reads `tokens`, then decodes `count` tokens greedily, with nothing else in between.
pub(crate) fn run(
    model: &Arc<NativeModel>,
    tokens: &[Token],
    count: u32,
    threads: u32,
) -> Result<Times> {
    let length = u32::try_from(tokens.len()).unwrap_or(u32::MAX).saturating_add(count + 8);
    let shape = ContextShape {
        context: length,
        batch: crate::model::PREFILL_BATCH,
        sequences: 1,
        output_rows: 1,
        pooling: None,
        watched: false,
    };
    let context = NativeContext::new(model, &Arc::new(NativeThreads::new(threads)), shape)?;
    let _held = context.hold_threads();
    let failed = || Error::internal("the bare loop failed");
    let mut tokens = tokens.to_vec();
    // SAFETY: batches point to tokens that outlive the call and are no longer than `n_batch`;
    // the sampler is freed at the end; the context is ours alone.
    unsafe {
        let sampler = sys::llama_sampler_init_greedy();
        let pointer = context.as_ptr();
        let mut good = true;
        let start = Instant::now();
        for piece in tokens.chunks_mut(crate::model::PREFILL_BATCH as usize) {
            let batch = sys::llama_batch_get_one(piece.as_mut_ptr(), piece.len() as i32);
            good &= sys::llama_decode(pointer, batch) == 0;
        }
        sys::llama_synchronize(pointer);
        let prefill = start.elapsed();
        let start = Instant::now();
        for _ in 0..count {
            if !good {
                break;
            }
            let mut token = sys::llama_sampler_sample(sampler, pointer, -1);
            let batch = sys::llama_batch_get_one(&raw mut token, 1);
            good &= sys::llama_decode(pointer, batch) == 0;
        }
        sys::llama_synchronize(pointer);
        let decode = start.elapsed();
        sys::llama_sampler_free(sampler);
        if good { Ok(Times { prefill, decode }) } else { Err(failed()) }
    }
}
