//! Whether a passage found is the gold evidence: by document and page where the question file
//! names them, else by the text of the sentence that holds the answer.

use crate::questions::GoldEvidence;
use crate::result::PageFound;
use crate::text::normalise;
use quartet_types::{Answer, Passage};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};

/// Share of a sentence's word triples that a passage must hold to count as holding the
/// sentence: PDF extraction may cost a word here and there.
const TRIPLES_NEEDED: f64 = 0.8;

/// Other names of documents: key in the question file -> file stem, title or path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentNames(pub HashMap<String, String>);

impl DocumentNames {
    /// Whether `key` names the document of `passage`: by file name, file stem, path or title,
    /// letter case and punctuation aside.
    #[must_use]
    pub fn names(&self, key: &str, passage: &Passage) -> bool {
        let key = self.0.get(key).map_or(key, String::as_str);
        let file = file_name(&passage.path);
        let same = |name: &str| !fold(key).is_empty() && fold(name) == fold(key);
        key == passage.path || same(file) || same(stem(file)) || same(&passage.title)
    }
}

/// Letters and digits in lower case.
fn fold(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

fn stem(file: &str) -> &str {
    file.rsplit_once('.').map_or(file, |(stem, _)| stem)
}

/// The stem of a path's file name, as shown in results.
#[must_use]
pub(crate) fn document_key(path: &str) -> &str {
    stem(file_name(path))
}

/// Gold evidence made ready for comparison. Two pieces on the same page are one.
pub(crate) struct Gold<'a> {
    names: &'a DocumentNames,
    units: Vec<Unit<'a>>,
}

enum Unit<'a> {
    Page { document: &'a str, page: u32 },
    Document(&'a str),
    Sentence(Sentence),
}

struct Sentence {
    text: String,
    triples: HashSet<String>,
}

impl<'a> Gold<'a> {
    pub(crate) fn new(evidence: &'a [GoldEvidence], names: &'a DocumentNames) -> Self {
        let mut seen = HashSet::new();
        let units = evidence
            .iter()
            .filter_map(|gold| match (&gold.document, gold.page, &gold.text) {
                (Some(document), Some(page), _) => {
                    seen.insert((document.as_str(), page)).then_some(Unit::Page { document, page })
                }
                (_, _, Some(text)) => {
                    let text = normalise(text);
                    Some(Unit::Sentence(Sentence { triples: triples(&text), text }))
                }
                (Some(document), None, None) => {
                    seen.insert((document.as_str(), 0)).then_some(Unit::Document(document))
                }
                (None, _, None) => None,
            })
            .collect();
        Self { names, units }
    }

    /// Pieces of evidence; 0 where the question file names none.
    pub(crate) fn len(&self) -> usize {
        self.units.len()
    }

    /// Which pieces this passage brings: its page, or its text, is the gold one.
    pub(crate) fn brought_by(&self, passage: &Passage) -> Vec<usize> {
        let mut normalised = None;
        self.units
            .iter()
            .enumerate()
            .filter(|(_, unit)| match unit {
                Unit::Page { document, page } => {
                    passage.span.page.0 == *page && self.names.names(document, passage)
                }
                Unit::Document(document) => self.names.names(document, passage),
                Unit::Sentence(sentence) => {
                    let text = normalised.get_or_insert_with(|| normalise(&passage.text));
                    sentence.is_in(text)
                }
            })
            .map(|(place, _)| place)
            .collect()
    }
}

impl Sentence {
    fn is_in(&self, passage: &str) -> bool {
        if format!(" {passage} ").contains(&format!(" {} ", self.text)) {
            return true;
        }
        let found = triples(passage);
        let common = self.triples.iter().filter(|triple| found.contains(*triple)).count();
        let all = crate::bootstrap::to_f64(self.triples.len());
        !self.triples.is_empty() && crate::bootstrap::to_f64(common) / all >= TRIPLES_NEEDED
    }
}

fn triples(text: &str) -> HashSet<String> {
    let words: Vec<&str> = text.split(' ').collect();
    words.windows(3).map(|three| three.join(" ")).collect()
}

/// The distinct pages of some hits in order, each with the pieces of evidence that its hits
/// bring.
pub(crate) fn pages(
    answer: &Answer,
    hits: &[usize],
    gold: &Gold<'_>,
) -> Vec<(PageFound, Vec<usize>)> {
    let mut found: Vec<(PageFound, Vec<usize>)> = Vec::new();
    for hit in hits.iter().filter_map(|&index| answer.retrieved.get(index)) {
        let document = document_key(&hit.passage.path);
        let page = hit.passage.span.page.0;
        let brought = gold.brought_by(&hit.passage);
        match found.iter_mut().find(|(p, _)| p.page == page && p.document == document) {
            Some((known, pieces)) => {
                known.gold |= !brought.is_empty();
                pieces.extend(brought);
            }
            None => {
                let gold = !brought.is_empty();
                found.push((PageFound { document: document.to_owned(), page, gold }, brought));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::tests::hit;

    fn page(document: &str, page: u32) -> GoldEvidence {
        GoldEvidence { document: Some(document.to_owned()), page: Some(page), text: None }
    }

    #[test]
    fn documents_go_by_stem_name_title_or_alias() {
        let passage = hit("/data/in/A01.pdf", "The Keeper\u{2019}s Handbook", 1, "x").passage;
        let names = DocumentNames(HashMap::from([("k".to_owned(), "a01".to_owned())]));
        for key in ["a01", "A01.pdf", "/data/in/A01.pdf", "the keeper's handbook", "k"] {
            assert!(names.names(key, &passage), "{key}");
        }
        assert!(!names.names("a1", &passage));
    }

    #[test]
    fn two_sentences_on_one_page_are_one_piece() {
        let evidence = [page("a", 1), page("a", 1), page("b", 1)];
        let names = DocumentNames::default();
        let gold = Gold::new(&evidence, &names);
        assert_eq!(gold.len(), 2);
        assert_eq!(gold.brought_by(&hit("b.pdf", "", 1, "").passage), [1]);
        assert!(gold.brought_by(&hit("b.pdf", "", 2, "").passage).is_empty());
    }

    #[test]
    fn a_sentence_is_found_though_extraction_lost_a_word() {
        let evidence = [GoldEvidence {
            document: None,
            page: None,
            text: Some(
                "The annual rate of growth was the highest that the town had seen in ten years, \
                 by far, as the council said."
                    .to_owned(),
            ),
        }];
        let names = DocumentNames::default();
        let gold = Gold::new(&evidence, &names);
        let extracted = "Before. The annual rate of growth was the highest that the town had \
             seen in ten years, by far, as counc said. After.";
        assert_eq!(gold.brought_by(&hit("b.pdf", "", 1, extracted).passage), [0]);
        assert!(
            gold.brought_by(&hit("b.pdf", "", 1, "The town council said so.").passage).is_empty()
        );
    }
}
