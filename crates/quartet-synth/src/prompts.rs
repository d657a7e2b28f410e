//! Prompt templates: versioned files, compiled in.
//!
//! Their form is that of the methods' templates, with examples: a `[system]` part, `[user]` and
//! `[assistant]` parts in turn, holes in braces that are filled in one pass. Whatever comes from a document is put on one line first,
//! so that it can imitate neither another line of the prompt nor a hole.

use quartet_methods::rag::prompt::substitute;
use quartet_types::{Message, Prompt, Role};

/// A prompt template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Template {
    /// Name and version.
    pub(crate) name: &'static str,
    source: &'static str,
}

impl Template {
    /// The question that an answer answers.
    pub(crate) const QUESTION: Self = Self {
        name: "study-question.v1",
        source: include_str!("../../../assets/prompts/study-question.v1.txt"),
    };
    /// An answer from a passage.
    pub(crate) const CHECK: Self = Self {
        name: "study-check.v1",
        source: include_str!("../../../assets/prompts/study-check.v1.txt"),
    };
    /// An answer from nothing.
    pub(crate) const CLOSED: Self = Self {
        name: "study-closed.v1",
        source: include_str!("../../../assets/prompts/study-closed.v1.txt"),
    };
    /// The same question in other words.
    pub(crate) const PARAPHRASE: Self = Self {
        name: "study-paraphrase.v1",
        source: include_str!("../../../assets/prompts/study-paraphrase.v1.txt"),
    };
    /// All of them: part of the recipe.
    pub(crate) const ALL: [Self; 4] = [Self::QUESTION, Self::CHECK, Self::CLOSED, Self::PARAPHRASE];

    /// Name and text, for the recipe's digest.
    pub(crate) fn fingerprint(&self) -> [&'static str; 2] {
        [self.name, self.source]
    }

    /// The prompt with its holes filled; holes without a value stay as written.
    pub(crate) fn fill(&self, values: &[(&str, &str)]) -> Prompt {
        let mut messages = Vec::new();
        let mut role = Role::User;
        let mut part = String::new();
        let mut close = |role: Role, part: &mut String| {
            let text = substitute(part.trim(), values);
            part.clear();
            if !text.is_empty() {
                messages.push(Message::text(role, text));
            }
        };
        for line in self.source.lines() {
            let next = match line {
                "[system]" => Some(Role::System),
                "[user]" => Some(Role::User),
                "[assistant]" => Some(Role::Assistant),
                _ => None,
            };
            if let Some(next) = next {
                close(role, &mut part);
                role = next;
            } else {
                part.push_str(line);
                part.push('\n');
            }
        }
        close(role, &mut part);
        Prompt::Chat(messages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quartet_types::Segment;

    #[test]
    fn every_hole_is_known_and_what_is_filled_in_is_no_template() {
        let values = [
            ("title", "{passage}"),
            ("heading", "h"),
            ("passage", "p"),
            ("statement", "s"),
            ("question", "q"),
        ];
        for template in Template::ALL {
            let Prompt::Chat(messages) = template.fill(&values) else { panic!("a chat prompt") };
            assert!(messages.len() >= 2, "{}", template.name);
            let roles: Vec<Role> = messages.iter().map(|message| message.role).collect();
            assert_eq!((roles.first(), roles.last()), (Some(&Role::System), Some(&Role::User)));
            assert!(!roles.windows(2).any(|pair| pair.first() == pair.last()), "{}", template.name);
            for message in messages {
                let Some(Segment::Text(text)) = message.content.first() else { panic!("text") };
                assert!(!text.replace("{passage}", "").contains('{'), "{}: {text}", template.name);
            }
        }
    }
}
