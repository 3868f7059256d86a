//! One request of an upload and its answer, watched while it is under way.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName};
use reqwest::{Method, RequestBuilder, Response};
use url::Url;

use super::super::answer;
use super::super::classify::{self, Wire};
use super::super::fault::Fault;
use super::super::speak::Speaker;
use super::{Break, Upload, UploadProgress, Work};
use crate::job::ErrorContext;

/// How long the server may think once it has the bytes: the application behind it may take five
/// minutes (B-137).
pub(super) const ANSWER_WAIT: Duration = Duration::from_secs(300);
/// How often progress within one request is told.
const SHOW_EVERY: Duration = Duration::from_millis(500);
/// Bytes of a request that can be resumed after (P9), where the server takes as much.
pub(super) const PIECE_BYTES: u64 = 4 << 20;
/// A server that takes less than this at once takes nothing.
const PIECE_BYTES_MIN: u64 = 4 << 10;
/// Requests in a row that bring the upload no further before it is the retry's turn with its delay.
pub(super) const FRUITLESS_MAX: u32 = 8;

/// Longest text of an answer: a thousand parts of an object, several times over.
const WORDS_BYTES_MAX: usize = 4 << 20;

/// Whether bytes count as soon as they are sent, or once the server says so.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    /// The most that any try has sent: shows that something moves, and no try that merely repeats
    /// another passes for progress (B-59).
    Sent,
    /// Only what the server vouches for.
    Acknowledged,
}

impl<P: UploadProgress> Upload<'_, P> {
    /// A request to the server: the one place they are all made.
    pub(super) fn request(&self, method: Method, url: &str) -> RequestBuilder {
        self.speaker.client().request(method, url)
    }

    /// A request without bytes of the file.
    pub(super) async fn ask(&self, request: RequestBuilder) -> Result<Response, Break> {
        self.watched(self.idle, spoken(self.speaker, request)).await
    }

    /// A request that says something, about which the server may think.
    pub(super) async fn tell(&self, request: RequestBuilder, body: String) -> Result<Response, Break> {
        let parts = Parts::of(request)?;
        let said = self.speaker.send(|client| parts.on(client).body(body.clone()));
        self.watched(self.patience(true), said).await
    }

    /// The text of an answer.
    pub(super) async fn words(&self, mut answer: Response) -> Result<String, Break> {
        let read = async {
            let mut text = Vec::new();
            while let Some(chunk) = answer.chunk().await.map_err(|why| Fault::wire(&why))? {
                text.extend_from_slice(&chunk);
                if text.len() > WORDS_BYTES_MAX {
                    return Err(Fault::answer(format!(
                        "it says more than {WORDS_BYTES_MAX} bytes"
                    )));
                }
            }
            String::from_utf8(text).map_err(|_| Fault::answer("it says no text"))
        };
        self.watched(self.patience(true), read).await
    }

    async fn watched<T>(
        &self,
        patience: Duration,
        work: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Break> {
        let due = self.clock.now().after(patience);
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Break::Stopped),
            done = work => Ok(done?),
            () = self.clock.sleep_until(due) => Err(silent("the server does not answer").into()),
        }
    }

    /// A request with the bytes of `span`. Says besides whether all of them were sent: a server may
    /// answer before.
    pub(super) async fn send(
        &self,
        work: &mut Work,
        request: RequestBuilder,
        span: Range<u64>,
        count: Count,
    ) -> Result<(Response, bool), Break> {
        let length = span.end - span.start;
        let mut outflow = work.source.outflow(self.progress.throttle());
        let again = outflow.again();
        let parts = Parts::of(request.header(CONTENT_LENGTH, length))?;
        let source = Arc::clone(&work.source);
        let body = span.clone();
        let answer = self
            .speaker
            .send(|client| parts.on(client).body(source.body(body.clone(), &again)));
        let now = || self.clock.now();
        let (watch, show) = (
            self.clock.sleep_until(now().after(self.patience(length == 0))),
            self.clock.sleep_until(now().after(SHOW_EVERY)),
        );
        tokio::pin!(answer, watch, show);
        let mut seen = 0;
        loop {
            let sent = *outflow.sent.borrow();
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Err(Break::Stopped),
                answer = &mut answer => {
                    let whole = *outflow.sent.borrow() == length;
                    let answer = answer.map_err(|fault| outflow.fault().unwrap_or(fault))?;
                    return Ok((answer, whole));
                }
                Ok(()) = outflow.sent.changed(), if sent < length => {
                    self.connect(work).await?;
                    if *outflow.sent.borrow_and_update() == length {
                        watch.set(self.clock.sleep_until(now().after(self.patience(true))));
                    }
                }
                () = &mut watch => {
                    if sent == length {
                        return Err(silent("the server has all and does not answer").into());
                    }
                    if sent == seen && !outflow.is_held() {
                        return Err(silent("the server takes no more bytes").into());
                    }
                    seen = sent;
                    watch.set(self.clock.sleep_until(now().after(self.idle)));
                }
                () = &mut show, if count == Count::Sent => {
                    show.set(self.clock.sleep_until(now().after(SHOW_EVERY)));
                    if span.start + sent > work.file.bytes_transferred {
                        work.file.bytes_transferred = span.start + sent;
                        self.save(work).await?;
                    }
                }
            }
        }
    }

    /// How long nothing may happen.
    fn patience(&self, all_sent: bool) -> Duration {
        if all_sent {
            self.idle.max(ANSWER_WAIT)
        } else {
            self.idle
        }
    }

    /// The fault of an answer that is no success.
    pub(super) fn refusal(&self, answer: &Response) -> Fault {
        answer::refusal(answer.status().as_u16(), answer.headers(), self.clock.now())
    }

    /// Bytes of the next request.
    pub(super) fn piece(work: &Work, from: u64) -> Range<u64> {
        let most = work.session.piece.unwrap_or(PIECE_BYTES);
        from..work.source.mark.size.min(from.saturating_add(most))
    }

    /// The server takes less at once (413): half as much from now on, in later runs too.
    ///
    /// # Errors
    /// What the server said, when that is next to nothing.
    pub(super) async fn smaller(&self, work: &mut Work, sent: &Range<u64>, said: Fault) -> Result<(), Break> {
        let half = (sent.end - sent.start) / 2;
        if half < PIECE_BYTES_MIN {
            return Err(said.into());
        }
        work.session.piece = Some(half);
        self.save(work).await
    }

    /// Counts a request that brought nothing.
    ///
    /// # Errors
    /// One too many: it is tried again later.
    pub(super) fn fruitless(count: &mut u32, what: &str) -> Result<(), Break> {
        *count += 1;
        if *count > FRUITLESS_MAX {
            let (code, class) = classify::wire(Wire::Malformed);
            return Err(Break::from(Fault {
                code,
                class,
                context: ErrorContext::RemoteFile,
                what: format!("{what}, {FRUITLESS_MAX} times in a row"),
                retry_after: None,
            }));
        }
        Ok(())
    }
}

/// A request taken apart, to be made anew for each try.
struct Parts {
    method: Method,
    url: Url,
    headers: HeaderMap,
}

impl Parts {
    fn of(request: RequestBuilder) -> Result<Self, Fault> {
        let request = request.build().map_err(|why| Fault::wire(&why))?;
        Ok(Self {
            method: request.method().clone(),
            url: request.url().clone(),
            headers: request.headers().clone(),
        })
    }

    fn on(&self, client: &reqwest::Client) -> RequestBuilder {
        let request = client.request(self.method.clone(), self.url.clone());
        request.headers(self.headers.clone())
    }
}

/// Sends a request without a body, as the job speaks to servers.
///
/// # Errors
/// What kept it from being answered.
pub(super) async fn spoken(speaker: &Speaker, request: RequestBuilder) -> Result<Response, Fault> {
    let parts = Parts::of(request)?;
    speaker.send(|client| parts.on(client)).await
}

fn silent(what: &str) -> Fault {
    let (code, class) = classify::wire(Wire::TimedOut);
    Fault {
        code,
        class,
        context: ErrorContext::GeneralTransport,
        what: what.to_owned(),
        retry_after: None,
    }
}

/// A header as text.
pub(super) fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// A header that is a number.
pub(super) fn number(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    let text = text(headers, name)?;
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}
