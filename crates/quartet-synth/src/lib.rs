//! Study material from a collection, made once and shared by every method that is trained and by
//! the exam.
//!
//! ```text
//! passages ─┬─ rules ──────────────┐
//!           └─ model, by grammar ──┴─ filters ─ round trip ─ paraphrases ─ rows ─▶ sink
//!                                                 └─ unanswerable, claims ──┘
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | [`recipe`] | every setting, and the key of a piece of work |
//! | [`row`] | [`StudyRow`]: one JSON line each, with provenance to the sentence |
//! | [`filter`] | what is dropped, why, and how often |
//! | [`split`] | parts by document and by wording, from a seed |
//! | [`journal`] | the file of rows, safe against interruption |
//! | [`work`] | sink, progress and report |
//! | [`words`] | comparing texts |
//!
//! Pairs come from rules (definitions, headings, gaps, numbers, dates, names), whose answer is a
//! piece of a sentence, and from the base model, which is given answers that stand in the passage
//! and writes the questions. A question stays if it can be understood alone, does not hold its
//! answer, is answered by the model when it reads the passage, and is not when it does not.
//!
//! Invariant: nothing here opens a file, a database or a socket. Passages, the model and the sink
//! are handed in.

mod answers;
mod asking;
mod checking;
mod checks;
mod claims;
mod corpus;
pub mod filter;
mod grammar;
pub mod journal;
mod mention;
mod openings;
mod passage_work;
mod prompts;
pub mod recipe;
pub mod row;
mod rules;
mod run;
mod sentence;
mod shape;
pub mod split;
mod swap;
pub mod words;
pub mod work;
mod writing;

pub use filter::{Dropped, Tally};
pub use journal::Journal;
pub use recipe::{Recipe, WorkKey};
pub use row::{Checks, Part, Provenance, RowKind, RowSource, StudyRow, Wording, Writer};
pub use run::Study;
pub use split::{DocumentParts, share_of};
pub use work::{FEWEST_FACTS, Progress, Sink, Stage, StudyReport, WorkItem};
