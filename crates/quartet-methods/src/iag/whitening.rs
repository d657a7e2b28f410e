//! Whitening of the features a hypernetwork reads: once, over all training questions.
//!
//! The paper whitens (section 3.3): `f = (x - mu) U L^(-1/2)` with `mu` the mean, `U` and `L` the
//! eigenvectors and eigenvalues of the covariance, the leading components kept, then scaled to
//! unit length. Its formula is over all questions; its code takes mean and covariance of every
//! batch of 256 anew, after which all questions of a batch are equally far from each other and a
//! single question cannot be whitened at all. Here both are measured once and kept with the
//! weights, so that a question has the same features alone, in any batch and after a restart.

use nalgebra::{DMatrix, SymmetricEigen};
use quartet_train::Parameters;
use quartet_types::{Error, ErrorCode, Result};

/// Name of the mean among the parameters of an artefact.
pub const MEAN: &str = "whitening.mean";
/// Name of the directions.
pub const DIRECTIONS: &str = "whitening.directions";

/// An eigenvalue counts as no less than this share of the largest, lest noise be blown up.
const FLOOR: f64 = 1e-4;
/// Training questions for each component that is kept, at least.
const ROWS_PER_COMPONENT: usize = 10;
/// Components that are kept however few questions there are, if there are as many.
const FEWEST: usize = 4;
/// Below this share of the largest an eigenvalue is a zero that was rounded.
const ROUNDING: f64 = 1e-12;
/// Variance below this share of the rows' own mean square is that of rounding to 32 bits.
const NO_VARIANCE: f64 = 1e-14;
/// The eigenvalue algorithm converges in a few steps per row, or not at all.
const MOST_STEPS: usize = 100_000;

/// Mean and directions, measured once.
#[derive(Debug, Clone, PartialEq)]
pub struct Whitening {
    /// Mean of the training rows, `[width]`.
    pub mean: Vec<f32>,
    /// Eigenvectors of the covariance, largest eigenvalue first, each over the root of its
    /// eigenvalue: `[components, width]`, row-major.
    pub directions: Vec<f32>,
}

impl Whitening {
    /// Measures mean and covariance (over `rows - 1`) of training rows, all of one width, and
    /// keeps at most `most` components: no more than a tenth of the rows, but at least four
    /// where the rows span as many.
    ///
    /// # Errors
    /// `InvalidInput` for fewer than two rows, rows of different widths, numbers that are not
    /// finite, or rows that are all the same.
    pub fn fit(rows: &[Vec<f32>], most: usize) -> Result<Self> {
        let width = rows.first().map_or(0, Vec::len);
        if rows.len() < 2 || width == 0 || most == 0 {
            return Err(invalid("whitening takes two rows and one component at least"));
        }
        if rows.iter().any(|row| row.len() != width) {
            return Err(invalid("the rows to whiten differ in width"));
        }
        if rows.iter().flatten().any(|value| !value.is_finite()) {
            return Err(invalid("a row to whiten holds a number that is not finite"));
        }
        let count = rows.len() as f64;
        let mut mean = vec![0.0_f64; width];
        for row in rows {
            mean.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value) / count);
        }
        let centred = DMatrix::from_fn(rows.len(), width, |at, channel| {
            f64::from(rows[at][channel]) - mean[channel]
        });
        let wanted = most.min((rows.len() / ROWS_PER_COMPONENT).max(FEWEST));
        let found = components(&centred, wanted)?;
        let square: f64 = rows.iter().flatten().map(|value| f64::from(*value).powi(2)).sum();
        let least = square / count * NO_VARIANCE;
        let largest = found.first().map(|(value, _)| *value).filter(|value| *value > least);
        let Some(largest) = largest else {
            return Err(invalid("the rows to whiten are all the same"));
        };
        let mut directions = Vec::with_capacity(found.len() * width);
        for (value, vector) in found {
            let scale = sign_of_largest(&vector) / value.max(FLOOR * largest).sqrt();
            directions.extend(vector.iter().map(|one| (one * scale) as f32));
        }
        let mean = mean.into_iter().map(|one| one as f32).collect();
        Ok(Self { mean, directions })
    }

    /// Numbers of a feature vector.
    #[must_use]
    pub fn components(&self) -> usize {
        self.directions.len() / self.mean.len().max(1)
    }

    /// The features of one row, `[components]`: whitened, then of unit length. A row that is the
    /// very mean has none: all zeros.
    ///
    /// # Errors
    /// `InvalidInput` for a row of another width.
    pub fn apply(&self, row: &[f32]) -> Result<Vec<f32>> {
        if row.len() != self.mean.len() {
            return Err(invalid("a row of another width is to be whitened"));
        }
        let whitened = self.whitened(row);
        let length = whitened.iter().map(|value| value * value).sum::<f64>().sqrt();
        let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
        Ok(whitened.into_iter().map(|value| (value * scale) as f32).collect())
    }

    /// Before scaling to unit length.
    fn whitened(&self, row: &[f32]) -> Vec<f64> {
        let width = self.mean.len().max(1);
        let along = |direction: &[f32]| -> f64 {
            let centred = row.iter().zip(&self.mean);
            let centred = centred.map(|(value, mean)| f64::from(*value) - f64::from(*mean));
            centred.zip(direction).map(|(value, weight)| value * f64::from(*weight)).sum()
        };
        self.directions.chunks_exact(width).map(along).collect()
    }

    /// Adds mean and directions to the parameters of an artefact.
    ///
    /// # Errors
    /// `InvalidInput` where there is a whitening among them already.
    pub fn add_to(&self, parameters: &mut Parameters) -> Result<()> {
        let width = self.mean.len();
        parameters.add(MEAN, 1, width, self.mean.clone())?;
        parameters.add(DIRECTIONS, self.components(), width, self.directions.clone())
    }

    /// Reads what [`Self::add_to`] wrote.
    ///
    /// # Errors
    /// `Corrupt` where a part is missing or of another shape.
    pub fn from_parameters(parameters: &Parameters) -> Result<Self> {
        let part = |name: &str| {
            let found = parameters.get(name);
            found.ok_or_else(|| Error::new(ErrorCode::Corrupt, format!("`{name}` is missing")))
        };
        let (mean, directions) = (part(MEAN)?, part(DIRECTIONS)?);
        if mean.rows != 1 || mean.columns != directions.columns {
            let message = format!("`{MEAN}` and `{DIRECTIONS}` do not fit each other");
            return Err(Error::new(ErrorCode::Corrupt, message));
        }
        Ok(Self { mean: mean.values.clone(), directions: directions.values.clone() })
    }
}

/// The leading eigenvalues and eigenvectors of the covariance of centred rows, largest first;
/// those without any variance are left out.
fn components(centred: &DMatrix<f64>, most: usize) -> Result<Vec<(f64, Vec<f64>)>> {
    let (count, width) = centred.shape();
    let degrees = (count - 1) as f64;
    // X^T X and X X^T have the same eigenvalues: take the smaller of the two.
    let is_wide = count < width;
    let square =
        if is_wide { centred * centred.transpose() } else { centred.transpose() * centred };
    let eigen = SymmetricEigen::try_new(square / degrees, f64::EPSILON, MOST_STEPS)
        .ok_or_else(|| Error::internal("the eigenvalues of a covariance were not found"))?;
    let mut order: Vec<usize> = (0..eigen.eigenvalues.len()).collect();
    order.sort_by(|one, other| eigen.eigenvalues[*other].total_cmp(&eigen.eigenvalues[*one]));
    let smallest = order.first().map_or(0.0, |first| eigen.eigenvalues[*first] * ROUNDING);
    let vector = |index: usize| {
        let found = eigen.eigenvectors.column(index);
        let vector = if is_wide { centred.transpose() * found } else { found.into_owned() };
        let length = vector.norm();
        vector.iter().map(|value| value / length).collect()
    };
    let kept = order.into_iter().take(most.min(count - 1));
    Ok(kept
        .filter(|index| eigen.eigenvalues[*index] > smallest.max(0.0))
        .map(|index| (eigen.eigenvalues[index], vector(index)))
        .collect())
}

/// The sign with which the component that is largest in size becomes positive: an eigenvector
/// may come out either way round, and features must be the same everywhere.
fn sign_of_largest(vector: &[f64]) -> f64 {
    let larger = |most: f64, value: &f64| if value.abs() > most.abs() { *value } else { most };
    if vector.iter().fold(0.0, larger) < 0.0 { -1.0 } else { 1.0 }
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorCode::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Rows around a few topics, with a large offset that all share, as hidden states have.
    fn rows(count: usize, width: usize, topics: usize) -> Vec<Vec<f32>> {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let mut draw = |size: f32| -> Vec<f32> {
            (0..width).map(|_| size * (random.random::<f32>() - 0.5)).collect()
        };
        let offset = draw(8.0);
        let centres: Vec<Vec<f32>> = (0..topics).map(|_| draw(4.0)).collect();
        (0..count)
            .map(|at| {
                let own = draw(1.0);
                (0..width).map(|c| offset[c] + centres[at % topics][c] + own[c]).collect()
            })
            .collect()
    }

    fn cosine(one: &[f32], other: &[f32]) -> f32 {
        one.iter().zip(other).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn training_rows_have_unit_covariance() {
        // More rows than channels, and fewer.
        for (count, width) in [(400, 24), (60, 96)] {
            let rows = rows(count, width, 5);
            let whitening = Whitening::fit(&rows, 6).unwrap();
            assert_eq!(whitening.components(), 6);
            let all: Vec<Vec<f64>> = rows.iter().map(|row| whitening.whitened(row)).collect();
            for one in 0..6 {
                for other in 0..6 {
                    let sum: f64 = all.iter().map(|row| row[one] * row[other]).sum();
                    let covariance = sum / (count - 1) as f64;
                    let expected = f64::from(u8::from(one == other));
                    assert!((covariance - expected).abs() < 1e-4, "{one} {other} {covariance}");
                }
            }
        }
    }

    #[test]
    fn both_ways_to_the_eigenvectors_agree() {
        // The same rows twice over have the same directions, up to the degrees of freedom.
        let few = rows(20, 30, 3);
        let many: Vec<Vec<f32>> = few.iter().chain(&few).cloned().collect();
        let (wide, tall) = (Whitening::fit(&few, 4).unwrap(), Whitening::fit(&many, 4).unwrap());
        let ratio = (39.0_f32 / 38.0).sqrt();
        for (one, other) in wide.directions.iter().zip(&tall.directions) {
            assert!((one * ratio - other).abs() < 1e-5, "{one} {other}");
        }
    }

    #[test]
    fn a_row_has_the_same_features_alone_and_among_others() {
        let rows = rows(200, 32, 4);
        let whitening = Whitening::fit(&rows, 255).unwrap();
        assert_eq!(whitening.components(), 20, "a tenth of the rows");
        let together: Vec<Vec<f32>> =
            rows.iter().map(|row| whitening.apply(row).unwrap()).collect();
        for (row, expected) in rows.iter().zip(&together).rev() {
            assert_eq!(&whitening.apply(row).unwrap(), expected);
            assert!((cosine(expected, expected) - 1.0).abs() < 1e-5);
        }
        assert_eq!(Whitening::fit(&rows, 255).unwrap(), whitening);
        // Two questions of a topic stay nearer to each other than to one of another topic.
        assert!(cosine(&together[0], &together[4]) > cosine(&together[0], &together[1]) + 0.2);
    }

    #[test]
    fn whitening_by_the_batch_tells_nothing_apart() {
        // As in the code of the paper: n rows whitened to n - 1 components by themselves.
        let all = rows(48, 64, 4);
        let batch = |rows: &[Vec<f32>]| {
            let count = rows.len();
            let mut mean = vec![0.0_f64; 64];
            rows.iter().for_each(|row| {
                mean.iter_mut().zip(row).for_each(|(sum, v)| *sum += f64::from(*v) / count as f64);
            });
            let centred = DMatrix::from_fn(count, 64, |at, c| f64::from(rows[at][c]) - mean[c]);
            let found = components(&centred, count - 1).unwrap();
            assert_eq!(found.len(), count - 1);
            let scaled = |(value, vector): (f64, Vec<f64>)| {
                vector.into_iter().map(move |one| (one / value.sqrt()) as f32)
            };
            let directions = found.into_iter().flat_map(scaled).collect();
            Whitening { mean: mean.into_iter().map(|one| one as f32).collect(), directions }
        };
        let count = 16;
        let own = batch(&all[..count]);
        let features: Vec<_> = all[..count].iter().map(|row| own.apply(row).unwrap()).collect();
        let expected = -1.0 / (count - 1) as f32;
        for one in 0..count {
            for other in 0..one {
                let found = cosine(&features[one], &features[other]);
                assert!((found - expected).abs() < 1e-3, "{one} {other} {found}");
            }
        }
        // And the same row looks different in another company.
        let mut company = all[16..31].to_vec();
        company.push(all[0].clone());
        let elsewhere = batch(&company).apply(&all[0]).unwrap();
        assert!(cosine(&features[0], &elsewhere) < 0.9);
        // Measured over all, the same rows keep what they have in common.
        let global = Whitening::fit(&all, 4).unwrap();
        let features: Vec<_> = all.iter().map(|row| global.apply(row).unwrap()).collect();
        assert!(cosine(&features[0], &features[4]) > cosine(&features[0], &features[1]) + 0.2);
    }

    #[test]
    fn small_eigenvalues_are_floored() {
        // Variance 1 along the first channel, a hundred-millionth along the second.
        let rows: Vec<Vec<f32>> = (0..80_u8)
            .map(|at| {
                let first = if at % 2 == 0 { 1.0 } else { -1.0 };
                vec![first, if at % 4 < 2 { 1e-4 } else { -1e-4 }, 0.0]
            })
            .collect();
        let whitening = Whitening::fit(&rows, 3).unwrap();
        assert_eq!(whitening.components(), 2, "the third has no variance");
        let whitened = whitening.whitened(&rows[0]);
        assert!((whitened[0] - 1.0).abs() < 0.02, "{whitened:?}");
        assert!((whitened[1] - 0.01).abs() < 0.001, "{whitened:?}");
        assert!(whitening.directions[0] > 0.0, "the sign is fixed");
        assert!(whitening.apply(&whitening.mean).unwrap().iter().all(|one| *one == 0.0));
    }

    #[test]
    fn what_cannot_be_whitened_is_refused() {
        for rows in [
            vec![],
            vec![vec![1.0, 2.0]],
            vec![vec![1.0, 2.0]; 9],
            vec![vec![1.0, 2.0], vec![1.0]],
            vec![vec![1.0, f32::NAN], vec![1.0, 2.0]],
            vec![vec![], vec![]],
        ] {
            assert_eq!(Whitening::fit(&rows, 4).unwrap_err().code, ErrorCode::InvalidInput);
        }
        let whitening = Whitening::fit(&rows(40, 8, 2), 4).unwrap();
        assert!(whitening.apply(&[1.0]).is_err());
    }

    #[test]
    fn an_artefact_keeps_it_whole() {
        let whitening = Whitening::fit(&rows(60, 12, 3), 64).unwrap();
        let mut parameters = Parameters::new();
        assert!(Whitening::from_parameters(&parameters).is_err());
        whitening.add_to(&mut parameters).unwrap();
        assert_eq!(Whitening::from_parameters(&parameters).unwrap(), whitening);
        assert!(whitening.add_to(&mut parameters).is_err());
    }
}
