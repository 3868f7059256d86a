//! What an upload needs to go on in a later run, kept as JSON in [`FileStatus::session`].

use serde::{Deserialize, Serialize};

use super::source::Mark;
use super::tus::Algorithm;
use crate::job::{FileStatus, UploadProtocol};

/// An upload as far as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Session {
    /// The file as it was when it was first sent (B-93).
    pub(super) source: Mark,
    /// How it is sent, once that is settled: the server is not asked again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) way: Option<Way>,
    /// Most bytes of one request that the server was found to take (413).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) piece: Option<u64>,
    /// The reply, from the moment its download begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reply: Option<Box<FileStatus>>,
}

/// A protocol and where it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "protocol", rename_all = "kebab-case")]
pub(super) enum Way {
    /// One `PUT`.
    Put,
    /// One `POST`.
    Post,
    /// An object of a store, in parts.
    Multipart(MultipartWay),
    /// tus 1.0.
    Tus(TusWay),
    /// The upload protocol of BITS.
    Bits(BitsWay),
}

/// Where an upload by tus stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct TusWay {
    /// The upload, once it is created.
    pub(super) url: Option<String>,
    /// What the server checks pieces by.
    pub(super) checksum: Option<Algorithm>,
    /// The server lets an upload be ended.
    pub(super) terminates: bool,
}

/// Where an upload by the protocol of BITS stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct BitsWay {
    /// The server's name of the session.
    pub(super) id: Option<String>,
    /// Where the reply is.
    pub(super) reply_url: Option<String>,
    /// Close-Session was sent at least once.
    pub(super) closing: bool,
    /// The application behind the server refused the file with 403: it is not posted again (B-85).
    pub(super) refused: bool,
}

/// Where an object that is sent in parts stands. The parts themselves are not noted: the store says
/// which are there, and ten thousand names would be written anew with each of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct MultipartWay {
    /// The store's name of the upload.
    pub(super) id: Option<String>,
    /// Bytes of each part but the last.
    pub(super) part: u64,
    /// The store was told at least once that all parts are there.
    pub(super) finishing: bool,
}

impl Session {
    /// Nothing is sent yet.
    pub(super) fn new(source: Mark) -> Self {
        Self {
            source,
            way: None,
            piece: None,
            reply: None,
        }
    }

    /// What earlier runs left; words of another version count as none.
    pub(super) fn of(file: &FileStatus) -> Option<Self> {
        serde_json::from_str(file.session.as_deref()?).ok()
    }

    /// As it is kept.
    pub(super) fn words(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }
}

impl Way {
    /// Whether the submitter's choice allows it.
    pub(super) fn is_a(&self, protocol: UploadProtocol) -> bool {
        match self {
            _ if protocol == UploadProtocol::Auto => true,
            Self::Put => protocol == UploadProtocol::Put,
            Self::Post => protocol == UploadProtocol::Post,
            // Who asks for a `PUT` gets one.
            Self::Multipart(_) => false,
            Self::Tus(_) => protocol == UploadProtocol::Tus,
            Self::Bits(_) => protocol == UploadProtocol::Bits,
        }
    }
}
