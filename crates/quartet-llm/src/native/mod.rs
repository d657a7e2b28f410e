//! The only place that calls llama.cpp. Every type here owns what it points to, checks what
//! llama.cpp merely asserts, and is safe to use from outside.

mod adapter;
pub(crate) mod bare;
mod batch;
mod context;
mod dequantise;
mod model;
mod reveal;
mod sampler;
mod state;
mod threads;
mod watch;

pub(crate) use adapter::{AdapterSet, NativeAdapter};
pub(crate) use batch::{Input, Row};
pub(crate) use context::{ContextShape, Decoded, NativeContext};
pub(crate) use dequantise::dequantise;
pub(crate) use model::{NativeModel, Token};
pub(crate) use reveal::Reveal;
pub(crate) use sampler::{NativeGrammar, NativeSampler, schema_to_grammar};
pub(crate) use state::{LayerStates, StateLayout};
pub(crate) use threads::NativeThreads;
pub(crate) use watch::{Found, Node, NodeName, Orders, Read};

use llama_cpp_sys_2 as sys;
use quartet_types::Device;
use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_void};
use std::io::Write;
use std::sync::Once;

thread_local! {
    /// What llama.cpp last complained about on this thread: it reports reasons only in its log.
    static LAST_COMPLAINT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Starts llama.cpp once per process and takes over its log.
pub(crate) fn start() {
    static START: Once = Once::new();
    START.call_once(|| {
        // SAFETY: `keep_complaints` matches the callback type, uses no user data and never
        // unwinds; the calls have no other precondition and `Once` keeps them single.
        unsafe {
            sys::llama_log_set(Some(keep_complaints), std::ptr::null_mut());
            #[cfg(feature = "dynamic-backends")]
            sys::ggml_backend_load_all();
            sys::llama_backend_init();
        }
    });
}

/// The last complaint on this thread, which is then forgotten.
pub(crate) fn take_complaint() -> String {
    LAST_COMPLAINT
        .with(|slot| slot.try_borrow_mut().map(|mut text| std::mem::take(&mut *text)))
        .unwrap_or_default()
}

unsafe extern "C" fn keep_complaints(
    level: sys::ggml_log_level,
    text: *const c_char,
    _: *mut c_void,
) {
    let matters = level == sys::GGML_LOG_LEVEL_WARN || level == sys::GGML_LOG_LEVEL_ERROR;
    if !matters || text.is_null() {
        return;
    }
    // SAFETY: llama.cpp passes a string that ends with zero and lives during the call.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    if level == sys::GGML_LOG_LEVEL_ERROR {
        LAST_COMPLAINT.with(|slot| {
            if let Ok(mut slot) = slot.try_borrow_mut() {
                // "function: reason" is how llama.cpp writes; the reason is enough.
                let reason = text.split_once(": ").map_or(&*text, |(_, reason)| reason);
                // The first complaint names the cause, later ones its consequences.
                if slot.is_empty() {
                    reason.trim().clone_into(&mut slot);
                }
            }
        });
    }
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// The text behind a pointer that llama.cpp returned.
///
/// # Safety
/// `text` is null or points to a string that ends with zero and lives during the call.
unsafe fn text_of(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: promised by the caller.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// Version of llama.cpp and of its tensor library.
pub(crate) fn build() -> String {
    // SAFETY: both return static strings.
    let (engine, tensors) =
        unsafe { (text_of(sys::llama_version()), text_of(sys::ggml_version())) };
    format!("llama.cpp {engine} ggml {tensors} bindings 0.1.161")
}

/// Every device that can compute, with whether it is a graphics device.
pub(crate) fn devices() -> Vec<(Device, bool)> {
    start();
    // SAFETY: indices are below the count; devices live as long as the process; the memory
    // query writes to two variables that outlive the call.
    unsafe {
        (0..sys::ggml_backend_dev_count())
            .map(|index| {
                let device = sys::ggml_backend_dev_get(index);
                let (mut free, mut total) = (0usize, 0usize);
                sys::ggml_backend_dev_memory(device, &raw mut free, &raw mut total);
                let kind = sys::ggml_backend_dev_type(device);
                let graphics = kind == sys::GGML_BACKEND_DEVICE_TYPE_GPU
                    || kind == sys::GGML_BACKEND_DEVICE_TYPE_IGPU;
                let described = Device {
                    name: text_of(sys::ggml_backend_dev_name(device)),
                    description: text_of(sys::ggml_backend_dev_description(device)),
                    memory_free: free as u64,
                    memory_total: total as u64,
                };
                (described, graphics)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_table_of_storage_types_is_ggmls_own() {
        for kind in quartet_gguf::TensorType::ALL {
            let number = kind.number() as sys::ggml_type;
            // SAFETY: every number in the table is below `GGML_TYPE_COUNT`.
            let (elements, bytes) =
                unsafe { (sys::ggml_blck_size(number), sys::ggml_type_size(number)) };
            assert_eq!(elements, kind.block_elements() as i64, "{}", kind.name());
            assert_eq!(bytes as u64, kind.block_bytes(), "{}", kind.name());
        }
    }

    #[test]
    fn a_processor_is_always_there() {
        let found = devices();
        assert!(found.iter().any(|(device, graphics)| device.name == "CPU" && !graphics));
    }
}
