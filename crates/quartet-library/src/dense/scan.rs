//! The search: an integer scan that bounds every score, then `f32` scores for whatever the bounds leave open.
//!
//! # Why the result is exact
//!
//! Write `x̂ = scale · code` for the stored 8-bit form of a vector `x`, and `q̂` for that of the query `q`. Then
//!
//! ```text
//! q·x − q̂·x̂  =  q̂·(x − x̂) + (q − q̂)·x
//! |q·x − q̂·x̂| ≤ ‖q̂‖ ‖x − x̂‖ + ‖q − q̂‖ ‖x‖          (triangle inequality, then Cauchy–Schwarz twice)
//!             ≤ ‖q̂‖ loss(x) + loss(q) · largest norm
//! ```
//!
//! where `q̂·x̂` is known exactly but for the last bits, its integer part having no rounding at all.
//! The score that is reported is computed in `f32`, in whatever order the processor's instructions sum.
//! It differs from `q·x` by at most `n u / (1 − n u) · ‖q‖ ‖x‖` for width `n` and unit roundoff `u = 2⁻²⁴`
//! (Higham, *Accuracy and Stability of Numerical Algorithms*, section 3.1), and by products too small for `f32`.
//! Both are added to the bound, the first about twice over, which also covers the rounding of the bound itself.
//!
//! So every reported score lies in `[lower, upper]`. At least `limit` vectors score no less than the `limit`-th best
//! `lower`; a vector whose `upper` is below that cannot be among the best, and neither can it tie with them.

use super::file::{DenseIndex, quantise};
use super::inner_product;
use quartet_types::{Error, ErrorCode, error::Result};
use simsimd::SpatialSimilarity;
use std::num::NonZero;
use std::ops::Range;

/// Vectors that make a thread worth its start.
const VECTORS_PER_THREAD: usize = 10_000;
/// Memory, not arithmetic, limits the scan beyond this.
const MAXIMUM_THREADS: usize = 8;

/// Keeps track of the `limit`-th largest of the values seen.
struct Floor {
    limit: usize,
    best: Vec<f64>,
    /// No larger than the `limit`-th largest value so far; it only rises.
    value: f64,
}

impl Floor {
    fn new(limit: usize) -> Self {
        Self { limit, best: Vec::new(), value: f64::NEG_INFINITY }
    }

    /// Amortised constant time: the value is brought up to date once every `limit` useful values.
    #[inline]
    fn push(&mut self, value: f64) {
        if value > self.value {
            self.best.push(value);
            if self.best.len() >= self.limit.saturating_mul(2) {
                self.settle();
            }
        }
    }

    fn settle(&mut self) {
        if self.best.len() >= self.limit {
            let (_, value, _) =
                self.best.select_nth_unstable_by(self.limit - 1, |a, b| b.total_cmp(a));
            self.value = *value;
            self.best.truncate(self.limit);
        }
    }
}

/// A vector that may be among the best, and the most it can score.
struct Candidate {
    position: usize,
    upper: f64,
}

/// The query in 8-bit integers, with what its bounds need.
struct Query {
    codes: Vec<i8>,
    scale: f64,
    /// `‖q̂‖`: how far a vector's loss moves its score.
    norm: f64,
    /// The part of the bound that is the same for every vector.
    slack: f64,
}

impl Query {
    fn new(query: &[f32], largest_norm: f64) -> Option<Self> {
        let mut codes = Vec::with_capacity(query.len());
        let quantised = quantise(query, &mut codes)?;
        let scale = f64::from(quantised.scale);
        let squares: f64 = codes.iter().map(|&code| f64::from(code).powi(2)).sum();
        let width = query.len() as f64;
        let rounding = (width + 16.0) * f64::from(f32::EPSILON) * quantised.norm * largest_norm;
        let underflow = (width + 16.0) * f64::from(f32::MIN_POSITIVE);
        let slack = f64::from(quantised.loss) * largest_norm + rounding + underflow;
        Some(Self { codes, scale, norm: scale * squares.sqrt() * (1.0 + 1e-9), slack })
    }
}

impl DenseIndex {
    /// Whether `query` can be searched for.
    ///
    /// # Errors
    /// `InvalidInput` if it has another width than the index, or values that are not finite or far too large.
    pub fn check_query(&self, query: &[f32]) -> Result<()> {
        if query.len() != self.width() {
            let message = format!(
                "the query has {} values, the collection's vectors {}",
                query.len(),
                self.width()
            );
            return Err(Error::new(ErrorCode::InvalidInput, message));
        }
        match quantise(query, &mut Vec::new()) {
            Some(_) => Ok(()),
            None => Err(Error::new(
                ErrorCode::InvalidInput,
                "the query's values are not finite, or far too large",
            )),
        }
    }

    /// The `limit` vectors with the largest inner product with `query`, as (chunk id, score): best first, equal scores
    /// by ascending id. Fewer if there are fewer; none for a query that [`DenseIndex::check_query`] refuses.
    ///
    /// The same as scoring every vector with [`inner_product`] and sorting, whatever the number of threads.
    #[must_use]
    pub fn search(&self, query: &[f32], limit: usize) -> Vec<(i64, f32)> {
        let available = std::thread::available_parallelism().map_or(1, NonZero::get);
        let threads = (self.len() / VECTORS_PER_THREAD).clamp(1, available.min(MAXIMUM_THREADS));
        self.search_on(query, limit, threads)
    }

    fn search_on(&self, query: &[f32], limit: usize, threads: usize) -> Vec<(i64, f32)> {
        let limit = limit.min(self.len());
        if limit == 0 || query.len() != self.width() {
            return Vec::new();
        }
        let Some(rounded) = Query::new(query, self.largest_norm) else {
            return Vec::new();
        };
        let candidates = self.candidates(&rounded, limit, threads);
        // Most promising first, so that scoring can stop where no interval reaches the best any more.
        let mut floor = Floor::new(limit);
        let mut found = Vec::new();
        for candidate in candidates {
            if candidate.upper < floor.value {
                break;
            }
            let (Some(vector), Some(&id)) =
                (self.vector(candidate.position), self.ids().get(candidate.position))
            else {
                continue;
            };
            let score = inner_product(query, vector);
            floor.push(f64::from(score));
            found.push((id, score));
        }
        found.sort_unstable_by(|a: &(i64, f32), b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        found.truncate(limit);
        found
    }

    /// Everything that may be among the best `limit`, by falling upper bound.
    fn candidates(&self, query: &Query, limit: usize, threads: usize) -> Vec<Candidate> {
        let share = self.len().div_ceil(threads.max(1));
        let part = |number: usize| {
            (number * share).min(self.len())..((number + 1) * share).min(self.len())
        };
        let (mut floor, mut candidates) = std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads)
                .map(|number| {
                    let work = move || self.scan(query, limit, part(number));
                    // A system that has no thread to give gets its share done here instead.
                    (number, std::thread::Builder::new().spawn_scoped(scope, work).ok())
                })
                .collect();
            let (mut floor, mut candidates) = self.scan(query, limit, part(0));
            for (number, handle) in others {
                let (lowers, more) = match handle.map(std::thread::ScopedJoinHandle::join) {
                    Some(Ok(scanned)) => scanned,
                    Some(Err(panic)) => std::panic::resume_unwind(panic),
                    None => self.scan(query, limit, part(number)),
                };
                lowers.best.into_iter().for_each(|lower| floor.push(lower));
                candidates.extend(more);
            }
            (floor, candidates)
        });
        floor.settle();
        candidates.retain(|candidate| candidate.upper >= floor.value);
        candidates.sort_unstable_by(|a, b| b.upper.total_cmp(&a.upper));
        candidates
    }

    /// Bounds the scores of the vectors in `part`; those that could still be among its best `limit` are kept.
    fn scan(&self, query: &Query, limit: usize, part: Range<usize>) -> (Floor, Vec<Candidate>) {
        let (mut floor, mut candidates) = (Floor::new(limit), Vec::new());
        let codes = &self.codes()[part.start * self.width()..part.end * self.width()];
        let vectors = codes
            .chunks_exact(self.width())
            .zip(&self.scales()[part.clone()])
            .zip(&self.losses()[part.clone()]);
        for (position, ((codes, &scale), &loss)) in part.zip(vectors) {
            // Both have the index's width, so there always is a product.
            let product = i8::dot(codes, &query.codes).unwrap_or_default();
            let score = product * f64::from(scale) * query.scale;
            let bound = query.norm * f64::from(loss) + query.slack;
            if score + bound >= floor.value {
                candidates.push(Candidate { position, upper: score + bound });
                floor.push(score - bound);
            }
        }
        (floor, candidates)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dense::DenseWriter;
    use proptest::prelude::*;
    use std::path::Path;

    fn write(folder: &Path, width: usize, vectors: &[(i64, Vec<f32>)]) {
        let mut writer = DenseWriter::create(folder, "v", "key", width).unwrap();
        for (id, vector) in vectors {
            writer.push(*id, vector).unwrap();
        }
        writer.finish().unwrap();
        assert_eq!(
            std::fs::read_dir(folder).unwrap().count(),
            1,
            "no partial file may stay behind"
        );
    }

    fn brute_force(vectors: &[(i64, Vec<f32>)], query: &[f32], limit: usize) -> Vec<(i64, f32)> {
        let mut all: Vec<_> =
            vectors.iter().map(|(id, vector)| (*id, inner_product(query, vector))).collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        all.truncate(limit);
        all
    }

    /// Numbers with a normal-like distribution, the same on every machine.
    pub(super) struct Noise(pub u64);

    impl Noise {
        pub(super) fn next(&mut self) -> f32 {
            (0..4).map(|_| self.uniform()).sum::<f32>() - 2.0
        }

        fn uniform(&mut self) -> f32 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 40) as f32 / (1u64 << 24) as f32
        }

        /// A unit vector around `centre`; a small `spread` makes near-duplicates, 0 makes duplicates.
        pub(super) fn unit(&mut self, centre: &[f32], spread: f32) -> Vec<f32> {
            let vector: Vec<f32> = centre.iter().map(|x| x + spread * self.next()).collect();
            let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-12);
            vector.iter().map(|x| x / norm).collect()
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn equals_brute_force(
            seed: u64,
            width in prop::sample::select(vec![1usize, 3, 17, 384]),
            count in 0usize..400,
            limit in prop::sample::select(vec![0usize, 1, 5, 50, 1000, usize::MAX]),
            spread in prop::sample::select(vec![0.0f32, 1e-6, 1e-3, 0.3, 10.0]),
            length in prop::sample::select(vec![1.0f32, 1e-30, 1e-3, 300.0]),
            threads in 1usize..5,
        ) {
            let mut noise = Noise(seed);
            let centre: Vec<f32> = (0..width).map(|_| noise.next()).collect();
            let vectors: Vec<(i64, Vec<f32>)> = (0..count as i64)
                .map(|i| (i * 7919 % 401 - 200, noise.unit(&centre, spread).iter().map(|x| x * length).collect()))
                .collect();
            let query = noise.unit(&centre, spread);
            let folder = tempfile::tempdir().unwrap();
            write(folder.path(), width, &vectors);
            let index = DenseIndex::open(folder.path(), "v", "key").unwrap().unwrap();
            prop_assert_eq!((index.len(), index.width()), (count, width));
            let expected = brute_force(&vectors, &query, limit);
            prop_assert_eq!(&index.search_on(&query, limit, threads), &expected);
            prop_assert_eq!(&index.search(&query, limit), &expected);
        }

        #[test]
        fn a_damaged_file_never_panics(cut in 0usize..4000, flips in prop::collection::vec((0usize..4000, 1u8..), 0..4)) {
            let folder = tempfile::tempdir().unwrap();
            let mut noise = Noise(3);
            let vectors: Vec<_> = (0..40).map(|i| (i, noise.unit(&[0.0; 11], 1.0))).collect();
            write(folder.path(), 11, &vectors);
            let path = folder.path().join("v");
            let mut bytes = std::fs::read(&path).unwrap();
            let whole = bytes.len();
            for (at, mask) in flips {
                bytes[at % 2000.min(whole)] ^= mask;
            }
            bytes.truncate(cut);
            std::fs::write(&path, &bytes).unwrap();
            if let Ok(Some(index)) = DenseIndex::open(folder.path(), "v", "key") {
                let query = vec![0.1; index.width()];
                prop_assert!(index.search(&query, 10).len() <= 10);
                prop_assert!(cut >= whole, "a truncated file was accepted");
            }
        }
    }

    #[test]
    fn the_bound_holds_and_the_scan_prunes() {
        let mut noise = Noise(11);
        let centre: Vec<f32> = (0..384).map(|_| noise.next()).collect();
        let vectors: Vec<_> = (0..3000).map(|i| (i, noise.unit(&centre, 1.0))).collect();
        let query = noise.unit(&centre, 1.0);
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), 384, &vectors);
        let index = DenseIndex::open(folder.path(), "v", "key").unwrap().unwrap();
        let rounded = Query::new(&query, index.largest_norm).unwrap();
        let all = index.candidates(&rounded, 3000, 1);
        assert_eq!(all.len(), 3000);
        assert!(
            all.iter().all(|c| c.upper >= f64::from(inner_product(&query, &vectors[c.position].1)))
        );
        let some = index.candidates(&rounded, 10, 2).len();
        assert!((10..1500).contains(&some), "{some} candidates");
        // The integer product is exact, also at the ends of its range.
        let ends: Vec<i8> = (0..385).map(|i| if i % 3 == 0 { -127 } else { 127 }).collect();
        let product: i32 = ends.iter().map(|&x| i32::from(x) * i32::from(ends[384])).sum();
        assert_eq!(i8::dot(&ends, &vec![ends[384]; 385]), Some(f64::from(product)));
    }

    #[test]
    fn what_is_not_ours_is_none_and_what_is_not_finite_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let open = |key: &str| DenseIndex::open(folder.path(), "v", key);
        assert!(open("key").unwrap().is_none());
        assert!(DenseIndex::open(&folder.path().join("absent"), "v", "key").unwrap().is_none());
        assert_eq!(
            DenseIndex::open(folder.path(), "../v", "key").err().unwrap().code,
            ErrorCode::InvalidInput
        );
        let mut writer = DenseWriter::create(folder.path(), "v", "key", 3).unwrap();
        for bad in
            [&[f32::NAN, 0.0, 0.0][..], &[0.0, f32::INFINITY, 0.0], &[1e30, 0.0, 0.0], &[1.0]]
        {
            assert_eq!(writer.push(1, bad).unwrap_err().code, ErrorCode::InvalidInput);
        }
        writer.push(-5, &[0.0, 1.0, 0.0]).unwrap();
        writer.finish().unwrap();
        assert!(open("other").unwrap().is_none() && open("ke").unwrap().is_none());
        let index = open("key").unwrap().unwrap();
        assert_eq!(index.search(&[0.0, 0.5, 0.0], 9), [(-5, 0.5)]);
        assert!(index.check_query(&[0.0; 3]).is_ok() && index.search(&[0.0; 2], 9).is_empty());
        for bad in [&[f32::NAN; 3][..], &[0.0; 2]] {
            assert_eq!(index.check_query(bad).unwrap_err().code, ErrorCode::InvalidInput);
        }
        let path = folder.path().join("v");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(open("key").err().unwrap().code, ErrorCode::Corrupt);
        std::fs::write(&path, b"something else, but long enough for a header").unwrap();
        assert!(open("key").unwrap().is_none());
        std::fs::write(&path, b"").unwrap();
        assert_eq!(open("key").err().unwrap().code, ErrorCode::Corrupt);
    }
}
