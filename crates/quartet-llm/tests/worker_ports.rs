//! Rows and adapters in the messages of the engine as a process of its own. This test has no
//! harness, because the same executable is started again as the worker.

#![allow(clippy::print_stdout, reason = "without a harness it says itself what passed")]

mod common;

use common::adapter::usual;
use common::engine::{call, is_child, load_of, short, supervisor};
use common::{raw, tiny};
use quartet_llm::{EngineProtocol, serve_engine};
use quartet_types::{
    AdapterSource, AdapterUse, EngineReply, EngineRequest, ErrorCode, GenerationRequest,
    PerplexityRequest, Prompt, PromptPart, Result, Segment, TokenInput,
};
use quartet_worker::Supervisor;

fn main() -> Result<()> {
    if is_child() {
        return serve_engine();
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        reads_rows().await;
        println!("ok: reads rows");
        uses_adapters().await;
        println!("ok: uses adapters");
    });
    Ok(())
}

/// A worker with the tiny generator loaded, and the folder that holds it.
async fn with_tiny() -> (Supervisor<EngineProtocol>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    tiny::generator().write(&path).unwrap();
    let engine = supervisor();
    call(&engine, load_of(&path)).await.unwrap();
    (engine, folder)
}

async fn log_probabilities(
    engine: &Supervisor<EngineProtocol>,
    request: GenerationRequest,
) -> Vec<f32> {
    let reply = call(engine, EngineRequest::Generate(request)).await.unwrap();
    let EngineReply::Generated(generation) = reply else { panic!("{reply:?}") };
    generation.token_log_probabilities
}

async fn reads_rows() {
    let (engine, _folder) = with_tiny().await;
    let model = || "test".into();
    let input = TokenInput::Text { text: " lamp".to_owned(), special: false };
    let reply = call(&engine, EngineRequest::TokenEmbeddings { model: model(), input }).await;
    let EngineReply::Rows(rows) = reply.unwrap() else { panic!("no rows") };
    let text = |text: &str| Segment::Text(text.to_owned());
    let prompt = |middle| Prompt::Raw(vec![text("the"), middle, text(" turns")]);
    let ask = |prompt| GenerationRequest { prompt, ..short("") };
    let as_rows = prompt(Segment::Embeddings(rows));
    let expected = log_probabilities(&engine, ask(prompt(text(" lamp")))).await;
    assert_eq!(log_probabilities(&engine, ask(as_rows.clone())).await, expected);

    let read = EngineRequest::ReadPrompt { model: model(), prompt: as_rows };
    let EngineReply::PromptRead(read) = call(&engine, read).await.unwrap() else { panic!() };
    let [PromptPart::Tokens(before), PromptPart::Rows(5), PromptPart::Tokens(_)] = &read.parts[..]
    else {
        panic!("{read:?}")
    };
    let texts = vec!["the".to_owned()];
    let split = EngineRequest::Tokenise { model: model(), texts: texts.clone(), special: false };
    let EngineReply::Tokens(tokens) = call(&engine, split).await.unwrap() else { panic!() };
    assert_eq!(&tokens[0], before);
    let join = EngineRequest::Detokenise { model: model(), tokens, special: false };
    assert_eq!(call(&engine, join).await, Ok(EngineReply::Texts(texts)));
}

async fn uses_adapters() {
    let (engine, folder) = with_tiny().await;
    let model = || "test".into();
    let load = |source| call(&engine, EngineRequest::LoadAdapter { model: model(), source });
    let from_bytes = load(AdapterSource::Bytes(usual(1).to_bytes())).await.unwrap();
    let EngineReply::AdapterLoaded(adapter) = &from_bytes else { panic!("{from_bytes:?}") };
    let path = folder.path().join("adapter.gguf");
    usual(1).write(&path).unwrap();
    assert_eq!(load(AdapterSource::File(path.clone())).await.as_ref(), Ok(&from_bytes));
    let list = || call(&engine, EngineRequest::ListAdapters(model()));
    assert_eq!(list().await, Ok(EngineReply::Adapters(vec![adapter.clone()])));

    let plain = log_probabilities(&engine, short("hello")).await;
    let uses = vec![AdapterUse { adapter: adapter.adapter.clone(), scale: 1.0 }];
    let with = GenerationRequest { adapters: uses.clone(), ..short("hello") };
    assert_ne!(log_probabilities(&engine, with.clone()).await, plain);
    let measure = |adapters| PerplexityRequest {
        model: model(),
        input: TokenInput::Text { text: "the lamp turns".to_owned(), special: false },
        window: None,
        overlap: 1,
        adapters,
    };
    let mut sums = Vec::new();
    for adapters in [Vec::new(), uses.clone()] {
        let reply = call(&engine, EngineRequest::Perplexity(measure(adapters.clone()))).await;
        let EngineReply::Perplexity(found) = reply.unwrap() else { panic!("no perplexity") };
        let (prompt, continuations) = (raw("the"), vec![" lamp".to_owned()]);
        let score = EngineRequest::Score { model: model(), prompt, continuations, adapters };
        let EngineReply::Scored(scores) = call(&engine, score).await.unwrap() else { panic!() };
        sums.push((found.sum, scores));
    }
    assert!(sums[0].0 != sums[1].0 && sums[0].1 != sums[1].1, "{sums:?}");

    std::fs::write(&path, &usual(2).to_bytes()[..900]).unwrap();
    let error = load(AdapterSource::File(path.clone())).await.unwrap_err();
    assert_eq!(
        (error.code, error.subject),
        (ErrorCode::BadModel, Some(path.display().to_string()))
    );

    let adapter = adapter.adapter.clone();
    let free = || {
        let adapter = adapter.clone();
        call(&engine, EngineRequest::FreeAdapter { model: model(), adapter })
    };
    assert_eq!((free().await, free().await), (Ok(EngineReply::Done), Ok(EngineReply::Done)));
    assert_eq!(list().await, Ok(EngineReply::Adapters(Vec::new())));
    let error = call(&engine, EngineRequest::Generate(with)).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotFound);
    assert_eq!(log_probabilities(&engine, short("hello")).await, plain);
}
