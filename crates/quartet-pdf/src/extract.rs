//! One document, page by page, in this process.

use crate::fallback::{self, Fallback};
use crate::judge::{Readability, judge};
use crate::outcome;
use crate::primary::{self, Primary, PrimaryPage};
use crate::raw::RawPage;
use quartet_types::{Error, Extractor, PageNumber, PageProblem, Result};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;
use std::path::Path;

/// Limits and the starting point of an extraction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtractOptions {
    /// The page to start with: after a crash, the one that was not read.
    pub first_page: PageNumber,
    /// Which extractors may be used on that page.
    pub first_page_extractors: Extractors,
    /// Which extractors may be used on the file.
    pub extractors: Extractors,
    /// Larger files are refused, in bytes.
    pub file_bytes: u64,
    /// Documents with more pages are refused.
    pub pages: u32,
    /// A page's text is cut here, in characters.
    pub page_characters: usize,
    /// The document's text ends here, in characters.
    pub document_characters: usize,
}

/// Which extractors may be used: one of them is left out where it has killed its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Extractors {
    /// Both, the better one per page.
    Both,
    /// `pdf-extract` only.
    FirstOnly,
    /// `pdf_oxide` only.
    SecondOnly,
}

impl Extractors {
    fn allow_first(self) -> bool {
        self != Self::SecondOnly
    }

    fn allow_second(self) -> bool {
        self != Self::FirstOnly
    }
}

impl ExtractOptions {
    /// The limits Quartet ships with.
    #[must_use]
    pub fn standard() -> Self {
        Self {
            first_page: PageNumber(1),
            first_page_extractors: Extractors::Both,
            extractors: Extractors::Both,
            file_bytes: 512 << 20,
            pages: 20_000,
            page_characters: 400_000,
            document_characters: 50_000_000,
        }
    }
}

/// What is told while a document is read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ExtractEvent {
    /// The file is open and has so many pages.
    Opened {
        /// Number of pages.
        pages: u32,
    },
    /// The file's own title, where it has one.
    Title(String),
    /// The second extractor is about to be used on a page: should the process die now, it
    /// was not the first one.
    SecondOpinion {
        /// Which page.
        page: PageNumber,
    },
    /// A page has been read.
    Page(RawPage),
}

/// What was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtractSummary {
    /// Pages of the document.
    pub pages: u32,
    /// Characters read, spaces not counted.
    pub characters: u64,
    /// Pages that neither extractor could read.
    pub failed_pages: u32,
    /// Pages read by the second extractor.
    pub second_pages: u32,
    /// The document's text was cut at the limit.
    pub truncated: bool,
}

/// Reads a PDF and tells of every page as soon as it is read.
///
/// Panics of the extractors are caught. Stack overflow, exhausted memory and endless loops
/// are not: call this in a worker process ([`crate::read_document`]) for files from anywhere.
/// Whether the document has text at all is for [`crate::normalise_document`]'s caller to
/// say; this returns its summary even if no page has any.
///
/// # Errors
/// `NotFound` and `Io` if the file cannot be read; `Protected` if it needs a password;
/// `BadFile` if it is not a PDF or neither extractor can open it; `LimitExceeded` past a
/// limit of `options`; `Cancelled` if `on_event` breaks.
pub fn extract(
    path: &Path,
    options: &ExtractOptions,
    on_event: &mut dyn FnMut(ExtractEvent) -> ControlFlow<()>,
) -> Result<ExtractSummary> {
    read(path, options, on_event).map_err(|error| error.about_path(path))
}

fn read(
    path: &Path,
    options: &ExtractOptions,
    on_event: &mut dyn FnMut(ExtractEvent) -> ControlFlow<()>,
) -> Result<ExtractSummary> {
    let data = outcome::read_file(path, options.file_bytes)?;
    let mut reader = Reader::open(data, options.extractors)?;
    let pages = reader.pages;
    if pages > options.pages {
        return Err(outcome::too_many_pages(pages, options.pages));
    }
    let mut tell = |event| match on_event(event) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Error::cancelled()),
    };
    tell(ExtractEvent::Opened { pages })?;
    if let Some(title) = reader.first.as_deref().and_then(Primary::title) {
        tell(ExtractEvent::Title(title))?;
    }
    let mut summary = ExtractSummary { pages, ..ExtractSummary::default() };
    for number in options.first_page.0.max(1)..=pages {
        let left = options.document_characters.saturating_sub(summary.characters as usize);
        if left == 0 {
            summary.truncated = true;
            break;
        }
        let number = PageNumber(number);
        let extractors = if number == options.first_page {
            options.first_page_extractors
        } else {
            Extractors::Both
        };
        let most = options.page_characters.min(left);
        let page = reader.page(number, most, extractors, &mut tell)?;
        summary.characters += page.characters() as u64;
        summary.second_pages += u32::from(page.extractor == Extractor::PdfOxide);
        summary.failed_pages += u32::from(is_lost(&page));
        tell(ExtractEvent::Page(page))?;
    }
    Ok(summary)
}

/// Whether a page was lost to a failure (an empty page is not).
fn is_lost(page: &RawPage) -> bool {
    page.lines.is_empty() && page.problems.contains(&PageProblem::ExtractorFailed)
}

struct Reader {
    data: Vec<u8>,
    first: Option<Box<Primary>>,
    second: Option<Box<Fallback>>,
    second_is_usable: bool,
    pages: u32,
}

impl Reader {
    fn open(data: Vec<u8>, extractors: Extractors) -> Result<Self> {
        let mut reader = Self {
            data,
            first: None,
            second: None,
            second_is_usable: extractors.allow_second(),
            pages: 0,
        };
        let mut reason = String::new();
        let mut protected = false;
        if extractors.allow_first() {
            match Primary::open(&reader.data) {
                primary::Opened::Ready(first) => {
                    reader.pages = first.pages();
                    reader.first = Some(first);
                }
                primary::Opened::Protected => protected = true,
                primary::Opened::Unreadable(why) => reason = why,
            }
        }
        if reader.pages == 0 && reader.second_is_usable {
            reader.first = None;
            match Fallback::open(&reader.data) {
                fallback::Opened::Ready(second) => {
                    reader.pages = second.pages();
                    reader.second = Some(second);
                    protected = false;
                }
                fallback::Opened::Protected => protected = true,
                fallback::Opened::Unreadable(why) => {
                    reason = if reason.is_empty() { why } else { reason }
                }
            }
        }
        if reader.pages > 0 {
            return Ok(reader);
        }
        protected |= outcome::names_encryption(&reader.data);
        Err(if protected {
            outcome::protected()
        } else {
            outcome::unreadable(&reader.data, &reason)
        })
    }

    fn page(
        &mut self,
        number: PageNumber,
        most_characters: usize,
        extractors: Extractors,
        tell: &mut dyn FnMut(ExtractEvent) -> Result<()>,
    ) -> Result<RawPage> {
        let first = self.first.as_mut().filter(|_| extractors.allow_first());
        let first = first.map(|first| first.page(number, most_characters));
        let first_failed = first.as_ref().is_none_or(|first| first.failed);
        let first_score = first.as_ref().map(|first| judge(&first.page, first.unmapped));
        let has_fields = first.as_ref().is_some_and(|first| first.has_fields);
        let doubtful =
            first_failed || has_fields || first_score.is_none_or(|score| score.is_doubtful());

        let is_damaged = first.as_ref().is_some_and(|first| first.damaged);
        let mut second_has_read = false;
        let mut chosen = None;
        if doubtful && self.second_is_usable && extractors.allow_second() {
            tell(ExtractEvent::SecondOpinion { page: number })?;
            let second =
                self.second_opinion().and_then(|second| second.page(number, most_characters));
            if let Some((page, truncated)) = second {
                second_has_read = true;
                let score = judge(&page, 0);
                let is_better = first_score.is_none_or(|first| {
                    first.loses_to(&score) || (has_fields && first.lacks_text_of(&score))
                });
                if is_better {
                    chosen = Some((page, truncated, score));
                }
            }
        }
        let (mut page, truncated, score) = match (chosen, first) {
            (Some(chosen), _) => chosen,
            (None, Some(PrimaryPage { page, unmapped, truncated, .. })) => {
                let score = judge(&page, unmapped);
                (page, truncated, score)
            }
            (None, None) => {
                (RawPage::empty(number, Extractor::PdfOxide), false, Readability::default())
            }
        };
        let is_empty = page.characters() == 0;
        let failed = if is_empty {
            // Empty is damaged unless an extractor that could open the file says otherwise.
            is_damaged || self.first.is_none() || (first_failed && !second_has_read)
        } else {
            match page.extractor {
                Extractor::PdfExtract => first_failed,
                Extractor::PdfOxide => first_failed && self.first.is_some(),
            }
        };
        if failed {
            page.problems.push(PageProblem::ExtractorFailed);
        }
        if is_empty {
            page.lines.clear();
            page.problems.push(PageProblem::Empty);
        }
        if score.unknown > 0.1 {
            page.problems.push(PageProblem::UnknownGlyphs);
        }
        if truncated {
            page.problems.push(PageProblem::Truncated);
        }
        Ok(page)
    }

    /// The second extractor, opened when it is first needed.
    fn second_opinion(&mut self) -> Option<&Fallback> {
        if self.second.is_none() && self.second_is_usable {
            match Fallback::open(&self.data) {
                fallback::Opened::Ready(second) => self.second = Some(second),
                _ => self.second_is_usable = false,
            }
        }
        self.second.as_deref()
    }
}
