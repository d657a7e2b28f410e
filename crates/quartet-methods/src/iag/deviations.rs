//! Where an artefact leaves the paper (card, section 7, ledger (a) to (h)).

use quartet_types::{IagFeatures, IagForm, IagOptions, Imaginer, NamedOption};

/// Each by name, in force or not, and why. The letters are those of the ledger.
#[must_use]
pub fn deviations(options: &IagOptions) -> Vec<NamedOption> {
    let paper = IagOptions::published();
    let one = |name: &str, on: bool, why: &str| NamedOption {
        name: name.to_owned(),
        on,
        why: why.to_owned(),
    };
    vec![
        one(
            "(a) no alignment of attention",
            true,
            "a decoder and its teacher look back over texts of different lengths",
        ),
        one(
            "(b) distilled at the answer alone",
            true,
            "the prompts of teacher and student differ, only the answers correspond",
        ),
        one(
            "(c) low-rank feed-forward layers",
            options.feed_forward_rank > 0,
            "the paper trains these layers, norms and embeddings whole; their optimiser state \
             does not fit a desktop",
        ),
        one(
            "(d) whitening once and for all",
            true,
            "whitened batch by batch, as in the code, every pair of questions is equally far apart \
             and a single one has no features",
        ),
        one("(e) pads are not pooled", true, "there are none"),
        one(
            "(f) a network for each shape",
            true,
            "with grouped queries, queries and values have different shapes",
        ),
        one(
            "(g) a start beside the saddle",
            !options.tiny_start,
            "with all weights at a ten-millionth neither factor has a gradient",
        ),
        one(
            "(h) teacher and student are one base",
            true,
            "the paper fine-tunes a teacher of its own on the target set",
        ),
        one(
            "the base imagines too",
            options.imaginer == Imaginer::Base,
            "the paper has a model of its own for it, and so does the usual setting",
        ),
        one(
            "features of the question alone",
            options.features == IagFeatures::Question,
            "cheaper; costs the paper 3 %",
        ),
        one(
            "a bank of fixed adapters",
            options.form == IagForm::Bank,
            "restricted: no weights of their own for a question, only strengths; not IAG",
        ),
        one(
            "no distillation",
            !options.distillation,
            "without a teacher the paper loses 6 to 12 points",
        ),
        one(
            "cross-fitted wordings",
            options.cross_fit,
            "documents for the second part are written about wordings the imagine model was not \
             taught, as new questions are",
        ),
        one(
            "one artefact for both modes",
            options.closed_book,
            "questions are learnt with and without a document; the paper trains a model of its \
             own for the closed book",
        ),
        one(
            "a slower hypernetwork",
            true,
            "what it writes moves by the steps of all hidden units together; at the rate of the \
             feed-forward layers it diverged",
        ),
        one(
            "strength chosen",
            options.choose_strength,
            "learnt from few questions, weights may be too strong for others: 0 to 1, by the loss \
             of questions that were not trained on",
        ),
        one(
            "temperature not below 1",
            options.clamp_temperature,
            "from update 3,500 on the published schedule sharpens",
        ),
        one(
            "slots from 0 to 1",
            !options.raw_slots,
            "as raw numbers they are up to 47 times as large as all features together",
        ),
        one(
            "more hidden units",
            options.hidden > paper.hidden,
            "with eight, all questions share nine matrices",
        ),
        one(
            "smaller rank",
            options.rank < paper.rank,
            "an adapter of rank 32 takes four times as long to make and to load",
        ),
        one(
            "no dropout on frozen outputs",
            true,
            "a pass over a few hundred rows sees each of them a few times only",
        ),
        one(
            "the answer and its line break are learnt, not the prompt",
            true,
            "the code for decoders learns prompt tokens too",
        ),
    ]
}
