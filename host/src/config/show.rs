//! Writes a checked configuration as a file again: `config show`.

use std::path::Path;

use super::raw::{
    RawConfig, RawDir, RawDirTable, RawFailFast, RawFormat, RawGrant, RawHost, RawLadder, RawLimits, RawLog,
    RawMode, RawOn, RawPlugin, RawPolicy, RawRetention, RawS3, RawSubscribe, RawTransfer,
};
use super::raw_activity::RawActivity;
use super::raw_batch::{RawBatch, RawHostCrash, RawRetry, RawUnrecoverable};
use super::raw_query::{RawProvider, RawQuery};
use super::raw_rules::{RawBandwidth, RawDay, RawHold, RawNetwork, RawWindow};
use super::value::{At, Fraction, Size, Term, TermOrNever, Whole};
use super::value_rules::{HoursWord, Moment, Rate};
use super::{
    BandwidthConfig, BatchConfig, Config, DirGrant, FailFastMode, Grant, LogFormat, NetworkMode, Origin,
    PluginConfig, S3Config, Subscription, Unrecoverable, Window,
};
use crate::job::{ActivitySpec, FailureClass, OnHostCrash, Policy, SecretRef};

impl Config {
    /// The effective configuration as TOML: every key, paths absolute. Read again it gives the
    /// same configuration.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let origin = match &self.source {
            Some(path) => format!("# From {}\n\n", path.display()),
            None => "# Defaults: there is no file\n\n".to_owned(),
        };
        // The raw shapes hold nothing that TOML cannot say; a fault would be ours.
        let body = toml::to_string(&raw(self))
            .unwrap_or_else(|error| format!("# this cannot be written: {error}\n"));
        origin + &body
    }
}

fn raw(config: &Config) -> RawConfig {
    let keep = |kept: Option<std::time::Duration>| at(TermOrNever(kept.map(Term)));
    RawConfig {
        host: RawHost {
            state_dir: path(&config.host.state_dir),
            plugin_dir: path(&config.host.plugin_dir),
            control: path(&config.host.control),
            drain: at(Term(config.host.drain)),
            calls: at(Whole(config.host.calls as u64)),
            calls_per_plugin: at(Whole(config.host.calls_per_plugin as u64)),
            profile: at(config.host.profile),
        },
        fail_fast: RawFailFast {
            mode: at(match config.fail_fast.mode {
                FailFastMode::Abort => RawMode::Abort,
                FailFastMode::Exit => RawMode::Exit,
            }),
            report_dir: path(&config.fail_fast.report_dir),
            crash_limit: at(Whole(u64::from(config.fail_fast.crash_limit))),
        },
        transfer: raw_transfer(config),
        batch: raw_batch(&config.batch),
        query: raw_query(config),
        retention: RawRetention {
            finished: keep(config.retention.finished),
            failed: keep(config.retention.failed),
            dead: keep(config.retention.dead),
        },
        log: RawLog {
            format: at(match config.log.format {
                LogFormat::Human => RawFormat::Human,
                LogFormat::Json => RawFormat::Json,
            }),
            filter: at(config.log.filter.clone()),
        },
        plugin: config
            .plugins
            .iter()
            .map(|(name, plugin)| (name.clone(), raw_plugin(plugin)))
            .collect(),
        activity: config
            .activities
            .iter()
            .map(|(name, activity)| (name.clone(), raw_activity(activity)))
            .collect(),
        subscribe: config.subscriptions.iter().map(raw_subscription).collect(),
    }
}

fn raw_batch(batch: &BatchConfig) -> RawBatch {
    RawBatch {
        slots: at(Whole(batch.slots as u64)),
        deadline: at(TermOrNever(batch.deadline.map(Term))),
        output: at(Size(batch.output)),
        unrecoverable: at(match batch.unrecoverable {
            Unrecoverable::Record => RawUnrecoverable::Record,
            Unrecoverable::FailFast => RawUnrecoverable::FailFast,
        }),
        on_host_crash: at(match batch.on_host_crash {
            OnHostCrash::Error => RawHostCrash::Error,
            OnHostCrash::Rerun => RawHostCrash::Rerun,
        }),
        crash_limit: at(Whole(u64::from(batch.crash_limit))),
        retry: batch.retry.map(|ladder| RawRetry {
            base: at(Term(ladder.base)),
            levels: at(Whole(u64::from(ladder.levels))),
            tries: at(Whole(u64::from(ladder.tries))),
        }),
    }
}

fn raw_transfer(config: &Config) -> RawTransfer {
    RawTransfer {
        slots: at(Whole(config.transfer.slots as u64)),
        slots_per_host: at(Whole(config.transfer.slots_per_host as u64)),
        connect_timeout: at(Term(config.transfer.connect_timeout)),
        idle_timeout: at(Term(config.transfer.idle_timeout)),
        user_agent: at(config.transfer.user_agent.clone()),
        ca: Some(config.transfer.ca.iter().filter_map(|file| path(file)).collect()),
        proxy: at(config.transfer.proxy.as_words().to_owned()),
        proxy_bypass: match config.transfer.proxy.bypass.as_str() {
            "" => None,
            bypass => at(bypass.to_owned()),
        },
        slice: at(Term(config.transfer.rules.slice)),
        bandwidth: Some(raw_bandwidth(&config.transfer.rules.bandwidth)),
        network: at(match config.transfer.rules.network {
            NetworkMode::Auto => RawNetwork::Auto,
            NetworkMode::Up => RawNetwork::Up,
            NetworkMode::Down => RawNetwork::Down,
        }),
        hold: at(RawHold::of(config.transfer.rules.hold)),
        s3: config
            .transfer
            .s3
            .iter()
            .map(|(name, bucket)| (name.clone(), raw_bucket(bucket).into()))
            .collect(),
    }
}

fn raw_query(config: &Config) -> RawQuery {
    let query = &config.query;
    let providers = query.providers.iter().map(|(name, provider)| {
        let raw = RawProvider {
            url: at(provider.url.clone()),
            password: provider
                .password
                .as_ref()
                .and_then(|secret| at(secret.as_str().to_owned())),
        };
        (name.clone(), raw.into())
    });
    RawQuery {
        deadline: at(Term(query.deadline)),
        drop_after: at(Term(query.drop_after)),
        keep: at(Size(query.keep)),
        watch_rows: at(Whole(query.watch_rows as u64)),
        provider: providers.collect(),
    }
}

fn raw_bandwidth(bandwidth: &BandwidthConfig) -> RawBandwidth {
    let rate = |rate: Option<u64>| at(Rate(rate));
    let rates = &bandwidth.rates;
    RawBandwidth {
        background: rate(rates.background),
        foreground: rate(rates.foreground),
        high: rate(rates.high),
        normal: rate(rates.normal),
        low: rate(rates.low),
        window: (!bandwidth.windows.is_empty()).then(|| bandwidth.windows.iter().map(raw_window).collect()),
    }
}

fn raw_window(window: &Window) -> RawWindow {
    let rate = |rate: Option<u64>| at(Rate(rate));
    RawWindow {
        days: at(window
            .hours
            .days
            .iter()
            .filter_map(|day| RawDay::of(*day))
            .collect()),
        from: at(Moment(window.hours.from)),
        to: at(Moment(window.hours.to)),
        maintenance: Some(window.maintenance),
        background: rate(window.rates.background),
        foreground: rate(window.rates.foreground),
        high: rate(window.rates.high),
        normal: rate(window.rates.normal),
        low: rate(window.rates.low),
    }
}

fn raw_bucket(bucket: &S3Config) -> RawS3 {
    let secret = |secret: &SecretRef| at(secret.as_str().to_owned());
    let keys = bucket.keys.as_ref();
    RawS3 {
        endpoint: at(bucket.endpoint.to_string()),
        region: Some(bucket.region.clone()),
        path_style: Some(bucket.path_style),
        access_key: keys.and_then(|keys| secret(&keys.access_key)),
        secret_key: keys.and_then(|keys| secret(&keys.secret_key)),
        session_token: keys.and_then(|keys| keys.session_token.as_ref().and_then(secret)),
    }
}

fn raw_plugin(plugin: &PluginConfig) -> RawPlugin {
    let class = |class| plugin.on.get(&class).map(|policy| raw_policy(policy).into());
    let settings = plugin
        .config
        .iter()
        .map(|(key, value)| (key.clone(), toml::Value::String(value.clone()).into()));
    RawPlugin {
        on_failure: plugin.on_failure.as_ref().map(|policy| raw_policy(policy).into()),
        on: (!plugin.on.is_empty()).then(|| RawOn {
            error_transient: class(FailureClass::ErrorTransient),
            error_permanent: class(FailureClass::ErrorPermanent),
            trap: class(FailureClass::Trap),
            memory: class(FailureClass::Memory),
            timeout: class(FailureClass::Timeout),
            exit: class(FailureClass::Exit),
        }),
        limits: Some(RawLimits {
            memory: at(Size(plugin.limits.memory)),
            deadline: at(Term(plugin.limits.deadline)),
        }),
        grant: Some(raw_grant(&plugin.grant)),
        config: (!plugin.config.is_empty()).then(|| settings.collect()),
    }
}

fn raw_activity(activity: &ActivitySpec) -> RawActivity {
    let hours = activity
        .window
        .iter()
        .map(|hours| HoursWord(hours.clone()).into());
    RawActivity {
        inherit: None,
        pool: None,
        concurrency: at(Whole(u64::from(activity.concurrency))),
        order: at(activity.order),
        max_queued: at(Whole(activity.max_queued)),
        window: (!activity.window.is_empty()).then(|| hours.collect::<Vec<_>>().into()),
        deadline: activity.deadline.map(|deadline| Term(deadline).into()),
        on_host_crash: activity.on_host_crash.map(At::from),
        handler: activity
            .handler
            .as_ref()
            .map(|handler| handler.as_str().to_owned().into()),
    }
}

fn raw_policy(policy: &Policy) -> RawPolicy {
    match policy {
        Policy::Bits => RawPolicy::Preset("bits"),
        Policy::Queued => RawPolicy::Preset("queued"),
        Policy::ComPlus => RawPolicy::Preset("com-plus"),
        Policy::DeadLetter => RawPolicy::Preset("dead-letter"),
        Policy::FailFast => RawPolicy::Preset("fail-fast"),
        Policy::Own(ladder) => RawPolicy::Own(RawLadder {
            attempts: ladder.attempts.map(|count| Whole(u64::from(count)).into()),
            initial: at(Term(ladder.backoff.initial)),
            factor: at(ladder.backoff.factor),
            max: at(Term(ladder.backoff.max)),
            jitter: at(Fraction(ladder.jitter)),
            age: at(Term(ladder.age)),
            then: Some(ladder.then),
        }),
    }
}

fn raw_grant(grant: &Grant) -> RawGrant {
    let origins = grant.http.iter().map(|origin| origin.to_string().into());
    let folders = grant.dirs.iter().map(|dir| RawDir::Table(raw_dir(dir)).into());
    RawGrant {
        http: Some(origins.collect()),
        env: Some(grant.env.iter().map(|name| name.clone().into()).collect()),
        dirs: Some(folders.collect()),
        job_control: Some(grant.job_control),
    }
}

fn raw_dir(dir: &DirGrant) -> RawDirTable {
    RawDirTable {
        path: path(&dir.path),
        guest: at(dir.guest.clone()),
        write: Some(dir.write),
    }
}

fn raw_subscription(subscription: &Subscription) -> RawSubscribe {
    let events: Vec<_> = subscription.events.iter().map(|event| (*event).into()).collect();
    RawSubscribe {
        plugin: at(subscription.plugin.as_str().to_owned()),
        events: at(events),
        kind: subscription.family.map(At::from),
        decide: at(subscription.decide),
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let default = if self.scheme == "https" { 443 } else { 80 };
        if self.port == default {
            write!(out, "{}://{}", self.scheme, self.host)
        } else {
            write!(out, "{}://{}:{}", self.scheme, self.host, self.port)
        }
    }
}

fn at<T>(value: T) -> Option<At<T>> {
    Some(value.into())
}

fn path(path: &Path) -> Option<At<String>> {
    at(path.display().to_string())
}
