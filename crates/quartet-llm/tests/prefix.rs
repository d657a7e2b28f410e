//! A beginning that is kept for the next request changes the time and nothing else.

mod common;

use common::{SMALL, generate, load, raw, real_model, tiny, with_model};
use quartet_gguf::GgufWriter;
use quartet_llm::Model;
use quartet_types::{AdapterUse, EngineEvent, Generation, GenerationRequest, Sampling, Sha256};

/// A request whose beginning has `same` words of the same kind, then some of its own.
fn request(same: usize, own: &str, keep: bool) -> GenerationRequest {
    let prompt = format!("{}{own}", "the lamp is lit ".repeat(same));
    let mut request = GenerationRequest::new("test".into(), raw(&prompt));
    request.limits.max_tokens = 12;
    request.keep_prefix = keep;
    request
}

fn assert_same(one: &Generation, other: &Generation, what: &str) {
    assert_eq!(one.text, other.text, "{what}");
    assert_eq!(one.token_log_probabilities, other.token_log_probabilities, "{what}");
    assert_eq!(one.prompt_tokens, other.prompt_tokens, "{what}");
}

/// How many tokens of the prompt were read piece by piece.
fn pieces(model: &Model, request: &GenerationRequest) -> usize {
    let (_, events) = generate(model, request);
    events.iter().filter(|event| matches!(event, EngineEvent::Prefill { .. })).count()
}

/// What a request gives when nothing came before it.
fn alone(file: &GgufWriter, request: &GenerationRequest) -> Generation {
    let mut alone = None;
    with_model(file, |model| alone = Some(generate(model, request).0));
    alone.unwrap()
}

#[test]
fn what_came_before_makes_no_difference() {
    for file in [tiny::generator(), tiny::gemma()] {
        with_model(&file, |model| {
            let mut random = 7_usize;
            for round in 0..30 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let same = [0, 1, 4, 9, 10][(random >> 40) % 5];
                let own = ["b", "and so on and on", ""][(random >> 50) % 3];
                let own = if same == 0 && own.is_empty() { "b" } else { own };
                let mut request = request(same, own, round % 7 != 3);
                if round % 5 == 4 {
                    request.sampling = Sampling { temperature: 1.0, seed: 3, ..Sampling::greedy() };
                }
                let (found, _) = generate(model, &request);
                assert_same(&found, &alone(&file, &request), &format!("round {round}"));
            }
        });
    }
}

#[test]
fn a_beginning_in_memory_is_not_read_again() {
    with_model(&tiny::generator(), |model| {
        let first = pieces(model, &request(10, "b", true));
        assert!(first > 3, "{first} pieces");
        assert_eq!(pieces(model, &request(10, "c", true)), 1);
        assert_eq!(pieces(model, &request(10, "c", true)), 1, "the last piece is always read");
        // Whoever does not ask for it reads everything, and leaves nothing behind.
        let _ = generate(model, &request(10, "c", false));
        assert_eq!(pieces(model, &request(10, "d", true)), first);
    });
    // Where a window slides, nothing is kept.
    with_model(&tiny::gemma(), |model| {
        let first = pieces(model, &request(10, "b", true));
        assert_eq!(pieces(model, &request(10, "c", true)), first);
    });
}

#[test]
fn a_cancelled_request_leaves_nothing_half_read() {
    let file = tiny::generator();
    with_model(&file, |model| {
        let cancel = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let stopped = model.turn(&cancel).unwrap().generate(&request(10, "b", true), |_| {
            cancel.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        assert!(stopped.is_err());
        let request = request(10, "c", true);
        assert_same(&generate(model, &request).0, &alone(&file, &request), "after a cancel");
    });
}

#[test]
fn an_unknown_adapter_is_refused_all_the_same() {
    with_model(&tiny::generator(), |model| {
        let mut request = request(4, "b", true);
        request.adapters = vec![AdapterUse { adapter: Sha256("ab".repeat(32)), scale: 1.0 }];
        let refused = model.turn(&quartet_llm::never()).unwrap().generate(&request, |_| {});
        assert_eq!(refused.unwrap_err().code, quartet_types::ErrorCode::NotFound);
    });
}

#[test]
fn a_real_model_writes_the_same() {
    let Some(path) = real_model(SMALL) else { return };
    let ask = |model: &Model, question: &str| {
        let prompt = format!("{} {question}", "Answer in one word, please. ".repeat(20));
        let mut request = GenerationRequest::new("test".into(), raw(&prompt));
        request.limits.max_tokens = 6;
        request.keep_prefix = true;
        generate(model, &request).0
    };
    let (first, second) = ("What is the capital of France?", "Which sea is salty?");
    let model = load(&path);
    let _ = ask(&model, first);
    let after = ask(&model, second);
    drop(model);
    let fresh = ask(&load(&path), second);
    assert_same(&after, &fresh, second);
}
