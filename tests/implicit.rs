//! Implicit queries as a person uses them, with a real model: prepared through a kill, kept in
//! step with the documents, read from disk and on the fly alike.

use quartet_tests::{Home, models_are_installed};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Far longer than anything here takes: a test that hangs must end.
const PATIENCE: Duration = Duration::from_secs(900);
const SAMPLES: [&str; 2] = ["assets/samples/letter.pdf", "assets/samples/council-minutes.pdf"];
const ONE_MORE: &str = "assets/samples/loan-agreement.pdf";
const QUESTION: &str = "Who keeps the minutes of the council?";
/// Before the records of a file, and around each.
const HEADER: usize = 88;
const CHECK: usize = 8;
/// Chunk, digest of the text, tokens, and the small base's 2 keys of 64 numbers.
const RECORD: usize = 8 + 8 + 4 + 4 * 128 + CHECK;

fn files(home: &Home, ending: &str) -> Vec<PathBuf> {
    let mut folders = vec![home.path().join("implicit")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == ending) {
                found.push(path);
            }
        }
    }
    found
}

/// The one file of vectors.
fn vectors(home: &Home) -> Vec<u8> {
    let all = files(home, "vectors");
    assert_eq!(all.len(), 1, "{all:?}");
    fs::read(&all[0]).expect("vectors")
}

fn records(bytes: &[u8]) -> BTreeSet<Vec<u8>> {
    let records = bytes[HEADER..].chunks_exact(RECORD);
    assert!(records.remainder().is_empty(), "a file of whole records");
    records.map(<[u8]>::to_vec).collect()
}

fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or_else(|| panic!("no {name} in {value:#}"))
}

fn status(home: &Home) -> Value {
    home.json(&["imprag", "status", "default"])["imprag"][0].clone()
}

fn is_whole(status: &Value) {
    assert_eq!(status["is_whole"], true, "{status:#}");
    assert_eq!(status["passages"], status["vectors"]);
    assert_eq!(status["vectors"], status["states"], "{status:#}");
}

fn index(home: &Home) -> Value {
    home.json(&["imprag", "index", "default"])
}

/// The state of the newest job.
fn newest_job(home: &Home) -> (u64, String, String) {
    let jobs = home.json(&["jobs"])["jobs"].clone();
    let text = |name: &str| jobs[0][name].as_str().expect("a word").to_owned();
    (number(&jobs[0], "id"), text("kind"), text("state"))
}

fn spawned(home: &Home) -> Child {
    let mut command = home.command();
    let command = command.args(["imprag", "index"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("the program starts")
}

/// Starts to prepare and waits until so many records are on the disk.
fn started(home: &Home, at_least: usize) -> Child {
    let began = Instant::now();
    let mut child = spawned(home);
    let there = || {
        let sizes = files(home, "vectors").into_iter().filter_map(|path| fs::metadata(path).ok());
        sizes.map(|facts| facts.len()).max().unwrap_or(0) as usize
    };
    while there() < HEADER + at_least * RECORD {
        assert!(began.elapsed() < PATIENCE, "nothing is written");
        let ended = child.try_wait().expect("a child");
        assert!(ended.is_none(), "it ended with {ended:?} before it was stopped");
        std::thread::sleep(Duration::from_millis(10));
    }
    child
}

fn ask(home: &Home) -> Value {
    home.json(&["ask", "--method", "imprag", "--no-abstain", QUESTION])
}

#[test]
fn passages_are_prepared_once_and_kept_in_step() {
    if !models_are_installed() {
        return;
    }
    let home = Home::new();
    let _ = home.json(&[&["import"], &SAMPLES[..]].concat());
    let empty = status(&home);
    assert_eq!((number(&empty, "vectors"), &empty["is_whole"]), (0, &false.into()));
    let passages = number(&empty, "passages");
    assert!(passages > 16, "more than one batch");

    let whole = index(&home);
    is_whole(&whole);
    assert_eq!(whole, status(&home));
    assert_eq!((&whole["mode"], &whole["tier"]), (&"fast".into(), &"start".into()));
    assert_eq!(whole["layers"], serde_json::json!([7, 17]));
    let first = vectors(&home);
    assert_eq!(records(&first).len() as u64, passages);
    // Keys and values of 11 layers, 2 heads of 64 numbers of 16 bits: 5,632 bytes a token.
    let (bytes, tokens) = (number(&whole, "state_bytes"), number(&whole, "tokens"));
    assert!(bytes > tokens * 5_632 && bytes < tokens * 5_632 + passages * 4_096, "{whole:#}");
    let (_, kind, state) = newest_job(&home);
    assert_eq!((kind.as_str(), state.as_str()), ("encode", "finished"));

    // A file that was cut in the middle of a record: all but the last are known, and that one
    // is made again, to the bit.
    let path = files(&home, "vectors").remove(0);
    fs::write(&path, &first[..first.len() - 100]).expect("a torn file");
    assert_eq!(number(&status(&home), "vectors"), passages - 1);
    is_whole(&index(&home));
    assert_eq!(vectors(&home), first);
    // One that is damaged at its beginning is made again as a whole.
    fs::write(&path, &first[1..]).expect("a damaged file");
    assert_eq!(number(&status(&home), "vectors"), 0);
    fs::remove_file(&path).expect("the damaged file");

    // What is killed goes on and comes to the same.
    let mut child = started(&home, 1);
    child.kill().expect("SIGKILL");
    let _ = child.wait();
    let (id, _, state) = newest_job(&home);
    assert_eq!(state, "interrupted");
    let known = number(&status(&home), "vectors");
    assert!((1..passages).contains(&known), "{known} of {passages}");
    let resumed = home.json(&["jobs", "resume", &id.to_string()]);
    is_whole(&resumed);
    assert_eq!(records(&vectors(&home)), records(&first));

    // A new document: only its own passages are encoded.
    let before = vectors(&home);
    let _ = home.json(&["import", ONE_MORE]);
    assert_eq!(vectors(&home), before);
    // Paused by another process, it stops and can go on.
    let mut child = spawned(&home);
    let began = Instant::now();
    let id = loop {
        let (id, kind, state) = newest_job(&home);
        if kind == "encode" && state == "running" {
            break id;
        }
        assert!(began.elapsed() < PATIENCE, "no job: {kind} {state}");
    };
    let _ = home.json(&["jobs", "pause", &id.to_string()]);
    assert!(!child.wait().expect("an end").success());
    assert_eq!(newest_job(&home).2, "paused");
    let more = index(&home);
    is_whole(&more);
    let all = vectors(&home);
    assert!(all.starts_with(&before) && all.len() > before.len());
    assert_eq!(all.len() - HEADER, number(&more, "passages") as usize * RECORD);
    let states = files(&home, "passage").len() as u64;
    assert_eq!(states, number(&more, "states"));

    // Deleted: nothing of it stays.
    let documents = home.json(&["documents"]);
    let document = documents["documents"]
        .as_array()
        .expect("documents")
        .iter()
        .find(|one| one["path"].as_str().is_some_and(|path| path.ends_with("loan-agreement.pdf")))
        .expect("the document");
    let _ = home.json(&["documents", "delete", &document["id"].to_string()]);
    assert_eq!(vectors(&home), before);
    assert_eq!(files(&home, "passage").len() as u64, passages);
    is_whole(&status(&home));

    // From disk and on the fly: the same answer.
    let stored = ask(&home);
    let trace = &stored["imprag"];
    assert_eq!(trace["encoded"], 0, "{trace:#}");
    assert!(number(trace, "restored_bytes") > 0);
    fs::write(home.path().join("config.toml"), "passage_states_mb = 0\n").expect("settings");
    let fresh = ask(&home);
    let found = stored["retrieved"].as_array().expect("passages").len() as u64;
    let read = number(&fresh["imprag"], "encoded");
    assert!(read > 0 && read <= found && fresh["imprag"]["restored_bytes"] == 0);
    assert_eq!(fresh["text"], stored["text"]);
    assert_eq!(fresh["imprag"]["scores"], trace["scores"]);

    // Without room nothing is kept, and states of what was not used for longest go first.
    let none = index(&home);
    assert_eq!((number(&none, "states"), none["is_whole"].as_bool()), (0, Some(true)));
    assert!(files(&home, "passage").is_empty());
    fs::write(home.path().join("config.toml"), "passage_states_mb = 1\n").expect("settings");
    assert!(number(&index(&home), "state_bytes") <= 1 << 20);
    let read = ask(&home);
    assert_eq!(read["text"], stored["text"]);
    assert!(number(&read["imprag"], "encoded") > 0);

    // Vectors of another way of reading are the same; a few new passages are encoded while a
    // question waits.
    let joint = home.json(&["imprag", "index", "default", "--mode", "quality"]);
    assert_eq!(joint["mode"], "quality");
    assert_eq!(vectors(&home), before);
    let _ = home.json(&["import", ONE_MORE]);
    let asked = ask(&home);
    assert_eq!(asked["imprag"]["mode"], "quality");
    assert_eq!(status(&home)["is_whole"], true);

    let _ = home.json(&["collections", "delete", "default", "--yes"]);
    assert_eq!(fs::read_dir(home.path().join("implicit")).map_or(0, Iterator::count), 0);
}
