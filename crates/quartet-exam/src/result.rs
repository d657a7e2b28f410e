//! One answer, scored. A [`QuestionResult`] holds everything that is needed to score it again
//! without asking again.

use crate::bootstrap::to_f64;
use crate::evidence::{DocumentNames, Gold, pages};
use crate::questions::{ExamQuestion, Expected, Format};
use crate::ranking::{recall_at_k, reciprocal_rank};
use crate::text;
use quartet_types::{Answer, Contestant, Error, GagTrace, Outcome, RouteChoice};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};

/// What the general route is called in [`QuestionResult::route`].
pub const GENERAL: &str = "general";

/// A question, what a contestant answered, and the scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QuestionResult {
    /// The question's id.
    pub id: String,
    /// Who answered: a method, or one of its controls.
    pub method: Contestant,
    /// The question.
    pub question: String,
    /// Kind of answer, as the question file names it.
    pub kind: Option<String>,
    /// The question file.
    pub file: String,
    /// How the question is put.
    #[serde(default)]
    pub format: Format,
    /// What was expected.
    pub expected: Expected,
    /// Gold answers.
    pub answers: Vec<String>,
    /// What was answered, as shown; empty after an error.
    pub answer: String,
    /// Whether the method said that the documents do not hold the answer.
    pub refused: bool,
    /// What the model wrote before it was set aside.
    pub withheld: Option<String>,
    /// Why there is no answer. Counts as a wrong answer.
    pub error: Option<Error>,
    /// Scores, only for an answerable question; 0 where it was refused or failed.
    pub exact_match: Option<f64>,
    /// Token F1.
    pub f1: Option<f64>,
    /// Whether a gold answer is contained (for yes-no questions: whether the side is right).
    pub contains: Option<f64>,
    /// Mean negative log-probability of the gold answer, in nats per token: of several gold
    /// answers the best. None where there is no gold answer or it could not be measured.
    #[serde(default)]
    pub nll: Option<f64>,
    /// Share of the gold pages among the first five pages found. None where nothing was
    /// searched or the file names no evidence.
    pub recall_at_5: Option<f64>,
    /// The same for ten pages.
    pub recall_at_10: Option<f64>,
    /// One over the rank of the first gold page.
    pub reciprocal_rank: Option<f64>,
    /// Share of the cited pages that are gold; none where nothing was cited.
    pub citation_precision: Option<f64>,
    /// Pages found, best first, each once.
    pub retrieved: Vec<PageFound>,
    /// Pages cited.
    pub cited: Vec<PageFound>,
    /// Pages read by the model.
    pub read: Vec<PageFound>,
    /// Share of the answer's sentences that have support; none where it was refused.
    pub supported: Option<f64>,
    /// Calibrated probability that the documents hold the answer, and what it is made from.
    pub probability: Option<f32>,
    /// Features of the probability, by name.
    #[serde(default)]
    pub features: BTreeMap<String, f32>,
    /// From the question to the first character; none after an error.
    pub first_token_ms: Option<f64>,
    /// From the question to the end; none after an error.
    pub total_ms: Option<f64>,
    /// Finding passages, the question's vector included; none where nothing was searched.
    #[serde(default)]
    pub search_ms: Option<f64>,
    /// Reading the prompt, and passages from texts or files with it.
    #[serde(default)]
    pub prefill_ms: Option<f64>,
    /// Tokens the base model read.
    pub tokens_read: Option<u32>,
    /// Tokens the base model wrote.
    pub tokens_written: Option<u32>,
    /// Where the question went, for methods that choose: [`GENERAL`], or the domain's name.
    #[serde(default)]
    pub route: Option<String>,
    /// Choosing the route, in milliseconds.
    #[serde(default)]
    pub route_ms: Option<f64>,
    /// Whether the expert's states were kept from an earlier time. None on the general route,
    /// where the expert is not asked.
    #[serde(default)]
    pub expert_cached: Option<bool>,
    /// The expert's reading and writing, in milliseconds. None where it did neither: on the
    /// general route, and where its states were kept.
    #[serde(default)]
    pub expert_ms: Option<f64>,
    /// From the expert's states to the rows of the prompt, in milliseconds. None on the general
    /// route.
    #[serde(default)]
    pub project_ms: Option<f64>,
}

/// A page of a document in a result.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PageFound {
    /// Stem of the document's file name.
    pub document: String,
    /// Page, from 1.
    pub page: u32,
    /// Whether it is gold evidence of the question.
    pub gold: bool,
}

impl QuestionResult {
    /// Scores what a contestant gave. The loss is not in an answer: it stays none here.
    #[must_use]
    pub fn score(
        asked: &ExamQuestion,
        contestant: Contestant,
        given: &Result<Answer, Error>,
        names: &DocumentNames,
    ) -> Self {
        let mut result = Self::unanswered(asked, contestant);
        match given {
            Ok(answer) => result.fill(asked, answer, names),
            Err(error) => result.error = Some(error.clone()),
        }
        if asked.expected == Expected::Answer {
            let answer = if result.refused { "" } else { result.answer.as_str() };
            result.exact_match = Some(text::exact_match(answer, &asked.answers));
            result.f1 = Some(text::f1(answer, &asked.answers));
            result.contains = Some(if asked.is_polar() {
                text::same_polarity(answer, &asked.answers)
            } else {
                text::contains(answer, &asked.answers)
            });
        }
        result
    }

    fn unanswered(asked: &ExamQuestion, contestant: Contestant) -> Self {
        Self {
            id: asked.id.clone(),
            method: contestant,
            question: asked.question.clone(),
            kind: asked.kind.clone(),
            file: asked.file.clone(),
            format: asked.format,
            expected: asked.expected,
            answers: asked.answers.clone(),
            answer: String::new(),
            refused: false,
            withheld: None,
            error: None,
            exact_match: None,
            f1: None,
            contains: None,
            nll: None,
            recall_at_5: None,
            recall_at_10: None,
            reciprocal_rank: None,
            citation_precision: None,
            retrieved: Vec::new(),
            cited: Vec::new(),
            read: Vec::new(),
            supported: None,
            probability: None,
            features: BTreeMap::new(),
            first_token_ms: None,
            total_ms: None,
            search_ms: None,
            prefill_ms: None,
            tokens_read: None,
            tokens_written: None,
            route: None,
            route_ms: None,
            expert_cached: None,
            expert_ms: None,
            project_ms: None,
        }
    }

    fn fill(&mut self, asked: &ExamQuestion, answer: &Answer, names: &DocumentNames) {
        self.answer.clone_from(&answer.text);
        self.refused = answer.outcome == Outcome::NotInDocuments;
        self.withheld.clone_from(&answer.withheld);
        self.first_token_ms = Some(answer.timings.first_token_ms);
        self.total_ms = Some(answer.timings.total_ms);
        self.prefill_ms = Some(answer.timings.prefill_ms);
        self.tokens_read = Some(answer.usage.tokens_read);
        self.tokens_written = Some(answer.usage.tokens_written);
        if let Some(abstention) = &answer.abstention {
            self.probability = Some(abstention.probability);
            self.features = abstention.features.iter().cloned().collect();
        }
        if let Some(trace) = &answer.gag {
            self.fill_route(trace);
        }
        if !self.refused && !answer.sentences.is_empty() {
            let supported = answer.sentences.iter().filter(|s| s.support.is_some()).count();
            self.supported = Some(to_f64(supported) / to_f64(answer.sentences.len()));
        }

        let gold = Gold::new(&asked.evidence, names);
        let all: Vec<usize> = (0..answer.retrieved.len()).collect();
        let found = pages(answer, &all, &gold);
        let searched = answer.search.is_some() || answer.imprag.is_some();
        self.search_ms = searched.then_some(answer.timings.search_ms);
        if searched && gold.len() > 0 {
            let relevance = |most: usize| -> f64 {
                let brought: HashSet<usize> = found
                    .iter()
                    .take(most)
                    .flat_map(|(_, brought)| brought.iter().copied())
                    .collect();
                // Each piece of evidence counts once, on whichever page it was found.
                recall_at_k(&vec![true; brought.len()], gold.len(), brought.len())
            };
            self.recall_at_5 = Some(relevance(5));
            self.recall_at_10 = Some(relevance(10));
            let ranking: Vec<bool> = found.iter().map(|(page, _)| page.gold).collect();
            self.reciprocal_rank = Some(reciprocal_rank(&ranking));
        }
        let only_pages = |found: Vec<(PageFound, Vec<usize>)>| -> Vec<PageFound> {
            found.into_iter().map(|(page, _)| page).collect()
        };
        self.retrieved = only_pages(found);
        self.read = only_pages(pages(answer, &answer.read, &gold));
        self.cited = only_pages(pages(answer, &answer.used, &gold));
        if !self.refused && !self.cited.is_empty() && gold.len() > 0 {
            let right = self.cited.iter().filter(|page| page.gold).count();
            self.citation_precision = Some(to_f64(right) / to_f64(self.cited.len()));
        }
    }

    fn fill_route(&mut self, trace: &GagTrace) {
        self.route = Some(route_name(trace));
        self.route_ms = Some(trace.route_ms);
        if trace.route != RouteChoice::General {
            self.expert_cached = Some(trace.cached);
            self.expert_ms = (!trace.cached).then_some(trace.expert_ms);
            self.project_ms = Some(trace.project_ms);
        }
    }
}

/// The route in words. A domain is never called as the general route is, whatever its
/// collection is named.
fn route_name(trace: &GagTrace) -> String {
    let RouteChoice::Domain(collection) = trace.route else { return GENERAL.to_owned() };
    let name =
        trace.scores.iter().find(|score| score.route == trace.route).map(|score| &score.name);
    match name.map(String::as_str) {
        Some(GENERAL) => format!("{GENERAL} (collection {collection})"),
        Some(name) => name.to_owned(),
        None => format!("collection {collection}"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::questions::parse_questions;
    use quartet_types::{
        AnswerSentence, ChunkId, CollectionId, DocumentId, ErrorCode, Method, ModelId, PageNumber,
        PageSpan, Passage, RouteScore, SearchHit, SearchTrace, Support, Timings, Usage,
    };

    pub(crate) fn hit(path: &str, title: &str, page: u32, text: &str) -> SearchHit {
        SearchHit {
            passage: Passage {
                chunk: ChunkId(1),
                document: DocumentId(1),
                title: title.to_owned(),
                path: path.to_owned(),
                span: PageSpan { page: PageNumber(page), start: 0, end: 1 },
                heading: None,
                text: text.to_owned(),
            },
            score: 1.0,
            lexical: None,
            dense: None,
        }
    }

    pub(crate) fn answer(text: &str, hits: Vec<SearchHit>, used: Vec<usize>) -> Answer {
        Answer {
            id: None,
            question: String::new(),
            searched_question: None,
            method: Method::Rag,
            model: ModelId::from("m"),
            outcome: Outcome::Answered,
            text: text.to_owned(),
            withheld: None,
            sentences: vec![AnswerSentence {
                start: 0,
                end: 1,
                support: used.first().map(|&passage| Support {
                    passage,
                    document: DocumentId(1),
                    span: PageSpan { page: PageNumber(1), start: 0, end: 1 },
                    score: 0.9,
                }),
            }],
            read: (0..hits.len().min(2)).collect(),
            retrieved: hits,
            used,
            abstention: None,
            search: Some(SearchTrace::default()),
            timings: Timings { first_token_ms: 10.0, total_ms: 20.0, ..Timings::default() },
            usage: Usage { tokens_read: 100, tokens_written: 5, bytes_read: 400 },
            gag: None,
            imprag: None,
            iag: None,
            prompt: String::new(),
        }
    }

    /// A trace whose route is named `name`: the general one for `None`.
    pub(crate) fn trace(name: Option<&str>, cached: bool) -> GagTrace {
        let route = match name {
            Some(_) => RouteChoice::Domain(CollectionId(7)),
            None => RouteChoice::General,
        };
        let general = ("general", RouteChoice::General);
        let scores = name.map(|name| (name, route)).into_iter().chain([general]);
        GagTrace {
            route,
            scores: scores
                .map(|(name, route)| RouteScore { route, name: name.to_owned(), score: 0.5 })
                .collect(),
            pinned: false,
            background: String::new(),
            rows: 4,
            cached,
            expert: Usage::default(),
            route_ms: 3.0,
            expert_ms: 900.0,
            project_ms: 0.5,
        }
    }

    fn question(line: &str) -> ExamQuestion {
        parse_questions("f", line).unwrap().remove(0)
    }

    fn score(asked: &ExamQuestion, given: &Result<Answer, Error>) -> QuestionResult {
        QuestionResult::score(asked, Method::Rag.into(), given, &DocumentNames::default())
    }

    const ONE: &str =
        r#"{"id":"q","question":"How high?","answers":["47 metres","47 m"],"doc":"a01","page":3}"#;

    #[test]
    fn ranks_count_distinct_pages() {
        // Pages in order: b1 (twice), a2, a3 (gold, rank 3).
        let hits = vec![
            hit("b.pdf", "", 1, ""),
            hit("b.pdf", "", 1, ""),
            hit("a01.pdf", "", 2, ""),
            hit("a01.pdf", "", 3, ""),
        ];
        let result = score(&question(ONE), &Ok(answer("It is 47 metres high.", hits, vec![3, 0])));
        assert_eq!(result.recall_at_5, Some(1.0));
        assert_eq!(result.reciprocal_rank, Some(1.0 / 3.0));
        assert_eq!(result.citation_precision, Some(0.5));
        assert_eq!((result.exact_match, result.contains), (Some(0.0), Some(1.0)));
        assert_eq!(result.retrieved.len(), 3);
        assert_eq!(result.supported, Some(1.0));
    }

    #[test]
    fn several_documents_count_by_share() {
        let asked = question(
            r#"{"id":"m","question":"Q","answers":["x"],"docs":["a","b"],"pages":[1,2],"evidence":["s","t"]}"#,
        );
        let mut hits = vec![hit("b.pdf", "", 2, "")];
        hits.extend((10..18).map(|page| hit("c.pdf", "", page, "")));
        hits.push(hit("a.pdf", "", 1, ""));
        let result = score(&asked, &Ok(answer("x", hits, vec![])));
        assert_eq!((result.recall_at_5, result.recall_at_10), (Some(0.5), Some(1.0)));
        assert_eq!(result.reciprocal_rank, Some(1.0));
        assert_eq!(result.citation_precision, None);
    }

    #[test]
    fn a_refusal_of_an_answerable_question_scores_nothing() {
        let mut refusal = answer("Not in your documents: 47 metres.", vec![], vec![]);
        refusal.outcome = Outcome::NotInDocuments;
        let result = score(&question(ONE), &Ok(refusal.clone()));
        assert_eq!((result.contains, result.f1), (Some(0.0), Some(0.0)));
        assert!(result.refused);
        let unanswerable = score(&question(r#"{"id":"u","question":"How old?"}"#), &Ok(refusal));
        assert_eq!((unanswerable.contains, unanswerable.recall_at_5), (None, None));
    }

    #[test]
    fn an_error_is_a_wrong_answer() {
        let result = score(&question(ONE), &Err(Error::new(ErrorCode::WorkerDied, "gone")));
        assert_eq!((result.contains, result.refused), (Some(0.0), false));
        assert_eq!(result.total_ms, None);
    }

    fn routed(trace: GagTrace) -> QuestionResult {
        score(&question(ONE), &Ok(Answer { gag: Some(trace), ..answer("x", vec![], vec![]) }))
    }

    #[test]
    fn a_route_is_named_and_only_work_that_was_done_has_a_time() {
        let domain = routed(trace(Some("papers"), false));
        assert_eq!(domain.route.as_deref(), Some("papers"));
        assert_eq!(
            (domain.route_ms, domain.expert_ms, domain.project_ms, domain.expert_cached),
            (Some(3.0), Some(900.0), Some(0.5), Some(false))
        );
        let kept = routed(trace(Some("papers"), true));
        assert_eq!((kept.expert_ms, kept.expert_cached), (None, Some(true)));
        let general = routed(trace(None, false));
        assert_eq!(general.route.as_deref(), Some(GENERAL));
        assert_eq!((general.route_ms, general.expert_ms), (Some(3.0), None));
        assert_eq!((general.project_ms, general.expert_cached), (None, None));
        assert_eq!(score(&question(ONE), &Ok(answer("x", vec![], vec![]))).route, None);

        // A collection may be called anything.
        assert_ne!(routed(trace(Some("general"), false)).route.as_deref(), Some(GENERAL));
        let unnamed = GagTrace { scores: vec![], ..trace(Some("papers"), false) };
        assert_eq!(routed(unnamed).route.as_deref(), Some("collection 7"));
    }

    #[test]
    fn an_implicit_query_is_a_search() {
        let trace = quartet_types::ImpragTrace::default();
        let mut given = answer("47 m", vec![hit("a01.pdf", "", 3, "")], vec![0]);
        given.timings.search_ms = 7.0;
        (given.search, given.imprag) = (None, Some(trace));
        let result = score(&question(ONE), &Ok(given.clone()));
        assert_eq!((result.recall_at_5, result.search_ms), (Some(1.0), Some(7.0)));
        given.imprag = None;
        let result = score(&question(ONE), &Ok(given));
        assert_eq!((result.recall_at_5, result.search_ms), (None, None));
    }

    #[test]
    fn rows_of_earlier_reports_are_read() {
        let mut row = score(&question(ONE), &Ok(answer("47 m", vec![], vec![])));
        // Not known of rows from before these were noted.
        (row.search_ms, row.prefill_ms) = (None, None);
        let mut old = serde_json::to_value(&row).unwrap();
        assert_eq!(old["method"], "rag");
        for field in [
            "format",
            "nll",
            "search_ms",
            "prefill_ms",
            "route",
            "route_ms",
            "expert_cached",
            "expert_ms",
            "project_ms",
        ] {
            assert!(old.as_object_mut().unwrap().remove(field).is_some(), "{field}");
        }
        assert_eq!(serde_json::from_value::<QuestionResult>(old).unwrap(), row);
    }
}
