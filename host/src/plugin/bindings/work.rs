//! What components that work are given and return, as the records of `sexton:plugin@0.1`.

use super::v0_1::exports::sexton::plugin::provider as wit;
use super::wit::types;
use super::{GuestFailure, Returned};
use crate::job::{Answer, Code, FetchFault, ProviderError, QueryPage, Severity, Value};

/// What `on-call` returns.
pub(super) type Output = (Result<String, types::Failure>,);
/// What `fetch` takes.
pub(super) type Ask = (types::CallInfo, wit::Query);
/// What `fetch` returns.
pub(super) type Page = (Result<wit::Page, wit::QueryFailure>,);

pub(super) fn query(text: &str, limit: Option<u64>, cursor: Option<&str>) -> wit::Query {
    wit::Query {
        text: text.to_owned(),
        limit,
        cursor: cursor.map(str::to_owned),
    }
}

pub(super) fn page(answer: Result<wit::Page, wit::QueryFailure>) -> Returned {
    match answer {
        Ok(page) => Ok(Answer::Page(QueryPage {
            columns: page.columns,
            rows: page
                .rows
                .into_iter()
                .map(|row| row.into_iter().map(value).collect())
                .collect(),
            next: page.next,
            total: page.total,
        })),
        Err(failure) => Err(GuestFailure {
            permanent: matches!(failure.kind, types::FailureKind::Permanent),
            code: Code(failure.code),
            message: failure.message,
            retry_after_ms: None,
            fault: Some(Box::new(FetchFault {
                position: failure.position,
                error: failure.error.map(provider_error),
            })),
        }),
    }
}

fn value(value: types::Value) -> Value {
    match value {
        types::Value::Null => Value::Null,
        types::Value::Boolean(value) => Value::Boolean(value),
        types::Value::Integer(value) => Value::Integer(value),
        types::Value::Number(value) => Value::Number(value),
        types::Value::Text(value) => Value::Text(value),
        types::Value::Bytes(value) => Value::Bytes(value),
    }
}

fn provider_error(error: types::ProviderError) -> ProviderError {
    ProviderError {
        error_code: error.error_code,
        cause_info: error.cause_info,
        object_info: error.object_info,
        file: error.file,
        line: error.line,
        severity: match error.severity {
            types::Severity::Functional => Severity::Functional,
            types::Severity::Minor => Severity::Minor,
            types::Severity::Major => Severity::Major,
        },
        backend_message: error.backend_message,
    }
}
