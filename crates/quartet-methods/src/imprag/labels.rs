//! Which passages count as right for a query whose source is known (section 4.1).
//!
//! The paper's warm-up takes the five best of an off-the-shelf retriever as right, whatever they
//! hold, and draws hard negatives from its ranks 10 to 50. In a collection of a few hundred
//! passages most of five are wrong, so by default the passage that the question was made from is
//! right, and one of the five only if it holds the answer too.

use super::retrieval::Query;
use crate::text::words;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// Ranks whose passages are right in the paper.
const RIGHT: usize = 5;
/// First rank of hard negatives in the paper.
const HARD_FROM: usize = 10;
/// Hard negatives that are kept of a query.
const HARD: usize = 12;

/// How passages are labelled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Labels {
    /// The source, and what also holds the answer among the five best.
    #[default]
    Sourced,
    /// As published: the five best, and the source is not treated differently.
    Published,
}

/// Labels the passages of a query. `found` are places of passages as a search ranks them;
/// `source` is where the question came from, and `texts` are all passages' texts.
#[must_use]
pub fn label(
    prompt: Vec<u32>,
    answer: &str,
    source: usize,
    found: &[usize],
    texts: &[String],
    how: Labels,
) -> Query {
    let wanted = content(answer);
    let holds = |place: usize| {
        !wanted.is_empty() && texts.get(place).is_some_and(|text| wanted.is_subset(&content(text)))
    };
    let mut query = Query { prompt, ..Query::default() };
    match how {
        Labels::Published => query.positives = found.iter().copied().take(RIGHT).collect(),
        Labels::Sourced => {
            query.positives.push(source);
            let others = found.iter().copied().take(RIGHT).filter(|place| *place != source);
            query.positives.extend(others.filter(|place| holds(*place)));
        }
    }
    // Near the top stand near copies and other places of the answer: neither right nor wrong.
    let rest = found.iter().copied().filter(|place| !query.positives.contains(place));
    let is_small = found.len() < 2 * HARD_FROM;
    for (rank, place) in rest.enumerate() {
        let is_near = !is_small && rank + query.positives.len() < HARD_FROM;
        let unclear = match how {
            Labels::Published => is_near,
            Labels::Sourced => holds(place),
        };
        let into = if unclear { &mut query.unclear } else { &mut query.negatives };
        if into.len() < HARD {
            into.push(place);
        }
    }
    query
}

fn content(text: &str) -> HashSet<String> {
    words(text).into_iter().filter(|word| !word.function).map(|word| word.stem).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts() -> Vec<String> {
        (0..40)
            .map(|at| match at {
                3 | 7 => "The lamp was lit in 1874.".to_owned(),
                _ => format!("Passage {at} about the harbour."),
            })
            .collect()
    }

    #[test]
    fn the_source_is_right_and_so_is_what_holds_the_answer() {
        let found: Vec<usize> = [7, 1, 2, 4, 5].into_iter().chain(8..40).collect();
        let query = label(vec![1], "in 1874", 3, &found, &texts(), Labels::Sourced);
        assert_eq!(query.positives, [3, 7]);
        assert_eq!(query.negatives.len(), HARD);
        assert!(!query.negatives.contains(&7) && !query.negatives.contains(&3));
        assert!(query.unclear.is_empty());
    }

    #[test]
    fn as_published_the_first_five_are_right_and_the_next_are_not_used_as_wrong() {
        let found: Vec<usize> = (0..40).collect();
        let query = label(vec![1], "in 1874", 30, &found, &texts(), Labels::Published);
        assert_eq!(query.positives, [0, 1, 2, 3, 4]);
        assert_eq!(query.unclear, [5, 6, 7, 8, 9]);
        assert_eq!(query.negatives[0], 10);
    }
}
