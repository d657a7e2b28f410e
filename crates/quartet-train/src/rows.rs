//! What goes in: pieces of a prompt, the places of their rows, and who may look at whom.

use crate::compute::Compute;
use burn::tensor::Tensor;
use quartet_types::{Error, ErrorCode, Result};
use std::ops::Range;

/// Added to the score of a row that must not be seen. Its exponential is exactly zero in 32 and
/// 64 bits, and unlike minus infinity it cannot make a difference that is not a number.
const HIDDEN: f32 = -1.0e9;

/// A piece of a prompt.
#[derive(Debug, Clone)]
pub enum Piece<'a> {
    /// Token ids, looked up in the model's table.
    Tokens(&'a [u32]),
    /// Raw embedding rows `[n, width]`, used as they are. Gradients flow to them.
    Rows(&'a Tensor<2>),
}

/// Position and sequence of every row of a forward pass. Rows see rows of their own sequence
/// that are not later; several short sequences can so share one pass.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Places {
    positions: Vec<u32>,
    sequences: Vec<u32>,
}

impl Places {
    /// One sequence at consecutive positions.
    #[must_use]
    pub fn consecutive(positions: Range<u32>) -> Self {
        let sequences = vec![0; positions.len()];
        Self { positions: positions.collect(), sequences }
    }

    /// Several sequences, each of the given length, packed one after another, each from
    /// position `from`.
    #[must_use]
    pub fn packed(lengths: &[usize], from: u32) -> Self {
        let sequences: Vec<_> = lengths.iter().map(|length| (*length, from)).collect();
        Self::placed(&sequences)
    }

    /// Several sequences packed one after another: of each its length and the position of its
    /// first row.
    #[must_use]
    pub fn placed(sequences: &[(usize, u32)]) -> Self {
        let mut places = Self::default();
        for (sequence, (length, from)) in sequences.iter().enumerate() {
            places.positions.extend((0..*length as u32).map(|offset| from + offset));
            places.sequences.extend(std::iter::repeat_n(sequence as u32, *length));
        }
        places
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.positions.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    /// Position of each row.
    #[must_use]
    pub fn positions(&self) -> &[u32] {
        &self.positions
    }
}

/// Keys and values of earlier rows, layer by layer: a cached prefix (all layers), or passages
/// (some layers only; the others do not see them at all).
///
/// This is the per-layer visibility of ImpRAG (Zhang et al. 2025, section 3.1): one softmax over
/// passages and own rows where the layer has them, over own rows alone elsewhere.
#[derive(Debug, Clone, Default)]
pub struct KeyValues {
    pub(crate) positions: Vec<u32>,
    /// The one sequence that sees them; `None` for all.
    pub(crate) sequence: Option<u32>,
    /// Rotated keys and values, each `[key_value_heads, rows, head_length]`.
    pub(crate) layers: Vec<Option<(Tensor<3>, Tensor<3>)>>,
}

impl KeyValues {
    /// Position of each row.
    #[must_use]
    pub fn positions(&self) -> &[u32] {
        &self.positions
    }

    /// Whether a layer sees these rows.
    #[must_use]
    pub fn is_visible(&self, layer: usize) -> bool {
        self.layers.get(layer).is_some_and(Option::is_some)
    }

    /// The same rows, visible in `layers` alone.
    #[must_use]
    pub fn visible_in(mut self, layers: Range<usize>) -> Self {
        for (index, layer) in self.layers.iter_mut().enumerate() {
            if !layers.contains(&index) {
                *layer = None;
            }
        }
        self
    }

    /// The same rows, seen by one sequence of a packed pass ([`Places::packed`]) alone: its own
    /// prefix.
    #[must_use]
    pub fn of_sequence(mut self, sequence: u32) -> Self {
        self.sequence = Some(sequence);
        self
    }

    /// The same numbers without their history: no gradient flows into what made them.
    #[must_use]
    pub fn detached(self) -> Self {
        let free = |tensor: Tensor<3>| tensor.without_autodiff();
        let layers = self.layers.into_iter();
        let layers = layers.map(|pair| pair.map(|(key, value)| (free(key), free(value)))).collect();
        Self { positions: self.positions, sequence: self.sequence, layers }
    }
}

/// Position of an earlier row, and the one sequence that sees it (`None`: all do).
pub(crate) type Earlier = (u32, Option<u32>);

/// Scores to add, `[1, rows, earlier + rows]`: zero where a row may look, [`HIDDEN`] elsewhere.
pub(crate) fn mask(
    compute: &Compute,
    places: &Places,
    earlier: &[Earlier],
    window: Option<u32>,
) -> Result<Tensor<3>> {
    let columns = earlier.len() + places.len();
    let mut scores = Vec::with_capacity(places.len() * columns);
    let sees = |from: u32, to: u32| to <= from && window.is_none_or(|window| from - to < window);
    for (position, sequence) in places.positions.iter().zip(&places.sequences) {
        let before = earlier.iter().map(|(other, theirs)| {
            theirs.is_none_or(|theirs| theirs == *sequence) && sees(*position, *other)
        });
        let own = places.positions.iter().zip(&places.sequences);
        let own = own.map(|(other, theirs)| theirs == sequence && sees(*position, *other));
        scores.extend(before.chain(own).map(|seen| if seen { 0.0 } else { HIDDEN }));
    }
    compute.tensor(scores, [1, places.len(), columns])
}

/// Keys and values of several sets, those that `layer` sees, with their positions.
pub(crate) fn seen_by<'a>(
    sets: &[&'a KeyValues],
    layer: usize,
) -> (Vec<Earlier>, Vec<&'a (Tensor<3>, Tensor<3>)>) {
    let mut positions = Vec::new();
    let mut pairs = Vec::new();
    for set in sets {
        if let Some(Some(pair)) = set.layers.get(layer) {
            positions.extend(set.positions.iter().map(|position| (*position, set.sequence)));
            pairs.push(pair);
        }
    }
    (positions, pairs)
}

pub(crate) fn check_width(rows: &Tensor<2>, width: usize) -> Result<()> {
    let [_, columns] = rows.dims();
    if columns == width {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::InvalidInput,
        format!("rows of {columns} numbers were given to a model of width {width}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::values;

    fn seen(places: &Places, earlier: &[u32], window: Option<u32>) -> Vec<u8> {
        let earlier: Vec<Earlier> = earlier.iter().map(|position| (*position, None)).collect();
        seen_of(places, &earlier, window)
    }

    fn seen_of(places: &Places, earlier: &[Earlier], window: Option<u32>) -> Vec<u8> {
        let scores = mask(&Compute::cpu(), places, earlier, window).unwrap();
        values(scores).unwrap().iter().map(|score| u8::from(*score == 0.0)).collect()
    }

    #[test]
    fn a_row_sees_itself_and_what_came_before() {
        assert_eq!(seen(&Places::consecutive(4..7), &[], None), [1, 0, 0, 1, 1, 0, 1, 1, 1]);
    }

    #[test]
    fn a_window_ends_the_view() {
        let places = Places::consecutive(2..4);
        assert_eq!(seen(&places, &[0, 1], Some(2)), [0, 1, 1, 0, 0, 0, 1, 1]);
    }

    #[test]
    fn a_prefix_may_belong_to_one_sequence() {
        let places = Places::packed(&[1, 1], 2);
        let earlier = [(0, None), (1, Some(0)), (0, Some(1))];
        assert_eq!(seen_of(&places, &earlier, None), [1, 1, 0, 1, 0, 1, 0, 1, 0, 1]);
    }

    #[test]
    fn sequences_do_not_see_each_other() {
        let places = Places::packed(&[2, 1], 0);
        assert_eq!(seen(&places, &[], None), [1, 0, 0, 1, 1, 0, 0, 0, 1]);
    }
}
