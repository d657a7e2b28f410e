//! The adapters of a model, known by the SHA-256 of their files.
//!
//! An adapter is read into memory once: what was digested and validated is what is loaded,
//! whether it came from a file or as bytes. It is freed when it is forgotten (or its model is
//! unloaded) and the last request that uses it is done.

use crate::model::Model;
use crate::native::{AdapterSet, NativeAdapter};
use quartet_gguf::{AdapterFacts, GgufFile, sha256_of_bytes};
use quartet_types::{
    AdapterDescription, AdapterSource, AdapterUse, Error, ErrorCode, Result, Sha256,
};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The largest adapter that is read.
const MAX_BYTES: u64 = 1 << 30;

/// Adapters of one model.
#[derive(Default)]
pub(crate) struct Adapters {
    loaded: Mutex<BTreeMap<Sha256, Loaded>>,
}

#[derive(Clone)]
struct Loaded {
    native: Arc<NativeAdapter>,
    description: AdapterDescription,
}

impl Adapters {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Sha256, Loaded>> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The set that a request asks for. Sorted by digest, so that the order in which they are
    /// listed does not even change how the sums are rounded.
    ///
    /// # Errors
    /// `NotFound` for an adapter that is not loaded; `InvalidInput` for one that is listed
    /// twice or has a scale that is not finite.
    pub(crate) fn set(&self, uses: &[AdapterUse]) -> Result<AdapterSet> {
        let loaded = self.lock();
        let mut wanted = BTreeMap::new();
        for AdapterUse { adapter, scale } in uses {
            let about = |error: Error| error.about(format!("adapter {adapter}"));
            if !scale.is_finite() {
                return Err(about(
                    Error::new(
                        ErrorCode::InvalidInput,
                        format!("{scale} is not possible as the scale of an adapter"),
                    )
                    .hint("1 is the strength it was trained with."),
                ));
            }
            let found = loaded.get(adapter).ok_or_else(|| {
                about(Error::new(ErrorCode::NotFound, "this adapter is not loaded").hint(
                    "Load it for this model first; it goes when the model is loaded anew or the engine restarts.",
                ))
            })?;
            if wanted.insert(adapter, (Arc::clone(&found.native), *scale)).is_some() {
                return Err(about(
                    Error::new(
                        ErrorCode::InvalidInput,
                        "this adapter is listed twice in one request",
                    )
                    .hint("List it once, with the sum of the scales."),
                ));
            }
        }
        Ok(AdapterSet::new(wanted.into_values().collect()))
    }
}

impl Model {
    /// Loads a LoRA adapter for this model, after checking that it is sound and fits. Does
    /// nothing if the same file is loaded already.
    ///
    /// # Errors
    /// `BadModel` naming the file and what is wrong with it (not an adapter, another
    /// architecture, an unknown tensor, factors of another shape, half a pair, an alpha that is
    /// not above zero, numbers that are not finite, cut off); `LimitExceeded` beyond one
    /// gibibyte; an operating-system error.
    pub fn load_adapter(&self, source: &AdapterSource) -> Result<AdapterDescription> {
        match source {
            AdapterSource::File(path) => self.load_adapter_bytes(&read_file(path)?, path),
            AdapterSource::Bytes(bytes) => {
                self.load_adapter_bytes(bytes, Path::new("adapter in memory"))
            }
        }
    }

    fn load_adapter_bytes(&self, bytes: &[u8], path: &Path) -> Result<AdapterDescription> {
        let digest = sha256_of_bytes(bytes);
        if let Some(known) = self.adapters.lock().get(&digest) {
            return Ok(known.description.clone());
        }
        let facts = AdapterFacts::from_file(&GgufFile::read(bytes, bytes.len() as u64, path)?)?;
        facts
            .fits(&self.facts.architecture, |name| self.weights.tensor(name))
            .and_then(|()| facts.check_values(bytes))
            .map_err(|error| error.about_path(path))?;
        let native = NativeAdapter::load(&self.native, bytes);
        let native = Arc::new(native.map_err(|error| error.about_path(path))?);
        let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let description = AdapterDescription {
            adapter: digest.clone(),
            name: facts.name.clone(),
            architecture: facts.architecture.clone(),
            rank: small(facts.rank()),
            alpha: facts.alpha,
            matrices: small(facts.pairs.len() as u64),
            bytes: facts.bytes,
        };
        let mut all = self.adapters.lock();
        if let Some(known) = all.get(&digest) {
            // Somebody else loaded the same one meanwhile. Freeing ours waits for a pass to end,
            // which must not keep others from the list.
            let description = known.description.clone();
            drop(all);
            drop(native);
            return Ok(description);
        }
        all.insert(digest, Loaded { native, description: description.clone() });
        Ok(description)
    }

    /// Forgets an adapter; false if it was not loaded. Requests that use it go on with it.
    pub fn free_adapter(&self, adapter: &Sha256) -> bool {
        let removed = self.adapters.lock().remove(adapter);
        removed.is_some()
    }

    /// The adapters that are loaded, sorted by digest.
    #[must_use]
    pub fn adapters(&self) -> Vec<AdapterDescription> {
        self.adapters.lock().values().map(|loaded| loaded.description.clone()).collect()
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>> {
    let failed = |error: std::io::Error| Error::from_io(&error, path);
    let file = std::fs::File::open(path).map_err(failed)?;
    let facts = file.metadata().map_err(failed)?;
    if !facts.is_file() {
        return Err(Error::new(ErrorCode::BadModel, "is not a file").about_path(path));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Error::new(
            ErrorCode::LimitExceeded,
            format!("is larger than the {} MiB of the largest adapter", MAX_BYTES >> 20),
        )
        .about_path(path));
    }
    Ok(bytes)
}
