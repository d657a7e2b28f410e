//! What must hold for every model that writes, on models of a few thousand weights.

mod common;

use common::{generate, load_request, raw, refused, request, tiny, with_model};
use quartet_llm::Model;
use quartet_types::{
    EngineEvent, ErrorCode, GenerationRequest, Grammar, Message, Prompt, Role, Sampling, Sha256,
    StopReason,
};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

#[test]
fn it_describes_itself() {
    with_model(&tiny::generator(), |model| {
        let facts = model.description();
        assert_eq!(facts.architecture, "qwen2");
        assert_eq!((facts.layers, facts.width), (2, 32));
        assert_eq!((facts.trained_context, facts.context), (512, 512));
        assert!(facts.has_chat_template && facts.engine_build.contains("llama.cpp"));
        assert!(facts.weight_bytes > 50_000);
    });
}

#[test]
fn text_arrives_in_whole_characters_and_adds_up() {
    with_model(&tiny::generator(), |model| {
        let mut request = request(raw("hello"), 200);
        request.sampling = Sampling { temperature: 1.5, seed: 3, ..Sampling::greedy() };
        let (generation, events) = generate(model, &request);
        let streamed: String = events
            .iter()
            .filter_map(|event| match event {
                EngineEvent::Text(text) => Some(text.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(streamed, generation.text);
        assert_eq!(generation.token_log_probabilities.len(), generation.written_tokens as usize);
        assert!(generation.token_log_probabilities.iter().all(|p| *p <= 1e-5 && p.is_finite()));
        assert_eq!(generation.prompt_text, "hello");
        assert_eq!(generation.prompt_tokens, 1, "the merges make one token of it");
        assert!(events.contains(&EngineEvent::Prefill { done: 1, total: 1 }));
    });
}

#[test]
fn the_seed_decides_and_greedy_needs_none() {
    with_model(&tiny::generator(), |model| {
        let drawn = |seed| {
            let mut request = request(raw("the sea"), 24);
            request.sampling = Sampling {
                temperature: 1.0,
                top_k: 40,
                top_p: 0.95,
                min_p: 0.01,
                repetition_penalty: 1.1,
                seed,
                ..Sampling::greedy()
            };
            generate(model, &request).0.token_log_probabilities
        };
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
        let greedy = || generate(model, &request(raw("the sea"), 24)).0;
        assert_eq!(greedy().text, greedy().text);
    });
}

#[test]
fn earlier_requests_leave_nothing_behind() {
    with_model(&tiny::generator(), |model| {
        let question = request(raw("where is the lamp"), 40);
        let (first, _) = generate(model, &question);
        let _ = generate(model, &request(raw("something else entirely, and longer"), 60));
        let turn = model.turn(&quartet_llm::never()).unwrap();
        turn.score(&raw("a"), &["bcd".to_owned(), "e".to_owned()], &[]).unwrap();
        drop(turn);
        let (again, _) = generate(model, &question);
        assert_eq!(first.text, again.text);
        assert_eq!(first.token_log_probabilities, again.token_log_probabilities);
    });
}

#[test]
fn a_prompt_that_does_not_fit_says_by_how_much() {
    with_model(&tiny::generator(), |model| {
        // Byte-level tokens without merges: one per character; one place is for the answer.
        let error = refused(model, &request(raw(&"z".repeat(600)), 8));
        assert_eq!(error.code, ErrorCode::PromptTooLong);
        assert!(error.message.contains("600 tokens, 89 more than the 511"), "{}", error.message);
        let mut short = request(raw(&"z".repeat(20)), 8);
        short.limits.context = Some(16);
        assert!(refused(model, &short).message.contains("5 more than the 15"));
        // What fits barely is written until the context is full.
        let (generation, _) = generate(model, &request(raw(&"z".repeat(510)), 8));
        assert_eq!(generation.stop, StopReason::MaxTokens);
        assert!(generation.written_tokens <= 2);
    });
}

#[test]
fn control_tokens_inside_content_stay_text() {
    with_model(&tiny::generator(), |model| {
        let ask = |content: &str| {
            let prompt = Prompt::Chat(vec![Message::text(Role::User, content)]);
            generate(model, &request(prompt, 1)).0
        };
        let plain = ask("");
        let hostile = ask("<|im_end|>");
        assert_eq!(hostile.prompt_tokens - plain.prompt_tokens, 10, "one per character");
        assert_eq!(
            hostile.prompt_text,
            "<|im_start|>user\n<|im_end|><|im_end|>\n<|im_start|>assistant\n"
        );
        // The template's own are single tokens: im_start, u s e r, newline, im_end, ..
        assert_eq!(plain.prompt_tokens, 1 + 4 + 1 + 1 + 1 + 1 + 9 + 1);
    });
}

#[test]
fn models_without_a_template_use_the_fallback_and_say_so() {
    let mut file = tiny::generator();
    file.unset("tokenizer.chat_template");
    with_model(&file, |model| {
        assert!(!model.description().has_chat_template);
        let prompt = Prompt::Chat(vec![Message::text(Role::User, "Hi")]);
        let (generation, _) = generate(model, &request(prompt, 1));
        assert_eq!(generation.prompt_text, "User: Hi\n\nAssistant:");
    });
}

#[test]
fn stop_texts_end_the_text_before_them() {
    with_model(&tiny::generator(), |model| {
        // A random model may end at once: take the first seed that writes enough.
        let (mut free, text) = (0..100)
            .map(|seed| {
                let mut free = request(raw("hello"), 60);
                free.sampling = Sampling { temperature: 1.0, seed, ..Sampling::greedy() };
                let text = generate(model, &free).0.text;
                (free, text)
            })
            .find(|(_, text)| text.chars().count() > 20)
            .expect("no seed wrote twenty characters");
        let characters: Vec<char> = text.chars().collect();
        let stop: String = characters[10..13].iter().collect();
        free.limits.stop = vec!["never written".to_owned(), stop.clone()];
        let (stopped, _) = generate(model, &free);
        assert_eq!(stopped.stop, StopReason::StopText);
        assert_eq!(stopped.text, text[..text.find(&stop).unwrap()]);
    });
}

#[test]
fn a_schema_forces_json_even_on_a_random_model() {
    with_model(&tiny::generator(), |model| {
        let mut asked = request(raw("hello"), 400);
        asked.sampling = Sampling { temperature: 0.7, seed: 1, ..Sampling::greedy() };
        asked.grammar = Some(Grammar::JsonSchema(
            r#"{"type":"object","properties":{"kind":{"enum":["sea","land"]},"sure":{"type":"boolean"}},"required":["kind","sure"],"additionalProperties":false}"#
                .to_owned(),
        ));
        let (generation, _) = generate(model, &asked);
        let value: serde_json::Value = serde_json::from_str(&generation.text)
            .unwrap_or_else(|error| panic!("{error}: {:?}", generation.text));
        assert!(["sea", "land"].contains(&value["kind"].as_str().unwrap()));
        assert!(value["sure"].is_boolean());
        assert_eq!(generation.stop, StopReason::EndOfTurn);

        asked.grammar = Some(Grammar::Gbnf("root ::= (\"yes\" | \"no\") \"!\"".to_owned()));
        let text = generate(model, &asked).0.text;
        assert!(["yes!", "no!"].contains(&text.as_str()), "{text:?}");
    });
}

#[test]
fn bad_requests_are_refused_by_name() {
    with_model(&tiny::generator(), |model| {
        let good = request(raw("hello"), 4);
        let grammar = |grammar| GenerationRequest { grammar: Some(grammar), ..good.clone() };
        for bad in [
            grammar(Grammar::Gbnf("root ::= missing".to_owned())),
            grammar(Grammar::Gbnf("root ::= \"".to_owned())),
            grammar(Grammar::Gbnf(String::new())),
            grammar(Grammar::JsonSchema("not json".to_owned())),
            grammar(Grammar::JsonSchema("{\"$ref\": \"#/nowhere\"}".to_owned())),
            grammar(Grammar::JsonSchema("[".repeat(10_000))),
            request(raw(""), 4),
            request(Prompt::Chat(Vec::new()), 4),
        ] {
            let error = refused(model, &bad);
            assert_eq!(error.code, ErrorCode::InvalidInput, "{:?}: {error}", bad.grammar);
        }
        for sampling in [
            Sampling { temperature: -1.0, ..Sampling::greedy() },
            Sampling { temperature: f32::NAN, ..Sampling::greedy() },
            Sampling { top_p: 0.0, ..Sampling::greedy() },
            Sampling { min_p: 2.0, ..Sampling::greedy() },
            Sampling { repetition_penalty: 0.0, ..Sampling::greedy() },
        ] {
            let error = refused(model, &GenerationRequest { sampling, ..good.clone() });
            assert_eq!(error.code, ErrorCode::InvalidInput);
        }
    });
}

#[test]
fn cancelled_requests_stop_and_the_model_goes_on() {
    with_model(&tiny::generator(), |model| {
        let raised = Arc::new(AtomicBool::new(true));
        assert_eq!(model.turn(&raised).err().unwrap().code, ErrorCode::Cancelled);
        let flag = quartet_llm::never();
        let turn = model.turn(&flag).unwrap();
        let error = turn
            .generate(&request(raw("hello"), 400), |event| {
                if matches!(event, EngineEvent::Prefill { .. }) {
                    flag.store(true, std::sync::atomic::Ordering::Relaxed);
                }
            })
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::Cancelled);
        drop(turn);
        let (first, _) = generate(model, &request(raw("hello"), 8));
        let (second, _) = generate(model, &request(raw("hello"), 8));
        assert_eq!(first.text, second.text);
    });
}

#[test]
fn a_digest_and_the_memory_are_checked_before_loading() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    tiny::generator().write(&path).unwrap();
    let mut wrong = load_request(&path);
    wrong.sha256 = Some(Sha256("0".repeat(64)));
    let error = Model::load(&wrong, None, &quartet_llm::never(), |_| {}).err().unwrap();
    assert_eq!(error.code, ErrorCode::Corrupt);
    let right =
        quartet_gguf::sha256_of_file(&path, |_| std::ops::ControlFlow::Continue(())).unwrap();
    wrong.sha256 = Some(right);
    let mut progress = Vec::new();
    Model::load(&wrong, None, &quartet_llm::never(), |share| progress.push(share)).unwrap();
    assert!(progress.is_sorted() && progress.last() == Some(&1.0), "{progress:?}");

    let small = Some(1 << 20);
    let error =
        Model::load(&load_request(&path), small, &quartet_llm::never(), |_| {}).err().unwrap();
    assert_eq!(error.code, ErrorCode::DoesNotFit);
    assert!(error.message.contains("MiB"), "{error}");
    let cancelled = Arc::new(AtomicBool::new(true));
    let error = Model::load(&load_request(&path), None, &cancelled, |_| {}).err().unwrap();
    assert_eq!(error.code, ErrorCode::Cancelled);
}
