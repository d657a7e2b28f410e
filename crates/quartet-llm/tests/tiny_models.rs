//! What must hold for every model, on models of a few thousand weights.

mod common;

use common::{cosine, load, load_request, raw, tiny};
use quartet_llm::Model;
use quartet_types::{
    AdapterUse, EmbeddingRows, EngineEvent, ErrorCode, Generation, GenerationRequest, Grammar,
    Message, Prompt, Role, Sampling, Segment, Sha256, StopReason, Tap, TapPoint,
};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

fn with_model(file: &quartet_gguf::GgufWriter, test: impl FnOnce(&Model)) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    file.write(&path).unwrap();
    test(&load(&path));
}

fn request(prompt: Prompt, max_tokens: u32) -> GenerationRequest {
    let mut request = GenerationRequest::new("test".into(), prompt);
    request.limits.max_tokens = max_tokens;
    request
}

fn generate(model: &Model, request: &GenerationRequest) -> (Generation, Vec<EngineEvent>) {
    let mut events = Vec::new();
    let turn = model.turn(&quartet_llm::never()).unwrap();
    let generation = turn.generate(request, |event| events.push(event)).unwrap();
    (generation, events)
}

fn refused(model: &Model, request: &GenerationRequest) -> quartet_types::Error {
    let turn = model.turn(&quartet_llm::never()).unwrap();
    turn.generate(request, |_| {}).expect_err("the request should have been refused")
}

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
        turn.score(&raw("a"), &["bcd".to_owned(), "e".to_owned()]).unwrap();
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
fn ports_that_are_not_built_are_named() {
    with_model(&tiny::generator(), |model| {
        let mut adapters = request(raw("hello"), 4);
        adapters.adapters.push(AdapterUse { adapter: Sha256("0".repeat(64)), scale: 1.0 });
        let mut taps = request(raw("hello"), 4);
        taps.taps.push(Tap { point: TapPoint::LayerOutput, layer: 1, stop_after: true });
        let rows = EmbeddingRows { values: vec![0.0; 32], width: 32 };
        let rows = request(Prompt::Raw(vec![Segment::Embeddings(rows)]), 4);
        for (bad, port) in [(adapters, "adapters"), (taps, "taps"), (rows, "embedding rows")] {
            let error = refused(model, &bad);
            assert_eq!(error.code, ErrorCode::NotSupported);
            assert!(error.message.contains(port), "{error}");
        }
    });
}

/// A prompt that the model goes on with a printable character which is one token, and that
/// character.
fn with_plain_first_token(model: &Model) -> (Prompt, String) {
    ('a'..='z')
        .find_map(|letter| {
            let prompt = raw(&format!("the {letter}"));
            let text = generate(model, &request(prompt.clone(), 1)).0.text;
            let turn = model.turn(&quartet_llm::never()).unwrap();
            let tokens = turn.score(&prompt, std::slice::from_ref(&text)).unwrap()[0].len();
            // Letters of the merges would not tell one token from another.
            let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric());
            let plain = plain && text.len() == 1 && !"helow".contains(&text);
            (plain && tokens == 1).then_some((prompt, text))
        })
        .expect("no prompt leads to a printable character")
}

#[test]
fn an_avoided_reply_never_comes_first_and_its_probability_is_told() {
    with_model(&tiny::generator(), |model| {
        let (prompt, likeliest) = with_plain_first_token(model);
        let free = generate(model, &request(prompt.clone(), 1)).0;
        assert_eq!((free.text.as_str(), free.avoided_log_probability), (&*likeliest, None));
        let close = |left: f32, right: f32| assert!((left - right).abs() < 1e-4, "{left} {right}");

        let mut avoiding = request(prompt.clone(), 1);
        // Only the first token counts, and named twice it counts once.
        avoiding.avoid_first = vec![likeliest.clone(), format!("{likeliest}{likeliest}")];
        let avoided = generate(model, &avoiding).0;
        assert_ne!(avoided.text, likeliest);
        close(avoided.avoided_log_probability.unwrap(), free.token_log_probabilities[0]);
        // What is written instead keeps its probability in the unmodified distribution.
        assert!(avoided.token_log_probabilities[0] <= free.token_log_probabilities[0]);

        // Of several replies the probabilities add up.
        let pair = [likeliest.clone(), "~".to_owned()];
        let turn = model.turn(&quartet_llm::never()).unwrap();
        let scores = turn.score(&prompt, &pair).unwrap();
        avoiding.avoid_first = pair.to_vec();
        let sum = (scores[0][0].exp() + scores[1][0].exp()).ln();
        close(generate(model, &avoiding).0.avoided_log_probability.unwrap(), sum);

        // Drawn at random it comes first now and then, but never when it is avoided.
        avoiding.avoid_first = vec![likeliest.clone()];
        let mut drawn_free = 0;
        for seed in 0..400 {
            let sampling = Sampling { temperature: 1.0, seed, ..Sampling::greedy() };
            let free = GenerationRequest { sampling, ..request(prompt.clone(), 1) };
            drawn_free += u32::from(generate(model, &free).0.text == likeliest);
            let avoiding = GenerationRequest { sampling: free.sampling, ..avoiding.clone() };
            assert_ne!(generate(model, &avoiding).0.text, likeliest, "seed {seed}");
        }
        assert!(drawn_free > 0, "the seeds never draw it");

        // Later it may come: a model that can write nothing else still writes it second.
        avoiding.grammar = Some(Grammar::Gbnf(format!("root ::= [~] \"{likeliest}\"")));
        avoiding.limits.max_tokens = 5;
        assert_eq!(generate(model, &avoiding).0.text, format!("~{likeliest}"));
    });
}

#[test]
fn scores_are_the_probabilities_of_writing_the_same() {
    with_model(&tiny::generator(), |model| {
        let (written, _) = generate(model, &request(raw("the lamp"), 40));
        let turn = model.turn(&quartet_llm::never()).unwrap();
        let texts = [written.text.clone(), String::new(), "zz".to_owned(), written.text.clone()];
        let scores = turn.score(&raw("the lamp"), &texts).unwrap();
        assert_eq!(scores[1], Vec::<f32>::new());
        assert_eq!(scores[2].len(), 2);
        assert_eq!(scores[0], scores[3], "what came between must not matter");
        // Only when the text splits into the very tokens that were written.
        if scores[0].len() == written.written_tokens as usize {
            for (score, logged) in scores[0].iter().zip(&written.token_log_probabilities) {
                assert!((score - logged).abs() < 2e-2, "{score} {logged}");
            }
        }
    });
}

#[test]
fn the_probabilities_of_all_single_bytes_add_up() {
    with_model(&tiny::generator(), |model| {
        let turn = model.turn(&quartet_llm::never()).unwrap();
        let letters: Vec<String> = (b'!'..=b'~').map(|byte| char::from(byte).to_string()).collect();
        let scores = turn.score(&raw("hello"), &letters).unwrap();
        let sum: f64 = scores.iter().map(|score| f64::from(score[0]).exp()).sum();
        assert!(sum > 0.05 && sum < 1.0, "{sum}");
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
fn vectors_have_unit_length_and_do_not_depend_on_company() {
    with_model(&tiny::embedder(), |model| {
        let turn = model.turn(&quartet_llm::never()).unwrap();
        let texts: Vec<String> = (0..150)
            .map(|index| "the lighthouse lamp . ".repeat(1 + index % 40) + &"sea".repeat(index % 3))
            .collect();
        let together = turn.embed(&texts).unwrap();
        let width = together.width as usize;
        assert_eq!((width, together.values.len()), (32, 32 * texts.len()));
        for (index, text) in texts.iter().enumerate().step_by(7) {
            let alone = turn.embed(std::slice::from_ref(text)).unwrap();
            let row = &together.values[index * width..][..width];
            assert!((row.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-4);
            let gap = row.iter().zip(&alone.values).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
            assert!(gap < 1e-3, "text {index} differs by {gap}");
        }
        assert!(turn.embed(&[]).unwrap().values.is_empty());
        let empty = turn.embed(&[String::new(), "the sea".to_owned()]).unwrap();
        assert!(cosine(&empty.values[..32], &empty.values[32..]) < 0.9999);
    });
}

#[test]
fn a_text_that_does_not_fit_is_named() {
    with_model(&tiny::embedder(), |model| {
        let turn = model.turn(&quartet_llm::never()).unwrap();
        let texts = ["the sea".to_owned(), "sea ".repeat(520)];
        let error = turn.embed(&texts).unwrap_err();
        assert_eq!(error.code, ErrorCode::PromptTooLong);
        // 520 words between the tokens that begin and end a text.
        assert!(error.message.contains("text 1 ") && error.message.contains("10 more"), "{error}");
    });
}

#[test]
fn tokens_are_counted_as_the_model_counts_them() {
    let count = |model: &Model, texts: &[&str]| {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        model.count_tokens(&texts, &quartet_llm::never()).unwrap()
    };
    with_model(&tiny::embedder(), |model| {
        // Case does not matter; an unknown word is one token; `##house` is an ending.
        assert_eq!(count(model, &["", "The lamp.", "lighthouse", "ab", "☃"]), [0, 3, 2, 2, 1]);
    });
    with_model(&tiny::generator(), |model| {
        assert_eq!(count(model, &["", "hello", "hell", "☃", "<|im_end|>"]), [0, 1, 1, 3, 10]);
    });
}

#[test]
fn each_kind_of_model_refuses_the_work_of_the_other() {
    with_model(&tiny::embedder(), |model| {
        let error = refused(model, &request(raw("the sea"), 4));
        assert_eq!(error.code, ErrorCode::InvalidInput);
        assert!(error.message.contains("embedding model"), "{error}");
    });
    with_model(&tiny::generator(), |model| {
        let error =
            model.turn(&quartet_llm::never()).unwrap().embed(&["a".to_owned()]).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidInput);
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
