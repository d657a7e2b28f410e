//! What implicit queries learn, on tiny models: gradients, losses, that they can learn at all.
//! Numbers are those of the tests in ImpRAG's method card.

#[path = "../../quartet-train/tests/common/mod.rs"]
mod common;

use common::Random;
use quartet_methods::imprag::encoding::{Side, TextEncoder, mean_of_groups, states_of};
use quartet_methods::imprag::reading::{Reading, ReadingRow, ReadingSettings};
use quartet_methods::imprag::retrieval::{
    Query, Retrieval, RetrievalSettings, divergence, softmax,
};
use quartet_methods::imprag::vector::{Heads, nearest};
use quartet_methods::imprag::whole::Whole;
use quartet_train::{
    Adapters, Compute, Control, Decoder, Holding, LoraPlan, Loss, Objective, Parameters, Pass,
    Piece, Places, Projection, Schedule, State, TrainingPlan, train, values, values_f64,
};
use quartet_types::{ImpragMode, Tap, TapPoint};

const LAYER: usize = 2;

fn decoder(compute: &Compute) -> Decoder {
    let folder = tempfile::tempdir().unwrap();
    Decoder::load(&common::tiny(folder.path(), "qwen2"), compute, Holding::Floats).unwrap()
}

fn ids(random: &mut Random, count: usize) -> Vec<u32> {
    (0..count).map(|_| 3 + (random.bits() % 93) as u32).collect()
}

fn texts(seed: u64, count: usize) -> Vec<Vec<u32>> {
    let mut random = Random(seed);
    (0..count).map(|at| ids(&mut random, 5 + at % 4)).collect()
}

fn lora(layers: std::ops::Range<usize>, heads_of: Option<usize>) -> LoraPlan {
    LoraPlan { rank: 3, alpha: 6.0, layers, projections: Projection::ALL.to_vec(), heads_of }
}

fn heads_alone() -> LoraPlan {
    lora(LAYER..LAYER + 1, Some(LAYER))
}

fn settings(lora: LoraPlan) -> RetrievalSettings {
    RetrievalSettings {
        layer: LAYER,
        lora,
        both_sides: true,
        batch: 4,
        positives: 2,
        negatives: 2,
        divisor: 1.0,
        warm_up: 1.0,
        distillation: 0.0,
        temperatures: (0.7, 1.3),
        kept_bytes: 1 << 22,
        seed: 2,
    }
}

/// Every query has its own passage, two others as hard negatives, and judgements of four.
fn queries(count: usize, passages: usize) -> Vec<Query> {
    texts(7, count)
        .into_iter()
        .enumerate()
        .map(|(at, prompt)| Query {
            prompt,
            positives: vec![at],
            negatives: vec![(at + 1) % passages, (at + 5) % passages],
            unclear: vec![(at + 3) % passages],
            judged: (0..4).map(|offset| ((at + offset) % passages, -(offset as f64))).collect(),
        })
        .collect()
}

/// Away from zero, where half of the gradients vanish.
fn moved(plan: &LoraPlan, decoder: &Decoder) -> Parameters {
    let mut parameters = plan.parameters(decoder.architecture(), 3).unwrap();
    let names: Vec<String> = parameters.all().iter().map(|one| one.name.clone()).collect();
    let mut random = Random(8);
    for name in names {
        for value in parameters.values_mut(&name).unwrap() {
            *value += random.float() * 0.2;
        }
    }
    parameters
}

fn check_slopes(
    parameters: &Parameters,
    compute: &Compute,
    objective: &mut dyn Objective,
    what: &str,
) {
    let found = objective.gradients(&parameters.leaves(compute).unwrap(), 0, 0).unwrap();
    let mut value = |parameters: &Parameters| {
        objective.gradients(&parameters.leaves(compute).unwrap(), 0, 0).unwrap().loss
    };
    for (index, one) in parameters.all().iter().enumerate() {
        let gradient = found.of(index);
        let largest = gradient.iter().fold(0f32, |most, one| most.max(one.abs()));
        assert!(largest > 1e-9, "{what}: `{}` has no influence", one.name);
        let at = (index * 7) % gradient.len();
        let step = |by: f32| {
            let mut moved = parameters.clone();
            let place = &mut moved.values_mut(&one.name).unwrap()[at];
            *place += by;
            (f64::from(*place), moved)
        };
        let ((high, up), (low, down)) = (step(2e-4), step(-2e-4));
        let slope = (value(&up) - value(&down)) / (high - low);
        let error = (slope - f64::from(gradient[at])).abs();
        assert!(
            error < 2e-5 * f64::from(largest).max(slope.abs()) + 1e-8,
            "{what}: `{}` at {at}: {} is not {slope}",
            one.name,
            gradient[at]
        );
    }
}

/// Test 11: finite differences of both losses, for heads alone and for layers below.
#[test]
fn gradients_of_retrieval_are_those_of_central_differences() {
    let compute = Compute::cpu_f64();
    let decoder = decoder(&compute);
    for (plan, what) in [(heads_alone(), "T0"), (lora(1..LAYER + 1, Some(LAYER)), "T1")] {
        let how = RetrievalSettings { distillation: 0.5, divisor: 2.0, ..settings(plan.clone()) };
        let none = (Adapters::none(), Adapters::none());
        let (passages, asked) = (texts(4, 12), queries(4, 12));
        let control = Control::new();
        let mut objective =
            Retrieval::new(&decoder, how, none, passages, asked, Vec::new(), control).unwrap();
        check_slopes(&moved(&plan, &decoder), &compute, &mut objective, what);
    }
}

/// With T1q passages keep their vectors: whatever is trained moves questions alone.
#[test]
fn one_sided_training_leaves_passages_alone() {
    let compute = Compute::cpu();
    let decoder = decoder(&compute);
    let plan = lora(1..LAYER + 1, Some(LAYER));
    let how = RetrievalSettings { both_sides: false, ..settings(plan.clone()) };
    let none = (Adapters::none(), Adapters::none());
    let control = Control::new();
    let mut objective =
        Retrieval::new(&decoder, how, none, texts(4, 12), queries(4, 12), Vec::new(), control)
            .unwrap();
    let parameters = moved(&plan, &decoder);
    let found = objective.gradients(&parameters.leaves(&compute).unwrap(), 0, 0).unwrap();
    let key = parameters
        .all()
        .iter()
        .position(|one| one.name == format!("blk.{LAYER}.attn_k.weight.lora_a"))
        .unwrap();
    assert!(found.of(key).iter().all(|slope| *slope == 0.0), "keys are those of passages");
    let query = parameters
        .all()
        .iter()
        .position(|one| one.name == format!("blk.{LAYER}.attn_q.weight.lora_a"))
        .unwrap();
    assert!(found.of(query).iter().any(|slope| *slope != 0.0));
}

fn heads_of(decoder: &Decoder) -> Heads {
    let shapes = decoder.architecture();
    Heads { queries: shapes.heads, key_values: shapes.key_value_heads, length: shapes.head_length }
}

/// Tests 1 to 4 in the trainer: vectors are taps of an ordinary pass, averaged over groups, and
/// do not depend on where the text stands nor on its company in a pack.
#[test]
fn vectors_are_heads_before_rotation_wherever_the_text_stands() {
    let compute = Compute::cpu();
    let decoder = decoder(&compute);
    let all = texts(9, 5);
    let heads = heads_of(&decoder);
    let none = Adapters::none();
    let mut encoder = TextEncoder::new(&decoder, LAYER, 1, all.clone(), 1 << 20, Control::new());
    let every: Vec<usize> = (0..all.len()).collect();
    let queries = values(encoder.vectors(&every, Side::Query, &none).unwrap()).unwrap();
    let keys = values(encoder.vectors(&every, Side::Passage, &none).unwrap()).unwrap();
    let width = heads.width();
    assert_eq!(queries.len(), all.len() * width);
    for (at, text) in all.iter().enumerate() {
        for start in [0, 640] {
            let places = Places::consecutive(start..start + text.len() as u32);
            let rows = decoder.embed(&[Piece::Tokens(text)]).unwrap();
            let tap = |point| Tap { point, layer: LAYER as u32, stop_after: false };
            let taps = [tap(TapPoint::Query), tap(TapPoint::Key)];
            let whole = Pass::new(&decoder, rows, &places, &none);
            let read = decoder.run(&Pass { taps: &taps, ..whole }).unwrap().taps;
            let last = |index: usize| {
                let all = values(read[index].clone()).unwrap();
                all[all.len() - all.len() / text.len()..].to_vec()
            };
            let expected = heads.query_vector(&last(0)).unwrap();
            let near = |one: &[f32], other: &[f32]| {
                one.iter().zip(other).all(|(one, other)| (one - other).abs() < 1e-4)
            };
            assert!(near(&queries[at * width..][..width], &expected), "text {at} from {start}");
            assert!(near(&keys[at * width..][..width], &last(1)), "text {at} from {start}");
        }
    }
}

#[test]
fn the_mean_over_groups_is_the_same_in_the_graph() {
    let compute = Compute::cpu();
    let heads = Heads { queries: 6, key_values: 2, length: 4 };
    let numbers = Random(3).floats(2 * 24, 1.0);
    let tensor = compute.matrix(numbers.clone(), 2, 24).unwrap();
    let found = values(mean_of_groups(tensor, heads)).unwrap();
    let expected: Vec<f32> =
        numbers.chunks(24).flat_map(|row| heads.query_vector(row).unwrap()).collect();
    for (one, other) in found.iter().zip(expected) {
        assert!((one - other).abs() < 1e-6);
    }
}

/// Test 12: `dKL/ds = (P_R - P_T) / tau_r`; nothing flows into the target, and a constant added
/// to all judgements changes nothing.
#[test]
fn distillation_is_the_divergence_and_only_scores_have_a_gradient() {
    let compute = Compute::cpu_f64();
    let decoder = decoder(&compute);
    let judged = [-1.0, -3.0, -0.5, -2.0];
    let scores = [0.4f32, -0.2, 1.5, 0.0];
    let (teacher, student) = (0.8, 1.7);
    let mut parameters = Parameters::new();
    parameters.add("s", 1, 4, scores.to_vec()).unwrap();
    let leaves = parameters.leaves(&compute).unwrap();
    let graph = divergence(&judged, leaves.get("s").unwrap(), teacher, student, &decoder).unwrap();
    let value = values_f64(graph.clone()).unwrap()[0];
    let target = softmax(&judged, teacher);
    let own = softmax(&scores.map(f64::from), student);
    let expected: f64 = target.iter().zip(&own).map(|(t, o)| t * (t / o).ln()).sum();
    assert!((value - expected).abs() < 1e-6, "{value} is not {expected}");
    let found = leaves.gradients(&Loss { graph, value }).unwrap();
    for (at, slope) in found.of(0).iter().enumerate() {
        let expected = (own[at] - target[at]) / student;
        assert!((f64::from(*slope) - expected).abs() < 1e-6, "{slope} is not {expected}");
    }
    let shifted: Vec<f64> = judged.iter().map(|one| one + 9.0).collect();
    let constants = parameters.constants(&compute).unwrap();
    let again = divergence(&shifted, constants.get("s").unwrap(), teacher, student, &decoder);
    assert!((values_f64(again.unwrap()).unwrap()[0] - value).abs() < 1e-6);
}

/// Test 13: eight queries find their passages among 32, every one first.
#[test]
fn a_few_queries_are_learnt_by_heart() {
    let compute = Compute::cpu();
    let decoder = decoder(&compute);
    let plan = LoraPlan { rank: 8, alpha: 16.0, ..lora(0..LAYER + 1, Some(LAYER)) };
    let how = RetrievalSettings { batch: 8, negatives: 31, ..settings(plan.clone()) };
    let asked: Vec<Query> = queries(8, 32)
        .into_iter()
        .map(|one| {
            let others = (0..32).filter(|place| !one.positives.contains(place)).collect();
            Query { unclear: Vec::new(), negatives: others, ..one }
        })
        .collect();
    let none = (Adapters::none(), Adapters::none());
    let (held_out, control) = (asked.clone(), Control::new());
    let mut objective =
        Retrieval::new(&decoder, how, none, texts(4, 32), asked, held_out, control).unwrap();
    let fresh = plan.parameters(decoder.architecture(), 3).unwrap();
    let before = objective.ranks(&fresh.constants(&compute).unwrap()).unwrap();
    assert!(before.0 < 0.6, "untrained heads carry no signal: {before:?}");
    let mut state = State::new(fresh);
    let how = TrainingPlan {
        steps: 160,
        rate: 2e-2,
        warm_up: 5,
        schedule: Schedule::Constant,
        ..TrainingPlan::default()
    };
    let control = Control::new();
    train(&how, &compute, &mut objective, &mut state, None, &control, &mut |_| {}).unwrap();
    let leaves = state.parameters.constants(&compute).unwrap();
    let (reciprocal, found) = objective.ranks(&leaves).unwrap();
    assert_eq!((reciprocal, found), (1.0, 1.0), "every passage comes first");
    let best = objective.nearest(&leaves, &[3, 0], 2).unwrap();
    assert_eq!((best[0][0], best[1][0]), (3, 0));
}

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
    for (mode, through_passages) in
        [(ImpragMode::Fast, false), (ImpragMode::Quality, false), (ImpragMode::Fast, true)]
    {
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
