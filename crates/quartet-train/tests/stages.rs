//! A whole training from files to a file: stages, going on, and refusing what changed.

#![allow(clippy::print_stdout)]

mod common;

use quartet_gguf::sha256_of_file;
use quartet_train::{
    Architecture, Compute, Control, Source, TextEvent, TextSample, TextStage, TextTraining,
    TrainingPlan, measure_text, read_adapter, train_text,
};
use quartet_types::{ErrorCode, Sha256};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const FOLDER: &str = "QUARTET_TEST_STAGES_FOLDER";

fn samples(seed: u64, count: usize) -> Vec<TextSample> {
    let mut random = common::Random(seed);
    let mut ids = |length: usize| (0..length).map(|_| 3 + (random.bits() % 93) as u32).collect();
    (0..count).map(|at| TextSample { ids: ids(6 + at % 5), learn_from: 1 + at % 3 }).collect()
}

fn stage(name: &str, seed: u64, steps: u64) -> TextStage {
    TextStage {
        name: name.to_owned(),
        plan: TrainingPlan {
            steps,
            accumulate: 2,
            rate: 5e-3,
            seed,
            evaluate_every: 5,
            checkpoint_every: 2,
            ..TrainingPlan::default()
        },
        samples: samples(seed, 9),
        held_out: samples(seed + 50, 3),
        rows: 16,
    }
}

/// A training in `folder`, where the model is made if it is not there.
fn training(folder: &Path) -> TextTraining {
    let model = folder.join("gemma3.gguf");
    if !model.exists() {
        common::tiny(folder, "gemma3");
    }
    let sha256 = sha256_of_file(&model, |_| ControlFlow::Continue(())).unwrap();
    TextTraining {
        model,
        base: Source { name: "tiny".to_owned(), sha256 },
        data: Source { name: "sequences".to_owned(), sha256: Sha256("cd".repeat(32)) },
        artefact: "expert \"test\"".to_owned(),
        lora: None,
        rank: 2,
        stages: vec![stage("reading", 1, 20), stage("nothing", 2, 0), stage("answering", 3, 30)],
        is_small: false,
        folder: folder.join("work"),
        output: folder.join("out/adapter.gguf"),
        seed: 4,
    }
}

fn digest(path: &Path) -> Sha256 {
    sha256_of_file(path, |_| ControlFlow::Continue(())).unwrap()
}

#[test]
fn stages_follow_each_other_and_the_adapter_fits_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let request = training(folder.path());
    let mut events = Vec::new();
    let compute = Compute::cpu();
    let trained =
        train_text(&request, &compute, &Control::new(), &mut |event| events.push(event)).unwrap();
    assert_eq!(trained.adapter, digest(&request.output));
    let steps: Vec<u64> = trained.stages.iter().map(|stage| stage.steps).collect();
    assert_eq!(steps, [20, 0, 30]);
    assert_eq!(trained.stages[0].evaluations.len(), 4);
    let curve = &trained.stages[2].curve;
    assert!(curve[25..].iter().sum::<f64>() < curve[..5].iter().sum::<f64>(), "{curve:?}");
    // Both stages are foretold before the first update.
    let foretold = |event: &TextEvent| matches!(event, TextEvent::Estimate { .. });
    assert!(foretold(&events[0]) && foretold(&events[1]) && !foretold(&events[2]), "{events:?}");

    let header = quartet_gguf::GgufFile::open(&request.model).unwrap();
    let architecture = Architecture::from_file(&header).unwrap();
    read_adapter(&request.output, &architecture, &compute, 1.0).unwrap();
    assert!(measure_text(&request, &compute, &Control::new()).unwrap() > 0.0);

    // Small memory learns the same, up to rounding.
    let small = tempfile::tempdir().unwrap();
    let request = TextTraining { is_small: true, ..training(small.path()) };
    let also = train_text(&request, &compute, &Control::new(), &mut |_| {}).unwrap();
    for (one, other) in trained.stages[0].curve.iter().zip(&also.stages[0].curve) {
        assert!((one - other).abs() < 1e-3, "{one} {other}");
    }
}

#[test]
fn a_paused_training_goes_on_to_the_same_bits() {
    let compute = Compute::cpu();
    let whole = tempfile::tempdir().unwrap();
    let request = training(whole.path());
    train_text(&request, &compute, &Control::new(), &mut |_| {}).unwrap();
    let expected = digest(&request.output);

    let folder = tempfile::tempdir().unwrap();
    let request = training(folder.path());
    for pause_at in [(0, 7), (2, 3), (2, 29)] {
        let control = Control::new();
        let error = train_text(&request, &compute, &control, &mut |event| {
            if let TextEvent::Step { stage, step, .. } = event
                && (stage, step) == pause_at
            {
                control.pause();
            }
        });
        assert_eq!(error.unwrap_err().code, ErrorCode::Cancelled);
        assert!(!request.output.exists());
    }
    train_text(&request, &compute, &Control::new(), &mut |_| {}).unwrap();
    assert_eq!(digest(&request.output), expected);
}

/// Not a test of its own: what the child process of the test below does.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let request = training(folder.as_ref());
    train_text(&request, &Compute::cpu(), &Control::new(), &mut |_| {}).unwrap();
}

#[test]
fn killed_at_any_moment_it_goes_on_to_the_same_bits() {
    let compute = Compute::cpu();
    let whole = tempfile::tempdir().unwrap();
    let request = training(whole.path());
    train_text(&request, &compute, &Control::new(), &mut |_| {}).unwrap();
    let expected = digest(&request.output);

    let folder = tempfile::tempdir().unwrap();
    let request = training(folder.path());
    let start = || {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    let mut random = common::Random(8);
    let mut kills = 0;
    while kills < 8 {
        let mut child = start();
        std::thread::sleep(Duration::from_micros(random.bits() % 400_000));
        if child.try_wait().unwrap().is_some() {
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
    }
    println!("killed {kills} times");
    assert!(start().wait().unwrap().success());
    assert_eq!(digest(&request.output), expected);
}

#[test]
fn it_does_not_go_on_with_something_else() {
    let compute = Compute::cpu();
    let folder = tempfile::tempdir().unwrap();
    let request = training(folder.path());
    train_text(&request, &compute, &Control::new(), &mut |_| {}).unwrap();

    let mut other = request.clone();
    other.data.sha256 = Sha256("ef".repeat(32));
    let error = train_text(&other, &compute, &Control::new(), &mut |_| {}).unwrap_err();
    assert_eq!(error.code, ErrorCode::Corrupt);
    assert!(
        error.message.contains("expert \"test\"") && error.message.contains("sequences"),
        "{error}"
    );

    // Another base under the same name.
    std::fs::copy(common::tiny(tempfile::tempdir().unwrap().path(), "qwen2"), &request.model)
        .unwrap();
    let error = train_text(&request, &compute, &Control::new(), &mut |_| {}).unwrap_err();
    assert_eq!(error.code, ErrorCode::Corrupt);
    assert!(error.subject.is_some() && error.hint.is_some(), "{error:?}");
}
