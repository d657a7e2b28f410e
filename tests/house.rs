//! The invariants of ARCHITECTURE.md, checked. Each is an absence: something a crate does not
//! know, does not do or does not depend on.

#[path = "house/graph.rs"]
mod graph;
#[path = "house/pages.rs"]
mod pages;

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Which of our crates each of our crates may use. Dependencies only point down.
const MAY_USE: &[(&str, &[&str])] = &[
    ("quartet-types", &[]),
    ("quartet-gguf", &["quartet-types"]),
    ("quartet-worker", &["quartet-types"]),
    ("quartet-pdf", &["quartet-types", "quartet-worker"]),
    ("quartet-llm", &["quartet-types", "quartet-gguf", "quartet-worker"]),
    ("quartet-library", &["quartet-types"]),
    ("quartet-methods", &["quartet-types", "quartet-train"]),
    ("quartet-exam", &["quartet-types", "quartet-methods"]),
    ("quartet-synth", &["quartet-types", "quartet-methods"]),
    ("quartet-train", &["quartet-types", "quartet-gguf"]),
    (
        "quartet-api",
        &[
            "quartet-types",
            "quartet-gguf",
            "quartet-worker",
            "quartet-pdf",
            "quartet-llm",
            "quartet-library",
            "quartet-methods",
            "quartet-exam",
            "quartet-synth",
            "quartet-train",
        ],
    ),
    ("quartet-cli", &["quartet-api", "quartet-types"]),
    ("quartet-desktop", &["quartet-api", "quartet-types"]),
    ("quartet-tests", &[]),
];

/// The largest source file, in bytes: a room one can see at a glance.
const LARGEST_FILE: u64 = 20_000;

fn root() -> PathBuf {
    quartet_tests::root()
}

fn metadata() -> Value {
    // Only what is built here: crates for other systems may not have been fetched.
    let version = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("a host");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .args(["--filter-platform", host])
        .current_dir(root())
        .output()
        .expect("cargo metadata runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

/// Every Rust source of ours, by path relative to the root.
fn sources() -> BTreeMap<String, String> {
    fn walk(folder: &Path, root: &Path, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).expect("a readable folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                if !path.ends_with("target") {
                    walk(&path, root, found);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).expect("below the root").to_string_lossy();
                found.insert(name.into_owned(), fs::read_to_string(&path).expect("UTF-8 source"));
            }
        }
    }
    let root = root();
    let mut found = BTreeMap::new();
    for folder in ["crates", "src-tauri", "tests"] {
        walk(&root.join(folder), &root, &mut found);
    }
    assert!(found.len() > 30, "the walk found only {} files", found.len());
    found
}

/// The lines of a source that are code, with trailing comments cut.
fn code(source: &str) -> impl Iterator<Item = &str> {
    source
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("//"))
        .map(|line| line.split(" // ").next().unwrap_or(line))
}

fn offenders(within: impl Fn(&str) -> bool, is_offence: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for (name, source) in sources() {
        if within(&name) {
            found.extend(
                code(&source).filter(|line| is_offence(line)).map(|line| format!("{name}: {line}")),
            );
        }
    }
    found
}

#[test]
fn dependencies_only_point_down() {
    let allowed: BTreeMap<&str, BTreeSet<&str>> =
        MAY_USE.iter().map(|(name, uses)| (*name, uses.iter().copied().collect())).collect();
    let metadata = metadata();
    let mut seen = 0;
    for package in list(&metadata["packages"]) {
        let name = text(&package["name"]);
        if package["source"].is_string() || !name.starts_with("quartet") {
            continue;
        }
        seen += 1;
        let allowed = allowed
            .get(name)
            .unwrap_or_else(|| panic!("{name} is not in MAY_USE: say what it may use"));
        for dependency in list(&package["dependencies"]) {
            let used = text(&dependency["name"]);
            let is_test_only = dependency["kind"] == "dev";
            assert!(
                !used.starts_with("quartet") || is_test_only || allowed.contains(used),
                "{name} must not depend on {used}"
            );
        }
    }
    assert_eq!(seen, MAY_USE.len(), "MAY_USE names a crate that does not exist");
}

#[test]
fn only_the_loopback_server_opens_a_socket() {
    // `quartet serve`, and the test that speaks to it.
    let speaks = |name: &str| {
        name.starts_with("crates/quartet-cli/src/serve/")
            || name.starts_with("tests/serve")
            || name.starts_with("tests/house")
    };
    let found = offenders(
        |name| !speaks(name),
        |line| {
            [
                "std::net",
                "tokio::net",
                "rustix::net",
                "axum",
                "TcpListener",
                "TcpStream",
                "TcpSocket",
                "UdpSocket",
                "UnixListener",
                "UnixStream",
                "UnixDatagram",
            ]
            .iter()
            .any(|word| line.contains(word))
                // Two ends within one process lead nowhere; a test counts them.
                && !line.contains("UnixStream::pair()")
        },
    );
    assert!(found.is_empty(), "{found:#?}");
    let server = offenders(
        |name| name.starts_with("crates/quartet-cli/src/serve/"),
        |line| {
            [
                "TcpStream",
                "TcpSocket",
                "UdpSocket",
                "UNSPECIFIED",
                "0.0.0.0:",
                "Ipv6Addr",
                "connect(",
            ]
            .iter()
            .any(|word| line.contains(word))
        },
    );
    // It listens on 127.0.0.1 and calls nobody. (The unit tests of its gate name addresses to
    // be refused.)
    let server: Vec<_> = server.iter().filter(|line| !line.contains("gate.rs")).collect();
    assert!(server.is_empty(), "{server:#?}");
}

#[test]
fn only_quartet_llm_is_unsafe_or_knows_the_engine() {
    let elsewhere =
        |name: &str| !name.starts_with("crates/quartet-llm/") && !name.ends_with("house.rs");
    let unsafe_code = offenders(elsewhere, |line| {
        // Not the words of a content security policy, such as 'unsafe-inline'.
        line.split(|letter: char| !letter.is_alphanumeric() && !"_-".contains(letter))
            .any(|word| word == "unsafe")
    });
    assert!(unsafe_code.is_empty(), "{unsafe_code:#?}");
    let engine = offenders(elsewhere, |line| {
        ["llama_cpp", "llama_decode", "sys::llama"].iter().any(|word| line.contains(word))
    });
    assert!(engine.is_empty(), "{engine:#?}");
}

#[test]
fn types_do_no_io() {
    let found = offenders(
        |name| name.starts_with("crates/quartet-types/src"),
        |line| {
            ["std::fs", "std::env", "std::process", "tokio", "File::"]
                .iter()
                .any(|word| line.contains(word))
        },
    );
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn methods_and_metrics_are_given_what_they_need() {
    let found = offenders(
        |name| {
            name.starts_with("crates/quartet-methods/src")
                || name.starts_with("crates/quartet-synth/src")
        },
        |line| {
            ["std::fs", "tokio::fs", "File::", "sqlx", "tantivy", "std::process", "std::env::"]
                .iter()
                .any(|word| line.contains(word))
        },
    );
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn only_quartet_train_names_the_tensor_library() {
    let found = offenders(
        |name| !name.starts_with("crates/quartet-train/") && !name.starts_with("tests/house"),
        |line| ["burn::", "cubecl", "safetensors::"].iter().any(|word| line.contains(word)),
    );
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn only_the_terminal_program_prints() {
    let found = offenders(
        |name| {
            name.starts_with("crates/")
                && name.contains("/src/")
                && !name.starts_with("crates/quartet-cli/")
        },
        |line| ["println!", "print!(", "eprintln!", "dbg!("].iter().any(|word| line.contains(word)),
    );
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn rooms_are_small() {
    let mut sizes: Vec<(u64, String)> = sources()
        .into_iter()
        .filter(|(name, _)| name.contains("/src/"))
        .map(|(name, source)| (source.len() as u64, name))
        .collect();
    sizes.sort();
    let too_large: Vec<_> = sizes.iter().filter(|(size, _)| *size > LARGEST_FILE).collect();
    assert!(too_large.is_empty(), "split by meaning: {too_large:#?}");
    let median = sizes[sizes.len() / 2].0;
    assert!(median <= 8_000, "the median source has {median} bytes");
}

#[test]
fn architecture_names_every_crate() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    for (name, _) in MAY_USE {
        assert!(page.contains(name), "ARCHITECTURE.md does not mention {name}");
    }
}

#[test]
fn no_file_names_a_machine() {
    let output = Command::new("git").args(["ls-files"]).current_dir(root()).output();
    let Ok(output) = output else { return };
    let words = [["/ro", "ot/"].concat(), ["/wo", "rk/"].concat()];
    for name in String::from_utf8_lossy(&output.stdout).lines() {
        let Ok(source) = fs::read_to_string(root().join(name)) else { continue };
        for word in &words {
            assert!(!source.contains(word.as_str()), "{name} names a path of one machine: {word}");
        }
    }
}
