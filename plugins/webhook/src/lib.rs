//! Posts events as JSON to a URL. The delivery id goes along as `Idempotency-Key`, so that a
//! receiver can tell a repeated call from a new event.

mod http;
mod request;

use sexton_sdk::{
    AsyncErrorNotify, CallInfo, ErrorInfo, Event, JobCallback, JobEnd, JobSnapshot, Outcome, Result, log,
};

struct Webhook;

sexton_sdk::export!(Webhook: JobCallback, JobEnd, AsyncErrorNotify);

impl JobCallback for Webhook {
    fn job_transferred(call: &CallInfo, job: &JobSnapshot) -> Result {
        post(Event::new("job-transferred", call, job))
    }

    fn job_error(call: &CallInfo, job: &JobSnapshot, error: &ErrorInfo) -> Result {
        post(Event::new("job-error", call, job).error(Some(error)))
    }
}

impl JobEnd for Webhook {
    fn on_ended(call: &CallInfo, job: &JobSnapshot, how: Outcome, last_error: Option<&ErrorInfo>) -> Result {
        post(Event::new("on-ended", call, job).outcome(how).error(last_error))
    }
}

impl AsyncErrorNotify for Webhook {
    fn on_error(call: &CallInfo, job: &JobSnapshot, error: &ErrorInfo) -> Result {
        post(Event::new("on-error", call, job).error(Some(error)))
    }
}

fn post(event: Event<'_>) -> Result {
    let request = request::build(event.call, event.to_json()?)?;
    let reply = http::send(&request)?;
    log::debug!(
        "{} answered {} to {}",
        request.url.authority,
        reply.status,
        event.event
    );
    request::judge(&reply)
}
