//! The words of the file: values that remember where they stand, and the units they are written in.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use toml::Spanned;

/// Bytes of the file that a value or key takes.
pub(super) type Span = Range<usize>;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) span: Span,
}

impl<T> From<T> for At<T> {
    /// A value that stands nowhere: what `config show` writes.
    fn from(value: T) -> Self {
        Self { value, span: 0..0 }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<T>::deserialize(deserializer)?;
        let span = spanned.span();
        Ok(Self {
            value: spanned.into_inner(),
            span,
        })
    }
}

impl<T: Serialize> Serialize for At<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// A quantity that can be compared with its limits and shown in the unit of the file.
pub(super) trait Quantity: Copy + PartialOrd {
    /// As it is written in the file, quotes included where it needs them.
    fn written(self) -> String;
}

/// What a length of time looks like.
const TERM: &str = "a duration in quotes such as \"30s\", \"5min\" or \"14d\"";
/// What a size looks like.
const SIZE: &str = "a size in quotes such as \"64MiB\"";
/// What a fraction looks like.
const FRACTION: &str = "a fraction from 0 to 1 such as 0.1, or \"10%\"";
/// What a count looks like.
const WHOLE: &str = "a whole number, 0 or more";

/// A length of time: `"5s"`, `"14d"`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(super) struct Term(pub(super) Duration);

impl Quantity for Term {
    fn written(self) -> String {
        let millis = self.0.as_millis();
        let units = [
            (86_400_000, "d"),
            (3_600_000, "h"),
            (60_000, "min"),
            (1000, "s"),
            (1, "ms"),
        ];
        for (unit, name) in units {
            if millis > 0 && millis.is_multiple_of(unit) && self.0.subsec_nanos().is_multiple_of(1_000_000) {
                return format!("\"{}{name}\"", millis / unit);
            }
        }
        format!("\"{}\"", humantime::format_duration(self.0))
    }
}

/// A length of time, or `"never"`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TermOrNever(pub(super) Option<Term>);

/// A number of bytes: `"64MiB"`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(super) struct Size(pub(super) u64);

impl Quantity for Size {
    fn written(self) -> String {
        for (unit, name) in [(1_u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
            if self.0 >= unit && self.0.is_multiple_of(unit) {
                return format!("\"{}{name}\"", self.0 / unit);
            }
        }
        format!("\"{}B\"", self.0)
    }
}

/// A share of one: `0.1` or `"10%"`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(super) struct Fraction(pub(super) f64);

impl Quantity for Fraction {
    fn written(self) -> String {
        self.0.to_string()
    }
}

/// A count.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(super) struct Whole(pub(super) u64);

impl Quantity for Whole {
    fn written(self) -> String {
        self.0.to_string()
    }
}

impl Quantity for f64 {
    fn written(self) -> String {
        self.to_string()
    }
}

/// Reads a scalar: each kind of value has a function, the others are refused with `expecting`.
pub(super) struct Scalar<T> {
    expecting: &'static str,
    text: Option<fn(&str) -> Option<T>>,
    whole: Option<fn(u64) -> T>,
    float: Option<fn(f64) -> T>,
}

impl<T> Scalar<T> {
    const fn new(expecting: &'static str) -> Self {
        Self {
            expecting,
            text: None,
            whole: None,
            float: None,
        }
    }
}

impl<T> Scalar<T> {
    /// What is written as text.
    pub(super) fn of_text(expecting: &'static str, read: fn(&str) -> Option<T>) -> Self {
        Self {
            text: Some(read),
            ..Self::new(expecting)
        }
    }
}

impl<T> Visitor<'_> for Scalar<T> {
    type Value = T;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.expecting)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        let Some(read) = self.text else {
            return Err(E::invalid_type(de::Unexpected::Str(text), &self));
        };
        read(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<T, E> {
        match (self.whole, self.float) {
            (Some(read), _) => Ok(read(value)),
            // Integers this large lose nothing that a fraction or factor could mean.
            (None, Some(read)) => Ok(read(f64::from(u32::try_from(value).unwrap_or(u32::MAX)))),
            (None, None) => Err(E::invalid_type(de::Unexpected::Unsigned(value), &self)),
        }
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<T, E> {
        match u64::try_from(value) {
            Ok(value) => self.visit_u64(value),
            Err(_) => Err(E::invalid_value(de::Unexpected::Signed(value), &self)),
        }
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<T, E> {
        match self.float {
            Some(read) => Ok(read(value)),
            None => Err(E::invalid_type(de::Unexpected::Float(value), &self)),
        }
    }
}

fn term(text: &str) -> Option<Term> {
    humantime::parse_duration(text).ok().map(Term)
}

fn size(text: &str) -> Option<Size> {
    text.parse::<bytesize::ByteSize>()
        .ok()
        .map(|size| Size(size.as_u64()))
}

fn percent(text: &str) -> Option<Fraction> {
    let number: f64 = text.strip_suffix('%')?.trim_end().parse().ok()?;
    Some(Fraction(number / 100.0))
}

impl<'de> Deserialize<'de> for Term {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar {
            text: Some(term),
            ..Scalar::new(TERM)
        })
    }
}

impl<'de> Deserialize<'de> for TermOrNever {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar {
            text: Some(|text| match text {
                "never" => Some(Self(None)),
                other => term(other).map(|term| Self(Some(term))),
            }),
            ..Scalar::new("a duration in quotes such as \"24h\" or \"90d\", or \"never\"")
        })
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar {
            text: Some(size),
            ..Scalar::new(SIZE)
        })
    }
}

impl<'de> Deserialize<'de> for Fraction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar {
            text: Some(percent),
            float: Some(Self),
            ..Scalar::new(FRACTION)
        })
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar {
            whole: Some(Self),
            ..Scalar::new(WHOLE)
        })
    }
}

impl Serialize for Term {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.written().trim_matches('"'))
    }
}

impl Serialize for TermOrNever {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(term) => term.serialize(serializer),
            None => serializer.serialize_str("never"),
        }
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.written().trim_matches('"'))
    }
}

impl Serialize for Fraction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0)
    }
}

impl Serialize for Whole {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

/// How the JSON schema writes these values.
macro_rules! schema {
    ($($name:ident: $schema:tt;)+) => { $(
        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )+ };
}
pub(super) use schema;

schema! {
    Term: { "type": "string", "pattern": "^[0-9]", "examples": ["500ms", "30s", "5min", "24h", "14d"] };
    TermOrNever: { "type": "string", "pattern": "^([0-9]|never$)", "examples": ["24h", "90d", "never"] };
    Size: { "type": "string", "pattern": "^[0-9]", "examples": ["64MiB", "1GiB"] };
    Fraction: { "anyOf": [
        { "type": "number", "minimum": 0, "maximum": 1 },
        { "type": "string", "pattern": "^[0-9.]+ *%$" }
    ], "examples": [0.1, "10%"] };
    Whole: { "type": "integer", "minimum": 0 };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Row {
        term: Term,
        size: Size,
        share: Fraction,
        keep: TermOrNever,
    }

    #[test]
    fn units_are_read_and_written_alike() {
        let text = "term = '90s'\nsize = '64MiB'\nshare = '10%'\nkeep = 'never'";
        let row: Row = toml::from_str(text).unwrap();
        assert_eq!(row.term.written(), "\"90s\"");
        assert_eq!(term("1min 30s"), Some(row.term));
        for written in ["0s", "1ms", "1500ms", "90d", "25h", "1ms 5us"] {
            let read = term(written).unwrap();
            assert_eq!(read.written(), format!("\"{written}\""));
        }
        assert_eq!(row.size.written(), "\"64MiB\"");
        assert_eq!(Size((64 << 20) + 1).written(), "\"67108865B\"");
        assert_eq!(size("67108865B"), Some(Size(67_108_865)));
        assert!((row.share.0 - 0.1).abs() < 1e-12);
        assert_eq!(row.keep, TermOrNever(None));
        for bad in [
            "term = 5",
            "term = '5'",
            "size = 64",
            "size = 'x'",
            "share = 'ten%'",
        ] {
            assert!(toml::from_str::<Row>(bad).is_err(), "{bad}");
        }
    }
}
