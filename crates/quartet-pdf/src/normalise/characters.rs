//! One line's characters: folded where a reader sees no difference, dropped where there is
//! nothing to see, kept where the difference means something.

use unicode_normalization::UnicodeNormalization;

/// The hyphen that is shown only at a line's end.
pub(crate) const SOFT_HYPHEN: char = '\u{ad}';

/// Cleans a line.
///
/// NFC, plus compatibility folding for the forms that are mere typography: Latin and
/// Arabic presentation forms, radicals, mathematical alphabets, full-width ASCII. Blind
/// NFKC would also turn `10²` into `102` and `½` into `1⁄2`.
/// A soft hyphen stays only at the end, for [`super::hyphens`]; two spaces stay two, as a
/// column gap; every other run of blanks becomes one space.
pub(crate) fn clean_line(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\u{2010}' | '\u{2011}' => folded.push('-'),
            '\u{f0b7}' | '\u{f0a7}' => folded.push('•'),
            c if is_dropped(c) => {}
            c if is_private(c) || (c.is_control() && !c.is_whitespace()) => folded.push(' '),
            c if is_typography(c) => folded.extend(std::iter::once(c).nfkc()),
            c => folded.push(c),
        }
    }
    let mut clean = String::with_capacity(folded.len());
    let mut blanks = 0;
    for character in folded.nfc() {
        if character.is_whitespace() {
            blanks += usize::from(character == ' ' || character == '\u{a0}').max(1);
            continue;
        }
        if !clean.is_empty() {
            clean.push_str(["", " ", "  "][blanks.min(2)]);
        }
        blanks = 0;
        clean.push(character);
    }
    let ends_soft = clean.ends_with(SOFT_HYPHEN);
    if clean.contains(SOFT_HYPHEN) {
        clean.retain(|c| c != SOFT_HYPHEN);
        if ends_soft {
            clean.push(SOFT_HYPHEN);
        }
    }
    clean
}

fn is_dropped(character: char) -> bool {
    matches!(character,
        '\u{200b}' | '\u{2060}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' | '\u{0}'
        | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}'
        | '\u{fff9}'..='\u{fffb}')
}

fn is_private(character: char) -> bool {
    matches!(character, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}')
}

fn is_typography(character: char) -> bool {
    matches!(character,
        '\u{132}' | '\u{133}' | '\u{1c4}'..='\u{1cc}' | '\u{1f1}'..='\u{1f3}' | '\u{17f}'
        | '\u{2f00}'..='\u{2fd5}' | '\u{f900}'..='\u{faff}' | '\u{2f800}'..='\u{2fa1f}'
        | '\u{fb00}'..='\u{fb06}' | '\u{fb13}'..='\u{fb17}' | '\u{fb1d}'..='\u{fdfb}'
        | '\u{fe70}'..='\u{fefc}' | '\u{ff01}'..='\u{ff5e}' | '\u{1d400}'..='\u{1d7ff}')
}

#[cfg(test)]
mod tests {
    use super::clean_line;
    use proptest::prelude::*;

    #[test]
    fn typography_is_folded_and_meaning_is_kept() {
        for (raw, clean) in [
            ("e\u{fb03}cient \u{fb02}ow, \u{fb01}nal o\u{fb00}er", "efficient flow, final offer"),
            ("10² m, ½ cup, H₂O, x³", "10² m, ½ cup, H₂O, x³"),
            ("cafe\u{301}", "café"),
            ("pro\u{ad}gress", "progress"),
            ("pro\u{ad}", "pro\u{ad}"),
            ("a\u{0}b\u{7}c\u{200b}d", "ab cd"),
            ("one\u{a0}two\tthree  four    five ", "one two three  four  five"),
            ("\u{f0b7} item", "• item"),
            ("non\u{2011}stop", "non-stop"),
            ("𝑓(𝑥)", "f(x)"),
            ("ＡＢＣ１２", "ABC12"),
        ] {
            assert_eq!(clean_line(raw), clean, "{raw:?}");
        }
    }

    proptest! {
        #[test]
        fn cleaning_twice_changes_nothing(text in "\\PC{0,40}") {
            let once = clean_line(&text);
            prop_assert_eq!(&clean_line(&once), &once);
            prop_assert!(!once.contains("   ") && once.trim() == once);
        }
    }
}
