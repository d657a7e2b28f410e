//! Bad input: a clear error that names the file and the remedy, and nothing else is lost.

use quartet_tests::{Home, models_are_installed, root, shared_data};
use serde_json::Value;
use std::fs;
use std::io::Write as _;

fn has_hint(error: &Value) {
    assert!(error["hint"].as_str().is_some_and(|hint| hint.len() > 10), "no remedy: {error:#}");
}

#[test]
fn a_path_that_is_not_there_is_named() {
    let home = Home::new();
    let (code, error) = home.failure(&["import", "no-such-folder"]);
    assert_eq!(code, 3, "{error:#}");
    assert!(
        error["subject"].as_str().is_some_and(|subject| subject.contains("no-such-folder")),
        "{error:#}"
    );
    has_hint(&error);
}

#[test]
fn an_empty_question_and_an_unknown_method_are_refused() {
    let home = Home::new();
    let (code, error) = home.failure(&["ask", "  ", "--method", "none"]);
    assert_eq!((code, &error["code"]), (2, &Value::from("invalid_input")));
    let (code, error) = home.failure(&["ask", "Why?", "--method", "magic"]);
    assert_eq!(code, 2);
    has_hint(&error);
    let (code, error) = home.failure(&["ask", "Why?", "--method", "iag"]);
    assert_eq!((code, &error["code"]), (3, &Value::from("not_found")), "nothing is imagined yet");
    has_hint(&error);
}

#[test]
fn a_file_that_is_no_model_is_refused_before_it_is_loaded() {
    let home = Home::new();
    for (name, content) in [
        ("empty.gguf", &b""[..]),
        ("text.gguf", b"GGUF but not really"),
        ("picture.gguf", b"\x89PNG\r\n"),
    ] {
        let path = home.path().join(name);
        fs::write(&path, content).expect("written");
        let path = path.to_str().expect("UTF-8");
        let (code, error) = home.failure(&["ask", "Why?", "--method", "none", "--base", path]);
        assert_eq!((code, &error["code"]), (5, &Value::from("bad_model")), "{error:#}");
        assert!(
            error["subject"].as_str().is_some_and(|subject| subject.contains(name)),
            "{error:#}"
        );
    }
}

#[test]
fn hostile_files_do_not_keep_good_ones_out() {
    if !models_are_installed() {
        return;
    }
    let home = Home::new();
    let folder = home.path().join("mixed");
    fs::create_dir(&folder).expect("made");
    fs::write(folder.join("empty.pdf"), b"").expect("written");
    fs::write(folder.join("page.pdf"), b"<!doctype html><p>not a PDF").expect("written");
    let sample = fs::read_dir(root().join("assets/samples"))
        .expect("assets/samples")
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "pdf"))
        .expect("a sample");
    let good = fs::read(&sample).expect("readable");
    fs::write(folder.join("cut.pdf"), &good[..good.len() / 3]).expect("written");
    fs::write(folder.join("good.pdf"), &good).expect("written");

    let output = home.run(&["--json", "import", folder.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(4), "some files failed, so not 0");
    let documents = home.json(&["documents"]);
    for document in documents["documents"].as_array().expect("a list") {
        let path = document["path"].as_str().expect("a path");
        if path.ends_with("good.pdf") {
            assert_eq!(document["status"], "ready", "{document:#}");
        } else if !path.ends_with("cut.pdf") {
            assert_eq!(document["status"], "failed", "{document:#}");
            assert!(
                document["reason"].as_str().is_some_and(|reason| !reason.is_empty()),
                "{document:#}"
            );
        }
    }
    assert_eq!(
        documents["documents"].as_array().map(Vec::len),
        Some(4),
        "every file given is listed"
    );
}

#[test]
fn protected_and_scanned_files_are_named_as_such() {
    let Some(good) = shared_data("pdfs/good") else { return };
    if !models_are_installed() {
        return;
    }
    let home = Home::new();
    let protected = good.join("005-libreoffice-writer-password__libreoffice-writer-password.pdf");
    let output = home.run(&["--json", "import", protected.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(4));
    let documents = home.json(&["documents"]);
    assert_eq!(documents["documents"][0]["status"], "protected", "{documents:#}");
}

#[test]
fn a_question_of_a_hundred_thousand_characters_is_refused_by_number() {
    if !models_are_installed() {
        return;
    }
    let home = Home::new();
    let question = "why is it so and not otherwise? ".repeat(3200);
    let (code, error) = home.failure(&["ask", &question, "--method", "none"]);
    assert_eq!((code, &error["code"]), (6, &Value::from("prompt_too_long")), "{error:#}");
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|message| message.chars().any(|letter| letter.is_ascii_digit())),
        "{error:#}"
    );
    has_hint(&error);
}

#[test]
fn a_data_folder_that_cannot_be_written_is_named() {
    let home = Home::new();
    // A file in the place of the folder stops even a superuser.
    let blocked = home.path().join("blocked");
    fs::write(&blocked, b"in the way").expect("written");
    let output = home
        .command()
        .env("QUARTET_HOME", &blocked)
        .args(["--json", "import", "assets/samples"])
        .output()
        .expect("starts");
    assert!(output.status.code().is_some_and(|code| code != 0), "{}", output.status);
    let error = &quartet_tests::parse(&output)["error"];
    assert!(
        error["subject"].as_str().is_some_and(|subject| subject.contains("blocked")),
        "{error:#}"
    );
    has_hint(error);
}

#[test]
fn a_second_writer_is_refused_and_named() {
    if !models_are_installed() {
        return;
    }
    let home = Home::new();
    let _ = home.json(&["import", "assets/samples"]);
    // What an import in another process does: hold the lock, with its process id inside.
    let lock =
        fs::OpenOptions::new().write(true).truncate(false).open(home.path().join("writer.lock"));
    let mut lock = lock.expect("the lock file");
    lock.lock().expect("locked");
    lock.set_len(0).expect("emptied");
    write!(lock, "4242").expect("written");
    let (code, error) = home.failure(&["import", "assets/samples"]);
    assert_eq!((code, &error["code"]), (8, &Value::from("busy")), "{error:#}");
    assert!(error["message"].as_str().is_some_and(|text| text.contains("4242")), "{error:#}");
    has_hint(&error);
    // Reading goes on meanwhile.
    let hits = home.json(&["search", "compressor"]);
    assert!(hits["hits"].as_array().is_some_and(|hits| !hits.is_empty()));
}
