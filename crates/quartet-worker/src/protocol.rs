//! What a kind of worker is: its message types, and the code that answers them.

use quartet_types::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The messages of one kind of worker.
pub trait Protocol: Send + Sync + 'static {
    /// What is asked.
    type Request: Serialize + DeserializeOwned + Send + 'static;
    /// What is told while a request is worked on.
    type Event: Serialize + DeserializeOwned + Send + 'static;
    /// What is answered at its end.
    type Reply: Serialize + DeserializeOwned + Send + 'static;
    /// The name of the worker, as in `quartet worker NAME` and in error messages.
    const NAME: &'static str;
}

/// The worker's side of a [`Protocol`].
pub trait Handler<P: Protocol>: Send + Sync + 'static {
    /// Works on one request. Called on a thread of its own, so several may run at once;
    /// a handler that cannot work in parallel queues inside.
    ///
    /// # Errors
    /// Whatever went wrong; it reaches the caller unchanged.
    fn handle(&self, request: P::Request, context: &RequestContext<P>) -> Result<P::Reply>;

    /// Stack of a request's thread, in bytes.
    fn stack_bytes(&self) -> usize {
        8 << 20
    }
}

pub(crate) type EventSink<P> = dyn Fn(<P as Protocol>::Event) + Send + Sync;

/// What a [`Handler`] can do while it works on a request.
pub struct RequestContext<P: Protocol> {
    pub(crate) events: Box<EventSink<P>>,
    pub(crate) cancelled: Arc<AtomicBool>,
}

impl<P: Protocol> RequestContext<P> {
    /// Sends an event to whoever made the request.
    pub fn emit(&self, event: P::Event) {
        (self.events)(event);
    }

    /// Whether the caller has lost interest.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// The flag behind [`RequestContext::is_cancelled`], for callbacks that outlive a borrow.
    #[must_use]
    pub fn cancel_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.cancelled)
    }
}

/// Parent to worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToWorker<Q> {
    Request { id: u64, body: Q },
    Cancel { id: u64 },
}

/// Worker to parent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromWorker<E, R> {
    Event { id: u64, body: E },
    Reply { id: u64, body: std::result::Result<R, Error> },
}
