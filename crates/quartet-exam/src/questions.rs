//! Question files.
//!
//! **JSON lines**, one question a line, in any mixture:
//!
//! | row | fields |
//! |---|---|
//! | answerable | `question`, `answers`, and where known `doc` and `page`, `evidence`, `kind` |
//! | over several documents | the same with lists `docs`, `pages`, `evidence` of equal length |
//! | unanswerable | `question` and neither `answers` nor a document |
//! | claim | `statement`, `label` (true or false), `doc`, `page`, `evidence` |
//! | relation | `entity`, `relation`, `answers`, `doc`, `page` |
//! | title | `context` with `[START]` and `[END]` around a mention, `title`, `doc` |
//!
//! `id` is optional (else file name and line); `page` counts from 1; other fields are ignored.
//! Claims, relations and titles are put as in section 4.1 of the ImpRAG paper (Zhang et al. 2025,
//! arXiv 2506.02279), which took these formats from FEVER, zsRE and AIDA.
//!
//! **SQuAD 2.0 JSON**: `is_impossible` marks the unanswerable. It has no pages, so the
//! evidence is the sentence of the paragraph that holds the answer.

use crate::squad::squad;
use quartet_types::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashSet;

/// A question of an exam.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExamQuestion {
    /// Unique in the exam.
    pub id: String,
    /// The question as it is put to the methods.
    pub question: String,
    /// How it is put.
    #[serde(default)]
    pub format: Format,
    /// What is expected.
    pub expected: Expected,
    /// Gold answers, each as good as the others; empty for an unanswerable question.
    pub answers: Vec<String>,
    /// Where the answer stands; all of it is needed. Empty where the file does not say.
    pub evidence: Vec<GoldEvidence>,
    /// Kind of answer as the file names it (`person`, `number`, `yesno`, `claim`, ...).
    pub kind: Option<String>,
    /// Name of the file it is from.
    pub file: String,
}

/// How a question is put.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// In a sentence.
    #[default]
    Question,
    /// A statement that is true or false.
    Claim,
    /// Two names without a sentence: an entity and what is wanted of it.
    Relation,
    /// A mention in a context whose page is wanted.
    Title,
}

impl Format {
    /// The name used in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Question => "question",
            Self::Claim => "claim",
            Self::Relation => "relation",
            Self::Title => "title",
        }
    }
}

/// What a good answer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expected {
    /// It answers.
    Answer,
    /// It says that the documents do not hold the answer.
    Refusal,
}

/// A piece of gold evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoldEvidence {
    /// Key of the document: file name, file stem, title or path.
    pub document: Option<String>,
    /// The page, from 1.
    pub page: Option<u32>,
    /// The sentence.
    pub text: Option<String>,
}

impl ExamQuestion {
    /// Whether the answer is a side (yes or no) rather than words of a document.
    #[must_use]
    pub fn is_polar(&self) -> bool {
        matches!(self.kind.as_deref(), Some("yesno" | "claim"))
    }
}

/// Reads the text of a question file called `name`.
///
/// # Errors
/// `BadFile` about `name`, with the line where the file has lines.
pub fn parse_questions(name: &str, content: &str) -> Result<Vec<ExamQuestion>> {
    let content = content.strip_prefix('\u{feff}').unwrap_or(content);
    let questions = match serde_json::from_str::<Value>(content) {
        Ok(whole) if whole.get("data").is_some() => squad(name, whole)?,
        _ => json_lines(name, content)?,
    };
    if questions.is_empty() {
        return Err(bad(name, "no questions in it").hint(FORMAT_HINT));
    }
    let mut ids = HashSet::new();
    if let Some(twice) = questions.iter().find(|question| !ids.insert(question.id.as_str())) {
        return Err(bad(name, format!("the id `{}` occurs twice", twice.id)));
    }
    Ok(questions)
}

pub(crate) const FORMAT_HINT: &str = "A question file has one JSON object a line, \
    {\"question\": .., \"answers\": [..], \"doc\": .., \"page\": ..}, or is SQuAD 2.0 JSON.";

pub(crate) fn bad(name: &str, message: impl Into<String>) -> Error {
    Error::new(ErrorCode::BadFile, message).about(name)
}

/// A row as written. Fields are taken as they come and judged afterwards, so that a message
/// can say what is wrong with a row.
#[derive(Deserialize)]
struct Row {
    id: Option<String>,
    question: Option<String>,
    answers: Option<Vec<String>>,
    #[serde(alias = "document")]
    doc: Option<String>,
    page: Option<u32>,
    docs: Option<Vec<String>>,
    pages: Option<Vec<u32>>,
    evidence: Option<OneOrMany>,
    kind: Option<String>,
    statement: Option<String>,
    label: Option<bool>,
    entity: Option<String>,
    relation: Option<String>,
    context: Option<String>,
    title: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

fn json_lines(name: &str, content: &str) -> Result<Vec<ExamQuestion>> {
    let mut questions = Vec::new();
    for (place, line) in content.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let number = place + 1;
        let at_line =
            |message: String| bad(name, format!("line {number}: {message}")).hint(FORMAT_HINT);
        let row: Row = serde_json::from_str(line).map_err(|error| at_line(plain(&error)))?;
        questions.push(question(row, name, number).map_err(at_line)?);
    }
    Ok(questions)
}

/// The parser's message without its own line number, which is always 1 here.
fn plain(error: &serde_json::Error) -> String {
    let message = error.to_string();
    message.split(" at line ").next().unwrap_or(&message).to_owned()
}

/// Where a mention begins and ends in a context.
const MENTION: [&str; 2] = ["[START]", "[END]"];

fn question(row: Row, name: &str, line: usize) -> std::result::Result<ExamQuestion, String> {
    let (format, asked) = put(&row)?;
    if !asked.chars().any(char::is_alphanumeric) {
        return Err("the question is empty".to_owned());
    }
    let answers = match format {
        Format::Claim => {
            let label = row.label.ok_or("a claim needs a `label`, true or false")?;
            // Either is an answer to `Is this statement true?`.
            let side = if label { ["true", "yes"] } else { ["false", "no"] };
            side.map(str::to_owned).to_vec()
        }
        Format::Title => row.title.into_iter().collect(),
        Format::Question | Format::Relation => row.answers.unwrap_or_default(),
    };
    let answers: Vec<String> =
        answers.into_iter().filter(|answer| !answer.trim().is_empty()).collect();
    let evidence = evidence(row.doc, row.page, row.docs, row.pages, row.evidence)?;
    if answers.is_empty() && format == Format::Title {
        return Err("a context needs the `title` that is asked for".to_owned());
    }
    if answers.is_empty() && format == Format::Relation {
        return Err("a relation needs `answers`".to_owned());
    }
    if answers.is_empty() && !evidence.is_empty() {
        return Err("it names a document but no `answers`".to_owned());
    }
    Ok(ExamQuestion {
        id: row.id.unwrap_or_else(|| format!("{name}:{line}")),
        question: asked,
        format,
        expected: if answers.is_empty() { Expected::Refusal } else { Expected::Answer },
        answers,
        evidence,
        kind: if format == Format::Claim { Some("claim".to_owned()) } else { row.kind },
        file: name.to_owned(),
    })
}

/// The format of a row, and the words in which it is put.
fn put(row: &Row) -> std::result::Result<(Format, String), String> {
    let has_words = |text: &str| text.chars().any(char::is_alphanumeric);
    if let Some(statement) = &row.statement {
        if !has_words(statement) {
            return Err("the statement is empty".to_owned());
        }
        return Ok((Format::Claim, format!("Is this statement true? {}", statement.trim())));
    }
    if row.entity.is_some() || row.relation.is_some() {
        let part = |text: &Option<String>, name: &str| {
            let text = text.as_deref().map(str::trim).filter(|text| has_words(text));
            text.map(str::to_owned).ok_or_else(|| format!("a relation needs `{name}`"))
        };
        let (entity, relation) = (part(&row.entity, "entity")?, part(&row.relation, "relation")?);
        let asked =
            format!("{entity} [SEP] {relation} Provide the answer corresponding to the relation.");
        return Ok((Format::Relation, asked));
    }
    if let Some(context) = &row.context {
        let mention = context
            .split_once(MENTION[0])
            .and_then(|(_, after)| after.split_once(MENTION[1]))
            .is_some_and(|(mention, _)| has_words(mention));
        if !mention {
            return Err("a context needs a mention between `[START]` and `[END]`".to_owned());
        }
        let asked = format!(
            "{} What is the title of the page about the mention between [START] and [END]?",
            context.trim()
        );
        return Ok((Format::Title, asked));
    }
    let asked = row.question.as_deref().ok_or("no `question`")?;
    Ok((Format::Question, asked.trim().to_owned()))
}

fn evidence(
    doc: Option<String>,
    page: Option<u32>,
    docs: Option<Vec<String>>,
    pages: Option<Vec<u32>>,
    text: Option<OneOrMany>,
) -> std::result::Result<Vec<GoldEvidence>, String> {
    if page == Some(0) || pages.iter().flatten().any(|&page| page == 0) {
        return Err("pages count from 1".to_owned());
    }
    let texts = match text {
        None => Vec::new(),
        Some(OneOrMany::One(text)) => vec![text],
        Some(OneOrMany::Many(texts)) => texts,
    };
    if let Some(docs) = docs {
        let pages = pages.unwrap_or_default();
        for (what, length) in [("pages", pages.len()), ("evidence", texts.len())] {
            if length != 0 && length != docs.len() {
                return Err(format!("`docs` has {} entries and `{what}` {length}", docs.len()));
            }
        }
        return Ok(docs
            .into_iter()
            .enumerate()
            .map(|(place, document)| GoldEvidence {
                document: Some(document),
                page: pages.get(place).copied(),
                text: texts.get(place).cloned(),
            })
            .collect());
    }
    if doc.is_none() && texts.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![GoldEvidence { document: doc, page, text: texts.into_iter().next() }])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> ExamQuestion {
        parse_questions("f.jsonl", line).unwrap().remove(0)
    }

    fn message(content: &str) -> String {
        let error = parse_questions("f.jsonl", content).unwrap_err();
        assert_eq!(error.code, ErrorCode::BadFile);
        error.to_string()
    }

    #[test]
    fn every_kind_of_row_is_read() {
        let plain = one(
            r#"{"id":"q1","question":"Who?","answers":["Ann"],"doc":"a01","page":3,"evidence":"Ann did.","kind":"person","paraphrase_of":null}"#,
        );
        assert_eq!(plain.expected, Expected::Answer);
        assert_eq!(plain.evidence[0].page, Some(3));
        let multi = one(
            r#"{"question":"Who?","answers":["Ann"],"docs":["a","b"],"pages":[1,2],"evidence":["x","y"]}"#,
        );
        assert_eq!(multi.id, "f.jsonl:1");
        assert_eq!(multi.evidence[1].document.as_deref(), Some("b"));
        assert_eq!(multi.evidence[1].text.as_deref(), Some("y"));
        let none = one(r#"{"id":"u","question":"How old?"}"#);
        assert_eq!((none.expected, none.answers.len()), (Expected::Refusal, 0));
        let claim = one(
            r#"{"id":"c","statement":"It rains.","label":false,"doc":"a","page":1,"evidence":"It is dry."}"#,
        );
        assert_eq!(claim.answers, ["false", "no"]);
        assert!(claim.is_polar());
    }

    #[test]
    fn every_format_is_put_as_in_the_paper() {
        for (row, format, question, answer) in [
            (
                r#"{"question":" Who? ","answers":["Ann"],"kind":"person"}"#,
                Format::Question,
                "Who?",
                "Ann",
            ),
            (
                r#"{"statement":"It rains.","label":true,"doc":"a","page":1}"#,
                Format::Claim,
                "Is this statement true? It rains.",
                "true",
            ),
            (
                r#"{"entity":"Low Tern light","relation":"lantern height","answers":["19 m"],"doc":"a","page":3}"#,
                Format::Relation,
                "Low Tern light [SEP] lantern height Provide the answer corresponding to the relation.",
                "19 m",
            ),
            (
                r#"{"context":"The [START]pump[END] is oiled.","title":"The Handbook","doc":"a"}"#,
                Format::Title,
                "The [START]pump[END] is oiled. What is the title of the page about the mention \
                 between [START] and [END]?",
                "The Handbook",
            ),
        ] {
            let read = one(row);
            assert_eq!((read.format, read.question.as_str()), (format, question), "{row}");
            assert_eq!((read.answers[0].as_str(), read.expected), (answer, Expected::Answer));
        }
        let title = one(r#"{"context":"[START]x[END]","title":"T","doc":"a02"}"#);
        let document = GoldEvidence { document: Some("a02".to_owned()), page: None, text: None };
        assert_eq!(title.evidence, [document], "any page of it");
    }

    #[test]
    fn a_bad_row_is_named_by_line_and_reason() {
        let good = "{\"question\":\"Who?\",\"answers\":[\"A\"]}\n\n";
        for (row, expected) in [
            ("{\"question\":", "f.jsonl: line 3: EOF while parsing a value"),
            ("{\"answers\":[\"x\"]}", "f.jsonl: line 3: no `question`"),
            ("{\"question\":\" ? \"}", "f.jsonl: line 3: the question is empty"),
            (
                "{\"question\":\"Q\",\"doc\":\"a\",\"page\":1}",
                "f.jsonl: line 3: it names a document but no `answers`",
            ),
            (
                "{\"question\":\"Q\",\"answers\":[\"x\"],\"doc\":\"a\",\"page\":0}",
                "f.jsonl: line 3: pages count from 1",
            ),
            (
                "{\"question\":\"Q\",\"answers\":[\"x\"],\"docs\":[\"a\",\"b\"],\"pages\":[1]}",
                "f.jsonl: line 3: `docs` has 2 entries and `pages` 1",
            ),
            ("{\"statement\":\"S\"}", "f.jsonl: line 3: a claim needs a `label`, true or false"),
            ("{\"statement\":\"-\",\"label\":true}", "f.jsonl: line 3: the statement is empty"),
            (
                "{\"entity\":\"E\",\"answers\":[\"x\"]}",
                "f.jsonl: line 3: a relation needs `relation`",
            ),
            (
                "{\"relation\":\"R\",\"answers\":[\"x\"]}",
                "f.jsonl: line 3: a relation needs `entity`",
            ),
            (
                "{\"entity\":\"E\",\"relation\":\"R\",\"answers\":[\" \"]}",
                "f.jsonl: line 3: a relation needs `answers`",
            ),
            (
                "{\"context\":\"no mention\",\"title\":\"T\"}",
                "f.jsonl: line 3: a context needs a mention between `[START]` and `[END]`",
            ),
            (
                "{\"context\":\"[END]x[START]\",\"title\":\"T\"}",
                "f.jsonl: line 3: a context needs a mention between `[START]` and `[END]`",
            ),
            (
                "{\"context\":\"[START]x[END]\"}",
                "f.jsonl: line 3: a context needs the `title` that is asked for",
            ),
        ] {
            assert_eq!(message(&format!("{good}{row}")), expected);
        }
        assert_eq!(message(""), "f.jsonl: no questions in it");
        let twice = "{\"id\":\"a\",\"question\":\"Q\"}\n{\"id\":\"a\",\"question\":\"Q\"}";
        assert_eq!(message(twice), "f.jsonl: the id `a` occurs twice");
    }

    #[test]
    fn squad_gives_the_sentence_that_holds_the_answer() {
        let file = r#"{"version":"v2.0","data":[{"title":"T","paragraphs":[{"context":"Élan came first. The lamp is red. It burns.","qas":[
            {"id":"1","question":"Which colour? ","is_impossible":false,"answers":[{"text":"red","answer_start":29}]},
            {"id":"2","question":"How old?","is_impossible":true,"answers":[],"plausible_answers":[{"text":"red","answer_start":29}]}]}]}]}"#;
        let questions = parse_questions("squad.json", file).unwrap();
        assert_eq!(questions[0].evidence[0].text.as_deref(), Some("The lamp is red."));
        assert_eq!(questions[0].question, "Which colour?");
        assert_eq!(questions[1].expected, Expected::Refusal);
        assert!(questions[1].evidence.is_empty());
    }
}
