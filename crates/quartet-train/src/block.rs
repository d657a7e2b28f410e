//! One transformer block.

use crate::adapters::{Adapters, Projection};
use crate::architecture::{Architecture, Family};
use crate::compute::Compute;
use crate::fused;
use crate::kernels::Gate;
use crate::rotary::Rotary;
use crate::weights::{Weight, WeightFile};
use burn::tensor::Tensor;
use quartet_types::{Error, ErrorCode, Result};
use std::collections::BTreeMap;

/// A frozen linear with the adapters that sit on it: only the gradient of its input is computed.
#[derive(Debug)]
struct Linear {
    weight: Weight,
    /// `[1, outputs]`.
    bias: Option<Tensor<2>>,
}

/// The weights of one block.
#[derive(Debug)]
pub(crate) struct Block {
    index: usize,
    linears: BTreeMap<Projection, Linear>,
    /// Each `[1, width]` or, for queries and keys, `[1, head_length]`.
    norms: BTreeMap<Norm, Tensor<2>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Norm {
    Attention,
    Query,
    Key,
    AfterAttention,
    FeedForward,
    AfterFeedForward,
}

impl Norm {
    fn stem(self) -> &'static str {
        match self {
            Self::Attention => "attn_norm",
            Self::Query => "attn_q_norm",
            Self::Key => "attn_k_norm",
            Self::AfterAttention => "post_attention_norm",
            Self::FeedForward => "ffn_norm",
            Self::AfterFeedForward => "post_ffw_norm",
        }
    }

    fn of(family: Family) -> &'static [Self] {
        match family {
            Family::Qwen2 | Family::Llama => &[Self::Attention, Self::FeedForward],
            Family::Qwen3 => &[Self::Attention, Self::Query, Self::Key, Self::FeedForward],
            Family::Gemma3 => &[
                Self::Attention,
                Self::Query,
                Self::Key,
                Self::AfterAttention,
                Self::FeedForward,
                Self::AfterFeedForward,
            ],
        }
    }
}

/// What every block of a pass shares.
pub(crate) struct Scene<'a> {
    pub(crate) compute: &'a Compute,
    pub(crate) architecture: &'a Architecture,
    pub(crate) adapters: &'a Adapters,
}

/// What one block is shown of position and of the past.
pub(crate) struct View<'a> {
    pub(crate) rotary: &'a Rotary,
    /// `[1, rows, earlier + rows]`.
    pub(crate) mask: &'a Tensor<3>,
    pub(crate) earlier: &'a [&'a (Tensor<3>, Tensor<3>)],
}

/// What one block gives.
pub(crate) struct BlockOutput {
    /// `[rows, width]`.
    pub(crate) hidden: Tensor<2>,
    /// Before rotation, `[rows, heads * head_length]`.
    pub(crate) query: Tensor<2>,
    /// Before rotation, `[rows, key_value_heads * head_length]`.
    pub(crate) key: Tensor<2>,
    /// Rotated keys and values of these rows, `[key_value_heads, rows, head_length]`.
    pub(crate) key_values: (Tensor<3>, Tensor<3>),
}

impl Block {
    pub(crate) fn load(
        file: &WeightFile,
        architecture: &Architecture,
        compute: &Compute,
        index: usize,
        packed: bool,
    ) -> Result<Self> {
        let mut linears = BTreeMap::new();
        for projection in Projection::ALL {
            let (outputs, inputs) = shape(architecture, projection);
            let stored = file.packed(&projection.tensor_name(index), outputs, inputs)?;
            let weight =
                if packed { Weight::Packed(stored) } else { Weight::Kept(stored.tensor(compute)?) };
            let name = projection.bias_name(index);
            let bias = if file.has(&name) {
                Some(file.packed(&name, 1, outputs)?.tensor(compute)?)
            } else {
                None
            };
            linears.insert(projection, Linear { weight, bias });
        }
        let mut norms = BTreeMap::new();
        for norm in Norm::of(architecture.family) {
            let length = match norm {
                Norm::Query | Norm::Key => architecture.head_length,
                _ => architecture.width,
            };
            let name = format!("blk.{index}.{}.weight", norm.stem());
            norms.insert(*norm, file.packed(&name, 1, length)?.tensor(compute)?);
        }
        Ok(Self { index, linears, norms })
    }

    fn linear(
        &self,
        scene: &Scene<'_>,
        projection: Projection,
        x: &Tensor<2>,
    ) -> Result<Tensor<2>> {
        let linear = self.linears.get(&projection).ok_or_else(|| {
            Error::internal(format!("block {} has no {projection:?}", self.index))
        })?;
        let weight = linear.weight.tensor(scene.compute)?;
        let [outputs, inputs] = weight.dims();
        let adapters = scene.adapters.on(self.index, projection);
        for adapter in adapters {
            let ([_, columns], [rows, _]) = (adapter.a.dims(), adapter.b.dims());
            if (rows, columns) != (outputs, inputs) {
                return Err(Error::new(
                    ErrorCode::InvalidInput,
                    format!(
                        "an adapter from {columns} to {rows} numbers does not fit `{}` from \
                         {inputs} to {outputs}",
                        projection.tensor_name(self.index)
                    ),
                ));
            }
        }
        Ok(fused::linear(x, &weight, linear.bias.as_ref(), adapters))
    }

    fn normalised(&self, scene: &Scene<'_>, norm: Norm, x: Tensor<2>) -> Tensor<2> {
        match self.norms.get(&norm) {
            Some(weight) => fused::normalise(x, weight, scene.architecture.epsilon),
            None => x,
        }
    }

    /// Normalises each head of rows `[rows, heads * length]` where the family does.
    fn heads(&self, scene: &Scene<'_>, norm: Norm, x: Tensor<2>) -> Tensor<2> {
        if !self.norms.contains_key(&norm) {
            return x;
        }
        let ([rows, width], length) = (x.dims(), scene.architecture.head_length);
        let each = x.reshape([rows * width / length, length]);
        self.normalised(scene, norm, each).reshape([rows, width])
    }

    /// Queries and keys of normalised rows, before rotation.
    fn query_and_key(
        &self,
        scene: &Scene<'_>,
        inner: &Tensor<2>,
    ) -> Result<(Tensor<2>, Tensor<2>)> {
        let query = self.linear(scene, Projection::Query, inner)?;
        let key = self.linear(scene, Projection::Key, inner)?;
        Ok((self.heads(scene, Norm::Query, query), self.heads(scene, Norm::Key, key)))
    }

    /// Queries and keys that the block makes of `x`, `[rows, width]`, before rotation.
    pub(crate) fn retrieval_heads(
        &self,
        scene: &Scene<'_>,
        x: Tensor<2>,
    ) -> Result<(Tensor<2>, Tensor<2>)> {
        self.query_and_key(scene, &self.normalised(scene, Norm::Attention, x))
    }

    /// The block's output for `x`, `[rows, width]`.
    pub(crate) fn forward(
        &self,
        scene: &Scene<'_>,
        view: &View<'_>,
        x: Tensor<2>,
    ) -> Result<BlockOutput> {
        let shapes = scene.architecture;
        let [rows, _] = x.dims();
        let inner = self.normalised(scene, Norm::Attention, x.clone());
        let (query, key) = self.query_and_key(scene, &inner)?;
        let value = self.linear(scene, Projection::Value, &inner)?;
        let value = value.reshape([rows, shapes.key_value_heads, shapes.head_length]);
        let taps = (query.clone(), key.clone());
        let query = view.rotary.turn(query, shapes.heads);
        let key = view.rotary.turn(key, shapes.key_value_heads);
        let value = value.swap_dims(0, 1);
        let attended = attend(shapes, view, query, &key, &value);
        let attended = self.linear(scene, Projection::Output, &attended)?;
        let x = x + self.normalised(scene, Norm::AfterAttention, attended);

        let inner = self.normalised(scene, Norm::FeedForward, x.clone());
        let gate = self.linear(scene, Projection::Gate, &inner)?;
        let up = self.linear(scene, Projection::Up, &inner)?;
        let kind = if shapes.family == Family::Gemma3 { Gate::Gelu } else { Gate::Silu };
        let down = self.linear(scene, Projection::Down, &fused::gated(kind, gate, up))?;
        let hidden = x + self.normalised(scene, Norm::AfterFeedForward, down);
        Ok(BlockOutput { hidden, query: taps.0, key: taps.1, key_values: (key, value) })
    }
}

/// Grouped attention (Ainslie et al. 2023, arXiv 2305.13245): the query heads of a group are
/// rows of one product, so keys and values are never repeated. Returns `[rows, heads * length]`.
fn attend(
    shapes: &Architecture,
    view: &View<'_>,
    query: Tensor<3>,
    key: &Tensor<3>,
    value: &Tensor<3>,
) -> Tensor<2> {
    let [heads, rows, length] = query.dims();
    let (shared, group) = (shapes.key_value_heads, heads / shapes.key_value_heads);
    let all = |own: &Tensor<3>, pick: fn(&(Tensor<3>, Tensor<3>)) -> &Tensor<3>| {
        if view.earlier.is_empty() {
            return own.clone();
        }
        let mut parts: Vec<_> = view.earlier.iter().map(|pair| pick(pair).clone()).collect();
        parts.push(own.clone());
        Tensor::cat(parts, 1)
    };
    let key = all(key, |pair| &pair.0);
    let value = all(value, |pair| &pair.1);
    let [_, columns, _] = key.dims();
    let query = query.reshape([shared, group * rows, length]);
    let scores = query.matmul(key.swap_dims(1, 2)).reshape([heads, rows, columns]);
    let shares = fused::softmax(scores, view.mask, shapes.attention_scale);
    let mixed = shares.reshape([shared, group * rows, columns]).matmul(value);
    mixed.reshape([heads, rows, length]).swap_dims(0, 1).reshape([rows, heads * length])
}

/// Outputs and inputs of a linear.
pub(crate) fn shape(architecture: &Architecture, projection: Projection) -> (usize, usize) {
    let (width, inner) = (architecture.width, architecture.feed_forward);
    match projection {
        Projection::Query => (architecture.query_width(), width),
        Projection::Key | Projection::Value => (architecture.key_value_width(), width),
        Projection::Output => (width, architecture.query_width()),
        Projection::Gate | Projection::Up => (inner, width),
        Projection::Down => (width, inner),
    }
}
