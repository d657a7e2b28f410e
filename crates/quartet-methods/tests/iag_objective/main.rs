//! What the second part of IAG learns, on tiny models: gradients, losses, that the weights hang on
//! the question, and the whole run. Numbers are those of the tests in IAG's method card.

#[path = "../../../quartet-train/tests/common/mod.rs"]
mod common;
mod gradients;
mod learning;
mod losses;
mod numbers;
mod whole;

use common::Random;
use quartet_methods::iag::Maker;
use quartet_methods::iag::bank::BankShape;
use quartet_methods::iag::hypernetwork::Shape;
use quartet_methods::iag::objective::{Lesson, Settings, Tuning};
use quartet_methods::iag::teacher::{teach, temperatures};
use quartet_train::{Compute, Control, Decoder, Holding, LoraPlan, Parameters, Projection};

/// Components of the features.
pub(crate) const COMPONENTS: usize = 3;

pub(crate) fn decoder(compute: &Compute) -> Decoder {
    let folder = tempfile::tempdir().unwrap();
    Decoder::load(&common::tiny(folder.path(), "qwen2"), compute, Holding::Floats).unwrap()
}

/// Two classes: queries of a tiny model are as wide as it is, values half as wide.
pub(crate) fn shape(decoder: &Decoder) -> Shape {
    let shape = Shape::of(decoder.architecture(), COMPONENTS, (5, 2), false);
    assert_eq!(shape.classes().len(), 2);
    shape
}

pub(crate) fn hypernetwork(decoder: &Decoder) -> Maker {
    Maker::Hypernetwork(shape(decoder))
}

pub(crate) fn bank(decoder: &Decoder) -> Maker {
    Maker::Bank(BankShape { inner: shape(decoder), members: 3 })
}

pub(crate) fn feed_forward(decoder: &Decoder) -> LoraPlan {
    LoraPlan {
        rank: 2,
        alpha: 4.0,
        layers: 0..decoder.architecture().layers,
        projections: vec![Projection::Gate, Projection::Up, Projection::Down],
        heads_of: None,
    }
}

pub(crate) fn settings(maker: Maker) -> Settings {
    Settings {
        maker,
        feed_forward: None,
        teacher_weight: 0.4,
        hidden_weight: 1.0,
        clamp_temperature: true,
        is_chained: false,
        watches_saddle: false,
    }
}

/// What is trained, as it begins.
pub(crate) fn fresh(decoder: &Decoder, settings: &Settings) -> Parameters {
    let mut parameters = settings.maker.fresh(3, false).unwrap();
    if let Some(plan) = &settings.feed_forward {
        parameters.extend(plan.parameters(decoder.architecture(), 4).unwrap()).unwrap();
    }
    parameters
}

/// Away from zero, where some gradients vanish.
pub(crate) fn moved(mut parameters: Parameters, by: f32) -> Parameters {
    let names: Vec<String> = parameters.all().iter().map(|one| one.name.clone()).collect();
    let mut random = Random(8);
    for name in names {
        for value in parameters.values_mut(&name).unwrap() {
            *value += random.float() * by;
        }
    }
    parameters
}

pub(crate) fn ids(random: &mut Random, count: usize) -> Vec<u32> {
    (0..count).map(|_| 3 + (random.bits() % 93) as u32).collect()
}

/// Lessons whose teacher reads a document that the student does not have.
pub(crate) fn lessons(decoder: &Decoder, count: usize) -> Vec<Lesson> {
    let mut random = Random(5);
    let heats = temperatures(1_000, true);
    (0..count)
        .map(|at| {
            let prompt = ids(&mut random, 4 + at % 3);
            let documents = ids(&mut random, 7);
            let answer = ids(&mut random, 3);
            let read = [documents, prompt.clone()].concat();
            let teaching = teach(decoder, &read, &answer, &heats, &Control::new()).unwrap();
            let features = random.floats(COMPONENTS, 1.0);
            Lesson { prompt, answer, features, teaching: Some(teaching) }
        })
        .collect()
}

pub(crate) fn tuning(decoder: &Decoder, settings: Settings, lessons: Vec<Lesson>) -> Tuning<'_> {
    Tuning::new(decoder, settings, lessons.clone(), lessons, Control::new()).unwrap()
}
