//! Which layer's states tell passages apart: retrieval heads alone, taught at several layers over
//! states that are computed once.

use crate::data::{Asked, Corpus};
use crate::probe::Probe;
use crate::{Settings, Tokens, passage_tokens, queries};
use quartet_methods::imprag::encoding::mean_of_groups;
use quartet_methods::imprag::retrieval::{Retrieval, RetrievalSettings};
use quartet_methods::imprag::vector::Heads;
use quartet_train::{
    AdamW, Adapters, Compute, Control, Decoder, LoraPlan, Pass, Piece, Places, Projection,
    Schedule, State, TrainingPlan, rows_at, train, values,
};
use quartet_types::{Result, Tap, TapPoint};
use std::path::Path;
use std::time::Instant;

/// Rows of a pass, at most.
const PACKED_ROWS: usize = 448;

pub(crate) fn sweep(
    corpus: &Corpus,
    tokens: &Tokens,
    decoder: &Decoder,
    compute: &Compute,
    settings: &Settings,
) -> Result<()> {
    let layers: Vec<usize> = settings
        .text("layers")
        .unwrap_or("7,9,11,13")
        .split(',')
        .filter_map(|one| one.parse().ok())
        .collect();
    let passages = passage_tokens(corpus, tokens)?;
    let (held_out, learnt): (Vec<&Asked>, Vec<&Asked>) =
        corpus.queries.iter().partition(|one| one.held_out);
    let most = settings.count("queries", 2_000);
    let learnt = queries(&learnt[..learnt.len().min(most)], tokens)?;
    let held_out = queries(&held_out[..held_out.len().min(160)], tokens)?;
    let probe = match settings.text("probe") {
        Some(path) => Some(Probe::load(Path::new(path), tokens)?),
        None => None,
    };
    let started = Instant::now();
    let mut texts = passages.clone();
    texts.extend(learnt.iter().chain(&held_out).map(|one| one.prompt.clone()));
    let own = texts.len();
    if let Some(probe) = &probe {
        texts.extend(probe.passages.iter().chain(&probe.prompts).cloned());
    }
    let entering = entering(decoder, &texts, &layers)?;
    println!("{} texts in {:.0?}", texts.len(), started.elapsed());
    for (layer, entering) in layers.iter().zip(entering) {
        for rank in [settings.count("rank", 64)] {
            for steps in [settings.count("steps", 1_500)] {
                let lora = LoraPlan {
                    rank,
                    alpha: 2.0 * rank as f64,
                    layers: *layer..layer + 1,
                    projections: Projection::ALL.to_vec(),
                    heads_of: Some(*layer),
                };
                let how = RetrievalSettings {
                    layer: *layer,
                    lora: lora.clone(),
                    both_sides: true,
                    batch: settings.count("batch", 128),
                    positives: 1,
                    negatives: settings.count("negatives", 3),
                    divisor: settings.number("divisor", 1.0),
                    warm_up: 1.0,
                    distillation: 0.0,
                    temperatures: (1.0, 1.0),
                    kept_bytes: 0,
                    seed: 5,
                };
                let none = (Adapters::none(), Adapters::none());
                let (learnt, held_out) = (learnt.clone(), held_out.clone());
                let mut objective = Retrieval::new(
                    decoder,
                    how,
                    none,
                    passages.clone(),
                    learnt,
                    held_out,
                    Control::new(),
                )?;
                for (at, rows) in entering[..own].iter().enumerate() {
                    objective.texts().know(at, rows.clone());
                }
                let plan = TrainingPlan {
                    steps: steps as u64,
                    accumulate: 1,
                    rate: settings.number("rate", 2e-3),
                    shares: Vec::new(),
                    warm_up: 50,
                    schedule: Schedule::Linear { floor: 0.02 },
                    clip: Some(settings.number("clip", 5.0)),
                    optimiser: AdamW {
                        weight_decay: settings.number("decay", 0.0),
                        ..AdamW::default()
                    },
                    seed: 9,
                    evaluate_every: steps as u64 / 5,
                    patience: 0,
                    checkpoint_every: 0,
                };
                let mut state = State::new(lora.parameters(decoder.architecture(), 3)?);
                let control = Control::new();
                train(&plan, compute, &mut objective, &mut state, None, &control, &mut |_| {})?;
                let curve: Vec<String> = state
                    .evaluations
                    .iter()
                    .map(|one| format!("{}: {:.3}", one.step, 1.0 - one.loss))
                    .collect();
                println!(
                    "layer {layer}: held-out MRR {}, {:.0?}",
                    curve.join(", "),
                    started.elapsed()
                );
                let tail = &state.curve[state.curve.len().saturating_sub(50)..];
                println!("  training loss {:.3}", tail.iter().sum::<f64>() / tail.len() as f64);
                let best = state.best_parameters()?;
                let leaves = best.constants(compute)?;
                let (reciprocal, found) = objective.ranks(&leaves)?;
                println!("  held out: MRR {reciprocal:.3}, recall@10 {found:.3}");
                let Some(probe) = &probe else { continue };
                let adapters = lora.adapters(&leaves)?;
                let split = own + probe.passages.len();
                let make = |rows: &[Vec<f32>]| {
                    let width = decoder.architecture().width;
                    let all = compute.matrix(rows.concat(), rows.len(), width)?;
                    decoder.queries_and_keys(*layer, all, &adapters)
                };
                let shapes = decoder.architecture();
                let heads = Heads {
                    queries: shapes.heads,
                    key_values: shapes.key_value_heads,
                    length: shapes.head_length,
                };
                let (_, keys) = make(&entering[own..split])?;
                let (asked, _) = make(&entering[split..])?;
                probe.report_vectors(&values(mean_of_groups(asked, heads))?, &values(keys)?);
            }
        }
    }
    Ok(())
}

/// What enters each of `layers` at the last token of each text.
fn entering(decoder: &Decoder, texts: &[Vec<u32>], layers: &[usize]) -> Result<Vec<Vec<Vec<f32>>>> {
    let mut found = vec![Vec::with_capacity(texts.len()); layers.len()];
    let last = layers.iter().copied().max().unwrap_or(0);
    let taps: Vec<Tap> = layers
        .iter()
        .map(|layer| Tap {
            point: TapPoint::LayerOutput,
            layer: (*layer - 1) as u32,
            stop_after: false,
        })
        .collect();
    let none = Adapters::none();
    let width = decoder.architecture().width;
    let mut start = 0;
    while start < texts.len() {
        let mut end = start;
        let mut rows = 0;
        while end < texts.len() && (end == start || rows + texts[end].len() <= PACKED_ROWS) {
            rows += texts[end].len();
            end += 1;
        }
        let some = &texts[start..end];
        let ids: Vec<u32> = some.iter().flatten().copied().collect();
        let lengths: Vec<usize> = some.iter().map(Vec::len).collect();
        let places = Places::packed(&lengths, 0);
        let rows = decoder.embed(&[Piece::Tokens(&ids)])?;
        let whole = Pass::new(decoder, rows, &places, &none);
        let outcome = decoder.run(&Pass { layers: 0..last, taps: &taps, ..whole })?;
        let ends: Vec<usize> = lengths
            .iter()
            .scan(0, |end, length| {
                *end += length;
                Some(*end - 1)
            })
            .collect();
        for (into, tensor) in found.iter_mut().zip(outcome.taps) {
            let rows = values(rows_at(tensor, &ends))?;
            into.extend(rows.chunks_exact(width).map(<[f32]>::to_vec));
        }
        start = end;
    }
    Ok(found)
}
