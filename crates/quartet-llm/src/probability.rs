//! Log-probabilities of the unmodified distribution.

const LANES: usize = 8;
const PIECE: usize = 1024;

/// `ln sum exp(logit)`, the number that turns logits into log-probabilities
/// (log p = logit - this).
///
/// Sums `exp(logit - max)` in pieces of 32-bit floats that are added up in 64 bits; the
/// relative error of the sum stays below 1e-6.
pub(crate) fn log_sum_exp(logits: &[f32]) -> f32 {
    let largest = maximum(logits);
    if !largest.is_finite() {
        return largest;
    }
    let sum: f64 = logits.chunks(PIECE).map(|piece| f64::from(sum_of_exp(piece, largest))).sum();
    largest + sum.ln() as f32
}

/// Index of the largest logit; the first of equals.
pub(crate) fn argmax(logits: &[f32]) -> usize {
    let largest = maximum(logits);
    logits.iter().position(|logit| *logit == largest).unwrap_or(0)
}

fn maximum(logits: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = logits.chunks_exact(LANES);
    let tail = chunks.remainder();
    for chunk in chunks {
        for (lane, logit) in lanes.iter_mut().zip(chunk) {
            *lane = if *logit > *lane { *logit } else { *lane };
        }
    }
    lanes.iter().chain(tail).copied().fold(f32::NEG_INFINITY, f32::max)
}

fn sum_of_exp(logits: &[f32], largest: f32) -> f32 {
    let mut lanes = [0f32; LANES];
    let chunks = logits.chunks_exact(LANES);
    let tail = chunks.remainder();
    for chunk in chunks {
        for (lane, logit) in lanes.iter_mut().zip(chunk) {
            *lane += exp(*logit - largest);
        }
    }
    lanes.iter().sum::<f32>() + tail.iter().map(|logit| exp(logit - largest)).sum::<f32>()
}

/// `e^x` for `x <= 0`, written so that the compiler can work on several numbers at once:
/// `x = n ln 2 + r`, a Taylor polynomial of degree 7 in `r` (|r| <= ln 2 / 2, remainder below
/// 1e-8), and `2^n` put together from its exponent bits. Below -87 the result is 0.
fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23: adding it rounds to a whole number.
    const LN2_HIGH: f32 = 0.693_359_4; // 355 / 512, exact in few bits
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let clamped = if x > -87.0 { x } else { -87.0 };
    let shifted = clamped * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = clamped - n * LN2_HIGH - n * LN2_LOW;
    let mut polynomial = 1.0 / 5040.0;
    for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        polynomial = polynomial * r + coefficient;
    }
    // The low bits of `shifted` are n; moved into the exponent they are 2^n.
    let scale = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0f32.to_bits()));
    let value = polynomial * scale;
    if x > -87.0 { value } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn our_exponential_is_the_exponential() {
        for step in 0..87_000 {
            let x = -(step as f32) / 1000.0;
            let (ours, exact) = (f64::from(exp(x)), f64::from(x).exp());
            assert!((ours / exact - 1.0).abs() < 4e-7, "{x}: {ours} {exact}");
        }
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_definition(logits in prop::collection::vec(-60f32..60.0, 1..3000)) {
            let exact = logits.iter().map(|logit| f64::from(*logit).exp()).sum::<f64>().ln();
            prop_assert!((f64::from(log_sum_exp(&logits)) - exact).abs() < 1e-5);
            let best = logits[argmax(&logits)];
            prop_assert!(logits.iter().all(|logit| *logit <= best));
        }
    }

    #[test]
    fn forbidden_tokens_do_not_disturb() {
        let value = log_sum_exp(&[0.0, f32::NEG_INFINITY, 0.0]);
        assert!((value - 2f32.ln()).abs() < 1e-6);
    }
}
