//! What the build consists of. `quartet serve` listens on loopback and needs an HTTP server;
//! nothing else of ours does, nothing at all is an HTTP client, and nothing speaks TLS.
//!
//! The window brings crates along that have to do with HTTP but reach no network by themselves:
//! `http` and `http-body` are types (a request's method, headers and status), in which Tauri
//! describes what the page asks of the program inside the program. On Linux `soup3` and
//! `soup3-sys` are bindings to the library that WebKit is linked with; `webkit2gtk` and `wry`
//! name its types for cookies and headers. That the window opens no internet socket is shown
//! from outside (strace), not here.

use super::{list, metadata, root, text};
use serde_json::Value;
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

/// The resolved graph, without what only tests use.
struct Graph {
    names: BTreeMap<String, String>,
    uses: BTreeMap<String, Vec<String>>,
    ours: BTreeSet<String>,
}

impl Graph {
    fn of(metadata: &Value) -> Self {
        let mut graph =
            Self { names: BTreeMap::new(), uses: BTreeMap::new(), ours: BTreeSet::new() };
        for package in list(&metadata["packages"]) {
            let id = text(&package["id"]).to_owned();
            if package["source"].is_null() {
                graph.ours.insert(id.clone());
            }
            graph.names.insert(id, text(&package["name"]).to_owned());
        }
        for node in list(&metadata["resolve"]["nodes"]) {
            let uses = list(&node["deps"])
                .iter()
                .filter(|used| list(&used["dep_kinds"]).iter().any(|kind| kind["kind"] != "dev"))
                .map(|used| text(&used["pkg"]).to_owned());
            graph.uses.insert(text(&node["id"]).to_owned(), uses.collect());
        }
        graph
    }

    /// Names of everything a package is built with, itself included.
    fn reach(&self, package: &str) -> BTreeSet<&str> {
        let mut seen = BTreeSet::from([package]);
        let mut open = vec![package];
        while let Some(id) = open.pop() {
            open.extend(self.uses[id].iter().map(String::as_str).filter(|used| seen.insert(used)));
        }
        seen.into_iter().map(|id| self.names[id].as_str()).collect()
    }
}

#[test]
fn only_the_terminal_program_reaches_a_server_and_nothing_a_client_or_tls() {
    let metadata = metadata();
    let graph = Graph::of(&metadata);
    let mut serving = Vec::new();
    for id in &graph.ours {
        let reach = graph.reach(id);
        let name = graph.names[id].as_str();
        let forbidden: Vec<_> =
            CLIENTS_AND_TLS.iter().filter(|name| reach.contains(*name)).collect();
        assert!(forbidden.is_empty(), "{name} is built with {forbidden:?}");
        if SERVERS.iter().any(|server| reach.contains(server)) {
            serving.push(name);
        }
    }
    assert_eq!(serving, ["quartet-cli"]);
}

#[test]
fn bindings_to_libsoup_are_used_by_webkit_alone() {
    let metadata = metadata();
    let graph = Graph::of(&metadata);
    for (id, uses) in &graph.uses {
        for used in uses {
            let (user, used) = (graph.names[id].as_str(), graph.names[used].as_str());
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
