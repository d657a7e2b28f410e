//! Seconds per training step through a real model: one half of the comparison in `bench/`.
//!
//! `training_step MODEL [--tokens 128] [--linears all|qv] [--loss N] [--rank 8] [--steps 6]
//! [--mode floats|chained|stored|projector]`; prints one line of JSON.
//! A step is forward, backward, clipping and AdamW over one sequence. `--loss N`: only the last N
//! tokens are predicted. `projector`: a two-layer projector makes one row that is put behind a
//! cached prefix of half the tokens; nothing else is trained.
#![allow(clippy::print_stdout)]

use quartet_train::{
    Adapters, Compute, Control, Decoder, Gradients, Holding, KeyValues, Leaves, LoraPlan, Loss,
    Objective, Parameters, Pass, Piece, Places, Projection, State, Tensor, TrainingEvent,
    TrainingPlan, chained, cross_entropy, train,
};
use quartet_types::{Error, ErrorCode, Result};

/// Length of the expert's readout that the projector starts from: that of Gemma-3-270M.
const READOUT: usize = 640;

enum Kind {
    Lora { plan: LoraPlan, is_chained: bool },
    Projector { prefix: KeyValues, readout: Box<Tensor<2>>, from: usize },
}

struct OneText {
    decoder: Decoder,
    kind: Kind,
    ids: Vec<u32>,
    targets: Vec<(usize, u32)>,
}

impl OneText {
    fn loss(&self, leaves: &Leaves) -> Result<Loss> {
        let top = |hidden| cross_entropy(&self.decoder, hidden, &self.targets);
        match &self.kind {
            Kind::Lora { plan, is_chained } => {
                let adapters = plan.adapters(leaves)?;
                let places = Places::consecutive(0..self.ids.len() as u32);
                let rows = self.decoder.embed(&[Piece::Tokens(&self.ids)])?;
                let pass = Pass::new(&self.decoder, rows, &places, &adapters);
                if *is_chained {
                    chained(&self.decoder, &pass, top)
                } else {
                    top(self.decoder.run(&pass)?.hidden)
                }
            }
            Kind::Projector { prefix, readout, from } => {
                let inner = readout.clone().matmul(leaves.get("in")?.transpose()).tanh();
                let row = inner.matmul(leaves.get("out")?.transpose());
                let none = Adapters::none();
                let places = Places::consecutive(*from as u32..self.ids.len() as u32);
                let pieces = [Piece::Rows(&row), Piece::Tokens(&self.ids[from + 1..])];
                let rows = self.decoder.embed(&pieces)?;
                let earlier = [prefix];
                let pass =
                    Pass { earlier: &earlier, ..Pass::new(&self.decoder, rows, &places, &none) };
                top(self.decoder.run(&pass)?.hidden)
            }
        }
    }
}

impl Objective for OneText {
    fn samples(&self) -> usize {
        1
    }

    fn gradients(&mut self, leaves: &Leaves, _: usize, _: u64) -> Result<Gradients> {
        leaves.gradients(&self.loss(leaves)?)
    }
}

/// Keys and values of the first half of `ids`.
fn prefix(decoder: &Decoder, ids: &[u32]) -> Result<KeyValues> {
    let none = Adapters::none();
    let places = Places::consecutive(0..ids.len() as u32);
    let rows = decoder.embed(&[Piece::Tokens(ids)])?;
    let layers = decoder.architecture().layers;
    let pass = Pass { keep: 0..layers, ..Pass::new(decoder, rows, &places, &none) };
    Ok(decoder.run(&pass)?.key_values)
}

/// Seconds that this process has spent on processors.
fn processor_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit(')').next().unwrap_or("").split_whitespace().skip(11).take(2);
    fields.filter_map(|one| one.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn peak_megabytes() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(0.0) / 1024.0
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| {
        let at = arguments.iter().position(|one| one == name)?;
        arguments.get(at + 1).map(String::as_str)
    };
    let number = |name: &str, default: usize| {
        option(name).and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let model = arguments
        .first()
        .ok_or_else(|| Error::new(ErrorCode::InvalidInput, "name a model file"))?;
    let (tokens, mode) = (number("--tokens", 128), option("--mode").unwrap_or("floats"));
    let holding = if mode == "stored" { Holding::Stored } else { Holding::Floats };
    let compute = Compute::cpu();
    let decoder = Decoder::load(model.as_ref(), &compute, holding)?;
    let shapes = decoder.architecture().clone();
    let ids: Vec<u32> = (0..tokens as u32).map(|index| 1000 + index * 7919 % 20_000).collect();
    let first = tokens - 1 - number("--loss", tokens - 1).min(tokens - 1);
    let mut targets: Vec<_> = (first..tokens - 1).map(|row| (row, ids[row + 1])).collect();

    let mut parameters = Parameters::new();
    let kind = if mode == "projector" {
        let wave = |count: usize| (0..count).map(|at| (at as f32 * 0.37).sin() * 0.03).collect();
        parameters.add("in", shapes.width, READOUT, wave(shapes.width * READOUT))?;
        parameters.add("out", shapes.width, shapes.width, wave(shapes.width * shapes.width))?;
        let from = tokens / 2;
        targets.retain(|(row, _)| *row >= from);
        targets.iter_mut().for_each(|(row, _)| *row -= from);
        let readout = Box::new(compute.matrix(wave(READOUT), 1, READOUT)?);
        Kind::Projector { prefix: prefix(&decoder, &ids[..from])?, readout, from }
    } else {
        let mut plan = LoraPlan::everywhere(&shapes, number("--rank", 8));
        if option("--linears") == Some("qv") {
            plan.projections = vec![Projection::Query, Projection::Value];
        }
        parameters.extend(plan.parameters(&shapes, 1)?)?;
        Kind::Lora { plan, is_chained: mode != "floats" }
    };
    let mut objective = OneText { decoder, kind, ids, targets };
    let training =
        TrainingPlan { steps: number("--steps", 6) as u64, rate: 1e-3, ..TrainingPlan::default() };
    let mut state = State::new(parameters);
    let trained = state.parameters.count();
    let mut steps = Vec::new();
    let mut before = processor_seconds();
    let mut on_event = |event: TrainingEvent| {
        if let TrainingEvent::Step { loss, gradient_norm, duration, .. } = event {
            let now = processor_seconds();
            steps.push(serde_json::json!({
                "wall": duration.as_secs_f64(),
                "processor": now - before,
                "loss": loss,
                "gradient": gradient_norm,
            }));
            before = now;
        }
    };
    let control = Control::new();
    train(&training, &compute, &mut objective, &mut state, None, &control, &mut on_event)?;
    let report = serde_json::json!({
        "engine": "quartet", "trained": trained, "steps": steps, "peak_mb": peak_megabytes(),
    });
    println!("{report}");
    Ok(())
}
