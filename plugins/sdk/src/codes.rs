//! The codes handlers meet most. The whole table is in `wit/README.md`.

use crate::Code;

/// Unspecified failure: what [`Failure::transient`](crate::Failure::transient) starts with.
pub const E_FAIL: Code = 0x8000_4005;
/// Not supported for this type of job.
pub const E_NOTIMPL: Code = 0x8000_4001;
/// Unexpected failure.
pub const E_UNEXPECTED: Code = 0x8000_FFFF;
/// Access denied; `job-control` answers it to handlers that do not decide.
pub const E_ACCESSDENIED: Code = 0x8007_0005;
/// Out of memory.
pub const E_OUTOFMEMORY: Code = 0x8007_000E;
/// One or more arguments are not valid.
pub const E_INVALIDARG: Code = 0x8007_0057;
/// The job's state does not allow this.
pub const BG_E_INVALID_STATE: Code = 0x8020_0002;
/// The job has no files.
pub const BG_E_EMPTY: Code = 0x8020_0003;
/// The server ignores byte ranges.
pub const BG_E_INSUFFICIENT_RANGE_SUPPORT: Code = 0x8020_0013;
/// The file did not pass validation.
pub const BG_E_VALIDATION_FAILED: Code = 0x8020_0053;
/// The remote file changed while it was fetched.
pub const BG_E_REMOTE_FILE_CHANGED: Code = 0x8020_0073;
/// The program of a batch job ended with a non-zero status.
pub const SX_E_EXIT_STATUS: Code = 0xA05E_0001;
/// The program was ended by a signal.
pub const SX_E_SIGNAL: Code = 0xA05E_0002;
/// The deadline passed.
pub const SX_E_DEADLINE: Code = 0xA05E_0003;
/// The host ended while the work ran.
pub const SX_E_INTERRUPTED: Code = 0xA05E_0007;

/// A provider failed in general.
pub const WBEM_E_FAILED: Code = 0x8004_1001;
/// There is no such thing: a table, a column.
pub const WBEM_E_NOT_FOUND: Code = 0x8004_1002;
/// The query cannot be understood.
pub const WBEM_E_INVALID_QUERY: Code = 0x8004_1017;

/// The code of an HTTP status: 403 is `0x80190193`.
#[must_use]
pub const fn http(status: u16) -> Code {
    0x8019_0000 + status as Code
}

/// The code of an operating system error number as Linux counts them: `ENOSPC` is `0x8007001C`.
#[must_use]
pub const fn errno(errno: u16) -> Code {
    0x8007_0000 | errno as Code
}

/// The HTTP status that `code` stands for.
#[must_use]
pub const fn http_status(code: Code) -> Option<u16> {
    match code {
        0x8019_0064..=0x8019_03E7 => Some((code & 0xFFFF) as u16),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_codes_go_both_ways() {
        assert_eq!(http(403), 0x8019_0193);
        assert_eq!(http_status(http(503)), Some(503));
        assert_eq!(http_status(E_FAIL), None);
    }
}
