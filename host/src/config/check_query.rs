//! Checks `[query]`.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use super::check::{Check, DAY};
use super::error::Fault;
use super::raw_query::{RawProvider, RawQuery};
use super::value::{At, Size};
use super::{ProviderConfig, QueryConfig};
use crate::job::{PluginName, SecretRef};

/// More than this in one store is no longer a store of jobs.
const KEEP_MAX: u64 = 16 << 30;
/// All of them are in memory while a watch compares.
const WATCH_ROWS_MAX: u64 = 1_000_000;

/// Names that mean something already.
const TAKEN: [&str; 5] = ["sexton", "system", "sqlite", "postgres", "postgresql"];

impl Default for QueryConfig {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(300),
            drop_after: Duration::from_secs(30),
            keep: 64 << 20,
            watch_rows: 10_000,
            providers: BTreeMap::new(),
        }
    }
}

pub(super) fn query(check: &mut Check<'_, '_>, raw: &RawQuery) -> QueryConfig {
    let default = QueryConfig::default();
    let rows = check.count(
        "query.watch_rows",
        raw.watch_rows.as_ref(),
        default.watch_rows as u64,
        WATCH_ROWS_MAX,
    );
    let (deadline, drop_after) = (raw.deadline.as_ref(), raw.drop_after.as_ref());
    QueryConfig {
        deadline: check.term(
            "query.deadline",
            deadline,
            default.deadline,
            (Duration::from_millis(10), 7 * DAY),
        ),
        drop_after: check.term(
            "query.drop_after",
            drop_after,
            default.drop_after,
            (Duration::ZERO, DAY),
        ),
        keep: check
            .within(
                "query.keep",
                raw.keep.as_ref(),
                Size(default.keep),
                (Size(0), Size(KEEP_MAX)),
            )
            .0,
        watch_rows: usize::try_from(rows).unwrap_or(usize::MAX),
        providers: raw
            .provider
            .iter()
            .filter_map(|(name, raw)| Some((name.clone(), provider(check, name, raw)?)))
            .collect(),
    }
}

/// One database; `None` when it has faults, which are reported.
fn provider(check: &mut Check<'_, '_>, name: &str, raw: &At<RawProvider>) -> Option<ProviderConfig> {
    let key = format!("query.provider.{name}");
    if TAKEN.contains(&name) || PluginName::from_str(name).is_err() {
        let fault = Fault::new(format!("`{name}` cannot be the name of a provider"))
            .expected("a word of lower-case letters, digits and dashes that no provider has already");
        check.report.add(&raw.span, &key, fault);
        return None;
    }
    let Some(url) = &raw.value.url else {
        let fault = Fault::new(format!("the provider `{name}` has no url"))
            .hint("write url = \"postgres://reader@db.example.com/orders\" or \"sqlite:/var/lib/app.db\"");
        check.report.add(&raw.span, &key, fault);
        return None;
    };
    let (known, holds_password) = match url.value.split_once(':') {
        Some(("sqlite", path)) => (path.starts_with('/'), false),
        Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => {
            let read = tokio_postgres::Config::from_str(&url.value);
            (read.is_ok(), read.is_ok_and(|read| read.get_password().is_some()))
        }
        _ => (false, false),
    };
    if !known || holds_password {
        // What stands there may be a password, so it is not repeated.
        let fault = Fault::new(format!("the `url` of the provider `{name}` cannot be used"))
            .expected("\"sqlite:/absolute/path\" or \"postgres://USER@HOST:PORT/NAME\", without a password")
            .hint("the password stands beside it: password = \"env:NAME\" or \"file:/absolute/path\"");
        check.report.add(&url.span, &format!("{key}.url"), fault);
        return None;
    }
    let password = match &raw.value.password {
        None => None,
        Some(at) => {
            let secret = SecretRef::new(at.value.as_str());
            if secret.check("password").is_err() {
                let fault = Fault::new("`password` is no reference to a secret").expected(
                    "\"env:NAME\", \"file:/absolute/path\" or \"credential:NAME\"; the secret itself does not belong here",
                );
                check.report.add(&at.span, &format!("{key}.password"), fault);
                return None;
            }
            Some(secret)
        }
    };
    Some(ProviderConfig {
        url: url.value.clone(),
        password,
    })
}
