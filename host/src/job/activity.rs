//! Activities: named lanes of batch work, each with a configuration that is checked as a whole and
//! frozen when it is made (COM+ `IServiceActivity`, C-01, C-17).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::model::words;
use super::{ActivityName, Code, Hours, OnHostCrash, PluginName, Timestamp};

/// More would be no lane.
const CONCURRENCY_MAX: u32 = 1000;
/// Each is looked at whenever one opens or closes.
const HOURS_MAX: usize = 64;
/// Shorter than it takes to start a program.
const DEADLINE_MIN: Duration = Duration::from_millis(10);

words! {
    /// Whose threads calls run on (C-19).
    PoolKind {
        /// Nobody's: the ancestor's default, which it refuses (C-03).
        None = "none",
        /// One call at a time.
        Single = "single",
        /// `concurrency` calls at a time.
        Shared = "shared",
    }
}

words! {
    /// Who may begin before whom.
    LaneOrder {
        /// Calls begin in the order of their submission: one that waits for its retry or is suspended
        /// holds up those behind it.
        Strict = "strict",
        /// Those behind it go on.
        SkipAhead = "skip-ahead",
    }
}

/// What somebody writes about an activity: what is absent comes from what it inherits, or is the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ActivityDraft {
    /// The activity whose keys hold where this one says nothing (C-18).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inherit: Option<ActivityName>,
    /// `single` or `shared`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolKind>,
    /// Calls at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// Who may begin before whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<LaneOrder>,
    /// Calls that may wait; zero is no limit (C-59).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_queued: Option<u64>,
    /// When calls may begin (C-86).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<Vec<Hours>>,
    /// How long one run may take.
    #[serde(
        rename = "deadline_ms",
        with = "super::time::opt_millis",
        skip_serializing_if = "Option::is_none"
    )]
    pub deadline: Option<Duration>,
    /// What becomes of a call that was running when the host died.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_host_crash: Option<OnHostCrash>,
    /// Who decides about its calls, where a call names nobody itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handler: Option<PluginName>,
}

/// A frozen activity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActivitySpec {
    /// Calls at a time.
    pub concurrency: u32,
    /// Who may begin before whom.
    pub order: LaneOrder,
    /// Calls that may wait; zero is no limit.
    pub max_queued: u64,
    /// When calls may begin; empty is always.
    pub window: Vec<Hours>,
    /// How long one run may take, where the call does not say.
    #[serde(
        default,
        rename = "deadline_ms",
        with = "super::time::opt_millis",
        skip_serializing_if = "Option::is_none"
    )]
    pub deadline: Option<Duration>,
    /// What becomes of a call that was running when the host died, where the call does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_host_crash: Option<OnHostCrash>,
    /// Who decides about its calls, where a call names nobody itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handler: Option<PluginName>,
}

/// An activity as it stands on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// What it is.
    pub spec: Arc<ActivitySpec>,
    /// It takes nothing until it is resumed.
    pub paused: bool,
    /// When it was made; `None` where the configuration file says it.
    pub created: Option<Timestamp>,
}

/// All of them.
pub type Activities = BTreeMap<ActivityName, Activity>;

impl Default for ActivitySpec {
    fn default() -> Self {
        Self {
            concurrency: 1,
            order: LaneOrder::Strict,
            max_queued: 0,
            window: Vec::new(),
            deadline: None,
            on_host_crash: None,
            handler: None,
        }
    }
}

impl From<&ActivitySpec> for ActivityDraft {
    /// What inherits from it takes all of it.
    fn from(spec: &ActivitySpec) -> Self {
        Self {
            inherit: None,
            pool: None,
            concurrency: Some(spec.concurrency),
            order: Some(spec.order),
            max_queued: Some(spec.max_queued),
            window: Some(spec.window.clone()),
            deadline: spec.deadline,
            on_host_crash: spec.on_host_crash,
            handler: spec.handler.clone(),
        }
    }
}

/// An activity that cannot be made: which key, and the code of its part of the configuration (C-02).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct BadActivity {
    /// The key.
    pub key: &'static str,
    /// Of the pool's keys `CO_E_THREADPOOL_CONFIG`.
    pub code: Code,
    /// What is wrong, and what to write.
    pub why: String,
}

fn bad(key: &'static str, code: Code, why: impl Into<String>) -> BadActivity {
    let why = why.into();
    BadActivity { key, code, why }
}

impl ActivityDraft {
    /// Where this draft says nothing, `base` holds.
    #[must_use]
    fn over(self, base: Self) -> Self {
        Self {
            inherit: self.inherit.or(base.inherit),
            pool: self.pool.or(base.pool),
            concurrency: self.concurrency.or(base.concurrency),
            order: self.order.or(base.order),
            max_queued: self.max_queued.or(base.max_queued),
            window: self.window.or(base.window),
            deadline: self.deadline.or(base.deadline),
            on_host_crash: self.on_host_crash.or(base.on_host_crash),
            handler: self.handler.or(base.handler),
        }
    }

    /// The draft with all that it inherits: first what stands furthest up, wherever each says so (T-02).
    ///
    /// # Errors
    /// When nobody has that name, or it would inherit from itself.
    pub fn resolved(&self, known: &BTreeMap<ActivityName, Self>) -> Result<Self, BadActivity> {
        let mut all = self.clone();
        let mut seen = BTreeSet::new();
        while let Some(from) = all.inherit.take() {
            let base = known.get(&from).ok_or_else(|| {
                let why = format!("there is no activity `{from}` to inherit from");
                bad("inherit", Code::INVALIDARG, why)
            })?;
            if !seen.insert(from.clone()) {
                let why = format!("`{from}` is inherited in a circle");
                return Err(bad("inherit", Code::INVALIDARG, why));
            }
            all = all.over(base.clone());
        }
        Ok(all)
    }

    /// Checks the whole and freezes it. What it inherits must be in it already.
    ///
    /// # Errors
    /// The first key that is wrong.
    pub fn freeze(&self) -> Result<ActivitySpec, BadActivity> {
        let concurrency = self.width()?;
        let window = self.window.clone().unwrap_or_default();
        if window.len() > HOURS_MAX {
            let why = format!("{} windows; at most {HOURS_MAX} are looked at", window.len());
            return Err(bad("window", Code::INVALIDARG, why));
        }
        if self.deadline.is_some_and(|deadline| deadline < DEADLINE_MIN) {
            let why = format!("a deadline is at least {} ms", DEADLINE_MIN.as_millis());
            return Err(bad("deadline", Code::INVALIDARG, why));
        }
        Ok(ActivitySpec {
            concurrency,
            order: self.order.unwrap_or(if concurrency == 1 {
                LaneOrder::Strict
            } else {
                LaneOrder::SkipAhead
            }),
            max_queued: self.max_queued.unwrap_or(0),
            window,
            deadline: self.deadline,
            on_host_crash: self.on_host_crash,
            handler: self.handler.clone(),
        })
    }

    /// C-03, C-08, C-19.
    fn width(&self) -> Result<u32, BadActivity> {
        let of_pool = |key, why: &str| bad(key, Code::THREADPOOL_CONFIG, why);
        let width = self.concurrency.unwrap_or(1);
        if !(1..=CONCURRENCY_MAX).contains(&width) {
            let why = format!("`concurrency` is 1 to {CONCURRENCY_MAX}");
            return Err(of_pool("concurrency", &why));
        }
        match (self.pool, self.concurrency) {
            (Some(PoolKind::None), _) => Err(of_pool(
                "pool",
                "an activity without a pool has nothing to run on; write `single` or `shared`, or leave it out for `single`",
            )),
            (Some(PoolKind::Single), Some(2..)) => Err(of_pool(
                "concurrency",
                "the pool `single` runs one call at a time; write `pool = \"shared\"`, or leave one of the two out",
            )),
            (Some(PoolKind::Shared), None) => Err(of_pool(
                "pool",
                "a shared pool needs `concurrency`: how many calls at a time",
            )),
            _ => Ok(width),
        }
    }
}

impl ActivitySpec {
    /// What it is, in 64 digits: two activities with the same are the same but for their name (C-17).
    #[must_use]
    pub fn digest(&self) -> String {
        // Plain data: it cannot fail to be written.
        let text = serde_json::to_string(self).unwrap_or_default();
        format!("{:x}", Sha256::digest(text))
    }

    /// What is allowed and can hardly be meant (C-09), on a host with `slots` for batch jobs.
    #[must_use]
    pub fn lints(&self, slots: usize) -> Vec<String> {
        let width = usize::try_from(self.concurrency).unwrap_or(usize::MAX);
        let mut lints = Vec::new();
        if width > slots {
            lints.push(format!(
                "`concurrency` is {width}, and the host has {slots} slots for batch jobs: never more run at a time"
            ));
        }
        if width > 1 && self.order == LaneOrder::Strict {
            lints.push(format!(
                "strict order with a concurrency of {width}: calls begin in order and may end in any"
            ));
        }
        lints
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(text: &str) -> ActivityDraft {
        serde_json::from_str(text).unwrap()
    }

    fn known(all: &[(&str, &str)]) -> BTreeMap<ActivityName, ActivityDraft> {
        let each = all
            .iter()
            .map(|(name, text)| (name.parse().unwrap(), draft(text)));
        each.collect()
    }

    #[test]
    fn t01_no_pool_is_refused_and_silence_means_single() {
        let refused = draft(r#"{"pool":"none"}"#).freeze().unwrap_err();
        assert_eq!((refused.key, refused.code), ("pool", Code::THREADPOOL_CONFIG));
        assert!(refused.why.contains("`single`"), "{refused}");
        assert_eq!(draft("{}").freeze().unwrap(), ActivitySpec::default());
    }

    #[test]
    fn c03_a_pool_is_chosen_or_inherited() {
        let known = known(&[("wide", r#"{"pool":"shared","concurrency":3}"#)]);
        let narrow = draft(r#"{"inherit":"wide","pool":"none"}"#)
            .resolved(&known)
            .unwrap();
        assert_eq!(narrow.freeze().unwrap_err().code, Code::THREADPOOL_CONFIG);
        let heir = draft(r#"{"inherit":"wide"}"#).resolved(&known).unwrap();
        assert_eq!(heir.freeze().unwrap().concurrency, 3);
    }

    #[test]
    fn c02_what_is_wrong_with_the_pool_has_its_code() {
        for text in [
            r#"{"concurrency":0}"#,
            r#"{"concurrency":1001}"#,
            r#"{"pool":"single","concurrency":2}"#,
            r#"{"pool":"shared"}"#,
        ] {
            let refused = draft(text).freeze().unwrap_err();
            assert_eq!(refused.code, Code(0x8000_4031), "{text}");
        }
        let refused = draft(r#"{"deadline_ms":9}"#).freeze().unwrap_err();
        assert_eq!((refused.key, refused.code), ("deadline", Code::INVALIDARG));
    }

    #[test]
    fn c08_one_call_at_a_time_unless_it_is_asked_for_more() {
        assert_eq!(draft("{}").freeze().unwrap().concurrency, 1);
        let wide = draft(r#"{"concurrency":4}"#).freeze().unwrap();
        assert_eq!((wide.concurrency, wide.order), (4, LaneOrder::SkipAhead));
    }

    #[test]
    fn t02_what_is_inherited_applies_first_wherever_it_stands() {
        let known = known(&[
            ("base", r#"{"concurrency":5,"max_queued":7,"handler":"pager"}"#),
            ("middle", r#"{"max_queued":8,"inherit":"base"}"#),
        ]);
        let last = draft(r#"{"handler":"own","inherit":"middle"}"#);
        let first = draft(r#"{"inherit":"middle","handler":"own"}"#);
        let spec = last.resolved(&known).unwrap().freeze().unwrap();
        assert_eq!(spec, first.resolved(&known).unwrap().freeze().unwrap());
        assert_eq!((spec.concurrency, spec.max_queued), (5, 8));
        assert_eq!(spec.handler.unwrap().as_str(), "own");
    }

    #[test]
    fn c18_nobody_inherits_from_a_stranger_or_in_a_circle() {
        let known = known(&[("a", r#"{"inherit":"b"}"#), ("b", r#"{"inherit":"a"}"#)]);
        for text in [r#"{"inherit":"nobody"}"#, r#"{"inherit":"a"}"#] {
            let refused = draft(text).resolved(&known).unwrap_err();
            assert_eq!(refused.key, "inherit", "{text}");
        }
    }

    #[test]
    fn c17_the_digest_tells_what_is_frozen() {
        let one = ActivitySpec::default();
        let other = ActivitySpec {
            max_queued: 1,
            ..ActivitySpec::default()
        };
        assert_eq!(one.digest(), ActivitySpec::default().digest());
        assert_ne!(one.digest(), other.digest());
    }

    #[test]
    fn c09_what_can_hardly_be_meant_is_said() {
        let wide = draft(r#"{"concurrency":4}"#).freeze().unwrap();
        assert_eq!(wide.lints(4), Vec::<String>::new());
        assert!(wide.lints(3)[0].contains("3 slots"));
        let strict = draft(r#"{"concurrency":2,"order":"strict"}"#).freeze().unwrap();
        assert!(strict.lints(8)[0].contains("strict order"));
    }
}
