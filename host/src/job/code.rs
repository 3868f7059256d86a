//! The one table of error codes: HRESULT values, their symbolic names and a sentence each.
//!
//! HTTP statuses are `0x80190000 + status`, errno values `0x80070000 + errno` (as the platform's
//! `errno`, not Win32 numbers), BITS and Delivery Optimization codes as documented, and ours in the
//! customer range `0xA05E0000`.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An HRESULT. Shown as `0x` and eight hexadecimal digits, with its name where it has one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Code(pub u32);

macro_rules! codes {
    ($($(#[$doc:meta])* $const:ident = $value:literal, $name:literal, $text:literal;)+) => {
        impl Code {
            $(
                #[doc = $text]
                pub const $const: Self = Self($value);
            )+

            /// Every code of the table with its name and sentence, for documentation and tests.
            pub const TABLE: &'static [(Self, &'static str, &'static str)] =
                &[$((Self($value), $name, $text)),+];
        }
    };
}

codes! {
    OK = 0, "S_OK", "done";
    PARTIAL_COMPLETE = 0x0020_0017, "BG_S_PARTIAL_COMPLETE", "completed; files that were not whole were dropped";
    UNABLE_TO_DELETE_FILES = 0x0020_001A, "BG_S_UNABLE_TO_DELETE_FILES", "done, but some temporary files could not be deleted";
    NOTIMPL = 0x8000_4001, "E_NOTIMPL", "not supported for this type of job";
    ABORT = 0x8000_4004, "E_ABORT", "aborted";
    FAIL = 0x8000_4005, "E_FAIL", "unspecified failure";
    UNEXPECTED = 0x8000_FFFF, "E_UNEXPECTED", "unexpected failure";
    ACCESSDENIED = 0x8007_0005, "E_ACCESSDENIED", "access denied";
    OUTOFMEMORY = 0x8007_000E, "E_OUTOFMEMORY", "out of memory";
    INVALIDARG = 0x8007_0057, "E_INVALIDARG", "one or more arguments are not valid";
    NOT_FOUND = 0x8020_0001, "BG_E_NOT_FOUND", "no such job";
    INVALID_STATE = 0x8020_0002, "BG_E_INVALID_STATE", "the job's state does not allow this";
    EMPTY = 0x8020_0003, "BG_E_EMPTY", "the job has no files";
    FILE_NOT_AVAILABLE = 0x8020_0004, "BG_E_FILE_NOT_AVAILABLE", "the error is not tied to a file";
    PROTOCOL_NOT_AVAILABLE = 0x8020_0005, "BG_E_PROTOCOL_NOT_AVAILABLE", "the error is not tied to a protocol";
    ERROR_INFORMATION_UNAVAILABLE = 0x8020_000F, "BG_E_ERROR_INFORMATION_UNAVAILABLE", "there is no error object now";
    NETWORK_DISCONNECTED = 0x8020_0010, "BG_E_NETWORK_DISCONNECTED", "there is no network";
    INSUFFICIENT_RANGE_SUPPORT = 0x8020_0013, "BG_E_INSUFFICIENT_RANGE_SUPPORT", "the server ignores byte ranges";
    INVALID_SERVER_RESPONSE = 0x8020_001B, "BG_E_INVALID_SERVER_RESPONSE", "the server's answer is malformed";
    TOO_MANY_FILES = 0x8020_001C, "BG_E_TOO_MANY_FILES", "an upload has exactly one file";
    STRING_TOO_LONG = 0x8020_0021, "BG_E_STRING_TOO_LONG", "a text is over its limit";
    NO_PROGRESS = 0x8020_0024, "BG_E_NO_PROGRESS", "no progress within the no-progress time-out";
    INVALID_RANGE = 0x8020_002B, "BG_E_INVALID_RANGE", "the range lies past the end of the file";
    CONNECT_FAILURE = 0x8020_002D, "BG_E_CONNECT_FAILURE", "the server could not be reached";
    CONNECTION_CLOSED = 0x8020_002E, "BG_E_CONNECTION_CLOSED", "the connection was closed before the end";
    TOO_MANY_JOBS_PER_USER = 0x8020_0049, "BG_E_TOO_MANY_JOBS_PER_USER", "the owner has too many open jobs";
    TOO_MANY_FILES_IN_JOB = 0x8020_0051, "BG_E_TOO_MANY_FILES_IN_JOB", "the job has too many files";
    VALIDATION_FAILED = 0x8020_0053, "BG_E_VALIDATION_FAILED", "the file did not pass validation";
    UNKNOWN_PROPERTY_ID = 0x8020_0057, "BG_E_UNKNOWN_PROPERTY_ID", "there is no such property";
    READ_ONLY_PROPERTY = 0x8020_0058, "BG_E_READ_ONLY_PROPERTY", "the property cannot be set";
    READ_ONLY_PROPERTY_AFTER_RESUME = 0x8020_0062, "BG_E_READ_ONLY_PROPERTY_AFTER_RESUME", "the property cannot be set once the job has been resumed";
    REMOTE_FILE_CHANGED = 0x8020_0073, "BG_E_REMOTE_FILE_CHANGED", "the remote file changed while it was fetched";
    DO_UNKNOWN_PROPERTY_ID = 0x80D0_2011, "DO_E_UNKNOWN_PROPERTY_ID", "there is no such property";
    DO_READ_ONLY_PROPERTY = 0x80D0_2012, "DO_E_READ_ONLY_PROPERTY", "the property cannot be set";
    DO_ERROR_INFORMATION_UNAVAILABLE = 0x80D0_2014, "DO_E_ERROR_INFORMATION_UNAVAILABLE", "there is no error object now";
    NAME_NOT_RESOLVED = 0x8007_2EE7, "ERROR_INTERNET_NAME_NOT_RESOLVED", "the server's name could not be resolved";
    INTERNET_TIMEOUT = 0x8007_2EE2, "ERROR_INTERNET_TIMEOUT", "the server did not answer in time";
    CANNOT_CONNECT = 0x8007_2EFD, "ERROR_INTERNET_CANNOT_CONNECT", "the server refused the connection";
    CONNECTION_ABORTED = 0x8007_2EFE, "ERROR_INTERNET_CONNECTION_ABORTED", "the connection was cut";
    CLIENT_AUTH_CERT_NEEDED = 0x8007_2F0C, "ERROR_INTERNET_CLIENT_AUTH_CERT_NEEDED", "the server asks for a client certificate";
    HTTP_INVALID_SERVER_RESPONSE = 0x8007_2F78, "ERROR_HTTP_INVALID_SERVER_RESPONSE", "the server's answer could not be understood";
    SECURE_FAILURE = 0x8007_2F8F, "ERROR_INTERNET_SECURE_FAILURE", "the server's certificate was not accepted";
    SX_EXIT_STATUS = 0xA05E_0001, "SX_E_EXIT_STATUS", "the program ended with a non-zero status";
    SX_SIGNAL = 0xA05E_0002, "SX_E_SIGNAL", "the program was ended by a signal";
    SX_DEADLINE = 0xA05E_0003, "SX_E_DEADLINE", "the deadline passed";
    SX_OUT_OF_MEMORY = 0xA05E_0004, "SX_E_OUT_OF_MEMORY", "the memory limit was reached";
    SX_SPAWN = 0xA05E_0005, "SX_E_SPAWN", "the program could not be started";
    SX_TRAP = 0xA05E_0006, "SX_E_TRAP", "the component trapped";
    SX_INTERRUPTED = 0xA05E_0007, "SX_E_INTERRUPTED", "the host ended while this ran";
    SX_EXIT = 0xA05E_0008, "SX_E_EXIT", "the component called exit";
    SX_OVERLOAD = 0xA05E_0009, "SX_E_OVERLOAD", "no slot was free";
    SX_CONFLICT = 0xA05E_000A, "SX_E_CONFLICT", "the job changed while its handler decided";
    SX_HOST_FAULT = 0xA05E_000B, "SX_E_HOST_FAULT", "the host failed, not the handler";
}

impl Code {
    /// The code of an HTTP status: 403 is `0x80190193`.
    #[must_use]
    pub const fn http(status: u16) -> Self {
        Self(0x8019_0000 + status as u32)
    }

    /// The code of an operating system error number: `ENOSPC` is `0x8007001C`.
    #[must_use]
    pub const fn errno(errno: i32) -> Self {
        Self(0x8007_0000 | (errno.unsigned_abs() & 0xFFFF))
    }

    /// The HTTP status this code stands for.
    #[must_use]
    pub const fn http_status(self) -> Option<u16> {
        match self.0 {
            0x8019_0064..=0x8019_03E7 => Some((self.0 & 0xFFFF) as u16),
            _ => None,
        }
    }

    /// Failure codes have the top bit set; the others are information (W-94).
    #[must_use]
    pub const fn is_failure(self) -> bool {
        self.0 & 0x8000_0000 != 0
    }

    /// The symbolic name, where there is one: `BG_E_NOT_FOUND`, `HTTP_403`, `ERRNO_28`.
    #[must_use]
    pub fn name(self) -> Option<String> {
        if let Some((_, name, _)) = Self::TABLE.iter().find(|(code, ..)| *code == self) {
            return Some((*name).to_owned());
        }
        if let Some(status) = self.http_status() {
            return Some(format!("HTTP_{status}"));
        }
        (self.0 & 0xFFFF_0000 == 0x8007_0000 && self.0 & 0xFFFF < 200)
            .then(|| format!("ERRNO_{}", self.0 & 0xFFFF))
    }

    /// One sentence about the code.
    #[must_use]
    pub fn describe(self) -> String {
        if let Some((.., text)) = Self::TABLE.iter().find(|(code, ..)| *code == self) {
            return (*text).to_owned();
        }
        if let Some(status) = self.http_status() {
            return format!("the server answered {status}");
        }
        if self.0 & 0xFFFF_0000 == 0x8007_0000 {
            let errno = i32::try_from(self.0 & 0xFFFF).unwrap_or(0);
            return std::io::Error::from_raw_os_error(errno).to_string();
        }
        "unknown code".to_owned()
    }
}

impl fmt::Display for Code {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "0x{:08X}", self.0)?;
        match self.name() {
            Some(name) => write!(out, " {name}"),
            None => Ok(()),
        }
    }
}

/// Not a code that the table knows, nor a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write a code as `0x80190194`, `HTTP_404`, `ERRNO_28` or by its name")]
pub struct UnknownCode;

impl std::str::FromStr for Code {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some((code, ..)) = Self::TABLE.iter().find(|(_, name, _)| *name == text) {
            return Ok(*code);
        }
        let (kind, digits) = text.split_once(['_', 'x']).ok_or(UnknownCode)?;
        match kind {
            "0" => u32::from_str_radix(digits, 16).map(Self).map_err(|_| UnknownCode),
            "HTTP" => digits.parse().map(Self::http).map_err(|_| UnknownCode),
            "ERRNO" => digits.parse().map(Self::errno).map_err(|_| UnknownCode),
            _ => Err(UnknownCode),
        }
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("0x{:08X}", self.0))
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text
            .strip_prefix("0x")
            .ok_or_else(|| serde::de::Error::custom("expected 0x…"))?;
        u32::from_str_radix(digits, 16)
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_show_hex_and_name() {
        assert_eq!(Code::http(403).to_string(), "0x80190193 HTTP_403");
        assert_eq!(
            Code::ERROR_INFORMATION_UNAVAILABLE.to_string(),
            "0x8020000F BG_E_ERROR_INFORMATION_UNAVAILABLE"
        );
        assert_eq!(Code::errno(28).to_string(), "0x8007001C ERRNO_28");
        assert_eq!(serde_json::to_string(&Code::http(503)).unwrap(), "\"0x801901F7\"");
    }

    #[test]
    fn a_code_is_read_as_it_is_written() {
        for code in [Code::http(404), Code::errno(28), Code::NO_PROGRESS, Code(0x1234)] {
            assert_eq!(format!("0x{:08X}", code.0).parse(), Ok(code));
            if let Some(name) = code.name() {
                assert_eq!(name.parse(), Ok(code));
            }
        }
        for bad in ["", "404", "HTTP_", "HTTP_x", "0x", "BG_E_NO", "é"] {
            assert_eq!(bad.parse::<Code>(), Err(UnknownCode), "{bad}");
        }
    }

    #[test]
    fn no_two_codes_share_a_value_or_a_name() {
        for (i, (code, name, _)) in Code::TABLE.iter().enumerate() {
            for (other, other_name, _) in &Code::TABLE[i + 1..] {
                assert!(code != other && name != other_name, "{name} and {other_name}");
            }
        }
    }
}
