//! Checkpoints: whole at every moment, and refused when they are about something else.

mod common;

use common::objective::{Memorise, plan};
use quartet_train::{Checkpoints, Compute, Control, Origin, Source, State, train};
use quartet_types::{ErrorCode, Sha256};
use std::path::{Path, PathBuf};

fn origin(base: &str, data: &str) -> Origin {
    let source = |name: &str, digit: &str| Source {
        name: name.to_owned(),
        sha256: Sha256(digit.repeat(64)),
    };
    Origin {
        artefact: "expert \"contracts\"".to_owned(),
        base: source("tiny.gguf", base),
        data: source("contracts", data),
        settings: serde_json::to_value(plan()).unwrap(),
    }
}

/// A training whose checkpoints of updates 9 and 12 are in `folder`.
fn trained(folder: &Path) -> (State, State) {
    let mut objective = Memorise::new("qwen2");
    let fresh = objective.state();
    let mut state = fresh.clone();
    let checkpoints = Checkpoints::new(folder, origin("a", "b"));
    let compute = Compute::cpu();
    let control = Control::new();
    train(&plan(), &compute, &mut objective, &mut state, Some(&checkpoints), &control, &mut |_| {})
        .unwrap();
    (fresh, state)
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

#[test]
fn two_are_kept_and_the_newest_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let (fresh, last) = trained(folder.path());
    let all = folders(folder.path());
    assert_eq!(all.len(), 2);
    let checkpoints = Checkpoints::new(folder.path(), origin("a", "b"));
    assert_eq!(checkpoints.load(&fresh.parameters).unwrap().unwrap(), last);
    // Saving the same update again is harmless.
    checkpoints.save(&last).unwrap();
    assert_eq!(folders(folder.path()), all);
    checkpoints.clear().unwrap();
    assert!(checkpoints.load(&fresh.parameters).unwrap().is_none());
}

#[test]
fn a_write_that_was_cut_off_anywhere_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (fresh, last) = trained(folder.path());
    let whole = folders(folder.path()).pop().unwrap();
    // The process died in the middle of the next write: every prefix of what it writes.
    let bytes = std::fs::read(whole.join("state.safetensors")).unwrap();
    let partial = folder.path().join("step-0000000015.partial");
    let checkpoints = Checkpoints::new(folder.path(), origin("a", "b"));
    for share in [0, 1, 7, 99, 100] {
        std::fs::create_dir_all(&partial).unwrap();
        let cut = &bytes[..bytes.len() * share / 100];
        std::fs::write(partial.join("state.safetensors"), cut).unwrap();
        if share == 100 {
            std::fs::write(partial.join("manifest.json"), b"{\"format\": 1, \"ori").unwrap();
        }
        assert_eq!(checkpoints.load(&fresh.parameters).unwrap().unwrap(), last);
    }
    // And the remains are no obstacle to the next one.
    let mut next = last;
    next.step = 15;
    next.moments.updates = 15;
    checkpoints.save(&next).unwrap();
    assert!(!partial.exists());
    assert_eq!(checkpoints.load(&fresh.parameters).unwrap().unwrap().step, 15);
}

#[test]
fn a_damaged_checkpoint_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let (fresh, _) = trained(folder.path());
    let all = folders(folder.path());
    let checkpoints = Checkpoints::new(folder.path(), origin("a", "b"));
    let damage = |place: &Path, name: &str| {
        let path = place.join(name);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x40;
        std::fs::write(&path, bytes).unwrap();
    };
    damage(&all[1], "state.safetensors");
    assert_eq!(checkpoints.load(&fresh.parameters).unwrap().unwrap().step, 9);
    std::fs::remove_file(all[1].join("manifest.json")).unwrap();
    assert_eq!(checkpoints.load(&fresh.parameters).unwrap().unwrap().step, 9);
    damage(&all[0], "state.safetensors");
    // None is whole: an error, never a silent start from nothing.
    assert!(checkpoints.load(&fresh.parameters).is_err());
}

#[test]
fn what_was_made_from_something_else_is_stale() {
    let folder = tempfile::tempdir().unwrap();
    let (fresh, _) = trained(folder.path());
    for (now, what) in [
        (origin("c", "b"), "base model"),
        (origin("a", "c"), "study material"),
        (Origin { settings: serde_json::json!({"rank": 4}), ..origin("a", "b") }, "settings"),
    ] {
        let error = Checkpoints::new(folder.path(), now).load(&fresh.parameters).unwrap_err();
        assert_eq!(error.code, ErrorCode::Corrupt);
        assert!(error.message.contains("expert \"contracts\" is stale"), "{error}");
        assert!(error.message.contains(what), "{error}");
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let (_, last) = trained(folder.path());
    let file = folder.path().join("not-a-folder");
    std::fs::write(&file, b"x").unwrap();
    let checkpoints = Checkpoints::new(file.join("inside"), origin("a", "b"));
    assert!(checkpoints.save(&last).is_err());
}
