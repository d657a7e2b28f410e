//! BM25 over stemmed words, with tantivy.
//!
//! Words are lower-cased, stripped of accents and reduced to English stems: measured on
//! SQuAD and PubMedQA, stemming beats the plain tokenizer on both. A question is never
//! parsed as a query language: its words are looked up, whatever signs stand between them.

use quartet_types::{ChunkId, DocumentId, Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use tantivy::collector::{DocSetCollector, TopDocs};
use tantivy::directory::MmapDirectory;
use tantivy::query::{BooleanQuery, BoostQuery, Occur, Query, TermQuery};
use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, NumericOptions, Schema, TextFieldIndexing, TextOptions,
};
use tantivy::tokenizer::{
    AsciiFoldingFilter, Language, LowerCaser, RemoveLongFilter, SimpleTokenizer, Stemmer,
    TextAnalyzer,
};
use tantivy::{DocAddress, Index, IndexReader, IndexWriter, ReloadPolicy, TantivyDocument, Term};

/// Bumped whenever the schema or the analysis changes; an index of another version is rebuilt.
const VERSION: u32 = 1;
/// A word in the title or heading counts for this much of one in the text.
const HEADING_WEIGHT: f32 = 0.5;
/// Distinct words of a question that are looked up: the rarest ones of a longer question.
const MOST_TERMS: usize = 256;
const WRITER_BYTES: usize = 64 << 20;

/// What one chunk contributes.
pub(crate) struct LexicalChunk {
    pub(crate) chunk: ChunkId,
    pub(crate) document: DocumentId,
    pub(crate) heading: String,
    pub(crate) text: String,
}

/// Which documents are in the index; stored with the commit, so it cannot disagree with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Contents {
    version: u32,
    documents: BTreeSet<i64>,
}

/// The words of a question as the index knows them, with their weights.
#[derive(Debug, Clone, Default)]
pub(crate) struct AnalysedQuestion {
    pub(crate) terms: Vec<String>,
    pub(crate) idf: Vec<f32>,
}

pub(crate) struct LexicalIndex {
    index: Index,
    reader: IndexReader,
    fields: Fields,
}

#[derive(Clone, Copy)]
struct Fields {
    chunk: Field,
    document: Field,
    heading: Field,
    text: Field,
}

impl LexicalIndex {
    /// Opens the index in `folder` to search it. `None` if there is none, or it is damaged or
    /// of another version; it is left as it is, since another process may be at work on it.
    pub(crate) fn open(folder: &Path) -> Option<Self> {
        Self::try_open(folder, false).ok().filter(|opened| opened.contents().is_some())
    }

    /// Opens the index in `folder` to change it, making it if necessary; one that is damaged or
    /// of another version is emptied. The caller holds the lock.
    pub(crate) fn open_or_create(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|error| Error::from_io(&error, folder))?;
        match Self::try_open(folder, true) {
            Ok(opened) if opened.contents().is_some() => Ok(opened),
            _ => {
                // Derived data: throwing it away loses nothing.
                let _ = std::fs::remove_dir_all(folder);
                std::fs::create_dir_all(folder).map_err(|error| Error::from_io(&error, folder))?;
                Self::try_open(folder, true)
            }
        }
    }

    fn try_open(folder: &Path, create: bool) -> Result<Self> {
        let failed = |error: tantivy::TantivyError| failed(&error).about_path(folder);
        let mut schema = Schema::builder();
        let words = TextOptions::default().set_indexing_options(
            TextFieldIndexing::default()
                .set_tokenizer("words")
                .set_index_option(IndexRecordOption::WithFreqs),
        );
        let fields = Fields {
            chunk: schema.add_u64_field("chunk", NumericOptions::default() | FAST),
            document: schema.add_u64_field("document", NumericOptions::default() | INDEXED),
            heading: schema.add_text_field("heading", words.clone()),
            text: schema.add_text_field("text", words),
        };
        let directory = MmapDirectory::open(folder).map_err(|error| failed(error.into()))?;
        let schema = schema.build();
        let index = if create {
            Index::open_or_create(directory, schema.clone())
        } else {
            Index::open(directory)
        };
        let index = index.map_err(failed)?;
        if index.schema() != schema {
            return Err(Error::new(ErrorCode::Corrupt, "the word index has another schema")
                .about_path(folder));
        }
        index.tokenizers().register("words", analyser());
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .try_into()
            .map_err(failed)?;
        Ok(Self { index, reader, fields })
    }

    /// Documents in the index; `None` if it is of another version.
    fn contents(&self) -> Option<Contents> {
        let payload = self.index.load_metas().ok()?.payload;
        match payload {
            None => Some(Contents { version: VERSION, ..Contents::default() }),
            Some(payload) => serde_json::from_str::<Contents>(&payload)
                .ok()
                .filter(|contents| contents.version == VERSION),
        }
    }

    pub(crate) fn documents(&self) -> BTreeSet<i64> {
        self.contents().unwrap_or_default().documents
    }

    /// Takes documents out and puts others in, in one commit.
    pub(crate) fn change(
        &self,
        removed: &[i64],
        added: &[i64],
        chunks: impl Iterator<Item = Result<LexicalChunk>>,
    ) -> Result<()> {
        let failed = |error: tantivy::TantivyError| failed(&error);
        let mut writer: IndexWriter<TantivyDocument> =
            self.index.writer_with_num_threads(1, WRITER_BYTES).map_err(failed)?;
        let mut documents = self.documents();
        for &document in removed {
            writer.delete_term(Term::from_field_u64(self.fields.document, key(document)));
            documents.remove(&document);
        }
        for chunk in chunks {
            let chunk = chunk?;
            let mut row = TantivyDocument::new();
            row.add_u64(self.fields.chunk, key(chunk.chunk.0));
            row.add_u64(self.fields.document, key(chunk.document.0));
            row.add_text(self.fields.heading, chunk.heading);
            row.add_text(self.fields.text, chunk.text);
            writer.add_document(row).map_err(failed)?;
        }
        documents.extend(added);
        let contents = Contents { version: VERSION, documents };
        let payload =
            serde_json::to_string(&contents).map_err(|error| Error::internal(error.to_string()))?;
        let mut commit = writer.prepare_commit().map_err(failed)?;
        commit.set_payload(&payload);
        commit.commit().map_err(failed)?;
        if !removed.is_empty() {
            // Deleted text leaves the disk with the segments it was in.
            let segments = self.index.searchable_segment_ids().map_err(failed)?;
            if !segments.is_empty() {
                writer.merge(&segments).wait().map_err(failed)?;
            }
            writer.garbage_collect_files().wait().map_err(failed)?;
        }
        writer.wait_merging_threads().map_err(failed)?;
        self.reader.reload().map_err(failed)
    }

    /// The question's distinct words and their inverse document frequency,
    /// `ln(1 + (N - n + 0.5) / (n + 0.5))`, rarest first beyond [`MOST_TERMS`].
    pub(crate) fn analyse(&self, question: &str) -> Result<AnalysedQuestion> {
        let searcher = self.reader.searcher();
        let mut analyser = analyser();
        let mut stream = analyser.token_stream(question);
        let mut seen = HashSet::new();
        let mut words = Vec::new();
        #[expect(clippy::cast_precision_loss, reason = "a statistic")]
        let all = searcher.num_docs() as f32;
        while stream.advance() {
            let word = stream.token().text.clone();
            if seen.insert(word.clone()) {
                let term = Term::from_field_text(self.fields.text, &word);
                let count = searcher.doc_freq(&term).map_err(|error| failed(&error))?;
                #[expect(clippy::cast_precision_loss, reason = "a statistic")]
                let count = (count as f32).min(all);
                words.push((word, (1.0 + (all - count + 0.5) / (count + 0.5)).ln()));
            }
        }
        if words.len() > MOST_TERMS {
            words.sort_by(|left, right| right.1.total_cmp(&left.1));
            words.truncate(MOST_TERMS);
        }
        let (terms, idf) = words.into_iter().unzip();
        Ok(AnalysedQuestion { terms, idf })
    }

    /// Whether a chunk is found by its own words. Text without any that are looked up (signs
    /// only, or one endless word) counts as found.
    pub(crate) fn finds(&self, document: DocumentId, chunk: ChunkId, text: &str) -> Result<bool> {
        let words = self.analyse(text)?.terms;
        if words.is_empty() {
            return Ok(true);
        }
        let failed = |error: tantivy::TantivyError| failed(&error);
        let lookup =
            |term| -> Box<dyn Query> { Box::new(TermQuery::new(term, IndexRecordOption::Basic)) };
        let words = words
            .iter()
            .map(|word| (Occur::Should, lookup(Term::from_field_text(self.fields.text, word))));
        let query = BooleanQuery::new(vec![
            (Occur::Must, lookup(Term::from_field_u64(self.fields.document, key(document.0)))),
            (Occur::Must, Box::new(BooleanQuery::new(words.collect()))),
        ]);
        let searcher = self.reader.searcher();
        for address in searcher.search(&query, &DocSetCollector).map_err(failed)? {
            let column = searcher
                .segment_reader(address.segment_ord)
                .fast_fields()
                .u64("chunk")
                .map_err(failed)?;
            if column.first(address.doc_id) == Some(key(chunk.0)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The `limit` best chunks by BM25, best first; equal scores by chunk id.
    pub(crate) fn search(
        &self,
        question: &AnalysedQuestion,
        limit: usize,
    ) -> Result<Vec<(ChunkId, f32)>> {
        if question.terms.is_empty() || limit == 0 {
            return Ok(Vec::new());
        }
        let failed = |error: tantivy::TantivyError| failed(&error);
        let mut clauses: Vec<(Occur, Box<dyn Query>)> =
            Vec::with_capacity(question.terms.len() * 2);
        for word in &question.terms {
            let lookup = |field| {
                TermQuery::new(Term::from_field_text(field, word), IndexRecordOption::WithFreqs)
            };
            clauses.push((Occur::Should, Box::new(lookup(self.fields.text))));
            let heading = BoostQuery::new(Box::new(lookup(self.fields.heading)), HEADING_WEIGHT);
            clauses.push((Occur::Should, Box::new(heading)));
        }
        let searcher = self.reader.searcher();
        let found: Vec<(f32, DocAddress)> = searcher
            .search(&BooleanQuery::new(clauses), &TopDocs::with_limit(limit).order_by_score())
            .map_err(failed)?;
        let mut hits = Vec::with_capacity(found.len());
        for (score, address) in found {
            let column = searcher
                .segment_reader(address.segment_ord)
                .fast_fields()
                .u64("chunk")
                .map_err(failed)?;
            if let Some(chunk) = column.first(address.doc_id) {
                hits.push((ChunkId(i64::try_from(chunk).unwrap_or_default()), score));
            }
        }
        hits.sort_by(|left, right| right.1.total_cmp(&left.1).then(left.0.cmp(&right.0)));
        Ok(hits)
    }
}

fn analyser() -> TextAnalyzer {
    TextAnalyzer::builder(SimpleTokenizer::default())
        .filter(RemoveLongFilter::limit(60))
        .filter(LowerCaser)
        .filter(AsciiFoldingFilter)
        .filter(Stemmer::new(Language::English))
        .build()
}

/// SQLite counts rows from 1, so the cast loses nothing.
fn key(id: i64) -> u64 {
    u64::try_from(id).unwrap_or_default()
}

fn failed(error: &tantivy::TantivyError) -> Error {
    Error::new(ErrorCode::Corrupt, format!("the word index: {error}"))
        .hint("It is rebuilt at the next import; your documents are safe.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(id: i64, document: i64, text: &str) -> LexicalChunk {
        LexicalChunk {
            chunk: ChunkId(id),
            document: DocumentId(document),
            heading: String::new(),
            text: text.to_owned(),
        }
    }

    fn found(index: &LexicalIndex, question: &str) -> Vec<i64> {
        let question = index.analyse(question).unwrap();
        index.search(&question, 10).unwrap().into_iter().map(|(chunk, _)| chunk.0).collect()
    }

    #[test]
    fn words_are_found_by_stem_whatever_their_case_and_accents() {
        let folder = tempfile::tempdir().unwrap();
        let index = LexicalIndex::open_or_create(folder.path()).unwrap();
        let chunks = [
            chunk(1, 7, "Running ferries to the CAFÉ"),
            chunk(2, 7, "An owl"),
            chunk(3, 8, "--- *** ---"),
        ];
        index.change(&[], &[7, 8], chunks.into_iter().map(Ok)).unwrap();
        for question in ["run", "ferry?", "the (cafe", "Café: \"ferries\" AND NOT"] {
            assert_eq!(found(&index, question), [1], "{question}");
        }
        assert!(found(&index, "?!").is_empty());
        let finds = |document, chunk, text| {
            index.finds(DocumentId(document), ChunkId(chunk), text).unwrap()
        };
        assert!(finds(7, 1, "Running ferries") && finds(7, 2, "An owl"));
        assert!(finds(8, 3, "--- *** ---"), "nothing to look up");
        assert!(!finds(7, 2, "ferries") && !finds(8, 1, "ferries") && !finds(7, 9, "owl"));
        index.change(&[7], &[], std::iter::empty()).unwrap();
        assert!(found(&index, "owl").is_empty() && index.documents() == BTreeSet::from([8]));
    }

    #[test]
    fn opening_to_search_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("words");
        assert!(LexicalIndex::open(&path).is_none() && !path.exists());
        LexicalIndex::open_or_create(&path)
            .unwrap()
            .change(&[], &[1], [Ok(chunk(1, 1, "owl"))].into_iter())
            .unwrap();
        assert_eq!(LexicalIndex::open(&path).unwrap().documents(), BTreeSet::from([1]));
        // Damaged, or in the middle of another process's work: not for a reader to decide.
        let meta = path.join("meta.json");
        std::fs::write(&meta, "{").unwrap();
        assert!(LexicalIndex::open(&path).is_none());
        assert_eq!(std::fs::read_to_string(&meta).unwrap(), "{");
        assert_eq!(LexicalIndex::open_or_create(&path).unwrap().documents(), BTreeSet::new());
    }
}
