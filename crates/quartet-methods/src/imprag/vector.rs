//! Heads to vectors (section 3.2 of the paper).
//!
//! `E_q[c] = mean over the heads of group c of Q`, `E_p = K`, `s(q, p) = E_q . E_p`, with queries
//! and keys before rotation, no normalisation and no temperature. Both vectors have
//! `key_value_heads * head_length` numbers.

use quartet_types::{Error, Result};
use serde::{Deserialize, Serialize};

/// Attention heads of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heads {
    /// Heads of queries.
    pub queries: usize,
    /// Heads of keys and values; each serves `queries / key_values` heads of queries.
    pub key_values: usize,
    /// Length of a head.
    pub length: usize,
}

impl Heads {
    /// Length of a vector.
    #[must_use]
    pub fn width(&self) -> usize {
        self.key_values * self.length
    }

    /// The query vector of `queries`, `[queries * length]`: the mean over the heads that share
    /// keys.
    ///
    /// # Errors
    /// `Internal` for another length.
    pub fn query_vector(&self, queries: &[f32]) -> Result<Vec<f32>> {
        let group = self.queries / self.key_values.max(1);
        if queries.len() != self.queries * self.length || group * self.key_values != self.queries {
            return Err(Error::internal("queries of another model"));
        }
        let mut vector = vec![0.0; self.width()];
        for (head, values) in queries.chunks_exact(self.length).enumerate() {
            let into = &mut vector[head / group * self.length..][..self.length];
            into.iter_mut().zip(values).for_each(|(sum, value)| *sum += value / group as f32);
        }
        Ok(vector)
    }
}

/// The inner product.
#[must_use]
pub fn score(query: &[f32], passage: &[f32]) -> f32 {
    query.iter().zip(passage).map(|(q, p)| q * p).sum()
}

/// Places of the `limit` best of `rows`, `[n * width]`, with their scores, best first. Equal
/// scores keep the order of the rows.
#[must_use]
pub fn nearest(query: &[f32], rows: &[f32], limit: usize) -> Vec<(usize, f32)> {
    let width = query.len().max(1);
    let mut all: Vec<(usize, f32)> =
        rows.chunks_exact(width).map(|row| score(query, row)).enumerate().collect();
    let better = |one: &(usize, f32), other: &(usize, f32)| {
        other.1.total_cmp(&one.1).then(one.0.cmp(&other.0))
    };
    if all.len() > limit && limit > 0 {
        all.select_nth_unstable_by(limit - 1, better);
    }
    all.truncate(limit);
    all.sort_by(better);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADS: Heads = Heads { queries: 4, key_values: 2, length: 2 };

    #[test]
    fn heads_of_a_group_are_averaged_and_groups_kept_apart() {
        let queries = [1.0, 2.0, 3.0, 4.0, 10.0, 20.0, 30.0, 40.0];
        assert_eq!(HEADS.query_vector(&queries).unwrap(), [2.0, 3.0, 20.0, 30.0]);
        // Within a group the order of heads makes no difference, across groups it does.
        let swapped = [3.0, 4.0, 1.0, 2.0, 10.0, 20.0, 30.0, 40.0];
        assert_eq!(HEADS.query_vector(&swapped).unwrap(), [2.0, 3.0, 20.0, 30.0]);
        let crossed = [10.0, 20.0, 3.0, 4.0, 1.0, 2.0, 30.0, 40.0];
        assert_ne!(HEADS.query_vector(&crossed).unwrap(), [2.0, 3.0, 20.0, 30.0]);
        assert!(HEADS.query_vector(&queries[..6]).is_err());
    }

    #[test]
    fn a_key_bias_changes_no_ranking() {
        let query = [1.0, -2.0];
        let rows = [3.0, 1.0, 0.0, -1.0, 5.0, 5.0];
        let shifted: Vec<f32> =
            rows.chunks(2).flat_map(|row| [row[0] + 7.0, row[1] - 3.0]).collect();
        let places = |rows: &[f32]| -> Vec<usize> {
            nearest(&query, rows, 3).into_iter().map(|(place, _)| place).collect()
        };
        assert_eq!(places(&rows), places(&shifted));
        assert_eq!(places(&rows), [1, 0, 2]);
        assert_eq!(nearest(&query, &rows, 1), [(1, 2.0)]);
        assert!(nearest(&query, &rows, 0).is_empty());
    }
}
