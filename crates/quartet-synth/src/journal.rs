//! The file of study material: JSON lines. The rows of a piece of work stand together, and a
//! line that says `done` ends them; what has no such line was interrupted and is made again.

use crate::filter::Tally;
use crate::recipe::WorkKey;
use crate::row::{ROW_FORMAT, StudyRow};
use crate::work::WorkItem;
use quartet_types::{ChunkId, DocumentId, Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};

#[derive(Serialize, Deserialize)]
struct Done {
    done: String,
    chunk: ChunkId,
    rows: usize,
    tally: Tally,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Done(Done),
    Row(Box<StudyRow>),
}

/// The lines of a finished piece of work, each with its line break.
///
/// # Errors
/// `Internal` if a row cannot be written as JSON.
pub fn lines(item: &WorkItem) -> Result<String> {
    let failed = |error: serde_json::Error| Error::internal(error.to_string());
    let mut text = String::new();
    for row in &item.rows {
        text.push_str(&serde_json::to_string(row).map_err(failed)?);
        text.push('\n');
    }
    let done = Done {
        done: item.key.0.clone(),
        chunk: item.chunk,
        rows: item.rows.len(),
        tally: item.tally.clone(),
    };
    text.push_str(&serde_json::to_string(&done).map_err(failed)?);
    text.push('\n');
    Ok(text)
}

/// What a file of study material holds.
#[derive(Debug, Clone, Default)]
pub struct Journal {
    /// Finished pieces of work, in the order of the file; of a key that occurs twice the last.
    pub items: Vec<WorkItem>,
    /// Lines that could not be used: cut by a crash, of another format, or without an end.
    pub unusable: usize,
}

impl Journal {
    /// The text of a file without anything that was made of a document.
    ///
    /// # Errors
    /// As [`lines`].
    pub fn without(&self, document: DocumentId) -> Result<String> {
        let is_of =
            |item: &&WorkItem| item.rows.iter().all(|row| row.provenance.document != document);
        self.items.iter().filter(is_of).map(lines).collect()
    }

    /// Reads a file's text. Never fails: what cannot be used is counted and made again.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut open: HashMap<String, Vec<StudyRow>> = HashMap::new();
        let mut journal = Self::default();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            match serde_json::from_str(line) {
                Ok(Line::Row(row)) if row.format == ROW_FORMAT => {
                    open.entry(row.item.clone()).or_default().push(*row);
                }
                Ok(Line::Done(done)) => {
                    let mut rows = open.remove(&done.done).unwrap_or_default();
                    // An interrupted try may stand before the whole one.
                    let extra = rows.len().saturating_sub(done.rows);
                    rows.drain(..extra);
                    journal.unusable += extra;
                    if rows.len() < done.rows {
                        journal.unusable += rows.len() + 1;
                        continue;
                    }
                    let key = WorkKey(done.done);
                    journal.items.retain(|item| item.key != key);
                    journal.items.push(WorkItem {
                        key,
                        chunk: done.chunk,
                        rows,
                        tally: done.tally,
                    });
                }
                _ => journal.unusable += 1,
            }
        }
        journal.unusable += open.values().map(Vec::len).sum::<usize>();
        journal
    }

    /// Keys of what is finished.
    #[must_use]
    pub fn keys(&self) -> HashSet<WorkKey> {
        self.items.iter().map(|item| item.key.clone()).collect()
    }

    /// All rows.
    pub fn rows(&self) -> impl Iterator<Item = &StudyRow> {
        self.items.iter().flat_map(|item| &item.rows)
    }
}
