//! Lines joined into paragraphs; headings, list items and rows of tables stay lines.

use super::hyphens::Vocabulary;
use super::{Line, Page};

/// How a line stands to the one before it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Relation {
    /// Goes on with the paragraph.
    Continues,
    /// A new line of the same block: a list item, a row of a table.
    NewLine,
    /// A new paragraph.
    NewParagraph,
}

/// What a page looks like on average, to judge single lines by.
struct Measure {
    /// Typical font size.
    size: f32,
    /// Typical distance of baselines, in font sizes.
    leading: f32,
    /// A long line, in characters.
    long: usize,
}

/// The text of a page: paragraphs separated by a blank line.
pub(crate) fn assemble(page: &Page, vocabulary: &Vocabulary) -> String {
    let measure = Measure::of(page);
    let mut text = String::new();
    let mut paragraph = String::new();
    let mut block: Vec<&Line> = Vec::new();
    let mut broken = true;
    for line in &page.lines {
        if line.text.is_empty() {
            broken = true;
            continue;
        }
        let relation = match block.last() {
            None => Relation::NewParagraph,
            Some(_) if broken => Relation::NewParagraph,
            Some(last) => relate(&measure, &block, last, line, &paragraph),
        };
        broken = false;
        match relation {
            Relation::Continues => {
                let next = flowing(&line.text);
                vocabulary.join(&mut paragraph, &next);
            }
            Relation::NewLine | Relation::NewParagraph => {
                finish(&mut text, &mut paragraph);
                if !text.is_empty() {
                    text.push_str(if relation == Relation::NewLine { "\n" } else { "\n\n" });
                }
                block.clear();
                paragraph =
                    if is_row(&line.text) { line.text.clone() } else { flowing(&line.text) };
            }
        }
        block.push(line);
    }
    finish(&mut text, &mut paragraph);
    text
}

fn finish(text: &mut String, paragraph: &mut String) {
    let done = std::mem::take(paragraph);
    text.push_str(done.trim_end_matches(super::characters::SOFT_HYPHEN));
}

/// In running text, a wide gap is just a space.
fn flowing(text: &str) -> String {
    text.replace("  ", " ")
}

impl Measure {
    fn of(page: &Page) -> Self {
        let mut sizes = Vec::new();
        let mut leadings = Vec::new();
        let mut lengths = Vec::new();
        for line in &page.lines {
            let length = line.text.chars().count();
            lengths.push(length);
            if let Some(place) = line.place {
                sizes.extend(std::iter::repeat_n(place.size, length.min(200)));
            }
        }
        for pair in page.lines.windows(2) {
            if let (Some(a), Some(b)) = (pair[0].place, pair[1].place) {
                let step = (a.baseline - b.baseline) / a.size.max(0.1);
                if a.turn == b.turn && (0.7..3.0).contains(&step) {
                    leadings.push(step);
                }
            }
        }
        sizes.sort_by(f32::total_cmp);
        leadings.sort_by(f32::total_cmp);
        lengths.sort_unstable();
        Self {
            size: sizes.get(sizes.len() / 2).copied().unwrap_or(10.0),
            leading: leadings.get(leadings.len() / 2).copied().unwrap_or(1.2),
            long: lengths.get(lengths.len() * 9 / 10).copied().unwrap_or(0),
        }
    }
}

fn relate(
    measure: &Measure,
    block: &[&Line],
    last: &Line,
    line: &Line,
    paragraph: &str,
) -> Relation {
    let (Some(a), Some(b)) = (last.place, line.place) else {
        return relate_texts(measure, last, line, paragraph);
    };
    if a.turn != b.turn || (a.size / b.size - 1.0).abs() > 0.12 {
        return Relation::NewParagraph;
    }
    let step = (a.baseline - b.baseline) / a.size.max(0.1);
    let cut = Vocabulary::is_cut(paragraph, &line.text);
    if !(0.3..=4.0).contains(&step) {
        // Another column, or text around a figure: only an unfinished sentence goes on.
        return if (cut || is_unfinished(paragraph, &line.text))
            && !is_row(&line.text)
            && !starts_item(&line.text)
            && (a.size / b.size - 1.0).abs() < 0.05
        {
            Relation::Continues
        } else {
            Relation::NewParagraph
        };
    }
    if step > 1.35 * measure.leading.min(1.9) {
        return Relation::NewParagraph;
    }
    if is_row(&last.text) || is_row(&line.text) {
        let same = is_row(&last.text) == is_row(&line.text);
        return if same { Relation::NewLine } else { Relation::NewParagraph };
    }
    if starts_item(&line.text) && !cut && (ends_sentence(paragraph) || is_short(a, block, measure))
    {
        return Relation::NewLine;
    }
    if cut {
        return Relation::Continues;
    }
    let em = a.size.max(0.1);
    let indent = (b.left - a.left) / em;
    // The second line of a paragraph may stand left of the first, and hang right of an item.
    let first = block.len() == 1;
    let hangs = first && starts_item(&last.text) && (0.3..5.0).contains(&indent);
    let after_indent = first && (-5.0..-0.4).contains(&indent);
    if hangs || after_indent {
        return Relation::Continues;
    }
    if indent > 0.7 {
        return if is_centred(a, b) && !ends_sentence(paragraph) && measure.size < a.size {
            Relation::Continues
        } else {
            Relation::NewParagraph
        };
    }
    if indent < -1.5 {
        return if is_unfinished(paragraph, &line.text) {
            Relation::Continues
        } else {
            Relation::NewParagraph
        };
    }
    if is_short(a, block, measure) && (a.right - b.right).abs() > em {
        // A line that stops early ends its paragraph, unless its sentence clearly goes on.
        let room = (b.right - a.right) / em;
        let first_word = line.text.split(' ').next().map_or(0, |word| word.chars().count());
        if room > first_word as f32 * 0.6 + 1.0 && !is_unfinished(paragraph, &line.text) {
            return if ends_sentence(paragraph) {
                Relation::NewParagraph
            } else {
                Relation::NewLine
            };
        }
    }
    Relation::Continues
}

/// Without places, the lengths of lines have to tell.
fn relate_texts(measure: &Measure, last: &Line, line: &Line, paragraph: &str) -> Relation {
    if is_row(&last.text) || is_row(&line.text) {
        return Relation::NewLine;
    }
    if Vocabulary::is_cut(paragraph, &line.text) {
        return Relation::Continues;
    }
    if starts_item(&line.text) {
        return Relation::NewLine;
    }
    let full = last.text.chars().count() * 10 >= measure.long * 7 && measure.long >= 25;
    // A heading is short and starts what follows with a small letter only by chance.
    let goes_on =
        last.text.chars().count() * 2 >= measure.long && is_unfinished(paragraph, &line.text);
    if full || goes_on { Relation::Continues } else { Relation::NewLine }
}

/// A row of a table: cells with wide gaps between them. Justified prose has at most one
/// such gap in a long line of words.
fn is_row(text: &str) -> bool {
    // The dots of a table of contents lead to a page number.
    if text.contains(".....") || text.contains(". . . .") {
        return true;
    }
    let gaps = text.matches("  ").count();
    let words = text.split_whitespace().count();
    gaps > 0 && (gaps * 6 >= words || gaps >= 3)
}

fn is_short(place: crate::raw::LinePlace, block: &[&Line], measure: &Measure) -> bool {
    let widest = block
        .iter()
        .filter_map(|line| line.place)
        .map(|place| place.right)
        .fold(f32::MIN, f32::max);
    let width = place.right - place.left;
    place.right < widest - 2.0 * place.size
        || (block.len() == 1 && width < 0.35 * measure.long as f32 * place.size)
}

fn is_centred(a: crate::raw::LinePlace, b: crate::raw::LinePlace) -> bool {
    ((a.left + a.right) - (b.left + b.right)).abs() < a.size
}

fn ends_sentence(text: &str) -> bool {
    let text = text.trim_end_matches(|c: char| "\"'”’»)]¹²³⁴⁵⁶⁷⁸⁹⁰".contains(c));
    text.ends_with(['.', '!', '?', ':', ';', '。', '！', '？', '؟', '।'])
}

/// Whether a sentence goes on from `text` to `next`.
fn is_unfinished(text: &str, next: &str) -> bool {
    let goes_on = next.chars().next().is_some_and(|c| c.is_lowercase() || ",;)".contains(c));
    let open =
        text.ends_with([',', '-', '–', '(']) || text.ends_with(" and") || text.ends_with(" the");
    !ends_sentence(text) && (goes_on || open)
}

/// Bullets, `1.`, `2)`, `(a)`, `[12]`: the start of a list item.
fn starts_item(text: &str) -> bool {
    let mut words = text.splitn(2, ' ');
    let (Some(mark), Some(_)) = (words.next(), words.next()) else { return false };
    if matches!(
        mark,
        "•" | "◦" | "▪" | "■" | "●" | "○" | "‣" | "–" | "—" | "-" | "*" | "·" | "➢" | "✓"
    ) {
        return true;
    }
    let core = mark.trim_start_matches(['(', '[']);
    let Some(core) = core.strip_suffix(['.', ')', ']']).or_else(|| core.strip_suffix(").")) else {
        return false;
    };
    let digits = core.chars().all(|c| c.is_ascii_digit() || c == '.');
    let letter = core.chars().count() == 1 && core.chars().all(|c| c.is_ascii_lowercase());
    let roman = core.len() <= 5 && core.chars().all(|c| "ivx".contains(c));
    !core.is_empty() && core.len() <= 6 && (digits || letter || roman)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw::LinePlace;

    fn at(text: &str, left: f32, baseline: f32, size: f32) -> Line {
        let right = left + 0.5 * size * text.chars().count() as f32;
        let place = LinePlace { left, right, baseline, size, turn: 0 };
        Line { text: text.to_owned(), place: Some(place), removed: false }
    }

    fn assembled(lines: Vec<Line>) -> String {
        let mut vocabulary = Vocabulary::default();
        vocabulary.add_lines(lines.iter().map(|line| line.text.as_str()));
        assemble(&Page { number: 1, lines }, &vocabulary)
    }

    #[test]
    fn a_heading_and_two_indented_paragraphs() {
        let text = assembled(vec![
            at("2 Methods", 50.0, 700.0, 14.0),
            at("The first paragraph has two lines that", 50.0, 680.0, 10.0),
            at("are joi-", 50.0, 668.0, 10.0),
            at("ned into one.", 50.0, 656.0, 10.0),
            at("The second one is indented and goes", 65.0, 644.0, 10.0),
            at("on at the margin as all of them would", 50.0, 632.0, 10.0),
        ]);
        assert_eq!(
            text,
            "2 Methods\n\nThe first paragraph has two lines that are joined into one.\n\n\
             The second one is indented and goes on at the margin as all of them would"
        );
    }

    #[test]
    fn rows_and_items_stay_lines() {
        let text = assembled(vec![
            at("Lenses ......... 3", 50.0, 740.0, 10.0),
            at("Pumps .......... 4", 50.0, 728.0, 10.0),
            at("Year  Revenue", 50.0, 700.0, 10.0),
            at("1973  12", 50.0, 688.0, 10.0),
            at("1974  15", 50.0, 676.0, 10.0),
            at("• the first item of this list is long;", 50.0, 640.0, 10.0),
            at("it hangs", 60.0, 628.0, 10.0),
            at("• the second item", 50.0, 616.0, 10.0),
        ]);
        assert_eq!(
            text,
            "Lenses ......... 3\nPumps .......... 4\n\nYear  Revenue\n1973  12\n1974  15\n\n\
             • the first item of this list is long; it hangs\n• the second item"
        );
    }

    #[test]
    fn a_sentence_goes_on_in_the_next_column() {
        let text = assembled(vec![
            at("the left column ends in the middle of", 50.0, 100.0, 10.0),
            at("a sentence. And here is a new", 300.0, 700.0, 10.0),
        ]);
        assert_eq!(text, "the left column ends in the middle of a sentence. And here is a new");
    }

    #[test]
    fn lines_without_places_are_joined_by_length() {
        let lines =
            ["Heading", "a line that is as long as lines are here", "and its end.", "", "Next"];
        let text = assembled(lines.iter().map(|text| Line::unplaced(text)).collect());
        assert_eq!(text, "Heading\na line that is as long as lines are here and its end.\n\nNext");
    }
}
