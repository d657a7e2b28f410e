//! Files that change, vanish, move and come back: the library follows, and answers meanwhile.

mod support;

use async_trait::async_trait;
use quartet_library::{Importer, Library, SearchMode};
use quartet_types::{Document, DocumentStatus, ErrorCode, PageNumber};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use support::{HashEmbedder, Place, TextReader, find, import, prose, retry};
use tokio_util::sync::CancellationToken;

async fn listed(library: &Library, name: &str) -> Document {
    let documents = library.documents(None).await.unwrap();
    let mut named = documents.into_iter().filter(|document| document.path.ends_with(name));
    let document = named.next().unwrap();
    assert_eq!(named.next(), None, "one row for each path");
    document
}

async fn changes(library: &Library, name: &str) -> Vec<String> {
    let collection = library.collection("default").await.unwrap().id;
    let journal = library.journal(collection).await.unwrap();
    journal
        .into_iter()
        .rev()
        .filter(|entry| entry.path.ends_with(name))
        .map(|entry| entry.change)
        .collect()
}

#[tokio::test]
async fn pages_titles_and_places_are_as_in_the_file() {
    let place = Place::new();
    place.write("lease.pdf", "Lease of Mill Lane 4\n\nThe rent is 900 coins.\u{c}\u{c}The cellar stays with the landlord.");
    place.write("plain.pdf", "12\n\n13 is a number.");
    let library = place.open().await;
    let report = place.import(&library).await;
    assert_eq!((report.ready, report.added, report.failed, report.problems.len()), (2, 2, 0, 0));
    let lease = listed(&library, "lease.pdf").await;
    assert_eq!(
        (lease.title.as_str(), lease.pages, lease.failed_pages),
        ("Lease of Mill Lane 4", 3, 0)
    );
    assert_eq!(lease.sha256.unwrap().0.len(), 64);
    let collection = library.collection("default").await.unwrap();
    assert_eq!(
        (collection.ready_documents, collection.pages, collection.chunks),
        (2, 4, report.chunks)
    );
    let (hits, _) =
        library.search_by(SearchMode::Lexical, collection.id, "cellar", &[], 5).await.unwrap();
    let passage = &hits[0].passage;
    assert_eq!((passage.span.page, passage.span.start, passage.span.end), (PageNumber(3), 0, 35));
    assert_eq!((passage.document, passage.title.as_str()), (lease.id, "Lease of Mill Lane 4"));
    assert!(Path::new(&passage.path).is_absolute() && passage.path.ends_with("lease.pdf"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_text_is_found_until_the_new_one_is_complete() {
    let place = Place::new();
    let path = place.write("a.pdf", "The old statute names a beadle.");
    let library = place.open().await;
    place.import(&library).await;
    let before = listed(&library, "a.pdf").await;
    std::fs::write(&path, "The new statute names a provost, who is paid.").unwrap();

    let (writer, papers, cancel) =
        (Arc::clone(&library), place.papers.clone(), CancellationToken::new());
    let stop = cancel.clone();
    let running = tokio::spawn(async move {
        let embedder = HashEmbedder { delay: Duration::from_secs(30), ..HashEmbedder::default() };
        let importer = Importer {
            library: &writer,
            reader: &TextReader::default(),
            embedder: &embedder,
            on_progress: &|_| {},
        };
        let paths = [papers];
        tokio::select! {
            ended = importer.import("default", &paths, &stop) => panic!("it did not wait: {ended:?}"),
            () = stop.cancelled() => {}
        }
    });
    // Until the new text waits for its vectors.
    while library.jobs().await.unwrap()[0].progress.stage != "embedding" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for reader in [Arc::clone(&library), place.open().await] {
        assert_eq!(
            find(&reader, "statute").await,
            [("a.pdf".to_owned(), 1, "The old statute names a beadle.".to_owned())]
        );
        assert_eq!(listed(&reader, "a.pdf").await, before);
        // By vectors alone as well: the file of vectors is the one of before.
        let vector = HashEmbedder::default().vector("beadle");
        let (hits, _) = reader
            .search_by(SearchMode::Dense, before.collection, "beadle", &vector, 5)
            .await
            .unwrap();
        assert_eq!(hits.len(), 1);
    }
    // Dropped at once, as a crash would.
    cancel.cancel();
    running.await.unwrap();

    let report = place.import(&library).await;
    assert_eq!((report.updated, report.added, report.ready), (1, 0, 1));
    assert!(find(&library, "beadle").await.iter().all(|(_, _, text)| text.contains("provost")));
    assert_eq!(find(&library, "provost").await.len(), 1);
    assert_eq!(changes(&library, "a.pdf").await, ["added", "updated"]);
    let collection = library.collection("default").await.unwrap();
    assert_eq!((collection.documents, collection.chunks), (1, 1));
}

#[tokio::test]
async fn a_changed_file_that_cannot_be_read_goes_into_quarantine_and_comes_back() {
    let place = Place::new();
    let path = place.write("a.pdf", "The heron stands in the reeds.");
    let library = place.open().await;
    place.import(&library).await;
    std::fs::write(&path, "!protected").unwrap();
    let report = place.import(&library).await;
    assert_eq!((report.ready, report.failed, report.updated), (0, 1, 0));
    let document = listed(&library, "a.pdf").await;
    assert_eq!((document.status, document.chunks), (DocumentStatus::Protected, 0));
    assert_eq!((document.reason.as_deref(), document.hint.is_some()), (Some("told to fail"), true));
    assert_eq!(
        find(&library, "heron").await,
        [],
        "what the file does not say any more is not found"
    );
    // A further import does not try again, a retry does.
    assert_eq!(place.import(&library).await.failed, 1);
    assert_eq!(changes(&library, "a.pdf").await, ["added", "failed"]);
    std::fs::write(&path, "!The heron is back in the reeds.").unwrap();
    assert_eq!(retry(&library).await.unwrap().ready, 1);
    assert_eq!(find(&library, "heron").await.len(), 1);
    let document = listed(&library, "a.pdf").await;
    assert_eq!(
        (document.status, document.reason, document.hint),
        (DocumentStatus::Ready, None, None)
    );
}

#[tokio::test]
async fn a_file_that_vanished_is_still_found_and_comes_back_unchanged() {
    let place = Place::new();
    let path = place.write("a.pdf", "The heron stands in the reeds.");
    place.write("b.pdf", "Nothing of note.");
    let aside = place.home.with_file_name("aside");
    let library = place.open().await;
    place.import(&library).await;
    let before = listed(&library, "a.pdf").await;
    std::fs::rename(&path, &aside).unwrap();
    for removed in [1, 0] {
        let report = place.import(&library).await;
        assert_eq!((report.ready, report.removed, report.unchanged), (1, removed, 1));
        assert_eq!(listed(&library, "a.pdf").await.status, DocumentStatus::Missing);
        assert_eq!(find(&library, "heron").await[0].0, "a.pdf");
    }
    std::fs::rename(&aside, &path).unwrap();
    let report = place.import(&library).await;
    assert_eq!((report.ready, report.added, report.unchanged), (2, 0, 2));
    assert_eq!(listed(&library, "a.pdf").await, before);
    assert_eq!(changes(&library, "a.pdf").await, ["added", "missing"]);
}

#[tokio::test]
async fn what_is_found_in_a_moved_file_leads_to_where_it_is_now() {
    // Moved before the next import, or copied first and the original removed later.
    for copied_first in [false, true] {
        let place = Place::new();
        let old = place.write("z-old.pdf", "The heron stands in the reeds.");
        let library = place.open().await;
        place.import(&library).await;
        let new = place.papers.join("moved/new.pdf");
        std::fs::create_dir(place.papers.join("moved")).unwrap();
        std::fs::copy(&old, &new).unwrap();
        if copied_first {
            place.import(&library).await;
            assert_eq!(find(&library, "heron").await[0].0, "z-old.pdf");
        }
        std::fs::remove_file(&old).unwrap();
        place.import(&library).await;
        assert_eq!(find(&library, "heron").await.len(), 1);
        assert_eq!(find(&library, "heron").await[0].0, "new.pdf", "copied first: {copied_first}");
        let (old, new) = (listed(&library, "z-old.pdf").await, listed(&library, "new.pdf").await);
        assert_eq!(
            (old.status, old.duplicate_of, old.chunks),
            (DocumentStatus::Missing, Some(new.id), 0)
        );
        assert_eq!(
            (new.status, new.duplicate_of, new.pages, new.reason),
            (DocumentStatus::Ready, None, 1, None)
        );
        // The file that is gone does not keep the text alive.
        library.delete_document(new.id).await.unwrap();
        assert_eq!(find(&library, "heron").await, []);
        assert_eq!(library.documents(None).await.unwrap(), []);
    }
}

#[tokio::test]
async fn of_three_copies_each_can_go() {
    let place = Place::new();
    for name in ["a.pdf", "b.pdf", "c.pdf"] {
        place.write(name, "The heron stands in the reeds.");
    }
    let library = place.open().await;
    let report = place.import(&library).await;
    assert_eq!((report.added, report.duplicates, report.ready, report.chunks), (1, 2, 3, 1));
    assert!(listed(&library, "c.pdf").await.reason.unwrap().ends_with("a.pdf"));
    for (gone, left) in [("a.pdf", "b.pdf"), ("b.pdf", "c.pdf")] {
        library.delete_document(listed(&library, gone).await.id).await.unwrap();
        let hits = find(&library, "heron").await;
        assert_eq!((hits.len(), hits[0].0.as_str()), (1, left));
    }
    let last = listed(&library, "c.pdf").await;
    assert_eq!((last.duplicate_of, last.reason, last.pages, last.chunks), (None, None, 1, 1));
    library.delete_document(last.id).await.unwrap();
    assert_eq!(find(&library, "heron").await, []);
    assert_eq!(library.delete_document(last.id).await.unwrap_err().code, ErrorCode::NotFound);
}

/// An embedder of whose texts one cannot be embedded.
struct Failing;

#[async_trait]
impl quartet_library::Embedder for Failing {
    fn key(&self) -> String {
        HashEmbedder::default().key()
    }
    fn width(&self) -> usize {
        support::WIDTH
    }
    fn max_tokens(&self) -> u32 {
        512
    }
    async fn count_tokens(&self, texts: &[String]) -> quartet_types::Result<Vec<u32>> {
        HashEmbedder::default().count_tokens(texts).await
    }
    async fn embed(
        &self,
        texts: &[String],
        cancel: &CancellationToken,
    ) -> quartet_types::Result<Vec<f32>> {
        if texts.iter().any(|text| text.contains("zeppelin")) {
            return Err(quartet_types::Error::new(ErrorCode::WorkerDied, "the embedder died"));
        }
        HashEmbedder::default().embed(texts, cancel).await
    }
}

#[tokio::test]
async fn when_the_embedder_dies_what_was_done_stays() {
    let place = Place::new();
    place.write("a.pdf", "The heron stands.");
    place.write("b.pdf", "The zeppelin is longer than the heron.");
    let library = place.open().await;
    let importer = Importer {
        library: &library,
        reader: &TextReader::default(),
        embedder: &Failing,
        on_progress: &|_| {},
    };
    let error = importer
        .import("default", std::slice::from_ref(&place.papers), &CancellationToken::new())
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::WorkerDied);
    let job = library.jobs().await.unwrap().remove(0);
    assert_eq!(
        (job.state, job.error.map(|error| error.code)),
        (quartet_types::JobState::Failed, Some(ErrorCode::WorkerDied))
    );
    assert_eq!(find(&library, "heron").await[0].0, "a.pdf");
    assert_eq!(listed(&library, "b.pdf").await.status, DocumentStatus::Extracted);
    assert_eq!(place.import(&library).await.ready, 2);
}

#[tokio::test]
async fn text_without_words_to_look_up_is_no_reason_to_fail() {
    let place = Place::new();
    place.write(
        "chinese.pdf",
        &"条约于二零二零年在日内瓦签订并于次年生效且适用于所有缔约国及其领土".repeat(8),
    );
    place.write("endless.pdf", &"é".repeat(3000));
    place.write("digits.pdf", &"0123456789".repeat(40));
    // Pages so alike that no ranking can tell them apart.
    for number in 0..60 {
        place.write(
            &format!("form-{number:02}.pdf"),
            &format!("Form {}\u{c}See form form form {number} form.", number % 7),
        );
    }
    let library = place.open().await;
    let report = place.import(&library).await;
    assert_eq!((report.ready, report.failed), (63, 0));
    library.check(library.collection("default").await.unwrap().id).await.unwrap();
}

#[tokio::test]
async fn an_import_reads_what_it_was_given_and_no_more() {
    let place = Place::new();
    for seed in 0..3 {
        place.write(&format!("p{seed}.pdf"), &prose(seed, 10));
    }
    let library = place.open().await;
    let cancelled = CancellationToken::new();
    cancelled.cancel();
    let importer = Importer {
        library: &library,
        reader: &TextReader::default(),
        embedder: &HashEmbedder::default(),
        on_progress: &|_| {},
    };
    let error = importer
        .import("default", std::slice::from_ref(&place.papers), &cancelled)
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Cancelled);
    let job = library.jobs().await.unwrap()[0].id;
    library.cancel_job(job).await.unwrap();
    let only = place.papers.join("p1.pdf");
    let report = import(&library, &[only], &HashEmbedder::default()).await.unwrap();
    assert_eq!((report.ready, report.added), (1, 1));
    assert_eq!(listed(&library, "p0.pdf").await.status, DocumentStatus::Queued);
    assert_eq!(place.import(&library).await.ready, 3);
}
