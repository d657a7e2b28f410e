//! Chat templates: from messages to the text a model was trained to read.
//!
//! A GGUF carries the template of its authors in Jinja. It is rendered with the same options
//! as the `transformers` library uses (`trim_blocks`, `lstrip_blocks`), but with a placeholder
//! in the place of every piece of content. The rendered text is then cut at the placeholders:
//! what lies between is ours and the model's authors', and its control tokens count; what
//! stands in for a placeholder is data: text whose control tokens are plain characters, or rows
//! of embeddings.

use minijinja::{Environment, ErrorKind, Value, context};
use quartet_types::{EmbeddingRows, Error, ErrorCode, Message, Result, Role, Segment};

/// Stop texts that go with the fallback template, whose turns have no control token.
const FALLBACK_STOPS: [&str; 2] = ["\nUser:", "\nSystem:"];

/// A piece of a rendered prompt.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Piece<'m> {
    /// Written by the template: control tokens count.
    Template(String),
    /// Text of a message: data.
    Content(&'m str),
    /// Embedding rows of a message.
    Rows(&'m EmbeddingRows),
}

/// How messages become a prompt.
pub(crate) enum ChatTemplate {
    /// The template of the model's authors.
    Own(Box<OwnTemplate>),
    /// `System: ..`, `User: ..`, `Assistant: ..`, a blank line between turns: for models that
    /// carry no template, or one that cannot be understood.
    Fallback,
}

/// A template from a model's metadata.
pub(crate) struct OwnTemplate {
    environment: Environment<'static>,
    start_text: String,
    end_text: String,
}

const TEMPLATE_NAME: &str = "chat";

impl ChatTemplate {
    /// Compiles the template of a model; `start_text` and `end_text` are the texts of the
    /// tokens that begin and end a sequence.
    pub(crate) fn new(source: Option<&str>, start_text: &str, end_text: &str) -> Self {
        let Some(source) = source else { return Self::Fallback };
        let mut environment = Environment::new();
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function(
            "raise_exception",
            |message: String| -> std::result::Result<Value, minijinja::Error> {
                Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
            },
        );
        // The same prompt every day: a template that can do without a date does without.
        if !source.contains("strftime_now is defined") {
            environment.add_function("strftime_now", |_format: String| String::new());
        }
        if environment.add_template_owned(TEMPLATE_NAME, source.to_owned()).is_err() {
            return Self::Fallback;
        }
        Self::Own(Box::new(OwnTemplate {
            environment,
            start_text: start_text.to_owned(),
            end_text: end_text.to_owned(),
        }))
    }

    /// Whether this is the model's own template.
    pub(crate) fn is_own(&self) -> bool {
        matches!(self, Self::Own(_))
    }

    /// Stop texts that the template needs.
    pub(crate) fn stops(&self) -> &'static [&'static str] {
        match self {
            Self::Own(_) => &[],
            Self::Fallback => &FALLBACK_STOPS,
        }
    }

    /// Renders messages, ready for the model's answer. Where the template refuses or drops
    /// the system message, it is put in front of the first message of the user.
    pub(crate) fn render<'m>(&self, messages: &'m [Message]) -> Result<Vec<Piece<'m>>> {
        if messages.is_empty() {
            return Err(Error::new(ErrorCode::InvalidInput, "there is no message to answer"));
        }
        let turns = turns(messages);
        match self {
            Self::Fallback => Ok(fallback(&turns)),
            Self::Own(own) => match own.render(&turns) {
                Ok(pieces) => Ok(pieces),
                Err(error) => match without_system(&turns) {
                    Some(folded) => own.render(&folded),
                    None => Err(error),
                },
            },
        }
    }
}

/// A message with the pieces of its content.
#[derive(Debug, Clone)]
struct Turn<'m> {
    role: Role,
    contents: Vec<Piece<'m>>,
}

fn turns(messages: &[Message]) -> Vec<Turn<'_>> {
    messages
        .iter()
        .map(|message| Turn {
            role: message.role,
            contents: message.content.iter().map(Piece::of).collect(),
        })
        .collect()
}

impl<'m> Piece<'m> {
    fn of(segment: &'m Segment) -> Self {
        match segment {
            Segment::Text(text) => Self::Content(text),
            Segment::Embeddings(rows) => Self::Rows(rows),
        }
    }
}

/// The system message in front of the first message of the user; `None` if there is none to
/// move or nowhere to put it.
fn without_system<'m>(turns: &[Turn<'m>]) -> Option<Vec<Turn<'m>>> {
    let (system, mut rest): (Vec<Turn<'m>>, Vec<Turn<'m>>) =
        turns.iter().cloned().partition(|turn| turn.role == Role::System);
    let first = rest.iter_mut().find(|turn| turn.role == Role::User)?;
    if system.is_empty() {
        return None;
    }
    let mut contents = Vec::new();
    for turn in system {
        contents.extend(turn.contents);
        contents.push(Piece::Content("\n\n"));
    }
    contents.append(&mut first.contents);
    first.contents = contents;
    Some(rest)
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

fn fallback<'m>(turns: &[Turn<'m>]) -> Vec<Piece<'m>> {
    let mut pieces = Vec::new();
    for turn in turns {
        let label = match turn.role {
            Role::System => "System: ",
            Role::User => "User: ",
            Role::Assistant => "Assistant: ",
        };
        pieces.push(Piece::Template(label.to_owned()));
        pieces.extend(turn.contents.iter().cloned());
        pieces.push(Piece::Template("\n\n".to_owned()));
    }
    pieces.push(Piece::Template("Assistant:".to_owned()));
    pieces
}

/// Characters of the private use area: no template and no name of a role holds them, and no
/// template takes them for white space.
const OPEN: char = '\u{F0F0}';
const CLOSE: char = '\u{F0F1}';

impl OwnTemplate {
    fn render<'m>(&self, turns: &[Turn<'m>]) -> Result<Vec<Piece<'m>>> {
        let refused = |error: &minijinja::Error| {
            let reason = error.detail().map_or_else(|| error.to_string(), str::to_owned);
            Error::new(ErrorCode::BadModel, format!("the model's chat template failed: {reason}"))
                .hint("Choose another model, or ask with a plain prompt.")
        };
        let mut contents: Vec<Piece<'m>> = Vec::new();
        let mut messages: Vec<Value> = Vec::new();
        for turn in turns {
            let mut content = String::new();
            for piece in &turn.contents {
                content.push(OPEN);
                content.push_str(&contents.len().to_string());
                content.push(CLOSE);
                contents.push(piece.clone());
            }
            messages.push(context! { role => role_name(turn.role), content => content });
        }
        let template =
            self.environment.get_template(TEMPLATE_NAME).map_err(|error| refused(&error))?;
        let rendered = template
            .render(context! {
                messages => messages,
                add_generation_prompt => true,
                bos_token => self.start_text,
                eos_token => self.end_text,
            })
            .map_err(|error| refused(&error))?;
        cut(&rendered, &contents)
    }
}

/// Cuts a rendered prompt at its placeholders.
fn cut<'m>(rendered: &str, contents: &[Piece<'m>]) -> Result<Vec<Piece<'m>>> {
    let broken = || {
        Error::new(ErrorCode::BadModel, "the model's chat template leaves out part of the messages")
    };
    let mut pieces = Vec::new();
    let mut seen = vec![false; contents.len()];
    let mut rest = rendered;
    while let Some(open) = rest.find(OPEN) {
        let (before, placeholder) = rest.split_at(open);
        let close = placeholder.find(CLOSE).ok_or_else(broken)?;
        let index: usize = placeholder[OPEN.len_utf8()..close].parse().map_err(|_| broken())?;
        if !before.is_empty() {
            pieces.push(Piece::Template(before.to_owned()));
        }
        pieces.push(contents.get(index).ok_or_else(broken)?.clone());
        seen[index] = true;
        rest = &placeholder[close + CLOSE.len_utf8()..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Template(rest.to_owned()));
    }
    if seen.iter().all(|seen| *seen) { Ok(pieces) } else { Err(broken()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHATML: &str = "{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}";

    fn shown(template: &ChatTemplate, messages: &[Message]) -> String {
        let pieces = template.render(messages).unwrap();
        pieces
            .iter()
            .map(|piece| match piece {
                Piece::Template(text) => text.clone(),
                Piece::Content(text) => format!("[{text}]"),
                Piece::Rows(rows) => format!("({})", rows.values.len()),
            })
            .collect()
    }

    #[test]
    fn content_stays_apart_from_the_template() {
        let template = ChatTemplate::new(Some(CHATML), "", "<|im_end|>");
        let messages = [
            Message::text(Role::System, "Be brief."),
            Message {
                role: Role::User,
                content: vec![
                    Segment::Text("a <|im_end|> b".to_owned()),
                    Segment::Text(String::new()),
                ],
            },
        ];
        assert_eq!(
            shown(&template, &messages),
            "<|im_start|>system\n[Be brief.]<|im_end|>\n<|im_start|>user\n[a <|im_end|> b][]<|im_end|>\n<|im_start|>assistant\n"
        );
    }

    #[test]
    fn rows_stand_where_the_message_has_them() {
        let rows = Segment::Embeddings(EmbeddingRows { values: vec![0.5; 6], width: 2 });
        let text = |text: &str| Segment::Text(text.to_owned());
        let content = vec![text("a"), rows.clone(), text("b")];
        let messages = [
            Message { role: Role::System, content: vec![rows] },
            Message { role: Role::User, content },
        ];
        let own = ChatTemplate::new(Some(CHATML), "", "<|im_end|>");
        assert_eq!(
            shown(&own, &messages),
            "<|im_start|>system\n(6)<|im_end|>\n<|im_start|>user\n[a](6)[b]<|im_end|>\n<|im_start|>assistant\n"
        );
        let folded = "{% for m in messages %}{% if m.role != 'system' %}<{{ m.role }}>{{ m.content }}{% endif %}{% endfor %}";
        let folded = ChatTemplate::new(Some(folded), "", "");
        assert_eq!(shown(&folded, &messages), "<user>(6)[\n\n][a](6)[b]");
        let fallback = ChatTemplate::Fallback;
        assert_eq!(shown(&fallback, &messages), "System: (6)\n\nUser: [a](6)[b]\n\nAssistant:");
    }

    #[test]
    fn a_template_without_system_messages_gets_it_in_front_of_the_question() {
        for refusing in [
            "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{% for m in messages %}<{{ m['role'] }}>{{ m['content'] | trim }}{% endfor %}",
            "{% for m in messages %}{% if m.role != 'system' %}<{{ m.role }}>{{ m.content.strip() }}{% endif %}{% endfor %}",
        ] {
            let template = ChatTemplate::new(Some(refusing), "<s>", "</s>");
            let messages = [Message::text(Role::System, "Rules."), Message::text(Role::User, "Hi")];
            assert_eq!(shown(&template, &messages), "<user>[Rules.][\n\n][Hi]");
        }
    }

    #[test]
    fn what_is_not_jinja_falls_back_visibly() {
        let template = ChatTemplate::new(Some("{% if %}"), "", "");
        assert!(!template.is_own());
        assert_eq!(template.stops(), ["\nUser:", "\nSystem:"]);
        let messages = [Message::text(Role::System, "Rules."), Message::text(Role::User, "Hi")];
        assert_eq!(shown(&template, &messages), "System: [Rules.]\n\nUser: [Hi]\n\nAssistant:");
    }

    #[test]
    fn python_methods_and_loop_controls_work() {
        let source = "{{ bos_token }}{% for m in messages %}{% if loop.index0 > 1 %}{% break %}{% endif %}{{ m.role.upper() }}:{{ m.content.split('x')[0] }};{% endfor %}";
        let template = ChatTemplate::new(Some(source), "<s>", "</s>");
        assert!(template.is_own());
        let messages = [Message::text(Role::User, "one")];
        assert_eq!(shown(&template, &messages), "<s>USER:[one];");
    }

    #[test]
    fn no_messages_is_an_error() {
        assert_eq!(ChatTemplate::Fallback.render(&[]).unwrap_err().code, ErrorCode::InvalidInput);
    }
}
