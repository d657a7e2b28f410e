//! Confidence intervals by the percentile bootstrap (Efron and Tibshirani, "An Introduction
//! to the Bootstrap", 1993, chapter 13), resampling questions. Seeded, so the same results
//! give the same intervals.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Resamples of a bootstrap.
pub const RESAMPLES: usize = 2000;
/// Seed of every bootstrap.
pub const SEED: u64 = 20_261_121;

/// A quantity as a ratio of sums over questions: question `i` adds `numerator[i]` above and
/// `denominator[i]` below. A mean has 1 below for each question it is defined for; precision
/// of refusals has 1 below for each refusal.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ratio {
    /// Added above, by question.
    pub numerator: Vec<f64>,
    /// Added below, by question.
    pub denominator: Vec<f64>,
}

impl Ratio {
    /// The mean of the values that are there.
    pub fn mean_of(values: impl Iterator<Item = Option<f64>>) -> Self {
        let mut ratio = Self::default();
        for value in values {
            ratio.numerator.push(value.unwrap_or(0.0));
            ratio.denominator.push(f64::from(u8::from(value.is_some())));
        }
        ratio
    }

    /// The ratio over all questions; `None` where nothing is below.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        quotient(self.numerator.iter().sum(), self.denominator.iter().sum())
    }
}

fn quotient(above: f64, below: f64) -> Option<f64> {
    (below > 0.0).then(|| above / below)
}

/// The 95 % interval of each ratio. All ratios must have one entry per question, and share
/// the same resamples. `None` where a ratio has no value.
#[must_use]
pub fn intervals(ratios: &[Ratio], resamples: usize, seed: u64) -> Vec<Option<(f64, f64)>> {
    let questions = ratios.first().map_or(0, |ratio| ratio.numerator.len());
    let drawn = resample(ratios, questions, resamples, seed);
    ratios
        .iter()
        .zip(drawn)
        .map(|(ratio, drawn)| ratio.value().and_then(|_| percentiles(drawn)))
        .collect()
}

/// The 95 % interval of the difference `left - right` of two ratios over the same questions,
/// resampled together.
#[must_use]
pub fn paired_interval(
    left: &Ratio,
    right: &Ratio,
    resamples: usize,
    seed: u64,
) -> Option<(f64, f64)> {
    let pair = [left.clone(), right.clone()];
    let mut drawn = resample(&pair, left.numerator.len(), resamples, seed).into_iter();
    let (left, right) = (drawn.next()?, drawn.next()?);
    percentiles(left.into_iter().zip(right).map(|(l, r)| Some(l? - r?)).collect())
}

fn resample(
    ratios: &[Ratio],
    questions: usize,
    resamples: usize,
    seed: u64,
) -> Vec<Vec<Option<f64>>> {
    let mut generator = StdRng::seed_from_u64(seed);
    let mut values = vec![Vec::with_capacity(resamples); ratios.len()];
    if questions == 0 {
        return values;
    }
    let mut times = vec![0_u32; questions];
    for _ in 0..resamples {
        times.fill(0);
        for _ in 0..questions {
            times[generator.random_range(0..questions)] += 1;
        }
        for (ratio, values) in ratios.iter().zip(&mut values) {
            let (mut above, mut below) = (0.0, 0.0);
            for ((&times, numerator), denominator) in
                times.iter().zip(&ratio.numerator).zip(&ratio.denominator)
            {
                above += f64::from(times) * numerator;
                below += f64::from(times) * denominator;
            }
            values.push(quotient(above, below));
        }
    }
    values
}

fn percentiles(drawn: Vec<Option<f64>>) -> Option<(f64, f64)> {
    let mut drawn: Vec<f64> = drawn.into_iter().flatten().collect();
    drawn.sort_by(f64::total_cmp);
    let last = drawn.len().checked_sub(1)?;
    let at = |share: f64| drawn.get(place(share, last)).copied();
    Some((at(0.025)?, at(0.975)?))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a length is a valid index"
)]
fn place(share: f64, last: usize) -> usize {
    (share * to_f64(last)).round() as usize
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) fn to_f64(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coin(heads: usize, throws: usize) -> Ratio {
        Ratio::mean_of((0..throws).map(|i| Some(f64::from(u8::from(i < heads)))))
    }

    #[test]
    fn the_same_seed_gives_the_same_interval() {
        let ratios = [coin(30, 100)];
        assert_eq!(intervals(&ratios, 500, 7), intervals(&ratios, 500, 7));
        assert_ne!(intervals(&ratios, 500, 7), intervals(&ratios, 500, 8));
    }

    #[test]
    fn a_proportion_gets_about_the_normal_interval() {
        // 0.3 over 400: standard error sqrt(0.3 * 0.7 / 400) = 0.0229, so 0.3 -+ 0.0449.
        let (low, high) = intervals(&[coin(120, 400)], 2000, SEED)[0].unwrap();
        assert!((low - 0.2551).abs() < 0.008, "{low}");
        assert!((high - 0.3449).abs() < 0.008, "{high}");
    }

    #[test]
    fn intervals_cover_the_truth_about_as_often_as_they_say() {
        let mut generator = StdRng::seed_from_u64(3);
        let covered = (0..200)
            .filter(|_| {
                let sample: Vec<Option<f64>> = (0..80)
                    .map(|_| Some(f64::from(u8::from(generator.random_range(0.0..1.0) < 0.4))))
                    .collect();
                let (low, high) =
                    intervals(&[Ratio::mean_of(sample.into_iter())], 300, SEED)[0].unwrap();
                (low..=high).contains(&0.4)
            })
            .count();
        assert!((178..=199).contains(&covered), "{covered} of 200, expected about 190");
    }

    #[test]
    fn a_ratio_without_cases_has_no_interval() {
        let none = Ratio::mean_of([None, None].into_iter());
        assert_eq!(none.value(), None);
        assert_eq!(intervals(&[none], 100, 1), [None]);
        assert_eq!(intervals(&[Ratio::default()], 100, 1), [None]);
    }

    #[test]
    fn a_paired_difference_is_tighter_than_two_intervals() {
        // The right method fails exactly where the left one fails, and ten times more.
        let (left, right) = (coin(60, 100), coin(50, 100));
        let (low, high) = paired_interval(&left, &right, 1000, SEED).unwrap();
        assert!(low > 0.03 && high < 0.17, "{low} {high}");
    }
}
