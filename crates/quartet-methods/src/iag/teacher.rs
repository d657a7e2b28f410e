//! What the teacher saw: the base with the documents in its prompt, run once, its most probable
//! tokens and its states at the answer kept on disk (card, sections 4 and 7).

use quartet_train::{
    Adapters, Control, Decoder, Origin, Parameters, Pass, Piece, Places, TeacherRow, read_artefact,
    rows_at, values, write_artefact,
};
use quartet_types::{Error, ErrorCode, Result, Tap, TapPoint};
use std::path::Path;

/// Tokens kept of each position, besides the rest as one more outcome.
const KEPT: usize = 64;
/// Updates after which the temperature takes its next value (card, section 4, item 2).
const STEPS_OF_A_TEMPERATURE: u64 = 500;

/// The temperature at an update: `3 / (1 + ln(floor(step / 500) + 1))`. It falls below 1 at update
/// 3,500, from where on it sharpens; `clamp` holds it at 1.
#[must_use]
pub fn temperature(step: u64, clamp: bool) -> f64 {
    let bucket = (step / STEPS_OF_A_TEMPERATURE) as f64;
    let value = 3.0 / (1.0 + (bucket + 1.0).ln());
    if clamp { value.max(1.0) } else { value }
}

/// Every temperature of so many updates.
#[must_use]
pub fn temperatures(steps: u64, clamp: bool) -> Vec<f64> {
    let buckets = steps.saturating_sub(1) / STEPS_OF_A_TEMPERATURE;
    let mut all: Vec<f64> =
        (0..=buckets).map(|at| temperature(at * STEPS_OF_A_TEMPERATURE, clamp)).collect();
    all.dedup();
    all
}

/// The outputs of layers that are compared: after a quarter of the layers, after half, after all.
#[must_use]
pub fn compared_layers(layers: usize) -> Vec<usize> {
    let mut all = vec![(layers / 4).max(1) - 1, (layers / 2).max(1) - 1, layers - 1];
    all.dedup();
    all
}

/// What the teacher saw at one answer of `A` tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Teaching {
    /// The most probable tokens, `[A, kept]`.
    pub ids: Vec<u32>,
    /// Their logits.
    pub logits: Vec<f32>,
    /// How many are kept of each position.
    pub kept: usize,
    /// For each temperature, the logarithm of the sum of `e^(logit / temperature)` over all other
    /// tokens, by position.
    pub rests: Vec<(f64, Vec<f32>)>,
    /// Outputs of the [`compared_layers`], each `[A, width]`.
    pub states: Vec<Vec<f32>>,
    /// Loss of the answer in nats per token.
    pub loss: f64,
}

impl Teaching {
    /// Its distribution at each position, at one of the temperatures that are kept.
    ///
    /// # Errors
    /// `Internal` for another temperature.
    pub fn rows(&self, temperature: f64) -> Result<Vec<TeacherRow>> {
        let rests = self.rests.iter().find(|(known, _)| *known == temperature);
        let (_, rests) = rests.ok_or_else(|| Error::internal("a temperature that was not kept"))?;
        let rows = self.ids.chunks_exact(self.kept).zip(self.logits.chunks_exact(self.kept));
        Ok(rows
            .zip(rests)
            .map(|((ids, logits), rest)| {
                let heated: Vec<f64> =
                    logits.iter().map(|logit| f64::from(*logit) / temperature).collect();
                let whole = log_sum(heated.iter().copied().chain([f64::from(*rest)]));
                let log_probabilities = heated.iter().map(|one| one - whole).collect();
                TeacherRow { ids: ids.to_vec(), log_probabilities }
            })
            .collect())
    }

    /// What of it is kept on disk.
    fn parameters(&self, width: usize) -> Result<Parameters> {
        let answer = self.ids.len() / self.kept.max(1);
        let mut kept = Parameters::new();
        // Ids of any vocabulary are whole numbers that 32 bits of a float hold exactly.
        kept.add("ids", answer, self.kept, self.ids.iter().map(|id| *id as f32).collect())?;
        kept.add("logits", answer, self.kept, self.logits.clone())?;
        for (place, (temperature, rests)) in self.rests.iter().enumerate() {
            kept.add(format!("rests.{place}"), 1, answer, rests.clone())?;
            kept.add(format!("temperature.{place}"), 1, 1, vec![*temperature as f32])?;
        }
        for (place, states) in self.states.iter().enumerate() {
            kept.add(format!("states.{place}"), answer, width, states.clone())?;
        }
        kept.add("loss", 1, 1, vec![self.loss as f32])?;
        Ok(kept)
    }

    fn read(kept: &Parameters, temperatures: &[f64]) -> Option<Self> {
        let values = |name: &str| kept.get(name).map(|one| one.values.clone());
        let ids = kept.get("ids")?;
        let numbered = |name: &str| {
            let mut all = Vec::new();
            while let Some(one) = kept.get(&format!("{name}.{}", all.len())) {
                all.push(one.values.clone());
            }
            all
        };
        let rests = numbered("rests");
        if rests.len() != temperatures.len() {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "ids")]
        let whole = |value: &f32| *value as u32;
        Some(Self {
            ids: ids.values.iter().map(whole).collect(),
            logits: values("logits")?,
            kept: ids.columns,
            rests: temperatures.iter().copied().zip(rests).collect(),
            states: numbered("states"),
            loss: f64::from(*values("loss")?.first()?),
        })
    }
}

/// Runs the teacher over `prompt ++ answer`, without adapters and without a graph.
///
/// # Errors
/// As [`Decoder::run`].
pub fn teach(
    decoder: &Decoder,
    prompt: &[u32],
    answer: &[u32],
    temperatures: &[f64],
    control: &Control,
) -> Result<Teaching> {
    let (none, shapes) = (Adapters::none(), decoder.architecture());
    let Some((_, spoken)) = answer.split_last() else {
        return Err(Error::new(ErrorCode::InvalidInput, "an answer without tokens"));
    };
    let read: Vec<u32> = prompt.iter().chain(spoken).copied().collect();
    let places = Places::consecutive(0..read.len() as u32);
    let taps: Vec<Tap> = compared_layers(shapes.layers)
        .into_iter()
        .map(|layer| Tap { point: TapPoint::LayerOutput, layer: layer as u32, stop_after: false })
        .collect();
    let whole = Pass::new(decoder, decoder.embed(&[Piece::Tokens(&read)])?, &places, &none);
    let outcome = decoder.run(&Pass { taps: &taps, control: Some(control), ..whole })?;
    let rows: Vec<usize> = (prompt.len() - 1..read.len()).collect();
    let logits = values(decoder.logits(rows_at(outcome.hidden, &rows))?)?;
    let mut made = Teaching {
        ids: Vec::new(),
        logits: Vec::new(),
        kept: KEPT.min(shapes.vocabulary),
        rests: temperatures.iter().map(|one| (*one, Vec::new())).collect(),
        states: Vec::new(),
        loss: 0.0,
    };
    for (row, wanted) in logits.chunks_exact(shapes.vocabulary).zip(answer) {
        made.note(row, *wanted);
    }
    made.loss /= answer.len() as f64;
    for states in outcome.taps {
        made.states.push(values(rows_at(states, &rows))?);
    }
    Ok(made)
}

impl Teaching {
    fn note(&mut self, row: &[f32], wanted: u32) {
        let mut order: Vec<usize> = (0..row.len()).collect();
        let by_logit = |one: &usize, other: &usize| {
            row[*other].total_cmp(&row[*one]).then_with(|| one.cmp(other))
        };
        if self.kept < order.len() {
            order.select_nth_unstable_by(self.kept, by_logit);
        }
        let (best, others) = order.split_at_mut(self.kept);
        best.sort_by(by_logit);
        self.ids.extend(best.iter().map(|id| *id as u32));
        self.logits.extend(best.iter().map(|id| row[*id]));
        for (temperature, rests) in &mut self.rests {
            let heated = others.iter().map(|id| f64::from(row[*id]) / *temperature);
            // A vocabulary that is kept whole leaves nothing.
            rests.push(log_sum(heated).max(f64::from(f32::MIN)) as f32);
        }
        let whole = log_sum(row.iter().map(|logit| f64::from(*logit)));
        self.loss += whole - f64::from(row[wanted as usize]);
    }
}

fn log_sum(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let most = values.clone().fold(f64::NEG_INFINITY, f64::max);
    if most.is_infinite() {
        return most;
    }
    most + values.map(|value| (value - most).exp()).sum::<f64>().ln()
}

/// What the teacher saw at one answer, from `place` if it was kept there before.
///
/// # Errors
/// As [`teach`]; an operating-system error.
pub fn teach_once(
    place: &Path,
    origin: &Origin,
    decoder: &Decoder,
    (prompt, answer): (&[u32], &[u32]),
    temperatures: &[f64],
    control: &Control,
) -> Result<Teaching> {
    match read_artefact(place, Some(origin)) {
        Ok((_, kept)) => {
            if let Some(known) = Teaching::read(&kept, temperatures) {
                return Ok(known);
            }
        }
        Err(error) if error.code == ErrorCode::NotFound => {}
        Err(error) => return Err(error),
    }
    let made = teach(decoder, prompt, answer, temperatures, control)?;
    write_artefact(place, origin, 0, &made.parameters(decoder.architecture().width)?)?;
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Card, test 10.
    #[test]
    fn the_temperature_falls_as_published() {
        for (step, wanted) in [(0, 3.0), (499, 3.0), (500, 1.772), (3_000, 1.018), (3_500, 0.974)] {
            assert!((temperature(step, false) - wanted).abs() < 5e-4, "update {step}");
        }
        assert_eq!(temperature(50_000, true), 1.0);
        assert!((temperature(50_000, false) - 0.53).abs() < 0.01);
        assert_eq!(temperatures(500, true), [3.0]);
        assert_eq!(temperatures(501, true).len(), 2);
        assert_eq!(temperatures(0, true), [3.0]);
    }

    #[test]
    fn layers_are_a_quarter_a_half_and_all() {
        assert_eq!(compared_layers(24), [5, 11, 23]);
        assert_eq!(compared_layers(2), [0, 1]);
        assert_eq!(compared_layers(1), [0]);
    }

    #[test]
    fn what_is_not_kept_is_one_outcome_at_every_temperature() {
        let row: Vec<f32> = (0..100).map(|at| ((at * 37) % 100) as f32 / 20.0).collect();
        let mut made = Teaching {
            ids: Vec::new(),
            logits: Vec::new(),
            kept: 8,
            rests: vec![(3.0, Vec::new()), (1.0, Vec::new())],
            states: Vec::new(),
            loss: 0.0,
        };
        made.note(&row, 5);
        for temperature in [3.0, 1.0] {
            let whole: f64 = row.iter().map(|v| (f64::from(*v) / temperature).exp()).sum();
            let rows = made.rows(temperature).unwrap();
            assert_eq!(rows[0].ids.len(), 8);
            for (id, log) in rows[0].ids.iter().zip(&rows[0].log_probabilities) {
                let wanted = (f64::from(row[*id as usize]) / temperature).exp() / whole;
                assert!((log.exp() - wanted).abs() < 1e-6);
            }
        }
        assert!(made.rows(2.0).is_err());
        let kept = made.parameters(4).unwrap();
        let read = Teaching::read(&kept, &[3.0, 1.0]).unwrap();
        assert_eq!((&read.ids, &read.rests), (&made.ids, &made.rests));
    }
}
