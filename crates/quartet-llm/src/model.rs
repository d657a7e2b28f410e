//! A loaded model: validated before llama.cpp sees it, used by one request at a time.

use crate::native::{self, ContextShape, NativeContext, NativeModel, Token};
use crate::queue::{Place, Queue};
use crate::template::ChatTemplate;
use quartet_gguf::{FitRequest, GgufFile, ModelFacts, estimate_fit, sha256_of_file};
use quartet_types::{
    Error, ErrorCode, FitEstimate, LoadRequest, ModelDescription, Pooling, Result,
};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use unicode_normalization::UnicodeNormalization;

/// Context length when neither the request nor the model asks for less, in tokens.
pub const DEFAULT_CONTEXT: u32 = 4096;
/// Tokens of a prompt that go through the network at once.
pub(crate) const PREFILL_BATCH: u32 = 512;
/// Rows of logits asked for at once while scoring.
pub(crate) const OUTPUT_ROWS: u32 = 32;

/// A model ready to use.
pub struct Model {
    pub(crate) native: Arc<NativeModel>,
    pub(crate) facts: ModelFacts,
    pub(crate) template: ChatTemplate,
    pub(crate) threads: u32,
    pub(crate) on_processor: bool,
    pub(crate) pooling: Option<Pooling>,
    description: ModelDescription,
    request: LoadRequest,
    queue: Queue,
    contexts: Mutex<Contexts>,
}

/// Contexts kept from request to request; whoever has the turn clears before use.
#[derive(Default)]
pub(crate) struct Contexts {
    /// Writes and scores.
    pub(crate) generator: Option<NativeContext>,
    /// Embeds a few texts with all threads.
    pub(crate) wide: Option<NativeContext>,
    /// Embed many texts side by side, one thread each.
    pub(crate) lanes: Vec<NativeContext>,
}

/// The right to use a model now.
pub struct Turn<'m> {
    pub(crate) model: &'m Model,
    pub(crate) contexts: MutexGuard<'m, Contexts>,
    pub(crate) cancel: Arc<AtomicBool>,
    pub(crate) waited: Duration,
    _place: Place<'m>,
}

/// Whether the model in this file would fit, from its header alone. `context` of 0 stands for
/// the default; `available_bytes` is what [`quartet_gguf::available_memory`] says.
///
/// # Errors
/// `BadModel` if the header is not sound.
pub fn check_fit(path: &Path, context: u32, available_bytes: u64) -> Result<FitEstimate> {
    let facts = ModelFacts::from_file(&GgufFile::open(path)?)?;
    Ok(fit(&facts, context_for(&facts, context), available_bytes))
}

fn context_for(facts: &ModelFacts, asked: u32) -> u32 {
    let wanted = if asked == 0 { DEFAULT_CONTEXT } else { asked };
    wanted.min(facts.trained_context)
}

fn fit(facts: &ModelFacts, context: u32, available_bytes: u64) -> FitEstimate {
    let output_rows = if facts.causal { OUTPUT_ROWS } else { 0 };
    estimate_fit(facts, FitRequest { context, batch: PREFILL_BATCH, output_rows, available_bytes })
}

fn threads_for(asked: u32) -> u32 {
    let here = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let here = u32::try_from(here).unwrap_or(1);
    if asked == 0 { here } else { asked.min(512) }
}

impl Model {
    /// Loads a model: header checks, digest, fit check, then llama.cpp. `on_progress` hears the
    /// share done from 0 to 1. `available_bytes` of `None` skips the fit check.
    ///
    /// # Errors
    /// `BadModel`, `DoesNotFit`, `Corrupt` (the digest differs), `Cancelled`, or an
    /// operating-system error; the subject is the file.
    pub fn load(
        request: &LoadRequest,
        available_bytes: Option<u64>,
        cancel: &AtomicBool,
        mut on_progress: impl FnMut(f32),
    ) -> Result<Self> {
        Self::load_inner(request, available_bytes, cancel, &mut on_progress)
            .map_err(|error| error.about_path(&request.path))
    }

    fn load_inner(
        request: &LoadRequest,
        available_bytes: Option<u64>,
        cancel: &AtomicBool,
        on_progress: &mut dyn FnMut(f32),
    ) -> Result<Self> {
        let facts = ModelFacts::from_file(&GgufFile::open(&request.path)?)?;
        let context = context_for(&facts, request.context);
        let devices = native::devices();
        let graphics = devices.iter().find(|(_, graphics)| *graphics);
        let graphics = graphics.filter(|_| request.gpu_layers != Some(0));
        if let Some(available) = available_bytes {
            let on_graphics = graphics.map_or(0, |(device, _)| device.memory_free);
            require_fit(fit(&facts, context, available.saturating_add(on_graphics)))?;
        }
        let mut share_before = 0.0;
        if let Some(expected) = &request.sha256 {
            share_before = 0.5;
            let found = sha256_of_file(&request.path, |share| {
                on_progress(share * 0.5);
                if cancel.load(Ordering::Relaxed) {
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            })?;
            if found != *expected {
                return Err(Error::new(
                    ErrorCode::Corrupt,
                    format!("is not the expected file: its SHA-256 is {found}, not {expected}"),
                )
                .hint("Get the file again; it may have been damaged or replaced."));
            }
        }
        let native = NativeModel::load(&request.path, request.gpu_layers, |share| {
            on_progress(share_before + share * (1.0 - share_before));
            !cancel.load(Ordering::Relaxed)
        })?;
        let (start_text, end_text) = native.boundary_texts();
        let template = ChatTemplate::new(facts.chat_template.as_deref(), &start_text, &end_text);
        let description = ModelDescription {
            model: request.model.clone(),
            architecture: facts.architecture.clone(),
            name: facts.name.clone(),
            layers: facts.layers,
            width: facts.width,
            trained_context: facts.trained_context,
            context,
            weight_bytes: native.weight_bytes(),
            has_chat_template: template.is_own(),
            device: graphics.map_or_else(|| "CPU".to_owned(), |(device, _)| device.name.clone()),
            engine_build: native::build(),
        };
        Ok(Self {
            native: Arc::new(native),
            threads: threads_for(request.threads),
            on_processor: graphics.is_none(),
            pooling: request.pooling.or(facts.pooling),
            facts,
            template,
            description,
            request: request.clone(),
            queue: Queue::default(),
            contexts: Mutex::new(Contexts::default()),
        })
    }

    /// What is known of it.
    #[must_use]
    pub fn description(&self) -> &ModelDescription {
        &self.description
    }

    /// Whether this model already is what `request` asks for.
    #[must_use]
    pub fn answers(&self, request: &LoadRequest) -> bool {
        // A digest that was checked, or that nobody asks for now, is no reason to load again.
        let mut wanted = request.clone();
        if wanted.sha256.is_none() {
            wanted.sha256.clone_from(&self.request.sha256);
        }
        wanted == self.request
    }

    /// Waits until it is this request's turn; requests are served in order of arrival.
    ///
    /// # Errors
    /// `Cancelled` if the flag is raised while waiting.
    pub fn turn(&self, cancel: &Arc<AtomicBool>) -> Result<Turn<'_>> {
        let start = Instant::now();
        let place = self.queue.enter(cancel)?;
        let contexts = self.contexts.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = start.elapsed();
        Ok(Turn { model: self, contexts, cancel: Arc::clone(cancel), waited, _place: place })
    }

    /// Counts tokens of each text, without special tokens.
    ///
    /// # Errors
    /// `InvalidInput` if a text is beyond two gibibytes; `Cancelled`.
    pub fn count_tokens(&self, texts: &[String], cancel: &AtomicBool) -> Result<Vec<u32>> {
        texts
            .iter()
            .map(|text| {
                if cancel.load(Ordering::Relaxed) {
                    return Err(Error::cancelled());
                }
                let tokens = self.tokenize_data(text, false)?;
                Ok(u32::try_from(tokens.len()).unwrap_or(u32::MAX))
            })
            .collect()
    }

    /// Tokens of a text that is data: control tokens written in it are plain characters.
    pub(crate) fn tokenize_data(&self, text: &str, add_special: bool) -> Result<Vec<Token>> {
        // llama.cpp's own decomposition loses all but the first part of a Korean syllable.
        if self.facts.strips_accents && !text.is_ascii() {
            let decomposed: String = text.nfd().collect();
            return self.native.tokenize(&decomposed, add_special, false);
        }
        self.native.tokenize(text, add_special, false)
    }

    /// The name for error messages.
    pub(crate) fn name(&self) -> &str {
        &self.description.model.0
    }

    /// Puts the model's start token in front, where it wants one and has none yet.
    pub(crate) fn with_start_token(&self, tokens: &mut Vec<Token>) -> bool {
        match self.native.start_token() {
            Some(start) if tokens.first() != Some(&start) => {
                tokens.insert(0, start);
                true
            }
            _ => false,
        }
    }
}

fn require_fit(estimate: FitEstimate) -> Result<()> {
    if estimate.fits {
        return Ok(());
    }
    let mebibytes = |bytes: u64| bytes.div_ceil(1 << 20);
    Err(Error::new(
        ErrorCode::DoesNotFit,
        format!(
            "needs about {} MiB (weights {}, context {}, scratch {}), and {} MiB are free",
            mebibytes(estimate.weight_bytes + estimate.kv_cache_bytes + estimate.compute_bytes),
            mebibytes(estimate.weight_bytes),
            mebibytes(estimate.kv_cache_bytes),
            mebibytes(estimate.compute_bytes),
            mebibytes(estimate.available_bytes),
        ),
    )
    .hint("Close other programs, use a shorter context, or choose a smaller model."))
}

impl Turn<'_> {
    /// The context that writes and scores, at least `context` tokens long, empty.
    pub(crate) fn generator(&mut self, context: u32) -> Result<&mut NativeContext> {
        let facts = &self.model.facts;
        if !facts.causal || !self.model.native.has_decoder() {
            return Err(Error::new(
                ErrorCode::InvalidInput,
                "is an embedding model and cannot write",
            )
            .hint("Choose a model with the role `base`.")
            .about(self.model.name()));
        }
        let shape = ContextShape {
            context,
            batch: PREFILL_BATCH.min(context),
            sequences: 1,
            output_rows: OUTPUT_ROWS.min(context),
            threads: self.model.threads,
            pooling: None,
        };
        let slot = &mut self.contexts.generator;
        if slot.as_ref().is_none_or(|kept| kept.shape().context < context) {
            // Two contexts at once might not fit.
            *slot = None;
        }
        let kept = match slot {
            Some(kept) => kept,
            None => slot.insert(NativeContext::new(&self.model.native, shape)?),
        };
        kept.set_cancel(Arc::clone(&self.cancel));
        kept.clear();
        Ok(kept)
    }

    /// The context length to work with: what the request asks for, or what the model was
    /// loaded with, never more than it was trained with.
    pub(crate) fn context_length(&self, asked: Option<u32>) -> u32 {
        let loaded = self.model.description.context;
        asked.unwrap_or(loaded).clamp(1, self.model.facts.trained_context.max(1))
    }
}
