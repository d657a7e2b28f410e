//! Deleting really deletes, one writes at a time, damage is repaired, odd questions do no harm.

#![allow(clippy::print_stdout, reason = "a skipped test should be seen")]

mod support;

use quartet_library::{Importer, Library, SearchMode};
use quartet_types::{ErrorCode, JobState};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{HashEmbedder, Place, TextReader, find, prose};
use tokio_util::sync::CancellationToken;

/// Files below a folder that contain the marker.
fn files_with(folder: &Path, marker: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_with(&path, marker));
        } else if std::fs::read(&path)
            .unwrap()
            .windows(marker.len())
            .any(|bytes| bytes == marker.as_bytes())
        {
            found.push(path);
        }
    }
    found
}

#[tokio::test]
async fn deleted_text_is_in_no_file() {
    let marker = "zyxmarkerqua";
    for way in ["document", "collection", "changed file"] {
        let place = Place::new();
        let path = place.write(
            "secret.pdf",
            &format!("{} The {marker} is hidden. {}", prose(1, 80), prose(2, 80)),
        );
        for seed in 3..8 {
            place.write(&format!("p{seed}.pdf"), &prose(seed, 80));
        }
        let library = place.open().await;
        place.import(&library).await;
        // Somebody else has everything open, as a window has.
        let onlooker = place.open().await;
        assert!(find(&onlooker, marker).await[0].2.contains(marker));
        assert!(
            !files_with(&place.home, marker).is_empty(),
            "the marker is not where the test looks"
        );
        match way {
            "document" => {
                let documents = library.documents(None).await.unwrap();
                let secret = documents
                    .iter()
                    .find(|document| document.path.ends_with("secret.pdf"))
                    .unwrap();
                library.delete_document(secret.id).await.unwrap();
            }
            "collection" => library.delete_collection("default").await.unwrap(),
            _ => {
                std::fs::write(&path, prose(9, 80)).unwrap();
                place.import(&library).await;
            }
        }
        if way != "collection" {
            for searcher in [&library, &onlooker] {
                assert!(
                    find(searcher, marker).await.iter().all(|(_, _, text)| !text.contains(marker)),
                    "{way}"
                );
            }
        }
        assert_eq!(files_with(&place.home, marker), Vec::<PathBuf>::new(), "{way}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_writes_and_the_others_read_meanwhile() {
    let place = Place::new();
    place.write("first.pdf", "The quarry yields blue slate.");
    let library = place.open().await;
    place.import(&library).await;
    for seed in 0..20 {
        place.write(&format!("p{seed}.pdf"), &prose(seed, 60));
    }
    let (writer, papers) = (Arc::clone(&library), place.papers.clone());
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let import = tokio::spawn(async move {
        let reader = TextReader { delay: Duration::from_millis(100) };
        let embedder =
            HashEmbedder { delay: Duration::from_millis(100), ..HashEmbedder::default() };
        let importer = Importer {
            library: &writer,
            reader: &reader,
            embedder: &embedder,
            on_progress: &|_| {},
        };
        importer.import("default", &[papers], &stop).await
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let other = place.open().await;
    assert_eq!(
        find(&other, "blue slate").await[0].0,
        "first.pdf",
        "search works while somebody writes"
    );
    let jobs = other.jobs().await.unwrap();
    assert_eq!(jobs[0].state, JobState::Running);
    let document = other.documents(None).await.unwrap()[0].id;
    let error = other.delete_document(document).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Busy);
    assert!(
        error.message.contains(&std::process::id().to_string()) && error.hint.is_some(),
        "{error:?}"
    );

    // A pause that another process asks for.
    other.pause_job(jobs[0].id).await.unwrap();
    let asked = Instant::now();
    let stopped = import.await.unwrap().unwrap_err();
    assert_eq!(stopped.code, ErrorCode::Cancelled);
    assert!(asked.elapsed() < Duration::from_secs(10), "it does not stop");
    assert_eq!(other.job(jobs[0].id).await.unwrap().state, JobState::Paused);
    let (reader, embedder) = (TextReader::default(), HashEmbedder::default());
    let importer =
        Importer { library: &other, reader: &reader, embedder: &embedder, on_progress: &|_| {} };
    let report = importer.resume(jobs[0].id, &CancellationToken::new()).await.unwrap();
    assert_eq!((report.job, report.ready), (jobs[0].id, 21));
    assert_eq!(other.job(jobs[0].id).await.unwrap().state, JobState::Finished);
    let error = importer.resume(jobs[0].id, &CancellationToken::new()).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidInput);
}

#[tokio::test]
async fn damaged_and_lost_indexes_are_rebuilt() {
    let place = Place::new();
    for seed in 0..4 {
        place.write(&format!("p{seed}.pdf"), &prose(seed, 40));
    }
    let library = place.open().await;
    place.import(&library).await;
    let question = "the archive of the river";
    let expected = find(&library, question).await;
    assert!(!expected.is_empty());
    drop(library);
    let index = place.home.join("index");
    for damage in 0..3 {
        for folder in std::fs::read_dir(&index).unwrap().flatten() {
            let words = folder.path().join("words");
            match damage {
                0 => std::fs::remove_dir_all(folder.path()).unwrap(),
                1 => std::fs::write(words.join("meta.json"), "{").unwrap(),
                _ => std::fs::remove_file(folder.path().join("vectors.bin")).unwrap(),
            }
        }
        let library = place.open().await;
        assert_eq!(find(&library, question).await, expected, "damage {damage}");
        let collection = library.collection("default").await.unwrap().id;
        library.check(collection).await.unwrap();
    }
}

#[tokio::test]
async fn odd_questions_are_answered_or_refused() {
    let place = Place::new();
    place.write("a.pdf", "The zinc mine closed in 1911. Nobody works there now.");
    let library = place.open().await;
    place.import(&library).await;
    let id = library.collection("default").await.unwrap().id;
    let vector = HashEmbedder::default().vector("x");
    for empty in ["", "   \n", "?!\u{0}\u{7}", "\"\"()AND:"] {
        match library.search(id, empty, &vector, 5).await {
            Err(error) => assert_eq!(error.code, ErrorCode::InvalidInput, "{empty:?}"),
            Ok(_) => assert!(empty.chars().any(char::is_alphanumeric), "{empty:?}"),
        }
    }
    let long = "zinc mine \u{0} closed: \"when [in ^2 NOT".repeat(3000);
    for question in [long.as_str(), "zinc AND (", "text:zinc \u{1b}[31m mine~", "ZÏNC mines?"] {
        let (hits, _) = library.search_by(SearchMode::Lexical, id, question, &[], 5).await.unwrap();
        assert_eq!(hits.len(), 1, "{question:.40}");
    }
    let many: String = (0..20_000).map(|number| format!("w{number} ")).collect();
    let (_, trace) = library.search(id, &format!("{many} zinc"), &vector, 5).await.unwrap();
    assert!(trace.terms.len() <= 256 && trace.terms.len() == trace.idf.len());
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    for home in [file.join("home"), file.clone()] {
        let error = Library::open(&home).await.err().unwrap();
        assert!(
            error.subject.unwrap().contains("file") && error.hint.unwrap().contains("QUARTET_HOME")
        );
    }

    let damaged = folder.path().join("damaged");
    std::fs::create_dir(&damaged).unwrap();
    std::fs::write(damaged.join("library.sqlite"), "no database ".repeat(1000)).unwrap();
    assert_eq!(Library::open(&damaged).await.err().unwrap().code, ErrorCode::Corrupt);

    // Who may write everywhere (an administrator) cannot be shown a folder that is read-only.
    let closed = folder.path().join("closed");
    std::fs::create_dir(&closed).unwrap();
    let mut permissions = std::fs::metadata(&closed).unwrap().permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(&closed, permissions).unwrap();
    if std::fs::write(closed.join("probe"), "").is_err() {
        assert_eq!(
            Library::open(&closed.join("home")).await.err().unwrap().code,
            ErrorCode::ReadOnly
        );
        assert_eq!(Library::open(&closed).await.err().unwrap().code, ErrorCode::ReadOnly);
    } else {
        println!("skipped: this user may write to a read-only folder");
    }
}

#[tokio::test]
async fn collections_keep_their_names_apart() {
    let place = Place::new();
    let library = place.open().await;
    let first = library.create_collection("first").await.unwrap();
    assert_eq!(library.create_collection("first").await.unwrap().id, first.id);
    library.create_collection("second").await.unwrap();
    assert_eq!(
        library.rename_collection("first", "second").await.unwrap_err().code,
        ErrorCode::InvalidInput
    );
    assert_eq!(library.rename_collection("first", "third").await.unwrap().id, first.id);
    let error = library.collection("first").await.unwrap_err();
    assert!(error.code == ErrorCode::NotFound && error.hint.unwrap().contains("third"));
    assert_eq!(library.create_collection(" ").await.unwrap_err().code, ErrorCode::InvalidInput);
    // What was made is there for the next start.
    let names: Vec<String> = place
        .open()
        .await
        .collections()
        .await
        .unwrap()
        .into_iter()
        .map(|found| found.name)
        .collect();
    assert_eq!(names, ["second", "third"]);
}
