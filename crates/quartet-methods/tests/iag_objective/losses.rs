//! Card, tests 10 and 11: what the parts of the loss are at their ends.

use crate::common::Random;
use crate::{
    COMPONENTS, decoder, feed_forward, fresh, hypernetwork, ids, lessons, moved, settings, tuning,
};
use quartet_methods::iag::objective::{Lesson, Settings};
use quartet_methods::iag::teacher::{compared_layers, teach, temperatures};
use quartet_train::{Compute, Control, Decoder, Objective, Parameters};

fn loss(decoder: &Decoder, settings: &Settings, lesson: &Lesson, parameters: &Parameters) -> f64 {
    let objective = tuning(decoder, settings.clone(), vec![lesson.clone()]);
    let leaves = parameters.leaves(decoder.compute()).unwrap();
    objective.loss(&leaves, lesson, Some(0)).unwrap().value
}

/// The student is the teacher where both read the same and the weights change nothing yet.
#[test]
fn a_student_that_is_the_teacher_has_nothing_to_learn_from_it() {
    let compute = Compute::cpu_f64();
    let decoder = decoder(&compute);
    let mut random = Random(7);
    let (prompt, answer) = (ids(&mut random, 6), ids(&mut random, 4));
    let heats = temperatures(1, true);
    let teaching = teach(&decoder, &prompt, &answer, &heats, &Control::new()).unwrap();
    assert_eq!(teaching.states.len(), compared_layers(4).len());
    let features = random.floats(COMPONENTS, 1.0);
    let lesson = Lesson { prompt, answer, features, teaching: Some(teaching) };
    for is_chained in [false, true] {
        let of = |teacher_weight, hidden_weight| {
            let usual = settings(hypernetwork(&decoder));
            Settings { teacher_weight, hidden_weight, is_chained, ..usual }
        };
        let start = fresh(&decoder, &of(1.0, 1.0));
        let own = loss(&decoder, &of(1.0, 1.0), &lesson, &start);
        assert!(own.abs() < 1e-5, "{own}");
        // The answer itself remains to be learnt, at its share.
        let answer = loss(&decoder, &of(0.0, 0.0), &lesson, &start);
        assert!(answer > 1.0, "{answer}");
        let both = loss(&decoder, &of(0.4, 1.0), &lesson, &start);
        assert!((both - 0.6 * answer).abs() < 1e-5, "{both}");
        // With other weights in force it is another student.
        let other = loss(&decoder, &of(1.0, 1.0), &lesson, &moved(start, 0.3));
        assert!(other > 1e-3, "{other}");
    }
}

/// The distance looks at directions alone: whatever the length of a state, 0 where both are the
/// same and 2 where they point away from each other.
#[test]
fn the_distance_of_states_is_of_directions() {
    let compute = Compute::cpu_f64();
    let decoder = decoder(&compute);
    let usual = settings(hypernetwork(&decoder));
    let with = Settings { teacher_weight: 0.0, ..usual };
    let without = Settings { hidden_weight: 0.0, ..with.clone() };
    let start = moved(fresh(&decoder, &with), 0.2);
    let lesson = lessons(&decoder, 1).remove(0);
    let of = |change: &dyn Fn(&mut f32)| {
        let mut lesson = lesson.clone();
        let states = &mut lesson.teaching.as_mut().unwrap().states;
        states.iter_mut().flatten().for_each(change);
        let whole = loss(&decoder, &with, &lesson, &start);
        whole - loss(&decoder, &without, &lesson, &start)
    };
    let plain = of(&|_| {});
    assert!(plain > 1e-3 && plain < 2.0, "{plain}");
    assert!((of(&|value| *value *= 7.0) - plain).abs() < 1e-9);
    assert!((of(&|value| *value *= -1.0) - (2.0 - plain)).abs() < 1e-9);

    // A layer's share is the same for all: the mean.
    let halves = Settings { hidden_weight: 0.5, ..with.clone() };
    let half = loss(&decoder, &halves, &lesson, &start) - loss(&decoder, &without, &lesson, &start);
    assert!((half - plain / 2.0).abs() < 1e-9, "{half} of {plain}");
}

/// The temperature of an update is the one at which teacher and student are compared; without a
/// teacher a row is its answer alone.
#[test]
fn a_lesson_without_a_teacher_is_its_answer() {
    let compute = Compute::cpu_f64();
    let decoder = decoder(&compute);
    let settings = settings(hypernetwork(&decoder));
    let start = moved(fresh(&decoder, &settings), 0.2);
    let lesson = lessons(&decoder, 1).remove(0);
    let objective = tuning(&decoder, settings, vec![lesson.clone()]);
    let leaves = start.leaves(&compute).unwrap();
    let at = |lesson: &Lesson, step| objective.loss(&leaves, lesson, step).unwrap().value;
    let (early, later) = (at(&lesson, Some(499)), at(&lesson, Some(500)));
    assert!((at(&lesson, Some(0)) - early).abs() < 1e-12 && (early - later).abs() > 1e-4);
    let alone = Lesson { teaching: None, ..lesson.clone() };
    assert_eq!(at(&alone, Some(0)).to_bits(), at(&alone, Some(900)).to_bits());
    let measured = at(&lesson, None);
    assert!((at(&alone, Some(0)) - measured).abs() < 1e-12, "measured without the teacher");
    assert!((objective.held_out_loss(&leaves).unwrap() - measured).abs() < 1e-12);
    // A temperature nobody foresaw is an error, not another number.
    assert!(objective.loss(&leaves, &lesson, Some(5_000)).is_err());
}

/// Card, test 10: a gradient exists for what is trained, and for nothing else; what the base says
/// by itself is the same bits after any number of them.
#[test]
fn nothing_reaches_base_teacher_or_features() {
    let compute = Compute::cpu();
    let decoder = decoder(&compute);
    let usual = settings(hypernetwork(&decoder));
    let settings = Settings { feed_forward: Some(feed_forward(&decoder)), ..usual };
    let start = moved(fresh(&decoder, &settings), 0.2);
    let all = lessons(&decoder, 2);
    let before = all.clone();
    let again = || {
        let mut random = Random(5);
        let (prompt, answer) = (ids(&mut random, 6), ids(&mut random, 3));
        teach(&decoder, &prompt, &answer, &temperatures(1, true), &Control::new()).unwrap()
    };
    let said = again();
    let mut objective = tuning(&decoder, settings, all);
    let leaves = start.leaves(&compute).unwrap();
    let found = objective.gradients(&leaves, 1, 0).unwrap();
    for (index, one) in start.all().iter().enumerate() {
        assert_eq!(found.of(index).len(), one.values.len(), "{}", one.name);
    }
    assert!(found.of(start.all().len()).is_empty());
    assert_eq!(objective.gradients(&leaves, 1, 0).unwrap(), found, "nothing is left behind");
    assert_eq!(again(), said);
    assert_eq!(lessons(&decoder, 2), before);
}

/// Bad input names what is wrong.
#[test]
fn lessons_that_cannot_be_are_refused() {
    let compute = Compute::cpu();
    let decoder = decoder(&compute);
    let good = Lesson {
        prompt: vec![5, 6],
        answer: vec![7],
        features: vec![0.5; COMPONENTS],
        teaching: None,
    };
    let make = |lesson: Lesson| {
        let settings = settings(hypernetwork(&decoder));
        let made = quartet_methods::iag::objective::Tuning::new(
            &decoder,
            settings,
            vec![lesson],
            Vec::new(),
            Control::new(),
        );
        made.map(|mut made| made.evaluate(&Parameters::new().leaves(&compute).unwrap()).unwrap())
    };
    assert_eq!(make(good.clone()).unwrap(), None, "nothing is held out");
    for bad in [
        Lesson { prompt: Vec::new(), ..good.clone() },
        Lesson { answer: Vec::new(), ..good.clone() },
        Lesson { features: vec![0.5], ..good },
    ] {
        let error = make(bad).unwrap_err();
        assert_eq!(error.code, quartet_types::ErrorCode::InvalidInput);
    }
}
