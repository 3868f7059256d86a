//! What dispatch says of failures: in the log, in the report of a FailFast, and in the record of a
//! fault of its own.

use std::time::Duration;

use crate::fail_fast::Report;
use crate::job::{Code, FailureClass, FailureRecord, Timestamp};
use crate::store::{AfterFailure, Claim, Stage};

pub(super) fn log_failure(claim: &Claim, record: &FailureRecord, next: &AfterFailure) {
    let delivery = &claim.delivery;
    let follows = match next {
        AfterFailure::Retry {
            due,
            stage: Stage::Handler,
        } => format!("called again at {due}"),
        AfterFailure::Retry {
            stage: Stage::Final, ..
        } => "the final callback is called".to_owned(),
        AfterFailure::Retry {
            stage: Stage::Command,
            ..
        } => "the notify command runs".to_owned(),
        AfterFailure::Dead { why } => format!("dead letter: {why}"),
        AfterFailure::Park { why } => format!("parked: {why}"),
        AfterFailure::FailFast { .. } => "FailFast".to_owned(),
    };
    tracing::warn!(
        plugin = %delivery.plugin, job = %delivery.job, delivery = %delivery.id, attempt = delivery.attempt,
        class = %record.class, code = %record.code, "{} failed: {}; {follows}", delivery.event, record.message
    );
}

pub(super) fn report(claim: &Claim, record: &FailureRecord, now: Timestamp) -> Report {
    let delivery = &claim.delivery;
    Report {
        at: now,
        reason: format!(
            "handler `{}` failed {} ({}): {}",
            delivery.plugin, delivery.event, record.class, record.message
        ),
        version: env!("CARGO_PKG_VERSION"),
        pid: std::process::id(),
        delivery: Some(delivery.id),
        job: Some(delivery.job),
        plugin: Some(delivery.plugin.clone()),
        failure: Some(record.clone()),
    }
}

/// A fault of the host during attempt number `attempt`.
pub(super) fn host_fault(message: String, attempt: u32, at: Timestamp) -> FailureRecord {
    FailureRecord {
        class: FailureClass::HostFault,
        code: Code::SX_HOST_FAULT,
        message,
        last_words: String::new(),
        frames: Vec::new(),
        limit: None,
        peak_memory: 0,
        digest: String::new(),
        attempt,
        at,
        duration: Duration::ZERO,
        retry_after: None,
    }
}
