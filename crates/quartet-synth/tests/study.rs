//! Whole runs with a scripted reader.

mod support;

use quartet_synth::{
    Dropped, Journal, Part, Recipe, RowKind, RowSource, Study, StudyReport, StudyRow, Writer,
    journal, words,
};
use quartet_types::{Error, ErrorCode, Passage, Result};
use std::collections::BTreeSet;
use support::{Memory, Scripted, good, passages};
use tokio_util::sync::CancellationToken;

async fn run(
    passages: &[Passage],
    reader: Option<&Scripted>,
    recipe: &Recipe,
    finished: &Journal,
    sink: &mut Memory,
) -> Result<StudyReport> {
    let reader = reader.map(|reader| reader as &dyn quartet_methods::Reader);
    let cancel = sink.stop_after.as_ref().map_or_else(CancellationToken::new, |(_, c)| c.clone());
    Study { passages, reader, recipe }.make(finished, sink, &mut |_| {}, &cancel).await
}

async fn made(reader: Option<&Scripted>, recipe: &Recipe) -> (Vec<StudyRow>, StudyReport) {
    let mut sink = Memory::default();
    let report = run(&passages(), reader, recipe, &Journal::default(), &mut sink).await.unwrap();
    (sink.items.into_iter().flat_map(|item| item.rows).collect(), report)
}

#[tokio::test]
async fn every_row_can_be_checked_against_its_page() {
    let (rows, report) = made(Some(&Scripted::new(good)), &Recipe::default()).await;
    let sources: BTreeSet<RowSource> = rows.iter().map(|row| row.source).collect();
    for source in [
        RowSource::Generated,
        RowSource::Heading,
        RowSource::Cloze,
        RowSource::Number,
        RowSource::Date,
        RowSource::Name,
        RowSource::Sentence,
    ] {
        assert!(sources.contains(&source), "no {source:?} among {sources:?}");
    }
    let passages = passages();
    for row in &rows {
        let passage = passages.iter().find(|p| p.chunk == row.provenance.chunk).unwrap();
        let span = row.provenance.span;
        let start = usize::try_from(span.start - passage.span.start).unwrap();
        let length = usize::try_from(span.end - span.start).unwrap();
        let there: String = passage.text.chars().skip(start).take(length).collect();
        assert_eq!(words::key(&there), words::key(&row.provenance.sentence), "{row:?}");
        assert_eq!(row.provenance.document, passage.document);
        match row.kind {
            RowKind::Question => {
                assert!(words::contains(&row.provenance.sentence, &row.answer), "{row:?}");
                assert!(
                    row.source == RowSource::Heading
                        || !words::contains(&row.question, &row.answer)
                );
                let tests = row.paraphrases.iter().filter(|w| w.part == Part::Test).count();
                assert_eq!(tests, 1, "one wording is held out: {row:?}");
            }
            RowKind::Unanswerable => assert_eq!(row.answer, ""),
            RowKind::Claim => assert!(matches!(row.answer.as_str(), "true" | "false")),
        }
    }
    let ids: BTreeSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(ids.len(), rows.len());
    let questions = rows.iter().filter(|row| row.kind == RowKind::Question).count();
    assert_eq!(report.facts(), questions as u64);
    assert_eq!(report.rows.values().sum::<u64>(), rows.len() as u64);
}

#[tokio::test]
async fn counts_add_up() {
    let (rows, report) = made(Some(&Scripted::new(good)), &Recipe::default()).await;
    let tally = &report.tally;
    let of_paraphrases = |why: Dropped| format!("{why:?}").starts_with("Paraphrase");
    for (source, made) in &tally.made {
        let dropped: u32 = tally
            .dropped
            .iter()
            .filter(|((held, why), _)| held == source && !of_paraphrases(*why))
            .map(|(_, count)| count)
            .sum();
        let kept = tally.kept.get(source).copied().unwrap_or_default();
        assert_eq!(kept + dropped, *made, "{source:?}: {tally:?}");
    }
    assert_eq!(tally.kept.values().sum::<u32>() as usize, rows.len());
}

#[tokio::test]
async fn claims_are_true_and_false_and_swaps_are_not_in_the_text() {
    let mut labels = BTreeSet::new();
    for seed in 0..6 {
        let recipe = Recipe { seed, ..Recipe::default() };
        let (rows, _) = made(None, &recipe).await;
        for row in rows.iter().filter(|row| row.kind == RowKind::Claim) {
            let said = support::TEXTS.iter().any(|(_, text)| words::contains(text, &row.question));
            assert_eq!(said, row.answer == "true", "{row:?}");
            labels.insert(row.answer.clone());
        }
    }
    assert_eq!(labels.len(), 2);
}

#[tokio::test]
async fn unanswerable_questions_are_made_from_answerable_ones() {
    let (rows, _) = made(Some(&Scripted::new(good)), &Recipe::default()).await;
    let unanswerable: Vec<&StudyRow> =
        rows.iter().filter(|row| row.kind == RowKind::Unanswerable).collect();
    assert!(!unanswerable.is_empty());
    for row in unanswerable {
        assert!(!rows.iter().any(|other| {
            other.kind == RowKind::Question
                && words::key(&other.question) == words::key(&row.question)
        }));
    }
}

#[tokio::test]
async fn the_same_seed_gives_the_same_rows() {
    let recipe = Recipe::default();
    let (first, _) = made(Some(&Scripted::new(good)), &recipe).await;
    let (second, _) = made(Some(&Scripted::new(good)), &recipe).await;
    assert_eq!(first, second);
}

#[tokio::test]
async fn an_interrupted_run_goes_on_with_what_is_missing() {
    let recipe = Recipe::default();
    let (whole, _) = made(Some(&Scripted::new(good)), &recipe).await;

    let mut sink = Memory { stop_after: Some((2, CancellationToken::new())), ..Memory::default() };
    let reader = Scripted::new(good);
    let stopped = run(&passages(), Some(&reader), &recipe, &Journal::default(), &mut sink).await;
    assert_eq!(stopped.unwrap_err().code, ErrorCode::Cancelled);
    assert_eq!(sink.items.len(), 2);
    // The process died while it wrote the third: half a line is left.
    let mut file: String = sink.items.iter().map(|item| journal::lines(item).unwrap()).collect();
    file.push_str("{\"format\":1,\"id\":\"12");

    let journal = Journal::read(&file);
    assert_eq!((journal.items.len(), journal.unusable), (2, 1));
    let mut rest = Memory::default();
    let report = run(&passages(), Some(&reader), &recipe, &journal, &mut rest).await.unwrap();
    assert_eq!((report.resumed, rest.items.len()), (2, 3));
    let all: Vec<StudyRow> =
        journal.items.into_iter().chain(rest.items).flat_map(|item| item.rows).collect();
    assert_eq!(all, whole);

    // Nothing is left to do, and nothing is asked.
    let file: String = {
        let mut sink = Memory::default();
        run(&passages(), Some(&reader), &recipe, &Journal::default(), &mut sink).await.unwrap();
        sink.items.iter().map(|item| journal::lines(item).unwrap()).collect()
    };
    let before = reader.calls();
    let mut idle = Memory::default();
    run(&passages(), Some(&reader), &recipe, &Journal::read(&file), &mut idle).await.unwrap();
    assert_eq!((reader.calls(), idle.items.len()), (before, 0));
}

#[tokio::test]
async fn another_recipe_is_other_work() {
    let reader = Scripted::new(good);
    let recipe = Recipe::default();
    let mut sink = Memory::default();
    run(&passages(), Some(&reader), &recipe, &Journal::default(), &mut sink).await.unwrap();
    let file: String = sink.items.iter().map(|item| journal::lines(item).unwrap()).collect();
    let other = Recipe { cloze_per_passage: 1, ..Recipe::default() };
    let mut again = Memory::default();
    run(&passages(), Some(&reader), &other, &Journal::read(&file), &mut again).await.unwrap();
    assert_eq!(again.items.len(), passages().len());
}

#[tokio::test]
async fn a_reader_that_hangs_is_cancelled() {
    let mut passages = passages();
    passages[0].text = "The keeper of the WAIT FOR EVER light gives 12 blasts in fog.".to_owned();
    let reader = Scripted::new(good);
    let recipe = Recipe::default();
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let mut sink = Memory::default();
    let study = Study { passages: &passages, reader: Some(&reader), recipe: &recipe };
    let journal = Journal::default();
    let mut tell = |_| {};
    let work = study.make(&journal, &mut sink, &mut tell, &cancel);
    // Whoever calls may spawn it.
    let _: &dyn Send = &work;
    let (result, ()) = tokio::join!(work, async move {
        tokio::task::yield_now().await;
        stop.cancel();
    });
    assert_eq!(result.unwrap_err().code, ErrorCode::Cancelled);
    assert!(sink.items.is_empty());
}

#[tokio::test]
async fn what_the_model_knows_or_cannot_find_is_dropped() {
    let mut knowing = Scripted::new(good);
    knowing.known = -0.1;
    let (rows, report) = made(Some(&knowing), &Recipe::default()).await;
    assert!(report.tally.dropped_for(Dropped::KnownWithoutPassage) > 0);
    assert!(!rows.iter().any(|row| row.source == RowSource::Generated));

    let blind = Scripted::new(|asked| {
        if asked.is_question() || asked.is_paraphrase() {
            good(asked)
        } else {
            Ok("NOT IN TEXT".to_owned())
        }
    });
    let (rows, report) = made(Some(&blind), &Recipe::default()).await;
    assert!(report.tally.dropped_for(Dropped::NotFoundByReader) > 0);
    assert!(!rows.iter().any(|row| row.source == RowSource::Generated));
}

#[tokio::test]
async fn odd_replies_are_counted_and_the_run_goes_on() {
    let odd = Scripted::new(|asked| {
        if asked.is_question() { Ok("Who is the keeper of the".to_owned()) } else { good(asked) }
    });
    let (rows, report) = made(Some(&odd), &Recipe::default()).await;
    assert!(report.tally.dropped_for(Dropped::Malformed) > 0 && !rows.is_empty());

    let long = Scripted::new(|_| Err(Error::new(ErrorCode::PromptTooLong, "too long")));
    let (rows, report) = made(Some(&long), &Recipe::default()).await;
    assert!(report.tally.dropped_for(Dropped::PassageTooLong) > 0 && !rows.is_empty());

    let dead = Scripted::new(|_| Err(Error::new(ErrorCode::WorkerDied, "gone")));
    let mut sink = Memory::default();
    let recipe = Recipe::default();
    let died = run(&passages(), Some(&dead), &recipe, &Journal::default(), &mut sink).await;
    assert_eq!(died.unwrap_err().code, ErrorCode::WorkerDied);
}

#[tokio::test]
async fn every_request_of_a_question_has_a_grammar_and_no_hole() {
    let reader = Scripted::new(|asked| {
        let writes = asked.is_question() || asked.is_paraphrase();
        assert_eq!(asked.grammar.is_some(), writes);
        for hole in ["{statement}", "{question}", "{passage}", "{title}", "{heading}"] {
            assert!(!asked.last.contains(hole), "{}", asked.last);
        }
        good(asked)
    });
    made(Some(&reader), &Recipe::default()).await;
    assert!(reader.calls() > 0);
}

#[tokio::test]
async fn without_a_model_the_rules_work() {
    let (rows, report) = made(None, &Recipe::default()).await;
    assert!(rows.len() >= 10, "{}", rows.len());
    assert!(
        rows.iter().all(|row| row.paraphrases.iter().all(|wording| wording.by != Writer::Model))
    );
    assert!(report.facts() < quartet_synth::FEWEST_FACTS);
}

#[tokio::test]
async fn duplicates_across_passages_are_dropped() {
    let mut twice = passages();
    let mut copy = twice[1].clone();
    copy.chunk = quartet_types::ChunkId(99);
    twice.push(copy);
    let mut sink = Memory::default();
    let recipe = Recipe::default();
    let report = run(&twice, None, &recipe, &Journal::default(), &mut sink).await.unwrap();
    assert!(report.tally.dropped_for(Dropped::Duplicate) > 0);
    let copied = &sink.items.last().unwrap().rows;
    assert!(copied.iter().all(|row| row.kind == RowKind::Claim), "{copied:?}");
}

#[tokio::test]
async fn a_collection_without_text_is_refused_with_a_hint() {
    let recipe = Recipe::default();
    let mut empty = passages();
    for passage in &mut empty {
        passage.text = " \n".to_owned();
    }
    for passages in [Vec::new(), empty] {
        let mut sink = Memory::default();
        let error =
            run(&passages, None, &recipe, &Journal::default(), &mut sink).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidInput);
        assert!(error.hint.is_some());
    }
}
