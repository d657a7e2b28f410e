//! The parent's side: a document is read in a worker, and a crash costs one page at most.

use crate::extract::{ExtractEvent, ExtractOptions, ExtractSummary, Extractors};
use crate::normalise::normalise_document;
use crate::outcome;
use crate::raw::RawPage;
use crate::worker::{ExtractRequest, PdfProtocol};
use quartet_types::{Error, ErrorCode, Extractor, PageNumber, PageProblem, PageText, Result};
use quartet_worker::{CallOptions, Supervisor, WorkerCommand};
use std::path::Path;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Workers that may die over one document before the rest of it is given up.
const MOST_DEATHS: u32 = 5;

/// How to read a document.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    /// Limits inside the worker.
    pub extract: ExtractOptions,
    /// Wall time for the whole document, all attempts together.
    pub wall_limit: Duration,
    /// Ends the reading with `Cancelled`.
    pub cancel: CancellationToken,
}

impl ReadOptions {
    /// The limits Quartet ships with.
    #[must_use]
    pub fn standard() -> Self {
        Self {
            extract: ExtractOptions::standard(),
            wall_limit: Duration::from_secs(1800),
            cancel: CancellationToken::new(),
        }
    }
}

/// A document as read: at least one page has text.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The title in the file's information dictionary, where it has one.
    pub title: Option<String>,
    /// Its pages in order, normalised. Lost pages are here too, empty, with
    /// [`PageProblem::ExtractorFailed`]; pages after the point where reading was given up
    /// are not.
    pub pages: Vec<PageText>,
    /// Pages the document says it has.
    pub total_pages: u32,
    /// Pages without text because they could not be read.
    pub failed_pages: u32,
    /// Why reading ended early, if it did.
    pub incomplete: Option<Error>,
}

/// Reads a document in a worker process started by `command`, which must end up in
/// [`crate::serve`].
///
/// A worker that dies is started again behind the page it died on, after that page has been
/// tried with the other extractor alone. `on_page` is told the number of pages read so far
/// and in all.
///
/// # Errors
/// `Protected`, `NoText`, `BadFile`, `LimitExceeded`, `NotFound`, `Io` or `Cancelled`; all
/// of them name the file. A document of which at least one page has text is not an error.
pub async fn read_document(
    command: &WorkerCommand,
    path: &Path,
    options: &ReadOptions,
    mut on_page: impl FnMut(u32, u32) + Send,
) -> Result<Reading> {
    let deadline = std::time::Instant::now() + options.wall_limit;
    let mut attempt = Attempt::new(options.extract.clone());
    let mut deaths = 0;
    let incomplete = loop {
        // A process of its own for every attempt: no memory or time is inherited.
        let supervisor = Supervisor::<PdfProtocol>::new(command.clone());
        let call = CallOptions {
            cancel: options.cancel.clone(),
            wall_limit: Some(deadline.saturating_duration_since(std::time::Instant::now())),
        };
        let request = ExtractRequest { path: path.to_owned(), options: attempt.options.clone() };
        attempt.begin();
        let reply = supervisor
            .call(request, &call, |event| {
                attempt.record(event);
                on_page(attempt.pages.len() as u32, attempt.total_pages);
            })
            .await;
        supervisor.kill();
        let error = match reply {
            Ok(ExtractSummary { truncated: false, .. }) => break None,
            Ok(_) => break Some(outcome::too_much_text()),
            Err(error) => error,
        };
        match error.code {
            ErrorCode::WorkerDied => {}
            ErrorCode::Cancelled => return Err(error.about_path(path)),
            // Without a hint it is the supervisor's: the wall limit.
            ErrorCode::LimitExceeded if error.hint.is_none() => {
                break Some(outcome::too_slow(options.wall_limit));
            }
            _ if attempt.pages.is_empty() => return Err(error.about_path(path)),
            _ => break Some(error),
        }
        deaths += 1;
        if deaths >= MOST_DEATHS || !attempt.recover() {
            break Some(outcome::worker_died(&error));
        }
    };
    attempt.into_reading(incomplete).map_err(|error| error.about_path(path))
}

/// What is known so far, and where to go on after a death.
struct Attempt {
    options: ExtractOptions,
    pages: Vec<RawPage>,
    total_pages: u32,
    title: Option<String>,
    opened: bool,
    in_second: bool,
}

impl Attempt {
    fn new(options: ExtractOptions) -> Self {
        Self {
            options,
            pages: Vec::new(),
            total_pages: 0,
            title: None,
            opened: false,
            in_second: false,
        }
    }

    fn begin(&mut self) {
        self.opened = false;
        self.in_second = false;
    }

    fn record(&mut self, event: ExtractEvent) {
        match event {
            ExtractEvent::Opened { pages } => {
                self.total_pages = self.total_pages.max(pages);
                self.opened = true;
            }
            ExtractEvent::Title(title) => self.title = Some(title),
            ExtractEvent::SecondOpinion { .. } => self.in_second = true,
            ExtractEvent::Page(page) => {
                self.in_second = false;
                self.options.first_page = PageNumber(page.number.0 + 1);
                self.options.first_page_extractors = Extractors::Both;
                self.pages.push(page);
            }
        }
    }

    /// Decides how to go on after a death; false if there is no way.
    fn recover(&mut self) -> bool {
        if !self.opened {
            // Opening itself is deadly: the second extractor may open what the first cannot.
            let untried = self.options.extractors == Extractors::Both && !self.in_second;
            self.options.extractors = Extractors::SecondOnly;
            self.options.first_page_extractors = Extractors::SecondOnly;
            return untried;
        }
        let page = self.options.first_page;
        if page.0 > self.total_pages {
            return false;
        }
        let untried = self.options.first_page_extractors == Extractors::Both
            && self.options.extractors == Extractors::Both;
        if untried {
            self.options.first_page_extractors =
                if self.in_second { Extractors::FirstOnly } else { Extractors::SecondOnly };
            return true;
        }
        let mut lost = RawPage::empty(page, Extractor::PdfExtract);
        lost.problems = vec![PageProblem::ExtractorFailed, PageProblem::Empty];
        self.record(ExtractEvent::Page(lost));
        page.0 < self.total_pages
    }

    fn into_reading(self, incomplete: Option<Error>) -> Result<Reading> {
        let pages = normalise_document(&self.pages);
        let lost = |page: &&PageText| {
            page.text.is_empty() && page.problems.contains(&PageProblem::ExtractorFailed)
        };
        let failed_pages = pages.iter().filter(lost).count() as u32;
        let readable = |page: &PageText| page.text.chars().any(char::is_alphanumeric);
        if pages.iter().any(readable) {
            let total_pages = self.total_pages.max(pages.len() as u32);
            return Ok(Reading { title: self.title, pages, total_pages, failed_pages, incomplete });
        }
        Err(match incomplete {
            Some(error) => error,
            None if failed_pages > 0 => outcome::all_pages_lost(self.total_pages),
            None => outcome::no_text(self.total_pages),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw::RawLine;

    fn page(number: u32, text: &str) -> ExtractEvent {
        let mut page = RawPage::empty(PageNumber(number), Extractor::PdfExtract);
        page.lines.push(RawLine::unplaced(text));
        ExtractEvent::Page(page)
    }

    #[test]
    fn a_deadly_page_is_tried_again_with_the_other_extractor_and_then_skipped() {
        let mut attempt = Attempt::new(ExtractOptions::standard());
        attempt.begin();
        attempt.record(ExtractEvent::Opened { pages: 3 });
        attempt.record(page(1, "one"));
        assert!(attempt.recover());
        assert_eq!(attempt.options.first_page, PageNumber(2));
        assert_eq!(attempt.options.first_page_extractors, Extractors::SecondOnly);
        attempt.begin();
        attempt.record(ExtractEvent::Opened { pages: 3 });
        attempt.record(ExtractEvent::SecondOpinion { page: PageNumber(2) });
        assert!(attempt.recover());
        assert_eq!(attempt.options.first_page, PageNumber(3));
        attempt.begin();
        attempt.record(ExtractEvent::Opened { pages: 3 });
        attempt.record(page(3, "three"));
        let reading = attempt.into_reading(None).unwrap();
        assert_eq!((reading.pages.len(), reading.failed_pages), (3, 1));
    }

    #[test]
    fn a_file_that_is_deadly_to_open_is_opened_by_the_second_extractor_once() {
        let mut attempt = Attempt::new(ExtractOptions::standard());
        attempt.begin();
        assert!(attempt.recover());
        assert_eq!(attempt.options.extractors, Extractors::SecondOnly);
        attempt.begin();
        assert!(!attempt.recover());
    }

    #[test]
    fn pages_without_text_are_never_a_success() {
        let mut attempt = Attempt::new(ExtractOptions::standard());
        attempt.record(ExtractEvent::Opened { pages: 2 });
        attempt.record(page(1, " "));
        attempt.record(page(2, "- -"));
        let error = attempt.into_reading(None).unwrap_err();
        assert_eq!(error.code, ErrorCode::NoText);
        assert!(error.message.contains("scanned"), "{error}");
    }
}
