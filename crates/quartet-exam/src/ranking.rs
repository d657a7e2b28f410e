//! Measures of a ranking (Manning, Raghavan and Schütze, "Introduction to Information
//! Retrieval", chapter 8). Ranks count from 1; `relevant` is in rank order.

use crate::bootstrap::to_f64;

/// Normalised discounted cumulative gain at `k` for binary relevance:
/// `sum over ranks i <= k of rel_i / log2(i + 1)`, over the same sum for the best possible
/// ranking of `relevant_in_all` items. 0 when nothing is relevant.
#[must_use]
pub fn ndcg_at_k(relevant: &[bool], relevant_in_all: usize, k: usize) -> f64 {
    let discount = |place: usize| 1.0 / (to_f64(place) + 2.0).log2();
    let gain: f64 = relevant
        .iter()
        .take(k)
        .enumerate()
        .filter(|&(_, &relevant)| relevant)
        .map(|(place, _)| discount(place))
        .sum();
    let best: f64 = (0..relevant_in_all.min(k)).map(discount).sum();
    if best > 0.0 { gain / best } else { 0.0 }
}

/// One over the rank of the first relevant item; 0 when there is none. Its mean over
/// questions is the mean reciprocal rank.
#[must_use]
pub fn reciprocal_rank(relevant: &[bool]) -> f64 {
    relevant.iter().position(|&relevant| relevant).map_or(0.0, |place| 1.0 / to_f64(place + 1))
}

/// Mean reciprocal rank over questions, each given as relevance in rank order.
#[must_use]
pub fn mrr(rankings: &[Vec<bool>]) -> f64 {
    if rankings.is_empty() {
        return 0.0;
    }
    rankings.iter().map(|ranking| reciprocal_rank(ranking)).sum::<f64>() / to_f64(rankings.len())
}

/// Share of the relevant items that are among the first `k`; 0 when nothing is relevant.
#[must_use]
pub fn recall_at_k(relevant: &[bool], relevant_in_all: usize, k: usize) -> f64 {
    if relevant_in_all == 0 {
        return 0.0;
    }
    let found = relevant.iter().take(k).filter(|&&relevant| relevant).count();
    to_f64(found) / to_f64(relevant_in_all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(left: f64, right: f64) {
        assert!((left - right).abs() < 1e-9, "{left} is not {right}");
    }

    #[test]
    fn by_hand() {
        let ranking = [false, true, false, true];
        // Gains 1/log2(3) + 1/log2(5) = 0.630930 + 0.430677; best 1 + 0.630930.
        close(
            ndcg_at_k(&ranking, 2, 10),
            (0.630_929_753_571_457 + 0.430_676_558_073_393) / 1.630_929_753_571_457,
        );
        close(ndcg_at_k(&ranking, 1, 2), 0.630_929_753_571_457);
        close(ndcg_at_k(&[true], 1, 10), 1.0);
        close(ndcg_at_k(&[false], 1, 10), 0.0);
        close(ndcg_at_k(&[], 0, 10), 0.0);
        close(reciprocal_rank(&ranking), 0.5);
        close(reciprocal_rank(&[false]), 0.0);
        close(mrr(&[vec![true], vec![false, false, false, true], vec![]]), 1.25 / 3.0);
        close(recall_at_k(&ranking, 2, 3), 0.5);
        close(recall_at_k(&ranking, 2, 4), 1.0);
        close(recall_at_k(&ranking, 0, 4), 0.0);
    }
}
