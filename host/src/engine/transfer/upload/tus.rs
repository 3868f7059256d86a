//! tus 1.0: the server says how much it has, and takes the rest from there.
//!
//! ```text
//! session has a URL? ─ HEAD ─► offset ─► PATCH ─► offset … ─► offset = size
//!       └─ no, 404, 410 ─ POST ─┘          └─ 409: HEAD · 460: again · 413: smaller · 404, 410: POST
//! ```

use std::ops::Range;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::header::{CONTENT_TYPE, HeaderName, LOCATION};
use reqwest::{Method, RequestBuilder, Response};
use serde::{Deserialize, Serialize};
use url::Url;

use super::super::anew::Why;
use super::super::classify::Class;
use super::super::disk;
use super::super::fault::Fault;
use super::discover::mismatch;
use super::send::{Count, number, text};
use super::session::{TusWay, Way};
use super::{Break, Upload, UploadProgress, Work};

/// The version spoken.
pub(super) const VERSION: &str = "1.0.0";

pub(super) const TUS_RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");
const UPLOAD_METADATA: HeaderName = HeaderName::from_static("upload-metadata");
const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const UPLOAD_CHECKSUM: HeaderName = HeaderName::from_static("upload-checksum");
/// Longest address of an upload that is kept.
const URL_CHARS_MAX: usize = 2200;
/// The checksum does not match.
const MISMATCH: u16 = 460;
const LOST: &str = "the server no longer knows the upload";

/// What a piece is checked by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Algorithm {
    /// What every server with the extension has.
    Sha1,
    /// Better.
    Sha256,
}

impl Algorithm {
    /// The best of those a server lists.
    pub(super) fn best(listed: &str) -> Option<Self> {
        let has = |name: &str| listed.split(',').any(|one| one.trim() == name);
        if has("sha256") {
            Some(Self::Sha256)
        } else {
            has("sha1").then_some(Self::Sha1)
        }
    }

    fn header(self, digest: &[u8]) -> String {
        let name = match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
        };
        format!("{name} {}", BASE64.encode(digest))
    }

    fn context(self) -> ring::digest::Context {
        ring::digest::Context::new(match self {
            // Asked for by the protocol; it guards against bad lines, not against people.
            Self::Sha1 => &ring::digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &ring::digest::SHA256,
        })
    }
}

/// What came of a piece.
enum Sent {
    /// The server has so much.
    Offset(u64),
    /// It is not where we thought, or the piece came to it damaged.
    Again(&'static str),
    /// The upload is gone.
    Lost,
    /// Too much at once.
    TooLarge(Fault),
}

impl<P: UploadProgress> Upload<'_, P> {
    /// Sends what the server does not have.
    pub(super) async fn tus(&self, work: &mut Work, way: TusWay) -> Result<(), Break> {
        let size = work.source.mark.size;
        let mut way = way;
        let mut offset = self.tus_found(work, &mut way).await?;
        let (mut most, mut fruitless) = (offset, 0);
        loop {
            if work.file.bytes_transferred != offset {
                work.file.bytes_transferred = offset;
                self.save(work).await?;
            }
            if offset == size {
                return Ok(());
            }
            let piece = Self::piece(work, offset);
            match self.tus_send(work, &way, piece.clone()).await? {
                Sent::Offset(next) => {
                    offset = next;
                    if next > most {
                        (most, fruitless) = (next, 0);
                    }
                }
                Sent::Again(why) => {
                    Self::fruitless(&mut fruitless, why)?;
                    offset = self.tus_found(work, &mut way).await?;
                }
                Sent::Lost => {
                    self.lost(work)?;
                    way.url = None;
                    offset = self.tus_found(work, &mut way).await?;
                }
                Sent::TooLarge(said) => self.smaller(work, &piece, said).await?,
            }
        }
    }

    /// Where the upload stands; creates it where there is none, or none any more.
    async fn tus_found(&self, work: &mut Work, way: &mut TusWay) -> Result<u64, Break> {
        if let Some(url) = &way.url {
            let answer = self.ask(self.tus_request(Method::HEAD, url)).await?;
            match answer.status().as_u16() {
                200..=299 => {
                    self.connect(work).await?;
                    return offset_of(&answer, 0..=work.source.mark.size).map_err(Break::from);
                }
                404 | 410 => self.lost(work)?,
                _ => return Err(self.tus_refusal(&answer).into()),
            }
        }
        let url = self.tus_create(work).await?;
        way.url = Some(url);
        work.session.way = Some(Way::Tus(way.clone()));
        work.file.bytes_transferred = 0;
        self.save(work).await?;
        Ok(0)
    }

    async fn tus_create(&self, work: &mut Work) -> Result<String, Break> {
        let name = Path::new(&work.file.local).file_name().unwrap_or_default();
        let name = BASE64.encode(name.to_string_lossy().as_bytes());
        let request = self
            .tus_request(Method::POST, &work.file.remote)
            .header(UPLOAD_LENGTH, work.source.mark.size)
            .header(UPLOAD_METADATA, format!("filename {name}"))
            .body("");
        let answer = self.ask(request).await?;
        if !answer.status().is_success() {
            return Err(self.tus_refusal(&answer).into());
        }
        self.connect(work).await?;
        let location = text(answer.headers(), &LOCATION).unwrap_or_default();
        let url = Url::parse(&work.file.remote).and_then(|base| base.join(location));
        match url {
            Ok(url) if !location.is_empty() && may_be_sent_to(&work.file.remote, &url) => Ok(url.into()),
            _ => Err(Fault::answer("it created an upload but says no usable address of it").into()),
        }
    }

    async fn tus_send(&self, work: &mut Work, way: &TusWay, piece: Range<u64>) -> Result<Sent, Break> {
        let url = way.url.as_deref().unwrap_or_default();
        let mut request = self
            .tus_request(Method::PATCH, url)
            .header(CONTENT_TYPE, "application/offset+octet-stream")
            .header(UPLOAD_OFFSET, piece.start);
        if let Some(algorithm) = way.checksum {
            let (source, span) = (std::sync::Arc::clone(&work.source), piece.clone());
            let digest = disk::blocking(move || {
                let mut context = algorithm.context();
                let read = source.each_block(span, |block| context.update(block));
                Ok(read.map(|()| context.finish()))
            });
            let digest = digest.await??;
            request = request.header(UPLOAD_CHECKSUM, algorithm.header(digest.as_ref()));
        }
        let (start, end) = (piece.start, piece.end);
        let (answer, _) = self.send(work, request, piece, Count::Acknowledged).await?;
        match answer.status().as_u16() {
            200..=299 => offset_of(&answer, start + 1..=end)
                .map(Sent::Offset)
                .map_err(Break::from),
            409 => Ok(Sent::Again("the server is not where it said it was (409)")),
            MISMATCH => Ok(Sent::Again("the server found a piece damaged (460)")),
            404 | 410 => Ok(Sent::Lost),
            413 => Ok(Sent::TooLarge(self.refusal(&answer))),
            _ => Err(self.tus_refusal(&answer).into()),
        }
    }

    /// The upload is begun anew, not without end (BP-09).
    pub(super) fn lost(&self, work: &Work) -> Result<(), Break> {
        let lost = Why::SessionLost(LOST);
        Ok(self.start_overs.count(self.job.id, work.file.index, lost)?)
    }

    pub(super) fn tus_request(&self, method: Method, url: &str) -> RequestBuilder {
        self.request(method, url).header(TUS_RESUMABLE, VERSION)
    }

    fn tus_refusal(&self, answer: &Response) -> Fault {
        match answer.status().as_u16() {
            // The server still holds the connection that was cut off.
            423 => Fault {
                class: Class::Transient,
                ..self.refusal(answer)
            },
            412 => mismatch(format!("the server no longer speaks tus {VERSION}")),
            _ => self.refusal(answer),
        }
    }
}

fn offset_of(answer: &Response, within: std::ops::RangeInclusive<u64>) -> Result<u64, Fault> {
    number(answer.headers(), &UPLOAD_OFFSET)
        .filter(|offset| within.contains(offset))
        .ok_or_else(|| Fault::answer("it does not say how much of the file it has"))
}

/// Where a server sends us on: no other protocol, and nothing less secure.
pub(super) fn may_be_sent_to(from: &str, to: &Url) -> bool {
    let secure = from.starts_with("https:");
    let spoken = to.scheme() == "https" || (to.scheme() == "http" && !secure);
    spoken && to.as_str().len() <= URL_CHARS_MAX
}
