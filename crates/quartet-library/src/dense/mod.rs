//! Exact nearest-neighbour search by inner product over the vectors of one collection, in one memory-mapped file.
//!
//! [`DenseWriter`] streams vectors into a file ([`file`] documents its layout); [`DenseIndex`] maps it and searches it.
//! A search reads one byte per dimension instead of four: every vector is also stored in 8-bit integers together with the
//! length of what that rounding lost, so each true score is known to lie in an interval.
//! Only vectors whose interval reaches into the best `limit` are scored again in `f32`; see [`scan`] for the inequality.
//! The result is therefore that of scoring every vector in `f32`, not an approximation of it.

pub mod file;
pub mod scan;

pub use file::{DenseIndex, DenseWriter};

/// The score of two vectors: their inner product, as every part of this module computes it.
///
/// Vectors of different widths have no inner product; the answer is then NaN.
#[must_use]
pub fn inner_product(left: &[f32], right: &[f32]) -> f32 {
    use simsimd::SpatialSimilarity;
    f32::dot(left, right).unwrap_or(f64::NAN) as f32
}
