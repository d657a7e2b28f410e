//! GAG as a person uses it, with real models and little of everything: trained through a kill,
//! routed, answered, put right, and the general route left as it was.

use quartet_tests::{Home, models_are_installed, root, skip};
use serde_json::Value;
use std::fs;

const TRAIN: [&str; 13] = [
    "train",
    "gag",
    "--writer",
    "none",
    "--passages",
    "12",
    "--updates",
    "2",
    "--preset",
    "quick",
    "--base",
    "small",
    "--collection",
];

fn expert_is_installed() -> bool {
    let listed = Home::new().json(&["models"]);
    let installed = listed["models"].as_array().is_some_and(|models| {
        models.iter().any(|model| model["name"] == "expert" && model["path"].is_string())
    });
    installed || skip::<()>("the model `expert` is absent; run `make models`").is_some()
}

fn lines(path: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(path)).expect(path);
    let all = text.lines().map(str::trim);
    all.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

/// The best route of each question, by name.
fn routes(home: &Home, questions: &[String]) -> Vec<String> {
    let mut arguments = vec!["routes", "show", "--base", "small"];
    arguments.extend(questions.iter().map(String::as_str));
    let shown = home.json(&arguments);
    let all = shown["routes"].as_array().expect("routes");
    all.iter().map(|one| one["scores"][0]["name"].as_str().expect("a name").to_owned()).collect()
}

fn ask(home: &Home, arguments: &[&str]) -> Value {
    home.json(&[&["ask", "--base", "small", "--collection", "samples"], arguments].concat())
}

#[test]
fn an_expert_is_heard_where_it_knows_something_and_nowhere_else() {
    if !models_are_installed() || !expert_is_installed() {
        return;
    }
    let home = Home::new();
    let _ = home.json(&["import", "--collection", "samples", "assets/samples"]);

    // Before there is anything to listen to, it says so, and how to get there.
    let question = "Who keeps the minutes of the council?";
    let (_, error) =
        home.failure(&["ask", "--base", "small", "-c", "samples", "-m", "gag", question]);
    assert_eq!(error["code"], "not_found", "{error:#}");
    assert!(error["hint"].as_str().expect("a hint").contains("train gag"), "{error:#}");

    // Killed while the expert learns, and again while the base does.
    let train = [&TRAIN[..], &["samples"]].concat();
    home.killed_at(&train, "training/job-2/expert/trainer/stage-0");
    home.killed_at(&train, "training/job-2/listening");
    let trained = home.json(&train);
    let report = &trained["gag"];
    assert_eq!(trained["kind"], "gag");
    assert_eq!(report["parameters"], 2_988_544 + 16, "the card's projector and mix");
    for (metric, names) in [
        ("nll", vec!["constant", "none", "shuffled", "untrained", "wrong_route", "zero"]),
        ("f1", vec!["expert_alone", "none", "shuffled"]),
    ] {
        let all = report["controls"].as_array().expect("controls");
        let found: Vec<&str> = all
            .iter()
            .filter(|one| one["metric"] == metric)
            .map(|one| one["name"].as_str().expect("a name"))
            .collect();
        assert_eq!(found, names, "{metric}");
    }
    for one in report["controls"].as_array().expect("controls") {
        let difference = &one["difference"];
        let [low, value, high] =
            ["low", "value", "high"].map(|part| difference[part].as_f64().expect("a number"));
        assert!(low <= value && value <= high, "{one:#}");
    }
    assert!(report["deviations"].as_array().is_some_and(|all| all.len() >= 6), "{report:#}");
    let expert = home.json(&["artefacts"]);
    let kinds: Vec<&Value> =
        expert["artefacts"].as_array().expect("artefacts").iter().map(|one| &one["kind"]).collect();
    assert_eq!(kinds, ["gag", "expert"], "with the expert it listens to");

    // Routing (T15): everyday questions and those of the samples, none of them in a bank. The
    // bounds are what was measured, with room; the card's 95 % is not reached (BENCHMARKS.md).
    let everyday = lines("tests/data/general-questions.txt");
    let general = routes(&home, &everyday);
    let right = general.iter().filter(|name| *name == "general").count();
    assert!(right * 100 >= everyday.len() * 90, "{right} of {} stay general", everyday.len());
    let own: Vec<String> = lines("assets/samples/questions.jsonl")
        .iter()
        .map(|line| {
            let row: Value = serde_json::from_str(line).expect("JSON");
            row["question"].as_str().expect("a question").to_owned()
        })
        .collect();
    let found = routes(&home, &own);
    let right = found.iter().filter(|name| *name == "samples").count();
    assert!(right * 100 >= own.len() * 80, "{right} of {} come here: {found:?}", own.len());

    // A general question: the base, byte for byte as if there were no expert (T9).
    for question in ["What is the capital of Sweden?", "write a haiku about rain"] {
        let plain = ask(&home, &["--method", "none", question]);
        let routed = ask(&home, &["--method", "gag", question]);
        assert_eq!(routed["gag"]["route"], "general", "{question}");
        assert_eq!(routed["text"], plain["text"], "{question}");
        assert_eq!(routed["prompt"], plain["prompt"]);
        assert_eq!(routed["gag"]["rows"], 0);
    }

    // A question of the domain: the expert's words beside it, four rows, no passage, and its
    // states kept for the next time.
    let first = ask(&home, &["--method", "gag", question]);
    assert!(first["gag"]["route"]["domain"].is_number(), "{first:#}");
    assert_eq!(first["gag"]["rows"], 4);
    assert_eq!(first["gag"]["cached"], false);
    assert!(first["prompt"].as_str().expect("a prompt").contains("[4 embedding rows]"));
    assert!(first["retrieved"].as_array().is_some_and(Vec::is_empty), "nothing is searched");
    let background = first["gag"]["background"].as_str().expect("words");
    assert!(!background.is_empty());
    assert!(!first["prompt"].as_str().expect("a prompt").contains(background));
    let again = ask(&home, &["--method", "gag", question]);
    assert_eq!(again["gag"]["cached"], true);
    assert_eq!(again["text"], first["text"]);

    // Sent elsewhere, once and for good, and back again.
    let pinned = ask(&home, &["--method", "gag", "--route", "general", question]);
    assert_eq!(
        (&pinned["gag"]["route"], &pinned["gag"]["pinned"]),
        (&"general".into(), &true.into())
    );
    let asked = [question.to_owned()];
    let corrected = home.json(&["routes", "add", question, "--to", "general"]);
    assert_eq!(routes(&home, &asked), ["general"]);
    let id = corrected["corrections"][0]["id"].to_string();
    let _ = home.json(&["routes", "remove", &id]);
    assert_eq!(routes(&home, &asked), ["samples"]);

    // A deleted collection takes with it all that was learnt from it.
    let _ = home.json(&["collections", "delete", "samples", "--yes"]);
    for folder in ["artefacts", "thoughts", "study"] {
        let left = fs::read_dir(home.path().join(folder)).map_or(0, Iterator::count);
        assert_eq!(left, 0, "{folder}");
    }
}
