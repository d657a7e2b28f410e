//! Ids. Every kind of id is a type of its own, so that a page number can never be passed
//! where a chunk id is meant.

use serde::{Deserialize, Serialize};
use std::fmt;
use ts_rs::TS;

macro_rules! integer_id {
    ($(#[$doc:meta])* $name:ident, $inner:ty) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, TS)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }
    };
}

integer_id!(
    /// A collection of documents (SQLite row id).
    CollectionId, i64
);
integer_id!(
    /// A document: one content, however many paths lead to it (SQLite row id).
    DocumentId, i64
);
integer_id!(
    /// A chunk of a document (SQLite row id; also the key in the search index).
    ChunkId, i64
);
integer_id!(
    /// A long-running job (SQLite row id).
    JobId, i64
);
integer_id!(
    /// A conversation (SQLite row id).
    ChatId, i64
);
integer_id!(
    /// A question in a conversation, with all its answers (SQLite row id).
    TurnId, i64
);
integer_id!(
    /// One answer by one method (SQLite row id).
    AnswerId, i64
);
integer_id!(
    /// A page of a PDF, counted from 1 as readers do (the cover is page 1).
    PageNumber, u32
);

/// The name a loaded model goes by: a catalog name (`small`) or a file stem.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, TS)]
#[serde(transparent)]
pub struct ModelId(pub String);

impl fmt::Display for ModelId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl From<&str> for ModelId {
    fn from(name: &str) -> Self {
        Self(name.to_owned())
    }
}

/// A SHA-256 digest in lower-case hexadecimal (64 characters).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, TS)]
#[serde(transparent)]
pub struct Sha256(pub String);

impl fmt::Display for Sha256 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
