//! Texts to vectors in the trainer: the layers that no adapter changes run once and are kept.

use super::vector::Heads;
use quartet_train::{
    Adapters, Control, Decoder, KeyValues, Pass, Piece, Places, Tensor, rows_at, values,
};
use quartet_types::Result;

/// Rows of one pass, at most: attention is computed for all pairs of rows, also of different
/// texts, so packs that are too long waste more than they save.
const PACKED_ROWS: usize = 448;

/// Encodes texts up to layer `b`.
pub struct TextEncoder<'a> {
    decoder: &'a Decoder,
    /// Layer `b`.
    layer: usize,
    /// Layers below run once for each text.
    from: usize,
    control: Control,
    texts: Vec<Vec<u32>>,
    /// What enters layer `from`: `[tokens, width]`, or the last row where that is layer `b`.
    entering: Vec<Option<Vec<f32>>>,
    left_bytes: usize,
}

/// Which of the two vectors is made (section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Of a prompt: mean over the heads of a group.
    Query,
    /// Of a passage: the key.
    Passage,
}

impl<'a> TextEncoder<'a> {
    /// An encoder of `texts` for adapters on layers from `from` on. At most `kept_bytes` are
    /// kept.
    #[must_use]
    pub fn new(
        decoder: &'a Decoder,
        layer: usize,
        from: usize,
        texts: Vec<Vec<u32>>,
        kept_bytes: usize,
        control: Control,
    ) -> Self {
        let entering = vec![None; texts.len()];
        let from = from.min(layer);
        Self { decoder, layer, from, control, texts, entering, left_bytes: kept_bytes }
    }

    /// Takes what enters the lowest trained layer for a text from an earlier run: its last row
    /// where that is layer `b`, else all rows.
    pub fn know(&mut self, text: usize, entering: Vec<f32>) {
        if let Some(place) = self.entering.get_mut(text) {
            *place = Some(entering);
        }
    }

    /// Heads of the decoder.
    #[must_use]
    pub fn heads(&self) -> Heads {
        let shapes = self.decoder.architecture();
        Heads {
            queries: shapes.heads,
            key_values: shapes.key_value_heads,
            length: shapes.head_length,
        }
    }

    /// Vectors of the texts `which`, `[which, key_value_heads * head_length]`.
    ///
    /// # Errors
    /// As [`Decoder::run`].
    pub fn vectors(
        &mut self,
        which: &[usize],
        side: Side,
        adapters: &Adapters,
    ) -> Result<Tensor<2>> {
        let mut last_rows = Vec::new();
        let mut pack: Vec<usize> = Vec::new();
        let mut rows = 0;
        for (place, at) in which.iter().enumerate() {
            rows += self.texts[*at].len();
            pack.push(*at);
            let next = which.get(place + 1).map_or(usize::MAX, |next| self.texts[*next].len());
            if rows.saturating_add(next) > PACKED_ROWS {
                last_rows.push(self.last_rows(&pack, adapters)?);
                pack.clear();
                rows = 0;
            }
        }
        let hidden = Tensor::cat(last_rows, 0);
        let (queries, keys) = self.decoder.queries_and_keys(self.layer, hidden, adapters)?;
        Ok(match side {
            Side::Passage => keys,
            Side::Query => mean_of_groups(queries, self.heads()),
        })
    }

    /// What enters layer `b` at the last token of each text, `[pack, width]`.
    fn last_rows(&mut self, pack: &[usize], adapters: &Adapters) -> Result<Tensor<2>> {
        self.enter(pack)?;
        let width = self.decoder.architecture().width;
        let mut all = Vec::new();
        for at in pack {
            match &self.entering[*at] {
                Some(kept) => all.extend_from_slice(kept),
                None => all.extend(self.run_lower(&[*at])?.remove(0)),
            }
        }
        let count = all.len() / width;
        let rows = self.decoder.compute().matrix(all, count, width)?;
        if self.from == self.layer {
            return Ok(rows);
        }
        let lengths: Vec<usize> = pack.iter().map(|at| self.texts[*at].len()).collect();
        let places = Places::packed(&lengths, 0);
        let whole = Pass::new(self.decoder, rows, &places, adapters);
        let layers = self.from..self.layer;
        let pass = Pass { layers, control: Some(&self.control), ..whole };
        let hidden = self.decoder.run(&pass)?.hidden;
        Ok(rows_at(hidden, &ends(&lengths)))
    }

    /// Runs the lower layers for those texts of a pack that have not been through, and keeps
    /// the outcome while there is room.
    fn enter(&mut self, pack: &[usize]) -> Result<()> {
        let mut missing: Vec<usize> =
            pack.iter().copied().filter(|at| self.entering[*at].is_none()).collect();
        missing.dedup();
        let width = self.decoder.architecture().width;
        let mut fitting = Vec::new();
        for at in missing {
            let kept = if self.from == self.layer { 1 } else { self.texts[at].len() };
            let bytes = kept * width * 4;
            if bytes <= self.left_bytes && !fitting.contains(&at) {
                self.left_bytes -= bytes;
                fitting.push(at);
            }
        }
        if fitting.is_empty() {
            return Ok(());
        }
        for (at, rows) in fitting.iter().zip(self.run_lower(&fitting)?) {
            self.entering[*at] = Some(rows);
        }
        Ok(())
    }

    fn run_lower(&self, which: &[usize]) -> Result<Vec<Vec<f32>>> {
        let ids: Vec<u32> = which.iter().flat_map(|at| &self.texts[*at]).copied().collect();
        let lengths: Vec<usize> = which.iter().map(|at| self.texts[*at].len()).collect();
        let width = self.decoder.architecture().width;
        let rows = self.decoder.embed(&[Piece::Tokens(&ids)])?;
        let hidden = if self.from == 0 {
            rows
        } else {
            let (places, none) = (Places::packed(&lengths, 0), Adapters::none());
            let whole = Pass::new(self.decoder, rows, &places, &none);
            let layers = 0..self.from;
            self.decoder.run(&Pass { layers, control: Some(&self.control), ..whole })?.hidden
        };
        if self.from == self.layer {
            let last = values(rows_at(hidden, &ends(&lengths)))?;
            return Ok(last.chunks_exact(width).map(<[f32]>::to_vec).collect());
        }
        let all = values(hidden)?;
        let mut rest = all.as_slice();
        Ok(lengths
            .iter()
            .map(|length| {
                let (own, others) = rest.split_at(length * width);
                rest = others;
                own.to_vec()
            })
            .collect())
    }
}

/// Place of the last row of each of several texts packed one after another.
fn ends(lengths: &[usize]) -> Vec<usize> {
    let ends = lengths.iter().scan(0, |end, length| {
        *end += length;
        Some(*end - 1)
    });
    ends.collect()
}

/// `[n, heads * length]` to `[n, key_value_heads * length]`: Eq. 1's query side, in the graph.
/// The numbers are those of [`Heads::query_vector`].
#[must_use]
pub fn mean_of_groups(queries: Tensor<2>, heads: Heads) -> Tensor<2> {
    let [rows, _] = queries.dims();
    let group = heads.queries / heads.key_values.max(1);
    let grouped = queries.reshape([rows * heads.key_values, group, heads.length]);
    grouped.mean_dim(1).reshape([rows, heads.key_values * heads.length])
}

/// Keys and values of a passage for layers `first..=last`, encoded alone from position 0.
/// Gradients flow where the adapters have a history.
///
/// # Errors
/// As [`Decoder::run`].
pub fn states_of(
    decoder: &Decoder,
    tokens: &[u32],
    layers: (usize, usize),
    adapters: &Adapters,
    control: &Control,
) -> Result<KeyValues> {
    let places = Places::consecutive(0..tokens.len() as u32);
    let rows = decoder.embed(&[Piece::Tokens(tokens)])?;
    let whole = Pass::new(decoder, rows, &places, adapters);
    let keep = layers.0..layers.1 + 1;
    let pass = Pass { layers: 0..layers.1 + 1, keep, control: Some(control), ..whole };
    Ok(decoder.run(&pass)?.key_values)
}
