//! What is known of a collection before it is asked.

use super::vector::Heads;
use quartet_types::{AdapterUse, ImpragSettings, ImpragTier};
use serde::{Deserialize, Serialize};

/// How a base model retrieves from a collection and reads what it finds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Setup {
    /// Layers, lengths, mode.
    pub settings: ImpragSettings,
    /// What was taught.
    pub tier: ImpragTier,
    /// Heads of the model.
    pub heads: Heads,
    /// In force while the query is made.
    pub query: Vec<AdapterUse>,
    /// In force while passage vectors are made.
    pub passage: Vec<AdapterUse>,
    /// In force while the answer is written.
    pub reader: Vec<AdapterUse>,
    /// In force while passages are encoded for reading.
    pub states: Vec<AdapterUse>,
    /// Raw best score below which the documents are taken not to hold the answer.
    pub threshold: Option<f32>,
    /// Whether words are searched as well, and both lists fused: not what the paper does.
    pub is_hybrid: bool,
}

impl Setup {
    /// The bare model, taught nothing.
    #[must_use]
    pub fn bare(settings: ImpragSettings, heads: Heads) -> Self {
        Self {
            settings,
            tier: ImpragTier::Untaught,
            heads,
            query: Vec::new(),
            passage: Vec::new(),
            reader: Vec::new(),
            states: Vec::new(),
            threshold: None,
            is_hybrid: false,
        }
    }
}
