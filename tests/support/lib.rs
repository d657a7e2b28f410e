//! What the end-to-end tests share: the built program, a data folder of their own, and what
//! must be there for a test to mean anything.

#![allow(clippy::print_stderr, reason = "a skipped test should be seen")]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Far longer than anything here takes: a test that hangs must end.
const PATIENCE: Duration = Duration::from_secs(900);

/// The root of the repository.
#[must_use]
pub fn root() -> PathBuf {
    // As cargo says now: a build that is kept may come from another clone.
    let tests = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let tests = tests.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    tests.parent().expect("tests/ is below the root").to_owned()
}

/// The program under test. `make test` builds it before it runs the tests.
#[must_use]
pub fn program() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let profile = test.parent().and_then(Path::parent).expect("target/PROFILE/deps/TEST");
    let program = profile.join("quartet");
    assert!(
        program.is_file(),
        "{} is missing: run `cargo build --release` first",
        program.display()
    );
    program
}

/// Data from outside the repository, or `None` with a message where it may be absent.
#[must_use]
pub fn shared_data(name: &str) -> Option<PathBuf> {
    let path = root().join("../shared/data").join(name);
    if path.exists() {
        return Some(path);
    }
    skip(&format!("../shared/data/{name} is absent"))
}

/// Whether the default models are installed.
#[must_use]
pub fn models_are_installed() -> bool {
    let home = Home::new();
    let listed = home.json(&["models"]);
    let installed = listed["models"].as_array().is_some_and(|models| {
        ["small", "embedder"].iter().all(|name| {
            models.iter().any(|model| model["name"] == *name && model["path"].is_string())
        })
    });
    installed
        || skip::<()>("the models `small` and `embedder` are absent; run `make models`").is_some()
}

/// Whether a command of the system is there.
#[must_use]
pub fn has_command(name: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {name}")]).output();
    found.is_ok_and(|output| output.status.success())
        || skip::<()>(&format!("the command `{name}` is absent")).is_some()
}

/// Says why a test is skipped and returns `None`; a failure where everything must be there.
///
/// # Panics
/// With `QUARTET_REQUIRE_DATA` set.
#[must_use]
pub fn skip<T>(why: &str) -> Option<T> {
    assert!(std::env::var_os("QUARTET_REQUIRE_DATA").is_none(), "required here: {why}");
    eprintln!("skipped: {why}");
    None
}

/// A data folder that goes away with the test.
pub struct Home {
    folder: TempDir,
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

impl Home {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The program, set up to use this folder and the small base.
    #[must_use]
    pub fn command(&self) -> Command {
        self.wrapped(&[])
    }

    /// As [`Home::command`], started through other commands (`strace ...`).
    #[must_use]
    pub fn wrapped(&self, wrapper: &[&str]) -> Command {
        let mut command = match wrapper.split_first() {
            None => Command::new(program()),
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program());
                command
            }
        };
        command
            .current_dir(root())
            .env("QUARTET_HOME", self.path())
            .env("QUARTET_BASE", "small")
            .stdin(Stdio::null());
        command
    }

    /// Runs the program and waits.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).output().expect("the program starts")
    }

    /// Runs the program with `--json`, which must succeed.
    #[must_use]
    pub fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[&["--json"], arguments].concat());
        assert!(
            output.status.success(),
            "quartet {arguments:?}: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        parse(&output)
    }

    /// Starts the program and kills it, with all its workers, once `file` is in this folder.
    ///
    /// # Panics
    /// As [`Home::wait_for`].
    pub fn killed_at(&self, arguments: &[&str], file: &str) {
        let mut command = self.command();
        command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the program starts");
        self.wait_for(&mut child, file);
        child.kill().expect("SIGKILL");
        let _ = child.wait();
    }

    /// Waits until the program has made `file` in this folder; returns where that is.
    ///
    /// # Panics
    /// Where the program ends before, or takes far longer than anything in a test.
    pub fn wait_for(&self, child: &mut Child, file: &str) -> PathBuf {
        let started = Instant::now();
        let path = self.path().join(file);
        while !path.exists() {
            assert!(started.elapsed() < PATIENCE, "no {}", path.display());
            let ended = child.try_wait().expect("a child");
            assert!(ended.is_none(), "it ended with {ended:?} before there was {file}");
            std::thread::sleep(Duration::from_millis(20));
        }
        path
    }

    /// Runs the program with `--json`, which must fail; returns its exit code and the error.
    #[must_use]
    pub fn failure(&self, arguments: &[&str]) -> (i32, Value) {
        let output = self.run(&[&["--json"], arguments].concat());
        let code = output.status.code().expect("an exit code, not a signal");
        assert_ne!(code, 0, "quartet {arguments:?} was expected to fail");
        (code, parse(&output)["error"].clone())
    }
}

/// What the program printed, as JSON.
#[must_use]
pub fn parse(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!(
            "not JSON ({error}):\n{}\n{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    })
}
