//! Sentence support against SQuAD 2.0 development questions: the gold answer must be supported
//! by its own paragraph, and not by another paragraph of the same article.
//! The constants in `support/matcher.rs` were chosen on even-numbered questions; the figures
//! here are over odd-numbered ones.

#![allow(clippy::print_stderr, reason = "a skipped test and the figures reached should be seen")]

use quartet_methods::support::{Matcher, ReadPassage, SUPPORT_THRESHOLD};
use quartet_types::{ChunkId, DocumentId, PageNumber, PageSpan, Passage, SearchHit};
use serde_json::Value;
use std::path::Path;

fn squad() -> Option<Value> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/squad/squad2-dev.json");
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(serde_json::from_str(&text).unwrap()),
        Err(error) => {
            let message = format!("skipped: {}: {error}", path.display());
            assert!(std::env::var_os("QUARTET_REQUIRE_DATA").is_none(), "{message}");
            eprintln!("{message}");
            None
        }
    }
}

fn hit(text: &str) -> SearchHit {
    SearchHit {
        passage: Passage {
            chunk: ChunkId(0),
            document: DocumentId(0),
            title: String::new(),
            path: String::new(),
            span: PageSpan {
                page: PageNumber(1),
                start: 0,
                end: u32::try_from(text.chars().count()).unwrap(),
            },
            heading: None,
            text: text.to_owned(),
        },
        score: 0.0,
        lexical: None,
        dense: None,
    }
}

fn score(
    question: &str,
    answer: &str,
    index: usize,
    hits: &[SearchHit],
) -> Option<(f32, PageSpan)> {
    let passage = &hits[index].passage;
    let read = [ReadPassage { index, passage, bytes: passage.text.len() }];
    Matcher::new(question, &read, hits).best(answer).map(|support| (support.score, support.span))
}

#[derive(Default)]
struct Tally {
    asked: usize,
    right: usize,
    right_place: usize,
    other: usize,
    swapped: usize,
}

fn tally(data: &Value, parity: usize) -> Tally {
    let mut tally = Tally::default();
    let mut number = 0;
    for article in data["data"].as_array().unwrap() {
        let paragraphs = article["paragraphs"].as_array().unwrap();
        let hits: Vec<SearchHit> =
            paragraphs.iter().map(|p| hit(p["context"].as_str().unwrap())).collect();
        for (place, paragraph) in paragraphs.iter().enumerate() {
            // Twelve neighbours stand in for what a search would have retrieved.
            let start = place.saturating_sub(6).min(hits.len().saturating_sub(12));
            let window = &hits[start..hits.len().min(start + 12)];
            let own = place - start;
            let other = (own + 5) % window.len();
            let answerable: Vec<&Value> = paragraph["qas"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|asked| asked["is_impossible"] == false)
                .collect();
            for (nth, asked) in answerable.iter().enumerate() {
                number += 1;
                if number % 2 != parity {
                    continue;
                }
                let question = asked["question"].as_str().unwrap();
                let gold = asked["answers"][0]["text"].as_str().unwrap();
                let start = asked["answers"][0]["answer_start"].as_u64().unwrap();
                tally.asked += 1;
                if let Some((score, span)) = score(question, gold, own, window)
                    && score >= SUPPORT_THRESHOLD
                {
                    tally.right += 1;
                    let inside = (u64::from(span.start)..u64::from(span.end)).contains(&start);
                    tally.right_place += usize::from(inside);
                }
                if score(question, gold, other, window)
                    .is_some_and(|(score, _)| score >= SUPPORT_THRESHOLD)
                {
                    tally.other += 1;
                }
                // The answer to another question about the same paragraph: words that are
                // there, but do not answer.
                let next = answerable[(nth + 1) % answerable.len()];
                let wrong = next["answers"][0]["text"].as_str().unwrap();
                if next["id"] != asked["id"]
                    && score(question, wrong, own, window)
                        .is_some_and(|(score, _)| score >= SUPPORT_THRESHOLD)
                {
                    tally.swapped += 1;
                }
            }
        }
    }
    tally
}

fn share(part: usize, whole: usize) -> f64 {
    f64::from(u32::try_from(part).unwrap()) / f64::from(u32::try_from(whole).unwrap())
}

#[test]
fn gold_answers_are_supported_by_their_own_paragraph_and_not_by_others() {
    let Some(data) = squad() else { return };
    for parity in [0, 1] {
        let tally = tally(&data, parity);
        let right = share(tally.right, tally.asked);
        let place = share(tally.right_place, tally.right);
        let other = share(tally.other, tally.asked);
        eprintln!(
            "{} questions: own paragraph {right:.3}, right sentence {place:.3}, other paragraph \
             {other:.3}, answer of another question {:.3}",
            tally.asked,
            share(tally.swapped, tally.asked)
        );
        if parity == 1 {
            assert!(tally.asked > 700);
            assert!(right >= 0.94, "{right}");
            assert!(place >= 0.97, "{place}");
            assert!(other <= 0.015, "{other}");
        }
    }
}
