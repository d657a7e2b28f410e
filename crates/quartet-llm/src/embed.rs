//! Texts to vectors.
//!
//! Texts are packed into batches of about [`EMBED_BATCH`] tokens as separate sequences, and
//! batches are spread over as many single-threaded contexts as there are threads: a small
//! encoder has too little work per layer to share one batch between threads. Measured with
//! MiniLM and texts of 160 tokens on two processors: 33 texts/s side by side, 28 sharing each
//! batch; with a third busy program on the machine 17 and 4. Batches of 160 to 256 tokens are
//! the fastest (attention inside a batch grows with the square of its length).
//!
//! A request holds its model's step for as long as nobody else wants it; then it lets the other
//! one go first and carries on with the batches that are left.

use crate::generate::{decode, position_of};
use crate::model::{Embedders, Model, Turn};
use crate::native::{ContextShape, Input, NativeContext, NativeThreads, Row, Token};
use crate::prompt::too_long;
use crate::queue::Place;
use quartet_types::{Error, ErrorCode, Pooling, Result};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Tokens that go through the network at once, unless one text is longer.
const EMBED_BATCH: usize = 256;
/// Sequences in one batch.
const SEQUENCES: usize = 64;
/// The longest text that is accepted, however long the model's context is.
const LONGEST_TEXT: u32 = 8192;

/// Unit-length vectors, one row for each text.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    /// Values of all rows.
    pub values: Vec<f32>,
    /// Length of one row.
    pub width: u32,
}

impl Turn<'_> {
    /// Embeds texts.
    ///
    /// # Errors
    /// `PromptTooLong` naming the first text that does not fit and by how many tokens;
    /// `InvalidInput` if the model is no embedder; `Cancelled`.
    pub fn embed(&self, texts: &[String]) -> Result<Embeddings> {
        let model = self.model;
        let pooling = model.pooling.ok_or_else(|| {
            Error::new(ErrorCode::InvalidInput, "is no embedding model: it says no pooling")
                .hint("Choose a model with the role `embedder`.")
                .about(model.name())
        })?;
        let limit = model.description().context.min(LONGEST_TEXT) as usize;
        let batch = EMBED_BATCH.max(limit);
        let tokens = tokenize(model, texts, limit, &self.cancel)?;
        let packs = pack(&tokens, EMBED_BATCH);
        let width = model.native.output_width();
        let mut values = vec![0f32; width * texts.len()];

        let shape = shape(batch, pooling)?;
        let work = Work::new(&packs, &tokens, width, &mut values);
        while !work.is_done() {
            let step = model.steps.enter(&self.cancel)?;
            let mut embedders = model.embedders.lock().unwrap_or_else(PoisonError::into_inner);
            let contexts = embedders.for_packs(model, shape, packs.len())?;
            for context in contexts.iter_mut() {
                context.set_cancel(Arc::clone(&self.cancel));
            }
            work.go_on(contexts, &step)?;
        }
        Ok(Embeddings { values, width: position_of(width)? })
    }
}

impl Embedders {
    /// The contexts that embed this many packs the fastest.
    fn for_packs(
        &mut self,
        model: &Model,
        shape: ContextShape,
        packs: usize,
    ) -> Result<&mut [NativeContext]> {
        let lanes = (model.threads.count() as usize).min(packs);
        if lanes < 2 || !model.on_processor {
            if self.wide.is_empty() {
                self.wide.push(NativeContext::new(&model.native, &model.threads, shape)?);
            }
            return Ok(&mut self.wide);
        }
        while self.lanes.len() < lanes {
            let single = Arc::new(NativeThreads::new(1));
            self.lanes.push(NativeContext::new(&model.native, &single, shape)?);
        }
        Ok(&mut self.lanes[..lanes])
    }
}

fn shape(batch: usize, pooling: Pooling) -> Result<ContextShape> {
    let batch = position_of(batch)?;
    Ok(ContextShape {
        context: batch,
        batch,
        sequences: SEQUENCES as u32,
        output_rows: 0,
        pooling: Some(pooling),
        watched: false,
    })
}

fn tokenize(
    model: &Model,
    texts: &[String],
    limit: usize,
    cancel: &AtomicBool,
) -> Result<Vec<Vec<Token>>> {
    let mut all = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        if cancel.load(Ordering::Relaxed) {
            return Err(Error::cancelled());
        }
        let tokens = model.tokenize_data(text, true)?;
        if tokens.len() > limit {
            return Err(too_long(&format!("text {index} (counted from 0)"), tokens.len(), limit));
        }
        if tokens.is_empty() {
            return Err(Error::new(ErrorCode::InvalidInput, format!("text {index} is empty")));
        }
        all.push(tokens);
    }
    Ok(all)
}

/// Groups texts in order, each group within `budget` tokens (or a single longer text).
fn pack(tokens: &[Vec<Token>], budget: usize) -> Vec<Range<usize>> {
    let mut packs = Vec::new();
    let (mut start, mut used) = (0, 0);
    for (index, text) in tokens.iter().enumerate() {
        if index > start && (used + text.len() > budget || index - start == SEQUENCES) {
            packs.push(start..index);
            (start, used) = (index, 0);
        }
        used += text.len();
    }
    if start < tokens.len() {
        packs.push(start..tokens.len());
    }
    packs
}

/// The packs of a request and how many of them are embedded.
struct Work<'w> {
    packs: &'w [Range<usize>],
    tokens: &'w [Vec<Token>],
    width: usize,
    /// Each pack owns its rows; a lock per pack hands them to whichever context takes it.
    rows: Vec<Mutex<&'w mut [f32]>>,
    next: AtomicUsize,
}

impl<'w> Work<'w> {
    fn new(
        packs: &'w [Range<usize>],
        tokens: &'w [Vec<Token>],
        width: usize,
        values: &'w mut [f32],
    ) -> Self {
        let mut rest = values;
        let mut rows = Vec::with_capacity(packs.len());
        for pack in packs {
            let (own, others) = std::mem::take(&mut rest).split_at_mut(pack.len() * width);
            rows.push(Mutex::new(own));
            rest = others;
        }
        Self { packs, tokens, width, rows, next: AtomicUsize::new(0) }
    }

    fn is_done(&self) -> bool {
        self.next.load(Ordering::Relaxed) >= self.packs.len()
    }

    /// Lets every context take the next pack until none is left or somebody wants the step.
    fn go_on(&self, contexts: &mut [NativeContext], step: &Place<'_>) -> Result<()> {
        if let [only] = contexts {
            return self.take_packs(only, step);
        }
        std::thread::scope(|scope| {
            let lanes: Vec<_> = contexts
                .iter_mut()
                .map(|context| scope.spawn(move || self.take_packs(context, step)))
                .collect();
            lanes
                .into_iter()
                .map(|lane| lane.join().unwrap_or_else(|_| Err(Error::internal("a lane panicked"))))
                .fold(Ok(()), Result::and)
        })
    }

    fn take_packs(&self, context: &mut NativeContext, step: &Place<'_>) -> Result<()> {
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(pack) = self.packs.get(index) else { return Ok(()) };
            let mut own = self.rows[index].lock().unwrap_or_else(PoisonError::into_inner);
            let done = embed_pack(context, &self.tokens[pack.clone()], self.width, &mut own);
            if done.is_err() {
                // The others need not go on.
                self.next.store(self.packs.len(), Ordering::Relaxed);
                return done;
            }
            if step.is_wanted() {
                return Ok(());
            }
        }
    }
}

fn embed_pack(
    context: &mut NativeContext,
    texts: &[Vec<Token>],
    width: usize,
    rows_out: &mut [f32],
) -> Result<()> {
    context.clear();
    let mut rows = Vec::with_capacity(texts.iter().map(Vec::len).sum());
    for (sequence, text) in texts.iter().enumerate() {
        let sequence = position_of(sequence)?;
        for (position, token) in text.iter().enumerate() {
            let position = position_of(position)?;
            let input = Input::Token(*token);
            rows.push(Row { input, position, sequence, output: true });
        }
    }
    decode(context, &rows)?;
    for (sequence, out) in rows_out.chunks_exact_mut(width).enumerate() {
        let vector = context.pooled(position_of(sequence)?)?;
        let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
        if !(length > 0.0 && length.is_finite()) {
            return Err(crate::generate::unusable());
        }
        for (out, value) in out.iter_mut().zip(vector) {
            *out = value / length;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn packs_cover_every_text_once_and_in_order(
            lengths in prop::collection::vec(1usize..700, 0..200),
        ) {
            let tokens: Vec<Vec<Token>> = lengths.iter().map(|length| vec![0; *length]).collect();
            let packs = pack(&tokens, EMBED_BATCH);
            let mut next = 0;
            for pack in &packs {
                prop_assert_eq!(pack.start, next);
                prop_assert!(pack.len() <= SEQUENCES && !pack.is_empty());
                let used: usize = lengths[pack.clone()].iter().sum();
                prop_assert!(used <= EMBED_BATCH || pack.len() == 1);
                next = pack.end;
            }
            prop_assert_eq!(next, tokens.len());
        }
    }
}
