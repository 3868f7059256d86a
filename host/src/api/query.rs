//! Query strings, both ways: the client writes what the server reads. A key that is not known is
//! refused, so that a misspelt filter never means "all".

use std::fmt::Display;
use std::str::FromStr;

use url::form_urlencoded;

use super::failure::ApiError;
use super::request::{DeliveryQuery, JobMatch, JobQuery, OutputQuery, PageQuery};

/// The longest list in one answer; `before` and `offset` fetch the rest.
pub(super) const LIST_MAX: usize = 1000;

/// How long a list is when nothing is said.
pub(super) const LIST_DEFAULT: usize = 100;

/// A query that is kept in a URL.
pub(super) trait Query: Default {
    /// The keys it has.
    const KEYS: &'static str;

    /// Takes one pair in; false when there is no such key.
    fn put(&mut self, key: &str, value: &str) -> Result<bool, ApiError>;

    /// Its pairs.
    fn pairs(&self) -> Vec<(&'static str, String)>;
}

/// Reads a query string.
pub(super) fn parse<Q: Query>(text: Option<&str>) -> Result<Q, ApiError> {
    let mut query = Q::default();
    for (key, value) in form_urlencoded::parse(text.unwrap_or_default().as_bytes()) {
        if !query.put(&key, &value)? {
            let key: String = key.chars().take(40).flat_map(char::escape_default).collect();
            return Err(ApiError::usage(format!(
                "there is no query key `{key}`; there are {}",
                Q::KEYS
            )));
        }
    }
    Ok(query)
}

/// Writes a query string, with its `?`; nothing when there are no pairs.
pub(super) fn encode<Q: Query>(query: &Q) -> String {
    let pairs = query.pairs();
    if pairs.is_empty() {
        return String::new();
    }
    let mut out = form_urlencoded::Serializer::new("?".to_owned());
    out.extend_pairs(pairs);
    out.finish()
}

fn value<T: FromStr<Err: Display>>(key: &str, text: &str) -> Result<T, ApiError> {
    text.parse().map_err(|error: T::Err| {
        let text: String = text.chars().take(60).flat_map(char::escape_default).collect();
        ApiError::usage(format!("query key `{key}` does not take `{text}`: {error}"))
    })
}

/// `a,b` and repeated keys both add.
fn values<T: FromStr<Err: Display>>(key: &str, text: &str, into: &mut Vec<T>) -> Result<(), ApiError> {
    for word in text.split(',').filter(|word| !word.is_empty()) {
        into.push(value(key, word)?);
    }
    Ok(())
}

fn limit(text: &str) -> Result<usize, ApiError> {
    let limit: usize = value("limit", text)?;
    if (1..=LIST_MAX).contains(&limit) {
        Ok(limit)
    } else {
        Err(ApiError::usage(format!(
            "query key `limit` takes 1 to {LIST_MAX}"
        )))
    }
}

fn push<T: Display>(pairs: &mut Vec<(&'static str, String)>, key: &'static str, value: Option<&T>) {
    if let Some(value) = value {
        pairs.push((key, value.to_string()));
    }
}

impl Query for JobQuery {
    const KEYS: &'static str = "`state`, `owner`, `before`, `limit`, `kind`, `name`, `label`, `priority`, `since`, \
         `until`, `error`, `host`, `remote`, `local`";

    fn put(&mut self, key: &str, text: &str) -> Result<bool, ApiError> {
        match key {
            "state" => values(key, text, &mut self.states)?,
            "owner" => self.owner = Some(value(key, text)?),
            "before" => self.before = Some(value(key, text)?),
            "limit" => self.limit = Some(limit(text)?),
            _ => return put_wanted(&mut self.wanted, key, text),
        }
        Ok(true)
    }

    fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs: Vec<_> = self
            .states
            .iter()
            .map(|state| ("state", state.to_string()))
            .collect();
        push(&mut pairs, "owner", self.owner.as_ref());
        push(&mut pairs, "before", self.before.as_ref());
        push(&mut pairs, "limit", self.limit.as_ref());
        let wanted = &self.wanted;
        push(&mut pairs, "kind", wanted.kind.as_ref());
        push(&mut pairs, "name", wanted.name.as_ref());
        for (key, value) in &wanted.labels {
            pairs.push(("label", format!("{key}={value}")));
        }
        push(&mut pairs, "priority", wanted.priority.as_ref());
        push(&mut pairs, "since", wanted.since.as_ref());
        push(&mut pairs, "until", wanted.until.as_ref());
        push(
            &mut pairs,
            "error",
            wanted.error.map(|code| format!("0x{:08X}", code.0)).as_ref(),
        );
        push(&mut pairs, "host", wanted.host.as_ref());
        push(&mut pairs, "remote", wanted.remote.as_ref());
        push(&mut pairs, "local", wanted.local.as_ref());
        pairs
    }
}

fn put_wanted(wanted: &mut JobMatch, key: &str, text: &str) -> Result<bool, ApiError> {
    match key {
        "kind" => wanted.kind = Some(value(key, text)?),
        "name" => wanted.name = Some(text.to_owned()),
        "label" => match text.split_once('=') {
            Some((name, value)) => wanted.labels.push((name.to_owned(), value.to_owned())),
            None => return Err(ApiError::usage("query key `label` takes KEY=VALUE")),
        },
        "priority" => wanted.priority = Some(value(key, text)?),
        "since" => wanted.since = Some(value(key, text)?),
        "until" => wanted.until = Some(value(key, text)?),
        "error" => wanted.error = Some(value(key, text)?),
        "host" => wanted.host = Some(text.to_owned()),
        "remote" => wanted.remote = Some(text.to_owned()),
        "local" => wanted.local = Some(text.to_owned()),
        _ => return Ok(false),
    }
    Ok(true)
}

impl Query for DeliveryQuery {
    const KEYS: &'static str = "`state`, `plugin`, `job`, `before`, `limit`";

    fn put(&mut self, key: &str, text: &str) -> Result<bool, ApiError> {
        match key {
            "state" => values(key, text, &mut self.states)?,
            "plugin" => self.plugin = Some(value(key, text)?),
            "job" => self.job = Some(value(key, text)?),
            "before" => self.before = Some(value(key, text)?),
            "limit" => self.limit = Some(limit(text)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs: Vec<_> = self
            .states
            .iter()
            .map(|state| ("state", state.to_string()))
            .collect();
        push(&mut pairs, "plugin", self.plugin.as_ref());
        push(&mut pairs, "job", self.job.as_ref());
        push(&mut pairs, "before", self.before.as_ref());
        push(&mut pairs, "limit", self.limit.as_ref());
        pairs
    }
}

impl Query for OutputQuery {
    const KEYS: &'static str = "`stream`, `attempt`, `offset`";

    fn put(&mut self, key: &str, text: &str) -> Result<bool, ApiError> {
        match key {
            "stream" => self.stream = value(key, text)?,
            "attempt" => self.attempt = Some(value(key, text)?),
            "offset" => self.offset = value(key, text)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = vec![
            ("stream", self.stream.to_string()),
            ("offset", self.offset.to_string()),
        ];
        push(&mut pairs, "attempt", self.attempt.as_ref());
        pairs
    }
}

impl Query for PageQuery {
    const KEYS: &'static str = "`offset`, `limit`";

    fn put(&mut self, key: &str, text: &str) -> Result<bool, ApiError> {
        match key {
            "offset" => self.offset = value(key, text)?,
            "limit" => self.limit = Some(u32::try_from(limit(text)?).unwrap_or(u32::MAX)),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = vec![("offset", self.offset.to_string())];
        push(&mut pairs, "limit", self.limit.as_ref());
        pairs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{DeliveryState, JobId, JobState};

    #[test]
    fn a_query_reads_back_as_it_was_written() {
        let query = JobQuery {
            states: vec![JobState::Error, JobState::TransientError],
            owner: Some("uid-1000".parse().unwrap()),
            before: Some(JobId::fresh()),
            limit: Some(7),
            wanted: JobMatch {
                kind: Some(crate::job::JobKind::Download),
                name: Some("a & b=*".to_owned()),
                labels: vec![("k".to_owned(), "v=w".to_owned())],
                priority: Some(crate::job::Priority::Low),
                since: Some(crate::job::Timestamp::from_millis(5)),
                until: Some(crate::job::Timestamp::from_millis(1_700_000_000_123)),
                error: Some(crate::job::Code::http(404)),
                host: Some("h".to_owned()),
                remote: Some("/x".to_owned()),
                local: Some("/tmp".to_owned()),
            },
        };
        let text = encode(&query);
        assert_eq!(parse::<JobQuery>(text.strip_prefix('?')).unwrap(), query);
        assert_eq!(encode(&JobQuery::default()), "");
    }

    #[test]
    fn states_may_be_listed_with_commas() {
        let query: DeliveryQuery = parse(Some("state=dead,poison&plugin=pager")).unwrap();
        assert_eq!(query.states, [DeliveryState::Dead, DeliveryState::Poison]);
        let paged = DeliveryQuery {
            before: Some(crate::job::DeliveryId::fresh()),
            ..query
        };
        assert_eq!(
            parse::<DeliveryQuery>(encode(&paged).strip_prefix('?')).unwrap(),
            paged
        );
    }

    #[test]
    fn a_misspelt_filter_is_refused_and_says_what_there_is() {
        let error = parse::<JobQuery>(Some("sate=error")).unwrap_err();
        assert_eq!(
            error.problem.message,
            format!("there is no query key `sate`; there are {}", JobQuery::KEYS)
        );
        for bad in [
            "state=%1b%5B31m",
            "limit=0",
            "limit=1001",
            "limit=-1",
            "before=x",
            "owner=A",
        ] {
            let error = parse::<JobQuery>(Some(bad)).unwrap_err();
            assert_eq!(error.status.as_u16(), 400);
            assert!(!error.problem.message.contains('\u{1b}'), "{bad}");
        }
    }
}
