//! Documents to chunks to search.
//!
//! ```text
//! paths ─ import ─▶ PageReader ─▶ pages ─▶ chunks ─▶ Embedder ─▶ vectors   (SQLite: the truth)
//!                                                  └───────────┬─▶ lexical index (tantivy)
//!                                                              └─▶ dense file (memory-mapped)
//! question ─▶ BM25 + exact nearest vectors ─▶ fusion of scores ─▶ hits
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | [`ports`] | what the library is handed: a reader of pages and an embedder |
//! | `store` | SQLite: collections, documents, chunks, vectors, jobs, chats |
//! | `import` | files to searchable documents, as a job that survives `kill -9` |
//! | [`chunk`] | pages to chunks: whole sentences up to a token budget |
//! | [`dense`] | exact nearest-neighbour search over a memory-mapped file |
//! | `lexical` | BM25 over stemmed words |
//! | `index` | keeps the two derived indexes in step with the store |
//! | `search`, `fusion` | both searches, and how they become one list |
//!
//! Invariants: this crate knows no model and no PDF. Everything below `index/` is derived,
//! carries a key, and is rebuilt when the key does not match.

#![forbid(unsafe_code)]

pub mod bench;
pub mod chunk;
pub mod dense;
mod fusion;
mod import;
mod index;
mod lease;
mod lexical;
mod lock;
pub mod ports;
mod search;
mod store;

pub use import::{ImportReport, Importer};
pub use lease::JobLease;
pub use ports::{Embedder, PageReader, ReadDocument};
pub use search::SearchMode;
pub use store::Library;
pub use store::artefacts::StoredArtefact;
pub use store::journal::{Change, JournalEntry};
