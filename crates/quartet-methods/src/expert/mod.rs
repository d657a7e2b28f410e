//! The domain expert: a small model that is taught a collection, for GAG to listen to.
//!
//! It first reads the collection's text (continued pretraining), then learns to answer
//! questions about it (fine-tuning), both by low-rank adaptation. The paper trains all weights
//! of its expert; here rank and time are bounded by a desktop (`DEVIATIONS`).
//!
//! | module | what it does |
//! |---|---|
//! | [`turns`] | the turn format a base model without chat template is taught |
//! | [`lessons`] | which passages are read, which are held out, which wordings are asked |
//! | [`recipe`] | how long and how strongly, for each preset |

pub mod lessons;
pub mod recipe;
pub mod turns;

pub use lessons::{Exchange, Lesson, Lessons, Wordings, in_passing};
pub use recipe::{ExpertRecipe, StageRecipe};
pub use turns::Turns;

/// Where this leaves the paper (GAG, section "domain expert"), and why.
pub const DEVIATIONS: &[(&str, &str)] = &[
    ("low-rank adapters instead of all weights", "optimiser state of all weights is 4 GB"),
    ("questions from the documents instead of a published set", "private documents have none"),
    ("text the untrained expert wrote is read along", "keeps everyday language from fading"),
];
