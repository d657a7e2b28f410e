//! The engine against the trainer on tiny models of 32-bit floats: logits, rows and taps.
//!
//! The engine keeps keys and values as 16-bit floats and adds up values in that width, which
//! is most of what they differ by.

#![allow(clippy::print_stdout)]

mod agreement;
mod common;

use agreement::{
    Both, FAMILIES, Given, bound, largest_gap, last_row, letters, log_softmax, random_rows, raw,
    request, row_cosines, text,
};
use quartet_train::{Piece, values};
use quartet_types::{Prompt, Segment, Tap, TapPoint, TapRows, TapUse, TokenInput};

/// All logits of a prompt, and the log-probabilities that the engine itself makes of them.
fn assert_logits_agree(both: &Both, family: &str, what: &str, prompt: &Prompt) {
    let found = both.engine_logits(&request(prompt.clone()), TapRows::Prompt);
    let expected = both.trainer_logits(prompt, &Given::default());
    let gap = largest_gap(&found, &expected);
    let scores = both.scores(prompt, &letters(), &[]);
    let expected = log_softmax(last_row(&expected, common::VOCABULARY));
    let score_gap = largest_gap(&scores, &expected[3..]);
    println!("{family}, {what}: logits differ by {gap:.1e}, log-probabilities by {score_gap:.1e}");
    assert!(gap < bound(family), "{family}, {what}: logits differ by {gap}");
    assert!(score_gap < bound(family), "{family}, {what}: log-probabilities by {score_gap}");
}

#[test]
fn logits_are_the_same() {
    for family in FAMILIES {
        let both = Both::tiny(family);
        for (count, seed) in [(1, 1), (16, 2), (40, 3), (150, 4)] {
            let what = format!("{count} tokens");
            assert_logits_agree(&both, family, &what, &raw(&text(count, seed)));
        }
    }
}

#[test]
fn rows_among_tokens_are_the_same() {
    for family in FAMILIES {
        let both = Both::tiny(family);
        let (before, middle, after) = (text(9, 11), text(4, 12), text(7, 13));
        let tokens = raw(&format!("{before}{middle}{after}"));
        let with = |rows: Segment| {
            Prompt::Raw(vec![Segment::Text(before.clone()), rows, Segment::Text(after.clone())])
        };

        // Rows that tokens have: the same numbers on both sides, and exactly the token run.
        let input = TokenInput::Text { text: middle.clone(), special: false };
        let own = both.engine.token_embeddings(&input).unwrap();
        let all = both.ids(&middle);
        let ids = &all[all.len() - 4..];
        let theirs = values(both.trainer.embed(&[Piece::Tokens(ids)]).unwrap()).unwrap();
        assert_eq!(own.values, theirs, "{family}");
        let own = with(Segment::Embeddings(own));
        let logits =
            |prompt: &Prompt| both.engine_logits(&request(prompt.clone()), TapRows::Prompt);
        assert_eq!(logits(&own), logits(&tokens), "{family}");
        assert_eq!(
            both.trainer_logits(&own, &Given::default()),
            both.trainer_logits(&tokens, &Given::default()),
            "{family}"
        );

        // Rows that no token has, about as long as those of tokens.
        for (count, scale) in [(1, 0.6), (4, 0.6), (3, 2.0)] {
            let prompt = with(random_rows(common::WIDTH, count, scale, 14));
            let effect = largest_gap(last(&logits(&prompt)), last(&logits(&tokens)));
            assert!(effect > 3.0 * bound(family), "{family}, {count} rows: {effect}");
            assert_logits_agree(&both, family, &format!("{count} rows"), &prompt);
        }
    }
}

fn last(logits: &[f32]) -> &[f32] {
    last_row(logits, common::VOCABULARY)
}

#[test]
fn taps_read_the_same() {
    for family in FAMILIES {
        let both = Both::tiny(family);
        let tap = |point, layer| Tap { point, layer, stop_after: false };
        let points = [TapPoint::Query, TapPoint::Key, TapPoint::LayerOutput];
        let layers = (0..both.layers()).flat_map(|layer| points.map(|point| tap(point, layer)));
        let taps: Vec<Tap> = layers.chain([tap(TapPoint::FinalNorm, 0)]).collect();
        let prompt = raw(&text(40, 21));
        let mut asked = request(prompt.clone());
        asked.limits.max_tokens = 1;
        asked.taps =
            taps.iter().map(|tap| TapUse { tap: tap.clone(), rows: TapRows::Prompt }).collect();
        let found = both.generate(&asked).taps;
        let expected = both.pass(&prompt, &Given { taps: &taps, ..Given::default() }).taps;
        let (mut worst, mut widest) = (1f64, 0f32);
        for ((found, expected), tap) in found.iter().zip(expected).zip(&taps) {
            let expected = values(expected).unwrap();
            let (cosine, _) = row_cosines(&found.values, &expected, found.width as usize);
            assert!(cosine > 0.999, "{family} {tap:?}: cosine {cosine}");
            worst = worst.min(cosine);
            widest = widest.max(largest_gap(&found.values, &expected));
        }
        println!("{family}: smallest cosine {worst:.7}, largest difference {widest:.1e}");
        // Cosines this close would not see a wrong scale.
        assert!(widest < 2.0 * bound(family), "{family}: {widest}");
    }
}
