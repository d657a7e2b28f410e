//! AdamW and learning rates.

use crate::compute::check_finite;
use crate::parameters::{Gradients, Parameters};
use quartet_types::{Error, Result};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Adam with decoupled weight decay (Kingma and Ba 2015; Loshchilov and Hutter 2019).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AdamW {
    /// Decay of the mean gradient.
    pub beta_1: f64,
    /// Decay of the mean squared gradient.
    pub beta_2: f64,
    /// Added to the root of the mean square.
    pub epsilon: f64,
    /// Share of a matrix that an update at rate 1 takes away; parameters of one row (biases,
    /// norms) do not decay.
    pub weight_decay: f64,
}

impl Default for AdamW {
    fn default() -> Self {
        Self { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8, weight_decay: 0.01 }
    }
}

/// Parameters that learn more slowly than others, or later. A step of Adam is of the same size for every
/// number; where many numbers add up to one that is used, as in a network that writes weights,
/// that one moves by all their steps together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RateShare {
    /// How their names begin.
    pub prefix: String,
    /// Share of the learning rate.
    pub share: f64,
    /// Updates that leave them as they are.
    #[serde(default)]
    pub after: u64,
}

/// The running means of [`AdamW`], in the order of [`Parameters`].
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Moments {
    /// Updates so far.
    pub updates: u64,
    /// Mean gradients.
    pub first: Vec<Vec<f32>>,
    /// Mean squared gradients.
    pub second: Vec<Vec<f32>>,
}

impl Moments {
    /// Zeros.
    #[must_use]
    pub fn new(parameters: &Parameters) -> Self {
        let zeros: Vec<Vec<f32>> =
            parameters.all().iter().map(|one| vec![0.0; one.values.len()]).collect();
        Self { updates: 0, first: zeros.clone(), second: zeros }
    }
}

impl AdamW {
    /// One update at learning rate `rate`, or at a share of it for parameters that have one.
    ///
    /// # Errors
    /// `Corrupt` naming a parameter that is no longer finite; `Internal` where shapes differ.
    pub fn update(
        &self,
        parameters: &mut Parameters,
        moments: &mut Moments,
        gradients: &Gradients,
        rate: f64,
        shares: &[RateShare],
    ) -> Result<()> {
        moments.updates += 1;
        let exponent = moments.updates as f64;
        let correction_1 = 1.0 - self.beta_1.powf(exponent);
        let correction_2 = 1.0 - self.beta_2.powf(exponent);
        if parameters.all().len() != gradients.all.len() {
            return Err(Error::internal("gradients of other parameters"));
        }
        let means = moments.first.par_iter_mut().zip(&mut moments.second).zip(&gradients.all);
        let all = parameters.all_mut().par_iter_mut().zip(means);
        // Errors are looked at in order, so that the first is the same each time.
        let ends: Vec<Result<()>> = all
            .map(|(parameter, ((first, second), gradient))| {
                let share = shares.iter().find(|one| parameter.name.starts_with(&one.prefix));
                let rate = share.map_or(rate, |one| match moments.updates > one.after {
                    true => rate * one.share,
                    false => 0.0,
                });
                let decay = if parameter.rows > 1 { rate * self.weight_decay } else { 0.0 };
                let numbers = parameter.values.iter_mut().zip(first).zip(second).zip(gradient);
                for (((value, first), second), gradient) in numbers {
                    let slope = f64::from(*gradient);
                    let mean = self.beta_1 * f64::from(*first) + (1.0 - self.beta_1) * slope;
                    let square =
                        self.beta_2 * f64::from(*second) + (1.0 - self.beta_2) * slope * slope;
                    (*first, *second) = (mean as f32, square as f32);
                    let root = (square / correction_2).sqrt() + self.epsilon;
                    let old = f64::from(*value);
                    *value = (old - decay * old - rate * mean / correction_1 / root) as f32;
                }
                check_finite(&parameter.values, &parameter.name)
            })
            .collect();
        ends.into_iter().collect::<Result<()>>()?;
        Ok(())
    }
}

/// How the learning rate goes on after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Stays.
    Constant,
    /// Falls in a line to this share of the peak at the last step.
    Linear {
        /// Between 0 and 1.
        floor: f64,
    },
    /// Falls in half a cosine to this share of the peak (Loshchilov and Hutter 2017).
    Cosine {
        /// Between 0 and 1.
        floor: f64,
    },
}

impl Schedule {
    /// The rate of update `step` (from 0) of `steps`, rising in a line to `peak` over the first
    /// `warm_up`.
    #[must_use]
    pub fn rate(self, peak: f64, step: u64, steps: u64, warm_up: u64) -> f64 {
        if step < warm_up {
            return peak * (step + 1) as f64 / warm_up as f64;
        }
        let left = steps.saturating_sub(warm_up).max(1) as f64;
        let done = ((step - warm_up) as f64 / left).min(1.0);
        match self {
            Self::Constant => peak,
            Self::Linear { floor } => peak * (1.0 - (1.0 - floor) * done),
            Self::Cosine { floor } => {
                let height = 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
                peak * (floor + (1.0 - floor) * height)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_updates_are_those_of_the_paper() {
        let mut parameters = Parameters::new();
        parameters.add("w", 2, 1, vec![1.0, -2.0]).unwrap();
        parameters.add("b", 1, 1, vec![0.5]).unwrap();
        let mut moments = Moments::new(&parameters);
        let optimiser = AdamW { weight_decay: 0.1, ..AdamW::default() };
        for slopes in [[0.5f32, -1.0, 2.0], [0.25, 1.0, 2.0]] {
            let all = vec![slopes[..2].to_vec(), slopes[2..].to_vec()];
            let gradients = Gradients { loss: 0.0, all };
            optimiser.update(&mut parameters, &mut moments, &gradients, 0.1, &[]).unwrap();
        }
        // First update: every step is the sign of the gradient, after 1 % of decay.
        // Second: means .9 * .1 * g1 + .1 * g2 over 1 - .81, squares likewise over 1 - .998001.
        let second = |start: f64, g1: f64, g2: f64, decay: f64| {
            let after = start - decay * start - 0.1 * g1.signum();
            let mean = (0.09 * g1 + 0.1 * g2) / 0.19;
            let square = (0.000_999 * g1 * g1 + 0.001 * g2 * g2) / 0.001_999;
            after - decay * after - 0.1 * mean / square.sqrt()
        };
        let expected = [
            second(1.0, 0.5, 0.25, 0.01),
            second(-2.0, -1.0, 1.0, 0.01),
            second(0.5, 2.0, 2.0, 0.0),
        ];
        let found: Vec<f32> = parameters.all().iter().flat_map(|one| one.values.clone()).collect();
        for (found, expected) in found.iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 1e-6, "{found} is not {expected}");
        }
    }

    #[test]
    fn some_learn_at_a_share_of_the_rate() {
        let mut parameters = Parameters::new();
        for name in ["up0.w", "other", "later"] {
            parameters.add(name, 1, 1, vec![1.0]).unwrap();
        }
        let mut moments = Moments::new(&parameters);
        let gradients = Gradients { loss: 0.0, all: vec![vec![3.0]; 3] };
        let share =
            |prefix: &str, share, after| RateShare { prefix: prefix.to_owned(), share, after };
        let shares = [share("up", 0.1, 0), share("later", 1.0, 1)];
        let optimiser = AdamW { weight_decay: 0.0, ..AdamW::default() };
        let mut step = || -> Vec<f32> {
            optimiser.update(&mut parameters, &mut moments, &gradients, 0.5, &shares).unwrap();
            parameters.all().iter().map(|one| one.values[0]).collect()
        };
        // With the same slope each time every step is as long as the rate.
        for expected in [[0.95, 0.5, 1.0], [0.9, 0.0, 0.5]] {
            let found = step();
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-5, "{found} is not {expected}");
            }
        }
    }

    #[test]
    fn rates_rise_and_fall() {
        let cosine = Schedule::Cosine { floor: 0.1 };
        let rate = |schedule: Schedule, step| schedule.rate(2.0, step, 12, 2);
        assert_eq!([rate(cosine, 0), rate(cosine, 1), rate(cosine, 2)], [1.0, 2.0, 2.0]);
        assert!((rate(cosine, 7) - 1.1).abs() < 1e-12);
        assert!((rate(cosine, 12) - 0.2).abs() < 1e-12);
        assert_eq!(rate(Schedule::Linear { floor: 0.0 }, 7), 1.0);
        assert_eq!(rate(Schedule::Constant, 11), 2.0);
    }
}
