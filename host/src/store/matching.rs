//! What a list of jobs may be narrowed to beyond what an index leads to. Jobs are looked through for
//! it, newest first, so many at a time; whoever asks goes on from where that ended.

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use crate::job::{Code, Job, JobId, JobKind, Priority, Timestamp};

use super::rows::StoredJob;
use super::writer::Done;

/// Which jobs; what is absent or empty fits all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobMatch {
    /// Only of this kind.
    pub kind: Option<JobKind>,
    /// Only with this in the name, or with a name that fits it where it has `*` or `?`; case is ignored.
    pub name: Option<String>,
    /// Only with these labels.
    pub labels: Vec<(String, String)>,
    /// Only of this level.
    pub priority: Option<Priority>,
    /// Only made at this time or later.
    pub since: Option<Timestamp>,
    /// Only made before this time.
    pub until: Option<Timestamp>,
    /// Only with an error object of this code.
    pub error: Option<Code>,
    /// Only with a first file from this host, with or without its port.
    pub host: Option<String>,
    /// Only with a file whose remote name has this in it (D-20).
    pub remote: Option<String>,
    /// Only with a file whose local path has this in it (D-20).
    pub local: Option<String>,
}

/// A piece of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JobPage {
    /// The jobs, newest first.
    pub jobs: Vec<Job>,
    /// Where to go on, as [`super::JobFilter::before`]; `None` at the end.
    pub next: Option<JobId>,
}

impl JobMatch {
    /// Every job fits.
    #[must_use]
    pub fn is_any(&self) -> bool {
        *self == Self::default()
    }

    /// Whether `job` fits, as far as it tells without its files.
    #[must_use]
    pub fn fits(&self, job: &Job) -> bool {
        let labelled = |(key, value): &(String, String)| job.spec.labels.get(key) == Some(value);
        self.kind.is_none_or(|kind| job.kind == kind)
            && self.priority.is_none_or(|priority| job.priority == priority)
            && self.since.is_none_or(|since| job.created >= since)
            && self.until.is_none_or(|until| job.created < until)
            && self
                .error
                .is_none_or(|code| job.error.as_ref().is_some_and(|error| error.code == code))
            && self.name.as_deref().is_none_or(|name| has(&job.spec.name, name))
            && self.labels.iter().all(labelled)
    }

    /// The same with its files.
    pub(super) fn fits_stored(&self, db: &Connection, stored: &StoredJob) -> Done<bool> {
        if !self.fits(&stored.job) {
            return Ok(false);
        }
        if let Some(host) = &self.host {
            let found: String = db
                .prepare_cached("SELECT host FROM jobs WHERE seq = ?1")?
                .query_row([stored.seq], |row| row.get(0))?;
            let bare = found.rsplit_once(':').map_or("", |(host, _)| host);
            if ![found.as_str(), bare]
                .iter()
                .any(|one| one.eq_ignore_ascii_case(host))
            {
                return Ok(false);
            }
        }
        if self.remote.is_none() && self.local.is_none() {
            return Ok(true);
        }
        // An empty text is in every name.
        let fits = db
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM files WHERE job = ?1 AND instr(remote, ?2) > 0 \
                 AND instr(local, ?3) > 0)",
            )?
            .query_row(
                params![
                    stored.seq,
                    self.remote.as_deref().unwrap_or_default(),
                    self.local.as_deref().unwrap_or_default()
                ],
                |row| row.get(0),
            )?;
        Ok(fits)
    }
}

/// Whether `text` has `pattern` in it, or fits it whole where it has `*` or `?`.
fn has(text: &str, pattern: &str) -> bool {
    let (text, pattern) = (text.to_lowercase(), pattern.to_lowercase());
    if pattern.contains(['*', '?']) {
        let (text, pattern): (Vec<char>, Vec<char>) = (text.chars().collect(), pattern.chars().collect());
        glob(&text, &pattern)
    } else {
        text.contains(&pattern)
    }
}

/// Goes back only to the last `*`, so that no pattern takes longer than text times pattern.
fn glob(text: &[char], pattern: &[char]) -> bool {
    let (mut at, mut with) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(c) = text.get(at) {
        match pattern.get(with) {
            Some('*') => {
                star = Some((at, with));
                with += 1;
            }
            Some(wanted) if *wanted == '?' || wanted == c => {
                at += 1;
                with += 1;
            }
            _ => match star {
                Some((from, stood)) => {
                    star = Some((from + 1, stood));
                    (at, with) = (from + 1, stood + 1);
                }
                None => return false,
            },
        }
    }
    pattern
        .get(with..)
        .is_none_or(|rest| rest.iter().all(|c| *c == '*'))
}

#[cfg(test)]
mod tests {
    use super::has;

    #[test]
    fn names_are_found_by_a_part_or_a_pattern() {
        for (text, pattern) in [
            ("Debian-12.iso", "debian"),
            ("debian-12.iso", "*.iso"),
            ("debian-12.iso", "de*-??.i*o"),
            ("aaab", "*a*b"),
            ("", "*"),
            ("x", ""),
        ] {
            assert!(has(text, pattern), "{text} {pattern}");
        }
        for (text, pattern) in [
            ("debian-12.iso", "*.img"),
            ("ab", "?"),
            ("ab", "a?c*"),
            ("iso", "ISO9"),
        ] {
            assert!(!has(text, pattern), "{text} {pattern}");
        }
        let long = "a".repeat(5_000);
        assert!(
            !has(&long, &format!("{}b", "a*".repeat(60))),
            "no pattern takes for ever"
        );
    }
}
