//! Several requests to one model at the same time.

mod common;

use common::{SMALL, load, raw, real_model, tiny};
use quartet_llm::Model;
use quartet_types::{
    EngineEvent, ErrorCode, Generation, GenerationRequest, Grammar, Result, Sampling,
};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Far more than any of these requests takes, and still an end for a test that hangs.
const LONG: Duration = Duration::from_secs(120);

fn with_model(test: impl FnOnce(&Model)) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    tiny::generator().write(&path).unwrap();
    test(&load(&path));
}

/// Plain greedy, drawn, and constrained requests with prompts of one to three pieces.
fn request(number: usize) -> GenerationRequest {
    let prompt = format!("{number} the lamp ").repeat(1 + number % 3 * 12);
    let mut request = GenerationRequest::new("test".into(), raw(&prompt));
    request.limits.max_tokens = 40;
    match number % 3 {
        0 => {}
        1 => {
            let seed = number as u32;
            request.sampling = Sampling { temperature: 1.0, seed, ..Sampling::greedy() };
        }
        _ => request.grammar = Some(endless()),
    }
    request
}

/// Allows every letter but never the end, so that a random model writes on.
fn endless() -> Grammar {
    Grammar::Gbnf("root ::= [a-z] root".to_owned())
}

fn run(model: &Model, request: &GenerationRequest) -> Generation {
    model.turn(&quartet_llm::never()).unwrap().generate(request, |_| {}).unwrap()
}

fn assert_same(together: &Generation, alone: &Generation, what: &str) {
    assert_eq!(together.text, alone.text, "{what}");
    assert_eq!(together.token_log_probabilities, alone.token_log_probabilities, "{what}");
}

/// Where several threads wait until all of them have come.
#[derive(Default)]
struct Meeting {
    come: Mutex<usize>,
    changed: Condvar,
}

impl Meeting {
    fn wait_for(&self, all: usize) {
        let mut come = self.come.lock().unwrap();
        *come += 1;
        self.changed.notify_all();
        while *come < all {
            let (guard, time) = self.changed.wait_timeout(come, LONG).unwrap();
            come = guard;
            assert!(!time.timed_out(), "only {come} of {all} were at work at the same time");
        }
    }
}

#[test]
fn four_answers_are_in_the_middle_at_the_same_time() {
    with_model(|model| {
        let meetings: Vec<Meeting> = (0..7).map(|_| Meeting::default()).collect();
        let meetings = &meetings;
        std::thread::scope(|scope| {
            for number in 0..4 {
                scope.spawn(move || {
                    let mut request = request(number);
                    request.sampling = Sampling::greedy();
                    request.grammar = Some(endless());
                    let mut written = 0;
                    let turn = model.turn(&quartet_llm::never()).unwrap();
                    turn.generate(&request, |event| {
                        if matches!(event, EngineEvent::Text(_)) {
                            // Nobody gets to its next letters before all have got here.
                            if written % 6 == 0 {
                                meetings[written / 6].wait_for(4);
                            }
                            written += 1;
                        }
                    })
                    .unwrap();
                    assert!(written > 30, "{written}");
                });
            }
        });
    });
}

#[test]
fn company_does_not_change_what_is_written() {
    with_model(|model| {
        let requests: Vec<_> = (0..9).map(request).collect();
        let alone: Vec<_> = requests.iter().map(|request| run(model, request)).collect();
        let continuations = ["a lamp".to_owned(), "sea".to_owned()];
        let score = || {
            let turn = model.turn(&quartet_llm::never()).unwrap();
            turn.score(&raw("the light house"), &continuations, &[]).unwrap()
        };
        let scored = score();
        std::thread::scope(|scope| {
            let writers: Vec<_> =
                requests.iter().map(|request| scope.spawn(|| run(model, request))).collect();
            for _ in 0..5 {
                assert_eq!(score(), scored);
            }
            for (number, (writer, alone)) in writers.into_iter().zip(&alone).enumerate() {
                assert_same(&writer.join().unwrap(), alone, &format!("request {number}"));
            }
        });
    });
}

#[test]
fn a_cancelled_request_leaves_the_others_alone() {
    with_model(|model| {
        let requests: Vec<_> = (0..3).map(request).collect();
        let alone: Vec<_> = requests.iter().map(|request| run(model, request)).collect();
        let (started, flag) = (&Meeting::default(), &quartet_llm::never());
        std::thread::scope(|scope| {
            let cancelled = scope.spawn(move || -> Result<Generation> {
                let mut endless_request = request(2);
                endless_request.limits.max_tokens = 400;
                let mut written = 0;
                model.turn(flag)?.generate(&endless_request, |event| {
                    if matches!(event, EngineEvent::Text(_)) {
                        written += 1;
                        if written == 3 {
                            started.wait_for(4);
                            flag.store(true, Ordering::Relaxed);
                        }
                    }
                })
            });
            let writers: Vec<_> = requests
                .iter()
                .map(|request| {
                    scope.spawn(move || {
                        let mut met = false;
                        let turn = model.turn(&quartet_llm::never()).unwrap();
                        let generation = turn.generate(request, |_| {
                            if !std::mem::replace(&mut met, true) {
                                started.wait_for(4);
                            }
                        });
                        generation.unwrap()
                    })
                })
                .collect();
            let error = cancelled.join().unwrap().unwrap_err();
            assert_eq!(error.code, ErrorCode::Cancelled);
            for (writer, alone) in writers.into_iter().zip(&alone) {
                assert_same(&writer.join().unwrap(), alone, "beside a cancelled one");
            }
        });
        assert_same(&run(model, &requests[0]), &alone[0], "after a cancelled one");
    });
}

#[test]
fn embeddings_are_the_same_beside_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    tiny::embedder().write(&path).unwrap();
    let model = &load(&path);
    let texts = |seed: usize| -> Vec<String> {
        (0..120).map(|index| "the lighthouse lamp . ".repeat(1 + (index * seed) % 40)).collect()
    };
    let embed = |seed| {
        let turn = model.turn(&quartet_llm::never()).unwrap();
        turn.embed(&texts(seed)).unwrap()
    };
    let alone: Vec<_> = (1..5).map(embed).collect();
    std::thread::scope(|scope| {
        let embed = &embed;
        let all: Vec<_> = (1..5).map(|seed| scope.spawn(move || embed(seed))).collect();
        let raised = Arc::new(AtomicBool::new(false));
        let turn = model.turn(&raised).unwrap();
        raised.store(true, Ordering::Relaxed);
        assert_eq!(turn.embed(&texts(1)).unwrap_err().code, ErrorCode::Cancelled);
        for (together, alone) in all.into_iter().zip(&alone) {
            assert_eq!(&together.join().unwrap(), alone);
        }
    });
}

#[test]
fn a_real_model_writes_the_same_beside_others() {
    let Some(path) = real_model(SMALL) else { return };
    let model = &load(&path);
    let requests: Vec<_> = ["Lighthouses", "A lamp", "The sea at night", "Ships and harbours"]
        .map(|subject| {
            let mut request = GenerationRequest::new("test".into(), raw(subject));
            request.limits.max_tokens = 12;
            request
        })
        .into();
    let alone: Vec<_> = requests.iter().map(|request| run(model, request)).collect();
    std::thread::scope(|scope| {
        let together: Vec<_> =
            requests.iter().map(|request| scope.spawn(move || run(model, request))).collect();
        for (together, alone) in together.into_iter().zip(&alone) {
            assert_same(&together.join().unwrap(), alone, "a real model");
        }
    });
}
