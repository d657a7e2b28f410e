//! What looks like a heading, a list item, a table row or a title, judged from one line.

use quartet_types::PageText;

const MOST_HEADING_CHARACTERS: usize = 80;
const MOST_HEADING_WORDS: usize = 12;
const TITLE_CHARACTERS: std::ops::RangeInclusive<usize> = 3..=120;
const BULLETS: &str = "•◦▪■●○‣–—-*·➢✓";
const CAPTIONS: [&str; 8] = ["figure", "fig.", "fig", "table", "tab.", "page", "chart", "plate"];
const DATE_WORDS: [&str; 34] = [
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "sept",
    "oct",
    "nov",
    "dec",
    "january",
    "february",
    "march",
    "april",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
    "st",
    "nd",
    "rd",
    "th",
    "of",
    "page",
    "version",
    "v",
    "am",
    "pm",
];

/// Whether a line looks like a heading: at most 80 characters and 12 words, no closing
/// punctuation, and either a section number (`2.1`, `§ 3`, `IV.`) followed by a capitalised word
/// or a capital at the start. Table rows, bullets and captions are not headings.
///
/// The line alone cannot tell a numbered heading from a numbered list item;
/// [`sentences`](super::sentences()) also looks at the lines around it.
pub fn is_heading(line: &str) -> bool {
    let line = line.trim();
    let words = line.split_whitespace().count();
    if line.chars().count() > MOST_HEADING_CHARACTERS
        || words == 0
        || words > MOST_HEADING_WORDS
        || line.ends_with(['.', ',', ';', ':', '?', '!', '…', '-', '–', '—', '。', '،', '؛'])
        || is_row(line)
        || is_bullet(line)
    {
        return false;
    }
    let (number, rest) = split_number(line);
    let mut letters = rest.chars().filter(|c| !c.is_whitespace());
    let Some(first) = letters.next() else { return false };
    // Scripts without case (Chinese, Arabic) have only the number to go by.
    let capital = first.is_uppercase()
        || (number.is_some() && first.is_alphabetic() && !first.is_lowercase());
    let (mut alphabetic, mut all) = (usize::from(first.is_alphabetic()), 1);
    for letter in letters {
        alphabetic += usize::from(letter.is_alphabetic());
        all += 1;
    }
    let mut following = rest.split_whitespace();
    let opening = following.next().unwrap_or_default().to_lowercase();
    let captioned = CAPTIONS.contains(&opening.as_str())
        && following.next().is_some_and(|word| word.starts_with(|c: char| c.is_numeric()));
    let two_sentences = [". ", "? ", "! "].iter().any(|mark| rest.contains(mark));
    capital && alphabetic >= 2 && alphabetic * 3 >= all * 2 && !captioned && !two_sentences
}

/// Whether a line is a row of a table: cells two spaces, a tab or a bar apart.
pub(super) fn is_row(line: &str) -> bool {
    let line = line.trim();
    line.contains("  ") || line.contains('\t') || line.contains(" | ")
}

/// Whether a line begins with a bullet.
pub(super) fn is_bullet(line: &str) -> bool {
    let mut characters = line.trim_start().chars();
    characters.next().is_some_and(|c| BULLETS.contains(c))
        && characters.next().is_some_and(char::is_whitespace)
}

/// Whether a line begins with a bullet or with the number of a clause.
pub(super) fn is_item(line: &str) -> bool {
    is_bullet(line) || {
        let line = line.trim_start();
        match split_number(line) {
            // A bare number may be a wrapped sentence going on: "in\n12 cases".
            (Some(number), rest) => {
                let marked = number.ends_with(['.', ')']) || number.starts_with(['(', '§']);
                !rest.is_empty()
                    && (marked || number.contains('.') && rest.starts_with(char::is_uppercase))
            }
            (None, _) => false,
        }
    }
}

/// The depth of a line's number (`2` is 1, `2.1` is 2), if it begins with one.
pub(super) fn number_depth(line: &str) -> Option<usize> {
    split_number(line.trim()).0.map(|number| number.trim_end_matches('.').split('.').count())
}

/// Splits a leading clause number (`2`, `2.1`, `3.`, `IV.`, `a)`, `(ii)`, `§ 3`) from a line.
/// `line` must be trimmed at the start.
pub(super) fn split_number(line: &str) -> (Option<&str>, &str) {
    let sign = if line.starts_with('§') { '§'.len_utf8() } else { 0 };
    let after_sign = line[sign..].trim_start();
    let token_start = line.len() - after_sign.len();
    let token_end = after_sign.find(char::is_whitespace).unwrap_or(after_sign.len());
    if is_number(&after_sign[..token_end], sign > 0) {
        let end = token_start + token_end;
        (Some(&line[..end]), line[end..].trim())
    } else {
        (None, line.trim())
    }
}

fn is_number(token: &str, signed: bool) -> bool {
    let bracketed = token.ends_with(')');
    let body = token.trim_start_matches('(').trim_end_matches([')', '.']);
    if body.is_empty() {
        return false;
    }
    let marked = bracketed || token.ends_with('.') || signed;
    let mut parts = body.split('.');
    let first = parts.next().unwrap_or_default();
    let decimal =
        |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    let letter = first.len() == 1 && first.bytes().all(|b| b.is_ascii_alphabetic());
    let roman = first.len() <= 5
        && (first.bytes().all(|b| b"IVXL".contains(&b))
            || first.bytes().all(|b| b"ivxl".contains(&b)));
    let deeper = body.len() > first.len();
    (decimal(first) || ((letter || roman) && (marked || deeper))) && parts.all(decimal)
}

/// A guess at a document's title: the first line of its first page with text that has letters,
/// 3 to 120 characters, and is not a date, a page number, an address or a table row. A line that
/// ends in a colon or a dash takes the next line with it. `None` when nothing fits.
pub fn title_of(pages: &[PageText]) -> Option<String> {
    let page = pages.iter().find(|page| !page.text.trim().is_empty())?;
    let mut lines = page.text.lines().map(str::trim).filter(|line| !line.is_empty());
    while let Some(line) = lines.next() {
        if !looks_like_title(line) {
            continue;
        }
        let mut title = line.to_owned();
        if line.ends_with([':', '-', '–', '—'])
            && let Some(next) = lines.next()
        {
            let hyphenated =
                line.strip_suffix('-').is_some_and(|rest| rest.ends_with(char::is_alphabetic));
            let gap = if hyphenated { "" } else { " " };
            let joined = format!("{title}{gap}{next}");
            if TITLE_CHARACTERS.contains(&joined.chars().count()) {
                title = joined;
            }
        }
        return Some(title);
    }
    None
}

fn looks_like_title(line: &str) -> bool {
    let dated = line
        .split(|c: char| !c.is_alphabetic())
        .filter(|word| !word.is_empty())
        .all(|word| DATE_WORDS.contains(&word.to_lowercase().as_str()));
    let address = line.contains("://") || line.contains('@') || line.starts_with("www.");
    TITLE_CHARACTERS.contains(&line.chars().count())
        && line.chars().filter(|c| c.is_alphabetic()).count() >= 2
        && !dated
        && !address
        && !is_row(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use quartet_types::{Extractor, PageNumber};

    #[test]
    fn headings_are_told_from_text() {
        for line in [
            "2.1 Scope of cover",
            "§ 3 Termination",
            "Introduction",
            "IV. Results",
            "A.1 Proofs",
            "3 方法",
        ] {
            assert!(is_heading(line), "{line}");
        }
        for line in [
            "The contract ends in May.",
            "and so on",
            "2020",
            "Figure 3 Growth",
            "• Apples",
            "Apples  3  4",
            "2.1",
            "We used the following:",
            "12 apples",
            "这是一个句子",
            "",
            "X",
            "This is a line that has far too many words in it to be one heading",
        ] {
            assert!(!is_heading(line), "{line}");
        }
    }

    #[test]
    fn items_are_told_from_wrapped_text() {
        for line in
            ["• a", "- b", "1. Open it", "(a) the buyer", "iv) close", "2.1 The seller", "§ 3 Law"]
        {
            assert!(is_item(line), "{line}");
        }
        for line in
            ["12 cases", "2020. The end", "I went", "-5 degrees", "2.5 million", "e.g. this"]
        {
            assert!(!is_item(line), "{line}");
        }
    }

    #[test]
    fn titles_skip_dates_and_numbers() {
        let title = |texts: &[&str]| {
            let pages = (1..).zip(texts).map(|(number, text)| PageText {
                number: PageNumber(number),
                text: (*text).to_owned(),
                extractor: Extractor::PdfExtract,
                problems: Vec::new(),
            });
            title_of(&pages.collect::<Vec<_>>())
        };
        assert_eq!(
            title(&["", "12 May 2020\nPage 1\n\nLease:\nFlat 3\nMore"]).as_deref(),
            Some("Lease: Flat 3")
        );
        assert_eq!(title(&["A Multi-\nagent Plan"]).as_deref(), Some("A Multi-agent Plan"));
        assert_eq!(title(&["1\n\n2", "Second page"]), None);
        assert_eq!(title(&[]), None);
    }
}
