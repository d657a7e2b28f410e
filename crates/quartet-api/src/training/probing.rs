//! Retrieval as the engine serves it, measured: vectors of passages and questions with any
//! adapters, and what other searches find.

use crate::Quartet;
use crate::engine::unexpected;
use crate::implicit::{Base, Encoder};
use quartet_library::SearchMode;
use quartet_methods::Reader;
use quartet_methods::imprag::vector::{nearest, score};
use quartet_methods::imprag::{Setup, finding};
use quartet_types::{
    AdapterSource, AdapterUse, ChunkId, CollectionId, EngineEvent, EngineReply, EngineRequest,
    HubReport, ImpragSettings, Result, Sha256,
};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Ranks that count.
const TOP: usize = 10;
/// Passages that are encoded in one request.
const AT_ONCE: usize = 16;

/// Who measures.
pub(super) struct Probing<'a> {
    pub(super) quartet: &'a Quartet,
    pub(super) base: &'a Base,
    /// The same, ready to read.
    pub(super) reader: &'a dyn Reader,
    pub(super) settings: &'a ImpragSettings,
    pub(super) collection: CollectionId,
    /// Chunks of the passages, in order.
    pub(super) chunks: &'a [ChunkId],
    pub(super) stop: &'a CancellationToken,
}

/// Vectors of all passages, row-major, and of queries.
pub(super) struct Vectors {
    pub(super) passages: Vec<f32>,
    pub(super) queries: Vec<Vec<f32>>,
}

impl Vectors {
    /// Places of the ten best passages of each query.
    pub(super) fn best(&self) -> Vec<Vec<usize>> {
        let best = |query: &Vec<f32>| {
            nearest(query, &self.passages, TOP).into_iter().map(|(place, _)| place).collect()
        };
        self.queries.iter().map(best).collect()
    }

    /// How evenly passages win (card, test 15).
    pub(super) fn hubs(&self) -> HubReport {
        let Some(width) = self.queries.first().map(Vec::len) else { return HubReport::default() };
        let rows: Vec<&[f32]> = self.passages.chunks_exact(width).collect();
        let mut wins: BTreeMap<usize, usize> = BTreeMap::new();
        let mut scores = Vec::new();
        for query in &self.queries {
            if let Some((place, _)) = nearest(query, &self.passages, 1).first() {
                *wins.entry(*place).or_default() += 1;
            }
            scores.extend(rows.iter().map(|row| f64::from(score(query, row))));
        }
        let count = scores.len().max(1) as f64;
        let mean = scores.iter().sum::<f64>() / count;
        let variance = scores.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / count;
        let most = wins.values().max().copied().unwrap_or(0);
        HubReport {
            largest_share: most as f64 / self.queries.len().max(1) as f64,
            deviation: variance.sqrt(),
            mean_cosine: mean_cosine(&rows),
        }
    }
}

/// Mean cosine of different rows: from the length of the sum of all at unit length.
fn mean_cosine(rows: &[&[f32]]) -> f64 {
    let Some(width) = rows.first().map(|row| row.len()) else { return 0.0 };
    let mut sum = vec![0.0f64; width];
    for row in rows {
        let length = row.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        if length > 0.0 {
            sum.iter_mut().zip(*row).for_each(|(sum, value)| *sum += f64::from(*value) / length);
        }
    }
    let count = rows.len() as f64;
    let squares: f64 = sum.iter().map(|value| value * value).sum();
    if rows.len() < 2 { 0.0 } else { (squares - count) / (count * (count - 1.0)) }
}

impl Probing<'_> {
    async fn call(&self, request: EngineRequest) -> Result<EngineReply> {
        self.quartet.engine.call(request, self.stop, |_| {}).await
    }

    /// Has the engine know an adapter.
    pub(super) async fn take(&self, source: AdapterSource) -> Result<Sha256> {
        let request = EngineRequest::LoadAdapter { model: self.base.name.clone(), source };
        match self.call(request).await? {
            EngineReply::AdapterLoaded(adapter) => Ok(adapter.adapter),
            other => Err(unexpected(&other)),
        }
    }

    /// Vectors of passages, which are cut to length, and inputs.
    pub(super) async fn vectors(
        &self,
        texts: &[String],
        inputs: &[&str],
        query: &[AdapterUse],
        passage: &[AdapterUse],
    ) -> Result<Vectors> {
        let encoder = Encoder::new(Arc::clone(&self.quartet.engine), self.base.name.clone());
        let mut passages = Vec::new();
        for some in texts.chunks(AT_ONCE) {
            let layer = Some(self.settings.first_layer);
            let encoded = encoder.encode(some.to_vec(), passage, layer, None, self.stop).await?;
            passages.extend(encoded.passages.into_iter().flat_map(|one| one.key));
        }
        Ok(Vectors { passages, queries: self.queries(inputs, query).await? })
    }

    /// Vectors of inputs.
    pub(super) async fn queries(
        &self,
        inputs: &[&str],
        adapters: &[AdapterUse],
    ) -> Result<Vec<Vec<f32>>> {
        let bare = Setup::bare(self.settings.clone(), self.base.heads);
        let setup = Setup { query: adapters.to_vec(), ..bare };
        let mut vectors = Vec::with_capacity(inputs.len());
        for input in inputs {
            let mut quiet = |_: EngineEvent| {};
            let query =
                finding::query(input, &setup, true, self.reader, self.stop, &mut quiet).await?;
            vectors.push(query.vector);
        }
        Ok(vectors)
    }

    /// What words, meaning and both find: places of the ten best of each input.
    pub(super) async fn searches(
        &self,
        inputs: &[&str],
    ) -> Result<Vec<(&'static str, Vec<Vec<usize>>)>> {
        let place_of: HashMap<ChunkId, usize> =
            self.chunks.iter().enumerate().map(|(place, chunk)| (*chunk, place)).collect();
        let embedder = self.quartet.embedder(self.stop).await?;
        let mut vectors = Vec::with_capacity(inputs.len());
        for input in inputs {
            vectors.push(embedder.embed_questions(&[input], self.stop).await?);
        }
        let mut found = Vec::new();
        for (name, mode) in [
            ("lexical", SearchMode::Lexical),
            ("dense", SearchMode::Dense),
            ("hybrid", SearchMode::Hybrid),
        ] {
            let mut all = Vec::with_capacity(inputs.len());
            for (input, vector) in inputs.iter().zip(&vectors) {
                let library = &self.quartet.library;
                let (hits, _) =
                    library.search_by(mode, self.collection, input, vector, TOP).await?;
                let places =
                    hits.iter().filter_map(|hit| place_of.get(&hit.passage.chunk).copied());
                all.push(places.collect());
            }
            found.push((name, all));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hubs_are_seen() {
        let queries = vec![vec![1.0, 0.0], vec![0.9, 0.1], vec![0.0, 1.0]];
        let even = Vectors { passages: vec![1.0, 0.0, 0.0, 1.0], queries: queries.clone() };
        let hub = Vectors { passages: vec![5.0, 5.0, 0.1, 0.1], queries };
        assert!(even.hubs().largest_share < 0.7);
        assert!((hub.hubs().largest_share - 1.0).abs() < 1e-9);
        assert!(even.hubs().mean_cosine.abs() < 1e-9);
        assert!((hub.hubs().mean_cosine - 1.0).abs() < 1e-6);
    }
}
