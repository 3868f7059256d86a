//! Following one job: lines of JSON until the host tells no more.

use std::path::PathBuf;

use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::ClientError;
use crate::api::view::{ErrorBody, JobView};

/// The longest line of a watch: one job, its context escaped in the worst way.
const LINE_BYTES_MAX: usize = 4 << 20;

/// A job that is followed.
#[derive(Debug)]
pub struct Watch {
    socket: PathBuf,
    body: Incoming,
    buffer: Vec<u8>,
}

impl Watch {
    pub(super) fn new(socket: PathBuf, body: Incoming) -> Self {
        Self {
            socket,
            body,
            buffer: Vec::new(),
        }
    }

    /// The job after its next change; `None` when the host tells no more, which it does once the
    /// job is final, is forgotten, or the host ends.
    ///
    /// # Errors
    /// [`ClientError::Broken`] when the connection broke, [`ClientError::Refused`] when the host
    /// could not go on.
    pub async fn next(&mut self) -> Result<Option<JobView>, ClientError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return self.line(&line).map(Some);
            }
            if self.buffer.len() > LINE_BYTES_MAX {
                return Err(self.broken("a line of its answer has no end"));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(self.broken(error)),
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.buffer.extend_from_slice(data);
                    }
                }
            }
        }
    }

    fn line(&self, line: &[u8]) -> Result<JobView, ClientError> {
        if let Ok(body) = serde_json::from_slice::<ErrorBody>(line)
            && body.error.code.is_failure()
        {
            return Err(ClientError::Refused {
                status: 500,
                problem: Box::new(body.error),
            });
        }
        serde_json::from_slice(line)
            .map_err(|error| self.broken(format_args!("its answer is not understood ({error})")))
    }

    fn broken(&self, why: impl std::fmt::Display) -> ClientError {
        ClientError::Broken {
            socket: self.socket.clone(),
            why: why.to_string(),
        }
    }
}
