//! What is left when something goes wrong, and what is measured.

use crate::script::{
    DOCUMENT, QUESTION, REWRITTEN, ScriptedImagination, ScriptedReader, Spy, ask, ask_with,
    feed_forward, imagining, made, ports, text_of, tuner, without,
};
use quartet_methods::iag::template;
use quartet_methods::{NoImagination, Options, Question, Turn, likelihood};
use quartet_types::{
    AnswerEvent, Control, Error, ErrorCode, IagMode, Method, ModelDescription, Outcome, Prompt,
};
use tokio_util::sync::CancellationToken;

/// Weights for a question are forgotten however its answer ends.
#[tokio::test]
async fn weights_go_with_their_question_however_it_ends() {
    let question = || Question::fresh(QUESTION);
    let options = Options::default();
    let searcher = Spy::default();
    for (fails, is_stuck, expected) in [
        (None, false, None),
        (Some(ErrorCode::Cancelled), false, Some(ErrorCode::Cancelled)),
        (Some(ErrorCode::BadModel), false, Some(ErrorCode::BadModel)),
        // What went wrong first is what is told.
        (Some(ErrorCode::BadModel), true, Some(ErrorCode::BadModel)),
        (None, true, Some(ErrorCode::Internal)),
    ] {
        let reader = ScriptedReader { fails, ..ScriptedReader::new(" 47 metres") };
        let imagination = ScriptedImagination { is_stuck, ..ScriptedImagination::new(tuner()) };
        let cancel = CancellationToken::new();
        let outing =
            ask_with(question(), &reader, &imagination, &searcher, &options, &cancel).await;
        assert_eq!(outing.answer.err().map(|error| error.code), expected);
        assert_eq!(imagination.taken().len(), 1);
        assert!(imagination.is_clean(), "{fails:?}, stuck: {is_stuck}");
    }
}

#[tokio::test]
async fn cancelling_stops_before_anything_and_between_the_passes() {
    let options = Options::default();
    let searcher = Spy::default();
    let cancel = CancellationToken::new();
    cancel.cancel();
    let reader = ScriptedReader::new("x");
    let imagination = ScriptedImagination::new(tuner());
    let question = || Question::fresh(QUESTION);
    let outing = ask_with(question(), &reader, &imagination, &searcher, &options, &cancel).await;
    assert_eq!(outing.answer.unwrap_err().code, ErrorCode::Cancelled);
    assert!(outing.requests.is_empty() && imagination.imagined().is_empty());

    let cancel = CancellationToken::new();
    let stopping =
        ScriptedImagination { cancels: Some(cancel.clone()), ..ScriptedImagination::new(tuner()) };
    let outing = ask_with(question(), &reader, &stopping, &searcher, &options, &cancel).await;
    assert_eq!(outing.answer.unwrap_err().code, ErrorCode::Cancelled);
    assert!(outing.requests.is_empty(), "no features were read");
    assert!(stopping.taken().is_empty());

    // Where features cannot be read, no weights are made that would have to be forgotten.
    let blind = ScriptedReader { is_blind: true, ..ScriptedReader::new("x") };
    let imagination = ScriptedImagination::new(tuner());
    let cancel = CancellationToken::new();
    let outing = ask_with(question(), &blind, &imagination, &searcher, &options, &cancel).await;
    assert!(outing.answer.is_err() && imagination.taken().is_empty());
}

#[tokio::test]
async fn a_document_from_an_earlier_time_is_told_as_such() {
    let imagination = ScriptedImagination { cached: true, ..ScriptedImagination::new(tuner()) };
    let outing = ask(&imagination, &Spy::default(), &Options::default()).await;
    let trace = outing.answer.unwrap().iag.unwrap();
    assert!(trace.cached);
    assert_eq!((trace.document.as_str(), trace.imagine.tokens_written), (DOCUMENT, 12));
    let fresh = ask(&ScriptedImagination::new(tuner()), &Spy::default(), &Options::default()).await;
    assert!(!fresh.answer.unwrap().iag.unwrap().cached);
}

#[tokio::test]
async fn every_turn_imagines_anew_for_a_question_that_stands_alone() {
    let question = Question {
        text: "And how high is it?".to_owned(),
        history: vec![Turn {
            question: "Where does the lantern of Low Tern stand?".to_owned(),
            answer: "On the sandbar.".to_owned(),
        }],
    };
    let reader = ScriptedReader::new(" 19 metres");
    let imagination = ScriptedImagination::new(tuner());
    let (options, cancel) = (Options::default(), CancellationToken::new());
    let outing =
        ask_with(question, &reader, &imagination, &Spy::default(), &options, &cancel).await;
    let answer = outing.answer.unwrap();
    assert_eq!(outing.events[0], AnswerEvent::Rewritten(REWRITTEN.to_owned()));
    assert_eq!(answer.searched_question.as_deref(), Some(REWRITTEN));
    assert_eq!(answer.question, "And how high is it?");
    assert_eq!(imagination.imagined(), [REWRITTEN]);
    let texts: Vec<String> = outing.requests[1..].iter().map(|one| text_of(&one.prompt)).collect();
    assert_eq!(
        texts,
        [template::features_text(REWRITTEN, DOCUMENT), template::answer_text(REWRITTEN, DOCUMENT)]
    );
    assert_eq!(answer.usage.tokens_read, 40, "the rewriting counts");
}

#[tokio::test]
async fn nothing_is_imagined_where_nothing_was_trained() {
    let reason = Error::new(ErrorCode::NotFound, "nothing imagines yet").hint("Train it.");
    let reader = ScriptedReader::new("x");
    let (options, cancel) = (Options::default(), CancellationToken::new());
    let nobody = NoImagination(reason.clone());
    let question = Question::fresh(QUESTION);
    let outing = ask_with(question, &reader, &nobody, &Spy::default(), &options, &cancel).await;
    assert_eq!(outing.answer.unwrap_err(), reason);
    assert!(outing.requests.is_empty());
}

#[tokio::test]
async fn a_question_that_does_not_fit_is_refused_before_anything_is_imagined() {
    let reader = ScriptedReader::new("x");
    let model = ModelDescription { context: 200, ..reader.model.clone() };
    let reader = ScriptedReader { model, ..reader };
    let (options, cancel) = (Options::default(), CancellationToken::new());
    let imagination = ScriptedImagination::new(tuner());
    let searcher = Spy::default();
    let short = Question::fresh(QUESTION);
    let outing = ask_with(short, &reader, &imagination, &searcher, &options, &cancel).await;
    assert_eq!(outing.answer.unwrap().outcome, Outcome::Answered);
    let long = Question::fresh("word ".repeat(40));
    let outing = ask_with(long, &reader, &imagination, &searcher, &options, &cancel).await;
    assert_eq!(outing.answer.unwrap_err().code, ErrorCode::PromptTooLong);
    assert_eq!(imagination.imagined().len(), 1);
}

/// Retrieved, and nothing is found: there is no document, and nothing to cite.
#[tokio::test]
async fn without_passages_nothing_is_squeezed() {
    let imagination = ScriptedImagination::new(tuner());
    let outing = ask(&imagination, &Spy::default(), &imagining(IagMode::Retrieved)).await;
    let answer = outing.answer.unwrap();
    assert!(answer.retrieved.is_empty() && answer.used.is_empty());
    assert!(answer.sentences.iter().all(|one| one.support.is_none()));
    assert_eq!(answer.iag.unwrap().document, "");
    let prompt = text_of(&outing.requests[1].prompt);
    assert_eq!(prompt, template::answer_text(QUESTION, ""));
}

/// How probable an answer is, is asked under the weights that would answer.
#[tokio::test]
async fn a_likelihood_is_measured_under_the_weights_for_the_question() {
    let question = Question::fresh(QUESTION);
    let cancel = CancellationToken::new();
    let searcher = Spy::default();
    let answers = ["47 metres".to_owned(), "forty-seven metres".to_owned()];
    for (options, document, has_feed_forward, has_own) in [
        (Options::default(), DOCUMENT, true, true),
        (imagining(IagMode::ClosedBook), "", true, true),
        (without(Control::NoHypernetwork), DOCUMENT, true, false),
        (without(Control::NoFeedForward), DOCUMENT, false, true),
    ] {
        let reader = ScriptedReader::new("x");
        let imagination = ScriptedImagination::new(tuner());
        let ports = ports(&reader, &imagination, &searcher);
        let found = likelihood(Method::Iag, &question, &answers, &ports, &options, &cancel).await;
        // " 47 metres" has ten characters: the script says -10 and -1.
        assert_eq!(found.unwrap(), Some(5.5), "the likelier of both, by token");
        let (adapters, prompt, scored) = reader.scored.lock().unwrap().remove(0);
        assert_eq!(prompt, template::answer(QUESTION, document));
        assert_eq!(scored, [" 47 metres", " forty-seven metres"]);
        let own = imagination.file(&imagination.features(QUESTION, document));
        let mut expected = Vec::new();
        expected.extend(has_feed_forward.then(feed_forward));
        expected.extend(has_own.then(|| made(&own)));
        assert_eq!(adapters, expected);
        assert_eq!(imagination.taken().len(), usize::from(has_own));
        assert!(imagination.is_clean());
        let requests = reader.requests.lock().unwrap();
        assert!(requests.iter().all(|one| !one.taps.is_empty()), "features alone are read");
        assert!(!requests.iter().any(|one| matches!(one.prompt, Prompt::Chat(_))));
    }
    let reader = ScriptedReader { fails: Some(ErrorCode::BadModel), ..ScriptedReader::new("x") };
    let imagination = ScriptedImagination::new(tuner());
    let ports = ports(&reader, &imagination, &searcher);
    let options = Options::default();
    let failed = likelihood(Method::Iag, &question, &answers, &ports, &options, &cancel).await;
    assert_eq!(failed.unwrap_err().code, ErrorCode::BadModel);
    assert!(imagination.taken().len() == 1 && imagination.is_clean());
    assert!(searcher.asked.lock().unwrap().is_empty());
}
