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
//! | [`setup`] | what an answer needs to know: layers, adapters, threshold |

pub mod setup;
pub mod template;
pub mod vector;

pub use setup::Setup;
