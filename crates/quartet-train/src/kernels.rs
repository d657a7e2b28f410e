//! What a processor does to rows of numbers beside matrix products: one pass over memory each,
//! in place where that is possible, on all cores.
//!
//! Work is cut into pieces by shape alone, and no sum crosses a piece, so results do not hang on
//! how many threads there are or which comes first.

use crate::real::{PIECE, Real, largest, rows_of_piece, summed, vectorised};
use rayon::prelude::*;

/// Columns that one thread takes of a product over rows.
const COLUMNS: usize = 256;

/// `y = x * r * weight` with `r = 1 / sqrt(mean(x^2) + epsilon)` per row; `inverse` gets each `r`.
pub(crate) fn normalise<T: Real>(
    x: &[T],
    weight: &[T],
    epsilon: f64,
    y: &mut [T],
    inverse: &mut [T],
) {
    let width = weight.len();
    let (rows, share) = (rows_of_piece(width), T::of(1.0 / width as f64));
    let pieces = x.par_chunks(rows * width).zip(y.par_chunks_mut(rows * width));
    pieces.zip(inverse.par_chunks_mut(rows)).for_each(|((x, y), inverse)| {
        vectorised(|| {
            let lines = x.chunks_exact(width).zip(y.chunks_exact_mut(width)).zip(inverse);
            for ((x, y), inverse) in lines {
                let mean = summed(x, x, |a, b| a * b) * share;
                let r = T::ONE / (mean + T::of(epsilon)).root();
                *inverse = r;
                for ((y, x), weight) in y.iter_mut().zip(x).zip(weight) {
                    *y = *x * r * *weight;
                }
            }
        });
    });
}

/// Turns `slope`, the gradient of [`normalise`]'s result, into that of its input:
/// `r (g w - x r^2 mean(g w x))`.
pub(crate) fn normalise_back<T: Real>(x: &[T], weight: &[T], inverse: &[T], slope: &mut [T]) {
    let width = weight.len();
    let (rows, share) = (rows_of_piece(width), T::of(1.0 / width as f64));
    let pieces = x.par_chunks(rows * width).zip(slope.par_chunks_mut(rows * width));
    pieces.zip(inverse.par_chunks(rows)).for_each(|((x, slope), inverse)| {
        vectorised(|| {
            let lines = x.chunks_exact(width).zip(slope.chunks_exact_mut(width)).zip(inverse);
            for ((x, slope), r) in lines {
                slope.iter_mut().zip(weight).for_each(|(slope, weight)| *slope = *slope * *weight);
                let pull = summed(x, slope, |a, b| a * b) * share * *r * *r;
                for (slope, x) in slope.iter_mut().zip(x) {
                    *slope = *r * (*slope - *x * pull);
                }
            }
        });
    });
}

/// What a gate does to its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// `x sigmoid(x)`.
    Silu,
    /// GELU by its tanh form (Hendrycks and Gimpel 2016): `x (1 + tanh u) / 2` with
    /// `u = sqrt(2/pi) (x + 0.044715 x^3)`, which is `x sigmoid(2u)`.
    Gelu,
}

impl Gate {
    /// `(a, b)` of the exponent `v = x (a + b x^2)`; the gate is `x sigmoid(v)`.
    pub(crate) fn exponent(self) -> (f64, f64) {
        let root = 2.0 * (2.0 / std::f64::consts::PI).sqrt();
        match self {
            Self::Silu => (1.0, 0.0),
            Self::Gelu => (root, root * 0.044_715),
        }
    }
}

#[inline(always)]
fn sigmoid<T: Real>(x: T) -> T {
    T::ONE / (T::ONE + (-x).exponential())
}

/// `out = gate(x) * up`.
pub(crate) fn gated<T: Real>(gate: Gate, x: &[T], up: &[T], out: &mut [T]) {
    let (a, b) = gate.exponent();
    let (a, b) = (T::of(a), T::of(b));
    let pieces = out.par_chunks_mut(PIECE).zip(x.par_chunks(PIECE)).zip(up.par_chunks(PIECE));
    pieces.for_each(|((out, x), up)| {
        vectorised(|| {
            for ((out, x), up) in out.iter_mut().zip(x).zip(up) {
                *out = *x * sigmoid(*x * (a + b * *x * *x)) * *up;
            }
        });
    });
}

/// Turns `x` and `up` of [`gated`] into their gradients, given that of the result.
pub(crate) fn gated_back<T: Real>(gate: Gate, x: &mut [T], up: &mut [T], slope: &[T]) {
    let (a, b) = gate.exponent();
    let (a, b) = (T::of(a), T::of(b));
    let three = T::of(3.0);
    let pieces = x.par_chunks_mut(PIECE).zip(up.par_chunks_mut(PIECE));
    pieces.zip(slope.par_chunks(PIECE)).for_each(|((x, up), slope)| {
        vectorised(|| {
            for ((x, up), slope) in x.iter_mut().zip(up).zip(slope) {
                let square = *x * *x;
                let s = sigmoid(*x * (a + b * square));
                let turn = s + *x * s * (T::ONE - s) * (a + three * b * square);
                let shut = *slope * *x * s;
                *x = *slope * *up * turn;
                *up = shut;
            }
        });
    });
}

/// Shapes of rows that are split into heads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heads {
    pub(crate) rows: usize,
    pub(crate) heads: usize,
    pub(crate) length: usize,
    /// Pairs are numbers `2i` and `2i + 1`, otherwise `i` and `i + length / 2`.
    pub(crate) neighbours: bool,
}

#[inline(always)]
fn turn_pair<T: Real>(first: &mut T, second: &mut T, cosine: T, sine: T) {
    let (a, b) = (*first, *second);
    *first = a * cosine - b * sine;
    *second = b * cosine + a * sine;
}

#[inline(always)]
fn turn_head<T: Real>(head: &mut [T], cosines: &[T], sines: &[T], neighbours: bool, way: T) {
    let angles = cosines.iter().zip(sines);
    if neighbours {
        for (pair, (cosine, sine)) in head.chunks_exact_mut(2).zip(angles) {
            let (first, second) = pair.split_at_mut(1);
            turn_pair(&mut first[0], &mut second[0], *cosine, *sine * way);
        }
    } else {
        let (first, second) = head.split_at_mut(cosines.len());
        for ((first, second), (cosine, sine)) in first.iter_mut().zip(second).zip(angles) {
            turn_pair(first, second, *cosine, *sine * way);
        }
    }
}

/// Splits `x`, `[rows, heads * length]`, into `out`, `[heads, rows, length]`, and turns each head
/// by the angles of its row, `[rows, length / 2]`.
pub(crate) fn turn<T: Real>(shape: Heads, x: &[T], cosines: &[T], sines: &[T], out: &mut [T]) {
    let Heads { rows, heads, length, neighbours } = shape;
    out.par_chunks_mut(rows * length).enumerate().for_each(|(head, out)| {
        vectorised(|| {
            let angles = cosines.chunks_exact(length / 2).zip(sines.chunks_exact(length / 2));
            for (row, (out, (cosines, sines))) in
                out.chunks_exact_mut(length).zip(angles).enumerate()
            {
                out.copy_from_slice(&x[(row * heads + head) * length..][..length]);
                turn_head(out, cosines, sines, neighbours, T::ONE);
            }
        });
    });
}

/// The gradient of [`turn`]'s input, from that of its result: the other way round.
pub(crate) fn turn_back<T: Real>(
    shape: Heads,
    slope: &[T],
    cosines: &[T],
    sines: &[T],
    out: &mut [T],
) {
    let Heads { rows, heads, length, neighbours } = shape;
    let some = rows_of_piece(heads * length);
    out.par_chunks_mut(some * heads * length).enumerate().for_each(|(piece, out)| {
        vectorised(|| {
            for (row, out) in (piece * some..).zip(out.chunks_exact_mut(heads * length)) {
                let cosines = &cosines[row * (length / 2)..][..length / 2];
                let sines = &sines[row * (length / 2)..][..length / 2];
                for (head, out) in out.chunks_exact_mut(length).enumerate() {
                    out.copy_from_slice(&slope[(head * rows + row) * length..][..length]);
                    turn_head(out, cosines, sines, neighbours, -T::ONE);
                }
            }
        });
    });
}

/// Softmax over each row of `scores * scale + mask`, in place. `scores` holds several matrices of
/// the mask's shape, whose rows have `columns` numbers.
pub(crate) fn softmax<T: Real>(scores: &mut [T], mask: &[T], columns: usize, scale: f64) {
    let (rows, scale) = (mask.len() / columns, T::of(scale));
    let some = rows_of_piece(columns);
    scores.par_chunks_mut(some * columns).enumerate().for_each(|(piece, scores)| {
        vectorised(|| {
            for (row, scores) in (piece * some..).zip(scores.chunks_exact_mut(columns)) {
                let mask = &mask[row % rows * columns..][..columns];
                for (score, mask) in scores.iter_mut().zip(mask) {
                    *score = *score * scale + *mask;
                }
                let most = largest(scores);
                scores.iter_mut().for_each(|score| *score = (*score - most).exponential());
                let total = T::ONE / summed(scores, scores, |a, _| a);
                scores.iter_mut().for_each(|score| *score = *score * total);
            }
        });
    });
}

/// Turns `slope`, the gradient of [`softmax`]'s result, into that of its scores:
/// `scale * p (g - sum(g p))`.
pub(crate) fn softmax_back<T: Real>(shares: &[T], slope: &mut [T], columns: usize, scale: f64) {
    let (some, scale) = (rows_of_piece(columns), T::of(scale));
    let pieces = slope.par_chunks_mut(some * columns).zip(shares.par_chunks(some * columns));
    pieces.for_each(|(slope, shares)| {
        vectorised(|| {
            let lines = slope.chunks_exact_mut(columns).zip(shares.chunks_exact(columns));
            for (slope, shares) in lines {
                let mean = summed(slope, shares, |a, b| a * b);
                for (slope, share) in slope.iter_mut().zip(shares) {
                    *slope = scale * *share * (*slope - mean);
                }
            }
        });
    });
}

/// `[columns, rows]` of a matrix `[rows, columns]`.
pub(crate) fn transposed<T: Real>(x: &[T], rows: usize, columns: usize) -> Vec<T> {
    let mut out = vec![T::ZERO; rows * columns];
    for (row, x) in x.chunks_exact(columns).enumerate() {
        for (column, x) in x.iter().enumerate() {
            out[column * rows + row] = *x;
        }
    }
    out
}

/// `y += narrow wide`, with `narrow` `[rows, rank]` and `wide` `[rank, columns]`.
pub(crate) fn add_product<T: Real>(y: &mut [T], narrow: &[T], wide: &[T], rank: usize) {
    let columns = wide.len() / rank;
    let some = rows_of_piece(columns);
    let pieces = y.par_chunks_mut(some * columns).zip(narrow.par_chunks(some * rank));
    pieces.for_each(|(y, narrow)| {
        vectorised(|| {
            for (y, narrow) in y.chunks_exact_mut(columns).zip(narrow.chunks_exact(rank)) {
                let (fours, rest) = narrow.as_chunks::<4>();
                let mut wide = wide.chunks_exact(columns);
                for four in fours {
                    let mut next = || wide.next().unwrap_or_default();
                    let lines = next().iter().zip(next()).zip(next()).zip(next());
                    for (y, (((a, b), c), d)) in y.iter_mut().zip(lines) {
                        *y += *a * four[0] + *b * four[1] + (*c * four[2] + *d * four[3]);
                    }
                }
                for (one, wide) in rest.iter().zip(wide) {
                    y.iter_mut().zip(wide).for_each(|(y, a)| *y += *a * *one);
                }
            }
        });
    });
}

/// `factor * x wide^T`, `[rows, rank]`, with `x` `[rows, columns]` and `wide` `[rank, columns]`.
pub(crate) fn narrowed<T: Real>(x: &[T], wide: &[T], rank: usize, factor: f64) -> Vec<T> {
    let columns = wide.len() / rank;
    let some = rows_of_piece(columns);
    let mut out = vec![T::ZERO; x.len() / columns * rank];
    let pieces = out.par_chunks_mut(some * rank).zip(x.par_chunks(some * columns));
    pieces.for_each(|(out, x)| {
        vectorised(|| {
            for (out, x) in out.chunks_exact_mut(rank).zip(x.chunks_exact(columns)) {
                for (out, wide) in out.iter_mut().zip(wide.chunks_exact(columns)) {
                    *out = summed(x, wide, |a, b| a * b) * T::of(factor);
                }
            }
        });
    });
    out
}

/// `x^T narrow`, `[columns, rank]`, with `x` `[rows, columns]` and `narrow` `[rows, rank]`.
pub(crate) fn outer<T: Real>(x: &[T], narrow: &[T], rank: usize) -> Vec<T> {
    let rows = narrow.len() / rank;
    let columns = x.len() / rows;
    let mut out = vec![T::ZERO; columns * rank];
    out.par_chunks_mut(COLUMNS * rank).enumerate().for_each(|(piece, out)| {
        vectorised(|| {
            let (from, count) = (piece * COLUMNS, out.len() / rank);
            let mut sums = vec![T::ZERO; count * rank];
            for (x, narrow) in x.chunks_exact(columns).zip(narrow.chunks_exact(rank)) {
                let x = &x[from..from + count];
                for (sums, one) in sums.chunks_exact_mut(count).zip(narrow) {
                    sums.iter_mut().zip(x).for_each(|(sum, x)| *sum += *x * *one);
                }
            }
            for (index, sums) in sums.chunks_exact(count).enumerate() {
                for (at, sum) in sums.iter().enumerate() {
                    out[at * rank + index] = *sum;
                }
            }
        });
    });
    out
}

/// Adds `row` to every row of `y`.
pub(crate) fn add_row<T: Real>(y: &mut [T], row: &[T]) {
    let some = rows_of_piece(row.len());
    y.par_chunks_mut(some * row.len()).for_each(|y| {
        vectorised(|| {
            for y in y.chunks_exact_mut(row.len()) {
                y.iter_mut().zip(row).for_each(|(y, one)| *y += *one);
            }
        });
    });
}

/// The largest number of each row of `z`, or the one in `most` if that is larger.
pub(crate) fn row_maxima<T: Real>(z: &[T], columns: usize, most: &mut [T]) {
    let some = rows_of_piece(columns);
    let pieces = z.par_chunks(some * columns).zip(most.par_chunks_mut(some));
    pieces.for_each(|(z, most)| {
        vectorised(|| {
            for (z, most) in z.chunks_exact(columns).zip(most) {
                let found = largest(z);
                if found > *most {
                    *most = found;
                }
            }
        });
    });
}

/// Replaces each `z` by `e^(heat (z - most))` of its row, and returns the sum of each row.
pub(crate) fn raise<T: Real>(z: &mut [T], columns: usize, most: &[T], heat: f64) -> Vec<T> {
    let (some, heat) = (rows_of_piece(columns), T::of(heat));
    let mut sums = vec![T::ZERO; most.len()];
    let pieces = z.par_chunks_mut(some * columns).zip(most.par_chunks(some));
    pieces.zip(sums.par_chunks_mut(some)).for_each(|((z, most), sums)| {
        vectorised(|| {
            for ((z, most), sum) in z.chunks_exact_mut(columns).zip(most).zip(sums) {
                z.iter_mut().for_each(|z| *z = (heat * (*z - *most)).exponential());
                *sum = summed(z, z, |a, _| a);
            }
        });
    });
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_any_rank_are_products() {
        let wave = |count: usize, pace: f64| -> Vec<f64> {
            (0..count).map(|index| (index as f64 * pace).sin()).collect()
        };
        for (rows, columns, rank) in [(1, 1, 1), (3, 17, 5), (70, 300, 8), (2, 40_000, 3)] {
            let (x, narrow) = (wave(rows * columns, 0.3), wave(rows * rank, 0.7));
            let wide = wave(rank * columns, 0.11);
            let mut y = x.clone();
            add_product(&mut y, &narrow, &wide, rank);
            let (less, product) = (narrowed(&x, &wide, rank, 2.0), outer(&x, &narrow, rank));
            for index in 0..rank {
                let row = rows / 2;
                let dot: f64 =
                    (0..columns).map(|at| x[row * columns + at] * wide[index * columns + at]).sum();
                assert!((less[row * rank + index] - 2.0 * dot).abs() < 1e-9);
                let column = columns - 1;
                let sum: f64 =
                    (0..rows).map(|at| x[at * columns + column] * narrow[at * rank + index]).sum();
                assert!((product[column * rank + index] - sum).abs() < 1e-9);
            }
            for at in [0, rows * columns - 1] {
                let (row, column) = (at / columns, at % columns);
                let sum: f64 = (0..rank)
                    .map(|index| narrow[row * rank + index] * wide[index * columns + column])
                    .sum();
                assert!((y[at] - x[at] - sum).abs() < 1e-9);
            }
        }
    }
}
