//! Passages to study: larger than those that are searched, which are kept small for the sake of
//! sharp vectors.

use quartet_library::Library;
use quartet_types::{Passage, Result};

/// Characters of a passage to study, at most, where its chunks allow: about 250 tokens.
const LENGTH: u32 = 1_100;

/// Every text of a collection as passages to study: neighbouring chunks of one page under one
/// heading are joined. A passage goes by its first chunk, and its text is the page's, so that
/// character positions stay right.
pub(super) async fn to_study(library: &Library, chunks: Vec<Passage>) -> Result<Vec<Passage>> {
    let mut passages: Vec<Passage> = Vec::new();
    for chunk in chunks.into_iter().filter(|chunk| !chunk.text.trim().is_empty()) {
        match passages.last_mut() {
            Some(last) if belongs(last, &chunk) => last.span.end = chunk.span.end,
            _ => passages.push(chunk),
        }
    }
    for passage in &mut passages {
        let page = library.page_text(passage.document, passage.span.page).await?;
        if let Some(text) =
            page.and_then(|page| between(&page, passage.span.start, passage.span.end))
        {
            passage.text = text;
        }
    }
    Ok(passages)
}

fn belongs(last: &Passage, chunk: &Passage) -> bool {
    last.document == chunk.document
        && last.span.page == chunk.span.page
        && last.heading == chunk.heading
        && chunk.span.start >= last.span.end
        && chunk.span.end - last.span.start <= LENGTH
}

/// Characters `start..end` of a page; `None` if it has not got as many.
fn between(page: &str, start: u32, end: u32) -> Option<String> {
    let count = end.checked_sub(start)? as usize;
    let text: String = page.chars().skip(start as usize).take(count).collect();
    (text.chars().count() == count).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use quartet_types::{ChunkId, DocumentId, PageNumber, PageSpan};

    fn chunk(id: i64, page: u32, start: u32, end: u32) -> Passage {
        Passage {
            chunk: ChunkId(id),
            document: DocumentId(1),
            title: "Pumps".to_owned(),
            path: "pumps.pdf".to_owned(),
            span: PageSpan { page: PageNumber(page), start, end },
            heading: None,
            text: "x".to_owned(),
        }
    }

    #[test]
    fn neighbours_are_joined_up_to_a_length_and_never_over_a_page() {
        let first = chunk(1, 1, 0, 500);
        assert!(belongs(&first, &chunk(2, 1, 501, 1_100)));
        assert!(!belongs(&first, &chunk(2, 1, 501, 1_101)), "too long");
        assert!(!belongs(&first, &chunk(2, 2, 501, 900)), "another page");
        assert!(!belongs(&first, &chunk(2, 1, 400, 900)), "overlaps");
        let headed = Passage { heading: Some("Inlets".to_owned()), ..chunk(2, 1, 501, 900) };
        assert!(!belongs(&first, &headed), "another heading");
    }

    #[test]
    fn positions_count_characters() {
        assert_eq!(between("Größe", 2, 4).as_deref(), Some("öß"));
        assert_eq!(between("Größe", 2, 9), None);
    }
}
