//! Synthetic collections for measuring search.
//!
//! Words follow Zipf's law over a vocabulary of 50,000, chunks have 90 of them, vectors are
//! random directions: word statistics like real text, and the worst case for vectors.

use crate::chunk::ChunkPlan;
use crate::store::Library;
use crate::store::documents::{DocumentText, FileFacts, enqueue, store_text, store_vector};
use quartet_types::{CollectionId, Extractor, PageNumber, PageSpan, PageText, Result, Sha256};
use serde::Serialize;
use std::path::Path;
use std::time::Instant;

const WIDTH: usize = 384;
const WORDS_PER_CHUNK: usize = 90;
const VOCABULARY: usize = 50_000;
const CHUNKS_PER_DOCUMENT: usize = 500;

/// What search costs at one size.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SearchSpeed {
    /// Chunks in the collection.
    pub chunks: usize,
    /// Median time of a search (both searches, fusion, loading the texts), in milliseconds.
    pub p50_ms: f64,
    /// Time that 99 of 100 searches stay below, in milliseconds.
    pub p99_ms: f64,
    /// From opening the data folder to the end of the first search, in milliseconds.
    pub cold_start_ms: f64,
    /// Time to build both indexes from the store, in seconds.
    pub index_seconds: f64,
    /// Searches measured.
    pub searches: usize,
}

/// Fills an empty data folder with `chunks` chunks and measures `searches` searches in it.
///
/// # Errors
/// If the folder cannot be written or the disk is full.
pub async fn search_speed(folder: &Path, chunks: usize, searches: usize) -> Result<SearchSpeed> {
    let library = Library::open(folder).await?;
    let collection = library.create_collection("bench").await?.id;
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut made = 0;
    while made < chunks {
        let count = CHUNKS_PER_DOCUMENT.min(chunks - made);
        make_document(&library, collection, made, count, &mut random).await?;
        made += count;
    }
    let started = Instant::now();
    {
        let _lock = library.lock()?;
        library.update_index(collection).await?;
    }
    let index_seconds = started.elapsed().as_secs_f64();
    library.pool.close().await;
    drop(library);

    let started = Instant::now();
    let library = Library::open(folder).await?;
    library.search(collection, &question(&mut random), &unit_vector(&mut random), 20).await?;
    let cold_start_ms = started.elapsed().as_secs_f64() * 1000.0;

    // Warm caches: a few searches that do not count.
    let mut times = Vec::with_capacity(searches);
    for round in 0..searches + 20 {
        let (question, vector) = (question(&mut random), unit_vector(&mut random));
        let started = Instant::now();
        library.search(collection, &question, &vector, 20).await?;
        if round >= 20 {
            times.push(started.elapsed().as_secs_f64() * 1000.0);
        }
    }
    times.sort_by(f64::total_cmp);
    let at = |share: usize| {
        times
            .get((times.len() * share / 100).min(times.len().saturating_sub(1)))
            .copied()
            .unwrap_or(0.0)
    };
    Ok(SearchSpeed {
        chunks,
        p50_ms: at(50),
        p99_ms: at(99),
        cold_start_ms,
        index_seconds,
        searches,
    })
}

async fn make_document(
    library: &Library,
    collection: CollectionId,
    first: usize,
    count: usize,
    random: &mut Random,
) -> Result<()> {
    let failed = |error: sqlx::Error| library.failed(&error);
    let mut transaction = library.pool.begin().await.map_err(failed)?;
    let facts = FileFacts { path: format!("bench/{first}.pdf"), bytes: 1, modified_ns: 0 };
    let title = text(random, 6);
    let id = enqueue(&mut transaction, collection, &facts, &title, None).await.map_err(failed)?;
    let mut pages = Vec::with_capacity(count);
    let mut chunks = Vec::with_capacity(count);
    for ordinal in 0..count {
        let page = PageNumber(u32::try_from(ordinal + 1).unwrap_or(u32::MAX));
        let text = text(random, WORDS_PER_CHUNK);
        let end = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        chunks.push(ChunkPlan {
            span: PageSpan { page, start: 0, end },
            text: text.clone(),
            heading: None,
            tokens: 120,
            ordinal: page.0 - 1,
        });
        pages.push(PageText {
            number: page,
            text,
            extractor: Extractor::PdfExtract,
            problems: Vec::new(),
        });
    }
    let digest = Sha256(format!("{first:064x}"));
    let text = DocumentText {
        title: &title,
        sha256: &digest,
        pages: &pages,
        failed_pages: 0,
        problem: None,
        chunks: &chunks,
    };
    store_text(&mut transaction, id, &text).await.map_err(failed)?;
    let ids: Vec<i64> =
        sqlx::query_scalar("SELECT id FROM chunks WHERE document_id = ? ORDER BY ordinal")
            .bind(id.0)
            .fetch_all(&mut *transaction)
            .await
            .map_err(failed)?;
    for chunk in ids {
        store_vector(&mut transaction, chunk, "bench", &unit_vector(random))
            .await
            .map_err(failed)?;
    }
    sqlx::query("UPDATE documents SET status = 'ready' WHERE id = ?")
        .bind(id.0)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
    transaction.commit().await.map_err(failed)
}

fn question(random: &mut Random) -> String {
    format!("what is the {}?", text(random, 8))
}

/// Words by Zipf's law, by inverting its distribution: rank = vocabulary ^ uniform.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "synthetic text"
)]
fn text(random: &mut Random, words: usize) -> String {
    let mut text = String::with_capacity(words * 7);
    for _ in 0..words {
        let rank = (VOCABULARY as f64).powf(random.uniform()) as usize;
        if !text.is_empty() {
            text.push(' ');
        }
        // Letters only, so that stemming and splitting see ordinary words.
        let mut rest = rank * 7919 + 17;
        for _ in 0..6 {
            text.push(char::from(b'a' + (rest % 26) as u8));
            rest /= 26;
        }
    }
    text
}

#[expect(clippy::cast_possible_truncation, reason = "random numbers")]
fn unit_vector(random: &mut Random) -> Vec<f32> {
    // Sums of uniforms are near enough to normal for random directions.
    let mut row: Vec<f32> =
        (0..WIDTH).map(|_| (0..4).map(|_| random.uniform() as f32 - 0.5).sum::<f32>()).collect();
    let length = row.iter().map(|value| value * value).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    row.iter_mut().for_each(|value| *value /= length);
    row
}

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): the same collection every time.
struct Random(u64);

impl Random {
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit exactly")]
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}
