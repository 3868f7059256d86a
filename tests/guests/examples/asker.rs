//! Asks over HTTP whatever its configuration says and waits for the answer without any patience of
//! its own: only the host can end it.

use sexton_sdk::{CallInfo, ErrorInfo, JobCallback, JobSnapshot, Result};

struct Asker;

impl JobCallback for Asker {
    fn job_error(_: &CallInfo, _: &JobSnapshot, _: &ErrorInfo) -> Result {
        ask()
    }
}

sexton_sdk::export!(Asker: JobCallback);

#[cfg(not(target_arch = "wasm32"))]
fn ask() -> Result {
    Ok(())
}

#[cfg(target_arch = "wasm32")]
fn ask() -> Result {
    wasi::ask().map_err(|error| sexton_sdk::Failure::permanent(error.to_string()))
}

#[cfg(target_arch = "wasm32")]
mod wasi {
    use std::error::Error;

    use sexton_sdk::{config, log};
    use wasip2::http::outgoing_handler;
    use wasip2::http::types::{Fields, IncomingResponse, OutgoingBody, OutgoingRequest, Scheme};
    use wasip2::io::streams::StreamError;

    const CHUNK: u64 = 4096;

    pub(super) fn ask() -> Result<(), Box<dyn Error>> {
        let request = OutgoingRequest::new(Fields::new());
        let refused = |()| "the request is not valid";
        request.set_scheme(Some(&Scheme::Http)).map_err(refused)?;
        request
            .set_authority(config::get("authority").as_deref())
            .map_err(refused)?;
        request
            .set_path_with_query(config::get("path").as_deref())
            .map_err(refused)?;
        let megabytes: u64 = config::get("body_mb").map_or(Ok(0), |mb| mb.parse())?;
        if megabytes > 0 {
            request
                .set_method(&wasip2::http::types::Method::Post)
                .map_err(refused)?;
        }
        let body = request.body().map_err(refused)?;
        let pending = outgoing_handler::handle(request, None)?;
        write(body, megabytes << 20);
        pending.subscribe().block();
        let answer = pending.get().ok_or("no answer")?.map_err(refused)?;
        read(answer?)
    }

    /// What cannot be written is found in the answer.
    fn write(body: OutgoingBody, bytes: u64) {
        let Ok(stream) = body.write() else { return };
        let chunk = [b'x'; CHUNK as usize];
        for _ in 0..bytes / CHUNK {
            if stream.blocking_write_and_flush(&chunk).is_err() {
                break;
            }
        }
        drop(stream);
        let _ = OutgoingBody::finish(body, None);
    }

    fn read(response: IncomingResponse) -> Result<(), Box<dyn Error>> {
        let body = response.consume().map_err(|()| "there is no body")?;
        let stream = body.stream().map_err(|()| "there is no stream")?;
        let mut count = 0;
        loop {
            match stream.blocking_read(CHUNK) {
                Ok(bytes) => count += bytes.len(),
                Err(StreamError::Closed) => break,
                Err(StreamError::LastOperationFailed(error)) => {
                    return Err(format!("after {count} bytes: {}", error.to_debug_string()).into());
                }
            }
        }
        log::info!("answered {} with {count} bytes", response.status());
        Ok(())
    }
}
