//! The terminal program, used as a person would: import, search, ask, exam.

use quartet_tests::{Home, models_are_installed, root};
use serde_json::Value;
use std::fs;

fn samples() -> usize {
    fs::read_dir(root().join("assets/samples"))
        .expect("assets/samples")
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "pdf"))
        .count()
}

fn imported() -> Option<Home> {
    if !models_are_installed() {
        return None;
    }
    let home = Home::new();
    let report = home.json(&["import", "assets/samples"]);
    assert_eq!(report["ready"], samples(), "{report:#}");
    Some(home)
}

fn sample_questions() -> Vec<Value> {
    let text =
        fs::read_to_string(root().join("assets/samples/questions.jsonl")).expect("questions");
    text.lines().map(|line| serde_json::from_str(line).expect("a question per line")).collect()
}

#[test]
fn samples_are_imported_found_and_answered() {
    let Some(home) = imported() else { return };

    let documents = home.json(&["documents"]);
    for document in documents["documents"].as_array().expect("a list") {
        assert_eq!(document["status"], "ready", "{document:#}");
        assert!(document["chunks"].as_u64() > Some(0), "{document:#}");
    }

    // The right page is among the first five for nearly every sample question.
    let questions = sample_questions();
    let mut found = 0;
    for question in &questions {
        let text = question["question"].as_str().expect("text");
        let hits = home.json(&["search", text, "--limit", "5"]);
        let right = format!("{}.pdf", question["doc"].as_str().expect("a document"));
        found += usize::from(hits["hits"].as_array().expect("a list").iter().any(|hit| {
            hit["passage"]["path"].as_str().is_some_and(|path| path.ends_with(&right))
                && hit["passage"]["span"]["page"] == question["page"]
        }));
    }
    assert!(found * 10 >= questions.len() * 8, "{found} of {} right pages found", questions.len());

    // One answer, whole: text, citation to a page, cost, and the prompt that was sent.
    let question = &questions[0];
    let answer = home.json(&["ask", question["question"].as_str().expect("text"), "--no-abstain"]);
    assert_eq!(answer["method"], "rag");
    assert!(answer["usage"]["tokens_read"].as_u64() > Some(100), "{answer:#}");
    let text = answer["text"].as_str().expect("text");
    assert!(!text.trim().is_empty());
    assert!(
        answer["prompt"]
            .as_str()
            .expect("the prompt")
            .contains(question["question"].as_str().unwrap())
    );
    for index in answer["used"].as_array().expect("citations") {
        let index = usize::try_from(index.as_u64().expect("an index")).unwrap();
        assert!(answer["retrieved"][index]["passage"]["span"]["page"].as_u64() >= Some(1));
    }

    // A second import finds nothing to do.
    let again = home.json(&["import", "assets/samples"]);
    assert_eq!(again["unchanged"], samples(), "{again:#}");
    assert_eq!(again["added"], 0, "{again:#}");
}

#[test]
fn an_exam_reports_every_metric_for_every_method() {
    let Some(home) = imported() else { return };
    let report = home.path().join("report.json");
    let _ = home.json(&[
        "exam",
        "--questions",
        "assets/samples/questions.jsonl",
        "assets/samples/unanswerable.jsonl",
        "--methods",
        "none,rag",
        "--limit",
        "4",
        "--report",
        report.to_str().expect("UTF-8"),
    ]);
    let report: Value =
        serde_json::from_slice(&fs::read(report).expect("the report")).expect("JSON");
    for method in ["none", "rag"] {
        for metric in [
            "exact_match",
            "f1",
            "contains",
            "first_token_ms",
            "total_ms",
            "tokens_read",
            "tokens_written",
        ] {
            let value = &report["methods"][method][metric];
            let (mean, low, high) =
                (value["mean"].as_f64(), value["low"].as_f64(), value["high"].as_f64());
            assert!(low <= mean && mean <= high && mean.is_some(), "{method} {metric}: {value}");
        }
    }
    for metric in ["recall_at_5", "recall_at_10", "mrr"] {
        assert!(
            report["methods"]["rag"][metric]["mean"].is_number(),
            "{metric}: {:#}",
            report["methods"]["rag"]
        );
    }
    assert_eq!(report["questions"].as_array().expect("rows").len(), 8, "4 questions by 2 methods");
}

#[test]
fn deleting_a_collection_leaves_no_text_behind() {
    let Some(home) = imported() else { return };
    let hits = home.json(&["search", "contract"]);
    let text = hits["hits"][0]["passage"]["text"].as_str().expect("a passage");
    let marker: String = text.split_whitespace().take(5).collect::<Vec<_>>().join(" ");
    let _ = home.json(&["collections", "delete", "default", "--yes"]);
    assert_eq!(home.json(&["documents"])["documents"].as_array().map(Vec::len), Some(0));
    let mut folders = vec![home.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("readable").flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                let bytes = fs::read(entry.path()).expect("readable");
                let left = bytes.windows(marker.len()).any(|window| window == marker.as_bytes());
                assert!(!left, "{} still holds {marker:?}", entry.path().display());
            }
        }
    }
}
