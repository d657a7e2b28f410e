//! What an expert thought about a question, as a few vectors: its hidden states while it wrote,
//! cut into segments and pooled (GAG card, sections 3b and 3c).

use quartet_types::{Error, ErrorCode, GagForm, GagOptions, Result, SlotPooling, Tap, TapPoint};

/// Added under the root of the normalisation without parameters (section 3c).
const NORM_EPSILON: f64 = 1e-6;
/// No coordinate of a memory is larger (section 3c).
pub const CLAMP: f32 = 10.0;
/// Deviations below this are taken as one: a channel that never changes says nothing.
const SMALLEST_DEVIATION: f32 = 1e-6;

/// Pooled states, `[layers, slots, width]`, row-major, as pooled: not yet normalised.
#[derive(Debug, Clone, PartialEq)]
pub struct Memory {
    /// Layers read out.
    pub layers: usize,
    /// Slots of each.
    pub slots: usize,
    /// Length of a hidden state of the expert.
    pub width: usize,
    /// The numbers.
    pub values: Vec<f32>,
}

/// Where the paper's layer `from_end` is read in a model of `layers` blocks: 1 is the final
/// normalisation; `k` from 2 on is the output of block `layers - k`, counted from 0. The output
/// of the last block before the final normalisation has no number (section 3b).
///
/// # Errors
/// `InvalidInput` for a layer the model has not got.
pub fn tap_of(from_end: u32, layers: u32) -> Result<Tap> {
    match from_end {
        1 => Ok(Tap { point: TapPoint::FinalNorm, layer: 0, stop_after: false }),
        2.. if from_end <= layers => {
            Ok(Tap { point: TapPoint::LayerOutput, layer: layers - from_end, stop_after: false })
        }
        _ => Err(Error::new(
            ErrorCode::InvalidInput,
            format!("a model of {layers} layers has no layer {from_end} from the end"),
        )),
    }
}

/// Borders of the segments: `slots + 1` values of `linspace(0, rows, slots + 1)`, rounded half
/// to even (section 3c).
#[must_use]
pub fn bounds(rows: usize, slots: usize) -> Vec<usize> {
    (0..=slots)
        .map(|border| {
            let exact = rows as f64 * border as f64 / slots as f64;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
            let whole = exact.round_ties_even() as usize;
            whole
        })
        .collect()
}

/// Pools the rows of each layer, `[rows, width]` each, to slots.
///
/// # Errors
/// `InvalidInput` where the layers differ in shape or there is no row at all.
pub fn pool(readings: &[Vec<f32>], width: usize, options: &GagOptions) -> Result<Memory> {
    let rows = readings.first().map_or(0, |values| values.len() / width.max(1));
    let wrong = |message: &str| Err(Error::new(ErrorCode::InvalidInput, message));
    if rows == 0 {
        return wrong("the expert wrote nothing to read out");
    }
    if readings.iter().any(|values| values.len() != rows * width) {
        return wrong("the layers of a readout differ in shape");
    }
    let slots = options.slots as usize;
    let mut values = Vec::with_capacity(readings.len() * slots * width);
    for layer in readings {
        match options.form {
            // Version 1: the state of the last token, as it is.
            GagForm::OneToken => values.extend_from_slice(&layer[(rows - 1) * width..]),
            GagForm::Slots => {
                let borders = bounds(rows, slots);
                for pair in borders.windows(2) {
                    let (start, end) = match (pair[0], pair[1]) {
                        (start, end) if start < end => (start, end),
                        (start, _) => (start.min(rows - 1), start.min(rows - 1) + 1),
                    };
                    values.extend(slot(&layer[start * width..end * width], width, options));
                }
            }
        }
    }
    let slots = if options.form == GagForm::OneToken { 1 } else { slots };
    Ok(Memory { layers: readings.len(), slots, width, values })
}

/// One slot of some rows. A single slot is their plain mean (section 3c).
fn slot(rows: &[f32], width: usize, options: &GagOptions) -> Vec<f32> {
    let weights = weights(rows, width, options);
    let mut sum = vec![0.0f64; width];
    for (row, weight) in rows.chunks_exact(width).zip(&weights) {
        for (sum, value) in sum.iter_mut().zip(row) {
            *sum += weight * f64::from(*value);
        }
    }
    sum.into_iter().map(|value| value as f32).collect()
}

/// Weights of the rows of a segment; they sum to one.
fn weights(rows: &[f32], width: usize, options: &GagOptions) -> Vec<f64> {
    let lengths: Vec<f64> = rows
        .chunks_exact(width)
        .map(|row| row.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt())
        .collect();
    let count = lengths.len() as f64;
    let temperature = match options.pooling {
        _ if options.slots == 1 => None,
        SlotPooling::Mean => None,
        SlotPooling::NormSoftmax { temperature } => Some(f64::from(temperature)),
        SlotPooling::ScaledNormSoftmax => {
            let mean = lengths.iter().sum::<f64>() / count;
            let square = lengths.iter().map(|length| (length - mean).powi(2)).sum::<f64>() / count;
            Some(square.sqrt()).filter(|deviation| *deviation > 0.0)
        }
    };
    let Some(temperature) = temperature else { return vec![1.0 / count; lengths.len()] };
    // Less the largest: lengths around 20,000 would overflow.
    let most = lengths.iter().copied().fold(f64::MIN, f64::max);
    let shares: Vec<f64> =
        lengths.iter().map(|length| ((length - most) / temperature).exp()).collect();
    let whole: f64 = shares.iter().sum();
    shares.into_iter().map(|share| share / whole).collect()
}

/// Mean and deviation of each channel of each layer over training memories,
/// `[layers, width]` each.
#[derive(Debug, Clone, PartialEq)]
pub struct Channels {
    /// Means.
    pub mean: Vec<f32>,
    /// Standard deviations.
    pub deviation: Vec<f32>,
}

impl Channels {
    /// Measures them.
    ///
    /// # Errors
    /// `InvalidInput` for no memory, or memories of different shapes.
    pub fn measure<'a>(memories: impl IntoIterator<Item = &'a Memory> + Clone) -> Result<Self> {
        let wrong = |message: &str| Error::new(ErrorCode::InvalidInput, message);
        let first = memories.clone().into_iter().next();
        let first = first.ok_or_else(|| wrong("there is no memory to measure"))?;
        let length = first.layers * first.width;
        let mut sum = vec![0.0f64; length];
        let mut squares = vec![0.0f64; length];
        let mut count = 0.0f64;
        for memory in memories {
            if (memory.layers, memory.slots, memory.width)
                != (first.layers, first.slots, first.width)
            {
                return Err(wrong("memories of different shapes"));
            }
            for (index, row) in memory.values.chunks_exact(memory.width).enumerate() {
                let start = index / memory.slots * memory.width;
                for (channel, value) in row.iter().enumerate() {
                    sum[start + channel] += f64::from(*value);
                    squares[start + channel] += f64::from(*value).powi(2);
                }
            }
            count += memory.slots as f64;
        }
        let mean: Vec<f64> = sum.iter().map(|sum| sum / count).collect();
        let deviation = squares.iter().zip(&mean).map(|(square, mean)| {
            let deviation = (square / count - mean * mean).max(0.0).sqrt() as f32;
            if deviation > SMALLEST_DEVIATION { deviation } else { 1.0 }
        });
        let deviation = deviation.collect();
        Ok(Self { mean: mean.into_iter().map(|mean| mean as f32).collect(), deviation })
    }
}

/// Brings a memory into the form the projector reads. With `channels` each channel is
/// standardised (a deviation from the paper, section 8.1); otherwise, in the form with slots,
/// every vector gets a normalisation without parameters. Slots are clamped to ±[`CLAMP`]; the
/// one-token form without `channels` stays raw, as in version 1. Applied once, everywhere.
#[must_use]
pub fn stabilise(memory: &Memory, channels: Option<&Channels>, form: GagForm) -> Vec<f32> {
    let finite = |value: f32| if value.is_finite() { value } else { 0.0 };
    let mut values: Vec<f32> = memory.values.iter().map(|value| finite(*value)).collect();
    let width = memory.width;
    if let Some(channels) = channels {
        for (index, row) in values.chunks_exact_mut(width).enumerate() {
            let start = index / memory.slots * width;
            for (channel, value) in row.iter_mut().enumerate() {
                let at = start + channel;
                *value = (*value - channels.mean[at]) / channels.deviation[at];
            }
        }
    } else if form == GagForm::Slots {
        values.chunks_exact_mut(width).for_each(normalise);
    } else {
        return values;
    }
    values.iter_mut().for_each(|value| *value = value.clamp(-CLAMP, CLAMP));
    values
}

/// Layer normalisation without parameters, biased variance.
fn normalise(row: &mut [f32]) {
    let count = row.len() as f64;
    let mean = row.iter().map(|value| f64::from(*value)).sum::<f64>() / count;
    let variance = row.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>() / count;
    let scale = 1.0 / (variance + NORM_EPSILON).sqrt();
    row.iter_mut().for_each(|value| *value = ((f64::from(*value) - mean) * scale) as f32);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(pooling: SlotPooling) -> GagOptions {
        GagOptions { pooling, ..GagOptions::new(GagForm::Slots) }
    }

    const PAPER: SlotPooling = SlotPooling::NormSoftmax { temperature: 1.0 };

    #[test]
    fn layers_are_counted_as_in_the_paper() {
        // Qwen3-1.7B has 28 blocks, Gemma-3-270M 18 (card, table in 3b).
        for (layers, from_end, block) in [(28, 2, 26), (28, 4, 24), (28, 6, 22), (18, 4, 14)] {
            let tap = tap_of(from_end, layers).unwrap();
            assert_eq!((tap.point, tap.layer), (TapPoint::LayerOutput, block));
        }
        assert_eq!(tap_of(1, 18).unwrap().point, TapPoint::FinalNorm);
        assert!(tap_of(0, 18).is_err() && tap_of(19, 18).is_err());
    }

    #[test]
    fn borders_are_rounded_half_to_even() {
        for (rows, expected) in [
            (1, [0, 0, 0, 1, 1]),
            (2, [0, 0, 1, 2, 2]),
            (6, [0, 2, 3, 4, 6]),
            (10, [0, 2, 5, 8, 10]),
        ] {
            assert_eq!(bounds(rows, 4), expected, "{rows} rows");
        }
    }

    #[test]
    fn one_row_fills_every_slot() {
        let memory = pool(&[vec![1.0, -2.0, 3.0]], 3, &slots(PAPER)).unwrap();
        assert_eq!(memory.values, [1.0, -2.0, 3.0].repeat(4));
    }

    #[test]
    fn weights_sum_to_one_whatever_the_lengths() {
        let rows: Vec<f32> = [1e5f32, -2e5, 0.0, 0.0, 9e4, 1.0].to_vec();
        for pooling in [PAPER, SlotPooling::ScaledNormSoftmax, SlotPooling::Mean] {
            let weights = weights(&rows, 2, &slots(pooling));
            assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{pooling:?} {weights:?}");
            assert!(weights.iter().all(|weight| weight.is_finite()));
        }
        // The paper's rule keeps the longest row alone; the scaled one does not.
        assert_eq!(weights(&rows, 2, &slots(PAPER))[0], 1.0);
        assert!(weights(&rows, 2, &slots(SlotPooling::ScaledNormSoftmax))[0] < 0.8);
    }

    #[test]
    fn one_slot_is_a_plain_mean() {
        let options = GagOptions { slots: 1, ..slots(PAPER) };
        let memory = pool(&[vec![1.0, 100.0, 3.0, 0.0]], 2, &options).unwrap();
        assert_eq!(memory.values, [2.0, 50.0]);
    }

    #[test]
    fn the_first_form_takes_the_last_row_as_it_is() {
        let options = GagOptions::published(GagForm::OneToken);
        let memory = pool(&[vec![1.0, 2.0, 3e4, -4.0]], 2, &options).unwrap();
        assert_eq!((memory.slots, memory.values.as_slice()), (1, &[3e4, -4.0][..]));
        assert_eq!(stabilise(&memory, None, options.form), [3e4, -4.0]);
    }

    #[test]
    fn nothing_written_is_an_error_and_not_a_vector_of_zeros() {
        assert_eq!(
            pool(&[Vec::new()], 2, &slots(PAPER)).unwrap_err().code,
            ErrorCode::InvalidInput
        );
    }

    #[test]
    fn one_loud_channel_hits_the_clamp() {
        let mut values = vec![0.0; 640];
        values[7] = 5.0;
        let mut loud = values.clone();
        normalise(&mut loud);
        assert!((loud[7] - 25.28).abs() < 0.01, "{}", loud[7]);
        let memory = Memory { layers: 1, slots: 1, width: 640, values };
        assert_eq!(stabilise(&memory, None, GagForm::Slots)[7], CLAMP);
        let silent = Memory { values: vec![0.0; 640], ..memory };
        assert_eq!(stabilise(&silent, None, GagForm::Slots), vec![0.0; 640]);
    }

    #[test]
    fn channels_are_standardised_over_memories() {
        let memory = |first: f32| Memory {
            layers: 2,
            slots: 2,
            width: 1,
            values: vec![first, first + 2.0, 7.0, 7.0],
        };
        let all = [memory(0.0), memory(4.0)];
        let channels = Channels::measure(&all).unwrap();
        assert_eq!(channels.mean, [3.0, 7.0]);
        let deviation = 5.0f32.sqrt();
        assert!((channels.deviation[0] - deviation).abs() < 1e-6);
        assert_eq!(channels.deviation[1], 1.0);
        let values = stabilise(&all[0], Some(&channels), GagForm::Slots);
        assert!((values[0] + 3.0 / deviation).abs() < 1e-6 && values[2] == 0.0);
    }
}
