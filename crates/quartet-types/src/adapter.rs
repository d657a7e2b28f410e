//! LoRA adapters as the engine knows them.

use crate::id::Sha256;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Where an adapter comes from. Either way it is a GGUF file of the kind `adapter`, whose
/// `adapter.type` is `lora`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdapterSource {
    /// A file.
    File(PathBuf),
    /// The whole file as bytes, for an adapter that was made for one question. A message to the
    /// engine holds 64 MiB at most.
    Bytes(#[serde(with = "packed")] Vec<u8>),
}

impl std::fmt::Debug for AdapterSource {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => formatter.debug_tuple("File").field(path).finish(),
            Self::Bytes(bytes) => write!(formatter, "Bytes({} bytes)", bytes.len()),
        }
    }
}

/// What is known of a loaded adapter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AdapterDescription {
    /// SHA-256 of its file, by which requests name it.
    pub adapter: Sha256,
    /// `general.name`, where given.
    pub name: Option<String>,
    /// `general.architecture`, the same as the model's.
    pub architecture: String,
    /// The largest rank among its pairs of matrices.
    pub rank: u32,
    /// `adapter.lora.alpha`.
    pub alpha: f32,
    /// How many matrices of the model it changes.
    pub matrices: u32,
    /// Size of its tensors, in bytes.
    pub bytes: u64,
}

/// Bytes as one run of bytes, where a list of numbers would take half as much again.
mod packed {
    use serde::de::{Deserializer, SeqAccess, Visitor};
    use serde::ser::Serializer;
    use std::fmt;

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Vec<u8>, D::Error> {
        from.deserialize_byte_buf(Bytes)
    }

    struct Bytes;

    impl<'d> Visitor<'d> for Bytes {
        type Value = Vec<u8>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("bytes")
        }

        fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_vec())
        }

        fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
            Ok(bytes)
        }

        // Formats without bytes of their own, such as JSON, write a list of numbers.
        fn visit_seq<A: SeqAccess<'d>>(self, mut list: A) -> Result<Vec<u8>, A::Error> {
            let mut bytes = Vec::new();
            while let Some(byte) = list.next_element()? {
                bytes.push(byte);
            }
            Ok(bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_from_a_format_without_bytes_too() {
        let source = AdapterSource::Bytes(vec![0, 7, 255]);
        let text = serde_json::to_string(&source).unwrap();
        assert_eq!(text, r#"{"bytes":[0,7,255]}"#);
        assert_eq!(serde_json::from_str::<AdapterSource>(&text).unwrap(), source);
        assert_eq!(format!("{source:?}"), "Bytes(3 bytes)");
    }
}
