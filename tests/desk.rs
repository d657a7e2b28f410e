//! The desk as a shell uses it: commands by name, JSON in and out, events.

use quartet_api::desk::{DeskEvent, PickKind};
use quartet_api::types::{AnswerEvent, ErrorCode, Method, Result};
use quartet_api::{Desk, Paths, Quartet};
use quartet_tests::{Home, models_are_installed, program, root};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;

/// Nothing here takes this long unless it never ends.
const PATIENCE: Duration = Duration::from_secs(120);

struct Place {
    home: Home,
    desk: Arc<Desk>,
    events: Receiver<DeskEvent>,
}

impl Place {
    async fn new() -> Self {
        Self::at(Home::new()).await
    }

    async fn at(home: Home) -> Self {
        let mut paths = Paths::discover().unwrap();
        paths.data = home.path().to_owned();
        paths.settings = home.path().join("config.toml");
        fs::write(&paths.settings, "base = \"small\"\n").unwrap();
        let quartet = Quartet::open_at(paths, program()).await.unwrap();
        let desk = Desk::open(quartet).await.unwrap();
        let events = desk.listen();
        Self { home, desk, events }
    }

    async fn call(&self, command: &str, request: Value) -> Value {
        self.try_call(command, request).await.unwrap_or_else(|error| panic!("{command}: {error:?}"))
    }

    async fn try_call(&self, command: &str, request: Value) -> Result<Value> {
        self.desk.call(command, request).await
    }

    async fn event<T>(&mut self, mut wanted: impl FnMut(DeskEvent) -> Option<T>) -> T {
        let search = async {
            loop {
                if let Ok(event) = self.events.recv().await
                    && let Some(found) = wanted(event)
                {
                    return found;
                }
            }
        };
        tokio::time::timeout(PATIENCE, search).await.expect("the event never came")
    }

    /// Waits until a job is in one of these states.
    async fn job_is(&mut self, id: &Value, states: &[&str]) -> Value {
        let id = id.clone();
        self.event(|event| {
            let DeskEvent::Job { job } = event else { return None };
            let job = json!(job);
            (job["job"]["id"] == id && states.iter().any(|state| job["job"]["state"] == *state))
                .then_some(job)
        })
        .await
    }

    async fn import(&mut self, paths: Vec<PathBuf>, collection: &str, link: bool) -> Value {
        let pick = self.desk.register(paths);
        let request = json!({ "pick": pick.id, "collection": collection, "link": link });
        let job = self.call("import_pick", request).await;
        self.job_is(&job["job"]["id"], &["finished", "failed"]).await
    }

    async fn chat(&self, collection: &str) -> Value {
        self.call("create_chat", json!({ "collection": collection })).await["id"].clone()
    }

    /// Asks and waits for the end; the turn as stored.
    async fn ask(&mut self, request: Value) -> Value {
        let head = self.call("ask", request).await;
        self.run_ended().await;
        self.turn(&head["id"]).await
    }

    async fn run_ended(&mut self) {
        self.event(|event| matches!(event, DeskEvent::RunEnded { .. }).then_some(())).await;
    }

    async fn turn(&self, id: &Value) -> Value {
        self.call("turns", json!({ "turns": [id] })).await[0].clone()
    }
}

fn question(chat: &Value, run: &str, text: &str, methods: &[&str]) -> Value {
    json!({
        "run": run, "chat": chat, "question": text, "methods": methods,
        "replaces": null, "abstain": false, "blind": false,
    })
}

fn samples() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(root().join("assets/samples"))
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "pdf"))
        .collect();
    files.sort();
    files.truncate(3);
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn from_files_to_answers_votes_and_exports() {
    if !models_are_installed() {
        return;
    }
    let mut place = Place::new().await;
    let job = place.import(samples(), "samples", false).await;
    assert_eq!(job["job"]["state"], "finished", "{job:#}");
    assert_eq!(job["collection"], "samples");

    let request =
        json!({ "collection": "samples", "query": "", "status": null, "offset": 0, "limit": 2 });
    let page = place.call("list_documents", request).await;
    assert_eq!((page["total"].as_u64(), page["documents"].as_array().unwrap().len()), (Some(3), 2));
    assert_eq!(page["counts"], json!([{ "status": "ready", "count": 3 }]));

    let chat = place.chat("samples").await;
    let text = "What does a night in the guest room cost?";
    let head = place.call("ask", question(&chat, "first", text, &["rag", "none"])).await;
    let mut written = [String::new(), String::new()];
    let mut finished = 0;
    while finished < 2 {
        let (method, event) = place
            .event(|event| match event {
                DeskEvent::Answer { run, method, event, .. } if run == "first" => {
                    Some((method, event))
                }
                _ => None,
            })
            .await;
        match event {
            AnswerEvent::Text(text) => written[usize::from(method == Method::Rag)].push_str(&text),
            AnswerEvent::Finished(answer) => {
                assert!(answer.id.is_some(), "told before it was kept");
                finished += 1;
            }
            _ => {}
        }
    }
    place.run_ended().await;
    assert!(written.iter().all(|text| !text.is_empty()), "both stream: {written:?}");
    let turn = place.turn(&head["id"]).await;
    let outcomes = turn["outcomes"].as_array().unwrap();
    assert_eq!(outcomes.len(), 2);
    let rag = &outcomes[1]["answer"];
    let hit = &rag["retrieved"][0]["passage"];
    let request = json!({ "document": hit["document"], "page": hit["span"]["page"] });
    let page = place.call("page_text", request).await;
    let (start, end) =
        (hit["span"]["start"].as_u64().unwrap(), hit["span"]["end"].as_u64().unwrap());
    let span: String = page["text"].as_str().unwrap().chars().collect::<Vec<_>>()
        [usize::try_from(start).unwrap()..usize::try_from(end).unwrap()]
        .iter()
        .collect();
    assert_eq!(span, hit["text"].as_str().unwrap(), "the span leads to the passage");

    let vote = json!({ "turn": head["id"], "winner": "rag" });
    place.call("cast_vote", vote).await;
    let votes = place.call("votes", json!({})).await;
    assert_eq!(votes[1], json!({ "method": "rag", "won": 1, "lost": 0, "tied": 0, "blind": 0 }));
    let error = place.try_call("cast_vote", json!({ "turn": head["id"], "winner": "gag" })).await;
    assert_eq!(error.unwrap_err().code, ErrorCode::InvalidInput);

    // Asked again: the old turn goes out of sight.
    let mut again = question(&chat, "again", "How much is a night in the guest room?", &["none"]);
    again["replaces"] = head["id"].clone();
    let turn = place.ask(again).await;
    let view = place.call("open_chat", json!({ "chat": chat })).await;
    assert_eq!(view["turns"].as_array().unwrap().len(), 1);
    assert_eq!(view["turns"][0]["id"], turn["id"]);
    assert_eq!(view["chat"]["title"], "How much is a night in the guest room?");

    for (format, part) in
        [("markdown", "## How much is"), ("html", "<h2>How much is"), ("json", "\"turns\"")]
    {
        let exported = place.call("export_chat", json!({ "chat": chat, "format": format })).await;
        assert!(exported["content"].as_str().unwrap().contains(part), "{exported:#}");
    }
    let found = place
        .call(
            "list_chats",
            json!({ "collection": null, "query": "GUEST room", "offset": 0, "limit": 5 }),
        )
        .await;
    assert_eq!(found["total"], 1);
    let found = place
        .call(
            "list_chats",
            json!({ "collection": null, "query": "zebra", "offset": 0, "limit": 5 }),
        )
        .await;
    assert_eq!(found["total"], 0);

    place.call("delete_collection", json!({ "name": "samples" })).await;
    assert_eq!(place.call("list_collections", json!({})).await, json!([]));
    assert_eq!(place.call("votes", json!({})).await[1]["won"], 1, "votes outlive what was asked");
    place.desk.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_dies_costs_one_answer() {
    if !models_are_installed() {
        return;
    }
    let mut place = Place::new().await;
    place.import(samples(), "samples", false).await;
    let chat = place.chat("samples").await;
    let head = place
        .call("ask", question(&chat, "doomed", "Tell me all about the library.", &["rag"]))
        .await;
    place
        .event(|event| {
            matches!(event, DeskEvent::Answer { event: AnswerEvent::Text(_), .. }).then_some(())
        })
        .await;
    let seen = place.call("privacy", json!({})).await;
    let engine =
        seen["processes"].as_array().unwrap().iter().find(|process| process["name"] == "engine");
    let engine = engine.expect("an engine runs")["id"].to_string();
    assert!(std::process::Command::new("kill").args(["-9", &engine]).status().unwrap().success());
    let error = place
        .event(|event| match event {
            DeskEvent::AnswerFailed { error, .. } => Some(error),
            _ => None,
        })
        .await;
    assert_eq!(error.code, ErrorCode::WorkerDied);
    place.run_ended().await;
    let turn = place.turn(&head["id"]).await;
    assert_eq!(turn["outcomes"][0]["error"]["code"], "worker_died", "{turn:#}");
    assert!(turn["outcomes"][0]["partial"].is_string(), "what was written is kept");
    let turn = place.ask(question(&chat, "next", "Who signed the contract?", &["rag"])).await;
    assert!(turn["outcomes"][0]["answer"]["text"].is_string(), "{turn:#}");
    place.desk.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_linked_folder_follows_its_files() {
    if !models_are_installed() {
        return;
    }
    let mut place = Place::new().await;
    let folder = place.home.path().join("papers");
    fs::create_dir(&folder).unwrap();
    let copy = |from: &Path| fs::copy(from, folder.join(from.file_name().unwrap())).unwrap();
    let files = samples();
    copy(&files[0]);
    place.import(vec![folder.clone()], "papers", true).await;
    let linked = place.call("linked_folders", json!({ "collection": "papers" })).await;
    assert_eq!(linked[0]["found"], true);

    copy(&files[1]);
    let request =
        json!({ "collection": "papers", "query": "", "status": "ready", "offset": 0, "limit": 9 });
    for _ in 0..600 {
        if place.call("list_documents", request.clone()).await["total"] == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(place.call("list_documents", request).await["total"], 2, "the new file was noticed");
    place.call("unlink_folder", json!({ "folder": linked[0]["id"] })).await;
    assert_eq!(place.call("linked_folders", json!({ "collection": "papers" })).await, json!([]));
    place.desk.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn work_stops_with_the_desk_and_goes_on_with_the_next() {
    if !models_are_installed() {
        return;
    }
    let mut place = Place::new().await;
    let upload = place.desk.begin_upload().unwrap();
    for file in samples() {
        fs::copy(&file, upload.folder.join(file.file_name().unwrap())).unwrap();
    }
    let pick = place.desk.finish_upload(&upload.id, PickKind::Files).unwrap();
    let job = place
        .call("import_pick", json!({ "pick": pick.id, "collection": "up", "link": false }))
        .await;
    place.job_is(&job["job"]["id"], &["running"]).await;
    place.desk.shut_down().await;
    let stopped = place.call("list_jobs", json!({})).await[0]["job"]["state"].clone();
    assert!(stopped == "queued" || stopped == "finished", "{stopped}");
    let mut place = Place::at(place.home).await;
    if stopped == "queued" {
        place.job_is(&job["job"]["id"], &["finished"]).await;
    }
    let request =
        json!({ "collection": "up", "query": "", "status": "ready", "offset": 0, "limit": 9 });
    let page = place.call("list_documents", request).await;
    assert_eq!(page["total"], 3);
    // Copies of ours go with their documents.
    let ids: Vec<Value> = page["documents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|document| document["id"].clone())
        .collect();
    place.call("delete_documents", json!({ "documents": ids })).await;
    assert!(!upload.folder.exists(), "nothing of a deleted upload stays");
    place.desk.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_another_shape_are_refused() {
    let place = Place::new().await;
    for (command, request) in [
        ("no_such_command", json!({})),
        ("ask", json!({ "chat": 1 })),
        ("import_pick", json!({ "pick": "/etc/passwd", "collection": "x", "link": false })),
        ("save_settings", json!({ "context": 3 })),
    ] {
        let error = place.try_call(command, request).await.unwrap_err();
        assert!(
            matches!(error.code, ErrorCode::InvalidInput | ErrorCode::NotFound),
            "{command}: {error:?}"
        );
    }
    place.desk.shut_down().await;
}
