//! Pause, cancel, and go on to the same end.

mod support;

use async_trait::async_trait;
use quartet_library::{Embedder, ImportReport, Importer, Library, SearchMode};
use quartet_types::{DocumentStatus, ErrorCode, JobId, JobState, Result};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use support::{HashEmbedder, Place, TextReader, find, prose};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Takes a minute for a batch, but stops at once when told to, as an engine does.
struct Patient;

#[async_trait]
impl Embedder for Patient {
    fn key(&self) -> String {
        HashEmbedder::default().key()
    }
    fn width(&self) -> usize {
        support::WIDTH
    }
    fn max_tokens(&self) -> u32 {
        512
    }
    async fn count_tokens(&self, texts: &[String]) -> Result<Vec<u32>> {
        HashEmbedder::default().count_tokens(texts).await
    }
    async fn embed(&self, texts: &[String], cancel: &CancellationToken) -> Result<Vec<f32>> {
        // The first documents are quick, so that there is something to keep.
        if texts.iter().any(|text| text.contains("Long")) {
            tokio::select! {
                () = cancel.cancelled() => return Err(quartet_types::Error::cancelled()),
                () = tokio::time::sleep(Duration::from_secs(60)) => {}
            }
        }
        HashEmbedder::default().embed(texts, cancel).await
    }
}

fn papers() -> Place {
    let place = Place::new();
    for seed in 0..4 {
        place.write(&format!("short-{seed}.pdf"), &prose(seed, 10));
        place.write(
            &format!("long-{seed}.pdf"),
            &format!("Long text {seed}\n\n{}", prose(seed + 10, 60)),
        );
    }
    place
}

fn start(
    library: &Arc<Library>,
    papers: PathBuf,
    cancel: &CancellationToken,
) -> JoinHandle<Result<ImportReport>> {
    let (library, cancel) = (Arc::clone(library), cancel.clone());
    tokio::spawn(async move {
        let importer = Importer {
            library: &library,
            reader: &TextReader::default(),
            embedder: &Patient,
            on_progress: &|_| {},
        };
        importer.import("default", &[papers], &cancel).await
    })
}

/// Waits until the import is in the middle of a batch of vectors.
async fn under_way(library: &Library) -> JobId {
    loop {
        if let Some(job) = library.jobs().await.unwrap().first()
            && job.progress.stage == "embedding"
            && job.progress.subject.as_ref().is_some_and(|subject| subject.contains("long"))
        {
            assert_eq!(job.state, JobState::Running);
            assert!(job.progress.total.is_some());
            return job.id;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn fingerprint(library: &Library) -> String {
    library.fingerprint(library.collection("default").await.unwrap().id).await.unwrap()
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Pause,
    Cancel,
    Token,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_import_keeps_what_it_has_and_goes_on() {
    let place = papers();
    let whole = place.open().await;
    let expected_report = place.import(&whole).await;
    let expected = fingerprint(&whole).await;
    for way in [Way::Pause, Way::Cancel, Way::Token] {
        let home = tempfile::tempdir().unwrap();
        let library = Arc::new(Library::open(home.path()).await.unwrap());
        let token = CancellationToken::new();
        let running = start(&library, place.papers.clone(), &token);
        let job = under_way(&library).await;
        // Nothing is indexed before the first import ends; that is no error.
        assert_eq!(find(&library, "harbour ledger").await, []);
        match way {
            Way::Pause => library.pause_job(job).await.unwrap(),
            Way::Cancel => library.cancel_job(job).await.unwrap(),
            Way::Token => token.cancel(),
        }
        // A batch takes a minute: who ends before has stopped within it.
        let error = tokio::time::timeout(Duration::from_secs(20), running)
            .await
            .unwrap()
            .unwrap()
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::Cancelled, "{way:?}");
        let state = library.job(job).await.unwrap().state;
        assert_eq!(
            state,
            if way == Way::Cancel { JobState::Cancelled } else { JobState::Paused },
            "{way:?}"
        );
        let documents = library.documents(None).await.unwrap();
        assert_eq!(documents.len(), 8, "every file is listed");
        assert_eq!(
            documents.iter().filter(|document| document.status == DocumentStatus::Ready).count(),
            4
        );
        assert!(!find(&library, "harbour ledger coins").await.is_empty(), "what is ready is found");

        let (reader, embedder) = (TextReader::default(), HashEmbedder::default());
        let importer = Importer {
            library: &library,
            reader: &reader,
            embedder: &embedder,
            on_progress: &|_| {},
        };
        let resumed = importer.resume(job, &CancellationToken::new()).await;
        let report = if way == Way::Cancel {
            // Given up for good; the same files can be given again.
            assert_eq!(resumed.unwrap_err().code, ErrorCode::InvalidInput);
            assert_eq!(library.cancel_job(job).await.unwrap_err().code, ErrorCode::InvalidInput);
            place.import(&library).await
        } else {
            let report = resumed.unwrap();
            assert_eq!(report.job, job);
            report
        };
        assert_eq!(
            (report.ready, report.added, report.chunks),
            (8, 4, expected_report.chunks),
            "{way:?}"
        );
        assert_eq!(library.job(report.job).await.unwrap().state, JobState::Finished);
        assert_eq!(fingerprint(&library).await, expected, "{way:?}");
        for question in ["harbour ledger", "copper engine in winter"] {
            assert_eq!(
                find(&library, question).await,
                find(&whole, question).await,
                "{way:?}: {question}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_searches_go_on_while_documents_arrive() {
    let place = Place::new();
    place.write("first.pdf", "The quarry yields blue slate.");
    let library = place.open().await;
    place.import(&library).await;
    for seed in 0..3 {
        place.write(&format!("short-{seed}.pdf"), &prose(seed, 10));
        place.write(&format!("long-{seed}.pdf"), &format!("Long text\n\n{}", prose(seed + 10, 60)));
    }
    let token = CancellationToken::new();
    let running = start(&library, place.papers.clone(), &token);
    under_way(&library).await;
    let vector = HashEmbedder::default().vector("blue slate");
    for searcher in [Arc::clone(&library), place.open().await] {
        let collection = searcher.collection("default").await.unwrap();
        assert_eq!(collection.ready_documents, 4, "some have arrived since the indexes were made");
        for mode in [SearchMode::Lexical, SearchMode::Dense] {
            let (hits, _) =
                searcher.search_by(mode, collection.id, "blue slate", &vector, 5).await.unwrap();
            assert!(
                hits.first().is_some_and(|hit| hit.passage.path.ends_with("first.pdf")),
                "{mode:?}"
            );
        }
    }
    token.cancel();
    running.await.unwrap().unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_without_its_process_was_interrupted() {
    let place = papers();
    let library = place.open().await;
    let running = start(&library, place.papers.clone(), &CancellationToken::new());
    let job = under_way(&library).await;
    // Ends the work without a word, and with it the lock, as a crash does.
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    assert_eq!(library.job(job).await.unwrap().state, JobState::Interrupted);
    assert_eq!(library.pause_job(job).await, Ok(()));
    library.cancel_job(job).await.unwrap();
    assert_eq!(library.job(job).await.unwrap().state, JobState::Cancelled);
    assert_eq!(library.job(JobId(99)).await.unwrap_err().code, ErrorCode::NotFound);
}
