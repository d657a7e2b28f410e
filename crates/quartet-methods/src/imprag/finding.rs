//! From a question to passages: the base's query at layer `b`, inner products, and what the
//! controls put in their place.

use super::Setup;
use super::oracle;
use super::template;
use crate::ports::{Implicit, Reader};
use crate::run::{check_cancelled, milliseconds};
use crate::{Options, Ports};
use quartet_types::{
    ChunkId, Control, EngineEvent, Error, GenerationRequest, Result, SearchHit, Tap, TapPoint,
    TapRows, TapUse,
};
use std::collections::{HashMap, HashSet};
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// The constant of reciprocal rank fusion (Cormack, Clarke and Buettcher, SIGIR 2009).
const RANK_CONSTANT: f32 = 60.0;
/// What a place among the nearest counts beside one by words: words are searched where implicit
/// queries were not seen to find as much, so they lead. With a half, passages that both lists hold
/// by chance came before the first one by words (BENCHMARKS.md).
const NEAREST_SHARE: f32 = 0.1;

/// A question as the base's lower layers see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// The query vector (section 3.2 of the paper), `[key_value_heads * head_length]`.
    pub vector: Vec<f32>,
    /// Tokens read, up to layer `b` only.
    pub tokens: u32,
    /// Waiting for the engine, in milliseconds.
    pub queue_ms: f64,
}

/// Reads the prompt up to layer `b` and takes the query of its last token. Without `taught` it
/// is that of the bare model.
///
/// # Errors
/// Those of the reader; `Internal` where the tap read something else.
pub async fn query(
    question: &str,
    setup: &Setup,
    taught: bool,
    reader: &dyn Reader,
    cancel: &CancellationToken,
    on_event: &mut (dyn FnMut(EngineEvent) + Send),
) -> Result<Query> {
    let prompt = template::prompt(question);
    let mut request = GenerationRequest::new(reader.model().model.clone(), prompt);
    if taught {
        request.adapters.clone_from(&setup.query);
    }
    let tap = Tap { point: TapPoint::Query, layer: setup.settings.first_layer, stop_after: true };
    request.taps = vec![TapUse { tap, rows: TapRows::PromptLast }];
    request.limits.max_tokens = 1;
    let read = reader.generate(request, cancel, on_event).await?;
    let reading = read.taps.first().ok_or_else(|| Error::internal("the query was not read out"))?;
    Ok(Query {
        vector: setup.heads.query_vector(&reading.values)?,
        tokens: read.prompt_tokens,
        queue_ms: read.queue_ms,
    })
}

/// What was found for a question.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    /// Best first, the same text once.
    pub(super) hits: Vec<SearchHit>,
    /// The largest inner product of all passages, whatever was read in the end.
    pub(super) best: Option<f32>,
    /// What was asked of the base for it.
    pub(super) query: Query,
    /// Making the query, in milliseconds.
    pub(super) query_ms: f64,
    /// Finding the passages, in milliseconds.
    pub(super) search_ms: f64,
}

/// Finds passages as the setup says, or as a control does it. The query is made and its nearest
/// passages are looked up once in every case, so that a control differs in the passages alone.
pub(super) async fn find(
    question: &str,
    setup: &Setup,
    ports: &Ports<'_>,
    options: &Options,
    cancel: &CancellationToken,
    on_event: &mut (dyn FnMut(EngineEvent) + Send),
) -> Result<Found> {
    let making = Instant::now();
    let taught = options.control != Some(Control::UntrainedHeads);
    let query = query(question, setup, taught, ports.reader, cancel, on_event).await?;
    let query_ms = milliseconds(making);

    check_cancelled(cancel)?;
    let searching = Instant::now();
    let implicit = ports.implicit;
    let nearest = implicit.nearest(&query.vector, taught, options.retrieve, cancel).await?;
    let nearest = products(nearest);
    let best = nearest.first().map(|hit| hit.score);
    let hits = match options.control {
        Some(Control::Lexical) => {
            scored(implicit.by_words(question, options.retrieve).await?, &nearest)
        }
        Some(Control::Random) => {
            scored(implicit.at_random(question, options.retrieve).await?, &nearest)
        }
        Some(Control::Oracle) => with_evidence(nearest, question, implicit, options).await?,
        _ if setup.is_hybrid => {
            let words = implicit.by_words(question, options.retrieve).await?;
            fuse(nearest, words, options.retrieve)
        }
        _ => nearest,
    };
    Ok(Found {
        hits: each_text_once(hits),
        best,
        query,
        query_ms,
        search_ms: milliseconds(searching),
    })
}

/// Notes product and rank where both stay readable after a fusion.
fn products(mut nearest: Vec<SearchHit>) -> Vec<SearchHit> {
    for (rank, hit) in (1_u32..).zip(&mut nearest) {
        hit.dense = Some((hit.score, rank));
    }
    nearest
}

/// Hits found in another way, with their products where these are known.
fn scored(mut hits: Vec<SearchHit>, nearest: &[SearchHit]) -> Vec<SearchHit> {
    for hit in &mut hits {
        let known = nearest.iter().find(|near| near.passage.chunk == hit.passage.chunk);
        hit.dense = known.and_then(|near| near.dense);
    }
    hits
}

/// Passages that hold the gold evidence, then the nearest ones. The evidence is looked for among
/// the nearest, and by its own words.
async fn with_evidence(
    nearest: Vec<SearchHit>,
    question: &str,
    implicit: &dyn Implicit,
    options: &Options,
) -> Result<Vec<SearchHit>> {
    let mut candidates = implicit.by_words(question, options.retrieve).await?;
    for evidence in &options.evidence {
        if evidence.chars().any(char::is_alphanumeric) {
            candidates.extend(implicit.by_words(evidence, options.passages).await?);
        }
    }
    let candidates = [nearest.clone(), scored(candidates, &nearest)].concat();
    let mut seen = HashSet::new();
    let mut hits: Vec<SearchHit> = candidates
        .into_iter()
        .filter(|hit| {
            options.evidence.iter().any(|evidence| oracle::holds(&hit.passage.text, evidence))
        })
        .chain(nearest)
        .collect();
    hits.retain(|hit| seen.insert(hit.passage.chunk));
    hits.truncate(options.retrieve);
    Ok(hits)
}

/// Two lists as one: `1 / (60 + rank)` by words and a tenth of it by implicit query, summed
/// where both hold a passage; its product and its BM25 score stay beside the new one.
#[must_use]
pub fn fuse(nearest: Vec<SearchHit>, words: Vec<SearchHit>, limit: usize) -> Vec<SearchHit> {
    #[expect(clippy::cast_precision_loss, reason = "ranks are small")]
    let share = |rank: usize| 1.0 / (RANK_CONSTANT + rank as f32);
    let mut places: HashMap<ChunkId, usize> = HashMap::new();
    let mut fused: Vec<SearchHit> = Vec::new();
    for (is_lexical, list) in [(false, nearest), (true, words)] {
        for (rank, hit) in (1..).zip(list) {
            let found = u32::try_from(rank).ok().map(|rank| (hit.score, rank));
            let place = *places.entry(hit.passage.chunk).or_insert(fused.len());
            if place == fused.len() {
                fused.push(SearchHit { score: 0.0, lexical: None, dense: None, ..hit });
            }
            let Some(one) = fused.get_mut(place) else { continue };
            one.score += share(rank) * if is_lexical { 1.0 } else { NEAREST_SHARE };
            let note = if is_lexical { &mut one.lexical } else { &mut one.dense };
            *note = found;
        }
    }
    // Stable: of equal ones the nearest passage stands first.
    fused.sort_by(|one, other| other.score.total_cmp(&one.score));
    fused.truncate(limit);
    fused
}

fn each_text_once(mut hits: Vec<SearchHit>) -> Vec<SearchHit> {
    let mut seen = HashSet::new();
    hits.retain(|hit| seen.insert(hit.passage.text.clone()));
    hits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rag::tests::hit;

    fn found(document: i64, score: f32) -> SearchHit {
        let mut found = hit(document, "", 1, 0, &format!("Text {document}."));
        (found.score, found.lexical, found.dense) = (score, None, None);
        found
    }

    #[test]
    fn fused_ranks_keep_both_scores() {
        let near = vec![found(1, 9.0), found(2, 8.0), found(3, 7.0)];
        let words = vec![found(3, 0.4), found(4, 0.3)];
        let fused = fuse(near, words, 3);
        let documents: Vec<i64> = fused.iter().map(|hit| hit.passage.document.0).collect();
        // Both lists know 3; of the others the one found by words goes first.
        assert_eq!(documents, [3, 4, 1]);
        assert_eq!((fused[0].dense, fused[0].lexical), (Some((7.0, 3)), Some((0.4, 1))));
        assert!((fused[0].score - (NEAREST_SHARE / 63.0 + 1.0 / 61.0)).abs() < 1e-7);
        assert_eq!((fused[1].dense, fused[2].lexical), (None, None));
        assert!(fuse(Vec::new(), Vec::new(), 3).is_empty());
    }

    #[test]
    fn the_same_text_counts_once() {
        let mut twin = found(2, 8.0);
        twin.passage.text = "Text 1.".to_owned();
        let once = each_text_once(vec![found(1, 9.0), twin, found(3, 7.0)]);
        assert_eq!(once.iter().map(|hit| hit.passage.document.0).collect::<Vec<_>>(), [1, 3]);
    }
}
