//! What implicit queries learn, on tiny models: gradients, losses, that they can learn at all.
//! Numbers are those of the tests in ImpRAG's method card.

#[path = "../../../quartet-train/tests/common/mod.rs"]
mod common;
mod reading;
mod retrieval;

use common::Random;
use quartet_methods::imprag::retrieval::{Query, RetrievalSettings};
use quartet_train::{Compute, Decoder, Holding, LoraPlan, Objective, Parameters, Projection};

pub(crate) const LAYER: usize = 2;

pub(crate) fn decoder(compute: &Compute) -> Decoder {
    let folder = tempfile::tempdir().unwrap();
    Decoder::load(&common::tiny(folder.path(), "qwen2"), compute, Holding::Floats).unwrap()
}

pub(crate) fn ids(random: &mut Random, count: usize) -> Vec<u32> {
    (0..count).map(|_| 3 + (random.bits() % 93) as u32).collect()
}

pub(crate) fn texts(seed: u64, count: usize) -> Vec<Vec<u32>> {
    let mut random = Random(seed);
    (0..count).map(|at| ids(&mut random, 5 + at % 4)).collect()
}

pub(crate) fn lora(layers: std::ops::Range<usize>, heads_of: Option<usize>) -> LoraPlan {
    LoraPlan { rank: 3, alpha: 6.0, layers, projections: Projection::ALL.to_vec(), heads_of }
}

pub(crate) fn heads_alone() -> LoraPlan {
    lora(LAYER..LAYER + 1, Some(LAYER))
}

pub(crate) fn settings(lora: LoraPlan) -> RetrievalSettings {
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
pub(crate) fn queries(count: usize, passages: usize) -> Vec<Query> {
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
pub(crate) fn moved(plan: &LoraPlan, decoder: &Decoder) -> Parameters {
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

pub(crate) fn check_slopes(
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
