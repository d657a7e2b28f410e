//! A file of records of one size, to which more are appended.
//!
//! ```text
//! 8 bytes `QUARTETR`, u32 version, u32 size of a payload, 32 bytes owner, 32 bytes key,
//! 8 bytes check, then records: payload, 8 bytes check
//! payload: i64 chunk, 8 bytes digest of its text, and whatever else
//! ```
//!
//! Numbers are little endian; a check is the beginning of the SHA-256 of what it stands behind.
//! A write that was cut short leaves a tail that is no record: it is not read, and cut off
//! before more is appended. A record that is damaged is not read either.

use crate::models::write_atomically;
use quartet_types::{ChunkId, Error, Result};
use sha2::Digest;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

const MAGIC: &[u8; 8] = b"QUARTETR";
/// Version of the layout.
const VERSION: u32 = 1;
const CHECK: usize = 8;
const HEADER: usize = 8 + 4 + 4 + 32 + 32 + CHECK;
/// Chunk and digest of its text.
pub(super) const HEAD: usize = 16;

/// The beginning of the SHA-256 of a text: enough to see that it changed.
pub(super) type TextDigest = [u8; 8];

/// The digest of a passage as it is encoded.
pub(super) fn digest_of(text: &str) -> TextDigest {
    check_of(text.as_bytes())
}

/// What the records of a file belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    /// Bytes of a payload.
    pub(super) size: usize,
    /// The model: a newer file of the same owner takes an older one's place.
    pub(super) owner: [u8; 32],
    /// Everything that the records depend on.
    pub(super) key: [u8; 32],
}

impl Kind {
    fn header(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(u32::try_from(self.size).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend(self.owner);
        bytes.extend(self.key);
        bytes.extend(check_of(&bytes));
        bytes
    }

    /// What the header of a file says; `None` for one that is damaged or something else.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let header = bytes.get(..HEADER)?;
        let size = u32::from_le_bytes(header[12..16].try_into().ok()?) as usize;
        let kind = Self {
            size,
            owner: header[16..48].try_into().ok()?,
            key: header[48..80].try_into().ok()?,
        };
        (size >= HEAD && kind.header() == header).then_some(kind)
    }

    /// The sound payloads of a file's content.
    fn payloads<'b>(&self, bytes: &'b [u8]) -> impl Iterator<Item = &'b [u8]> + use<'b> {
        let size = self.size;
        let records = bytes.get(HEADER..).unwrap_or(&[]).chunks_exact(size + CHECK);
        records
            .map(move |record| record.split_at(size))
            .filter(|(payload, check)| check_of(payload) == *check)
            .map(|(payload, _)| payload)
    }

    fn record(payload: &[u8]) -> impl Iterator<Item = u8> + '_ {
        payload.iter().copied().chain(check_of(payload))
    }
}

fn check_of(bytes: &[u8]) -> [u8; CHECK] {
    let mut check = [0; CHECK];
    check.copy_from_slice(&sha2::Sha256::digest(bytes)[..CHECK]);
    check
}

/// Chunk and digest of a payload.
pub(super) fn head_of(payload: &[u8]) -> (ChunkId, TextDigest) {
    let (mut chunk, mut text) = ([0; 8], [0; 8]);
    chunk.copy_from_slice(&payload[..8]);
    text.copy_from_slice(&payload[8..HEAD]);
    (ChunkId(i64::from_le_bytes(chunk)), text)
}

/// The beginning of a payload.
pub(super) fn head(chunk: ChunkId, text: TextDigest) -> Vec<u8> {
    let mut payload = chunk.0.to_le_bytes().to_vec();
    payload.extend(text);
    payload
}

/// The kind of a file; `None` where there is none, or one that is damaged.
pub(super) fn kind_of(path: &Path) -> Option<Kind> {
    let mut header = Vec::with_capacity(HEADER);
    File::open(path).ok()?.take(HEADER as u64).read_to_end(&mut header).ok()?;
    Kind::parse(&header)
}

/// Every sound payload of a file of this kind, in the order in which they were written; none
/// where there is no such file, or it is of another kind or damaged.
pub(super) fn read(path: &Path, kind: &Kind) -> Result<Vec<Vec<u8>>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::from_io(&error, path)),
    };
    if Kind::parse(&bytes) != Some(*kind) {
        return Ok(Vec::new());
    }
    Ok(kind.payloads(&bytes).map(<[u8]>::to_vec).collect())
}

/// Appends records, and returns when they are on the disk. A file of another kind, or a damaged
/// one, is made anew.
pub(super) fn append(path: &Path, kind: &Kind, payloads: &[Vec<u8>]) -> Result<()> {
    let failed = |error: std::io::Error| Error::from_io(&error, path);
    if kind_of(path) != Some(*kind) {
        return rewrite(path, kind, payloads);
    }
    let mut file = OpenOptions::new().write(true).open(path).map_err(failed)?;
    let records = file.metadata().map_err(failed)?.len().saturating_sub(HEADER as u64);
    let torn = records % (kind.size + CHECK) as u64;
    file.set_len(HEADER as u64 + records - torn).map_err(failed)?;
    file.seek(SeekFrom::End(0)).map_err(failed)?;
    let bytes: Vec<u8> = payloads.iter().flat_map(|payload| Kind::record(payload)).collect();
    file.write_all(&bytes).and_then(|()| file.sync_data()).map_err(failed)
}

/// Writes a file of these records only, whole or not at all.
pub(super) fn rewrite(path: &Path, kind: &Kind, payloads: &[Vec<u8>]) -> Result<()> {
    let mut bytes = kind.header();
    bytes.extend(payloads.iter().flat_map(|payload| Kind::record(payload)));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| Error::from_io(&error, folder))?;
    }
    write_atomically(path, &bytes)
}

/// Keeps the records that `wanted` says, and removes a file that is damaged; returns what was
/// kept. The file is written anew only if something goes.
pub(super) fn retain(
    path: &Path,
    wanted: impl Fn(ChunkId, TextDigest) -> bool,
) -> Result<Vec<Vec<u8>>> {
    let failed = |error: std::io::Error| Error::from_io(&error, path);
    let Some(kind) = kind_of(path) else {
        if path.exists() {
            std::fs::remove_file(path).map_err(failed)?;
        }
        return Ok(Vec::new());
    };
    let mut all = read(path, &kind)?;
    let before = all.len();
    all.retain(|payload| {
        let (chunk, text) = head_of(payload);
        wanted(chunk, text)
    });
    if all.len() < before {
        rewrite(path, &kind, &all)?;
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind = Kind { size: 24, owner: [1; 32], key: [2; 32] };

    fn payload(chunk: i64) -> Vec<u8> {
        let mut payload = head(ChunkId(chunk), digest_of(&format!("text {chunk}")));
        payload.extend((chunk * 1_000_003).to_le_bytes());
        payload
    }

    fn many(chunks: std::ops::Range<i64>) -> Vec<Vec<u8>> {
        chunks.map(payload).collect()
    }

    #[test]
    fn records_are_read_as_they_were_appended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("below/one.vectors");
        assert!(read(&path, &KIND).unwrap().is_empty());
        append(&path, &KIND, &many(0..3)).unwrap();
        append(&path, &KIND, &many(3..5)).unwrap();
        append(&path, &KIND, &[]).unwrap();
        assert_eq!(read(&path, &KIND).unwrap(), many(0..5));
        assert_eq!(kind_of(&path), Some(KIND));
        assert_eq!(head_of(&payload(4)), (ChunkId(4), digest_of("text 4")));
    }

    /// For every length a file can have after a kill: whole records stay, what is appended
    /// afterwards is read, nothing else is.
    #[test]
    fn a_torn_tail_costs_what_was_being_written_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("one.vectors");
        append(&path, &KIND, &many(0..4)).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for length in 0..=whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let left = length.saturating_sub(HEADER) / (KIND.size + CHECK);
            let left = if length < HEADER { 0 } else { left as i64 };
            assert_eq!(read(&path, &KIND).unwrap(), many(0..left), "cut at {length}");
            append(&path, &KIND, &many(9..11)).unwrap();
            let expected = [many(0..left), many(9..11)].concat();
            assert_eq!(read(&path, &KIND).unwrap(), expected, "cut at {length}");
        }
    }

    #[test]
    fn a_flipped_bit_costs_its_record_or_with_the_header_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("one.vectors");
        append(&path, &KIND, &many(0..4)).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for place in 0..whole.len() {
            for bit in [1, 0x80] {
                let mut copy = whole.clone();
                copy[place] ^= bit;
                std::fs::write(&path, &copy).unwrap();
                let found = read(&path, &KIND).unwrap();
                match place.checked_sub(HEADER) {
                    None => assert!(found.is_empty(), "header, {place}"),
                    Some(place) => {
                        let mut expected = many(0..4);
                        expected.remove(place / (KIND.size + CHECK));
                        assert_eq!(found, expected, "{place}");
                    }
                }
            }
        }
        // A tail of zeros, as some file systems leave after a power cut.
        std::fs::write(&path, [&whole[..], &[0; 96]].concat()).unwrap();
        assert_eq!(read(&path, &KIND).unwrap(), many(0..4));
    }

    #[test]
    fn another_key_is_another_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("one.vectors");
        append(&path, &KIND, &many(0..4)).unwrap();
        let other = Kind { key: [3; 32], ..KIND };
        assert!(read(&path, &other).unwrap().is_empty());
        append(&path, &other, &many(7..8)).unwrap();
        assert_eq!(read(&path, &other).unwrap(), many(7..8));
        assert!(read(&path, &KIND).unwrap().is_empty());
    }

    #[test]
    fn what_is_not_wanted_goes_for_good() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("one.vectors");
        append(&path, &KIND, &many(0..6)).unwrap();
        let kept = retain(&path, |chunk, text| chunk.0 % 2 == 0 && text != digest_of("text 4"));
        assert_eq!(kept.unwrap(), [payload(0), payload(2)]);
        assert_eq!(read(&path, &KIND).unwrap(), [payload(0), payload(2)]);
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(KIND.size).any(|window| window == payload(1)));
        std::fs::write(&path, b"something else").unwrap();
        assert!(retain(&path, |_, _| true).unwrap().is_empty() && !path.exists());
    }
}
