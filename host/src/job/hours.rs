//! Parts of the week in local time: when something may run.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Timestamp;

/// Days looked ahead for the next change: hours may be open on one day of the week only.
const DAYS_AHEAD: i8 = 8;

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// A part of the week, such as `mon,tue 22:00-06:00`; without days it is every day's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hours {
    /// The days on which it opens.
    pub days: Vec<Weekday>,
    /// When it opens, in local time.
    pub from: Time,
    /// When it closes: on the next day where that is not after `from`.
    pub to: Time,
}

/// Not a part of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write a part of the week as `22:00-06:00` or `mon,tue 22:00-06:00`")]
pub struct NoHours;

impl Hours {
    /// When it opens on this day and when it closes then, if it opens on it at all.
    fn on(&self, date: Date, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
        if !self.days.contains(&date.weekday()) {
            return None;
        }
        let end = if self.to > self.from {
            date
        } else {
            date.tomorrow().ok()?
        };
        let instant = |date: Date, time: Time| {
            let zoned = zone
                .to_ambiguous_zoned(date.to_datetime(time))
                .compatible()
                .ok()?;
            Some(Timestamp::from_millis(zoned.timestamp().as_millisecond()))
        };
        Some((instant(date, self.from)?, instant(end, self.to)?))
    }

    /// Whether it is open at `now` in `zone`, and when that changes next.
    #[must_use]
    pub fn at(&self, now: Timestamp, zone: &TimeZone) -> (bool, Option<Timestamp>) {
        let Ok(instant) = jiff::Timestamp::from_millisecond(now.as_millis()) else {
            return (false, None);
        };
        let today = instant.to_zoned(zone.clone()).date();
        let (mut open, mut next) = (false, None::<Timestamp>);
        // From yesterday on, for those that go over midnight.
        for ahead in -1..DAYS_AHEAD {
            let date = today.checked_add(jiff::Span::new().days(ahead));
            let Some((from, to)) = date.ok().and_then(|date| self.on(date, zone)) else {
                continue;
            };
            open |= from <= now && now < to;
            let edges = [from, to].into_iter().filter(|edge| *edge > now);
            next = next.into_iter().chain(edges).min();
        }
        (open, next)
    }

    /// Whether any of `hours` is open, or there are none; and when that may change next.
    #[must_use]
    pub fn any_open(hours: &[Self], now: Timestamp, zone: &TimeZone) -> (bool, Option<Timestamp>) {
        let each = hours.iter().map(|hours| hours.at(now, zone));
        each.fold((hours.is_empty(), None), |(open, next), (one, change)| {
            (open || one, next.into_iter().chain(change).min())
        })
    }
}

fn day(word: &str) -> Option<Weekday> {
    DAYS.iter().find(|(name, _)| *name == word).map(|(_, day)| *day)
}

fn moment(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    match (hour.parse().ok()?, minute.parse().ok()?) {
        (24, 0) => Some(Time::midnight()),
        (hour, minute) => Time::new(hour, minute, 0, 0).ok(),
    }
}

impl FromStr for Hours {
    type Err = NoHours;

    fn from_str(text: &str) -> Result<Self, NoHours> {
        let (days, times) = match text.trim().rsplit_once(' ') {
            Some((days, times)) => {
                let each = days.split(',').map(|word| day(word.trim()));
                let written = each.collect::<Option<Vec<_>>>().ok_or(NoHours)?;
                let week = DAYS.iter().map(|(_, day)| *day);
                (week.filter(|day| written.contains(day)).collect(), times)
            }
            None => (DAYS.iter().map(|(_, day)| *day).collect(), text.trim()),
        };
        let (from, to) = times.split_once('-').ok_or(NoHours)?;
        Ok(Self {
            days,
            from: moment(from).ok_or(NoHours)?,
            to: moment(to).ok_or(NoHours)?,
        })
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = DAYS.iter().filter(|(_, day)| self.days.contains(day));
        let names: Vec<&str> = names.map(|(name, _)| *name).collect();
        if names.len() < DAYS.len() {
            write!(out, "{} ", names.join(","))?;
        }
        let (from, to) = (self.from, self.to);
        write!(
            out,
            "{:02}:{:02}-{:02}:{:02}",
            from.hour(),
            from.minute(),
            to.hour(),
            to.minute()
        )
    }
}

impl Serialize for Hours {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hours {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_read_as_they_are_shown() {
        for (text, shown) in [
            ("22:00-06:00", "22:00-06:00"),
            ("fri, mon 08:30-24:00", "mon,fri 08:30-00:00"),
        ] {
            let hours: Hours = text.parse().unwrap();
            assert_eq!(hours.to_string(), shown);
            assert_eq!(shown.parse(), Ok(hours));
        }
        for bad in ["", "22:00", "mun 1:00-2:00", "25:00-1:00", "mon", "1:00-2:00 mon"] {
            assert_eq!(bad.parse::<Hours>(), Err(NoHours), "{bad}");
        }
    }
}
