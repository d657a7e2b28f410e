//! A context of one's own, and the steps taken with it.

use crate::generate::decode;
use crate::model::{Model, OUTPUT_ROWS, Turn};
use crate::native::{AdapterSet, ContextShape, Found, NativeContext, Orders, Row};
use crate::pool::{Kind, Lease, Purpose};
use crate::queue::Place;
use quartet_types::{Error, ErrorCode, Result};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// A context on loan from its model.
///
/// Others write at the same time, each with a seat of their own; passes are taken in turn.
/// What a request writes does not depend on them: contexts share nothing but weights and
/// threads, and a prompt is cut into the same pieces whether or not somebody waits (pieces of
/// another size would round differently).
pub(crate) struct Seat<'m> {
    model: &'m Model,
    context: Lease<'m, NativeContext>,
    cancel: Arc<AtomicBool>,
}

impl<'m> Turn<'m> {
    /// Waits for a context of at least `length` tokens, which is empty. `adapters` are in force
    /// in it until the seat is given up; only passages are encoded with a set of their own
    /// (`passages`), before anything else is read.
    ///
    /// # Errors
    /// `InvalidInput` if the model is an embedder; `DoesNotFit`; `Cancelled`.
    pub(crate) fn seat(
        &self,
        purpose: Purpose,
        length: u32,
        adapters: &AdapterSet,
    ) -> Result<Seat<'m>> {
        self.seat_of(purpose, Kind::PLAIN, length, adapters)
    }

    /// A plain seat that may still hold what a request before it has read and noted.
    pub(crate) fn seat_as_left(&self, purpose: Purpose, length: u32) -> Result<Seat<'m>> {
        self.borrow(purpose, Kind::PLAIN, length)
    }

    /// The same for a context of another kind.
    pub(crate) fn seat_of(
        &self,
        purpose: Purpose,
        kind: Kind,
        length: u32,
        adapters: &AdapterSet,
    ) -> Result<Seat<'m>> {
        let mut seat = self.borrow(purpose, kind, length)?;
        seat.clear();
        seat.context.set_adapters(adapters)?;
        Ok(seat)
    }

    fn borrow(&self, purpose: Purpose, kind: Kind, length: u32) -> Result<Seat<'m>> {
        let model = self.model;
        if !model.facts.causal || !model.native.has_decoder() {
            return Err(Error::new(
                ErrorCode::InvalidInput,
                "is an embedding model and cannot write",
            )
            .hint("Choose a model with the role `base`.")
            .about(model.name()));
        }
        let shape = ContextShape {
            context: length,
            batch: model.prefill_batch().min(length),
            sequences: kind.sequences,
            // llama.cpp wants room for a row of each sequence.
            output_rows: OUTPUT_ROWS.min(length).max(kind.sequences),
            pooling: None,
            watched: kind.watched,
        };
        let context = model.pool.borrow(
            purpose,
            kind,
            length,
            &self.cancel,
            || model.has_room(length),
            || NativeContext::new(&model.native, &model.threads, shape),
        )?;
        let mut seat = Seat { model, context, cancel: Arc::clone(&self.cancel) };
        seat.context.set_cancel(Arc::clone(&seat.cancel));
        Ok(seat)
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        // The context waits for its next use, and must not keep adapters in memory meanwhile.
        let taken = self.context.set_adapters(&AdapterSet::default());
        debug_assert!(taken.is_ok(), "the empty set fits every context");
    }
}

impl<'m> Seat<'m> {
    /// How long it took to get it.
    pub(crate) fn waited(&self) -> Duration {
        self.context.waited
    }

    /// Reads rows, once it is this request's turn. The step lasts until the place is dropped:
    /// whoever computes with the logits keeps it, because work beside another's pass makes the
    /// threads of that pass wait for each other.
    pub(crate) fn decode(&mut self, rows: &[Row<'_>]) -> Result<Place<'m>> {
        let step = self.model.steps.enter(&self.cancel)?;
        decode(&mut self.context, rows)?;
        Ok(step)
    }

    /// Reads rows while the pass is watched. Only for a seat of a watched kind.
    pub(crate) fn decode_watched(
        &mut self,
        rows: &[Row<'_>],
        orders: Orders,
    ) -> Result<(Place<'m>, Found)> {
        let step = self.model.steps.enter(&self.cancel)?;
        self.context.order(orders)?;
        let decoded = decode(&mut self.context, rows);
        // Orders are for one pass, however it ended.
        let found = self.context.found();
        decoded?;
        Ok((step, found?))
    }

    /// The context itself.
    pub(crate) fn context(&mut self) -> &mut NativeContext {
        &mut self.context
    }

    /// Logits after row `index` of the last step.
    pub(crate) fn logits(&self, index: usize) -> Result<&[f32]> {
        self.context.logits(index)
    }

    /// The shape of the context.
    pub(crate) fn shape(&self) -> ContextShape {
        self.context.shape()
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.context.clear();
    }

    /// Forgets from `position` on; false if this kind of memory cannot.
    pub(crate) fn forget_from(&mut self, position: u32) -> bool {
        self.context.forget_from(0, position)
    }
}
