//! The system's file dialogs. A page can ask for one; what a person then chooses reaches the
//! page as an opaque id.

use quartet_api::Desk;
use quartet_api::desk::{ExportChat, PickKind};
use quartet_api::types::{Error, ErrorCode, Result};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use tauri::{AppHandle, Manager};
use tauri_plugin_dialog::{DialogExt, FilePath};
use tokio::sync::oneshot;

/// Lets the person choose; `null` if they do not.
pub(crate) async fn pick(app: &AppHandle, desk: &Arc<Desk>, kind: PickKind) -> Result<Value> {
    let (sender, chosen) = oneshot::channel();
    let dialog = app.dialog().file();
    match kind {
        PickKind::Files => dialog.add_filter("PDF", &["pdf", "PDF"]).pick_files(|paths| {
            let _ = sender.send(paths);
        }),
        PickKind::Folder => dialog.pick_folders(|paths| {
            let _ = sender.send(paths);
        }),
        PickKind::Model => dialog.add_filter("GGUF", &["gguf"]).pick_file(|path| {
            let _ = sender.send(path.map(|path| vec![path]));
        }),
    }
    let paths = chosen.await.unwrap_or_default().unwrap_or_default();
    let paths = paths.into_iter().map(local).collect::<Result<Vec<PathBuf>>>()?;
    if paths.is_empty() {
        return Ok(Value::Null);
    }
    Ok(json!(desk.register(paths)))
}

/// Asks where to, then writes a conversation there; the reply is the file's name, or `null`.
pub(crate) async fn save_export(
    app: &AppHandle,
    desk: &Arc<Desk>,
    request: Value,
) -> Result<Value> {
    let request: ExportChat = serde_json::from_value(request)
        .map_err(|error| Error::new(ErrorCode::InvalidInput, error.to_string()))?;
    let exported = desk.export_chat(request).await?;
    let (sender, chosen) = oneshot::channel();
    let mut dialog = app.dialog().file().set_file_name(&exported.name);
    if let Ok(folder) = app.path().document_dir().or_else(|_| app.path().home_dir()) {
        dialog = dialog.set_directory(folder);
    }
    dialog.save_file(|path| {
        let _ = sender.send(path);
    });
    let Some(path) = chosen.await.unwrap_or_default() else { return Ok(Value::Null) };
    let path = local(path)?;
    tokio::fs::write(&path, exported.content)
        .await
        .map_err(|error| Error::from_io(&error, &path))?;
    Ok(json!(path.file_name().map(|name| name.to_string_lossy())))
}

fn local(path: FilePath) -> Result<PathBuf> {
    path.into_path().map_err(|error| Error::new(ErrorCode::InvalidInput, error.to_string()))
}
