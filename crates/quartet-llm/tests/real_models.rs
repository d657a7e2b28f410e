//! The catalog models, where they are installed (`make models`).

#![allow(clippy::print_stdout, reason = "the figures reached should be seen")]

mod common;

use common::{EMBEDDER, SMALL, cosine, load, raw, real_model};
use quartet_llm::Model;
use quartet_types::{
    EngineEvent, ErrorCode, Generation, GenerationRequest, Grammar, Message, Prompt, Role, Segment,
    StopReason,
};

#[derive(Debug)]
struct Golden {
    text: String,
    tokens: usize,
    vector: Vec<f32>,
}

/// Vectors by an independent encoder that works on the published 32-bit weights.
fn golden() -> Vec<Golden> {
    let file: serde_json::Value = serde_json::from_str(include_str!("golden/minilm.json")).unwrap();
    let sentences = file["sentences"].as_array().unwrap();
    sentences
        .iter()
        .map(|sentence| Golden {
            text: sentence["text"].as_str().unwrap().to_owned(),
            tokens: sentence["tokens"].as_array().unwrap().len(),
            vector: sentence["vector"]
                .as_array()
                .unwrap()
                .iter()
                .map(|value| value.as_f64().unwrap() as f32)
                .collect(),
        })
        .collect()
}

#[test]
fn minilm_agrees_with_an_independent_encoder() {
    let Some(path) = real_model(EMBEDDER) else { return };
    let model = load(&path);
    let golden = golden();
    let texts: Vec<String> = golden.iter().map(|sentence| sentence.text.clone()).collect();
    let counts = model.count_tokens(&texts, &quartet_llm::never()).unwrap();
    let vectors = model.turn(&quartet_llm::never()).unwrap().embed(&texts).unwrap();
    assert_eq!(vectors.width, 384);
    for (index, sentence) in golden.iter().enumerate() {
        // The golden tokens include the two that begin and end a text.
        assert_eq!(counts[index] as usize + 2, sentence.tokens, "{:?}", sentence.text);
        let ours = &vectors.values[index * 384..][..384];
        let similarity = cosine(ours, &sentence.vector);
        println!("{similarity:.6} {:?}", sentence.text.chars().take(60).collect::<String>());
        // Eight-bit weights and activations cost this much and no more.
        assert!(similarity > 0.999, "{similarity} for {:?}", sentence.text);
    }
}

#[test]
fn company_in_a_batch_does_not_move_a_real_vector() {
    let Some(path) = real_model(EMBEDDER) else { return };
    let model = load(&path);
    let texts: Vec<String> = golden().into_iter().map(|sentence| sentence.text).collect();
    let turn = model.turn(&quartet_llm::never()).unwrap();
    let together = turn.embed(&texts).unwrap();
    for (index, text) in texts.iter().enumerate() {
        let alone = turn.embed(std::slice::from_ref(text)).unwrap();
        let row = &together.values[index * 384..][..384];
        let gap = row.iter().zip(&alone.values).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
        println!("{gap}");
        assert!(gap < 1e-3, "{gap} for {text:?}");
    }
}

fn ask(model: &Model, question: &str, max_tokens: u32) -> (Generation, String) {
    let prompt = Prompt::Chat(vec![
        Message::text(Role::System, "Answer briefly."),
        Message::text(Role::User, question),
    ]);
    let mut request = GenerationRequest::new("test".into(), prompt);
    request.limits.max_tokens = max_tokens;
    run(model, &request)
}

fn run(model: &Model, request: &GenerationRequest) -> (Generation, String) {
    let mut streamed = String::new();
    let turn = model.turn(&quartet_llm::never()).unwrap();
    let generation = turn
        .generate(request, |event| {
            if let EngineEvent::Text(text) = event {
                streamed.push_str(&text);
            }
        })
        .unwrap();
    (generation, streamed)
}

#[test]
fn the_small_model_answers_in_its_own_template() {
    let Some(path) = real_model(SMALL) else { return };
    let model = load(&path);
    assert!(model.description().has_chat_template);

    let (first, streamed) = ask(&model, "What is the capital of France? One word.", 16);
    assert!(first.text.contains("Paris"), "{:?}", first.text);
    assert_eq!((first.text.as_str(), first.stop), (streamed.as_str(), StopReason::EndOfTurn));
    assert_eq!(
        first.prompt_text,
        "<|im_start|>system\nAnswer briefly.<|im_end|>\n<|im_start|>user\nWhat is the capital of France? One word.<|im_end|>\n<|im_start|>assistant\n"
    );

    // Characters of several tokens arrive whole, and other work leaves nothing behind.
    let (cjk, streamed) = ask(&model, "Repeat exactly: 図書館の鍵 ☃ 🦀 Übergröße", 40);
    assert_eq!(cjk.text, streamed);
    assert!(!cjk.text.contains('\u{fffd}') && !cjk.text.is_ascii(), "{:?}", cjk.text);
    let (again, _) = ask(&model, "What is the capital of France? One word.", 16);
    assert_eq!(again.token_log_probabilities, first.token_log_probabilities);

    let mut asked = GenerationRequest::new(
        "test".into(),
        Prompt::Chat(vec![Message::text(Role::User, "Zoe is 31 years old. Describe her as JSON.")]),
    );
    asked.limits.max_tokens = 60;
    asked.grammar = Some(Grammar::JsonSchema(
        r#"{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"}},"required":["name","age"],"additionalProperties":false}"#
            .to_owned(),
    ));
    let value: serde_json::Value = serde_json::from_str(&run(&model, &asked).0.text).unwrap();
    assert_eq!((value["name"].as_str(), value["age"].as_i64()), (Some("Zoe"), Some(31)));

    let turn = model.turn(&quartet_llm::never()).unwrap();
    let towns = [" Paris", " London", " xylophone"].map(str::to_owned);
    let scores = turn.score(&raw("The capital of France is"), &towns, &[]).unwrap();
    let totals: Vec<f32> = scores.iter().map(|score| score.iter().sum()).collect();
    assert!(totals[0] > totals[1] && totals[1] > totals[2], "{totals:?}");

    let long = Prompt::Raw(vec![Segment::Text("word ".repeat(1500))]);
    let error = turn.generate(&GenerationRequest::new("test".into(), long), |_| {}).unwrap_err();
    assert_eq!(error.code, ErrorCode::PromptTooLong, "{error}");
}
