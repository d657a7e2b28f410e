//! Files with the keys and values of encoded passages.
//!
//! A file is named by its key: the SHA-256 of everything that its content depends on. It is
//! written under another name and then renamed, so it is there whole or not at all.
//!
//! ```text
//! 8 bytes `QUARTETP`, u32 version, u32 length of the header, header (JSON), payload
//! payload: keys of layers b..=t, then values; each layer's rows one after another
//! ```
//!
//! Numbers are little endian. Rows are what the cache holds (16-bit floats, rotated for
//! positions from 0), as `native::state` says. A model of 24 layers with 2 heads of 64 for
//! keys and values takes 512 bytes per token and layer: 720,896 bytes for a passage of 128
//! tokens and 11 layers.

use crate::native::{LayerStates, StateLayout, Token};
use quartet_gguf::sha256_of_bytes;
use quartet_types::{AdapterUse, Error, ErrorCode, PassageStore, Result, Sha256};
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"QUARTETP";
/// Version of the layout of the file.
const VERSION: u32 = 1;
/// The longest header that is read; a long list of adapters takes a few kilobytes.
const MAX_HEADER: u32 = 1 << 16;
/// The largest file that is read.
const MAX_FILE: u64 = 1 << 32;

/// Everything that a state depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Key {
    version: u32,
    /// SHA-256 of the model's file.
    model: Sha256,
    engine: String,
    /// Digests of adapters and their scales as bits, sorted.
    adapters: Vec<(Sha256, u32)>,
    flash_attention: bool,
    /// Types of keys and values, by layer, as ggml numbers them.
    key_types: Vec<i32>,
    value_types: Vec<i32>,
    first_layer: u32,
    last_layer: u32,
    longest: u32,
    template: String,
    tokens: u32,
    /// SHA-256 of the tokens' ids, four bytes each.
    text: Sha256,
}

impl Key {
    fn digest(&self) -> Result<Sha256> {
        let text = serde_json::to_vec(self).map_err(|error| Error::internal(error.to_string()))?;
        Ok(sha256_of_bytes(&text))
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    key: Key,
    /// SHA-256 of the payload.
    payload: Sha256,
}

/// What a state must have been made with to be of use here.
pub(crate) struct Facts<'l> {
    model: Sha256,
    engine: String,
    adapters: Vec<(Sha256, u32)>,
    flash: bool,
    layout: &'l StateLayout,
}

impl<'l> Facts<'l> {
    pub(crate) fn new(
        model: Sha256,
        engine: String,
        adapters: &[AdapterUse],
        flash: bool,
        layout: &'l StateLayout,
    ) -> Self {
        let bits = |used: &AdapterUse| (used.adapter.clone(), used.scale.to_bits());
        let mut adapters: Vec<_> = adapters.iter().map(bits).collect();
        adapters.sort();
        Self { model, engine, adapters, flash, layout }
    }

    /// What about `key` is not so here.
    fn difference(&self, key: &Key) -> Option<&'static str> {
        let (key_types, value_types) = self.layout.kinds();
        let checks = [
            (key.version == VERSION, "version"),
            (key.model == self.model, "model file"),
            (key.engine == self.engine, "build of llama.cpp"),
            (key.adapters == self.adapters, "set of adapters"),
            (key.flash_attention == self.flash, "attention kernel"),
            (key.key_types == key_types && key.value_types == value_types, "type of cache"),
        ];
        checks.iter().find(|(same, _)| !same).map(|(_, what)| *what)
    }
}

fn path_of(folder: &Path, key: &Sha256) -> Result<PathBuf> {
    // A key is part of a path: it must not lead anywhere else.
    let sound = key.0.len() == 64 && key.0.bytes().all(|byte| byte.is_ascii_hexdigit());
    if sound {
        return Ok(folder.join(format!("{}.passage", key.0)));
    }
    Err(Error::new(ErrorCode::InvalidInput, "this is not the key of a stored passage"))
}

/// Writes the states of a passage that was made of `tokens`; returns its key and the size of
/// its file. A file with this key is replaced.
///
/// # Errors
/// An operating-system error.
pub(crate) fn write(
    store: &PassageStore,
    facts: &Facts<'_>,
    tokens: &[Token],
    states: &LayerStates,
) -> Result<(Sha256, u64)> {
    let ids: Vec<u8> = tokens.iter().flat_map(|token| token.to_le_bytes()).collect();
    let (key_types, value_types) = facts.layout.kinds();
    let key = Key {
        version: VERSION,
        model: facts.model.clone(),
        engine: facts.engine.clone(),
        adapters: facts.adapters.clone(),
        flash_attention: facts.flash,
        key_types,
        value_types,
        first_layer: store.first_layer,
        last_layer: store.last_layer,
        longest: store.longest,
        template: store.template.clone(),
        tokens: states.tokens,
        text: sha256_of_bytes(&ids),
    };
    let name = key.digest()?;
    let payload: Vec<u8> = states.keys.iter().chain(&states.values).flatten().copied().collect();
    let header = Header { key, payload: sha256_of_bytes(&payload) };
    let header = serde_json::to_vec(&header).map_err(|error| Error::internal(error.to_string()))?;
    let length = u32::try_from(header.len()).unwrap_or(u32::MAX);
    if length > MAX_HEADER {
        return Err(Error::new(ErrorCode::InvalidInput, "the template's version is too long"));
    }
    let path = path_of(&store.folder, &name)?;
    let failed = |error: std::io::Error| Error::from_io(&error, &path);
    let mut file = tempfile::NamedTempFile::new_in(&store.folder).map_err(failed)?;
    let parts: [&[u8]; 5] =
        [MAGIC, &VERSION.to_le_bytes(), &length.to_le_bytes(), &header, &payload];
    for part in parts {
        file.write_all(part).map_err(failed)?;
    }
    file.as_file().sync_all().map_err(failed)?;
    file.persist(&path).map_err(|error| failed(error.error))?;
    let bytes = parts.iter().map(|part| part.len() as u64).sum();
    Ok((name, bytes))
}

/// Reads the states of a passage for use in `layers` (empty for none).
///
/// # Errors
/// `NotFound`; `Corrupt` if the file is damaged, or was made with another model, engine,
/// adapters, cache, template or layers; the subject is the file.
pub(crate) fn read(
    folder: &Path,
    key: &Sha256,
    facts: &Facts<'_>,
    template: &str,
    layers: &RangeInclusive<u32>,
) -> Result<LayerStates> {
    let path = path_of(folder, key)?;
    read_file(&path, key, facts, template, layers).map_err(|error| error.about_path(&path))
}

fn damaged(what: &str) -> Error {
    Error::new(ErrorCode::Corrupt, format!("this stored passage is damaged: {what}"))
        .hint("Encode the passages again.")
}

fn read_file(
    path: &Path,
    key: &Sha256,
    facts: &Facts<'_>,
    template: &str,
    layers: &RangeInclusive<u32>,
) -> Result<LayerStates> {
    let failed = |error: std::io::Error| {
        let known = Error::from_io(&error, path);
        match known.code {
            ErrorCode::NotFound => known.hint("Encode the passages again."),
            _ => known,
        }
    };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut bytes).map_err(failed)?;
    let (header, payload) = parse(&bytes)?;
    let made = &header.key;
    if made.digest()? != *key {
        return Err(damaged("its header does not match its name"));
    }
    let other = |what: &str| {
        Error::new(ErrorCode::Corrupt, format!("this passage was stored with another {what}"))
            .hint("Encode the passages again with what is in use now.")
    };
    if let Some(what) = facts.difference(made) {
        return Err(other(what));
    }
    if made.template != template {
        return Err(other("version of the template"));
    }
    let kept = made.first_layer..=made.last_layer;
    let has_all = kept.contains(layers.start()) && kept.contains(layers.end());
    if !layers.is_empty() && !has_all {
        return Err(Error::new(
            ErrorCode::Corrupt,
            format!(
                "this passage was stored for layers {} to {}, and is wanted in {} to {}",
                made.first_layer,
                made.last_layer,
                layers.start(),
                layers.end()
            ),
        )
        .hint("Encode the passages again with what is in use now."));
    }
    let states = rows(made, payload, facts.layout)?;
    if sha256_of_bytes(payload) != header.payload {
        return Err(damaged("its numbers do not match their checksum"));
    }
    Ok(states)
}

fn parse(bytes: &[u8]) -> Result<(Header, &[u8])> {
    let short = || damaged("it is cut off");
    let (magic, rest) = bytes.split_at_checked(MAGIC.len()).ok_or_else(short)?;
    let (version, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
    let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
    if magic != MAGIC {
        return Err(damaged("it does not begin like one"));
    }
    let version = u32::from_le_bytes(*version);
    if version != VERSION {
        return Err(Error::new(
            ErrorCode::Corrupt,
            format!("this passage was stored in version {version} of the file format"),
        )
        .hint("Encode the passages again."));
    }
    let length = u32::from_le_bytes(*length);
    if length > MAX_HEADER {
        return Err(damaged("its header is too long"));
    }
    let (header, payload) = rest.split_at_checked(length as usize).ok_or_else(short)?;
    let header = serde_json::from_slice(header).map_err(|_| damaged("its header is not read"))?;
    Ok((header, payload))
}

/// Cuts a payload into the rows of each layer.
fn rows(key: &Key, payload: &[u8], layout: &StateLayout) -> Result<LayerStates> {
    let all = layout.row_bytes();
    let range = key.first_layer as usize..=key.last_layer as usize;
    let kept = all.get(range).ok_or_else(|| damaged("it has layers that the model has not"))?;
    let mut states = LayerStates {
        tokens: key.tokens,
        first_layer: key.first_layer,
        keys: Vec::new(),
        values: Vec::new(),
    };
    let mut rest = payload;
    let mut take = |bytes: u64| {
        let size = bytes.checked_mul(u64::from(key.tokens));
        let size = size.and_then(|size| usize::try_from(size).ok());
        let split = size.and_then(|size| rest.split_at_checked(size));
        let (taken, left) = split.ok_or_else(|| damaged("it is cut off"))?;
        rest = left;
        Ok::<_, Error>(taken.to_vec())
    };
    for (bytes, _) in kept {
        states.keys.push(take(*bytes)?);
    }
    for (_, bytes) in kept {
        states.values.push(take(*bytes)?);
    }
    if !rest.is_empty() {
        return Err(damaged("it goes on after the last layer"));
    }
    Ok(states)
}
