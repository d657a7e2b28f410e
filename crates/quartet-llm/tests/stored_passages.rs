//! Passages that are kept in files.

mod common;

use common::families::{family, letters};
use common::passages::{
    PIECE, UNIFORM, assert_same, encode, passages, stored, storing, tapped, texts, using, with,
};
use common::{generate, load, raw, refused, request};
use quartet_llm::Model;
use quartet_types::{
    AdapterSource, AdapterUse, EncodedPassages, Error, ErrorCode, Generation, GenerationRequest,
    PassageRequest, PassageSource, PassageUse, Sha256,
};
use std::path::Path;

#[test]
fn from_a_file_they_are_the_same_as_encoded_now() {
    let folder = tempfile::tempdir().unwrap();
    for name in UNIFORM {
        let model = load(&family(folder.path(), name));
        let states = folder.path().join(format!("states/{name}"));
        let asked = request(raw(&letters(130, 10)), 15);
        let many = passages(&model, 3, 70);
        let position = 3 * PIECE as u32;
        for together in [false, true] {
            let passages = texts(&many, together);
            let encoded = encode(&model, &storing(passages.clone(), &states, (1, 2))).unwrap();
            assert_eq!(encoded.passages.len(), 3);
            assert_eq!(encoded.stored.len(), if together { 1 } else { 3 });
            let tokens: u32 = encoded.passages.iter().map(|passage| passage.tokens).sum();
            assert_eq!(encoded.stored.iter().map(|state| state.tokens).sum::<u32>(), tokens);
            let keys: Vec<Sha256> = encoded.stored.iter().map(|state| state.key.clone()).collect();
            let run =
                |source, layers| tapped(&model, with(&asked, using(source, layers, position)));
            // What is outside of the stored layers comes back as zeros, and is never read.
            for layers in [(1, 2), (2, 2), (1, 1)] {
                let now = run(PassageSource::Texts(passages.clone()), layers);
                let fast = run(stored(&states, keys.clone()), layers);
                assert_same(&fast, &now, name);
            }
            // The same files again: keys are those of the content.
            let again = encode(&model, &storing(passages.clone(), &states, (1, 2))).unwrap();
            assert_eq!(again, encoded);
            // Another order is another answer, and each passage counts.
            if !together {
                let some = run(stored(&states, keys[..2].to_vec()), (1, 2));
                let all = run(stored(&states, keys.clone()), (1, 2));
                assert_ne!(some.taps[1].values, all.taps[1].values);
            }
        }
    }
}

fn file_of(folder: &Path, key: &Sha256) -> std::path::PathBuf {
    folder.join(format!("{key}.passage"))
}

#[test]
fn files_that_are_damaged_or_of_something_else_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let model = load(&family(folder.path(), "qwen2"));
    let states = folder.path().join("states");
    let text = texts(&[letters(20, 1)], false);
    let encoded = encode(&model, &storing(text, &states, (1, 2))).unwrap();
    let key = encoded.stored[0].key.clone();
    let path = file_of(&states, &key);
    let whole = std::fs::read(&path).unwrap();
    assert_eq!(whole.len() as u64, encoded.stored[0].bytes);
    let asked = request(raw("abc"), 3);
    let attempt_as = |model: &Model, source: PassageSource, layers| {
        refused(model, &with(&asked, using(source, layers, 128)))
    };
    let attempt = |key: &Sha256| attempt_as(&model, stored(&states, vec![key.clone()]), (1, 2));
    let about = |error: &Error| error.subject.clone().unwrap_or_default();

    for cut in (0..whole.len()).step_by(97).chain([1, 12, 16, whole.len() - 1]) {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let error = attempt(&key);
        assert_eq!(error.code, ErrorCode::Corrupt, "cut at {cut}: {error}");
        assert!(about(&error).ends_with(".passage"), "{error}");
    }
    for place in (0..whole.len()).step_by(61) {
        let mut copy = whole.clone();
        copy[place] ^= 0x10;
        std::fs::write(&path, copy).unwrap();
        assert_eq!(attempt(&key).code, ErrorCode::Corrupt, "flipped at {place}");
    }
    let mut longer = whole.clone();
    longer.push(0);
    std::fs::write(&path, longer).unwrap();
    assert_eq!(attempt(&key).code, ErrorCode::Corrupt);
    std::fs::write(&path, b"\x89PNG\r\n\x1a\n and so on, and on, and on").unwrap();
    assert_eq!(attempt(&key).code, ErrorCode::Corrupt);
    // A sound file under another name.
    let other = Sha256("0".repeat(64));
    std::fs::write(file_of(&states, &other), &whole).unwrap();
    assert_eq!(attempt(&other).code, ErrorCode::Corrupt);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(attempt(&key).code, ErrorCode::NotFound);
    for wrong in ["", "../../elsewhere", "zz", &"g".repeat(64)] {
        assert_eq!(attempt(&Sha256(wrong.to_owned())).code, ErrorCode::InvalidInput);
    }

    // Another template, other layers, another model.
    std::fs::write(&path, &whole).unwrap();
    let source = |template: &str| PassageSource::Stored {
        folder: states.clone(),
        keys: vec![key.clone()],
        template: template.to_owned(),
    };
    let error = attempt_as(&model, source("passage.v2"), (1, 2));
    assert!(error.code == ErrorCode::Corrupt && error.message.contains("template"), "{error}");
    let error = attempt_as(&model, source("passage.v1"), (0, 2));
    assert!(error.code == ErrorCode::Corrupt && error.message.contains("layers 1 to 2"), "{error}");
    let mut changed = common::families::writer("qwen2");
    changed.set("general.name", quartet_gguf::Value::string("another file"));
    let second = folder.path().join("second.gguf");
    changed.write(&second).unwrap();
    let error = attempt_as(&load(&second), source("passage.v1"), (1, 2));
    assert!(error.code == ErrorCode::Corrupt && error.message.contains("model file"), "{error}");
    // And the sound one still works.
    let used = using(source("passage.v1"), (1, 2), 128);
    generate(&model, &with(&asked, used));
}

#[test]
fn adapters_are_part_of_what_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let model = load(&family(folder.path(), "qwen2"));
    let states = folder.path().join("states");
    let matrices = [("blk.0.attn_q.weight", 32, 4, 32), ("blk.1.attn_k.weight", 32, 2, 16)];
    let load_adapter = |seed| {
        let file = common::adapter::adapter("qwen2", 16.0, seed, &matrices);
        model.load_adapter(&AdapterSource::Bytes(file.to_bytes())).unwrap().adapter
    };
    let adapters = [1, 2].map(|seed| AdapterUse { adapter: load_adapter(seed), scale: 1.0 });
    let text = texts(&[letters(60, 1), letters(60, 2)], false);
    let encode_with = |adapters: &[AdapterUse]| {
        let request = storing(text.clone(), &states, (1, 2));
        let adapters = adapters.to_vec();
        encode(&model, &PassageRequest { adapters, key_layer: Some(1), ..request }).unwrap()
    };
    let plain = encode_with(&[]);
    let changed = encode_with(&adapters);
    assert_ne!(plain.passages[0].key, changed.passages[0].key);
    assert_ne!(plain.stored[0].key, changed.stored[0].key);
    // The order in which adapters are listed makes no difference.
    let turned = [adapters[1].clone(), adapters[0].clone()];
    assert_eq!(encode_with(&turned), changed);

    // Passages have a set of their own; that of the request acts on the prompt and the text.
    let own = |source: PassageSource, adapters: &[AdapterUse]| PassageUse {
        adapters: adapters.to_vec(),
        ..using(source, (1, 2), 256)
    };
    let run = |used: PassageUse, adapters: &[AdapterUse]| {
        let asked = with(&request(raw(&letters(90, 3)), 8), used);
        let turn = model.turn(&quartet_llm::never()).unwrap();
        turn.generate(&GenerationRequest { adapters: adapters.to_vec(), ..asked }, |_| {})
    };
    let keys = |encoded: &EncodedPassages| {
        stored(&states, encoded.stored.iter().map(|state| state.key.clone()).collect())
    };
    let now = |passages: &[AdapterUse], reader: &[AdapterUse]| {
        run(own(PassageSource::Texts(text.clone()), passages), reader).unwrap()
    };
    let one = &adapters[..1];
    for reader in [&[][..], one, &adapters] {
        let kept = run(own(keys(&changed), &turned), reader).unwrap();
        assert_same(&kept, &now(&adapters, reader), "passages with adapters");
        let kept = run(own(keys(&plain), &[]), reader).unwrap();
        assert_same(&kept, &now(&[], reader), "passages without");
    }
    // Both sets count, and the one does not stand in for the other.
    let probabilities = |generation: Generation| generation.token_log_probabilities;
    let sets: [(&[AdapterUse], &[AdapterUse]); 4] =
        [(&[], &[]), (&adapters, &[]), (&[], &adapters), (&adapters, &adapters)];
    let all = sets.map(|(passages, reader)| probabilities(now(passages, reader)));
    for (place, one) in all.iter().enumerate() {
        for other in &all[place + 1..] {
            assert_ne!(one, other);
        }
    }
    // What was stored with another set is refused, whatever the request's own is.
    let others: [(&EncodedPassages, &[AdapterUse]); 3] =
        [(&changed, one), (&changed, &[]), (&plain, &adapters)];
    for (encoded, passages) in others {
        for reader in [&[][..], &adapters] {
            let error = run(own(keys(encoded), passages), reader).unwrap_err();
            assert_eq!(error.code, ErrorCode::Corrupt);
            assert!(error.message.contains("set of adapters"), "{error}");
        }
    }
}

#[test]
fn passages_together_have_adapters_of_their_own_as_well() {
    let folder = tempfile::tempdir().unwrap();
    for name in UNIFORM {
        let model = load(&family(folder.path(), name));
        let states = folder.path().join(format!("together/{name}"));
        let matrices = [("blk.0.attn_q.weight", 32, 4, 32), ("blk.1.attn_v.weight", 32, 2, 16)];
        let load_adapter = |seed| {
            let file = common::adapter::adapter(name, 16.0, seed, &matrices);
            let source = AdapterSource::Bytes(file.to_bytes());
            AdapterUse { adapter: model.load_adapter(&source).unwrap().adapter, scale: 1.0 }
        };
        let (passage, reader) = (vec![load_adapter(1)], vec![load_adapter(2)]);
        let asked = request(raw(&letters(130, 10)), 15);
        let many = passages(&model, 3, 70);
        for together in [false, true] {
            let passages = texts(&many, together);
            let storing = storing(passages.clone(), &states, (1, 2));
            let request = PassageRequest { adapters: passage.clone(), ..storing };
            let encoded = encode(&model, &request).unwrap();
            let keys = encoded.stored.iter().map(|state| state.key.clone()).collect();
            let run = |source, adapters: &[AdapterUse]| {
                let position = 3 * PIECE as u32;
                let used =
                    PassageUse { adapters: adapters.to_vec(), ..using(source, (1, 2), position) };
                let asked = GenerationRequest { adapters: reader.clone(), ..asked.clone() };
                tapped(&model, with(&asked, used))
            };
            let now = run(PassageSource::Texts(passages.clone()), &passage);
            assert_same(&run(stored(&states, keys), &passage), &now, name);
            // Another set in the passages is another answer, from the first layer that sees
            // them; below it nothing of them is to be seen.
            for other in [&reader[..], &[]] {
                let other = run(PassageSource::Texts(passages.clone()), other);
                let rows = now.prompt_tokens as usize * now.taps[0].width as usize;
                assert_eq!(other.taps[0].values[..rows], now.taps[0].values[..rows], "{name}");
                assert_ne!(other.taps[1].values[..rows], now.taps[1].values[..rows], "{name}");
            }
        }
    }
}
