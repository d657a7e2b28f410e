//! Commands from the page. Tauri has checked by then that the window may give them: each has a
//! permission of its own (`capabilities/main.json`).

use crate::dialogs;
use quartet_api::Desk;
use quartet_api::types::{DocumentId, Error, ErrorCode, Result};
use serde_json::Value;
use std::sync::Arc;
use tauri::ipc::{Invoke, InvokeBody, InvokeError, InvokeResponseBody};
use tauri::{AppHandle, Manager, Wry};

/// Answers a command; every one is ours.
pub(crate) fn handle(invoke: Invoke<Wry>) -> bool {
    let Invoke { message, resolver, .. } = invoke;
    let command = message.command().to_owned();
    let app = message.webview_ref().app_handle().clone();
    let request = match message.payload() {
        InvokeBody::Json(request) => Ok(request.clone()),
        InvokeBody::Raw(_) => Err(Error::new(ErrorCode::InvalidInput, "a request is JSON")),
    };
    resolver.respond_async_serialized(async move {
        let reply = match request {
            Ok(request) => answer(&app, &command, request).await,
            Err(error) => Err(error),
        };
        reply.map_err(|error| InvokeError::from(serde_json::to_value(error).unwrap_or_default()))
    });
    true
}

async fn answer(app: &AppHandle, command: &str, request: Value) -> Result<InvokeResponseBody> {
    let desk = app
        .try_state::<Arc<Desk>>()
        .map(|desk| Arc::clone(&desk))
        .ok_or_else(|| Error::internal("a command before the start"))?;
    let reply = match command {
        "document_bytes" => {
            let document = DocumentId(number(&request, "document")?);
            let path = desk.document_file(document).await?;
            let bytes =
                tokio::fs::read(&path).await.map_err(|error| Error::from_io(&error, &path))?;
            return Ok(InvokeResponseBody::Raw(bytes));
        }
        "pick" => dialogs::pick(app, &desk, field(&request, "kind")?).await?,
        "save_export" => dialogs::save_export(app, &desk, request).await?,
        _ => desk.call(command, request).await?,
    };
    Ok(InvokeResponseBody::Json(reply.to_string()))
}

fn number(request: &Value, name: &str) -> Result<i64> {
    request[name].as_i64().ok_or_else(|| missing(name))
}

fn field<T: serde::de::DeserializeOwned>(request: &Value, name: &str) -> Result<T> {
    serde_json::from_value(request[name].clone()).map_err(|_| missing(name))
}

fn missing(name: &str) -> Error {
    Error::new(ErrorCode::InvalidInput, format!("the request lacks `{name}`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Commands that are not of `quartet-api`, because they need the window's system.
    const SHELL_COMMANDS: &[&str] = &["document_bytes", "pick", "save_export"];

    #[test]
    fn every_command_has_a_permission_and_nothing_else_has() {
        let capability: Value =
            serde_json::from_str(include_str!("../capabilities/main.json")).unwrap();
        let permitted: BTreeSet<String> = capability["permissions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|permission| permission.as_str().unwrap().to_owned())
            .collect();
        let wanted: BTreeSet<String> = quartet_api::desk::COMMANDS
            .iter()
            .chain(SHELL_COMMANDS)
            .map(|name| format!("allow-{}", name.replace('_', "-")))
            .chain(["core:event:allow-listen".to_owned(), "core:event:allow-unlisten".to_owned()])
            .collect();
        assert_eq!(permitted, wanted);
    }
}
