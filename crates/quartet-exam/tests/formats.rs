//! The question files of the invented test collection, in all four formats.

#![allow(clippy::print_stderr, reason = "a skipped test should be seen")]

use quartet_exam::{Expected, Format, parse_questions};
use std::path::Path;

#[test]
fn every_row_is_read_in_its_format() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/fiction-a");
    for (file, format, count, expected) in [
        ("qa", Format::Question, 367, Expected::Answer),
        ("claims", Format::Claim, 53, Expected::Answer),
        ("relations", Format::Relation, 175, Expected::Answer),
        ("titles", Format::Title, 30, Expected::Answer),
        ("unanswerable", Format::Question, 55, Expected::Refusal),
    ] {
        let path = folder.join(file).with_extension("jsonl");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => {
                let message = format!("skipped: {}: {error}", path.display());
                assert!(std::env::var_os("QUARTET_REQUIRE_DATA").is_none(), "{message}");
                eprintln!("{message}");
                return;
            }
        };
        let questions = parse_questions(file, &text).unwrap();
        assert_eq!(questions.len(), count, "{file}");
        for question in questions {
            assert_eq!((question.format, question.expected), (format, expected), "{question:?}");
            let has_evidence = !question.evidence.is_empty();
            assert_eq!(has_evidence, expected == Expected::Answer, "{question:?}");
        }
    }
}
