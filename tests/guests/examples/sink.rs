//! A sink that logs what it is told: `delay_ms` before each batch of objects, and `mood = "fail"` refuses them.

use std::time::Duration;

use sexton_sdk::{
    CallInfo, Completion, Failure, JobEnd, JobSnapshot, ObjectBatch, ObjectSink, Outcome, QueryProgress,
    Result, config, log,
};

struct Sink;

impl ObjectSink for Sink {
    fn on_object_ready(call: &CallInfo, job: &JobSnapshot, batch: &ObjectBatch) -> Result {
        std::thread::sleep(Duration::from_millis(config::parse("delay_ms")?.unwrap_or(0)));
        if config::get_or("mood", "ok") == "fail" {
            return Err(Failure::permanent("the sink wants none of it"));
        }
        log::info!(
            "sink objects {} run={} index={} change={:?} rows={} context={} first={:?}",
            job.name,
            batch.run,
            batch.index,
            batch.change,
            batch.rows.len(),
            call.context,
            batch.rows.first(),
        );
        Ok(())
    }

    fn on_progress(call: &CallInfo, job: &JobSnapshot, progress: &QueryProgress) -> Result {
        log::info!(
            "sink progress {} done={} context={}",
            job.name,
            progress.done,
            call.context
        );
        Ok(())
    }

    fn on_completed(call: &CallInfo, job: &JobSnapshot, how: &Completion) -> Result {
        let extended = how.error.as_ref().and_then(|error| error.extended.as_ref());
        log::info!(
            "sink completed {} code={:08x} class={:?} delivered={} dropped={} error={} operation={} provider={} context={}",
            job.name,
            how.code,
            how.class,
            how.delivered,
            how.dropped,
            how.error.is_some(),
            extended.map_or("-", |status| status.operation.as_str()),
            extended.map_or("-", |status| status.provider_name.as_str()),
            call.context,
        );
        Ok(())
    }
}

impl JobEnd for Sink {
    fn on_ended(
        call: &CallInfo,
        job: &JobSnapshot,
        how: Outcome,
        _: Option<&sexton_sdk::ErrorInfo>,
    ) -> Result {
        log::info!("sink ended {} {how:?} context={}", job.name, call.context);
        Ok(())
    }
}

sexton_sdk::export!(Sink: ObjectSink, JobEnd);
