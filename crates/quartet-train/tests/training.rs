//! The loop: it learns, stops when asked, and goes on as if it had never stopped.

#![allow(clippy::print_stdout)]

mod common;

use common::objective::{Memorise, plan};
use quartet_train::{
    Checkpoints, Compute, Control, Ending, Objective, Origin, Source, State, TrainingEvent,
    TrainingPlan, calibrate, train,
};
use quartet_types::{ErrorCode, Result, Sha256};

fn origin() -> Origin {
    let source = |name: &str| Source { name: name.to_owned(), sha256: Sha256("ab".repeat(32)) };
    Origin {
        artefact: "expert \"test\"".to_owned(),
        base: source("tiny"),
        data: source("sequences"),
        settings: serde_json::to_value(plan()).unwrap(),
    }
}

fn go(
    plan: &TrainingPlan,
    objective: &mut Memorise,
    state: &mut State,
    checkpoints: Option<&Checkpoints>,
) -> Result<Ending> {
    train(plan, &Compute::cpu(), objective, state, checkpoints, &Control::new(), &mut |_| {})
}

#[test]
fn a_tiny_model_learns_four_sequences_by_heart() {
    for family in ["qwen2", "gemma3"] {
        let mut objective = Memorise::new(family);
        let mut state = objective.state();
        let plan = TrainingPlan { steps: 100, accumulate: 4, rate: 1e-2, ..plan() };
        assert_eq!(go(&plan, &mut objective, &mut state, None).unwrap(), Ending::Finished);
        let (first, last) = (state.curve[0], state.curve[99]);
        println!("{family}: {first} to {last}");
        // The head is frozen and random: its rows limit how certain the model can be.
        assert!(first > 3.0 && last < 0.4 * first, "{family}: {first} to {last}");
        let leaves = state.parameters.constants(&Compute::cpu()).unwrap();
        for (sample, ids) in objective.sequences.iter().enumerate() {
            let hidden = objective.hidden(&leaves, sample).unwrap();
            let logits = objective.decoder.logits(hidden).unwrap();
            let top: Vec<i64> = logits.argmax(1).into_data().iter::<i64>().collect();
            let said: Vec<u32> = top.iter().take(11).map(|id| *id as u32).collect();
            assert_eq!(said, ids[1..], "{family}");
        }
    }
}

#[test]
fn going_on_after_any_interruption_is_exact() {
    let mut objective = Memorise::new("qwen2");
    let mut whole = objective.state();
    go(&plan(), &mut objective, &mut whole, None).unwrap();
    for interrupted_after in 1..36 {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path(), origin());
        let fresh = objective.state();
        // The process ends without a word in the middle of a micro-batch.
        let mut dying = Dying { inner: &mut objective, left: interrupted_after };
        let mut state = fresh.clone();
        let compute = Compute::cpu();
        let error = train(
            &plan(),
            &compute,
            &mut dying,
            &mut state,
            Some(&checkpoints),
            &Control::new(),
            &mut |_| {},
        )
        .unwrap_err();
        assert_eq!(error.code, ErrorCode::WorkerDied);
        let found = checkpoints.load(&fresh.parameters).unwrap();
        assert_eq!(found.as_ref().map_or(0, |state| state.step), interrupted_after as u64 / 9 * 3);
        let mut state = found.unwrap_or(fresh);
        go(&plan(), &mut objective, &mut state, Some(&checkpoints)).unwrap();
        // Bits, not approximations: parameters, moments, curve, evaluations.
        assert_eq!(state, whole, "interrupted after {interrupted_after}");
    }
}

struct Dying<'a> {
    inner: &'a mut Memorise,
    left: usize,
}

impl Objective for Dying<'_> {
    fn samples(&self) -> usize {
        self.inner.samples()
    }

    fn gradients(
        &mut self,
        leaves: &quartet_train::Leaves,
        sample: usize,
        step: u64,
    ) -> Result<quartet_train::Gradients> {
        if self.left == 0 {
            return Err(quartet_types::Error::new(ErrorCode::WorkerDied, "killed"));
        }
        self.left -= 1;
        self.inner.gradients(leaves, sample, step)
    }

    fn evaluate(&mut self, leaves: &quartet_train::Leaves) -> Result<Option<f64>> {
        self.inner.evaluate(leaves)
    }
}

#[test]
fn a_pause_saves_and_a_cancellation_does_not() {
    let mut objective = Memorise::new("qwen2");
    let mut whole = objective.state();
    go(&plan(), &mut objective, &mut whole, None).unwrap();
    for (is_pause, ending) in [(true, Ending::Paused), (false, Ending::Cancelled)] {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path(), origin());
        let control = Control::new();
        let mut state = objective.state();
        let mut last = 0;
        let ended = train(
            &plan(),
            &Compute::cpu(),
            &mut objective,
            &mut state,
            Some(&checkpoints),
            &control,
            &mut |event| {
                if let TrainingEvent::Step { step, .. } = event {
                    last = step;
                    if step == 5 {
                        if is_pause { control.pause() } else { control.cancel() }
                    }
                }
            },
        );
        assert_eq!((ended.unwrap(), last), (ending, 5));
        let mut state = checkpoints.load(&whole.parameters).unwrap().unwrap();
        assert_eq!(state.step, if is_pause { 5 } else { 3 });
        go(&plan(), &mut objective, &mut state, Some(&checkpoints)).unwrap();
        assert_eq!(state, whole);
    }
}

#[test]
fn numbers_that_are_not_finite_are_named() {
    let mut objective = Memorise::new("qwen2");
    objective.poisoned_at = Some(2);
    let mut state = objective.state();
    let error = go(&plan(), &mut objective, &mut state, None).unwrap_err();
    assert_eq!(error.code, ErrorCode::Corrupt);
    assert!(error.message.contains("gradient of blk.0.attn_q.weight.lora_a"), "{error}");
    assert_eq!(state.step, 2);

    objective.poisoned_at = None;
    state.parameters.values_mut("blk.2.ffn_up.weight.lora_b").unwrap()[7] = f32::INFINITY;
    let error = go(&plan(), &mut objective, &mut state, None).unwrap_err();
    assert!(error.message.contains("blk.2.ffn_up.weight.lora_b"), "{error}");

    let wild = TrainingPlan { rate: 1e39, clip: None, warm_up: 0, ..plan() };
    let mut state = objective.state();
    let error = go(&wild, &mut objective, &mut state, None).unwrap_err();
    assert_eq!(error.code, ErrorCode::Corrupt);
}

#[test]
fn a_broken_weight_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.gguf");
    let mut file = common::writer("qwen2");
    let mut values = vec![1.0; common::WIDTH];
    values[3] = f32::NAN;
    let lengths = [common::WIDTH as u64];
    file.tensor("blk.9.attn_norm.weight", &lengths, quartet_gguf::TensorType::F32, &values)
        .unwrap();
    // The writer appends only: the bad tensor takes the name and place of a good one.
    let mut bytes = file.to_bytes();
    swap_names(&mut bytes, b"blk.9.attn_norm.weight", b"blk.1.attn_norm.weight");
    std::fs::write(&path, bytes).unwrap();
    let loaded =
        quartet_train::Decoder::load(&path, &Compute::cpu(), quartet_train::Holding::Floats);
    let error = loaded.unwrap_err();
    assert!(error.message.contains("blk.1.attn_norm.weight"), "{error}");
}

fn swap_names(bytes: &mut [u8], one: &[u8], other: &[u8]) {
    let find = |name: &[u8]| bytes.windows(name.len()).position(|window| window == name).unwrap();
    let (first, second) = (find(one), find(other));
    bytes[first..first + one.len()].copy_from_slice(other);
    bytes[second..second + other.len()].copy_from_slice(one);
}

#[test]
fn training_stops_early_and_keeps_the_best() {
    /// Learns as it does, and is told how good it was.
    struct Told<'a> {
        inner: &'a mut Memorise,
        verdicts: std::vec::IntoIter<f64>,
    }
    impl Objective for Told<'_> {
        fn samples(&self) -> usize {
            self.inner.samples()
        }
        fn gradients(
            &mut self,
            leaves: &quartet_train::Leaves,
            sample: usize,
            step: u64,
        ) -> Result<quartet_train::Gradients> {
            self.inner.gradients(leaves, sample, step)
        }
        fn evaluate(&mut self, _: &quartet_train::Leaves) -> Result<Option<f64>> {
            Ok(self.verdicts.next())
        }
    }
    let mut objective = Memorise::new("qwen2");
    let mut state = objective.state();
    let plan = TrainingPlan { steps: 40, evaluate_every: 1, patience: 3, ..plan() };
    let run = |objective: &mut Memorise, state: &mut State, verdicts: Vec<f64>| {
        let mut told = Told { inner: objective, verdicts: verdicts.into_iter() };
        let compute = Compute::cpu();
        train(&plan, &compute, &mut told, state, None, &Control::new(), &mut |_| {}).unwrap()
    };
    // Two bad ones in a row are borne, three are not.
    let verdicts = vec![3.0, 2.0, 2.5, 2.25, 1.5, 1.75, 1.5, 1.6, 1.0];
    assert_eq!(run(&mut objective, &mut state, verdicts), Ending::Early);
    let best = state.best.clone().unwrap();
    assert_eq!((state.step, best.at.step, best.at.loss), (8, 5, 1.5));
    assert_eq!(state.best_parameters().unwrap().all()[0].values, best.values[0]);
    assert_ne!(state.best_parameters().unwrap(), state.parameters);
    // And the best are those of the fifth update.
    let mut again = objective.state();
    let short = TrainingPlan { evaluate_every: 0, ..plan.clone() };
    let control = Control::new();
    let stop = control.clone();
    let compute = Compute::cpu();
    train(&short, &compute, &mut objective, &mut again, None, &control, &mut |event| {
        if matches!(event, TrainingEvent::Step { step: 5, .. }) {
            stop.cancel();
        }
    })
    .unwrap();
    assert_eq!(again.parameters, state.best_parameters().unwrap());
}

#[test]
fn nothing_to_train_on_is_an_error() {
    let mut objective = Memorise::new("qwen2");
    let mut state = objective.state();
    objective.sequences.clear();
    let error = go(&plan(), &mut objective, &mut state, None).unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidInput);
}

#[test]
fn a_calibration_changes_nothing() {
    let mut objective = Memorise::new("qwen2");
    let state = objective.state();
    let before = state.clone();
    let compute = Compute::cpu();
    let control = Control::new();
    let left = calibrate(&plan(), &compute, &mut objective, &state, 3, &control).unwrap();
    assert!(left.as_secs_f64() > 0.0);
    assert_eq!(state, before);
    control.cancel();
    let stopped = calibrate(&plan(), &compute, &mut objective, &state, 3, &control);
    assert_eq!(stopped.unwrap_err().code, ErrorCode::Cancelled);
}

#[test]
fn a_pass_stops_between_blocks() {
    let objective = Memorise::new("qwen2");
    let none = quartet_train::Adapters::none();
    let places = quartet_train::Places::consecutive(0..3);
    let decoder = &objective.decoder;
    let rows = decoder.embed(&[quartet_train::Piece::Tokens(&[5, 6, 7])]).unwrap();
    let control = Control::new();
    let pass = quartet_train::Pass {
        control: Some(&control),
        ..quartet_train::Pass::new(decoder, rows, &places, &none)
    };
    decoder.run(&pass).unwrap();
    control.pause();
    assert_eq!(decoder.run(&pass).unwrap_err().code, ErrorCode::Cancelled);
}

#[test]
fn an_interrupted_evaluation_is_made_again() {
    struct Interrupted<'a> {
        inner: &'a mut Memorise,
        control: Control,
        interrupt: bool,
    }
    impl Objective for Interrupted<'_> {
        fn samples(&self) -> usize {
            self.inner.samples()
        }
        fn gradients(
            &mut self,
            leaves: &quartet_train::Leaves,
            sample: usize,
            step: u64,
        ) -> Result<quartet_train::Gradients> {
            self.inner.gradients(leaves, sample, step)
        }
        fn evaluate(&mut self, leaves: &quartet_train::Leaves) -> Result<Option<f64>> {
            if self.interrupt {
                self.control.pause();
                return Err(quartet_types::Error::cancelled());
            }
            self.inner.evaluate(leaves)
        }
    }
    let mut objective = Memorise::new("qwen2");
    let mut whole = objective.state();
    go(&plan(), &mut objective, &mut whole, None).unwrap();
    let mut state = objective.state();
    let control = Control::new();
    let mut interrupted =
        Interrupted { inner: &mut objective, control: control.clone(), interrupt: true };
    let compute = Compute::cpu();
    let ended = train(&plan(), &compute, &mut interrupted, &mut state, None, &control, &mut |_| {});
    assert_eq!((ended.unwrap(), state.step), (Ending::Paused, 4));
    go(&plan(), &mut objective, &mut state, None).unwrap();
    assert_eq!(state, whole);
}
