//! Stopping a training from outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

const GO_ON: u8 = 0;
const PAUSE: u8 = 1;
const CANCEL: u8 = 2;

/// A token that both the training and who started it hold. It is looked at between
/// micro-batches.
#[derive(Debug, Clone, Default)]
pub struct Control {
    wish: Arc<AtomicU8>,
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Nothing.
    GoOn,
    /// Save and stop.
    Pause,
    /// Stop; checkpoints stay as they are.
    Cancel,
}

impl Control {
    /// Nothing asked for yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks to save and stop.
    pub fn pause(&self) {
        // A cancellation stands.
        let _ = self.wish.compare_exchange(GO_ON, PAUSE, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Asks to stop.
    pub fn cancel(&self) {
        self.wish.store(CANCEL, Ordering::Relaxed);
    }

    /// What has been asked for.
    #[must_use]
    pub fn wish(&self) -> Wish {
        match self.wish.load(Ordering::Relaxed) {
            CANCEL => Wish::Cancel,
            PAUSE => Wish::Pause,
            _ => Wish::GoOn,
        }
    }
}
