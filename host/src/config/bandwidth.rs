//! How much bandwidth transfers have at which time of the week: `[transfer.bandwidth]` and its windows.

use jiff::tz::TimeZone;

use crate::job::{Hours, Priority, Timestamp};

/// Bytes a second that are in force; `None` is no limit, zero lets nothing through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// All background transfers together.
    pub background: Option<u64>,
    /// Foreground transfers together, which `background` does not concern (B-71, BP-08).
    pub foreground: Option<u64>,
    /// Of the background, those of high priority together.
    pub high: Option<u64>,
    /// Of the background, those of normal priority together.
    pub normal: Option<u64>,
    /// Of the background, those of low priority together.
    pub low: Option<u64>,
}

impl Rates {
    /// The limit of one level alone.
    #[must_use]
    pub const fn of(&self, level: Priority) -> Option<u64> {
        match level {
            Priority::Foreground => self.foreground,
            Priority::High => self.high,
            Priority::Normal => self.normal,
            Priority::Low => self.low,
        }
    }

    /// Whether transfers of this level may not run at all (B-72). Foreground ones always may.
    #[must_use]
    pub fn stop(&self, level: Priority) -> bool {
        level != Priority::Foreground && (self.background == Some(0) || self.of(level) == Some(0))
    }
}

/// What holds outside of every window, and the windows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BandwidthConfig {
    /// Outside of every window.
    pub rates: Rates,
    /// In the order of the file: of those that are open the first holds, but a maintenance window wins
    /// over all others (B-73).
    pub windows: Vec<Window>,
}

/// A part of the week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// When it is open.
    pub hours: Hours,
    /// It wins over those that are not.
    pub maintenance: bool,
    /// What holds in it; what it does not name is not limited in it.
    pub rates: Rates,
}

impl BandwidthConfig {
    /// What holds at `now` in local time, and when that may change next.
    #[must_use]
    pub fn at(&self, now: Timestamp, zone: &TimeZone) -> (Rates, Option<Timestamp>) {
        let mut next: Option<Timestamp> = None;
        let mut open: Option<&Window> = None;
        for window in &self.windows {
            let (is_open, change) = window.hours.at(now, zone);
            if is_open && open.is_none_or(|one| window.maintenance && !one.maintenance) {
                open = Some(window);
            }
            next = next.into_iter().chain(change).min();
        }
        (open.map_or(self.rates, |window| window.rates), next)
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::Weekday;

    use super::*;
    use Weekday::{Friday, Monday, Saturday, Thursday, Tuesday, Wednesday};

    const WORK: [Weekday; 5] = [Monday, Tuesday, Wednesday, Thursday, Friday];

    fn rate(background: u64) -> Rates {
        Rates {
            background: Some(background),
            ..Rates::default()
        }
    }

    fn window(days: &[Weekday], from: &str, to: &str, background: u64) -> Window {
        Window {
            hours: Hours {
                days: days.to_vec(),
                from: from.parse().unwrap(),
                to: to.parse().unwrap(),
            },
            maintenance: false,
            rates: rate(background),
        }
    }

    fn berlin() -> TimeZone {
        TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
    }

    /// Local time in Berlin.
    fn local(text: &str) -> Timestamp {
        let at: jiff::civil::DateTime = text.parse().unwrap();
        let zoned = berlin().to_zoned(at).unwrap();
        Timestamp::from_millis(zoned.timestamp().as_millisecond())
    }

    fn at(config: &BandwidthConfig, text: &str) -> Option<u64> {
        config.at(local(text), &berlin()).0.background
    }

    #[test]
    fn b72_a_window_holds_from_its_first_instant_to_before_its_last() {
        let config = BandwidthConfig {
            rates: rate(9),
            windows: vec![window(&WORK, "08:00", "17:00", 1)],
        };
        // 2026-11-20 is a Friday.
        for (time, expected) in [
            ("2026-11-20T07:59:59", 9),
            ("2026-11-20T08:00:00", 1),
            ("2026-11-20T16:59:59", 1),
            ("2026-11-20T17:00:00", 9),
            ("2026-11-21T12:00:00", 9),
            ("2026-11-23T12:00:00", 1),
        ] {
            assert_eq!(at(&config, time), Some(expected), "{time}");
        }
        for (time, next) in [
            ("2026-11-20T07:00:00", "2026-11-20T08:00:00"),
            ("2026-11-20T08:00:00", "2026-11-20T17:00:00"),
            ("2026-11-20T17:00:00", "2026-11-23T08:00:00"),
        ] {
            let found = config.at(local(time), &berlin()).1;
            assert_eq!(found, Some(local(next)), "{time}");
        }
    }

    #[test]
    fn b73_maintenance_wins_over_work_and_both_may_go_over_midnight() {
        let config = BandwidthConfig {
            rates: Rates::default(),
            windows: vec![
                window(&WORK, "08:00", "17:00", 1),
                Window {
                    maintenance: true,
                    ..window(&[Friday], "16:00", "02:00", 2)
                },
                window(&[Friday], "16:00", "16:00", 3),
            ],
        };
        for (time, expected) in [
            ("2026-11-20T15:59:59", Some(1)),
            ("2026-11-20T16:00:00", Some(2)),
            ("2026-11-21T01:59:59", Some(2)),
            ("2026-11-21T02:00:00", Some(3)),
            ("2026-11-21T15:59:59", Some(3)),
            ("2026-11-21T16:00:00", None),
        ] {
            assert_eq!(at(&config, time), expected, "{time}");
        }
    }

    #[test]
    fn b73_windows_follow_the_local_clock_when_it_is_changed() {
        let config = BandwidthConfig {
            rates: rate(9),
            windows: vec![window(&[Saturday, Weekday::Sunday], "08:00", "17:00", 1)],
        };
        // Summer time ends on 2026-10-25 at 03:00.
        let evening = local("2026-10-24T17:00:00");
        let (_, next) = config.at(evening, &berlin());
        let hours = next.unwrap().since(evening).as_secs() / 3600;
        assert_eq!(hours, 16, "one more than the wall clock says");
        let without = BandwidthConfig {
            rates: rate(9),
            windows: Vec::new(),
        };
        assert_eq!(
            without.at(evening, &berlin()),
            (rate(9), None),
            "nothing to wake for"
        );
    }

    #[test]
    fn b71_zero_stops_every_level_but_foreground() {
        let all = rate(0);
        assert!(!all.stop(Priority::Foreground) && all.stop(Priority::High) && all.stop(Priority::Low));
        let low = Rates {
            low: Some(0),
            ..rate(5)
        };
        assert!(low.stop(Priority::Low) && !low.stop(Priority::Normal));
    }
}
