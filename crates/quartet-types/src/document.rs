//! Documents, their pages and their chunks.

use crate::id::{ChunkId, CollectionId, DocumentId, PageNumber, Sha256};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// A named set of documents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct Collection {
    /// Its id.
    pub id: CollectionId,
    /// Its name, unique.
    pub name: String,
    /// Documents that can be searched.
    pub ready_documents: u64,
    /// Documents in any state.
    pub documents: u64,
    /// Pages of the documents that can be searched.
    pub pages: u64,
    /// Chunks that can be searched.
    pub chunks: u64,
}

/// A file that was given to Quartet, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct Document {
    /// Its id.
    pub id: DocumentId,
    /// The collection it is in.
    pub collection: CollectionId,
    /// Where it was read from.
    pub path: String,
    /// Digest of its content, once read.
    pub sha256: Option<Sha256>,
    /// Its title: from the first page, else the file's name.
    pub title: String,
    /// What became of it.
    pub status: DocumentStatus,
    /// Why, where the status is not [`DocumentStatus::Ready`]; also set on a duplicate.
    pub reason: Option<String>,
    /// What the user can do, where something can be done.
    pub hint: Option<String>,
    /// The document with the same content that is searched in its place.
    pub duplicate_of: Option<DocumentId>,
    /// Pages read.
    pub pages: u32,
    /// Pages that could not be read though others could.
    pub failed_pages: u32,
    /// Chunks made.
    pub chunks: u32,
    /// Size of the file, in bytes.
    pub bytes: u64,
    /// When it was first given, seconds since 1970.
    pub added_at: i64,
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum DocumentStatus {
    /// Known, not worked on yet.
    Queued,
    /// Text has been read; chunks are not all embedded and indexed yet.
    Extracted,
    /// Can be searched.
    Ready,
    /// Could not be read; the reason says why. Kept in quarantine until retried.
    Failed,
    /// Needs a password.
    Protected,
    /// Has pages but no text on them (scanned).
    NoText,
    /// The file is no longer where it was; its text is still searched.
    Missing,
}

impl DocumentStatus {
    /// The name used in SQLite and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Extracted => "extracted",
            Self::Ready => "ready",
            Self::Failed => "failed",
            Self::Protected => "protected",
            Self::NoText => "no_text",
            Self::Missing => "missing",
        }
    }

    /// The reverse of [`DocumentStatus::as_str`].
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [
            Self::Queued,
            Self::Extracted,
            Self::Ready,
            Self::Failed,
            Self::Protected,
            Self::NoText,
            Self::Missing,
        ]
        .into_iter()
        .find(|status| status.as_str() == name)
    }
}

/// The text of one page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct PageText {
    /// Which page.
    pub number: PageNumber,
    /// Its text. Paragraphs are separated by a blank line.
    pub text: String,
    /// What read it.
    pub extractor: Extractor,
    /// What was wrong with it.
    pub problems: Vec<PageProblem>,
}

/// A library that turns PDF pages into text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Extractor {
    /// The `pdf-extract` crate.
    PdfExtract,
    /// The `pdf_oxide` crate.
    PdfOxide,
}

/// Something wrong with a page, short of losing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum PageProblem {
    /// An extractor panicked or failed on it; the other one was used, or the page is empty.
    ExtractorFailed,
    /// No text on it.
    Empty,
    /// Much of its text could not be mapped to characters.
    UnknownGlyphs,
    /// Its text was cut at the output limit.
    Truncated,
}

/// A range of characters (not bytes) on a page's normalised text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
pub struct PageSpan {
    /// Which page.
    pub page: PageNumber,
    /// First character.
    pub start: u32,
    /// One past the last character.
    pub end: u32,
}

/// A piece of a document that is searched and read as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Chunk {
    /// Its id.
    pub id: ChunkId,
    /// The document it is from.
    pub document: DocumentId,
    /// Its place in the document, from 0.
    pub ordinal: u32,
    /// Where its text stands.
    pub span: PageSpan,
    /// Its text.
    pub text: String,
    /// The heading it stands under, where one was found.
    pub heading: Option<String>,
    /// Its length in tokens of the embedder's tokenizer.
    pub tokens: u32,
}

/// A window of documents.
#[derive(Debug, Clone, Serialize, Deserialize, TS)]
pub struct DocumentPage {
    /// Documents that match, in all.
    pub total: u32,
    /// Those asked for.
    pub documents: Vec<Document>,
    /// How many documents of the collection have each status, whatever was searched for.
    pub counts: Vec<StatusCount>,
}

/// How many documents have a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct StatusCount {
    /// The status.
    pub status: DocumentStatus,
    /// How many.
    pub count: u32,
}

/// A folder that is read again whenever something changes in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct LinkedFolder {
    /// Its id.
    pub id: i64,
    /// Its collection's name.
    pub collection: String,
    /// Where it is.
    pub path: String,
    /// Whether it is there now.
    pub found: bool,
    /// When it was last brought up to date, seconds since 1970.
    pub synced_at: Option<i64>,
}
