//! Samplers: chains that choose a token, and grammars that forbid tokens.

use super::model::{NativeModel, Token};
use super::take_complaint;
use llama_cpp_sys_2 as sys;
use quartet_types::{Error, ErrorCode, Result, Sampling};
use std::ffi::{CString, c_char};
use std::ptr::NonNull;
use std::sync::Arc;

/// A chain of samplers that ends with a choice.
pub(crate) struct NativeSampler {
    chain: NonNull<sys::llama_sampler>,
    candidates: Vec<sys::llama_token_data>,
}

// SAFETY: a sampler is plain data of its own; `&mut` keeps it single.
unsafe impl Send for NativeSampler {}

impl Drop for NativeSampler {
    fn drop(&mut self) {
        // SAFETY: the chain owns its samplers and is freed once.
        unsafe { sys::llama_sampler_free(self.chain.as_ptr()) };
    }
}

impl NativeSampler {
    /// Penalties, top-k, top-p, min-p, temperature, draw: in this order, each left out when
    /// it would change nothing. The settings have been checked by the caller.
    pub(crate) fn new(settings: &Sampling, vocabulary_size: usize) -> Result<Self> {
        let size = i32::try_from(vocabulary_size)
            .map_err(|_| Error::internal("the vocabulary is too large"))?;
        let small = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
        // SAFETY: all constructors take plain numbers; the chain owns what is added to it.
        unsafe {
            let mut parameters = sys::llama_sampler_chain_default_params();
            parameters.no_perf = true;
            let chain = NonNull::new(sys::llama_sampler_chain_init(parameters))
                .ok_or_else(|| Error::internal("no sampler"))?;
            let sampler = Self { chain, candidates: Vec::new() };
            let add = |link: *mut sys::llama_sampler| {
                sys::llama_sampler_chain_add(chain.as_ptr(), link);
            };
            if settings.repetition_penalty != 1.0 && settings.repetition_window > 0 {
                let window = small(settings.repetition_window);
                let penalty = settings.repetition_penalty;
                add(sys::llama_sampler_init_penalties(size, window, penalty, 0.0, 0.0));
            }
            if settings.temperature == 0.0 {
                add(sys::llama_sampler_init_greedy());
                return Ok(sampler);
            }
            if settings.top_k > 0 {
                add(sys::llama_sampler_init_top_k(small(settings.top_k)));
            }
            if settings.top_p < 1.0 {
                add(sys::llama_sampler_init_top_p(settings.top_p, 1));
            }
            if settings.min_p > 0.0 {
                add(sys::llama_sampler_init_min_p(settings.min_p, 1));
            }
            add(sys::llama_sampler_init_temp(settings.temperature));
            add(sys::llama_sampler_init_dist(settings.seed));
            Ok(sampler)
        }
    }

    /// Chooses a token from `logits`, among those that `grammar` allows.
    ///
    /// The choice is made without the grammar first and kept if the grammar allows it:
    /// asking about one token is cheap, asking about all of them is not.
    pub(crate) fn choose(
        &mut self,
        logits: &[f32],
        grammar: Option<&mut NativeGrammar>,
    ) -> Result<Token> {
        self.fill(logits);
        let token = self.apply()?;
        let Some(grammar) = grammar else { return Ok(token) };
        if grammar.allows(token) {
            return Ok(token);
        }
        self.fill(logits);
        grammar.forbid(&mut self.candidates);
        self.candidates.retain(|candidate| candidate.logit > f32::NEG_INFINITY);
        if self.candidates.is_empty() {
            return Err(Error::new(ErrorCode::InvalidInput, "the grammar allows no way to go on")
                .hint("Check the grammar: it may have no end."));
        }
        self.apply()
    }

    /// Tells the chain that `token` was taken.
    pub(crate) fn accept(&mut self, token: Token) {
        // SAFETY: the chain is valid; its samplers only remember the token.
        unsafe { sys::llama_sampler_accept(self.chain.as_ptr(), token) };
    }

    fn fill(&mut self, logits: &[f32]) {
        self.candidates.clear();
        let numbered = logits.iter().enumerate();
        self.candidates.extend(numbered.map(|(id, logit)| sys::llama_token_data {
            id: id as Token,
            logit: *logit,
            p: 0.0,
        }));
    }

    fn apply(&mut self) -> Result<Token> {
        let mut array = sys::llama_token_data_array {
            data: self.candidates.as_mut_ptr(),
            size: self.candidates.len(),
            selected: -1,
            sorted: false,
        };
        // SAFETY: the array describes our candidates, which outlive the call; samplers may
        // reorder them and shorten `size`, never lengthen it.
        unsafe { sys::llama_sampler_apply(self.chain.as_ptr(), &raw mut array) };
        usize::try_from(array.selected)
            .ok()
            .filter(|index| *index < array.size)
            .and_then(|index| self.candidates.get(index))
            .map(|candidate| candidate.id)
            .ok_or_else(|| Error::internal("no token was chosen"))
    }
}

/// A grammar that follows the tokens taken so far.
pub(crate) struct NativeGrammar {
    pointer: NonNull<sys::llama_sampler>,
    /// The grammar reads token texts from the model's vocabulary.
    _model: Arc<NativeModel>,
}

// SAFETY: as for `NativeSampler`.
unsafe impl Send for NativeGrammar {}

impl Drop for NativeGrammar {
    fn drop(&mut self) {
        // SAFETY: made by its constructor and freed once.
        unsafe { sys::llama_sampler_free(self.pointer.as_ptr()) };
    }
}

fn c_text(text: &str, what: &str) -> Result<CString> {
    CString::new(text).map_err(|_| {
        Error::new(ErrorCode::InvalidInput, format!("the {what} contains a zero character"))
    })
}

impl NativeGrammar {
    /// Parses a grammar in llama.cpp's notation with the root rule `root`.
    pub(crate) fn new(model: &Arc<NativeModel>, grammar: &str) -> Result<Self> {
        let text = c_text(grammar, "grammar")?;
        if grammar.trim().is_empty() {
            return Err(Error::new(ErrorCode::InvalidInput, "the grammar is empty"));
        }
        let _ = take_complaint();
        // SAFETY: both strings end with zero and outlive the call, which copies them and
        // catches C++ exceptions; the vocabulary outlives the grammar through the `Arc`.
        let pointer = unsafe {
            sys::llama_rs_sampler_init_grammar(model.vocabulary(), text.as_ptr(), c"root".as_ptr())
        };
        let Some(pointer) = NonNull::new(pointer) else {
            let reason = take_complaint();
            return Err(Error::new(
                ErrorCode::InvalidInput,
                format!("the grammar cannot be understood: {reason}")
                    .trim_end_matches(": ")
                    .to_owned(),
            )
            .hint("It needs a rule `root`; every rule it names must exist."));
        };
        Ok(Self { pointer, _model: Arc::clone(model) })
    }

    fn allows(&mut self, token: Token) -> bool {
        let mut one = [sys::llama_token_data { id: token, logit: 1.0, p: 0.0 }];
        self.forbid(&mut one);
        one[0].logit > f32::NEG_INFINITY
    }

    fn forbid(&mut self, candidates: &mut [sys::llama_token_data]) {
        let mut array = sys::llama_token_data_array {
            data: candidates.as_mut_ptr(),
            size: candidates.len(),
            selected: -1,
            sorted: false,
        };
        // SAFETY: the array describes candidates that outlive the call; a grammar only sets
        // their logits.
        unsafe { sys::llama_sampler_apply(self.pointer.as_ptr(), &raw mut array) };
    }

    /// Moves on by one token.
    pub(crate) fn accept(&mut self, token: Token) -> Result<()> {
        // SAFETY: the sampler is valid; the wrapper catches C++ exceptions.
        let status = unsafe { sys::llama_rs_sampler_accept(self.pointer.as_ptr(), token) };
        if status == sys::LLAMA_RS_STATUS_OK {
            Ok(())
        } else {
            Err(Error::internal("the grammar refused a token that it had allowed"))
        }
    }
}

/// Turns a JSON Schema into llama.cpp's grammar notation.
pub(crate) fn schema_to_grammar(schema: &str) -> Result<String> {
    let refused = |reason: &str| {
        Error::new(ErrorCode::InvalidInput, format!("the JSON Schema cannot be used{reason}"))
            .hint("Check that it is a JSON Schema of the common subset.")
    };
    let text = c_text(schema, "JSON Schema")?;
    let _ = take_complaint();
    let mut grammar: *mut c_char = std::ptr::null_mut();
    // SAFETY: the schema ends with zero; the wrapper catches C++ exceptions and, on success,
    // hands over a string that is freed below.
    unsafe {
        let status = sys::llama_rs_json_schema_to_grammar(text.as_ptr(), true, &raw mut grammar);
        if status != sys::LLAMA_RS_STATUS_OK || grammar.is_null() {
            return Err(refused(""));
        }
        let rules = super::text_of(grammar);
        sys::llama_rs_string_free(grammar);
        if rules.trim().is_empty() { Err(refused(": it is empty")) } else { Ok(rules) }
    }
}
