//! Both searches, fused.

use crate::dense::inner_product;
use crate::fusion::{Found, fuse};
use crate::index::{blocking, is_damage};
use crate::lexical::AnalysedQuestion;
use crate::store::Library;
use quartet_types::{ChunkId, CollectionId, Error, ErrorCode, Result, SearchHit, SearchTrace};
use std::time::Instant;

/// Hits taken from each search before they are fused.
const DEPTH: usize = 100;
/// Which searches to use; anything but both is for measuring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchMode {
    /// BM25 alone.
    Lexical,
    /// Vectors alone.
    Dense,
    /// Both, by a convex combination of their scores.
    Hybrid,
    /// Both, by reciprocal ranks.
    ReciprocalRank,
}

impl Library {
    /// The `limit` best chunks of a collection, best first. `question_vector` is the
    /// question's unit vector by the embedder that made the collection's vectors.
    ///
    /// # Errors
    /// `InvalidInput` for a question without words; `Corrupt` if an index fails.
    pub async fn search(
        &self,
        collection: CollectionId,
        question: &str,
        question_vector: &[f32],
        limit: usize,
    ) -> Result<(Vec<SearchHit>, SearchTrace)> {
        self.search_by(SearchMode::Hybrid, collection, question, question_vector, limit).await
    }

    /// As [`Library::search`], with one of the searches or both.
    ///
    /// # Errors
    /// As [`Library::search`].
    pub async fn search_by(
        &self,
        mode: SearchMode,
        collection: CollectionId,
        question: &str,
        question_vector: &[f32],
        limit: usize,
    ) -> Result<(Vec<SearchHit>, SearchTrace)> {
        if !question.chars().any(char::is_alphanumeric) {
            return Err(Error::new(ErrorCode::InvalidInput, "the question is empty"));
        }
        let started = Instant::now();
        let depth = DEPTH.max(limit);
        let found = match self.look_up(mode, collection, question, question_vector, depth).await {
            Err(error) if is_damage(error.code) => match self.lock_at_once() {
                // The files do not hold what they promise: make them anew, then look once more.
                Ok(lock) => {
                    self.rebuild_index(collection).await?;
                    drop(lock);
                    self.look_up(mode, collection, question, question_vector, depth).await?
                }
                Err(_) => return Err(error),
            },
            found => found?,
        };
        let LookedUp { analysed, mut ranked, chunks } = found;
        ranked.truncate(limit);
        let ids: Vec<ChunkId> = ranked.iter().map(|(chunk, _)| *chunk).collect();
        let mut passages = self.passages(&ids).await?;
        let hits = ranked
            .into_iter()
            .filter_map(|(chunk, found)| {
                let passage = passages.remove(&chunk)?;
                Some(SearchHit {
                    passage,
                    score: found.score,
                    lexical: found.lexical,
                    dense: found.dense,
                })
            })
            .collect();
        let AnalysedQuestion { terms, idf } = analysed;
        let search_ms = started.elapsed().as_secs_f64() * 1000.0;
        Ok((hits, SearchTrace { terms, idf, chunks, embed_ms: 0.0, search_ms }))
    }

    async fn look_up(
        &self,
        mode: SearchMode,
        collection: CollectionId,
        question: &str,
        question_vector: &[f32],
        depth: usize,
    ) -> Result<LookedUp> {
        let index = self.index(collection).await?;
        let (text, vector) = (question.to_owned(), question_vector.to_vec());
        blocking(move || {
            let mut analysed = AnalysedQuestion::default();
            let mut lexical = Vec::new();
            if let Some(words) = &index.lexical {
                analysed = words.analyse(&text)?;
                if mode != SearchMode::Dense {
                    lexical = words.search(&analysed, depth)?;
                }
            }
            let dense = match &index.dense {
                Some(dense) if mode != SearchMode::Lexical && dense.width() == vector.len() => {
                    dense.search(&vector, depth)
                }
                _ => Vec::new(),
            };
            let chunks = index.dense.as_ref().map_or(0, |dense| dense.len() as u64);
            let cosine_of = |chunk: ChunkId| {
                let known = index.dense.as_ref().filter(|dense| dense.width() == vector.len())?;
                // Written in order of their ids.
                let position = known.ids().binary_search(&chunk.0).ok()?;
                Some(inner_product(known.vector(position)?, &vector))
            };
            let ranked = fuse(mode, &lexical, &dense, analysed.idf.iter().sum(), cosine_of);
            Ok(LookedUp { analysed, ranked, chunks })
        })
        .await
    }
}

/// What both searches found, fused, best first.
struct LookedUp {
    analysed: AnalysedQuestion,
    ranked: Vec<(ChunkId, Found)>,
    chunks: u64,
}
