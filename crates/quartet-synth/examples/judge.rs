//! Has another model answer every question of a file of study material from its passage, with a
//! prompt of its own, and prints how often it comes to the same answer.
//!
//! ```text
//! judge PASSAGES.jsonl ROWS.jsonl PROGRAM MODEL.gguf
//! ```

#![allow(clippy::print_stdout, reason = "what it is for")]

mod support;

use quartet_methods::Reader;
use quartet_synth::{Journal, RowKind, RowSource, words};
use quartet_types::{Error, GenerationRequest, Message, Passage, Prompt, Result, Role};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use support::WorkerReader;
use tokio_util::sync::CancellationToken;

async fn same(
    reader: &WorkerReader,
    passage: &Passage,
    question: &str,
    answer: &str,
) -> Result<bool> {
    let text = format!(
        "{}\n{}\n\n{question}\nAnswer with the shortest phrase of the text above, or with NONE.",
        passage.title, passage.text
    );
    let mut request = GenerationRequest::new(
        reader.model().model.clone(),
        Prompt::Chat(vec![Message::text(Role::User, text)]),
    );
    request.limits.max_tokens = 40;
    let said = reader.generate(request, &CancellationToken::new(), &mut |_| {}).await?.text;
    let same = words::contains(&said, answer) || words::f1(&said, answer) >= 0.5;
    if !same {
        println!("  {question} | {answer} | {}", said.trim());
    }
    Ok(same)
}

#[tokio::main]
async fn main() -> Result<()> {
    let paths: Vec<PathBuf> = std::env::args().skip(1).map(PathBuf::from).collect();
    let [passages, rows, program, model] = paths.as_slice() else {
        return Err(Error::internal("four arguments are needed"));
    };
    let read =
        |path: &PathBuf| fs::read_to_string(path).map_err(|error| Error::from_io(&error, path));
    let passages: Vec<Passage> =
        read(passages)?.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let journal = Journal::read(&read(rows)?);
    let reader = WorkerReader::load(program.clone(), model.clone()).await?;
    let mut counts: BTreeMap<(RowSource, &str), (u32, u32)> = BTreeMap::new();
    for row in journal.rows().filter(|row| row.kind == RowKind::Question) {
        if matches!(row.source, RowSource::Cloze | RowSource::Heading) {
            continue;
        }
        let Some(passage) = passages.iter().find(|passage| passage.chunk == row.provenance.chunk)
        else {
            continue;
        };
        for (place, (wording, _)) in row.wordings().enumerate() {
            let which = if place == 0 { "question" } else { "paraphrase" };
            let right = same(&reader, passage, wording, &row.answer).await?;
            let count = counts.entry((row.source, which)).or_default();
            count.0 += u32::from(right);
            count.1 += 1;
        }
    }
    for ((source, which), (right, all)) in counts {
        println!("{source:?} {which}: {right} of {all}");
    }
    Ok(())
}
