//! Implicit queries as a person uses them, with the real small base and little of everything:
//! trained through a kill, asked, and its controls told apart.

use quartet_tests::{Home, models_are_installed};
use serde_json::Value;

const TRAIN: [&str; 14] = [
    "train",
    "imprag",
    "--tier",
    "t0",
    "--writer",
    "none",
    "--updates",
    "4",
    "--preset",
    "standard",
    "--base",
    "small",
    "--collection",
    "samples",
];

fn ask(home: &Home, question: &str) -> Value {
    home.json(&["ask", "--base", "small", "-c", "samples", "-m", "imprag", question])
}

#[test]
fn a_base_is_taught_to_retrieve_and_answers_with_pages() {
    if !models_are_installed() {
        return;
    }
    let home = Home::new();
    let _ = home.json(&["import", "--collection", "samples", "assets/samples"]);

    home.killed_at(&TRAIN, "training/job-2/assignment.json");
    home.killed_at(&TRAIN, "training/job-2/trainer/stage-0");
    let trained = home.json(&TRAIN);
    assert_eq!(trained["kind"], "imprag");
    let report = &trained["imprag"];
    assert_eq!(report["tier"], "t0");
    assert_eq!(report["settings"]["first_layer"], 7, "{report:#}");
    assert_eq!(report["settings"]["last_layer"], 17, "{report:#}");
    assert!(report["reader"].is_null() && report["states"].is_null(), "T0 teaches no reader");
    assert_eq!(report["query"], report["passage"], "one adapter on both sides");
    let start = report["start"].as_array().expect("adapters");
    assert_eq!(start.len(), 1, "the heads that are shipped are below it");
    let results = report["retrieval"].as_array().expect("results");
    for retriever in ["implicit", "untrained", "lexical", "dense", "hybrid"] {
        let one = results.iter().find(|one| one["retriever"] == retriever).expect(retriever);
        let recall = one["recall_10"].as_f64().expect("a share");
        assert!((0.0..=1.0).contains(&recall), "{one:#}");
    }
    let formats: Vec<&str> = results.iter().filter_map(|one| one["format"].as_str()).collect();
    assert!(!formats.iter().any(|one| ["claim", "relation", "title"].contains(one)));
    let stages = report["stages"].as_array().expect("stages");
    let names: Vec<&str> = stages.iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(names, ["warming up", "distilling"]);

    // What is on disk belongs to the adapter: the index is made anew, states stay.
    let _ = home.json(&["imprag", "index", "samples", "--base", "small"]);
    let status = home.json(&["imprag", "status", "samples"]);
    assert_eq!(status["imprag"][0]["tier"], "t0", "{status:#}");
    let answer = ask(&home, "How long does battery pack last?");
    let trace = &answer["imprag"];
    assert_eq!(trace["layers"], serde_json::json!([7, 17]), "{answer:#}");
    assert_eq!(trace["tier"], "t0");
    let read = answer["read"].as_array().expect("passages read");
    assert!(!read.is_empty() && read.len() <= 10, "{answer:#}");
    assert_eq!(trace["scores"].as_array().expect("scores").len(), read.len());
    assert_eq!(trace["encoded"], 0, "states were on disk");
    assert!(trace["restored_bytes"].as_u64().expect("bytes") > 0);
    let prompt = answer["prompt"].as_str().expect("a prompt");
    assert!(prompt.starts_with("Q: ") && prompt.len() < 80, "no passage in the prompt: {prompt}");
}
