//! From which score on the documents are taken to hold an answer.
//!
//! Scores are raw inner products: they mean nothing across models, layers or adapters, so the
//! threshold is found anew with every training.

/// Share of questions that the documents do answer and that may fall below, at most.
const LOST: f64 = 0.05;
/// By how much the shares of both kinds above the threshold must differ for it to be of use.
const USEFUL: f64 = 0.3;

/// The score that best tells the best scores of questions that the documents answer from those
/// of others (the largest difference of shares, Youden 1950), with at most [`LOST`] of the
/// former below; `None` where the scores hardly tell them apart.
#[must_use]
pub fn best(own: &[f32], foreign: &[f32]) -> Option<f32> {
    if own.len() < 8 || foreign.len() < 8 {
        return None;
    }
    let share = |all: &[f32], from: f32| {
        all.iter().filter(|one| **one >= from).count() as f64 / all.len() as f64
    };
    let mut candidates: Vec<f32> = own.iter().chain(foreign).copied().collect();
    candidates.sort_by(f32::total_cmp);
    let between = candidates.windows(2).map(|pair| f32::midpoint(pair[0], pair[1]));
    let judged = between
        .filter(|from| share(own, *from) >= 1.0 - LOST)
        .map(|from| (from, share(own, from) - share(foreign, from)));
    let (from, difference) = judged.max_by(|one, other| one.1.total_cmp(&other.1))?;
    (difference >= USEFUL).then_some(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lies_between_what_it_tells_apart() {
        let own: Vec<f32> = (0..20).map(|at| 10.0 + at as f32).collect();
        let foreign: Vec<f32> = (0..20).map(|at| -5.0 + 0.5 * at as f32).collect();
        let from = best(&own, &foreign).unwrap();
        assert!(from > 4.5 && from <= 10.5, "{from}");
    }

    #[test]
    fn scores_that_tell_nothing_give_none() {
        let own: Vec<f32> = (0..20).map(|at| at as f32).collect();
        assert_eq!(best(&own, &own), None);
        assert_eq!(best(&own[..4], &own), None, "too few to say");
    }

    #[test]
    fn few_of_the_answerable_are_given_up() {
        // Half of the answerable look like the foreign ones: telling those apart would cost them.
        let own: Vec<f32> = (0..20).map(|at| if at < 10 { 0.0 } else { 50.0 }).collect();
        let foreign = vec![0.5f32; 20];
        assert_eq!(best(&own, &foreign), None);
    }
}
