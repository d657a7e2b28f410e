//! Writing GGUF files: adapters, and tiny models for tests.

use crate::half::f16_from_f32;
use crate::tensor::TensorType;
use crate::value::{Value, ValueType};
use quartet_types::{Error, ErrorCode, Result};
use std::io::Write;
use std::path::Path;

const ALIGNMENT: u64 = 32;
const BLOCK: usize = 32;

/// Collects metadata and tensors, then writes them as GGUF version 3.
#[derive(Debug, Clone, Default)]
pub struct GgufWriter {
    metadata: Vec<(String, Value)>,
    tensors: Vec<(String, Vec<u64>, TensorType, Vec<u8>)>,
}

impl GgufWriter {
    /// An empty file.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a metadata key, replacing an earlier value.
    pub fn set(&mut self, key: &str, value: Value) -> &mut Self {
        match self.metadata.iter_mut().find(|(known, _)| known == key) {
            Some((_, slot)) => *slot = value,
            None => self.metadata.push((key.to_owned(), value)),
        }
        self
    }

    /// Removes a metadata key.
    pub fn unset(&mut self, key: &str) -> &mut Self {
        self.metadata.retain(|(known, _)| known != key);
        self
    }

    /// Appends a tensor. `shape` counts the fastest-varying length first; `kind` is F32, F16
    /// or Q8_0 (symmetric blocks of 32: scale = largest magnitude / 127).
    ///
    /// # Errors
    /// `InvalidInput` if the shape does not match the values or the storage type.
    pub fn tensor(
        &mut self,
        name: &str,
        shape: &[u64],
        kind: TensorType,
        values: &[f32],
    ) -> Result<&mut Self> {
        let count = shape.iter().try_fold(1u64, |product, length| product.checked_mul(*length));
        if count != Some(values.len() as u64) || kind.bytes_of(shape).is_none() {
            return Err(Error::new(
                ErrorCode::InvalidInput,
                format!("{} values do not make `{name}` of shape {shape:?}", values.len()),
            ));
        }
        let bytes = match kind {
            TensorType::F32 => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            TensorType::F16 => {
                values.iter().flat_map(|value| f16_from_f32(*value).to_le_bytes()).collect()
            }
            TensorType::Q8_0 => q8_0(values),
            other => {
                return Err(Error::new(
                    ErrorCode::NotSupported,
                    format!("tensors cannot be written as {}", other.name()),
                ));
            }
        };
        self.tensors.push((name.to_owned(), shape.to_vec(), kind, bytes));
        Ok(self)
    }

    /// The whole file as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(b"GGUF");
        out.extend_from_slice(&3u32.to_le_bytes());
        out.extend_from_slice(&(self.tensors.len() as u64).to_le_bytes());
        out.extend_from_slice(&(self.metadata.len() as u64).to_le_bytes());
        for (key, value) in &self.metadata {
            string(&mut out, key.as_bytes());
            write_value(&mut out, value);
        }
        let mut offset = 0u64;
        for (name, shape, kind, bytes) in &self.tensors {
            string(&mut out, name.as_bytes());
            out.extend_from_slice(&(shape.len() as u32).to_le_bytes());
            for length in shape {
                out.extend_from_slice(&length.to_le_bytes());
            }
            out.extend_from_slice(&kind.number().to_le_bytes());
            out.extend_from_slice(&offset.to_le_bytes());
            offset += (bytes.len() as u64).next_multiple_of(ALIGNMENT);
        }
        pad(&mut out);
        for (_, _, _, bytes) in &self.tensors {
            out.extend_from_slice(bytes);
            pad(&mut out);
        }
        out
    }

    /// Writes the file beside `path` and renames it into place, so that no reader ever sees
    /// half of it.
    ///
    /// # Errors
    /// An operating-system error.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = Path::new(&partial);
        let written = std::fs::File::create(partial).and_then(|mut file| {
            file.write_all(&self.to_bytes())?;
            file.sync_all()?;
            std::fs::rename(partial, path)
        });
        written.map_err(|error| {
            let _ = std::fs::remove_file(partial);
            Error::from_io(&error, path)
        })
    }
}

fn q8_0(values: &[f32]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(values.len() / BLOCK * 34);
    for block in values.chunks_exact(BLOCK) {
        let largest = block.iter().fold(0f32, |largest, value| largest.max(value.abs()));
        let scale = largest / 127.0;
        let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
        bytes.extend_from_slice(&f16_from_f32(scale).to_le_bytes());
        bytes.extend(block.iter().map(|value| (value * inverse).round() as i8 as u8));
    }
    bytes
}

fn pad(out: &mut Vec<u8>) {
    out.resize((out.len() as u64).next_multiple_of(ALIGNMENT) as usize, 0);
}

fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    out.extend_from_slice(bytes);
}

fn write_value(out: &mut Vec<u8>, value: &Value) {
    let mut tag = |kind: ValueType| out.extend_from_slice(&(kind as u32).to_le_bytes());
    match value {
        Value::Unsigned(number, kind) => {
            tag(*kind);
            let size = kind.fixed_size().unwrap_or(8);
            out.extend_from_slice(&number.to_le_bytes()[..size]);
        }
        Value::Signed(number, kind) => {
            tag(*kind);
            let size = kind.fixed_size().unwrap_or(8);
            out.extend_from_slice(&number.to_le_bytes()[..size]);
        }
        Value::Float(number, ValueType::F64) => {
            tag(ValueType::F64);
            out.extend_from_slice(&number.to_le_bytes());
        }
        Value::Float(number, _) => {
            tag(ValueType::F32);
            out.extend_from_slice(&(*number as f32).to_le_bytes());
        }
        Value::Bool(flag) => {
            tag(ValueType::Bool);
            out.push(u8::from(*flag));
        }
        Value::String(text) => {
            tag(ValueType::String);
            string(out, text.as_bytes());
        }
        Value::Strings(list) => {
            tag(ValueType::Array);
            out.extend_from_slice(&(ValueType::String as u32).to_le_bytes());
            out.extend_from_slice(&(list.len() as u64).to_le_bytes());
            for text in list.iter() {
                string(out, text);
            }
        }
        Value::Numbers { element, bytes } => {
            tag(ValueType::Array);
            let size = element.fixed_size().unwrap_or(1);
            out.extend_from_slice(&(*element as u32).to_le_bytes());
            out.extend_from_slice(&((bytes.len() / size) as u64).to_le_bytes());
            out.extend_from_slice(bytes);
        }
    }
}
