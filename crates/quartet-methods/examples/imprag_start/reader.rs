//! The reader: answers from passages that the middle layers alone can see.

use crate::data::{Asked, Corpus};
use crate::{LONGEST, Settings, Tokens, passage_tokens};
use quartet_methods::imprag::reading::{Reading, ReadingRow, ReadingSettings};
use quartet_methods::imprag::template;
use quartet_train::{
    AdamW, Adapters, Compute, Control, Decoder, LoraPlan, Projection, Schedule, State,
    TrainingEvent, TrainingPlan, train, write_adapter,
};
use quartet_types::{ImpragMode, Result};
use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

/// Passages of a row, from and to.
const READ: (usize, usize) = (3, 9);

pub(crate) fn train_reader(
    corpus: &Corpus,
    tokens: &Tokens,
    decoder: &Decoder,
    compute: &Compute,
    settings: &Settings,
    output: &Path,
) -> Result<()> {
    let mut random = ChaCha8Rng::seed_from_u64(21);
    let passages = passage_tokens(corpus, tokens)?;
    let wanted = |one: &&Asked| one.format == "question" || one.format == "gap";
    let mut learnt: Vec<&Asked> = corpus.queries.iter().filter(wanted).collect();
    let held_out: Vec<&Asked> =
        learnt.iter().copied().filter(|one| one.held_out && one.format == "question").collect();
    learnt.retain(|one| !one.held_out);
    // Gaps are many; questions are what counts.
    learnt.retain(|one| one.format == "question" || random.random_range(0..6) == 0);
    // Encoding passages is the larger part of the work, so a row's other passages are drawn from
    // those that are right for some row.
    let mut pool: BTreeSet<usize> = BTreeSet::new();
    let most = settings.count("pool", 400);
    learnt.retain(|one| {
        let is_in = one.positives.iter().all(|place| pool.contains(place));
        let fits = is_in || pool.len() + one.positives.len() <= most;
        if fits {
            pool.extend(one.positives.iter().take(READ.0).copied());
        }
        fits
    });
    learnt.truncate(settings.count("rows", usize::MAX));
    let pool: Vec<usize> = pool.into_iter().collect();
    let held_pool: Vec<usize> =
        held_out.iter().take(60).flat_map(|one| one.positives.iter().copied()).collect();
    let mut make = |all: &[&Asked], pool: &[usize]| rows(all, tokens, pool, &mut random);
    let learnt = make(&learnt, &pool)?;
    let held_out = make(&held_out[..held_out.len().min(60)], &held_pool)?;
    println!("{} rows, {} held out", learnt.len(), held_out.len());
    let rank = settings.count("rank", 8);
    let first_layer = settings.count("layer", 7);
    let last_layer = settings.count("last", 17);
    let projections = match settings.text("linears") {
        Some("attention") => {
            vec![Projection::Query, Projection::Key, Projection::Value, Projection::Output]
        }
        _ => Projection::ALL.to_vec(),
    };
    let lora = LoraPlan {
        rank,
        alpha: 2.0 * rank as f64,
        layers: first_layer..decoder.architecture().layers,
        projections,
        heads_of: None,
    };
    let reading = ReadingSettings {
        first_layer,
        last_layer,
        prompt_position: (10 * LONGEST) as u32,
        mode: if settings.text("mode") == Some("quality") {
            ImpragMode::Quality
        } else {
            ImpragMode::Fast
        },
        lora: lora.clone(),
        through_passages: false,
        batch: settings.count("batch", 8),
        kept_bytes: 5 << 30,
    };
    // Held-out rows once more, with nothing to read, and with what is of no use.
    let count = held_out.len();
    let mut measured = held_out.clone();
    measured.extend(held_out.iter().map(|row| ReadingRow { passages: Vec::new(), ..row.clone() }));
    measured.extend(held_out.iter().enumerate().map(|(at, row)| ReadingRow {
        passages: held_out[(at + 1) % count].passages.clone(),
        ..row.clone()
    }));
    let steps = settings.count("steps", learnt.len().div_ceil(reading.batch)) as u64;
    let first = learnt.len();
    let adapters = (Adapters::none(), Adapters::none());
    let mut objective =
        Reading::new(decoder, reading, adapters, passages, learnt, measured, Control::new())?;
    let fresh = lora.parameters(decoder.architecture(), 4)?;
    let plan = TrainingPlan {
        steps,
        accumulate: 1,
        rate: settings.number("rate", 4e-4),
        shares: Vec::new(),
        warm_up: (steps / 15).max(1),
        schedule: Schedule::Linear { floor: 0.05 },
        clip: Some(1.0),
        optimiser: AdamW { weight_decay: 0.0, ..AdamW::default() },
        seed: 9,
        evaluate_every: 0,
        patience: 0,
        checkpoint_every: 0,
    };
    let report = |state: &State, objective: &mut Reading<'_>| -> Result<()> {
        let leaves = state.parameters.constants(compute)?;
        for (place, name) in ["given", "nothing", "others'"].into_iter().enumerate() {
            let rows: Vec<usize> = (first + place * count..first + (place + 1) * count).collect();
            println!("  held-out loss, {name}: {:.3}", objective.mean_loss(&leaves, &rows)?);
        }
        Ok(())
    };
    let mut state = State::new(fresh);
    report(&state, &mut objective)?;
    let started = Instant::now();
    let mut losses = Vec::new();
    train(&plan, compute, &mut objective, &mut state, None, &Control::new(), &mut |event| {
        if let TrainingEvent::Step { step, loss, .. } = event {
            losses.push(loss);
            if step % 10 == 0 {
                let mean = losses[losses.len() - 10..].iter().sum::<f64>() / 10.0;
                println!("  {step:>4}: loss {mean:.4}, {:.0?}", started.elapsed());
            }
        }
    })?;
    report(&state, &mut objective)?;
    let file = output.join(format!("{}.gguf", settings.text("name").unwrap_or("reader")));
    write_adapter(&file, decoder.architecture(), &lora, &state.parameters, &[])?;
    println!("wrote {} numbers", state.parameters.count());
    Ok(())
}

fn rows(
    all: &[&Asked],
    tokens: &Tokens,
    pool: &[usize],
    random: &mut ChaCha8Rng,
) -> Result<Vec<ReadingRow>> {
    let prompts: Vec<String> = all.iter().map(|one| template::prompt_text(&one.input)).collect();
    let answers: Vec<String> =
        all.iter().map(|one| format!(" {}{}", one.answer.trim(), template::STOP)).collect();
    let (prompts, answers) = (tokens.of(&prompts)?, tokens.of(&answers)?);
    let mut rows = Vec::with_capacity(all.len());
    for (one, (prompt, answer)) in all.iter().zip(prompts.into_iter().zip(answers)) {
        let count = random.random_range(READ.0..=READ.1);
        let mut chosen: Vec<usize> =
            one.negatives.iter().copied().filter(|place| pool.contains(place)).collect();
        chosen.shuffle(random);
        chosen.truncate(count - 1);
        for _ in 0..4 * count {
            let place = pool[random.random_range(0..pool.len())];
            if chosen.len() < count - 1
                && !one.positives.contains(&place)
                && !chosen.contains(&place)
            {
                chosen.push(place);
            }
        }
        // The right passage is mostly among the first, as a search would have it.
        let mut rank = 0;
        while rank < chosen.len() && random.random_range(0..5) < 2 {
            rank += 1;
        }
        for (offset, place) in one.positives.iter().take(3).enumerate() {
            chosen.insert((rank + offset).min(chosen.len()), *place);
        }
        chosen.truncate(READ.1 + 1);
        rows.push(ReadingRow { prompt, passages: chosen, answer });
    }
    Ok(rows)
}
