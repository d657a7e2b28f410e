//! How study material is made: every setting that decides what comes out.

use crate::prompts::Template;
use crate::split::digest;
use quartet_types::Passage;
use std::ops::RangeInclusive;

/// Counts up when rules or filters change, so that work done by older ones is done again.
const RULES: &str = "rules.1";

/// Settings. Anything in here is part of the key of the work ([`WorkKey`]).
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// Seed of splits, choices and sampling.
    pub seed: u64,
    /// Questions asked of the model for a passage, at most.
    pub generated_per_passage: usize,
    /// Tries for each of them: a question that is dropped is written once more, less predictably.
    pub tries: u32,
    /// Gaps per passage, at most.
    pub cloze_per_passage: usize,
    /// Claims per passage, at most; about half of them are true.
    pub claims_per_passage: usize,
    /// Unanswerable questions per passage, at most.
    pub unanswerable_per_passage: usize,
    /// Paraphrases wanted of the model for a question; 0 asks for none.
    pub paraphrases: usize,
    /// Words of a question.
    pub question_words: RangeInclusive<usize>,
    /// Words of a short answer.
    pub answer_words: RangeInclusive<usize>,
    /// F1 that the model's own answer must reach when it reads the passage.
    pub round_trip_f1: f32,
    /// Whether answers that the model knows without the passage are dropped.
    pub closed_book_check: bool,
    /// Mean natural-log probability per token from which it knows them. The default is the
    /// logarithm of one half: it would say every second token by itself.
    pub closed_book_log_probability: f32,
    /// Characters of a passage shown to the model, at most.
    pub passage_characters: usize,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            seed: 1,
            generated_per_passage: 4,
            tries: 2,
            cloze_per_passage: 2,
            claims_per_passage: 2,
            unanswerable_per_passage: 1,
            paraphrases: 2,
            question_words: 4..=30,
            answer_words: 1..=16,
            round_trip_f1: 0.5,
            closed_book_check: true,
            closed_book_log_probability: -std::f32::consts::LN_2,
            passage_characters: 6_000,
        }
    }
}

/// Names a piece of work: one passage under one recipe with one model. It follows the passage's
/// ids, place and text, so that rows never point to where something else stands now.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkKey(pub String);

impl Recipe {
    /// The key of a passage's work. `model` names the model with its build; empty without one.
    #[must_use]
    pub fn key(&self, passage: &Passage, model: &str) -> WorkKey {
        let mut pieces: Vec<String> = vec![RULES.to_owned(), format!("{self:?}"), model.to_owned()];
        if !model.is_empty() {
            pieces.extend(Template::ALL.iter().flat_map(Template::fingerprint).map(str::to_owned));
        }
        pieces.extend([
            passage.chunk.to_string(),
            passage.document.to_string(),
            format!("{:?}", passage.span),
            passage.title.clone(),
            passage.heading.clone().unwrap_or_default(),
            passage.text.clone(),
        ]);
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        WorkKey(digest(&pieces))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sentence::tests::passage;

    #[test]
    fn the_key_follows_text_recipe_and_model() {
        let recipe = Recipe::default();
        let key = recipe.key(&passage(1, "Pumps", "One pump."), "small");
        assert_eq!(key, recipe.key(&passage(1, "Pumps", "One pump."), "small"));
        assert_ne!(key, recipe.key(&passage(1, "Pumps", "Two pumps."), "small"));
        assert_ne!(key, recipe.key(&passage(2, "Pumps", "One pump."), "small"));
        assert_ne!(key, recipe.key(&passage(1, "Pumps", "One pump."), "large"));
        let other = Recipe { seed: 2, ..Recipe::default() };
        assert_ne!(key, other.key(&passage(1, "Pumps", "One pump."), "small"));
    }
}
