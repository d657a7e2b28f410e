//! Derived data that is damaged, lost or of another embedder is made anew, and nobody notices.

mod support;

use quartet_library::{Importer, Library, SearchMode};
use quartet_types::{Answer, CollectionId, Method, Outcome, Timings, Usage};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use support::{HashEmbedder, Place, TextReader, find, import, prose};
use tokio_util::sync::CancellationToken;

const QUESTION: &str = "the archive of the river";

async fn filled(documents: u64) -> (Place, Arc<Library>) {
    let place = Place::new();
    for seed in 0..documents {
        place.write(&format!("p{seed}.pdf"), &prose(seed, 40));
    }
    let library = place.open().await;
    place.import(&library).await;
    (place, library)
}

fn index_folder(place: &Place) -> PathBuf {
    std::fs::read_dir(place.home.join("index")).unwrap().next().unwrap().unwrap().path()
}

/// Files of the word index with this ending.
fn words(index: &Path, ending: &str) -> Vec<PathBuf> {
    let files = std::fs::read_dir(index.join("words")).unwrap().flatten().map(|entry| entry.path());
    let files: Vec<PathBuf> =
        files.filter(|path| path.to_string_lossy().ends_with(ending)).collect();
    assert!(!files.is_empty(), "no {ending} in the word index");
    files
}

fn cut(path: &Path, part: u64) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_len(file.metadata().unwrap().len() / 4 * part).unwrap();
}

#[tokio::test]
async fn the_next_search_repairs_what_is_damaged() {
    let (place, library) = filled(4).await;
    let expected = find(&library, QUESTION).await;
    let collection = library.collection("default").await.unwrap().id;
    let vector = HashEmbedder::default().vector(QUESTION);
    let (dense, _) =
        library.search_by(SearchMode::Dense, collection, QUESTION, &vector, 10).await.unwrap();
    assert!(expected.len() >= 4 && dense.len() >= 4);
    drop(library);
    let index = index_folder(&place);
    let vectors = index.join("vectors.bin");
    let damages: [(&str, &dyn Fn()); 12] = [
        ("all gone", &|| std::fs::remove_dir_all(&index).unwrap()),
        ("no vectors", &|| std::fs::remove_file(&vectors).unwrap()),
        ("empty vectors", &|| cut(&vectors, 0)),
        ("half the vectors", &|| cut(&vectors, 2)),
        ("no vector file at all", &|| std::fs::write(&vectors, "x".repeat(100_000)).unwrap()),
        ("vectors of another version", &|| {
            let mut bytes = std::fs::read(&vectors).unwrap();
            bytes[8] += 1;
            std::fs::write(&vectors, bytes).unwrap();
        }),
        ("no words", &|| std::fs::remove_dir_all(index.join("words")).unwrap()),
        ("words without meta.json", &|| {
            std::fs::remove_file(index.join("words/meta.json")).unwrap();
        }),
        ("half of meta.json", &|| cut(&index.join("words/meta.json"), 2)),
        ("a lost segment", &|| {
            words(&index, ".term").iter().for_each(|path| std::fs::remove_file(path).unwrap());
        }),
        ("a segment cut off", &|| words(&index, ".idx").iter().for_each(|path| cut(path, 1))),
        ("columns cut off", &|| words(&index, ".fast").iter().for_each(|path| cut(path, 2))),
    ];
    for (name, damage) in damages {
        damage();
        let library = place.open().await;
        assert_eq!(find(&library, QUESTION).await, expected, "{name}");
        let (found, _) =
            library.search_by(SearchMode::Dense, collection, QUESTION, &vector, 10).await.unwrap();
        assert_eq!(found, dense, "{name}");
        library.check(collection).await.unwrap();
    }
}

#[tokio::test]
async fn no_flipped_bit_in_the_list_of_segments_does_harm() {
    let (place, library) = filled(2).await;
    let expected = find(&library, QUESTION).await;
    drop(library);
    let path = index_folder(&place).join("words/meta.json");
    let length = std::fs::read(&path).unwrap().len();
    for position in (0..length).step_by(length / 60) {
        let mut bytes = std::fs::read(&path).unwrap();
        let place_in_file = position.min(bytes.len() - 1);
        bytes[place_in_file] ^= 1 << (position % 7);
        std::fs::write(&path, bytes).unwrap();
        let library = place.open().await;
        let found = find(&library, QUESTION).await;
        assert_eq!(found, expected, "bit {} of byte {place_in_file}", position % 7);
    }
}

#[tokio::test]
async fn the_self_test_notices_vectors_that_are_garbled() {
    let (place, library) = filled(2).await;
    let collection = library.collection("default").await.unwrap().id;
    let expected = find(&library, QUESTION).await;
    drop(library);
    let vectors = index_folder(&place).join("vectors.bin");
    let mut bytes = std::fs::read(&vectors).unwrap();
    let half = bytes.len() / 2;
    // Small numbers still, so that nothing about the file looks wrong.
    bytes[half..]
        .chunks_exact_mut(4)
        .for_each(|value| value.copy_from_slice(&0.01_f32.to_le_bytes()));
    std::fs::write(&vectors, bytes).unwrap();
    let library = place.open().await;
    library.check(collection).await.unwrap();
    assert_eq!(find(&library, QUESTION).await, expected);
}

async fn dense(
    library: &Library,
    collection: CollectionId,
    embedder: &HashEmbedder,
) -> Vec<(String, f32)> {
    let vector = embedder.vector(QUESTION);
    let (hits, _) =
        library.search_by(SearchMode::Dense, collection, QUESTION, &vector, 1000).await.unwrap();
    let mut found: Vec<_> =
        hits.into_iter().map(|hit| (hit.passage.text, hit.dense.unwrap().0)).collect();
    // Equal scores come in the order in which the documents came.
    found.sort_by(|left, right| left.0.cmp(&right.0));
    found
}

#[tokio::test]
async fn another_embedder_makes_all_vectors_anew_even_when_interrupted() {
    let (place, library) = filled(3).await;
    let collection = library.collection("default").await.unwrap().id;
    let before = dense(&library, collection, &HashEmbedder::default()).await;
    // Somebody who has the old vectors open all the while.
    let onlooker = place.open().await;
    assert_eq!(dense(&onlooker, collection, &HashEmbedder::default()).await, before);

    // A new document gets the new vectors, then the process ends before the old ones do.
    let other = HashEmbedder { name: "hash-2".to_owned(), ..HashEmbedder::default() };
    place.write("p9.pdf", &prose(9, 40));
    let token = CancellationToken::new();
    let stop = |progress: &quartet_types::JobProgress| {
        if progress.stage == "embedding"
            && progress.subject.as_ref().is_some_and(|subject| !subject.contains("p9.pdf"))
        {
            token.cancel();
        }
    };
    let importer = Importer {
        library: &library,
        reader: &TextReader::default(),
        embedder: &other,
        on_progress: &stop,
    };
    importer.import("default", std::slice::from_ref(&place.papers), &token).await.unwrap_err();
    // A search brings the indexes in step with this half-way state.
    find(&library, QUESTION).await;
    import(&library, std::slice::from_ref(&place.papers), &other).await.unwrap();

    let fresh = Place::new();
    let expected = fresh.open().await;
    import(&expected, std::slice::from_ref(&place.papers), &other).await.unwrap();
    let id = expected.collection("default").await.unwrap().id;
    let wanted = dense(&expected, id, &other).await;
    assert!(wanted.len() > before.len());
    assert_eq!(dense(&library, collection, &other).await, wanted);
    assert_eq!(dense(&onlooker, collection, &other).await, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_can_open_a_new_library_at_once() {
    for _ in 0..5 {
        let place = Place::new();
        let opening: Vec<_> = (0..8)
            .map(|_| {
                let home = place.home.clone();
                tokio::spawn(async move { Library::open(&home).await })
            })
            .collect();
        for opened in opening {
            opened.await.unwrap().unwrap().create_collection("one").await.unwrap();
        }
    }
}

#[tokio::test]
async fn answers_made_from_a_deleted_document_go_with_it() {
    let place = Place::new();
    place.write("secret.pdf", "The zyxmarkerqua is under the stairs.");
    place.write("other.pdf", "The ferry leaves at noon.");
    let library = place.open().await;
    place.import(&library).await;
    let collection = library.collection("default").await.unwrap().id;
    let chat = library.create_chat(collection).await.unwrap();
    for question in ["zyxmarkerqua", "ferry"] {
        let (retrieved, search) =
            library.search_by(SearchMode::Lexical, collection, question, &[], 5).await.unwrap();
        let text = retrieved[0].passage.text.clone();
        let answer = Answer {
            id: None,
            question: question.to_owned(),
            searched_question: None,
            method: Method::Rag,
            model: "small".into(),
            outcome: Outcome::Answered,
            text: text.clone(),
            withheld: None,
            sentences: Vec::new(),
            retrieved,
            read: vec![0],
            used: vec![0],
            abstention: None,
            search: Some(search),
            timings: Timings::default(),
            usage: Usage::default(),
            gag: None,
            imprag: None,
            iag: None,
            prompt: text,
        };
        let turn = library.add_turn(chat, question, false, None).await.unwrap();
        library.append_answer(turn.id, &answer).await.unwrap();
    }
    assert_eq!(library.answers(chat).await.unwrap().len(), 2);
    let documents = library.documents(None).await.unwrap();
    let secret = documents.iter().find(|document| document.path.ends_with("secret.pdf")).unwrap();
    library.delete_document(secret.id).await.unwrap();
    let left = library.answers(chat).await.unwrap();
    assert_eq!((left.len(), left[0].question.as_str()), (1, "ferry"));
    let database = std::fs::read(place.home.join("library.sqlite")).unwrap();
    assert!(!database.windows(12).any(|bytes| bytes == b"zyxmarkerqua"));
}
