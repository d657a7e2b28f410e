//! Rows of cells: tables stay rows, columns of prose are read one after the other.

use crate::raw::{LinePlace, RawLine};

/// A stretch of a line without a column gap.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) place: LinePlace,
}

/// Some programs draw two columns of prose line by line, left and right in turn. Where at
/// least four rows in a row have two long cells with a common gutter, read the left
/// column first; everything else stays a row.
pub(crate) fn columns_apart(rows: &[Vec<Cell>]) -> Vec<RawLine> {
    let prose = |cell: &Cell| {
        let letters = cell.text.chars().filter(|c| c.is_alphabetic()).count();
        cell.text.chars().count() >= 20 && letters * 10 >= cell.text.chars().count() * 6
    };
    let mut lines = Vec::with_capacity(rows.len());
    let mut index = 0;
    while index < rows.len() {
        let (mut gutter_left, mut gutter_right) = (f32::MIN, f32::MAX);
        let mut stop = index;
        while let Some([left, right]) = rows.get(stop).map(Vec::as_slice)
            && (prose(left) || prose(right))
        {
            let (a, b) = (gutter_left.max(left.place.right), gutter_right.min(right.place.left));
            if b - a < 0.7 * left.place.size {
                break;
            }
            (gutter_left, gutter_right) = (a, b);
            stop += 1;
        }
        let run = &rows[index..stop];
        let both = run.iter().filter(|row| row.iter().all(prose)).count();
        if run.len() >= 4 && both * 2 > run.len() {
            for side in 0..2 {
                lines.extend(run.iter().filter_map(|row| row.get(side)).map(single));
            }
            index = stop;
        } else if let Some(row) = rows.get(index) {
            lines.push(joined(row));
            index += 1;
        }
    }
    lines
}

fn single(cell: &Cell) -> RawLine {
    RawLine { text: cell.text.clone(), place: Some(cell.place) }
}

fn joined(row: &[Cell]) -> RawLine {
    let text = row.iter().map(|cell| cell.text.as_str()).collect::<Vec<_>>().join("  ");
    let place = row
        .first()
        .zip(row.last())
        .map(|(first, last)| LinePlace { right: last.place.right, ..first.place });
    RawLine { text, place }
}
