//! What a pass through a decoder takes and gives.

use crate::adapters::Adapters;
use crate::architecture::{Architecture, Family, LayerAttention};
use crate::control::Control;
use crate::decoder::Decoder;
use crate::rotary::Rotary;
use crate::rows::{Earlier, KeyValues, Places, check_width, mask};
use burn::tensor::Tensor;
use quartet_types::{Error, ErrorCode, Result, Tap, TapPoint};
use std::ops::Range;

/// One pass through some layers.
#[derive(Debug, Clone)]
pub struct Pass<'a> {
    /// What enters the first of the layers, `[n, width]`: [`Decoder::embed`], or the hidden
    /// states of an earlier pass.
    pub rows: Tensor<2>,
    /// Where the rows stand.
    pub places: &'a Places,
    /// Which layers run.
    pub layers: Range<usize>,
    /// Low-rank adapters.
    pub adapters: &'a Adapters,
    /// Cached prefixes and passages.
    pub earlier: &'a [&'a KeyValues],
    /// What to read out.
    pub taps: &'a [Tap],
    /// Layers whose keys and values are kept for later passes.
    pub keep: Range<usize>,
    /// Looked at before every block: a pass of a large model takes longer than a person who
    /// pressed a button wants to wait.
    pub control: Option<&'a Control>,
}

impl<'a> Pass<'a> {
    /// All layers of `decoder`, no earlier rows, no taps.
    #[must_use]
    pub fn new(
        decoder: &Decoder,
        rows: Tensor<2>,
        places: &'a Places,
        adapters: &'a Adapters,
    ) -> Self {
        let layers = 0..decoder.architecture.layers;
        Self { rows, places, layers, adapters, earlier: &[], taps: &[], keep: 0..0, control: None }
    }

    /// Whether it fits the model.
    pub(crate) fn check(&self, architecture: &Architecture) -> Result<()> {
        let wrong = |message: String| Err(Error::new(ErrorCode::InvalidInput, message));
        check_width(&self.rows, architecture.width)?;
        let [rows, _] = self.rows.dims();
        if rows != self.places.len() {
            return wrong(format!("{rows} rows at {} places", self.places.len()));
        }
        if self.layers.end > architecture.layers || self.layers.is_empty() {
            return wrong(format!(
                "layers {:?} of a model with {}",
                self.layers, architecture.layers
            ));
        }
        let wants_norm = self.taps.iter().any(|tap| tap.point == TapPoint::FinalNorm);
        if wants_norm && self.layers.end != architecture.layers {
            return wrong("the final normalisation comes after the last layer only".to_owned());
        }
        Ok(())
    }
}

/// What a pass gives.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Output of the last layer that ran, `[n, width]`, before the final normalisation.
    pub hidden: Tensor<2>,
    /// What each tap read, in the order asked for: `[n, width]`, `[n, heads * head_length]` for
    /// queries, `[n, key_value_heads * head_length]` for keys.
    pub taps: Vec<Tensor<2>>,
    /// Keys and values of the layers in [`Pass::keep`].
    pub key_values: KeyValues,
}

/// Rotation tables and masks that several layers of a pass share.
#[derive(Default)]
pub(crate) struct Shared {
    known: Vec<(LayerAttention, Vec<Earlier>, Rotary, Tensor<3>)>,
}

impl Shared {
    pub(crate) fn get(
        &mut self,
        decoder: &Decoder,
        pass: &Pass<'_>,
        layer: usize,
        earlier: &[Earlier],
    ) -> Result<(Rotary, Tensor<3>)> {
        let shapes = &decoder.architecture;
        let attention = shapes.attention[layer];
        let found = self.known.iter().find(|known| known.0 == attention && known.1 == earlier);
        if let Some((_, _, rotary, mask)) = found {
            return Ok((rotary.clone(), mask.clone()));
        }
        let rotary = Rotary::new(
            &decoder.compute,
            pass.places.positions(),
            shapes.head_length,
            (attention.rotary_base, attention.rotary_scale),
            decoder.rotary_factors.as_deref(),
            shapes.family == Family::Llama,
        )?;
        let mask = mask(&decoder.compute, pass.places, earlier, attention.window)?;
        self.known.push((attention, earlier.to_vec(), rotary.clone(), mask.clone()));
        Ok((rotary, mask))
    }
}
