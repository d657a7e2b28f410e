//! Whole answers by implicit query with a scripted reader and scripted passages: what exactly is
//! asked of the engine, and in what the controls differ.

mod outcomes;
mod script;

use quartet_methods::imprag::template;
use quartet_methods::{Options, Question};
use quartet_types::{
    AnswerEvent, Control, GenerationRequest, ImpragMode, ImpragTier, Outcome, PageNumber,
    PassageSource, PassageTexts, PassageUse, Tap, TapPoint, TapRows, TapUse,
};
use script::{
    Asked, GANNET, QUESTION, STORES, VECTOR, adapter, ask, ask_as, ask_with, hit, passages, raw,
    ready, setup, shown, stored,
};

#[tokio::test]
async fn the_query_stops_at_its_layer_and_the_answer_reads_in_the_middle() {
    let outing = ask(&passages(setup(ImpragMode::Fast))).await;
    let [query, written] = &outing.requests[..] else { panic!("two passes") };
    assert_eq!(query.prompt, raw(QUESTION));
    let tap = Tap { point: TapPoint::Query, layer: 2, stop_after: true };
    assert_eq!(query.taps, [TapUse { tap, rows: TapRows::PromptLast }]);
    assert_eq!((&query.adapters, &query.passages), (&adapter(1), &None));

    assert_eq!(written.prompt, raw(QUESTION));
    assert_eq!((&written.adapters, &written.taps[..]), (&adapter(3), &[][..]));
    assert_eq!(written.limits.stop, ["\n"]);
    // The same text (chunk 5) is read once, the best first; the prompt stands where it always
    // does, though there is room for fewer tokens than two passages may have.
    let expected = PassageUse {
        source: stored(&[1, 2]),
        first_layer: 2,
        last_layer: 4,
        prompt_position: 32,
        adapters: adapter(4),
    };
    assert_eq!(shown(written), &expected);
    assert_eq!(
        outing.asked,
        [Asked::Nearest { query: VECTOR.to_vec(), taught: true }, Asked::States(vec![1, 2])],
        "retrieved once"
    );
}

#[tokio::test]
async fn the_answer_cites_what_was_read_and_says_how_it_came_about() {
    let outing = ask(&passages(setup(ImpragMode::Fast))).await;
    let answer = outing.answer.unwrap();
    assert_eq!((answer.outcome, answer.text.as_str()), (Outcome::Answered, "47 metres"));
    let chunks: Vec<i64> = answer.retrieved.iter().map(|hit| hit.passage.chunk.0).collect();
    assert_eq!(
        (chunks, &answer.read[..], &answer.used[..]),
        (vec![1, 2, 3], &[0, 1][..], &[0][..])
    );
    assert_eq!(answer.sentences[0].support.as_ref().unwrap().span.page, PageNumber(3));
    assert_eq!(answer.usage.tokens_read, 20, "the prompt twice; states are not read again");
    assert_eq!(answer.usage.bytes_read, (GANNET.len() + STORES.len()) as u64);
    assert_eq!((answer.timings.queue_ms, answer.timings.prefill_ms), (2.0, 2.0));
    assert!(answer.abstention.is_none() && answer.search.is_none());
    let trace = answer.imprag.as_ref().unwrap();
    assert_eq!((trace.mode, trace.tier, trace.layers), (ImpragMode::Fast, ImpragTier::T0, (2, 4)));
    assert_eq!((&trace.scores[..], trace.best), (&[Some(9.0), Some(8.0)][..], Some(9.0)));
    assert_eq!((trace.encoded, trace.passage_tokens, trace.restored_bytes), (1, 30, 168_960));
    assert!(!trace.is_hybrid && trace.control.is_none() && trace.threshold.is_none());
    assert!(answer.timings.search_ms >= trace.query_ms + trace.search_ms);
    assert!(answer.timings.total_ms >= answer.timings.first_token_ms);

    let AnswerEvent::Retrieved(hits) = &outing.events[0] else { panic!("passages first") };
    assert_eq!(hits, &answer.retrieved);
    let read = outing.events.iter().filter(|one| matches!(one, AnswerEvent::Prefill { .. }));
    assert_eq!(read.count(), 1, "the query is no progress in reading");
    assert!(matches!(outing.events.last(), Some(AnswerEvent::Finished(last)) if **last == answer));
}

#[tokio::test]
async fn quality_reads_the_texts_together_best_first() {
    let outing = ask(&passages(setup(ImpragMode::Quality))).await;
    let read = shown(&outing.requests[1]);
    let texts = [GANNET, STORES].map(|text| template::passage("Lights", None, text));
    assert_eq!(
        read.source,
        PassageSource::Texts(PassageTexts { texts: texts.to_vec(), together: true })
    );
    assert_eq!((read.first_layer, read.last_layer, read.prompt_position), (2, 4, 32));
    assert_eq!(outing.asked.len(), 1, "no states are asked for");
    let answer = outing.answer.unwrap();
    // 13 and 10 words of passages, and the prompt twice.
    assert_eq!(answer.usage.tokens_read, 43);
    let trace = answer.imprag.unwrap();
    assert_eq!((trace.mode, trace.encoded, trace.passage_tokens), (ImpragMode::Quality, 2, 23));
    assert_eq!((trace.restored_bytes, answer.usage.bytes_read), (0, 99));
}

#[tokio::test]
async fn a_long_passage_is_cut_at_a_word_and_still_ends_as_all_do() {
    let mut long = passages(setup(ImpragMode::Quality));
    let text = "word ".repeat(400);
    long.near = vec![hit(1, text.trim(), 9.0)];
    let outing = ask(&long).await;
    let PassageSource::Texts(PassageTexts { texts, .. }) = &shown(&outing.requests[1]).source
    else {
        panic!("texts")
    };
    let tokens = texts[0].split_whitespace().count();
    assert!((10..=15).contains(&tokens), "{tokens} of 16, one left for a start token");
    assert!(texts[0].starts_with("Lights: word") && texts[0].ends_with("word ##"), "{}", texts[0]);
    assert_eq!(outing.answer.unwrap().usage.bytes_read, 5 * (tokens as u64 - 2) - 1);
}

#[tokio::test]
async fn of_a_state_that_was_cut_only_what_was_read_counts() {
    let mut cut = passages(setup(ImpragMode::Fast));
    cut.cut = "Gannet Point has".len();
    let answer = ask(&cut).await.answer.unwrap();
    assert_eq!(answer.usage.bytes_read, 2 * cut.cut as u64);
    assert!(answer.sentences[0].support.is_none(), "the words that hold it were not read");
}

#[tokio::test]
async fn a_control_differs_in_what_it_takes_away_and_in_nothing_else() {
    let whole = ask(&passages(setup(ImpragMode::Fast))).await;
    let [query, written] = &whole.requests[..] else { panic!("two passes") };
    let with = |change: &dyn Fn(&mut PassageUse)| {
        let mut request = written.clone();
        change(request.passages.as_mut().unwrap());
        request
    };
    let near = Asked::Nearest { query: VECTOR.to_vec(), taught: true };
    let bare = Asked::Nearest { query: VECTOR.to_vec(), taught: false };
    let texts = || {
        let texts = [GANNET, STORES].map(|text| template::passage("Lights", None, text)).to_vec();
        PassageSource::Texts(PassageTexts { texts, together: true })
    };
    let cases = [
        (
            Control::UntrainedHeads,
            // The nearest in the order of the bare model.
            with(&|shown| shown.source = stored(&[3, 2])),
            vec![bare, Asked::States(vec![3, 2])],
        ),
        (
            Control::Lexical,
            with(&|shown| shown.source = stored(&[3, 4])),
            vec![near.clone(), Asked::Words(QUESTION.to_owned()), Asked::States(vec![3, 4])],
        ),
        (
            Control::Random,
            with(&|shown| shown.source = stored(&[3, 2])),
            vec![near.clone(), Asked::Random(QUESTION.to_owned()), Asked::States(vec![3, 2])],
        ),
        (
            Control::HideAll,
            with(&|shown| (shown.first_layer, shown.last_layer) = (5, 4)),
            vec![near.clone(), Asked::States(vec![1, 2])],
        ),
        (
            Control::RevealAll,
            with(&|shown| {
                (shown.first_layer, shown.last_layer) = (0, 5);
                shown.source = texts();
            }),
            vec![near],
        ),
    ];
    for (control, expected, asked) in cases {
        let outing = ask_as(control, &passages(setup(ImpragMode::Fast))).await;
        assert_eq!(outing.requests[1], expected, "{control:?}");
        assert_eq!(outing.asked, asked, "{control:?}");
        let adapters_off = control == Control::UntrainedHeads;
        let expected = if adapters_off { Vec::new() } else { query.adapters.clone() };
        let same = GenerationRequest { adapters: expected, ..query.clone() };
        assert_eq!(outing.requests[0], same, "{control:?}");
        assert_eq!(outing.answer.unwrap().imprag.unwrap().control, Some(control));
    }
}

#[tokio::test]
async fn the_oracle_reads_the_gold_passage_wherever_it_was() {
    let passages = passages(setup(ImpragMode::Fast));
    let options = Options {
        control: Some(Control::Oracle),
        evidence: vec!["The lantern of Low Tern burns 19 met-\nres above the sea".to_owned()],
        ..Options::default()
    };
    let outing = ask_with(Question::fresh(QUESTION), &passages, &options).await;
    assert_eq!(outing.asked.last(), Some(&Asked::States(vec![4, 1])), "then the nearest");
    let words: Vec<&Asked> =
        outing.asked.iter().filter(|asked| matches!(asked, Asked::Words(_))).collect();
    assert_eq!(words.len(), 2, "by the question's words and by its own");
    let trace = outing.answer.unwrap().imprag.unwrap();
    assert_eq!(trace.scores, [None, Some(9.0)], "found by its words");

    // Without evidence it is the method itself.
    let outing = ask_as(Control::Oracle, &ready()).await;
    assert_eq!(outing.asked.last(), Some(&Asked::States(vec![1, 2])));
}
