//! Folders that are there whole or not at all.

use crate::manifest::{FORMAT, Manifest};
use quartet_gguf::sha256_of_file;
use quartet_types::{Error, ErrorCode, Result};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

const MANIFEST: &str = "manifest.json";
/// What was there before, for the moment between two renames.
pub(crate) const OLD: &str = ".old";

fn beside(place: &Path, ending: &str) -> PathBuf {
    let mut name = place.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// The folder to read: `place`, or what was there before if a replacement was cut off.
pub(crate) fn whole(place: &Path) -> PathBuf {
    let old = beside(place, OLD);
    if !place.exists() && old.exists() { old } else { place.to_owned() }
}

/// Writes `files` and then a manifest with their digests to the folder `place`: under another
/// name first, everything synchronised, then renamed. What was at `place` before goes last.
///
/// # Errors
/// An operating-system error; `place` is then as it was.
pub(crate) fn write_folder(
    place: &Path,
    files: &[(&str, Vec<u8>)],
    mut manifest: Manifest,
) -> Result<()> {
    let partial = beside(place, ".partial");
    let written = fill(&partial, files, &mut manifest).and_then(|()| replace(&partial, place));
    if written.is_err() {
        let _ = fs::remove_dir_all(&partial);
    }
    written
}

fn fill(partial: &Path, files: &[(&str, Vec<u8>)], manifest: &mut Manifest) -> Result<()> {
    let failed = |error: std::io::Error| Error::from_io(&error, partial);
    match fs::remove_dir_all(partial) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    fs::create_dir_all(partial).map_err(failed)?;
    manifest.format = FORMAT;
    manifest.files = BTreeMap::new();
    for (name, bytes) in files {
        let path = partial.join(name);
        write_synchronised(&path, bytes)?;
        let digest = sha256_of_file(&path, |_| ControlFlow::Continue(()))?;
        manifest.files.insert((*name).to_owned(), digest);
    }
    let text =
        serde_json::to_vec_pretty(manifest).map_err(|error| Error::internal(error.to_string()))?;
    write_synchronised(&partial.join(MANIFEST), &text)?;
    synchronise_folder(partial);
    Ok(())
}

fn replace(partial: &Path, place: &Path) -> Result<()> {
    let failed = |error: std::io::Error| Error::from_io(&error, place);
    // A folder cannot be renamed over another.
    let old = beside(place, OLD);
    if place.exists() {
        let _ = fs::remove_dir_all(&old);
        fs::rename(place, &old).map_err(failed)?;
    }
    fs::rename(partial, place).map_err(failed)?;
    if let Some(folder) = place.parent() {
        synchronise_folder(folder);
    }
    let _ = fs::remove_dir_all(&old);
    Ok(())
}

pub(crate) fn write_synchronised(path: &Path, bytes: &[u8]) -> Result<()> {
    File::create(path)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .map_err(|error| Error::from_io(&error, path))
}

/// Keeps a value of a training under way, whole or not at all.
///
/// # Errors
/// An operating-system error.
pub fn keep_value<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let bytes = serde_json::to_vec(value).map_err(|error| Error::internal(error.to_string()))?;
    let fresh = path.with_extension("new");
    write_synchronised(&fresh, &bytes)?;
    fs::rename(&fresh, path).map_err(|error| Error::from_io(&error, path))
}

/// What was kept by [`keep_value`], if anything.
///
/// # Errors
/// `Corrupt` if it cannot be read; an operating-system error.
pub fn kept_value<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| corrupt(path, format!("cannot be read: {error}"))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::from_io(&error, path)),
    }
}

/// Not every system can synchronise a folder; where it cannot, the rename is as durable as it
/// makes it.
fn synchronise_folder(path: &Path) {
    if let Ok(folder) = File::open(path) {
        let _ = folder.sync_all();
    }
}

/// An error about a folder that does not hold what it should.
pub(crate) fn corrupt(place: &Path, message: impl Into<String>) -> Error {
    Error::new(ErrorCode::Corrupt, message).about_path(place).hint("Remove it and train again.")
}

/// Reads the manifest of a folder.
///
/// # Errors
/// `NotFound` if there is none, `Corrupt` if it is broken or of another format.
pub(crate) fn read_manifest(place: &Path) -> Result<Manifest> {
    let path = place.join(MANIFEST);
    let text = fs::read(&path).map_err(|error| Error::from_io(&error, &path))?;
    let manifest: Manifest = serde_json::from_slice(&text)
        .map_err(|error| corrupt(place, format!("has a broken manifest: {error}")))?;
    if manifest.format != FORMAT {
        return Err(corrupt(place, format!("is of format {}, not {FORMAT}", manifest.format)));
    }
    Ok(manifest)
}

/// Reads a file of a folder if it is still what the manifest says.
///
/// # Errors
/// `Corrupt` if it is not; an operating-system error.
pub(crate) fn read_checked(place: &Path, manifest: &Manifest, name: &str) -> Result<Vec<u8>> {
    let path = place.join(name);
    let digest = sha256_of_file(&path, |_| ControlFlow::Continue(()))?;
    if manifest.files.get(name) != Some(&digest) {
        return Err(corrupt(place, format!("does not match the checksum of `{name}`")));
    }
    fs::read(&path).map_err(|error| Error::from_io(&error, &path))
}
