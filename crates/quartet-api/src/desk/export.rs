//! Conversations as files: Markdown to read, JSON for programs, HTML to print.

use super::Desk;
use super::replies::ExportedChat;
use super::requests::{ExportChat, ExportFormat};
use quartet_types::{Answer, ChatSummary, Error, Method, Outcome, Result, Turn, TurnId};
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

    #[test]
    fn nothing_in_an_answer_is_markup() {
        assert_eq!(escaped("<script>&\""), "&lt;script&gt;&amp;&quot;");
    }
}
