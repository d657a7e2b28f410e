//! LoRA adapters of a model, and the set of them that a context works with.

use super::model::NativeModel;
use super::take_complaint;
use llama_cpp_sys_2 as sys;
use quartet_types::{Error, ErrorCode, Result};
use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::Arc;

/// A loaded adapter; immutable.
pub(crate) struct NativeAdapter {
    pointer: NonNull<sys::llama_adapter_lora>,
    /// An adapter must not outlive its model.
    model: Arc<NativeModel>,
}

// SAFETY: a loaded adapter is only read, by contexts on many threads.
unsafe impl Send for NativeAdapter {}
// SAFETY: as above.
unsafe impl Sync for NativeAdapter {}

impl Drop for NativeAdapter {
    fn drop(&mut self) {
        let _alone = self.model.adapters_change();
        // SAFETY: it came from its constructor and is freed once, while the model still lives;
        // contexts that use it hold an `Arc` of us until it is no longer in their set.
        unsafe { sys::llama_adapter_lora_free(self.pointer.as_ptr()) };
    }
}

impl NativeAdapter {
    /// Loads a validated adapter file, given as bytes, so that what was validated is what is
    /// loaded.
    pub(crate) fn load(model: &Arc<NativeModel>, bytes: &[u8]) -> Result<Self> {
        let refused = |reason: String| {
            Error::new(
                ErrorCode::BadModel,
                format!("could not be loaded: {reason}").trim_end_matches(": ").to_owned(),
            )
            .hint("Train the adapter again for this model.")
        };
        let _alone = model.adapters_change();
        let _ = take_complaint();
        let pointer = file::with(bytes, |file| {
            // SAFETY: the file is open for reading and stands at its start; the model is loaded,
            // and nobody reads its list of adapters while we hold the guard; llama.cpp catches
            // its own exceptions and copies what it needs.
            unsafe { sys::llama_adapter_lora_init_from_file_ptr(model.as_ptr(), file) }
        })?;
        match NonNull::new(pointer) {
            Some(pointer) => Ok(Self { pointer, model: Arc::clone(model) }),
            None => Err(refused(take_complaint())),
        }
    }

    /// Whether it was loaded for this model.
    fn belongs_to(&self, model: &Arc<NativeModel>) -> bool {
        Arc::ptr_eq(&self.model, model)
    }
}

/// Adapters with their scales: everything that is in force in a context at one time.
#[derive(Clone, Default)]
pub(crate) struct AdapterSet {
    members: Vec<(Arc<NativeAdapter>, f32)>,
}

impl std::fmt::Debug for AdapterSet {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "AdapterSet of {}", self.members.len())
    }
}

impl AdapterSet {
    /// A set of adapters, each of them once: llama.cpp knows them by their address and would
    /// not add up one that comes twice. In the same order they are summed in the same order.
    pub(crate) fn new(members: Vec<(Arc<NativeAdapter>, f32)>) -> Self {
        Self { members }
    }

    /// Whether another set is the same, to the last bit of its scales.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.members.len() == other.members.len()
            && self.members.iter().zip(&other.members).all(|(own, other)| {
                Arc::ptr_eq(&own.0, &other.0) && own.1.to_bits() == other.1.to_bits()
            })
    }

    fn check(&self, model: &Arc<NativeModel>) -> Result<()> {
        for (index, (adapter, scale)) in self.members.iter().enumerate() {
            let mut before = self.members.iter().take(index);
            if !adapter.belongs_to(model)
                || !scale.is_finite()
                || before.any(|(other, _)| Arc::ptr_eq(adapter, other))
            {
                return Err(Error::internal("a set of adapters does not fit its context"));
            }
        }
        Ok(())
    }
}

/// The adapters of one context. Whoever changes them must clear the context's memory: keys and
/// values computed with one set are nonsense with another.
#[derive(Default)]
pub(super) struct AdaptersInForce {
    set: AdapterSet,
}

impl AdaptersInForce {
    /// Replaces the set; false if it is the same as before.
    ///
    /// # Safety
    /// The context is valid, belongs to `model` and is the one that this set is kept for.
    pub(super) unsafe fn replace(
        &mut self,
        context: NonNull<sys::llama_context>,
        model: &Arc<NativeModel>,
        set: &AdapterSet,
    ) -> Result<bool> {
        set.check(model)?;
        if self.set.is(set) {
            return Ok(false);
        }
        let mut pointers: Vec<_> =
            set.members.iter().map(|(adapter, _)| adapter.pointer.as_ptr()).collect();
        let mut scales: Vec<f32> = set.members.iter().map(|(_, scale)| *scale).collect();
        // SAFETY: both lists have as many entries as is said and are copied; the adapters belong
        // to the context's model. A device may still compute with the old set, so it is waited
        // for before the old adapters may be freed.
        unsafe {
            sys::llama_synchronize(context.as_ptr());
            sys::llama_set_adapters_lora(
                context.as_ptr(),
                pointers.as_mut_ptr(),
                pointers.len(),
                scales.as_mut_ptr(),
            );
        }
        self.set = set.clone();
        Ok(true)
    }
}

/// Bytes as an open file of the C library, which is all that llama.cpp can read from.
#[cfg(unix)]
mod file {
    use super::{Error, Result, c_void};
    use std::ffi::{c_char, c_int};

    // From the C library (POSIX.1-2008), which every program of ours is linked with.
    unsafe extern "C" {
        fn fmemopen(buffer: *mut c_void, size: usize, mode: *const c_char) -> *mut c_void;
        fn fclose(file: *mut c_void) -> c_int;
    }

    pub(super) fn with<R>(bytes: &[u8], work: impl FnOnce(*mut c_void) -> R) -> Result<R> {
        let buffer = bytes.as_ptr().cast_mut().cast();
        // SAFETY: a file opened for reading only never writes to its buffer, which outlives it.
        let file = unsafe { fmemopen(buffer, bytes.len(), c"rb".as_ptr()) };
        if file.is_null() {
            let error = std::io::Error::last_os_error();
            return Err(Error::internal(format!("memory cannot be opened as a file: {error}")));
        }
        let result = work(file);
        // SAFETY: opened above and closed once.
        unsafe { fclose(file) };
        Ok(result)
    }
}

/// The same by way of a file in the folder for temporary files.
#[cfg(not(unix))]
mod file {
    use super::{Error, Result, c_void};
    use std::ffi::{CString, c_char, c_int};
    use std::io::Write;

    unsafe extern "C" {
        fn fclose(file: *mut c_void) -> c_int;
    }

    pub(super) fn with<R>(bytes: &[u8], work: impl FnOnce(*mut c_void) -> R) -> Result<R> {
        let mut file = tempfile::NamedTempFile::new()
            .map_err(|error| Error::from_io(&error, &std::env::temp_dir()))?;
        let written = file.write_all(bytes).and_then(|()| file.flush());
        written.map_err(|error| Error::from_io(&error, file.path()))?;
        // Closed here, so that it can be opened again; deleted when the path is dropped.
        let path = file.into_temp_path();
        let name = CString::new(path.as_os_str().as_encoded_bytes())
            .map_err(|_| Error::internal("the folder for temporary files has an odd name"))?;
        // SAFETY: both strings end with zero; ggml opens paths in UTF-8 on every system.
        let file =
            unsafe { llama_cpp_sys_2::ggml_fopen(name.as_ptr().cast::<c_char>(), c"rb".as_ptr()) };
        if file.is_null() {
            return Err(Error::from_io(&std::io::Error::last_os_error(), &path));
        }
        let result = work(file);
        // SAFETY: opened above and closed once.
        unsafe { fclose(file) };
        Ok(result)
    }
}
