//! `quartet train expert`, with real models and little of everything: it learns, it survives
//! being killed, and it refuses what it cannot use.

use quartet_tests::{Home, models_are_installed, skip};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Stdio};

const TRAIN: [&str; 9] =
    ["train", "expert", "--writer", "none", "--passages", "12", "--updates", "2", "--preset=quick"];

/// Where the expert model is, if it is installed.
fn find_expert() -> Option<PathBuf> {
    let listed = Home::new().json(&["models"]);
    let models = listed["models"].as_array()?;
    let expert = models.iter().find(|model| model["name"] == "expert")?;
    expert["path"].as_str().map(PathBuf::from)
}

fn expert_is_installed() -> bool {
    find_expert().is_some()
        || skip::<()>("the model `expert` is absent; run `make models`").is_some()
}

fn expert_file() -> PathBuf {
    find_expert().expect("the expert is installed")
}

fn home_with_samples() -> Home {
    let home = Home::new();
    let _ = home.json(&["import", "assets/samples"]);
    home
}

/// Waits for a file below the folder of the training under way.
fn wait_for(home: &Home, child: &mut Child, name: &str) -> PathBuf {
    home.wait_for(child, &format!("training/job-2/{name}"))
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn a_killed_training_ends_with_the_same_bits() {
    if !models_are_installed() || !expert_is_installed() {
        return;
    }
    let whole = home_with_samples();
    let trained = whole.json(&TRAIN);
    let report = &trained["report"];
    for pair in [&report["general"], &report["in_domain"], &report["closed_book_f1"]] {
        assert!(number(&pair["before"]).is_finite() && number(&pair["after"]).is_finite());
    }
    assert!(number(&report["general"]["before"]) > 5.0, "{report:#}");
    // Two updates change something, and not much.
    assert_ne!(report["in_domain"]["before"], report["in_domain"]["after"]);
    let change = number(&report["general"]["after"]) / number(&report["general"]["before"]);
    assert!((0.8..1.25).contains(&change), "{report:#}");
    assert_eq!(report["passages"], 10);
    assert_eq!(report["held_out_passages"], 2);
    for stage in report["stages"].as_array().expect("stages") {
        assert_eq!(stage["curve"].as_array().map(Vec::len), Some(2), "{stage:#}");
    }

    // What was trained is listed, and becomes stale with its documents.
    let listed = whole.json(&["artefacts"]);
    assert_eq!(listed["artefacts"][0]["adapter"], trained["adapter"]);
    assert_eq!(listed["artefacts"][0]["stale"], false);
    assert!(trained["writer"].is_null(), "rules alone made the questions");
    let jobs = whole.json(&["jobs"]);
    assert_eq!(jobs["jobs"][0]["kind"], "train");
    assert_eq!(jobs["jobs"][0]["state"], "finished");
    assert!(!whole.path().join("training/job-2").exists(), "nothing is left lying about");
    let _ = whole.json(&["documents", "delete", "1"]);
    assert_eq!(whole.json(&["artefacts"])["artefacts"][0]["stale"], true);

    // It answers from memory.
    let answer = whole.json(&["ask", "--expert", "Who signed the contract?"]);
    assert_eq!(answer["adapter"], trained["adapter"]);
    assert_eq!(answer["stale"], true);
    let text = answer["text"].as_str().expect("a text");
    assert!(!text.contains("_of_turn"), "{text}");
    // A damaged adapter is noticed before it is used.
    let artefacts = whole.path().join("artefacts");
    let folder = fs::read_dir(&artefacts).expect("artefacts").next().expect("one").expect("one");
    let adapter = folder.path().join("adapter.gguf");
    let mut bytes = fs::read(&adapter).expect("the adapter");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&adapter, bytes).expect("written");
    let (_, error) = whole.failure(&["ask", "--expert", "Who signed the contract?"]);
    assert_eq!(error["code"], "corrupt", "{error:#}");
    assert!(error["message"].as_str().expect("a message").contains("default"), "{error:#}");

    // Killed with all its workers in the middle of either stage, and gone on with; the model is
    // a file of the user's.
    let home = home_with_samples();
    let file = home.path().join("mine.gguf");
    fs::copy(expert_file(), &file).expect("a copy");
    let name = file.to_str().expect("UTF-8");
    let train = [&TRAIN[..], &["--expert", name]].concat();
    for name in ["trainer/stage-0", "trainer/stage-0/parameters"] {
        let mut child = home
            .command()
            .args(&train)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let _ = wait_for(&home, &mut child, name);
        child.kill().expect("SIGKILL");
        let _ = child.wait();
        let jobs = home.json(&["jobs"]);
        assert_eq!(jobs["jobs"][0]["state"], "interrupted", "{jobs:#}");
    }
    let resumed = home.json(&train);
    assert_eq!(resumed["adapter"], trained["adapter"], "other bits");
    assert_eq!(resumed["report"]["stages"], trained["report"]["stages"]);

    // One byte more is another model, though llama.cpp would not mind.
    let mut model = fs::OpenOptions::new().append(true).open(&file).expect("the copy");
    model.write_all(&[0]).expect("written");
    drop(model);
    let (_, error) = home.failure(&["ask", "--expert", "Who signed the contract?"]);
    assert_eq!(error["code"], "corrupt", "{error:#}");
    let message = error["message"].as_str().expect("a message");
    assert!(message.contains("the expert on `default` is stale"), "{message}");
}

#[test]
fn what_cannot_be_learnt_is_refused_with_advice() {
    let home = Home::new();
    if !models_are_installed() || !expert_is_installed() {
        return;
    }
    let (_, error) = home.failure(&["train", "expert", "--collection", "nobody"]);
    assert_eq!(error["code"], "not_found");
    let _ = home.json(&["collections", "create", "empty"]);
    let (_, error) = home.failure(&["train", "expert", "--collection", "empty"]);
    assert_eq!(error["code"], "invalid_input");
    assert!(error["hint"].as_str().expect("a hint").contains("200 facts"), "{error:#}");
    let (_, error) = home.failure(&["train", "expert", "--preset", "endless"]);
    assert!(error["message"].as_str().expect("a message").contains("endless"), "{error:#}");
    assert!(!fs::exists(home.path().join("artefacts")).expect("readable"));
}
