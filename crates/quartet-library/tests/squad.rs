//! BM25 alone on SQuAD: golden numbers that a change of analysis or scoring would move.

#![allow(clippy::print_stdout, reason = "a skipped test and the figures reached should be seen")]

mod support;

use quartet_library::SearchMode;
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;
use support::Place;

/// The data folder beside the repository; absent means skip, unless the data is required.
fn squad() -> Option<Value> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/squad/squad2-dev.json");
    if let Ok(text) = std::fs::read_to_string(&path) {
        return Some(serde_json::from_str(&text).unwrap());
    }
    assert!(std::env::var_os("QUARTET_REQUIRE_DATA").is_none(), "{} is absent", path.display());
    println!("skipped: {} is absent", path.display());
    None
}

#[tokio::test]
async fn bm25_finds_the_paragraph() {
    let Some(data) = squad() else { return };
    let place = Place::new();
    let mut paragraphs: HashMap<String, String> = HashMap::new();
    let mut questions = Vec::new();
    for paragraph in data["data"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|article| article["paragraphs"].as_array().unwrap())
    {
        let text = paragraph["context"].as_str().unwrap();
        let next = format!("p{:05}.pdf", paragraphs.len());
        let name = paragraphs.entry(text.to_owned()).or_insert_with(|| {
            place.write(&next, text);
            next
        });
        for asked in paragraph["qas"].as_array().unwrap() {
            if asked["is_impossible"] == false {
                questions.push((asked["question"].as_str().unwrap().to_owned(), name.clone()));
            }
        }
    }
    assert!(paragraphs.len() > 300 && questions.len() > 1000, "the data is not what it was");
    let library = place.open().await;
    place.import(&library).await;
    let collection = library.collection("default").await.unwrap().id;
    let (mut gain, mut within_20) = (0.0, 0.0);
    for (question, gold) in &questions {
        let (hits, _) =
            library.search_by(SearchMode::Lexical, collection, question, &[], 100).await.unwrap();
        let mut documents: Vec<String> = Vec::new();
        for hit in hits {
            let name = hit.passage.path.rsplit('/').next().unwrap_or_default().to_owned();
            if !documents.contains(&name) {
                documents.push(name);
            }
        }
        // With one relevant document, nDCG is the discount at its rank.
        if let Some(place) = documents.iter().position(|name| name == gold) {
            gain += if place < 10 { 1.0 / (place as f64 + 2.0).log2() } else { 0.0 };
            within_20 += f64::from(u8::from(place < 20));
        }
    }
    let count = questions.len() as f64;
    let (ndcg, recall) = (gain / count, within_20 / count);
    println!(
        "BM25, {} questions over {} paragraphs: nDCG@10 {ndcg:.4}, recall@20 {recall:.4}",
        questions.len(),
        paragraphs.len()
    );
    assert!(ndcg >= 0.90, "nDCG@10 {ndcg:.4}");
    assert!(recall >= 0.97, "recall@20 {recall:.4}");
}
