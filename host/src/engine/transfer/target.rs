//! Where a remote name leads: to an HTTP server, to an object behind a signature, or to a local file.
//!
//! `s3://BUCKET/KEY` becomes a signed URL, so that objects are fetched and sent by the same code as
//! all else; `dav://` and `davs://` are http and https under the names that file managers give them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use url::Url;

use super::classify::Class;
use super::fault::Fault;
use super::{disk, secret};
use crate::config::{S3Config, TransferConfig};
use crate::job::{Code, ErrorContext};

/// How long a signed URL holds. Each request is signed anew, so this only has to outlast the way to
/// the server and clocks that differ a little; a body may take longer than that.
const SIGNED_FOR: Duration = Duration::from_secs(900);

/// What is to be done with the remote side; a signature is for one method and one query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// `GET`
    Fetch,
    /// `PUT`
    Send,
    /// `HEAD`
    Look,
    /// `POST`: an object is to come in parts.
    Begin,
    /// `PUT` of the part with this number, from 1, of an upload.
    Part(String, u16),
    /// `GET`: the parts of an upload after this one that are there.
    Parts(String, u16),
    /// `POST`: all parts of an upload are there.
    Finish(String),
    /// `DELETE`: an upload is given up.
    Abandon(String),
}

/// Where a remote name leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// To a server.
    Http(String),
    /// To an object of a store, which only the keys of the store open. The URL may carry a signature
    /// and is neither kept nor shown.
    Object(String),
    /// To a file of this machine.
    File(PathBuf),
}

/// Knows the way to what is not plain HTTP.
#[derive(Clone, Debug)]
pub(super) struct Targets {
    s3: BTreeMap<String, S3Config>,
}

impl Targets {
    /// As the configuration says.
    pub(super) fn new(config: &TransferConfig) -> Self {
        Self {
            s3: config.s3.clone(),
        }
    }

    /// Finds the way. Costs nothing for http and https; secrets of an object store are read anew each
    /// time, so that they may be replaced while the host runs.
    ///
    /// # Errors
    /// When the name leads nowhere or its secrets are not to be had (B-96).
    pub(super) async fn resolve(&self, remote: &str, purpose: Purpose) -> Result<Target, Fault> {
        match remote.split_once(':').map(|(scheme, _)| scheme) {
            Some("file") => file(remote).map(Target::File).ok_or_else(|| {
                nowhere("the remote name is not the path of a file of this machine".to_owned())
            }),
            Some("s3") => {
                let (bucket, key) = object(remote).map_err(nowhere)?;
                let Some(config) = self.s3.get(&bucket).cloned() else {
                    return Err(nowhere(unknown_bucket(&bucket)));
                };
                let signed = disk::blocking(move || Ok(sign(&config, bucket, &key, purpose))).await?;
                signed.map(Target::Object)
            }
            _ => Ok(Target::Http(spoken(remote).into_owned())),
        }
    }
}

/// The name by which a server is asked: that of a `dav` one is http, and davs is https.
pub(super) fn spoken(remote: &str) -> Cow<'_, str> {
    if remote.starts_with("dav:") || remote.starts_with("davs:") {
        Cow::Owned(remote.replacen("dav", "http", 1))
    } else {
        Cow::Borrowed(remote)
    }
}

/// Whether what is sent there is sent by `PUT`, whatever the server says of others: object stores and
/// WebDAV.
pub(super) fn takes_put_alone(remote: &str) -> bool {
    matches!(remote.split(':').next(), Some("s3" | "dav" | "davs"))
}

/// Whether it is an object of a store, which may be sent in parts.
pub(super) fn is_object(remote: &str) -> bool {
    remote.starts_with("s3:")
}

/// Whether a name of a scheme that is not http or https leads anywhere; checked at submission.
///
/// # Errors
/// A sentence.
pub(super) fn check(url: &Url, config: &TransferConfig) -> Result<(), String> {
    match url.scheme() {
        "file" => match file(url.as_str()) {
            Some(_) => Ok(()),
            None => Err("a `file:` URL needs an absolute path and no host, as in file:///srv/x".to_owned()),
        },
        "s3" => {
            let (bucket, _) = object(url.as_str())?;
            if config.s3.contains_key(&bucket) {
                Ok(())
            } else {
                Err(unknown_bucket(&bucket))
            }
        }
        _ => Ok(()),
    }
}

fn file(remote: &str) -> Option<PathBuf> {
    let path = Url::parse(remote).ok()?.to_file_path().ok()?;
    (!path.as_os_str().as_encoded_bytes().contains(&0)).then_some(path)
}

/// Bucket and key of `s3://BUCKET/KEY`. The parser has resolved `.` and `..`, so that no key leaves
/// its bucket; an encoded one would still, and is refused.
fn object(remote: &str) -> Result<(String, String), String> {
    let wrong = || "an object is named `s3://BUCKET/KEY`".to_owned();
    let url = Url::parse(remote).map_err(|_| wrong())?;
    let plain = url.port().is_none() && url.username().is_empty() && url.query().is_none();
    let bucket = url.host_str().filter(|_| plain).ok_or_else(wrong)?;
    let key = url.path().trim_start_matches('/');
    let key = percent_encoding::percent_decode_str(key)
        .decode_utf8()
        .map_err(|_| wrong())?;
    if key.is_empty() || key.split('/').any(|part| matches!(part, "." | "..")) || key.contains('\0') {
        return Err(wrong());
    }
    Ok((bucket.to_owned(), key.into_owned()))
}

fn unknown_bucket(bucket: &str) -> String {
    format!("the bucket `{bucket}` is not configured; name its endpoint and keys in `[transfer.s3.{bucket}]`")
}

fn nowhere(what: String) -> Fault {
    Fault {
        code: Code::INVALIDARG,
        class: Class::Fatal,
        context: ErrorContext::RemoteFile,
        what,
        retry_after: None,
    }
}

fn sign(config: &S3Config, name: String, key: &str, purpose: Purpose) -> Result<String, Fault> {
    let style = if config.path_style {
        UrlStyle::Path
    } else {
        UrlStyle::VirtualHost
    };
    let bucket = Bucket::new(config.endpoint.clone(), style, name, config.region.clone())
        .map_err(|why| nowhere(format!("the endpoint of the bucket makes no URL: {why}")))?;
    let credentials = match &config.keys {
        None => None,
        Some(keys) => {
            let (id, key) = (secret::read(&keys.access_key)?, secret::read(&keys.secret_key)?);
            Some(match &keys.session_token {
                Some(token) => Credentials::new_with_token(id, key, secret::read(token)?),
                None => Credentials::new(id, key),
            })
        }
    };
    Ok(signed(&bucket, credentials.as_ref(), key, &purpose).into())
}

fn signed(bucket: &Bucket, keys: Option<&Credentials>, key: &str, purpose: &Purpose) -> Url {
    match purpose {
        Purpose::Fetch => bucket.get_object(keys, key).sign(SIGNED_FOR),
        Purpose::Send => bucket.put_object(keys, key).sign(SIGNED_FOR),
        Purpose::Look => bucket.head_object(keys, key).sign(SIGNED_FOR),
        Purpose::Begin => bucket.create_multipart_upload(keys, key).sign(SIGNED_FOR),
        Purpose::Part(upload, number) => bucket.upload_part(keys, key, *number, upload).sign(SIGNED_FOR),
        Purpose::Parts(upload, after) => {
            let mut list = bucket.list_parts(keys, key, upload);
            list.set_part_number_marker(*after);
            list.sign(SIGNED_FOR)
        }
        // The names of the parts go into its body, which is no part of the signature.
        Purpose::Finish(upload) => bucket
            .complete_multipart_upload(keys, key, upload, std::iter::empty())
            .sign(SIGNED_FOR),
        Purpose::Abandon(upload) => bucket.abort_multipart_upload(keys, key, upload).sign(SIGNED_FOR),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(keys: bool) -> Targets {
        let reference = |text: &str| crate::job::SecretRef::new(text);
        let config = S3Config {
            endpoint: Url::parse("http://127.0.0.1:9000").unwrap(),
            region: "eu-west-1".to_owned(),
            path_style: true,
            keys: keys.then(|| crate::config::S3Keys {
                access_key: reference("env:PATH"),
                secret_key: reference("file:/proc/self/comm"),
                session_token: None,
            }),
        };
        Targets {
            s3: BTreeMap::from([("media".to_owned(), config)]),
        }
    }

    async fn resolved(remote: &str, keys: bool) -> Result<Target, Fault> {
        targets(keys).resolve(remote, Purpose::Fetch).await
    }

    #[tokio::test]
    async fn each_scheme_leads_somewhere() {
        let http = |url: &str| Ok(Target::Http(url.to_owned()));
        assert_eq!(resolved("https://h/x?y", false).await, http("https://h/x?y"));
        assert_eq!(resolved("davs://h/dav/x", false).await, http("https://h/dav/x"));
        assert_eq!(resolved("dav://h:81/x", false).await, http("http://h:81/x"));
        assert_eq!(
            resolved("file:///srv/a%20b", false).await,
            Ok(Target::File(PathBuf::from("/srv/a b")))
        );
        let object = resolved("s3://media/a/b%20c", false).await;
        let open = "http://127.0.0.1:9000/media/a/b%20c".to_owned();
        assert_eq!(object, Ok(Target::Object(open)));
    }

    #[tokio::test]
    async fn an_object_is_signed_with_what_its_references_hold() {
        let Ok(Target::Object(url)) = resolved("s3://media/k", true).await else {
            panic!()
        };
        let begin = "http://127.0.0.1:9000/media/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=";
        assert!(
            url.starts_with(begin) && url.contains("X-Amz-Expires=900"),
            "{url}"
        );
    }

    #[tokio::test]
    async fn what_leads_nowhere_is_an_error_in_words() {
        for remote in [
            "s3://other/k",
            "s3://media/",
            "s3://media/a/%2e%2e%2fb",
            "s3://me:pw@media/k",
            "file://elsewhere/x",
            "file:///a%00b",
        ] {
            let fault = resolved(remote, false).await.unwrap_err();
            assert_eq!(
                (fault.code, fault.class),
                (Code::INVALIDARG, Class::Fatal),
                "{remote}"
            );
        }
    }
}
