//! Runs the second part of an IAG training again and again, with other settings each time, and
//! says what it came to:
//!
//! ```text
//! cargo run --release -p quartet-methods --example tune_iag -- JOB_FOLDER rate=5e-4 passes=4
//! ```
//!
//! `JOB_FOLDER` is `training/job-N` of a data folder, of a training that was stopped while it
//! tuned. Losses are of wordings nobody was trained on, in nats per token, with and without a
//! document: with their own features, those of the next question, the mean ones, and without
//! weights made for a question.
#![allow(clippy::print_stdout)]

use quartet_methods::iag::objective::{Lesson, Maker, Settings, Tuning};
use quartet_methods::iag::training::{IagTraining, feed_forward, train_iag};
use quartet_methods::iag::whitening::Whitening;
use quartet_train::{
    Compute, Control, Decoder, Holding, Parameters, RateShare, TextEvent, read_artefact,
};
use quartet_types::{Error, Result};
use std::path::{Path, PathBuf};
use std::time::Instant;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or_else(|| Error::internal("which job?"))?);
    let text = std::fs::read(folder.join("tuning.json"))
        .map_err(|error| Error::from_io(&error, &folder))?;
    let mut request: IagTraining =
        serde_json::from_slice(&text).map_err(|error| Error::internal(error.to_string()))?;
    request.features = folder.join("features");
    let scratch = tempfile::tempdir().map_err(|error| Error::internal(error.to_string()))?;
    request.folder = scratch.path().join("work");
    request.output = scratch.path().join("tuner");
    request.feed_forward = scratch.path().join("feed_forward.gguf");
    let (mut passes, mut alone_first) = (4.0, 0.0);
    for argument in arguments {
        let (name, value) = argument.split_once('=').unwrap_or((&argument, ""));
        let number: f64 = value.parse().unwrap_or(0.0);
        match name {
            "rate" => request.plan.rate = number,
            "hypernetwork" => {
                for side in ["down", "up"] {
                    let prefix = side.to_owned();
                    request.plan.shares.retain(|one| one.prefix != prefix);
                    request.plan.shares.push(RateShare { prefix, share: number, after: 0 });
                }
            }
            "first" => alone_first = number,
            "passes" => passes = number,
            "batch" => request.plan.accumulate = number as usize,
            "patience" => request.plan.patience = number as usize,
            "decay" => request.plan.optimiser.weight_decay = number,
            "rank" => request.options.rank = number as u32,
            "hidden" => request.options.hidden = number as u32,
            "components" => request.options.components = number as u32,
            "feed_forward" => request.options.feed_forward_rank = number as u32,
            "teacher" => request.options.teacher_weight = number,
            "states" => request.options.hidden_weight = number,
            "taught" => request.is_taught = number > 0.0,
            _ => return Err(Error::internal(format!("there is no setting `{name}`"))),
        }
    }
    let rows: usize = request.learnt.iter().map(|one| 1 + one.alone.len()).sum();
    let plan = &mut request.plan;
    plan.steps = (rows as f64 * passes / plan.accumulate as f64).ceil() as u64;
    plan.warm_up = plan.steps / 12;
    plan.shares.retain(|one| one.prefix != "blk.");
    let after = (plan.steps as f64 * alone_first) as u64;
    plan.shares.push(RateShare { prefix: "blk.".to_owned(), share: 1.0, after });
    plan.evaluate_every = plan.steps.div_ceil(6);
    println!("{rows} rows, {} updates", plan.steps);
    let compute = Compute::cpu();
    let started = Instant::now();
    let trained = train_iag(&request, &compute, &Control::new(), &mut |event| match event {
        TextEvent::Evaluation { step, loss, .. } => {
            println!("  {step:>4} updates: held-out loss {loss:.4}, {:.0?}", started.elapsed());
        }
        TextEvent::Step { stage: 1, step, loss, .. } if step % 20 == 0 => {
            println!("  {step:>4} updates: loss {loss:.4}, {:.0?}", started.elapsed());
        }
        _ => {}
    })?;
    println!("{} components, {} numbers", trained.components, trained.parameters);
    let parameters = scratch.path().join("work/tuning/parameters");
    losses(&request, &parameters, &compute)
}

/// States of lessons, with their documents and without.
fn states(kept: &Parameters, name: &str, whitening: &Whitening) -> Result<Vec<Vec<f32>>> {
    let Some(found) = kept.get(name) else { return Ok(Vec::new()) };
    found.values.chunks_exact(found.columns).map(|row| whitening.apply(row)).collect()
}

fn losses(request: &IagTraining, parameters: &Path, compute: &Compute) -> Result<()> {
    let decoder = Decoder::load(&request.model, compute, Holding::Floats)?;
    let (_, kept) = read_artefact(&request.features, None)?;
    let (manifest, made) = read_artefact(&request.output, None)?;
    let (_, trained) = read_artefact(parameters, None)?;
    let whitening = Whitening::from_parameters(&made)?;
    let maker: Maker = serde_json::from_value(manifest.origin.settings["maker"].clone())
        .map_err(|error| Error::internal(error.to_string()))?;
    let Maker::Hypernetwork(shape) = &maker else {
        return Err(Error::internal("losses are those of a hypernetwork"));
    };
    let without = shape.scaled(&trained, 0.0)?.constants(compute)?;
    let with = trained.constants(compute)?;
    let settings = Settings {
        maker,
        feed_forward: feed_forward(&request.options, decoder.architecture().layers),
        teacher_weight: 0.0,
        hidden_weight: 0.0,
        clamp_temperature: true,
        is_chained: false,
        watches_saddle: false,
    };
    let mean = |all: &[Vec<f32>]| -> Vec<f32> {
        let mut sum = vec![0.0; all.first().map_or(0, Vec::len)];
        for row in all {
            sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += value / all.len() as f32);
        }
        sum
    };
    for is_alone in [false, true] {
        let suffix = if is_alone { ".alone" } else { "" };
        let held = states(&kept, &format!("held_out{suffix}"), &whitening)?;
        let learnt = states(&kept, &format!("learnt{suffix}"), &whitening)?;
        let prompts: Vec<_> = request
            .held_out
            .iter()
            .flat_map(|one| match is_alone {
                true => one.alone.iter().map(|prompt| (prompt, &one.answer)).collect::<Vec<_>>(),
                false => vec![(&one.prompt, &one.answer)],
            })
            .collect();
        let answers: Vec<&Vec<u32>> = request
            .learnt
            .iter()
            .flat_map(|one| vec![&one.answer; if is_alone { one.alone.len() } else { 1 }])
            .collect();
        // Whether the nearest question that was learnt has the same answer.
        let near = held.iter().zip(&prompts).filter(|(row, (_, answer))| {
            let likeness =
                |other: &Vec<f32>| -> f32 { row.iter().zip(other).map(|(a, b)| a * b).sum() };
            let best =
                learnt.iter().zip(&answers).max_by(|a, b| likeness(a.0).total_cmp(&likeness(b.0)));
            best.is_some_and(|best| best.1 == answer)
        });
        let near = near.count();
        let known = prompts.iter().filter(|(_, answer)| answers.contains(answer)).count();
        println!(
            "alone {is_alone}: nearest is the same for {near} of {} ({known} are learnt)",
            held.len()
        );
        let count = held.len();
        let constant = vec![mean(&learnt); count];
        let shuffled: Vec<_> = (0..count).map(|at| held[(at + 1) % count].clone()).collect();
        for (name, features, leaves) in [
            ("own", &held, &with),
            ("shuffled", &shuffled, &with),
            ("constant", &constant, &with),
            ("none", &held, &without),
        ] {
            let lessons = prompts.iter().zip(features).map(|((prompt, answer), features)| Lesson {
                prompt: (*prompt).clone(),
                answer: (*answer).clone(),
                features: features.clone(),
                teaching: None,
            });
            let tuning = Tuning::new(
                &decoder,
                settings.clone(),
                Vec::new(),
                lessons.collect(),
                Control::new(),
            )?;
            println!("  {name}: {:.4}", tuning.held_out_loss(leaves)?);
        }
    }
    Ok(())
}
