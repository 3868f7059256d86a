//! From raw sections to a checked [`Config`]: defaults, limits, and paths that start at the right
//! folder.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::error::{ConfigErrors, Fault, Report, Source};
use super::raw::{RawFailFast, RawFormat, RawHost, RawLog, RawMode, RawRetention, RawTransfer};
use super::value::{At, Quantity, Term, TermOrNever, Whole};
use super::{
    Config, FailFastConfig, FailFastMode, HostConfig, LogConfig, LogFormat, Overrides, RetentionConfig,
    TransferConfig, check_activity, check_batch, check_plugin, check_query, check_rules, check_s3,
    check_subscribe, read,
};
use crate::job::{Profile, ProxySpec};

/// Longest path of a Unix socket: `sun_path` has 108 bytes, the last of them zero.
const SOCKET_PATH_MAX: usize = 107;

/// Longest retention that is a number; beyond it `"never"` says what is meant.
const RETENTION_MAX: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Longest value that a message repeats.
const WRITTEN_MAX: usize = 40;

pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const DAY: Duration = Duration::from_secs(86_400);

impl Config {
    /// Checks `text`. Relative paths start at `base_dir`; `path` is what messages call the file;
    /// `overrides` win over what the file says.
    ///
    /// # Errors
    /// Every fault of the text, in its order.
    pub fn parse(
        text: &str,
        path: &Path,
        base_dir: &Path,
        overrides: &Overrides,
    ) -> Result<Self, ConfigErrors> {
        let mut report = Report::new(Source::new(path, text));
        let raw = read::sections(&mut report, text);
        let mut check = Check {
            report: &mut report,
            base: base_dir,
            overrides,
        };
        let host = check.host(&raw.host.raw);
        let config = Self {
            source: Some(path.to_path_buf()),
            fail_fast: check.fail_fast(&raw.fail_fast.raw, &host),
            transfer: check.transfer(&raw.transfer.raw, host.profile),
            batch: check_batch::batch(&mut check, &raw.batch.raw),
            query: check_query::query(&mut check, &raw.query.raw),
            retention: check.retention(&raw.retention.raw),
            log: check.log(&raw.log.raw),
            plugins: raw
                .plugins
                .iter()
                .map(|(name, piece)| {
                    (
                        name.clone(),
                        check_plugin::plugin(&mut check, name, &piece.raw, &host),
                    )
                })
                .collect(),
            activities: check_activity::activities(&mut check, &raw.activities),
            subscriptions: check_subscribe::subscriptions(check.report, &raw.subscriptions),
            host,
        };
        report.finish()?;
        Ok(config)
    }
}

/// What every check needs.
pub(super) struct Check<'c, 't> {
    pub(super) report: &'c mut Report<'t>,
    base: &'c Path,
    overrides: &'c Overrides,
}

impl Check<'_, '_> {
    fn host(&mut self, raw: &RawHost) -> HostConfig {
        let overrides = self.overrides;
        let state_dir = self.place(
            "host.state_dir",
            raw.state_dir.as_ref(),
            "state",
            &overrides.state_dir,
        );
        let plugin_dir = self.place(
            "host.plugin_dir",
            raw.plugin_dir.as_ref(),
            "plugins",
            &overrides.plugin_dir,
        );
        let control = self.place(
            "host.control",
            raw.control.as_ref(),
            "control.sock",
            &overrides.control,
        );
        self.apart(raw, &state_dir, &plugin_dir);
        let folders = [("state_dir", state_dir.as_path()), ("plugin_dir", &plugin_dir)];
        self.socket(raw, &control, folders);
        let calls = self.count("host.calls", raw.calls.as_ref(), 64, 1000);
        // Only a number that was written can be wrong; the default follows `calls` down.
        let calls_per_plugin = self
            .count("host.calls_per_plugin", raw.calls_per_plugin.as_ref(), 4, 1000)
            .min(calls);
        if let Some(at) = raw
            .calls_per_plugin
            .as_ref()
            .filter(|at| (calls + 1..=1000).contains(&at.value.0))
        {
            let fault = Fault::new(format!("`calls_per_plugin` is above `calls`, which is {calls}"))
                .expected(format!("1 to {calls}"));
            self.report.add(&at.span, "host.calls_per_plugin", fault);
        }
        HostConfig {
            state_dir,
            plugin_dir,
            control,
            drain: self.term(
                "host.drain",
                raw.drain.as_ref(),
                Duration::from_secs(30),
                (Duration::ZERO, HOUR),
            ),
            calls: usize::try_from(calls).unwrap_or(usize::MAX),
            calls_per_plugin: usize::try_from(calls_per_plugin).unwrap_or(usize::MAX),
            profile: raw.profile.as_ref().map_or(Profile::default(), |at| at.value),
        }
    }

    /// Components below the state would have the host load what it keeps.
    fn apart(&mut self, raw: &RawHost, state_dir: &Path, plugin_dir: &Path) {
        if !plugin_dir.starts_with(state_dir) {
            return;
        }
        let fault = Fault::new(if plugin_dir == state_dir {
            "`state_dir` and `plugin_dir` are the same folder"
        } else {
            "`plugin_dir` lies in `state_dir`, which belongs to the host alone"
        })
        .hint("give the components a folder of their own beside it, such as \"plugins\"");
        match raw.plugin_dir.as_ref().or(raw.state_dir.as_ref()) {
            Some(at) => self.report.add(&at.span, "host.plugin_dir", fault),
            None => self.report.add_elsewhere("SEXTON_STATE_DIR", fault),
        }
    }

    fn socket(&mut self, raw: &RawHost, control: &Path, folders: [(&str, &Path); 2]) {
        if let Some((name, _)) = folders.iter().find(|(_, folder)| *folder == control) {
            let fault = Fault::new(format!("`control` and `{name}` are the same path"))
                .hint("the socket is a file of its own, such as \"control.sock\"");
            match &raw.control {
                Some(at) => self.report.add(&at.span, "host.control", fault),
                None => self.report.add_elsewhere("control socket", fault),
            }
        }
        let length = control.as_os_str().len();
        if length <= SOCKET_PATH_MAX {
            return;
        }
        let fault = Fault::new(format!(
            "the control socket's path is {length} bytes long: {}",
            control.display()
        ))
        .expected(format!("at most {SOCKET_PATH_MAX} bytes"))
        .hint("put it where paths are short, such as \"/run/sexton/control.sock\"");
        match &raw.control {
            Some(at) if self.overrides.control.is_none() => self.report.add(&at.span, "host.control", fault),
            _ => self.report.add_elsewhere("control socket", fault),
        }
    }

    fn fail_fast(&mut self, raw: &RawFailFast, host: &HostConfig) -> FailFastConfig {
        FailFastConfig {
            mode: match raw.mode.as_ref().map(|at| at.value) {
                None | Some(RawMode::Abort) => FailFastMode::Abort,
                Some(RawMode::Exit) => FailFastMode::Exit,
            },
            report_dir: match &raw.report_dir {
                Some(at) => self.path("fail_fast.report_dir", at),
                None => host.state_dir.join("reports"),
            },
            crash_limit: u32::try_from(self.count("fail_fast.crash_limit", raw.crash_limit.as_ref(), 2, 100))
                .unwrap_or(u32::MAX),
        }
    }

    fn transfer(&mut self, raw: &RawTransfer, profile: Profile) -> TransferConfig {
        let slots = profile.slots();
        let least = Duration::from_millis(10);
        let as_usize = |count| usize::try_from(count).unwrap_or(usize::MAX);
        TransferConfig {
            rules: check_rules::rules(self, raw),
            slots: as_usize(self.count("transfer.slots", raw.slots.as_ref(), slots, 1000)),
            slots_per_host: as_usize(self.count(
                "transfer.slots_per_host",
                raw.slots_per_host.as_ref(),
                6,
                1000,
            )),
            connect_timeout: self.term(
                "transfer.connect_timeout",
                raw.connect_timeout.as_ref(),
                Duration::from_secs(30),
                (least, HOUR),
            ),
            idle_timeout: self.term(
                "transfer.idle_timeout",
                raw.idle_timeout.as_ref(),
                Duration::from_secs(60),
                (least, DAY),
            ),
            user_agent: self.user_agent(raw.user_agent.as_ref()),
            ca: raw
                .ca
                .iter()
                .flatten()
                .map(|at| self.path("transfer.ca", at))
                .collect(),
            proxy: self.proxy(raw),
            s3: raw
                .s3
                .iter()
                .filter_map(|(name, at)| Some((name.clone(), check_s3::bucket(self, name, at)?)))
                .collect(),
        }
    }

    fn proxy(&mut self, raw: &RawTransfer) -> ProxySpec {
        let word = |at: Option<&At<String>>| at.map(|at| at.value.clone()).unwrap_or_default();
        let spec = match &raw.proxy {
            Some(at) => ProxySpec::from_words(&at.value, &word(raw.proxy_bypass.as_ref())),
            None => ProxySpec::from_words("preconfig", &word(raw.proxy_bypass.as_ref())),
        };
        let place = match (&raw.proxy, &raw.proxy_bypass) {
            (Some(at), _) => Some((at, "transfer.proxy")),
            (None, Some(at)) => Some((at, "transfer.proxy_bypass")),
            (None, None) => None,
        };
        if let (Err((_, why)), Some((at, key))) = (spec.check(), place) {
            let fault = Fault::new(why).expected(
                "\"preconfig\", \"none\", or proxies such as \"http://proxy:3128 socks5h://other\"",
            );
            self.report.add(&at.span, key, fault);
        }
        spec
    }

    fn user_agent(&mut self, raw: Option<&At<String>>) -> String {
        let Some(at) = raw else {
            return concat!("sexton/", env!("CARGO_PKG_VERSION")).to_owned();
        };
        if at.value.trim().is_empty() || http::HeaderValue::from_str(&at.value).is_err() {
            let fault = Fault::new("`user_agent` cannot stand in an HTTP header")
                .expected("visible ASCII on one line, such as \"sexton/0.1 (ops@example.com)\"");
            self.report.add(&at.span, "transfer.user_agent", fault);
        }
        at.value.clone()
    }

    fn retention(&mut self, raw: &RawRetention) -> RetentionConfig {
        RetentionConfig {
            finished: self.keep("retention.finished", raw.finished.as_ref(), Some(DAY)),
            failed: self.keep("retention.failed", raw.failed.as_ref(), Some(90 * DAY)),
            dead: self.keep("retention.dead", raw.dead.as_ref(), None),
        }
    }

    fn keep(
        &mut self,
        key: &str,
        raw: Option<&At<TermOrNever>>,
        default: Option<Duration>,
    ) -> Option<Duration> {
        let Some(at) = raw else { return default };
        let term = at.value.0?;
        if term.0 > RETENTION_MAX {
            let fault = Fault::new(format!("`{}` is over 100 years", name(key))).hint("write \"never\"");
            self.report.add(&at.span, key, fault);
        }
        Some(term.0)
    }

    fn log(&mut self, raw: &RawLog) -> LogConfig {
        let filter = match (&self.overrides.log, &raw.filter) {
            (Some(text), _) => text.clone(),
            (None, Some(at)) => at.value.clone(),
            (None, None) => "info".to_owned(),
        };
        if let Some(why) = bad_filter(&filter) {
            let fault = Fault::new(format!("`{filter}` is not a log filter: {why}"))
                .expected("levels by module, such as \"info,sexton::plugin=debug\"");
            match &raw.filter {
                Some(at) if self.overrides.log.is_none() => self.report.add(&at.span, "log.filter", fault),
                _ => self.report.add_elsewhere("SEXTON_LOG", fault),
            }
        }
        LogConfig {
            format: match raw.format.as_ref().map(|at| at.value) {
                None | Some(RawFormat::Human) => LogFormat::Human,
                Some(RawFormat::Json) => LogFormat::Json,
            },
            filter,
        }
    }

    fn place(
        &mut self,
        key: &str,
        raw: Option<&At<String>>,
        default: &str,
        given: &Option<PathBuf>,
    ) -> PathBuf {
        match (given, raw) {
            (Some(given), _) => given.clone(),
            (None, Some(at)) => self.path(key, at),
            (None, None) => self.base.join(default),
        }
    }

    /// A path of the file, absolute and without `.` components.
    pub(super) fn path(&mut self, key: &str, at: &At<String>) -> PathBuf {
        self.path_text(key, &at.value, at)
    }

    /// [`Check::path`] where only `text`, a part of what stands at `at`, is the path.
    pub(super) fn path_text<T>(&mut self, key: &str, text: &str, at: &At<T>) -> PathBuf {
        if let Some(fault) = bad_path(name(key), text) {
            self.report.add(&at.span, key, fault);
            // A name that collides with no other, so that one fault does not make two.
            return self.base.join(format!("fault-{}", at.span.start));
        }
        self.base
            .join(text)
            .components()
            .filter(|part| !matches!(part, Component::CurDir))
            .collect()
    }

    pub(super) fn count(&mut self, key: &str, raw: Option<&At<Whole>>, default: u64, most: u64) -> u64 {
        self.within(key, raw, Whole(default), (Whole(1), Whole(most))).0
    }

    pub(super) fn term(
        &mut self,
        key: &str,
        raw: Option<&At<Term>>,
        default: Duration,
        (least, most): (Duration, Duration),
    ) -> Duration {
        self.within(key, raw, Term(default), (Term(least), Term(most))).0
    }

    /// The value, or the default; a value outside of the limits is a fault.
    pub(super) fn within<T: Quantity>(
        &mut self,
        key: &str,
        raw: Option<&At<T>>,
        default: T,
        (least, most): (T, T),
    ) -> T {
        let Some(at) = raw else { return default };
        let inside = at.value >= least && at.value <= most;
        if !inside {
            let side = if at.value > most { "too large" } else { "too small" };
            // As it was written, unless that is a riddle itself.
            let written = Some(self.report.source.slice(&at.span)).filter(|text| text.len() <= WRITTEN_MAX);
            let written = written.map_or_else(|| at.value.written(), str::to_owned);
            let fault = Fault::new(format!("`{}` is {side}: {written}", name(key))).expected(format!(
                "{} to {}",
                least.written(),
                most.written()
            ));
            self.report.add(&at.span, key, fault);
        }
        at.value
    }
}

/// A filter that is wrong, or one that would log nothing of the host: a word that is no level counts as
/// the name of a module, so that a misspelt level silences everything.
fn bad_filter(filter: &str) -> Option<String> {
    if let Err(error) = tracing_subscriber::EnvFilter::builder().parse(filter) {
        return Some(error.to_string());
    }
    let mut words = filter.split(',').map(str::trim).filter(|word| !word.is_empty());
    let is_level = |word: &str| word.parse::<tracing_subscriber::filter::LevelFilter>().is_ok();
    let strange =
        words.find(|word| !word.contains(['=', ':', '[']) && !is_level(word) && *word != "sexton")?;
    Some(format!(
        "`{strange}` is no level (off, error, warn, info, debug, trace); for all of a module, write `{strange}=trace`"
    ))
}

/// The last part of a key's path.
fn name(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

fn bad_path(name: &str, text: &str) -> Option<Fault> {
    if text.is_empty() {
        return Some(Fault::new(format!("`{name}` is empty")).expected("a path"));
    }
    if text.starts_with('~') || text.contains('$') {
        return Some(
            Fault::new(format!("`{text}` is not expanded: there is no shell here"))
                .hint("write the path from `/`, or relative to the folder of this file"),
        );
    }
    if text.contains(char::is_control) {
        return Some(Fault::new(format!("`{name}` has control characters")).expected("a path"));
    }
    None
}
