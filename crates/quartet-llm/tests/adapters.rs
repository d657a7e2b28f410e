//! LoRA adapters: what they change, and that nothing of them stays.

#![allow(clippy::print_stdout, reason = "a skipped test and the figures reached should be seen")]

mod common;

use common::adapter::{adapter, header, usual};
use common::{SMALL, load, raw, real_model, tiny, with_model};
use quartet_gguf::{GgufWriter, TensorType};
use quartet_llm::Model;
use quartet_types::{
    AdapterSource, AdapterUse, EngineEvent, ErrorCode, GenerationRequest, PerplexityRequest,
    Result, Sha256, TokenInput,
};

fn bytes(file: &GgufWriter) -> AdapterSource {
    AdapterSource::Bytes(file.to_bytes())
}

fn load_adapter(model: &Model, file: &GgufWriter) -> Sha256 {
    model.load_adapter(&bytes(file)).unwrap().adapter
}

fn with(adapter: &Sha256, scale: f32) -> AdapterUse {
    AdapterUse { adapter: adapter.clone(), scale }
}

fn scores(model: &Model, prompt: &str, texts: &[String], adapters: &[AdapterUse]) -> Vec<f32> {
    let turn = model.turn(&quartet_llm::never()).unwrap();
    turn.score(&raw(prompt), texts, adapters).unwrap().concat()
}

fn try_generate(model: &Model, adapters: &[AdapterUse]) -> Result<Vec<u32>> {
    let mut request = GenerationRequest::new("test".into(), raw("the lamp of the light house"));
    request.limits.max_tokens = 12;
    request.grammar = Some(quartet_types::Grammar::Gbnf("root ::= [a-z] root".to_owned()));
    request.adapters = adapters.to_vec();
    let generation = model.turn(&quartet_llm::never())?.generate(&request, |_| {})?;
    Ok(generation.token_log_probabilities.iter().map(|value| value.to_bits()).collect())
}

fn bits(model: &Model, adapters: &[AdapterUse]) -> Vec<u32> {
    try_generate(model, adapters).unwrap()
}

/// Texts that are one token each.
fn letters() -> Vec<String> {
    ('!'..='~').map(String::from).collect()
}

/// Logits of letters against that of the first, where softmax drops out.
fn against_first(scores: &[f32]) -> Vec<f64> {
    scores.iter().map(|score| f64::from(score - scores[0])).collect()
}

/// `A` is made of differences of rows of the output matrix, so that `A h` is a difference of
/// logits, whatever the last hidden state `h` is.
#[test]
fn a_change_of_the_output_matrix_is_the_product_of_its_factors() {
    const RANK: usize = 4;
    const COUNT: usize = 264;
    let file = tiny::generator();
    let head = tiny::generator_head();
    let letters = letters();
    with_model(&file, |model| {
        let ids = model.tokenise(&letters, false, &quartet_llm::never()).unwrap().concat();
        assert_eq!(ids.len(), letters.len(), "one token each");
        let row = |id: u32| &head[id as usize * 32..][..32];
        let plain = against_first(&scores(model, "the lamp", &letters, &[]));
        let mut a = Vec::new();
        let mut a_times_h = Vec::new();
        for letter in 1..=RANK {
            a.extend(row(ids[letter]).iter().zip(row(ids[0])).map(|(x, y)| x - y));
            a_times_h.push(plain[letter]);
        }
        let b: Vec<f32> =
            (0..COUNT * RANK).map(|n| ((n * 37 % 101) as f32 - 50.0) / 200.0).collect();
        let mut factors = header("qwen2", 8.0);
        let (a_shape, b_shape) = ([32, RANK as u64], [RANK as u64, COUNT as u64]);
        factors.tensor("output.weight.lora_a", &a_shape, TensorType::F32, &a).unwrap();
        factors.tensor("output.weight.lora_b", &b_shape, TensorType::F32, &b).unwrap();
        let adapter = load_adapter(model, &factors);
        for scale in [0.5f32, 1.0, -2.0] {
            let changed = scores(model, "the lamp", &letters, &[with(&adapter, scale)]);
            let changed = against_first(&changed);
            let b_times_a_h = |id: u32| -> f64 {
                let b = &b[id as usize * RANK..][..RANK];
                b.iter().zip(&a_times_h).map(|(b, value)| f64::from(*b) * value).sum()
            };
            let mut largest = 0f64;
            for (letter, id) in ids.iter().enumerate() {
                let factor = f64::from(scale) * 8.0 / RANK as f64;
                let predicted = factor * (b_times_a_h(*id) - b_times_a_h(ids[0]));
                let found = changed[letter] - plain[letter];
                assert!((predicted - found).abs() < 2e-5, "{scale}: {predicted} {found}");
                largest = largest.max(found.abs());
            }
            assert!(largest > 0.1, "the adapter changed next to nothing: {largest}");
        }
    });
}

#[test]
fn scale_zero_is_none_and_nothing_stays() {
    for (file, adapter) in [
        (tiny::generator(), usual(1)),
        (tiny::gemma(), adapter("gemma3", 4.0, 1, &[("blk.0.attn_k.weight", 32, 2, 16)])),
    ] {
        with_model(&file, |model| {
            let plain = bits(model, &[]);
            let adapter = load_adapter(model, &adapter);
            assert_eq!(bits(model, &[]), plain, "loading alone changes nothing");
            let changed = bits(model, &[with(&adapter, 1.0)]);
            assert_ne!(changed, plain);
            assert_eq!(bits(model, &[]), plain);
            assert_eq!(bits(model, &[with(&adapter, 0.0)]), plain);
            assert_eq!(bits(model, &[with(&adapter, -0.0)]), plain);
            assert_eq!(bits(model, &[with(&adapter, 1.0)]), changed);
            assert_ne!(bits(model, &[with(&adapter, 0.5)]), changed);
            assert_ne!(bits(model, &[with(&adapter, -1.0)]), changed);
            assert!(model.free_adapter(&adapter) && !model.free_adapter(&adapter));
            assert_eq!(bits(model, &[]), plain);
        });
    }
}

#[test]
fn several_add_up_in_any_order() {
    with_model(&tiny::generator(), |model| {
        let head = |seed| adapter("qwen2", 8.0, seed, &[("output.weight", 32, 4, 264)]);
        let all = [1, 2, 3].map(|seed| load_adapter(model, &head(seed)));
        let uses = [with(&all[0], 0.3), with(&all[1], 0.7), with(&all[2], -1.1)];
        let reversed: Vec<AdapterUse> = uses.iter().rev().cloned().collect();
        assert_eq!(bits(model, &uses), bits(model, &reversed));
        let letters = letters();
        let of = |uses: &[AdapterUse]| against_first(&scores(model, "the sea", &letters, uses));
        let plain = of(&[]);
        let together = of(&uses);
        let alone = uses.each_ref().map(|one| of(std::slice::from_ref(one)));
        for (letter, plain) in plain.iter().enumerate() {
            let sum: f64 = alone.iter().map(|alone| alone[letter] - plain).sum();
            let found = together[letter] - plain;
            assert!((sum - found).abs() < 5e-5, "{sum} {found}");
        }
        // A set that is one of another is not taken for it.
        assert_ne!(bits(model, &uses[..2]), bits(model, &uses));
        assert_ne!(bits(model, &uses[..2]), bits(model, &uses[1..]));
    });
}

#[test]
fn from_memory_and_from_a_file_it_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ädapter.gguf");
    usual(5).write(&path).unwrap();
    let run = |source: &AdapterSource| {
        let mut found = None;
        with_model(&tiny::generator(), |model| {
            let loaded = model.load_adapter(source).unwrap();
            assert_eq!(
                model.load_adapter(source).unwrap(),
                loaded,
                "a second time changes nothing"
            );
            assert_eq!(model.adapters(), std::slice::from_ref(&loaded));
            found = Some((bits(model, &[with(&loaded.adapter, 1.0)]), loaded));
        });
        found.unwrap()
    };
    let from_file = run(&AdapterSource::File(path.clone()));
    assert_eq!(from_file, run(&bytes(&usual(5))));
    let facts = from_file.1;
    assert_eq!((facts.rank, facts.matrices, facts.alpha), (4, 3, 16.0));
    let digest = quartet_gguf::sha256_of_file(&path, |_| std::ops::ControlFlow::Continue(()));
    assert_eq!(facts.adapter, digest.unwrap());

    // The embedding is looked up, so its factors are the other way round.
    with_model(&tiny::generator(), |model| {
        let mut file = header("qwen2", 2.0);
        let (a, b) = (vec![0.1; 2 * 264], (0..64).map(|n| n as f32 / 64.0).collect::<Vec<_>>());
        file.tensor("token_embd.weight.lora_a", &[2, 264], TensorType::F16, &a).unwrap();
        file.tensor("token_embd.weight.lora_b", &[2, 32], TensorType::F16, &b).unwrap();
        let adapter = load_adapter(model, &file);
        assert_ne!(bits(model, &[with(&adapter, 1.0)]), bits(model, &[]));
    });
}

#[test]
fn requests_that_cannot_be_served_are_refused_by_name() {
    with_model(&tiny::generator(), |model| {
        let plain = bits(model, &[]);
        let adapter = load_adapter(model, &usual(1));
        let unknown = Sha256("0".repeat(64));
        for (uses, code, said) in [
            (vec![with(&unknown, 1.0)], ErrorCode::NotFound, "not loaded"),
            (vec![with(&adapter, 1.0); 2], ErrorCode::InvalidInput, "twice"),
            (vec![with(&adapter, f32::NAN)], ErrorCode::InvalidInput, "NaN"),
            (vec![with(&adapter, f32::INFINITY)], ErrorCode::InvalidInput, "inf"),
        ] {
            let error = try_generate(model, &uses).unwrap_err();
            assert_eq!(error.code, code, "{error}");
            assert!(error.message.contains(said) && error.hint.is_some(), "{error}");
            assert_eq!(error.subject, Some(format!("adapter {}", uses[0].adapter)));
            let turn = model.turn(&quartet_llm::never()).unwrap();
            assert_eq!(turn.score(&raw("a"), &["b".to_owned()], &uses).unwrap_err().code, code);
        }
        assert_eq!(bits(model, &[]), plain);
        // Finite, but too much for the numbers on the way: an error, and the model goes on.
        let error = try_generate(model, &[with(&adapter, f32::MAX)]).unwrap_err();
        assert_eq!(error.code, ErrorCode::BadModel, "{error}");
        assert_eq!(bits(model, &[]), plain);
    });
}

#[test]
fn requests_at_the_same_time_do_not_see_each_others_adapters() {
    with_model(&tiny::generator(), |model| {
        let adapters = [1, 2].map(|seed| load_adapter(model, &usual(seed)));
        let sets = [vec![], vec![with(&adapters[0], 1.0)], vec![with(&adapters[1], -0.5)]];
        let alone = sets.each_ref().map(|set| bits(model, set));
        assert!(alone[0] != alone[1] && alone[1] != alone[2]);
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..12)
                .map(|number| {
                    let set = &sets[number % 3];
                    scope.spawn(move || (number % 3, bits(model, set)))
                })
                .collect();
            // Others come and go meanwhile.
            for seed in 10..30 {
                let adapter = load_adapter(model, &usual(seed));
                assert!(model.free_adapter(&adapter));
            }
            for writer in writers {
                let (which, found) = writer.join().unwrap();
                assert_eq!(found, alone[which], "set {which}");
            }
        });
    });
}

#[test]
fn an_adapter_that_is_freed_in_the_middle_stays_to_the_end() {
    with_model(&tiny::generator(), |model| {
        let adapter = load_adapter(model, &usual(3));
        let mut request = GenerationRequest::new("test".into(), raw("hello"));
        request.limits.max_tokens = 30;
        request.grammar = Some(quartet_types::Grammar::Gbnf("root ::= [a-z] root".to_owned()));
        request.adapters = vec![with(&adapter, 1.0)];
        let run = |on_text: &dyn Fn()| {
            let turn = model.turn(&quartet_llm::never()).unwrap();
            let generation = turn.generate(&request, |event| {
                if matches!(event, EngineEvent::Text(_)) {
                    on_text();
                }
            });
            generation.unwrap().token_log_probabilities
        };
        let undisturbed = run(&|| {});
        let disturbed = run(&|| {
            model.free_adapter(&adapter);
            // Something else may take its place in memory.
            load_adapter(model, &usual(4));
        });
        assert_eq!(undisturbed, disturbed);
        assert_eq!(model.adapters().len(), 1);
        let error = try_generate(model, &request.adapters).unwrap_err();
        assert_eq!(error.code, ErrorCode::NotFound);
    });
}

/// Memory of this process that is in use, in bytes; `None` where the system does not say.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? << 10)
}

#[test]
fn two_hundred_rounds_leave_no_memory_behind() {
    with_model(&tiny::generator(), |model| {
        // About a megabyte each: a leak would take 200 MB.
        let file = |seed| {
            let changes = [("output.weight", 32, 512, 264), ("blk.0.ffn_up.weight", 32, 512, 64)];
            adapter("qwen2", 1.0, seed, &changes)
        };
        let texts = ["a".to_owned()];
        let plain = scores(model, "the sea", &texts, &[]);
        let round = |seed| {
            let adapter = load_adapter(model, &file(seed));
            assert_ne!(scores(model, "the sea", &texts, &[with(&adapter, 1.0)]), plain);
            assert!(model.free_adapter(&adapter));
        };
        (0..20).for_each(round);
        let before = resident_bytes();
        (20..220).for_each(round);
        assert_eq!(scores(model, "the sea", &texts, &[]), plain);
        match (before, resident_bytes()) {
            (Some(before), Some(after)) => {
                let grown = after.saturating_sub(before) >> 20;
                println!("grown by {grown} MiB");
                assert!(grown < 60, "grown by {grown} MiB");
            }
            _ => println!("skipped: this system does not say how much memory is in use"),
        }
    });
}

#[test]
fn perplexity_is_measured_with_adapters_as_well() {
    with_model(&tiny::generator(), |model| {
        let text = "the lamp of the light house turns ".repeat(10);
        let measure = |adapters: &[AdapterUse]| {
            let request = PerplexityRequest {
                model: "test".into(),
                input: TokenInput::Text { text: text.clone(), special: false },
                window: Some(64),
                overlap: 8,
                adapters: adapters.to_vec(),
            };
            model.turn(&quartet_llm::never()).unwrap().perplexity(&request).unwrap()
        };
        let plain = measure(&[]);
        let adapter = load_adapter(model, &usual(8));
        assert_ne!(measure(&[with(&adapter, 1.0)]).sum, plain.sum);
        assert_eq!(measure(&[with(&adapter, 0.0)]), plain);
        assert_eq!(measure(&[]), plain);
    });
}

#[test]
fn an_adapter_of_a_real_model_changes_it_and_goes() {
    let Some(path) = real_model(SMALL) else { return };
    let model = load(&path);
    let changes: Vec<_> = (0..24)
        .flat_map(|layer| {
            [
                (format!("blk.{layer}.attn_q.weight"), 896),
                (format!("blk.{layer}.attn_v.weight"), 128),
            ]
        })
        .collect();
    let changes: Vec<_> =
        changes.iter().map(|(name, output)| (name.as_str(), 896, 8, *output)).collect();
    let adapter = load_adapter(&model, &adapter("qwen2", 16.0, 1, &changes));
    let run = |adapters: &[AdapterUse]| {
        let mut request = GenerationRequest::new("test".into(), raw("The lamp of the"));
        request.limits.max_tokens = 4;
        request.adapters = adapters.to_vec();
        let turn = model.turn(&quartet_llm::never()).unwrap();
        turn.generate(&request, |_| {}).unwrap().token_log_probabilities
    };
    let plain = run(&[]);
    assert_ne!(run(&[with(&adapter, 0.1)]), plain);
    assert_eq!(run(&[]), plain);
}
