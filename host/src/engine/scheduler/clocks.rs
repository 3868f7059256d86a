//! What ends a run by itself while it does nothing wrong: its time slice (B-69), and the maximum
//! download time of its job (B-61). One set of alarms holds both, so that a wake costs as much as is due.

use crate::job::{Code, Command, ErrorContext, ErrorInfo, JobId, Timestamp};

use super::{Engine, Running};

impl Engine {
    /// When the first alarm of a run rings.
    pub(super) fn next_alarm(&self) -> Option<Timestamp> {
        self.alarms.first().map(|(at, _)| *at)
    }

    /// Sets the alarm of a run that has begun, or whose last one has rung.
    pub(super) fn set_alarm(&mut self, id: JobId) {
        let slice = self.conditions.rules.borrow().slice;
        let Some(running) = self.running.get_mut(&id).filter(|one| one.is_transfer()) else {
            return;
        };
        let over = running.began.after(slice);
        running.alarm = if running.slice_over || running.expires < over {
            running.expires
        } else {
            over
        };
        self.alarms.insert((running.alarm, id));
    }

    pub(super) fn drop_alarm(&mut self, id: JobId, running: &Running) {
        self.alarms.remove(&(running.alarm, id));
    }

    /// Ends what is over its maximum time. Who has used up its slice makes room, if anybody waits.
    pub(super) fn ring(&mut self) {
        let now = self.clock.now();
        while let Some((at, id)) = self.alarms.first().copied().filter(|(at, _)| *at <= now) {
            self.alarms.remove(&(at, id));
            let Some(running) = self.running.get_mut(&id) else {
                continue;
            };
            if running.expires <= now {
                let error = expired(running, now);
                tracing::warn!(job = %id, "ended: its maximum download time is used up");
                running.end_with(Command::FatalError { error });
                continue;
            }
            running.slice_over = true;
            self.want_claim = true;
            self.set_alarm(id);
        }
    }
}

/// B-61: fatal, and not tried again by itself.
fn expired(running: &Running, at: Timestamp) -> ErrorInfo {
    let limit = humantime::format_duration(running.max_time);
    ErrorInfo {
        code: Code::MAXDOWNLOAD_TIMEOUT,
        context: ErrorContext::GeneralQueueManager,
        description: format!(
            "it has connected and transferred for {limit}, its maximum download time; a resume begins it anew"
        ),
        file: None,
        protocol: None,
        leg: None,
        attempt: running.run.attempt,
        at,
        extended: None,
    }
}
