//! Answers from passages (`J_gen`), and both together.

use crate::common::Random;
use crate::{check_slopes, decoder, heads_alone, ids, lora, moved, queries, settings, texts};
use quartet_methods::imprag::encoding::states_of;
use quartet_methods::imprag::reading::{Reading, ReadingRow, ReadingSettings};
use quartet_methods::imprag::retrieval::{Query, Retrieval, RetrievalSettings};
use quartet_methods::imprag::vector::nearest;
use quartet_methods::imprag::whole::Whole;
use quartet_train::{
    Adapters, Compute, Control, Decoder, LoraPlan, Objective, Schedule, State, TrainingPlan, train,
};
use quartet_types::ImpragMode;

fn reading_settings(lora: LoraPlan, mode: ImpragMode) -> ReadingSettings {
    ReadingSettings {
        first_layer: 1,
        last_layer: 2,
        prompt_position: 96,
        mode,
        lora,
        through_passages: false,
        batch: 2,
        kept_bytes: 1 << 22,
    }
}

fn rows(count: usize) -> Vec<ReadingRow> {
    let mut random = Random(12);
    (0..count)
        .map(|at| ReadingRow {
            prompt: ids(&mut random, 4 + at % 3),
            passages: vec![at, (at + 2) % 6, (at + 3) % 6],
            answer: ids(&mut random, 3),
        })
        .collect()
}

fn reading<'a>(
    decoder: &'a Decoder,
    settings: ReadingSettings,
    rows: Vec<ReadingRow>,
) -> Reading<'a> {
    let none = (Adapters::none(), Adapters::none());
    Reading::new(decoder, settings, none, texts(4, 6), rows, Vec::new(), Control::new()).unwrap()
}

/// Finite differences of `J_gen`, for a reader alone and through the passages.
#[test]
fn gradients_of_reading_are_those_of_central_differences() {
    let compute = Compute::cpu_f64();
    let decoder = decoder(&compute);
    for (mode, through_passages) in [
        (ImpragMode::Fast, false),
        (ImpragMode::Quality, false),
        (ImpragMode::Fast, true),
        (ImpragMode::Quality, true),
    ] {
        let plan = if through_passages { lora(0..4, None) } else { lora(1..4, None) };
        let how = ReadingSettings { through_passages, ..reading_settings(plan.clone(), mode) };
        let mut objective = reading(&decoder, how, rows(2));
        let what = format!("{mode:?}, through passages: {through_passages}");
        check_slopes(&moved(&plan, &decoder), &compute, &mut objective, &what);
    }
}

/// The paper's whole objective is the sum of its parts, and so are its gradients.
#[test]
fn the_whole_objective_is_the_sum_of_its_parts() {
    let compute = Compute::cpu_f64();
    let decoder = decoder(&compute);
    let plan = lora(0..4, None);
    let parameters = moved(&plan, &decoder);
    let make_retrieval = || {
        let how = RetrievalSettings { batch: 2, ..settings(plan.clone()) };
        let none = (Adapters::none(), Adapters::none());
        let asked = queries(2, 6);
        Retrieval::new(&decoder, how, none, texts(4, 6), asked, Vec::new(), Control::new()).unwrap()
    };
    let make_reading = || {
        let how = ReadingSettings {
            through_passages: true,
            ..reading_settings(plan.clone(), ImpragMode::Fast)
        };
        reading(&decoder, how, rows(4))
    };
    let leaves = parameters.leaves(&compute).unwrap();
    let mut whole = Whole::new(make_retrieval(), make_reading(), 0.5);
    assert_eq!(whole.samples(), 2, "two rows of generation alone are a batch of their own");
    let found = whole.gradients(&leaves, 0, 0).unwrap();
    let one = make_retrieval().gradients(&leaves, 0, 0).unwrap();
    let other = make_reading().gradients(&leaves, 0, 0).unwrap();
    assert!((found.loss - (0.5 * one.loss + other.loss)).abs() < 1e-9);
    for index in 0..parameters.all().len() {
        let parts = one.of(index).iter().zip(other.of(index));
        for (sum, (one, other)) in found.of(index).iter().zip(parts) {
            assert!((sum - (0.5 * one + other)).abs() < 1e-5 * sum.abs().max(1e-3));
        }
    }
    let alone = whole.gradients(&leaves, 1, 0).unwrap();
    let expected = make_reading().gradients(&leaves, 1, 0).unwrap();
    assert_eq!(alone.loss, expected.loss, "no retrieval where there is no query");
}

/// Tests 3 and 14: only what layers `b..=t` see of a passage makes a difference, order makes none
/// to passages encoded alone, and a row without passages is a plain prompt.
#[test]
fn passages_are_read_in_the_middle_layers_alone() {
    let compute = Compute::cpu();
    let decoder = decoder(&compute);
    let plan = lora(1..4, None);
    let leaves = plan.parameters(decoder.architecture(), 3).unwrap().constants(&compute).unwrap();
    let loss = |change: &dyn Fn(&mut ReadingSettings), row: ReadingRow| {
        let mut how = reading_settings(plan.clone(), ImpragMode::Fast);
        change(&mut how);
        reading(&decoder, how, vec![row]).mean_loss(&leaves, &[0]).unwrap()
    };
    let same = |_: &mut ReadingSettings| {};
    let row = rows(1).remove(0);
    let base = loss(&same, row.clone());
    let turned =
        ReadingRow { passages: row.passages.iter().rev().copied().collect(), ..row.clone() };
    assert!((loss(&same, turned) - base).abs() < 1e-5, "passages alone have no order");
    let others = ReadingRow { passages: vec![5, 4, 1], ..row.clone() };
    assert!((loss(&same, others) - base).abs() > 1e-4, "what is read makes a difference");
    let higher = |how: &mut ReadingSettings| how.last_layer = 3;
    assert!((loss(&higher, row.clone()) - base).abs() > 1e-4, "t makes a difference");

    let hidden = ReadingRow { passages: Vec::new(), ..row.clone() };
    let without = loss(&same, hidden.clone());
    let elsewhere = |how: &mut ReadingSettings| how.prompt_position = 0;
    assert!((loss(&elsewhere, hidden) - without).abs() < 1e-4, "a shift alone changes nothing");
    assert!((without - base).abs() > 1e-4);

    // One passage alone is the same in both modes.
    let single = ReadingRow { passages: vec![2], ..row };
    let joint = |how: &mut ReadingSettings| how.mode = ImpragMode::Quality;
    assert!((loss(&joint, single.clone()) - loss(&same, single)).abs() < 1e-5);
}

/// A reader learns answers by heart, and they hang on the passages.
#[test]
fn a_reader_learns_to_read() {
    let compute = Compute::cpu();
    let decoder = decoder(&compute);
    let plan = LoraPlan { rank: 8, alpha: 16.0, ..lora(1..4, None) };
    // The same question three times, with another answer for each passage.
    let prompt = ids(&mut Random(2), 5);
    let rows: Vec<ReadingRow> = (0..3)
        .map(|at| ReadingRow {
            prompt: prompt.clone(),
            passages: vec![at],
            answer: vec![10 + 7 * at as u32, 4],
        })
        .collect();
    let how = ReadingSettings { batch: 3, ..reading_settings(plan.clone(), ImpragMode::Fast) };
    let mut objective = reading(&decoder, how, rows);
    let mut state = State::new(plan.parameters(decoder.architecture(), 3).unwrap());
    let how = TrainingPlan {
        steps: 250,
        rate: 1e-2,
        warm_up: 5,
        schedule: Schedule::Linear { floor: 0.1 },
        ..TrainingPlan::default()
    };
    let control = Control::new();
    train(&how, &compute, &mut objective, &mut state, None, &control, &mut |_| {}).unwrap();
    let leaves = state.parameters.constants(&compute).unwrap();
    let loss = objective.mean_loss(&leaves, &[0, 1, 2]).unwrap();
    assert!(loss < 0.2, "the question alone leaves a loss of ln 3 / 2: {loss}");
    let judged = objective.judge(&leaves, &[0, 1, 2]).unwrap();
    assert!(judged.iter().all(|one| *one <= 0.0 && *one > -1.0), "{judged:?}");
}

/// Bad input names what is wrong.
#[test]
fn rows_and_queries_that_cannot_be_are_refused() {
    let compute = Compute::cpu();
    let decoder = decoder(&compute);
    let plan = heads_alone();
    let none = || (Adapters::none(), Adapters::none());
    for query in [
        Query { prompt: vec![5], ..Query::default() },
        Query { prompt: vec![5], positives: vec![40], ..Query::default() },
        Query { prompt: Vec::new(), positives: vec![1], ..Query::default() },
    ] {
        let made = Retrieval::new(
            &decoder,
            settings(plan.clone()),
            none(),
            texts(4, 12),
            vec![query],
            Vec::new(),
            Control::new(),
        );
        assert!(made.is_err());
    }
    let far =
        ReadingSettings { prompt_position: 3, ..reading_settings(plan.clone(), ImpragMode::Fast) };
    let above = ReadingSettings { last_layer: 9, ..reading_settings(plan, ImpragMode::Fast) };
    for how in [far, above] {
        let made =
            Reading::new(&decoder, how, none(), texts(4, 6), rows(1), Vec::new(), Control::new());
        assert!(made.is_err());
    }
}

/// Test 3: nothing above layer `t` is computed for passages, and nothing below `b` is kept.
#[test]
fn only_the_layers_that_are_read_have_states() {
    let compute = Compute::cpu();
    let decoder = decoder(&compute);
    let text = texts(4, 1).remove(0);
    let states = states_of(&decoder, &text, (1, 2), &Adapters::none(), &Control::new()).unwrap();
    let seen: Vec<bool> = (0..4).map(|layer| states.is_visible(layer)).collect();
    assert_eq!(seen, [false, true, true, false]);
    assert_eq!(states.positions(), (0..text.len() as u32).collect::<Vec<_>>());
    assert!(nearest(&[1.0], &[], 3).is_empty());
}
