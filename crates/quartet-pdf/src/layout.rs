//! From single characters with positions to lines of text.
//!
//! Reading order is the order in which the page draws, which is right for nearly all
//! typeset documents and for columns in particular; positions decide where lines and words
//! end, which cells stand in one row, and what is printed twice for boldness.

use crate::bidi::{is_right_to_left, reading_order};
use crate::columns::{Cell, columns_apart};
use crate::marks::{combining_of, superscript};
use crate::raw::{LinePlace, RawLine};
use unicode_normalization::char::compose;

/// A gap that ends a word, in units of the font size. Kerning stays below it, the tightest
/// justified word space stays above.
const WORD_GAP: f64 = 0.1;
/// The same where the page draws its spaces: only a gap that cannot be kerning counts.
const WIDE_WORD_GAP: f64 = 0.22;
/// A gap that borders a column of a table.
const COLUMN_GAP: f64 = 1.1;
/// Cells of a table are narrower than this, in font sizes; lines of prose are wider.
const CELL_WIDTH: f64 = 22.0;
/// Lines a cell may have for the next cell still to find the row it belongs to.
const CELL_LINES: usize = 5;
/// Baselines that differ by less than this belong to one line (superscripts included).
const LINE_DRIFT: f64 = 0.5;

/// A character (or ligature) as drawn. Lengths in points.
#[derive(Debug, Clone)]
pub(crate) struct Glyph {
    pub(crate) text: String,
    /// Start on the baseline.
    pub(crate) origin: (f64, f64),
    /// From the start to where the next character is expected.
    pub(crate) advance: (f64, f64),
    /// From the start to the end of the character itself.
    pub(crate) extent: (f64, f64),
    /// Font size after all scaling.
    pub(crate) size: f64,
}

/// Collects the glyphs of a page and cuts them into lines.
#[derive(Debug, Default)]
pub(crate) struct LineBuilder {
    lines: Vec<Line>,
    current: Option<Line>,
    /// Characters drawn, and the blanks among them.
    drawn: usize,
    blanks: usize,
}

#[derive(Debug, Clone)]
struct Placed {
    text: String,
    /// Gap before it, in units of the font size.
    gap: f64,
    start: f64,
    end: f64,
    size: f64,
    rise: f64,
}

#[derive(Debug, Clone)]
struct Line {
    direction: (f64, f64),
    baseline: f64,
    size: f64,
    pen: f64,
    glyphs: Vec<Placed>,
}

fn dot(a: (f64, f64), b: (f64, f64)) -> f64 {
    a.0.mul_add(b.0, a.1 * b.1)
}

fn direction_of(advance: (f64, f64)) -> Option<(f64, f64)> {
    let length = dot(advance, advance).sqrt();
    (length.is_finite() && length > 1e-6).then(|| (advance.0 / length, advance.1 / length))
}

impl LineBuilder {
    /// Adds the next glyph in drawing order.
    pub(crate) fn push(&mut self, glyph: Glyph) {
        if glyph.text.is_empty() || !glyph.origin.0.is_finite() || !glyph.origin.1.is_finite() {
            return;
        }
        self.drawn += 1;
        self.blanks += usize::from(glyph.text.trim().is_empty());
        let size = if glyph.size.is_finite() && glyph.size > 1e-3 { glyph.size } else { 1.0 };
        let direction = direction_of(glyph.extent)
            .or_else(|| self.current.as_ref().map(|line| line.direction))
            .unwrap_or((1.0, 0.0));
        let normal = (-direction.1, direction.0);
        let start = dot(glyph.origin, direction);
        let height = dot(glyph.origin, normal);
        let end = start + dot(glyph.extent, direction).max(0.0);
        let pen = start + dot(glyph.advance, direction);

        if let Some(line) = self.current.as_mut()
            && line.continues(direction, start, height, size, &glyph.text)
        {
            if line.repeats(&glyph.text, start, size) {
                return;
            }
            let mut gap = line.distance(start) / line.size.max(size);
            if line.lacks_width() {
                gap -= 0.5;
            }
            if line.compose(&glyph.text, start, end) {
                line.pen = line.pen.max(pen);
                return;
            }
            let rise = (height - line.baseline) / line.size;
            // A line that starts with a raised mark stands on the baseline of what follows.
            if size > line.size * 1.2 && rise.abs() > 0.1 {
                for placed in &mut line.glyphs {
                    placed.rise -= rise * line.size / size;
                }
                line.baseline = height;
            }
            line.size = line.size.max(size);
            let rise = (height - line.baseline) / line.size;
            line.glyphs.push(Placed { text: glyph.text, gap, start, end, size, rise });
            line.pen = pen;
            return;
        }
        self.finish_line();
        self.current = Some(Line {
            direction,
            baseline: height,
            size,
            pen,
            glyphs: vec![Placed { text: glyph.text, gap: 0.0, start, end, size, rise: 0.0 }],
        });
    }

    fn finish_line(&mut self) {
        let Some(line) = self.current.take() else { return };
        if line.glyphs.iter().all(|glyph| glyph.text.trim().is_empty()) {
            return;
        }
        self.lines.push(line);
    }

    /// The lines in reading order.
    pub(crate) fn finish(mut self) -> Vec<RawLine> {
        self.finish_line();
        let mut rows: Vec<Line> = Vec::with_capacity(self.lines.len());
        for line in self.lines {
            if let Some(row) = row_of_next_cell(&rows, &line) {
                rows[row].absorb(line);
                continue;
            }
            match rows.last_mut() {
                // The same text printed twice, a hair apart, is a poor man's bold.
                Some(last) if last.doubles(&line) => {}
                Some(last) if last.shares_row_with(&line) => last.absorb(line),
                _ => rows.push(line),
            }
        }
        // More than one blank in a dozen characters: this page spells its spaces out.
        let least = if self.blanks * 12 > self.drawn { WIDE_WORD_GAP } else { WORD_GAP };
        let rows: Vec<Vec<Cell>> = rows.iter_mut().map(|line| line.cells(least)).collect();
        columns_apart(&rows)
    }
}

/// A cell of several lines is drawn whole before the next cell of its row begins: finds
/// that row. Where lines of prose lie between, it is not a table but another column.
fn row_of_next_cell(rows: &[Line], line: &Line) -> Option<usize> {
    let narrow = |line: &Line| line.right() - line.left() < CELL_WIDTH * line.size;
    let before_last = rows.len().checked_sub(1)?;
    (before_last.saturating_sub(CELL_LINES)..before_last).rev().find(|&index| {
        rows[index].shares_row_with(line)
            && line.left() > rows[index].right()
            && narrow(line)
            && rows[index + 1..].iter().all(narrow)
    })
}

impl Line {
    fn continues(
        &self,
        direction: (f64, f64),
        start: f64,
        height: f64,
        size: f64,
        text: &str,
    ) -> bool {
        if dot(self.direction, direction) < 0.995 {
            return false;
        }
        let scale = self.size.max(size);
        if (height - self.baseline).abs() >= LINE_DRIFT * scale {
            return false;
        }
        // Some programs draw Hebrew and Arabic in reading order, each character left of the last.
        if text.chars().any(is_right_to_left) {
            let last = self.glyphs.last().map_or(self.pen, |glyph| glyph.start);
            return (start - last).abs() < 3.0 * scale || (start - self.pen).abs() < 3.0 * scale;
        }
        let step = self.distance(start) / scale;
        let back = if self.ends_with_accent() { -1.0 } else { -0.45 };
        // A font drawn narrower than its stated widths still moves to the right.
        let onwards =
            self.glyphs.last().is_some_and(|last| start > 0.1f64.mul_add(scale, last.start));
        (step > back || (onwards && step > -1.2)) && step < 60.0
    }

    /// How far a start is from where the line is expected to go on: with character spacing,
    /// or without it where every character is placed by itself.
    fn distance(&self, start: f64) -> f64 {
        let from_pen = start - self.pen;
        let from_end = self.glyphs.last().map_or(from_pen, |last| start - last.end);
        if from_end.abs() < from_pen.abs() { from_end } else { from_pen }
    }

    /// A font without widths: where the last character ends is anybody's guess.
    fn lacks_width(&self) -> bool {
        self.glyphs.last().is_some_and(|last| {
            last.end <= last.start && last.text.chars().all(char::is_alphanumeric)
        })
    }

    fn ends_with_accent(&self) -> bool {
        self.glyphs.last().is_some_and(|glyph| combining_of(&glyph.text).is_some())
    }

    fn repeats(&self, text: &str, start: f64, size: f64) -> bool {
        self.glyphs.last().is_some_and(|last| {
            last.text == text && (start - last.start).abs() < 0.12 * size && last.end > last.start
        })
    }

    /// TeX draws an accent and then its letter on top of it: make them one character.
    fn compose(&mut self, text: &str, start: f64, end: f64) -> bool {
        let Some(last) = self.glyphs.last_mut() else { return false };
        let Some(mark) = combining_of(&last.text) else { return false };
        let overlap = last.end.min(end) - last.start.max(start);
        let mut letters = text.chars();
        let (Some(letter), None) = (letters.next(), letters.next()) else { return false };
        if overlap < 0.4 * (last.end - last.start) || !letter.is_alphabetic() {
            return false;
        }
        let base = match letter {
            '\u{131}' => 'i',
            '\u{237}' => 'j',
            other => other,
        };
        let Some(composed) = compose(base, mark) else { return false };
        last.text = composed.to_string();
        last.start = last.start.min(start);
        last.end = last.end.max(end);
        last.rise = 0.0;
        true
    }

    fn left(&self) -> f64 {
        self.glyphs.first().map_or(0.0, |glyph| glyph.start)
    }

    fn right(&self) -> f64 {
        self.glyphs.iter().map(|glyph| glyph.end).fold(f64::MIN, f64::max)
    }

    fn doubles(&self, other: &Self) -> bool {
        let shift = 0.2 * self.size;
        (self.baseline - other.baseline).abs() < shift
            && (self.left() - other.left()).abs() < shift
            && self.glyphs.len() == other.glyphs.len()
            && self.glyphs.iter().zip(&other.glyphs).all(|(a, b)| a.text == b.text)
    }

    /// Cells of one row may be drawn in any order, as long as they do not overlap.
    fn shares_row_with(&self, other: &Self) -> bool {
        dot(self.direction, other.direction) > 0.995
            && (self.baseline - other.baseline).abs() < 0.2 * self.size.min(other.size)
            && (self.left() >= other.right() + 0.3 * self.size
                || other.left() >= self.right() + 0.3 * self.size)
    }

    fn absorb(&mut self, other: Self) {
        self.size = self.size.max(other.size);
        self.glyphs.extend(other.glyphs);
        self.sort();
    }

    /// Puts the characters in order from left to right.
    fn sort(&mut self) {
        self.glyphs.sort_by(|a, b| a.start.total_cmp(&b.start));
        let mut pen = None;
        for glyph in &mut self.glyphs {
            if let Some(pen) = pen {
                glyph.gap = (glyph.start - pen) / self.size;
            }
            pen = Some(glyph.end);
        }
    }

    /// The gap that ends a word on this line: larger where letters are spaced out.
    fn word_gap(&self, least: f64) -> f64 {
        let mut gaps: Vec<f64> = self
            .glyphs
            .windows(2)
            .filter(|pair| !pair.iter().any(|glyph| glyph.text.trim().is_empty()))
            .map(|pair| pair[1].gap)
            .collect();
        if gaps.len() < 6 {
            return least;
        }
        gaps.sort_by(f64::total_cmp);
        let median = gaps[gaps.len() / 2];
        if (0.06..0.6).contains(&median) { median.mul_add(1.5, WORD_GAP).max(least) } else { least }
    }

    fn cells(&mut self, least: f64) -> Vec<Cell> {
        if self.glyphs.iter().any(|glyph| glyph.text.chars().any(is_right_to_left)) {
            self.sort();
        }
        let word_gap = self.word_gap(least);
        let turn = self.direction.1.atan2(self.direction.0).to_degrees().round() as i16;
        let place = |start: f64, end: f64| LinePlace {
            left: start as f32,
            right: end as f32,
            baseline: self.baseline as f32,
            size: self.size as f32,
            turn,
        };
        let mut cells = Vec::new();
        let mut pieces: Vec<String> = Vec::new();
        let (mut start, mut end) = (self.left(), self.left());
        let mut wide = false;
        for glyph in &self.glyphs {
            if glyph.text.trim().is_empty() {
                pieces.push(" ".to_owned());
                continue;
            }
            let gap = (glyph.start - end) / self.size;
            if gap > COLUMN_GAP && !wide && pieces.iter().any(|piece| piece != " ") {
                cells.push(Cell {
                    text: written(std::mem::take(&mut pieces)),
                    place: place(start, end),
                });
                start = glyph.start;
            } else if glyph.gap > word_gap {
                pieces.push(" ".to_owned());
            }
            // Behind a character without width, no gap can be told from the character.
            wide = glyph.end <= glyph.start;
            if glyph.rise > 0.15 && glyph.size < 0.85 * self.size {
                pieces.push(glyph.text.chars().map(|c| superscript(c).unwrap_or(c)).collect());
            } else {
                pieces.push(glyph.text.clone());
            }
            end = glyph.end.max(start);
        }
        cells.push(Cell { text: written(pieces), place: place(start, end) });
        cells.retain(|cell| !cell.text.is_empty());
        cells
    }
}

fn written(pieces: Vec<String>) -> String {
    let mut text = String::new();
    for piece in reading_order(pieces) {
        if piece != " " {
            text.push_str(&piece);
        } else if !text.is_empty() && !text.ends_with(' ') {
            text.push(' ');
        }
    }
    text.truncate(text.trim_end().len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Draws text in a font whose characters are all half as wide as high.
    fn draw(builder: &mut LineBuilder, text: &str, x: f64, y: f64, size: f64) {
        for (index, character) in text.chars().enumerate() {
            let width = 0.5 * size;
            builder.push(Glyph {
                text: character.to_string(),
                origin: ((index as f64).mul_add(width, x), y),
                advance: (width, 0.0),
                extent: (width, 0.0),
                size,
            });
        }
    }

    fn texts(builder: LineBuilder) -> Vec<String> {
        builder.finish().into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn a_gap_is_a_space_and_a_wide_gap_is_a_column() {
        let mut builder = LineBuilder::default();
        draw(&mut builder, "two", 0.0, 100.0, 10.0);
        draw(&mut builder, "words", 18.0, 100.0, 10.0);
        draw(&mut builder, "42", 100.0, 100.0, 10.0);
        draw(&mut builder, "next", 0.0, 88.0, 10.0);
        assert_eq!(texts(builder), ["two words  42", "next"]);
    }

    #[test]
    fn cells_drawn_out_of_order_share_their_row() {
        let mut builder = LineBuilder::default();
        draw(&mut builder, "1,234", 100.0, 100.0, 10.0);
        draw(&mut builder, "Revenue", 0.0, 100.0, 10.0);
        assert_eq!(texts(builder), ["Revenue  1,234"]);
    }

    #[test]
    fn a_cell_of_two_lines_does_not_tear_its_row() {
        let mut builder = LineBuilder::default();
        draw(&mut builder, "Wipe the panes", 0.0, 100.0, 10.0);
        draw(&mut builder, "every third", 90.0, 100.0, 10.0);
        draw(&mut builder, "day", 90.0, 88.0, 10.0);
        draw(&mut builder, "slate", 180.0, 100.0, 10.0);
        draw(&mut builder, "Wind the clock", 0.0, 70.0, 10.0);
        assert_eq!(texts(builder), ["Wipe the panes  every third  slate", "day", "Wind the clock"]);
    }

    #[test]
    fn spaced_out_letters_stay_one_word() {
        let mut builder = LineBuilder::default();
        for (index, letter) in "HEADING".chars().enumerate() {
            draw(&mut builder, &letter.to_string(), 8.0 * index as f64, 100.0, 10.0);
        }
        draw(&mut builder, "T", 61.0, 100.0, 10.0);
        assert_eq!(texts(builder), ["HEADING T"]);
    }

    #[test]
    fn fake_bold_is_read_once() {
        let mut builder = LineBuilder::default();
        draw(&mut builder, "bold", 0.0, 100.0, 10.0);
        draw(&mut builder, "bold", 0.3, 100.0, 10.0);
        draw(&mut builder, "bold", 0.3, 100.2, 10.0);
        assert_eq!(texts(builder), ["bold"]);
    }

    #[test]
    fn an_accent_under_its_letter_is_one_character() {
        let mut builder = LineBuilder::default();
        draw(&mut builder, "M", 0.0, 100.0, 10.0);
        draw(&mut builder, "¨", 5.0, 100.0, 10.0);
        draw(&mut builder, "u", 5.0, 100.0, 10.0);
        draw(&mut builder, "nchen", 10.0, 100.0, 10.0);
        assert_eq!(texts(builder), ["München"]);
    }

    #[test]
    fn a_raised_digit_is_an_exponent() {
        let mut builder = LineBuilder::default();
        draw(&mut builder, "10", 0.0, 100.0, 10.0);
        draw(&mut builder, "2", 10.0, 104.0, 7.0);
        draw(&mut builder, "m", 16.0, 100.0, 10.0);
        assert_eq!(texts(builder), ["10² m"]);
    }

    #[test]
    fn columns_drawn_line_by_line_are_read_one_after_the_other() {
        let mut builder = LineBuilder::default();
        for row in 0..5 {
            let y = 100.0 - 12.0 * f64::from(row);
            draw(&mut builder, &format!("left column line number {row}"), 0.0, y, 10.0);
            draw(&mut builder, &format!("right column line number {row}"), 160.0, y, 10.0);
        }
        let lines = texts(builder);
        assert_eq!(lines[1], "left column line number 1");
        assert_eq!(lines[5], "right column line number 0");
    }

    #[test]
    fn hebrew_is_read_from_right_to_left_however_it_is_drawn() {
        let mut left_to_right = LineBuilder::default();
        draw(&mut left_to_right, "םולש", 0.0, 100.0, 10.0);
        assert_eq!(texts(left_to_right), ["שלום"]);
        let mut right_to_left = LineBuilder::default();
        for (index, letter) in "שלום".chars().enumerate() {
            draw(&mut right_to_left, &letter.to_string(), 50.0 - 5.0 * index as f64, 100.0, 10.0);
        }
        assert_eq!(texts(right_to_left), ["שלום"]);
    }

    #[test]
    fn turned_text_is_read_along_its_own_direction() {
        let mut builder = LineBuilder::default();
        for (index, letter) in "up".chars().enumerate() {
            builder.push(Glyph {
                text: letter.to_string(),
                origin: (50.0, 5.0 * index as f64),
                advance: (0.0, 5.0),
                extent: (0.0, 5.0),
                size: 10.0,
            });
        }
        let lines = builder.finish();
        assert_eq!(lines[0].text, "up");
        assert_eq!(lines[0].place.map(|place| place.turn), Some(90));
    }

    #[test]
    fn places_that_are_not_numbers_are_survived() {
        let mut builder = LineBuilder::default();
        for bad in [f64::NAN, f64::INFINITY, -1e300] {
            builder.push(Glyph {
                text: "x".to_owned(),
                origin: (bad, 0.0),
                advance: (bad, bad),
                extent: (bad, 0.0),
                size: bad,
            });
        }
        let _ = builder.finish();
    }
}
