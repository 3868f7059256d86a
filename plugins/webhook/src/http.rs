//! Sends a request through `wasi:http`. There is none off WebAssembly: unit tests stop before it.

use sexton_sdk::Result;

use crate::request::{Reply, Request};

#[cfg(target_arch = "wasm32")]
pub(crate) fn send(request: &Request) -> Result<Reply> {
    wasi::send(request)
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn send(_: &Request) -> Result<Reply> {
    Err(sexton_sdk::Failure::permanent(
        "there is no wasi:http outside a component",
    ))
}

#[cfg(target_arch = "wasm32")]
mod wasi {
    use std::time::Duration;

    use sexton_sdk::{Failure, Result, codes};
    use wasip2::http::outgoing_handler;
    use wasip2::http::types::{
        ErrorCode, Fields, IncomingResponse, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
    };

    use crate::request::{Reply, Request};

    /// Bytes that one `blocking-write-and-flush` takes.
    const CHUNK: usize = 4096;

    pub(super) fn send(request: &Request) -> Result<Reply> {
        let outgoing = open(request)?;
        let body = outgoing.body().map_err(|()| refused("the body"))?;
        let pending =
            outgoing_handler::handle(outgoing, Some(options(request.patience))).map_err(|e| failed(&e))?;
        write(body, request.body.as_bytes())?;

        pending.subscribe().block();
        let response: IncomingResponse = match pending.get() {
            Some(Ok(Ok(response))) => response,
            Some(Ok(Err(error))) => return Err(failed(&error)),
            _ => return Err(Failure::transient("the request ended without an answer")),
        };
        let retry_after = response.headers().get("retry-after").into_iter().next();
        Ok(Reply {
            status: response.status(),
            retry_after: retry_after.and_then(|value| String::from_utf8(value).ok()),
        })
    }

    fn open(request: &Request) -> Result<OutgoingRequest> {
        let headers = Fields::new();
        for (name, value) in &request.headers {
            headers
                .append(name, value.as_bytes())
                .map_err(|error| refused(&format!("header `{name}` ({error:?})")))?;
        }
        let length = request.body.len().to_string();
        headers
            .append("content-length", length.as_bytes())
            .map_err(|_| refused("the length"))?;
        let outgoing = OutgoingRequest::new(headers);
        let scheme = if request.url.https {
            Scheme::Https
        } else {
            Scheme::Http
        };
        outgoing
            .set_method(&Method::Post)
            .map_err(|()| refused("the method"))?;
        outgoing
            .set_scheme(Some(&scheme))
            .map_err(|()| refused("the scheme"))?;
        outgoing
            .set_authority(Some(&request.url.authority))
            .map_err(|()| refused("the host in `url`"))?;
        outgoing
            .set_path_with_query(Some(&request.url.path))
            .map_err(|()| refused("the path in `url`"))?;
        Ok(outgoing)
    }

    /// A host that does not take the options has limits of its own.
    fn options(patience: Duration) -> RequestOptions {
        let nanos = u64::try_from(patience.as_nanos()).unwrap_or(u64::MAX);
        let options = RequestOptions::new();
        let _ = options.set_connect_timeout(Some(nanos));
        let _ = options.set_first_byte_timeout(Some(nanos));
        options
    }

    fn write(body: OutgoingBody, bytes: &[u8]) -> Result {
        let stream = body.write().map_err(|()| refused("the body"))?;
        for chunk in bytes.chunks(CHUNK) {
            if stream.blocking_write_and_flush(chunk).is_err() {
                // The receiver may have answered without reading on: its answer decides.
                return Ok(());
            }
        }
        drop(stream);
        OutgoingBody::finish(body, None).map_err(|error| failed(&error))
    }

    /// What the host will not send however often it is asked.
    fn failed(error: &ErrorCode) -> Failure {
        match error {
            ErrorCode::HttpRequestDenied => {
                Failure::permanent("the host denied the request: is the origin of `url` in `grant.http`?")
                    .with_code(codes::E_ACCESSDENIED)
            }
            ErrorCode::HttpRequestUriInvalid | ErrorCode::HttpRequestMethodInvalid => refused("the request"),
            other => {
                let named = format!("{other:?}");
                let name = named.strip_prefix("ErrorCode::").unwrap_or(&named);
                Failure::transient(format!("the request failed: {name}"))
            }
        }
    }

    fn refused(what: &str) -> Failure {
        Failure::permanent(format!("{what} is not valid in an HTTP request")).with_code(codes::E_INVALIDARG)
    }
}
