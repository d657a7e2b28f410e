//! PDF to pages of normalised text.
//!
//! ```text
//! parent                                  worker process (`serve`)
//! read_document ──── ExtractRequest ────▶ extract: pdf-extract, and pdf_oxide where in doubt
//!      ◀──────────── Opened, RawPage … ── one page after the other
//! normalise_document                      dies, perhaps: pages so far are kept
//!      ▼
//! Reading { pages: Vec<PageText>, … } or an error that says what the file is
//! ```
//!
//! # Why a process
//! On 161 broken and hostile files, the extractors panicked (19 files), overflowed the stack
//! (6), took more than 5 GB (1) or did not end (2). A panic can be caught; the others end
//! the process. So each document is read in a process with limits of memory (2 GB of address
//! space), processor time (10 s, and 0.2 s more for every page read), wall time and output.
//! If it dies, a new one tries the page with the other extractor alone, then goes on behind
//! it.
//!
//! # Why two extractors
//! Neither library alone reads everything (word F1 against `pdftotext`; readable is .5):
//!
//! | | `pdf-extract` 0.12 | `pdf_oxide` 0.3 |
//! |---|---|---|
//! | two columns from LaTeX, character similarity | .998 | .969 |
//! | predefined CMaps of Chinese and Japanese | none | most |
//! | broken cross-reference tables | refused | rebuilt |
//! | form fields | no | yes |
//! | pages per second of processor time | 466 | 185 |
//!
//! So `pdf-extract` reads every page, and `pdf_oxide` those that came out doubtful: a panic,
//! little text, unknown characters, torn or glued words, filled form fields. The better of the
//! two is kept (`judge`). Of `pdf-extract` only the interpreter of content streams is used,
//! with known mistakes mended beforehand (`mend`); lines, words, cells and scripts that run
//! from right to left are put together here from the characters' places (`layout`, `bidi`),
//! which `pdf-extract`'s own text output leaves to chance.
//!
//! # What comes out
//! See [`normalise_document`] for the text, [`read_document`] for outcomes. Spans are counted
//! in characters of the normalised page text; the same file always gives the same text.
//!
//! # Limits known
//! Tables drawn column by column stay columns. Vertical Japanese is left to `pdf_oxide`.
//! Text in images is not read: such documents end as `NoText`.

mod bidi;
mod columns;
mod extract;
mod fallback;
mod judge;
mod layout;
mod marks;
mod mend;
mod normalise;
mod outcome;
mod primary;
mod quiet;
mod raw;
mod reading;
mod title;
mod worker;

pub use extract::{ExtractEvent, ExtractOptions, ExtractSummary, Extractors, extract};
pub use normalise::normalise_document;
pub use raw::{LinePlace, RawLine, RawPage};
pub use reading::{ReadOptions, Reading, read_document};
pub use worker::{ExtractRequest, PdfProtocol, serve};
