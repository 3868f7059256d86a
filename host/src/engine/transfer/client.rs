//! The HTTP client that all downloads share: its connections are reused from file to file.

use std::time::Duration;

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

/// Builds the client.
///
/// Certificates are checked against the system's store (`SSL_CERT_FILE` and `SSL_CERT_DIR` name
/// another). A system without one can still fetch by http, so that is no error here: https then
/// fails with the certificate error, which says what is missing.
///
/// # Errors
/// When the configured user agent is not a header value.
pub(super) fn build(config: &TransferConfig) -> Result<reqwest::Client, reqwest::Error> {
    keep_buffers();
    // An `Err` means that a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match builder(config).build() {
        Ok(client) => Ok(client),
        Err(why) => {
            let client = builder(config).tls_certs_only([]).build()?;
            tracing::warn!("https cannot be used, no certificate of the system is usable: {why}");
            Ok(client)
        }
    }
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

fn builder(config: &TransferConfig) -> reqwest::ClientBuilder {
    let mut headers = HeaderMap::new();
    // Ranges and lengths must count the bytes of the file, not of an encoding.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    reqwest::Client::builder()
        .user_agent(config.user_agent.as_str())
        .default_headers(headers)
        .connect_timeout(config.connect_timeout)
        .read_timeout(config.idle_timeout)
        .redirect(Policy::custom(|attempt| match refused(&attempt) {
            None => attempt.follow(),
            Some(why) => {
                let status = attempt.status().as_u16();
                attempt.error(RedirectRefused { status, why })
            }
        }))
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
        Some(format!("redirected to `{}`, which is not spoken", to.scheme()))
    } else if from_https && to.scheme() == "http" {
        let shown = address::display_url(to.as_str());
        Some(format!("redirected from https to {shown}, which is not secure"))
    } else {
        None
    }
}
