//! What an answer means for a file of which some bytes are already durable. Pure: a status and
//! headers in, a decision out.
//!
//! The rule behind all of it is J-75: bytes of two versions of a remote file are never put together.
//! Whatever does not prove that the rest belongs to what is here starts the file over (B-94).

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, DATE, ETAG, LAST_MODIFIED, RETRY_AFTER,
    TRANSFER_ENCODING,
};

use super::classify;
use super::fault::Fault;
use super::work::beyond;
use crate::job::{Code, ErrorContext, FILE_BYTES_MAX, Timestamp};

/// Longest validator that is kept; a longer `ETag` is treated as none.
const VALIDATOR_BYTES_MAX: usize = 1024;

/// What was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// Where the range begins.
    pub(super) from: u64,
    /// One past its last byte; `None` is up to the end of the file.
    pub(super) until: Option<u64>,
    /// Nothing of the file is here: any version will do.
    pub(super) fresh: bool,
    /// The size as far as it is known.
    pub(super) total: Option<u64>,
    /// What `If-Range` carried.
    pub(super) validator: Option<String>,
    /// What proves one version in place of it.
    pub(super) lenient: Option<Lenient>,
}

/// The length, and what else there is, proves that a part is of the version that is here (BP-09): nodes
/// of one server may name the same bytes differently. A checksum finds out if it was wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lenient {
    /// The `Last-Modified` that it must have; `None` where a checksum is held against the whole.
    pub(super) modified: Option<String>,
}

impl Asked {
    /// Whether less than the whole file is asked for.
    pub(super) fn is_range(&self) -> bool {
        self.from > 0 || self.until.is_some()
    }

    /// The `Range` of the request.
    pub(super) fn range(&self) -> String {
        match self.until {
            Some(until) => format!("bytes={}-{}", self.from, until.saturating_sub(1)),
            None => format!("bytes={}-", self.from),
        }
    }
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The whole file, from its first byte.
    Whole {
        /// Its size, where the server tells.
        total: Option<u64>,
    },
    /// The bytes from [`Asked::from`] on.
    Rest {
        /// The size of the whole file, where the server tells.
        total: Option<u64>,
        /// One past the last byte of this answer; before `total` if the server sends less than asked.
        end: u64,
    },
    /// Everything is here already (416 at the very end).
    Complete,
    /// What is here does not belong to what the server has: ask again without a range.
    StartOver(&'static str),
}

/// What a server says about the version of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Version {
    /// Strong `ETag` or a usable `Last-Modified`.
    pub(super) validator: Option<String>,
    /// `Last-Modified`, for the finished file (B-124).
    pub(super) last_modified: Option<String>,
}

/// Reads the version from an answer's headers.
///
/// A weak `ETag` says nothing about bytes. A `Last-Modified` within a second of the answer's own
/// `Date` may hide a second change in the same second, so it does not count either (RFC 9110,
/// 8.8.2.2).
pub(super) fn version(headers: &HeaderMap) -> Version {
    let last_modified = text(headers, &LAST_MODIFIED).filter(|date| date_of(date).is_some());
    let strong = text(headers, &ETAG)
        .filter(|tag| tag.starts_with('"') && tag.len() >= 2 && tag.ends_with('"'))
        .filter(|tag| tag.len() <= VALIDATOR_BYTES_MAX);
    let settled = last_modified.filter(|modified| match (date_of(modified), text(headers, &DATE)) {
        (Some(modified), Some(date)) => {
            date_of(date).is_none_or(|date| modified + Duration::from_secs(1) <= date)
        }
        _ => true,
    });
    Version {
        validator: strong.or(settled).map(str::to_owned),
        last_modified: last_modified.map(str::to_owned),
    }
}

/// Decides what an answer means.
///
/// # Errors
/// The fault the run ends with.
pub(super) fn judge(
    asked: &Asked,
    status: u16,
    headers: &HeaderMap,
    now: Timestamp,
) -> Result<Answer, Fault> {
    match status {
        200 | 203 => {
            not_encoded(headers)?;
            whole(headers)
        }
        206 if !asked.is_range() => Err(Fault::answer(
            "it sent a part though the whole file was asked for",
        )),
        206 => {
            not_encoded(headers)?;
            part(asked, headers)
        }
        416 if !asked.is_range() => Err(Fault {
            code: Code::INVALID_RANGE,
            ..Fault::answer("it answered 416 though no range was asked for")
        }),
        416 if asked.fresh => Err(beyond("the range lies past the end of the remote file")),
        416 => match past_the_end(asked, headers) {
            // Nothing is left of the file, but of the range there is.
            Answer::Complete if asked.until.is_some() => {
                Err(beyond("the range lies past the end of the remote file"))
            }
            answer => Ok(answer),
        },
        other => Err(refusal(other, headers, now)),
    }
}

/// A 200. A `Content-Range` has no meaning here and does no harm, unless it gives away that this is a
/// part under the wrong status.
fn whole(headers: &HeaderMap) -> Result<Answer, Fault> {
    let total = content_length(headers)?;
    let range = text(headers, &CONTENT_RANGE).and_then(content_range);
    if let Some((start, end, size)) = range
        && (start > 0 || size.is_some_and(|size| size != end) || total.is_some_and(|total| total != end))
    {
        return Err(Fault::answer(format!(
            "it sent the bytes {start} to {end} as if they were the whole file"
        )));
    }
    // A size that is beyond belief counts as none: the body tells how long it is.
    let total = total.filter(|total| *total <= FILE_BYTES_MAX);
    Ok(Answer::Whole { total })
}

/// A 206: the part must begin where it was asked to, in the version it was asked of (B-87, B-94).
fn part(asked: &Asked, headers: &HeaderMap) -> Result<Answer, Fault> {
    let shown = text(headers, &CONTENT_RANGE).unwrap_or_default();
    if text(headers, &CONTENT_TYPE).is_some_and(|kind| kind.starts_with("multipart/")) {
        return Err(Fault::answer(
            "it sent several parts (multipart/byteranges) though one range was asked for",
        ));
    }
    let Some((start, end, total)) = content_range(shown) else {
        return Err(Fault::answer(format!(
            "it sent a part without a usable Content-Range (`{}`)",
            shown.chars().take(80).collect::<String>()
        )));
    };
    if changed(asked, headers) {
        return Ok(Answer::StartOver("the remote file changed"));
    }
    let unproven = asked.lenient.is_some() && total.is_none();
    if asked
        .total
        .is_some_and(|known| unproven || total.unwrap_or(known) != known || end > known)
    {
        return Ok(Answer::StartOver("the size of the remote file changed"));
    }
    if asked.until.is_some_and(|until| end > until) {
        return Err(Fault::answer(format!(
            "it sent the bytes up to {end} though those up to {} were asked for",
            asked.until.unwrap_or_default()
        )));
    }
    if start != asked.from {
        return Err(Fault::answer(format!(
            "it sent the bytes from {start} though those from {} were asked for",
            asked.from
        )));
    }
    if content_length(headers)?.is_some_and(|length| length != end - start) {
        return Err(Fault::answer(
            "Content-Length and Content-Range contradict each other",
        ));
    }
    Ok(Answer::Rest {
        total: total.or(asked.total),
        end,
    })
}

/// A 416: either nothing is left to fetch, or what is here is longer than what the server has.
fn past_the_end(asked: &Asked, headers: &HeaderMap) -> Answer {
    let says = text(headers, &CONTENT_RANGE)
        .and_then(|range| range.strip_prefix("bytes */"))
        .and_then(|total| number(total.trim()));
    let whole = says.or(asked.total) == Some(asked.from)
        && asked.total.is_none_or(|known| known == asked.from)
        && !changed(asked, headers);
    if whole {
        Answer::Complete
    } else {
        Answer::StartOver("the range lies past the end of the remote file")
    }
}

/// Whether an answer names another version than the one that was asked for. Servers that ignore
/// `If-Range` exist; their own headers give them away.
fn changed(asked: &Asked, headers: &HeaderMap) -> bool {
    if asked.fresh {
        return false;
    }
    if let Some(lenient) = &asked.lenient {
        let modified = lenient.modified.as_deref();
        return asked.total.is_none()
            || modified.is_some_and(|wanted| text(headers, &LAST_MODIFIED) != Some(wanted));
    }
    let Some(validator) = asked.validator.as_deref() else {
        return true;
    };
    let header = if validator.starts_with('"') {
        &ETAG
    } else {
        &LAST_MODIFIED
    };
    headers.contains_key(header) && text(headers, header) != Some(validator)
}

/// The fault of an answer that is no success.
pub(super) fn refusal(status: u16, headers: &HeaderMap, now: Timestamp) -> Fault {
    let class = classify::status(status);
    let reason = http::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .map(|reason| format!(" {reason}"))
        .unwrap_or_default();
    // Of no use where it stays fatal; a job may see its status otherwise.
    let sent = text(headers, &DATE).and_then(date_of);
    let wish = text(headers, &RETRY_AFTER);
    let retry_after = wish.and_then(|value| classify::retry_after(value, sent, now));
    Fault {
        code: Code::http(status),
        class,
        context: ErrorContext::RemoteFile,
        what: format!("the server answered {status}{reason}"),
        retry_after,
    }
}

/// `Accept-Encoding: identity` was asked for; an encoded body has other bytes than the file, and its
/// length and ranges count those. Of the transfer encodings, only `chunked` is undone on the way.
fn not_encoded(headers: &HeaderMap) -> Result<(), Fault> {
    for (header, plain) in [(CONTENT_ENCODING, "identity"), (TRANSFER_ENCODING, "chunked")] {
        for value in headers.get_all(header) {
            let value = value.to_str().unwrap_or("?").trim();
            if !value.is_empty() && !value.eq_ignore_ascii_case(plain) {
                let shown: String = value.chars().take(40).collect();
                return Err(Fault::answer(format!(
                    "it encoded the file as `{shown}` though not asked to"
                )));
            }
        }
    }
    Ok(())
}

/// The announced length.
fn content_length(headers: &HeaderMap) -> Result<Option<u64>, Fault> {
    if !headers.contains_key(CONTENT_LENGTH) {
        return Ok(None);
    }
    let length = text(headers, &CONTENT_LENGTH).and_then(|length| number(length.trim()));
    match length {
        Some(length) => Ok(Some(length)),
        None => Err(Fault::answer("its Content-Length is not one number")),
    }
}

/// `bytes 5-9/10` is (5, 10, Some(10)).
fn content_range(value: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, total) = value.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (start, last) = range.split_once('-')?;
    let (start, last) = (number(start.trim())?, number(last.trim())?);
    let end = last.checked_add(1)?;
    let total = match total.trim() {
        "*" => None,
        total => Some(number(total)?),
    };
    (start < end
        && end <= FILE_BYTES_MAX
        && total.is_none_or(|total| end <= total && total <= FILE_BYTES_MAX))
    .then_some((start, end, total))
}

/// Digits alone: `parse` would take a sign as well.
fn number(text: &str) -> Option<u64> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

/// A header's value; none when it is there twice and not the same, as nobody knows which one holds.
fn text<'h>(headers: &'h HeaderMap, name: &http::HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    values
        .all(|value| value == first)
        .then(|| first.to_str().ok())
        .flatten()
}

fn date_of(value: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(value).ok()
}

#[cfg(test)]
#[path = "answer_laws.rs"]
mod laws;
#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
