//! What the library is handed. The door implements these with worker processes; tests with
//! pages from memory and hashed words.

use async_trait::async_trait;
use quartet_types::{Error, PageText, Result};
use std::path::Path;
use tokio_util::sync::CancellationToken;

/// Turns a file into pages.
#[async_trait]
pub trait PageReader: Send + Sync {
    /// Reads one document. `progress` is told pages read so far and in all.
    ///
    /// # Errors
    /// `Protected`, `NoText`, `BadFile`, `LimitExceeded`, `WorkerDied`, `NotFound` and `Io` put
    /// the document into quarantine; any other error ends the import.
    async fn read(
        &self,
        path: &Path,
        progress: &(dyn Fn(u32, Option<u32>) + Send + Sync),
        cancel: &CancellationToken,
    ) -> Result<ReadDocument>;
}

/// A document as read.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadDocument {
    /// Its title, where the file has one; else it is taken from the first page.
    pub title: Option<String>,
    /// Its pages, normalised.
    pub pages: Vec<PageText>,
    /// Pages the document says it has.
    pub page_count: Option<u32>,
    /// Why some pages are missing, if they are.
    pub problem: Option<Error>,
}

/// Turns text into vectors.
#[async_trait]
pub trait Embedder: Send + Sync {
    /// Identifies the model, its file and its engine. Vectors of another key are never used.
    fn key(&self) -> String;

    /// Length of a vector.
    fn width(&self) -> usize;

    /// Tokens it reads at once, special tokens included.
    fn max_tokens(&self) -> u32;

    /// Tokens of each text, without special tokens.
    async fn count_tokens(&self, texts: &[String]) -> Result<Vec<u32>>;

    /// One unit-length row of [`Embedder::width`] values for each text, row-major.
    async fn embed(&self, texts: &[String], cancel: &CancellationToken) -> Result<Vec<f32>>;
}
