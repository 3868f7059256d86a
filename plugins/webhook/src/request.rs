//! What is posted, from the operator's configuration, and what the answer means. Pure but for
//! reading the configuration.

use std::time::Duration;

use sexton_sdk::{CallInfo, Failure, Result, codes, config};

/// A POST, ready to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) url: Url,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// Longest wait for the first byte of the answer.
    pub(crate) patience: Duration,
}

/// The parts of a URL that a request line needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) https: bool,
    pub(crate) authority: String,
    pub(crate) path: String,
}

/// The part of an answer that matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
}

/// The request of one call.
pub(crate) fn build(call: &CallInfo, body: String) -> Result<Request> {
    let mut headers = vec![
        ("content-type".to_owned(), "application/json".to_owned()),
        (
            "user-agent".to_owned(),
            concat!("sexton-webhook/", env!("CARGO_PKG_VERSION")).to_owned(),
        ),
        ("idempotency-key".to_owned(), call.delivery_id.clone()),
    ];
    for (key, value) in config::all() {
        if let Some(name) = key.strip_prefix("header.") {
            headers.retain(|(known, _)| known != &name.to_ascii_lowercase());
            headers.push((name.to_ascii_lowercase(), value));
        }
    }
    if let Some(variable) = config::get("authorization_env") {
        let Ok(secret) = std::env::var(&variable) else {
            return Err(wrong(format!(
                "`authorization_env` names `{variable}`, which is not granted or not set"
            )));
        };
        headers.push(("authorization".to_owned(), secret));
    }
    Ok(Request {
        url: parse_url(&config::require("url")?)?,
        headers,
        body,
        // Ends before the host's own limit does: a slow server is then an answer to retry, not a
        // handler that timed out.
        patience: Duration::from_millis(u64::from(call.deadline_ms) * 4 / 5),
    })
}

/// 2xx is done; what may pass is tried again, what will not is not.
pub(crate) fn judge(reply: &Reply) -> Result {
    let code = codes::http(reply.status);
    match reply.status {
        200..=299 => Ok(()),
        408 | 425 | 429 | 500.. => {
            let failure =
                Failure::transient(format!("the receiver answered {}", reply.status)).with_code(code);
            // Seconds only: a date would need the receiver's clock to agree with ours.
            match reply.retry_after.as_deref().map(str::trim).map(str::parse) {
                Some(Ok(seconds)) => Err(failure.retry_after(Duration::from_secs(seconds))),
                _ => Err(failure),
            }
        }
        300..=399 => Err(Failure::permanent(format!(
            "the receiver answered {}; redirects are not followed, set `url` to where it leads",
            reply.status
        ))
        .with_code(code)),
        _ => Err(Failure::permanent(format!("the receiver refused with {}", reply.status)).with_code(code)),
    }
}

fn parse_url(text: &str) -> Result<Url> {
    let (https, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (_, Some(rest)) => (false, rest),
        _ => {
            return Err(wrong(format!(
                "`url` = `{text}` begins with neither `https://` nor `http://`"
            )));
        }
    };
    let rest = rest.split('#').next().unwrap_or_default();
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(at).unwrap_or((rest, ""));
    if authority.is_empty() {
        return Err(wrong(format!("`url` = `{text}` names no host")));
    }
    if authority.contains('@') {
        return Err(wrong(
            "`url` holds a user name; put it into `authorization_env`".to_owned(),
        ));
    }
    Ok(Url {
        https,
        authority: authority.to_owned(),
        path: if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/{path}")
        },
    })
}

fn wrong(message: String) -> Failure {
    Failure::permanent(message).with_code(codes::E_INVALIDARG)
}

#[cfg(test)]
mod tests {
    use sexton_sdk::{FailureKind, testing};

    use super::*;

    fn reply(status: u16, retry_after: Option<&str>) -> Reply {
        Reply {
            status,
            retry_after: retry_after.map(str::to_owned),
        }
    }

    #[test]
    fn the_delivery_id_goes_along() {
        testing::reset();
        testing::set_config([("url", "https://hooks.example/x?y=1"), ("header.X-Team", "ops")]);
        let call = testing::call();
        let request = build(&call, "{}".into()).unwrap();
        assert!(
            request
                .headers
                .contains(&("idempotency-key".into(), call.delivery_id.clone()))
        );
        assert!(request.headers.contains(&("x-team".into(), "ops".into())));
        assert_eq!(
            (request.url.authority.as_str(), request.url.path.as_str()),
            ("hooks.example", "/x?y=1")
        );
        assert_eq!(request.patience, Duration::from_secs(4));
    }

    #[test]
    fn a_secret_that_is_not_there_is_told_before_anything_is_sent() {
        testing::reset();
        testing::set_config([
            ("url", "https://hooks.example"),
            ("authorization_env", "SEXTON_NO_SUCH"),
        ]);
        let failure = build(&testing::call(), String::new()).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Permanent);
        assert!(failure.message.contains("SEXTON_NO_SUCH"));
    }

    #[test]
    fn urls_are_taken_apart_or_refused() {
        let url = parse_url("http://127.0.0.1:8080").unwrap();
        assert_eq!(
            (url.https, url.authority.as_str(), url.path.as_str()),
            (false, "127.0.0.1:8080", "/")
        );
        assert_eq!(parse_url("https://h?q#part").unwrap().path, "/?q");
        for wrong in ["ftp://h/", "https:///x", "h/x", "https://user:pass@h/"] {
            assert!(parse_url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn statuses_are_judged_by_whether_trying_again_can_help() {
        assert_eq!(judge(&reply(204, None)), Ok(()));
        for status in [408, 425, 429, 500, 503, 599] {
            assert_eq!(
                judge(&reply(status, None)).unwrap_err().kind,
                FailureKind::Transient,
                "{status}"
            );
        }
        for status in [301, 400, 401, 404, 410] {
            assert_eq!(
                judge(&reply(status, None)).unwrap_err().kind,
                FailureKind::Permanent,
                "{status}"
            );
        }
        assert_eq!(
            judge(&reply(429, Some("7"))).unwrap_err().retry_after_ms,
            Some(7_000)
        );
        assert_eq!(
            judge(&reply(503, Some("Fri, 31 Dec 1999 23:59:59 GMT")))
                .unwrap_err()
                .retry_after_ms,
            None
        );
    }
}
