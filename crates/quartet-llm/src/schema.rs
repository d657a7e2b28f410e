//! JSON Schemas are parsed before llama.cpp sees them.

use quartet_types::{Error, ErrorCode, Result};

/// The schema again, written by our own parser, which also bounds its depth.
pub(crate) fn checked(schema: &str) -> Result<String> {
    let refused = |reason: String| {
        Error::new(ErrorCode::InvalidInput, format!("the JSON Schema cannot be used: {reason}"))
            .hint("Check that it is a JSON object such as {\"type\": \"object\"}.")
    };
    let value: serde_json::Value =
        serde_json::from_str(schema).map_err(|error| refused(error.to_string()))?;
    if value.is_object() {
        Ok(value.to_string())
    } else {
        Err(refused("it is not an object".to_owned()))
    }
}
