//! Request bodies: bounded in size and time, and refused with words.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;

use super::failure::ApiError;
use crate::job::{Code, RefusedKey};

/// The largest request body.
///
/// Ten thousand jobs of one file each are about 3 MiB of JSON; four times that is plenty, and one
/// request cannot take more memory than a guest may.
pub(super) const BODY_BYTES_MAX: usize = 16 << 20;

/// Longest wait for a whole body: a caller on the same machine that needs longer has stalled.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// The bytes of a body.
pub(super) struct Body(pub(super) Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        match tokio::time::timeout(BODY_TIMEOUT, Bytes::from_request(request, state)).await {
            Ok(Ok(bytes)) => Ok(Self(bytes)),
            Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(ApiError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                Code::INVALIDARG,
                format!("the request is over {} MiB", BODY_BYTES_MAX >> 20),
            )
            .hint("submit in several requests")),
            Ok(Err(rejection)) => Err(ApiError::usage(rejection.body_text())),
            Err(_) => Err(ApiError::usage(format!(
                "the request's body did not arrive within {} s",
                BODY_TIMEOUT.as_secs()
            ))),
        }
    }
}

impl Body {
    /// The body as JSON.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        serde_json::from_slice(&self.0).map_err(|error| unreadable(&error))
    }

    /// The same; an empty body is the default.
    pub(super) fn json_or_default<T: DeserializeOwned + Default>(&self) -> Result<T, ApiError> {
        if self.0.iter().all(u8::is_ascii_whitespace) {
            return Ok(T::default());
        }
        self.json()
    }

    /// Whether it is a JSON list.
    pub(super) fn is_list(&self) -> bool {
        self.0.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[')
    }
}

/// What is wrong with a body. A key that the ancestors have is refused with its reason.
fn unreadable(error: &serde_json::Error) -> ApiError {
    let message = error.to_string();
    let unknown = message
        .strip_prefix("unknown field `")
        .and_then(|rest| rest.split('`').next());
    match unknown.and_then(RefusedKey::named) {
        Some(key) => ApiError::new(
            StatusCode::BAD_REQUEST,
            RefusedKey::CODE,
            format!("`{}`: {} ({})", key.name, key.why, key.row),
        )
        .hint(key.instead),
        None => ApiError::usage(format!("the request's body: {message}")),
    }
}
