//! IAG in the engine against IAG in the trainer, on tiny models of 32-bit floats. Numbers are
//! those of the tests in IAG's method card; what adapters do in the engine whatever made them
//! (several at once, gone without a trace) is tested in `quartet-llm`.

#![allow(clippy::print_stdout)]

#[path = "../../quartet-train/tests/agreement/mod.rs"]
mod agreement;
#[path = "../../quartet-train/tests/common/mod.rs"]
mod common;

use agreement::{Both, Given, bound, cosine, largest_gap, raw, request};
use async_trait::async_trait;
use common::Random;
use quartet_gguf::Value;
use quartet_llm::{Model, never};
use quartet_methods::Reader;
use quartet_methods::iag::bank::{Bank, BankShape};
use quartet_methods::iag::features::{Pooled, pooled};
use quartet_methods::iag::hypernetwork::{Hypernetwork, Made, Shape};
use quartet_methods::iag::objective::{Lesson, Settings, Tuning};
use quartet_methods::iag::{Maker, template};
use quartet_train::{
    Change, Control, LoraPlan, Parameters, Projection, adapter_bytes, values, write_adapter,
};
use quartet_types::{
    AdapterSource, AdapterUse, EngineEvent, Generation, GenerationRequest, ModelDescription,
    Prompt, Result, Sha256, TapRows,
};
use tokio_util::sync::CancellationToken;

const COMPONENTS: usize = 3;
const FEATURES: [f32; COMPONENTS] = [0.4, -0.8, 0.3];
const OTHER: [f32; COMPONENTS] = [-0.7, 0.2, 0.9];
const QUESTION: &str = "How high is the lantern of Low Tern?";
const DOCUMENT: &str = "Low Tern lantern 19 metres above the sea";

/// A tiny model that has letters, so that it reads the templates.
fn lettered(family: &str) -> Both {
    let attention = if family == "gemma3" { 0.1 } else { 0.02 };
    let mut file = common::build(family, attention);
    let special = ["<unk>", "<s>", "</s>", "\u{2581}", "\n"].map(str::to_owned);
    let letters = ('!'..='~').filter(|letter| !"`~^".contains(*letter)).map(String::from);
    let tokens: Vec<String> = special.into_iter().chain(letters).collect();
    assert_eq!(tokens.len(), common::VOCABULARY);
    file.set("tokenizer.ggml.tokens", Value::strings(&tokens));
    Both::written(&file)
}

fn shape(both: &Both) -> Shape {
    Shape::of(both.trainer.architecture(), COMPONENTS, (5, 2), false)
}

/// Weights of which none is nothing; `strength` is how much `B` counts. The engine rounds keys and
/// values to 16 bits, so that where they are compared number by number they must not be large.
fn full(maker: &Maker, seed: u64, strength: f32) -> Parameters {
    let mut random = Random(seed);
    let mut parameters = Parameters::new();
    for (name, rows, columns) in maker.parts() {
        let is_last = name.starts_with("up") && name.ends_with('2') || name.ends_with(".b");
        let scale = if is_last { strength } else { 1.0 };
        let values = random.floats(rows * columns, 1.2 * scale);
        parameters.add(name, rows, columns, values).unwrap();
    }
    parameters
}

fn hypernetwork(both: &Both, seed: u64, strength: f32) -> (Maker, Parameters, Hypernetwork) {
    let maker = Maker::Hypernetwork(shape(both));
    let parameters = full(&maker, seed, strength);
    let network = Hypernetwork::new(shape(both), &parameters).unwrap();
    (maker, parameters, network)
}

fn load(engine: &Model, file: Vec<u8>) -> Sha256 {
    engine.load_adapter(&AdapterSource::Bytes(file)).unwrap().adapter
}

fn with(adapter: Sha256, scale: f32) -> Vec<AdapterUse> {
    vec![AdapterUse { adapter, scale }]
}

/// The engine's logits of every row of a prompt under adapters.
fn logits(both: &Both, prompt: &Prompt, adapters: Vec<AdapterUse>) -> Vec<f32> {
    let mut asked = request(prompt.clone());
    asked.adapters = adapters;
    both.engine_logits(&asked, TapRows::Prompt)
}

/// The engine as a method sees it.
struct Served<'a>(&'a Model);

#[async_trait]
impl Reader for Served<'_> {
    fn model(&self) -> &ModelDescription {
        self.0.description()
    }

    async fn generate(
        &self,
        request: GenerationRequest,
        _: &CancellationToken,
        on_event: &mut (dyn FnMut(EngineEvent) + Send),
    ) -> Result<Generation> {
        self.0.turn(&never())?.generate(&request, on_event)
    }

    async fn score(
        &self,
        prompt: Prompt,
        continuations: Vec<String>,
        _: &CancellationToken,
    ) -> Result<Vec<Vec<f32>>> {
        self.0.turn(&never())?.score(&prompt, &continuations, &[])
    }

    async fn count_tokens(&self, texts: &[String]) -> Result<Vec<u32>> {
        self.0.count_tokens(texts, &never())
    }
}

/// Test 1: with `B` at zero the numbers are the same, bit for bit.
#[test]
fn weights_that_change_nothing_change_no_bit() {
    for family in ["qwen2", "gemma3"] {
        let both = lettered(family);
        let network =
            Hypernetwork::new(shape(&both), &shape(&both).fresh(3, false).unwrap()).unwrap();
        let made = network.changes(&FEATURES).unwrap();
        assert!(made.iter().all(|one| one.a.iter().any(|value| *value != 0.0)));
        let adapter = load(&both.engine, network.adapter(&made).unwrap());
        let prompt = template::answer(QUESTION, DOCUMENT);
        let texts = ["19 metres".to_owned(), "red".to_owned()];
        let bits = |adapters: &[AdapterUse]| -> Vec<u32> {
            both.scores(&prompt, &texts, adapters).iter().map(|one| one.to_bits()).collect()
        };
        assert_eq!(bits(&with(adapter, 1.0)), bits(&[]), "{family}");
    }
}

/// Test 2: the file made for a question does in the engine what its factors do in the trainer;
/// a square matrix that is written the wrong way round does not.
#[test]
fn the_file_for_a_question_is_the_change_that_was_trained() {
    for family in ["qwen2", "gemma3"] {
        let both = lettered(family);
        let (maker, parameters, network) = hypernetwork(&both, 5, 0.005);
        let prompt = template::answer(QUESTION, DOCUMENT);
        let leaves = parameters.constants(both.trainer.compute()).unwrap();
        let adapters = maker.adapters(&both.trainer, &leaves, &FEATURES).unwrap();
        let given = Given { adapters: Some(&adapters), ..Given::default() };
        let expected = both.trainer_logits(&prompt, &given);
        let made = network.changes(&FEATURES).unwrap();
        let served = |made: &[Made]| {
            let adapter = load(&both.engine, network.adapter(made).unwrap());
            logits(&both, &prompt, with(adapter, 1.0))
        };
        let gap = largest_gap(&served(&made), &expected);
        let plain = largest_gap(&logits(&both, &prompt, Vec::new()), &expected);
        let turned: Vec<Made> = made
            .iter()
            .map(|one| match one.projection {
                Projection::Query => transposed(one),
                _ => one.clone(),
            })
            .collect();
        let turned = largest_gap(&served(&turned), &expected);
        println!("{family}: {gap} apart; {plain} without, {turned} the wrong way round");
        assert!(gap < bound(family), "{family}: {gap}");
        assert!(plain > 20.0 * gap, "{family}: without it is the same by {plain}");
        assert!(turned > 20.0 * gap, "{family}: the wrong way round it is the same by {turned}");
    }
}

/// The change `(B A)^T = A^T B^T` of a square matrix.
fn transposed(made: &Made) -> Made {
    let rank = 2;
    let (inputs, outputs) = (made.a.len() / rank, made.b.len() / rank);
    assert_eq!(inputs, outputs, "square");
    let turn = |all: &[f32], rows: usize, columns: usize| -> Vec<f32> {
        (0..columns).flat_map(|c| (0..rows).map(move |r| all[r * columns + c])).collect()
    };
    Made { a: turn(&made.b, outputs, rank), b: turn(&made.a, rank, inputs), ..made.clone() }
}

/// Test 3: an adapter counts `scale * alpha / rank` times.
#[test]
fn an_alpha_four_times_as_large_is_a_scale_four_times_as_large() {
    let both = lettered("qwen2");
    let (_, _, network) = hypernetwork(&both, 6, 1.0);
    let made = network.changes(&FEATURES).unwrap();
    let changes: Vec<Change<'_>> = made
        .iter()
        .map(|one| Change {
            layer: one.layer,
            projection: one.projection,
            rank: 2,
            a: &one.a,
            b: &one.b,
        })
        .collect();
    let prompt = template::answer(QUESTION, "");
    let of = |alpha, scale| {
        let adapter = load(&both.engine, adapter_bytes("qwen2", alpha, &changes).unwrap());
        logits(&both, &prompt, with(adapter, scale))
    };
    let usual = of(2.0, 1.0);
    assert_eq!(of(8.0, 0.25), usual);
    assert!(largest_gap(&of(8.0, 1.0), &usual) > 1e-3);
    // What is written for a question has an alpha as large as its rank.
    let own = load(&both.engine, network.adapter(&made).unwrap());
    assert_eq!(logits(&both, &prompt, with(own, 1.0)), usual);
}

/// Test 4, and the restricted variant: members of a bank side by side in the engine are one
/// adapter of all their ranks in the trainer.
#[test]
fn members_of_a_bank_stack() {
    let both = lettered("qwen2");
    let bank_shape = BankShape { inner: shape(&both), members: 3 };
    let maker = Maker::Bank(bank_shape.clone());
    let parameters = full(&maker, 4, 0.03);
    let bank = Bank::new(bank_shape, &parameters).unwrap();
    let members: Vec<Sha256> =
        bank.members().iter().map(|file| load(&both.engine, file.clone())).collect();
    let prompt = template::answer(QUESTION, DOCUMENT);
    let leaves = parameters.constants(both.trainer.compute()).unwrap();
    for features in [FEATURES, OTHER] {
        let strengths = bank.strengths(&features).unwrap();
        let uses: Vec<AdapterUse> = members
            .iter()
            .zip(strengths)
            .map(|(adapter, scale)| AdapterUse { adapter: adapter.clone(), scale })
            .collect();
        let adapters = maker.adapters(&both.trainer, &leaves, &features).unwrap();
        let given = Given { adapters: Some(&adapters), ..Given::default() };
        let expected = both.trainer_logits(&prompt, &given);
        let gap = largest_gap(&logits(&both, &prompt, uses.clone()), &expected);
        let last = largest_gap(&logits(&both, &prompt, uses[2..].to_vec()), &expected);
        println!("bank: {gap} apart, {last} with one member alone");
        assert!(gap < bound("qwen2"), "{gap}");
        assert!(last > 20.0 * gap, "{last}");
    }
}

/// Training and serving mean the same: the loss of an answer under its weights and the
/// feed-forward layers' adapter is the same number in both.
#[tokio::test]
async fn an_answer_has_the_same_loss_in_trainer_and_engine() {
    let both = lettered("qwen2");
    let (maker, mut parameters, network) = hypernetwork(&both, 7, 1.0);
    let plan = LoraPlan {
        rank: 2,
        alpha: 4.0,
        layers: 0..both.layers() as usize,
        projections: vec![Projection::Gate, Projection::Up, Projection::Down],
        heads_of: None,
    };
    parameters.extend(both.parameters(&plan, 9, 0.2)).unwrap();
    let answer = template::learnt("19 metres");
    let lesson = Lesson {
        prompt: both.ids(&template::answer_text(QUESTION, DOCUMENT)),
        answer: both
            .engine
            .tokenise(std::slice::from_ref(&answer), false, &never())
            .unwrap()
            .concat(),
        features: FEATURES.to_vec(),
        teaching: None,
    };
    let settings = Settings {
        maker,
        feed_forward: Some(plan.clone()),
        teacher_weight: 0.4,
        hidden_weight: 1.0,
        clamp_temperature: true,
        is_chained: false,
        watches_saddle: false,
    };
    let lessons = vec![lesson];
    let tuning = Tuning::new(&both.trainer, settings, Vec::new(), lessons, Control::new()).unwrap();
    let leaves = parameters.constants(both.trainer.compute()).unwrap();
    let trained = tuning.held_out_loss(&leaves).unwrap();

    let path = both.file("feed_forward.gguf");
    write_adapter(&path, both.trainer.architecture(), &plan, &parameters, &[]).unwrap();
    let fixed = both.engine.load_adapter(&AdapterSource::File(path)).unwrap().adapter;
    let own = network.adapter(&network.changes(&FEATURES).unwrap()).unwrap();
    let own = load(&both.engine, own);
    let prompt = template::answer(QUESTION, DOCUMENT);
    let loss = |adapters: &[AdapterUse]| {
        let scores = both.scores(&prompt, std::slice::from_ref(&answer), adapters);
        assert_eq!(scores.len(), answer.chars().count(), "a token for each letter");
        -f64::from(scores.iter().sum::<f32>()) / scores.len() as f64
    };
    let uses = [with(fixed, 1.0), with(own, 1.0)].concat();
    let served = loss(&uses);
    println!("trainer {trained:.6}, engine {served:.6}");
    assert!((trained - served).abs() < f64::from(bound("qwen2")), "{trained} and {served}");
    for part in &uses {
        let without = loss(std::slice::from_ref(part));
        assert!((without - trained).abs() > 20.0 * f64::from(bound("qwen2")), "{without}");
    }
}

/// Test 9: what a question is when it is asked is what it was when it was learnt, in the engine
/// and in the trainer, alone, between others and after a restart.
#[tokio::test]
async fn features_are_the_same_whenever_they_are_read() {
    let cancel = CancellationToken::new();
    for family in ["qwen2", "gemma3"] {
        let both = lettered(family);
        let reader = Served(&both.engine);
        let first = pooled(QUESTION, DOCUMENT, &reader, &cancel).await.unwrap();
        let text = template::features_text(QUESTION, DOCUMENT);
        assert_eq!(first.tokens as usize, both.ids(&text).len(), "every token, and no other");
        let hidden = both.pass(&raw(&text), &Given::default()).hidden;
        let rows = values(both.trainer.normalise(hidden)).unwrap();
        let width = both.width();
        let count = rows.len() / width;
        let mean: Vec<f32> = (0..width)
            .map(|at| rows.iter().skip(at).step_by(width).sum::<f32>() / count as f32)
            .collect();
        let found = cosine(&first.vector, &mean);
        assert!(found > 0.999, "{family}: cosine {found}");

        // Between others, and after an adapter was in force: it is read without.
        let other = pooled("Who tarred the ropes?", "", &reader, &cancel).await.unwrap();
        assert!(cosine(&other.vector, &first.vector) < 0.999);
        let (_, _, network) = hypernetwork(&both, 8, 1.0);
        let file = network.adapter(&network.changes(&FEATURES).unwrap()).unwrap();
        let mut answer = request(template::answer(QUESTION, DOCUMENT));
        answer.limits.max_tokens = 4;
        answer.adapters = with(load(&both.engine, file), 1.0);
        both.generate(&answer);
        let again = pooled(QUESTION, DOCUMENT, &reader, &cancel).await.unwrap();
        assert_eq!(bits(&again), bits(&first));
        drop(both);
        let anew = lettered(family);
        let restarted = pooled(QUESTION, DOCUMENT, &Served(&anew.engine), &cancel).await.unwrap();
        assert_eq!(bits(&restarted), bits(&first), "{family}: after a restart");
    }
}

fn bits(pooled: &Pooled) -> Vec<u32> {
    pooled.vector.iter().map(|value| value.to_bits()).collect()
}

/// Greedily written under adapters: how probable every token was, bit for bit.
fn written(both: &Both, adapters: Vec<AdapterUse>) -> Vec<u32> {
    let mut asked = request(template::answer(QUESTION, DOCUMENT));
    asked.limits.max_tokens = 8;
    asked.adapters = adapters;
    asked.keep_prefix = true;
    let log = both.generate(&asked).token_log_probabilities;
    assert!(log.len() > 1, "it says nothing: choose another question");
    log.iter().map(|one| one.to_bits()).collect()
}

/// Test 13: after a change of weights nothing of what was read under others is left.
#[test]
fn an_answer_after_a_change_of_weights_is_that_of_a_fresh_model() {
    let both = lettered("qwen2");
    let (_, _, network) = hypernetwork(&both, 5, 1.0);
    let file = |features| network.adapter(&network.changes(features).unwrap()).unwrap();
    let (one, other) = (file(&FEATURES), file(&OTHER));
    let under = |both: &Both, file: &[u8]| {
        let adapter = load(&both.engine, file.to_vec());
        let found = written(both, with(adapter.clone(), 1.0));
        assert!(both.engine.free_adapter(&adapter));
        found
    };
    let alone = |file: &[u8]| under(&lettered("qwen2"), file);
    let expected = [alone(&one), alone(&other), alone(&one), written(&both, Vec::new())];
    assert!(expected[0] != expected[1] && expected[1] != expected[3]);
    let found = [under(&both, &one), under(&both, &other), under(&both, &one)];
    assert_eq!(found, expected[..3]);
    assert_eq!(written(&both, Vec::new()), expected[3], "and without any");
}

/// Memory of this process that is in use, in bytes; `None` where the system does not say.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? << 10)
}

/// Test 14: two hundred questions, each with weights of its own, leave nothing behind.
#[test]
fn two_hundred_questions_leave_nothing_behind() {
    let both = lettered("qwen2");
    // Of a rank at which 200 files that stay would be 130 MB.
    let wide = Shape { rank: 400, ..shape(&both) };
    let maker = Maker::Hypernetwork(wide.clone());
    let network = Hypernetwork::new(wide, &full(&maker, 5, 1.0)).unwrap();
    let plain = written(&both, Vec::new());
    let mut random = Random(6);
    let mut round = || {
        let mut changes = network.changes(&random.floats(COMPONENTS, 1.0)).unwrap();
        // So strong a change of so small a model would not be a number any more.
        changes.iter_mut().flat_map(|one| &mut one.b).for_each(|value| *value *= 0.02);
        let adapter = load(&both.engine, network.adapter(&changes).unwrap());
        assert_eq!(both.engine.adapters().len(), 1);
        assert_ne!(written(&both, with(adapter.clone(), 1.0)), plain);
        assert!(both.engine.free_adapter(&adapter));
    };
    (0..20).for_each(|_| round());
    let before = resident_bytes();
    (0..200).for_each(|_| round());
    assert!(both.engine.adapters().is_empty());
    assert_eq!(written(&both, Vec::new()), plain);
    match (before, resident_bytes()) {
        (Some(before), Some(after)) => {
            let grown = after.saturating_sub(before) >> 20;
            println!("grown by {grown} MiB");
            assert!(grown < 40, "grown by {grown} MiB");
        }
        _ => println!("skipped: this system does not say how much memory is in use"),
    }
}
