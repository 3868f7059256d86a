//! `[activity.NAME]`: what each says, with what it inherits, checked as a whole and frozen (C-01).

use std::collections::BTreeMap;
use std::time::Duration;

use super::check::{Check, DAY};
use super::error::Fault;
use super::raw_activity::RawActivity;
use super::read::Piece;
use super::value::{At, Span, Term, Whole};
use crate::job::{ActivityDraft, ActivityName, ActivitySpec, InvalidName, PluginName};

/// Longest a call may run.
const DEADLINE_MAX: Duration = DAY.saturating_mul(365);
/// The store counts further; nobody waits for so many.
const QUEUED_MAX: u64 = 1_000_000_000;

pub(super) fn activities(
    check: &mut Check<'_, '_>,
    pieces: &[(ActivityName, Piece<RawActivity>)],
) -> BTreeMap<ActivityName, ActivitySpec> {
    let drafts: BTreeMap<ActivityName, ActivityDraft> = pieces
        .iter()
        .map(|(name, piece)| (name.clone(), draft(check, name, &piece.raw)))
        .collect();
    let mut frozen = BTreeMap::new();
    for (name, piece) in pieces {
        let Some(draft) = drafts.get(name) else { continue };
        match draft.resolved(&drafts).and_then(|whole| whole.freeze()) {
            Ok(spec) => {
                frozen.insert(name.clone(), spec);
            }
            // What was taken out has been reported.
            Err(_) if piece.damaged => {}
            Err(bad) => {
                let span = piece.raw.span(bad.key).unwrap_or_else(|| piece.span.clone());
                let key = format!("activity.{name}.{}", bad.key);
                check.report.add(&span, &key, Fault::new(bad.why));
            }
        }
    }
    frozen
}

fn draft(check: &mut Check<'_, '_>, name: &ActivityName, raw: &RawActivity) -> ActivityDraft {
    let key = |key: &str| format!("activity.{name}.{key}");
    let concurrency = raw.concurrency.as_ref().map(|at| at.value.0);
    let deadline = raw.deadline.as_ref().map(|at| {
        let limits = (Duration::ZERO, DEADLINE_MAX);
        check.term(&key("deadline"), Some(at), at.value.0, limits)
    });
    let max_queued = raw.max_queued.as_ref().map(|at| {
        let limits = (Whole(0), Whole(QUEUED_MAX));
        check.within(&key("max_queued"), Some(at), at.value, limits).0
    });
    ActivityDraft {
        inherit: named(check, &key("inherit"), raw.inherit.as_ref(), str::parse),
        pool: raw.pool.as_ref().map(|at| at.value),
        concurrency: concurrency.map(|width| u32::try_from(width).unwrap_or(u32::MAX)),
        order: raw.order.as_ref().map(|at| at.value),
        max_queued,
        window: raw
            .window
            .as_ref()
            .map(|at| at.value.iter().map(|hours| hours.value.0.clone()).collect()),
        deadline,
        on_host_crash: raw.on_host_crash.as_ref().map(|at| at.value),
        handler: named(
            check,
            &key("handler"),
            raw.handler.as_ref(),
            PluginName::of_component,
        ),
    }
}

/// A name, if it can be one.
fn named<T>(
    check: &mut Check<'_, '_>,
    key: &str,
    raw: Option<&At<String>>,
    parse: fn(&str) -> Result<T, InvalidName>,
) -> Option<T> {
    let at = raw?;
    match parse(&at.value) {
        Ok(name) => Some(name),
        Err(why) => {
            check.report.add(&at.span, key, Fault::new(why.to_string()));
            None
        }
    }
}

impl RawActivity {
    /// Where a key stands.
    fn span(&self, key: &str) -> Option<Span> {
        fn of<T>(at: Option<&At<T>>) -> Option<Span> {
            at.map(|at| at.span.clone())
        }
        match key {
            "inherit" => of(self.inherit.as_ref()),
            "pool" => of(self.pool.as_ref()),
            "concurrency" => of(self.concurrency.as_ref()),
            "window" => of(self.window.as_ref()),
            "deadline" => of::<Term>(self.deadline.as_ref()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Config, Overrides};
    use crate::job::{LaneOrder, OnHostCrash};

    fn parse(text: &str) -> Config {
        let overrides = Overrides::default();
        Config::parse(text, Path::new("sexton.toml"), Path::new("/srv"), &overrides)
            .unwrap_or_else(|errors| panic!("{errors}"))
    }

    #[test]
    fn c01_an_activity_is_read_as_a_whole_and_shown_as_it_is_frozen() {
        let config = parse(
            r#"
            [activity.nightly]
            handler = "pager"
            inherit = "slow"
            window = ["mon,tue 22:00-06:00", "sun 00:00-24:00"]
            [activity.slow]
            pool = "shared"
            concurrency = 3
            order = "strict"
            max_queued = 50
            deadline = "2h"
            on_host_crash = "rerun"
            "#,
        );
        let nightly = &config.activities[&"nightly".parse().unwrap()];
        assert_eq!((nightly.concurrency, nightly.order), (3, LaneOrder::Strict));
        assert_eq!((nightly.max_queued, nightly.window.len()), (50, 2));
        assert_eq!(nightly.deadline, Some(Duration::from_secs(7200)));
        assert_eq!(nightly.on_host_crash, Some(OnHostCrash::Rerun));
        assert_eq!(nightly.handler.as_ref().unwrap().as_str(), "pager");
        assert_eq!(parse(&config.to_toml()).activities, config.activities);
        let bare = parse("[activity.bare]\n");
        assert_eq!(bare.activities[&"bare".parse().unwrap()], ActivitySpec::default());
        assert_eq!(
            config.live_differences(&bare),
            ["activity"],
            "frozen while it runs"
        );
    }
}
