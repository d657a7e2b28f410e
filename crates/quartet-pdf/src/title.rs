//! The title a PDF carries in its information dictionary, where it is one.

use lopdf::{Document, Object, decode_text_string};

/// Endings of file names: what a printer driver writes in the place of a title.
const FILE_ENDINGS: [&str; 9] =
    [".pdf", ".doc", ".docx", ".dvi", ".indd", ".ps", ".qxd", ".rtf", ".tex"];

/// The title in the information dictionary, if it looks like one a person wrote.
pub(crate) fn of(document: &Document) -> Option<String> {
    let information = document.trailer.get(b"Info").ok()?;
    let information = match information {
        Object::Reference(id) => document.get_object(*id).ok()?,
        direct => direct,
    };
    let title = information.as_dict().ok()?.get(b"Title").ok()?;
    sensible(&decode_text_string(title).ok()?)
}

fn sensible(title: &str) -> Option<String> {
    let title = title.split(|letter: char| letter.is_control() || letter.is_whitespace());
    let title = title.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    let title = title.strip_prefix("Microsoft Word - ").unwrap_or(&title);
    let lower = title.to_lowercase();
    let is_file = FILE_ENDINGS.iter().any(|ending| lower.ends_with(ending));
    let is_nothing =
        ["untitled", "(anonymous)", "(unspecified)", "document", "title"].iter().any(|nothing| {
            lower == *nothing || lower.starts_with(&format!("{nothing} ")) && *nothing == "untitled"
        });
    let letters = title.chars().filter(|letter| letter.is_alphabetic()).count();
    let length = title.chars().count();
    let fits = (4..=200).contains(&length) && letters >= 3 && letters * 2 >= length;
    (fits && !is_file && !is_nothing).then(|| title.to_owned())
}

#[cfg(test)]
mod tests {
    use super::sensible;

    #[test]
    fn titles_are_kept_and_droppings_of_programs_are_not() {
        let cases = [
            ("A Short History  of the\nTower", Some("A Short History of the Tower")),
            ("Microsoft Word - Minutes of May", Some("Minutes of May")),
            ("Microsoft Word - minutes_final2.doc", None),
            ("untitled", None),
            ("Untitled Document", None),
            ("(anonymous)", None),
            ("12/03/2030", None),
            ("", None),
            ("年次報告書", Some("年次報告書")),
        ];
        for (given, expected) in cases {
            assert_eq!(sensible(given).as_deref(), expected, "{given:?}");
        }
    }
}
