//! The form of the rows: stable, one line each, and no file content that breaks the reader.

use proptest::prelude::*;
use quartet_synth::{
    Checks, Journal, Part, Provenance, RowKind, RowSource, StudyRow, Tally, Wording, WorkItem,
    WorkKey, Writer, journal,
};
use quartet_types::{ChunkId, DocumentId, PageNumber, PageSpan};

fn row(item: &str, question: &str, answer: &str, wording: &str, f1: Option<f32>) -> StudyRow {
    StudyRow {
        format: 1,
        id: "0123456789abcdef".to_owned(),
        item: item.to_owned(),
        kind: RowKind::Question,
        source: RowSource::Generated,
        question: question.to_owned(),
        answer: answer.to_owned(),
        paraphrases: vec![Wording {
            text: wording.to_owned(),
            part: Part::Test,
            by: Writer::Model,
        }],
        provenance: Provenance {
            document: DocumentId(3),
            chunk: ChunkId(17),
            span: PageSpan { page: PageNumber(2), start: 40, end: 95 },
            sentence: answer.to_owned(),
        },
        document_part: Part::Train,
        checks: Checks { round_trip_f1: f1, closed_book_log_probability: None },
    }
}

/// Files that were written once must be read for ever: this line may never change.
const GOLDEN: &str = r#"{"format":1,"id":"0123456789abcdef","item":"k","kind":"question","source":"generated","question":"Who?","answer":"Maren","paraphrases":[{"text":"Which person?","part":"test","by":"model"}],"provenance":{"document":3,"chunk":17,"span":{"page":2,"start":40,"end":95},"sentence":"Maren"},"document_part":"train","checks":{"round_trip_f1":1.0,"closed_book_log_probability":null}}"#;

#[test]
fn the_form_is_stable() {
    let row = row("k", "Who?", "Maren", "Which person?", Some(1.0));
    assert_eq!(serde_json::to_string(&row).unwrap(), GOLDEN);
    assert_eq!(serde_json::from_str::<StudyRow>(GOLDEN).unwrap(), row);
}

#[test]
fn answers_are_written_in_several_ways() {
    let answers = |answer: &str| row("k", "Who?", answer, "", None).answers();
    assert_eq!(answers("The twelve racks"), ["The twelve racks", "twelve racks", "12 racks"]);
    assert_eq!(answers("Maren"), ["Maren"]);
    assert!(answers("").is_empty());
}

#[test]
fn a_deleted_document_leaves_no_row() {
    let item = |key: &str, document: i64| {
        let mut row = row(key, "Who?", "Maren", "Which person?", None);
        row.provenance.document = DocumentId(document);
        WorkItem {
            key: WorkKey(key.to_owned()),
            chunk: ChunkId(17),
            rows: vec![row],
            tally: Tally::default(),
        }
    };
    let all = [item("a", 3), item("b", 4)];
    let file: String = all.iter().map(|item| journal::lines(item).unwrap()).collect();
    let left = Journal::read(&file).without(DocumentId(3)).unwrap();
    assert!(!left.contains("\"document\":3"));
    assert_eq!(Journal::read(&left).items, all[1..]);
}

#[test]
fn rows_of_another_format_are_made_again() {
    let item = WorkItem {
        key: WorkKey("k".to_owned()),
        chunk: ChunkId(17),
        rows: vec![row("k", "Who?", "Maren", "Which person?", None)],
        tally: Tally::default(),
    };
    let newer = journal::lines(&item).unwrap().replace("\"format\":1", "\"format\":2");
    let read = Journal::read(&newer);
    assert!(read.items.is_empty());
    assert_eq!(read.unusable, 2);
}

fn items() -> impl Strategy<Value = Vec<WorkItem>> {
    let text = ".{0,30}";
    let rows = prop::collection::vec((text, text, text, prop::option::of(0.0_f32..1.0)), 0..4);
    prop::collection::vec(rows, 0..5).prop_map(|items| {
        items
            .into_iter()
            .enumerate()
            .map(|(place, rows)| {
                let key = format!("key{place}");
                WorkItem {
                    chunk: ChunkId(1),
                    rows: rows.iter().map(|(q, a, w, f)| row(&key, q, a, w, *f)).collect(),
                    tally: Tally::default(),
                    key: WorkKey(key),
                }
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(items in items()) {
        let file: String = items.iter().map(|item| journal::lines(item).unwrap()).collect();
        let lines: usize = items.iter().map(|item| item.rows.len() + 1).sum();
        prop_assert_eq!(file.lines().count(), lines);
        let read = Journal::read(&file);
        prop_assert_eq!(read.unusable, 0);
        prop_assert_eq!(read.items, items);
    }

    #[test]
    fn a_file_cut_anywhere_keeps_what_was_finished(items in items(), cut in 0.0_f64..1.0) {
        let file: String = items.iter().map(|item| journal::lines(item).unwrap()).collect();
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss,
            reason = "a place in a small file")]
        let mut place = (file.len() as f64 * cut) as usize;
        while !file.is_char_boundary(place) {
            place -= 1;
        }
        let read = Journal::read(&file[..place]);
        prop_assert!(read.items.len() <= items.len());
        prop_assert_eq!(&read.items[..], &items[..read.items.len()]);
        // And what is appended afterwards is read, though the cut line has no end.
        let again = format!("{}\n{file}", &file[..place]);
        prop_assert_eq!(Journal::read(&again).items.len(), items.len());
    }

    #[test]
    fn no_content_breaks_the_reader(text in "(.{0,40}\n){0,6}") {
        let _ = Journal::read(&text);
    }
}
