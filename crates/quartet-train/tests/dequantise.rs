//! Every storage type against values computed by the reference implementation of the GGUF
//! project (the `gguf` package): random blocks, every seventh value.

use quartet_gguf::TensorType;
use quartet_train::{dequantise, is_supported};
use quartet_types::ErrorCode;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Golden {
    /// Hexadecimal.
    bytes: String,
    values: Vec<f32>,
}

fn kind(name: &str) -> TensorType {
    *TensorType::ALL.iter().find(|kind| kind.name() == name).unwrap()
}

#[test]
fn every_type_gives_the_values_of_the_reference() {
    let golden: BTreeMap<String, Golden> =
        serde_json::from_str(include_str!("fixtures/quantised.json")).unwrap();
    for (name, golden) in &golden {
        let digits = golden.bytes.as_bytes().chunks_exact(2);
        let bytes: Vec<u8> = digits
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
        let kind = kind(name);
        let count = bytes.len() as u64 / kind.block_bytes() * kind.block_elements();
        let mut values = vec![0f32; count as usize];
        dequantise(kind, &bytes, &mut values).unwrap();
        for (index, expected) in golden.values.iter().enumerate() {
            let found = values[index * 7];
            let error = (found - expected).abs();
            assert!(error <= 1e-5 * expected.abs().max(1.0), "{name} {index}: {found} {expected}");
        }
    }
    assert_eq!(golden.len(), 14);
}

#[test]
fn what_cannot_be_read_is_refused() {
    assert!(is_supported(kind("Q4_K")) && !is_supported(kind("IQ1_S")));
    let refused = |name: &str, bytes: usize, values: usize| {
        dequantise(kind(name), &vec![0; bytes], &mut vec![0.0; values]).unwrap_err().code
    };
    assert_eq!(refused("IQ1_S", 50, 256), ErrorCode::NotSupported);
    assert_eq!(refused("Q4_K", 143, 256), ErrorCode::BadModel);
    assert_eq!(refused("Q4_K", 144, 255), ErrorCode::BadModel);
}
