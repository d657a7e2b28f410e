//! How well text comes out, measured against known text.
//!
//! `QUARTET_PDF_OUT=folder` keeps the texts for a look.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a skipped test and the figures reached should be seen"
)]

mod common;

use quartet_pdf::{ExtractEvent, ExtractOptions, Extractors, RawPage, extract, normalise_document};
use std::ops::ControlFlow;
use std::path::Path;

fn read(path: &Path, extractors: Extractors) -> (Vec<RawPage>, Option<quartet_types::Error>) {
    let options = ExtractOptions { extractors, ..ExtractOptions::standard() };
    let mut pages = Vec::new();
    let outcome = extract(path, &options, &mut |event| {
        if let ExtractEvent::Page(page) = event {
            pages.push(page);
        }
        ControlFlow::Continue(())
    });
    (pages, outcome.err())
}

fn text_of(path: &Path, extractors: Extractors) -> String {
    let (pages, _) = read(path, extractors);
    let texts: Vec<String> = normalise_document(&pages).into_iter().map(|page| page.text).collect();
    let text = texts.join("\n\n");
    if let Some(folder) = std::env::var_os("QUARTET_PDF_OUT") {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let marked: Vec<String> = pages
            .iter()
            .zip(&texts)
            .map(|(page, text)| {
                format!("=== {} {:?} {:?}\n{text}\n", page.number, page.extractor, page.problems)
            })
            .collect();
        std::fs::write(
            Path::new(&folder).join(format!("{name}.{extractors:?}.txt")),
            marked.concat(),
        )
        .unwrap();
    }
    text
}

#[test]
fn known_text_comes_out_as_it_was() {
    let Some(folder) = common::data("pdfs/truth") else { return };
    let mut failures = Vec::new();
    for path in common::files(&folder, ".pdf") {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let truth = std::fs::read_to_string(path.with_extension("gt.txt")).unwrap();
        let text = text_of(&path, Extractors::Both);
        let f1 = common::word_f1(&truth, &text);
        let (floor, value) = if name == "GeoTopo" {
            (0.90, f1)
        } else {
            let floor = if name.starts_with("latex") { 0.99 } else { 0.996 };
            let similarity = common::character_similarity(
                &common::comparable(&truth),
                &common::comparable(&text),
            );
            (floor, similarity)
        };
        println!("{name:50} {value:.4} (floor {floor}), word F1 {f1:.4}");
        if value < floor {
            failures.push(format!("{name}: {value:.4} < {floor}"));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

/// Real documents have no known text; `pdftotext` stands in for it. Word F1 of one half is
/// far above what wrong characters, torn words or an empty page reach.
const READABLE: f64 = 0.5;

#[test]
fn two_extractors_read_more_real_documents_than_either_alone() {
    let Some(folder) = common::data("pdfs/good") else { return };
    let mut readable = [0; 3];
    for path in common::files(&folder, ".pdf") {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let Ok(output) = std::process::Command::new("pdftotext").arg(&path).arg("-").output()
        else {
            eprintln!("skipped: pdftotext is not installed");
            return;
        };
        let reference = String::from_utf8_lossy(&output.stdout).into_owned();
        if reference.trim().is_empty() {
            continue;
        }
        let scores = [Extractors::Both, Extractors::FirstOnly, Extractors::SecondOnly]
            .map(|extractors| common::word_f1(&reference, &text_of(&path, extractors)));
        println!(
            "{name:45} both {:.3}, first {:.3}, second {:.3}",
            scores[0], scores[1], scores[2]
        );
        for (count, score) in readable.iter_mut().zip(scores) {
            *count += u32::from(score >= READABLE);
        }
    }
    let [both, first, second] = readable;
    println!("readable: both {both}, first {first}, second {second}");
    assert!(both >= first && both >= second, "both {both}, first {first}, second {second}");
}

/// Both libraries, one of them, and the wrong one for a file that needs a password.
#[test]
fn protected_files_are_named_as_such() {
    let Some(folder) = common::data("pdfs/good") else { return };
    for name in [
        "005-libreoffice-writer-password__libreoffice-writer-password.pdf",
        "encryption__rc4-128.pdf",
    ] {
        for extractors in [Extractors::Both, Extractors::FirstOnly, Extractors::SecondOnly] {
            let (pages, error) = read(&folder.join(name), extractors);
            assert!(pages.is_empty());
            assert_eq!(
                error.map(|error| error.code),
                Some(quartet_types::ErrorCode::Protected),
                "{name}"
            );
        }
    }
}
