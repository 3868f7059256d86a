//! What holds for every answer, however strange: no panic, nothing inconsistent accepted.

use proptest::prelude::*;

use super::*;

const DATES: [&str; 3] = [
    "Sun, 06 Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov 1994 08:50:37 GMT",
    "Fri, 31 Dec 9999 23:59:59 GMT",
];

/// Sizes near the edges that matter: small ones that meet each other, the greatest that is believed,
/// and the greatest there is.
fn size() -> impl Strategy<Value = u64> {
    prop_oneof![
        8 => 0_u64..12,
        1 => (FILE_BYTES_MAX - 1)..(FILE_BYTES_MAX + 2),
        1 => (u64::MAX - 1)..=u64::MAX,
    ]
}

fn tag() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just("\"v1\"".to_owned()),
        2 => Just("\"v2\"".to_owned()),
        1 => Just("W/\"v1\"".to_owned()),
        1 => "[ -~]{0,6}",
    ]
}

fn date() -> impl Strategy<Value = String> {
    prop_oneof![4 => prop::sample::select(DATES.as_slice()).prop_map(str::to_owned), 1 => "[ -~]{0,30}"]
}

/// One header, mostly of the right shape.
fn header() -> impl Strategy<Value = (http::HeaderName, String)> {
    let range = prop_oneof![
        6 => (size(), size(), size()).prop_map(|(start, last, total)| format!("bytes {start}-{last}/{total}")),
        2 => (size(), size()).prop_map(|(start, last)| format!("bytes {start}-{last}/*")),
        2 => size().prop_map(|total| format!("bytes */{total}")),
        1 => "(bytes|lines) [ +0-9-]{0,5}/[ +0-9*]{0,3}",
        1 => "[ -~]{0,12}",
    ];
    let length = prop_oneof![4 => size().prop_map(|size| size.to_string()), 1 => "[ +0-9-]{0,6}"];
    let coding = "(|identity|chunked|gzip|gzip, chunked|br)";
    prop_oneof![
        4 => range.prop_map(|value| (CONTENT_RANGE, value)),
        3 => length.prop_map(|value| (CONTENT_LENGTH, value)),
        3 => tag().prop_map(|value| (ETAG, value)),
        1 => date().prop_map(|value| (LAST_MODIFIED, value)),
        1 => date().prop_map(|value| (DATE, value)),
        1 => prop_oneof![date(), "[0-9-]{0,24}"].prop_map(|value| (RETRY_AFTER, value)),
        1 => coding.prop_map(|value| (CONTENT_ENCODING, value)),
        1 => coding.prop_map(|value| (TRANSFER_ENCODING, value)),
        1 => "(text/plain|multipart/byteranges)".prop_map(|value| (CONTENT_TYPE, value)),
    ]
}

fn headers() -> impl Strategy<Value = HeaderMap> {
    prop::collection::vec(header(), 0..6).prop_map(|pairs| {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, http::HeaderValue::from_str(&value).unwrap());
        }
        headers
    })
}

/// What a run may ask: the whole; a range of a file of which nothing is here; and what belongs behind
/// what is here, only together with something that proves it.
fn asked() -> impl Strategy<Value = Asked> {
    let fresh = (0_u64..12, 1_u64..6).prop_map(|(from, length)| Asked {
        from,
        until: Some(from + length),
        fresh: true,
        ..Asked::default()
    });
    let part = (1_u64..12, prop::option::of(0_u64..6)).prop_map(|(from, more)| Asked {
        from,
        total: more.map(|more| from + more),
        validator: Some("\"v1\"".to_owned()),
        ..Asked::default()
    });
    let bounded = (part.clone(), 1_u64..6).prop_map(|(asked, length)| Asked {
        until: Some(asked.from + length),
        ..asked
    });
    let lenient = (
        part.clone(),
        prop::option::of(prop::sample::select(DATES.as_slice())),
    );
    let lenient = lenient.prop_map(|(asked, modified)| Asked {
        validator: None,
        lenient: Some(Lenient {
            modified: modified.map(str::to_owned),
        }),
        ..asked
    });
    let whole = Asked {
        fresh: true,
        ..Asked::default()
    };
    prop_oneof![1 => Just(whole), 4 => part, 2 => fresh, 2 => bounded, 2 => lenient]
}

fn status() -> impl Strategy<Value = u16> {
    prop_oneof![2 => Just(200), 6 => Just(206), 2 => Just(416), 1 => 100_u16..1000]
}

/// Every value of a header; `None` where one is no text.
fn values<'h>(headers: &'h HeaderMap, name: &http::HeaderName) -> Vec<Option<&'h str>> {
    let all = headers.get_all(name).iter();
    all.map(|value| value.to_str().ok()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn j75_no_inconsistent_answer_is_accepted(
        asked in asked(),
        status in status(),
        headers in headers(),
    ) {
        let lengths = values(&headers, &CONTENT_LENGTH);
        let said = |length: u64| lengths.iter().all(|value| {
            value.is_some_and(|value| value.trim().parse() == Ok(length))
        });
        match judge(&asked, status, &headers, Timestamp::from_millis(0)) {
            Ok(Answer::Rest { total, end }) => {
                prop_assert!(status == 206 && asked.is_range());
                prop_assert!(asked.from < end && end <= FILE_BYTES_MAX);
                prop_assert!(asked.until.is_none_or(|until| end <= until));
                prop_assert!(total.is_none_or(|total| end <= total));
                prop_assert!(asked.total.is_none_or(|known| total == Some(known)));
                prop_assert!(said(end - asked.from));
                for tag in values(&headers, &ETAG).into_iter().filter(|_| asked.validator.is_some()) {
                    prop_assert_eq!(tag, asked.validator.as_deref());
                }
                if let Some(lenient) = &asked.lenient {
                    prop_assert!(asked.total.is_some() && total == asked.total, "the length proves it");
                    let dates = values(&headers, &LAST_MODIFIED);
                    if let Some(wanted) = lenient.modified.as_deref() {
                        prop_assert!(!dates.is_empty() && dates.iter().all(|date| *date == Some(wanted)));
                    }
                }
                for range in values(&headers, &CONTENT_RANGE) {
                    let start = format!("bytes {}-{}/", asked.from, end - 1);
                    let squeezed = range.unwrap().replace(' ', "").replace("bytes", "bytes ");
                    prop_assert!(numbers(&squeezed) == numbers(&start), "{}", squeezed);
                }
            }
            Ok(Answer::Whole { total }) => {
                prop_assert!(matches!(status, 200 | 203));
                prop_assert!(total.is_none_or(|total| total <= FILE_BYTES_MAX && said(total)));
            }
            Ok(Answer::Complete) => {
                prop_assert!(status == 416 && asked.from > 0 && asked.until.is_none());
                prop_assert!(asked.total.is_none_or(|total| total == asked.from));
            }
            Ok(Answer::StartOver(_)) => prop_assert!(!asked.fresh, "there is nothing to forget"),
            Err(fault) => {
                prop_assert!(!fault.what.is_empty() && fault.what.len() < 300);
                prop_assert!(fault.retry_after.is_none_or(|wish| wish <= Duration::from_secs(86_400)));
            }
        }
    }

    #[test]
    fn b94_a_validator_is_a_strong_tag_or_a_date_of_the_answer(headers in headers()) {
        let found = version(&headers);
        if let Some(validator) = found.validator.as_deref() {
            let strong = validator.starts_with('"') && validator.ends_with('"') && validator.len() >= 2;
            prop_assert!(strong || date_of(validator).is_some());
            let header = if strong { ETAG } else { LAST_MODIFIED };
            prop_assert!(values(&headers, &header).iter().all(|value| *value == Some(validator)));
        }
    }

    #[test]
    fn b87_a_range_is_read_as_it_was_written(
        start in 0_u64..1 << 40,
        length in 1_u64..1 << 40,
        more in prop::option::of(0_u64..1 << 40),
    ) {
        let end = start + length;
        let total = more.map(|more| end + more);
        let shown = total.map_or("*".to_owned(), |total| total.to_string());
        let text = format!("bytes {start}-{}/{shown}", end - 1);
        prop_assert_eq!(content_range(&text), Some((start, end, total)));
    }

    #[test]
    fn b87_whatever_is_read_as_a_range_is_one(text in "[ -~]{0,40}") {
        if let Some((start, end, total)) = content_range(&text) {
            prop_assert!(start < end && end <= FILE_BYTES_MAX);
            prop_assert!(total.is_none_or(|total| end <= total && total <= FILE_BYTES_MAX));
        }
    }

    #[test]
    fn b83_a_wish_is_followed_to_the_second_whatever_the_clocks_say(
        delay in 0_u64..200_000,
        sent in 0_u64..4_000_000_000,
        now in any::<i64>(),
    ) {
        let now = Timestamp::from_millis(now);
        let wish = Some(Duration::from_secs(delay.min(86_400)));
        prop_assert_eq!(classify::retry_after(&delay.to_string(), None, now), wish);
        let sent = SystemTime::UNIX_EPOCH + Duration::from_secs(sent);
        let date = httpdate::fmt_http_date(sent + Duration::from_secs(delay));
        prop_assert_eq!(classify::retry_after(&date, Some(sent), now), wish);
    }
}

/// First and last byte of a `Content-Range`.
fn numbers(range: &str) -> Option<(u64, u64)> {
    let (range, _) = range.strip_prefix("bytes ")?.split_once('/')?;
    let (start, last) = range.split_once('-')?;
    Some((start.parse().ok()?, last.parse().ok()?))
}
