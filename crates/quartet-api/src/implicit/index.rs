//! Passage vectors of a collection, for one way of making them (ImpRAG, section 3.2: the keys of
//! the last token at layer `b`, compared by inner product as they are).
//!
//! A payload behind its head: `u32` tokens, then the vector as 32-bit floats, for Qwen2.5-0.5B
//! `2 * 64` of them.

use super::live::Live;
use super::records::{self, HEAD, Kind, head, head_of};
use quartet_types::{ChunkId, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// Fewer dead records than this are not worth writing a file anew.
const FEW_DEAD: usize = 64;

/// The vectors of all passages that have one, in the order of their chunks.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Index {
    /// Chunks, ascending.
    pub(crate) chunks: Vec<ChunkId>,
    /// `[chunks * width]`.
    pub(crate) rows: Vec<f32>,
    /// Tokens of each passage.
    pub(crate) tokens: Vec<u32>,
    /// Records of passages that are gone or have changed.
    dead: usize,
}

/// A passage's record.
pub(super) fn payload(
    chunk: ChunkId,
    text: records::TextDigest,
    tokens: u32,
    key: &[f32],
) -> Vec<u8> {
    let mut payload = head(chunk, text);
    payload.extend(tokens.to_le_bytes());
    payload.extend(key.iter().flat_map(|number| number.to_le_bytes()));
    payload
}

/// Bytes of a record of vectors of this width.
pub(super) fn size(width: usize) -> usize {
    HEAD + 4 + 4 * width
}

impl Index {
    /// Reads a file; what belongs to no passage of now is left out.
    pub(super) fn read(path: &Path, kind: &Kind, live: &Live) -> Result<Self> {
        let payloads = records::read(path, kind)?;
        let mut known: BTreeMap<ChunkId, &[u8]> = BTreeMap::new();
        for payload in &payloads {
            let (chunk, text) = head_of(payload);
            if live.has(chunk, text) {
                known.insert(chunk, &payload[HEAD..]);
            }
        }
        let mut index = Self { dead: payloads.len() - known.len(), ..Self::default() };
        for (chunk, rest) in known {
            let mut numbers = rest.chunks_exact(4).map(|four| [four[0], four[1], four[2], four[3]]);
            index.chunks.push(chunk);
            index.tokens.push(u32::from_le_bytes(numbers.next().unwrap_or_default()));
            index.rows.extend(numbers.map(f32::from_le_bytes));
        }
        Ok(index)
    }

    /// Whether a chunk has a vector.
    pub(super) fn has(&self, chunk: ChunkId) -> bool {
        self.chunks.binary_search(&chunk).is_ok()
    }

    /// Whether so much of the file is dead that it should be written anew.
    pub(super) fn is_mostly_dead(&self) -> bool {
        self.dead >= FEW_DEAD && self.dead * 4 > self.chunks.len()
    }

    /// Tokens of all passages.
    pub(crate) fn all_tokens(&self) -> u64 {
        self.tokens.iter().map(|tokens| u64::from(*tokens)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quartet_methods::imprag::vector::nearest;

    fn live(texts: &[(i64, &str)]) -> Live {
        Live::of(texts.iter().map(|(chunk, text)| (ChunkId(*chunk), (*text).to_owned())).collect())
    }

    #[test]
    fn vectors_of_what_is_gone_or_changed_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("one.vectors");
        let kind = Kind { size: size(2), owner: [0; 32], key: [0; 32] };
        let of = |chunk, text: &str, key: [f32; 2]| {
            payload(ChunkId(chunk), records::digest_of(text), 7, &key)
        };
        let all = [
            of(3, "three", [0.0, 2.0]),
            of(1, "one", [1.0, 0.0]),
            of(2, "before", [9.0, 9.0]),
            of(4, "gone", [8.0, 8.0]),
            of(1, "one", [1.5, -0.0]),
        ];
        records::append(&path, &kind, &all).unwrap();
        let now = live(&[(1, "one"), (2, "after"), (3, "three")]);
        let index = Index::read(&path, &kind, &now).unwrap();
        assert_eq!(index.chunks, [ChunkId(1), ChunkId(3)]);
        assert_eq!(index.rows, [1.5, -0.0, 0.0, 2.0], "of two records the later one counts");
        assert_eq!((index.all_tokens(), index.dead), (14, 3));
        assert!(index.has(ChunkId(3)) && !index.has(ChunkId(2)));
        assert_eq!(nearest(&[0.0, 1.0], &index.rows, 1), [(1, 2.0)]);
        assert!(!index.is_mostly_dead());
        assert!(Index { dead: 64, ..index }.is_mostly_dead());
    }
}
