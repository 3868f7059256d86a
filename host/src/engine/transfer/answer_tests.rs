//! Tables of answers and what they mean.

use super::*;
use crate::engine::transfer::classify::Class;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const DAY: &str = "Tue, 14 Nov 2023 22:13:20 GMT";

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| {
            (
                http::HeaderName::from_static(name),
                http::HeaderValue::from_str(value).unwrap(),
            )
        })
        .collect()
}

fn resume() -> Asked {
    Asked {
        from: 5,
        total: Some(10),
        validator: Some("\"v1\"".to_owned()),
        ..Asked::default()
    }
}

fn judged(asked: &Asked, status: u16, pairs: &[(&'static str, &str)]) -> Result<Answer, Fault> {
    judge(asked, status, &headers(pairs), NOW)
}

#[test]
fn b94_a_range_is_taken_only_from_the_same_version() {
    let rest = Answer::Rest {
        total: Some(10),
        end: 10,
    };
    let table = [
        (vec![("content-range", "bytes 5-9/10")], rest.clone()),
        (
            vec![("content-range", "bytes 5-9/10"), ("etag", "\"v1\"")],
            rest.clone(),
        ),
        (
            vec![("content-range", "bytes 5-9/10"), ("etag", "\"v2\"")],
            Answer::StartOver("the remote file changed"),
        ),
        (
            vec![("content-range", "bytes 5-9/10"), ("etag", "W/\"v1\"")],
            Answer::StartOver("the remote file changed"),
        ),
        (
            vec![("content-range", "bytes 5-11/12")],
            Answer::StartOver("the size of the remote file changed"),
        ),
        (vec![("content-range", "bytes 5-9/*")], rest),
        (
            vec![("content-range", "bytes 5-7/10"), ("content-length", "3")],
            Answer::Rest {
                total: Some(10),
                end: 8,
            },
        ),
    ];
    for (pairs, expected) in table {
        assert_eq!(judged(&resume(), 206, &pairs), Ok(expected), "{pairs:?}");
    }
}

#[test]
fn b87_a_range_that_was_not_asked_for_is_an_invalid_response() {
    let whole = Asked::default();
    let table = [
        (resume(), vec![("content-range", "bytes 4-9/10")]),
        (resume(), vec![("content-range", "bytes 9-5/10")]),
        (resume(), vec![("content-range", "bytes 5-10/10")]),
        (
            resume(),
            vec![("content-range", "bytes 5-18446744073709551615/*")],
        ),
        (resume(), vec![("content-range", "lines 5-9/10")]),
        (
            resume(),
            vec![("content-type", "multipart/byteranges; boundary=x")],
        ),
        (
            resume(),
            vec![("content-range", "bytes 5-9/10"), ("content-length", "10")],
        ),
        (whole, vec![("content-range", "bytes 0-9/10")]),
    ];
    for (asked, pairs) in table {
        let fault = judged(&asked, 206, &pairs).unwrap_err();
        assert_eq!(fault.code, Code::INVALID_SERVER_RESPONSE, "{pairs:?}");
        assert_eq!(fault.class, Class::Fatal);
        assert_eq!(fault.context, ErrorContext::RemoteFile);
    }
}

#[test]
fn b87_416_is_done_at_the_end_and_starts_over_elsewhere() {
    let at_end = Asked { from: 10, ..resume() };
    let unknown = Asked {
        total: None,
        ..at_end.clone()
    };
    assert_eq!(judged(&at_end, 416, &[]), Ok(Answer::Complete));
    assert_eq!(
        judged(&unknown, 416, &[("content-range", "bytes */10")]),
        Ok(Answer::Complete)
    );
    for (asked, pairs) in [
        (resume(), vec![("content-range", "bytes */3")]),
        (at_end.clone(), vec![("content-range", "bytes */12")]),
        (at_end, vec![("etag", "\"v2\"")]),
        (unknown, vec![]),
    ] {
        assert!(
            matches!(judged(&asked, 416, &pairs), Ok(Answer::StartOver(_))),
            "{pairs:?}"
        );
    }
    let fault = judged(&Asked::default(), 416, &[]).unwrap_err();
    assert_eq!((fault.code, fault.class), (Code::INVALID_RANGE, Class::Fatal));
}

#[test]
fn b94_200_to_a_range_request_is_the_whole_file() {
    assert_eq!(
        judged(&resume(), 200, &[("content-length", "12")]),
        Ok(Answer::Whole { total: Some(12) })
    );
    assert_eq!(
        judged(&Asked::default(), 200, &[]),
        Ok(Answer::Whole { total: None })
    );
}

#[test]
fn an_encoding_that_was_not_asked_for_is_an_invalid_response() {
    for status in [200, 206] {
        let pairs = [("content-encoding", "gzip"), ("content-range", "bytes 5-9/10")];
        let fault = judged(&resume(), status, &pairs).unwrap_err();
        assert_eq!(
            (fault.code, fault.class),
            (Code::INVALID_SERVER_RESPONSE, Class::Fatal)
        );
    }
    assert!(judged(&Asked::default(), 200, &[("content-encoding", "identity")]).is_ok());
}

#[test]
fn b82_to_b85_refusals_carry_status_class_and_wish() {
    let table = [
        (403, Class::Fatal),
        (404, Class::Fatal),
        (429, Class::Transient),
        (503, Class::Transient),
        (500, Class::Transient),
        (501, Class::Fatal),
        (304, Class::Fatal),
        (308, Class::Transient),
        (204, Class::Transient),
    ];
    for (status, class) in table {
        let fault = judged(&Asked::default(), status, &[("retry-after", "7")]).unwrap_err();
        assert_eq!(fault.code, Code::http(status));
        assert_eq!(fault.class, class, "{status}");
        // Kept for a job to which the status is transient.
        assert_eq!(fault.retry_after, Some(Duration::from_secs(7)), "{status}");
        assert_eq!(fault.context, ErrorContext::RemoteFile);
        assert!(fault.what.contains(&status.to_string()));
    }
}

#[test]
fn b94_validators_are_strong_tags_or_settled_dates() {
    let later = "Tue, 14 Nov 2023 22:13:21 GMT";
    let long = format!("\"{}\"", "x".repeat(2000));
    let table = [
        (
            vec![("etag", "\"a\""), ("last-modified", DAY)],
            Some("\"a\""),
            Some(DAY),
        ),
        (
            vec![("etag", "W/\"a\""), ("last-modified", DAY)],
            Some(DAY),
            Some(DAY),
        ),
        (vec![("etag", "W/\"a\"")], None, None),
        (vec![("etag", "a")], None, None),
        (vec![("etag", long.as_str())], None, None),
        (vec![("last-modified", DAY), ("date", DAY)], None, Some(DAY)),
        (
            vec![("last-modified", DAY), ("date", later)],
            Some(DAY),
            Some(DAY),
        ),
        (vec![("last-modified", "yesterday")], None, None),
    ];
    for (pairs, validator, modified) in table {
        let found = version(&headers(&pairs));
        assert_eq!(found.validator.as_deref(), validator, "{pairs:?}");
        assert_eq!(found.last_modified.as_deref(), modified, "{pairs:?}");
    }
}
