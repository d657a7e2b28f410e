//! A loaded model and its vocabulary.

use super::{start, take_complaint};
use llama_cpp_sys_2 as sys;
use quartet_types::{Error, ErrorCode, Result};
use std::ffi::{CString, c_char, c_void};
use std::path::Path;
use std::ptr::NonNull;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// A token of a model's vocabulary.
pub(crate) type Token = sys::llama_token;

/// Weights and vocabulary; immutable once loaded.
pub(crate) struct NativeModel {
    pointer: NonNull<sys::llama_model>,
    vocabulary: NonNull<sys::llama_vocab>,
    /// llama.cpp keeps a list of a model's adapters, without a lock, and reads it whenever a
    /// context is made or a pass begins.
    adapters: RwLock<()>,
}

// SAFETY: a loaded model is only read; llama.cpp shares one between contexts on many threads.
unsafe impl Send for NativeModel {}
// SAFETY: as above.
unsafe impl Sync for NativeModel {}

impl Drop for NativeModel {
    fn drop(&mut self) {
        // SAFETY: the pointer came from a load and is freed once; contexts hold an `Arc` of us.
        unsafe { sys::llama_model_free(self.pointer.as_ptr()) };
    }
}

type Progress<'a> = &'a mut dyn FnMut(f32) -> bool;

unsafe extern "C" fn report_progress(share: f32, data: *mut c_void) -> bool {
    // SAFETY: `load` passes a pointer to a `Progress` that outlives the load.
    let progress = unsafe { &mut *data.cast::<Progress<'_>>() };
    progress(share)
}

impl NativeModel {
    /// Loads a validated file. `progress` hears the share done and stops the load by returning
    /// false. `gpu_layers` of `None` offloads all.
    pub(crate) fn load(
        path: &Path,
        gpu_layers: Option<u32>,
        mut progress: impl FnMut(f32) -> bool,
    ) -> Result<Self> {
        start();
        let name = CString::new(path.as_os_str().as_encoded_bytes())
            .map_err(|_| Error::new(ErrorCode::InvalidInput, "the path contains a zero byte"))?;
        let mut stopped = false;
        let mut watch = |share: f32| {
            let go_on = progress(share);
            stopped |= !go_on;
            go_on
        };
        let mut callback: Progress<'_> = &mut watch;
        let _ = take_complaint();
        // SAFETY: default parameters are valid; the name and the callback outlive the call;
        // the callback pointer is not used after it.
        let pointer = unsafe {
            let mut parameters = sys::llama_model_default_params();
            parameters.n_gpu_layers =
                gpu_layers.map_or(-1, |layers| i32::try_from(layers).unwrap_or(i32::MAX));
            parameters.progress_callback = Some(report_progress);
            parameters.progress_callback_user_data = (&raw mut callback).cast();
            sys::llama_model_load_from_file(name.as_ptr(), parameters)
        };
        let Some(pointer) = NonNull::new(pointer) else {
            if stopped {
                return Err(Error::cancelled());
            }
            let reason = take_complaint();
            return Err(Error::new(
                ErrorCode::BadModel,
                format!("could not be loaded: {reason}").trim_end_matches(": ").to_owned(),
            )
            .hint("Choose another model, or a newer file of this one."));
        };
        // SAFETY: the model is loaded.
        let vocabulary = unsafe { sys::llama_model_get_vocab(pointer.as_ptr()) };
        match NonNull::new(vocabulary.cast_mut()) {
            Some(vocabulary) => Ok(Self { pointer, vocabulary, adapters: RwLock::default() }),
            None => {
                // SAFETY: loaded above and not yet owned by anything.
                unsafe { sys::llama_model_free(pointer.as_ptr()) };
                Err(Error::new(ErrorCode::BadModel, "has no vocabulary"))
            }
        }
    }

    pub(super) fn as_ptr(&self) -> *mut sys::llama_model {
        self.pointer.as_ptr()
    }

    pub(super) fn vocabulary(&self) -> *const sys::llama_vocab {
        self.vocabulary.as_ptr()
    }

    /// Number of tokens.
    pub(crate) fn vocabulary_size(&self) -> usize {
        // SAFETY: the vocabulary lives as long as the model.
        usize::try_from(unsafe { sys::llama_vocab_n_tokens(self.vocabulary()) }).unwrap_or(0)
    }

    /// No adapter is loaded or freed while the guard lives.
    pub(super) fn adapters_stay(&self) -> RwLockReadGuard<'_, ()> {
        self.adapters.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no context is being made and no pass is running.
    pub(super) fn adapters_change(&self) -> RwLockWriteGuard<'_, ()> {
        self.adapters.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Length of one row that goes into the first layer.
    pub(crate) fn input_width(&self) -> usize {
        // SAFETY: the model is loaded.
        usize::try_from(unsafe { sys::llama_model_n_embd_inp(self.as_ptr()) }).unwrap_or(0)
    }

    /// Length of one embedding that comes out.
    pub(crate) fn output_width(&self) -> usize {
        // SAFETY: the model is loaded.
        usize::try_from(unsafe { sys::llama_model_n_embd_out(self.as_ptr()) }).unwrap_or(0)
    }

    /// Size of the weights, in bytes.
    pub(crate) fn weight_bytes(&self) -> u64 {
        // SAFETY: the model is loaded.
        unsafe { sys::llama_model_size(self.as_ptr()) }
    }

    /// Whether it can continue a text.
    pub(crate) fn has_decoder(&self) -> bool {
        // SAFETY: the model is loaded.
        unsafe { sys::llama_model_has_decoder(self.as_ptr()) }
    }

    /// Whether some layers see only the last so many tokens, and forget the others.
    pub(crate) fn has_sliding_window(&self) -> bool {
        // SAFETY: the model is loaded.
        unsafe { sys::llama_model_n_swa(self.as_ptr()) > 0 }
    }

    /// The token put before every text, where the model wants one.
    pub(crate) fn start_token(&self) -> Option<Token> {
        // SAFETY: the vocabulary lives as long as the model.
        unsafe {
            let token = sys::llama_vocab_bos(self.vocabulary());
            (sys::llama_vocab_get_add_bos(self.vocabulary()) && token >= 0).then_some(token)
        }
    }

    /// Text of the tokens that begin and end a sequence, where there are any.
    pub(crate) fn boundary_texts(&self) -> (String, String) {
        // SAFETY: the vocabulary lives as long as the model; only valid tokens are asked for.
        let (start, end) = unsafe {
            (sys::llama_vocab_bos(self.vocabulary()), sys::llama_vocab_eos(self.vocabulary()))
        };
        let text = |token: Token| {
            if token < 0 {
                return String::new();
            }
            String::from_utf8_lossy(&self.piece(token, true)).into_owned()
        };
        (text(start), text(end))
    }

    /// Whether this token ends a turn.
    pub(crate) fn ends_generation(&self, token: Token) -> bool {
        // SAFETY: the vocabulary lives as long as the model; it checks the token.
        self.knows(token) && unsafe { sys::llama_vocab_is_eog(self.vocabulary(), token) }
    }

    pub(super) fn knows(&self, token: Token) -> bool {
        usize::try_from(token).is_ok_and(|index| index < self.vocabulary_size())
    }

    /// Splits `text` into tokens. `add_special` puts the model's own tokens around it,
    /// `parse_special` recognises control tokens written in it.
    pub(crate) fn tokenize(
        &self,
        text: &str,
        add_special: bool,
        parse_special: bool,
    ) -> Result<Vec<Token>> {
        let too_long = || Error::new(ErrorCode::InvalidInput, "the text is too long to read");
        let length = i32::try_from(text.len()).map_err(|_| too_long())?;
        let mut tokens: Vec<Token> = vec![0; text.len() / 2 + 16];
        for _ in 0..2 {
            let capacity = i32::try_from(tokens.len()).map_err(|_| too_long())?;
            // SAFETY: both pointers are valid for the lengths passed with them.
            let count = unsafe {
                sys::llama_tokenize(
                    self.vocabulary(),
                    text.as_ptr().cast::<c_char>(),
                    length,
                    tokens.as_mut_ptr(),
                    capacity,
                    add_special,
                    parse_special,
                )
            };
            if count == i32::MIN {
                return Err(too_long());
            }
            if count >= 0 {
                tokens.truncate(count.unsigned_abs() as usize);
                return Ok(tokens);
            }
            // A negative count says how many there are.
            tokens.resize(count.unsigned_abs() as usize, 0);
        }
        Err(Error::internal("the tokenizer changed its mind"))
    }

    /// Bytes of a token, often not whole characters. Control tokens are empty unless
    /// `show_special`.
    pub(crate) fn piece(&self, token: Token, show_special: bool) -> Vec<u8> {
        if !self.knows(token) {
            return Vec::new();
        }
        let mut bytes = vec![0u8; 32];
        for _ in 0..2 {
            let capacity = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
            // SAFETY: the buffer is valid for `capacity` bytes and the token is in range.
            let length = unsafe {
                sys::llama_token_to_piece(
                    self.vocabulary(),
                    token,
                    bytes.as_mut_ptr().cast::<c_char>(),
                    capacity,
                    0,
                    show_special,
                )
            };
            let size = length.unsigned_abs() as usize;
            if length >= 0 {
                bytes.truncate(size);
                return bytes;
            }
            bytes.resize(size, 0);
        }
        Vec::new()
    }
}
