//! Commands of the desk, and the bytes of documents.

use super::Server;
use super::replies::Failure;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use quartet_api::types::{DocumentId, Error, ErrorCode};
use serde_json::Value;
use std::sync::Arc;
use tokio::fs::File;
use tokio_util::io::ReaderStream;

/// Bytes of a document read and sent at a time.
const PIECE: usize = 64 * 1024;

/// `POST /api/call/{command}`: a JSON object in, JSON out.
pub(super) async fn call(
    State(server): State<Server>,
    command: Result<Path<String>, PathRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Failure> {
    let Path(command) = command?;
    let request = body.map_err(|rejection| unreadable(&rejection))?;
    let request: Value = serde_json::from_slice(&request).map_err(|error| {
        Error::new(ErrorCode::InvalidInput, format!("the request is not JSON: {error}"))
    })?;
    // A task of its own: a browser that goes away must not cut a command off in the middle.
    let desk = Arc::clone(&server.desk);
    let reply = tokio::spawn(async move { desk.call(&command, request).await })
        .await
        .map_err(|error| Error::internal(format!("the command broke off: {error}")))??;
    Ok(Json(reply))
}

fn unreadable(rejection: &BytesRejection) -> Failure {
    let status = rejection.status();
    let code = if status == StatusCode::PAYLOAD_TOO_LARGE {
        ErrorCode::LimitExceeded
    } else {
        ErrorCode::InvalidInput
    };
    Failure { status, error: Error::new(code, rejection.body_text()) }
}

/// `GET /api/documents/{id}`: the PDF.
pub(super) async fn document(
    State(server): State<Server>,
    document: Result<Path<i64>, PathRejection>,
) -> Result<Response, Failure> {
    let Path(document) = document?;
    let path = server.desk.document_file(DocumentId(document)).await?;
    let file = File::open(&path).await.map_err(|error| Error::from_io(&error, &path))?;
    let size = file.metadata().await.map_err(|error| Error::from_io(&error, &path))?.len();
    let headers =
        [(CONTENT_TYPE, "application/pdf".to_owned()), (CONTENT_LENGTH, size.to_string())];
    // A file that grows meanwhile is cut off at the length that was announced.
    let bytes = tokio::io::AsyncReadExt::take(file, size);
    Ok((headers, Body::from_stream(ReaderStream::with_capacity(bytes, PIECE))).into_response())
}
