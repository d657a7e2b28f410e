//! IAG as a person uses it, with real models and little of everything: trained through kills, asked
//! in every mode, what is imagined told apart from what is found.

use quartet_api::types::{IagMode, Method};
use quartet_api::{CancellationToken, Paths, Quartet};
use quartet_methods::Question;
use quartet_tests::{Home, models_are_installed, program, skip};
use serde_json::Value;

const TRAIN: [&str; 14] = [
    "train",
    "iag",
    "--writer",
    "none",
    "--passages",
    "8",
    "--updates",
    "1",
    "--preset",
    "quick",
    "--base",
    "small",
    "--collection",
    "samples",
];
const QUESTION: &str = "How long does the battery pack last?";
/// Of the base: width, numbers of a value, layers, numbers inside a feed-forward layer.
const SHAPES: [u64; 4] = [896, 128, 24, 4864];

fn expert_is_installed() -> bool {
    let listed = Home::new().json(&["models"]);
    let installed = listed["models"].as_array().is_some_and(|models| {
        models.iter().any(|model| model["name"] == "expert" && model["path"].is_string())
    });
    installed || skip::<()>("the model `expert` is absent; run `make models`").is_some()
}

const ASK: [&str; 7] = ["ask", "--base", "small", "--collection", "samples", "--method", "iag"];

fn ask(home: &Home, arguments: &[&str]) -> Value {
    home.json(&[&ASK[..], arguments].concat())
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no count"))
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list"))
}

#[test]
fn a_collection_is_imagined_and_nothing_imagined_is_evidence() {
    if !models_are_installed() || !expert_is_installed() {
        return;
    }
    let home = Home::new();
    let _ = home.json(&["import", "--collection", "samples", "assets/samples"]);

    // Before anything is trained, it says so, and how to get there.
    let (code, error) = home.failure(&[&ASK[..], &[QUESTION]].concat());
    assert_eq!((code, &error["code"]), (3, &Value::from("not_found")), "{error:#}");
    assert!(error["hint"].as_str().expect("a hint").contains("quartet train iag"), "{error:#}");

    // Killed while the imagine model learns, and again when the second part begins.
    home.killed_at(&TRAIN, "training/job-2/imagine/stage-0");
    home.killed_at(&TRAIN, "training/job-2/features");
    let trained = home.json(&TRAIN);
    assert!(!home.path().join("training/job-2").exists(), "nothing is left lying about");
    report_is_whole(&trained);

    modes_differ_in_what_the_prompt_has(&home);
    in_one_session(&home);

    // A changed collection is not what was imagined any more.
    let listed = home.json(&["artefacts"]);
    let is_it = |one: &&Value| one["kind"] == "iag";
    let one = list(&listed["artefacts"]).iter().find(is_it).expect("listed");
    assert_eq!((&one["adapter"], &one["stale"]), (&trained["adapter"], &Value::Bool(false)));
    let _ = home.json(&["documents", "delete", "1"]);
    let listed = home.json(&["artefacts"]);
    let one = list(&listed["artefacts"]).iter().find(is_it).expect("listed");
    assert_eq!(one["stale"], true, "{one:#}");
}

fn report_is_whole(trained: &Value) {
    assert_eq!(trained["kind"], "iag");
    let report = &trained["iag"];
    let options = &report["options"];
    // The card's formula for the hypernetwork, and three adapters of every feed-forward layer.
    let [width, value, layers, inner] = SHAPES;
    let (hidden, rank) = (count(&options["hidden"]), count(&options["rank"]));
    let components = count(&report["components"]);
    let pair = |inputs: u64, outputs: u64| {
        2 * (hidden * (components + 1) + hidden) + (hidden + 1) * rank * (inputs + outputs)
    };
    let feed_forward = 3 * layers * count(&options["feed_forward_rank"]) * (width + inner);
    let expected = pair(width, width) + pair(width, value) + feed_forward;
    assert_eq!(count(&report["parameters"]), expected, "{report:#}");
    assert_eq!(list(&report["adapters"]).len(), 1, "of the feed-forward layers");

    let compression = &report["compression"];
    let (before, after) =
        (number(&compression["tokens_before"]), number(&compression["tokens_after"]));
    let longest = number(&options["document_tokens"]);
    assert!(after > 0.0 && after <= longest && after * 5.0 <= before, "{compression:#}");
    assert!(number(&compression["with_answer"]) > 0.5, "{compression:#}");
    let imagined = number(&report["imagined_tokens"]);
    assert!(imagined > 0.0 && imagined <= longest + 1.0, "{imagined}");

    let gate = &report["gate"];
    let gain = number(&gate["teacher"]) - number(&gate["student"]);
    assert_eq!(gate["is_open"], gain > 0.05 - 1e-9, "{gate:#}");
    let taught = count(&report["taught_rows"]);
    assert!(taught <= count(&report["rows"]));
    assert!(gate["is_open"] == true || taught == 0, "{report:#}");

    let controls = list(&report["controls"]);
    for name in [
        "no_document",
        "no_hypernetwork",
        "constant_features",
        "shuffled_features",
        "question_features",
        "no_feed_forward",
        "none",
    ] {
        for metric in ["nll", "f1"] {
            let one = controls.iter().find(|one| one["name"] == name && one["metric"] == metric);
            let difference = &one.unwrap_or_else(|| panic!("no {metric} of {name}"))["difference"];
            let [low, value, high] = ["low", "value", "high"].map(|part| number(&difference[part]));
            assert!(low <= value && value <= high, "{difference:#}");
        }
    }
    assert!(count(&report["specificity"]["pairs"]) > 0);
    assert!(number(&report["specificity"]["distance"]).is_finite());
    assert!(number(&report["seconds"]["tuning"]) > 0.0);
    let stages = list(&report["stages"]);
    let names: Vec<&str> = stages.iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(names.last(), Some(&"tuning"), "{names:?}");
    assert!(names.contains(&"learning to imagine"), "{names:?}");
    assert!(list(&report["deviations"]).len() >= 8);
}

fn modes_differ_in_what_the_prompt_has(home: &Home) {
    let own = ask(home, &[QUESTION]);
    let trace = &own["iag"];
    assert_eq!((&trace["mode"], &trace["form"]), (&"own_document".into(), &"hypernetwork".into()));
    let document = trace["document"].as_str().expect("a document");
    assert!(!document.is_empty() && !document.contains(QUESTION), "{document}");
    let prompt = own["prompt"].as_str().expect("a prompt");
    assert!(prompt.contains(document) && prompt.contains("Context: "), "{prompt}");
    assert!(count(&trace["adapter_bytes"]) > 1 << 20, "query and value, all layers: {trace:#}");
    assert!(count(&trace["feature_tokens"]) > 10);
    for part in ["imagine_ms", "feature_ms", "generate_ms", "load_ms"] {
        assert!(number(&trace[part]) > 0.0, "{part}: {trace:#}");
    }
    has_no_evidence(&own);
    let plain = home.run(&[&ASK[..], &[QUESTION]].concat());
    let text = String::from_utf8_lossy(&plain.stdout);
    assert!(plain.status.success() && text.contains("imagined, no evidence"), "{text}");

    let closed = ask(home, &["--imagine", "closed_book", QUESTION]);
    let trace = &closed["iag"];
    assert_eq!((&trace["mode"], &trace["document"]), (&"closed_book".into(), &"".into()));
    assert_eq!(count(&trace["imagine"]["tokens_read"]), 0);
    let prompt = closed["prompt"].as_str().expect("a prompt");
    assert!(!prompt.contains("Context: ") && prompt.contains(QUESTION), "{prompt}");
    has_no_evidence(&closed);

    let cited: usize = ["Who signed the loan agreement?", "What does a day ticket cost?"]
        .into_iter()
        .map(|question| citations(&ask(home, &["--imagine", "retrieved", question])))
        .sum();
    assert!(cited > 0, "passages were read, and no answer was found in any");

    let unknown = home.run(&[&ASK[..], &["--imagine", "dreams", QUESTION]].concat());
    assert_eq!(unknown.status.code(), Some(2));
    let said = String::from_utf8_lossy(&unknown.stderr);
    assert!(said.contains("own_document") && said.contains("closed_book"), "{said}");
}

/// How many passages an answer from retrieved and squeezed passages cites.
fn citations(answer: &Value) -> usize {
    let trace = &answer["iag"];
    assert_eq!(trace["mode"], "retrieved");
    let found = list(&answer["retrieved"]);
    let read = list(&answer["read"]);
    assert!(!read.is_empty() && read.len() <= 5 && found.len() >= read.len(), "{answer:#}");
    let text_of = |place: &Value| {
        let place = usize::try_from(count(place)).expect("a place");
        found[place]["passage"]["text"].as_str().expect("a text")
    };
    // Squeezed words are words of what was read.
    let document = trace["document"].as_str().expect("a document");
    assert!(!document.is_empty(), "{trace:#}");
    for word in document.split_whitespace() {
        assert!(read.iter().any(|one| text_of(one).contains(word)), "`{word}` of {document}");
    }
    assert!(answer["prompt"].as_str().is_some_and(|prompt| prompt.contains(document)));
    assert!(number(&answer["timings"]["search_ms"]) > 0.0);
    let used = list(&answer["used"]);
    assert!(used.iter().all(|place| read.contains(place)), "cited is what was read: {answer:#}");
    used.len()
}

fn has_no_evidence(answer: &Value) {
    for sentence in list(&answer["sentences"]) {
        assert!(sentence["support"].is_null(), "{sentence:#}");
    }
    for place in ["retrieved", "read", "used"] {
        assert!(list(&answer[place]).is_empty(), "{place}: {answer:#}");
    }
    assert!(answer["search"].is_null() && answer["abstention"].is_null());
    assert_eq!(number(&answer["timings"]["search_ms"]), 0.0);
}

/// Where a model stays loaded: a document that was imagined is kept for the same question, and
/// answers do not hang on what was asked between.
#[tokio::main]
async fn in_one_session(home: &Home) {
    let mut paths = Paths::discover().expect("folders");
    paths.data = home.path().to_owned();
    paths.settings = home.path().join("config.toml");
    let quartet = Quartet::open_at(paths, program()).await.expect("opens");
    let cancel = CancellationToken::new();
    let methods = [Method::Iag];
    let prepared = quartet
        .prepare(&methods, "samples", Some("small"), true, &cancel, &mut |_| {})
        .await
        .expect("prepared");
    let mut answers = Vec::new();
    for question in [QUESTION, "Who signed the loan agreement?", QUESTION] {
        let question = Question::fresh(question);
        let answer = prepared.answer(Method::Iag, &question, &cancel, &mut |_| {}).await;
        answers.push(answer.expect("an answer"));
    }
    let traces: Vec<_> = answers.iter().filter_map(|one| one.iag.as_ref()).collect();
    assert_eq!(traces.iter().map(|one| one.cached).collect::<Vec<_>>(), [false, false, true]);
    assert_eq!(traces[0].document, traces[2].document);
    assert_ne!(traces[0].document, traces[1].document);
    assert_eq!(answers[0].text, answers[2].text);

    // The book can be closed without loading anything again.
    let prepared = prepared.imagining(IagMode::ClosedBook);
    let question = Question::fresh(QUESTION);
    let closed = prepared.answer(Method::Iag, &question, &cancel, &mut |_| {}).await;
    let closed = closed.expect("an answer");
    assert_eq!(closed.iag.map(|one| one.mode), Some(IagMode::ClosedBook));
}
