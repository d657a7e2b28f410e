//! Checks of the vocabulary, which llama.cpp trusts most.

use crate::reader::{GgufFile, bad};
use crate::value::Value;
use quartet_types::Result;
use std::collections::HashSet;

/// Checks the token table against the embedding table; returns the number of tokens.
pub(crate) fn check_vocabulary(file: &GgufFile, width: u64) -> Result<u64> {
    let tokenizer = file
        .get("tokenizer.ggml.model")
        .and_then(Value::as_str)
        .ok_or_else(|| bad("does not say how it splits text into tokens"))?;
    let Some(Value::Strings(tokens)) = file.get("tokenizer.ggml.tokens") else {
        return Err(bad("has no vocabulary"));
    };
    let count = tokens.len() as u64;
    if count == 0 || count > i32::MAX as u64 {
        return Err(bad(format!("has a vocabulary of {count} tokens")));
    }
    let mut seen = HashSet::with_capacity(tokens.len());
    for token in tokens.iter().filter(|token| !token.is_empty()) {
        if !seen.insert(token) {
            let shown = String::from_utf8_lossy(token);
            return Err(bad(format!("has the token `{shown}` twice in its vocabulary")));
        }
    }
    let embedding =
        file.tensor("token_embd.weight").ok_or_else(|| bad("has no table of token embeddings"))?;
    if embedding.shape.first() != Some(&width) || embedding.shape.get(1) != Some(&count) {
        return Err(bad(format!(
            "has token embeddings of shape {:?} for {count} tokens of width {width}",
            embedding.shape
        )));
    }
    for name in ["tokenizer.ggml.token_type", "tokenizer.ggml.scores"] {
        if let Some(length) = file.get(name).and_then(Value::array_len)
            && (length as u64) < count
        {
            return Err(bad(format!("has {length} entries in `{name}` for {count} tokens")));
        }
    }
    check_special_tokens(file, tokenizer, count)?;
    Ok(count)
}

/// The tokens that a tokenizer puts around every text must exist: llama.cpp asserts it while
/// it reads the first text. The defaults are llama.cpp's own for each kind of tokenizer.
fn check_special_tokens(file: &GgufFile, tokenizer: &str, count: u64) -> Result<()> {
    let flag = |name: &str| match file.get(&format!("tokenizer.ggml.{name}")) {
        Some(Value::Bool(value)) => Some(*value),
        _ => None,
    };
    let id = |name: &str, default: Option<u64>| {
        file.get(&format!("tokenizer.ggml.{name}")).and_then(Value::as_u64).or(default)
    };
    let (start, end, separator) = match tokenizer {
        "bert" => (Some(101), None, Some(102)),
        "llama" => (Some(1), Some(2), None),
        "gpt2" => (Some(11), Some(11), None),
        "t5" => (None, Some(1), None),
        _ => (None, None, None),
    };
    let wraps = tokenizer == "bert";
    let needed = [
        ("bos_token_id", id("bos_token_id", start), flag("add_bos_token").unwrap_or(wraps)),
        ("eos_token_id", id("eos_token_id", end), flag("add_eos_token").unwrap_or(false)),
        (
            "seperator_token_id",
            id("seperator_token_id", separator),
            flag("add_sep_token").unwrap_or(wraps),
        ),
    ];
    for (name, id, is_added) in needed {
        let given = file.get(&format!("tokenizer.ggml.{name}")).is_some();
        let inside = id.is_some_and(|id| id < count);
        if (given || is_added) && !inside {
            return Err(bad(format!("has a special token `{name}` outside its vocabulary")));
        }
    }
    Ok(())
}
