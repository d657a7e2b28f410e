//! Learning text: packing, masking of what is only read, and shortcuts that are exact.

#![allow(clippy::print_stdout)]

mod common;

use quartet_train::{
    Compute, Control, Decoder, Gradients, Holding, LoraPlan, Objective, State, TextObjective,
    TextSample, TextSettings, TrainingPlan, pack, train,
};

fn load() -> Decoder {
    let folder = tempfile::tempdir().unwrap();
    let path = common::tiny(folder.path(), "gemma3");
    Decoder::load(&path, &Compute::cpu(), Holding::Floats).unwrap()
}

fn samples() -> Vec<TextSample> {
    let mut random = common::Random(21);
    let mut ids = |count: usize| -> Vec<u32> {
        (0..count).map(|_| 3 + (random.bits() % 93) as u32).collect()
    };
    vec![
        TextSample::whole(ids(9)),
        TextSample { ids: ids(7), learn_from: 4 },
        TextSample::whole(ids(1)),
        TextSample::whole(ids(5)),
        TextSample { ids: ids(12), learn_from: 2 },
    ]
}

#[test]
fn packing_fills_batches_and_leaves_out_what_teaches_nothing() {
    let batches = pack(samples(), 14);
    let lengths: Vec<Vec<usize>> =
        batches.iter().map(|batch| batch.iter().map(|sample| sample.ids.len()).collect()).collect();
    assert_eq!(lengths, [vec![9, 5], vec![7], vec![12]]);
    // A sample longer than a batch has one of its own.
    assert_eq!(pack(samples(), 3).len(), 4);
}

fn gradients(
    decoder: &Decoder,
    settings: TextSettings,
    batches: Vec<Vec<TextSample>>,
) -> Vec<Gradients> {
    let plan = LoraPlan { layers: 2..4, ..LoraPlan::everywhere(decoder.architecture(), 2) };
    let mut parameters = plan.parameters(decoder.architecture(), 5).unwrap();
    let names: Vec<String> = parameters.all().iter().map(|one| one.name.clone()).collect();
    let mut random = common::Random(6);
    for name in names {
        parameters
            .values_mut(&name)
            .unwrap()
            .iter_mut()
            .for_each(|one| *one = random.float() * 0.3);
    }
    let leaves = parameters.leaves(decoder.compute()).unwrap();
    let control = Control::new();
    let count = batches.len();
    let mut objective =
        TextObjective::new(decoder, plan, batches, Vec::new(), settings, control).unwrap();
    // The second visit uses what the first has kept.
    (0..2 * count).map(|index| objective.gradients(&leaves, index % count, 0).unwrap()).collect()
}

fn worst(one: &Gradients, other: &Gradients) -> f64 {
    (0..28)
        .flat_map(|index| one.of(index).iter().zip(other.of(index)))
        .map(|(one, other)| f64::from((one - other).abs()))
        .fold((one.loss - other.loss).abs(), f64::max)
}

#[test]
fn shortcuts_change_nothing() {
    let decoder = load();
    let batches = pack(samples(), 14);
    let direct = gradients(&decoder, TextSettings::default(), batches.clone());
    for (is_chained, keeps_lower_layers) in [(false, true), (true, false), (true, true)] {
        let settings = TextSettings { is_chained, keeps_lower_layers };
        let other = gradients(&decoder, settings, batches.clone());
        for (one, other) in direct.iter().zip(&other) {
            assert!(worst(one, other) < 1e-5, "{settings:?}: {}", worst(one, other));
        }
    }
}

#[test]
fn a_packed_batch_is_the_mean_of_its_tokens() {
    let decoder = load();
    let apart = gradients(&decoder, TextSettings::default(), pack(samples(), 1));
    let together = gradients(&decoder, TextSettings::default(), pack(samples(), 100));
    // Predicted tokens of each: 8, 3, 4 and 10.
    let mut sum = apart[0].clone();
    sum.scale(8.0);
    for (part, weight) in apart[1..4].iter().zip([3.0, 4.0, 10.0]) {
        let mut part = part.clone();
        part.scale(weight);
        sum.add(&part);
    }
    sum.scale(1.0 / 25.0);
    assert!(worst(&sum, &together[0]) < 1e-5, "{}", worst(&sum, &together[0]));
}

#[test]
fn what_is_only_read_is_not_learnt() {
    let decoder = load();
    let control = Control::new();
    let plan = LoraPlan::everywhere(decoder.architecture(), 2);
    let batches = pack(samples(), 100);
    let settings = TextSettings::default();
    let objective =
        TextObjective::new(&decoder, plan.clone(), batches, Vec::new(), settings, control.clone());
    assert_eq!(objective.unwrap().learnt_tokens(), 25);
    let nothing = vec![vec![TextSample { ids: vec![1, 2, 3], learn_from: 3 }]];
    let refused = TextObjective::new(&decoder, plan, nothing, Vec::new(), settings, control);
    assert!(refused.is_err());
}

#[test]
fn learning_a_text_lowers_its_loss_and_the_evaluation_sees_it() {
    let decoder = load();
    let control = Control::new();
    let plan = LoraPlan::everywhere(decoder.architecture(), 4);
    let batches = pack(samples(), 20);
    let mut state = State::new(plan.parameters(decoder.architecture(), 3).unwrap());
    let settings = TextSettings { is_chained: true, keeps_lower_layers: false };
    let mut objective =
        TextObjective::new(&decoder, plan, batches.clone(), batches, settings, control.clone())
            .unwrap();
    let training = TrainingPlan {
        steps: 30,
        rate: 1e-2,
        evaluate_every: 10,
        checkpoint_every: 0,
        ..TrainingPlan::default()
    };
    let compute = Compute::cpu();
    train(&training, &compute, &mut objective, &mut state, None, &control, &mut |_| {}).unwrap();
    let losses: Vec<f64> = state.evaluations.iter().map(|one| one.loss).collect();
    println!("{losses:?}");
    assert!(losses.len() == 3 && losses[2] < losses[0] && losses[2] < 0.7 * state.curve[0]);
}
