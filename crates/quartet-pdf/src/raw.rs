//! What an extractor saw on a page, before any tidying: lines with their places.

use quartet_types::{Extractor, PageNumber, PageProblem};
use serde::{Deserialize, Serialize};

/// A page as it came from an extractor.
///
/// Pages cross the worker's pipe in this form, so that those read before a crash are kept;
/// [`crate::normalise_document`] needs the whole document and runs in the parent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RawPage {
    /// Which page.
    pub number: PageNumber,
    /// Its lines in reading order.
    pub lines: Vec<RawLine>,
    /// What read it.
    pub extractor: Extractor,
    /// What was wrong with it.
    pub problems: Vec<PageProblem>,
}

/// One line of text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RawLine {
    /// Its characters. Two spaces stand for a gap wide enough to be a column border;
    /// an empty text is a paragraph break.
    pub text: String,
    /// Where it stands, if the extractor says so.
    pub place: Option<LinePlace>,
}

/// Where a line stands, in points, in the frame of its own writing direction:
/// `along` grows to the right of the reader, `baseline` grows upwards.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LinePlace {
    /// Where it starts, along the writing direction.
    pub left: f32,
    /// Where it ends, along the writing direction.
    pub right: f32,
    /// Height of its baseline.
    pub baseline: f32,
    /// Font size of its largest characters.
    pub size: f32,
    /// Writing direction in degrees, anticlockwise; 0 for upright text.
    pub turn: i16,
}

impl RawPage {
    /// An empty page.
    #[must_use]
    pub fn empty(number: PageNumber, extractor: Extractor) -> Self {
        Self { number, lines: Vec::new(), extractor, problems: Vec::new() }
    }

    /// Number of characters, spaces not counted.
    #[must_use]
    pub fn characters(&self) -> usize {
        self.lines.iter().flat_map(|line| line.text.chars()).filter(|c| !c.is_whitespace()).count()
    }
}

impl RawLine {
    /// A line whose place is unknown.
    #[must_use]
    pub fn unplaced(text: impl Into<String>) -> Self {
        Self { text: text.into(), place: None }
    }
}
