//! The graph that llama.cpp builds for four families, node by node. Taps and passages find
//! their places in it by names and operations, which no release of llama.cpp promises to keep:
//! when this fails after an upgrade, compare the lists and `src/census.rs`, then renew the
//! lists in `golden/` with what the test prints.

#![allow(clippy::print_stdout, reason = "the lists to renew the golden ones with")]

mod common;

use common::families::{FAMILIES, LAYERS, family};
use common::{SMALL, load, real_model, refused, request};
use quartet_types::{ErrorCode, Prompt, Tap, TapPoint, TapRows, TapUse};

fn census(model: &quartet_llm::Model) -> String {
    model.turn(&quartet_llm::never()).unwrap().census().unwrap()
}

/// The nodes of one layer, with those whose name is only a number left out: they have no
/// meaning and shift with every release.
fn of_layer(listing: &str, layer: u32) -> Vec<String> {
    let suffix = format!("-{layer}");
    let named = |line: &&str| line.split(' ').nth(1).is_some_and(|name| name.ends_with(&suffix));
    let attention = |line: &&str| line.contains(" mask ");
    let mut layers = 0;
    listing
        .lines()
        .filter(|line| {
            layers += u32::from(attention(line));
            named(line) || (attention(line) && layers == layer + 1)
        })
        .map(|line| match line.split_once(" mask ") {
            // The node of attention itself has no lasting name.
            Some((node, mask)) => {
                let operation = node.split(' ').next().unwrap();
                let shape = &node[node.find('[').unwrap()..];
                format!("{operation} {shape} mask {mask}")
            }
            None => line.to_owned(),
        })
        .collect()
}

#[test]
fn the_graphs_are_those_that_taps_and_passages_were_written_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut changed = Vec::new();
    for name in FAMILIES {
        let model = load(&family(folder.path(), name));
        let listing = census(&model);
        let found = of_layer(&listing, 1).join("\n");
        let path = format!("{}/tests/golden/graph-{name}.txt", env!("CARGO_MANIFEST_DIR"));
        let expected = std::fs::read_to_string(path).unwrap();
        if found.trim() != expected.trim() {
            println!("== {name}\n{found}");
            changed.push(name);
        }
        for layer in 2..LAYERS - 1 {
            let (one, other) = (of_layer(&listing, 1), of_layer(&listing, layer));
            let same = |line: &String| line.replace(&format!("-{layer} "), "-1 ");
            // Gemma's layers differ in the mask that they read.
            let masked = |line: &&String| name == "gemma3" && line.contains(" mask ");
            let one: Vec<_> = one.iter().filter(|line| !masked(line)).cloned().collect();
            let other: Vec<_> = other.iter().filter(|line| !masked(line)).map(same).collect();
            assert_eq!(one, other, "{name}, layer {layer}");
        }
        let end: Vec<&str> = listing.lines().filter(|line| line.contains(" result_")).collect();
        assert_eq!(end, ["MUL result_norm [32, 1, 1, 1]", "MUL_MAT result_output [93, 1, 1, 1]"]);
        let masks = listing.lines().filter(|line| line.contains(" mask ")).count();
        assert_eq!(masks, LAYERS as usize, "{name}");
    }
    assert!(changed.is_empty(), "the graphs of {changed:?} have changed; what they are is above");
}

#[test]
fn a_graph_of_another_kind_is_refused_and_never_guessed() {
    // Queries, keys and values in one matrix: there is no node of queries before rotation.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fused.gguf");
    common::families::fused().write(&path).unwrap();
    let model = load(&path);
    let mut asked = request(Prompt::Raw(vec![quartet_types::Segment::Text("!".into())]), 2);
    let tap = |point, layer| TapUse {
        tap: Tap { point, layer, stop_after: false },
        rows: TapRows::Prompt,
    };
    asked.taps = vec![tap(TapPoint::Query, 1)];
    let error = refused(&model, &asked);
    assert_eq!(error.code, ErrorCode::NotSupported);
    assert!(error.message.contains("Qcur-0"), "{error}");
    // What does not depend on it still works.
    asked.taps = vec![tap(TapPoint::LayerOutput, 1), tap(TapPoint::FinalNorm, 0)];
    let turn = model.turn(&quartet_llm::never()).unwrap();
    assert_eq!(turn.generate(&asked, |_| {}).unwrap().taps.len(), 2);
}

#[test]
fn the_small_model_has_the_same_graph() {
    let Some(path) = real_model(SMALL) else { return };
    let model = load(&path);
    let listing = census(&model);
    let golden = include_str!("golden/graph-qwen2.txt");
    let names = |lines: Vec<String>| -> Vec<String> {
        lines.iter().map(|line| line[..line.find('[').unwrap()].to_owned()).collect()
    };
    let expected: Vec<String> = golden.trim().lines().map(str::to_owned).collect();
    assert_eq!(names(of_layer(&listing, 1)), names(expected));
    assert!(listing.contains("RESHAPE Qcur-7 [64, 14, 1, 1]"), "{listing}");
}
