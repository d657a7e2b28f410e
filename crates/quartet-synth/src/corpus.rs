//! The collection's text as the checks see it: which names and numbers exist, and what is said
//! together with what.

use crate::mention::{Mention, MentionKind, mentions};
use crate::sentence::{Sentence, of_passage};
use crate::shape::{Shape, Uses, shape_of};
use crate::words::{content_stems, key, share};
use quartet_methods::text::{one_line, words};
use quartet_types::{DocumentId, Error, Passage, Result};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use tokio_util::sync::CancellationToken;

/// Names, numbers and the words of every passage and sentence.
#[derive(Debug, Default)]
pub(crate) struct Corpus {
    /// Folded words that stand with a capital letter inside a sentence.
    pub(crate) names: HashSet<String>,
    /// Mentions that can stand for one another, by shape, in order of their text.
    by_shape: BTreeMap<Shape, BTreeSet<String>>,
    passages: Vec<Bag>,
    documents: Vec<Spoken>,
    sentences: Vec<Bag>,
}

impl Corpus {
    /// Reads all passages, several times rather than keeping what they hold.
    ///
    /// # Errors
    /// `Cancelled`.
    pub(crate) fn gather(passages: &[Passage], cancel: &CancellationToken) -> Result<Self> {
        let mut corpus = Self::default();
        each(passages, cancel, &mut |passage, sentences| {
            for sentence in sentences {
                corpus.sentences.push(Bag::new(&content_stems(&sentence.line)));
                let inside = sentence.words.iter().skip(1);
                corpus.names.extend(
                    inside.filter(|word| word.capital && !word.function).map(|w| w.folded.clone()),
                );
            }
            corpus.note_passage(passage);
        })?;
        let mut uses: HashMap<String, Uses> = HashMap::new();
        each(passages, cancel, &mut |_, sentences| {
            for (sentence, mention) in all_mentions(sentences, &corpus.names) {
                let text = sentence.line.get(mention.range.clone()).unwrap_or_default();
                if mention.kind == MentionKind::Name {
                    uses.entry(text.to_owned()).or_default().note(sentence, &mention);
                }
            }
        })?;
        let mut by_shape: BTreeMap<Shape, BTreeSet<String>> = BTreeMap::new();
        each(passages, cancel, &mut |_, sentences| {
            for (sentence, mention) in all_mentions(sentences, &corpus.names) {
                let text = sentence.line.get(mention.range.clone()).unwrap_or_default();
                if let Some(shape) = shape_of(&mention, sentence, &uses) {
                    by_shape.entry(shape).or_default().insert(text.to_owned());
                }
            }
        })?;
        corpus.by_shape = by_shape;
        Ok(corpus)
    }

    #[cfg(test)]
    pub(crate) fn new(passages: &[Passage]) -> Self {
        Self::gather(passages, &CancellationToken::new()).unwrap()
    }

    fn note_passage(&mut self, passage: &Passage) {
        let bag = Bag::new(&content_stems(&passage.text));
        let title = one_line(&passage.title);
        let known = self.documents.iter_mut().find(|document| document.id == passage.document);
        match known {
            Some(document) => document.words.add(&bag),
            None => self.documents.push(Spoken { id: passage.document, title, words: bag.clone() }),
        }
        self.passages.push(bag);
    }

    /// The shape of a text that occurs in the collection.
    fn shape(&self, text: &str) -> Option<&Shape> {
        self.by_shape.iter().find(|(_, texts)| texts.contains(text)).map(|(shape, _)| shape)
    }

    /// Whether this name is, as far as one can tell, a person's.
    pub(crate) fn is_person(&self, name: &str) -> bool {
        self.by_shape.get(&Shape::Person).is_some_and(|names| names.contains(name))
    }

    /// Whether this is a single word with an article, as `the Board`: too vague to be an answer.
    pub(crate) fn is_generic(&self, name: &str) -> bool {
        self.by_shape.get(&Shape::Thing(1, true)).is_some_and(|names| names.contains(name))
    }

    /// Texts of the same shape in the collection that say something else, in a fixed order.
    pub(crate) fn others(&self, text: &str) -> Vec<&str> {
        let Some(shape) = self.shape(text) else { return Vec::new() };
        let own: HashSet<String> = words(text).into_iter().map(|word| word.stem).collect();
        let measure = matches!(shape, Shape::Measure(_) | Shape::Numbered(_) | Shape::Date(_));
        self.by_shape
            .get(shape)
            .into_iter()
            .flatten()
            .filter(|other| {
                let shares_word = words(other).iter().any(|word| own.contains(&word.stem));
                key(other) != key(text) && (measure || !shares_word)
            })
            .map(String::as_str)
            .collect()
    }

    /// Title of the `place`-th document that is not `own` and says less than half of `stems`.
    pub(crate) fn silent_document(
        &self,
        own: DocumentId,
        stems: &HashSet<String>,
        place: u64,
    ) -> Option<&str> {
        let own_title = self.documents.iter().find(|document| document.id == own);
        let codes = codes(stems);
        let silent: Vec<&str> = self
            .documents
            .iter()
            .filter(|document| {
                document.id != own
                    && !document.title.is_empty()
                    && own_title.is_none_or(|own| key(&own.title) != key(&document.title))
                    && document.words.share_of(&codes) < 0.5
            })
            .map(|document| document.title.as_str())
            .collect();
        let count = u64::try_from(silent.len()).ok().filter(|&count| count > 0)?;
        silent.get(usize::try_from(place % count).ok()?).copied()
    }

    /// Whether some passage holds all of `must` and at least this share of `stems`.
    pub(crate) fn said_in_passage(
        &self,
        must: &HashSet<String>,
        stems: &HashSet<String>,
        least: f32,
    ) -> bool {
        said(&self.passages, must, stems, least)
    }

    /// Whether some sentence holds all of `must` and at least this share of `stems`.
    pub(crate) fn said_in_sentence(
        &self,
        must: &HashSet<String>,
        stems: &HashSet<String>,
        least: f32,
    ) -> bool {
        said(&self.sentences, must, stems, least)
    }
}

fn said(texts: &[Bag], must: &HashSet<String>, stems: &HashSet<String>, least: f32) -> bool {
    let (must, stems) = (codes(must), codes(stems));
    texts.iter().any(|text| {
        must.iter().all(|code| text.has(*code))
            && (stems.is_empty() || text.share_of(&stems) >= least)
    })
}

/// What a document says.
#[derive(Debug)]
struct Spoken {
    id: DocumentId,
    title: String,
    words: Bag,
}

/// Stems of a text as numbers, sorted: a collection has many.
#[derive(Debug, Clone, Default)]
struct Bag(Vec<u64>);

fn codes(stems: &HashSet<String>) -> Vec<u64> {
    let mut codes: Vec<u64> = stems
        .iter()
        .map(|stem| {
            let mut hash = DefaultHasher::new();
            stem.hash(&mut hash);
            hash.finish()
        })
        .collect();
    codes.sort_unstable();
    codes
}

impl Bag {
    fn new(stems: &HashSet<String>) -> Self {
        Self(codes(stems))
    }

    fn add(&mut self, other: &Self) {
        self.0.extend(&other.0);
        self.0.sort_unstable();
        self.0.dedup();
    }

    fn has(&self, code: u64) -> bool {
        self.0.binary_search(&code).is_ok()
    }

    fn share_of(&self, codes: &[u64]) -> f32 {
        share(codes.iter().filter(|code| self.has(**code)).count(), codes.len())
    }
}

fn each(
    passages: &[Passage],
    cancel: &CancellationToken,
    look: &mut dyn FnMut(&Passage, &[Sentence]),
) -> Result<()> {
    for passage in passages {
        if cancel.is_cancelled() {
            return Err(Error::cancelled());
        }
        look(passage, &of_passage(passage));
    }
    Ok(())
}

fn all_mentions<'a>(
    sentences: &'a [Sentence],
    names: &'a HashSet<String>,
) -> impl Iterator<Item = (&'a Sentence, Mention)> {
    sentences.iter().flat_map(move |sentence| {
        mentions(sentence, names).into_iter().map(move |mention| (sentence, mention))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sentence::tests::passage;

    fn corpus() -> Corpus {
        Corpus::new(&[
            passage(
                1,
                "a",
                "The key is carried by Torvald Quillane. The pump at Low Tern opens at 3.4 bar.",
            ),
            passage(
                2,
                "b",
                "Maren Oskvay kept the plan. The plan was read at Kettle Sound. The Harl 90 relieves at 7.9 bar.",
            ),
            passage(
                3,
                "c",
                "The Harl 60 is set with care. The light of Gannet Point is seen at Low Tern.",
            ),
        ])
    }

    #[test]
    fn like_stands_for_like() {
        let corpus = corpus();
        assert_eq!(corpus.others("Torvald Quillane"), ["Maren Oskvay"]);
        assert_eq!(corpus.others("Low Tern"), ["Kettle Sound"]);
        assert_eq!(corpus.others("3.4 bar"), ["7.9 bar"]);
        assert_eq!(corpus.others("Harl 60"), ["Harl 90"]);
        assert!(corpus.others("unknown").is_empty());
        assert!(corpus.is_person("Maren Oskvay") && !corpus.is_person("Gannet Point"));
    }

    #[test]
    fn a_document_that_says_nothing_of_it_is_found() {
        let mut passages = vec![
            passage(1, "a", "The key is carried by Torvald Quillane in his coat."),
            passage(20, "b", "The tide turns twice a day at Kettle Sound."),
        ];
        passages[1].title = "Almanac".to_owned();
        let corpus = Corpus::new(&passages);
        let silent = |text| corpus.silent_document(passages[0].document, &content_stems(text), 5);
        assert_eq!(silent("Who carries the key?"), Some("Almanac"));
        assert_eq!(silent("When does the tide turn?"), None);
    }

    #[test]
    fn what_is_said_together_is_found() {
        let corpus = corpus();
        let set = |text: &str| content_stems(text);
        assert!(corpus.said_in_passage(&set("Low Tern"), &set("key carried"), 0.9));
        assert!(!corpus.said_in_sentence(&set("Low Tern"), &set("key carried"), 0.9));
        assert!(corpus.said_in_sentence(&set("Low Tern"), &set("pump"), 0.9));
    }
}
