//! From bytes of tokens to text that can be shown: whole characters, nothing of a stop text.

/// Joins bytes to whole characters: a token may hold half of one.
#[derive(Debug, Default)]
pub(crate) struct Utf8Carry {
    bytes: Vec<u8>,
}

impl Utf8Carry {
    /// Adds bytes; returns the characters that are complete. Bytes that can never become a
    /// character turn into U+FFFD.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> String {
        self.bytes.extend_from_slice(bytes);
        let mut text = String::new();
        loop {
            match std::str::from_utf8(&self.bytes) {
                Ok(valid) => {
                    text.push_str(valid);
                    self.bytes.clear();
                    return text;
                }
                Err(error) => {
                    let (valid, rest) = self.bytes.split_at(error.valid_up_to());
                    text.push_str(&String::from_utf8_lossy(valid));
                    match error.error_len() {
                        None => {
                            self.bytes = rest.to_vec();
                            return text;
                        }
                        Some(length) => {
                            text.push(char::REPLACEMENT_CHARACTER);
                            self.bytes = rest[length..].to_vec();
                        }
                    }
                }
            }
        }
    }

    /// What is left at the end, an unfinished character as U+FFFD.
    pub(crate) fn finish(&mut self) -> String {
        let left = std::mem::take(&mut self.bytes);
        String::from_utf8_lossy(&left).into_owned()
    }
}

/// Looks for stop texts in text that arrives in pieces, and holds back what may be the start
/// of one.
#[derive(Debug)]
pub(crate) struct StopScanner {
    stops: Vec<String>,
    held: String,
}

/// What a [`StopScanner`] makes of a piece of text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Scanned {
    /// Text that is certainly part of the answer.
    pub(crate) text: String,
    /// Whether a stop text was reached; nothing after it counts.
    pub(crate) stopped: bool,
}

impl StopScanner {
    /// A scanner for these stop texts; empty ones are left out.
    pub(crate) fn new<S: Into<String>>(stops: impl IntoIterator<Item = S>) -> Self {
        let stops = stops.into_iter().map(Into::into).filter(|stop| !stop.is_empty()).collect();
        Self { stops, held: String::new() }
    }

    /// Adds text.
    pub(crate) fn push(&mut self, text: &str) -> Scanned {
        self.held.push_str(text);
        if let Some(position) = first_stop(&self.held, &self.stops) {
            let mut text = std::mem::take(&mut self.held);
            text.truncate(position);
            return Scanned { text, stopped: true };
        }
        let keep = self.stops.iter().map(|stop| overlap(&self.held, stop)).max().unwrap_or(0);
        let rest = self.held.split_off(self.held.len() - keep);
        Scanned { text: std::mem::replace(&mut self.held, rest), stopped: false }
    }

    /// What was held back, once no more text will come.
    pub(crate) fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

/// Where the stop text begins that is complete first; of several that are complete at once, the
/// longest. What is complete first does not depend on the pieces in which text arrives.
fn first_stop(text: &str, stops: &[String]) -> Option<usize> {
    let found = stops.iter().filter_map(|stop| {
        let start = text.find(stop.as_str())?;
        Some((start + stop.len(), start))
    });
    found.min().map(|(_, start)| start)
}

/// Length of the longest end of `text` that is a proper start of `stop`, in bytes.
fn overlap(text: &str, stop: &str) -> usize {
    stop.char_indices()
        .map(|(index, _)| index)
        .filter(|length| text.ends_with(&stop[..*length]))
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn half_characters_wait_for_the_other_half() {
        let mut carry = Utf8Carry::default();
        let snowman = "☃".as_bytes();
        assert_eq!(carry.push(&snowman[..1]), "");
        assert_eq!(carry.push(&snowman[1..2]), "");
        assert_eq!(carry.push(&[snowman[2], b'!']), "☃!");
        assert_eq!(carry.push(&[0xff, b'a']), "\u{fffd}a");
        assert_eq!(carry.push(&snowman[..2]), "");
        assert_eq!(carry.finish(), "\u{fffd}");
    }

    #[test]
    fn a_stop_text_across_pieces_is_cut_out() {
        let mut scanner = StopScanner::new(["\nUser:", ""]);
        assert_eq!(scanner.push("Yes.\nUs"), Scanned { text: "Yes.".to_owned(), stopped: false });
        assert_eq!(
            scanner.push("ually\n"),
            Scanned { text: "\nUsually".to_owned(), stopped: false }
        );
        assert_eq!(scanner.push("User: next"), Scanned { text: String::new(), stopped: true });
    }

    #[test]
    fn of_stop_texts_that_overlap_the_first_complete_one_counts() {
        let stops = ["bab", "a"].map(str::to_owned);
        assert_eq!(first_stop("baba", &stops), Some(1));
        let mut scanner = StopScanner::new(stops);
        assert_eq!(scanner.push("b"), Scanned { text: String::new(), stopped: false });
        assert_eq!(scanner.push("a"), Scanned { text: "b".to_owned(), stopped: true });
        assert_eq!(first_stop("xaba", &["aba", "ba"].map(str::to_owned)), Some(1));
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            text in "[ab☃]{0,24}",
            stops in prop::collection::vec("[ab☃]{1,4}", 0..3),
            cuts in prop::collection::vec(1usize..7, 0..32),
        ) {
            let whole = first_stop(&text, &stops);
            let expected = &text[..whole.unwrap_or(text.len())];
            let mut carry = Utf8Carry::default();
            let mut scanner = StopScanner::new(stops);
            let mut shown = String::new();
            let mut bytes = text.as_bytes();
            let mut cuts = cuts.into_iter().cycle();
            let mut stopped = false;
            while !bytes.is_empty() && !stopped {
                let length = cuts.next().unwrap_or(3).min(bytes.len());
                let scanned = scanner.push(&carry.push(&bytes[..length]));
                shown.push_str(&scanned.text);
                stopped = scanned.stopped;
                bytes = &bytes[length..];
            }
            if !stopped {
                shown.push_str(&scanner.finish());
            }
            prop_assert_eq!(shown, expected);
            prop_assert_eq!(stopped, whole.is_some());
        }
    }
}
