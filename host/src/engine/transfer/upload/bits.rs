//! The upload protocol of BITS (B-134, B-135): a session, fragments strictly in order, an answer to
//! each, and a goodbye.
//!
//! ```text
//! Create-Session ─► Fragment … Fragment ─► (reply, by its own URL) ─► Close-Session
//!        ▲             ├─ 416: from where the server says · 413: smaller
//!        └─────────────┴─ session not found                 5xx: again
//! ```
//! One request at a time. Left out: host affinity (`BITS-Host-Id`, B-136). The server's wish to be
//! spoken to under another name is not followed: a session that the next server of a farm does not know
//! is begun anew there.

use std::ops::Range;
use std::path::Path;

use http::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderMap, HeaderName};
use percent_encoding::{CONTROLS, utf8_percent_encode};
use reqwest::{Method, RequestBuilder, Response};
use url::Url;

use super::super::classify::{self, Class};
use super::super::fault::Fault;
use super::discover::mismatch;
use super::send::{Count, number, text};
use super::session::{BitsWay, Way};
use super::tus::may_be_sent_to;
use super::{Break, Upload, UploadProgress, Work};
use crate::job::{Code, ErrorContext};

/// BITS 1.5 upload, the one protocol there is.
const PROTOCOL: &str = "{7df0354d-249b-430f-820d-3d2a9bef4931}";
/// Longest name of a session.
const ID_CHARS_MAX: usize = 100;
const VERB: &[u8] = b"BITS_POST";
/// `BITS-Error-Context` of an error that the application behind the server made.
const REMOTE_APPLICATION: u32 = 7;

const PACKET_TYPE: HeaderName = HeaderName::from_static("bits-packet-type");
const SUPPORTED: HeaderName = HeaderName::from_static("bits-supported-protocols");
const CHOSEN: HeaderName = HeaderName::from_static("bits-protocol");
const SESSION_ID: HeaderName = HeaderName::from_static("bits-session-id");
const RECEIVED: HeaderName = HeaderName::from_static("bits-received-content-range");
const REPLY_URL: HeaderName = HeaderName::from_static("bits-reply-url");
const HOST_ID: HeaderName = HeaderName::from_static("bits-host-id");
const CONTENT_NAME: HeaderName = HeaderName::from_static("content-name");
/// The two documents about the protocol name this header differently (BX-04).
const ERRORS: [HeaderName; 2] = [
    HeaderName::from_static("bits-error-code"),
    HeaderName::from_static("bits-error"),
];
const ERROR_CONTEXT: HeaderName = HeaderName::from_static("bits-error-context");

/// What came of a fragment.
enum Sent {
    /// The server wants the bytes from here on.
    Next(u64),
    /// It wants those from here on, and took nothing.
    Gap(u64),
    Lost,
    TooLarge(Fault),
}

impl<P: UploadProgress> Upload<'_, P> {
    /// Sends the file, fetches the reply and ends the session.
    pub(super) async fn bits(&self, work: &mut Work, way: BitsWay) -> Result<(), Break> {
        let mut way = way;
        if way.refused {
            return Err(denied_for_good().into());
        }
        loop {
            if way.id.is_none() {
                self.bits_create(work, &mut way).await?;
            }
            if !way.closing && !self.bits_send(work, &mut way).await? {
                self.lost(work)?;
                way = BitsWay::default();
                continue;
            }
            if self.wants_reply() {
                let url = way.reply_url.clone().unwrap_or_default();
                self.reply_from(work, &url).await?;
            }
            if self.bits_close(work, &mut way).await? {
                return Ok(());
            }
            self.lost(work)?;
            way = BitsWay::default();
        }
    }

    /// Whether the server answers a ping; one that is down answers neither yes nor no.
    pub(super) async fn bits_ping(&self, work: &Work) -> Result<bool, Break> {
        let answer = self.ask(packet(self, &work.file.remote, "Ping", None)).await?;
        let status = answer.status();
        if !status.is_success() && classify::status(status.as_u16()) == Class::Transient {
            return Err(self.bits_refusal(&answer).into());
        }
        Ok(status.is_success() && is_ack(&answer))
    }

    async fn bits_create(&self, work: &mut Work, way: &mut BitsWay) -> Result<(), Break> {
        let request = packet(self, &work.file.remote, "Create-Session", None).header(SUPPORTED, PROTOCOL);
        let answer = self.ask(request).await?;
        if !answer.status().is_success() {
            return Err(self.bits_refusal(&answer).into());
        }
        let headers = answer.headers();
        let chosen = text(headers, &CHOSEN).unwrap_or_default();
        if !is_ack(&answer) || !chosen.eq_ignore_ascii_case(PROTOCOL) {
            return Err(mismatch("the server does not speak the upload protocol of BITS".to_owned()).into());
        }
        let id = text(headers, &SESSION_ID).unwrap_or_default();
        if id.is_empty() || id.len() > ID_CHARS_MAX {
            let what = format!("it names no session in 1 to {ID_CHARS_MAX} characters");
            return Err(Fault::answer(what).into());
        }
        if let Some(host) = text(headers, &HOST_ID) {
            let host: String = host.chars().take(100).collect();
            tracing::info!(job = %self.job.id, "the server asks to be called {host}; not followed (B-136)");
        }
        self.connect(work).await?;
        way.id = Some(id.to_owned());
        work.file.bytes_transferred = 0;
        self.bits_save(work, way).await
    }

    /// Sends fragments until the server has all; false when it no longer knows the session.
    async fn bits_send(&self, work: &mut Work, way: &mut BitsWay) -> Result<bool, Break> {
        let size = work.source.mark.size;
        let mut offset = work.file.bytes_transferred;
        let (mut most, mut fruitless) = (offset, 0);
        loop {
            let waits = self.wants_reply() && way.reply_url.is_none();
            if offset == size && !(waits && size > 0) {
                return Ok(true);
            }
            // Where the answer to the last fragment was lost, its last byte is sent again: the server
            // ignores it (B-135) and says once more where the reply is.
            let piece = Self::piece(work, offset.min(size - 1));
            match self.bits_fragment(work, way, piece.clone()).await? {
                Sent::Next(next) if next > piece.start => {
                    offset = next;
                    if next > most {
                        (most, fruitless) = (next, 0);
                    }
                    work.file.bytes_transferred = offset;
                    self.bits_save(work, way).await?;
                    if offset == size && self.wants_reply() && way.reply_url.is_none() {
                        return Err(Fault::answer("it has the file but says no address of the reply").into());
                    }
                }
                Sent::Next(next) | Sent::Gap(next) => {
                    Self::fruitless(&mut fruitless, "the server takes no fragment")?;
                    offset = next;
                }
                Sent::Lost => return Ok(false),
                Sent::TooLarge(said) => self.smaller(work, &piece, said).await?,
            }
        }
    }

    async fn bits_fragment(
        &self,
        work: &mut Work,
        way: &mut BitsWay,
        piece: Range<u64>,
    ) -> Result<Sent, Break> {
        let size = work.source.mark.size;
        let range = format!("bytes {}-{}/{size}", piece.start, piece.end - 1);
        let mut request =
            packet(self, &work.file.remote, "Fragment", way.id.as_deref()).header(CONTENT_RANGE, range);
        if piece.start == 0 {
            let name = Path::new(&work.file.local).file_name().unwrap_or_default();
            let name = name.to_string_lossy();
            request = request.header(CONTENT_NAME, utf8_percent_encode(&name, CONTROLS).to_string());
        }
        let end = piece.end;
        let (answer, _) = self.send(work, request, piece, Count::Acknowledged).await?;
        let headers = answer.headers();
        let next = number(headers, &RECEIVED).filter(|next| *next <= size);
        match answer.status().as_u16() {
            200..=299 if !is_ack(&answer) => Err(Fault::answer("it is no answer to a fragment").into()),
            200..=299 => {
                self.connect(work).await?;
                if let Some(url) = text(headers, &REPLY_URL) {
                    way.reply_url = Some(reply_url(&work.file.remote, url)?);
                }
                Ok(Sent::Next(next.unwrap_or(end)))
            }
            416 => match next {
                Some(next) => Ok(Sent::Gap(next)),
                None => Err(Fault::answer("it wants another fragment but does not say which").into()),
            },
            413 => Ok(Sent::TooLarge(self.bits_refusal(&answer))),
            _ if is_lost(headers) => Ok(Sent::Lost),
            403 if context(headers) == Some(REMOTE_APPLICATION) => {
                way.refused = true;
                self.bits_save(work, way).await?;
                Err(self.bits_refusal(&answer).into())
            }
            _ => Err(self.bits_refusal(&answer).into()),
        }
    }

    /// Ends the session; false when the server did not know it and the file is not there.
    async fn bits_close(&self, work: &mut Work, way: &mut BitsWay) -> Result<bool, Break> {
        // Once a goodbye was sent, a session that is not known is one that has ended; and with the
        // reply here the file was surely taken.
        let may_be_gone = way.closing || self.wants_reply();
        if !way.closing {
            way.closing = true;
            self.bits_save(work, way).await?;
        }
        let request = packet(self, &work.file.remote, "Close-Session", way.id.as_deref());
        let answer = self.ask(request).await?;
        if answer.status().is_success() {
            self.connect(work).await?;
            return Ok(true);
        }
        if is_lost(answer.headers()) {
            return Ok(may_be_gone);
        }
        // Sent again whatever the 5xx, and never after another code (B-135).
        let class = if answer.status().is_server_error() {
            Class::Transient
        } else {
            Class::Fatal
        };
        Err(Break::from(Fault {
            class,
            ..self.bits_refusal(&answer)
        }))
    }

    async fn bits_save(&self, work: &mut Work, way: &BitsWay) -> Result<(), Break> {
        work.session.way = Some(Way::Bits(way.clone()));
        self.save(work).await
    }

    fn bits_refusal(&self, answer: &Response) -> Fault {
        let mut fault = self.refusal(answer);
        if context(answer.headers()) == Some(REMOTE_APPLICATION) {
            fault.context = ErrorContext::RemoteApplication;
            fault.what = format!("the application behind it refused: {}", fault.what);
        }
        if let Some(code) = error(answer.headers()) {
            fault.what = format!("{} ({})", fault.what, Code(code));
        }
        fault
    }
}

/// A packet without content.
fn packet<P: UploadProgress>(
    upload: &Upload<'_, P>,
    url: &str,
    kind: &str,
    id: Option<&str>,
) -> RequestBuilder {
    named(upload.request(verb(), url), kind, id)
}

/// Makes a request a packet.
pub(super) fn named(request: RequestBuilder, kind: &str, id: Option<&str>) -> RequestBuilder {
    let request = request.header(PACKET_TYPE, kind);
    let request = match id {
        Some(id) => request.header(SESSION_ID, id),
        None => request,
    };
    // It must be there even where it is 0; a fragment says its own.
    if kind == "Fragment" {
        request
    } else {
        request.header(CONTENT_LENGTH, 0)
    }
}

/// The verb of all packets.
pub(super) fn verb() -> Method {
    // The name is a token, so this cannot fail.
    Method::from_bytes(VERB).unwrap_or(Method::POST)
}

/// The server does not know the session.
pub(super) fn is_lost(headers: &HeaderMap) -> bool {
    error(headers) == Some(Code::SESSION_NOT_FOUND.0)
}

fn is_ack(answer: &Response) -> bool {
    text(answer.headers(), &PACKET_TYPE).is_some_and(|kind| kind.eq_ignore_ascii_case("Ack"))
}

fn error(headers: &HeaderMap) -> Option<u32> {
    ERRORS.iter().find_map(|name| hexadecimal(headers, name))
}

fn context(headers: &HeaderMap) -> Option<u32> {
    hexadecimal(headers, &ERROR_CONTEXT)
}

fn hexadecimal(headers: &HeaderMap, name: &HeaderName) -> Option<u32> {
    let text = text(headers, name)?;
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    u32::from_str_radix(digits.unwrap_or(text), 16).ok()
}

fn reply_url(remote: &str, said: &str) -> Result<String, Fault> {
    match Url::parse(remote).and_then(|base| base.join(said)) {
        Ok(url) if may_be_sent_to(remote, &url) => Ok(url.into()),
        _ => Err(Fault::answer("the address of the reply is not usable")),
    }
}

/// B-85: of all codes only this keeps the file from being posted to the application again.
fn denied_for_good() -> Fault {
    Fault {
        code: Code::http(403),
        class: Class::Fatal,
        context: ErrorContext::RemoteApplication,
        what: "the application behind the server refused the file with 403, and is not asked again; \
               cancel the job and submit another"
            .to_owned(),
        retry_after: None,
    }
}
