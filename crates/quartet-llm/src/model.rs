//! A loaded model: validated before llama.cpp sees it, used by several requests at a time.

use crate::adapters::Adapters;
use crate::census::Census;
use crate::native::{self, NativeContext, NativeModel, NativeThreads, Token};
use crate::pool::Pool;
use crate::queue::Queue;
use crate::template::ChatTemplate;
use crate::weights::Weights;
use quartet_gguf::{FitRequest, GgufFile, ModelFacts, estimate_fit, sha256_of_file};
use quartet_types::{
    Error, ErrorCode, FitEstimate, LoadRequest, ModelDescription, Pooling, Result, Sha256,
};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use unicode_normalization::UnicodeNormalization;

/// Context length when neither the request nor the model asks for less, in tokens.
pub const DEFAULT_CONTEXT: u32 = 4096;
/// Tokens of a prompt that go through the network at once, on graphics devices.
pub(crate) const PREFILL_BATCH: u32 = 512;
/// The same on processors: a larger piece is not faster there, and whoever writes beside a long
/// prompt waits for one piece between two tokens. Measured with Qwen 2.5 0.5B, tokens of a
/// prompt per processor second: 86.2 in pieces of 512, 87.5 of 256, 86.1 of 128, 83.3 of 64.
const PROCESSOR_PREFILL_BATCH: u32 = 128;
/// Rows of logits asked for at once while scoring.
pub(crate) const OUTPUT_ROWS: u32 = 32;

/// A model ready to use.
pub struct Model {
    pub(crate) native: Arc<NativeModel>,
    pub(crate) facts: ModelFacts,
    pub(crate) template: ChatTemplate,
    pub(crate) threads: Arc<NativeThreads>,
    pub(crate) on_processor: bool,
    pub(crate) pooling: Option<Pooling>,
    /// Where the tensors are in the file.
    pub(crate) weights: Weights,
    /// LoRA adapters that requests can name.
    pub(crate) adapters: Adapters,
    /// What its graph looks like, once somebody has asked.
    pub(crate) census: OnceLock<Arc<Census>>,
    /// SHA-256 of its file, once somebody has asked.
    digest: OnceLock<Sha256>,
    description: ModelDescription,
    request: LoadRequest,
    /// One forward pass at a time, in order of arrival: requests advance in turn, and each
    /// pass has all threads.
    pub(crate) steps: Queue,
    /// Write and score.
    pub(crate) pool: Pool<NativeContext>,
    /// Embed; used in a step only.
    pub(crate) embedders: Mutex<Embedders>,
}

/// Contexts that embed, kept from request to request.
#[derive(Default)]
pub(crate) struct Embedders {
    /// At most one, which embeds a few texts with all threads.
    pub(crate) wide: Vec<NativeContext>,
    /// Embed many texts side by side, one thread each.
    pub(crate) lanes: Vec<NativeContext>,
}

/// One request's use of a model. Any number of them may be at work at the same time.
pub struct Turn<'m> {
    pub(crate) model: &'m Model,
    pub(crate) cancel: Arc<AtomicBool>,
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
        let file = GgufFile::open(&request.path)?;
        let facts = ModelFacts::from_file(&file)?;
        let weights = Weights::new(&file)?;
        drop(file);
        let context = context_for(&facts, request.context);
        let devices = native::devices();
        let graphics = devices.iter().find(|(_, graphics)| *graphics);
        let graphics = graphics.filter(|_| request.gpu_layers != Some(0));
        if let Some(available) = available_bytes {
            let on_graphics = graphics.map_or(0, |(device, _)| device.memory_free);
            require_fit(&fit(&facts, context, available.saturating_add(on_graphics)))?;
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
            threads: Arc::new(NativeThreads::new(threads_for(request.threads))),
            on_processor: graphics.is_none(),
            pooling: request.pooling.or(facts.pooling),
            facts,
            weights,
            adapters: Adapters::default(),
            census: OnceLock::new(),
            digest: OnceLock::new(),
            template,
            description,
            request: request.clone(),
            steps: Queue::default(),
            pool: Pool::default(),
            embedders: Mutex::default(),
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

    /// Begins a request, which `cancel` ends within moments.
    ///
    /// # Errors
    /// `Cancelled` if the flag is raised already.
    pub fn turn(&self, cancel: &Arc<AtomicBool>) -> Result<Turn<'_>> {
        if cancel.load(Ordering::Relaxed) {
            return Err(Error::cancelled());
        }
        Ok(Turn { model: self, cancel: Arc::clone(cancel) })
    }

    /// Tokens of a prompt that are read in one step. The same whether or not somebody waits:
    /// pieces of another size round differently.
    pub(crate) fn prefill_batch(&self) -> u32 {
        if self.on_processor { PROCESSOR_PREFILL_BATCH } else { PREFILL_BATCH }
    }

    /// Whether one more context of `length` tokens fits into the memory available now.
    pub(crate) fn has_room(&self, length: u32) -> bool {
        let Some(available) = quartet_gguf::available_memory() else { return true };
        let elsewhere = if self.on_processor {
            // The weights are mapped from their file: the system counts their pages as
            // available, although every pass reads them. So the estimate counts them again.
            0
        } else {
            let devices = native::devices();
            let graphics = devices.iter().find(|(_, graphics)| *graphics);
            graphics.map_or(0, |(device, _)| device.memory_free) + self.description.weight_bytes
        };
        fit(&self.facts, length, available.saturating_add(elsewhere)).fits
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

    /// SHA-256 of its file: the one that was checked when it was loaded, or worked out now.
    pub(crate) fn digest(&self, cancel: &AtomicBool) -> Result<Sha256> {
        if let Some(known) = self.request.sha256.as_ref().or_else(|| self.digest.get()) {
            return Ok(known.clone());
        }
        let digest = sha256_of_file(&self.request.path, |_| {
            if cancel.load(Ordering::Relaxed) {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        Ok(self.digest.get_or_init(|| digest).clone())
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

fn require_fit(estimate: &FitEstimate) -> Result<()> {
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
    /// The context length to work with: what the request asks for, or what the model was
    /// loaded with, never more than it was trained with.
    pub(crate) fn context_length(&self, asked: Option<u32>) -> u32 {
        let loaded = self.model.description.context;
        asked.unwrap_or(loaded).clamp(1, self.model.facts.trained_context.max(1))
    }
}
