//! Logistic regression with an L2 penalty, by Newton's method (iteratively reweighted least
//! squares; Hastie, Tibshirani, Friedman, "The Elements of Statistical Learning", 4.4.1).
//! Deterministic; a dozen features and some thousands of samples take milliseconds.

use super::{Coefficient, FEATURE_NAMES, Features};

/// One answered question.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// What was seen.
    pub features: Features,
    /// Whether the documents do hold the answer.
    pub answerable: bool,
}

/// Fits intercept and coefficients for `names` so that the mean logistic loss plus
/// `penalty / 2 * sum of squared weights` is least. Features that never vary are left out.
/// Both kinds of sample count for half, however many there are of each, so the intercept
/// does not learn how many unanswerable questions a data set happens to hold.
#[must_use]
pub fn fit(samples: &[Sample], names: &[&str], penalty: f64) -> (f32, Vec<Coefficient>) {
    let scaled: Vec<(&'static str, f64, f64)> = FEATURE_NAMES
        .into_iter()
        .filter(|name| names.contains(name))
        .filter_map(|name| {
            let (mean, deviation) =
                moments(samples.iter().map(|s| f64::from(s.features.get(name))));
            (deviation > 1e-6).then_some((name, mean, deviation))
        })
        .collect();
    let rows: Vec<Vec<f64>> = samples
        .iter()
        .map(|sample| {
            let standard = scaled.iter().map(|&(name, mean, deviation)| {
                (f64::from(sample.features.get(name)) - mean) / deviation
            });
            std::iter::once(1.0).chain(standard).collect()
        })
        .collect();
    let answerable = samples.iter().filter(|sample| sample.answerable).count();
    let share = |count: usize| 0.5 / usize_to_f64(count.max(1));
    let (positive, negative) = (share(answerable), share(samples.len() - answerable));
    let width = scaled.len() + 1;
    let mut weights = vec![0.0_f64; width];
    for _ in 0..100 {
        let mut gradient = vec![0.0; width];
        let mut curvature = vec![vec![0.0; width]; width];
        for (row, sample) in rows.iter().zip(samples) {
            let log_odds: f64 = row.iter().zip(&weights).map(|(x, w)| x * w).sum();
            let probability = 1.0 / (1.0 + (-log_odds).exp());
            let (target, mass) = if sample.answerable { (1.0, positive) } else { (0.0, negative) };
            let slope = mass * (probability - target);
            let bend = (mass * probability * (1.0 - probability)).max(1e-12);
            for i in 0..width {
                gradient[i] += slope * row[i];
                for j in 0..width {
                    curvature[i][j] += bend * row[i] * row[j];
                }
            }
        }
        for i in 1..width {
            gradient[i] += penalty * weights[i];
            curvature[i][i] += penalty;
        }
        curvature[0][0] += 1e-9;
        let Some(step) = solve(curvature, gradient) else { break };
        // A full Newton step can overshoot while the classes separate; a bound keeps it sane.
        let largest = step.iter().fold(0.0_f64, |most, s| most.max(s.abs()));
        let shrink = if largest > 2.0 { 2.0 / largest } else { 1.0 };
        for (weight, step) in weights.iter_mut().zip(&step) {
            *weight -= shrink * step;
        }
        if largest < 1e-9 {
            break;
        }
    }
    let coefficients = scaled
        .iter()
        .zip(weights.iter().skip(1))
        .map(|(&(name, mean, deviation), &weight)| Coefficient {
            feature: name.to_owned(),
            mean: to_f32(mean),
            deviation: to_f32(deviation),
            weight: to_f32(weight),
        })
        .collect();
    (to_f32(weights[0]), coefficients)
}

/// Solves `matrix * x = right` by Gaussian elimination with partial pivoting.
fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Option<Vec<f64>> {
    let size = right.len();
    for column in 0..size {
        let pivot = (column..size)
            .max_by(|&a, &b| matrix[a][column].abs().total_cmp(&matrix[b][column].abs()))?;
        if matrix[pivot][column].abs() < 1e-15 {
            return None;
        }
        matrix.swap(column, pivot);
        right.swap(column, pivot);
        for row in column + 1..size {
            let factor = matrix[row][column] / matrix[column][column];
            let (upper, lower) = matrix.split_at_mut(row);
            for (low, up) in lower[0].iter_mut().zip(&upper[column]).skip(column) {
                *low -= factor * up;
            }
            right[row] -= factor * right[column];
        }
    }
    for column in (0..size).rev() {
        let known: f64 = (column + 1..size).map(|i| matrix[column][i] * right[i]).sum();
        right[column] = (right[column] - known) / matrix[column][column];
    }
    Some(right)
}

/// Mean and standard deviation.
fn moments(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let count = usize_to_f64(values.clone().count().max(1));
    let mean = values.clone().sum::<f64>() / count;
    let variance = values.map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    (mean, variance.sqrt())
}

#[expect(clippy::cast_precision_loss, reason = "sample counts are far below 2^52")]
fn usize_to_f64(count: usize) -> f64 {
    count as f64
}

#[expect(clippy::cast_possible_truncation, reason = "single precision is what the file holds")]
fn to_f32(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abstention::{Calibration, ReaderClass};

    /// A deterministic sequence between 0 and 1 (Weyl).
    fn sequence(step: f64) -> impl Iterator<Item = f64> {
        (1..).map(move |i: i32| (f64::from(i) * step).fract())
    }

    fn synthetic() -> Vec<Sample> {
        sequence(0.618_033_988_75)
            .zip(sequence(0.414_213_562_37))
            .zip(sequence(0.732_050_807_57))
            .take(4000)
            .map(|((a, b), draw)| {
                // True log-odds: 4 (a - 0.5) - 2 (b - 0.5).
                let log_odds = 4.0 * (a - 0.5) - 2.0 * (b - 0.5);
                Sample {
                    features: Features::from_named([
                        ("support_best", to_f32(a)),
                        ("dense_top", to_f32(b)),
                        ("length", 1.0),
                    ]),
                    answerable: draw < 1.0 / (1.0 + (-log_odds).exp()),
                }
            })
            .collect()
    }

    #[test]
    fn known_weights_are_found_again() {
        let (intercept, coefficients) = fit(&synthetic(), &FEATURE_NAMES, 1e-6);
        assert_eq!(coefficients.len(), 2, "features that never vary are left out");
        let slope = |name: &str| {
            let found = coefficients.iter().find(|c| c.feature == name).unwrap();
            found.weight / found.deviation
        };
        assert!(intercept.abs() < 0.1, "{intercept}");
        assert!((slope("support_best") - 4.0).abs() < 0.4, "{}", slope("support_best"));
        assert!((slope("dense_top") + 2.0).abs() < 0.4, "{}", slope("dense_top"));
    }

    #[test]
    fn a_penalty_shrinks_and_repetition_changes_nothing() {
        let samples = synthetic();
        let (_, free) = fit(&samples, &FEATURE_NAMES, 1e-6);
        let (_, held) = fit(&samples, &FEATURE_NAMES, 1.0);
        assert!(free.iter().zip(&held).all(|(f, h)| h.weight.abs() < f.weight.abs()));
        assert_eq!(fit(&samples, &FEATURE_NAMES, 1e-6).1, free);
    }

    #[test]
    fn separable_samples_do_not_run_away() {
        let samples: Vec<Sample> = (0..20_u8)
            .map(|i| Sample {
                features: Features::from_named([("support_best", f32::from(i))]),
                answerable: i >= 10,
            })
            .collect();
        let (intercept, coefficients) = fit(&samples, &FEATURE_NAMES, 0.01);
        assert!(intercept.is_finite() && coefficients[0].weight.is_finite());
        let class =
            ReaderClass { intercept, coefficients, ..Calibration::never().classes[0].clone() };
        let probability =
            |value: f32| class.probability(&Features::from_named([("support_best", value)]));
        assert!(probability(0.0) < 0.2 && probability(19.0) > 0.8);
    }
}
