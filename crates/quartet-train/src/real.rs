//! Floats of both widths, and loops that a compiler turns into vector instructions.

use burn::tensor::Element;
use bytemuck::Pod;
use pulp::Arch;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

/// Numbers that one thread takes at a time.
pub(crate) const PIECE: usize = 1 << 14;
/// Sums run in so many strands, which a processor adds side by side.
const STRANDS: usize = 16;
/// Below this exponent a share counts as nothing: its exponential is the smallest float.
const NOTHING: f64 = -87.0;

/// Floats of 32 and of 64 bits.
pub(crate) trait Real:
    Element
    + Pod
    + Send
    + Sync
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
{
    /// Zero.
    const ZERO: Self;
    /// One.
    const ONE: Self;
    /// The nearest number.
    fn of(value: f64) -> Self;
    /// `e^self`, for numbers of at most 87; zero below -87.
    fn exponential(self) -> Self;
    /// The square root.
    fn root(self) -> Self;
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;

    #[inline(always)]
    fn of(value: f64) -> Self {
        value as Self
    }

    /// `2^n e^r` with `n` the nearest whole number to `x / ln 2`, and `e^r` by its series to the
    /// sixth power, `|r| <= ln 2 / 2`: the error is below two units in the last place. Without a
    /// branch, so that loops over it become vector instructions.
    #[inline(always)]
    fn exponential(self) -> Self {
        const ROUNDER: f32 = 12_582_912.0;
        // ln 2 in two parts: products of the first with whole numbers are exact.
        const LN_2_HIGH: f32 = 0.693_359_4;
        const LN_2_LOW: f32 = -2.121_944_4e-4;
        let x = if self > 88.0 { 88.0 } else { self };
        let x = if x < NOTHING as Self { NOTHING as Self } else { x };
        let shifted = x * std::f32::consts::LOG2_E + ROUNDER;
        let whole = shifted - ROUNDER;
        let r = x - whole * LN_2_HIGH - whole * LN_2_LOW;
        let series = 1.0 / 120.0 + r * (1.0 / 720.0);
        let series = 1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * series))));
        let power = Self::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
        if self < NOTHING as Self { 0.0 } else { series * power }
    }

    #[inline(always)]
    fn root(self) -> Self {
        self.sqrt()
    }
}

impl Real for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;

    #[inline(always)]
    fn of(value: f64) -> Self {
        value
    }

    #[inline(always)]
    fn exponential(self) -> Self {
        if self < NOTHING { 0.0 } else { self.exp() }
    }

    #[inline(always)]
    fn root(self) -> Self {
        self.sqrt()
    }
}

/// Runs `work` compiled for the widest vectors this processor has.
#[inline(always)]
pub(crate) fn vectorised<R>(work: impl FnOnce() -> R) -> R {
    Arch::new().dispatch(work)
}

/// Rows of `width` that make a piece.
pub(crate) fn rows_of_piece(width: usize) -> usize {
    (PIECE / width.max(1)).max(1)
}

/// Folds `terms` over two slices in [`STRANDS`] sums.
#[inline(always)]
pub(crate) fn summed<T: Real>(x: &[T], y: &[T], term: impl Fn(T, T) -> T) -> T {
    let mut strands = [T::ZERO; STRANDS];
    let (heads, tail) = x.as_chunks::<STRANDS>();
    let (others, rest) = y.as_chunks::<STRANDS>();
    for (x, y) in heads.iter().zip(others) {
        for index in 0..STRANDS {
            strands[index] += term(x[index], y[index]);
        }
    }
    let mut sum = tail.iter().zip(rest).fold(T::ZERO, |sum, (x, y)| sum + term(*x, *y));
    for strand in strands {
        sum += strand;
    }
    sum
}

#[inline(always)]
pub(crate) fn largest<T: Real>(x: &[T]) -> T {
    let more = |a: T, b: T| if b > a { b } else { a };
    let mut strands = [x[0]; STRANDS];
    let (heads, tail) = x.as_chunks::<STRANDS>();
    for x in heads {
        for index in 0..STRANDS {
            strands[index] = more(strands[index], x[index]);
        }
    }
    tail.iter().chain(&strands).fold(x[0], |most, one| more(most, *one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_that_of_the_library() {
        let mut worst = 0.0f64;
        for index in -86_000..88_000 {
            let x = index as f32 / 1000.0;
            let exact = f64::from(x).exp();
            worst = worst.max((f64::from(x.exponential()) - exact).abs() / exact);
        }
        assert!(worst < 2.5e-7, "{worst:e}");
        assert_eq!((-1.0e9f32).exponential(), 0.0);
        assert_eq!(0.0f32.exponential(), 1.0);
    }
}
