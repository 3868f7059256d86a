//! Outgoing HTTP of guests: only to granted origins, never longer than the call, never larger than
//! the caps. Redirects are not followed, so a granted server cannot lead a guest elsewhere.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::uri::Scheme;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks, default_send_request};

use crate::config::Origin;

/// A notification is small; a handler is no uploader.
const REQUEST_MAX: usize = 1 << 20;
/// Enough for any answer of a chat or paging service.
const RESPONSE_MAX: usize = 4 << 20;

type Io = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Box<dyn Future<Output = Result<(Response<WasiBody>, Io), Error>> + Send>;

/// The gate in front of one call's requests.
#[derive(Debug)]
pub(super) struct Gate {
    granted: Arc<[Origin]>,
    ends: Instant,
}

impl Gate {
    /// Lets requests to `granted` through until `ends`.
    pub(super) fn new(granted: Arc<[Origin]>, ends: Instant) -> Self {
        Self { granted, ends }
    }

    fn clamp(&self, options: Option<RequestOptions>) -> RequestOptions {
        let left = self.ends.saturating_duration_since(Instant::now());
        let cut = |wish: Option<Duration>| Some(wish.map_or(left, |wish| wish.min(left)));
        let wish = options.unwrap_or_default();
        RequestOptions {
            connect_timeout: cut(wish.connect_timeout),
            first_byte_timeout: cut(wish.first_byte_timeout),
            between_bytes_timeout: cut(wish.between_bytes_timeout),
        }
    }
}

impl WasiHttpHooks for Gate {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Sent {
        if !is_granted(request.uri(), &self.granted) {
            return Box::new(async { Err(Error::HttpRequestDenied) });
        }
        let options = self.clamp(options);
        Box::new(send(request, options))
    }
}

async fn send(
    request: Request<WasiBody>,
    options: RequestOptions,
) -> Result<(Response<WasiBody>, Io), Error> {
    let request = request.map(|body| {
        Limited::new(body, REQUEST_MAX)
            .map_err(|error| capped(error, Error::HttpRequestBodySize(Some(REQUEST_MAX as u64))))
            .boxed_unsync()
    });
    let (response, io) = default_send_request(request, Some(options)).await?;
    let response = response.map(|body| {
        Limited::new(body, RESPONSE_MAX)
            .map_err(|error| capped(error, Error::HttpResponseBodySize(Some(RESPONSE_MAX as u64))))
            .boxed_unsync()
    });
    Ok((response, Box::new(io)))
}

/// The body's own error, or `too_large` when it was ours.
fn capped(error: Box<dyn StdError + Send + Sync>, too_large: Error) -> Error {
    if error.is::<LengthLimitError>() {
        return too_large;
    }
    match error.downcast::<Error>() {
        Ok(own) => *own,
        Err(other) => Error::InternalError(Some(other.to_string())),
    }
}

/// Whether `uri` is of a granted origin: scheme, host and port alike.
fn is_granted(uri: &Uri, granted: &[Origin]) -> bool {
    let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
        return false;
    };
    // `granted.example@elsewhere.example` is a trick, not an address.
    if authority.as_str().contains('@') {
        return false;
    }
    let default_port = if *scheme == Scheme::HTTPS { 443 } else { 80 };
    let port = authority.port_u16().unwrap_or(default_port);
    let host = bare(authority.host());
    granted.iter().any(|origin| {
        origin.scheme == scheme.as_str()
            && origin.port == port
            && bare(&origin.host).eq_ignore_ascii_case(host)
    })
}

/// An IPv6 address without its brackets.
fn bare(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(scheme: &str, host: &str, port: u16) -> Origin {
        Origin {
            scheme: scheme.to_owned(),
            host: host.to_owned(),
            port,
        }
    }

    #[test]
    fn hl10_only_granted_origins_pass() {
        let granted = [
            origin("https", "hooks.example.com", 443),
            origin("http", "::1", 8080),
        ];
        let passes = |uri: &str| is_granted(&uri.parse().unwrap(), &granted);
        assert!(passes("https://hooks.example.com/x"));
        assert!(passes("https://HOOKS.example.com:443/x"));
        assert!(passes("http://[::1]:8080/"));
        for denied in [
            "http://hooks.example.com/x",
            "https://hooks.example.com:8443/",
            "https://hooks.example.com.evil.test/",
            "https://evil.test/hooks.example.com",
            "https://hooks.example.com@evil.test/",
            "https://evil.test@hooks.example.com/",
            "http://[::1]/",
            "/relative",
        ] {
            assert!(!passes(denied), "{denied}");
        }
    }

    #[test]
    fn a_guest_cannot_wait_longer_than_its_call() {
        let gate = Gate::new(Arc::new([]), Instant::now() + Duration::from_secs(5));
        let clamped = gate.clamp(Some(RequestOptions {
            connect_timeout: Some(Duration::from_secs(600)),
            first_byte_timeout: Some(Duration::from_millis(10)),
            between_bytes_timeout: None,
        }));
        assert!(clamped.connect_timeout.unwrap() <= Duration::from_secs(5));
        assert_eq!(clamped.first_byte_timeout, Some(Duration::from_millis(10)));
        assert!(clamped.between_bytes_timeout.unwrap() <= Duration::from_secs(5));
    }
}
