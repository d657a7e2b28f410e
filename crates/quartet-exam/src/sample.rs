//! A smaller exam that keeps the proportions of the whole one.

use crate::questions::ExamQuestion;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use std::collections::BTreeMap;

/// At most `limit` questions, drawn from every stratum (file, format, expected outcome, kind) in
/// proportion to its size, the largest remainders first. The same seed gives the same
/// questions; their order is kept.
#[must_use]
pub fn sample(questions: Vec<ExamQuestion>, limit: usize, seed: u64) -> Vec<ExamQuestion> {
    let all = questions.len();
    if limit >= all {
        return questions;
    }
    let mut strata: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (place, question) in questions.iter().enumerate() {
        let several = question.evidence.len() > 1;
        let file = question.file.clone();
        let key = (file, question.format, question.expected, question.kind.clone(), several);
        strata.entry(key).or_default().push(place);
    }
    let mut generator = StdRng::seed_from_u64(seed);
    let mut quotas: Vec<(usize, usize, Vec<usize>)> = strata
        .into_values()
        .map(|mut places| {
            places.shuffle(&mut generator);
            let exact = places.len() * limit;
            (exact / all, exact % all, places)
        })
        .collect();
    let mut missing = limit - quotas.iter().map(|(quota, _, _)| quota).sum::<usize>();
    quotas.sort_by_key(|&(_, remainder, _)| std::cmp::Reverse(remainder));
    for (quota, _, places) in &mut quotas {
        if missing > 0 && *quota < places.len() {
            *quota += 1;
            missing -= 1;
        }
    }
    let mut drawn: Vec<usize> =
        quotas.into_iter().flat_map(|(quota, _, places)| places.into_iter().take(quota)).collect();
    drawn.sort_unstable();
    let mut drawn = drawn.into_iter().peekable();
    questions
        .into_iter()
        .enumerate()
        .filter(|(place, _)| drawn.next_if_eq(place).is_some())
        .map(|(_, question)| question)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::questions::{Expected, parse_questions};

    fn questions() -> Vec<ExamQuestion> {
        let rows: Vec<String> = (0..100)
            .map(|i| match i {
                0..60 => format!("{{\"question\":\"Q{i}\",\"answers\":[\"x\"],\"kind\":\"a\"}}"),
                60..80 => format!("{{\"question\":\"Q{i}\",\"answers\":[\"x\"],\"kind\":\"b\"}}"),
                _ => format!("{{\"question\":\"Q{i}\"}}"),
            })
            .collect();
        parse_questions("f", &rows.join("\n")).unwrap()
    }

    #[test]
    fn proportions_and_order_are_kept() {
        let drawn = sample(questions(), 10, 1);
        assert_eq!(drawn.len(), 10);
        let refusals = drawn.iter().filter(|q| q.expected == Expected::Refusal).count();
        let of_kind_a = drawn.iter().filter(|q| q.kind.as_deref() == Some("a")).count();
        assert_eq!((refusals, of_kind_a), (2, 6));
        let numbers: Vec<usize> = drawn.iter().map(|q| q.question[1..].parse().unwrap()).collect();
        assert!(numbers.is_sorted());
    }

    #[test]
    fn the_seed_decides() {
        assert_eq!(sample(questions(), 13, 5), sample(questions(), 13, 5));
        assert_ne!(sample(questions(), 13, 5), sample(questions(), 13, 6));
        assert_eq!(sample(questions(), 13, 5).len(), 13);
        assert_eq!(sample(questions(), 1000, 5).len(), 100);
    }
}
