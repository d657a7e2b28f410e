//! A real end: the process is killed at any moment, and another goes on.

#![allow(clippy::print_stdout)]

mod common;

use common::objective::{Memorise, plan};
use quartet_train::{Checkpoints, Compute, Control, Ending, Origin, Source, TrainingPlan, train};
use quartet_types::Sha256;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const FOLDER: &str = "QUARTET_TEST_KILLED_FOLDER";

fn long() -> TrainingPlan {
    TrainingPlan { steps: 120, checkpoint_every: 1, evaluate_every: 7, accumulate: 2, ..plan() }
}

fn checkpoints(folder: &Path) -> Checkpoints {
    let source = |name: &str| Source { name: name.to_owned(), sha256: Sha256("ab".repeat(32)) };
    let origin = Origin {
        artefact: "expert \"test\"".to_owned(),
        base: source("tiny"),
        data: source("sequences"),
        settings: serde_json::to_value(long()).unwrap(),
    };
    Checkpoints::new(folder, origin)
}

/// The checkpoint with the highest number.
fn newest(folder: &Path) -> Option<String> {
    let names = std::fs::read_dir(folder).unwrap().flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.len() == "step-0000000000".len()).max()
}

/// Not a test of its own: what the child process of the test below does.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let mut objective = Memorise::new("qwen2");
    let fresh = objective.state();
    let checkpoints = checkpoints(folder.as_ref());
    let mut state = checkpoints.load(&fresh.parameters).unwrap().unwrap_or(fresh);
    let control = Control::new();
    let compute = Compute::cpu();
    let kept = Some(&checkpoints);
    let plan = long();
    let ended = train(&plan, &compute, &mut objective, &mut state, kept, &control, &mut |_| {});
    assert_eq!(ended.unwrap(), Ending::Finished);
}

#[test]
fn killed_again_and_again_the_result_is_the_same_bit_for_bit() {
    let mut objective = Memorise::new("qwen2");
    let fresh = objective.state();
    let mut whole = fresh.clone();
    let (plan, control, compute) = (long(), Control::new(), Compute::cpu());
    train(&plan, &compute, &mut objective, &mut whole, None, &control, &mut |_| {}).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let start = || {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    // Each of the first is killed soon after it has got further than the one before it.
    let mut random = common::Random(3);
    let mut kills = 0;
    for _ in 0..6 {
        let before = newest(folder.path());
        let mut child = start();
        while newest(folder.path()) == before && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_micros(random.bits() % 30_000));
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            kills += 1;
        }
        child.wait().unwrap();
    }
    assert!(kills >= 3, "killed only {kills} times");
    assert!(start().wait().unwrap().success());
    println!("killed {kills} times");
    let state = checkpoints(folder.path()).load(&fresh.parameters).unwrap().unwrap();
    assert_eq!(state, whole);
}
