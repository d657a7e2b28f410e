//! Grammars, in the engine's own notation, that hold the model to questions: one
//! line each, a given beginning, one question mark, at the end.

use std::fmt::Write as _;

/// What follows the beginning of a question.
const REST: &str = r#"rest ::= [^?"\n\r\t]{6,150} "?""#;

/// One question that begins in one of these ways; anyhow, without any.
pub(crate) fn question(openings: &[String]) -> String {
    grammar(&[openings.to_vec()])
}

/// As many questions, one a line, as there are groups of beginnings.
pub(crate) fn questions(openings: &[Vec<String>]) -> String {
    grammar(openings)
}

fn grammar(groups: &[Vec<String>]) -> String {
    let mut root = String::from("root ::=");
    for (place, openings) in groups.iter().enumerate() {
        if place > 0 {
            root.push_str(r#" "\n""#);
        }
        if !openings.is_empty() {
            let alternatives: Vec<String> = openings.iter().map(|o| literal(o)).collect();
            let _ = write!(root, " ({})", alternatives.join(" | "));
        }
        root.push_str(" rest");
    }
    format!("{root}\n{REST}")
}

/// A literal of the grammar's notation.
fn literal(text: &str) -> String {
    let mut written = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => written.push_str("\\\""),
            '\\' => written.push_str("\\\\"),
            '\n' => written.push_str("\\n"),
            '\r' => written.push_str("\\r"),
            '\t' => written.push_str("\\t"),
            _ => written.push(character),
        }
    }
    written.push('"');
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_are_literals() {
        let root = |grammar: String| grammar.lines().next().unwrap().to_owned();
        assert_eq!(root(question(&[])), "root ::= rest");
        assert_eq!(
            root(questions(&[vec!["Who ".to_owned(), "a \"b\\ ".to_owned()], Vec::new()])),
            r#"root ::= ("Who " | "a \"b\\ ") rest "\n" rest"#
        );
    }
}
