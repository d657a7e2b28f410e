//! The first extractor: `pdf-extract` on `lopdf`, page by page.
//!
//! Its interpreter of content streams is used, its text output is not: [`Collector`] takes
//! the positioned characters and [`crate::layout`] makes lines of them.

use crate::layout::{Glyph, LineBuilder};
use crate::mend;
use crate::quiet;
use crate::raw::RawPage;
use lopdf::{Document, ObjectId};
use pdf_extract::{MediaBox, OutputDev, OutputError, Transform, output_doc_page};
use quartet_types::{Extractor, PageNumber};

/// What came of opening a file.
pub(crate) enum Opened {
    /// It can be read.
    Ready(Box<Primary>),
    /// It needs a password.
    Protected,
    /// `lopdf` cannot read it, with its reason.
    Unreadable(String),
}

pub(crate) struct Primary {
    document: Document,
    pages: Vec<ObjectId>,
}

/// A page as read, with what the choice of extractor needs to know.
pub(crate) struct PrimaryPage {
    pub(crate) page: RawPage,
    /// Characters drawn that the fonts do not map to text.
    pub(crate) unmapped: usize,
    /// The interpreter panicked or failed; `page` has what came before.
    pub(crate) failed: bool,
    /// Its content is missing or cannot be unpacked, and no text came of it.
    pub(crate) damaged: bool,
    /// It has filled form fields, which are not in its text.
    pub(crate) has_fields: bool,
    /// The output limit was reached.
    pub(crate) truncated: bool,
}

impl Primary {
    pub(crate) fn open(data: &[u8]) -> Opened {
        let loaded = quiet::catch(|| {
            let mut document = Document::load_mem(data)?;
            // An empty password opens what is only locked against changes.
            let locked = document.is_encrypted() && document.decrypt("").is_err();
            Ok::<_, lopdf::Error>((!locked).then_some(document))
        });
        let mut document = match loaded {
            Ok(Ok(Some(document))) => document,
            Ok(Ok(None) | Err(lopdf::Error::Decryption(_) | lopdf::Error::InvalidPassword)) => {
                return Opened::Protected;
            }
            Ok(Err(error)) => return Opened::Unreadable(error.to_string()),
            Err(panic) => return Opened::Unreadable(panic),
        };
        if quiet::catch(|| mend::document(&mut document)).is_err() {
            return Opened::Unreadable("its objects are inconsistent".to_owned());
        }
        let pages = quiet::catch(|| document.get_pages()).unwrap_or_default();
        let pages: Vec<ObjectId> = pages.into_values().collect();
        // Decrypted with a key that is none, nothing makes sense.
        if pages.is_empty() && document.was_encrypted() {
            return Opened::Protected;
        }
        Opened::Ready(Box::new(Self { document, pages }))
    }

    pub(crate) fn pages(&self) -> u32 {
        u32::try_from(self.pages.len()).unwrap_or(u32::MAX)
    }

    /// The title in the file's information dictionary.
    pub(crate) fn title(&self) -> Option<String> {
        quiet::catch(|| crate::title::of(&self.document)).ok().flatten()
    }

    /// Reads one page; `most_characters` bounds the output.
    pub(crate) fn page(&mut self, number: PageNumber, most_characters: usize) -> PrimaryPage {
        let id = usize::try_from(number.0)
            .ok()
            .and_then(|number| self.pages.get(number.wrapping_sub(1)));
        let (is_damaged, has_fields) = id.map_or((true, false), |&id| {
            let is_damaged = quiet::catch(|| mend::page(&mut self.document, id));
            let has_fields = quiet::catch(|| mend::has_filled_fields(&self.document, id));
            (is_damaged.unwrap_or(true), has_fields.unwrap_or(false))
        });
        let mut collector = Collector { most_characters, ..Collector::default() };
        let outcome =
            quiet::catch(|| output_doc_page(&self.document, &mut collector, number.0).is_ok());
        let truncated = collector.characters >= most_characters;
        let mut page = RawPage::empty(number, Extractor::PdfExtract);
        page.lines = collector.builder.finish();
        let is_empty = page.lines.is_empty();
        PrimaryPage {
            page,
            unmapped: collector.unmapped,
            failed: !truncated && (outcome != Ok(true) || (is_damaged && is_empty)),
            damaged: is_damaged && is_empty,
            has_fields,
            truncated,
        }
    }
}

#[derive(Default)]
struct Collector {
    builder: LineBuilder,
    characters: usize,
    unmapped: usize,
    most_characters: usize,
}

impl OutputDev for Collector {
    fn begin_page(
        &mut self,
        _page_number: u32,
        _media_box: &MediaBox,
        _art_box: Option<(f64, f64, f64, f64)>,
    ) -> Result<(), OutputError> {
        Ok(())
    }

    fn end_page(&mut self) -> Result<(), OutputError> {
        Ok(())
    }

    fn output_character(
        &mut self,
        matrix: &Transform,
        width: f64,
        spacing: f64,
        font_size: f64,
        character: &str,
    ) -> Result<(), OutputError> {
        if character.is_empty() || character.chars().all(|c| c == '\0') {
            self.unmapped += 1;
            return Ok(());
        }
        self.characters += character.chars().count();
        if self.characters >= self.most_characters {
            return Err(OutputError::IoError(std::io::ErrorKind::StorageFull.into()));
        }
        // The text rendering matrix, ISO 32000-1, 9.4.4: a row is the image of a unit vector.
        let along = |length: f64| (matrix.m11 * length, matrix.m12 * length);
        let height = (matrix.m21 * font_size).hypot(matrix.m22 * font_size);
        self.builder.push(Glyph {
            text: character.to_owned(),
            origin: (matrix.m31, matrix.m32),
            advance: along(width.mul_add(font_size, spacing)),
            extent: along(width * font_size),
            size: height,
        });
        Ok(())
    }

    fn begin_word(&mut self) -> Result<(), OutputError> {
        Ok(())
    }

    fn end_word(&mut self) -> Result<(), OutputError> {
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), OutputError> {
        Ok(())
    }
}
