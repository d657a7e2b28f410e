//! When there is an answer, when it is withheld, and when nobody is asked at all.

use crate::script::{
    Asked, NoSearch, Passages, QUESTION, ScriptedReader, ask, ask_as, ask_until, ask_with,
    passages, raw, setup,
};
use quartet_methods::imprag::Setup;
use quartet_methods::ports::NoImagination;
use quartet_methods::{NoExperts, NoImplicit, Options, Ports, Question, Turn, answer};
use quartet_types::{
    AnswerEvent, Control, Error, ErrorCode, ImpragMode, Method, ModelDescription, Outcome, Prompt,
};
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn the_fallback_fuses_words_and_says_so() {
    let hybrid = Setup { is_hybrid: true, ..setup(ImpragMode::Fast) };
    let outing = ask(&passages(hybrid.clone())).await;
    let answer = outing.answer.unwrap();
    // Chunk 3 is fourth here and first there; what words found leads.
    assert_eq!(outing.asked.last(), Some(&Asked::States(vec![3, 4])));
    assert_eq!(answer.retrieved[0].lexical, Some((0.5, 1)));
    assert_eq!(answer.retrieved[0].dense, Some((7.0, 4)));
    let trace = answer.imprag.unwrap();
    assert!(trace.is_hybrid);
    assert_eq!((trace.scores, trace.best), (vec![Some(7.0), None], Some(9.0)));
    // Words alone are no fusion.
    let outing = ask_as(Control::Lexical, &passages(hybrid)).await;
    assert!(!outing.answer.unwrap().imprag.unwrap().is_hybrid);
}

#[tokio::test]
async fn below_the_threshold_the_text_is_withheld() {
    let at = |threshold| Setup { threshold: Some(threshold), ..setup(ImpragMode::Fast) };
    let answer = ask(&passages(at(9.5))).await.answer.unwrap();
    assert_eq!(answer.outcome, Outcome::NotInDocuments);
    assert_eq!(answer.withheld.as_deref(), Some("47 metres"));
    assert!(answer.text.contains("page 3 of \u{201c}Lights\u{201d}"), "{}", answer.text);
    assert!(answer.used.is_empty() && answer.sentences.is_empty() && answer.abstention.is_none());
    let trace = answer.imprag.unwrap();
    assert_eq!((trace.best, trace.threshold), (Some(9.0), Some(9.5)));

    assert_eq!(ask(&passages(at(9.0))).await.answer.unwrap().outcome, Outcome::Answered);
    let always = Options { abstain: false, ..Options::default() };
    let forced = ask_with(Question::fresh(QUESTION), &passages(at(9.5)), &always).await;
    assert_eq!(forced.answer.unwrap().outcome, Outcome::Answered);
    // It was calibrated on products of what is taught: the bare model's are others.
    let bare = ask_as(Control::UntrainedHeads, &passages(at(9.5))).await.answer.unwrap();
    assert_eq!((bare.outcome, bare.imprag.unwrap().threshold), (Outcome::Answered, None));
    // Where words are searched as well, passages that the query would not have found are read.
    let fused = Setup { is_hybrid: true, ..at(9.5) };
    assert_eq!(ask(&passages(fused)).await.answer.unwrap().outcome, Outcome::Answered);
    // How a control finds passages changes nothing in whether it answers.
    let words = ask_as(Control::Lexical, &passages(at(9.5))).await.answer.unwrap();
    assert_eq!(words.outcome, Outcome::NotInDocuments);
}

#[tokio::test]
async fn a_reply_without_words_is_no_answer() {
    let cancel = CancellationToken::new();
    for reply in ["  ", " Not in the documents."] {
        let passages = passages(setup(ImpragMode::Fast));
        let question = Question::fresh(QUESTION);
        let outing = ask_until(question, &passages, &Options::default(), reply, &cancel).await;
        assert_eq!(outing.answer.unwrap().outcome, Outcome::NotInDocuments, "{reply:?}");
    }
}

#[tokio::test]
async fn nothing_found_means_that_the_model_is_not_asked() {
    let mut empty = passages(setup(ImpragMode::Fast));
    empty.near.clear();
    let outing = ask(&empty).await;
    let answer = outing.answer.unwrap();
    assert_eq!(answer.outcome, Outcome::NotInDocuments);
    assert_eq!(answer.text, "Nothing in your documents matches this question.");
    assert_eq!(outing.requests.len(), 1, "the query alone");
    let trace = answer.imprag.unwrap();
    assert_eq!((trace.best, trace.scores.len()), (None, 0));
}

#[tokio::test]
async fn every_turn_retrieves_anew_with_a_question_that_stands_alone() {
    let question = Question {
        text: "And how high is it?".to_owned(),
        history: vec![Turn {
            question: "Where does the lantern of Low Tern stand?".to_owned(),
            answer: "On the sandbar.".to_owned(),
        }],
    };
    let rewritten = "How high is Low Tern above the sea?";
    let outing = ask_with(question, &passages(setup(ImpragMode::Fast)), &Options::default()).await;
    let answer = outing.answer.unwrap();
    assert_eq!(outing.events[0], AnswerEvent::Rewritten(rewritten.to_owned()));
    assert_eq!(answer.searched_question.as_deref(), Some(rewritten));
    assert_eq!(answer.question, "And how high is it?");
    let prompts: Vec<&Prompt> = outing.requests[1..].iter().map(|one| &one.prompt).collect();
    assert_eq!(prompts, [&raw(rewritten), &raw(rewritten)]);
    assert_eq!(answer.usage.tokens_read, 30, "the rewriting counts");
}

#[tokio::test]
async fn a_small_context_is_given_fewer_passages() {
    let reader = ScriptedReader::new(" x");
    // 12 words of the question, 8 around, 160 to write, 2 for the template: 20 are left.
    let model = ModelDescription { context: 202, ..reader.model.clone() };
    let reader = ScriptedReader { model, ..reader };
    let passages = passages(setup(ImpragMode::Fast));
    let ports = Ports {
        reader: &reader,
        searcher: &NoSearch,
        experts: &NoExperts::default(),
        implicit: &passages,
        imagination: &NoImagination::default(),
    };
    let cancel = CancellationToken::new();
    let options = Options::default();
    let short = Question::fresh(QUESTION);
    answer(Method::Imprag, &short, &ports, &options, &cancel, &mut |_| {}).await.unwrap();
    assert_eq!(passages.asked().last(), Some(&Asked::States(vec![1])));
    let long = Question::fresh("word ".repeat(300));
    let error = answer(Method::Imprag, &long, &ports, &options, &cancel, &mut |_| {}).await;
    assert_eq!(error.unwrap_err().code, ErrorCode::PromptTooLong);
    assert_eq!(passages.asked().len(), 2, "refused before anything runs");
}

#[tokio::test]
async fn cancelling_stops_before_anything_and_between_the_passes() {
    let cancel = CancellationToken::new();
    cancel.cancel();
    let ready = passages(setup(ImpragMode::Fast));
    let question = || Question::fresh(QUESTION);
    let outing = ask_until(question(), &ready, &Options::default(), "x", &cancel).await;
    assert_eq!(outing.answer.unwrap_err().code, ErrorCode::Cancelled);
    assert!(outing.requests.is_empty());

    let cancel = CancellationToken::new();
    let stopping = Passages { cancels: Some(cancel.clone()), ..passages(setup(ImpragMode::Fast)) };
    let outing = ask_until(question(), &stopping, &Options::default(), "x", &cancel).await;
    assert_eq!(outing.answer.unwrap_err().code, ErrorCode::Cancelled);
    assert_eq!((outing.requests.len(), outing.asked.len()), (1, 1), "no answer was begun");
}

#[tokio::test]
async fn without_an_index_the_reason_is_told_and_nothing_runs() {
    let reader = ScriptedReader::new("x");
    let reason = Error::new(ErrorCode::NotFound, "no index yet").hint("Make one.");
    let ports = Ports {
        reader: &reader,
        searcher: &NoSearch,
        experts: &NoExperts::default(),
        implicit: &NoImplicit(reason.clone()),
        imagination: &NoImagination::default(),
    };
    let question = Question::fresh(QUESTION);
    let options = Options::default();
    let cancel = CancellationToken::new();
    let outcome = answer(Method::Imprag, &question, &ports, &options, &cancel, &mut |_| {}).await;
    assert_eq!(outcome.unwrap_err(), reason);
    assert!(reader.requests().is_empty());
}
