//! The work itself: passage by passage, each finished piece handed to the sink.

use crate::corpus::Corpus;
use crate::filter::Dropped;
use crate::journal::Journal;
use crate::passage_work::PassageWork;
use crate::recipe::{Recipe, WorkKey};
use crate::row::RowKind;
use crate::split::DocumentParts;
use crate::words::key;
use crate::work::{Progress, Sink, Stage, StudyReport, WorkItem};
use quartet_methods::Reader;
use quartet_types::{Error, ErrorCode, Passage, Result};
use std::collections::{BTreeSet, HashSet};
use tokio_util::sync::CancellationToken;

/// What material is made of.
#[derive(Clone, Copy)]
pub struct Study<'a> {
    /// The collection, in the order of its documents. All of it: whether a question is
    /// unanswerable or a claim false is decided by what these passages say.
    pub passages: &'a [Passage],
    /// The model; without one, only rules work.
    pub reader: Option<&'a dyn Reader>,
    /// How.
    pub recipe: &'a Recipe,
}

impl Study<'_> {
    /// The keys of all pieces of work, in the order of the passages. Rows with another key are
    /// from another recipe, model or state of the documents.
    #[must_use]
    pub fn keys(&self) -> Vec<WorkKey> {
        let model = self.reader.map_or_else(String::new, |reader| {
            let model = reader.model();
            format!("{} {} {}", model.model, model.weight_bytes, model.engine_build)
        });
        self.passages.iter().map(|passage| self.recipe.key(passage, &model)).collect()
    }

    /// Makes what is missing. `finished` is what earlier runs handed to the sink.
    ///
    /// The same passages, recipe, model and `finished` give the same rows.
    ///
    /// # Errors
    /// `InvalidInput` for a collection without text; `Cancelled`; whatever the model or the sink
    /// fails with. What the sink has accepted by then is kept.
    pub async fn make(
        &self,
        finished: &Journal,
        sink: &mut dyn Sink,
        on_progress: &mut (dyn FnMut(Progress) + Send),
        cancel: &CancellationToken,
    ) -> Result<StudyReport> {
        if self.passages.iter().all(|passage| passage.text.trim().is_empty()) {
            return Err(Error::new(ErrorCode::InvalidInput, "there is no text to study")
                .hint("Import documents with text first; about 200 facts are worth training on."));
        }
        let keys = self.keys();
        let current: HashSet<&WorkKey> = keys.iter().collect();
        let old: Vec<&WorkItem> =
            finished.items.iter().filter(|item| current.contains(&item.key)).collect();
        let documents: BTreeSet<_> = self.passages.iter().map(|passage| passage.document).collect();
        let known = DocumentParts::known(old.iter().flat_map(|item| &item.rows));
        let parts = DocumentParts::deal(&documents, self.recipe.seed, &known);
        let done: HashSet<&WorkKey> = old.iter().map(|item| &item.key).collect();
        let mut asked: HashSet<String> = old
            .iter()
            .flat_map(|item| &item.rows)
            .map(|row| question_key(row.kind, &row.question))
            .collect();

        let mut report =
            StudyReport { passages: count(self.passages.len()), ..StudyReport::default() };
        for item in &old {
            report.note(item);
        }
        report.resumed = count(old.len());
        let mut ready = report.resumed;
        let corpus = Corpus::gather(self.passages, cancel)?;
        for (passage, key) in self.passages.iter().zip(&keys) {
            if done.contains(key) {
                continue;
            }
            if cancel.is_cancelled() {
                return Err(Error::cancelled());
            }
            let total = report.passages;
            let mut tell = |stage: Stage, done: u64| {
                on_progress(Progress { stage, done, total, subject: passage.title.clone() });
            };
            let work = PassageWork {
                passage,
                key,
                corpus: &corpus,
                part: parts.of(passage.document),
                reader: self.reader,
                recipe: self.recipe,
                cancel,
            };
            let mut item = work.make(&mut |stage| tell(stage, ready)).await?;
            drop_duplicates(&mut item, &mut asked);
            sink.keep(&item).await?;
            report.note(&item);
            ready += 1;
            tell(Stage::Finished, ready);
        }
        Ok(report)
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn question_key(kind: RowKind, question: &str) -> String {
    format!("{kind:?} {}", key(question))
}

/// A question that another passage gave already is dropped, with its count.
fn drop_duplicates(item: &mut WorkItem, asked: &mut HashSet<String>) {
    let WorkItem { rows, tally, .. } = item;
    rows.retain(|row| {
        let fresh = asked.insert(question_key(row.kind, &row.question));
        if fresh {
            tally.kept(row.source);
            for wording in &row.paraphrases {
                *tally.paraphrases.entry(wording.by).or_default() += 1;
            }
        } else {
            tally.dropped(row.source, Dropped::Duplicate);
        }
        fresh
    });
}
