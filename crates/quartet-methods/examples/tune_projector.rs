//! Trains a projector again and again on the memories of a GAG training that was stopped before
//! its end, with other settings each time, and says what it came to:
//!
//! ```text
//! cargo run --release -p quartet-methods --example tune_projector -- JOB_FOLDER \
//!     rate=5e-4 updates=240 batch=4 accumulate=2
//! ```
//!
//! `JOB_FOLDER` is `training/job-N` of a data folder. Losses are of held-out wordings, in nats
//! per token, with their own memories, with those of the next question, and with the mean one.
#![allow(clippy::print_stdout)]

use quartet_methods::gag::memory::{Channels, Memory, stabilise};
use quartet_methods::gag::objective::{Injection, Lesson, Settings};
use quartet_methods::gag::training::{InjectionTraining, LessonTokens, train_injection};
use quartet_train::{Compute, Control, Decoder, Holding, Parameters, TextEvent, read_artefact};
use quartet_types::{Error, Result};
use std::path::PathBuf;
use std::time::Instant;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or_else(|| Error::internal("which job?"))?);
    let text = std::fs::read(folder.join("injection.json"))
        .map_err(|error| Error::from_io(&error, &folder))?;
    let mut request: InjectionTraining =
        serde_json::from_slice(&text).map_err(|error| Error::internal(error.to_string()))?;
    request.memories = folder.join("memories");
    let scratch = tempfile::tempdir().map_err(|error| Error::internal(error.to_string()))?;
    request.folder = scratch.path().join("work");
    request.output = scratch.path().join("projector");
    for argument in arguments {
        let (name, value) = argument.split_once('=').unwrap_or((&argument, ""));
        let number: f64 = value.parse().unwrap_or(0.0);
        match name {
            "rate" => request.plan.rate = number,
            "updates" => {
                request.plan.steps = number as u64;
                request.plan.warm_up = (number / 10.0) as u64;
                request.plan.evaluate_every = (number / 8.0).ceil() as u64;
            }
            "batch" => request.batch = number as usize,
            "accumulate" => request.plan.accumulate = number as usize,
            "patience" => request.plan.patience = number as usize,
            "decay" => request.plan.optimiser.weight_decay = number,
            "semantic" => request.options.semantic = number,
            "learnt" => request.learnt.truncate(number as usize),
            _ => return Err(Error::internal(format!("there is no setting `{name}`"))),
        }
    }
    let compute = Compute::cpu();
    let started = Instant::now();
    let trained = train_injection(&request, &compute, &Control::new(), &mut |event| {
        if let TextEvent::Evaluation { step, loss, .. } = event {
            println!("  {step:>4} updates: held-out loss {loss:.4}, {:.0?}", started.elapsed());
        }
    })?;
    let tail = trained.stage.curve.iter().rev().take(10);
    println!("  training loss at the end {:.4}", tail.clone().sum::<f64>() / tail.len() as f64);
    for (name, loss) in losses(&request, &compute)? {
        println!("  {name}: {loss:.4}");
    }
    Ok(())
}

fn losses(request: &InjectionTraining, compute: &Compute) -> Result<Vec<(&'static str, f64)>> {
    let decoder = Decoder::load(&request.model, compute, Holding::Floats)?;
    let (_, kept) = read_artefact(&request.memories, None)?;
    let (_, trained) = read_artefact(&request.output, None)?;
    let gain = trained.get("gain").map_or(1.0, |one| one.values[0]);
    let channels = trained.get("channels.mean").map(|mean| Channels {
        mean: mean.values.clone(),
        deviation: trained
            .get("channels.deviation")
            .map_or_else(Vec::new, |one| one.values.clone()),
    });
    let shape = request.shape;
    let stable = |values: &[f32]| {
        let memory = Memory {
            layers: shape.layers,
            slots: shape.slots,
            width: shape.from,
            values: values.to_vec(),
        };
        stabilise(&memory, channels.as_ref(), shape.form)
    };
    let held = kept.get("held_out").ok_or_else(|| Error::internal("nothing is held out"))?;
    let own: Vec<Vec<f32>> = held.values.chunks_exact(held.columns).map(stable).collect();
    let constant = trained.get("constant").map_or_else(Vec::new, |one| one.values.clone());
    let lesson = |tokens: &LessonTokens, memory: Vec<f32>| Lesson {
        before: tokens.before.clone(),
        after: tokens.after.clone(),
        answer: tokens.answer.clone(),
        memory,
        meaning: Vec::new(),
    };
    let settings = Settings {
        semantic: 0.0,
        diversity: 0.0,
        gain,
        batch: 4,
        is_chained: false,
        kept_bytes: 1 << 30,
    };
    let mut parameters = Parameters::new();
    for (name, rows, columns) in shape.parts() {
        if let Some(one) = trained.get(name) {
            parameters.add(name, rows, columns, one.values.clone())?;
        }
    }
    let leaves = parameters.constants(compute)?;
    let count = own.len();
    let of = |memories: Vec<Vec<f32>>| -> Result<f64> {
        let lessons: Vec<Lesson> = request
            .held_out
            .iter()
            .zip(memories)
            .map(|(one, memory)| lesson(one, memory))
            .collect();
        Injection::new(&decoder, shape, settings, lessons, Vec::new(), Control::new())?
            .mean_loss(&leaves, false)
    };
    Ok(vec![
        ("own", of(own.clone())?),
        ("shuffled", of((0..count).map(|at| own[(at + 1) % count].clone()).collect())?),
        ("constant", of(vec![constant; count])?),
    ])
}
