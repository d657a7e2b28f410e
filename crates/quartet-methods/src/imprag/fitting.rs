//! Passages as the model reads them, none longer than is agreed.

use super::template;
use crate::ports::Reader;
use quartet_types::{Passage, Result};

/// How often a passage is cut anew before only its place is left.
const ATTEMPTS: usize = 6;

/// A passage as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fitted {
    /// The template filled, its end included.
    pub text: String,
    /// How many bytes of the passage's own text are in it.
    pub bytes: usize,
    /// Its tokens.
    pub tokens: u32,
}

/// Fills the template for each passage; one of more than `longest - 1` tokens is cut at a word
/// (a start token may come on top), and still ends as every passage does.
///
/// # Errors
/// Those of the reader.
pub async fn fit(passages: &[&Passage], longest: u32, reader: &dyn Reader) -> Result<Vec<Fitted>> {
    let most = longest.saturating_sub(1).max(1);
    let mut fitted: Vec<Fitted> =
        passages.iter().map(|passage| filled(passage, passage.text.len())).collect();
    let mut open: Vec<usize> = (0..fitted.len()).collect();
    for attempt in 0..=ATTEMPTS {
        let texts: Vec<String> = open.iter().map(|&place| fitted[place].text.clone()).collect();
        let counts = reader.count_tokens(&texts).await?;
        for (&place, tokens) in open.iter().zip(counts) {
            fitted[place].tokens = tokens;
        }
        open.retain(|&place| fitted[place].tokens > most && fitted[place].bytes > 0);
        if open.is_empty() {
            break;
        }
        for &place in &open {
            let Fitted { bytes, tokens, .. } = fitted[place];
            let kept = if attempt + 1 < ATTEMPTS { bytes as u64 * 9 / 10 } else { 0 };
            let kept = kept * u64::from(most) / u64::from(tokens.max(1));
            let text = &passages[place].text;
            fitted[place] = filled(passages[place], whole_words(text, kept));
        }
    }
    Ok(fitted)
}

fn filled(passage: &Passage, bytes: usize) -> Fitted {
    let text = passage.text.get(..bytes).unwrap_or(&passage.text);
    let text = template::passage(&passage.title, passage.heading.as_deref(), text);
    Fitted { text, bytes, tokens: 0 }
}

/// Bytes of the whole words among the first `most`.
fn whole_words(text: &str, most: u64) -> usize {
    let most = text.floor_char_boundary(usize::try_from(most).unwrap_or(usize::MAX));
    if most >= text.len() {
        return text.len();
    }
    text[..most].rfind(char::is_whitespace).unwrap_or(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_is_between_words_or_at_least_between_characters() {
        assert_eq!(&"one two three"[..whole_words("one two three", 9)], "one two");
        assert_eq!(whole_words("one", 99), 3);
        assert_eq!(&"ééé"[..whole_words("ééé", 3)], "é");
        assert_eq!(whole_words("", 0), 0);
    }
}
