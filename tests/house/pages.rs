//! The pages of the window: what their sources may not do. The content security policy forbids
//! most of this too; here it is found before anything runs.

use super::{LARGEST_FILE, root};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Written by a test of quartet-api, as long as it must be.
const GENERATED: &str = "ui/src/lib/bindings.ts";

/// Sources of the pages by path relative to the root, the page that loads them included.
fn sources() -> BTreeMap<String, String> {
    fn walk(folder: &Path, root: &Path, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).expect("a readable folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, root, found);
            } else if path.extension().is_some_and(|ending| {
                ["svelte", "ts", "js", "css", "html"].iter().any(|known| ending == *known)
            }) {
                let name = path.strip_prefix(root).expect("below the root").to_string_lossy();
                found.insert(name.into_owned(), fs::read_to_string(&path).expect("UTF-8 source"));
            }
        }
    }
    let root = root();
    let mut found = BTreeMap::new();
    walk(&root.join("ui/src"), &root, &mut found);
    if let Ok(page) = fs::read_to_string(root.join("ui/index.html")) {
        found.insert("ui/index.html".to_owned(), page);
    }
    assert!(found.contains_key(GENERATED), "the walk found {} files", found.len());
    found
}

fn offenders(
    within: impl Fn(&str) -> bool,
    is_offence: impl Fn(&str, &str) -> bool,
) -> Vec<String> {
    let mut found = Vec::new();
    for (name, source) in sources() {
        if within(&name) {
            let lines = source.lines().map(str::trim).filter(|line| !line.starts_with("//"));
            found.extend(
                lines.filter(|line| is_offence(&name, line)).map(|line| format!("{name}: {line}")),
            );
        }
    }
    found
}

fn is_markup(name: &str) -> bool {
    name.ends_with(".svelte") || name.ends_with(".html")
}

fn is_test(name: &str) -> bool {
    name.contains(".test.")
}

/// Whether `word` stands in `line` and is not the end of a longer name.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(place, _)| {
        !line[..place].ends_with(|before: char| before.is_alphanumeric() || "_$#-".contains(before))
    })
}

/// Whether a tag in `line` has the attribute: `name=` after a space or at the start.
fn has_attribute(line: &str, name: &str) -> bool {
    line.match_indices(&format!("{name}="))
        .any(|(place, _)| line[..place].is_empty() || line[..place].ends_with(char::is_whitespace))
}

/// Whether a line of markup has a script of its own; the script of a component, which is
/// compiled into a file, begins its line.
fn has_inline_script(name: &str, line: &str) -> bool {
    let tags = line.match_indices("<script");
    if name.ends_with(".html") {
        tags.into_iter().any(|(place, _)| !line[place..].contains(" src=\""))
    } else {
        tags.into_iter().any(|(place, _)| place > 0)
    }
}

#[test]
fn only_the_transport_knows_the_window() {
    let found = offenders(
        |name| !name.starts_with("ui/src/lib/transport/"),
        |_, line| line.contains("@tauri-apps") || line.contains("__TAURI"),
    );
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn only_the_transport_reaches_the_server() {
    let words = ["fetch(", "XMLHttpRequest", "WebSocket", "EventSource", "sendBeacon", "RTCPeer"];
    let found = offenders(
        |name| !name.starts_with("ui/src/lib/transport/") && !is_test(name),
        |_, line| words.iter().any(|word| has_word(line, word)),
    );
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn markup_is_never_made_of_text() {
    let words =
        ["{@html", ".innerHTML", ".outerHTML", "insertAdjacentHTML", "document.write", "srcdoc"];
    let found =
        offenders(|name| !is_test(name), |_, line| words.iter().any(|word| line.contains(word)));
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn no_page_has_inline_styles_or_scripts() {
    let styles = offenders(is_markup, |_, line| has_attribute(line, "style"));
    assert!(styles.is_empty(), "use class: or style:property instead: {styles:#?}");
    let scripts = offenders(is_markup, has_inline_script);
    assert!(scripts.is_empty(), "{scripts:#?}");
    let made = offenders(
        |name| !is_test(name),
        |_, line| {
            has_word(line, "eval(")
                || line.contains("new Function(")
                || line.contains("javascript:")
        },
    );
    assert!(made.is_empty(), "{made:#?}");
}

#[test]
fn rooms_of_the_pages_are_small() {
    let too_large: Vec<_> = sources()
        .into_iter()
        .filter(|(name, source)| name != GENERATED && source.len() as u64 > LARGEST_FILE)
        .map(|(name, source)| format!("{name}: {} bytes", source.len()))
        .collect();
    assert!(too_large.is_empty(), "split by meaning: {too_large:#?}");
}

/// The searches above would be worth nothing if they found nothing.
#[test]
fn offences_are_recognised() {
    assert!(has_attribute("<p class=\"a\" style=\"color: red\">", "style"));
    assert!(has_attribute("style={color}", "style"));
    assert!(!has_attribute("<p style:width={width} data-style=\"a\">", "style"));
    assert!(has_inline_script("index.html", "<script>alert(1)</script>"));
    assert!(!has_inline_script(
        "index.html",
        "<script type=\"module\" src=\"/src/main.ts\"></script>"
    ));
    assert!(has_inline_script("a.svelte", "<svelte:head><script>"));
    assert!(!has_inline_script("a.svelte", "<script lang=\"ts\">"));
    assert!(has_word("await fetch(url)", "fetch("));
    assert!(has_word("window.fetch(url)", "window.fetch("));
    assert!(!has_word("prefetch(url)", "fetch("));
    assert!(!has_word("this.#fetch(start)", "fetch("));
}
