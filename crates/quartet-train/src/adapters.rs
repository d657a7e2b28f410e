//! Low-rank adapters on frozen linears (Hu et al. 2021, arXiv 2106.09685).

use burn::tensor::Tensor;
use quartet_types::{Error, ErrorCode, Result};
use std::collections::BTreeMap;

/// The linears of a block.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Projection {
    /// To queries.
    Query,
    /// To keys.
    Key,
    /// To values.
    Value,
    /// From heads back to the hidden state.
    Output,
    /// Gate of the feed-forward layer.
    Gate,
    /// Input of the feed-forward layer.
    Up,
    /// Output of the feed-forward layer.
    Down,
}

impl Projection {
    /// All of them, in the order they are used.
    pub const ALL: [Self; 7] =
        [Self::Query, Self::Key, Self::Value, Self::Output, Self::Gate, Self::Up, Self::Down];

    /// Name of the tensor in a GGUF file, for example `blk.3.attn_q.weight`.
    #[must_use]
    pub fn tensor_name(self, layer: usize) -> String {
        format!("blk.{layer}.{}.weight", self.stem())
    }

    /// Name of its bias.
    #[must_use]
    pub(crate) fn bias_name(self, layer: usize) -> String {
        format!("blk.{layer}.{}.bias", self.stem())
    }

    fn stem(self) -> &'static str {
        match self {
            Self::Query => "attn_q",
            Self::Key => "attn_k",
            Self::Value => "attn_v",
            Self::Output => "attn_output",
            Self::Gate => "ffn_gate",
            Self::Up => "ffn_up",
            Self::Down => "ffn_down",
        }
    }
}

/// One adapter on one linear: `y = x W^T + factor * (x A^T) B^T`.
#[derive(Debug, Clone)]
pub struct LowRank {
    /// `[rank, inputs]`.
    pub a: Tensor<2>,
    /// `[outputs, rank]`.
    pub b: Tensor<2>,
    /// Strength; for a trained adapter `scale * alpha / rank`, as in llama.cpp.
    pub factor: f64,
}

impl LowRank {
    pub(crate) fn apply(&self, x: Tensor<2>) -> Tensor<2> {
        let narrow = x.matmul(self.a.clone().transpose()).mul_scalar(self.factor);
        narrow.matmul(self.b.clone().transpose())
    }
}

/// Adapters by layer and linear; several on one linear add up. Matrices may be parameters, the
/// output of a hypernetwork, or constants: gradients flow where there is a history.
#[derive(Debug, Clone, Default)]
pub struct Adapters {
    by_place: BTreeMap<(usize, Projection), Vec<LowRank>>,
}

impl Adapters {
    /// No adapter.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds one.
    ///
    /// # Errors
    /// `InvalidInput` where the ranks of `a` and `b` differ.
    pub fn add(&mut self, layer: usize, projection: Projection, adapter: LowRank) -> Result<()> {
        let ([rank, _], [_, inner]) = (adapter.a.dims(), adapter.b.dims());
        if rank != inner {
            return Err(Error::new(
                ErrorCode::InvalidInput,
                format!("an adapter of rank {rank} on one side and {inner} on the other"),
            ));
        }
        self.by_place.entry((layer, projection)).or_default().push(adapter);
        Ok(())
    }

    /// Adds all of `other`.
    pub fn extend(&mut self, other: Self) {
        for (place, adapters) in other.by_place {
            self.by_place.entry(place).or_default().extend(adapters);
        }
    }

    /// Those on one linear.
    #[must_use]
    pub fn on(&self, layer: usize, projection: Projection) -> &[LowRank] {
        self.by_place.get(&(layer, projection)).map_or(&[], Vec::as_slice)
    }

    /// All, by place.
    pub fn iter(&self) -> impl Iterator<Item = (usize, Projection, &[LowRank])> {
        self.by_place.iter().map(|((layer, projection), all)| (*layer, *projection, all.as_slice()))
    }

    /// The lowest layer that has one.
    #[must_use]
    pub fn lowest_layer(&self) -> Option<usize> {
        self.by_place.keys().next().map(|(layer, _)| *layer)
    }
}
