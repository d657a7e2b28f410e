//! One squeezed document for every study question: what the imagine model learns to write
//! (IAG card, section 2.1).

use crate::Quartet;
use crate::models::write_atomically;
use crate::training::pace::{Detail, Pace};
use quartet_gguf::sha256_of_bytes;
use quartet_library::JobLease;
use quartet_methods::expert::Wordings;
use quartet_methods::iag::compress::{self, Squeezer, holds};
use quartet_methods::iag::template;
use quartet_methods::{Reader, Searcher};
use quartet_types::{
    ChunkId, CollectionId, CompressionReport, Error, IagOptions, Passage, ProgressUnit, Result,
    Sha256,
};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The part of the work that is told meanwhile.
pub(in crate::training) const SQUEEZING: &str = "squeezing passages";
/// Chunks after the first that may hold an answer: those that are studied as one passage.
const CHUNKS_OF_A_PASSAGE: usize = 8;

/// The squeezed document of a question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Context {
    /// Digest of everything it depends on besides the state of the collection.
    key: Sha256,
    /// That state.
    fingerprint: String,
    /// The wording that was searched for.
    pub(super) question: String,
    /// Words of the passages.
    pub(super) document: String,
    /// Its tokens, in those of the scorer.
    pub(super) tokens: u32,
    /// Tokens of the passages.
    pub(super) tokens_before: u32,
    /// Whether the answer had been lost and was put back.
    pub(super) put_back: bool,
    /// Whether the answer is in it.
    pub(super) with_answer: bool,
    /// The passages, the one the question was made from first: what a teacher reads.
    pub(super) passages: Vec<String>,
}

/// Where and how documents are made.
pub(super) struct Squeezing<'a> {
    pub(super) quartet: &'a Quartet,
    pub(super) collection: CollectionId,
    pub(super) options: &'a IagOptions,
    /// The imagine model: lengths are in its tokens.
    pub(super) scorer: &'a dyn Reader,
    /// Finished documents, one a line: a training after this one takes them as they are.
    pub(super) file: &'a Path,
    /// State of the collection.
    pub(super) fingerprint: &'a str,
    pub(super) lease: &'a JobLease,
}

impl Squeezing<'_> {
    /// A document for each question, in their order. What an earlier process finished is not
    /// made again. Between two questions the job can be stopped.
    ///
    /// # Errors
    /// `Cancelled`; those of the search, the scorer and the folder.
    pub(super) async fn contexts(
        &self,
        questions: &[Wordings],
        pace: &Pace<'_>,
    ) -> Result<Vec<Context>> {
        let stop = self.lease.stop();
        let path = self.file;
        let mut finished = read(path)?;
        let count = finished.len();
        finished.retain(|_, one| one.fingerprint == self.fingerprint);
        if finished.len() < count {
            // Their text may be of documents that are gone.
            write_atomically(path, &lines(finished.values())?)?;
        }
        let keys: Vec<Sha256> = questions.iter().map(|one| self.key(one)).collect();
        let total = keys.len() as u64;
        let mut done = keys.iter().filter(|key| finished.contains_key(*key)).count() as u64;
        pace.begin(SQUEEZING, done);
        if done < total {
            let passages = self.quartet.library.all_passages(self.collection).await?;
            let source = Source::new(&passages);
            let searcher = self.quartet.searcher_of(self.collection, stop).await?;
            let mut squeezer = Squeezer::new(self.scorer);
            for (wordings, key) in questions.iter().zip(&keys) {
                if finished.contains_key(key) {
                    continue;
                }
                if stop.is_cancelled() {
                    return Err(Error::cancelled());
                }
                let question = wording(wordings);
                let most = self.options.passages.max(1) as usize;
                let (hits, _) = searcher.search(question, most, stop).await?;
                let found: Vec<&Passage> = hits.iter().map(|hit| &hit.passage).collect();
                let texts = source.with(wordings, &found, most);
                let answer = std::slice::from_ref(&wordings.answer);
                let longest = self.options.document_tokens as usize;
                let squeezed = squeezer.squeeze(question, &texts, longest, answer, stop).await?;
                let context = Context {
                    key: key.clone(),
                    fingerprint: self.fingerprint.to_owned(),
                    question: question.to_owned(),
                    with_answer: holds(&squeezed.text, &wordings.answer),
                    document: squeezed.text,
                    tokens: u32::try_from(squeezed.tokens).unwrap_or(u32::MAX),
                    tokens_before: u32::try_from(squeezed.tokens_before).unwrap_or(u32::MAX),
                    put_back: squeezed.put_back,
                    passages: texts,
                };
                append(path, &context).await?;
                finished.insert(key.clone(), context);
                done += 1;
                pace.tell(done, total, ProgressUnit::Questions, Detail::Nothing).await;
            }
        }
        let found = keys.iter().map(|key| finished.get(key).cloned());
        found.collect::<Option<_>>().ok_or_else(|| Error::internal("a document was not made"))
    }

    fn key(&self, wordings: &Wordings) -> Sha256 {
        let parts = (
            (template::VERSION, compress::VERSION),
            &self.scorer.model().model.0,
            (self.options.document_tokens, self.options.passages),
            (wordings.chunk.0, wording(wordings), &wordings.answer),
        );
        sha256_of_bytes(format!("{parts:?}").as_bytes())
    }
}

/// How well squeezing went.
pub(super) fn report(contexts: &[Context]) -> CompressionReport {
    let count = contexts.len().max(1) as f64;
    let mean = |of: fn(&Context) -> f64| contexts.iter().map(of).sum::<f64>() / count;
    CompressionReport {
        documents: u32::try_from(contexts.len()).unwrap_or(u32::MAX),
        tokens_before: mean(|one| f64::from(one.tokens_before)),
        tokens_after: mean(|one| f64::from(one.tokens)),
        with_answer: mean(|one| f64::from(u8::from(one.with_answer))),
        put_back: mean(|one| f64::from(u8::from(one.put_back))),
    }
}

/// The wording that is searched for: as a person might ask, if there is one.
fn wording(wordings: &Wordings) -> &str {
    let mut all = wordings.natural.iter().chain(&wordings.trained).chain(&wordings.listened);
    all.next().map_or(wordings.answer.as_str(), String::as_str)
}

/// Finds the passage a question was made from.
struct Source<'a> {
    passages: &'a [Passage],
    place_of: HashMap<ChunkId, usize>,
}

impl<'a> Source<'a> {
    fn new(passages: &'a [Passage]) -> Self {
        let place_of = passages.iter().enumerate().map(|(at, one)| (one.chunk, at)).collect();
        Self { passages, place_of }
    }

    /// Texts to squeeze: the passage that holds the answer, then the best that were found.
    fn with(&self, wordings: &Wordings, found: &[&Passage], most: usize) -> Vec<String> {
        let own = self
            .place_of
            .get(&wordings.chunk)
            .map_or(&[][..], |first| self.holders(*first, &wordings.answer));
        let source: Vec<&str> = own.iter().map(|one| one.text.as_str()).collect();
        let source = Some(source.join(" ")).filter(|text| !text.is_empty());
        let others = found.iter().filter(|hit| own.iter().all(|one| one.chunk != hit.chunk));
        source.into_iter().chain(others.map(|hit| hit.text.clone())).take(most).collect()
    }

    /// The chunk with the answer, or the two it goes over: a passage that is studied is several
    /// that are searched, and goes by the first.
    fn holders(&self, first: usize, answer: &str) -> &'a [Passage] {
        let rest = &self.passages[first..];
        let start = &rest[0];
        let belongs = |one: &&Passage| {
            one.document == start.document
                && one.span.page == start.span.page
                && one.heading == start.heading
        };
        let count = rest.iter().take(CHUNKS_OF_A_PASSAGE).take_while(belongs).count();
        let near = &rest[..count];
        let has = |some: &&[Passage]| {
            let texts: Vec<&str> = some.iter().map(|one| one.text.as_str()).collect();
            holds(&texts.join(" "), answer)
        };
        near.windows(1).find(has).or_else(|| near.windows(2).find(has)).unwrap_or(&near[..1])
    }
}

/// Documents that were finished, by key. A last line that was not written to its end is cut off.
fn read(path: &Path) -> Result<HashMap<Sha256, Context>> {
    let failed = |error: &std::io::Error| Error::from_io(error, path);
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(HashMap::new()),
        read => read.map_err(|error| failed(&error))?,
    };
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    if whole < bytes.len() {
        let file = OpenOptions::new().write(true).open(path).map_err(|error| failed(&error))?;
        file.set_len(whole as u64).map_err(|error| failed(&error))?;
    }
    // What cannot be read is made again.
    let lines = bytes[..whole].split(|byte| *byte == b'\n');
    let contexts = lines.filter_map(|line| serde_json::from_slice::<Context>(line).ok());
    Ok(contexts.map(|one| (one.key.clone(), one)).collect())
}

/// Documents as they stand in the file.
fn lines<'a>(contexts: impl IntoIterator<Item = &'a Context>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for context in contexts {
        serde_json::to_writer(&mut bytes, context)
            .map_err(|error| Error::internal(error.to_string()))?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

/// Adds a document to the file, synchronised: what is told as done is on the disk.
async fn append(path: &Path, context: &Context) -> Result<()> {
    let line = lines([context])?;
    let file_path: PathBuf = path.to_owned();
    let write = move || {
        let mut file = OpenOptions::new().create(true).append(true).open(&file_path)?;
        file.write_all(&line)?;
        file.sync_data()
    };
    tokio::task::spawn_blocking(write)
        .await
        .map_err(|error| Error::internal(error.to_string()))?
        .map_err(|error| Error::from_io(&error, path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use quartet_types::{DocumentId, PageNumber, PageSpan};

    fn passage(chunk: i64, page: u32, text: &str) -> Passage {
        Passage {
            chunk: ChunkId(chunk),
            document: DocumentId(1),
            title: "Pumps".to_owned(),
            path: "pumps.pdf".to_owned(),
            span: PageSpan { page: PageNumber(page), start: 0, end: 9 },
            heading: None,
            text: text.to_owned(),
        }
    }

    fn wordings(chunk: i64, answer: &str) -> Wordings {
        Wordings {
            chunk: ChunkId(chunk),
            trained: vec!["What feeds it?".to_owned()],
            natural: Vec::new(),
            listened: Vec::new(),
            held_out: Vec::new(),
            answer: answer.to_owned(),
        }
    }

    fn context(question: &str) -> Context {
        Context {
            key: sha256_of_bytes(question.as_bytes()),
            fingerprint: "now".to_owned(),
            question: question.to_owned(),
            document: "an \u{201c}inlet\u{201d}".to_owned(),
            tokens: 3,
            tokens_before: 40,
            put_back: question == "b",
            with_answer: true,
            passages: vec!["An inlet.".to_owned()],
        }
    }

    #[test]
    fn the_passage_with_the_answer_comes_first_and_is_not_taken_twice() {
        let all = [
            passage(1, 1, "Pump one."),
            passage(2, 1, "It has an"),
            passage(3, 1, "inlet of brass."),
            passage(4, 2, "An inlet elsewhere."),
        ];
        let source = Source::new(&all);
        let found = [&all[3], &all[1], &all[2]];
        let texts = |answer: &str, most| source.with(&wordings(1, answer), &found, most);
        assert_eq!(texts("brass", 2), ["inlet of brass.", "An inlet elsewhere."]);
        assert_eq!(texts("an inlet", 5), ["It has an inlet of brass.", "An inlet elsewhere."]);
        assert_eq!(texts("zinc", 5).len(), 4, "where nothing holds it, the first chunk is it");
        assert_eq!(texts("zinc", 5)[0], "Pump one.");
        assert_eq!(source.with(&wordings(9, "zinc"), &found, 5).len(), 3, "a passage that is gone");
    }

    #[tokio::test]
    async fn a_half_written_line_is_dropped_and_the_others_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("documents.jsonl");
        assert!(read(&path).unwrap().is_empty());
        append(&path, &context("a")).await.unwrap();
        append(&path, &context("b")).await.unwrap();
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(br#"{"key":"12"#).unwrap();
        drop(file);
        assert_eq!(read(&path).unwrap().len(), 2);
        append(&path, &context("c")).await.unwrap();
        let all = read(&path).unwrap();
        assert_eq!(all.len(), 3);
        assert_eq!(all[&context("c").key], context("c"));
    }

    #[test]
    fn the_report_is_about_all_documents() {
        assert_eq!(report(&[]), CompressionReport::default());
        let found = report(&[context("a"), context("b")]);
        assert_eq!((found.documents, found.tokens_after, found.put_back), (2, 3.0, 0.5));
    }
}
