//! The prototype router (PPR): which expert a question is for, or none (GAG card, section 5).
//!
//! A question is encoded by the untaught expert model: the mean over all its tokens of the
//! finally normalised states, at unit length. Each route has prototypes, the centres of clusters
//! of questions that belong to it. A route's score is the largest cosine with any of them; the
//! best score wins, over all domains and the general route alike. With a margin, a domain must
//! beat the general route by so much; the paper's is 0.
//!
//! In our measurements (BENCHMARKS.md) that finds the form of a question and not its subject:
//! of loosely worded questions about a collection less than half came to it. The form
//! [`Neighbours`](quartet_types::RouterForm::Neighbours) keeps the rule and changes what is
//! compared: vectors of the embedder, every question, chunk and sentence as a prototype, and the
//! mean of the three nearest as the score.

use quartet_types::{Error, ErrorCode, Result};
use rand::{Rng as _, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Prototypes of a route, at most.
pub const MOST_PROTOTYPES: usize = 32;
/// Prototypes that count where all vectors are kept.
pub const NEIGHBOURS: usize = 3;
/// Questions per prototype, at least: few questions make few clusters (card, 9e).
pub const QUESTIONS_PER_PROTOTYPE: usize = 8;
/// Attempts of the clustering, of which the best counts.
const STARTS: u64 = 10;
/// Steps of one attempt, at most.
const STEPS: usize = 300;
/// Seed of the paper.
const SEED: u64 = 980_406;

/// The prototypes of a route.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bank {
    /// What made the vectors: digest of the model, and how it was read. Vectors of another
    /// encoder cannot be compared.
    pub encoder: String,
    /// Length of a vector.
    pub width: usize,
    /// `[prototypes, width]`, unit length each.
    pub prototypes: Vec<f32>,
    /// The score is the mean cosine with so many of the nearest; the paper's is 1.
    #[serde(default = "one")]
    pub nearest: usize,
}

fn one() -> usize {
    1
}

impl Bank {
    /// The centres of `count` clusters of unit vectors `[n, width]`, at unit length; fewer where
    /// there are fewer vectors.
    ///
    /// # Errors
    /// `InvalidInput` for no vector or one of another width.
    pub fn cluster(encoder: &str, vectors: &[Vec<f32>], count: usize) -> Result<Self> {
        let wrong = |message: &str| Error::new(ErrorCode::InvalidInput, message);
        let first = vectors.first().ok_or_else(|| wrong("a route needs questions"))?;
        let width = first.len();
        if vectors.iter().any(|vector| vector.len() != width) {
            return Err(wrong("vectors of different lengths"));
        }
        let count = count.clamp(1, vectors.len());
        let best = (0..STARTS)
            .map(|start| means(vectors, count, SEED + start))
            .min_by(|one, other| one.1.total_cmp(&other.1));
        let (centres, _) = best.ok_or_else(|| wrong("a route needs questions"))?;
        let mut prototypes = Vec::with_capacity(centres.len() * width);
        for centre in &centres {
            prototypes.extend(unit(centre));
        }
        Ok(Self { encoder: encoder.to_owned(), width, prototypes, nearest: 1 })
    }

    /// Every vector as a prototype; the score is the mean over the [`NEIGHBOURS`] nearest.
    ///
    /// # Errors
    /// As [`Bank::cluster`].
    pub fn of_all(encoder: &str, vectors: &[Vec<f32>]) -> Result<Self> {
        let bank = Self::cluster(encoder, &vectors[..vectors.len().min(1)], 1)?;
        if vectors.iter().any(|vector| vector.len() != bank.width) {
            return Err(Error::new(ErrorCode::InvalidInput, "vectors of different lengths"));
        }
        let prototypes = vectors.iter().flat_map(|vector| unit(vector)).collect();
        Ok(Self { prototypes, nearest: NEIGHBOURS, ..bank })
    }

    /// How many prototypes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.prototypes.len() / self.width.max(1)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.prototypes.is_empty()
    }

    /// Mean cosine of a unit vector with the nearest prototypes, -1 to 1.
    #[must_use]
    pub fn score(&self, vector: &[f32]) -> f32 {
        let all = self.prototypes.chunks_exact(self.width.max(1));
        let mut cosines: Vec<f32> = all.map(|prototype| cosine(prototype, vector)).collect();
        cosines.sort_by(|one, other| other.total_cmp(one));
        cosines.truncate(self.nearest.max(1));
        if cosines.is_empty() {
            return -1.0;
        }
        cosines.iter().sum::<f32>() / cosines.len() as f32
    }
}

/// How many prototypes a domain's bank of `questions` gets; the general bank gets
/// [`MOST_PROTOTYPES`].
#[must_use]
pub fn prototypes_of_domain(questions: usize) -> usize {
    (questions / QUESTIONS_PER_PROTOTYPE).clamp(1, MOST_PROTOTYPES)
}

/// The route with the best score; the first of equals. With `margin`, it must beat `scores[0]`,
/// the general route, by that much, otherwise the general route is taken.
#[must_use]
pub fn best(scores: &[f32], margin: f32) -> usize {
    let mut best = 0;
    for (place, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = place;
        }
    }
    if best > 0 && scores[best] - scores[0] < margin { 0 } else { best }
}

/// A vector at unit length; zeros stay zeros.
#[must_use]
pub fn unit(vector: &[f32]) -> Vec<f32> {
    let length = vector.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
    vector.iter().map(|value| (f64::from(*value) * scale) as f32).collect()
}

/// The mean over rows `[n, width]`, at unit length: what the router compares.
#[must_use]
pub fn mean_of_rows(rows: &[f32], width: usize) -> Vec<f32> {
    let mut sum = vec![0.0f64; width];
    for row in rows.chunks_exact(width.max(1)) {
        sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
    }
    unit(&sum.into_iter().map(|value| value as f32).collect::<Vec<_>>())
}

fn cosine(one: &[f32], other: &[f32]) -> f32 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

fn distance(one: &[f32], other: &[f32]) -> f64 {
    one.iter().zip(other).map(|(one, other)| f64::from(one - other).powi(2)).sum()
}

/// K-means with the k-means++ start (Arthur and Vassilvitskii 2007): centres, and the sum of
/// squared distances.
fn means(vectors: &[Vec<f32>], count: usize, seed: u64) -> (Vec<Vec<f32>>, f64) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut centres = vec![vectors[random.random_range(0..vectors.len())].clone()];
    let mut nearest: Vec<f64> =
        vectors.iter().map(|vector| distance(vector, &centres[0])).collect();
    while centres.len() < count {
        let whole: f64 = nearest.iter().sum();
        let mut left = random.random::<f64>() * whole;
        let chosen = nearest.iter().position(|share| {
            left -= share;
            left < 0.0
        });
        // All vectors are centres already: any will do.
        let centre = vectors[chosen.unwrap_or(centres.len() % vectors.len())].clone();
        for (nearest, vector) in nearest.iter_mut().zip(vectors) {
            *nearest = nearest.min(distance(vector, &centre));
        }
        centres.push(centre);
    }
    let mut owner = vec![usize::MAX; vectors.len()];
    let mut sum = f64::MAX;
    for _ in 0..STEPS {
        let mut moved = false;
        sum = 0.0;
        for (owner, vector) in owner.iter_mut().zip(vectors) {
            let (place, squared) = closest(&centres, vector);
            moved |= *owner != place;
            *owner = place;
            sum += squared;
        }
        if !moved {
            break;
        }
        for (place, centre) in centres.iter_mut().enumerate() {
            let mine = || vectors.iter().zip(&owner).filter(|(_, owner)| **owner == place);
            let size = mine().count();
            // A cluster without members stays where it is.
            if size > 0 {
                let mut mean = vec![0.0f64; centre.len()];
                for (vector, _) in mine() {
                    mean.iter_mut().zip(vector).for_each(|(m, v)| *m += f64::from(*v));
                }
                *centre = mean.into_iter().map(|value| (value / size as f64) as f32).collect();
            }
        }
    }
    (centres, sum)
}

fn closest(centres: &[Vec<f32>], vector: &[f32]) -> (usize, f64) {
    let distances = centres.iter().map(|centre| distance(centre, vector)).enumerate();
    distances.min_by(|one, other| one.1.total_cmp(&other.1)).unwrap_or((0, f64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Unit vectors around `count` directions.
    fn around(directions: usize, each: usize) -> Vec<Vec<f32>> {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let mut all = Vec::new();
        for direction in 0..directions {
            for _ in 0..each {
                let mut vector: Vec<f32> =
                    (0..8).map(|_| random.random::<f32>() * 0.1 - 0.05).collect();
                vector[direction] += 1.0;
                all.push(unit(&vector));
            }
        }
        all
    }

    #[test]
    fn prototypes_are_unit_vectors_that_route_to_themselves() {
        let bank = Bank::cluster("e", &around(5, 10), 5).unwrap();
        let other = Bank::cluster("e", &around(8, 10).split_off(60), 2).unwrap();
        assert_eq!((bank.len(), other.len()), (5, 2));
        for prototype in bank.prototypes.chunks_exact(8) {
            assert!((cosine(prototype, prototype) - 1.0).abs() < 1e-5);
            assert_eq!(best(&[other.score(prototype), bank.score(prototype)], 0.0), 1);
        }
        // Five clear clusters are found: every vector is near a centre.
        assert!(around(5, 10).iter().all(|vector| bank.score(vector) > 0.98));
    }

    #[test]
    fn there_are_no_more_prototypes_than_questions() {
        assert_eq!(Bank::cluster("e", &around(3, 1), 32).unwrap().len(), 3);
        assert!(Bank::cluster("e", &[], 32).is_err());
        let same = vec![vec![1.0, 0.0]; 6];
        assert_eq!(Bank::cluster("e", &same, 3).unwrap().len(), 3);
        assert_eq!(
            [prototypes_of_domain(3), prototypes_of_domain(80), prototypes_of_domain(900)],
            [1, 10, 32]
        );
    }

    #[test]
    fn of_all_vectors_the_three_nearest_count() {
        let vectors = [vec![1.0, 0.0], vec![1.0, 0.0], vec![0.0, 2.0], vec![0.0, -1.0]];
        let bank = Bank::of_all("e", &vectors).unwrap();
        assert_eq!(bank.len(), 4);
        assert!((bank.score(&[1.0, 0.0]) - 2.0 / 3.0).abs() < 1e-6);
        let few = Bank::of_all("e", &vectors[..1]).unwrap();
        assert!((few.score(&[1.0, 0.0]) - 1.0).abs() < 1e-6);
        assert!(Bank::of_all("e", &[]).is_err());
    }

    #[test]
    fn clustering_is_the_same_every_time() {
        let vectors = around(4, 9);
        assert_eq!(
            Bank::cluster("e", &vectors, 6).unwrap(),
            Bank::cluster("e", &vectors, 6).unwrap()
        );
    }

    #[test]
    fn the_first_of_equals_wins_and_a_margin_keeps_doubtful_questions_general() {
        assert_eq!(best(&[0.5, 0.5, 0.4], 0.0), 0);
        assert_eq!(best(&[0.5, 0.53, 0.4], 0.0), 1);
        assert_eq!(best(&[0.5, 0.53, 0.4], 0.05), 0);
        assert_eq!(best(&[0.5, 0.53, 0.58], 0.05), 2);
    }

    #[test]
    fn a_mean_of_rows_has_unit_length() {
        assert_eq!(mean_of_rows(&[3.0, 0.0, 3.0, 8.0], 2), unit(&[6.0, 8.0]));
        assert_eq!(unit(&[0.0, 0.0]), [0.0, 0.0]);
    }
}
