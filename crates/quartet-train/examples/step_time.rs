//! Seconds per training step on a real model: `step_time MODEL [tokens] [rank] [mode]`, where mode is
//! `floats`, `chained` or `stored`.
#![allow(clippy::print_stdout)]

use quartet_train::{
    Compute, Control, Decoder, Gradients, Holding, Leaves, LoraPlan, Objective, Pass, Piece,
    Places, State, TrainingEvent, TrainingPlan, chained, cross_entropy, train,
};
use quartet_types::Result;

struct OneText {
    decoder: Decoder,
    plan: LoraPlan,
    ids: Vec<u32>,
    targets: Vec<(usize, u32)>,
    is_chained: bool,
}

impl Objective for OneText {
    fn samples(&self) -> usize {
        1
    }

    fn gradients(&mut self, leaves: &Leaves, _: usize, _: u64) -> Result<Gradients> {
        let adapters = self.plan.adapters(leaves)?;
        let places = Places::consecutive(0..self.ids.len() as u32);
        let rows = self.decoder.embed(&[Piece::Tokens(&self.ids)])?;
        let pass = Pass::new(&self.decoder, rows, &places, &adapters);
        let top = |hidden| cross_entropy(&self.decoder, hidden, &self.targets);
        let loss = if self.is_chained {
            chained(&self.decoder, &pass, top)?
        } else {
            top(self.decoder.run(&pass)?.hidden)?
        };
        leaves.gradients(&loss)
    }
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |at: usize, default: usize| {
        arguments.get(at).and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (tokens, rank) = (number(2, 128), number(3, 8));
    let mode = arguments.get(4).map_or("floats", String::as_str);
    let holding = if mode == "stored" { Holding::Stored } else { Holding::Floats };
    let started = std::time::Instant::now();
    let decoder = Decoder::load(arguments[1].as_ref(), &Compute::cpu(), holding)?;
    println!("loaded in {:.1} s", started.elapsed().as_secs_f64());
    let mut plan = LoraPlan::everywhere(decoder.architecture(), rank);
    if std::env::var_os("QV").is_some() {
        plan.projections = vec![quartet_train::Projection::Query, quartet_train::Projection::Value];
    }
    let parameters = plan.parameters(decoder.architecture(), 1)?;
    let ids: Vec<u32> = (0..tokens as u32).map(|index| 1000 + index * 7919 % 20_000).collect();
    let from = tokens - number(5, tokens).min(tokens);
    let targets = (from..tokens - 1).map(|row| (row, ids[row + 1])).collect();
    let mut objective = OneText { decoder, plan, ids, targets, is_chained: mode != "floats" };
    let training =
        TrainingPlan { steps: number(6, 5) as u64, rate: 1e-3, ..TrainingPlan::default() };
    let mut state = State::new(parameters);
    println!("{} parameters", state.parameters.count());
    let cpu = || {
        let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let fields: Vec<f64> =
            text.split_whitespace().skip(13).take(2).filter_map(|one| one.parse().ok()).collect();
        fields.iter().sum::<f64>() / 100.0
    };
    let mut before = cpu();
    train(
        &training,
        &Compute::cpu(),
        &mut objective,
        &mut state,
        None,
        &Control::new(),
        &mut |event| {
            if let TrainingEvent::Step { step, loss, gradient_norm, duration, .. } = event {
                let now = cpu();
                println!(
                    "step {step}: loss {loss:.12}, |g| {gradient_norm:.9}, {:.2} s wall, {:.2} s cpu",
                    duration.as_secs_f64(),
                    now - before
                );
                before = now;
            }
        },
    )?;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    println!("{}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or(""));
    Ok(())
}
