//! Words of the rules of transfers: rates and times of the day.

use jiff::civil::Time;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Deserializer;
use serde::{Deserialize, Serialize, Serializer};

use super::value::{Scalar, schema};
use crate::job::{Hours, rate};

/// What a rate looks like.
const RATE: &str = "bytes or bits a second in quotes such as \"2MB\" or \"800kbps\", \"0\", or \"unlimited\"";
/// What a time of the day looks like.
const MOMENT: &str = "a time of the day in quotes such as \"08:30\"";

/// What a part of the week looks like.
const HOURS: &str = "a part of the week in quotes such as \"22:00-06:00\" or \"mon,tue 22:00-06:00\"";

/// Bytes a second; `None` is unlimited: `"2MB"`, `"800kbps"`, `"unlimited"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate(pub(super) Option<u64>);

/// A time of the day: `"08:30"`; `"24:00"` is the midnight that follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment(pub(super) Time);

fn moment(text: &str) -> Option<Moment> {
    let (hour, minute) = text.split_once(':')?;
    let (hour, minute): (i8, i8) = (hour.parse().ok()?, minute.parse().ok()?);
    match (hour, minute) {
        (24, 0) => Some(Moment(Time::midnight())),
        _ => Time::new(hour, minute, 0, 0).ok().map(Moment),
    }
}

/// A part of the week: `"mon,tue 22:00-06:00"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HoursWord(pub(super) Hours);

impl<'de> Deserialize<'de> for HoursWord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar::of_text(HOURS, |text| text.parse().ok().map(Self)))
    }
}

impl Serialize for HoursWord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar::of_text(RATE, |text| match text {
            "unlimited" => Some(Self(None)),
            other => rate(other).map(|rate| Self(Some(rate))),
        }))
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(bytes) => serializer.collect_str(&format_args!("{bytes}B")),
            None => serializer.serialize_str("unlimited"),
        }
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar::of_text(MOMENT, moment))
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:02}:{:02}", self.0.hour(), self.0.minute()))
    }
}

schema! {
    Rate: { "type": "string", "pattern": "^([0-9]|unlimited$)", "examples": ["2MB", "800kbps", "0", "unlimited"] };
    Moment: { "type": "string", "pattern": "^[0-9]{1,2}:[0-9]{2}$", "examples": ["08:30", "24:00"] };
    HoursWord: { "type": "string", "pattern": "^[a-z, ]*[0-9]{1,2}:[0-9]{2}-[0-9]{1,2}:[0-9]{2}$", "examples": ["22:00-06:00", "mon,tue 22:00-06:00"] };
}
