//! A decoder that can be differentiated, over the weights the engine serves.
//!
//! The four ports of the engine are here too: rows of raw embeddings among the tokens
//! ([`Piece`]), adapters ([`Adapters`]), keys and values that some layers see ([`KeyValues`]),
//! and taps ([`Pass::taps`]).

use crate::adapters::Adapters;
use crate::architecture::{Architecture, Family};
use crate::block::{Block, Scene, View};
use crate::compute::{Compute, values};
use crate::control::Wish;
use crate::fused;
use crate::head::Head;
use crate::manifest::Source;
use crate::pass::{Outcome, Pass, Shared};
use crate::rows::{KeyValues, Piece, check_width, seen_by};
use crate::weights::{Packed, WeightFile};
use burn::tensor::Tensor;
use quartet_gguf::{GgufFile, sha256_of_file};
use quartet_types::{Error, ErrorCode, Result, TapPoint};
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::Path;

/// How weights are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Holding {
    /// As floats: fast, four bytes a weight.
    #[default]
    Floats,
    /// As stored, converted at each use: for small memories, together with
    /// [`chained`](crate::chained).
    Stored,
}

/// A model to train through. Nothing in it changes.
#[derive(Debug)]
pub struct Decoder {
    pub(crate) architecture: Architecture,
    pub(crate) compute: Compute,
    embeddings: Packed,
    blocks: Vec<Block>,
    /// `[1, width]`.
    final_norm: Tensor<2>,
    head: Head,
    pub(crate) rotary_factors: Option<Vec<f32>>,
}

impl Decoder {
    /// Loads the model at `path`. The file is checked as before an engine load.
    ///
    /// # Errors
    /// `BadModel` for a broken file, `NotSupported` for one that cannot be differentiated,
    /// `Corrupt` naming the tensor with a weight that is not finite, or an operating-system
    /// error.
    pub fn load(path: &Path, compute: &Compute, holding: Holding) -> Result<Self> {
        let header = GgufFile::open(path)?;
        let architecture = Architecture::from_file(&header)?;
        let file = WeightFile::open(header)?;
        Self::read(&file, architecture, compute, holding).map_err(|error| error.about_path(path))
    }

    /// As [`Decoder::load`], only the very file that was asked for.
    ///
    /// # Errors
    /// As [`Decoder::load`]; `Corrupt` for a file with another digest.
    pub fn load_checked(
        path: &Path,
        source: &Source,
        compute: &Compute,
        holding: Holding,
    ) -> Result<Self> {
        let found = sha256_of_file(path, |_| ControlFlow::Continue(()))?;
        if found != source.sha256 {
            return Err(Error::new(ErrorCode::Corrupt, "the model file is not the one asked for")
                .about_path(path)
                .hint("Check the models with `quartet models --verify`."));
        }
        Self::load(path, compute, holding)
    }

    fn read(
        file: &WeightFile,
        architecture: Architecture,
        compute: &Compute,
        holding: Holding,
    ) -> Result<Self> {
        let packed = holding == Holding::Stored;
        let (vocabulary, width) = (architecture.vocabulary, architecture.width);
        let embeddings = file.packed("token_embd.weight", vocabulary, width)?;
        let output = if file.has("output.weight") {
            file.packed("output.weight", vocabulary, width)?
        } else {
            embeddings.clone()
        };
        let blocks = (0..architecture.layers)
            .map(|index| Block::load(file, &architecture, compute, index, packed))
            .collect::<Result<_>>()?;
        let rotary_factors =
            if architecture.family == Family::Llama && file.has("rope_freqs.weight") {
                let half = architecture.head_length / 2;
                Some(file.packed("rope_freqs.weight", 1, half)?.floats(0, 1)?)
            } else {
                None
            };
        Ok(Self {
            final_norm: file.packed("output_norm.weight", 1, width)?.tensor(compute)?,
            head: Head::new(output, compute, architecture.logit_cap, packed)?,
            compute: compute.clone(),
            architecture,
            embeddings,
            blocks,
            rotary_factors,
        })
    }

    /// Shapes and constants.
    #[must_use]
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Where it computes.
    #[must_use]
    pub fn compute(&self) -> &Compute {
        &self.compute
    }

    /// From hidden states to the vocabulary.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The rows of a prompt, `[n, width]`. Token rows are scaled as the family does, raw rows
    /// are not.
    ///
    /// # Errors
    /// `InvalidInput` for no rows at all, a token outside the vocabulary or rows of another width.
    pub fn embed(&self, pieces: &[Piece<'_>]) -> Result<Tensor<2>> {
        let mut parts = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Tokens([]) => {}
                Piece::Tokens(ids) => {
                    let mut rows = self.embeddings.rows_of(ids)?;
                    let scale = self.architecture.embedding_scale as f32;
                    rows.iter_mut().for_each(|value| *value *= scale);
                    parts.push(self.compute.matrix(rows, ids.len(), self.architecture.width)?);
                }
                Piece::Rows(rows) => {
                    check_width(rows, self.architecture.width)?;
                    parts.push((*rows).clone());
                }
            }
        }
        match parts.len() {
            0 => Err(Error::new(ErrorCode::InvalidInput, "there is nothing to read")),
            1 => Ok(parts.remove(0)),
            _ => Ok(Tensor::cat(parts, 0)),
        }
    }

    /// Mean Euclidean length of the rows of these tokens, as they enter the first layer.
    ///
    /// # Errors
    /// As [`Decoder::embed`].
    pub fn mean_row_length(&self, ids: &[u32]) -> Result<f64> {
        let rows = values(self.embed(&[Piece::Tokens(ids)])?)?;
        let rows = rows.chunks_exact(self.architecture.width);
        let length = |row: &[f32]| row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        Ok(rows.map(length).sum::<f64>() / ids.len() as f64)
    }

    /// Runs a pass. Where nothing that enters has a gradient, no graph is kept: that is how
    /// prefixes and layers below the lowest adapter are computed once and stored.
    ///
    /// # Errors
    /// `InvalidInput` for rows, places, layers, adapters or taps that do not fit the model;
    /// `Cancelled` if [`Pass::control`] asks to stop.
    pub fn run(&self, pass: &Pass<'_>) -> Result<Outcome> {
        pass.check(&self.architecture)?;
        let scene = self.scene(pass.adapters);
        let mut shared = Shared::default();
        let mut read: HashMap<usize, Tensor<2>> = HashMap::new();
        let mut kept = vec![None; self.architecture.layers];
        let mut hidden = pass.rows.clone();
        for layer in pass.layers.clone() {
            let output = self.block(&scene, pass, layer, hidden, &mut shared)?;
            for (index, tap) in pass.taps.iter().enumerate() {
                if tap.layer as usize == layer {
                    match tap.point {
                        TapPoint::LayerOutput => read.insert(index, output.hidden.clone()),
                        TapPoint::Query => read.insert(index, output.query.clone()),
                        TapPoint::Key => read.insert(index, output.key.clone()),
                        TapPoint::FinalNorm => None,
                    };
                }
            }
            if pass.keep.contains(&layer) {
                kept[layer] = Some(output.key_values);
            }
            hidden = output.hidden;
        }
        let taps = pass.taps.iter().enumerate().map(|(index, tap)| match tap.point {
            TapPoint::FinalNorm => Ok(self.normalise(hidden.clone())),
            _ => read.remove(&index).ok_or_else(|| {
                Error::new(ErrorCode::InvalidInput, format!("layer {} does not run", tap.layer))
            }),
        });
        let taps = taps.collect::<Result<_>>()?;
        let positions = pass.places.positions().to_vec();
        Ok(Outcome {
            hidden,
            taps,
            key_values: KeyValues { positions, sequence: None, layers: kept },
        })
    }

    /// The final normalisation, `[n, width]`.
    #[must_use]
    pub fn normalise(&self, hidden: Tensor<2>) -> Tensor<2> {
        fused::normalise(hidden, &self.final_norm, self.architecture.epsilon)
    }

    /// The logits of rows of hidden states, `[n, vocabulary]`, without gradient.
    ///
    /// # Errors
    /// As [`Head::logits`].
    pub fn logits(&self, hidden: Tensor<2>) -> Result<Tensor<2>> {
        self.head.logits(self.normalise(hidden))
    }

    /// Queries `[n, heads * head_length]` and keys `[n, key_value_heads * head_length]`, before
    /// rotation, that layer `layer` makes of what enters it, `[n, width]`. The same numbers as
    /// taps of a [`Pass`], without the rest of the block: rows do not look at each other before
    /// attention.
    ///
    /// # Errors
    /// `InvalidInput` for a layer that is not there, rows of another width or an adapter that
    /// does not fit.
    pub fn queries_and_keys(
        &self,
        layer: usize,
        hidden: Tensor<2>,
        adapters: &Adapters,
    ) -> Result<(Tensor<2>, Tensor<2>)> {
        check_width(&hidden, self.architecture.width)?;
        let block = self.blocks.get(layer).ok_or_else(|| {
            Error::new(ErrorCode::InvalidInput, format!("there is no layer {layer}"))
        })?;
        block.retrieval_heads(&self.scene(adapters), hidden)
    }

    pub(crate) fn scene<'a>(&'a self, adapters: &'a Adapters) -> Scene<'a> {
        Scene { compute: &self.compute, architecture: &self.architecture, adapters }
    }

    /// Runs one block of a pass.
    pub(crate) fn block(
        &self,
        scene: &Scene<'_>,
        pass: &Pass<'_>,
        layer: usize,
        hidden: Tensor<2>,
        shared: &mut Shared,
    ) -> Result<crate::block::BlockOutput> {
        if pass.control.is_some_and(|control| control.wish() != Wish::GoOn) {
            return Err(Error::cancelled());
        }
        let (positions, earlier) = seen_by(pass.earlier, layer);
        let (rotary, mask) = shared.get(self, pass, layer, &positions)?;
        let view = View { rotary: &rotary, mask: &mask, earlier: &earlier };
        self.blocks[layer].forward(scene, &view, hidden)
    }
}
