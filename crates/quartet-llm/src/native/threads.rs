//! Threads that compute.

use llama_cpp_sys_2 as sys;
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Threads for the passes of some contexts; without them, threads would be started for every
/// token. Contexts that take turns must share them: idle threads spin for a while before they
/// sleep, and those of one context would take the processors from the next.
pub(crate) struct NativeThreads {
    count: u32,
    pool: Option<NonNull<sys::ggml_threadpool>>,
    /// Held during a pass: a pool computes one graph at a time and does not check it.
    busy: Mutex<()>,
}

// SAFETY: a pool is not tied to the thread that made it.
unsafe impl Send for NativeThreads {}
// SAFETY: as above, and `busy` keeps its use single.
unsafe impl Sync for NativeThreads {}

impl Drop for NativeThreads {
    fn drop(&mut self) {
        #[cfg(not(feature = "dynamic-backends"))]
        if let Some(pool) = self.pool {
            // SAFETY: it came from its constructor and is freed once; contexts that use it hold
            // an `Arc` of us until they are freed themselves.
            unsafe { sys::ggml_threadpool_free(pool.as_ptr()) };
        }
    }
}

impl NativeThreads {
    /// Threads to compute with: the calling one and `count - 1` others.
    pub(crate) fn new(count: u32) -> Self {
        let count = count.clamp(1, i32::MAX as u32);
        Self { count, pool: start(count), busy: Mutex::new(()) }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// Lets `context` compute with them.
    ///
    /// # Safety
    /// The context is valid, is freed before these threads are, and decodes only while
    /// [`NativeThreads::hold`] is held.
    pub(super) unsafe fn attach(&self, context: NonNull<sys::llama_context>) {
        if let Some(pool) = self.pool {
            // SAFETY: both are valid, as the caller promises.
            unsafe {
                sys::llama_attach_threadpool(context.as_ptr(), pool.as_ptr(), pool.as_ptr());
            }
        }
    }

    /// Waits until no other context computes with them; `None` where nothing is shared.
    pub(super) fn hold(&self) -> Option<MutexGuard<'_, ()>> {
        self.pool.map(|_| self.busy.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(not(feature = "dynamic-backends"))]
fn start(count: u32) -> Option<NonNull<sys::ggml_threadpool>> {
    if count < 2 {
        return None;
    }
    // SAFETY: the parameters are initialised by ggml and read during the call only.
    unsafe {
        let mut parameters = sys::ggml_threadpool_params_default(count as i32);
        NonNull::new(sys::ggml_threadpool_new(&raw mut parameters))
    }
}

/// A backend that is a library of its own starts its threads itself.
#[cfg(feature = "dynamic-backends")]
fn start(_count: u32) -> Option<NonNull<sys::ggml_threadpool>> {
    None
}
