//! What a code is about and what helps: the part of an explanation that the table of names does not
//! say (`Manager.GetErrorDescription`, B-80).

use super::Code;
use super::model::words;

use serde::{Deserialize, Serialize};

words! {
    /// What follows from a code.
    Nature {
        /// It went well; the code says something beside it (W-94).
        Information = "information",
        /// Blocked for now: the work goes on by itself when the cause is gone.
        Held = "held",
        /// It failed.
        Failed = "failed",
    }
}

impl Code {
    /// What follows from the code. Delivery Optimization keeps a zone of its numbers, `0x80D038xx`, for
    /// what is only blocked for now; of the BITS codes it is a list.
    #[must_use]
    pub const fn nature(self) -> Nature {
        if !self.is_failure() {
            return Nature::Information;
        }
        match self.0 {
            0x80D0_3800..=0x80D0_38FF => Nature::Held,
            _ => match self {
                Self::NETWORK_DISCONNECTED
                | Self::BLOCKED_BY_POLICY
                | Self::BLOCKED_BY_COST_TRANSFER_POLICY
                | Self::STANDBY_MODE
                | Self::BLOCKED_BY_BATTERY_POLICY
                | Self::BLOCKED_BY_BATTERY_SAVER
                | Self::BLOCKED_BY_BACKGROUND_ACCESS_POLICY
                | Self::BLOCKED_BY_GAME_MODE
                | Self::BLOCKED_BY_SYSTEM_POLICY => Nature::Held,
                _ => Nature::Failed,
            },
        }
    }

    /// The code that `text` names: `0x80200013`, `BG_E_INSUFFICIENT_RANGE_SUPPORT`, `HTTP_403`,
    /// `ERRNO_28`, an HTTP status alone, or the signed number as Windows tools print it.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some((code, ..)) = Self::TABLE
            .iter()
            .find(|(_, name, _)| name.eq_ignore_ascii_case(text))
        {
            return Some(*code);
        }
        let lower = text.to_ascii_lowercase();
        if let Some(digits) = lower.strip_prefix("0x") {
            return u32::from_str_radix(digits, 16).ok().map(Self);
        }
        let number = |text: &str| text.parse::<u16>().ok();
        if let Some(status) = lower.strip_prefix("http_").and_then(number) {
            return Some(Self::http(status)).filter(|code| code.http_status().is_some());
        }
        if let Some(errno) = lower.strip_prefix("errno_").and_then(number) {
            return Some(Self::errno(i32::from(errno)));
        }
        if let Some(code) = number(&lower).map(Self::http)
            && code.http_status().is_some()
        {
            return Some(code);
        }
        let signed = lower.parse::<i64>().ok()?;
        let code = i32::try_from(signed).map(i32::cast_unsigned);
        code.or_else(|_| u32::try_from(signed)).ok().map(Self)
    }

    /// What to do next.
    #[must_use]
    pub fn advice(self) -> &'static str {
        if self == Self::OK || self.nature() == Nature::Information {
            return "nothing has to be done";
        }
        if self.nature() == Nature::Held {
            return "wait: the job goes on by itself when the cause is gone, or change what holds it";
        }
        if let Some(status) = self.http_status() {
            return after_status(status);
        }
        match self {
            Self::NO_PROGRESS | Self::DO_DOWNLOAD_NO_PROGRESS | Self::MAXDOWNLOAD_TIMEOUT => {
                "see what kept it with `sexton job error`, then `sexton job resume`; a longer limit can be set"
            }
            Self::CONNECT_FAILURE
            | Self::CONNECTION_CLOSED
            | Self::CONNECTION_ABORTED
            | Self::CANNOT_CONNECT
            | Self::INTERNET_TIMEOUT
            | Self::NAME_NOT_RESOLVED => {
                "check name, address and network of the server; the job is tried again by itself for a while"
            }
            Self::SECURE_FAILURE | Self::CLIENT_AUTH_CERT_NEEDED => {
                "check the certificate of the server and the authorities that the host trusts"
            }
            Self::INSUFFICIENT_RANGE_SUPPORT
            | Self::DO_INSUFFICIENT_RANGE_SUPPORT
            | Self::MISSING_FILE_SIZE
            | Self::INSUFFICIENT_HTTP_SUPPORT
            | Self::RANDOM_ACCESS_NOT_SUPPORTED => {
                "fetch it in one piece: set the priority `foreground` and resume, or use another server"
            }
            Self::REMOTE_FILE_CHANGED
            | Self::LOCAL_FILE_CHANGED
            | Self::VALIDATION_FAILED
            | Self::WATCHDOG_TIMEOUT
            | Self::SX_INTERRUPTED => "resume the job: it begins what is not good anew",
            Self::INVALID_STATE | Self::DO_INVALID_STATE | Self::READ_ONLY_WHEN_JOB_ACTIVE => {
                "look at the state with `sexton job show`; suspend or resume the job first"
            }
            Self::NOT_FOUND | Self::DO_JOB_NOT_FOUND => "`sexton job list` shows the jobs there are",
            Self::ERROR_INFORMATION_UNAVAILABLE | Self::DO_ERROR_INFORMATION_UNAVAILABLE => {
                "ask while the job is in `error` or `transient-error`, or before bytes flow again"
            }
            Self::DATABASE_CORRUPT => "stop the host and run `sexton db check`",
            Self::ACCESSDENIED | Self::NEW_OWNER_NO_FILE_ACCESS | Self::NEW_OWNER_DIFF_MAPPING => {
                "grant what was asked for, or ask as somebody who may"
            }
            Self::TOO_MANY_JOBS_PER_USER | Self::TOO_MANY_JOBS_PER_MACHINE | Self::SX_OVERLOAD => {
                "end jobs that are no longer needed, or try again later"
            }
            Self::SX_TRAP | Self::SX_EXIT | Self::SX_OUT_OF_MEMORY | Self::SX_DEADLINE => {
                "`sexton delivery show` has the handler's last words; mend it, or widen its limits"
            }
            Self::SX_EXIT_STATUS | Self::SX_SIGNAL | Self::SX_SPAWN => {
                "run the program by hand: path, rights, and what it prints"
            }
            _ if self.0 & 0xFFFF_0000 == 0x8007_0000 => {
                "mend what the system says of the file or place, then resume the job"
            }
            _ => "correct what it names, then resume the job or submit it anew",
        }
    }
}

const fn after_status(status: u16) -> &'static str {
    match status {
        401 | 407 => "give the job credentials, then resume it",
        403 => "see that the server lets this client in, then resume the job",
        404 | 410 => "correct the address; the server does not have the file",
        408 | 425 | 429 | 500..=599 => "the server may recover: resume the job later",
        _ => "see what the server wants; the address or the request is not to its liking",
    }
}
