//! The HTTP client that all downloads share: its connections are reused from file to file.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Certificate;
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};
use reqwest::redirect::{Attempt, Policy};

use super::address;
use crate::config::TransferConfig;

/// Redirects that are followed (B-145). Ten is what browsers and curl's users settled near; more is
/// a loop.
const REDIRECTS_MAX: usize = 10;
/// Idle connections kept per host: as many as may be busy at the same time by default.
const IDLE_PER_HOST_MAX: usize = 6;
/// How long they are kept; long enough for the next file of a job, short enough to leave an idle
/// host without wake-ups.
const IDLE_FOR: Duration = Duration::from_secs(15);

/// Blocks below this size are reused; twice as much may stay with the process (P5 allows 32 MiB
/// resident in all).
const KEPT_BYTES: usize = 4 << 20;

/// A redirect that is not followed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the server answered {status} and {why}")]
pub(super) struct RedirectRefused {
    /// The status of the redirect.
    pub(super) status: u16,
    why: String,
}

/// Most characters of a redirect's target that are repeated: a server may send a header full.
const TARGET_CHARS_MAX: usize = 200;

/// Why there is no download runner.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// A file of `[transfer] ca` cannot be used.
    #[error("cannot use {}, named by `[transfer] ca`", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        why: io::Error,
    },
    /// The client cannot be built.
    #[error("cannot set up HTTP; check `[transfer] user_agent` and `[transfer] ca`")]
    Client(#[source] reqwest::Error),
}

/// Builds the client.
///
/// Certificates are checked against the system's store (`SSL_CERT_FILE` and `SSL_CERT_DIR` name
/// another) and the authorities of the configuration. A system without a store can still fetch by
/// http, so that is no error here: https then fails with the certificate error, which says what is
/// missing.
///
/// # Errors
/// When the configured user agent is not a header value, or an authority is no certificate.
pub(super) fn build(config: &TransferConfig) -> Result<reqwest::Client, TransferError> {
    keep_buffers();
    build_with(config, || builder(config))
}

/// Builds the client that sends files: it follows no redirect, and watches its requests itself, as a
/// read time-out would count while a file is being sent. The protocol of BITS is one of HTTP/1.1.
///
/// # Errors
/// As [`build`].
pub(super) fn build_sending(config: &TransferConfig) -> Result<reqwest::Client, TransferError> {
    build_with(config, || base(config).redirect(Policy::none()).http1_only())
}

fn build_with(
    config: &TransferConfig,
    builder: impl Fn() -> reqwest::ClientBuilder,
) -> Result<reqwest::Client, TransferError> {
    // An `Err` means that a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut authorities = Vec::new();
    for path in &config.ca {
        let read = authorities_in(path).map_err(|why| TransferError::Authority {
            path: path.clone(),
            why,
        })?;
        authorities.extend(read);
    }
    let none = authorities.is_empty();
    match builder().tls_certs_merge(authorities).build() {
        Err(why) if none => {
            let client = builder().tls_certs_only([]).build();
            tracing::warn!("https cannot be used, no certificate of the system is usable: {why}");
            client.map_err(TransferError::Client)
        }
        built => built.map_err(TransferError::Client),
    }
}

/// A file without a single certificate is refused: it was meant to hold one.
fn authorities_in(path: &Path) -> io::Result<Vec<Certificate>> {
    let read = Certificate::from_pem_bundle(&std::fs::read(path)?).map_err(io::Error::other)?;
    if read.is_empty() {
        return Err(io::Error::other("it holds no certificate in PEM form"));
    }
    Ok(read)
}

/// Has glibc keep freed network buffers instead of handing each back to the system.
///
/// The HTTP layer takes a fresh buffer of some 400 KiB per read. Such sizes begin as mappings of
/// their own, and a GiB then costs a hundred thousand page faults, a third of a download's CPU time
/// (P5). glibc raises its limit to the largest mapping it has seen freed, so one is shown to it; the
/// memory is never touched. Elsewhere this does nothing.
fn keep_buffers() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(KEPT_BYTES)));
}

pub(super) fn builder(config: &TransferConfig) -> reqwest::ClientBuilder {
    base(config)
        .read_timeout(config.idle_timeout)
        .redirect(Policy::custom(|attempt| match refused(&attempt) {
            None => attempt.follow(),
            Some(why) => {
                let status = attempt.status().as_u16();
                attempt.error(RedirectRefused { status, why })
            }
        }))
}

fn base(config: &TransferConfig) -> reqwest::ClientBuilder {
    let mut headers = HeaderMap::new();
    // Ranges and lengths must count the bytes of the file, not of an encoding.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    reqwest::Client::builder()
        .user_agent(config.user_agent.as_str())
        .default_headers(headers)
        .connect_timeout(config.connect_timeout)
        .referer(false)
        .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
        .pool_idle_timeout(IDLE_FOR)
}

/// Why a redirect is not followed; `None` follows it.
fn refused(attempt: &Attempt<'_>) -> Option<String> {
    let to = attempt.url();
    let from_https = attempt
        .previous()
        .last()
        .is_some_and(|url| url.scheme() == "https");
    if attempt.previous().len() > REDIRECTS_MAX {
        Some(format!("redirected more than {REDIRECTS_MAX} times"))
    } else if !matches!(to.scheme(), "http" | "https") {
        let scheme = capped(to.scheme());
        Some(format!("redirected to `{scheme}`, which is not spoken"))
    } else if from_https && to.scheme() == "http" {
        let shown = capped(&address::display_url(to.as_str()));
        Some(format!("redirected from https to {shown}, which is not secure"))
    } else {
        None
    }
}

fn capped(text: &str) -> String {
    text.chars().take(TARGET_CHARS_MAX).collect()
}
