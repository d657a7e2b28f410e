//! Rotary position encoding (Su et al. 2021, arXiv 2104.09864): pair `i` of a head of length `d`
//! at position `p` is turned by the angle `p * scale * base^(-2i/d) / factor_i`.

use crate::compute::Compute;
use crate::fused;
use burn::tensor::Tensor;
use quartet_types::Result;

/// Cosines and sines for one set of positions.
#[derive(Debug, Clone)]
pub(crate) struct Rotary {
    /// `[1, rows, d / 2]`.
    cosines: Tensor<3>,
    /// `[1, rows, d / 2]`.
    sines: Tensor<3>,
    neighbours: bool,
}

impl Rotary {
    /// Tables for rows at `positions`. `neighbours`: pairs are numbers `2i` and `2i + 1` (Llama),
    /// otherwise `i` and `i + d/2` (all others). `factors` slow single frequencies down
    /// (`rope_freqs.weight` of Llama 3).
    pub(crate) fn new(
        compute: &Compute,
        positions: &[u32],
        head_length: usize,
        (base, scale): (f64, f64),
        factors: Option<&[f32]>,
        neighbours: bool,
    ) -> Result<Self> {
        let half = head_length / 2;
        let frequencies: Vec<f64> = (0..half)
            .map(|index| {
                let factor = factors.and_then(|all| all.get(index)).copied().unwrap_or(1.0);
                scale * base.powf(-2.0 * index as f64 / head_length as f64) / f64::from(factor)
            })
            .collect();
        let angles = || {
            positions.iter().flat_map(|position| {
                frequencies.iter().map(move |frequency| f64::from(*position) * frequency)
            })
        };
        let shape = [1, positions.len(), half];
        Ok(Self {
            cosines: compute.tensor_f64(angles().map(f64::cos).collect(), shape)?,
            sines: compute.tensor_f64(angles().map(f64::sin).collect(), shape)?,
            neighbours,
        })
    }

    /// Splits rows `[rows, heads * d]` into `[heads, rows, d]` and turns each head.
    pub(crate) fn turn(&self, x: Tensor<2>, heads: usize) -> Tensor<3> {
        fused::turn(x, heads, (&self.cosines, &self.sines), self.neighbours)
    }
}
