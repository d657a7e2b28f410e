//! SQuAD 2.0 files: `is_impossible` marks the unanswerable. They have no pages, so the evidence is
//! the sentence of the paragraph that holds the answer.

use crate::questions::{ExamQuestion, Expected, FORMAT_HINT, Format, GoldEvidence, bad};
use quartet_methods::text::sentences;
use quartet_types::Result;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Squad {
    data: Vec<SquadArticle>,
}

#[derive(Deserialize)]
struct SquadArticle {
    paragraphs: Vec<SquadParagraph>,
}

#[derive(Deserialize)]
struct SquadParagraph {
    context: String,
    qas: Vec<SquadQuestion>,
}

#[derive(Deserialize)]
struct SquadQuestion {
    id: String,
    question: String,
    #[serde(default)]
    answers: Vec<SquadAnswer>,
    #[serde(default)]
    is_impossible: bool,
}

#[derive(Deserialize)]
struct SquadAnswer {
    text: String,
    /// In characters.
    answer_start: usize,
}

pub(crate) fn squad(name: &str, whole: Value) -> Result<Vec<ExamQuestion>> {
    let squad: Squad = serde_json::from_value(whole)
        .map_err(|error| bad(name, format!("not SQuAD 2.0: {error}")).hint(FORMAT_HINT))?;
    let mut questions = Vec::new();
    for paragraph in squad.data.iter().flat_map(|article| &article.paragraphs) {
        for asked in &paragraph.qas {
            let expected = if asked.is_impossible { Expected::Refusal } else { Expected::Answer };
            let answers: Vec<String> = match expected {
                Expected::Refusal => Vec::new(),
                Expected::Answer => asked.answers.iter().map(|a| a.text.clone()).collect(),
            };
            if expected == Expected::Answer && answers.is_empty() {
                let message = format!("question `{}` has no answers", asked.id);
                return Err(bad(name, message).hint("SQuAD test files hold no answers; use dev."));
            }
            let sentence = asked
                .answers
                .first()
                .filter(|_| expected == Expected::Answer)
                .map(|answer| sentence_at(&paragraph.context, answer.answer_start));
            questions.push(ExamQuestion {
                id: asked.id.clone(),
                question: asked.question.trim().to_owned(),
                format: Format::Question,
                expected,
                answers,
                evidence: sentence
                    .map(|text| GoldEvidence { document: None, page: None, text: Some(text) })
                    .into_iter()
                    .collect(),
                kind: None,
                file: name.to_owned(),
            });
        }
    }
    Ok(questions)
}

/// The sentence around the character `place` of a paragraph.
fn sentence_at(paragraph: &str, place: usize) -> String {
    let byte = paragraph.char_indices().nth(place).map_or(paragraph.len(), |(byte, _)| byte);
    sentences(paragraph)
        .into_iter()
        .find(|range| range.end > byte)
        .map_or_else(|| paragraph.to_owned(), |range| paragraph[range].to_owned())
}
