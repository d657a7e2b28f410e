//! A safe layer over llama.cpp: load, generate, embed, score.
//!
//! ```text
//! LoadRequest ─▶ quartet-gguf (header checks, digest, fit) ─▶ native::NativeModel
//!                                                                │
//! GenerationRequest ─▶ template ─▶ prompt ─▶ generate ◀── Turn ──┤
//! texts ─────────────────────────────────▶ embed    ◀── Turn ──┤
//! prompt + continuations ────────────────▶ score    ◀── Turn ──┤
//! PassageRequest ────────────────────────▶ passages ◀── Turn ──┘
//! ```
//!
//! Private knowledge enters a generation by four ports: rows of embeddings (`prompt`), LoRA
//! adapters (`adapters`), passages that some layers read (`passages`, `stored`) and taps that
//! read hidden states (`taps`). The last two look between the nodes of llama.cpp's graph
//! (`native::watch`, `native::reveal`), after a `census` of it.
//!
//! Requests to one model work at the same time: each that writes has a context of its own
//! (`pool`, `seat`), and their forward passes alternate in order of arrival (`queue`).
//!
//! Only the module `native` calls llama.cpp, and only it contains `unsafe`. Everything else
//! is ordinary Rust over [`Model`] and [`Turn`], one request's use of a model. The program
//! itself talks to [`serve_engine`] in a process of its own, because llama.cpp can abort;
//! using [`Model`] in the same process is for tests and for [`bench`].

#![deny(unsafe_op_in_unsafe_fn)]

mod adapters;
pub mod bench;
mod census;
mod embed;
mod generate;
mod likelihood;
mod model;
#[allow(unsafe_code, reason = "the one place that calls llama.cpp; each call says why it is sound")]
mod native;
mod passages;
mod pool;
mod probability;
mod prompt;
mod queue;
mod schema;
mod score;
mod seat;
mod stored;
mod taps;
mod template;
mod text;
mod tokens;
mod weights;
mod worker;

pub use embed::Embeddings;
pub use generate::never;
pub use model::{DEFAULT_CONTEXT, Model, Turn, check_fit};
pub use worker::{ENGINE_ENVIRONMENT, EngineHandler, EngineProtocol, serve_engine};

/// Version of llama.cpp as in
/// [`ModelDescription::engine_build`](quartet_types::ModelDescription::engine_build), without
/// loading a model.
#[must_use]
pub fn engine_build() -> String {
    native::build()
}
