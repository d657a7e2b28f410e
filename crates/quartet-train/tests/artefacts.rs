//! Tensors with a manifest.

use quartet_train::{Origin, Parameters, Source, read_artefact, write_artefact};
use quartet_types::{ErrorCode, Sha256};

fn origin(base: &str) -> Origin {
    let source = |name: &str, digit: &str| Source {
        name: name.to_owned(),
        sha256: Sha256(digit.repeat(64)),
    };
    Origin {
        artefact: "projector \"contracts\"".to_owned(),
        base: source("base.gguf", base),
        data: source("contracts", "d"),
        settings: serde_json::json!({"rate": 1e-3}),
    }
}

fn parameters(shift: f32) -> Parameters {
    let mut parameters = Parameters::new();
    parameters.add("up", 2, 3, (0..6).map(|one| one as f32 + shift).collect()).unwrap();
    parameters.add("bias", 1, 2, vec![f32::MIN_POSITIVE / 8.0, -0.0]).unwrap();
    parameters
}

#[test]
fn it_comes_back_bit_for_bit_and_can_be_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("projector.v1");
    for shift in [0.1, 0.2] {
        write_artefact(&place, &origin("a"), 7, &parameters(shift)).unwrap();
        let (manifest, found) = read_artefact(&place, Some(&origin("a"))).unwrap();
        assert_eq!((manifest.step, manifest.origin), (7, origin("a")));
        for one in parameters(shift).all() {
            let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&found.get(&one.name).unwrap().values), bits(&one.values));
        }
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    // Cut off between the two renames of a replacement.
    std::fs::rename(&place, folder.path().join("projector.v1.old")).unwrap();
    assert!(read_artefact(&place, None).is_ok());
}

#[test]
fn a_stale_or_damaged_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("projector");
    assert_eq!(read_artefact(&place, None).unwrap_err().code, ErrorCode::NotFound);
    write_artefact(&place, &origin("a"), 7, &parameters(0.5)).unwrap();
    let error = read_artefact(&place, Some(&origin("b"))).unwrap_err();
    assert!(error.message.contains("projector \"contracts\" is stale"), "{error}");
    assert!(error.message.contains("base model `base.gguf`"), "{error}");
    let path = place.join("tensors.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(read_artefact(&place, None).unwrap_err().code, ErrorCode::Corrupt);
}

#[test]
fn what_is_not_finite_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut broken = parameters(0.0);
    broken.values_mut("up").unwrap()[4] = f32::NAN;
    let place = folder.path().join("projector");
    let error = write_artefact(&place, &origin("a"), 1, &broken).unwrap_err();
    assert!(error.message.contains("`up` holds NaN at index 4"), "{error}");
    assert!(!place.exists());
}
