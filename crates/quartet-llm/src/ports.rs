//! The ports of a request that are designed but not built yet are refused, never ignored.

use quartet_types::{Error, ErrorCode, GenerationRequest, Result};

/// The error for a port that is not built yet.
pub(crate) fn not_built(port: &str) -> Error {
    Error::new(ErrorCode::NotSupported, format!("the engine cannot use {port} yet"))
        .hint("Use a method that needs text only, such as `rag`.")
}

/// Checks that a request uses only what the engine can do.
pub(crate) fn check(request: &GenerationRequest) -> Result<()> {
    if !request.adapters.is_empty() {
        return Err(not_built("adapters"));
    }
    if !request.passages.is_empty() {
        return Err(not_built("passages"));
    }
    if !request.taps.is_empty() {
        return Err(not_built("taps"));
    }
    Ok(())
}
