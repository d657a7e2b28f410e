//! Rewrites of a loaded document that spare `pdf-extract` 0.12.1 its known mistakes.
//!
//! Each of them was found on a real file. They change the document in memory only and are
//! equivalent by ISO 32000-1, so a later version without these mistakes is not disturbed.

use lopdf::content::{Content, Operation};
use lopdf::{Dictionary, Document, Object, ObjectId};

/// Most characters of a font whose widths are written out.
const MOST_WIDTHS: i64 = 70_000;

/// Mends all that does not depend on a page.
pub(crate) fn document(document: &mut Document) {
    let ids: Vec<ObjectId> = document.objects.keys().copied().collect();
    for id in ids {
        let widths = match document.objects.get_mut(&id) {
            Some(Object::Stream(stream)) => {
                empty_image(stream);
                None
            }
            Some(Object::Dictionary(font)) => {
                simple_font(font);
                is_cid_font(font).then(|| font.get(b"W").ok().cloned()).flatten()
            }
            _ => None,
        };
        let written_out = match widths {
            Some(Object::Array(widths)) => write_out(&widths),
            Some(Object::Reference(to)) => {
                document.objects.get(&to).and_then(|w| w.as_array().ok()).and_then(|w| write_out(w))
            }
            _ => None,
        };
        if let (Some(widths), Some(Object::Dictionary(font))) =
            (written_out, document.objects.get_mut(&id))
        {
            font.set("W", Object::Array(widths));
        }
    }
}

/// Images are run as if they were drawing instructions.
fn empty_image(stream: &mut lopdf::Stream) {
    if stream.dict.get(b"Subtype").and_then(Object::as_name).is_ok_and(|name| name == b"Image") {
        stream.set_plain_content(Vec::new());
    }
}

fn is_cid_font(font: &Dictionary) -> bool {
    font.get(b"Subtype")
        .and_then(Object::as_name)
        .is_ok_and(|name| name.starts_with(b"CIDFontType"))
}

fn simple_font(font: &mut Dictionary) {
    // A default width that is not an integer panics.
    if let Ok(Object::Real(width)) = font.get(b"DW") {
        let width = width.round() as i64;
        font.set("DW", width);
    }
    // So does a count of widths that differs from the range of characters.
    let first = font.get(b"FirstChar").and_then(Object::as_i64);
    if let (Ok(first), Ok(Object::Array(widths))) = (first, font.get(b"Widths")) {
        let last = first.saturating_add(widths.len() as i64).saturating_sub(1);
        if font.get(b"LastChar").and_then(Object::as_i64).is_ok_and(|stated| stated != last) {
            font.set("LastChar", last);
        }
    }
}

/// Ranges of widths (`first last width`, 9.7.4.3) are misread; lists (`first [w w w]`) are
/// not. `None` if there is no range.
fn write_out(widths: &[Object]) -> Option<Vec<Object>> {
    let mut written = Vec::with_capacity(widths.len());
    let mut total = 0;
    let mut ranges = 0;
    let mut rest = widths.iter();
    while let Some(first) = rest.next() {
        match rest.next()? {
            list @ Object::Array(_) => written.extend([first.clone(), list.clone()]),
            last => {
                let width = rest.next()?;
                let count =
                    last.as_i64().ok()?.checked_sub(first.as_i64().ok()?)?.checked_add(1)?;
                total += count.max(0);
                if !(0..=MOST_WIDTHS).contains(&count) || total > MOST_WIDTHS {
                    return None;
                }
                ranges += 1;
                let list = vec![width.clone(); usize::try_from(count).ok()?];
                written.extend([first.clone(), Object::Array(list)]);
            }
        }
    }
    (ranges > 0).then_some(written)
}

/// Text shown by the operators `'` and `"` (9.4.3) is lost: spell them out.
///
/// Returns whether part of the page's content is missing or cannot be unpacked. The
/// extractors pass over that in silence, and a damaged page would look like a scanned one.
pub(crate) fn page(document: &mut Document, page: ObjectId) -> bool {
    let (content, is_damaged) = content_of(document, page);
    if shows_with_quotes(&content) {
        spell_out_quotes(document, page, &content);
    }
    is_damaged
}

fn content_of(document: &Document, page: ObjectId) -> (Vec<u8>, bool) {
    let mut content = Vec::new();
    let mut is_damaged = false;
    for id in document.get_page_contents(page) {
        let Ok(stream) = document.get_object(id).and_then(Object::as_stream) else {
            is_damaged = true;
            continue;
        };
        if !stream.dict.has(b"Filter") {
            content.extend_from_slice(&stream.content);
        } else if let Ok(unpacked) = stream.decompressed_content() {
            is_damaged |= unpacked.is_empty() && !stream.content.is_empty();
            content.extend_from_slice(&unpacked);
        } else {
            is_damaged = true;
        }
        content.push(b'\n');
    }
    (content, is_damaged)
}

fn spell_out_quotes(document: &mut Document, page: ObjectId, content: &[u8]) {
    let Ok(decoded) = Content::decode(content) else { return };
    let mut operations = Vec::with_capacity(decoded.operations.len());
    for operation in decoded.operations {
        let Operation { operator, mut operands } = operation;
        match (operator.as_str(), operands.len()) {
            ("'", 1) => {
                operations.push(Operation::new("T*", Vec::new()));
                operations.push(Operation::new("Tj", operands));
            }
            ("\"", 3) => {
                let text = operands.split_off(2);
                let character = operands.split_off(1);
                operations.push(Operation::new("Tw", operands));
                operations.push(Operation::new("Tc", character));
                operations.push(Operation::new("T*", Vec::new()));
                operations.push(Operation::new("Tj", text));
            }
            _ => operations.push(Operation { operator, operands }),
        }
    }
    if let Ok(content) = (Content { operations }).encode() {
        let _ = document.change_page_content(page, content);
    }
}

fn shows_with_quotes(content: &[u8]) -> bool {
    content.iter().enumerate().any(|(index, &byte)| {
        (byte == b'\'' || byte == b'"')
            && content.get(index + 1).is_none_or(u8::is_ascii_whitespace)
            && matches!(content[..index].trim_ascii_end().last(), Some(b')' | b'>'))
    })
}

/// Whether a page has form fields or text notes that show something: `pdf-extract` does
/// not read their appearance.
pub(crate) fn has_filled_fields(document: &Document, page: ObjectId) -> bool {
    let resolve = |object: &'_ Object| -> Option<Object> {
        match object {
            Object::Reference(id) => document.get_object(*id).ok().cloned(),
            other => Some(other.clone()),
        }
    };
    let Some(Object::Array(annotations)) =
        document.get_dictionary(page).and_then(|page| page.get(b"Annots")).ok().and_then(resolve)
    else {
        return false;
    };
    annotations.iter().take(2000).filter_map(resolve).any(|annotation| {
        let Ok(annotation) = annotation.as_dict() else { return false };
        let subtype = annotation.get(b"Subtype").and_then(Object::as_name).unwrap_or_default();
        let value =
            annotation.get(b"V").or_else(|_| annotation.get(b"Contents")).ok().and_then(resolve);
        let parent_value = || {
            let parent = annotation.get(b"Parent").ok().and_then(resolve)?;
            parent.as_dict().ok()?.get(b"V").ok().and_then(resolve)
        };
        let filled = value.or_else(parent_value).is_some_and(|value| match value {
            Object::String(text, _) => !text.is_empty(),
            Object::Stream(_) => true,
            _ => false,
        });
        matches!(subtype, b"Widget" | b"FreeText") && filled && annotation.has(b"AP")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_widths_are_written_out() {
        let mixed = [1.into(), Object::Array(vec![500.into()]), 5.into(), 7.into(), 600.into()];
        let expected = vec![
            1.into(),
            Object::Array(vec![500.into()]),
            5.into(),
            Object::Array(vec![600.into(); 3]),
        ];
        assert_eq!(write_out(&mixed), Some(expected));
        let bomb = [0.into(), i64::MAX.into(), 600.into()];
        assert_eq!(write_out(&bomb), None);
        assert_eq!(write_out(&[0.into(), 5.into()]), None);
    }

    #[test]
    fn quote_operators_are_found() {
        assert!(shows_with_quotes(b"(it) ' (was) '\n"));
        assert!(shows_with_quotes(b"1 2 <00>\""));
        assert!(!shows_with_quotes(b"(it's \"his\") Tj"));
    }
}
