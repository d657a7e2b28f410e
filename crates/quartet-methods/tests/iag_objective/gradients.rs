//! Card, test 5: central differences in 64 bits.

use crate::{bank, decoder, feed_forward, fresh, hypernetwork, lessons, moved, settings, tuning};
use quartet_methods::iag::objective::{Lesson, Settings};
use quartet_train::{Compute, Objective, Parameters};
use quartet_types::ErrorCode;

/// Compares the gradient of every tensor with the slope, at `places` of its numbers.
fn check_slopes(
    parameters: &Parameters,
    compute: &Compute,
    objective: &mut dyn Objective,
    places: usize,
    what: &str,
) {
    let found = objective.gradients(&parameters.leaves(compute).unwrap(), 0, 600).unwrap();
    let mut value = |parameters: &Parameters| {
        objective.gradients(&parameters.leaves(compute).unwrap(), 0, 600).unwrap().loss
    };
    for (index, one) in parameters.all().iter().enumerate() {
        let gradient = found.of(index);
        let largest = gradient.iter().fold(0f32, |most, one| most.max(one.abs()));
        assert!(largest > 1e-9, "{what}: `{}` has no influence", one.name);
        let stride = (gradient.len() / places).max(1);
        for at in (index % stride..gradient.len()).step_by(stride) {
            let step = |by: f32| {
                let mut moved = parameters.clone();
                let place = &mut moved.values_mut(&one.name).unwrap()[at];
                *place += by;
                (f64::from(*place), moved)
            };
            let ((high, up), (low, down)) = (step(1e-4), step(-1e-4));
            let slope = (value(&up) - value(&down)) / (high - low);
            let error = (slope - f64::from(gradient[at])).abs();
            assert!(
                error < 1e-4 * f64::from(largest).max(slope.abs()) + 1e-9,
                "{what}: `{}` at {at}: {} is not {slope}",
                one.name,
                gradient[at]
            );
        }
    }
}

/// All four linears of both networks of both classes, and the feed-forward layers beside them.
#[test]
fn gradients_of_a_hypernetwork_are_those_of_central_differences() {
    let compute = Compute::cpu_f64();
    let decoder = decoder(&compute);
    for is_chained in [false, true] {
        let usual = settings(hypernetwork(&decoder));
        let feed_forward = Some(feed_forward(&decoder));
        let settings = Settings { feed_forward, is_chained, ..usual };
        let parameters = moved(fresh(&decoder, &settings), 0.2);
        let networks = parameters.all().iter().filter(|one| one.name.contains("0.w"));
        assert_eq!(networks.count(), 4, "of the first class");
        assert_eq!(parameters.all().len(), 2 * 2 * 4 + 4 * 3 * 2);
        let mut objective = tuning(&decoder, settings, lessons(&decoder, 1));
        let what = format!("hypernetwork, block by block: {is_chained}");
        check_slopes(&parameters, &compute, &mut objective, 3, &what);
    }
}

#[test]
fn gradients_of_a_bank_are_those_of_central_differences() {
    let compute = Compute::cpu_f64();
    let decoder = decoder(&compute);
    for is_chained in [false, true] {
        let settings = Settings { is_chained, ..settings(bank(&decoder)) };
        let parameters = moved(fresh(&decoder, &settings), 0.2);
        let mut objective = tuning(&decoder, settings, lessons(&decoder, 1));
        let what = format!("bank, block by block: {is_chained}");
        check_slopes(&parameters, &compute, &mut objective, 1, &what);
    }
}

/// Deviation (g): a fresh hypernetwork changes nothing and yet has a gradient where the change is
/// made; with the paper's start there is next to none anywhere.
#[test]
fn the_usual_start_is_no_saddle_and_the_published_one_is() {
    let compute = Compute::cpu_f64();
    let decoder = decoder(&compute);
    let settings = settings(hypernetwork(&decoder));
    let mut objective = tuning(&decoder, settings.clone(), lessons(&decoder, 1));
    let mut norm = |tiny| {
        let start = settings.maker.fresh(3, tiny).unwrap();
        objective.gradients(&start.leaves(&compute).unwrap(), 0, 0).unwrap().norm()
    };
    let (usual, published) = (norm(false), norm(true));
    assert!(usual > 1e-2, "{usual}");
    assert!(published < 1e-10 && published < 1e-6 * usual, "{published}");
}

/// Card, test 12: where the changes are still nothing after a thousand updates, training gives up
/// and says why; before, and from another start, it goes on.
#[test]
fn a_saddle_that_is_not_left_ends_the_training() {
    let compute = Compute::cpu();
    let decoder = decoder(&compute);
    let alone: Vec<Lesson> = lessons(&decoder, 1)
        .into_iter()
        .map(|lesson| Lesson { teaching: None, ..lesson })
        .collect();
    let tried = |watches_saddle, tiny, step| {
        let settings = Settings { watches_saddle, ..settings(hypernetwork(&decoder)) };
        let start = settings.maker.fresh(3, tiny).unwrap();
        // A change as small as may be counts: `B` of a fresh network is nothing as well.
        let start = if tiny { start } else { moved(start, 1e-2) };
        let mut objective = tuning(&decoder, settings, alone.clone());
        objective.gradients(&start.leaves(&compute).unwrap(), 0, step)
    };
    let error = tried(true, true, 1_000).unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidInput);
    assert!(error.hint.is_some_and(|hint| hint.contains("--published")));
    for (watches_saddle, tiny, step) in
        [(true, true, 999), (false, true, 1_000), (true, false, 1_000), (true, false, 5_000)]
    {
        let found = tried(watches_saddle, tiny, step);
        assert!(found.is_ok(), "watched: {watches_saddle}, tiny: {tiny}, update {step}");
    }
}
