//! Generation-augmented generation: a domain expert thinks, the base answers.
//!
//! ```text
//! question ─ router ─┬─ general ──────────────────────────────▶ base, unchanged
//!                    └─ domain: expert writes, its hidden states are pooled,
//!                       mixed and projected ─▶ rows in the prompt ─▶ base
//! ```
//!
//! | module | what it does | card |
//! |---|---|---|
//! | [`router`] | prototypes, scores, margin | 5 |
//! | [`memory`] | which states, segments, pooling, normalisation | 3b, 3c |
//! | [`projector`] | mix of layers and projector, plain numbers | 4b, 4c |
//! | [`objective`] | the same in a graph, and the loss | 4e |
//! | [`answering`] | plan and answer, with a part taken away for a control | 4a, 8 |
//! | [`recipe`] | how long, how strongly | 4f |
//! | [`training`] | what the trainer is asked, and does | 4f |

pub mod answering;
pub mod memory;
pub mod objective;
pub mod projector;
pub mod recipe;
pub mod router;
pub mod training;

pub use answering::Listener;

use quartet_types::{GagForm, GagOptions, NamedOption, RouterForm, SlotPooling};

/// Where an artefact leaves the paper, each by name, in force or not, and why.
#[must_use]
pub fn deviations(options: &GagOptions) -> Vec<NamedOption> {
    let form = options.form;
    let paper = GagOptions::published(form);
    let one = |name: &str, on: bool, why: &str| NamedOption {
        name: name.to_owned(),
        on,
        why: why.to_owned(),
    };
    let pooling = match options.pooling {
        _ if form == GagForm::OneToken => false,
        SlotPooling::NormSoftmax { temperature } => temperature != 1.0,
        SlotPooling::ScaledNormSoftmax | SlotPooling::Mean => true,
    };
    vec![
        one(
            "channels standardised",
            options.standardise,
            "one channel of a small expert holds most of the energy; without this all questions \
             look alike to the projector",
        ),
        one(
            "rows as long as token rows",
            options.match_scale,
            "fresh rows of the paper are about thirty times as long as a small base's tokens",
        ),
        one(
            "cross-fitted wordings",
            options.cross_fit,
            "the projector learns from wordings the expert was not taught, as new questions are",
        ),
        one(
            "neighbours instead of prototypes",
            options.router == RouterForm::Neighbours,
            "vectors of a small decoder tell the form of a question and not its subject; the \
             embedder's, with every question, chunk and sentence kept, tell both",
        ),
        one(
            "softer pooling",
            pooling,
            "a softmax over lengths of thousands keeps one token of each segment alone",
        ),
        one(
            "short background",
            options.background_tokens < paper.background_tokens,
            "a small expert says what it knows in its first sentence and then repeats itself",
        ),
        one(
            "bare question for the expert",
            true,
            "it has no system turn and was taught to answer, so it is asked and not instructed",
        ),
        one(
            "sentence vectors by our embedder",
            options.semantic > 0.0,
            "the semantic loss compares with the embedder that is there instead of SciBERT",
        ),
        one(
            "best evaluation is kept",
            true,
            "the paper serves its last checkpoint and never looks at held-out questions",
        ),
        one("low-rank expert", true, "optimiser state of all weights does not fit a desktop"),
    ]
}
