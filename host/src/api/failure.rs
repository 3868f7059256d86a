//! Why a request is not carried out, as HTTP status and data.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::view::{ErrorBody, FullQueue, Problem};
use crate::job::Code;
use crate::store::StoreError;

/// What is said to whoever found a queue full (C-05): no queue knows when it moves, and each that asks
/// again costs one look at a number.
const RETRY_AFTER_MS: u64 = 5_000;

/// A refusal on its way to the client.
///
/// | status | meaning | the client's exit code |
/// |---|---|---|
/// | 400, 413, 501 | the request itself is wrong | 2 |
/// | 403 | not this caller | 6 |
/// | 404 | no such job, delivery or plugin | 5 |
/// | 409 | the state does not allow it, or there is no error object | 5 |
/// | 422 | the configuration file is bad | 3 |
/// | 429, 503 | not now | 8 |
/// | 500 | the store failed | 7 |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The family.
    pub status: StatusCode,
    /// What is said.
    pub problem: Problem,
}

impl ApiError {
    /// A refusal without a hint.
    #[must_use]
    pub fn new(status: StatusCode, code: Code, message: impl Into<String>) -> Self {
        Self {
            status,
            problem: Problem {
                code,
                name: code.name().unwrap_or_default(),
                message: message.into(),
                hint: String::new(),
                list: Vec::new(),
                queue: None,
            },
        }
    }

    /// The request is wrong.
    #[must_use]
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Code::INVALIDARG, message)
    }

    /// Not now.
    #[must_use]
    pub fn busy(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::SX_OVERLOAD, message)
    }

    /// The same with what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.problem.hint = hint.into();
        self
    }

    /// What a [`super::Checker`] found.
    #[must_use]
    pub fn submission(code: Code, message: String) -> Self {
        let status = match code {
            Code::ACCESSDENIED => StatusCode::FORBIDDEN,
            Code::TOO_MANY_JOBS_PER_USER | Code::SX_OVERLOAD => StatusCode::TOO_MANY_REQUESTS,
            Code::OUTOFMEMORY => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        };
        Self::new(status, code, message)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error {
            StoreError::NotFound { what, .. } => Self::new(StatusCode::NOT_FOUND, Code::NOT_FOUND, message)
                .hint(format!("`sexton {what} list` shows those there are")),
            StoreError::Refused(refusal) => Self::new(refused(refusal.code), refusal.code, message),
            StoreError::Limit { code, .. } => Self::new(StatusCode::TOO_MANY_REQUESTS, code, message),
            StoreError::Rejected { code, queued, .. } => {
                let mut refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, code, message)
                    .hint("nothing was recorded; submit it again later");
                refusal.problem.queue = Some(Box::new(FullQueue {
                    depth: queued,
                    retry_after_ms: RETRY_AFTER_MS,
                }));
                refusal
            }
            StoreError::Closed => Self::busy("the host is ending").hint("ask the next host"),
            StoreError::Fenced => Self::busy(message),
            StoreError::Locked { .. }
            | StoreError::Newer { .. }
            | StoreError::Unusable { .. }
            | StoreError::Backend(_) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, Code::FAIL, message)
                .hint("`sexton status` and the host's log say more; nothing was changed"),
        }
    }
}

/// A state that does not allow it may pass; what is wrong with the request does not.
fn refused(code: Code) -> StatusCode {
    match code {
        Code::NOTIMPL => StatusCode::NOT_IMPLEMENTED,
        Code::INVALID_STATE | Code::EMPTY | Code::PENDING | Code::READ_ONLY_PROPERTY_AFTER_RESUME => {
            StatusCode::CONFLICT
        }
        _ => StatusCode::BAD_REQUEST,
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let after = self
            .problem
            .queue
            .as_ref()
            .map(|queue| queue.retry_after_ms.div_ceil(1000));
        let body = ErrorBody { error: self.problem };
        match after {
            Some(seconds) => {
                let header = [(header::RETRY_AFTER, seconds.to_string())];
                (self.status, header, Json(body)).into_response()
            }
            None => (self.status, Json(body)).into_response(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{JobState, Refusal};

    fn refused(code: Code) -> StoreError {
        StoreError::Refused(Refusal {
            code,
            verb: "resume",
            state: JobState::Error,
            why: "no".into(),
        })
    }

    #[test]
    fn dc03_every_refusal_has_its_status_and_its_code() {
        let unknown = StoreError::NotFound {
            what: "job",
            id: "x".to_owned(),
        };
        let broken = StoreError::Unusable {
            path: "/state".to_owned(),
            why: "no".to_owned(),
        };
        for (error, status, code) in [
            (ApiError::from(unknown), 404, Code::NOT_FOUND),
            (
                ApiError::submission(Code::OUTOFMEMORY, String::new()),
                503,
                Code::OUTOFMEMORY,
            ),
            (ApiError::from(StoreError::Closed), 503, Code::SX_OVERLOAD),
            (ApiError::from(broken), 500, Code::FAIL),
            (ApiError::from(refused(Code::INVALIDARG)), 400, Code::INVALIDARG),
            (
                ApiError::submission(Code::INVALIDARG, String::new()),
                400,
                Code::INVALIDARG,
            ),
            // What the agent has no status of its own for.
            (
                ApiError::from(refused(Code::INVALID_STATE)),
                409,
                Code::INVALID_STATE,
            ),
            (ApiError::from(refused(Code::NOTIMPL)), 501, Code::NOTIMPL),
            (
                ApiError::submission(Code::ACCESSDENIED, String::new()),
                403,
                Code::ACCESSDENIED,
            ),
            (
                ApiError::submission(Code::SX_OVERLOAD, String::new()),
                429,
                Code::SX_OVERLOAD,
            ),
        ] {
            let found = (error.status.as_u16(), error.problem.code);
            assert_eq!(found, (status, code), "{error:?}");
        }
    }

    #[test]
    fn c05_a_full_queue_tells_its_depth_and_when_to_try_again() {
        let full = StoreError::Rejected {
            code: Code::ASYNC_WORK_REJECTED,
            activity: "nightly".parse().unwrap(),
            queued: 7,
        };
        let refusal = ApiError::from(full);
        let queue = refusal.problem.queue.clone().unwrap();
        assert_eq!((queue.depth, queue.retry_after_ms), (7, RETRY_AFTER_MS));
        assert_eq!(refusal.problem.code, Code(0x8000_4029));
        let response = refusal.into_response();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()[header::RETRY_AFTER], "5");
    }
}
