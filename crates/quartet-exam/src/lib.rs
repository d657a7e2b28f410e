//! The exam: questions with known answers are put to every contestant (a method, or a method
//! with a part taken away as its control), and every answer is scored the same way. This is how
//! methods are judged, so nothing here is tuned to one.
//!
//! ```text
//! question files -> ExamQuestion -> Examinee -> QuestionResult -> Report (JSON, table)
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | [`questions`] | question files: our JSON lines (four formats) and SQuAD 2.0 |
//! | [`text`] | exact match, token F1, containment (normalised as SQuAD does) |
//! | [`ranking`] | nDCG, reciprocal rank, recall at k |
//! | [`result`] | one answer scored against its gold answers and gold pages |
//! | [`gold`] | which passages of a collection hold the gold evidence |
//! | [`retrieval`] | at which rank retrievers have them |
//! | [`bootstrap`] | confidence intervals |
//! | [`run`] | asks the questions; goes on where it was interrupted |
//! | [`report`] | the numbers in one JSON document |
//! | [`controls`] | what each control says of its method, in words |
//! | [`table`] | the report as plain text |
//!
//! How it counts. Every question counts: an error is a wrong answer. Exact match, F1 and
//! containment are means over *answerable* questions; an answerable question that is refused
//! scores 0. Unanswerable questions enter only abstention (and `combined_f1`, which scores
//! them 1 when refused and 0 otherwise, as SQuAD 2.0 does). The loss of the gold answer is a mean
//! over the answerable questions on which it could be measured. The crate opens no files: it is
//! given text and gives back text.

pub mod bootstrap;
pub mod controls;
mod differences;
pub mod evidence;
pub mod gold;
pub mod questions;
pub mod ranking;
pub mod report;
pub mod result;
pub mod retrieval;
pub mod run;
pub mod sample;
mod squad;
pub mod table;
pub mod text;

pub use evidence::DocumentNames;
pub use gold::gold_passages;
pub use questions::{ExamQuestion, Expected, Format, GoldEvidence, parse_questions};
pub use report::{About, Difference, Estimate, FormatFigures, Report};
pub use result::QuestionResult;
pub use retrieval::{RankedQuestion, RetrievalReport};
pub use run::{Examinee, Step, run};
pub use sample::sample;
