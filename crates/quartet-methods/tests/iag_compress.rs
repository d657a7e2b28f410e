//! Squeezing passages, with a scripted scorer.

use async_trait::async_trait;
use proptest::prelude::*;
use quartet_methods::Reader;
use quartet_methods::iag::compress::{Scored, Squeezer, holds, squeeze};
use quartet_methods::iag::template;
use quartet_types::{
    EngineEvent, Error, Generation, GenerationRequest, ModelDescription, ModelId, Prompt, Result,
    Segment,
};
use std::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// Tokens of at most four letters; a space belongs to the token after it.
fn pieces(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    for word in text.split_inclusive(' ').flat_map(|word| word.split(' ')) {
        let lead = if all.is_empty() { "" } else { " " };
        let letters: Vec<char> = word.chars().collect();
        for (at, some) in letters.chunks(4).enumerate() {
            let lead = if at == 0 { lead } else { "" };
            all.push(format!("{lead}{}", some.iter().collect::<String>()));
        }
    }
    all
}

/// A passage in which each word has a contrast; 0 where none is given.
fn scored(text: &str, worth: &[(&str, f32)]) -> Scored {
    let pieces = pieces(text);
    let mut given = Vec::new();
    for word in text.split(' ') {
        let own = worth.iter().find(|(wanted, _)| *wanted == word).map_or(0.0, |(_, own)| *own);
        given.extend(vec![own - 3.0; word.chars().count().div_ceil(4)]);
    }
    assert_eq!(pieces.concat(), text);
    Scored { alone: vec![-3.0; pieces.len()], pieces, given }
}

const HARBOUR: &str = "The harbour of Lisk was dredged in 1874, by order of Mayor Ortwin Bale, \
                       who paid 900 crowns. Fish was dear that year. Nobody came to the fair.";
const BAKERY: &str = "A bakery stood at the corner until the flood took the oven and the sign.";

fn two() -> Vec<Scored> {
    vec![
        scored(BAKERY, &[("bakery", 0.5), ("flood", -0.5)]),
        scored(HARBOUR, &[("harbour", 6.0), ("dredged", 5.0), ("1874,", 4.0), ("Mayor", 2.0)]),
    ]
}

const QUESTION: &str = "When was the harbour of Lisk dredged?";

#[test]
fn whole_words_of_the_best_passage_come_first_and_in_their_order() {
    let squeezed = squeeze(QUESTION, &two(), 12, &[]);
    assert!(squeezed.tokens <= 12, "{squeezed:?}");
    assert!(!squeezed.put_back);
    assert_eq!(squeezed.tokens_before, pieces(HARBOUR).len() + pieces(BAKERY).len());
    let mut all = HARBOUR.split(' ');
    let mut kept = squeezed.text.split(' ');
    assert!(kept.all(|word| all.any(|other| other == word)), "{}", squeezed.text);
    for word in ["harbour", "dredged", "1874,"] {
        assert!(squeezed.text.contains(word), "{}", squeezed.text);
    }
    assert_eq!(squeeze(QUESTION, &two(), 12, &[]), squeezed, "the same every time");
}

#[test]
fn what_is_left_when_everything_fits_is_everything() {
    let all = squeeze("Who?", &two(), 1_000, &[]);
    assert_eq!(all.text, format!("{HARBOUR} {BAKERY}"));
    assert_eq!(all.tokens, all.tokens_before);
}

#[test]
fn the_last_passages_are_left_out_where_the_best_fill_the_budget() {
    let long = vec!["filler"; 90].join(" ");
    let passages = [scored(&long, &[]), scored(HARBOUR, &[("harbour", 6.0)]), scored(&long, &[])];
    let squeezed = squeeze("Who sold the fish then?", &passages, 20, &[]);
    assert!(squeezed.text.contains("harbour") && squeezed.tokens <= 20, "{squeezed:?}");
}

#[test]
fn an_answer_is_put_back_with_its_sentence_and_only_when_it_is_lost() {
    let kept = squeeze(QUESTION, &two(), 16, &["1874".to_owned()]);
    assert!(!kept.put_back && holds(&kept.text, "1874"), "{kept:?}");
    assert_eq!(kept, squeeze(QUESTION, &two(), 16, &[]));

    let lost = squeeze(QUESTION, &two(), 16, &["that year".to_owned()]);
    assert!(lost.put_back && lost.tokens <= 16, "{lost:?}");
    assert!(lost.text.starts_with("Fish was dear that year."), "{}", lost.text);
    assert!(lost.text.contains("harbour"), "the best of the rest stays: {}", lost.text);

    // Of a sentence that is too long there is what stands around the answer.
    let around = squeeze(QUESTION, &two(), 12, &["ortwin  BALE".to_owned()]);
    assert!(around.put_back && around.tokens <= 12, "{around:?}");
    assert!(holds(&around.text, "Ortwin Bale"), "{}", around.text);

    // One of several is enough; one that is nowhere changes nothing.
    let either = squeeze(QUESTION, &two(), 16, &["zinc".to_owned(), "1874".to_owned()]);
    assert_eq!(either, kept);
    assert_eq!(
        squeeze(QUESTION, &two(), 16, &["zinc".to_owned()]),
        squeeze(QUESTION, &two(), 16, &[])
    );
}

#[test]
fn a_passage_with_the_answer_goes_before_a_likelier_one() {
    let likely: Vec<(&str, f32)> = BAKERY.split(' ').map(|word| (word, 2.0)).collect();
    let passages = [scored(BAKERY, &likely), scored(HARBOUR, &[("harbour", 6.0)])];
    assert!(squeeze(QUESTION, &passages, 12, &[]).text.contains("bakery"));
    let squeezed = squeeze(QUESTION, &passages, 12, &["1874".to_owned()]);
    assert!(!squeezed.put_back && holds(&squeezed.text, "1874"), "{squeezed:?}");
}

#[test]
fn the_question_is_never_part_of_a_document() {
    let faq = format!("{QUESTION} In 1874. When the harbour was not dredged, nobody came.");
    let worth: Vec<(&str, f32)> = QUESTION.split(' ').map(|word| (word, 9.0)).collect();
    for target in [8, 16, 24, 400] {
        let squeezed = squeeze(QUESTION, &[scored(&faq, &worth)], target, &["1874".to_owned()]);
        assert!(!squeezed.text.contains(QUESTION), "{}", squeezed.text);
        assert!(holds(&squeezed.text, "1874"), "{}", squeezed.text);
    }
    // Not even by leaving out what stood between.
    let near = "When was the old harbour of Lisk ever dredged? Nobody knows.";
    let squeezed = squeeze(QUESTION, &[scored(near, &worth)], 14, &[]);
    let bare = squeezed.text.to_lowercase();
    assert!(!bare.contains("when was the harbour of lisk dredged"), "{bare}");
}

/// What the imagine model learns to write is the document: neither the instruction nor the
/// question it reads before (IAG card, test 17).
#[test]
fn what_is_learnt_is_the_document_alone() {
    // A passage that repeats both.
    let before = "Imagine contexts based on the question:";
    let echo = format!("{before} {QUESTION} Contexts: {HARBOUR}");
    let document = squeeze(QUESTION, &[scored(&echo, &[])], 60, &["1874".to_owned()]);
    assert!(holds(&document.text, "1874") && !document.text.contains(QUESTION), "{document:?}");
    let lesson = template::imagine_lesson(QUESTION, &squeeze(QUESTION, &two(), 40, &[]).text);
    let read = [&lesson.read, &lesson.question, &lesson.then];
    assert_eq!(lesson.question, QUESTION);
    assert!(lesson.read.contains(before) && lesson.then.contains("Contexts:"));
    assert!(!lesson.learn.is_empty());
    for part in [before, QUESTION, "Contexts:"] {
        assert!(!lesson.learn.contains(part) && !lesson.end.contains(part), "{lesson:?}");
    }
    // When it is asked it reads what it read when it learnt, piece by piece.
    let pieces = read.map(|text| Segment::Text(text.clone())).to_vec();
    assert_eq!(template::imagine(QUESTION), Prompt::Raw(pieces));
}

#[test]
fn nothing_becomes_nothing() {
    assert_eq!(squeeze(QUESTION, &[], 48, &["x".to_owned()]).text, "");
    assert_eq!(squeeze("", &[Scored::default()], 48, &[String::new()]).text, "");
    assert_eq!(squeeze(QUESTION, &two(), 0, &["1874".to_owned()]).text, "");
}

#[test]
fn a_token_amid_a_character_is_counted_and_its_word_stays_whole() {
    let pieces = ["Gr", "", "ö", "ße", " ", " ist", " \u{2022}"].map(str::to_owned).to_vec();
    let count = pieces.len();
    let one = Scored { pieces, alone: vec![-1.0; count], given: vec![-0.5; count] };
    let squeezed = squeeze("Wie?", std::slice::from_ref(&one), 50, &[]);
    // A bullet alone says nothing; a space that is a token goes with the word after it.
    assert_eq!((squeezed.text.as_str(), squeezed.tokens), ("Größe ist", 6));
    assert_eq!(squeeze("Wie?", &[one], 3, &[]).text, "ist");
}

#[test]
fn an_answer_is_held_as_a_whole() {
    assert!(holds("Paid in  Crowns, 12 of them", "crowns, 12"));
    assert!(!holds("in 1812", "12") && !holds("anything", "") && !holds("", "x"));
    assert!(holds("(12)", "12") && holds("1812 and 12", "12"));
}

proptest! {
    #[test]
    fn the_length_is_never_exceeded_and_every_word_is_one_of_the_passages(
        texts in prop::collection::vec("[a-zA-Z]{1,9}( [a-zé]{1,9}[.,]?){0,40}", 0..4),
        contrasts in prop::collection::vec(-5.0f32..5.0, 1..40),
        target in 0usize..60,
        answer in "[a-z]{1,3}",
    ) {
        let passages: Vec<Scored> = texts
            .iter()
            .map(|text| {
                let mut one = scored(text, &[]);
                let values = contrasts.iter().cycle();
                one.given.iter_mut().zip(values).for_each(|(given, more)| *given += more);
                one
            })
            .collect();
        let squeezed = squeeze("who is it then", &passages, target, &[answer]);
        prop_assert!(squeezed.tokens <= target);
        let known: Vec<&str> = texts.iter().flat_map(|text| text.split(' ')).collect();
        let count: usize = squeezed.text.split_whitespace().map(|w| w.chars().count().div_ceil(4)).sum();
        prop_assert_eq!(count, squeezed.tokens);
        prop_assert!(squeezed.text.split_whitespace().all(|word| known.contains(&word)));
    }
}

/// Likes words of the question, where it is told one.
struct ScriptedScorer {
    model: ModelDescription,
    asked: Mutex<Vec<(String, usize)>>,
    /// Tokens that `count_tokens` finds in each word besides.
    more: usize,
}

impl ScriptedScorer {
    fn new(more: usize) -> Self {
        let model = ModelDescription {
            model: ModelId::from("scripted"),
            architecture: "script".to_owned(),
            name: None,
            layers: 1,
            width: 1,
            trained_context: 4096,
            context: 4096,
            weight_bytes: 1,
            has_chat_template: false,
            device: "CPU".to_owned(),
            engine_build: "test".to_owned(),
        };
        Self { model, asked: Mutex::new(Vec::new()), more }
    }
}

#[async_trait]
impl Reader for ScriptedScorer {
    fn model(&self) -> &ModelDescription {
        &self.model
    }

    async fn generate(
        &self,
        _: GenerationRequest,
        _: &CancellationToken,
        _: &mut (dyn FnMut(EngineEvent) + Send),
    ) -> Result<Generation> {
        panic!("not needed")
    }

    async fn score(
        &self,
        prompt: Prompt,
        continuations: Vec<String>,
        cancel: &CancellationToken,
    ) -> Result<Vec<Vec<f32>>> {
        if cancel.is_cancelled() {
            return Err(Error::cancelled());
        }
        let Prompt::Raw(parts) = prompt else { panic!("a raw prompt") };
        let text = |part: &Segment| match part {
            Segment::Text(text) => text.clone(),
            _ => panic!("text alone"),
        };
        let prompt: String = parts.iter().map(text).collect();
        self.asked.lock().unwrap().push((prompt.clone(), continuations.len()));
        let known = prompt.to_lowercase();
        let score = |piece: &String| {
            let bare = piece.trim().to_lowercase();
            if bare.len() > 2 && known.contains(&bare) { -0.5 } else { -3.0 }
        };
        Ok(continuations.iter().map(|text| pieces(text).iter().map(score).collect()).collect())
    }

    async fn count_tokens(&self, texts: &[String]) -> Result<Vec<u32>> {
        let words = |text: &String| text.split_whitespace().count() * self.more;
        let count = |text: &String| {
            if text.is_empty() { 0 } else { pieces(text).len() + words(text) }
        };
        Ok(texts.iter().map(|text| u32::try_from(count(text)).unwrap()).collect())
    }

    async fn pieces(&self, texts: &[String]) -> Result<Vec<Vec<String>>> {
        Ok(texts.iter().map(|text| pieces(text)).collect())
    }
}

#[tokio::test]
async fn a_passage_is_scored_alone_once_and_after_every_question() {
    let scorer = ScriptedScorer::new(0);
    let mut squeezer = Squeezer::new(&scorer);
    let cancel = CancellationToken::new();
    let passages = [BAKERY.to_owned(), format!(" {}\n", HARBOUR.replace(' ', "\n"))];
    let first = squeezer.squeeze(QUESTION, &passages, 48, &[], &cancel).await.unwrap();
    let share = (pieces(HARBOUR).len() + pieces(BAKERY).len()) / 5;
    assert!(first.tokens <= share && first.tokens + 4 > share, "{first:?}, a fifth: {share}");
    assert!(first.text.contains("harbour") && first.text.contains("dredged"), "{first:?}");
    let other = squeezer.squeeze("Who took the oven?", &passages, 48, &[], &cancel).await.unwrap();
    assert!(other.text.contains("oven"), "{other:?}");
    let asked = scorer.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 3, "{asked:?}");
    assert!(asked.iter().all(|(_, count)| *count == 2));
    assert!(!asked[0].0.contains("harbour"), "alone: {}", asked[0].0);
    assert!(asked[1].0.contains(QUESTION) && asked[2].0.contains("oven"));
}

#[tokio::test]
async fn the_length_holds_in_tokens_of_the_finished_text() {
    let scorer = ScriptedScorer::new(1);
    let cancel = CancellationToken::new();
    let passages = [HARBOUR.to_owned(), BAKERY.to_owned()];
    let mut squeezer = Squeezer::new(&scorer);
    let squeezed = squeezer.squeeze(QUESTION, &passages, 10, &[], &cancel).await.unwrap();
    let counted = scorer.count_tokens(std::slice::from_ref(&squeezed.text)).await.unwrap()[0];
    assert_eq!(squeezed.tokens, counted as usize);
    assert!(squeezed.tokens <= 10 && !squeezed.text.is_empty(), "{squeezed:?}");
}

#[tokio::test]
async fn without_passages_there_is_no_document_and_a_stop_is_heeded() {
    let scorer = ScriptedScorer::new(0);
    let cancel = CancellationToken::new();
    let mut squeezer = Squeezer::new(&scorer);
    let nothing = [String::new(), " \n".to_owned()];
    let squeezed = squeezer.squeeze(QUESTION, &nothing, 48, &[], &cancel).await.unwrap();
    assert_eq!((squeezed.text.as_str(), squeezed.tokens), ("", 0));
    cancel.cancel();
    assert!(squeezer.squeeze(QUESTION, &[HARBOUR.to_owned()], 48, &[], &cancel).await.is_err());
}
