//! Lines of Hebrew or Arabic, from the order in which they stand to the order in which
//! they are read.
//!
//! PDF programs place characters from left to right whatever their script. The full
//! bidirectional algorithm goes from reading order to places; going back is simple as long
//! as a line has one direction with numbers or foreign words in it.

/// Whether a character belongs to a script that is read from right to left.
pub(crate) fn is_right_to_left(character: char) -> bool {
    matches!(character, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}'
        | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
}

fn is_strong(text: &str) -> Option<bool> {
    text.chars().find(|c| c.is_alphanumeric()).map(is_right_to_left)
}

fn mirrored(text: &str) -> &str {
    match text {
        "(" => ")",
        ")" => "(",
        "[" => "]",
        "]" => "[",
        "{" => "}",
        "}" => "{",
        "<" => ">",
        ">" => "<",
        "«" => "»",
        "»" => "«",
        other => other,
    }
}

/// Puts the pieces of a line, given from left to right, into reading order. A piece is a
/// character, or several that the document itself keeps together in reading order.
pub(crate) fn reading_order(pieces: Vec<String>) -> Vec<String> {
    let right = pieces.iter().filter(|piece| is_strong(piece) == Some(true)).count();
    if right == 0 {
        return pieces;
    }
    let letters = pieces.iter().filter(|piece| piece.chars().any(char::is_alphabetic)).count();
    let whole_line = right * 2 >= letters;
    let mut ordered = pieces;
    if whole_line {
        ordered.reverse();
    }
    // Runs that stand against the line's direction, neutral pieces inside them included.
    let against = !whole_line;
    let mut index = 0;
    while index < ordered.len() {
        if is_strong(&ordered[index]) != Some(against) {
            index += 1;
            continue;
        }
        let mut end = index;
        for (ahead, piece) in ordered.iter().enumerate().skip(index) {
            match is_strong(piece) {
                Some(direction) if direction == against => end = ahead,
                Some(_) => break,
                None => {}
            }
        }
        ordered[index..=end].reverse();
        if against {
            mirror(&mut ordered[index..=end]);
        }
        index = end + 1;
    }
    if whole_line {
        // Brackets inside left-to-right runs keep their shape.
        let mut inside = false;
        for index in 0..ordered.len() {
            inside = is_strong(&ordered[index]).map_or(inside, |right| !right);
            let closes_left =
                inside && ordered[index..].iter().find_map(|piece| is_strong(piece)) == Some(false);
            if !closes_left {
                mirror(&mut ordered[index..=index]);
            }
        }
    }
    ordered
}

fn mirror(pieces: &mut [String]) {
    for piece in pieces {
        let other = mirrored(piece);
        if other != piece {
            *piece = other.to_owned();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::reading_order;

    fn read(line: &str) -> String {
        reading_order(line.chars().map(String::from).collect()).concat()
    }

    #[test]
    fn hebrew_is_turned_and_numbers_are_not() {
        assert_eq!(read("םולש"), "שלום");
        assert_eq!(read("1948 תנשב לארשי"), "ישראל בשנת 1948");
        assert_eq!(read("(PDF) ץבוק"), "קובץ (PDF)");
        assert_eq!(read("the word םולש means peace"), "the word שלום means peace");
        assert_eq!(read("plain (text) 12"), "plain (text) 12");
    }
}
