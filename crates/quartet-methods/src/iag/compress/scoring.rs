//! Scores for squeezing, from a model of the engine.

use super::{SHRINKS_BY, Scored, Squeezed, squeeze};
use crate::iag::template;
use crate::ports::Reader;
use quartet_types::{Error, Result};
use std::collections::HashMap;
use tokio_util::sync::CancellationToken;

/// What stands before a passage that is scored alone: the end of what the imagine model reads.
/// After the question it is [`template::imagine`], so that the only difference is the question,
/// and a token's contrast is what the question does for an imagine model that was taught nothing.
const ALONE: &str = "Contexts:\n";

/// Natural-log probability of each token of each passage after the question; without one, of the
/// passages alone. Passages are scored each by itself.
///
/// # Errors
/// Those of [`Reader::score`]: `PromptTooLong`, `Cancelled` and so on.
pub async fn score_passages(
    scorer: &dyn Reader,
    question: Option<&str>,
    passages: &[String],
    cancel: &CancellationToken,
) -> Result<Vec<Vec<f32>>> {
    if passages.is_empty() {
        return Ok(Vec::new());
    }
    let prompt = match question {
        Some(question) => template::imagine(question),
        None => template::raw(ALONE.to_owned()),
    };
    scorer.score(prompt, passages.to_vec(), cancel).await
}

/// What a passage is without any question.
#[derive(Debug, Clone)]
struct Known {
    pieces: Vec<String>,
    alone: Vec<f32>,
}

/// Squeezes passages for one question after the other, and keeps what does not depend on the
/// question.
pub struct Squeezer<'a> {
    scorer: &'a dyn Reader,
    known: HashMap<String, Known>,
}

impl<'a> Squeezer<'a> {
    /// With a model that scores.
    #[must_use]
    pub fn new(scorer: &'a dyn Reader) -> Self {
        Self { scorer, known: HashMap::new() }
    }

    /// Squeezes passages, best first, into at most `most` tokens of the scorer and at most a
    /// fifth of theirs; see [`squeeze`] for `must_hold`.
    ///
    /// # Errors
    /// Those of the scorer; `Internal` where tokens and scores differ in number.
    pub async fn squeeze(
        &mut self,
        question: &str,
        passages: &[String],
        most: usize,
        must_hold: &[String],
        cancel: &CancellationToken,
    ) -> Result<Squeezed> {
        // Lines of a page are of its layout: a document is one line.
        let texts: Vec<String> = passages
            .iter()
            .map(|text| crate::text::one_line(text))
            .filter(|text| !text.is_empty())
            .collect();
        self.learn(&texts, cancel).await?;
        let given = score_passages(self.scorer, Some(question), &texts, cancel).await?;
        let mut scored = Vec::with_capacity(texts.len());
        for (text, given) in texts.iter().zip(given) {
            let Known { pieces, alone } =
                self.known.get(text).cloned().ok_or_else(|| Error::internal("no scores"))?;
            if given.len() != pieces.len() {
                return Err(Error::internal("a passage has other tokens after a question"));
            }
            scored.push(Scored { pieces, alone, given });
        }
        let before: usize = scored.iter().map(|one| one.pieces.len()).sum();
        let target = most.min(before / SHRINKS_BY);
        let mut room = target;
        loop {
            let mut squeezed = squeeze(question, &scored, room, must_hold);
            let text = std::slice::from_ref(&squeezed.text);
            let counted = self.scorer.count_tokens(text).await?;
            squeezed.tokens = counted.first().copied().unwrap_or(0) as usize;
            // Words that came to stand side by side may be other tokens than they were.
            if squeezed.tokens <= target || room == 0 {
                return Ok(squeezed);
            }
            room = room.saturating_sub(squeezed.tokens - target);
        }
    }

    /// Scores passages alone that are new.
    async fn learn(&mut self, texts: &[String], cancel: &CancellationToken) -> Result<()> {
        let mut fresh: Vec<String> =
            texts.iter().filter(|text| !self.known.contains_key(*text)).cloned().collect();
        fresh.sort_unstable();
        fresh.dedup();
        if fresh.is_empty() {
            return Ok(());
        }
        let pieces = self.scorer.pieces(&fresh).await?;
        let alone = score_passages(self.scorer, None, &fresh, cancel).await?;
        for (text, (pieces, alone)) in fresh.into_iter().zip(pieces.into_iter().zip(alone)) {
            if pieces.len() != alone.len() {
                return Err(Error::internal("a passage has more or fewer scores than tokens"));
            }
            self.known.insert(text, Known { pieces, alone });
        }
        Ok(())
    }
}
