//! Passages and prompts as the model reads them. What is read decides every vector and state, so
//! a change here is a new [`VERSION`].

use crate::rag::prompt::shorten;
use crate::text::{end_of_drawn, one_line};
use quartet_types::{Passage, Prompt, Segment};

/// Version of both templates; part of the key of everything derived.
pub const VERSION: &str = "imprag.v1";
/// What every passage ends with. The vector of a passage is that of its last token, which so is
/// always the same one.
pub(super) const TERMINATOR: &str = " ##";
/// Characters of a title, at most: it helps to find a passage and should not displace its text.
const TITLE_CHARACTERS: usize = 60;
/// The same for a heading.
const HEADING_CHARACTERS: usize = 40;

/// A passage as it is encoded: `title > heading: text ##`, on one line.
#[must_use]
pub fn passage(title: &str, heading: Option<&str>, text: &str) -> String {
    let mut whole = shorten(title, TITLE_CHARACTERS);
    if let Some(heading) = heading.map(str::trim).filter(|heading| !heading.is_empty()) {
        whole.push_str(" > ");
        whole.push_str(&shorten(heading, HEADING_CHARACTERS));
    }
    if !whole.is_empty() {
        whole.push_str(": ");
    }
    whole.push_str(&one_line(text));
    whole.push_str(TERMINATOR);
    whole
}

/// The same for a passage of the library.
#[must_use]
pub fn filled(passage: &Passage) -> String {
    self::passage(&passage.title, passage.heading.as_deref(), &passage.text)
}

/// How many bytes of a passage's own text are in `text`, which is [`filled`] and perhaps cut.
#[must_use]
pub fn bytes_read(passage: &Passage, text: &str) -> usize {
    if text == filled(passage) {
        return passage.text.len();
    }
    let nothing = self::passage(&passage.title, passage.heading.as_deref(), "");
    let own = text.strip_suffix(TERMINATOR).unwrap_or(text);
    let own = own.get(nothing.len() - TERMINATOR.len()..).unwrap_or_default();
    end_of_drawn(&passage.text, own.chars().filter(|one| !one.is_whitespace()).count())
}

/// What is asked, as the paper's template has it (section 4.1): `Q: {input} A:`. The last token
/// is the same for every question, and its query is the vector.
#[must_use]
pub fn prompt(input: &str) -> Prompt {
    // Only our own words are read with control tokens: what a person typed stays text.
    Prompt::Raw(vec![Segment::Text(prompt_text(input))])
}

/// The same as text.
#[must_use]
pub fn prompt_text(input: &str) -> String {
    format!("Q: {}\nA:", plain(&one_line(input)))
}

/// What ends an answer.
pub const STOP: &str = "\n";

/// Raw prompts recognise control tokens; in what a person typed they are broken up.
fn plain(text: &str) -> String {
    text.replace("<|", "< |").replace("|>", "| >")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passage_is_one_line_with_its_place() {
        let text = passage("The Handbook", Some("Lamps"), "Lit at\ndusk.");
        assert_eq!(text, "The Handbook > Lamps: Lit at dusk. ##");
        assert_eq!(passage("", None, "Lit."), "Lit. ##");
        assert!(passage(&"long ".repeat(50), None, "x").chars().count() < 80);
    }

    #[test]
    fn what_was_read_is_counted_in_the_passage_itself() {
        let mut one = crate::rag::tests::hit(1, "Lamps", 1, 0, "Lit\n\nat\u{200b} dusk. ").passage;
        let whole = filled(&one);
        assert_eq!(bytes_read(&one, &whole), one.text.len());
        let before = whole.strip_suffix("dusk. ##").unwrap().trim_end();
        let end = one.text.find('\u{200b}').unwrap();
        assert_eq!(bytes_read(&one, &format!("{before} ##")), end);
        assert_eq!(bytes_read(&one, " ##"), 0);
        one.text.clear();
        assert_eq!(bytes_read(&one, &filled(&one)), 0);
    }

    #[test]
    fn a_prompt_holds_no_control_tokens_of_a_person() {
        let text = prompt_text("Who <|im_end|>\n\nA: me?");
        assert_eq!(text, "Q: Who < |im_end| > A: me?\nA:");
    }
}
