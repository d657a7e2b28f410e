//! How rare each word is in what was retrieved.

use crate::text::{sentences, words};
use std::collections::{HashMap, HashSet};

/// Inverse document frequencies over sentences.
#[derive(Debug, Clone, Default)]
pub(crate) struct Vocabulary {
    sentences: f32,
    frequency: HashMap<String, f32>,
}

impl Vocabulary {
    /// Counts in how many sentences of `texts` each stem occurs.
    pub(crate) fn new<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let mut vocabulary = Self::default();
        for text in texts {
            for range in sentences(text) {
                vocabulary.sentences += 1.0;
                let stems: HashSet<String> =
                    words(&text[range]).into_iter().map(|word| word.stem).collect();
                for stem in stems {
                    *vocabulary.frequency.entry(stem).or_default() += 1.0;
                }
            }
        }
        vocabulary
    }

    /// Inverse document frequency; always above 0, highest for a stem that occurs nowhere.
    pub(crate) fn idf(&self, stem: &str) -> f32 {
        let frequency = self.frequency.get(stem).copied().unwrap_or_default();
        ((self.sentences - frequency + 0.5) / (frequency + 0.5)).ln_1p()
    }
}
