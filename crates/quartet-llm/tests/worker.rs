//! The engine as a process of its own. This test has no harness, because the same executable
//! is started again as the worker and may then print nothing but frames.

#![allow(clippy::print_stdout, reason = "without a harness it says itself what passed")]

mod common;

use common::engine::{call, is_child, load_of, short, supervisor};
use common::{EMBEDDER, SMALL, load_request, real_model, tiny};
use quartet_gguf::{GgufWriter, TensorType, Value};
use quartet_llm::{EngineProtocol, serve_engine};
use quartet_types::{
    EngineEvent, EngineReply, EngineRequest, ErrorCode, LoadRequest, PassageRequest, PassageSource,
    PassageStore, PassageTexts, PassageUse, Result, StopReason, Tap, TapPoint, TapRows, TapUse,
};
use quartet_worker::{CallOptions, Supervisor};
use std::path::Path;

fn main() -> Result<()> {
    if is_child() {
        return serve_engine();
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        loads_and_streams().await;
        println!("ok: loads and streams");
        reads_taps_and_passages().await;
        println!("ok: reads taps and passages");
        dies_alone().await;
        println!("ok: dies alone");
        unloads_after_the_last_word().await;
        println!("ok: unloads after the last word");
        broken_files().await;
        println!("ok: broken files");
        broken_real_file().await;
        println!("ok: a broken copy of a real file");
        cancels_in_the_prompt().await;
        println!("ok: cancels while it reads the prompt");
    });
    Ok(())
}

async fn loads_and_streams() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    tiny::generator().write(&path).unwrap();
    let engine = supervisor();

    let error = call(&engine, EngineRequest::Generate(short("hello"))).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotFound, "nothing is loaded yet");

    let mut progress = Vec::new();
    let reply = engine
        .call(load_of(&path), &CallOptions::default(), |event| progress.push(event))
        .await
        .unwrap();
    let EngineReply::Loaded(facts) = reply else { panic!("{reply:?}") };
    assert_eq!((facts.model.0.as_str(), facts.device.as_str()), ("test", "CPU"));
    assert_eq!(progress.last(), Some(&EngineEvent::Loading(1.0)));
    let again = call(&engine, load_of(&path)).await.unwrap();
    assert_eq!(again, EngineReply::Loaded(facts.clone()), "the same file again changes nothing");
    let longer = LoadRequest { context: 64, ..load_request(&path) };
    let EngineReply::Loaded(changed) = call(&engine, EngineRequest::Load(longer)).await.unwrap()
    else {
        panic!("no description")
    };
    assert_eq!(changed.context, 64, "other settings load it anew");

    let mut streamed = String::new();
    let mut request = short("hello");
    request.sampling.temperature = 1.0;
    request.limits.max_tokens = 30;
    let reply = engine
        .call(EngineRequest::Generate(request.clone()), &CallOptions::default(), |event| {
            if let EngineEvent::Text(text) = event {
                streamed.push_str(&text);
            }
        })
        .await
        .unwrap();
    let EngineReply::Generated(generation) = reply else { panic!("{reply:?}") };
    assert_eq!(generation.text, streamed);

    // Several requests at once advance in turn, two of them wait, and all get the same answer.
    let calls = (0..6).map(|_| call(&engine, EngineRequest::Generate(request.clone())));
    for reply in futures_of(calls).await {
        let EngineReply::Generated(other) = reply.unwrap() else { panic!("no generation") };
        assert_eq!(other.text, generation.text);
    }

    assert_eq!(call(&engine, EngineRequest::Unload("test".into())).await, Ok(EngineReply::Done));
    let error = call(&engine, EngineRequest::Generate(short("hello"))).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotFound);
    let EngineReply::Devices(devices) = call(&engine, EngineRequest::Devices).await.unwrap() else {
        panic!("no devices")
    };
    assert!(devices.iter().any(|device| device.name == "CPU" && device.memory_total > 0));
}

/// Polls all calls on this task, so that they are in flight together.
async fn futures_of<F: Future>(calls: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut calls: Vec<_> = calls.map(Box::pin).collect();
    let mut replies: Vec<Option<F::Output>> = calls.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (call, reply) in calls.iter_mut().zip(&mut replies) {
            if reply.is_none()
                && let std::task::Poll::Ready(value) = call.as_mut().poll(context)
            {
                *reply = Some(value);
            }
        }
        if replies.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    replies.into_iter().flatten().collect()
}

/// What goes in and comes out crosses the border of the process whole.
async fn reads_taps_and_passages() {
    let folder = tempfile::tempdir().unwrap();
    let path = common::families::family(folder.path(), "qwen2");
    let engine = supervisor();
    call(&engine, load_of(&path)).await.unwrap();
    let texts = vec!["first".to_owned(), "another".to_owned()];
    let passages = PassageTexts { texts, together: false };
    let states = folder.path().join("states");
    let store = PassageStore {
        folder: states.clone(),
        first_layer: 1,
        last_layer: 2,
        longest: 64,
        template: "v1".to_owned(),
    };
    let request = PassageRequest {
        model: "test".into(),
        passages: passages.clone(),
        adapters: Vec::new(),
        key_layer: Some(1),
        store: Some(store),
    };
    let reply = call(&engine, EngineRequest::EncodePassages(request)).await.unwrap();
    let EngineReply::PassagesEncoded(encoded) = reply else { panic!("{reply:?}") };
    assert_eq!((encoded.passages.len(), encoded.stored.len()), (2, 2));
    assert!(encoded.passages.iter().all(|passage| passage.key.len() == 16));

    let tap = Tap { point: TapPoint::Query, layer: 1, stop_after: true };
    let mut asked = short("question");
    asked.taps = vec![TapUse { tap, rows: TapRows::PromptLast }];
    let reply = call(&engine, EngineRequest::Generate(asked.clone())).await.unwrap();
    let EngineReply::Generated(generation) = reply else { panic!("{reply:?}") };
    assert_eq!(generation.stop, StopReason::TapRead);
    assert_eq!((generation.taps[0].width, generation.taps[0].rows), (32, 1));

    asked.taps[0].tap.stop_after = false;
    let mut answers = Vec::new();
    let keys = encoded.stored.iter().map(|state| state.key.clone()).collect();
    let template = "v1".to_owned();
    for source in
        [PassageSource::Texts(passages), PassageSource::Stored { folder: states, keys, template }]
    {
        asked.passages = Some(PassageUse {
            source,
            first_layer: 1,
            last_layer: 2,
            prompt_position: 128,
            adapters: Vec::new(),
        });
        let reply = call(&engine, EngineRequest::Generate(asked.clone())).await.unwrap();
        let EngineReply::Generated(generation) = reply else { panic!("{reply:?}") };
        answers.push((generation.token_log_probabilities, generation.taps));
    }
    assert_eq!(answers[0], answers[1]);
}

async fn dies_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    tiny::generator().write(&path).unwrap();
    let engine = supervisor();
    call(&engine, load_of(&path)).await.unwrap();
    let mut endless = short("hello");
    endless.limits.max_tokens = 500;
    // Every token is allowed but the end, so that it writes until it is stopped.
    endless.grammar = Some(quartet_types::Grammar::Gbnf("root ::= [a-z]+ \"END\"".to_owned()));
    let error = engine
        .call(EngineRequest::Generate(endless), &CallOptions::default(), |event| {
            if matches!(event, EngineEvent::Text(_)) {
                engine.kill();
            }
        })
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::WorkerDied, "{error}");
    assert!(error.hint.is_some());
    // The next request starts a new worker, which knows no model until it is loaded again.
    call(&engine, load_of(&path)).await.unwrap();
    call(&engine, EngineRequest::Generate(short("hello"))).await.unwrap();
}

/// Two requests are in the middle when the model is unloaded: both are finished first.
async fn unloads_after_the_last_word() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    tiny::generator().write(&path).unwrap();
    let engine = &supervisor();
    call(engine, load_of(&path)).await.unwrap();
    let (begun, order) = (&tokio::sync::Semaphore::new(0), &std::sync::Mutex::new(Vec::new()));
    let write = |name: &'static str| async move {
        let mut request = short("hello");
        request.limits.max_tokens = 300;
        request.grammar = Some(quartet_types::Grammar::Gbnf("root ::= [a-z] root".to_owned()));
        let mut first = true;
        let reply = engine
            .call(EngineRequest::Generate(request), &CallOptions::default(), |event| {
                if matches!(event, EngineEvent::Text(_)) && std::mem::take(&mut first) {
                    begun.add_permits(1);
                }
            })
            .await
            .unwrap();
        order.lock().unwrap().push(name);
        let EngineReply::Generated(generation) = reply else { panic!("{reply:?}") };
        assert_eq!(generation.written_tokens, 300);
    };
    let unload = async {
        let _both = begun.acquire_many(2).await.unwrap();
        assert_eq!(call(engine, EngineRequest::Unload("test".into())).await, Ok(EngineReply::Done));
        order.lock().unwrap().push("unloaded");
    };
    tokio::join!(write("written"), write("written"), unload);
    assert_eq!(*order.lock().unwrap(), ["written", "written", "unloaded"]);
}

/// Loads a file and writes a little with it.
async fn try_file(engine: &Supervisor<EngineProtocol>, path: &Path) -> Result<EngineReply> {
    call(engine, load_of(path)).await?;
    let reply = call(engine, EngineRequest::Generate(short("hello"))).await;
    call(engine, EngineRequest::Unload("test".into())).await?;
    reply
}

/// Mutilated copies of a tiny model; each must end in an error or in an answer, and none may
/// end the worker.
async fn broken_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.gguf");
    let engine = supervisor();
    let whole = tiny::generator().to_bytes();

    let mut copies: Vec<(String, Vec<u8>)> = Vec::new();
    for (name, value) in [
        ("qwen2.block_count", Value::u32(0)),
        ("qwen2.block_count", Value::u32(1)),
        ("qwen2.block_count", Value::u32(3)),
        ("qwen2.block_count", Value::u32(1_000_000_000)),
        ("qwen2.attention.layer_norm_rms_epsilon", Value::f32(f32::NAN)),
        ("qwen2.attention.layer_norm_rms_epsilon", Value::f32(-1.0)),
        ("qwen2.attention.layer_norm_rms_epsilon", Value::u32(1)),
        ("qwen2.attention.head_count", Value::u32(0)),
        ("qwen2.attention.head_count", Value::u32(8)),
        ("qwen2.attention.head_count_kv", Value::u32(0)),
        ("qwen2.attention.head_count_kv", Value::u32(4)),
        ("qwen2.attention.key_length", Value::u32(4)),
        ("qwen2.attention.key_length", Value::u32(0)),
        ("qwen2.embedding_length", Value::u32(64)),
        ("qwen2.feed_forward_length", Value::u32(0)),
        ("qwen2.feed_forward_length", Value::u32(63)),
        ("qwen2.context_length", Value::u32(0)),
        ("qwen2.context_length", Value::u32(u32::MAX)),
        ("qwen2.rope.freq_base", Value::f32(f32::INFINITY)),
        ("qwen2.rope.dimension_count", Value::u32(2)),
        ("qwen2.rope.scaling.type", Value::string("nonsense")),
        ("qwen2.expert_count", Value::u32(2_000)),
        ("qwen2.expert_used_count", Value::u32(4)),
        ("general.architecture", Value::string("unheard-of")),
        ("general.alignment", Value::u32(0)),
        ("tokenizer.ggml.model", Value::string("unheard-of")),
        ("tokenizer.ggml.pre", Value::string("unheard-of")),
        ("tokenizer.ggml.merges", Value::strings(["a", "", "b b b"])),
        ("tokenizer.ggml.tokens", Value::u32(4)),
        ("tokenizer.ggml.eos_token_id", Value::u32(u32::MAX)),
        ("tokenizer.chat_template", Value::string("{% for %}")),
    ] {
        let mut file = tiny::generator();
        file.set(name, value);
        copies.push((name.to_owned(), file.to_bytes()));
    }
    let mut numbers = GgufWriter::new();
    numbers.tensor("output_norm.weight", &[32], TensorType::F32, &[f32::NAN; 32]).unwrap();
    copies.push(("no metadata".to_owned(), numbers.to_bytes()));
    let mut infinite = whole.clone();
    let tail = infinite.len() - 4000;
    infinite[tail..].fill(0xff);
    copies.push(("weights that are not numbers".to_owned(), infinite));
    for share in [0.01, 0.2, 0.5, 0.9, 0.999] {
        let length = (whole.len() as f64 * share) as usize;
        copies.push((format!("cut at {length}"), whole[..length].to_vec()));
    }
    let header = whole.len() / 12;
    for flip in 0..30usize {
        let mut copy = whole.clone();
        let place = (flip * 7919 + 13) % header;
        copy[place] ^= 1 << (flip % 8);
        copies.push((format!("bit flipped at {place}"), copy));
    }

    let (mut refused, mut served) = (0, 0);
    for (name, bytes) in copies {
        std::fs::write(&path, bytes).unwrap();
        match try_file(&engine, &path).await {
            Ok(_) => served += 1,
            Err(error) => {
                assert_ne!(error.code, ErrorCode::WorkerDied, "{name}: {error}");
                assert_ne!(error.code, ErrorCode::Internal, "{name}: {error}");
                refused += 1;
            }
        }
    }
    println!("    {refused} refused, {served} served");
    assert!(refused > 30 && served > 0, "{refused} refused, {served} served");
}

/// The same for a file with a real vocabulary.
async fn broken_real_file() {
    let Some(original) = real_model(EMBEDDER) else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.gguf");
    let engine = supervisor();
    let whole = std::fs::read(original).unwrap();
    for cut in [whole.len() / 100, whole.len() / 2, whole.len() - 64] {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let error = try_file(&engine, &path).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::BadModel, "cut at {cut}: {error}");
        assert_eq!(error.subject, Some(path.display().to_string()));
    }
    for place in (0..12).map(|index| 8 + index * 97) {
        let mut copy = whole.clone();
        copy[place] ^= 0x40;
        std::fs::write(&path, copy).unwrap();
        if let Err(error) = call(&engine, load_of(&path)).await {
            assert_ne!(error.code, ErrorCode::WorkerDied, "flip at {place}: {error}");
        }
    }
}

/// The supervisor kills a worker that needs more than 0.8 s to notice; so a worker that still
/// runs afterwards, with its model, noticed in time.
async fn cancels_in_the_prompt() {
    let Some(path) = real_model(SMALL) else { return };
    let engine = supervisor();
    let request = LoadRequest { context: 8192, ..load_request(&path) };
    call(&engine, EngineRequest::Load(request)).await.unwrap();
    let long = short(&"The lamp of the light house turns. ".repeat(800));
    let options = CallOptions::default();
    let cancel = options.cancel.clone();
    let mut read = (0, 0);
    let error = engine
        .call(EngineRequest::Generate(long), &options, |event| {
            if let EngineEvent::Prefill { done, total } = event {
                read = (done, total);
                cancel.cancel();
            }
        })
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Cancelled);
    assert!(read.0 > 0 && read.0 < read.1, "cancelled at {read:?}");
    assert!(engine.is_running(), "the worker did not notice in time and was killed");
    call(&engine, EngineRequest::Generate(short("hello"))).await.unwrap();
}
