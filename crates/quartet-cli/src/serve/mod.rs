//! `quartet serve`: the window's pages in a browser, from this machine to this machine.
//!
//! The server listens on 127.0.0.1 alone; there is no option for another address. Whoever
//! wants anything from `/api/` must show the token that this start printed ([`gate`]). No
//! route takes a path of this machine: files come in as uploads and are known by opaque ids.

mod browser;
mod calls;
mod events;
mod gate;
mod pages;
mod replies;
mod uploads;

use crate::arguments;
use crate::output::Output;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post, put};
use axum::serve::ListenerExt;
use gate::{Gate, Token};
use quartet_api::desk::Desk;
use quartet_api::types::{Error, ErrorCode, Result};
use quartet_api::{CancellationToken, Quartet};
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use uploads::Uploads;

/// The largest request of a command, in bytes. Files come in as uploads, which have no limit.
const LARGEST_REQUEST: usize = 1024 * 1024;
/// How long requests in flight may take to end after the server was told to stop.
const GRACE: Duration = Duration::from_secs(5);

/// What the routes share.
#[derive(Clone)]
struct Server {
    desk: Arc<Desk>,
    uploads: Arc<Uploads>,
    stop: CancellationToken,
}

/// Serves until Ctrl-C or a request to terminate, then stops what runs at a checkpoint.
pub(crate) async fn serve(
    quartet: Quartet,
    arguments: &arguments::Serve,
    output: Output,
    cancel: &CancellationToken,
) -> Result<ExitCode> {
    pages::are_built()?;
    let listener = listen(arguments.port).await?;
    let port = listener.local_addr().map_err(|error| Error::internal(error.to_string()))?.port();
    let token = Token::random()?;
    let url = format!("http://127.0.0.1:{port}/#token={}", token.text());
    let shown = serde_json::json!({ "url": url, "port": port, "token": token.text() });
    let data = quartet.paths().data.clone();

    let stop = CancellationToken::new();
    let desk = Desk::open(quartet).await?;
    let server = Server {
        desk: Arc::clone(&desk),
        uploads: Arc::new(Uploads::default()),
        stop: stop.clone(),
    };
    let routes = routes(server, Arc::new(Gate::new(port, token)));
    // Events are small and must not wait for one another.
    let listener = listener.tap_io(|connection| {
        let _ = connection.set_nodelay(true);
    });
    let serving = tokio::spawn(
        axum::serve(listener, routes)
            .with_graceful_shutdown(stop.clone().cancelled_owned())
            .into_future(),
    );

    output.line(&shown, &url);
    output.remark("Open this address in a browser of this machine. Ctrl-C ends the server.");
    let _page = if arguments.open { browser::open(&url, &data, output) } else { None };

    tokio::select! {
        () = cancel.cancelled() => {}
        () = asked_to_terminate() => {}
    }
    stop.cancel();
    desk.shut_down().await;
    // A client that never reads its reply must not keep the program alive.
    let _ = tokio::time::timeout(GRACE, serving).await;
    Ok(ExitCode::SUCCESS)
}

async fn listen(port: u16) -> Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| {
        let (code, hint) = match error.kind() {
            ErrorKind::AddrInUse => (ErrorCode::Busy, "Leave --port out to take any free port."),
            ErrorKind::PermissionDenied => (
                ErrorCode::InvalidInput,
                "Ports below 1024 may be reserved; leave --port out to take any free port.",
            ),
            _ => (ErrorCode::Io, "Leave --port out to take any free port."),
        };
        Error::new(code, format!("cannot listen: {error}"))
            .hint(hint)
            .about(format!("127.0.0.1:{port}"))
    })
}

fn routes(server: Server, gate: Arc<Gate>) -> Router {
    Router::new()
        .route("/api/call/{command}", post(calls::call))
        .route("/api/events", get(events::events))
        .route("/api/documents/{document}", get(calls::document))
        .route("/api/uploads", post(uploads::begin))
        .route("/api/uploads/{upload}/done", post(uploads::done))
        .route("/api/uploads/{upload}/{*name}", put(uploads::store))
        .method_not_allowed_fallback(replies::no_such_method)
        .fallback(pages::page)
        .layer(DefaultBodyLimit::max(LARGEST_REQUEST))
        .layer(middleware::from_fn_with_state(gate, gate::guard))
        // Outermost, so that refusals carry the headers too.
        .layer(middleware::from_fn(with_headers))
        .with_state(server)
}

async fn with_headers(request: Request, next: Next) -> Response {
    let is_api = gate::is_api(request.uri().path());
    let mut response = next.run(request).await;
    pages::add_headers(response.headers_mut(), is_api);
    response
}

#[cfg(unix)]
async fn asked_to_terminate() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut signals) => {
            signals.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn asked_to_terminate() {
    std::future::pending().await
}
