//! The one window: where it may go, what it is told, and how it ends.

use crate::{commands, drops};
use quartet_api::types::{Error, Result};
use quartet_api::{Desk, Quartet};
use std::sync::Arc;
use std::time::Duration;
use tauri::webview::NewWindowResponse;
use tauri::{AppHandle, Emitter, Manager, RunEvent, WebviewUrl, WebviewWindowBuilder};
use tauri_plugin_dialog::{DialogExt, MessageDialogKind};
use tokio::sync::broadcast::error::RecvError;

/// The label of the window, which the capability file names.
const MAIN: &str = "main";
/// The name under which the page hears what happens.
const EVENT: &str = "desk";
/// How long the window's end waits for running work to reach a checkpoint.
const FAREWELL: Duration = Duration::from_secs(3);

/// Opens the window and returns when it is closed.
///
/// # Errors
/// If the system has no place for a window.
pub(crate) fn run() -> Result<()> {
    let app = tauri::Builder::default()
        .plugin(tauri_plugin_dialog::init())
        .invoke_handler(commands::handle)
        .on_window_event(drops::notice)
        .setup(|app| {
            match tauri::async_runtime::block_on(open_desk()) {
                Ok(desk) => {
                    tauri::async_runtime::spawn(pass_on_events(
                        app.handle().clone(),
                        Arc::clone(&desk),
                    ));
                    app.manage(desk);
                    open_window(app.handle())?;
                }
                Err(error) => explain(app.handle(), &error),
            }
            Ok(())
        })
        .build(tauri::generate_context!())
        .map_err(|error| Error::internal(format!("no window: {error}")))?;
    app.run(|app, event| {
        if let RunEvent::Exit = event
            && let Some(desk) = app.try_state::<Arc<Desk>>()
        {
            tauri::async_runtime::block_on(async {
                let _ = tokio::time::timeout(FAREWELL, desk.shut_down()).await;
            });
        }
    });
    Ok(())
}

async fn open_desk() -> Result<Arc<Desk>> {
    Desk::open(Quartet::open().await?).await
}

fn open_window(app: &AppHandle) -> tauri::Result<()> {
    WebviewWindowBuilder::new(app, MAIN, WebviewUrl::default())
        .title("Quartet")
        .inner_size(1280.0, 840.0)
        .min_inner_size(760.0, 520.0)
        // The window shows its own pages and never goes anywhere else.
        .on_navigation(|url| {
            url.scheme() == "tauri" || url.host_str().is_some_and(|host| host == "tauri.localhost")
        })
        .on_new_window(|_, _| NewWindowResponse::Deny)
        .build()
        .map(|_| ())
}

/// Tells why there is no window, then ends.
fn explain(app: &AppHandle, error: &Error) {
    let hint = error.hint.as_deref().unwrap_or_default();
    let code = i32::from(error.code.exit_code());
    let handle = app.clone();
    app.dialog()
        .message(format!("{error}\n\n{hint}"))
        .title("Quartet cannot start")
        .kind(MessageDialogKind::Error)
        .show(move |_| handle.exit(code));
}

async fn pass_on_events(app: AppHandle, desk: Arc<Desk>) {
    let mut events = desk.listen();
    loop {
        match events.recv().await {
            Ok(event) => {
                let _ = app.emit_to(MAIN, EVENT, event);
            }
            // Some were missed; answers carry their whole text at the end.
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}
