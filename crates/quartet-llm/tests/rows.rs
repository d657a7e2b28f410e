//! Rows of embeddings among the tokens of a prompt.

mod common;

use common::{SMALL, generate, load, raw, real_model, refused, request, tiny, with_model};
use quartet_llm::Model;
use quartet_types::{
    EmbeddingRows, ErrorCode, Message, Prompt, PromptPart, Role, Segment, TokenInput,
};

const EXPERT: &str = "gemma-3-270m-q4_k_m.gguf";

fn text(text: &str) -> Segment {
    Segment::Text(text.to_owned())
}

fn of_text(text: &str) -> TokenInput {
    TokenInput::Text { text: text.to_owned(), special: true }
}

/// The rows that stand for a text.
fn rows_of(model: &Model, text: &str) -> Segment {
    Segment::Embeddings(model.token_embeddings(&of_text(text)).unwrap())
}

fn zeros(count: usize, width: usize) -> Segment {
    Segment::Embeddings(EmbeddingRows { values: vec![0.0; count * width], width: width as u32 })
}

/// What a prompt leads to, to the last bit.
fn outcome(model: &Model, prompt: Prompt, tokens: u32) -> (String, Vec<u32>, u32) {
    let (generation, _) = generate(model, &request(prompt, tokens));
    let bits = generation.token_log_probabilities.iter().map(|value| value.to_bits()).collect();
    (generation.text, bits, generation.prompt_tokens)
}

/// The same prompt as text and with some of its pieces as rows.
fn assert_rows_are_tokens(model: &Model, pieces: &[&str], tokens: u32) {
    let as_text = Prompt::Raw(pieces.iter().map(|piece| text(piece)).collect());
    let expected = outcome(model, as_text, tokens);
    assert!(!expected.1.is_empty(), "the model ended at once: choose another prompt");
    for pattern in [vec![1], vec![0], (0..pieces.len()).collect()] {
        let segments = pieces.iter().enumerate().map(|(index, piece)| {
            if pattern.contains(&index) { rows_of(model, piece) } else { text(piece) }
        });
        let mixed = outcome(model, Prompt::Raw(segments.collect()), tokens);
        assert_eq!(mixed, expected, "pieces {pattern:?} as rows");
    }
}

#[test]
fn rows_of_a_models_own_embeddings_are_its_tokens() {
    for file in [tiny::generator(), tiny::gemma()] {
        with_model(&file, |model| {
            assert_rows_are_tokens(model, &["the lamp ", "of the light", " house"], 24);
            // Three pieces of the prompt's length at once, with rows across their borders.
            let long = ["the sea ".repeat(15), "and land".repeat(20), "then".repeat(10)];
            assert_rows_are_tokens(model, &long.each_ref().map(String::as_str), 12);
        });
    }
}

#[test]
fn other_rows_are_something_else() {
    for file in [tiny::generator(), tiny::gemma()] {
        with_model(&file, |model| {
            let with = |row: Segment| {
                outcome(model, Prompt::Raw(vec![text("the "), row, text("amp")]), 8).1
            };
            let own = with(rows_of(model, "l"));
            assert_ne!(own, with(zeros(1, 32)));
            assert_ne!(own, with(rows_of(model, "k")));
            assert_ne!(own, with(zeros(0, 32)));
        });
    }
}

#[test]
fn embeddings_are_those_of_the_file_at_the_scale_of_the_first_layer() {
    let rows = |file: &quartet_gguf::GgufWriter| {
        let mut found = None;
        with_model(file, |model| {
            found = Some(model.token_embeddings(&TokenInput::Ids(vec![3, 0, 3])).unwrap());
        });
        found.unwrap()
    };
    let plain = rows(&tiny::generator());
    assert_eq!((plain.width, plain.values.len()), (32, 96));
    assert_eq!(plain.values[..32], plain.values[64..]);
    assert_eq!(plain.values[32..64], tiny::generator_embedding(0));
    let scaled = rows(&tiny::gemma());
    let largest = |values: &[f32]| values.iter().fold(0f32, |most, value| most.max(value.abs()));
    // The weights are drawn from -0.3 to 0.3; the square root of 32 is 5.66.
    assert!(largest(&plain.values) < 0.3 && largest(&scaled.values) < 0.3 * 5.66);
    assert!(largest(&scaled.values) > 1.0);
}

#[test]
fn in_a_conversation_rows_stand_exactly_where_the_message_has_them() {
    with_model(&tiny::generator(), |model| {
        let ask = |middle: Segment| {
            let content = vec![text("Where is "), middle, text("?")];
            Prompt::Chat(vec![
                Message::text(Role::System, "Be brief."),
                Message { role: Role::User, content },
            ])
        };
        let as_text = outcome(model, ask(text("the lamp")), 16);
        let as_rows = ask(rows_of(model, "the lamp"));
        assert_eq!(outcome(model, as_rows.clone(), 16), as_text);
        let read = model.read_prompt(&as_rows).unwrap();
        assert_eq!(
            read.text,
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhere is [7 embedding rows]?<|im_end|>\n<|im_start|>assistant\n"
        );
        let [PromptPart::Tokens(before), PromptPart::Rows(7), PromptPart::Tokens(after)] =
            &read.parts[..]
        else {
            panic!("{:?}", read.parts)
        };
        assert_eq!(before.len() + 7 + after.len(), as_text.2 as usize);
        let shown = model.detokenise(&[before.clone(), after.clone()], true).unwrap();
        assert!(shown[0].ends_with("<|im_start|>user\nWhere is "), "{shown:?}");
        assert!(shown[1].starts_with("?<|im_end|>\n"), "{shown:?}");
        let (generation, _) = generate(model, &request(as_rows, 1));
        assert_eq!(generation.prompt_text, read.text);
    });
}

#[test]
fn a_prompt_may_begin_with_rows_or_consist_of_them() {
    for (file, start) in [(tiny::generator(), 0), (tiny::gemma(), 1)] {
        with_model(&file, |model| {
            let rows = Prompt::Raw(vec![rows_of(model, "sea and land")]);
            assert_eq!(outcome(model, rows.clone(), 4), outcome(model, raw("sea and land"), 4));
            let read = model.read_prompt(&rows).unwrap();
            assert_eq!(read.parts.len(), 1 + start, "a start token where the model has one");
            assert_eq!(read.parts[start], PromptPart::Rows(12));
            // Continuations are scored after rows as well.
            let turn = model.turn(&quartet_llm::never()).unwrap();
            let texts = ["abc".to_owned(), "z".to_owned()];
            let scores = turn.score(&rows, &texts, &[]).unwrap();
            assert_eq!(scores, turn.score(&raw("sea and land"), &texts, &[]).unwrap());
        });
    }
}

#[test]
fn rows_that_cannot_be_read_are_refused_and_the_model_goes_on() {
    with_model(&tiny::generator(), |model| {
        let before = outcome(model, raw("hello"), 8);
        let with = |rows: EmbeddingRows| {
            let prompt = Prompt::Raw(vec![text("hello "), Segment::Embeddings(rows), text("!")]);
            request(prompt, 4)
        };
        let row = |value: f32| EmbeddingRows { values: vec![value; 32], width: 32 };
        let mut odd = row(0.1);
        odd.values.pop();
        let mut infinite = row(0.1);
        infinite.values[7] = f32::NEG_INFINITY;
        for (rows, said) in [
            (EmbeddingRows { values: vec![0.0; 128], width: 64 }, "64 numbers wide"),
            (EmbeddingRows { values: Vec::new(), width: 0 }, "0 numbers wide"),
            (odd, "31 numbers"),
            (row(f32::NAN), "row 0"),
            (infinite, "not finite"),
        ] {
            let error = refused(model, &with(rows));
            assert_eq!(error.code, ErrorCode::InvalidInput, "{error}");
            assert!(error.message.contains(said) && error.hint.is_some(), "{error}");
        }
        let many = EmbeddingRows { values: vec![0.1; 32 * 600], width: 32 };
        let error = refused(model, &with(many));
        assert_eq!(error.code, ErrorCode::PromptTooLong);
        assert!(error.message.contains("603 tokens, 92 more than the 511"), "{error}");

        // Numbers that are finite but overflow on the way: an error or an answer, no abort.
        let turn = model.turn(&quartet_llm::never()).unwrap();
        let _ = turn.generate(&with(row(f32::MAX)), |_| {});
        assert_eq!(outcome(model, raw("hello"), 8), before);
    });
    with_model(&tiny::embedder(), |model| {
        let error = refused(model, &request(Prompt::Raw(vec![zeros(1, 32)]), 4));
        assert_eq!(error.code, ErrorCode::InvalidInput, "{error}");
    });
}

#[test]
fn tokens_and_text_lead_to_each_other() {
    with_model(&tiny::generator(), |model| {
        let texts = ["hello", "☃ snow", "<|im_end|>", ""].map(str::to_owned);
        let never = quartet_llm::never();
        let plain = model.tokenise(&texts, false, &never).unwrap();
        let special = model.tokenise(&texts, true, &never).unwrap();
        let counts = model.count_tokens(&texts, &never).unwrap();
        for (tokens, count) in plain.iter().zip(counts) {
            assert_eq!(tokens.len(), count as usize);
        }
        assert_eq!((plain[2].len(), special[2].len()), (10, 1));
        assert_eq!(plain[..2], special[..2]);
        assert_eq!(model.detokenise(&plain, false).unwrap(), texts);
        assert_eq!(model.detokenise(&special, true).unwrap(), texts);
        assert_eq!(model.detokenise(&special[2..3], false).unwrap(), [""]);
        // Half of a character.
        assert_eq!(model.detokenise(&[plain[1][..2].to_vec()], false).unwrap(), ["\u{fffd}"]);

        let read = model.read_prompt(&raw("hello<|im_end|>")).unwrap();
        let whole = model.tokenise(&["hello<|im_end|>".to_owned()], true, &never).unwrap();
        assert_eq!(read.parts, [PromptPart::Tokens(whole[0].clone())]);

        let beyond = TokenInput::Ids(vec![1, 264]);
        let error = model.token_embeddings(&beyond).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidInput);
        assert!(error.message.contains("264"), "{error}");
        assert!(model.detokenise(&[vec![u32::MAX]], true).is_err());
        assert!(model.read_prompt(&raw("")).is_err());
        let many = TokenInput::Ids(vec![0; 300_000]);
        assert_eq!(model.token_embeddings(&many).unwrap_err().code, ErrorCode::LimitExceeded);
    });
}

/// Tables stored as Q5_0 and Q8_0, and in Gemma's case scaled.
#[test]
fn rows_of_real_embeddings_are_the_real_tokens() {
    for file in [SMALL, EXPERT] {
        let Some(path) = real_model(file) else { continue };
        let model = load(&path);
        let pieces = ["The lamp of the light", " house turns once in", " ten seconds and then"];
        assert_rows_are_tokens(&model, &pieces, 3);
        let width = model.description().width as usize;
        let zero = Prompt::Raw(vec![text("The lamp"), zeros(1, width), text(" house")]);
        let own = Prompt::Raw(vec![text("The lamp"), rows_of(&model, " light"), text(" house")]);
        assert_ne!(outcome(&model, zero, 4).1, outcome(&model, own, 4).1);
    }
}

#[test]
fn rows_leave_nothing_behind() {
    with_model(&tiny::generator(), |model| {
        let first = outcome(model, raw("hello"), 20);
        let _ = outcome(model, Prompt::Raw(vec![text("hello"), zeros(2, 32)]), 5);
        assert_eq!(outcome(model, raw("hello"), 20), first);
    });
}
