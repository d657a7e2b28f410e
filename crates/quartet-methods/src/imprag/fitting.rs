//! Passages as the model reads them, none longer than is agreed. There is one way to cut a
//! passage, in training, on disk and in an answer: its vector, its states and what is read of it
//! belong together.

use super::template::{self, TERMINATOR};
use crate::ports::Reader;
use quartet_types::{Passage, Result};

/// So many bytes before a cut, the end of a word is looked for.
const WORD_BYTES: usize = 40;

/// A passage as it is encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fitted {
    /// The template filled, its end included.
    pub text: String,
    /// Its tokens, without a start token.
    pub tokens: u32,
}

/// Filled templates on their way to fewer than `longest` tokens, so that a start token fits as
/// well. Whoever can count tokens does so until nothing is open:
///
/// ```
/// # use quartet_methods::imprag::fitting::Fitting;
/// # let count = |text: &String| text.split(' ').count() as u32;
/// let mut fitting = Fitting::new(vec!["Lit at dusk by the second keeper ##".to_owned()], 6);
/// loop {
///     let open = fitting.open();
///     if open.is_empty() {
///         break;
///     }
///     fitting.told(&open.iter().map(count).collect::<Vec<_>>());
/// }
/// assert_eq!(fitting.done()[0].text, "Lit at dusk by ##");
/// ```
#[derive(Debug, Clone)]
pub struct Fitting {
    most: u32,
    fitted: Vec<Fitted>,
    /// Places of those whose tokens are not known.
    open: Vec<usize>,
}

impl Fitting {
    /// Begins with whole texts.
    #[must_use]
    pub fn new(texts: Vec<String>, longest: u32) -> Self {
        let open = (0..texts.len()).collect();
        let fitted = texts.into_iter().map(|text| Fitted { text, tokens: 0 }).collect();
        Self { most: longest.saturating_sub(1).max(1), fitted, open }
    }

    /// Texts whose tokens are to be told next; empty once all fit.
    #[must_use]
    pub fn open(&self) -> Vec<String> {
        self.open.iter().map(|&place| self.fitted[place].text.clone()).collect()
    }

    /// Takes the tokens of [`Fitting::open`], in order. What is too long is cut and open again;
    /// what every passage ends with stays.
    pub fn told(&mut self, tokens: &[u32]) {
        let told: Vec<(usize, u32)> = self.open.drain(..).zip(tokens.iter().copied()).collect();
        for (place, tokens) in told {
            let one = &mut self.fitted[place];
            one.tokens = tokens;
            if tokens > self.most && one.text.len() > TERMINATOR.len() {
                one.text = cut(&one.text, tokens, self.most);
                self.open.push(place);
            }
        }
    }

    /// The texts as far as they have come.
    #[must_use]
    pub fn done(self) -> Vec<Fitted> {
        self.fitted
    }
}

/// Takes away as much as is too long, at least a character, and what is left of a word.
fn cut(text: &str, tokens: u32, most: u32) -> String {
    let body = text.strip_suffix(TERMINATOR).unwrap_or(text);
    let share = body.len() as u64 * u64::from(most) / u64::from(tokens.max(1));
    let kept = usize::try_from(share).unwrap_or(usize::MAX).min(body.len().saturating_sub(1));
    let kept = &body[..body.floor_char_boundary(kept)];
    let word = kept.rfind(char::is_whitespace);
    let end = word.filter(|end| kept.len() - end < WORD_BYTES).unwrap_or(kept.len());
    format!("{}{TERMINATOR}", kept[..end].trim_end())
}

/// Fills the template for each passage and cuts what is too long.
///
/// # Errors
/// Those of the reader.
pub async fn fit(passages: &[&Passage], longest: u32, reader: &dyn Reader) -> Result<Vec<Fitted>> {
    let mut fitting =
        Fitting::new(passages.iter().map(|one| template::filled(one)).collect(), longest);
    loop {
        let open = fitting.open();
        if open.is_empty() {
            return Ok(fitting.done());
        }
        fitting.told(&reader.count_tokens(&open).await?);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fitted(text: &str, longest: u32, count: impl Fn(&str) -> u32) -> Fitted {
        let mut fitting = Fitting::new(vec![text.to_owned()], longest);
        for _ in 0..=text.len() {
            let open = fitting.open();
            if open.is_empty() {
                break;
            }
            fitting.told(&open.iter().map(|text| count(text)).collect::<Vec<_>>());
        }
        assert!(fitting.open().is_empty(), "it comes to an end");
        fitting.done().remove(0)
    }

    fn words(text: &str) -> u32 {
        u32::try_from(text.split_whitespace().count()).unwrap()
    }

    #[test]
    fn a_cut_is_between_words_or_at_least_between_characters() {
        let cut = fitted("one two three four ##", 4, words);
        assert_eq!((cut.text.as_str(), cut.tokens), ("one two ##", 3));
        assert_eq!(fitted("one two ##", 4, words).text, "one two ##", "what fits stays");
        let letters = |text: &str| u32::try_from(text.chars().count()).unwrap();
        assert_eq!(fitted(&format!("{} ##", "é".repeat(200)), 11, letters).text, "ééééééé ##");
        assert_eq!(fitted(" ##", 1, letters).text, " ##", "nothing is left to be cut");
    }

    proptest! {
        #[test]
        fn what_is_cut_fits_and_is_a_beginning(body in "[a-zé ]{0,200}", longest in 4u32..40) {
            let whole = template::passage("", None, &body);
            let one = fitted(&whole, longest, |text| u32::try_from(text.len()).unwrap());
            prop_assert!(one.tokens < longest);
            let start = one.text.strip_suffix(TERMINATOR).unwrap();
            prop_assert!(whole.starts_with(start));
        }
    }
}
