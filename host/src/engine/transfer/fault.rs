//! What ended a run, before it becomes the job's error object.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use super::address;
use super::classify::{self, Class, Wire};
use crate::engine::{RunEnd, Stopped};
use crate::job::{Code, ErrorContext, ErrorInfo, FileRef, FileStatus, Leg, Timestamp};

/// An error of a run or an intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) code: Code,
    pub(super) class: Class,
    pub(super) context: ErrorContext,
    /// What happened, to be read after "cannot fetch …: ".
    pub(super) what: String,
    pub(super) retry_after: Option<Duration>,
}

/// Why the work on a file ended early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Halt {
    /// It was asked to, or the run was taken away.
    Stopped,
    /// It failed.
    Fault(Fault),
}

impl From<Fault> for Halt {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Stopped> for Halt {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

impl Fault {
    /// An answer that breaks the protocol (B-87): asking again would bring the same.
    pub(super) fn answer(what: impl Into<String>) -> Self {
        Self {
            code: Code::INVALID_SERVER_RESPONSE,
            class: Class::Fatal,
            context: ErrorContext::RemoteFile,
            what: format!("the server's answer is not usable: {}", what.into()),
            retry_after: None,
        }
    }

    /// The body ended before the length that was announced.
    pub(super) fn cut(received: u64, expected: u64) -> Self {
        let (code, class) = classify::wire(Wire::Cut);
        Self {
            code,
            class,
            context: ErrorContext::GeneralTransport,
            what: format!("the connection was closed after {received} of {expected} bytes"),
            retry_after: None,
        }
    }

    /// More bytes than the job may have (B-76).
    pub(super) fn too_large(most: u64) -> Self {
        Self {
            code: Code::MAX_DOWNLOAD_SIZE_LIMIT_REACHED,
            class: Class::Fatal,
            context: ErrorContext::RemoteFile,
            what: format!("the job may have at most {most} bytes in all"),
            retry_after: None,
        }
    }

    /// A file is at the destination that must not be replaced (B-123).
    pub(super) fn in_the_way() -> Self {
        Self {
            what: "a file of this name is there, and the job does not replace it (`existing`)".to_owned(),
            ..Self::local(&io::Error::from_raw_os_error(libc::EEXIST))
        }
    }

    /// A body that drips.
    pub(super) fn slow(least: u64) -> Self {
        let (code, class) = classify::wire(Wire::TimedOut);
        Self {
            code,
            class,
            context: ErrorContext::GeneralTransport,
            what: format!("the server sends fewer than {least} bytes a second"),
            retry_after: None,
        }
    }

    /// Local file work that failed.
    pub(super) fn local(error: &io::Error) -> Self {
        let (code, class) = match error.raw_os_error() {
            Some(number) => (Code::errno(number), classify::errno(number)),
            None => (Code::FAIL, Class::Fatal),
        };
        Self {
            code,
            class,
            context: ErrorContext::LocalFile,
            what: error.to_string(),
            retry_after: None,
        }
    }

    /// A request or a body that failed on its way.
    pub(super) fn wire(error: &reqwest::Error) -> Self {
        let wire = wire_of(error);
        let (code, class) = classify::wire(wire);
        Self {
            code,
            class,
            context: ErrorContext::GeneralTransport,
            what: format!("{}{}", sentence(wire), innermost(error)),
            retry_after: None,
        }
    }

    /// The error object (B-77), tied to the file being worked on.
    pub(super) fn into_info(self, file: &FileStatus, attempt: u32, at: Timestamp) -> ErrorInfo {
        self.into_info_of(Leg::Download, file, attempt, at)
    }

    /// The same for any direction (B-81).
    pub(super) fn into_info_of(self, leg: Leg, file: &FileStatus, attempt: u32, at: Timestamp) -> ErrorInfo {
        let remote = address::display_url(&file.remote);
        let verb = match (leg, self.context) {
            (Leg::Upload, ErrorContext::LocalFile) => format!("cannot read {}", file.local),
            (Leg::Upload, _) => format!("cannot send {} to {remote}", file.local),
            (Leg::Download, ErrorContext::LocalFile) => format!("cannot write {}", file.local),
            (Leg::Download, _) => format!("cannot fetch {remote}"),
            (Leg::Reply, ErrorContext::LocalFile) => "cannot write the reply".to_owned(),
            (Leg::Reply, _) => format!("cannot fetch the reply of {remote}"),
        };
        let description = format!("{verb}: {}", self.what);
        ErrorInfo {
            code: self.code,
            context: self.context,
            description,
            file: Some(FileRef {
                index: file.index,
                remote,
                local: file.local.clone(),
            }),
            protocol: address::protocol(&file.remote),
            leg: Some(leg),
            attempt,
            at,
            extended: None,
        }
    }

    /// How the run ended.
    pub(super) fn into_end(self, file: &FileStatus, attempt: u32, at: Timestamp) -> RunEnd {
        self.into_end_of(Leg::Download, file, attempt, at)
    }

    /// The same for any direction.
    pub(super) fn into_end_of(self, leg: Leg, file: &FileStatus, attempt: u32, at: Timestamp) -> RunEnd {
        let (class, retry_after) = (self.class, self.retry_after);
        let error = self.into_info_of(leg, file, attempt, at);
        match class {
            Class::Transient => RunEnd::Transient { error, retry_after },
            Class::Fatal => RunEnd::Fatal { error },
        }
    }
}

fn sentence(wire: Wire) -> &'static str {
    match wire {
        Wire::NameNotResolved => "the server's name could not be resolved",
        Wire::Refused => "the server refused the connection",
        Wire::NoRoute => "no network leads to the server",
        Wire::ProxyDenied => "the proxy answered 407",
        Wire::Unreachable => "the server could not be reached",
        Wire::TimedOut => "the server did not answer in time",
        Wire::Aborted => "the connection was cut",
        Wire::Cut => "the connection was closed before the end",
        Wire::Malformed => "the server's answer is not HTTP",
        Wire::Certificate => "the server's certificate was not accepted",
        Wire::ClientCertificate => "the server asks for a client certificate",
        Wire::TlsIncompatible => "no common version, cipher or protocol of TLS was found",
        Wire::Tls => "the secure connection failed",
    }
}

/// The cause at the bottom, in parentheses. It comes from the system, TLS or HTTP layer and names
/// neither URL nor credentials; it is capped and escaped as it may repeat what a server sent.
fn innermost(error: &reqwest::Error) -> String {
    let Some(cause) = causes(error).last() else {
        return String::new();
    };
    let text: String = cause
        .to_string()
        .chars()
        .take(200)
        .flat_map(char::escape_debug)
        .collect();
    format!(" ({text})")
}

type Cause<'e> = &'e (dyn std::error::Error + 'static);

/// The chain of causes from the outermost. An `io::Error` hides the error it wraps from `source()`,
/// and layers wrap one in another, so that is followed first.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = Cause<'_>> {
    std::iter::successors(error.source(), |cause| cause_of(*cause))
}

fn cause_of(error: Cause<'_>) -> Option<Cause<'_>> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

/// Finds what happened in the chain of causes.
fn wire_of(error: &reqwest::Error) -> Wire {
    if error.is_dns() {
        return Wire::NameNotResolved;
    }
    if causes(error).any(is_proxy_denial) {
        return Wire::ProxyDenied;
    }
    // Before the rest, as it comes inside an `io::Error` that says less.
    if let Some(tls) = causes(error).find_map(|cause| cause.downcast_ref()) {
        return wire_of_tls(tls);
    }
    let found = causes(error).find_map(|cause| {
        if let Some(io) = cause.downcast_ref() {
            return wire_of_io(io);
        }
        let http = cause.downcast_ref::<hyper::Error>()?;
        if http.is_parse() || http.is_parse_too_large() {
            Some(Wire::Malformed)
        } else {
            http.is_incomplete_message().then_some(Wire::Cut)
        }
    });
    match found {
        Some(wire) => wire,
        None if error.is_timeout() => Wire::TimedOut,
        None if error.is_connect() => Wire::Unreachable,
        None => Wire::Aborted,
    }
}

/// The layer that speaks to proxies keeps its errors to itself, all but their words.
fn is_proxy_denial(cause: Cause<'_>) -> bool {
    let denials = [
        "tunnel error: proxy authorization required",
        "SOCKS error: credentials not accepted",
        "SOCKS error: server does not support user/pass authentication",
    ];
    let text = cause.to_string();
    denials.contains(&text.as_str())
}

fn wire_of_io(error: &io::Error) -> Option<Wire> {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Some(Wire::Refused),
        io::ErrorKind::TimedOut => Some(Wire::TimedOut),
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
            Some(Wire::Aborted)
        }
        io::ErrorKind::UnexpectedEof => Some(Wire::Cut),
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => Some(Wire::NoRoute),
        io::ErrorKind::HostUnreachable => Some(Wire::Unreachable),
        // hyper's complaint about a chunk header.
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => Some(Wire::Malformed),
        _ => None,
    }
}

fn wire_of_tls(error: &rustls::Error) -> Wire {
    use rustls::AlertDescription as Alert;
    match error {
        rustls::Error::InvalidCertificate(_)
        | rustls::Error::NoCertificatesPresented
        | rustls::Error::UnsupportedNameType
        | rustls::Error::InvalidCertRevocationList(_) => Wire::Certificate,
        rustls::Error::AlertReceived(Alert::CertificateRequired) => Wire::ClientCertificate,
        rustls::Error::AlertReceived(
            Alert::HandshakeFailure
            | Alert::ProtocolVersion
            | Alert::InsufficientSecurity
            | Alert::NoApplicationProtocol
            | Alert::UnrecognisedName,
        )
        | rustls::Error::PeerIncompatible(_) => Wire::TlsIncompatible,
        _ => Wire::Tls,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b90_certificates_are_fatal_and_broken_records_are_not() {
        use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};
        let table = [
            (
                Error::InvalidCertificate(CertificateError::Expired),
                Wire::Certificate,
            ),
            (
                Error::InvalidCertificate(CertificateError::Revoked),
                Wire::Certificate,
            ),
            (
                Error::InvalidCertificate(CertificateError::UnknownIssuer),
                Wire::Certificate,
            ),
            (
                Error::AlertReceived(AlertDescription::CertificateRequired),
                Wire::ClientCertificate,
            ),
            (
                Error::AlertReceived(AlertDescription::HandshakeFailure),
                Wire::TlsIncompatible,
            ),
            (
                Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon),
                Wire::TlsIncompatible,
            ),
            (Error::DecryptError, Wire::Tls),
        ];
        for (error, wire) in table {
            assert_eq!(wire_of_tls(&error), wire, "{error}");
        }
    }
}
