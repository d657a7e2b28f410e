//! Panics of the extractors are expected and handled; they must not be printed.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

static HOOK: Once = Once::new();

/// Runs `work`; a panic is returned as its message and printed nowhere. Panics elsewhere
/// in the process go to the hook that was installed before.
pub(crate) fn catch<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    HOOK.call_once(|| {
        let earlier = take_hook();
        set_hook(Box::new(move |panic| {
            if !QUIET.get() {
                earlier(panic);
            }
        }));
    });
    let before = QUIET.replace(true);
    // The extractors keep no state across pages that a panic could leave half-written: pages
    // are read through shared references, and a document that fails to open is dropped.
    let outcome = catch_unwind(AssertUnwindSafe(work));
    QUIET.set(before);
    outcome.map_err(|payload| {
        let message = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&str>().copied())
            .unwrap_or("unknown reason");
        message.chars().take(200).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::catch;

    #[test]
    fn a_panic_is_its_message() {
        assert_eq!(catch(|| 7), Ok(7));
        assert_eq!(catch(|| -> u8 { panic!("page {}", 3) }), Err("page 3".to_owned()));
    }
}
