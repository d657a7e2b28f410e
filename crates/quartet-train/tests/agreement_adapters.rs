//! Adapters that the trainer writes, in the engine and in the trainer.

#![allow(clippy::print_stdout)]

mod agreement;
mod common;

use agreement::{
    Both, FAMILIES, Given, bound, largest_gap, last_row, letters, log_softmax, raw, request, text,
};
use quartet_train::{Adapters, LoraPlan, Projection, read_adapter, values, write_adapter};
use quartet_types::{AdapterSource, AdapterUse, GenerationRequest, Sha256, TapRows};
use std::path::PathBuf;

/// Two adapters: one on every linear, a small one on some.
fn written(both: &Both) -> Vec<(PathBuf, Sha256)> {
    let architecture = both.trainer.architecture();
    let some = LoraPlan {
        rank: 2,
        alpha: 3.0,
        layers: 1..3,
        projections: vec![Projection::Query, Projection::Value, Projection::Down],
        heads_of: None,
    };
    let plans = [LoraPlan::everywhere(architecture, 3), some];
    let files = plans.iter().enumerate().map(|(index, plan)| {
        let path = both.file(&format!("adapter-{index}.gguf"));
        let parameters = both.parameters(plan, 50 + index as u64, 0.1);
        write_adapter(&path, architecture, plan, &parameters, &[]).unwrap();
        let loaded = both.engine.load_adapter(&AdapterSource::File(path.clone())).unwrap();
        assert_eq!((loaded.rank as usize, f64::from(loaded.alpha)), (plan.rank, plan.alpha));
        (path, loaded.adapter)
    });
    files.collect()
}

#[test]
fn adapters_change_the_same() {
    // Which adapters, and how strongly.
    let cases: [&[(usize, f32)]; 7] = [
        &[],
        &[(0, 1.0)],
        &[(0, 0.5)],
        &[(0, -1.0)],
        &[(1, 1.0)],
        &[(0, 1.0), (1, 2.0)],
        &[(0, 0.0), (1, -2.0)],
    ];
    for family in FAMILIES {
        let both = Both::tiny(family);
        let files = written(&both);
        let prompt = raw(&text(30, 31));
        let mut seen: Vec<Vec<f32>> = Vec::new();
        for case in cases {
            let uses: Vec<AdapterUse> = case
                .iter()
                .map(|(index, scale)| AdapterUse {
                    adapter: files[*index].1.clone(),
                    scale: *scale,
                })
                .collect();
            let asked = GenerationRequest { adapters: uses.clone(), ..request(prompt.clone()) };
            let found = both.engine_logits(&asked, TapRows::Prompt);

            let mut adapters = Adapters::none();
            for (index, scale) in case {
                let (path, _) = &files[*index];
                let (shapes, compute) = (both.trainer.architecture(), both.trainer.compute());
                let one = read_adapter(path, shapes, compute, f64::from(*scale)).unwrap();
                adapters.extend(one);
            }
            let given = Given { adapters: Some(&adapters), ..Given::default() };
            let expected = both.trainer_logits(&prompt, &given);
            let gap = largest_gap(&found, &expected);

            let scores = both.scores(&prompt, &letters(), &uses);
            let expected = log_softmax(last_row(&expected, common::VOCABULARY));
            let score_gap = largest_gap(&scores, &expected[3..]);
            println!("{family} {case:?}: logits differ by {gap:.1e}, scores by {score_gap:.1e}");
            assert!(gap < bound(family), "{family} {case:?}: logits differ by {gap}");
            assert!(score_gap < bound(family), "{family} {case:?}: scores by {score_gap}");
            // No case is another: each of them does something.
            for other in &seen {
                let difference = largest_gap(last_row(&found, common::VOCABULARY), other);
                assert!(difference > 0.05, "{family} {case:?}: only {difference} from another");
            }
            seen.push(last_row(&found, common::VOCABULARY).to_vec());
        }
    }
}

/// What is trained and what is written are the same adapter.
#[test]
fn the_written_file_is_what_was_trained() {
    let both = Both::tiny("qwen2");
    let plan = LoraPlan::everywhere(both.trainer.architecture(), 4);
    let parameters = both.parameters(&plan, 60, 0.1);
    let path = both.file("adapter.gguf");
    write_adapter(&path, both.trainer.architecture(), &plan, &parameters, &[]).unwrap();
    let prompt = raw(&text(20, 32));
    let leaves = parameters.leaves(both.trainer.compute()).unwrap();
    let trained = plan.adapters(&leaves).unwrap();
    let outcome = both.pass(&prompt, &Given { adapters: Some(&trained), ..Given::default() });
    let expected = values(both.trainer.logits(outcome.hidden).unwrap()).unwrap();
    let adapter = both.engine.load_adapter(&AdapterSource::File(path)).unwrap().adapter;
    let uses = vec![AdapterUse { adapter, scale: 1.0 }];
    let asked = GenerationRequest { adapters: uses, ..request(prompt) };
    let gap = largest_gap(&both.engine_logits(&asked, TapRows::Prompt), &expected);
    assert!(gap < bound("qwen2"), "{gap}");
}
