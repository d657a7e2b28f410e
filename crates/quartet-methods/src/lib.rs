//! The ways of answering, each a plan that fills a
//! [`GenerationRequest`](quartet_types::GenerationRequest).
//!
//! ```text
//! Question -> (follow-up made stand-alone) -> method's plan -> Reader -> Answer
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | [`ports`] | the traits a method is given: a reader and a searcher |
//! | [`none`] | the base model alone: the control for every other method |
//! | [`rag`] | retrieve, choose passages, quote them as data, answer |
//! | [`gag`] | a domain expert thinks, the base answers |
//! | [`iag`] | a document and weights are imagined for the question |
//! | [`imprag`] | the base model's own layers retrieve and read |
//! | [`expert`] | what a domain expert is taught and how |
//! | [`follow_up`] | a question that leans on the conversation becomes a stand-alone one |
//! | [`support`] | which span of which page supports each sentence of an answer |
//! | [`abstention`] | the calibrated probability that the documents hold an answer |
//! | [`text`] | words, stems and sentences as all of these see them |
//!
//! Invariant: nothing here opens a file, a database or a socket. Prompt templates and
//! coefficients are compiled in from `assets/`.

pub mod abstention;
pub mod expert;
pub mod follow_up;
pub mod gag;
pub mod iag;
pub mod imprag;
pub mod none;
mod options;
pub mod ports;
mod question;
pub mod rag;
mod run;
pub mod support;
pub mod text;
mod verdict;
mod writing;

pub use abstention::Calibration;
pub use options::Options;
pub use ports::{
    Experts, Imagination, Imagined, Implicit, NoExperts, NoImagination, NoImplicit, Ports, Reader,
    Searcher, States, Thought,
};
pub use question::{Question, Turn};
pub use run::{answer, likelihood};
