//! `train_iag` as the trainer runs it, on a tiny model file: stopped and gone on with, without a
//! teacher, and read as an answer reads it.

use crate::common::{self, Random, VOCABULARY, WIDTH};
use crate::ids;
use quartet_gguf::{GgufFile, GgufWriter, TensorType, sha256_of_file};
use quartet_methods::iag::strength::STRENGTHS;
use quartet_methods::iag::training::{
    IagTraining, LessonTokens, OTHERS, TEACHING, TrainedIag, train_iag,
};
use quartet_methods::iag::tuner::{Tuned, Weights};
use quartet_methods::iag::{Maker, Tuner, template};
use quartet_train::{
    Adapters, Compute, Control, Decoder, Holding, Origin, Parameters, Pass, Piece, Places, Source,
    TextEvent, TrainingPlan, WeightFile, read_artefact, rows_at, values, write_artefact,
};
use quartet_types::{ErrorCode, IagForm, IagOptions, Sha256, TriedStrength};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

const LEARNT: usize = 7;

/// A tiny model that is sure of itself: what it says, it says with a loss of less than 1.
fn sure_model(folder: &Path) -> PathBuf {
    let plain = common::tiny(folder, "qwen2");
    let header = GgufFile::open(&plain).unwrap();
    let mut file = GgufWriter::new();
    for (key, value) in header.metadata() {
        file.set(key, value.clone());
    }
    let tensors = header.tensors().to_vec();
    let stored = WeightFile::open(header).unwrap();
    for tensor in tensors {
        let columns = tensor.shape[0] as usize;
        let rows = tensor.shape[1..].iter().product::<u64>() as usize;
        let packed = stored.packed(&tensor.name, rows, columns).unwrap();
        let mut values = packed.floats(0, rows).unwrap();
        if tensor.name == "output_norm.weight" {
            values.iter_mut().for_each(|value| *value *= 12.0);
        }
        file.tensor(&tensor.name, &tensor.shape, TensorType::F32, &values).unwrap();
    }
    let path = folder.join("sure.gguf");
    file.write(&path).unwrap();
    path
}

/// What the model itself says after a prompt.
fn said(decoder: &Decoder, prompt: &[u32], count: usize) -> Vec<u32> {
    let mut read = prompt.to_vec();
    for _ in 0..count {
        let none = Adapters::none();
        let places = Places::consecutive(0..read.len() as u32);
        let rows = decoder.embed(&[Piece::Tokens(&read)]).unwrap();
        let hidden = decoder.run(&Pass::new(decoder, rows, &places, &none)).unwrap().hidden;
        let last = rows_at(hidden, &[read.len() - 1]);
        let logits = values(decoder.logits(last).unwrap()).unwrap();
        assert_eq!(logits.len(), VOCABULARY);
        let best = logits.iter().enumerate().max_by(|one, other| one.1.total_cmp(other.1));
        read.push(best.unwrap().0 as u32);
    }
    read.split_off(prompt.len())
}

fn source(name: &str, sha256: Sha256) -> Source {
    Source { name: name.to_owned(), sha256 }
}

/// A training in a folder: the teacher knows the answers to all questions but two.
fn request(folder: &Path) -> IagTraining {
    std::fs::create_dir_all(folder).unwrap();
    let model = sure_model(folder);
    let sha256 = sha256_of_file(&model, |_| ControlFlow::Continue(())).unwrap();
    let decoder = Decoder::load(&model, &Compute::cpu(), Holding::Floats).unwrap();
    let mut random = Random(17);
    let mut lessons = |count: usize| -> Vec<LessonTokens> {
        (0..count)
            .map(|at| {
                let prompt = ids(&mut random, 4 + at % 2);
                let teacher = [ids(&mut random, 6), prompt.clone()].concat();
                let answer = match at {
                    0 | 3 => ids(&mut random, 2),
                    _ => said(&decoder, &teacher, 2),
                };
                let alone = vec![prompt[1..].to_vec()];
                LessonTokens { prompt, alone, teacher, answer }
            })
            .collect()
    };
    let (learnt, held_out) = (lessons(LEARNT), lessons(2));
    let mut states = Parameters::new();
    for (seed, name, count) in [(3, "learnt", LEARNT), (3, "held_out", 2)] {
        for (seed, suffix) in [(seed, ""), (seed + 1, ".alone")] {
            let values = Random(seed).floats(count * WIDTH, 1.0);
            states.add(format!("{name}{suffix}"), count, WIDTH, values).unwrap();
        }
    }
    let (base, data) = (source("tiny", sha256), source("study", Sha256("cd".repeat(32))));
    let origin = Origin {
        artefact: "IAG \"test\"".to_owned(),
        base: base.clone(),
        data: data.clone(),
        settings: serde_json::Value::Null,
    };
    let features = folder.join("features");
    write_artefact(&features, &origin, 0, &states).unwrap();
    IagTraining {
        model,
        base,
        data,
        artefact: origin.artefact,
        options: IagOptions {
            rank: 2,
            hidden: 6,
            bank: 3,
            components: 4,
            feed_forward_rank: 2,
            choose_strength: false,
            ..IagOptions::default()
        },
        is_taught: true,
        features,
        learnt,
        held_out,
        plan: TrainingPlan {
            steps: 9,
            accumulate: 2,
            rate: 1e-2,
            warm_up: 1,
            evaluate_every: 4,
            checkpoint_every: 2,
            ..TrainingPlan::default()
        },
        is_small: false,
        folder: folder.join("work"),
        output: folder.join("tuner"),
        feed_forward: folder.join("feed_forward.gguf"),
        seed: 5,
    }
}

fn run(
    request: &IagTraining,
    stop_at: Option<&dyn Fn(&TextEvent) -> bool>,
) -> quartet_types::Result<TrainedIag> {
    let control = Control::new();
    let handle = control.clone();
    train_iag(request, &Compute::cpu(), &control, &mut |event| {
        if stop_at.is_some_and(|stop_at| stop_at(&event)) {
            handle.cancel();
        }
    })
}

/// All that is made, as bytes.
fn made(request: &IagTraining) -> (Vec<u8>, Vec<u8>) {
    let read = |path: &Path| std::fs::read(path).unwrap();
    let tensors = request.output.join("tensors.safetensors");
    (read(&tensors), read(&request.feed_forward))
}

#[test]
fn stopped_anywhere_and_gone_on_with_the_result_is_the_same_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let whole = request(&folder.path().join("whole"));
    let mut seen = Vec::new();
    let trained = train_iag(&whole, &Compute::cpu(), &Control::new(), &mut |event| {
        seen.push(event);
    })
    .unwrap();
    assert_eq!((trained.taught, trained.components), (LEARNT - 2, 4));
    assert_eq!((trained.stage.steps, trained.stage.curve.len()), (9, 9));
    assert_eq!(trained.stage.evaluations.len(), 3, "after 4, 8 and 9");
    let estimated = |stage: usize| {
        let is_it = |one: &TextEvent| matches!(one, TextEvent::Estimate { stage: found, first: 0, .. } if *found == stage);
        seen.iter().position(is_it).expect("foretold")
    };
    assert!(estimated(0) < estimated(1), "{TEACHING} comes first");
    let steps = |stage: usize| {
        let of = |one: &&TextEvent| matches!(one, TextEvent::Step { stage: found, .. } if *found == stage);
        seen.iter().filter(of).count()
    };
    assert_eq!((steps(0), steps(1)), (LEARNT, 9));

    let halted = request(&folder.path().join("halted"));
    let moments: [&dyn Fn(&TextEvent) -> bool; 4] = [
        &|event| matches!(event, TextEvent::Step { stage: 0, step: 3, .. }),
        &|event| matches!(event, TextEvent::Step { stage: 1, step: 3, .. }),
        &|event| matches!(event, TextEvent::Checkpoint { stage: 1, step: 6 }),
        &|event| matches!(event, TextEvent::Step { stage: 1, step: 8, .. }),
    ];
    for stop_at in moments {
        let error = run(&halted, Some(stop_at)).unwrap_err();
        assert_eq!(error.code, ErrorCode::Cancelled);
        assert!(!halted.output.exists(), "nothing half made is left where it would be found");
    }
    let resumed = run(&halted, None).unwrap();
    assert_eq!(resumed.stage.curve, trained.stage.curve);
    assert_eq!(made(&halted), made(&whole));
    // What has ended is not run again.
    let mut events = Vec::new();
    train_iag(&halted, &Compute::cpu(), &Control::new(), &mut |event| events.push(event)).unwrap();
    let is_update = |one: &TextEvent| matches!(one, TextEvent::Step { stage: 1, .. });
    assert!(!events.iter().any(is_update), "{events:?}");
    assert_eq!(made(&halted), made(&whole));

    // Gone on with in another way it would be something else: it is refused.
    let other = IagTraining { seed: 6, ..halted };
    assert_eq!(run(&other, None).unwrap_err().code, ErrorCode::Corrupt);
}

#[test]
fn behind_a_closed_gate_there_is_no_teacher() {
    let folder = tempfile::tempdir().unwrap();
    let taught = request(&folder.path().join("taught"));
    let closed = IagTraining { is_taught: false, ..request(&folder.path().join("closed")) };
    let one = run(&taught, None).unwrap();
    let other = run(&closed, None).unwrap();
    assert!(taught.folder.join("teacher").join("0").is_dir());
    assert!(!closed.folder.join("teacher").exists());
    assert_eq!((one.taught, other.taught), (LEARNT - 2, 0));
    assert_ne!(made(&taught).0, made(&closed).0, "the teacher makes a difference");
}

/// The strength with the least loss of held-out questions is in force, in the tensors.
#[test]
fn the_strength_of_the_weights_is_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let whole = IagTraining { is_taught: false, ..request(&folder.path().join("whole")) };
    let mut chosen = IagTraining { is_taught: false, ..request(&folder.path().join("chosen")) };
    chosen.options.choose_strength = true;
    assert!(run(&whole, None).unwrap().strengths.is_empty());
    let tried = run(&chosen, None).unwrap().strengths;
    let strengths: Vec<f64> = tried.iter().map(|one| one.strength).collect();
    assert_eq!(strengths, STRENGTHS);
    let best = TriedStrength::best(&tried);
    let least = tried.iter().map(|one| one.loss).fold(f64::INFINITY, f64::min);
    assert!(tried.iter().any(|one| (one.strength, one.loss) == (best, least)));
    let tensors = |one: &IagTraining| read_artefact(&one.output, None).unwrap().1;
    let (whole, chosen) = (tensors(&whole), tensors(&chosen));
    for one in whole.all() {
        let is_last = one.name.starts_with("up") && one.name.ends_with('2');
        let factor = if is_last { best as f32 } else { 1.0 };
        let scaled: Vec<f32> = one.values.iter().map(|value| value * factor).collect();
        assert_eq!(chosen.get(&one.name).unwrap().values, scaled, "{}", one.name);
    }
}

/// Questions are learnt without their documents too: what is not trained with a document is
/// trained without.
#[test]
fn the_closed_book_is_learnt_too() {
    let folder = tempfile::tempdir().unwrap();
    let both = IagTraining { is_taught: false, ..request(&folder.path().join("both")) };
    let mut open = IagTraining { is_taught: false, ..request(&folder.path().join("open")) };
    for lesson in open.learnt.iter_mut().chain(&mut open.held_out) {
        lesson.alone.clear();
    }
    let (manifest, states) = read_artefact(&open.features, None).unwrap();
    let mut kept = Parameters::new();
    for one in states.all().iter().filter(|one| !one.name.ends_with(".alone")) {
        kept.add(one.name.clone(), one.rows, one.columns, one.values.clone()).unwrap();
    }
    write_artefact(&open.features, &manifest.origin, 0, &kept).unwrap();
    let (one, other) = (run(&both, None).unwrap(), run(&open, None).unwrap());
    assert_eq!(one.components, other.components);
    assert_ne!(made(&both), made(&open));
    // The loss of held-out questions is over both kinds.
    let first = |trained: &TrainedIag| trained.stage.evaluations[0].1;
    assert!((first(&one) - first(&other)).abs() > 1e-6);
}

#[test]
fn without_a_change_of_the_feed_forward_layers_there_is_no_adapter() {
    let folder = tempfile::tempdir().unwrap();
    let mut alone = request(folder.path());
    alone.options.feed_forward_rank = 0;
    alone.is_taught = false;
    let trained = run(&alone, None).unwrap();
    assert!(!alone.feed_forward.exists());
    let (manifest, _) = read_artefact(&alone.output, None).unwrap();
    let maker = serde_json::from_value(manifest.origin.settings["maker"].clone()).unwrap();
    let Maker::Hypernetwork(shape) = maker else { panic!("a hypernetwork") };
    assert_eq!(trained.parameters, shape.count());
}

/// Small memory: block by block, with weights as they are stored. The answers are learnt too.
#[test]
fn in_a_small_memory_it_learns_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let small = IagTraining { is_small: true, ..request(folder.path()) };
    let trained = run(&small, None).unwrap();
    let curve = trained.stage.curve;
    assert!(curve.iter().all(|loss| loss.is_finite()) && curve[8] < curve[0], "{curve:?}");
}

#[test]
fn what_was_trained_is_what_answers() {
    for form in [IagForm::Hypernetwork, IagForm::Bank] {
        let folder = tempfile::tempdir().unwrap();
        let mut request = request(folder.path());
        request.options.form = form;
        run(&request, None).unwrap();
        let (manifest, kept) = read_artefact(&request.output, None).unwrap();
        let settings = &manifest.origin.settings;
        assert_eq!(settings["template"], template::VERSION);
        let maker: Maker = serde_json::from_value(settings["maker"].clone()).unwrap();
        let options: IagOptions = serde_json::from_value(settings["options"].clone()).unwrap();
        let mut tuner = Tuner::new(&maker, options, &kept).unwrap();
        assert_eq!(tuner.options, request.options);

        // The controls' features are those of training: the mean, and each other's.
        let (_, states) = read_artefact(&request.features, None).unwrap();
        let learnt = states.get("learnt").unwrap();
        let features: Vec<Vec<f32>> =
            learnt.values.chunks(WIDTH).map(|row| tuner.whitening.apply(row).unwrap()).collect();
        assert_eq!(tuner.others.len(), LEARNT.min(OTHERS) * 4);
        for (at, row) in features.iter().enumerate() {
            assert_eq!(&tuner.others[at * 4..][..4], &row[..]);
        }
        for part in 0..4 {
            let mean = features.iter().map(|row| row[part]).sum::<f32>() / LEARNT as f32;
            assert!((tuner.constant[part] - mean).abs() < 1e-6);
        }
        let known: Vec<&[f32]> = features.iter().map(Vec::as_slice).collect();
        let picked: Vec<&[f32]> =
            ["Who?", "What?", "When did it end?"].map(|one| tuner.another(one)).to_vec();
        assert!(picked.iter().all(|one| known.contains(one)));
        assert_eq!(tuner.another("Who?"), picked[0], "always the same for a question");
        assert!(picked[0] != picked[1] || picked[1] != picked[2], "not always the same one");

        let (pairs, distance) = tuner.specificity().unwrap();
        assert_eq!(pairs as usize, LEARNT - 1);
        assert!(distance > 0.0 && distance.is_finite(), "{distance}");
        match (form, tuner.tune(&features[0]).unwrap()) {
            (IagForm::Hypernetwork, Tuned::File(file)) => assert!(file.starts_with(b"GGUF")),
            (IagForm::Bank, Tuned::Loaded(none)) => {
                assert!(none.is_empty(), "nothing is loaded yet");
                let Weights::Bank(bank) = &tuner.weights else { panic!("a bank") };
                assert_eq!(bank.members().len(), 3);
                tuner.members = (0..3).map(|at| Sha256(at.to_string())).collect();
                let Tuned::Loaded(uses) = tuner.tune(&features[0]).unwrap() else { panic!() };
                let names: Vec<&str> = uses.iter().map(|one| one.adapter.0.as_str()).collect();
                assert_eq!(names, ["0", "1", "2"]);
            }
            (form, tuned) => panic!("{form:?} gave {tuned:?}"),
        }
        assert!(tuner.tune(&[0.0; 3]).is_err());

        // An artefact that lacks a part says so.
        for name in ["constant", "others"] {
            let mut without = Parameters::new();
            for one in kept.all().iter().filter(|one| one.name != name) {
                let values = one.values.clone();
                without.add(one.name.clone(), one.rows, one.columns, values).unwrap();
            }
            let error = Tuner::new(&maker, request.options.clone(), &without).unwrap_err();
            assert_eq!(error.code, ErrorCode::Corrupt);
            assert!(error.message.contains(name));
        }
    }
}

#[test]
fn features_and_models_that_are_not_the_ones_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let good = request(folder.path());
    let mut more = good.clone();
    more.learnt.push(LessonTokens {
        prompt: vec![5],
        teacher: vec![5],
        answer: vec![6],
        ..LessonTokens::default()
    });
    let error = run(&more, None).unwrap_err();
    assert_eq!(error.code, ErrorCode::Corrupt);
    assert!(error.subject.is_some() && error.hint.is_some(), "{error}");
    let mut more = good.clone();
    more.learnt[2].alone.push(vec![5, 6]);
    assert_eq!(run(&more, None).unwrap_err().code, ErrorCode::Corrupt);
    let mut other = good;
    other.base.sha256 = Sha256("00".repeat(32));
    assert_eq!(run(&other, None).unwrap_err().code, ErrorCode::Corrupt);
}
