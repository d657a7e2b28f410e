//! What happens, as it happens: one JSON object per line.

use super::Server;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures::stream;
use quartet_api::CancellationToken;
use quartet_api::desk::DeskEvent;
use serde::Serialize;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::timeout;

/// An empty line this often, so that a connection that broke is noticed.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Events that are there already go out together, up to about this many bytes.
const PIECE: usize = 64 * 1024;

/// Lines that are about the stream itself, beside the desk's events.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum StreamEvent {
    /// The first line: from here on nothing is missed.
    Hello,
    /// The reader was too slow; this many events were dropped, and what it shows may be old.
    Missed { events: u64 },
}

struct Listening {
    receiver: Receiver<DeskEvent>,
    stop: CancellationToken,
    greeted: bool,
}

/// `GET /api/events`: lines until the server stops or the reader goes away.
pub(super) async fn events(State(server): State<Server>) -> Response {
    let listening = Listening { receiver: server.desk.listen(), stop: server.stop, greeted: false };
    let lines = stream::unfold(listening, |mut listening| async move {
        let lines = listening.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(lines)), listening))
    });
    ([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
}

impl Listening {
    /// The next lines, or `None` at the end.
    async fn next(&mut self) -> Option<Vec<u8>> {
        let mut lines = Vec::new();
        if !self.greeted {
            self.greeted = true;
            add(&mut lines, &StreamEvent::Hello);
            return Some(lines);
        }
        let received = tokio::select! {
            () = self.stop.cancelled() => return None,
            received = timeout(HEARTBEAT, self.receiver.recv()) => received,
        };
        match received {
            Err(_) => lines.push(b'\n'),
            Ok(Ok(event)) => add(&mut lines, &event),
            Ok(Err(RecvError::Lagged(events))) => add(&mut lines, &StreamEvent::Missed { events }),
            Ok(Err(RecvError::Closed)) => return None,
        }
        while lines.len() < PIECE {
            match self.receiver.try_recv() {
                Ok(event) => add(&mut lines, &event),
                Err(TryRecvError::Lagged(events)) => {
                    add(&mut lines, &StreamEvent::Missed { events });
                }
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        Some(lines)
    }
}

/// Adds one line. JSON keeps line breaks inside its strings escaped.
fn add(lines: &mut Vec<u8>, event: &impl Serialize) {
    let start = lines.len();
    match serde_json::to_writer(&mut *lines, event) {
        Ok(()) => lines.push(b'\n'),
        Err(_) => lines.truncate(start),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::broadcast;

    fn kinds(lines: &[u8]) -> Vec<String> {
        let text = std::str::from_utf8(lines).unwrap();
        assert!(text.ends_with('\n'));
        text.lines()
            .map(|line| {
                serde_json::from_str::<serde_json::Value>(line).unwrap()["kind"].to_string()
            })
            .collect()
    }

    #[tokio::test]
    async fn a_slow_reader_is_told_what_it_missed_and_goes_on() {
        let (sender, receiver) = broadcast::channel(2);
        let stop = CancellationToken::new();
        let mut listening = Listening { receiver, stop: stop.clone(), greeted: false };
        for _ in 0..5 {
            sender.send(DeskEvent::Library).unwrap();
        }
        assert_eq!(kinds(&listening.next().await.unwrap()), ["\"hello\""]);
        let lines = listening.next().await.unwrap();
        assert_eq!(kinds(&lines), ["\"missed\"", "\"library\"", "\"library\""]);
        assert!(
            std::str::from_utf8(&lines)
                .unwrap()
                .starts_with("{\"kind\":\"missed\",\"events\":3}\n")
        );
        sender.send(DeskEvent::Models).unwrap();
        assert_eq!(kinds(&listening.next().await.unwrap()), ["\"models\""]);
        stop.cancel();
        assert!(listening.next().await.is_none());
    }
}
