//! Files that are not read, in words that help.

use quartet_types::{Error, ErrorCode, Result};
use std::io::Read;
use std::path::Path;

/// Where a PDF's header may stand at the latest (ISO 32000-1, annex H, note 13).
const HEADER_WINDOW: usize = 1024;

/// Reads a file that may be a PDF.
pub(crate) fn read_file(path: &Path, most_bytes: u64) -> Result<Vec<u8>> {
    let failed = |error: std::io::Error| {
        let mut error = Error::from_io(&error, path);
        if error.code == ErrorCode::ReadOnly {
            error.code = ErrorCode::Io;
            error.hint = Some("Check that you may read this file.".to_owned());
        }
        error
    };
    let file = std::fs::File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    // A pipe or a device could deliver for ever.
    if !metadata.is_file() {
        return Err(Error::new(ErrorCode::BadFile, "is not a regular file")
            .hint("Give the path of a PDF file, or of a folder to import all PDFs in it."));
    }
    let mut data = Vec::new();
    file.take(most_bytes.saturating_add(1)).read_to_end(&mut data).map_err(failed)?;
    if data.len() as u64 > most_bytes {
        return Err(Error::new(
            ErrorCode::LimitExceeded,
            format!("is larger than the limit of {} MB", most_bytes >> 20),
        )
        .hint("Split the document into smaller files."));
    }
    match not_a_pdf(&data) {
        Some(why) => Err(why),
        None => Ok(data),
    }
}

fn not_a_pdf(data: &[u8]) -> Option<Error> {
    let head = &data[..data.len().min(HEADER_WINDOW)];
    let contains = |needle: &[u8]| head.windows(needle.len()).any(|window| window == needle);
    if contains(b"%PDF-") {
        return None;
    }
    // A lost header alone is no reason to give up: both extractors can rebuild the rest.
    if contains(b" obj") && !contains(b"<html") {
        return None;
    }
    let start = data.trim_ascii_start();
    let what = if data.is_empty() {
        "is empty"
    } else if data.iter().all(|&byte| byte == 0) {
        "holds nothing but zeros"
    } else if start.starts_with(b"<")
        && (contains(b"<html") || contains(b"<HTML") || contains(b"<!"))
    {
        "is not a PDF: it looks like a web page"
    } else if start.starts_with(b"\x89PNG")
        || start.starts_with(b"\xff\xd8")
        || start.starts_with(b"GIF8")
    {
        "is not a PDF: it is an image"
    } else if start.starts_with(b"PK\x03\x04") {
        "is not a PDF: it is a ZIP archive or an office document"
    } else if start.starts_with(b"%!PS") {
        "is not a PDF: it is a PostScript file"
    } else {
        "is not a PDF"
    };
    Some(
        Error::new(ErrorCode::BadFile, what)
            .hint("Download or export the document again, as a PDF."),
    )
}

/// Whether a file that cannot be opened says that it is encrypted: then its key is missing,
/// whatever else went wrong.
pub(crate) fn names_encryption(data: &[u8]) -> bool {
    let name = b"/Encrypt";
    data.windows(name.len() + 1)
        .any(|window| window.starts_with(name) && !window[name.len()].is_ascii_alphabetic())
}

/// It needs a password.
pub(crate) fn protected() -> Error {
    Error::new(ErrorCode::Protected, "needs a password")
        .hint("Save a copy without the password in your PDF reader, then import the copy.")
}

/// It starts like a PDF, and no extractor can open it.
pub(crate) fn unreadable(data: &[u8], reason: &str) -> Error {
    let tail = &data[data.len().saturating_sub(2048)..];
    let complete = tail.windows(5).any(|window| window == b"%%EOF");
    let what = if complete { "is broken" } else { "is broken or cut off: its end is missing" };
    let reason = reason.trim();
    let message = if reason.is_empty() {
        format!("{what}; no page could be found")
    } else {
        format!("{what} ({})", reason.chars().take(120).collect::<String>())
    };
    Error::new(ErrorCode::BadFile, message).hint(
        "Open it in a PDF reader: if it shows there, print it to a new PDF; else fetch it again.",
    )
}

/// It has more pages than allowed.
pub(crate) fn too_many_pages(pages: u32, most: u32) -> Error {
    Error::new(ErrorCode::LimitExceeded, format!("has {pages} pages; the limit is {most}"))
        .hint("Split the document into smaller files.")
}

/// It has pages, and none of them has text.
pub(crate) fn no_text(pages: u32) -> Error {
    let pages =
        if pages == 1 { "its page".to_owned() } else { format!("any of its {pages} pages") };
    Error::new(ErrorCode::NoText, format!("has no text on {pages}; it looks scanned"))
        .hint("Run it through a text recognition program (OCR) first, then import the result.")
}

/// It could be opened, and none of its pages could be read.
pub(crate) fn all_pages_lost(pages: u32) -> Error {
    Error::new(ErrorCode::BadFile, format!("is broken: none of its {pages} pages could be read"))
        .hint("Open it in a PDF reader: if it shows there, print it to a new PDF; else fetch it again.")
}

/// Its text ends at the limit.
pub(crate) fn too_much_text() -> Error {
    Error::new(ErrorCode::LimitExceeded, "has more text than the limit; the rest was left out")
        .hint("Split the document into smaller files.")
}

/// It was not finished in the time it may take.
pub(crate) fn too_slow(wall_limit: std::time::Duration) -> Error {
    let seconds = wall_limit.as_secs();
    Error::new(ErrorCode::LimitExceeded, format!("could not be read within {seconds} s")).hint(
        "Try again when the machine is idle; if it persists, print the document to a new PDF.",
    )
}

/// Its worker died; `error` says how.
pub(crate) fn worker_died(error: &Error) -> Error {
    let how = error.message.chars().take(200).collect::<String>();
    let spent = ["processor time", "memory allocation"].iter().any(|words| how.contains(words));
    let (code, what) = if spent {
        (ErrorCode::LimitExceeded, "needs more time or memory than a document may take")
    } else {
        (ErrorCode::BadFile, "is broken in a way that crashes the PDF reader")
    };
    Error::new(code, format!("{what} ({how})")).hint(
        "Open it in a PDF reader: if it shows there, print it to a new PDF; else fetch it again.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(data: &[u8]) -> String {
        not_a_pdf(data).map_or("may be a PDF".to_owned(), |error| error.message)
    }

    #[test]
    fn what_a_file_is_instead_is_named() {
        assert_eq!(verdict(b""), "is empty");
        assert_eq!(verdict(&[0; 4096]), "holds nothing but zeros");
        assert_eq!(
            verdict(b"<!doctype html><html></html>"),
            "is not a PDF: it looks like a web page"
        );
        assert_eq!(verdict(b"\x89PNG\r\n\x1a\n"), "is not a PDF: it is an image");
        assert_eq!(verdict(b"plain words"), "is not a PDF");
        assert_eq!(verdict(b"junk before %PDF-1.4\n"), "may be a PDF");
        assert_eq!(verdict(b"1 0 obj\n<< >>"), "may be a PDF");
    }
}
