//! The passages of a collection as they are now, written as the model reads them.

use super::records::{TextDigest, digest_of};
use quartet_library::Library;
use quartet_methods::imprag::template;
use quartet_types::{ChunkId, CollectionId, Result};
use std::collections::BTreeMap;

/// Every passage that can be found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Live {
    texts: BTreeMap<ChunkId, (TextDigest, String)>,
}

impl Live {
    /// Those of a collection.
    pub(super) async fn in_collection(library: &Library, collection: CollectionId) -> Result<Self> {
        let passages = library.all_passages(collection).await?;
        Ok(Self::of(passages.iter().map(|one| (one.chunk, template::filled(one))).collect()))
    }

    pub(super) fn of(texts: Vec<(ChunkId, String)>) -> Self {
        let with_digest = texts.into_iter().map(|(chunk, text)| (chunk, (digest_of(&text), text)));
        Self { texts: with_digest.collect() }
    }

    /// Whether a chunk is there with this very text.
    pub(super) fn has(&self, chunk: ChunkId, text: TextDigest) -> bool {
        self.texts.get(&chunk).is_some_and(|(known, _)| *known == text)
    }

    /// Every chunk with the digest of its text and the text, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ChunkId, TextDigest, &str)> {
        self.texts.iter().map(|(chunk, (digest, text))| (*chunk, *digest, text.as_str()))
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.texts.len()
    }
}
