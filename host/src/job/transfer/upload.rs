//! How files are sent, and where the reply goes.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::job::{Code, FileSpec, Job, JobId, JobKind, words};

words! {
    /// How a file is sent.
    UploadProtocol {
        /// The server is asked first: tus where it offers that, BITS where it announces that, else `PUT`.
        /// A large object of a store is sent in parts: resumed with those that are there.
        Auto = "auto",
        /// One `PUT`. Cannot be resumed: what was cut off is sent again from its first byte.
        Put = "put",
        /// One `POST`. Cannot be resumed either.
        Post = "post",
        /// tus 1.0: resumed where the server says it stands.
        Tus = "tus",
        /// The upload protocol of BITS, as IIS speaks it (B-134): resumed likewise.
        Bits = "bits",
    }
}

/// How files are sent, and where the reply goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UploadSpec {
    /// How.
    pub protocol: UploadProtocol,
    /// Absolute path of the reply; absent, [`reply_path`] makes one up (B-138).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply: Option<String>,
}

impl UploadSpec {
    /// Nothing said.
    pub const DEFAULT: Self = Self {
        protocol: UploadProtocol::Auto,
        reply: None,
    };

    /// Nothing was said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::DEFAULT
    }

    /// Whether a job of `kind` can have this and these files (B-42, B-66).
    ///
    /// # Errors
    /// The code and a sentence that says what is wrong.
    pub fn check(&self, kind: JobKind, files: &[FileSpec]) -> Result<(), (Code, String)> {
        if !kind.sends() {
            return if self.is_default() {
                Ok(())
            } else {
                let why = format!("a job of kind {kind} sends nothing: `upload` is for uploads");
                Err((Code::NOTIMPL, why))
            };
        }
        if files.len() > 1 {
            let why = format!("{} files; an upload has exactly one", files.len());
            return Err((Code::TOO_MANY_FILES, why));
        }
        if files.iter().any(|file| !file.plan.is_plain()) {
            let why = "the file of an upload is sent as it is: no ranges, mirrors, checksum or size";
            return Err((Code::INVALIDARG, why.to_owned()));
        }
        let store = files.iter().any(|file| file.remote.starts_with("s3:"));
        if store
            && (kind != JobKind::Upload
                || !matches!(self.protocol, UploadProtocol::Auto | UploadProtocol::Put))
        {
            let why = "an object store takes a file by `put`, and answers nothing";
            return Err((Code::NOTIMPL, why.to_owned()));
        }
        match (kind, self.protocol) {
            (JobKind::Upload, _) if self.reply.is_some() => {
                let why = "an upload has no reply; submit it as `upload-reply`";
                Err((Code::NOTIMPL, why.to_owned()))
            }
            (JobKind::UploadReply, UploadProtocol::Tus) => {
                let why = "tus brings no reply; use `put`, `post` or `bits`";
                Err((Code::NOTIMPL, why.to_owned()))
            }
            _ => Ok(()),
        }
    }
}

impl Default for UploadSpec {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// How much of the reply is here: the second progress of an upload-reply (B-08). A job has none until
/// the download of the reply begins, which tells the leg that failed (B-81).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyProgress {
    /// Its size, once the server told.
    pub bytes_total: Option<u64>,
    /// Durable bytes.
    pub bytes_transferred: u64,
}

/// Where the reply of `job` goes: where its submitter says, or beside the file that is sent, under a
/// name that follows from the job (B-138).
#[must_use]
pub fn reply_path(job: &Job, source: &str) -> String {
    match &job.spec.transfer().upload.reply {
        Some(path) => path.clone(),
        None => reply_beside(job.id, source),
    }
}

/// The last digits of a job's id are its random ones.
fn reply_beside(job: JobId, source: &str) -> String {
    let source = Path::new(source);
    let id = job.to_string();
    let random = id.get(id.len().saturating_sub(8)..).unwrap_or_default();
    let name = source.file_name().unwrap_or_default().to_string_lossy();
    // With what is added, and what a temporary name adds, it stays under the 255 bytes of a name.
    let mut end = name.len().min(180);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    let name = format!("{}.{random}.reply", name.get(..end).unwrap_or_default());
    source.with_file_name(name).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(protocol: UploadProtocol, reply: Option<&str>) -> UploadSpec {
        UploadSpec {
            protocol,
            reply: reply.map(str::to_owned),
        }
    }

    #[test]
    fn b66_an_upload_has_one_file_and_a_download_nothing_of_it() {
        let file = || FileSpec::new("http://h/x", "/x");
        let plain = UploadSpec::DEFAULT;
        let sized = {
            let mut file = file();
            file.plan.size = Some(1);
            file
        };
        let table = [
            (plain.clone(), JobKind::Upload, vec![file()], Ok(())),
            (plain.clone(), JobKind::Upload, vec![], Ok(())),
            (
                plain.clone(),
                JobKind::Upload,
                vec![file(), file()],
                Err(Code::TOO_MANY_FILES),
            ),
            (
                plain.clone(),
                JobKind::UploadReply,
                vec![file(), file()],
                Err(Code::TOO_MANY_FILES),
            ),
            (plain.clone(), JobKind::Download, vec![file(), file()], Ok(())),
            (plain, JobKind::Upload, vec![sized], Err(Code::INVALIDARG)),
            (
                spec(UploadProtocol::Put, None),
                JobKind::Download,
                vec![file()],
                Err(Code::NOTIMPL),
            ),
            (
                spec(UploadProtocol::Auto, Some("/r")),
                JobKind::Upload,
                vec![file()],
                Err(Code::NOTIMPL),
            ),
            (
                spec(UploadProtocol::Auto, Some("/r")),
                JobKind::UploadReply,
                vec![file()],
                Ok(()),
            ),
            (
                spec(UploadProtocol::Tus, None),
                JobKind::UploadReply,
                vec![file()],
                Err(Code::NOTIMPL),
            ),
        ];
        for (spec, kind, files, wanted) in table {
            let found = spec.check(kind, &files).map_err(|(code, _)| code);
            assert_eq!(found, wanted, "{kind} {spec:?}");
        }
    }

    #[test]
    fn b138_a_reply_without_a_name_lies_beside_its_source() {
        let id: JobId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        assert_eq!(reply_beside(id, "/d/in.xml"), "/d/in.xml.099a8057.reply");
        let long = reply_beside(id, &format!("/d/{}", "ü".repeat(127)));
        assert!(Path::new(&long).file_name().unwrap().len() <= 200);
    }
}
