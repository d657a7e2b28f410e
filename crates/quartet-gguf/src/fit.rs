//! Whether a model fits, worked out from its header before anything is loaded.

use crate::validate::ModelFacts;
use quartet_types::FitEstimate;

/// Bytes kept free for everything else on the machine.
const MARGIN_BYTES: u64 = 256 << 20;
/// Half precision, for keys and for values.
const KEY_VALUE_BYTES: u64 = 2;
/// The graph itself, thread stacks, tokenizer tables and the allocator's slack.
const FIXED_BYTES: u64 = 48 << 20;

/// How the model would be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FitRequest {
    /// Context length, in tokens.
    pub context: u32,
    /// Tokens that go through the network at once.
    pub batch: u32,
    /// Rows of logits that are kept at once; 0 for an embedder.
    pub output_rows: u32,
    /// Memory available now, in bytes.
    pub available_bytes: u64,
}

/// Estimates the memory that a model takes.
///
/// Keys and values: `context * sum over layers (kv_heads * (key_length + value_length)) * 2`
/// bytes, nothing for an encoder. Scratch: the batch's activations (residual, queries, keys,
/// values, feed-forward, in 32-bit floats), attention scores of an encoder
/// (`heads * batch^2`), and the rows of logits, each twice.
#[must_use]
pub fn estimate_fit(facts: &ModelFacts, request: FitRequest) -> FitEstimate {
    let context = u64::from(request.context);
    let batch = u64::from(request.batch);
    let heads = u64::from(facts.heads);
    let head_bytes = u64::from(facts.key_length) + u64::from(facts.value_length);
    let key_value_heads: u64 = facts.key_value_heads.iter().copied().map(u64::from).sum();
    let kv_cache_bytes =
        if facts.causal { context * key_value_heads * head_bytes * KEY_VALUE_BYTES } else { 0 };

    let per_token =
        4 * u64::from(facts.width) + 3 * u64::from(facts.feed_forward) + 2 * heads * head_bytes;
    let scores = if facts.causal { batch * context / 2 } else { heads * batch * batch };
    let logits = u64::from(request.output_rows) * u64::from(facts.vocabulary) * 2;
    let compute_bytes = FIXED_BYTES + 4 * (batch * per_token + scores + logits);

    let needed = facts.weight_bytes.saturating_add(kv_cache_bytes).saturating_add(compute_bytes);
    FitEstimate {
        weight_bytes: facts.weight_bytes,
        kv_cache_bytes,
        compute_bytes,
        available_bytes: request.available_bytes,
        fits: needed.saturating_add(MARGIN_BYTES) <= request.available_bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> ModelFacts {
        ModelFacts {
            architecture: "qwen2".to_owned(),
            name: None,
            layers: 24,
            width: 896,
            heads: 14,
            key_value_heads: vec![2; 24],
            key_length: 64,
            value_length: 64,
            feed_forward: 4864,
            trained_context: 32768,
            vocabulary: 151_936,
            weight_bytes: 491_000_000,
            causal: true,
            pooling: None,
            strips_accents: false,
            chat_template: None,
        }
    }

    #[test]
    fn keys_and_values_match_what_the_engine_stores_per_token() {
        let request =
            FitRequest { context: 1, batch: 512, output_rows: 1, available_bytes: 1 << 40 };
        // Measured: 12,302 bytes of state per token for this model, of which 14 are bookkeeping.
        assert_eq!(estimate_fit(&facts(), request).kv_cache_bytes, 12_288);
    }

    #[test]
    fn a_longer_context_stops_fitting_at_some_point() {
        let at = |context| {
            let request =
                FitRequest { context, batch: 512, output_rows: 32, available_bytes: 2 << 30 };
            estimate_fit(&facts(), request)
        };
        assert!(at(4096).fits);
        assert!(!at(262_144).fits);
        assert!(at(262_144).kv_cache_bytes > at(4096).kv_cache_bytes);
    }

    #[test]
    fn an_encoder_keeps_no_keys() {
        let mut encoder = facts();
        encoder.causal = false;
        let request =
            FitRequest { context: 512, batch: 512, output_rows: 0, available_bytes: 1 << 40 };
        assert_eq!(estimate_fit(&encoder, request).kv_cache_bytes, 0);
    }
}
