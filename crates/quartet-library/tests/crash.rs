//! `kill -9` at random moments: the import that goes on ends like one that never stopped.

mod support;

use quartet_library::{Importer, Library};
use quartet_types::{JobState, Result};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use support::{HashEmbedder, Place, TextReader, find, prose};
use tokio_util::sync::CancellationToken;

const HOME: &str = "QUARTET_CRASH_TEST_HOME";
const PAPERS: &str = "QUARTET_CRASH_TEST_PAPERS";
const MOMENTS: u32 = 20;

/// Slow enough that a kill lands between any two steps.
async fn import_slowly(home: &Path, papers: &Path) -> Result<Arc<Library>> {
    let library = Arc::new(Library::open(home).await?);
    let reader = TextReader { delay: Duration::from_millis(3) };
    let embedder = HashEmbedder { delay: Duration::from_millis(4), ..HashEmbedder::default() };
    let importer =
        Importer { library: &library, reader: &reader, embedder: &embedder, on_progress: &|_| {} };
    importer.import("default", &[papers.to_owned()], &CancellationToken::new()).await?;
    Ok(library)
}

/// Not a test of its own: what the killed process runs.
#[tokio::test]
async fn child() {
    let (Ok(home), Ok(papers)) = (std::env::var(HOME), std::env::var(PAPERS)) else { return };
    import_slowly(Path::new(&home), Path::new(&papers)).await.unwrap();
}

fn start(home: &Path, papers: &Path) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact"])
        .env(HOME, home)
        .env(PAPERS, papers)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn a_killed_import_goes_on_to_the_same_result() {
    let place = Place::new();
    for seed in 0..16_u64 {
        let pages: Vec<String> = (0..=seed % 4).map(|page| prose(seed * 10 + page, 60)).collect();
        place.write(&format!("p{seed}.pdf"), &pages.join("\u{c}"));
    }
    place.write(
        "twin.pdf",
        &[prose(30, 60), prose(31, 60), prose(32, 60), prose(33, 60)].join("\u{c}"),
    );
    place.write("bad.pdf", "!broken");
    let homes = tempfile::tempdir().unwrap();
    let home = |name: &str| -> PathBuf { homes.path().join(name) };

    let started = Instant::now();
    assert!(start(&home("whole"), &place.papers).wait().unwrap().success());
    let length = started.elapsed();
    let whole = Library::open(&home("whole")).await.unwrap();
    let id = whole.collection("default").await.unwrap().id;
    let expected = whole.fingerprint(id).await.unwrap();
    let questions = ["the ledger of the harbour", "How many coins for marble?", "winter orchard"];

    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos();
    let mut random = u64::from(seed) | 1;
    let mut interrupted = 0;
    for moment in 0..MOMENTS {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // One moment in each twentieth of the import, so that none of its parts is left out.
        let fraction =
            (f64::from(moment) + (random >> 11) as f64 / (1_u64 << 53) as f64) / f64::from(MOMENTS);
        let home = home(&format!("killed-{moment}"));
        let mut child = start(&home, &place.papers);
        std::thread::sleep(length.mul_f64(fraction));
        child.kill().unwrap();
        child.wait().unwrap();

        let after = Library::open(&home).await.unwrap();
        let jobs = after.jobs().await.unwrap();
        let was_interrupted = jobs.iter().any(|job| job.state == JobState::Interrupted);
        interrupted += usize::from(was_interrupted);
        assert!(jobs.iter().all(|job| job.state != JobState::Running), "nobody works on it");
        drop(after);

        let resumed = import_slowly(&home, &place.papers).await.unwrap();
        let what = format!("killed at {fraction:.3} of {length:?}, seed {seed}");
        let id = resumed.collection("default").await.unwrap().id;
        assert_eq!(resumed.fingerprint(id).await.unwrap(), expected, "{what}");
        for question in questions {
            assert_eq!(
                find(&resumed, question).await,
                find(&whole, question).await,
                "{what}: {question}"
            );
        }
        let jobs = resumed.jobs().await.unwrap();
        assert!(jobs.iter().all(|job| job.state == JobState::Finished), "{what}: {jobs:?}");
        // An interrupted job goes on as itself instead of leaving its remains behind.
        assert!(!was_interrupted || jobs.len() == 1, "{what}: {jobs:?}");
    }
    assert!(
        interrupted >= 10,
        "only {interrupted} of {MOMENTS} kills hit the import: the test tests too little"
    );
}
