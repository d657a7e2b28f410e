//! Running heads, running feet and page numbers: what repeats at the edges of pages.
//!
//! The rule is conservative. Only the outermost lines of a page are looked at; a line goes
//! only if the same text, digits apart, stands at that edge of many pages. The first page
//! keeps its words, because there the running head is the title.

use super::Page;
use std::collections::{HashMap, HashSet};

/// Lines at each edge that may be furniture.
const DEPTH: usize = 3;

/// Removes furniture from all pages.
pub(crate) fn remove(pages: &mut [Page]) {
    remove_page_numbers(pages);
    remove_repeated(pages);
    // A foot under which the page number stood is outermost only now.
    remove_page_numbers(pages);
}

/// Indices of a page's lines from one edge inwards.
fn edge(page: &Page, top: bool) -> Vec<usize> {
    let mut order: Vec<usize> =
        (0..page.lines.len()).filter(|&i| !page.lines[i].text.is_empty()).collect();
    let turn = page.main_turn();
    let placed = order.iter().all(|&i| page.lines[i].place.is_some());
    if placed {
        order.retain(|&i| page.lines[i].place.is_some_and(|place| place.turn == turn));
        let height = |&i: &usize| page.lines[i].place.map_or(0.0, |place| place.baseline);
        order.sort_by(|a, b| height(b).total_cmp(&height(a)));
    }
    if !top {
        order.reverse();
    }
    order.truncate(DEPTH);
    order
}

fn key(text: &str) -> String {
    let mut key = String::new();
    for character in text.chars() {
        if character.is_numeric() {
            if !key.ends_with('#') {
                key.push('#');
            }
        } else if character.is_alphabetic() {
            key.extend(character.to_lowercase());
        } else if !key.ends_with(' ') {
            key.push(' ');
        }
    }
    // Roman numerals count as numbers where they stand alone at an end of the line.
    let key = key.trim().to_owned();
    if key == "#" {
        // Bare numbers are judged by whether they count along, not by standing there.
        return text.trim().to_owned();
    }
    match key.rsplit_once(' ') {
        Some((rest, last)) if roman(last).is_some() => format!("{rest} #"),
        _ => key,
    }
}

fn remove_repeated(pages: &mut [Page]) {
    if pages.len() < 3 {
        return;
    }
    for top in [true, false] {
        let edges: Vec<Vec<usize>> = pages.iter().map(|page| edge(page, top)).collect();
        let mut seen: HashMap<String, Vec<usize>> = HashMap::new();
        for (number, (page, lines)) in pages.iter().zip(&edges).enumerate() {
            let keys: HashSet<String> = lines.iter().map(|&i| key(&page.lines[i].text)).collect();
            for key in keys {
                seen.entry(key).or_default().push(number);
            }
        }
        let repeats = |key: &str, page: usize| {
            let Some(where_seen) = seen.get(key) else { return false };
            // Chapter heads change: what counts is the pages around, left and right pages apart.
            let near = where_seen.iter().filter(|&&other| other.abs_diff(page) <= 4).count();
            let possible = (page + 4).min(pages.len() - 1) - page.saturating_sub(4) + 1;
            where_seen.len() >= 3 && near * 5 >= possible * 2 && near >= 3
        };
        let doomed: Vec<Vec<usize>> = edges
            .iter()
            .enumerate()
            .map(|(number, lines)| {
                // From the edge inwards: a line of the text ends the furniture.
                lines
                    .iter()
                    .copied()
                    .take_while(|&i| {
                        let text = &pages[number].lines[i].text;
                        text.chars().count() <= 160 && repeats(&key(text), number)
                    })
                    .collect()
            })
            .collect();
        for (number, (page, lines)) in pages.iter_mut().zip(doomed).enumerate() {
            for i in lines {
                let numbered = page.lines[i].text.chars().any(char::is_numeric);
                if number > 0 || numbered {
                    page.lines[i].text.clear();
                    page.lines[i].removed = true;
                }
            }
            page.lines.retain(|line| !line.removed);
        }
    }
}

/// The number a page carries, if a line is nothing but that.
fn page_number(text: &str) -> Option<(bool, i64)> {
    // Beside a short mark of the document: `A02  Page 1 of 2`.
    if let Some((left, right)) = text.rsplit_once("  ")
        && text.chars().count() <= 60
    {
        let worded = |part: &str| part.chars().any(char::is_alphabetic) && part.len() > 4;
        return [right, left].into_iter().filter(|part| worded(part)).find_map(page_number);
    }
    let core = text.trim_matches(|c: char| c.is_whitespace() || "-–—|·•[]()".contains(c));
    let lower = core.to_lowercase();
    let core = ["page", "seite", "p.", "s.", "pág.", "página"]
        .iter()
        .find_map(|word| lower.strip_prefix(word))
        .map_or(lower.as_str(), str::trim_start);
    let core = [" of ", "/", " von ", " de "]
        .iter()
        .find_map(|word| core.split_once(word).map(|(number, total)| (number.trim(), total.trim())))
        .filter(|(_, total)| total.parse::<u32>().is_ok())
        .map_or(core, |(number, _)| number);
    if core.len() <= 5
        && let Ok(number) = core.parse::<i64>()
    {
        return Some((true, number));
    }
    roman(core).map(|number| (false, number))
}

fn roman(text: &str) -> Option<i64> {
    if text.is_empty() || text.len() > 8 {
        return None;
    }
    let mut total = 0;
    let mut last = 0;
    for character in text.chars().rev() {
        let value = match character {
            'i' => 1,
            'v' => 5,
            'x' => 10,
            'l' => 50,
            'c' => 100,
            _ => return None,
        };
        total += if value < last { -value } else { value };
        last = last.max(value);
    }
    Some(total)
}

fn remove_page_numbers(pages: &mut [Page]) {
    for top in [true, false] {
        let found: Vec<Option<(usize, bool, i64)>> = pages
            .iter()
            .map(|page| {
                let outermost = *edge(page, top).first()?;
                let (arabic, number) = page_number(&page.lines[outermost].text)?;
                Some((outermost, arabic, number))
            })
            .collect();
        // Numbers that count along with the pages are page numbers; a lone figure is not.
        let mut offsets: HashMap<(bool, i64), usize> = HashMap::new();
        for (number, page) in pages.iter().zip(&found).filter_map(|(page, found)| {
            found.map(|(_, arabic, number)| ((arabic, number), i64::from(page.number)))
        }) {
            *offsets.entry((number.0, number.1 - page)).or_default() += 1;
        }
        let most = (pages.len() / 4).clamp(2, 5);
        for (page, found) in pages.iter_mut().zip(found) {
            let Some((line, arabic, number)) = found else { continue };
            let along =
                offsets.get(&(arabic, number - i64::from(page.number))).copied().unwrap_or(0);
            if along >= most {
                page.lines.remove(line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalise::Line;

    fn document(pages: &[&[&str]]) -> Vec<Page> {
        pages
            .iter()
            .enumerate()
            .map(|(index, lines)| Page {
                number: index as u32 + 1,
                lines: lines.iter().map(|text| Line::unplaced(text)).collect(),
            })
            .collect()
    }

    fn removed(pages: &[&[&str]]) -> Vec<Vec<String>> {
        let mut pages = document(pages);
        remove(&mut pages);
        pages
            .into_iter()
            .map(|page| page.lines.into_iter().map(|line| line.text).collect())
            .collect()
    }

    #[test]
    fn running_heads_and_page_numbers_go_and_the_title_stays() {
        let pages = removed(&[
            &["Annual Report", "It was a good year.", "Page 1 of 4"],
            &["Annual Report", "Revenue rose.", "Page 2 of 4"],
            &["Annual Report", "Costs fell.", "Page 3 of 4"],
            &["Annual Report", "The outlook is fair.", "Page 4 of 4"],
        ]);
        assert_eq!(pages[0], ["Annual Report", "It was a good year."]);
        assert_eq!(pages[1], ["Revenue rose."]);
        assert_eq!(pages[3], ["The outlook is fair."]);
    }

    #[test]
    fn figures_that_do_not_count_along_stay() {
        let pages = removed(&[&["Total", "42"], &["Total of the year", "17"], &["Sum", "99"]]);
        assert_eq!(
            pages,
            [vec!["Total", "42"], vec!["Total of the year", "17"], vec!["Sum", "99"]]
        );
    }

    #[test]
    fn two_pages_are_too_few_to_speak_of_repetition() {
        let pages = removed(&[&["Dear Sir,", "first letter"], &["Dear Sir,", "second letter"]]);
        assert_eq!(pages[1], ["Dear Sir,", "second letter"]);
    }

    #[test]
    fn a_page_number_beside_the_mark_of_the_document_goes() {
        let pages = removed(&[&["First.", "A02  Page 1 of 2"], &["Second.", "A02  Page 2 of 2"]]);
        assert_eq!(pages, [["First."], ["Second."]]);
        let pages = removed(&[&["Sums", "May  1"], &["Sums", "June  2"]]);
        assert_eq!(pages, [["Sums", "May  1"], ["Sums", "June  2"]]);
    }

    #[test]
    fn roman_numbers_are_page_numbers_too() {
        let pages = removed(&[&["Preface", "i"], &["more", "ii"], &["even more", "iii"]]);
        assert_eq!(pages, [["Preface"], ["more"], ["even more"]]);
    }
}
