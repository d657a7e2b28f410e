//! The second extractor: `pdf_oxide`, which repairs more broken files, knows the predefined
//! CMaps of Chinese, Japanese and Korean, and orders tables and turned pages by place.

use crate::quiet;
use crate::raw::{RawLine, RawPage};
use pdf_oxide::document::PdfDocument;
use quartet_types::{Extractor, PageNumber};

pub(crate) struct Fallback {
    document: PdfDocument,
    pages: u32,
}

/// What came of opening a file.
pub(crate) enum Opened {
    /// It can be read.
    Ready(Box<Fallback>),
    /// It needs a password.
    Protected,
    /// `pdf_oxide` cannot read it, with its reason.
    Unreadable(String),
}

impl Fallback {
    pub(crate) fn open(data: &[u8]) -> Opened {
        let loaded = quiet::catch(|| {
            let document = PdfDocument::from_bytes(data.to_vec())?;
            if document.is_encrypted() && !document.authenticate(b"").unwrap_or(false) {
                return Ok(None);
            }
            let pages = document.page_count()?;
            Ok::<_, pdf_oxide::error::Error>(Some((document, pages)))
        });
        match loaded {
            Ok(Ok(Some((document, pages)))) => {
                let pages = u32::try_from(pages).unwrap_or(u32::MAX);
                Opened::Ready(Box::new(Self { document, pages }))
            }
            Ok(Ok(None)) => Opened::Protected,
            Ok(Err(error)) => Opened::Unreadable(error.to_string()),
            Err(panic) => Opened::Unreadable(panic),
        }
    }

    pub(crate) fn pages(&self) -> u32 {
        self.pages
    }

    /// Reads one page; `None` if it cannot be read.
    pub(crate) fn page(
        &self,
        number: PageNumber,
        most_characters: usize,
    ) -> Option<(RawPage, bool)> {
        let index = usize::try_from(number.0.checked_sub(1)?).ok()?;
        let text = quiet::catch(|| self.document.extract_text(index)).ok()?.ok()?;
        let mut page = RawPage::empty(number, Extractor::PdfOxide);
        let mut truncated = false;
        let mut characters = 0;
        for line in text.lines() {
            characters += line.chars().count();
            if characters >= most_characters {
                truncated = true;
                break;
            }
            page.lines.push(RawLine::unplaced(column_gaps(line)));
        }
        Some((page, truncated))
    }
}

/// `pdf_oxide` pads the cells of a table with spaces: two or more become the column gap.
fn column_gaps(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut blanks = 0;
    for character in line.trim().chars() {
        if character.is_whitespace() {
            blanks += if character == '\t' { 2 } else { 1 };
            continue;
        }
        match blanks {
            0 => {}
            1 => text.push(' '),
            _ => text.push_str("  "),
        }
        blanks = 0;
        text.push(character);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::column_gaps;

    #[test]
    fn padding_becomes_a_column_gap() {
        assert_eq!(column_gaps("  Revenue      1,234\t99 "), "Revenue  1,234  99");
        assert_eq!(column_gaps("plain words"), "plain words");
    }
}
