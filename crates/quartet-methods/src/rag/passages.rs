//! Which of the passages found are read.

use crate::Reader;
use crate::rag::prompt::quotation;
use crate::support::ReadPassage;
use crate::text::sentences;
use quartet_types::{Result, SearchHit};
use std::collections::HashSet;

/// Hits that are considered for each passage that may be read.
const CONSIDERED: usize = 3;

/// Takes the best hits whose quotations together stay within `budget` tokens, `most` at
/// most, best first. A hit that does not fit any more is passed over for a shorter one; the
/// best hit of all is cut at a sentence instead. The same text is read only once.
///
/// # Errors
/// Those of the reader.
pub async fn choose<'a>(
    hits: &'a [SearchHit],
    reader: &dyn Reader,
    budget: u32,
    most: usize,
) -> Result<Vec<ReadPassage<'a>>> {
    let considered = &hits[..hits.len().min(most.saturating_mul(CONSIDERED))];
    let quoted: Vec<String> =
        considered.iter().map(|hit| quotation(9, &hit.passage, &hit.passage.text)).collect();
    let counts = reader.count_tokens(&quoted).await?;
    let mut seen = HashSet::new();
    let mut left = budget;
    let mut chosen = Vec::new();
    for (index, (hit, &count)) in considered.iter().zip(&counts).enumerate() {
        if chosen.len() == most {
            break;
        }
        if !seen.insert(hit.passage.text.as_str()) {
            continue;
        }
        // One more for the line break.
        let cost = count.saturating_add(1);
        let bytes = if cost <= left {
            hit.passage.text.len()
        } else if chosen.is_empty() {
            cut(&hit.passage.text, left, cost)
        } else {
            continue;
        };
        left = left.saturating_sub(cost);
        chosen.push(ReadPassage { index, passage: &hit.passage, bytes });
    }
    Ok(chosen)
}

/// Bytes of the longest run of whole sentences that stays in proportion to the budget; never
/// cuts inside a character.
fn cut(text: &str, budget: u32, cost: u32) -> usize {
    let share = f64::from(budget) / f64::from(cost.max(1)) * 0.9;
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate of a length, never negative"
    )]
    let most = (text.len() as f64 * share) as usize;
    sentences(text)
        .into_iter()
        .map(|range| range.end)
        .take_while(|&end| end <= most)
        .last()
        .unwrap_or_else(|| text.floor_char_boundary(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_keeps_whole_sentences_or_at_least_whole_characters() {
        let text = "One two three. Four five six. Seven.";
        assert_eq!(&text[..cut(text, 10, 11)], "One two three. Four five six.");
        assert_eq!(&text[..cut(text, 5, 10)], "One two three.");
        assert_eq!(&"ééééé"[..cut("ééééé", 5, 10)], "éé");
        assert_eq!(cut("", 5, 0), 0);
    }
}
