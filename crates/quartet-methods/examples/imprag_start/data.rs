//! Public question sets as passages and queries.

use quartet_methods::imprag::template;
use quartet_methods::text::{sentences, words};
use quartet_types::{Error, Result};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

/// Words of a passage, at most: about as long as the library's.
const PASSAGE_WORDS: usize = 48;
/// Hard negatives of a query.
const HARD: usize = 8;

/// A passage as text.
pub(crate) struct Passage {
    pub(crate) title: String,
    pub(crate) text: String,
    /// Which document it is of.
    pub(crate) document: usize,
}

/// A query as text.
pub(crate) struct Asked {
    pub(crate) format: &'static str,
    pub(crate) input: String,
    pub(crate) answer: String,
    pub(crate) positives: Vec<usize>,
    pub(crate) negatives: Vec<usize>,
    pub(crate) unclear: Vec<usize>,
    pub(crate) held_out: bool,
}

/// Everything that is learnt from.
#[derive(Default)]
pub(crate) struct Corpus {
    pub(crate) passages: Vec<Passage>,
    pub(crate) queries: Vec<Asked>,
}

#[derive(Deserialize)]
struct Squad {
    data: Vec<Article>,
}

#[derive(Deserialize)]
struct Article {
    title: String,
    paragraphs: Vec<Paragraph>,
}

#[derive(Deserialize)]
struct Paragraph {
    context: String,
    qas: Vec<Asking>,
}

#[derive(Deserialize)]
struct Asking {
    question: String,
    #[serde(default)]
    answers: Vec<Answer>,
    #[serde(default)]
    is_impossible: bool,
}

#[derive(Deserialize)]
struct Answer {
    text: String,
    answer_start: usize,
}

#[derive(Deserialize)]
struct Abstract {
    #[serde(rename = "QUESTION")]
    question: String,
    #[serde(rename = "CONTEXTS")]
    contexts: Vec<String>,
    #[serde(rename = "MESHES")]
    meshes: Vec<String>,
    #[serde(default)]
    final_decision: Option<String>,
}

impl Corpus {
    /// SQuAD 2.0; the last article is held out.
    pub(crate) fn add_squad(&mut self, path: &Path) -> Result<()> {
        let squad: Squad = read(path)?;
        let last = squad.data.len() - 1;
        for (number, article) in squad.data.into_iter().enumerate() {
            let title = article.title.replace('_', " ");
            for paragraph in article.paragraphs {
                let made = self.add_text(&title, &paragraph.context, number);
                for asking in paragraph.qas.into_iter().filter(|one| !one.is_impossible) {
                    let Some(answer) = asking.answers.first() else { continue };
                    let byte = paragraph.context.char_indices().nth(answer.answer_start);
                    let byte = byte.map_or(0, |(byte, _)| byte);
                    let of = |(place, range): &(usize, std::ops::Range<usize>)| {
                        range.contains(&byte).then_some(*place)
                    };
                    let positives: Vec<usize> = made.iter().filter_map(of).collect();
                    let all = asking.answers.iter();
                    let shortest = all.min_by_key(|answer| answer.text.len());
                    self.queries.push(Asked {
                        format: "question",
                        input: asking.question.trim().to_owned(),
                        answer: shortest.map(|one| one.text.clone()).unwrap_or_default(),
                        positives,
                        negatives: Vec::new(),
                        unclear: Vec::new(),
                        held_out: number == last,
                    });
                }
            }
        }
        Ok(())
    }

    /// PubMedQA; one in twelve is held out.
    pub(crate) fn add_pubmed(&mut self, path: &Path, most: usize) -> Result<()> {
        let all: BTreeMap<String, Abstract> = read(path)?;
        for (number, one) in all.into_values().take(most).enumerate() {
            let title = one.meshes.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
            let mut positives = Vec::new();
            for context in &one.contexts {
                let made = self.add_text(&title, context, 1_000 + number);
                positives.extend(made.into_iter().map(|(place, _)| place));
            }
            self.queries.push(Asked {
                format: "question",
                input: one.question,
                answer: one.final_decision.unwrap_or_default(),
                positives,
                negatives: Vec::new(),
                unclear: Vec::new(),
                held_out: number % 12 == 0,
            });
        }
        Ok(())
    }

    fn add_text(
        &mut self,
        title: &str,
        text: &str,
        document: usize,
    ) -> Vec<(usize, std::ops::Range<usize>)> {
        let mut made: Vec<(usize, std::ops::Range<usize>)> = Vec::new();
        let mut count = 0;
        for range in sentences(text) {
            let length = text[range.clone()].split_whitespace().count();
            match made.last_mut() {
                Some((_, whole)) if count + length <= PASSAGE_WORDS => {
                    whole.end = range.end;
                    count += length;
                }
                _ => {
                    made.push((self.passages.len() + made.len(), range));
                    count = length;
                }
            }
        }
        for (_, range) in &made {
            let text = text[range.clone()].to_owned();
            self.passages.push(Passage { title: title.to_owned(), text, document });
        }
        made
    }

    /// Queries in other formats than questions, made from the passages: a gap in a sentence, and
    /// the words of a question that carry its meaning. No claims, no relations, no titles.
    pub(crate) fn add_formats(&mut self, random: &mut impl FnMut(usize) -> usize) {
        let mut made = Vec::new();
        for (place, passage) in self.passages.iter().enumerate() {
            let all = sentences(&passage.text);
            let sentence = &passage.text[all[random(all.len())].clone()];
            let held_out = self.is_held_out(passage.document);
            let parts: Vec<&str> = sentence.split_whitespace().collect();
            if parts.len() < 8 {
                continue;
            }
            let length = 1 + random(3);
            let start = 1 + random(parts.len() - length - 1);
            let (before, rest) = parts.split_at(start);
            let (gone, after) = rest.split_at(length);
            let input = match random(3) {
                0 => format!("Fill the gap: {} ____ {}", before.join(" "), after.join(" ")),
                1 => {
                    // A span of another place of the corpus stands where the right one was.
                    let other = &self.passages[random(self.passages.len())].text;
                    let words: Vec<&str> = other.split_whitespace().collect();
                    let from = random(words.len().saturating_sub(length).max(1));
                    let wrong = words[from..(from + length).min(words.len())].join(" ");
                    let (before, after) = (before.join(" "), after.join(" "));
                    format!("{before} [START]{wrong}[END] {after} Repair the marked words.")
                }
                _ => {
                    let keep = parts.len().min(6 + random(6));
                    let from = random(parts.len() - keep + 1);
                    format!("Go on: {}", parts[from..from + keep].join(" "))
                }
            };
            made.push(Asked {
                format: "gap",
                input,
                answer: gone.join(" "),
                positives: vec![place],
                negatives: Vec::new(),
                unclear: Vec::new(),
                held_out,
            });
        }
        for query in &self.queries {
            if random(3) == 0 {
                let key = keywords(&query.input);
                if key.split(' ').count() >= 2 {
                    made.push(Asked {
                        format: "keywords",
                        input: key,
                        answer: query.answer.clone(),
                        positives: query.positives.clone(),
                        negatives: Vec::new(),
                        unclear: Vec::new(),
                        held_out: query.held_out,
                    });
                }
            }
        }
        self.queries.extend(made);
    }

    fn is_held_out(&self, document: usize) -> bool {
        self.queries
            .iter()
            .any(|query| query.held_out && self.passages[query.positives[0]].document == document)
    }

    /// Finds passages that share many rare words with each query: those that hold the answer are
    /// unclear, the others are hard negatives.
    pub(crate) fn find_negatives(&mut self) {
        let bags: Vec<HashSet<String>> = self
            .passages
            .iter()
            .map(|passage| bag(&format!("{} {}", passage.title, passage.text)))
            .collect();
        let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
        for (place, bag) in bags.iter().enumerate() {
            for word in bag {
                places.entry(word).or_default().push(place);
            }
        }
        let count = bags.len() as f64;
        for query in &mut self.queries {
            let mut scores: HashMap<usize, f64> = HashMap::new();
            for word in bag(&query.input) {
                let Some(found) = places.get(word.as_str()) else { continue };
                let weight = (count / found.len() as f64).ln();
                found.iter().for_each(|place| *scores.entry(*place).or_default() += weight);
            }
            let mut best: Vec<(usize, f64)> = scores.into_iter().collect();
            best.sort_by(|one, other| other.1.total_cmp(&one.1).then(one.0.cmp(&other.0)));
            let answer = query.answer.to_lowercase();
            for (place, _) in best {
                if query.negatives.len() >= HARD {
                    break;
                }
                if query.positives.contains(&place) {
                    continue;
                }
                let text = self.passages[place].text.to_lowercase();
                let holds = answer.len() > 3 && text.contains(&answer);
                let into = if holds { &mut query.unclear } else { &mut query.negatives };
                into.push(place);
            }
        }
    }

    /// A passage as the model reads it.
    pub(crate) fn passage_text(passage: &Passage) -> String {
        template::passage(&passage.title, None, &passage.text)
    }
}

fn bag(text: &str) -> HashSet<String> {
    words(text).into_iter().filter(|word| !word.function).map(|word| word.stem).collect()
}

/// The words of a question without those that every question has.
fn keywords(question: &str) -> String {
    const COMMON: [&str; 34] = [
        "what", "which", "who", "whom", "when", "where", "why", "how", "is", "are", "was", "were",
        "do", "does", "did", "the", "a", "an", "of", "in", "to", "for", "by", "on", "with", "and",
        "or", "it", "be", "has", "have", "had", "that", "as",
    ];
    let kept = question
        .split(|c: char| !c.is_alphanumeric() && c != '-')
        .filter(|word| !word.is_empty() && !COMMON.contains(&word.to_lowercase().as_str()));
    kept.collect::<Vec<_>>().join(" ")
}

fn read<T: for<'d> Deserialize<'d>>(path: &Path) -> Result<T> {
    let text = std::fs::read(path).map_err(|error| Error::from_io(&error, path))?;
    let value: Value =
        serde_json::from_slice(&text).map_err(|error| Error::internal(error.to_string()))?;
    serde_json::from_value(value).map_err(|error| Error::internal(error.to_string()))
}
