//! Imagination-augmented generation: a short document is imagined, weights are made for the
//! question, the base answers.
//!
//! ```text
//! question ─ imagine model ─▶ document ─┬─▶ prompt ───────────────────────────▶ base, answer
//!                                       └─▶ features ─ hypernetwork ─▶ weights ───┘
//! ```
//!
//! | module | what it does | card |
//! |---|---|---|
//! | [`template`] | what is read: by the imagine model, for features, for an answer | 2.2, 3.1, 5 |
//! | [`compress`] | passages squeezed into a document, token by token | 2.1 |
//! | [`imagining`] | the imagine model at work | 2.2, 5 |
//! | [`features`] | the base's states of a text, one vector | 3.1 |
//! | [`whitening`] | features that do not depend on what is beside them | 3.1 |
//! | [`hypernetwork`] | from features to low-rank changes, plain numbers | 3.2 |
//! | [`bank`] | the restricted variant: strengths of fixed adapters | 8 |
//! | [`objective`] | the same in a graph, and the loss | 4 |
//! | [`teacher`] | what the teacher saw, kept | 4, 7 |
//! | [`training`] | what the trainer is asked, and does | 7 |
//! | [`recipe`] | how long, how strongly | 4, 10 |
//! | [`answering`] | plan and answer, with a part taken away for a control | 5 |

pub mod answering;
pub mod bank;
pub mod compress;
mod deviations;
pub mod features;
pub mod hypernetwork;
pub mod imagining;
pub mod objective;
pub mod recipe;
mod shape;
pub mod strength;
pub mod teacher;
pub mod template;
pub mod training;
pub mod tuner;
pub mod whitening;

pub use deviations::deviations;
pub use objective::Maker;
pub use tuner::Tuner;
