//! Exams: question files in, report out, and nothing asked twice after an interruption.

use crate::Quartet;
use crate::answering::Answering;
use crate::models::write_atomically;
use async_trait::async_trait;
use quartet_exam::{
    About, DocumentNames, ExamQuestion, Examinee, QuestionResult, Report, Step, gold_passages,
    parse_questions,
};
use quartet_methods::Question;
use quartet_types::{Answer, AnswerEvent, Contestant, Control, Error, ErrorCode, Result};
use sha2::Digest;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use tokio_util::sync::CancellationToken;

/// What to examine.
#[derive(Debug, Clone)]
pub struct ExamRequest {
    /// Question files.
    pub questions: Vec<PathBuf>,
    /// Methods and controls, in the order of the report; the first is what the others are
    /// compared with. One that comes twice is examined once.
    pub methods: Vec<Contestant>,
    /// The collection that is asked about.
    pub collection: String,
    /// The base model; `None` takes the one chosen for this machine.
    pub base: Option<String>,
    /// For GAG: the route of every question; `None` leaves it to the router.
    pub route: Option<quartet_types::RouteChoice>,
    /// Ask only so many questions: a fixed sample over all kinds.
    pub limit: Option<usize>,
    /// Seed of the sample.
    pub seed: u64,
    /// Forget what an interrupted run has answered.
    pub fresh: bool,
    /// Where the report goes, as JSON.
    pub report: Option<PathBuf>,
}

/// Passages of gold evidence that the oracle control is given, at most: as many as are read.
const GIVEN: usize = 10;

/// Whoever answers, with the gold evidence of each question for the control that reads it.
struct Sitting {
    answering: Answering,
    evidence: HashMap<String, Vec<String>>,
}

#[async_trait]
impl Examinee for Sitting {
    async fn answer(
        &self,
        contestant: Contestant,
        question: &ExamQuestion,
        cancel: &CancellationToken,
    ) -> Result<Answer> {
        let given = match contestant.control {
            Some(Control::Oracle) => self.evidence.get(&question.id).map_or(&[][..], Vec::as_slice),
            _ => &[],
        };
        let question = Question::fresh(question.question.clone());
        self.answering.answer_given(contestant, &question, given, cancel, &mut |_| {}).await
    }

    async fn likelihood(
        &self,
        contestant: Contestant,
        question: &str,
        answers: &[String],
        cancel: &CancellationToken,
    ) -> Result<Option<f64>> {
        self.answering.likelihood(contestant, question, answers, cancel).await
    }
}

impl Quartet {
    /// Runs an exam. An interrupted one goes on where it stopped, if questions, methods,
    /// models and documents are the same.
    ///
    /// # Errors
    /// `BadFile` with the line of a malformed question; whatever stops every answer alike.
    pub async fn exam(
        &self,
        request: &ExamRequest,
        cancel: &CancellationToken,
        on_loading: &mut (dyn FnMut(AnswerEvent) + Send),
        on_step: &mut (dyn FnMut(Step<'_>) + Send),
    ) -> Result<Report> {
        let mut questions = Vec::new();
        let mut hash = sha2::Sha256::new();
        for path in &request.questions {
            let text = fs::read_to_string(path).map_err(|error| Error::from_io(&error, path))?;
            hash.update(&text);
            questions.extend(parse_questions(&path.display().to_string(), &text)?);
        }
        let asked_of = questions.len();
        if let Some(limit) = request.limit {
            questions = quartet_exam::sample(questions, limit, request.seed);
        }
        if let Some(report) = &request.report {
            check_writable(report)?;
        }

        let contestants = each_once(request.methods.iter().copied());
        let methods = each_once(contestants.iter().map(|contestant| contestant.method));
        let answering = self
            .prepare(
                &methods,
                &request.collection,
                request.base.as_deref(),
                true,
                cancel,
                on_loading,
            )
            .await?
            .with_route(request.route);
        let fingerprint = match self.find_collection(&request.collection).await {
            Ok(collection) => Some(self.library.fingerprint(collection.id).await?),
            Err(error) if error.code == ErrorCode::NotFound => None,
            Err(error) => return Err(error),
        };
        let names = DocumentNames::default();
        let needs_evidence = contestants.iter().any(|one| one.control == Some(Control::Oracle));
        let evidence = if needs_evidence {
            self.evidence_of(&questions, &request.collection, &names).await?
        } else {
            HashMap::new()
        };
        let sitting = Sitting { answering, evidence };
        let answering = &sitting.answering;
        let model = answering.model();
        let who: Vec<String> = contestants.iter().map(ToString::to_string).collect();
        hash.update(format!(
            "{} {} {} {} {:?} {}",
            who.join(","),
            answering.recipe(),
            model.model,
            model.engine_build,
            fingerprint,
            env!("CARGO_PKG_VERSION")
        ));
        let key: String =
            hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let partial = self.paths.data.join("exams").join(format!("{key}.jsonl"));
        let done = if request.fresh { Vec::new() } else { read_rows(&partial) };
        let mut keep = Rows::open(&partial, &done)?;

        let results = quartet_exam::run(
            &questions,
            &contestants,
            &names,
            &sitting,
            done,
            &mut |step| {
                keep.append(step.result)?;
                on_step(step);
                Ok(())
            },
            cancel,
        )
        .await?;

        let report = Report::new(
            results,
            About {
                files: request.questions.iter().map(|path| path.display().to_string()).collect(),
                methods: contestants,
                models: BTreeMap::from([("base".to_owned(), model.model.to_string())]),
                collection: fingerprint,
                commit: option_env!("QUARTET_COMMIT").map(str::to_owned),
                machine: Some(crate::doctor::machine_in_words()),
                date: None,
                sample: request
                    .limit
                    .map(|limit| format!("{limit} of {asked_of}, seed {}", request.seed)),
                notes: Vec::new(),
            },
        );
        if let Some(path) = &request.report {
            let bytes = serde_json::to_vec_pretty(&report)
                .map_err(|error| Error::internal(error.to_string()))?;
            write_atomically(path, &bytes)?;
        }
        // Whole: the next exam of this key starts over.
        let _ = fs::remove_file(&partial);
        Ok(report)
    }
}

impl Quartet {
    /// The texts of the passages that hold the gold evidence, by question.
    async fn evidence_of(
        &self,
        questions: &[ExamQuestion],
        collection: &str,
        names: &DocumentNames,
    ) -> Result<HashMap<String, Vec<String>>> {
        let collection = self.find_collection(collection).await?;
        let passages = self.library.all_passages(collection.id).await?;
        let texts = |question: &ExamQuestion| {
            let gold = gold_passages(question, &passages, names);
            let texts = gold.into_iter().take(GIVEN).map(|passage| passage.text.clone());
            (question.id.clone(), texts.collect())
        };
        Ok(questions.iter().map(texts).collect())
    }
}

/// The items in order, each where it comes first.
fn each_once<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut once = Vec::new();
    for item in items {
        if !once.contains(&item) {
            once.push(item);
        }
    }
    once
}

/// An exam may take hours; that its report cannot be written should be known before.
pub(crate) fn check_writable(report: &std::path::Path) -> Result<()> {
    let folder = report.parent().filter(|folder| !folder.as_os_str().is_empty());
    match folder {
        Some(folder) if !folder.is_dir() => {
            Err(Error::new(ErrorCode::NotFound, "the folder of the report does not exist")
                .hint("Make the folder first, or choose another place with --report.")
                .about_path(folder))
        }
        _ => Ok(()),
    }
}

/// Rows of an interrupted run; a line cut by a crash is left out.
fn read_rows(path: &std::path::Path) -> Vec<QuestionResult> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

struct Rows {
    file: fs::File,
    path: PathBuf,
}

impl Rows {
    fn open(path: &std::path::Path, done: &[QuestionResult]) -> Result<Self> {
        let failed = |error: std::io::Error| Error::from_io(&error, path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        // Written anew, so that a line cut by a crash does not stay in the middle.
        let mut rows =
            Self { file: fs::File::create(path).map_err(failed)?, path: path.to_owned() };
        for row in done {
            rows.append(row)?;
        }
        Ok(rows)
    }

    fn append(&mut self, row: &QuestionResult) -> Result<()> {
        let mut line =
            serde_json::to_vec(row).map_err(|error| Error::internal(error.to_string()))?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(|error| Error::from_io(&error, &self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quartet_types::Method;

    #[test]
    fn a_method_is_prepared_once_however_many_of_its_controls_are_asked_for() {
        let asked = ["none", "gag", "gag:zero", "gag", "gag:shuffled", "gag:zero"]
            .map(|name| name.parse::<Contestant>().unwrap());
        let contestants = each_once(asked.into_iter());
        let names: Vec<String> = contestants.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["none", "gag", "gag:zero", "gag:shuffled"]);
        let methods = each_once(contestants.iter().map(|contestant| contestant.method));
        assert_eq!(methods, [Method::None, Method::Gag]);
    }
}
