//! Probabilities, vectors and counts, on models of a few thousand weights.

mod common;

use common::{cosine, generate, raw, refused, request, tiny, with_model};
use quartet_llm::Model;
use quartet_types::{
    ErrorCode, GenerationRequest, Grammar, PerplexityRequest, Prompt, Sampling, TokenInput,
};

/// A prompt that the model goes on with a printable character which is one token, and that
/// character.
fn with_plain_first_token(model: &Model) -> (Prompt, String) {
    ('a'..='z')
        .find_map(|letter| {
            let prompt = raw(&format!("the {letter}"));
            let text = generate(model, &request(prompt.clone(), 1)).0.text;
            let turn = model.turn(&quartet_llm::never()).unwrap();
            let tokens = turn.score(&prompt, std::slice::from_ref(&text), &[]).unwrap()[0].len();
            // Letters of the merges would not tell one token from another.
            let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric());
            let plain = plain && text.len() == 1 && !"helow".contains(&text);
            (plain && tokens == 1).then_some((prompt, text))
        })
        .expect("no prompt leads to a printable character")
}

#[test]
fn an_avoided_reply_never_comes_first_and_its_probability_is_told() {
    with_model(&tiny::generator(), |model| {
        let (prompt, likeliest) = with_plain_first_token(model);
        let free = generate(model, &request(prompt.clone(), 1)).0;
        assert_eq!((free.text.as_str(), free.avoided_log_probability), (&*likeliest, None));
        let close = |left: f32, right: f32| assert!((left - right).abs() < 1e-4, "{left} {right}");

        let mut avoiding = request(prompt.clone(), 1);
        // Only the first token counts, and named twice it counts once.
        avoiding.avoid_first = vec![likeliest.clone(), format!("{likeliest}{likeliest}")];
        let avoided = generate(model, &avoiding).0;
        assert_ne!(avoided.text, likeliest);
        close(avoided.avoided_log_probability.unwrap(), free.token_log_probabilities[0]);
        // What is written instead keeps its probability in the unmodified distribution.
        assert!(avoided.token_log_probabilities[0] <= free.token_log_probabilities[0]);

        // Of several replies the probabilities add up.
        let pair = [likeliest.clone(), "~".to_owned()];
        let turn = model.turn(&quartet_llm::never()).unwrap();
        let scores = turn.score(&prompt, &pair, &[]).unwrap();
        avoiding.avoid_first = pair.to_vec();
        let sum = (scores[0][0].exp() + scores[1][0].exp()).ln();
        close(generate(model, &avoiding).0.avoided_log_probability.unwrap(), sum);

        // Drawn at random it comes first now and then, but never when it is avoided.
        avoiding.avoid_first = vec![likeliest.clone()];
        let mut drawn_free = 0;
        for seed in 0..400 {
            let sampling = Sampling { temperature: 1.0, seed, ..Sampling::greedy() };
            let free = GenerationRequest { sampling, ..request(prompt.clone(), 1) };
            drawn_free += u32::from(generate(model, &free).0.text == likeliest);
            let avoiding = GenerationRequest { sampling: free.sampling, ..avoiding.clone() };
            assert_ne!(generate(model, &avoiding).0.text, likeliest, "seed {seed}");
        }
        assert!(drawn_free > 0, "the seeds never draw it");

        // Later it may come: a model that can write nothing else still writes it second.
        avoiding.grammar = Some(Grammar::Gbnf(format!("root ::= [~] \"{likeliest}\"")));
        avoiding.limits.max_tokens = 5;
        assert_eq!(generate(model, &avoiding).0.text, format!("~{likeliest}"));
    });
}

#[test]
fn scores_are_the_probabilities_of_writing_the_same() {
    with_model(&tiny::generator(), |model| {
        let (written, _) = generate(model, &request(raw("the lamp"), 40));
        let turn = model.turn(&quartet_llm::never()).unwrap();
        let texts = [written.text.clone(), String::new(), "zz".to_owned(), written.text.clone()];
        let scores = turn.score(&raw("the lamp"), &texts, &[]).unwrap();
        assert_eq!(scores[1], Vec::<f32>::new());
        assert_eq!(scores[2].len(), 2);
        assert_eq!(scores[0], scores[3], "what came between must not matter");
        // Only when the text splits into the very tokens that were written.
        if scores[0].len() == written.written_tokens as usize {
            for (score, logged) in scores[0].iter().zip(&written.token_log_probabilities) {
                assert!((score - logged).abs() < 2e-2, "{score} {logged}");
            }
        }
    });
}

#[test]
fn the_probabilities_of_all_single_bytes_add_up() {
    with_model(&tiny::generator(), |model| {
        let turn = model.turn(&quartet_llm::never()).unwrap();
        let letters: Vec<String> = (b'!'..=b'~').map(|byte| char::from(byte).to_string()).collect();
        let scores = turn.score(&raw("hello"), &letters, &[]).unwrap();
        let sum: f64 = scores.iter().map(|score| f64::from(score[0]).exp()).sum();
        assert!(sum > 0.05 && sum < 1.0, "{sum}");
    });
}

#[test]
fn vectors_have_unit_length_and_do_not_depend_on_company() {
    with_model(&tiny::embedder(), |model| {
        let turn = model.turn(&quartet_llm::never()).unwrap();
        let texts: Vec<String> = (0..150)
            .map(|index| "the lighthouse lamp . ".repeat(1 + index % 40) + &"sea".repeat(index % 3))
            .collect();
        let together = turn.embed(&texts).unwrap();
        let width = together.width as usize;
        assert_eq!((width, together.values.len()), (32, 32 * texts.len()));
        for (index, text) in texts.iter().enumerate().step_by(7) {
            let alone = turn.embed(std::slice::from_ref(text)).unwrap();
            let row = &together.values[index * width..][..width];
            assert!((row.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-4);
            let gap = row.iter().zip(&alone.values).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
            assert!(gap < 1e-3, "text {index} differs by {gap}");
        }
        assert!(turn.embed(&[]).unwrap().values.is_empty());
        let empty = turn.embed(&[String::new(), "the sea".to_owned()]).unwrap();
        assert!(cosine(&empty.values[..32], &empty.values[32..]) < 0.9999);
    });
}

#[test]
fn a_text_that_does_not_fit_is_named() {
    with_model(&tiny::embedder(), |model| {
        let turn = model.turn(&quartet_llm::never()).unwrap();
        let texts = ["the sea".to_owned(), "sea ".repeat(520)];
        let error = turn.embed(&texts).unwrap_err();
        assert_eq!(error.code, ErrorCode::PromptTooLong);
        // 520 words between the tokens that begin and end a text.
        assert!(error.message.contains("text 1 ") && error.message.contains("10 more"), "{error}");
    });
}

#[test]
fn tokens_are_counted_as_the_model_counts_them() {
    let count = |model: &Model, texts: &[&str]| {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        model.count_tokens(&texts, &quartet_llm::never()).unwrap()
    };
    with_model(&tiny::embedder(), |model| {
        // Case does not matter; an unknown word is one token; `##house` is an ending.
        assert_eq!(count(model, &["", "The lamp.", "lighthouse", "ab", "☃"]), [0, 3, 2, 2, 1]);
    });
    with_model(&tiny::generator(), |model| {
        assert_eq!(count(model, &["", "hello", "hell", "☃", "<|im_end|>"]), [0, 1, 1, 3, 10]);
    });
}

#[test]
fn each_kind_of_model_refuses_the_work_of_the_other() {
    with_model(&tiny::embedder(), |model| {
        let error = refused(model, &request(raw("the sea"), 4));
        assert_eq!(error.code, ErrorCode::InvalidInput);
        assert!(error.message.contains("embedding model"), "{error}");
    });
    with_model(&tiny::generator(), |model| {
        let error =
            model.turn(&quartet_llm::never()).unwrap().embed(&["a".to_owned()]).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidInput);
    });
}

fn perplexity_of(text: &str, window: Option<u32>, overlap: u32) -> PerplexityRequest {
    PerplexityRequest {
        model: "test".into(),
        input: TokenInput::Text { text: text.to_owned(), special: false },
        window,
        overlap,
        adapters: Vec::new(),
    }
}

#[test]
fn a_text_is_as_probable_as_writing_it() {
    for (file, start) in [(tiny::generator(), 0), (tiny::gemma(), 1)] {
        with_model(&file, |model| {
            let text = "the light of the lamp on the sea ".repeat(8);
            let turn = model.turn(&quartet_llm::never()).unwrap();
            let whole = turn.perplexity(&perplexity_of(&text, None, 1)).unwrap();
            let ids = model
                .tokenise(std::slice::from_ref(&text), false, &quartet_llm::never())
                .unwrap()
                .concat();
            assert_eq!(whole.count as usize, ids.len() - 1 + start);
            assert_eq!(whole.count as usize, whole.log_probabilities.len());
            let sum: f64 = whole.log_probabilities.iter().map(|value| f64::from(*value)).sum();
            assert_eq!(sum, whole.sum);
            let by_ids =
                PerplexityRequest { input: TokenInput::Ids(ids), ..perplexity_of("", None, 1) };
            assert_eq!(turn.perplexity(&by_ids).unwrap(), whole);

            // The same by scoring the rest after the first character.
            let (first, rest) = text.split_at(1);
            let rest = rest.to_owned();
            let scores = turn.score(&raw(first), std::slice::from_ref(&rest), &[]).unwrap();
            let own = &whole.log_probabilities[start..];
            assert_eq!(own.len(), scores[0].len());
            for (own, score) in own.iter().zip(&scores[0]) {
                assert!((own - score).abs() < 2e-2, "{own} {score}");
            }

            // In windows every token still counts once.
            for (window, overlap) in [(64, 1), (64, 32), (100, 98), (8, 0)] {
                let cut = turn.perplexity(&perplexity_of(&text, Some(window), overlap)).unwrap();
                assert_eq!(cut.count, whole.count, "{window} {overlap}");
                assert!(cut.sum.is_finite() && cut.sum < 0.0);
                assert_ne!(cut.sum, whole.sum);
            }
        });
    }
}

#[test]
fn texts_and_windows_that_leave_nothing_to_measure_are_refused() {
    with_model(&tiny::generator(), |model| {
        let turn = model.turn(&quartet_llm::never()).unwrap();
        for bad in [
            perplexity_of("", None, 1),
            perplexity_of("z", None, 1),
            perplexity_of("the lamp", Some(1), 1),
            perplexity_of("the lamp", Some(16), 16),
            PerplexityRequest {
                input: TokenInput::Ids(vec![1, 999]),
                ..perplexity_of("", None, 1)
            },
        ] {
            assert_eq!(turn.perplexity(&bad).unwrap_err().code, ErrorCode::InvalidInput);
        }
        turn.perplexity(&perplexity_of("zz", Some(2), 0)).unwrap();
    });
}
