//! What training leaves behind: named tensors with a manifest.
//!
//! A folder with `tensors.safetensors` and `manifest.json`. Adapters for the engine are GGUF
//! files besides ([`write_adapter`](crate::write_adapter)), since llama.cpp reads those.

use crate::durable::{corrupt, read_checked, read_manifest, whole, write_folder};
use crate::manifest::{FORMAT, Manifest, Origin};
use crate::parameters::Parameters;
use quartet_types::{Error, Result};
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};
use std::collections::BTreeMap;
use std::path::Path;

const TENSORS: &str = "tensors.safetensors";

/// Writes parameters to the folder `place`, atomically, replacing an earlier artefact.
///
/// # Errors
/// `Corrupt` naming a parameter that is not finite; an operating-system error.
pub fn write_artefact(
    place: &Path,
    origin: &Origin,
    step: u64,
    parameters: &Parameters,
) -> Result<()> {
    parameters.check_finite()?;
    let bytes: Vec<Vec<u8>> = parameters
        .all()
        .iter()
        .map(|one| one.values.iter().flat_map(|value| value.to_le_bytes()).collect())
        .collect();
    let views = parameters.all().iter().zip(&bytes).map(|(one, bytes)| {
        TensorView::new(Dtype::F32, vec![one.rows, one.columns], bytes)
            .map(|view| (one.name.as_str(), view))
    });
    let views = views
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|error| Error::internal(error.to_string()))?;
    let file = serialize(views, None).map_err(|error| Error::internal(error.to_string()))?;
    let manifest =
        Manifest { format: FORMAT, origin: origin.clone(), step, files: BTreeMap::new() };
    write_folder(place, &[(TENSORS, file)], manifest)
}

/// Reads an artefact: its manifest, and its parameters in the order of their names. With
/// `expected`, refuses one that was made from something else.
///
/// # Errors
/// `Corrupt` if it is damaged or stale, saying which artefact and what changed; `NotFound` if
/// there is none.
pub fn read_artefact(place: &Path, expected: Option<&Origin>) -> Result<(Manifest, Parameters)> {
    let place = &whole(place);
    let manifest = read_manifest(place)?;
    if let Some(expected) = expected {
        manifest.origin.check(expected)?;
    }
    let bytes = read_checked(place, &manifest, TENSORS)?;
    let tensors = SafeTensors::deserialize(&bytes)
        .map_err(|error| corrupt(place, format!("cannot be read: {error}")))?;
    let mut parameters = Parameters::new();
    let mut all = tensors.tensors();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    for (name, view) in all {
        let (Dtype::F32, [rows, columns]) = (view.dtype(), view.shape()) else {
            return Err(corrupt(place, format!("holds `{name}` in another form")));
        };
        let chunks = view.data().chunks_exact(4);
        let values =
            chunks.map(|chunk| f32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]));
        parameters.add(name, *rows, *columns, values.collect())?;
    }
    Ok((manifest, parameters))
}
