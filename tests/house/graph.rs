//! What the build consists of. `quartet serve` listens on loopback and needs an HTTP server;
//! nothing else of ours does, nothing at all is an HTTP client, and nothing speaks TLS.
//!
//! The window brings crates along that have to do with HTTP but reach no network by themselves:
//! `http` and `http-body` are types (a request's method, headers and status), in which Tauri
//! describes what the page asks of the program inside the program. On Linux `soup3` and
//! `soup3-sys` are bindings to the library that WebKit is linked with; `webkit2gtk` and `wry`
//! name its types for cookies and headers. That the window opens no internet socket is shown
//! from outside (strace), not here.

use super::root;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// HTTP servers. Only `quartet-cli` may reach them.
const SERVERS: &[&str] =
    &["actix-web", "axum", "axum-core", "hyper", "hyper-util", "tiny_http", "tower-http", "warp"];

/// HTTP clients, TLS, and what exists to reach the network. Nothing may reach them.
const CLIENTS_AND_TLS: &[&str] = &[
    "async-tls",
    "attohttpc",
    "aws-lc-rs",
    "curl",
    "curl-sys",
    "h2",
    "h3",
    "hf-hub",
    "hickory-resolver",
    "hyper-rustls",
    "hyper-tls",
    "isahc",
    "libp2p",
    "minreq",
    "native-tls",
    "openssl",
    "openssl-sys",
    "quinn",
    "reqwest",
    "ring",
    "rustls",
    "schannel",
    "security-framework",
    "surf",
    "tauri-plugin-http",
    "tauri-plugin-localhost",
    "tauri-plugin-opener",
    "tauri-plugin-shell",
    "tauri-plugin-updater",
    "tauri-plugin-upload",
    "tauri-plugin-websocket",
    "tokio-native-tls",
    "tokio-rustls",
    "tokio-tungstenite",
    "tungstenite",
    "ureq",
    "webpki",
    "webpki-roots",
];

/// Bindings to the library WebKit is linked with, and which crates may use them.
const BINDINGS: &[(&str, &[&str])] =
    &[("soup3", &["webkit2gtk", "wry"]), ("soup3-sys", &["soup3", "webkit2gtk-sys"])];

/// What is built from what, without what only tests use. From `cargo tree`: `cargo metadata` also
/// names what a dependency could be built with by features that nobody asks for.
struct Graph {
    uses: BTreeMap<String, BTreeSet<String>>,
    ours: BTreeSet<String>,
}

impl Graph {
    fn read() -> Self {
        let output = Command::new(env!("CARGO"))
            .args(["tree", "--offline", "--locked", "--workspace", "--edges", "normal,build"])
            .args(["--prefix", "depth", "--format", " {p}"])
            .current_dir(root())
            .output()
            .expect("cargo tree runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self::parse(&String::from_utf8_lossy(&output.stdout))
    }

    /// Lines are `depth name version ...`; a package's uses follow it, one deeper. Those that
    /// were told before are marked and not told again.
    fn parse(tree: &str) -> Self {
        let mut graph = Self { uses: BTreeMap::new(), ours: BTreeSet::new() };
        let mut above: Vec<String> = Vec::new();
        for line in tree.lines().filter(|line| !line.is_empty()) {
            let mut words = line.split(' ');
            let depth: usize = words.next().and_then(|word| word.parse().ok()).expect("a depth");
            let name = words.next().expect("a name").to_owned();
            let version = words.next().expect("a version");
            let package = format!("{name} {version}");
            above.truncate(depth);
            if let Some(user) = above.last() {
                graph.uses.entry(user.clone()).or_default().insert(package.clone());
            }
            if name.starts_with("quartet") {
                graph.ours.insert(package.clone());
            }
            graph.uses.entry(package.clone()).or_default();
            above.push(package);
        }
        assert!(graph.ours.len() > 10 && graph.uses.len() > 200, "a tree of {}", graph.uses.len());
        graph
    }

    /// Names of everything a package is built with, itself included.
    fn reach<'a>(&'a self, package: &'a str) -> BTreeSet<&'a str> {
        let mut seen = BTreeSet::from([package]);
        let mut open = vec![package];
        while let Some(id) = open.pop() {
            open.extend(self.uses[id].iter().map(String::as_str).filter(|used| seen.insert(used)));
        }
        seen.into_iter().map(name).collect()
    }
}

fn name(package: &str) -> &str {
    package.split(' ').next().unwrap_or(package)
}

#[test]
fn only_the_terminal_program_reaches_a_server_and_nothing_a_client_or_tls() {
    let graph = Graph::read();
    let mut serving = Vec::new();
    for package in &graph.ours {
        let reach = graph.reach(package);
        let name = name(package);
        let forbidden: Vec<_> =
            CLIENTS_AND_TLS.iter().filter(|client| reach.contains(*client)).collect();
        assert!(forbidden.is_empty(), "{name} is built with {forbidden:?}");
        if SERVERS.iter().any(|server| reach.contains(server)) {
            serving.push(name);
        }
    }
    assert_eq!(serving, ["quartet-cli"]);
}

#[test]
fn bindings_to_libsoup_are_used_by_webkit_alone() {
    let graph = Graph::read();
    for (id, uses) in &graph.uses {
        for used in uses {
            let (user, used) = (name(id), name(used));
            if let Some((_, users)) = BINDINGS.iter().find(|(name, _)| *name == used) {
                assert!(users.contains(&user), "{user} uses {used}");
            }
        }
    }
}

/// hyper can be a client too: that part is not compiled, neither alone nor with the whole.
#[test]
fn the_server_is_built_without_its_client() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--workspace", "--edges", "normal,build"])
        .args(["--prefix", "none", "--format", "{p}|{f}"])
        .current_dir(root())
        .output()
        .expect("cargo tree runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8_lossy(&output.stdout);
    let mut seen = 0;
    for line in tree.lines().filter(|line| line.starts_with("hyper")) {
        let features = line.split('|').nth(1).expect("features").trim_end_matches(" (*)");
        seen += 1;
        assert!(features.split(',').any(|feature| feature == "server"), "{line}");
        assert!(!features.split(',').any(|feature| feature.starts_with("client")), "{line}");
    }
    assert!(seen >= 2, "hyper and hyper-util are in the tree");
}
