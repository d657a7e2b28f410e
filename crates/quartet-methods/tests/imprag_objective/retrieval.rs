//! Queries and passages (Eq. 1, 3 and 5).

use crate::common::Random;
use crate::{LAYER, check_slopes, decoder, heads_alone, lora, moved, queries, settings, texts};
use quartet_methods::imprag::encoding::{Side, TextEncoder, mean_of_groups};
use quartet_methods::imprag::retrieval::{
    Query, Retrieval, RetrievalSettings, divergence, softmax,
};
use quartet_methods::imprag::vector::Heads;
use quartet_train::{
    Adapters, Compute, Control, Decoder, LoraPlan, Loss, Objective, Parameters, Pass, Piece,
    Places, Schedule, State, TrainingPlan, train, values, values_f64,
};
use quartet_types::{Tap, TapPoint};

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
