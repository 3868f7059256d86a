//! Transient or fatal: the tables of B-82…B-90 as pure functions.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::job::{Code, Timestamp};

/// Longest wish of a server that is followed: a date far in the future must not bury a job.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3600);

/// Whether an error may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// It may: the job is tried again by itself.
    Transient,
    /// It will not: a handler or a person decides.
    Fatal,
}

/// How the way to the server failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    NameNotResolved,
    Refused,
    Unreachable,
    /// There is no network that leads there.
    NoRoute,
    /// The proxy does not accept who we are, and says so before the server is asked.
    ProxyDenied,
    TimedOut,
    Aborted,
    /// The answer ended before its end.
    Cut,
    /// What came is not HTTP.
    Malformed,
    /// The server's certificate was not accepted.
    Certificate,
    /// The server wants a certificate of ours.
    ClientCertificate,
    /// Both sides speak TLS, but not the same.
    TlsIncompatible,
    /// TLS broke in another way.
    Tls,
}

/// The class of an answer that is not a file (after redirects were followed).
///
/// 425 and 429 are transient on purpose, where BITS gives up (B-83).
pub(super) const fn status(status: u16) -> Class {
    match status {
        300..=305 | 307 => Class::Fatal,
        408 | 409 | 425 | 429 => Class::Transient,
        400..=499 => Class::Fatal,
        501 | 505 => Class::Fatal,
        _ => Class::Transient,
    }
}

/// Code and class of a network error (B-89, B-90).
pub(super) const fn wire(wire: Wire) -> (Code, Class) {
    match wire {
        Wire::NameNotResolved => (Code::NAME_NOT_RESOLVED, Class::Transient),
        Wire::Refused | Wire::Unreachable => (Code::CANNOT_CONNECT, Class::Transient),
        Wire::NoRoute => (Code::NO_GATEWAY, Class::Transient),
        Wire::ProxyDenied => (Code::http(407), Class::Fatal),
        Wire::TimedOut => (Code::INTERNET_TIMEOUT, Class::Transient),
        Wire::Aborted => (Code::CONNECTION_ABORTED, Class::Transient),
        Wire::Cut => (Code::CONNECTION_CLOSED, Class::Transient),
        Wire::Malformed => (Code::HTTP_INVALID_SERVER_RESPONSE, Class::Transient),
        Wire::Certificate | Wire::TlsIncompatible => (Code::SECURE_FAILURE, Class::Fatal),
        Wire::ClientCertificate => (Code::CLIENT_AUTH_CERT_NEEDED, Class::Fatal),
        Wire::Tls => (Code::SECURE_FAILURE, Class::Transient),
    }
}

/// The class of a local error number.
///
/// A full disk or quota is transient: space comes back without anyone touching the job, and B-92
/// leaves the choice open. So are shortages of the process. All else needs a person.
pub(super) const fn errno(errno: i32) -> Class {
    match errno {
        libc::ENOSPC
        | libc::EDQUOT
        | libc::EINTR
        | libc::EAGAIN
        | libc::EMFILE
        | libc::ENFILE
        | libc::ENOMEM
        | libc::EBUSY
        | libc::ETXTBSY
        | libc::ESTALE => Class::Transient,
        _ => Class::Fatal,
    }
}

/// The delay a `Retry-After` asks for: seconds, or a date. A date is read by the clock that wrote it,
/// which the answer's own `Date` (`sent`) shows, and by ours (`now`) only without one: a server whose
/// clock is a day off would otherwise bury the job for a day, or be asked again at once. A date that
/// has passed is no delay; text that is neither is ignored.
pub(super) fn retry_after(value: &str, sent: Option<SystemTime>, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        let seconds = value.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX));
    }
    let date = timestamp(httpdate::parse_http_date(value).ok()?);
    Some(date.since(sent.map_or(now, timestamp)).min(RETRY_AFTER_MAX))
}

fn timestamp(time: SystemTime) -> Timestamp {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fatal_in(range: std::ops::RangeInclusive<u16>) -> Vec<u16> {
        range.filter(|code| status(*code) == Class::Fatal).collect()
    }

    #[test]
    fn b82_3xx_is_transient_except_300_to_305_and_307() {
        assert_eq!(fatal_in(300..=399), [300, 301, 302, 303, 304, 305, 307]);
    }

    #[test]
    fn b83_4xx_is_fatal_except_408_409_425_429() {
        let transient: Vec<u16> = (400..=499).filter(|c| status(*c) == Class::Transient).collect();
        assert_eq!(transient, [408, 409, 425, 429]);
    }

    /// What the agent pauses a job for ends it here too, but for what passes by itself.
    #[test]
    fn dc05_what_the_agent_gives_up_on_is_fatal_here_but_for_what_passes() {
        let passing: Vec<u16> = (400..=499).filter(|c| status(*c) == Class::Transient).collect();
        assert_eq!(passing, [408, 409, 425, 429]);
        for written in [libc::EIO, libc::EACCES, libc::EROFS, libc::EFBIG, libc::ENOTDIR] {
            assert_eq!(errno(written), Class::Fatal, "errno {written}");
        }
        for short in [libc::ENOMEM, libc::ENOSPC, libc::EMFILE] {
            assert_eq!(errno(short), Class::Transient, "errno {short}");
        }
        let config = crate::engine::transfer::tests::config();
        for bad in ["http://", "no url", "gopher://h/x"] {
            let file = crate::job::FileSpec::new(bad, "/tmp/x");
            let (code, _) = crate::engine::transfer::check_file(&file, &config).unwrap_err();
            assert!(code.is_failure(), "{bad}: it never becomes a job");
        }
    }

    #[test]
    fn b84_5xx_is_transient_except_501_and_505() {
        assert_eq!(fatal_in(500..=599), [501, 505]);
    }

    #[test]
    fn b85_other_codes_are_transient() {
        assert_eq!(fatal_in(100..=299), [0_u16; 0]);
        assert_eq!(fatal_in(600..=999), [0_u16; 0]);
    }

    #[test]
    fn b89_b90_network_errors_have_their_codes() {
        let table = [
            (Wire::NameNotResolved, 0x8007_2EE7, Class::Transient),
            (Wire::Refused, 0x8007_2EFD, Class::Transient),
            (Wire::Unreachable, 0x8007_2EFD, Class::Transient),
            (Wire::NoRoute, 0x8007_03EB, Class::Transient),
            (Wire::ProxyDenied, 0x8019_0197, Class::Fatal),
            (Wire::TimedOut, 0x8007_2EE2, Class::Transient),
            (Wire::Aborted, 0x8007_2EFE, Class::Transient),
            (Wire::Cut, 0x8020_002E, Class::Transient),
            (Wire::Malformed, 0x8007_2F78, Class::Transient),
            (Wire::Certificate, 0x8007_2F8F, Class::Fatal),
            (Wire::TlsIncompatible, 0x8007_2F8F, Class::Fatal),
            (Wire::ClientCertificate, 0x8007_2F0C, Class::Fatal),
            (Wire::Tls, 0x8007_2F8F, Class::Transient),
        ];
        for (kind, code, class) in table {
            assert_eq!(wire(kind), (Code(code), class), "{kind:?}");
        }
    }

    #[test]
    fn b92_a_full_disk_may_pass_a_missing_directory_does_not() {
        for (number, class) in [
            (libc::ENOSPC, Class::Transient),
            (libc::EDQUOT, Class::Transient),
            (libc::EACCES, Class::Fatal),
            (libc::EROFS, Class::Fatal),
            (libc::ENOENT, Class::Fatal),
            (libc::EIO, Class::Fatal),
        ] {
            assert_eq!(errno(number), class, "errno {number}");
        }
    }

    #[test]
    fn b83_retry_after_is_seconds_or_a_date_and_capped() {
        let now = Timestamp::from_millis(784_111_777_000); // Sun, 06 Nov 1994 08:49:37 GMT
        let table = [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("99999999999999999999999", Some(86_400)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("Sat, 06 Nov 2094 08:49:37 GMT", Some(86_400)),
            ("-5", None),
            ("soon", None),
            ("", None),
        ];
        for (text, seconds) in table {
            let found = retry_after(text, None, now);
            assert_eq!(found, seconds.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn b83_a_retry_date_is_read_by_the_clock_that_wrote_it() {
        let now = Timestamp::from_millis(784_111_777_000); // Sun, 06 Nov 1994 08:49:37 GMT
        let day_late = httpdate::parse_http_date("Mon, 07 Nov 1994 08:49:37 GMT").ok();
        let wish = "Mon, 07 Nov 1994 08:50:37 GMT";
        assert_eq!(retry_after(wish, day_late, now), Some(Duration::from_secs(60)));
        assert_eq!(retry_after(wish, None, now), Some(RETRY_AFTER_MAX));
        assert_eq!(retry_after("60", day_late, now), Some(Duration::from_secs(60)));
    }
}
