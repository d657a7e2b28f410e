//! Trains the general starting point of ImpRAG that is shipped in `assets/imprag/`, on public
//! question sets:
//!
//! ```text
//! cargo run --release -p quartet-methods --example imprag_start -- \
//!     MODEL.gguf squad2-dev.json pubmedqa-dev.json OUTPUT stage=heads|retriever|reader \
//!     rate=1e-3 steps=300 batch=32 rank=16 from=4 probe=PROBE.json
//! ```
//!
//! A probe is only measured, never learnt from:
//! `{"passages": [[title, heading, text]], "queries": [{"format", "input", "gold": [place]}]}`.
#![allow(clippy::print_stdout)]

mod data;
mod probe;
mod reader;
mod sweep;

use data::{Asked, Corpus};
use probe::Probe;
use quartet_gguf::{GgufFile, GgufWriter, TensorType};
use quartet_llm::{Model, never};
use quartet_methods::imprag::retrieval::{Query, Retrieval, RetrievalSettings};
use quartet_methods::imprag::template;
use quartet_train::{
    AdamW, Adapters, Compute, Control, Decoder, Holding, LoraPlan, Objective, Parameters,
    Projection, Schedule, State, TrainingEvent, TrainingPlan, WeightFile, read_adapter, train,
    write_adapter,
};
use quartet_types::{Error, LoadRequest, Result};
use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Words of a command line, `name=value`.
pub(crate) struct Settings(HashMap<String, String>);

impl Settings {
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn number(&self, name: &str, otherwise: f64) -> f64 {
        self.text(name).and_then(|value| value.parse().ok()).unwrap_or(otherwise)
    }

    pub(crate) fn count(&self, name: &str, otherwise: usize) -> usize {
        self.number(name, otherwise as f64) as usize
    }
}

/// The engine's tokenizer.
pub(crate) struct Tokens(Model);

impl Tokens {
    pub(crate) fn of(&self, texts: &[String]) -> Result<Vec<Vec<u32>>> {
        self.0.tokenise(texts, false, &never())
    }
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().map(PathBuf::from).ok_or_else(|| Error::internal("usage"));
    let (model, squad, pubmed, output) = (next()?, next()?, next()?, next()?);
    let pairs = arguments.filter_map(|one| {
        one.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
    });
    let settings = Settings(pairs.collect());
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let mut corpus = Corpus::default();
    corpus.add_squad(&squad)?;
    corpus.add_pubmed(&pubmed, settings.count("abstracts", 120))?;
    corpus.add_formats(&mut |below| random.random_range(0..below.max(1)));
    corpus.find_negatives();
    corpus.queries.shuffle(&mut random);
    println!("{} passages, {} queries", corpus.passages.len(), corpus.queries.len());

    let request = LoadRequest {
        model: "base".into(),
        path: model.clone(),
        sha256: None,
        context: 512,
        threads: 2,
        gpu_layers: Some(0),
        pooling: None,
    };
    let tokens = Tokens(Model::load(&request, None, &never(), |_| {})?);
    let compute = Compute::cpu();
    let decoder = Decoder::load(&model, &compute, Holding::Floats)?;
    std::fs::create_dir_all(&output).map_err(|error| Error::from_io(&error, &output))?;
    match settings.text("stage").unwrap_or("retriever") {
        "halve" => halve(&settings, &output),
        "reader" => reader::train_reader(&corpus, &tokens, &decoder, &compute, &settings, &output),
        "sweep" => sweep::sweep(&corpus, &tokens, &decoder, &compute, &settings),
        stage => train_retriever(stage, &corpus, &tokens, &decoder, &compute, &settings, &output),
    }
}

/// Writes an adapter in 16-bit floats, which is how it is shipped.
fn halve(settings: &Settings, output: &Path) -> Result<()> {
    let name = settings.text("name").unwrap_or("reader");
    let header = GgufFile::open(&output.join(format!("{name}.gguf")))?;
    let mut file = GgufWriter::new();
    for (key, value) in header.metadata() {
        file.set(key, value.clone());
    }
    let tensors = header.tensors().to_vec();
    let stored = WeightFile::open(header)?;
    for tensor in tensors {
        let (columns, rows) = (tensor.shape[0] as usize, tensor.shape[1] as usize);
        let values = stored.packed(&tensor.name, rows, columns)?.floats(0, rows)?;
        file.tensor(&tensor.name, &tensor.shape, TensorType::F16, &values)?;
    }
    file.write(&output.join(format!("{name}.f16.gguf")))
}

/// Passages as tokens, cut to the longest that is allowed.
pub(crate) fn passage_tokens(corpus: &Corpus, tokens: &Tokens) -> Result<Vec<Vec<u32>>> {
    let texts: Vec<String> = corpus.passages.iter().map(Corpus::passage_text).collect();
    let mut all = tokens.of(&texts)?;
    all.iter_mut().for_each(shorten);
    Ok(all)
}

/// The longest passage, in tokens.
pub(crate) const LONGEST: usize = 128;

/// Cuts a passage before its terminator.
pub(crate) fn shorten(tokens: &mut Vec<u32>) {
    if let Some(&last) = tokens.last()
        && tokens.len() >= LONGEST
    {
        tokens.truncate(LONGEST - 2);
        tokens.push(last);
    }
}

pub(crate) fn queries(asked: &[&Asked], tokens: &Tokens) -> Result<Vec<Query>> {
    let texts: Vec<String> = asked.iter().map(|one| template::prompt_text(&one.input)).collect();
    let query = |(one, prompt): (&&Asked, Vec<u32>)| Query {
        prompt,
        positives: one.positives.clone(),
        negatives: one.negatives.clone(),
        unclear: one.unclear.clone(),
        judged: Vec::new(),
    };
    Ok(asked.iter().zip(tokens.of(&texts)?).map(query).collect())
}

fn train_retriever(
    stage: &str,
    corpus: &Corpus,
    tokens: &Tokens,
    decoder: &Decoder,
    compute: &Compute,
    settings: &Settings,
    output: &Path,
) -> Result<()> {
    let layer = settings.count("layer", 7);
    let heads = stage == "heads";
    let rank = settings.count("rank", if heads { 64 } else { 16 });
    let from = if heads { layer } else { settings.count("from", 4) };
    let lora = LoraPlan {
        rank,
        alpha: 2.0 * rank as f64,
        layers: from..layer + 1,
        projections: Projection::ALL.to_vec(),
        heads_of: Some(layer),
    };
    let texts = passage_tokens(corpus, tokens)?;
    let (held_out, learnt): (Vec<&Asked>, Vec<&Asked>) =
        corpus.queries.iter().partition(|one| one.held_out);
    let learnt = queries(&learnt, tokens)?;
    let held_out = queries(&held_out[..held_out.len().min(160)], tokens)?;
    let objective_settings = RetrievalSettings {
        layer,
        lora: lora.clone(),
        both_sides: true,
        batch: settings.count("batch", 32),
        positives: 1,
        negatives: settings.count("negatives", 1),
        divisor: settings.number("divisor", 1.0),
        warm_up: 1.0,
        distillation: 0.0,
        temperatures: (1.0, 1.0),
        kept_bytes: 6 << 30,
        seed: 5,
    };
    // What was learnt before and stays as it is.
    let under = match settings.text("under") {
        Some(file) => read_adapter(Path::new(file), decoder.architecture(), compute, 1.0)?,
        None => Adapters::none(),
    };
    println!("{} learnt, {} held out", learnt.len(), held_out.len());
    let mut objective = Retrieval::new(
        decoder,
        objective_settings,
        (under.clone(), under.clone()),
        texts,
        learnt,
        held_out,
        Control::new(),
    )?;
    let fresh = lora.parameters(decoder.architecture(), 3)?;
    let steps = settings.count("steps", 200) as u64;
    let plan = TrainingPlan {
        steps,
        accumulate: 1,
        rate: settings.number("rate", 1e-3),
        shares: Vec::new(),
        warm_up: (steps / 12).max(1),
        schedule: Schedule::Linear { floor: 0.02 },
        clip: Some(settings.number("clip", 1.0)),
        optimiser: AdamW { weight_decay: 0.0, ..AdamW::default() },
        seed: 9,
        evaluate_every: settings.count("every", 40) as u64,
        patience: 0,
        checkpoint_every: 0,
    };
    let probe = match settings.text("probe") {
        Some(path) => Some(Probe::load(Path::new(path), tokens)?),
        None => None,
    };
    let report = |parameters: &Parameters, objective: &mut Retrieval<'_>| -> Result<()> {
        let leaves = parameters.constants(compute)?;
        let (reciprocal, found) = objective.ranks(&leaves)?;
        println!("  held out: MRR {reciprocal:.3}, recall@10 {found:.3}");
        if let Some(probe) = &probe {
            let mut adapters = under.clone();
            adapters.extend(lora.adapters(&leaves)?);
            probe.report(decoder, layer, &adapters)?;
        }
        Ok(())
    };
    report(&fresh, &mut objective)?;
    let started = Instant::now();
    let mut state = State::new(fresh);
    let mut losses = Vec::new();
    train(&plan, compute, &mut objective, &mut state, None, &Control::new(), &mut |event| {
        match event {
            TrainingEvent::Step { step, loss, gradient_norm, .. } => {
                losses.push(loss);
                if step % 10 == 0 {
                    let tail = &losses[losses.len() - 10..];
                    let mean = tail.iter().sum::<f64>() / 10.0;
                    println!(
                        "  {step:>4}: loss {mean:.4}, gradient {gradient_norm:.2}, {:.0?}",
                        started.elapsed()
                    );
                }
            }
            TrainingEvent::Evaluation { step, loss } => {
                println!("  {step:>4}: held-out MRR {:.4}", 1.0 - loss);
            }
            TrainingEvent::Checkpoint { .. } => {}
        }
    })?;
    let best = state.best_parameters()?;
    report(&best, &mut objective)?;
    let file = output.join(format!("{}.gguf", settings.text("name").unwrap_or(stage)));
    write_adapter(&file, decoder.architecture(), &lora, &best, &[])?;
    println!("wrote {} numbers", best.count());
    let _ = objective.samples();
    Ok(())
}
