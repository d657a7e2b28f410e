//! `quartet serve`, spoken to as a browser would, and as something hostile would.

#[path = "serve/client.rs"]
mod client;

use client::{PATIENCE, Server, next_event, read_piece};
use quartet_tests::{Home, models_are_installed, root};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

#[test]
fn it_listens_on_loopback_only_and_ends_when_asked() {
    let Some(mut server) = Server::start() else { return };
    // Another loopback address shows that not every address was taken.
    assert!(TcpStream::connect(("127.0.0.2", server.port)).is_err());
    if cfg!(target_os = "linux") {
        let local = format!("0100007F:{:04X}", server.port);
        let port = format!(":{:04X}", server.port);
        let listening = |table: &str| -> Vec<String> {
            let table = fs::read_to_string(table).unwrap_or_default();
            let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
            rows.filter(|row| row.get(3) == Some(&"0A") && row[1].ends_with(&port))
                .map(|row| row[1].to_owned())
                .collect()
        };
        assert_eq!(listening("/proc/net/tcp"), [local]);
        assert!(listening("/proc/net/tcp6").is_empty());
    }
    // An open stream of events does not keep it from ending.
    let mut events = server.listen();
    let pid = server.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill").success());
    let end = server.child.wait().expect("the program ends");
    assert!(end.success(), "{end}");
    assert!(read_piece(&mut events).is_empty(), "the stream ends properly");
}

#[test]
fn a_taken_port_is_an_error_that_says_what_to_do() {
    let Some(server) = Server::start() else { return };
    let home = Home::new();
    let (_, error) = home.failure(&["serve", "--port", &server.port.to_string()]);
    assert_eq!(error["code"], "busy", "{error:#}");
    assert!(error["hint"].as_str().expect("a hint").contains("--port"));
}

#[test]
fn pages_come_with_a_strict_policy() {
    let Some(server) = Server::start() else { return };
    let host = format!("localhost:{}", server.port);
    let page = server.send("GET", "/", &[("Host", &host)], b"");
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(String::from_utf8_lossy(&page.body).to_lowercase().contains("<!doctype html>"));
    assert_eq!(page.header("cache-control"), "no-cache");
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(page.header(name), value, "{name}");
    }

    // The same policy as the window's, but for what it may connect to.
    let window = fs::read_to_string(root().join("tauri.conf.json")).expect("tauri.conf.json");
    let window: Value = serde_json::from_str(&window).expect("JSON");
    let mut window = window["app"]["security"]["csp"].as_object().expect("a policy").clone();
    window.insert("connect-src".to_owned(), json!("'self'"));
    let here: serde_json::Map<String, Value> = page
        .header("content-security-policy")
        .split("; ")
        .filter_map(|part| part.split_once(' '))
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect();
    assert_eq!(here, window);
    assert!(!page.header("content-security-policy").contains("unsafe-"));

    // What the page names is there, with the right type; what is not there is not.
    let html = String::from_utf8_lossy(&page.body).into_owned();
    for (start, expected) in [("src=\"/", "text/javascript"), ("href=\"/", "text/")] {
        for rest in html.split(start).skip(1) {
            let path = format!("/{}", rest.split('"').next().expect("a closing quote"));
            let file = server.send("GET", &path, &[("Host", &host)], b"");
            assert_eq!(file.status, 200, "{path}");
            if path.ends_with(".js") || path.ends_with(".css") {
                assert!(file.header("content-type").starts_with(expected), "{path}");
            }
        }
    }
    for path in
        ["/nothing.js", "/../Cargo.toml", "/..%2f..%2fCargo.toml", "/index.html/..", "//etc/passwd"]
    {
        let missing = server.send("GET", path, &[("Host", &host)], b"");
        assert_eq!(missing.status, 404, "{path}");
        assert_eq!(missing.json()["code"], "not_found");
        assert_eq!(missing.header("x-content-type-options"), "nosniff");
    }
    assert_eq!(server.send("POST", "/", &[("Host", &host)], b"").status, 405);
    let head = server.send("HEAD", "/", &[("Host", &host)], b"");
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[test]
fn only_its_own_pages_with_the_token_are_heard() {
    let Some(server) = Server::start() else { return };
    let host = format!("127.0.0.1:{}", server.port);
    let bearer = format!("Bearer {}", server.token);
    let routes = [
        ("POST", "/api/call/list_collections"),
        ("GET", "/api/events"),
        ("GET", "/api/documents/1"),
        ("POST", "/api/uploads"),
        ("PUT", "/api/uploads/a/b.pdf"),
        ("POST", "/api/uploads/a/done?kind=files"),
        ("GET", "/api/nothing"),
    ];
    let wrong = format!("Bearer {}", "0".repeat(64));
    for (method, path) in routes {
        for headers in [
            &[("Host", &*host)][..],
            &[("Host", &host), ("Authorization", &wrong)],
            &[("Host", &host), ("Authorization", &bearer[..bearer.len() - 1])],
            &[("Host", &host), ("Cookie", &bearer)],
        ] {
            let reply = server.send(method, path, headers, b"{}");
            assert_eq!(reply.status, 401, "{method} {path} {headers:?}");
            assert_eq!(reply.json()["code"], "invalid_input");
            assert!(reply.json()["hint"].as_str().expect("a hint").contains("quartet serve"));
            assert_eq!(reply.header("cache-control"), "no-store");
            assert_eq!(reply.header("access-control-allow-origin"), "");
        }
        let with_token =
            format!("{path}{}token={}", if path.contains('?') { '&' } else { '?' }, server.token);
        assert_eq!(server.send(method, &with_token, &[("Host", &host)], b"").status, 401);
    }

    let path = "/api/call/list_collections";
    let other_port = format!("127.0.0.1:{}", server.port ^ 1);
    for wrong_host in
        ["example.org", "127.0.0.1", &other_port, &format!("example.org:{}", server.port)]
    {
        for path in [path, "/"] {
            let reply = server.send(
                "POST",
                path,
                &[("Host", wrong_host), ("Authorization", &bearer)],
                b"{}",
            );
            assert_eq!(reply.status, 403, "{wrong_host} {path}");
            assert_eq!(reply.json()["code"], "invalid_input");
        }
    }
    for origin in [
        "http://example.org",
        "null",
        "file://",
        &format!("https://{host}"),
        &format!("http://{other_port}"),
    ] {
        let headers = [("Host", &*host), ("Origin", origin), ("Authorization", &bearer)];
        assert_eq!(server.send("POST", path, &headers, b"{}").status, 403, "{origin}");
        // A page of another site does not even get leave to ask.
        let asking =
            [("Host", &*host), ("Origin", origin), ("Access-Control-Request-Method", "POST")];
        let reply = server.send("OPTIONS", path, &asking, b"");
        assert_eq!((reply.status, reply.header("access-control-allow-origin")), (403, ""));
    }
    assert_eq!(server.ask("POST", path, b"{}").status, 200);
}

#[test]
fn commands_are_called_and_errors_have_a_fitting_status() {
    let Some(server) = Server::start() else { return };
    assert!(server.call("hello", &json!({}))["version"].is_string());
    for (command, body, status, code) in [
        ("no_such_command", "{}", 400, "invalid_input"),
        ("create_collection", "{\"name\": 5}", 400, "invalid_input"),
        ("create_collection", "not JSON", 400, "invalid_input"),
        ("create_collection", "", 400, "invalid_input"),
        ("rename_collection", "{\"name\": \"nowhere\", \"to\": \"there\"}", 404, "not_found"),
        ("../call/hello", "{}", 404, "not_found"),
    ] {
        let reply = server.ask("POST", &format!("/api/call/{command}"), body.as_bytes());
        assert_eq!(
            reply.status,
            status,
            "{command} {body}: {}",
            String::from_utf8_lossy(&reply.body)
        );
        assert_eq!(reply.json()["code"], code, "{command} {body}");
    }
    let large = format!("{{\"name\": \"{}\"}}", "x".repeat(1024 * 1024));
    let reply = server.ask("POST", "/api/call/create_collection", large.as_bytes());
    assert_eq!((reply.status, reply.json()["code"].clone()), (413, json!("limit_exceeded")));
    assert_eq!(server.ask("GET", "/api/call/hello", b"").status, 405);
    assert_eq!(server.ask("GET", "/api/documents/4711", b"").status, 404);
    assert_eq!(server.ask("GET", "/api/documents/..%2f..%2fetc%2fpasswd", b"").status, 400);
}

#[test]
fn events_reach_every_listener() {
    let Some(server) = Server::start() else { return };
    let mut listeners = [server.listen(), server.listen()];
    // Somebody who connects and says nothing holds up nobody.
    let _silent = server.connect();
    server.call("create_collection", &json!({ "name": "letters" }));
    for listener in &mut listeners {
        while next_event(listener)["kind"] != "library" {}
    }
}

#[test]
fn uploads_stay_below_their_folder() {
    let Some(server) = Server::start() else { return };
    let upload = server.upload();
    for name in [
        "../a.pdf",
        "..%2fa.pdf",
        "..%2f..%2f..%2fa.pdf",
        "a%2f..%2f..%2fa.pdf",
        "%2e%2e/a.pdf",
        "%2ftmp%2fa.pdf",
        "/tmp/a.pdf",
        "..%5ca.pdf",
        "a//b.pdf",
        "a%00.pdf",
        "a%0a.pdf",
        "%ff.pdf",
        &"x".repeat(256),
        &"a/".repeat(40),
    ] {
        let reply = server.ask("PUT", &format!("/api/uploads/{upload}/{name}"), b"%PDF-");
        assert_eq!(reply.status, 400, "{name}: {}", String::from_utf8_lossy(&reply.body));
    }
    for id in ["..", "%2e%2e", "..%2f..", "nowhere"] {
        let reply = server.ask("PUT", &format!("/api/uploads/{id}/a.pdf"), b"%PDF-");
        assert_eq!(reply.status, 404, "{id}");
    }
    let mut folders = vec![server.home.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("readable").flatten() {
            let path = entry.path();
            assert!(path.extension().is_none_or(|ending| ending != "pdf"), "{}", path.display());
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    // Nothing came in, so nothing can be made of it; nor of what is not said.
    let done = format!("/api/uploads/{upload}/done");
    assert_eq!(server.ask("POST", &done, b"").status, 400);
    assert_eq!(server.ask("POST", &format!("{done}?kind=other"), b"").status, 400);
    assert_eq!(server.ask("POST", &format!("{done}?kind=files"), b"").status, 400);
}

#[test]
fn a_file_that_does_not_arrive_whole_leaves_nothing() {
    let Some(server) = Server::start() else { return };
    let upload = server.upload();
    let path = format!("/api/uploads/{upload}/a.pdf");
    let mut stream = server.connect();
    let head = format!(
        "PUT {path} HTTP/1.1\r\nHost: localhost:{}\r\nAuthorization: Bearer {}\r\nContent-Length: 1000\r\n\r\n",
        server.port, server.token
    );
    stream.write_all(head.as_bytes()).expect("sent");
    stream.write_all(b"%PDF-1.7 only half of").expect("sent");
    drop(stream);
    // The name is free again as soon as the server has noticed.
    let start = Instant::now();
    loop {
        let reply = server.ask("PUT", &path, b"%PDF-1.7 all of it");
        if reply.status == 201 {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "{}", String::from_utf8_lossy(&reply.body));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(server.ask("PUT", &path, b"another").status, 400, "never written over");
    let pick = server.ask("POST", &format!("/api/uploads/{upload}/done?kind=files"), b"");
    assert_eq!(pick.json()["names"], json!(["a.pdf"]));
    let late = server.ask("PUT", &format!("/api/uploads/{upload}/b.pdf"), b"%PDF-");
    assert_eq!(late.status, 404, "an upload that is done takes nothing more");
}

#[test]
fn what_is_uploaded_is_imported_and_can_be_opened() {
    if !models_are_installed() {
        return;
    }
    let Some(server) = Server::start() else { return };
    let mut samples: Vec<_> = fs::read_dir(root().join("assets/samples"))
        .expect("assets/samples")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "pdf"))
        .collect();
    samples.sort();
    let sample = fs::read(&samples[0]).expect("a sample");

    let upload = server.upload();
    // A space, a letter beyond ASCII, and a folder.
    let path = format!("/api/uploads/{upload}/papers/a%20caf%C3%A9.pdf");
    assert_eq!(server.ask("PUT", &path, &sample).status, 201);
    let pick = server.ask("POST", &format!("/api/uploads/{upload}/done?kind=folder"), b"").json();
    assert_eq!((&pick["names"], &pick["folders"]), (&json!(["papers"]), &json!(1)), "{pick:#}");

    let request = json!({ "pick": pick["id"], "collection": "uploaded", "link": false });
    server.call("import_pick", &request);
    let again = server.ask("POST", "/api/call/import_pick", request.to_string().as_bytes());
    assert_ne!(again.status, 200, "a pick is used once");

    let wanted =
        json!({ "collection": "uploaded", "query": "", "status": null, "offset": 0, "limit": 10 });
    let start = Instant::now();
    let document = loop {
        let reply = server.ask("POST", "/api/call/list_documents", wanted.to_string().as_bytes());
        let listed = if reply.status == 200 { reply.json() } else { Value::Null };
        let first = listed["documents"][0].clone();
        if first["status"] == "ready" {
            break first;
        }
        assert!(start.elapsed() < PATIENCE, "{listed:#}");
        std::thread::sleep(Duration::from_millis(100));
    };
    assert!(document["path"].as_str().expect("a path").ends_with("a café.pdf"), "{document:#}");
    let opened = server.ask("GET", &format!("/api/documents/{}", document["id"]), b"");
    assert_eq!(opened.status, 200);
    assert_eq!(opened.header("content-type"), "application/pdf");
    assert!(opened.body == sample, "the same bytes as were uploaded");
}
