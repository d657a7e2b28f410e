//! Whole answers by imagination with scripted ports: what exactly is asked of the engine in every
//! mode, and in what the controls differ (IAG card, tests 18 and 20).

mod outcomes;
mod script;

use quartet_methods::Options;
use quartet_methods::iag::template;
use quartet_types::{
    AnswerEvent, Control, GenerationRequest, IagFeatures, IagForm, IagMode, Outcome, PageNumber,
    Prompt, Segment, Tap, TapPoint, TapRows, TapUse, Usage,
};
use script::{
    DOCUMENT, Outing, QUESTION, ScriptedImagination, Spy, ask, bank, feed_forward, hit, imagining,
    made, text_of, tuner, without,
};

pub(crate) const GANNET: &str = "Gannet Point has a focal plane 47 metres above high water.";
const STORES: &str = "Brass polish is kept in the second store beside the old boat house.";
const ROPES: &str = "Ropes are tarred in May.";

fn raw(text: String) -> Prompt {
    Prompt::Raw(vec![Segment::Text(text)])
}

fn spy() -> Spy {
    // The same text comes twice.
    Spy {
        hits: vec![hit(1, GANNET), hit(5, GANNET), hit(2, STORES), hit(3, ROPES)],
        ..Spy::default()
    }
}

/// What reads the features, if anything does, and what answers.
fn passes(outing: &Outing) -> (Option<&GenerationRequest>, &GenerationRequest) {
    match &outing.requests[..] {
        [answer] => (None, answer),
        [features, answer] => (Some(features), answer),
        more => panic!("{} passes", more.len()),
    }
}

#[tokio::test]
async fn a_document_is_imagined_weights_are_made_and_the_base_answers() {
    let (imagination, searcher) = (ScriptedImagination::new(tuner()), spy());
    let outing = ask(&imagination, &searcher, &Options::default()).await;
    let (features, answered) = passes(&outing);

    let features = features.expect("features are read");
    assert_eq!(features.prompt, raw(template::features_text(QUESTION, DOCUMENT)));
    let tap = Tap { point: TapPoint::FinalNorm, layer: 0, stop_after: true };
    assert_eq!(features.taps, [TapUse { tap, rows: TapRows::Prompt }]);
    assert!(features.adapters.is_empty() && features.limits.max_tokens == 1);

    let file = imagination.file(&imagination.features(QUESTION, DOCUMENT));
    assert_eq!(imagination.taken(), std::slice::from_ref(&file));
    assert_eq!(answered.prompt, raw(template::answer_text(QUESTION, DOCUMENT)));
    assert!(text_of(&answered.prompt).contains(DOCUMENT));
    assert_eq!(answered.adapters, [feed_forward(), made(&file)]);
    assert_eq!((&answered.limits.stop[..], answered.taps.len()), (&["\n".to_owned()][..], 0));
    assert!(imagination.is_clean(), "the question's weights go with it");
    assert_eq!(imagination.imagined(), [QUESTION]);

    let answer = outing.answer.unwrap();
    assert_eq!((answer.outcome, answer.text.as_str()), (Outcome::Answered, "47 metres"));
    let trace = answer.iag.as_ref().unwrap();
    assert_eq!((trace.mode, trace.document.as_str()), (IagMode::OwnDocument, DOCUMENT));
    assert_eq!((trace.form, trace.control), (Some(IagForm::Hypernetwork), None));
    assert_eq!(trace.imagine, Usage { tokens_read: 15, tokens_written: 12, bytes_read: 0 });
    assert_eq!((trace.feature_tokens, trace.adapter_bytes), (20, file.len() as u64));
    assert_eq!(answer.usage.tokens_read, 30, "the question is read for its features and to answer");
    assert_eq!((answer.usage.tokens_written, answer.usage.bytes_read), (3, 0));
    let parts = [trace.imagine_ms, trace.feature_ms, trace.generate_ms, trace.load_ms];
    assert!(answer.timings.total_ms >= parts.iter().sum());

    let imagined = AnswerEvent::Imagined(DOCUMENT.to_owned(), IagMode::OwnDocument);
    assert_eq!(outing.events[0], AnswerEvent::Imagining(IagMode::OwnDocument));
    assert_eq!(outing.events[1], imagined);
    let read = outing.events.iter().filter(|one| matches!(one, AnswerEvent::Prefill { .. }));
    assert_eq!(read.count(), 1, "features are no progress in reading");
    assert!(matches!(outing.events.last(), Some(AnswerEvent::Finished(last)) if **last == answer));
}

/// Whatever is imagined, and even where the answer repeats it word for word: it is no evidence.
#[tokio::test]
async fn what_is_imagined_never_supports_anything() {
    for mode in [IagMode::OwnDocument, IagMode::ClosedBook] {
        let (imagination, searcher) = (ScriptedImagination::new(tuner()), spy());
        let outing = ask(&imagination, &searcher, &imagining(mode)).await;
        assert_eq!(outing.searched, [], "nothing is searched, whatever there is to find");
        let answer = outing.answer.unwrap();
        assert!(!answer.sentences.is_empty());
        assert!(answer.sentences.iter().all(|one| one.support.is_none()), "{answer:?}");
        assert!(answer.retrieved.is_empty() && answer.read.is_empty() && answer.used.is_empty());
        assert!(answer.search.is_none() && answer.timings.search_ms == 0.0);
        assert!(!outing.events.iter().any(|one| matches!(one, AnswerEvent::Retrieved(_))));
    }
}

#[tokio::test]
async fn a_closed_book_is_weights_and_question_alone() {
    let (imagination, searcher) = (ScriptedImagination::new(tuner()), spy());
    let outing = ask(&imagination, &searcher, &imagining(IagMode::ClosedBook)).await;
    let (features, answered) = passes(&outing);
    assert_eq!(features.unwrap().prompt, raw(template::features_text(QUESTION, "")));
    assert_eq!(answered.prompt, raw(template::answer_text(QUESTION, "")));
    let file = imagination.file(&imagination.features(QUESTION, ""));
    assert_eq!(answered.adapters, [feed_forward(), made(&file)]);
    assert!(imagination.imagined().is_empty());
    assert!(!outing.events.iter().any(|one| matches!(one, AnswerEvent::Imagined(..))));
    let trace = outing.answer.unwrap().iag.unwrap();
    assert_eq!((trace.mode, trace.document.as_str()), (IagMode::ClosedBook, ""));
    assert_eq!(trace.imagine, Usage::default());
}

#[tokio::test]
async fn retrieved_passages_are_squeezed_and_cited_by_themselves() {
    let (imagination, searcher) = (ScriptedImagination::new(tuner()), spy());
    let outing = ask(&imagination, &searcher, &imagining(IagMode::Retrieved)).await;
    assert_eq!(outing.searched, [(QUESTION.to_owned(), Options::default().retrieve)]);
    assert!(imagination.imagined().is_empty());
    let (features, answered) = passes(&outing);
    let answer = outing.answer.as_ref().unwrap();
    let trace = answer.iag.as_ref().unwrap();
    assert_eq!(trace.mode, IagMode::Retrieved);
    let words: Vec<&str> = trace.document.split(' ').collect();
    // A fifth of the words of the two passages that are read.
    let count = GANNET.split(' ').count() + STORES.split(' ').count();
    assert!(!words.is_empty() && words.len() <= count / 5, "{words:?}");
    let known: Vec<&str> = GANNET.split(' ').chain(STORES.split(' ')).collect();
    assert!(words.iter().all(|word| known.contains(word)), "{words:?}");
    assert_eq!(features.unwrap().prompt, raw(template::features_text(QUESTION, &trace.document)));
    assert_eq!(answered.prompt, raw(template::answer_text(QUESTION, &trace.document)));

    // The same text counts once; what is cited is a passage, with its page.
    let chunks: Vec<i64> = answer.retrieved.iter().map(|hit| hit.passage.chunk.0).collect();
    assert_eq!((chunks, &answer.read[..]), (vec![1, 2, 3], &[0, 1][..]));
    assert_eq!(answer.used, [0]);
    let support = answer.sentences[0].support.as_ref().unwrap();
    assert_eq!((support.passage, support.span.page), (0, PageNumber(3)));
    assert_eq!(answer.usage.bytes_read, (GANNET.len() + STORES.len()) as u64);
    assert_eq!(trace.imagine.tokens_read as usize, 2 * count, "alone and after the question");
    assert_eq!(trace.imagine.tokens_written, 0);
    assert_eq!(outing.events[0], AnswerEvent::Imagining(IagMode::Retrieved));
    let AnswerEvent::Retrieved(hits) = &outing.events[1] else { panic!("passages first") };
    assert_eq!(hits.len(), 4);
    let squeezed = AnswerEvent::Imagined(trace.document.clone(), IagMode::Retrieved);
    assert_eq!(outing.events[2], squeezed);
    assert!(answer.timings.search_ms <= trace.imagine_ms);
}

#[tokio::test]
async fn a_control_differs_in_what_it_takes_away_and_in_nothing_else() {
    let searcher = spy();
    let whole = ScriptedImagination::new(tuner());
    let outing = ask(&whole, &searcher, &Options::default()).await;
    let (usual_features, usual) = passes(&outing);
    let usual_features = usual_features.unwrap();
    let constant = whole.tuner.constant.clone();
    let another = whole.tuner.another(QUESTION).to_vec();
    assert!(whole.tuner.others.chunks(3).any(|one| one == another));
    // What reads the features, what they are, and what answers.
    let read_with = |document: &str| GenerationRequest {
        prompt: raw(template::features_text(QUESTION, document)),
        ..usual_features.clone()
    };
    let both = |document: &str| whole.features(QUESTION, document);
    let closed = raw(template::answer_text(QUESTION, ""));
    let open = usual.prompt.clone();
    let cases = [
        (Control::NoDocument, Some(read_with("")), Some(both("")), closed, true),
        (Control::NoHypernetwork, None, None, open.clone(), true),
        (Control::ConstantFeatures, None, Some(constant), open.clone(), true),
        (Control::ShuffledFeatures, None, Some(another), open.clone(), true),
        (Control::QuestionFeatures, Some(read_with("")), Some(both("")), open.clone(), true),
        (Control::NoFeedForward, Some(read_with(DOCUMENT)), Some(both(DOCUMENT)), open, false),
    ];
    let mut files = whole.taken();
    for (control, read, features, prompt, has_feed_forward) in cases {
        let imagination = ScriptedImagination::new(tuner());
        let outing = ask(&imagination, &searcher, &without(control)).await;
        let (found, answered) = passes(&outing);
        assert_eq!(found, read.as_ref(), "{control:?}");
        let own = features.map(|features| imagination.file(&features));
        let mut adapters = Vec::new();
        adapters.extend(has_feed_forward.then(feed_forward));
        adapters.extend(own.as_deref().map(made));
        let expected = GenerationRequest { prompt, adapters, ..usual.clone() };
        assert_eq!(answered, &expected, "{control:?}");
        assert_eq!(imagination.taken(), own.iter().cloned().collect::<Vec<_>>(), "{control:?}");
        assert!(imagination.is_clean(), "{control:?}");
        let has_document = control != Control::NoDocument;
        assert_eq!(imagination.imagined().len(), usize::from(has_document), "{control:?}");
        let trace = outing.answer.unwrap().iag.unwrap();
        assert_eq!(trace.control, Some(control));
        assert_eq!(trace.form.is_none(), control == Control::NoHypernetwork);
        assert_eq!(trace.feature_tokens == 0, read.is_none(), "{control:?}");
        let mode = if has_document { IagMode::OwnDocument } else { IagMode::ClosedBook };
        assert_eq!(trace.mode, mode);
        files.extend(own);
    }
    // Weights with a document, without one (twice), constant, shuffled, and once more with one.
    files.sort();
    files.dedup();
    assert_eq!(files.len(), 4, "different features make different weights");
    assert!(searcher.asked.lock().unwrap().is_empty());

    // Passages in place of the document.
    let imagination = ScriptedImagination::new(tuner());
    let outing = ask(&imagination, &searcher, &without(Control::Retrieved)).await;
    assert_eq!(outing.searched.len(), 1);
    let answer = outing.answer.unwrap();
    assert_eq!(answer.used, [0]);
    assert_eq!(answer.iag.unwrap().mode, IagMode::Retrieved);
    assert!(imagination.imagined().is_empty() && imagination.is_clean());
}

#[tokio::test]
async fn an_artefact_of_question_features_reads_no_document_for_them() {
    let mut own = tuner();
    own.options.features = IagFeatures::Question;
    let imagination = ScriptedImagination::new(own);
    let outing = ask(&imagination, &spy(), &Options::default()).await;
    let (features, answered) = passes(&outing);
    assert_eq!(features.unwrap().prompt, raw(template::features_text(QUESTION, "")));
    assert_eq!(answered.prompt, raw(template::answer_text(QUESTION, DOCUMENT)));
}

/// Of a bank only strengths are made; its members stay loaded.
#[tokio::test]
async fn a_bank_is_always_loaded() {
    let imagination = ScriptedImagination::new(bank());
    let outing = ask(&imagination, &spy(), &Options::default()).await;
    let (_, answered) = passes(&outing);
    let [first, members @ ..] = &answered.adapters[..] else { panic!("adapters") };
    assert_eq!((first, members.len()), (&feed_forward(), 3));
    let names: Vec<_> = members.iter().map(|one| one.adapter.clone()).collect();
    assert_eq!(names, imagination.tuner.members);
    assert!(members.iter().any(|one| one.scale != members[0].scale), "{members:?}");
    assert!(imagination.taken().is_empty() && imagination.is_clean());
    let trace = outing.answer.as_ref().unwrap().iag.as_ref().unwrap();
    assert_eq!((trace.form, trace.adapter_bytes), (Some(IagForm::Bank), 0));
    // Shuffled features are other strengths.
    let outing = ask(&imagination, &spy(), &without(Control::ShuffledFeatures)).await;
    assert_ne!(passes(&outing).1.adapters[1..], *members);
}
