//! What the host offers to a running guest: its log, its configuration, its state and decisions
//! about the job of the call. Nothing here touches the store: requests and writes are buffered and
//! leave with the reply (HB-04).

mod header;
mod remote;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::text::{Lines, TEXT_MAX, escape};
use super::{Call, SharedView};
use crate::clock::Clock;
use crate::job::{
    Code, Command, FileRef, Job, JobChange, JobState, PluginName, Role, StateWrite, Transition, apply,
};

/// Log lines of one call; a handler that says more is in a loop.
const LOG_LINES: u32 = 200;
/// Job requests of one call. Each is checked against a copy of the job; no sane handler needs ten.
const REQUESTS: usize = 100;
/// State writes of one call, as `state.wit` says.
const WRITES: usize = 1_000;
/// Longest key in bytes, as `state.wit` says.
const KEY_MAX: usize = 256;
/// Largest value in bytes, as `state.wit` says.
const VALUE_MAX: usize = 64 << 10;
/// All values that one call writes: they travel in memory until they are committed.
const WRITTEN_MAX: usize = 8 << 20;
/// State one plugin may keep: it lies in the host's own store, which every backup carries.
const STATE_MAX: u64 = 64 << 20;

/// How grave a guest's log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    /// `error`
    Error,
    /// `warn`
    Warn,
    /// `info`
    Info,
    /// `debug`
    Debug,
}

/// Why a request about the job was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Denied {
    /// An HRESULT.
    pub(super) code: Code,
    /// One sentence for the guest's author.
    pub(super) message: String,
}

/// Why a state write was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StateError {
    /// Keys are 1 to 256 bytes.
    BadKey,
    /// Values are at most 64 KiB.
    ValueTooLarge,
    /// At most 1,000 writes in one call.
    TooManyWrites,
    /// This call's writes are too much together.
    Full,
}

/// The decisions of one call.
#[derive(Debug)]
struct Desk {
    call: Arc<Call>,
    requests: Vec<Command>,
    /// The job as the requests would leave it, made when somebody asks: most calls make one request
    /// and ask no more, and a job is a page of text to copy.
    after: Option<Job>,
    /// What the last request would change, not yet in `after`.
    pending: Option<Transition>,
}

impl Desk {
    /// The job as the requests so far would leave it.
    fn job(&mut self) -> &Job {
        if let Some(transition) = self.pending.take() {
            let job = self.after.get_or_insert_with(|| self.call.job.clone());
            transition.carry_out(job);
        }
        self.after.as_ref().unwrap_or(&self.call.job)
    }
}

/// The host side of one call.
pub(super) struct Services {
    plugin: PluginName,
    config: Arc<BTreeMap<String, String>>,
    clock: Clock,
    desk: Option<Desk>,
    view: Option<SharedView>,
    writes: Vec<StateWrite>,
    written: usize,
    /// Bytes of state that are committed; asked once, before the first write.
    kept: Option<u64>,
    lines: u32,
}

impl Services {
    /// For a trial instantiation: there is no job, and no state.
    pub(super) fn trial(plugin: PluginName, config: Arc<BTreeMap<String, String>>, clock: Clock) -> Self {
        Self {
            plugin,
            config,
            clock,
            desk: None,
            view: None,
            writes: Vec::new(),
            written: 0,
            kept: None,
            lines: 0,
        }
    }

    /// For `call`.
    pub(super) fn for_call(
        plugin: PluginName,
        config: Arc<BTreeMap<String, String>>,
        clock: Clock,
        call: Arc<Call>,
        view: SharedView,
    ) -> Self {
        let desk = Desk {
            call,
            requests: Vec::new(),
            after: None,
            pending: None,
        };
        Self {
            desk: Some(desk),
            view: Some(view),
            ..Self::trial(plugin, config, clock)
        }
    }

    /// What the call decided and wrote; leaves nothing behind.
    pub(super) fn take_decisions(&mut self) -> (Vec<Command>, Vec<StateWrite>) {
        let requests = self
            .desk
            .as_mut()
            .map(|desk| std::mem::take(&mut desk.requests))
            .unwrap_or_default();
        (requests, std::mem::take(&mut self.writes))
    }

    /// Lines that were too many.
    pub(super) fn dropped_lines(&self) -> u32 {
        self.lines.saturating_sub(LOG_LINES)
    }

    /// One line of the guest's log.
    pub(super) fn log(&mut self, severity: Severity, message: &str) {
        self.lines = self.lines.saturating_add(1);
        if self.lines > LOG_LINES {
            return;
        }
        macro_rules! line {
            ($level:ident) => {
                tracing::event!(target: "sexton::guest", tracing::Level::$level, plugin = %self.plugin,
                    "{}", escape(message, Lines::Join, TEXT_MAX))
            };
        }
        match severity {
            Severity::Error => line!(ERROR),
            Severity::Warn => line!(WARN),
            Severity::Info => line!(INFO),
            Severity::Debug => line!(DEBUG),
        }
    }

    /// The operator's configuration of this plugin.
    pub(super) fn config(&self) -> &BTreeMap<String, String> {
        &self.config
    }

    /// One value of the plugin's state with this call's writes applied.
    ///
    /// # Errors
    /// The view's sentence when the store cannot be read.
    pub(super) async fn state(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
        if let Some(own) = self.writes.iter().rev().find(|write| write.key == key) {
            return Ok(own.value.clone());
        }
        match &self.view {
            Some(view) if is_key(key) => view.state(key).await,
            _ => Ok(None),
        }
    }

    /// Learns how much state the plugin has, once in a call that writes.
    ///
    /// # Errors
    /// The view's sentence when the store cannot be read.
    pub(super) async fn measure_state(&mut self) -> Result<(), String> {
        if let (None, Some(view)) = (self.kept, &self.view) {
            self.kept = Some(view.state_bytes().await?);
        }
        Ok(())
    }

    /// Buffers a write.
    ///
    /// # Errors
    /// The limit that it broke; nothing is buffered then.
    pub(super) fn write(&mut self, key: String, value: Option<Vec<u8>>) -> Result<(), StateError> {
        let size = value.as_ref().map_or(0, Vec::len);
        if !is_key(&key) {
            return Err(StateError::BadKey);
        }
        if size > VALUE_MAX {
            return Err(StateError::ValueTooLarge);
        }
        if self.writes.len() >= WRITES {
            return Err(StateError::TooManyWrites);
        }
        let kept = self.kept.unwrap_or(0).saturating_add(self.written as u64);
        if size > 0 && kept.saturating_add(size as u64) > STATE_MAX {
            return Err(StateError::Full);
        }
        if self.written.saturating_add(size) > WRITTEN_MAX {
            return Err(StateError::Full);
        }
        self.written += size;
        self.writes.push(StateWrite { key, value });
        Ok(())
    }

    /// Asks to go on, at once or after a delay, of which the type itself allows 49 days.
    ///
    /// # Errors
    /// See [`Services::request`].
    pub(super) fn resume(&mut self, after_ms: Option<u32>) -> Result<(), Denied> {
        let after = Duration::from_millis(u64::from(after_ms.unwrap_or(0)));
        let at = self.clock.now();
        self.request(Command::Resume { after, at })
    }

    /// Changes the first delay between retries.
    ///
    /// # Errors
    /// See [`Services::request`].
    pub(super) fn set_retry_delay(&mut self, delay_ms: u32) -> Result<(), Denied> {
        self.request(Command::Change(Box::new(JobChange {
            retry_delay_ms: Some(u64::from(delay_ms)),
            ..JobChange::default()
        })))
    }

    /// Says whether the file that this call is about is good.
    ///
    /// # Errors
    /// `BG_E_FILE_NOT_AVAILABLE` where the call is about no file, `E_PENDING` for one that is no longer
    /// here; else see [`Services::request`].
    pub(super) fn set_validation(&mut self, valid: bool) -> Result<(), Denied> {
        let call = self.desk.as_ref().map(|desk| Arc::clone(&desk.call));
        let Some(file) = call.as_ref().and_then(|call| call.file.as_ref()) else {
            let why = "this call is about no file; `file-transferred` is";
            return Err(denied(Code::FILE_NOT_AVAILABLE, why));
        };
        let shown = call
            .as_ref()
            .and_then(|call| call.files.iter().find(|now| now.index == file.index));
        if !shown.unwrap_or(file).transferred {
            return Err(denied(Code::PENDING, "the file is not wholly here any more"));
        }
        let file = Box::new(FileRef::of(file));
        let at = self.clock.now();
        let command = Command::Validate { file, valid, at };
        if valid {
            // It changes nothing, and must not be what a job that moved conflicts with.
            return self.check(&command).map(drop);
        }
        self.request(command)
    }

    /// Checks a request against the job as the requests before would leave it, and buffers it.
    ///
    /// # Errors
    /// `E_ACCESSDENIED` for an observer, the law's own refusal otherwise; nothing is buffered then.
    pub(super) fn request(&mut self, command: Command) -> Result<(), Denied> {
        let transition = self.check(&command)?;
        if let Some(desk) = &mut self.desk {
            desk.pending = Some(transition);
            desk.requests.push(command);
        }
        Ok(())
    }

    fn check(&mut self, command: &Command) -> Result<Transition, Denied> {
        let Some(desk) = &mut self.desk else {
            return Err(denied(Code::NOTIMPL, "there is no job before the first call"));
        };
        if desk.call.role == Role::Observer {
            let why = "this handler observes; `decide = true` in its [[subscribe]] makes it decide";
            return Err(denied(Code::ACCESSDENIED, why));
        }
        if desk.requests.len() >= REQUESTS {
            return Err(denied(Code::INVALIDARG, "too many requests in one call"));
        }
        apply(desk.job(), command).map_err(|refusal| denied(refusal.code, &refusal.to_string()))
    }

    /// The job's state as this call's requests would leave it.
    pub(super) fn current_state(&mut self) -> JobState {
        self.desk
            .as_mut()
            .map_or(JobState::Queued, |desk| desk.job().state)
    }
}

fn denied(code: Code, message: &str) -> Denied {
    Denied {
        code,
        message: message.to_owned(),
    }
}

fn is_key(key: &str) -> bool {
    (1..=KEY_MAX).contains(&key.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Timestamp;
    use crate::plugin::tests::{Nothing, call};

    fn services(role: Role, state: JobState) -> Services {
        let mut call = call("job-error");
        call.role = role;
        call.job.state = state;
        Services::for_call(
            "pager".parse().unwrap(),
            Arc::default(),
            Clock::simulated(Timestamp::from_millis(5)),
            Arc::new(call),
            Arc::new(Nothing),
        )
    }

    #[test]
    fn an_observer_decides_nothing() {
        let mut services = services(Role::Observer, JobState::Error);
        assert_eq!(
            services.request(Command::Cancel).unwrap_err().code,
            Code::ACCESSDENIED
        );
        assert_eq!(services.take_decisions().0, []);
    }

    #[test]
    fn requests_see_the_requests_before_them() {
        let mut services = services(Role::Decider, JobState::Error);
        services.resume(Some(1_000)).unwrap();
        assert_eq!(services.current_state(), JobState::Queued);
        services.request(Command::Cancel).unwrap();
        let refused = services.resume(None).unwrap_err();
        assert_eq!(refused.code, Code::INVALID_STATE);
        let verbs: Vec<_> = services.take_decisions().0.iter().map(Command::verb).collect();
        assert_eq!(verbs, ["resume", "cancel"]);
    }

    #[tokio::test]
    async fn state_reads_its_own_writes_and_keeps_its_limits() {
        let mut services = services(Role::Observer, JobState::Error);
        assert_eq!(services.state("a").await, Ok(None));
        services.kept = Some(STATE_MAX);
        assert_eq!(
            services.write("a".to_owned(), Some(b"1".to_vec())),
            Err(StateError::Full)
        );
        services.write("a".to_owned(), None).unwrap();
        services.kept = None;
        services.write("a".to_owned(), Some(b"1".to_vec())).unwrap();
        assert_eq!(services.state("a").await, Ok(Some(b"1".to_vec())));
        services.write("a".to_owned(), None).unwrap();
        assert_eq!(services.state("a").await, Ok(None));
        let write = |services: &mut Services, key: &str, size: usize| {
            services.write(key.to_owned(), Some(vec![0; size]))
        };
        assert_eq!(write(&mut services, "", 1), Err(StateError::BadKey));
        assert_eq!(write(&mut services, &"k".repeat(257), 1), Err(StateError::BadKey));
        assert_eq!(
            write(&mut services, "b", VALUE_MAX + 1),
            Err(StateError::ValueTooLarge)
        );
        for _ in services.writes.len()..WRITES {
            write(&mut services, "b", 1).unwrap();
        }
        assert_eq!(write(&mut services, "b", 1), Err(StateError::TooManyWrites));
    }
}
