//! Adapters as llama.cpp reads them.
//!
//! A GGUF file of type `adapter` (llama.cpp, `llama-adapter.cpp`): `<tensor>.lora_a` with
//! `[inputs, rank]` and `<tensor>.lora_b` with `[rank, outputs]`, the fastest-varying length
//! first, and `adapter.lora.alpha`. At scale `s` the adapter counts `s * alpha / rank` times.

use crate::adapters::{Adapters, LowRank, Projection};
use crate::architecture::Architecture;
use crate::block::shape;
use crate::compute::Compute;
use crate::lora::{LoraPlan, names};
use crate::parameters::Parameters;
use crate::weights::WeightFile;
use quartet_gguf::{GgufFile, GgufWriter, TensorType, Value};
use quartet_types::{Error, ErrorCode, Result};
use std::path::Path;

/// Collects a trained adapter for writing. `details` are further metadata, for example the
/// digest of the base.
///
/// # Errors
/// `InvalidInput` if a parameter of the plan is missing, `Corrupt` naming one that is not finite.
pub fn adapter_writer(
    architecture: &Architecture,
    plan: &LoraPlan,
    parameters: &Parameters,
    details: &[(&str, Value)],
) -> Result<GgufWriter> {
    let mut file = GgufWriter::new();
    file.set("general.type", Value::string("adapter"))
        .set("general.architecture", Value::string(architecture.name.clone()))
        .set("adapter.type", Value::string("lora"))
        .set("adapter.lora.alpha", Value::f32(plan.alpha as f32));
    for (key, value) in details {
        file.set(key, value.clone());
    }
    for (layer, projection) in plan.places() {
        let (name_a, name_b) = names(layer, projection);
        for name in [name_a, name_b] {
            let one = parameters.get(&name).ok_or_else(|| {
                Error::new(ErrorCode::InvalidInput, format!("`{name}` was not trained"))
            })?;
            crate::compute::check_finite(&one.values, &name)?;
            let lengths = [one.columns as u64, one.rows as u64];
            file.tensor(&name, &lengths, TensorType::F32, &one.values)?;
        }
    }
    Ok(file)
}

/// Writes a trained adapter, atomically.
///
/// # Errors
/// As [`adapter_writer`], or an operating-system error.
pub fn write_adapter(
    path: &Path,
    architecture: &Architecture,
    plan: &LoraPlan,
    parameters: &Parameters,
    details: &[(&str, Value)],
) -> Result<()> {
    adapter_writer(architecture, plan, parameters, details)?.write(path)
}

/// A low-rank change of one linear, as plain numbers.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// The layer.
    pub layer: usize,
    /// The linear.
    pub projection: Projection,
    /// Inner length.
    pub rank: usize,
    /// `[rank, inputs]`, row-major.
    pub a: &'a [f32],
    /// `[outputs, rank]`, row-major.
    pub b: &'a [f32],
}

/// An adapter file, as bytes, of changes that no training made: for one question, say.
///
/// # Errors
/// `InvalidInput` for numbers that make no matrix of this rank, `Corrupt` naming one that is not
/// finite.
pub fn adapter_bytes(architecture: &str, alpha: f64, changes: &[Change<'_>]) -> Result<Vec<u8>> {
    let mut file = GgufWriter::new();
    file.set("general.type", Value::string("adapter"))
        .set("general.architecture", Value::string(architecture.to_owned()))
        .set("adapter.type", Value::string("lora"))
        .set("adapter.lora.alpha", Value::f32(alpha as f32));
    for change in changes {
        let (name_a, name_b) = names(change.layer, change.projection);
        let rank = change.rank.max(1);
        crate::compute::check_finite(change.a, &name_a)?;
        crate::compute::check_finite(change.b, &name_b)?;
        let lengths = |values: &[f32]| (values.len() / rank) as u64;
        let lengths_a = [lengths(change.a), rank as u64];
        file.tensor(&name_a, &lengths_a, TensorType::F32, change.a)?;
        let lengths_b = [rank as u64, lengths(change.b)];
        file.tensor(&name_b, &lengths_b, TensorType::F32, change.b)?;
    }
    Ok(file.to_bytes())
}

/// Reads an adapter file for use at `scale`, as constants.
///
/// # Errors
/// `BadModel` for a file that is not an adapter of this architecture, or whose matrices do not
/// fit it; an operating-system error.
pub fn read_adapter(
    path: &Path,
    architecture: &Architecture,
    compute: &Compute,
    scale: f64,
) -> Result<Adapters> {
    let bad = |message: String| Error::new(ErrorCode::BadModel, message).about_path(path);
    let header = GgufFile::open(path)?;
    let text = |key: &str| header.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
    if text("general.type") != "adapter" || text("adapter.type") != "lora" {
        return Err(bad("is not an adapter".to_owned()));
    }
    if text("general.architecture") != architecture.name {
        return Err(bad(format!(
            "is an adapter for `{}`, not `{}`",
            text("general.architecture"),
            architecture.name
        )));
    }
    let alpha = header.get("adapter.lora.alpha").and_then(Value::as_f64).unwrap_or(0.0);
    let count = header.tensors().len();
    let file = WeightFile::open(header)?;
    let mut adapters = Adapters::none();
    let mut used = 0;
    for layer in 0..architecture.layers {
        for projection in Projection::ALL {
            let (name_a, name_b) = names(layer, projection);
            let Some(info) = file.header().tensor(&name_a) else { continue };
            let rank = info.shape.get(1).copied().unwrap_or(1) as usize;
            let (outputs, inputs) = shape(architecture, projection);
            let a = file.packed(&name_a, rank, inputs)?.tensor(compute)?;
            let b = file.packed(&name_b, outputs, rank)?.tensor(compute)?;
            // llama.cpp: an alpha of zero means no scaling by the rank.
            let factor = if alpha == 0.0 { scale } else { scale * alpha / rank as f64 };
            adapters.add(layer, projection, LowRank { a, b, factor })?;
            used += 2;
        }
    }
    if used != count {
        return Err(bad(format!("has {count} tensors, of which {used} are known")));
    }
    Ok(adapters)
}
