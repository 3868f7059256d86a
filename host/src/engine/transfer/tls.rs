//! TLS of jobs that have their own word about certificates (B-146, B-147).
//!
//! All that a job does not ignore is checked as for any other job: the checks are those of the shared
//! client, and of their refusals only the ignored ones are let pass.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, SignatureScheme};
use rustls_platform_verifier::Verifier;
use sha2::{Digest, Sha256};

use super::classify::Class;
use super::fault::Fault;
use super::secret;
use crate::job::{Code, ErrorContext, TlsSpec};

/// Dates of a chain that are ignored, one after the other: each certificate of it may have its own.
const DATES_MAX: usize = 6;

/// What a job says about certificates, its files read.
#[derive(Clone, Default)]
pub(super) struct Material {
    authorities: Vec<CertificateDer<'static>>,
    pins: Vec<[u8; 32]>,
    ignore: Ignore,
    certificate: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ignore {
    name: bool,
    date: bool,
    authority: bool,
}

impl fmt::Debug for Material {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Material").finish_non_exhaustive()
    }
}

impl Material {
    /// Reads the files of a job. It is not for the async threads.
    ///
    /// # Errors
    /// When one cannot be used.
    pub(super) fn read(spec: &TlsSpec) -> Result<Self, Fault> {
        let mut material = Self {
            pins: spec.pinned(),
            ignore: Ignore {
                name: spec.ignore_name,
                date: spec.ignore_date,
                authority: spec.ignore_unknown_ca,
            },
            ..Self::default()
        };
        for path in &spec.authorities {
            let read = certificates(path).map_err(|why| Fault {
                code: Code::SECURE_FAILURE,
                class: Class::Fatal,
                context: ErrorContext::GeneralQueueManager,
                what: format!("the authority {path} cannot be used: {why}"),
                retry_after: None,
            })?;
            material.authorities.extend(read);
        }
        if let Some(path) = &spec.certificate {
            let unusable =
                |why: String| secret::missing(format!("the client certificate {path} cannot be used: {why}"));
            material.certificate = certificates(path).map_err(|why| unusable(why.to_string()))?;
            let path = spec.key.as_ref().unwrap_or(path);
            let pem = std::fs::read(path).map_err(|why| unusable(why.to_string()))?;
            // Whether it belongs to the certificate is seen when a client is built.
            let key = PrivateKeyDer::from_pem_slice(&pem);
            key.map_err(|_| unusable(format!("{path} holds no key in PEM form")))?;
            material.key = pem;
        }
        Ok(material)
    }

    /// What tells clients apart, without the key itself.
    pub(super) fn identify(&self, hash: &mut Sha256) {
        let mut field = |bytes: &[u8]| {
            hash.update(bytes.len().to_be_bytes());
            hash.update(bytes);
        };
        for certificates in [&self.authorities, &self.certificate] {
            field(&certificates.len().to_be_bytes());
            certificates
                .iter()
                .for_each(|certificate| field(certificate.as_ref()));
        }
        self.pins.iter().for_each(|pin| field(pin));
        field(&self.key);
        let Ignore {
            name,
            date,
            authority,
        } = self.ignore;
        field(&[name.into(), date.into(), authority.into()]);
    }

    /// The configuration of a client that trusts `trusted` beside the system and these authorities.
    ///
    /// # Errors
    /// When certificate and key do not belong together, or no authority is to be had.
    pub(super) fn config(&self, trusted: &[CertificateDer<'static>]) -> Result<ClientConfig, Fault> {
        let provider = Arc::new(ring::default_provider());
        let broken =
            |why: Error| secret::missing(format!("the certificates of this job cannot be used: {why}"));
        let roots = trusted.iter().chain(&self.authorities).cloned();
        let checker = Checker {
            inner: Verifier::new_with_extra_roots(roots, Arc::clone(&provider)).map_err(broken)?,
            ignore: self.ignore,
            pins: self.pins.clone(),
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(broken)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(checker));
        let mut config = if self.certificate.is_empty() {
            builder.with_no_client_auth()
        } else {
            let key = PrivateKeyDer::from_pem_slice(&self.key)
                .map_err(|_| secret::missing("the key of the client certificate cannot be read"))?;
            builder
                .with_client_auth_cert(self.certificate.clone(), key)
                .map_err(broken)?
        };
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// The certificates of a PEM file.
///
/// # Errors
/// When it cannot be read or holds none: it was meant to hold one.
pub(super) fn certificates(path: impl AsRef<Path>) -> io::Result<Vec<CertificateDer<'static>>> {
    let pem = std::fs::read(path)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let read = read.map_err(io::Error::other)?;
    if read.is_empty() {
        return Err(io::Error::other("it holds no certificate in PEM form"));
    }
    Ok(read)
}

/// The usual checks, of which some refusals are ignored, and pins.
#[derive(Debug)]
struct Checker {
    inner: Verifier,
    ignore: Ignore,
    pins: Vec<[u8; 32]>,
}

/// The server's key is none of the pinned ones.
#[derive(Debug, thiserror::Error)]
#[error("the server's key is not one that the job pins")]
struct NotPinned;

impl Checker {
    fn check(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let mut time = now;
        for _ in 0..DATES_MAX {
            let refusal = match self.inner.verify_server_cert(certificate, chain, name, &[], time) {
                Ok(_) => return Ok(()),
                Err(refusal) => refusal,
            };
            let Error::InvalidCertificate(why) = &refusal else {
                return Err(refusal);
            };
            match why {
                // Everything else is checked as of a time at which this certificate was valid.
                CertificateError::ExpiredContext { not_after, .. } if self.ignore.date => time = *not_after,
                CertificateError::NotValidYetContext { not_before, .. } if self.ignore.date => {
                    time = *not_before;
                }
                why if self.ignore.authority && by_anyone(why) => {
                    // Dates were looked at before the authority; the name comes after it.
                    if self.ignore.name {
                        return Ok(());
                    }
                    return verify_server_name(&ParsedCertificate::try_from(certificate)?, name);
                }
                // The last thing that is looked at.
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
                    if self.ignore.name =>
                {
                    return Ok(());
                }
                _ => return Err(refusal),
            }
        }
        Err(Error::InvalidCertificate(CertificateError::Expired))
    }

    fn pinned(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        if self.pins.is_empty() {
            return Ok(());
        }
        let key = ParsedCertificate::try_from(certificate)?.subject_public_key_info();
        let digest: [u8; 32] = Sha256::digest(key.as_ref()).into();
        if self.pins.contains(&digest) {
            return Ok(());
        }
        let why = CertificateError::Other(OtherError(Arc::new(NotPinned)));
        Err(Error::InvalidCertificate(why))
    }
}

/// Whether a certificate was refused for who made it. Many that were made by their own server say that
/// they are authorities, which a server's certificate must not.
fn by_anyone(why: &CertificateError) -> bool {
    match why {
        CertificateError::UnknownIssuer => true,
        CertificateError::Other(other) => format!("{other:?}").contains("CaUsedAsEndEntity"),
        _ => false,
    }
}

impl ServerCertVerifier for Checker {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity, intermediates, server_name, now)?;
        self.pinned(end_entity)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
