//! How strongly weights made for a question come into force. Trained on a few hundred questions a
//! hypernetwork may say more about them than about any other; so the strength is chosen on
//! questions that were not trained on, and nothing is an answer too. The paper has no such step.

use super::objective::{Maker, Tuning};
use super::shape::{Shape, Side};
use quartet_train::{Compute, Parameters};
use quartet_types::{Result, TriedStrength};

/// What is tried, the strongest first: of equals it is taken.
pub const STRENGTHS: [f64; 4] = [1.0, 0.7, 0.4, 0.0];

impl Shape {
    /// The same networks, whose changes are `strength` times as large: `B` hangs linearly on the
    /// last layer of its network.
    ///
    /// # Errors
    /// `InvalidInput` for parameters of which two have the same name.
    pub fn scaled(&self, parameters: &Parameters, strength: f64) -> Result<Parameters> {
        let classes = 0..self.classes().len();
        let last: Vec<String> =
            classes.flat_map(|at| ["w2", "b2"].map(|part| Side::Up.name(at, part))).collect();
        let mut scaled = Parameters::new();
        for one in parameters.all() {
            let mut values = one.values.clone();
            if last.contains(&one.name) {
                values.iter_mut().for_each(|value| *value *= strength as f32);
            }
            scaled.add(one.name.clone(), one.rows, one.columns, values)?;
        }
        Ok(scaled)
    }
}

/// The parameters at the strength under which held-out questions lose least, and what was tried.
/// A bank decides its strengths itself: nothing is tried.
///
/// # Errors
/// As [`Tuning::held_out_loss`].
pub fn strongest(
    maker: &Maker,
    tuning: &Tuning<'_>,
    trained: Parameters,
    compute: &Compute,
) -> Result<(Parameters, Vec<TriedStrength>)> {
    let Maker::Hypernetwork(shape) = maker else { return Ok((trained, Vec::new())) };
    if !tuning.holds_out() {
        return Ok((trained, Vec::new()));
    }
    let mut tried = Vec::with_capacity(STRENGTHS.len());
    for strength in STRENGTHS {
        let scaled = shape.scaled(&trained, strength)?.constants(compute)?;
        tried.push(TriedStrength { strength, loss: tuning.held_out_loss(&scaled)? });
    }
    Ok((shape.scaled(&trained, TriedStrength::best(&tried))?, tried))
}
