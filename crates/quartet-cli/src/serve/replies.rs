//! Replies: JSON, and errors with the status that fits their code.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use quartet_api::types::{Error, ErrorCode};

/// A request that failed. The body is the error itself, as JSON.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) status: StatusCode,
    pub(super) error: Error,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let status = match error.code {
            ErrorCode::InvalidInput => StatusCode::BAD_REQUEST,
            ErrorCode::NotFound => StatusCode::NOT_FOUND,
            ErrorCode::Busy => StatusCode::CONFLICT,
            ErrorCode::NotSupported => StatusCode::NOT_IMPLEMENTED,
            ErrorCode::DiskFull => StatusCode::INSUFFICIENT_STORAGE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self { status, error }
    }
}

impl From<PathRejection> for Failure {
    fn from(rejection: PathRejection) -> Self {
        let error = Error::new(ErrorCode::InvalidInput, rejection.body_text());
        Self { status: StatusCode::BAD_REQUEST, error }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, Json(self.error)).into_response()
    }
}

/// The address exists, but not for this method.
pub(super) async fn no_such_method() -> Failure {
    let error = Error::new(ErrorCode::InvalidInput, "this address takes another method");
    Failure { status: StatusCode::METHOD_NOT_ALLOWED, error }
}
