//! How readable a page came out, so that the better extractor can be chosen per page.
//!
//! Nothing here knows a language. A page is suspicious when characters are unknown, when
//! words are glued or torn, or when its Latin letters form no pronounceable words (the mark
//! of glyph numbers taken for characters).

use crate::bidi::is_right_to_left;
use crate::raw::RawPage;

/// What a page's text looks like.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Readability {
    /// Characters that carry meaning: letters, digits and common punctuation.
    pub(crate) characters: usize,
    /// From 0 (no use) to 1 (nothing suspicious).
    pub(crate) score: f64,
    /// Share of characters that are control, private-use, or the replacement character.
    pub(crate) unknown: f64,
    /// Share of characters of scripts that are read from right to left.
    pub(crate) right_to_left: f64,
}

/// Pages with fewer characters than this are read by the second extractor as well.
const SPARSE: usize = 50;
/// Below this score the second extractor is asked.
const SUSPICIOUS: f64 = 0.85;

fn is_unknown(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{fffd}' | '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}')
        || matches!(character, '\u{fdd0}'..='\u{fdef}' | '\u{fff0}'..='\u{fff8}')
}

fn is_written_without_spaces(character: char) -> bool {
    matches!(character,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{2e80}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3134f}')
}

fn is_vowel(character: char) -> bool {
    // Accented letters are counted as vowels: nearly all of them are.
    !character.is_ascii()
        || matches!(character.to_ascii_lowercase(), 'a' | 'e' | 'i' | 'o' | 'u' | 'y')
}

fn is_latin(character: char) -> bool {
    character.is_ascii_alphabetic() || matches!(character, '\u{c0}'..='\u{24f}')
}

/// Judges a page; `unmapped` counts characters drawn that have no text at all.
pub(crate) fn judge(page: &RawPage, unmapped: usize) -> Readability {
    let (mut known, mut unknown, mut symbols) = (0usize, unmapped, 0usize);
    let (mut words, mut short, mut endless, mut in_words) = (0usize, 0usize, 0usize, 0usize);
    let (mut latin_words, mut unpronounceable) = (0usize, 0usize);
    let mut right_to_left = 0usize;
    for word in page.lines.iter().flat_map(|line| line.text.split_whitespace()) {
        let mut letters = 0usize;
        let mut crowded = true;
        for character in word.chars() {
            if is_unknown(character) {
                unknown += 1;
            } else {
                known += 1;
                right_to_left += usize::from(is_right_to_left(character));
                if character.is_alphanumeric() {
                    letters += 1;
                } else if character.is_ascii_punctuation() && !".,;:!?'\"()-/%$".contains(character)
                {
                    symbols += 1;
                }
            }
            crowded &= !is_written_without_spaces(character);
        }
        if letters == 0 || !crowded {
            continue;
        }
        words += 1;
        in_words += letters;
        // Half of the words of torn text are shorter than three letters; of whole text, a quarter.
        short += usize::from(letters <= 2 && word.chars().any(char::is_alphabetic));
        // Addresses and rows of dots are long without being glued.
        if letters > 30 && !word.contains("://") && !word.contains('@') {
            endless += letters;
        }
        let core = word.trim_matches(|c: char| !c.is_alphanumeric());
        let count = core.chars().count();
        if count >= 4 && core.chars().all(is_latin) {
            latin_words += 1;
            unpronounceable += usize::from(!core.chars().any(is_vowel));
        } else if count >= 4 && core.chars().any(is_latin) {
            let odd =
                core.chars().filter(|c| !c.is_alphanumeric() && !"-'’./@".contains(*c)).count();
            latin_words += 1;
            unpronounceable += usize::from(odd * 4 > count);
        }
    }
    let total = known + unknown;
    if total == 0 {
        return Readability::default();
    }
    let share =
        |part: usize, whole: usize| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    let unknown_share = share(unknown, total);
    let torn =
        if words >= 20 { ((share(short, words) - 0.55) / 0.25).clamp(0.0, 1.0) } else { 0.0 };
    let glued = share(endless, in_words);
    let nonsense = if latin_words >= 8 {
        ((share(unpronounceable, latin_words) - 0.12) / 0.25).clamp(0.0, 1.0)
    } else {
        0.0
    };
    let noisy = ((share(symbols, total) - 0.2) / 0.3).clamp(0.0, 1.0);
    let score = (1.0 - unknown_share).powi(2)
        * (1.0 - 0.8 * torn)
        * (1.0 - 0.8 * glued)
        * (1.0 - 0.8 * nonsense)
        * (1.0 - 0.5 * noisy);
    Readability {
        characters: known,
        score,
        unknown: unknown_share,
        right_to_left: share(right_to_left, total),
    }
}

impl Readability {
    /// Whether a second opinion is worth its time.
    pub(crate) fn is_doubtful(&self) -> bool {
        self.characters < SPARSE || self.score < SUSPICIOUS
    }

    /// Whether `other`, about as readable, has more text.
    pub(crate) fn lacks_text_of(&self, other: &Self) -> bool {
        other.score > 0.95 * self.score && other.characters * 100 > self.characters * 101
    }

    /// Whether `other` should be taken in place of this one. More text counts only if it
    /// is about as readable; a tie goes to the first extractor, whose lines have places.
    pub(crate) fn loses_to(&self, other: &Self) -> bool {
        // Only the first extractor's lines are put into reading order (`bidi`).
        if self.right_to_left > 0.3 && self.unknown < 0.5 && self.characters * 2 >= other.characters
        {
            return false;
        }
        let worth = |r: &Self| r.score * r.score * (r.characters as f64).powf(0.5);
        if self.characters < SPARSE && other.characters >= SPARSE && other.score > 0.4 {
            return true;
        }
        worth(other) > 1.1 * worth(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw::RawLine;
    use quartet_types::{Extractor, PageNumber};

    fn judged(text: &str) -> Readability {
        let mut page = RawPage::empty(PageNumber(1), Extractor::PdfExtract);
        page.lines.push(RawLine::unplaced(text));
        judge(&page, 0)
    }

    const PROSE: &str = "The efficient officer offered a fluffy affine coefficient in the \
        office, and twelve of them (42 %) were found to be difficult to shuffle again.";

    #[test]
    fn prose_is_readable_in_any_script() {
        for text in [
            PROSE,
            "Die Kugeloberfläche lässt sich durch Strecken, Stauchen und Umformen zur Oberfläche \
             einer Pyramide verformen, aber nicht zum Torus. Das gilt für alle.",
            "日本語の文章は単語の間に空白を入れないので、長い文字列がそのまま続くことになるが、それで正しい。\
             日本語の文章は単語の間に空白を入れないので、長い文字列がそのまま続くことになる。",
            "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива \
             по-своему. Все смешалось в доме Облонских.",
        ] {
            let readability = judged(text);
            assert!(!readability.is_doubtful(), "{readability:?}: {text}");
        }
    }

    #[test]
    fn glyph_numbers_torn_and_glued_words_are_doubtful() {
        let shifted: String = PROSE
            .chars()
            .map(|c| if c == ' ' { c } else { char::from_u32(c as u32 - 29).unwrap_or('\0') })
            .collect();
        let torn: String = PROSE.chars().flat_map(|c| [c, ' ']).collect();
        let glued: String = PROSE.split_whitespace().collect();
        let unknown: String =
            PROSE.chars().map(|c| if c == ' ' { c } else { '\u{fffd}' }).collect();
        for text in [shifted, torn, glued, unknown, String::new()] {
            let readability = judged(&text);
            assert!(readability.is_doubtful(), "{readability:?}: {text}");
            assert!(readability.loses_to(&judged(PROSE)), "{readability:?}: {text}");
        }
    }

    #[test]
    fn a_tie_stays_with_the_first() {
        assert!(!judged(PROSE).loses_to(&judged(PROSE)));
    }
}
