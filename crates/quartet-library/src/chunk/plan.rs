//! The plan of a document's chunks: whole sentences, greedily, up to a budget of tokens.

use super::sentences::{PieceKind, pieces};
use quartet_types::{PageNumber, PageSpan, PageText};
use std::collections::HashMap;

/// A sentence, heading line or table row: the least that is counted in tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// The page it stands on.
    pub page: PageNumber,
    /// First character on the page.
    pub start: u32,
    /// One past the last character.
    pub end: u32,
    /// What it is.
    pub kind: PieceKind,
    /// Whether a paragraph, list item, row or heading ends here.
    pub ends_paragraph: bool,
    /// The heading in force, also from an earlier page; a heading's own is itself.
    pub heading: Option<String>,
    /// Its characters, to count tokens of.
    pub text: String,
}

/// How long chunks are, in tokens of the embedder's tokenizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// The length to aim for.
    pub target: u32,
    /// The length never to exceed. Tokens are added up over units, so leave room for the model's
    /// special tokens and for line breaks between units, where the tokenizer counts those.
    pub most: u32,
}

/// A chunk that has no id yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkPlan {
    /// Where it stands.
    pub span: PageSpan,
    /// Exactly the characters of its span.
    pub text: String,
    /// The heading in force at its first sentence.
    pub heading: Option<String>,
    /// The sum of its units' tokens.
    pub tokens: u32,
    /// Its place in the document, from 0.
    pub ordinal: u32,
}

/// The units of a document, page by page, with the heading each stands under.
pub fn units(pages: &[PageText]) -> Vec<Unit> {
    let mut units = Vec::new();
    for page in pages {
        let mut text = Slices::new(&page.text);
        for piece in pieces(&page.text) {
            let (start, end) = (to_u32(piece.range.start), to_u32(piece.range.end));
            units.push(Unit {
                page: page.number,
                start,
                end,
                kind: piece.kind,
                ends_paragraph: piece.ends_paragraph,
                heading: None,
                text: text.slice(start, end).to_owned(),
            });
        }
    }
    // A heading at the very end heads nothing.
    for unit in units.iter_mut().rev().take_while(|unit| unit.kind == PieceKind::Heading) {
        unit.kind = PieceKind::Sentence;
    }
    let mut heading: Option<String> = None;
    for unit in &mut units {
        if unit.kind == PieceKind::Heading {
            heading = Some(unit.text.split_whitespace().collect::<Vec<_>>().join(" "));
        }
        unit.heading.clone_from(&heading);
    }
    units
}

/// A unit, or a part of one that is too long for a chunk.
#[derive(Clone, Copy)]
struct Item<'a> {
    unit: &'a Unit,
    start: u32,
    end: u32,
    tokens: u64,
    /// Tokens from here to the end of the paragraph, this item included.
    paragraph: u64,
    ends_paragraph: bool,
}

impl Item<'_> {
    fn is_heading(&self) -> bool {
        self.unit.kind == PieceKind::Heading
    }
}

/// Puts units together into chunks, in reading order, without overlap and never across pages.
///
/// `tokens[i]` is the length of `units[i]`; a unit without one counts a token per character.
/// A chunk takes whole units up to `budget.target`, up to `budget.most` where that finishes a
/// paragraph, and ends early, once half full, before a heading or a paragraph that would not fit.
/// A heading goes with the text below it. A chunk shorter than a quarter of the target joins the
/// one before on the same page under the same heading, if it fits. A unit longer than
/// `budget.most` is cut, at white space where there is some, into parts that take at most three
/// quarters of it, since its tokens may be spread unevenly.
pub fn plan(pages: &[PageText], units: &[Unit], tokens: &[u32], budget: Budget) -> Vec<ChunkPlan> {
    let most = u64::from(budget.most.max(1));
    let target = u64::from(budget.target).clamp(1, most);
    let texts: HashMap<PageNumber, &str> =
        pages.iter().map(|page| (page.number, page.text.as_str())).collect();
    let mut plans: Vec<ChunkPlan> = Vec::new();
    let mut first = 0;
    for on_page in units.chunk_by(|a, b| a.page == b.page) {
        let counts = tokens.get(first..).unwrap_or_default();
        first += on_page.len();
        let Some(text) = texts.get(&on_page[0].page) else { continue };
        let mut text = Slices::new(text);
        let chunks = join_tails(group(&items(on_page, counts, most), target, most), target, most);
        for chunk in chunks {
            let (Some(head), Some(tail)) = (chunk.first(), chunk.last()) else { continue };
            plans.push(ChunkPlan {
                span: PageSpan { page: head.unit.page, start: head.start, end: tail.end },
                text: text.slice(head.start, tail.end).to_owned(),
                heading: heading(&chunk).map(str::to_owned),
                tokens: u32::try_from(total(&chunk)).unwrap_or(u32::MAX),
                ordinal: to_u32(plans.len()),
            });
        }
    }
    plans
}

fn total(items: &[Item<'_>]) -> u64 {
    items.iter().map(|item| item.tokens).sum()
}

fn heading<'a>(chunk: &[Item<'a>]) -> Option<&'a str> {
    let body = chunk.iter().find(|item| !item.is_heading()).or(chunk.last())?;
    body.unit.heading.as_deref()
}

/// The units of one page with their tokens, those too long cut into parts.
fn items<'a>(units: &'a [Unit], tokens: &[u32], most: u64) -> Vec<Item<'a>> {
    let mut items = Vec::new();
    // Tokens of the headings right above: a part must leave room for them.
    let mut above = 0;
    for (index, unit) in units.iter().enumerate() {
        let length = u64::from(unit.end.saturating_sub(unit.start));
        let tokens = tokens.get(index).map_or(length, |&count| u64::from(count));
        let room = if above * 2 <= most { most - above } else { most };
        if tokens <= room {
            items.push(Item {
                unit,
                start: unit.start,
                end: unit.end,
                tokens,
                paragraph: 0,
                ends_paragraph: unit.ends_paragraph,
            });
        } else {
            cut(unit, tokens, (room * 3 / 4).max(1), &mut items);
        }
        above = if unit.kind == PieceKind::Heading { above + tokens } else { 0 };
    }
    let mut paragraph = 0;
    for item in items.iter_mut().rev() {
        paragraph = if item.ends_paragraph { item.tokens } else { paragraph + item.tokens };
        item.paragraph = paragraph;
    }
    items
}

/// Cuts a unit into parts whose share of its tokens, by characters, is at most `limit`.
fn cut<'a>(unit: &'a Unit, tokens: u64, limit: u64, items: &mut Vec<Item<'a>>) {
    let characters: Vec<char> = unit.text.chars().collect();
    let length = characters.len() as u64;
    let size = usize::try_from(length * limit / tokens.max(1)).unwrap_or(usize::MAX).max(1);
    let mut from = 0;
    while from < characters.len() {
        if characters[from].is_whitespace() {
            from += 1;
            continue;
        }
        let mut to = characters.len().min(from.saturating_add(size));
        if to < characters.len() && !characters[to].is_whitespace() {
            // Keep at least half, so that a long word cannot leave a trail of tiny parts.
            let least = from + (to - from).div_ceil(2);
            let found = |fits: fn(char) -> bool| (least..to).rev().find(|&at| fits(characters[at]));
            if let Some(space) = found(char::is_whitespace) {
                to = space;
            } else if let Some(mark) = found(|c| "，、；：,;،؛".contains(c)) {
                to = mark + 1;
            }
        }
        let end = from
            + characters[from..to].iter().rposition(|c| !c.is_whitespace()).map_or(0, |at| at + 1);
        items.push(Item {
            unit,
            start: unit.start + to_u32(from),
            end: unit.start + to_u32(end),
            tokens: (tokens * (end - from) as u64).div_ceil(length.max(1)),
            paragraph: 0,
            ends_paragraph: false,
        });
        from = to;
    }
    if let Some(last) = items.last_mut() {
        last.ends_paragraph = unit.ends_paragraph;
    }
}

fn group<'a>(items: &[Item<'a>], target: u64, most: u64) -> Vec<Vec<Item<'a>>> {
    let mut chunks = Vec::new();
    let mut current: Vec<Item<'a>> = Vec::new();
    let mut filled = 0;
    for &item in items {
        if ends_before(&current, filled, item, target, most) {
            // Headings at the end go along to the text they head.
            let body = current.iter().rposition(|item| !item.is_heading()).map_or(0, |at| at + 1);
            let headings = if body > 0 { current.split_off(body) } else { Vec::new() };
            chunks.push(std::mem::replace(&mut current, headings));
            filled = total(&current);
            if filled + item.tokens > most {
                if !current.is_empty() {
                    chunks.push(std::mem::take(&mut current));
                }
                filled = 0;
            }
        }
        filled += item.tokens;
        current.push(item);
    }
    if !current.is_empty() {
        chunks.push(current);
    }
    chunks
}

fn ends_before(current: &[Item<'_>], filled: u64, item: Item<'_>, target: u64, most: u64) -> bool {
    let Some(last) = current.last() else { return false };
    if filled + item.tokens > most {
        return true;
    }
    if current.iter().all(Item::is_heading) {
        return false;
    }
    let half_full = filled * 2 >= target;
    if item.is_heading() {
        return half_full;
    }
    if last.is_heading() {
        return filled + item.tokens > target;
    }
    if last.ends_paragraph {
        return half_full && filled + item.paragraph > target || filled + item.tokens > target;
    }
    filled + item.tokens > target && filled + item.paragraph > most
}

fn join_tails<'a>(chunks: Vec<Vec<Item<'a>>>, target: u64, most: u64) -> Vec<Vec<Item<'a>>> {
    let mut joined: Vec<Vec<Item<'a>>> = Vec::new();
    for chunk in chunks {
        let tokens = total(&chunk);
        match joined.last_mut() {
            Some(previous)
                if tokens * 4 < target
                    && total(previous) + tokens <= most
                    && (previous.last().and_then(|item| item.unit.heading.as_deref())
                        == heading(&chunk)
                        || chunk.iter().all(Item::is_heading)) =>
            {
                previous.extend(chunk);
            }
            _ => joined.push(chunk),
        }
    }
    joined
}

/// Slices of a text by characters. Slices that go forward cost one pass over the text in all.
struct Slices<'a> {
    text: &'a str,
    character: u32,
    byte: usize,
}

impl<'a> Slices<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, character: 0, byte: 0 }
    }

    fn seek(&mut self, character: u32) -> usize {
        if character < self.character {
            (self.character, self.byte) = (0, 0);
        }
        let mut rest = self.text[self.byte..].chars();
        while self.character < character
            && let Some(passed) = rest.next()
        {
            self.byte += passed.len_utf8();
            self.character += 1;
        }
        self.byte
    }

    fn slice(&mut self, start: u32, end: u32) -> &'a str {
        let from = self.seek(start);
        &self.text[from..self.seek(end.max(start))]
    }
}

fn to_u32(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use quartet_types::Extractor;

    fn pages(texts: &[&str]) -> Vec<PageText> {
        (1..)
            .zip(texts)
            .map(|(number, text)| PageText {
                number: PageNumber(number),
                text: (*text).to_owned(),
                extractor: Extractor::PdfExtract,
                problems: Vec::new(),
            })
            .collect()
    }

    fn count(text: &str) -> u32 {
        to_u32(text.chars().count().div_ceil(4))
    }

    fn planned(texts: &[&str], target: u32, most: u32) -> Vec<ChunkPlan> {
        let pages = pages(texts);
        let units = units(&pages);
        let tokens: Vec<u32> = units.iter().map(|unit| count(&unit.text)).collect();
        plan(&pages, &units, &tokens, Budget { target, most })
    }

    fn texts(plans: &[ChunkPlan]) -> Vec<&str> {
        plans.iter().map(|plan| plan.text.as_str()).collect()
    }

    #[test]
    fn headings_open_chunks_and_carry_over_pages() {
        let plans = planned(
            &[
                "Introduction\n\nA cat sat on a mat there.\n\n2.1 Dogs\n\nA dog ran in the park.",
                "It came back again.",
            ],
            10,
            14,
        );
        assert_eq!(
            texts(&plans),
            [
                "Introduction\n\nA cat sat on a mat there.",
                "2.1 Dogs\n\nA dog ran in the park.",
                "It came back again."
            ]
        );
        let headings: Vec<_> = plans.iter().filter_map(|plan| plan.heading.as_deref()).collect();
        assert_eq!(headings, ["Introduction", "2.1 Dogs", "2.1 Dogs"]);
        assert_eq!(plans.iter().map(|plan| plan.ordinal).collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn paragraphs_are_finished_up_to_most_and_tails_join() {
        // Sentences of five tokens each.
        let text = "Aaaa bbbb cccc dddd. Eeee ffff gggg hhhh. Iiii jjjj kkkk llll.";
        assert_eq!(texts(&planned(&[text], 10, 15)), [text]);
        assert_eq!(planned(&[text], 10, 14).len(), 2);
        assert_eq!(planned(&[&format!("{text}\n\nOk.")], 15, 16).len(), 1, "a tiny tail joins");
        assert_eq!(
            planned(&[&format!("{text}\n\nOk.")], 15, 15).len(),
            2,
            "but only where it fits"
        );
    }

    #[test]
    fn breaks_come_at_paragraph_ends_once_half_full() {
        let first = "Aaaa bbbb cccc dddd. Eeee ffff gggg.";
        let second = "Iiii jjjj kkkk llll. Mmmm nnnn oooo pppp.";
        assert_eq!(texts(&planned(&[&format!("{first}\n\n{second}")], 15, 18)), [first, second]);
    }

    #[test]
    fn a_sentence_too_long_is_cut_at_white_space_under_its_heading() {
        let text = format!("Scope\n\n{}end.", "word ".repeat(10_000));
        let plans = planned(&[&text], 100, 120);
        assert!(plans.len() > 100);
        assert!(plans[0].text.starts_with("Scope\n\nword"));
        for chunk in &plans {
            assert!(chunk.tokens <= 120);
            assert!(chunk.text.ends_with("word") || chunk.text.ends_with("end."), "{}", chunk.text);
        }
        let plans = planned(&[&"字".repeat(50_000), &"س".repeat(50_000)], 100, 120);
        assert!(plans.iter().all(|chunk| chunk.tokens <= 120));
        assert_eq!(plans.iter().map(|chunk| chunk.text.chars().count()).sum::<usize>(), 100_000);
    }

    #[test]
    fn nothing_gives_nothing_and_a_last_heading_heads_nothing() {
        assert!(planned(&[], 10, 20).is_empty());
        assert!(planned(&["", " \n\n "], 10, 20).is_empty());
        let plans = planned(&["A dog ran.\n\nThe Annex"], 10, 20);
        assert_eq!(plans[0].heading, None);
        // Ten characters are three tokens, so a budget of nothing, taken as one, holds three.
        let plans = planned(&["A dog ran."], 0, 0);
        assert_eq!(texts(&plans), ["A d", "og", "ran", "."]);
        assert!(plans.iter().all(|chunk| chunk.tokens == 1));
    }

    proptest! {
        #[test]
        fn chunks_cover_every_page_in_order(
            texts in prop::collection::vec(
                prop::collection::vec(
                    "[a-z]{1,9}|[A-Z][a-z]{1,6}|[.!?:,;]|\\. |  |\n|\n\n|\n• |\n2\\.1 |[0-9]{1,3}\\.?|Dr\\. |e\u{301}|字。|سلام|\u{a0}|\t|[A-Z][a-z]+ [a-z]+\n\n| ",
                    0..120,
                ),
                1..4,
            ),
            most in 1u32..60,
            target in 1u32..60,
        ) {
            let texts: Vec<String> = texts.iter().map(|words| words.concat()).collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let plans = planned(&texts, target, most);
            let characters: Vec<Vec<char>> = texts.iter().map(|text| text.chars().collect()).collect();
            let mut covered: Vec<Vec<bool>> = characters.iter().map(|page| vec![false; page.len()]).collect();
            let mut last = (PageNumber(0), 0);
            for (ordinal, chunk) in plans.iter().enumerate() {
                let PageSpan { page, start, end } = chunk.span;
                let index = page.0 as usize - 1;
                prop_assert!(start < end && end as usize <= characters[index].len());
                let (from, to) = (start as usize, end as usize);
                prop_assert_eq!(&chunk.text, &characters[index][from..to].iter().collect::<String>());
                prop_assert!((page, start) >= last, "{:?} after {:?}", chunk.span, last);
                prop_assert_eq!(chunk.ordinal as usize, ordinal);
                prop_assert!(chunk.tokens >= 1 && chunk.tokens <= most, "{} > {}", chunk.tokens, most);
                covered[index][from..to].fill(true);
                last = (page, end);
            }
            for (page, covered) in characters.iter().zip(&covered) {
                for (character, covered) in page.iter().zip(covered) {
                    prop_assert!(*covered || character.is_whitespace(), "{:?} is lost", character);
                }
            }
            prop_assert_eq!(plans, planned(&texts, target, most));
        }
    }
}
