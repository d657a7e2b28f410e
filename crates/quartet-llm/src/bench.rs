//! How much of llama.cpp's speed is left after our own code.

use crate::model::Model;
use crate::native::{self, bare};
use quartet_types::{
    Error, GenerationLimits, GenerationRequest, LoadRequest, ModelId, Prompt, Result, Segment,
};
use std::path::Path;
use std::time::Duration;

/// Speed of reading and of writing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Speed {
    /// Tokens of a prompt read per second.
    pub prefill_tokens_per_second: f64,
    /// Tokens written per second.
    pub decode_tokens_per_second: f64,
}

/// The barest loop and ours over the same model, prompt and threads.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Median speed of the bare loop.
    pub bare: Speed,
    /// Median speed of our own generation.
    pub ours: Speed,
    /// Median over rounds of ours / bare, reading.
    pub prefill_ratio: f64,
    /// Median over rounds of ours / bare, writing.
    pub decode_ratio: f64,
    /// Tokens in the prompt.
    pub prompt_tokens: u32,
    /// Version of llama.cpp.
    pub engine_build: String,
}

/// Measures `rounds` times, bare and ours in turn, after one round that does not count.
/// The prompt is a counted list of about `prompt_tokens` tokens, which a model goes on with;
/// `threads` of 0 means one per core.
///
/// # Errors
/// As loading and generating.
pub fn compare(
    path: &Path,
    prompt_tokens: u32,
    decode_tokens: u32,
    threads: u32,
    rounds: u32,
) -> Result<Comparison> {
    let request = LoadRequest {
        model: ModelId("bench".to_owned()),
        path: path.to_owned(),
        sha256: None,
        context: prompt_tokens + decode_tokens + 64,
        threads,
        gpu_layers: None,
        pooling: None,
    };
    let cancel = crate::never();
    let model = Model::load(&request, quartet_gguf::available_memory(), &cancel, |_| {})?;
    let text = counted_list(&model, prompt_tokens)?;
    let mut rounds_of_both = Vec::new();
    for round in 0..=rounds.max(1) {
        let pair =
            [bare_round(&model, &text, decode_tokens)?, our_round(&model, &text, decode_tokens)?];
        if round > 0 {
            rounds_of_both.push(pair);
        }
    }
    let of = |pick: &dyn Fn(&[Speed; 2]) -> f64| median(rounds_of_both.iter().map(pick).collect());
    let speed = |which: usize| Speed {
        prefill_tokens_per_second: of(&|pair| pair[which].prefill_tokens_per_second),
        decode_tokens_per_second: of(&|pair| pair[which].decode_tokens_per_second),
    };
    Ok(Comparison {
        bare: speed(0),
        ours: speed(1),
        prefill_ratio: of(&|[bare, ours]| {
            ours.prefill_tokens_per_second / bare.prefill_tokens_per_second
        }),
        decode_ratio: of(&|[bare, ours]| {
            ours.decode_tokens_per_second / bare.decode_tokens_per_second
        }),
        prompt_tokens: u32::try_from(model.native.tokenize(&text, false, true)?.len()).unwrap_or(0),
        engine_build: native::build(),
    })
}

/// "1, 2, 3, .." of about `tokens` tokens.
fn counted_list(model: &Model, tokens: u32) -> Result<String> {
    let mut text = String::new();
    let mut number = 1;
    while model.native.tokenize(&text, false, true)?.len() < tokens as usize {
        for _ in 0..8 {
            text.push_str(&format!("{number}, "));
            number += 1;
        }
    }
    Ok(text)
}

fn bare_round(model: &Model, text: &str, decode_tokens: u32) -> Result<Speed> {
    let mut tokens = model.native.tokenize(text, false, true)?;
    model.with_start_token(&mut tokens);
    let times = bare::run(&model.native, &tokens, decode_tokens, model.threads.count())?;
    Ok(Speed {
        prefill_tokens_per_second: rate(tokens.len(), times.prefill),
        decode_tokens_per_second: rate(decode_tokens as usize, times.decode),
    })
}

fn our_round(model: &Model, text: &str, decode_tokens: u32) -> Result<Speed> {
    let prompt = Prompt::Raw(vec![Segment::Text(text.to_owned())]);
    let mut request = GenerationRequest::new(ModelId("bench".to_owned()), prompt);
    // The last token is chosen without another pass, as no text follows it.
    request.limits =
        GenerationLimits { max_tokens: decode_tokens + 1, ..GenerationLimits::default() };
    let turn = model.turn(&crate::never())?;
    let generation = turn.generate(&request, |_| {})?;
    if generation.written_tokens < decode_tokens / 2 {
        return Err(Error::internal("the model stopped writing too early to be measured"));
    }
    let milliseconds = |ms: f64| Duration::from_secs_f64(ms / 1e3);
    Ok(Speed {
        prefill_tokens_per_second: rate(
            generation.prompt_tokens as usize,
            milliseconds(generation.prefill_ms),
        ),
        decode_tokens_per_second: rate(
            generation.written_tokens.saturating_sub(1) as usize,
            milliseconds(generation.decode_ms),
        ),
    })
}

fn rate(tokens: usize, time: Duration) -> f64 {
    tokens as f64 / time.as_secs_f64().max(1e-9)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        length if length % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}
