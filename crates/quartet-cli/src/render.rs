//! What people see: plain text that stays readable when it is piped into a file.

use quartet_api::types::{
    Answer, Collection, Document, DocumentStatus, Error, Job, Outcome, SearchHit,
};
use std::fmt::Write as _;

/// Characters per line of running text.
const WIDTH: usize = 88;

/// An error with its hint, as printed on standard error.
pub(crate) fn error(error: &Error) -> String {
    let mut text = format!("error: {error}");
    if let Some(hint) = &error.hint {
        let _ = write!(text, "\n hint: {hint}");
    }
    text
}

/// The part of an answer that follows its text: what supports it, and what it cost.
pub(crate) fn evidence(answer: &Answer) -> String {
    let mut text = String::new();
    let unsupported = answer.sentences.iter().filter(|sentence| sentence.support.is_none()).count();
    if answer.outcome == Outcome::Answered && !answer.read.is_empty() && unsupported > 0 {
        let _ = writeln!(
            text,
            "  ! {unsupported} of {} sentences are not supported by the passages read",
            answer.sentences.len()
        );
    }
    for (number, &index) in answer.used.iter().enumerate() {
        let Some(hit) = answer.retrieved.get(index) else { continue };
        let _ = writeln!(text, "  [{}] {}", number + 1, place(hit));
        if let Some(quote) = supporting_quote(answer, index) {
            let _ = writeln!(text, "      \u{201c}{}\u{201d}", shorten(&quote, 160));
        }
    }
    if answer.outcome == Outcome::NotInDocuments {
        if let Some(withheld) = answer.withheld.as_deref().filter(|text| !text.trim().is_empty()) {
            let _ = writeln!(text, "  withheld: {}", shorten(withheld, 160));
        }
        if let Some(hit) = answer.retrieved.first() {
            let _ = writeln!(text, "  nearest:  {}", place(hit));
        }
    }
    if let Some(trace) = &answer.gag {
        text.push_str(&crate::gag::trace(trace));
    }
    if let Some(trace) = &answer.imprag {
        text.push_str(&crate::imprag::trace(answer, trace));
    }
    if let Some(trace) = &answer.iag {
        text.push_str(&crate::iag::trace(answer, trace));
    }
    let _ = write!(text, "  {}", cost(answer));
    text
}

/// Model, tokens and time, on one line.
pub(crate) fn cost(answer: &Answer) -> String {
    let mut parts = vec![
        format!("{} · {}", answer.method, answer.model),
        format!(
            "{} tokens read, {} written",
            answer.usage.tokens_read, answer.usage.tokens_written
        ),
        format!(
            "first word after {:.1} s, {:.1} s in all",
            answer.timings.first_token_ms / 1000.0,
            answer.timings.total_ms / 1000.0
        ),
    ];
    if let Some(abstention) = &answer.abstention {
        parts.push(format!("in your documents: {:.0} %", abstention.probability * 100.0));
    }
    parts.join(" · ")
}

/// The text of the span that supports a sentence through this passage.
fn supporting_quote(answer: &Answer, index: usize) -> Option<String> {
    let hit = answer.retrieved.get(index)?;
    let support = answer
        .sentences
        .iter()
        .filter_map(|sentence| sentence.support.as_ref())
        .filter(|support| support.passage == index)
        .max_by(|left, right| left.score.total_cmp(&right.score))?;
    let start = support.span.start.checked_sub(hit.passage.span.start)? as usize;
    let length = support.span.end.checked_sub(support.span.start)? as usize;
    let quote: String = hit.passage.text.chars().skip(start).take(length).collect();
    (!quote.trim().is_empty()).then_some(quote)
}

/// Document and page of a hit.
pub(crate) fn place(hit: &SearchHit) -> String {
    let passage = &hit.passage;
    let file = std::path::Path::new(&passage.path)
        .file_name()
        .map_or_else(|| passage.path.clone(), |name| name.to_string_lossy().into_owned());
    format!("{}, page {} ({file})", clean(&passage.title), passage.span.page)
}

/// Passages found by `quartet search`.
pub(crate) fn hits(hits: &[SearchHit]) -> String {
    let mut text = String::new();
    for (number, hit) in hits.iter().enumerate() {
        let rank = |found: Option<(f32, u32)>| {
            found.map_or_else(|| "-".to_owned(), |(_, rank)| rank.to_string())
        };
        let _ = writeln!(
            text,
            "{:>3}. {}   words #{}  meaning #{}",
            number + 1,
            place(hit),
            rank(hit.lexical),
            rank(hit.dense)
        );
        for line in wrap(&shorten(&hit.passage.text, 320), WIDTH - 5) {
            let _ = writeln!(text, "     {line}");
        }
    }
    if hits.is_empty() {
        text.push_str(
            "Nothing found: the collection is empty, or no word of the question occurs in it.\n",
        );
    }
    text
}

/// `quartet collections`.
pub(crate) fn collections(collections: &[Collection]) -> String {
    if collections.is_empty() {
        return "No collections yet. `quartet import PATH` makes the first one.\n".to_owned();
    }
    let rows = collections.iter().map(|collection| {
        vec![
            collection.name.clone(),
            format!("{} of {}", collection.ready_documents, collection.documents),
            collection.pages.to_string(),
            collection.chunks.to_string(),
        ]
    });
    table(&["collection", "documents ready", "pages", "chunks"], rows.collect())
}

/// `quartet documents`.
pub(crate) fn documents(documents: &[Document]) -> String {
    if documents.is_empty() {
        return "No documents yet. `quartet import PATH` reads PDFs.\n".to_owned();
    }
    let rows = documents.iter().map(|document| {
        let remark = match (&document.reason, document.status) {
            (Some(reason), _) => shorten(reason, 60),
            (None, DocumentStatus::Ready) => shorten(&document.title, 60),
            (None, _) => String::new(),
        };
        vec![
            document.id.to_string(),
            document.status.as_str().to_owned(),
            document.pages.to_string(),
            document.chunks.to_string(),
            document.path.clone(),
            remark,
        ]
    });
    table(&["id", "status", "pages", "chunks", "path", ""], rows.collect())
}

/// `quartet jobs`.
pub(crate) fn jobs(jobs: &[Job]) -> String {
    if jobs.is_empty() {
        return "No jobs yet.\n".to_owned();
    }
    let rows = jobs.iter().map(|job| {
        let total = job.progress.total.map_or_else(String::new, |total| format!(" of {total}"));
        vec![
            job.id.to_string(),
            name(&job.kind),
            name(&job.state),
            format!(
                "{} {}{total} {}",
                job.progress.stage,
                job.progress.done,
                name(&job.progress.unit)
            ),
            job.error.as_ref().map(ToString::to_string).unwrap_or_default(),
        ]
    });
    table(&["id", "kind", "state", "progress", ""], rows.collect())
}

/// The serialised name of a plain enum value.
pub(crate) fn name(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// Columns aligned by their widest cell; the last one is left ragged.
pub(crate) fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut lines = vec![head.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>()];
    lines.extend(rows);
    let widths: Vec<usize> = (0..head.len())
        .map(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<String> = line
            .iter()
            .zip(&widths)
            .map(|(cell, &width)| format!("{:<width$}", clean(cell)))
            .collect();
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    text
}

/// Bytes for people.
pub(crate) fn bytes(count: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
    let gib = count as f64 / f64::from(1 << 30);
    if gib >= 1.0 { format!("{gib:.1} GiB") } else { format!("{:.0} MiB", gib * 1024.0) }
}

/// Seconds for people.
pub(crate) fn seconds(count: f64) -> String {
    match count {
        count if count < 90.0 => format!("{count:.0} s"),
        count if count < 5400.0 => format!("{:.0} min", count / 60.0),
        count => format!("{:.1} h", count / 3600.0),
    }
}

/// The start of a text on one line, cut at a word.
fn shorten(text: &str, most: usize) -> String {
    let text = clean(text);
    if text.chars().count() <= most {
        return text;
    }
    let cut: String = text.chars().take(most).collect();
    let end = cut.rfind(' ').filter(|&end| end > most / 2).unwrap_or(cut.len());
    format!("{} …", &cut[..end])
}

/// One line without control characters: text from a PDF must not steer the terminal.
pub(crate) fn clean(text: &str) -> String {
    let visible: String =
        text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Text from a model or a PDF with its line breaks, but without other control characters.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .filter(|letter| *letter == '\n' || *letter == '\t' || !letter.is_control())
        .collect()
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let length = lines.last().map_or(0, |line| line.chars().count());
        if length > 0 && length + 1 + word.chars().count() > width {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_a_document_cannot_steer_the_terminal() {
        assert_eq!(clean("red\u{1b}[31m\nalert\u{7}"), "red [31m alert");
        assert_eq!(printable("a\u{1b}]0;title\u{7}b\nc"), "a]0;titleb\nc");
    }

    #[test]
    fn long_text_is_cut_at_a_word() {
        assert_eq!(shorten("one two three four", 9), "one two …");
        assert_eq!(shorten("ünïcödé wörds äre fine", 100), "ünïcödé wörds äre fine");
    }

    #[test]
    fn lines_keep_to_the_width() {
        for line in wrap(&"word ".repeat(50), 20) {
            assert!(line.chars().count() <= 20, "{line:?}");
        }
    }
}
