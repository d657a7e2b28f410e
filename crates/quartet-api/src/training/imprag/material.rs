//! From study material and passages to labelled queries.

use super::ImpragWork;
use crate::engine::BaseReader;
use crate::training::material::Material;
use crate::training::pace::{Detail, Pace};
use crate::training::plan::spread;
use quartet_methods::Searcher;
use quartet_methods::imprag::formats::rows_of;
use quartet_methods::imprag::labels::{Labels, label};
use quartet_methods::imprag::reading::ReadingRow;
use quartet_methods::imprag::template;
use quartet_methods::imprag::training::TrainingQuery;
use quartet_types::{ChunkId, Error, ErrorCode, Passage, ProgressUnit, Result};
use std::collections::{BTreeMap, HashMap};

/// Passages that a search finds for a label: the paper's ranks end at 50.
const LABELLED: usize = 50;
/// Queries that are only measured, at most, of each format.
pub(super) const MEASURED: usize = 80;
/// One in so many passages is only measured with, in formats made from it.
const HELD_OUT_ONE_IN: usize = 8;

/// A query as it was made, before it is split into tokens.
#[derive(Debug, Clone)]
pub(super) struct Made {
    pub(super) format: String,
    pub(super) input: String,
    pub(super) answer: String,
    /// Place of the passage that it was made from.
    pub(super) source: usize,
}

impl ImpragWork<'_> {
    /// Questions of the study material, and rows of other formats made from the passages:
    /// what is learnt and what is only measured.
    pub(super) fn queries(
        &self,
        material: &Material,
        passages: &[Passage],
    ) -> (Vec<Made>, Vec<Made>) {
        let (mut learnt, mut held_out) = (Vec::new(), Vec::new());
        let place_of: HashMap<ChunkId, usize> =
            passages.iter().enumerate().map(|(place, one)| (one.chunk, place)).collect();
        for wordings in &material.questions {
            // A passage that is studied is several that are searched: the one with the answer.
            let Some(first) = place_of.get(&wordings.chunk) else { continue };
            let source = holder(passages, *first, &wordings.answer);
            let made = |question: &String| Made {
                format: "question".to_owned(),
                input: question.clone(),
                answer: wordings.answer.clone(),
                source,
            };
            if wordings.natural.is_empty() {
                continue;
            }
            learnt.extend(wordings.trained.iter().chain(&wordings.listened).map(made));
            held_out.extend(wordings.held_out.iter().map(made));
        }
        let texts: Vec<&str> = passages.iter().map(|one| one.text.as_str()).collect();
        for (place, row) in rows_of(&texts, 3).into_iter().enumerate() {
            let Some(row) = row else { continue };
            let made = Made {
                format: row.format.to_owned(),
                input: row.input,
                answer: row.answer,
                source: place,
            };
            let is_held_out = place % HELD_OUT_ONE_IN == HELD_OUT_ONE_IN - 1;
            if is_held_out { held_out.push(made) } else { learnt.push(made) }
        }
        let mut kept: BTreeMap<String, usize> = BTreeMap::new();
        held_out.retain(|one| {
            let count = kept.entry(one.format.clone()).or_default();
            *count += 1;
            *count <= MEASURED
        });
        (learnt, held_out)
    }

    /// To try it out, a few will do.
    pub(super) fn few(&self, learnt: &mut Vec<Made>, held_out: &mut Vec<Made>) {
        if let Some(updates) = self.request.study.updates {
            let few = usize::try_from(updates).unwrap_or(usize::MAX).saturating_mul(8).max(16);
            *learnt = spread(learnt, few);
            *held_out = spread(held_out, few);
        }
    }

    /// Which passages are right for each query.
    pub(super) async fn label(
        &self,
        made: &[Made],
        passages: &[Passage],
        bodies: &[String],
        tokens: &Tokens<'_>,
        pace: &Pace<'_>,
    ) -> Result<Vec<TrainingQuery>> {
        let stop = self.lease.stop();
        let place_of: HashMap<ChunkId, usize> =
            passages.iter().enumerate().map(|(place, one)| (one.chunk, place)).collect();
        let prompts: Vec<String> =
            made.iter().map(|one| template::prompt_text(&one.input)).collect();
        let answers: Vec<String> =
            made.iter().map(|one| format!(" {}{}", one.answer.trim(), template::STOP)).collect();
        let (prompts, answers) = (tokens.of(&prompts).await?, tokens.of(&answers).await?);
        let searcher = self.quartet.searcher_of(self.collection.id, stop).await?;
        let mut labelled = Vec::with_capacity(made.len());
        for (at, (one, (prompt, answer))) in
            made.iter().zip(prompts.into_iter().zip(answers)).enumerate()
        {
            let (hits, _) = searcher.search(&one.input, LABELLED, stop).await?;
            let found: Vec<usize> =
                hits.iter().filter_map(|hit| place_of.get(&hit.passage.chunk).copied()).collect();
            let how = match one.format.as_str() {
                "question" if self.request.published_labels => Labels::Published,
                // What a row was made from is its passage.
                _ => Labels::Sourced,
            };
            let query = label(prompt, &one.answer, one.source, &found, bodies, how);
            labelled.push(TrainingQuery { query, answer });
            if at % 16 == 0 {
                let total = made.len() as u64;
                pace.tell(at as u64, total, ProgressUnit::Questions, Detail::Nothing).await;
            }
        }
        Ok(labelled)
    }

    /// Rows that are answered from their own prompt (generation alone).
    pub(super) async fn reading_rows(
        &self,
        passages: &[Passage],
        tokens: &Tokens<'_>,
    ) -> Result<Vec<ReadingRow>> {
        let mut made = Vec::new();
        let texts: Vec<&str> = passages.iter().map(|one| one.text.as_str()).collect();
        let rows = rows_of(&texts, 4);
        for (passage, row) in passages.iter().zip(rows).step_by(3) {
            made.extend(row.map(|row| (row.input, row.answer)));
            // Summarising: what a passage stands under says what it is about.
            if let Some(heading) = passage.heading.as_ref().filter(|one| one.len() > 8) {
                let input = format!("{} Summarise this in a few words.", passage.text);
                made.push((input, heading.clone()));
            }
        }
        let prompts: Vec<String> =
            made.iter().map(|(input, _)| template::prompt_text(input)).collect();
        let answers: Vec<String> =
            made.iter().map(|(_, answer)| format!(" {answer}{}", template::STOP)).collect();
        let (prompts, answers) = (tokens.of(&prompts).await?, tokens.of(&answers).await?);
        let rows = prompts.into_iter().zip(answers);
        Ok(rows
            .map(|(prompt, answer)| ReadingRow { prompt, passages: Vec::new(), answer })
            .collect())
    }
}

/// The passage from `first` on that holds an answer: one that is studied is several that are
/// searched, all of one page.
fn holder(passages: &[Passage], first: usize, answer: &str) -> usize {
    let start = &passages[first];
    let same = |one: &&Passage| {
        one.document == start.document
            && one.span.page == start.span.page
            && one.heading == start.heading
    };
    let near = passages[first..].iter().take_while(same).position(|one| one.text.contains(answer));
    near.map_or(first, |offset| first + offset)
}

/// The base's own tokens.
pub(super) struct Tokens<'a> {
    pub(super) reader: &'a BaseReader,
}

impl Tokens<'_> {
    pub(super) async fn of(&self, texts: &[String]) -> Result<Vec<Vec<u32>>> {
        let all = self.reader.tokens(texts).await?;
        if all.iter().any(Vec::is_empty) {
            return Err(Error::new(ErrorCode::InvalidInput, "a passage or a question is empty"));
        }
        Ok(all)
    }
}
