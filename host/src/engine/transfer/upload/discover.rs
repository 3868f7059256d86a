//! Asking the server how it takes files, once: the answer is kept in the session.

use http::header::{ALLOW, HeaderMap, HeaderName};
use reqwest::Method;

use super::super::classify::{self, Class};
use super::super::fault::Fault;
use super::send::{number, text};
use super::session::{BitsWay, TusWay, Way};
use super::tus::{self, Algorithm};
use super::{Break, Upload, UploadProgress, Work};
use crate::job::{Code, ErrorContext};

const TUS_RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const TUS_VERSIONS: HeaderName = HeaderName::from_static("tus-version");
const TUS_EXTENSION: HeaderName = HeaderName::from_static("tus-extension");
const TUS_CHECKSUM: HeaderName = HeaderName::from_static("tus-checksum-algorithm");
const TUS_MAX_SIZE: HeaderName = HeaderName::from_static("tus-max-size");
/// What IIS lists allowed verbs in.
const PUBLIC: HeaderName = HeaderName::from_static("public");

impl<P: UploadProgress> Upload<'_, P> {
    /// tus where the server offers it, the protocol of BITS where it announces that and answers a ping,
    /// else one request: `POST` only where `PUT` is not allowed. tus brings no reply.
    pub(super) async fn discover(&self, work: &mut Work) -> Result<Way, Break> {
        let Some(headers) = self.options(work).await? else {
            return Ok(Way::Put);
        };
        if !self.wants_reply()
            && let Some(way) = offer(&headers)
        {
            fits(&headers, work)?;
            return Ok(Way::Tus(way));
        }
        if allows(&headers, "BITS_POST") && self.bits_ping(work).await? {
            return Ok(Way::Bits(BitsWay::default()));
        }
        let post = allows(&headers, "POST") && !allows(&headers, "PUT");
        Ok(if post { Way::Post } else { Way::Put })
    }

    /// tus was asked for: what the server offers of it.
    pub(super) async fn discover_tus(&self, work: &mut Work) -> Result<Way, Break> {
        let headers = self.options(work).await?.unwrap_or_default();
        let Some(way) = offer(&headers) else {
            let what = format!("the server does not offer tus {} with `creation`", tus::VERSION);
            return Err(mismatch(what).into());
        };
        fits(&headers, work)?;
        Ok(Way::Tus(way))
    }

    /// The headers of the answer to `OPTIONS`; `None` from a server that does not know the verb.
    async fn options(&self, work: &mut Work) -> Result<Option<HeaderMap>, Break> {
        let request = self.request(Method::OPTIONS, &work.file.remote);
        let answer = self.ask(request).await?;
        if answer.status().is_success() {
            self.connect(work).await?;
            return Ok(Some(answer.headers().clone()));
        }
        let status = answer.status().as_u16();
        // A server that is down says nothing of how it takes files; one that refuses the verb says that.
        if classify::status(status) == Class::Transient {
            return Err(self.refusal(&answer).into());
        }
        Ok(None)
    }
}

/// The server speaks another protocol than was asked for.
pub(super) fn mismatch(what: String) -> Fault {
    Fault {
        code: Code::CLIENT_SERVER_PROTOCOL_MISMATCH,
        class: Class::Fatal,
        context: ErrorContext::RemoteFile,
        what,
        retry_after: None,
    }
}

/// What a server offers of tus, if it can create uploads.
fn offer(headers: &HeaderMap) -> Option<TusWay> {
    let versions = text(headers, &TUS_VERSIONS).or_else(|| text(headers, &TUS_RESUMABLE))?;
    let has = |extension: &str| lists(headers, &TUS_EXTENSION, extension);
    if !versions.split(',').any(|version| version.trim() == tus::VERSION) || !has("creation") {
        return None;
    }
    let algorithms = text(headers, &TUS_CHECKSUM).unwrap_or_default();
    Some(TusWay {
        url: None,
        checksum: Algorithm::best(algorithms).filter(|_| has("checksum")),
        terminates: has("termination"),
    })
}

/// A file that is larger than the server takes is refused before anything is sent.
fn fits(headers: &HeaderMap, work: &Work) -> Result<(), Fault> {
    let (size, most) = (work.source.mark.size, number(headers, &TUS_MAX_SIZE));
    match most {
        Some(most) if size > most => Err(Fault {
            code: Code::TOO_LARGE,
            ..mismatch(format!("the file has {size} bytes, the server takes {most}"))
        }),
        _ => Ok(()),
    }
}

fn allows(headers: &HeaderMap, verb: &str) -> bool {
    lists(headers, &ALLOW, verb) || lists(headers, &PUBLIC, verb)
}

fn lists(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let values = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .any(|part| part.trim() == word)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().cloned();
        pairs
            .map(|(name, value)| (name, HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn only_tus_1_0_that_can_create_is_an_offer() {
        let table = [
            (vec![], false),
            (vec![(TUS_RESUMABLE, "1.0.0")], false),
            (vec![(TUS_RESUMABLE, "1.0.0"), (TUS_EXTENSION, "creation")], true),
            (
                vec![
                    (TUS_VERSIONS, "0.2.2,1.0.0"),
                    (TUS_EXTENSION, "expiration, creation"),
                ],
                true,
            ),
            (
                vec![
                    (TUS_VERSIONS, "0.2.2"),
                    (TUS_RESUMABLE, "1.0.0"),
                    (TUS_EXTENSION, "creation"),
                ],
                false,
            ),
            (vec![(TUS_VERSIONS, "2.0.0"), (TUS_EXTENSION, "creation")], false),
        ];
        for (pairs, wanted) in table {
            assert_eq!(offer(&headers(&pairs)).is_some(), wanted, "{pairs:?}");
        }
    }

    #[test]
    fn checksum_and_termination_are_used_where_they_are_announced() {
        let said = headers(&[
            (TUS_RESUMABLE, "1.0.0"),
            (TUS_EXTENSION, "creation,checksum,termination"),
            (TUS_CHECKSUM, "md5,sha1,sha256"),
        ]);
        let way = offer(&said).unwrap();
        assert_eq!((way.checksum, way.terminates), (Some(Algorithm::Sha256), true));
        let silent = headers(&[
            (TUS_RESUMABLE, "1.0.0"),
            (TUS_EXTENSION, "creation"),
            (TUS_CHECKSUM, "sha1"),
        ]);
        let way = offer(&silent).unwrap();
        assert_eq!((way.checksum, way.terminates), (None, false));
    }
}
