//! Conversations as files: Markdown to read, JSON for programs, HTML to print.

use super::Desk;
use super::replies::ExportedChat;
use super::requests::{ExportChat, ExportFormat};
use quartet_types::{Answer, ChatSummary, Error, IagMode, Method, Outcome, Result, Turn, TurnId};
use std::fmt::Write as _;

const STYLE: &str = include_str!("../../../../assets/export.css");
/// Turns are read from the library so many at a time.
const TURNS_AT_ONCE: usize = 100;

impl Desk {
    /// A conversation as a file.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn export_chat(&self, request: ExportChat) -> Result<ExportedChat> {
        let library = &self.quartet().library;
        let view = library.open_chat(request.chat).await?;
        let ids: Vec<TurnId> = view.turns.iter().map(|turn| turn.id).collect();
        let mut turns = Vec::with_capacity(ids.len());
        for some in ids.chunks(TURNS_AT_ONCE) {
            turns.extend(library.turns(some).await?);
        }
        let (extension, media_type, content) = match request.format {
            ExportFormat::Markdown => ("md", "text/markdown", markdown(&view.chat, &turns)),
            ExportFormat::Html => ("html", "text/html", html(&view.chat, &turns)),
            ExportFormat::Json => {
                let document = serde_json::json!({ "chat": view.chat, "turns": turns });
                let text = serde_json::to_string_pretty(&document)
                    .map_err(|error| Error::internal(error.to_string()))?;
                ("json", "application/json", text)
            }
        };
        Ok(ExportedChat {
            name: format!("{}.{extension}", file_name(&view.chat.title)),
            media_type: media_type.to_owned(),
            content,
        })
    }
}

/// A title as a file name that every system accepts.
fn file_name(title: &str) -> String {
    let name: String = title
        .chars()
        .map(|letter| if letter.is_alphanumeric() || letter == '-' { letter } else { ' ' })
        .take(60)
        .collect();
    let words: Vec<&str> = name.split_whitespace().collect();
    if words.is_empty() { "conversation".to_owned() } else { words.join(" ") }
}

fn method_name(method: Method) -> &'static str {
    match method {
        Method::None => "Base alone",
        Method::Rag => "RAG",
        Method::Gag => "GAG",
        Method::Iag => "IAG",
        Method::Imprag => "Implicit",
    }
}

/// A supported sentence's citation: number among the passages used, title and page.
struct Source<'a> {
    number: usize,
    title: &'a str,
    page: u32,
    text: &'a str,
}

fn sources(answer: &Answer) -> Vec<Source<'_>> {
    let hits = answer.used.iter().filter_map(|&index| answer.retrieved.get(index));
    hits.enumerate()
        .map(|(place, hit)| Source {
            number: place + 1,
            title: &hit.passage.title,
            page: hit.passage.span.page.0,
            text: &hit.passage.text,
        })
        .collect()
}

/// The answer with `[n]` after each supported sentence and a mark after each other one.
fn marked(answer: &Answer) -> String {
    if answer.outcome == Outcome::NotInDocuments {
        return answer.text.clone();
    }
    let letters: Vec<char> = answer.text.chars().collect();
    let mut text = String::new();
    let mut place = 0;
    for sentence in &answer.sentences {
        let end = (sentence.end as usize).clamp(place, letters.len());
        text.extend(&letters[place..end]);
        place = end;
        let number = sentence
            .support
            .as_ref()
            .and_then(|support| answer.used.iter().position(|&index| index == support.passage));
        match number {
            Some(number) => {
                let _ = write!(text, " [{}]", number + 1);
            }
            None if answer.method == Method::None => {}
            None => text.push_str(" [not found in the documents]"),
        }
    }
    text.extend(&letters[place..]);
    text
}

/// The document that stood in the prompt of an answer by IAG, and what it is. It is never among
/// the sources.
fn document(answer: &Answer) -> Option<(&'static str, &str)> {
    let trace = answer.iag.as_ref()?;
    let what = match trace.mode {
        IagMode::ClosedBook => return None,
        IagMode::OwnDocument => "Imagined by the model, no evidence",
        IagMode::Retrieved => "Squeezed from retrieved passages",
    };
    let words = trace.document.trim();
    (!words.is_empty()).then_some((what, words))
}

fn cost(answer: &Answer) -> String {
    format!(
        "{}, first word after {:.1} s, {:.1} s in all, {} tokens read, {} written",
        answer.model,
        answer.timings.first_token_ms / 1000.0,
        answer.timings.total_ms / 1000.0,
        answer.usage.tokens_read,
        answer.usage.tokens_written
    )
}

fn markdown(chat: &ChatSummary, turns: &[Turn]) -> String {
    let mut text = format!("# {}\n\nCollection: {}\n", chat.title, chat.collection);
    for turn in turns {
        let _ = write!(text, "\n## {}\n", turn.question.replace('\n', "\n> "));
        for outcome in &turn.outcomes {
            let _ = write!(text, "\n### {}\n\n", method_name(outcome.method));
            if let Some(error) = &outcome.error {
                let _ = writeln!(text, "No answer: {}", error.message);
            }
            let Some(answer) = &outcome.answer else { continue };
            let _ = writeln!(text, "{}\n", marked(answer));
            for source in sources(answer) {
                let _ = writeln!(text, "{}. {}, page {}", source.number, source.title, source.page);
            }
            if let Some((what, words)) = document(answer) {
                let _ = writeln!(text, "> **{what}:** {}", words.replace('\n', "\n> "));
            }
            let _ = writeln!(text, "\n_{}_", cost(answer));
        }
    }
    text
}

fn html(chat: &ChatSummary, turns: &[Turn]) -> String {
    let mut text = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{0}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{0}</h1>\n<p class=\"about\">Collection: {1}</p>\n",
        escaped(&chat.title),
        escaped(&chat.collection)
    );
    for turn in turns {
        let _ = writeln!(text, "<section>\n<h2>{}</h2>", escaped(&turn.question));
        for outcome in &turn.outcomes {
            let _ = writeln!(text, "<article>\n<h3>{}</h3>", method_name(outcome.method));
            if let Some(error) = &outcome.error {
                let _ =
                    writeln!(text, "<p class=\"error\">No answer: {}</p>", escaped(&error.message));
            }
            if let Some(answer) = &outcome.answer {
                for paragraph in marked(answer).split("\n\n") {
                    let _ = writeln!(text, "<p>{}</p>", escaped(paragraph).replace('\n', "<br>"));
                }
                let sources = sources(answer);
                if !sources.is_empty() {
                    text.push_str("<ol>\n");
                    for source in sources {
                        let _ = writeln!(
                            text,
                            "<li>{}, page {}<blockquote>{}</blockquote></li>",
                            escaped(source.title),
                            source.page,
                            escaped(source.text)
                        );
                    }
                    text.push_str("</ol>\n");
                }
                if let Some((what, words)) = document(answer) {
                    let words = escaped(words).replace('\n', "<br>");
                    let _ = writeln!(
                        text,
                        "<aside class=\"imagined\"><strong>{what}:</strong> {words}</aside>"
                    );
                }
                let _ = writeln!(text, "<p class=\"about\">{}</p>", escaped(&cost(answer)));
            }
            text.push_str("</article>\n");
        }
        text.push_str("</section>\n");
    }
    text.push_str("</body>\n</html>\n");
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_becomes_a_file_name_everywhere() {
        assert_eq!(file_name("Who signed \"A/B\"?"), "Who signed A B");
        assert_eq!(file_name("../../etc"), "etc");
        assert_eq!(file_name("???"), "conversation");
        assert_eq!(file_name("Größe der Räume"), "Größe der Räume");
    }

    fn told(mode: &str) -> (ChatSummary, Turn) {
        let answer = serde_json::json!({
            "id": null, "question": "Who?", "searched_question": null, "method": "iag",
            "model": "small", "outcome": "answered", "text": "Ann.", "withheld": null,
            "sentences": [{ "start": 0, "end": 4, "support": null }], "read": [], "used": [],
            "abstention": null, "search": null, "retrieved": [],
            "timings": { "queue_ms": 0.0, "search_ms": 0.0, "prefill_ms": 1.0,
                "first_token_ms": 1.0, "decode_ms": 1.0, "total_ms": 2.0 },
            "usage": { "tokens_read": 2, "tokens_written": 2, "bytes_read": 0 }, "prompt": "",
            "iag": { "mode": mode, "document": "Ann <b>signed\n1901", "cached": false,
                "form": "hypernetwork", "feature_tokens": 9, "adapter_bytes": 9, "imagine_ms": 1.0,
                "imagine": { "tokens_read": 2, "tokens_written": 2, "bytes_read": 0 },
                "feature_ms": 1.0, "generate_ms": 1.0, "load_ms": 1.0 },
        });
        let turn = serde_json::json!({
            "id": 1, "chat": 1, "question": "Who?", "created_at": 0, "blind": false, "vote": null,
            "outcomes": [{ "method": "iag", "answer": answer, "error": null, "partial": null }],
        });
        let chat = serde_json::json!({
            "id": 1, "title": "Who?", "collection": "papers", "turns": 1, "updated_at": 0,
        });
        (serde_json::from_value(chat).unwrap(), serde_json::from_value(turn).unwrap())
    }

    #[test]
    fn an_imagined_document_is_marked_and_is_no_source() {
        let (chat, turn) = told("own_document");
        let text = markdown(&chat, std::slice::from_ref(&turn));
        assert!(
            text.contains("> **Imagined by the model, no evidence:** Ann <b>signed\n> 1901"),
            "{text}"
        );
        assert!(!text.contains("1. "), "{text}");
        let page = html(&chat, std::slice::from_ref(&turn));
        assert!(
            page.contains("no evidence:</strong> Ann &lt;b&gt;signed<br>1901</aside>"),
            "{page}"
        );
        assert!(!page.contains("<ol>"), "{page}");
    }

    #[test]
    fn a_squeezed_document_is_not_called_imagined() {
        let (chat, turn) = told("retrieved");
        let text = markdown(&chat, std::slice::from_ref(&turn));
        assert!(text.contains("> **Squeezed from retrieved passages:** Ann"), "{text}");
        assert!(!text.contains("magined"), "{text}");
        let (chat, turn) = told("closed_book");
        assert!(!html(&chat, &[turn]).contains("<aside"));
    }

    #[test]
    fn nothing_in_an_answer_is_markup() {
        assert_eq!(escaped("<script>&\""), "&lt;script&gt;&amp;&quot;");
    }
}
