//! Exams: question files in, report out, and nothing asked twice after an interruption.

use crate::Quartet;
use crate::answering::Answering;
use crate::models::write_atomically;
use async_trait::async_trait;
use quartet_exam::{About, DocumentNames, Examinee, QuestionResult, Report, Step, parse_questions};
use quartet_methods::Question;
use quartet_types::{Answer, AnswerEvent, Error, ErrorCode, Method, Result};
use sha2::Digest;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use tokio_util::sync::CancellationToken;

/// What to examine.
#[derive(Debug, Clone)]
pub struct ExamRequest {
    /// Question files.
    pub questions: Vec<PathBuf>,
    /// Methods, in the order of the report.
    pub methods: Vec<Method>,
    /// The collection that is asked about.
    pub collection: String,
    /// The base model; `None` takes the one chosen for this machine.
    pub base: Option<String>,
    /// Ask only so many questions: a fixed sample over all kinds.
    pub limit: Option<usize>,
    /// Seed of the sample.
    pub seed: u64,
    /// Forget what an interrupted run has answered.
    pub fresh: bool,
    /// Where the report goes, as JSON.
    pub report: Option<PathBuf>,
}

#[async_trait]
impl Examinee for Answering {
    async fn answer(
        &self,
        method: Method,
        question: &str,
        cancel: &CancellationToken,
    ) -> Result<Answer> {
        Self::answer(self, method, &Question::fresh(question), cancel, &mut |_| {}).await
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

        let answering = self
            .prepare(
                &request.methods,
                &request.collection,
                request.base.as_deref(),
                true,
                cancel,
                on_loading,
            )
            .await?;
        let fingerprint = match self.find_collection(&request.collection).await {
            Ok(collection) => Some(self.library.fingerprint(collection.id).await?),
            Err(error) if error.code == ErrorCode::NotFound => None,
            Err(error) => return Err(error),
        };
        let model = answering.model();
        hash.update(format!(
            "{:?} {} {} {} {:?} {}",
            request.methods,
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

        let names = DocumentNames::default();
        let results = quartet_exam::run(
            &questions,
            &request.methods,
            &names,
            &answering,
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
                methods: request.methods.clone(),
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

/// An exam may take hours; that its report cannot be written should be known before.
fn check_writable(report: &std::path::Path) -> Result<()> {
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
