//! What search finds.

use crate::document::PageSpan;
use crate::id::{ChunkId, DocumentId};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// A chunk that was found, with what is needed to show and cite it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct Passage {
    /// The chunk.
    pub chunk: ChunkId,
    /// Its document.
    pub document: DocumentId,
    /// The document's title.
    pub title: String,
    /// The document's path.
    pub path: String,
    /// Where the text stands.
    pub span: PageSpan,
    /// The heading it stands under.
    pub heading: Option<String>,
    /// The text.
    pub text: String,
}

/// A [`Passage`] with its scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct SearchHit {
    /// What was found.
    pub passage: Passage,
    /// Fused score; higher is better.
    pub score: f32,
    /// BM25 score and rank (from 1), where the lexical search found it.
    pub lexical: Option<(f32, u32)>,
    /// Cosine and rank (from 1), where the dense search found it; for ImpRAG the inner product
    /// with the implicit query.
    pub dense: Option<(f32, u32)>,
}

/// What a search did, for the evidence panel and for abstention.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, TS)]
pub struct SearchTrace {
    /// Terms of the question as the lexical index sees them (stemmed).
    pub terms: Vec<String>,
    /// For each term, its inverse document frequency in this collection; terms that occur
    /// nowhere have the highest.
    pub idf: Vec<f32>,
    /// Chunks searched.
    pub chunks: u64,
    /// Time for the question's vector, in milliseconds.
    pub embed_ms: f64,
    /// Time for lexical and dense search, fusion and loading the text, in milliseconds.
    pub search_ms: f64,
}
