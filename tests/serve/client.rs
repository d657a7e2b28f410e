//! A client of `quartet serve` that sends exactly what it is told to.

use quartet_tests::{Home, skip};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::Duration;

/// Far longer than anything here takes: a test that hangs must end.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// A running server with a data folder of its own.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) port: u16,
    pub(crate) token: String,
    pub(crate) home: Home,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What it answered.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", String::from_utf8_lossy(&self.body)))
    }
}

impl Server {
    /// `None` with a message where the program was built without pages.
    pub(crate) fn start() -> Option<Self> {
        let home = Home::new();
        let mut child = home
            .command()
            .args(["--json", "serve"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        lines.read_line(&mut line).expect("a line");
        let shown: Value = match serde_json::from_str(&line) {
            Ok(shown) => shown,
            Err(_) => {
                // An error is printed over several lines.
                lines.read_to_string(&mut line).expect("UTF-8");
                let error: Value = serde_json::from_str(&line).expect("JSON");
                let hint = error["error"]["hint"].as_str().expect("a hint");
                assert!(hint.contains("make ui"), "{error:#}");
                child.wait().expect("it ends");
                return skip("the program was built without the window's pages; run `make ui`");
            }
        };
        let port = u16::try_from(shown["port"].as_u64().expect("a port")).expect("a port");
        let token = shown["token"].as_str().expect("a token").to_owned();
        assert_eq!(shown["url"], format!("http://127.0.0.1:{port}/#token={token}"));
        assert_eq!(token.len(), 64, "256 bits");
        Some(Self { child, port, token, home })
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream
    }

    /// Sends a request with exactly these headers, and its body.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let mut stream = self.connect();
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += &format!("Content-Length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).expect("sent");
        // A refusal may come before all of the body has been sent.
        let _ = stream.write_all(body);
        read_reply(&mut BufReader::new(stream), method)
    }

    /// Sends a request as a page of this server does.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &[u8]) -> Reply {
        let host = format!("127.0.0.1:{}", self.port);
        let origin = format!("http://{host}");
        let bearer = format!("Bearer {}", self.token);
        let headers = [("Host", &*host), ("Origin", &origin), ("Authorization", &bearer)];
        self.send(method, path, &headers, body)
    }

    pub(crate) fn call(&self, command: &str, request: &Value) -> Value {
        let reply =
            self.ask("POST", &format!("/api/call/{command}"), request.to_string().as_bytes());
        assert_eq!(reply.status, 200, "{command}: {}", String::from_utf8_lossy(&reply.body));
        reply.json()
    }

    /// The events from now on.
    pub(crate) fn listen(&self) -> BufReader<TcpStream> {
        let mut stream = self.connect();
        let head = format!(
            "GET /api/events HTTP/1.1\r\nHost: localhost:{}\r\nAuthorization: Bearer {}\r\n\r\n",
            self.port, self.token
        );
        stream.write_all(head.as_bytes()).expect("sent");
        let mut reader = BufReader::new(stream);
        let (status, headers) = read_head(&mut reader);
        assert_eq!(status, 200);
        assert!(headers.contains(&("content-type".to_owned(), "application/x-ndjson".to_owned())));
        assert_eq!(next_event(&mut reader)["kind"], "hello");
        reader
    }

    pub(crate) fn upload(&self) -> String {
        let begun = self.ask("POST", "/api/uploads", b"").json();
        begun["upload"].as_str().expect("an id").to_owned()
    }
}

pub(crate) fn read_head(reader: &mut impl BufRead) -> (u16, Vec<(String, String)>) {
    let mut line = String::new();
    reader.read_line(&mut line).expect("a status line");
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.unwrap_or_else(|| panic!("a status in {line:?}"));
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line).expect("a header");
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    (status, headers)
}

/// One piece of a body that is sent in pieces; empty at the end.
pub(crate) fn read_piece(reader: &mut impl BufRead) -> Vec<u8> {
    let mut line = String::new();
    reader.read_line(&mut line).expect("the size of a piece");
    let size = usize::from_str_radix(line.trim(), 16).expect("a hexadecimal size");
    let mut piece = vec![0; size + 2];
    reader.read_exact(&mut piece).expect("the piece");
    piece.truncate(size);
    piece
}

pub(crate) fn read_reply(reader: &mut impl BufRead, method: &str) -> Reply {
    let (status, headers) = read_head(reader);
    let mut body = Vec::new();
    if headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked") {
        loop {
            let piece = read_piece(reader);
            if piece.is_empty() {
                break;
            }
            body.extend(piece);
        }
    } else if method != "HEAD" {
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length = length.and_then(|(_, length)| length.parse().ok()).unwrap_or(0);
        body.resize(length, 0);
        reader.read_exact(&mut body).expect("the whole body");
    }
    Reply { status, headers, body }
}

/// The next event: a piece may hold several lines, but those of these tests come one by one.
pub(crate) fn next_event(reader: &mut impl BufRead) -> Value {
    loop {
        let piece = read_piece(reader);
        let text = String::from_utf8(piece).expect("UTF-8");
        if let Some(line) = text.lines().find(|line| !line.is_empty()) {
            return serde_json::from_str(line).expect("JSON");
        }
    }
}
