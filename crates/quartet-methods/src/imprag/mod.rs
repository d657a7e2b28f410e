//! ImpRAG (Zhang et al. 2025, arXiv 2506.02279): nobody writes a query. The base model's own
//! bottom layers turn the prompt into a vector, and its middle layers read what that finds.
//!
//! ```text
//! layers 0..=b    prompt ──▶ query vector ──▶ nearest passages
//! layers b..=t    prompt and answer read the passages' keys and values
//! layers t+1..    prompt and answer alone
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | [`template`] | passages and prompts as the model reads them |
//! | [`vector`] | heads to vectors, inner products (section 3.2) |
//! | [`encoding`] | texts to vectors and states, in the trainer |
//! | [`retrieval`] | what retrieval learns: Eq. 3 and Eq. 5 |
//! | [`reading`] | what the reader learns: `J_gen` |
//! | [`whole`] | both together, through all layers |
//! | [`training`] | the training job, from files to an adapter |
//! | [`labels`] | which passages count as right for a query |
//! | [`formats`] | other rows than questions, made from the documents |
//! | [`recipe`] | how long and how strongly |
//! | [`threshold`] | from which score on there is an answer |
//! | [`setup`] | what an answer needs to know: layers, adapters, threshold |
//! | [`finding`] | from a question to passages, and what the controls put in their place |
//! | [`fitting`] | passages none longer than is agreed |

pub(crate) mod answering;
pub mod encoding;
pub mod finding;
pub mod fitting;
pub mod formats;
pub mod labels;
mod oracle;
pub mod reading;
pub mod recipe;
pub mod retrieval;
pub mod setup;
pub mod template;
pub mod threshold;
pub mod training;
pub mod vector;
pub mod whole;

pub use setup::Setup;
