//! The PDF worker as the library sees it: a path goes in, pages come out.

use crate::settings::Settings;
use async_trait::async_trait;
use quartet_library::{PageReader, ReadDocument};
use quartet_pdf::{ReadOptions, read_document};
use quartet_types::Result;
use quartet_worker::WorkerCommand;
use std::path::Path;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Reads each document in a worker process of its own.
pub(crate) struct PdfReader {
    command: WorkerCommand,
    wall_limit: Duration,
}

impl PdfReader {
    pub(crate) fn new(command: WorkerCommand, settings: &Settings) -> Self {
        Self { command, wall_limit: Duration::from_secs(settings.pdf_seconds) }
    }
}

#[async_trait]
impl PageReader for PdfReader {
    async fn read(
        &self,
        path: &Path,
        progress: &(dyn Fn(u32, Option<u32>) + Send + Sync),
        cancel: &CancellationToken,
    ) -> Result<ReadDocument> {
        let mut options = ReadOptions::standard();
        options.wall_limit = self.wall_limit;
        options.cancel = cancel.clone();
        let reading = read_document(&self.command, path, &options, |done, total| {
            progress(done, Some(total));
        })
        .await?;
        Ok(ReadDocument {
            title: reading.title,
            pages: reading.pages,
            page_count: Some(reading.total_pages),
            problem: reading.incomplete,
        })
    }
}
