//! The base's states of a text as one vector (card, section 3.1): without adapters, the mean of
//! the finally normalised states over all tokens that are there.
//!
//! Training and answering read them in the same engine from the same file, so that what a
//! question is when it is asked is what it was when it was learnt.

use super::template;
use crate::ports::Reader;
use quartet_types::{Error, GenerationRequest, Result, Tap, TapPoint, TapRows, TapUse};
use tokio_util::sync::CancellationToken;

/// A text as one vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Pooled {
    /// `[width]`, as it is: neither whitened nor of unit length.
    pub vector: Vec<f32>,
    /// Tokens read.
    pub tokens: u32,
}

/// The vector of a question with its document, or without one where that is empty.
///
/// # Errors
/// Those of the reader; `Internal` where the tap read something else.
pub async fn pooled(
    question: &str,
    document: &str,
    reader: &dyn Reader,
    cancel: &CancellationToken,
) -> Result<Pooled> {
    let prompt = template::raw(template::features_text(question, document));
    let mut request = GenerationRequest::new(reader.model().model.clone(), prompt);
    let tap = Tap { point: TapPoint::FinalNorm, layer: 0, stop_after: true };
    request.taps = vec![TapUse { tap, rows: TapRows::Prompt }];
    request.limits.max_tokens = 1;
    let read = reader.generate(request, cancel, &mut |_| {}).await?;
    let reading = read.taps.first().ok_or_else(|| Error::internal("no features were read out"))?;
    Ok(Pooled {
        vector: mean(&reading.values, reading.width as usize)?,
        tokens: read.prompt_tokens,
    })
}

fn mean(values: &[f32], width: usize) -> Result<Vec<f32>> {
    if width == 0 || values.is_empty() || !values.len().is_multiple_of(width) {
        return Err(Error::internal("features of another shape"));
    }
    let mut sum = vec![0.0f64; width];
    for row in values.chunks_exact(width) {
        sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
    }
    let rows = (values.len() / width) as f64;
    Ok(sum.into_iter().map(|sum| (sum / rows) as f32).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_over_tokens() {
        assert_eq!(mean(&[1.0, 2.0, 3.0, 6.0], 2).unwrap(), [2.0, 4.0]);
        assert!(mean(&[1.0, 2.0, 3.0], 2).is_err());
        assert!(mean(&[], 2).is_err());
    }
}
