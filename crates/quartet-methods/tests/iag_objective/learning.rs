//! Card, test 7 in small: what is learnt hangs on the features.

use crate::common::Random;
use crate::{COMPONENTS, bank, decoder, fresh, hypernetwork, ids, settings, tuning};
use quartet_methods::iag::Maker;
use quartet_methods::iag::bank::{Bank, BankShape};
use quartet_methods::iag::hypernetwork::{Hypernetwork, relative_distance};
use quartet_methods::iag::objective::Lesson;
use quartet_train::{Compute, Control, Decoder, Parameters, Schedule, State, TrainingPlan, train};

const COUNT: usize = 6;

/// The same prompt every time, and another answer: only the features tell them apart.
fn told_apart_by_features() -> Vec<Lesson> {
    let mut random = Random(5);
    let prompt = ids(&mut random, 5);
    (0..COUNT)
        .map(|_| {
            let features = random.floats(COMPONENTS, 1.0);
            let length = features.iter().map(|value| value * value).sum::<f32>().sqrt();
            Lesson {
                prompt: prompt.clone(),
                answer: ids(&mut random, 1),
                features: features.iter().map(|value| value / length).collect(),
                teaching: None,
            }
        })
        .collect()
}

fn held_out_loss(
    decoder: &Decoder,
    maker: &Maker,
    parameters: &Parameters,
    lessons: Vec<Lesson>,
) -> f64 {
    let leaves = parameters.constants(decoder.compute()).unwrap();
    tuning(decoder, settings(maker.clone()), lessons).held_out_loss(&leaves).unwrap()
}

#[test]
fn weights_made_for_a_question_are_better_than_those_of_another_and_than_one_for_all() {
    let compute = Compute::cpu();
    let decoder = decoder(&compute);
    let inner = quartet_methods::iag::hypernetwork::Shape::of(
        decoder.architecture(),
        COMPONENTS,
        (32, 4),
        false,
    );
    let makers = [Maker::Hypernetwork(inner.clone()), Maker::Bank(BankShape { inner, members: 8 })];
    for maker in makers {
        let lessons = told_apart_by_features();
        let mut objective = tuning(&decoder, settings(maker.clone()), lessons.clone());
        let mut state = State::new(fresh(&decoder, &settings(maker.clone())));
        let plan = TrainingPlan {
            steps: 250,
            accumulate: COUNT,
            rate: 1e-2,
            warm_up: 10,
            schedule: Schedule::Linear { floor: 0.1 },
            checkpoint_every: 0,
            ..TrainingPlan::default()
        };
        let control = Control::new();
        train(&plan, &compute, &mut objective, &mut state, None, &control, &mut |_| {}).unwrap();

        let with = |features: &dyn Fn(usize) -> Vec<f32>| {
            let changed = lessons
                .iter()
                .enumerate()
                .map(|(at, one)| Lesson { features: features(at), ..one.clone() });
            held_out_loss(&decoder, &maker, &state.parameters, changed.collect())
        };
        let own = with(&|at| lessons[at].features.clone());
        let shuffled = with(&|at| lessons[(at + 2) % COUNT].features.clone());
        let mean: Vec<f32> = (0..COMPONENTS)
            .map(|part| lessons.iter().map(|one| one.features[part]).sum::<f32>() / COUNT as f32)
            .collect();
        let constant = with(&|_| mean.clone());
        let form = if matches!(maker, Maker::Bank(_)) { "bank" } else { "hypernetwork" };
        // One set of weights for all leaves a loss of ln 6 at best.
        assert!(own < 0.5, "{form}: {own} nats per token after 250 updates");
        assert!(shuffled > own + 1.0, "{form}: {shuffled} with others' features, {own} with own");
        assert!(constant > own + 1.0, "{form}: {constant} with the mean features, {own} with own");

        let distance = |one: &[f32], other: &[f32]| match &maker {
            Maker::Hypernetwork(shape) => {
                let network = Hypernetwork::new(shape.clone(), &state.parameters).unwrap();
                let (x, y) = (network.changes(one).unwrap(), network.changes(other).unwrap());
                relative_distance(&x, &y, shape.rank)
            }
            Maker::Bank(shape) => {
                let bank = Bank::new(shape.clone(), &state.parameters).unwrap();
                let (x, y) = (bank.strengths(one).unwrap(), bank.strengths(other).unwrap());
                let norm = |all: &[f32]| all.iter().map(|one| one * one).sum::<f32>().sqrt();
                let gap: Vec<f32> = x.iter().zip(&y).map(|(x, y)| x - y).collect();
                f64::from(norm(&gap) / norm(&x))
            }
        };
        for pair in lessons.windows(2) {
            let found = distance(&pair[0].features, &pair[1].features);
            assert!(found > 0.05, "{form}: weights of two questions differ by {found} only");
        }
    }
}

/// Before anything is learnt, no question has weights of its own: the test above does not hold by
/// chance.
#[test]
fn a_fresh_start_tells_no_questions_apart() {
    let compute = Compute::cpu();
    let decoder = decoder(&compute);
    let lessons = told_apart_by_features();
    let mut turned = lessons.clone();
    for (at, lesson) in turned.iter_mut().enumerate() {
        lesson.features.clone_from(&lessons[(at + 2) % COUNT].features);
    }
    for maker in [hypernetwork(&decoder), bank(&decoder)] {
        let start = fresh(&decoder, &settings(maker.clone()));
        let own = held_out_loss(&decoder, &maker, &start, lessons.clone());
        let shuffled = held_out_loss(&decoder, &maker, &start, turned.clone());
        assert_eq!(own.to_bits(), shuffled.to_bits());
        assert!(own > 3.0, "{own}: of 96 tokens, none is known");
    }
}
