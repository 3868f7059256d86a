//! The shape of what applies live in `[transfer]`: bandwidth by priority and time, network and holds.
//!
//! The comments on the fields are the schema's descriptions, so they speak to the operator.

use jiff::civil::{Time, Weekday};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::At;
use super::value_rules::{Moment, Rate};
use crate::job::HoldReason;

/// Bytes a second, by priority: `"2MB"`, `"800kbps"`, `"0"` to stop, `"unlimited"`.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Bandwidth")]
pub(super) struct RawBandwidth {
    /// All background transfers together.
    #[schemars(extend("default" = "unlimited"))]
    pub(super) background: Option<At<Rate>>,
    /// Foreground transfers together; they are no part of the background and cannot be stopped.
    #[schemars(extend("default" = "unlimited"))]
    pub(super) foreground: Option<At<Rate>>,
    /// Of the background, transfers of high priority together.
    #[schemars(extend("default" = "unlimited"))]
    pub(super) high: Option<At<Rate>>,
    /// Of the background, transfers of normal priority together.
    #[schemars(extend("default" = "unlimited"))]
    pub(super) normal: Option<At<Rate>>,
    /// Of the background, transfers of low priority together.
    #[schemars(extend("default" = "unlimited"))]
    pub(super) low: Option<At<Rate>>,
    /// Parts of the week in which other rates hold (at most 64).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) window: Option<Vec<RawWindow>>,
}

/// A part of the week, in local time. What it does not name is not limited in it.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Window")]
pub(super) struct RawWindow {
    /// The days on which it opens, such as `["mon", "fri"]`; without it all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) days: Option<At<Vec<RawDay>>>,
    /// When it opens.
    #[schemars(extend("default" = "00:00"))]
    pub(super) from: Option<At<Moment>>,
    /// When it closes: on the next day where that is not after `from`.
    #[schemars(extend("default" = "24:00"))]
    pub(super) to: Option<At<Moment>>,
    /// It wins over open windows that are not for maintenance; else the first of the file does.
    #[schemars(extend("default" = false))]
    pub(super) maintenance: Option<bool>,
    /// All background transfers together.
    #[schemars(extend("default" = "unlimited"))]
    pub(super) background: Option<At<Rate>>,
    /// Foreground transfers together.
    #[schemars(extend("default" = "unlimited"))]
    pub(super) foreground: Option<At<Rate>>,
    /// Of the background, transfers of high priority together.
    #[schemars(extend("default" = "unlimited"))]
    pub(super) high: Option<At<Rate>>,
    /// Of the background, transfers of normal priority together.
    #[schemars(extend("default" = "unlimited"))]
    pub(super) normal: Option<At<Rate>>,
    /// Of the background, transfers of low priority together.
    #[schemars(extend("default" = "unlimited"))]
    pub(super) low: Option<At<Rate>>,
}

impl RawWindow {
    /// Its rates, as they are written outside of windows.
    pub(super) fn rates(&self) -> [Option<&At<Rate>>; 5] {
        [
            self.background.as_ref(),
            self.foreground.as_ref(),
            self.high.as_ref(),
            self.normal.as_ref(),
            self.low.as_ref(),
        ]
    }
}

impl RawBandwidth {
    /// The rates outside of windows.
    pub(super) fn rates(&self) -> [Option<&At<Rate>>; 5] {
        [
            self.background.as_ref(),
            self.foreground.as_ref(),
            self.high.as_ref(),
            self.normal.as_ref(),
            self.low.as_ref(),
        ]
    }
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Day")]
pub(super) enum RawDay {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

const DAYS: [(RawDay, Weekday); 7] = [
    (RawDay::Mon, Weekday::Monday),
    (RawDay::Tue, Weekday::Tuesday),
    (RawDay::Wed, Weekday::Wednesday),
    (RawDay::Thu, Weekday::Thursday),
    (RawDay::Fri, Weekday::Friday),
    (RawDay::Sat, Weekday::Saturday),
    (RawDay::Sun, Weekday::Sunday),
];

impl RawDay {
    pub(super) fn weekday(self) -> Weekday {
        let found = DAYS.iter().find(|(raw, _)| *raw == self);
        found.map_or(Weekday::Monday, |(_, day)| *day)
    }

    pub(super) fn of(day: Weekday) -> Option<Self> {
        DAYS.iter().find(|(_, one)| *one == day).map(|(raw, _)| *raw)
    }
}

/// Whether there is a network.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Network")]
pub(super) enum RawNetwork {
    /// As the routing tables say: some route leads off this machine.
    Auto,
    /// There is one, whatever they say: a proxy on this machine, for one.
    Up,
    /// There is none: transfers wait.
    Down,
}

/// Why background transfers are held.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "HoldKey")]
pub(super) enum RawHold {
    /// They are not.
    No,
    /// The network costs.
    Cost,
    /// Power is short.
    Power,
    /// Another reason.
    Operator,
}

impl RawHold {
    pub(super) const fn reason(self) -> Option<HoldReason> {
        match self {
            Self::No => None,
            Self::Cost => Some(HoldReason::Cost),
            Self::Power => Some(HoldReason::Power),
            Self::Operator => Some(HoldReason::Operator),
        }
    }

    pub(super) const fn of(reason: Option<HoldReason>) -> Self {
        match reason {
            Some(HoldReason::Cost) => Self::Cost,
            Some(HoldReason::Power) => Self::Power,
            Some(HoldReason::Operator) => Self::Operator,
            // The others are nobody's to write.
            Some(HoldReason::Network | HoldReason::Bandwidth) | None => Self::No,
        }
    }
}

/// Midnight.
pub(super) const MIDNIGHT: Time = Time::constant(0, 0, 0, 0);
