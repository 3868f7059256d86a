//! Values on the command line, from text.

use std::str::FromStr;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};

use bytesize::ByteSize;

use crate::api::view::{Code, DeliveryId, FileRange, JobId, Profile, Timestamp};

/// One of the words of an enumeration, offered in help and completions.
pub(super) fn words<T>(all: &'static [T], word: fn(T) -> &'static str) -> impl TypedValueParser<Value = T>
where
    T: Copy + FromStr<Err: std::error::Error + Send + Sync + 'static> + Send + Sync + 'static,
{
    PossibleValuesParser::new(all.iter().map(|value| word(*value))).try_map(|text| text.parse::<T>())
}

/// A profile's word.
pub(super) fn profile_parser() -> impl TypedValueParser<Value = Profile> {
    PossibleValuesParser::new(["sexton", "bits", "delivery-optimization"]).map(|word| match word.as_str() {
        "bits" => Profile::Bits,
        "delivery-optimization" => Profile::DeliveryOptimization,
        _ => Profile::Sexton,
    })
}

/// `90s`, `5m`, `1h 30m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; write it like `90s`, `5m` or `1h 30m`"))
}

/// `KEY=VALUE`
pub(super) fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as KEY=VALUE".to_owned()),
    }
}

/// A job's id.
pub(super) fn job_id(text: &str) -> Result<JobId, String> {
    text.parse()
        .map_err(|_| "not a job id; `sexton job list` shows those there are".to_owned())
}

/// A delivery's id.
pub(super) fn delivery_id(text: &str) -> Result<DeliveryId, String> {
    text.parse()
        .map_err(|_| "not a delivery id; `sexton delivery list` shows those there are".to_owned())
}

/// A point in time, or a duration before now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// This one.
    At(Timestamp),
    /// So long ago.
    Ago(Duration),
}

impl Moment {
    /// The point in time, seen from `now`.
    pub(super) fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(ago) => {
                let millis = i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
                Timestamp::from_millis(now.as_millis().saturating_sub(millis))
            }
        }
    }
}

/// `2h`, `2026-01-02T03:04:05Z`.
pub(super) fn moment(text: &str) -> Result<Moment, String> {
    if let Ok(ago) = humantime::parse_duration(text) {
        return Ok(Moment::Ago(ago));
    }
    let at = text.parse().map(Moment::At);
    at.map_err(|_| "write it like `2h` for two hours ago, or `2026-01-02T03:04:05Z`".to_owned())
}

/// `0x80190194`, `HTTP_404`, `BG_E_NO_PROGRESS`.
pub(super) fn code(text: &str) -> Result<Code, String> {
    text.parse()
        .map_err(|error: crate::api::view::UnknownCode| error.to_string())
}

/// `700MiB`, or bytes.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let size = text.parse::<ByteSize>();
    size.map(|size| size.as_u64())
        .map_err(|_| "write it like `700MiB`, `4GB` or as a number of bytes".to_owned())
}

/// `OFFSET:LENGTH`; without a length to the end.
pub(super) fn range(text: &str) -> Result<FileRange, String> {
    let wrong = || "write it as OFFSET:LENGTH, or OFFSET: for all that follows".to_owned();
    let (offset, length) = text.split_once(':').ok_or_else(wrong)?;
    let number = |text: &str| text.parse::<u64>().map_err(|_| wrong());
    Ok(FileRange {
        offset: number(offset)?,
        length: if length.is_empty() {
            None
        } else {
            Some(number(length)?)
        },
    })
}
