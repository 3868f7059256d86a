//! HTTP clients: the one that most transfers share, and what all have in common.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Certificate;
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use rustls::pki_types::CertificateDer;

use super::tls;
use crate::config::TransferConfig;

/// Idle connections kept per host, at least: one job may use several. As many as may be busy at the
/// same time are kept, or each file of a burst would open its own.
const IDLE_PER_HOST_MIN: usize = 6;
/// How long they are kept; long enough for the next file of a job, short enough to leave an idle
/// host without wake-ups.
const IDLE_FOR: Duration = Duration::from_secs(15);

/// Blocks below this size are reused; twice as much may stay with the process (P5 allows 32 MiB
/// resident in all).
const KEPT_BYTES: usize = 4 << 20;

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
    /// `[transfer] proxy` cannot be understood.
    #[error("cannot use `[transfer] proxy`")]
    Proxy(#[source] io::Error),
    /// The client cannot be built.
    #[error("cannot set up HTTP; check `[transfer] user_agent` and `[transfer] ca`")]
    Client(#[source] reqwest::Error),
}

/// What a client is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A server that sends nothing for a while is given up by the client itself.
    Fetching,
    /// Uploads watch their requests themselves, as a read time-out would count while a file is being
    /// sent. The protocol of BITS is one of HTTP/1.1.
    Sending,
}

/// Builds the client of most jobs.
///
/// # Errors
/// When the configured user agent is not a header value, or an authority is no certificate.
pub(super) fn build(config: &TransferConfig, purpose: Purpose) -> Result<reqwest::Client, TransferError> {
    keep_buffers();
    // An `Err` means that a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    build_as(config, purpose, |builder| builder)
}

/// Builds a client that is `shaped` otherwise, and checks certificates as all do.
///
/// Certificates are checked against the system's store (`SSL_CERT_FILE` and `SSL_CERT_DIR` name
/// another) and the authorities of the configuration. A system without a store can still fetch by
/// http, so that is no error here: https then fails with the certificate error, which says what is
/// missing.
///
/// # Errors
/// As for [`build`].
pub(super) fn build_as(
    config: &TransferConfig,
    purpose: Purpose,
    shaped: impl Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
) -> Result<reqwest::Client, TransferError> {
    let builder = || shaped(builder(config, purpose));
    let trusted = authorities(config)?;
    let certificates: Result<Vec<_>, _> = trusted.iter().map(|one| Certificate::from_der(one)).collect();
    let certificates = certificates.map_err(TransferError::Client)?;
    match builder().tls_certs_merge(certificates).build() {
        Err(why) if trusted.is_empty() => {
            let client = builder().tls_certs_only([]).build();
            tracing::warn!("https cannot be used, no certificate of the system is usable: {why}");
            client.map_err(TransferError::Client)
        }
        built => built.map_err(TransferError::Client),
    }
}

/// The authorities of the configuration.
///
/// # Errors
/// When a file of them is no certificate.
pub(super) fn authorities(config: &TransferConfig) -> Result<Vec<CertificateDer<'static>>, TransferError> {
    let mut authorities = Vec::new();
    for path in &config.ca {
        let read = tls::certificates(path).map_err(|why| TransferError::Authority {
            path: path.clone(),
            why,
        })?;
        authorities.extend(read);
    }
    Ok(authorities)
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

/// The settings of all clients. Redirects are followed by `Speaker::send`, which knows what is for
/// whom.
pub(super) fn builder(config: &TransferConfig, purpose: Purpose) -> reqwest::ClientBuilder {
    let mut headers = HeaderMap::new();
    // Ranges and lengths must count the bytes of the file, not of an encoding.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let builder = reqwest::Client::builder()
        .user_agent(config.user_agent.as_str())
        .default_headers(headers)
        .connect_timeout(config.connect_timeout)
        .redirect(Policy::none())
        .referer(false)
        .pool_max_idle_per_host(config.slots_per_host.max(IDLE_PER_HOST_MIN))
        .pool_idle_timeout(IDLE_FOR);
    match purpose {
        Purpose::Fetching => builder.read_timeout(config.idle_timeout),
        Purpose::Sending => builder.http1_only(),
    }
}
