//! The numbers that answer are those that were trained.

use crate::{COMPONENTS, bank, decoder, fresh, hypernetwork, moved, settings};
use quartet_methods::iag::Maker;
use quartet_methods::iag::bank::Bank;
use quartet_methods::iag::hypernetwork::Hypernetwork;
use quartet_train::{Compute, Projection, read_adapter, values_f64};

const FEATURES: [f32; COMPONENTS] = [0.4, -0.8, 0.3];

fn close(one: &[f64], other: impl Iterator<Item = f32>) -> bool {
    one.iter().zip(other).all(|(one, other)| (one - f64::from(other)).abs() < 1e-5)
}

#[test]
fn a_hypernetwork_in_plain_numbers_is_the_one_in_the_graph() {
    let compute = Compute::cpu_f64();
    let decoder = decoder(&compute);
    let maker = hypernetwork(&decoder);
    let parameters = moved(fresh(&decoder, &settings(maker.clone())), 0.3);
    let leaves = parameters.constants(&compute).unwrap();
    let graph = maker.adapters(&decoder, &leaves, &FEATURES).unwrap();
    let Maker::Hypernetwork(shape) = maker else { panic!("a hypernetwork") };
    let network = Hypernetwork::new(shape, &parameters).unwrap();
    let made = network.changes(&FEATURES).unwrap();
    assert_eq!(made.len(), 8, "queries and values of four layers");
    assert_eq!(graph.iter().count(), 8);
    for one in &made {
        let [low_rank] = graph.on(one.layer, one.projection) else { panic!("one each") };
        assert_eq!((low_rank.factor, low_rank.a.dims()), (1.0, [2, 32]));
        let (a, b) = (low_rank.a.clone(), low_rank.b.clone());
        assert_eq!(b.dims(), [if one.projection == Projection::Query { 32 } else { 16 }, 2]);
        assert!(close(&values_f64(a).unwrap(), one.a.iter().copied()), "A of {}", one.layer);
        assert!(close(&values_f64(b).unwrap(), one.b.iter().copied()), "B of {}", one.layer);
    }

    // And so is the file that the engine loads, as the trainer reads it.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("question.gguf");
    std::fs::write(&path, network.adapter(&made).unwrap()).unwrap();
    let read = read_adapter(&path, decoder.architecture(), &compute, 1.0).unwrap();
    assert_eq!(read.iter().count(), 8);
    for one in &made {
        let [low_rank] = read.on(one.layer, one.projection) else { panic!("one each") };
        assert_eq!(low_rank.factor, 1.0, "an alpha as large as the rank");
        let (a, b) = (low_rank.a.clone(), low_rank.b.clone());
        assert!(close(&values_f64(a).unwrap(), one.a.iter().copied()));
        assert!(close(&values_f64(b).unwrap(), one.b.iter().copied()));
    }
    assert!(network.changes(&FEATURES[1..]).is_err());
}

#[test]
fn a_bank_in_plain_numbers_is_the_one_in_the_graph() {
    let compute = Compute::cpu_f64();
    let decoder = decoder(&compute);
    let maker = bank(&decoder);
    let parameters = moved(fresh(&decoder, &settings(maker.clone())), 0.3);
    let leaves = parameters.constants(&compute).unwrap();
    let graph = maker.adapters(&decoder, &leaves, &FEATURES).unwrap();
    let Maker::Bank(shape) = maker else { panic!("a bank") };
    let bank = Bank::new(shape.clone(), &parameters).unwrap();
    let strengths = bank.strengths(&FEATURES).unwrap();
    assert_eq!((strengths.len(), bank.members().len()), (3, 3));
    assert!(strengths.iter().all(|one| one.abs() > 1e-3), "{strengths:?}");
    let rank = shape.inner.rank;
    let folder = tempfile::tempdir().unwrap();
    for (member, file) in bank.members().iter().enumerate() {
        let path = folder.path().join(format!("{member}.gguf"));
        std::fs::write(&path, file).unwrap();
        let own = read_adapter(&path, decoder.architecture(), &compute, 1.0).unwrap();
        for (layer, projection, all) in own.iter() {
            let [whole] = graph.on(layer, projection) else { panic!("one each") };
            assert_eq!(whole.a.dims()[0], 3 * rank, "side by side");
            let a = values_f64(whole.a.clone().narrow(0, member * rank, rank)).unwrap();
            let b = values_f64(whole.b.clone().narrow(1, member * rank, rank)).unwrap();
            let own_a = quartet_train::values(all[0].a.clone()).unwrap();
            let own_b = quartet_train::values(all[0].b.clone()).unwrap();
            assert!(close(&a, own_a.into_iter()));
            let strength = strengths[member];
            assert!(close(&b, own_b.into_iter().map(|value| value * strength)), "{layer}");
        }
    }
    assert!(bank.strengths(&FEATURES[1..]).is_err());
}

/// Parameters of another shape are an artefact that is damaged, and said to be.
#[test]
fn parameters_that_do_not_fit_are_refused() {
    let compute = Compute::cpu();
    let decoder = decoder(&compute);
    for maker in [hypernetwork(&decoder), bank(&decoder)] {
        let whole = fresh(&decoder, &settings(maker.clone()));
        for one in whole.all() {
            let mut without = quartet_train::Parameters::new();
            for other in whole.all().iter().filter(|other| other.name != one.name) {
                let values = other.values.clone();
                without.add(other.name.clone(), other.rows, other.columns, values).unwrap();
            }
            let error = match &maker {
                Maker::Hypernetwork(shape) => {
                    Hypernetwork::new(shape.clone(), &without).unwrap_err()
                }
                Maker::Bank(shape) => Bank::new(shape.clone(), &without).unwrap_err(),
            };
            assert_eq!(error.code, quartet_types::ErrorCode::Corrupt);
            assert!(error.message.contains(&one.name) && error.hint.is_some(), "{error}");
        }
    }
}
