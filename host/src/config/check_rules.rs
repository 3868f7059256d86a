//! The checks of what applies live in `[transfer]`.

use std::time::Duration;

use jiff::civil::Weekday;

use super::check::{Check, DAY};
use super::error::Fault;
use super::raw::RawTransfer;
use super::raw_rules::{MIDNIGHT, RawBandwidth, RawDay, RawNetwork, RawWindow};
use super::value::At;
use super::value_rules::Rate;
use super::{BandwidthConfig, NetworkMode, Rates, TransferRules, Window};
use crate::job::Hours;

/// Windows of the file: each is looked at whenever a window opens or closes.
const WINDOWS_MAX: usize = 64;

/// Shortest time slice: less would spend itself on connections.
const SLICE_MIN: Duration = Duration::from_secs(1);

pub(super) fn rules(check: &mut Check<'_, '_>, raw: &RawTransfer) -> TransferRules {
    TransferRules {
        slice: check.term(
            "transfer.slice",
            raw.slice.as_ref(),
            TransferRules::default().slice,
            (SLICE_MIN, DAY),
        ),
        bandwidth: raw
            .bandwidth
            .as_ref()
            .map_or_else(BandwidthConfig::default, |raw| bandwidth(check, raw)),
        network: match raw.network.as_ref().map(|at| at.value) {
            None | Some(RawNetwork::Auto) => NetworkMode::Auto,
            Some(RawNetwork::Up) => NetworkMode::Up,
            Some(RawNetwork::Down) => NetworkMode::Down,
        },
        hold: raw.hold.as_ref().and_then(|at| at.value.reason()),
    }
}

fn bandwidth(check: &mut Check<'_, '_>, raw: &RawBandwidth) -> BandwidthConfig {
    let windows = raw.window.as_deref().unwrap_or_default();
    if windows.len() > WINDOWS_MAX {
        let fault = Fault::new(format!(
            "{} windows; at most {WINDOWS_MAX} are looked at",
            windows.len()
        ));
        let first = windows.iter().find_map(|one| one.from.as_ref());
        let span = first.map_or(0..0, |at| at.span.clone());
        check.report.add(&span, "transfer.bandwidth.window", fault);
    }
    BandwidthConfig {
        rates: rates(check, raw.rates()),
        windows: windows.iter().map(|raw| window(check, raw)).collect(),
    }
}

fn window(check: &mut Check<'_, '_>, raw: &RawWindow) -> Window {
    // Words that are no days have been taken out, and reported.
    let nothing_written = |at: &At<Vec<RawDay>>| !check.report.source.slice(&at.span).contains(['"', '\'']);
    if let Some(at) = raw
        .days
        .as_ref()
        .filter(|at| at.value.is_empty() && nothing_written(at))
    {
        let fault = Fault::new("`days` is empty: the window would never open");
        let fault = fault.hint("leave `days` out for every day");
        check
            .report
            .add(&at.span, "transfer.bandwidth.window.days", fault);
    }
    let every_day = || Weekday::Monday.cycle_forward().take(7).collect();
    Window {
        hours: Hours {
            days: raw.days.as_ref().map_or_else(every_day, |at| {
                at.value.iter().copied().map(RawDay::weekday).collect()
            }),
            from: raw.from.as_ref().map_or(MIDNIGHT, |at| at.value.0),
            to: raw.to.as_ref().map_or(MIDNIGHT, |at| at.value.0),
        },
        maintenance: raw.maintenance.unwrap_or(false),
        rates: rates(check, raw.rates()),
    }
}

fn rates(check: &mut Check<'_, '_>, raw: [Option<&At<Rate>>; 5]) -> Rates {
    let [background, foreground, high, normal, low] = raw;
    if let Some(at) = foreground.filter(|at| at.value.0 == Some(0)) {
        let fault = Fault::new("foreground transfers cannot be stopped by a bandwidth of zero");
        let fault = fault.hint("submit them with another priority, or suspend them");
        check.report.add(&at.span, "transfer.bandwidth.foreground", fault);
    }
    let rate = |raw: Option<&At<Rate>>| raw.and_then(|at| at.value.0);
    Rates {
        background: rate(background),
        foreground: rate(foreground),
        high: rate(high),
        normal: rate(normal),
        low: rate(low),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Config, Overrides};
    use crate::job::HoldReason;

    fn parse(text: &str) -> Config {
        let overrides = Overrides::default();
        Config::parse(text, Path::new("sexton.toml"), Path::new("/srv"), &overrides)
            .unwrap_or_else(|errors| panic!("{errors}"))
    }

    const FULL: &str = r#"
        [transfer]
        slice = "90s"
        network = "down"
        hold = "power"
        [transfer.bandwidth]
        background = "2MB"
        foreground = "16Mbps"
        low = "0"
        [[transfer.bandwidth.window]]
        days = ["mon", "sun"]
        from = "08:30"
        to = "24:00"
        high = "1kbps"
        [[transfer.bandwidth.window]]
        maintenance = true
        background = "unlimited"
    "#;

    #[test]
    fn b73_windows_are_read_and_shown_as_they_are_meant() {
        let config = parse(FULL);
        let rules = &config.transfer.rules;
        assert_eq!(rules.slice, Duration::from_secs(90));
        assert_eq!(
            (rules.network, rules.hold),
            (NetworkMode::Down, Some(HoldReason::Power))
        );
        let expected = Rates {
            background: Some(2_000_000),
            foreground: Some(2_000_000),
            low: Some(0),
            ..Rates::default()
        };
        assert_eq!(rules.bandwidth.rates, expected);
        let [work, maintenance] = rules.bandwidth.windows.as_slice() else {
            panic!("{rules:?}")
        };
        assert_eq!(work.hours.days, [Weekday::Monday, Weekday::Sunday]);
        assert_eq!(
            (work.hours.from.hour(), work.hours.from.minute(), work.hours.to),
            (8, 30, MIDNIGHT)
        );
        assert_eq!(work.rates.high, Some(250), "B-72: nothing is slower than 2 kbps");
        assert!(!work.maintenance && maintenance.maintenance);
        assert_eq!(maintenance.hours.days.len(), 7);
        assert_eq!(maintenance.rates, Rates::default());
        let again = parse(&config.to_toml());
        assert_eq!(again.transfer, config.transfer);
    }

    #[test]
    fn b69_the_slice_is_five_minutes_unless_it_is_written() {
        assert_eq!(parse("").transfer.rules.slice, Duration::from_secs(300));
    }

    #[test]
    fn b72_rules_of_transfers_apply_live() {
        let (old, new) = (parse(""), parse(FULL));
        assert!(old.live_differences(&new).is_empty());
        let restart = parse(
            "[transfer]
slots = 2",
        );
        assert_eq!(old.live_differences(&restart), ["transfer"]);
    }
}
