//! `kill -9` at random moments of an import: what is resumed equals what was never interrupted.

use quartet_tests::{Home, models_are_installed};
use std::process::Stdio;
use std::time::{Duration, Instant};

const KILLS: u32 = 20;

fn fingerprint(home: &Home) -> String {
    home.json(&["doctor"])["fingerprints"]["default"].as_str().expect("a fingerprint").to_owned()
}

#[test]
fn a_killed_import_resumes_to_the_same_library() {
    if !models_are_installed() {
        return;
    }
    let whole = Home::new();
    let started = Instant::now();
    let _ = whole.json(&["import", "assets/samples"]);
    let usual = started.elapsed();
    let expected = fingerprint(&whole);

    let home = Home::new();
    // A fixed sequence of moments spread over the whole import (golden-ratio steps).
    let mut phase = 0.17_f64;
    for _ in 0..KILLS {
        phase = (phase + 0.618_034) % 1.0;
        let mut import = home
            .command()
            .args(["import", "assets/samples"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        std::thread::sleep(Duration::from_secs_f64(usual.as_secs_f64() * phase * 0.9));
        import.kill().expect("SIGKILL");
        let _ = import.wait();
        // A library that was killed can still be listed and searched.
        let _ = home.json(&["documents"]);
    }
    let _ = home.json(&["import", "assets/samples"]);
    assert_eq!(fingerprint(&home), expected);

    let question = "What does the contract say?";
    let ids = |home: &Home| -> Vec<(String, u64, u64)> {
        home.json(&["search", question])["hits"]
            .as_array()
            .expect("hits")
            .iter()
            .map(|hit| {
                let passage = &hit["passage"];
                let number = |value: &serde_json::Value| value.as_u64().expect("a number");
                let path = passage["path"].as_str().expect("a path").to_owned();
                (path, number(&passage["span"]["page"]), number(&passage["span"]["start"]))
            })
            .collect()
    };
    assert_eq!(ids(&home), ids(&whole));
}
