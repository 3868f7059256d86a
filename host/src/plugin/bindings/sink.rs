//! What the sink of a query is told, as the records of `sexton:plugin@0.1`.

use super::convert::error_info;
use super::wit::types as wit;
use crate::job::{
    Completion, ExtendedStatus, ObjectBatch, ObjectChange, ProviderError, QueryProgress, Severity,
    SinkStatus, Value,
};
use crate::plugin::Call;

pub(super) fn object_batch(batch: &ObjectBatch) -> wit::ObjectBatch {
    let row = |row: &Vec<Value>| row.iter().map(value).collect();
    wit::ObjectBatch {
        run: batch.run,
        index: batch.index,
        change: match batch.change {
            ObjectChange::Result => wit::ObjectChange::Result,
            ObjectChange::Appeared => wit::ObjectChange::Appeared,
            ObjectChange::Changed => wit::ObjectChange::Changed,
            ObjectChange::Disappeared => wit::ObjectChange::Disappeared,
        },
        columns: batch.columns.clone(),
        rows: batch.rows.iter().map(row).collect(),
    }
}

fn value(value: &Value) -> wit::Value {
    match value {
        Value::Null => wit::Value::Null,
        Value::Boolean(value) => wit::Value::Boolean(*value),
        Value::Integer(value) => wit::Value::Integer(*value),
        Value::Number(value) => wit::Value::Number(*value),
        Value::Text(value) => wit::Value::Text(value.clone()),
        Value::Bytes(value) => wit::Value::Bytes(value.clone()),
    }
}

pub(super) fn query_progress(progress: &QueryProgress) -> wit::QueryProgress {
    wit::QueryProgress {
        total: progress.total,
        done: progress.done,
        message: progress.message.clone(),
    }
}

pub(super) fn completion(how: &Completion, call: &Call) -> wit::Completion {
    wit::Completion {
        code: how.code.0,
        class: match how.class {
            SinkStatus::Ok => wit::StatusClass::Ok,
            SinkStatus::Warning => wit::StatusClass::Warning,
            SinkStatus::Failed => wit::StatusClass::Failed,
        },
        delivered: how.delivered,
        dropped: how.dropped,
        error: how.error.as_ref().map(|error| error_info(error, call)),
    }
}

pub(super) fn extended_status(status: &ExtendedStatus) -> wit::ExtendedStatus {
    wit::ExtendedStatus {
        operation: status.operation.clone(),
        parameter_info: status.parameter_info.clone(),
        provider_name: status.provider_name.clone(),
        description: status.description.clone(),
        status_code: status.status_code.0,
        position: status.position,
        provider: status.provider.as_ref().map(provider_error),
    }
}

fn provider_error(error: &ProviderError) -> wit::ProviderError {
    wit::ProviderError {
        error_code: error.error_code.clone(),
        cause_info: error.cause_info.clone(),
        object_info: error.object_info.clone(),
        file: error.file.clone(),
        line: error.line,
        severity: match error.severity {
            Severity::Functional => wit::Severity::Functional,
            Severity::Minor => wit::Severity::Minor,
            Severity::Major => wit::Severity::Major,
        },
        backend_message: error.backend_message.clone(),
    }
}
