//! Two ranked lists become one.
//!
//! The default is a convex combination of scores (Bruch, Gai and Ingber, "An Analysis of
//! Fusion Functions for Hybrid Retrieval", TOIS 2023, with theoretical instead of observed
//! bounds):
//!
//! ```text
//! score(c) = W * bm25(c) / (2.2 * sum of the question's idf)  +  (1 - W) * cosine(c)
//! ```
//!
//! BM25 with `k1 = 1.2` cannot exceed 2.2 times the sum of the idf, so the first term is a
//! share and can be compared between questions, as a cosine can. Reciprocal rank fusion
//! throws that away: on SQuAD paragraphs, where words are the better guide, it fell below
//! BM25 alone, and on invented documents with loosely worded questions, where meaning is,
//! below vectors alone (BENCHMARKS.md, "Retrieval"). It is kept to be measured against.

use crate::search::SearchMode;
use quartet_types::ChunkId;
use std::collections::HashMap;

/// Weight of the words. Chosen on SQuAD; 0.4 to 0.6 differ by less than .01 there.
const WORDS: f32 = 0.5;
/// BM25's `k1 + 1`: the most that one occurrence-saturated word can score per unit of idf.
const BM25_BOUND: f32 = 2.2;
/// The constant of reciprocal rank fusion (Cormack, Clarke and Buettcher, SIGIR 2009).
const RANK_CONSTANT: f32 = 60.0;

/// A chunk with the scores and ranks (from 1) by which it was found.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Found {
    pub(crate) score: f32,
    pub(crate) lexical: Option<(f32, u32)>,
    pub(crate) dense: Option<(f32, u32)>,
}

/// Fuses two lists, best first. `cosine_of` gives the exact cosine of a chunk that only the
/// words found; a chunk that only its meaning found has no words worth counting.
pub(crate) fn fuse(
    mode: SearchMode,
    lexical: &[(ChunkId, f32)],
    dense: &[(i64, f32)],
    idf_sum: f32,
    cosine_of: impl Fn(ChunkId) -> Option<f32>,
) -> Vec<(ChunkId, Found)> {
    let mut found: HashMap<ChunkId, Found> = HashMap::new();
    for (rank, &(chunk, score)) in (1_u32..).zip(lexical) {
        found.entry(chunk).or_default().lexical = Some((score, rank));
    }
    for (rank, &(chunk, score)) in (1_u32..).zip(dense) {
        found.entry(ChunkId(chunk)).or_default().dense = Some((score, rank));
    }
    let bound = (BM25_BOUND * idf_sum).max(f32::MIN_POSITIVE);
    let mut fused: Vec<(ChunkId, Found)> = found.into_iter().collect();
    for (chunk, found) in &mut fused {
        let words = found.lexical.map_or(0.0, |(score, _)| score / bound);
        let meaning =
            || found.dense.map(|(cosine, _)| cosine).or_else(|| cosine_of(*chunk)).unwrap_or(0.0);
        found.score = match mode {
            SearchMode::Lexical => words,
            SearchMode::Dense => meaning(),
            SearchMode::Hybrid => WORDS * words + (1.0 - WORDS) * meaning(),
            SearchMode::ReciprocalRank => reciprocal(found.lexical) + reciprocal(found.dense),
        };
    }
    fused.sort_by(|left, right| right.1.score.total_cmp(&left.1.score).then(left.0.cmp(&right.0)));
    fused
}

fn reciprocal(found: Option<(f32, u32)>) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "ranks are small")]
    found.map_or(0.0, |(_, rank)| 1.0 / (RANK_CONSTANT + rank as f32))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEXICAL: [(ChunkId, f32); 2] = [(ChunkId(1), 4.4), (ChunkId(2), 2.2)];
    const DENSE: [(i64, f32); 2] = [(3, 0.9), (2, 0.8)];

    fn order(mode: SearchMode) -> Vec<i64> {
        fuse(mode, &LEXICAL, &DENSE, 4.0, |chunk| (chunk == ChunkId(1)).then_some(0.1))
            .into_iter()
            .map(|(chunk, _)| chunk.0)
            .collect()
    }

    #[test]
    fn each_mode_orders_by_its_own_score() {
        // Shares of the bound 8.8: .5 and .25; cosines .1, .8, .9.
        assert_eq!(order(SearchMode::Hybrid), [2, 3, 1]);
        assert_eq!(order(SearchMode::ReciprocalRank), [2, 1, 3]);
    }

    #[test]
    fn a_chunk_found_by_words_alone_gets_its_exact_cosine() {
        let fused = fuse(SearchMode::Hybrid, &LEXICAL, &[], 4.0, |_| Some(0.7));
        assert!((fused[0].1.score - (0.5 * 0.5 + 0.5 * 0.7)).abs() < 1e-6, "{fused:?}");
    }

    #[test]
    fn a_question_of_unknown_words_is_not_divided_by_nothing() {
        let fused = fuse(SearchMode::Hybrid, &[], &DENSE, 0.0, |_| None);
        assert!(fused.iter().all(|(_, found)| found.score.is_finite()));
    }
}
