//! Checkpoints: the whole state of a training, so that going on is exact.
//!
//! A checkpoint is a folder `step-<updates>` with `state.safetensors` and `manifest.json`. It is
//! written under another name, synchronised and renamed, and older ones go only after that: at
//! every moment there is one that is whole. Numbers are stored as their bits.

use crate::durable::{OLD, corrupt, read_checked, read_manifest, write_folder};
use crate::manifest::{FORMAT, Manifest, Origin};
use crate::optimiser::Moments;
use crate::parameters::Parameters;
use crate::state::{Measured, Snapshot, State};
use quartet_types::{Error, Result};
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const STATE: &str = "state.safetensors";
const PREFIX: &str = "step-";
/// The newest, and one in case the disk lied about the newest.
const KEPT: usize = 2;

/// Where the checkpoints of one training are.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    folder: PathBuf,
    origin: Origin,
}

impl Checkpoints {
    /// Checkpoints in `folder`, of a training from `origin`.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, origin: Origin) -> Self {
        Self { folder: folder.into(), origin }
    }

    /// Writes a checkpoint, then removes all but the newest two.
    ///
    /// # Errors
    /// An operating-system error; the checkpoints before stay whole.
    pub fn save(&self, state: &State) -> Result<()> {
        fs::create_dir_all(&self.folder).map_err(|error| Error::from_io(&error, &self.folder))?;
        let place = self.folder.join(format!("{PREFIX}{:010}", state.step));
        let manifest = Manifest {
            format: FORMAT,
            origin: self.origin.clone(),
            step: state.step,
            files: BTreeMap::new(),
        };
        write_folder(&place, &[(STATE, encode(state)?)], manifest)?;
        for (_, old) in self.list()?.into_iter().rev().skip(KEPT) {
            let _ = fs::remove_dir_all(old);
        }
        Ok(())
    }

    /// The newest checkpoint that is whole, or `None`. One that is damaged is passed over for
    /// the one before it.
    ///
    /// # Errors
    /// `Corrupt` saying which artefact is stale, if base, data or settings have changed;
    /// `Corrupt` if there are checkpoints and none is whole.
    pub fn load(&self, fresh: &Parameters) -> Result<Option<State>> {
        let mut damage = None;
        for (_, place) in self.list()?.into_iter().rev() {
            let manifest = match read_manifest(&place) {
                Ok(manifest) => manifest,
                Err(error) => {
                    damage.get_or_insert(error);
                    continue;
                }
            };
            manifest.origin.check(&self.origin)?;
            match read_state(&place, &manifest, fresh) {
                Ok(state) => return Ok(Some(state)),
                Err(error) => {
                    damage.get_or_insert(error);
                }
            }
        }
        damage.map_or(Ok(None), Err)
    }

    /// Removes all checkpoints: the training is done or given up.
    ///
    /// # Errors
    /// An operating-system error.
    pub fn clear(&self) -> Result<()> {
        for (_, place) in self.list()? {
            fs::remove_dir_all(&place).map_err(|error| Error::from_io(&error, &place))?;
        }
        Ok(())
    }

    /// Folders of finished checkpoints, oldest first.
    fn list(&self) -> Result<Vec<(u64, PathBuf)>> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(|error| Error::from_io(&error, &self.folder))?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| Error::from_io(&error, &self.folder))?;
            let name = entry.file_name();
            let name = name.to_str().unwrap_or("");
            // `.old` is what a replacement that was cut off between its renames left behind.
            let step = name.strip_prefix(PREFIX).map(|step| step.strip_suffix(OLD).unwrap_or(step));
            if let Some(step) = step.and_then(|step| step.parse().ok()) {
                found.push((step, entry.path()));
            }
        }
        found.sort();
        Ok(found)
    }
}

fn read_state(place: &Path, manifest: &Manifest, fresh: &Parameters) -> Result<State> {
    let bytes = read_checked(place, manifest, STATE)?;
    let tensors = SafeTensors::deserialize(&bytes)
        .map_err(|error| corrupt(place, format!("cannot be read: {error}")))?;
    decode(&tensors, manifest.step, fresh)
        .ok_or_else(|| corrupt(place, "does not hold the parameters of this training"))
}

const PARAMETER: &str = "parameter.";
const FIRST: &str = "first.";
const SECOND: &str = "second.";
const BEST: &str = "best.";
const CURVE: &str = "curve";
const EVALUATIONS: &str = "evaluations";
const BEST_AT: &str = "best_at";

/// State as tensors; floats of 64 bits for what is not a parameter, counts included.
fn encode(state: &State) -> Result<Vec<u8>> {
    let mut tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
    let mut matrix = |name: String, shape: [usize; 2], values: &[f32]| {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        tensors.push((name, Dtype::F32, shape.to_vec(), bytes));
    };
    for (index, parameter) in state.parameters.all().iter().enumerate() {
        let shape = [parameter.rows, parameter.columns];
        let name = &parameter.name;
        matrix(format!("{PARAMETER}{name}"), shape, &parameter.values);
        matrix(format!("{FIRST}{name}"), shape, &state.moments.first[index]);
        matrix(format!("{SECOND}{name}"), shape, &state.moments.second[index]);
        if let Some(best) = &state.best {
            matrix(format!("{BEST}{name}"), shape, &best.values[index]);
        }
    }
    let mut numbers = |name: &str, values: Vec<f64>| {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        tensors.push((name.to_owned(), Dtype::F64, vec![values.len()], bytes));
    };
    numbers(CURVE, state.curve.clone());
    let flat = state.evaluations.iter().flat_map(|one| [one.step as f64, one.loss]);
    numbers(EVALUATIONS, flat.collect());
    if let Some(best) = &state.best {
        numbers(BEST_AT, vec![best.at.step as f64, best.at.loss]);
    }
    let views = tensors
        .iter()
        .map(|(name, dtype, shape, bytes)| {
            TensorView::new(*dtype, shape.clone(), bytes).map(|view| (name.as_str(), view))
        })
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|error| Error::internal(error.to_string()))?;
    serialize(views, None).map_err(|error| Error::internal(error.to_string()))
}

/// `None` where anything is missing or of another shape than in `fresh`.
fn decode(tensors: &SafeTensors<'_>, step: u64, fresh: &Parameters) -> Option<State> {
    let floats = |name: String, count: usize| {
        let view = tensors.tensor(&name).ok()?;
        let chunks = view.data().chunks_exact(4);
        let values: Vec<f32> = chunks
            .map(|chunk| f32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]))
            .collect();
        (view.dtype() == Dtype::F32 && values.len() == count).then_some(values)
    };
    let numbers = |name: &str| {
        let view = tensors.tensor(name).ok()?;
        let chunks = view.data().chunks_exact(8);
        let values = chunks.map(|chunk| chunk.try_into().map(f64::from_le_bytes));
        values.collect::<std::result::Result<Vec<f64>, _>>().ok()
    };
    let measured = |pair: &[f64]| Measured { step: pair[0] as u64, loss: pair[1] };
    let best_at = numbers(BEST_AT).filter(|pair| pair.len() == 2).map(|pair| measured(&pair));
    let mut parameters = Parameters::new();
    let mut moments = Moments { updates: step, ..Moments::default() };
    let mut best = Vec::new();
    for one in fresh.all() {
        let read = |prefix: &str| floats(format!("{prefix}{}", one.name), one.values.len());
        parameters.add(one.name.clone(), one.rows, one.columns, read(PARAMETER)?).ok()?;
        moments.first.push(read(FIRST)?);
        moments.second.push(read(SECOND)?);
        if best_at.is_some() {
            best.push(read(BEST)?);
        }
    }
    Some(State {
        parameters,
        moments,
        step,
        curve: numbers(CURVE)?,
        evaluations: numbers(EVALUATIONS)?.chunks_exact(2).map(measured).collect(),
        best: best_at.map(|at| Snapshot { at, values: best }),
    })
}
