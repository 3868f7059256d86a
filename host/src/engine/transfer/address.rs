//! Names: what may be asked for, which host it is, and how a URL is shown without its secrets.

use std::path::{Component, Path};

use rustix::fs::{Access, AtFlags, CWD};
use url::Url;

use super::target;
use crate::config::TransferConfig;
use crate::job::{Code, FileSpec};

/// Longest remote name, as in BITS (B-119).
const REMOTE_CHARS_MAX: usize = 2200;
/// Longest local path: `PATH_MAX` with its final NUL.
const LOCAL_BYTES_MAX: usize = 4095;
/// Words in the name of a query parameter whose value is not shown: signed URLs carry the right to
/// fetch in their query (`X-Amz-Signature`, `sig`, `access_token`…).
const SECRET_WORDS: [&str; 9] = [
    "sig", "token", "secret", "key", "pass", "pwd", "auth", "cred", "session",
];

/// What a remote name may begin with.
const SCHEMES: [&str; 6] = ["http", "https", "dav", "davs", "s3", "file"];

/// Whether a download of `spec` can be accepted, checked when it is submitted (B-119).
///
/// # Errors
/// The code and a sentence that says what is wrong with which name.
pub fn check_file(spec: &FileSpec, config: &TransferConfig) -> Result<(), (Code, String)> {
    check_remotes(spec, config)?;
    check_local(&spec.local)
}

/// Whether `spec` can be fetched from where it says (B-52, B-119); asks nothing of the file system.
///
/// # Errors
/// As [`check_file`].
pub fn check_remotes(spec: &FileSpec, config: &TransferConfig) -> Result<(), (Code, String)> {
    spec.plan.check()?;
    for remote in std::iter::once(&spec.remote).chain(&spec.plan.mirrors) {
        check_remote(remote, config)?;
        if remote.starts_with("file:") && !spec.plan.ranges.is_empty() {
            let why = "ranges of local files are not fetched (B-125)".to_owned();
            return Err((Code::NOTIMPL, why));
        }
    }
    Ok(())
}

/// Whether an upload of `spec` can be accepted: its file is there and can be read.
///
/// # Errors
/// As [`check_file`]; the system's number where the file is missing.
pub fn check_source(spec: &FileSpec, config: &TransferConfig) -> Result<(), (Code, String)> {
    check_remote(&spec.remote, config)?;
    if spec.remote.starts_with("file:") {
        let why = "files are sent to servers; to copy one on this machine, download it from its `file:` name";
        return Err((Code::NOTIMPL, why.to_owned()));
    }
    let local = &spec.local;
    let shown: String = local.chars().take(300).flat_map(char::escape_debug).collect();
    check_path(local)?;
    let meta = std::fs::metadata(local).map_err(|why| {
        let code = why.raw_os_error().map_or(Code::INVALIDARG, Code::errno);
        (code, format!("cannot send `{shown}`: {why}"))
    })?;
    if !meta.is_file() {
        return Err((Code::INVALIDARG, format!("`{shown}` is not a file")));
    }
    rustix::fs::accessat(CWD, Path::new(local), Access::READ_OK, AtFlags::EACCESS)
        .map_err(|why| (Code::ACCESSDENIED, format!("cannot read `{shown}`: {why}")))
}

/// Whether a reply can be put there.
///
/// # Errors
/// As [`check_file`].
pub fn check_reply(local: &str) -> Result<(), (Code, String)> {
    check_local(local)
}

/// A remote name as it may be logged, stored in an error and shown: no user name, no password, no
/// fragment, no values of query parameters that look like secrets.
#[must_use]
pub fn display_url(url: &str) -> String {
    Url::parse(url).map_or_else(|_| "(not a URL)".to_owned(), |url| redact(url).to_string())
}

fn redact(mut url: Url) -> Url {
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_fragment(None);
    let hide = |name: &str| {
        let name = name.to_ascii_lowercase();
        SECRET_WORDS.iter().any(|word| name.contains(word))
    };
    if let Some(query) = url.query() {
        let shown: Vec<String> = query
            .split('&')
            .map(|pair| match pair.split_once('=') {
                Some((name, _)) if hide(name) => format!("{name}=***"),
                _ => pair.to_owned(),
            })
            .collect();
        url.set_query(Some(&shown.join("&")));
    }
    url
}

/// The protocol an error names: `http` or `https`.
pub(super) fn protocol(url: &str) -> Option<String> {
    Url::parse(url).ok().map(|url| url.scheme().to_owned())
}

fn check_remote(remote: &str, config: &TransferConfig) -> Result<(), (Code, String)> {
    if remote.chars().count() > REMOTE_CHARS_MAX {
        let text = format!("the remote name is longer than {REMOTE_CHARS_MAX} characters");
        return Err((Code::STRING_TOO_LONG, text));
    }
    let url = Url::parse(remote).map_err(|why| {
        let shown: String = remote.chars().take(80).flat_map(char::escape_default).collect();
        let shown = if remote.contains('@') {
            "the remote name".to_owned()
        } else {
            format!("`{shown}`")
        };
        (Code::INVALIDARG, format!("{shown} is not a URL: {why}"))
    })?;
    if !SCHEMES.contains(&url.scheme()) {
        let text = format!("cannot use `{}`; spoken are {}", url.scheme(), SCHEMES.join(", "));
        return Err((Code::INVALIDARG, text));
    }
    target::check(&url, config).map_err(|why| (Code::INVALIDARG, why))?;
    if url.scheme() != "file" && url.host_str().is_none_or(str::is_empty) {
        return Err((Code::INVALIDARG, format!("{} names no host", redact(url))));
    }
    Ok(())
}

/// A path that means one place, wherever the host stands.
fn check_path(local: &str) -> Result<(), (Code, String)> {
    let shown: String = local.chars().take(300).flat_map(char::escape_debug).collect();
    let invalid = |why: &str| Err((Code::INVALIDARG, format!("`{shown}` {why}")));
    let path = Path::new(local);
    if local.len() > LOCAL_BYTES_MAX {
        let text = format!("the local path is longer than {LOCAL_BYTES_MAX} bytes");
        return Err((Code::STRING_TOO_LONG, text));
    }
    if !path.is_absolute() {
        return invalid("is not an absolute path");
    }
    if local.contains('\0') {
        return invalid("contains a NUL character");
    }
    if path.components().any(|part| part == Component::ParentDir) {
        return invalid("contains `..`");
    }
    Ok(())
}

fn check_local(local: &str) -> Result<(), (Code, String)> {
    check_path(local)?;
    let shown: String = local.chars().take(300).flat_map(char::escape_debug).collect();
    let invalid = |why: &str| Err((Code::INVALIDARG, format!("`{shown}` {why}")));
    let path = Path::new(local);
    if local.ends_with('/') || local.ends_with("/.") || path.is_dir() {
        return invalid("is a directory; name the file in it");
    }
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return invalid("names no file");
    };
    if name.len() > 255 {
        return invalid("has a name longer than 255 bytes");
    }
    if !directory.is_dir() {
        return invalid("lies in a directory that does not exist");
    }
    rustix::fs::accessat(
        CWD,
        directory,
        Access::WRITE_OK | Access::EXEC_OK,
        AtFlags::EACCESS,
    )
    .map_err(|why| {
        let text = format!("cannot write into {}: {why}", directory.display());
        (Code::ACCESSDENIED, text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(remote: &str, local: &str) -> Result<(), (Code, String)> {
        let config = crate::engine::transfer::tests::config();
        check_file(&FileSpec::new(remote, local), &config)
    }

    #[test]
    fn b119_names_are_checked_when_they_are_added() {
        let dir = tempfile::tempdir().unwrap();
        let good = dir.path().join("x").to_str().unwrap().to_owned();
        let inside = format!("{}/../x", dir.path().display());
        let missing = format!("{}/no/x", dir.path().display());
        let directory = dir.path().to_str().unwrap().to_owned();
        assert_eq!(checked("http://u:p@h/x?y", &good), Ok(()));
        assert_eq!(checked("https://münchen.example/x", &good), Ok(()));
        let long = format!("http://h/{}", "x".repeat(2200));
        let table = [
            ("ftp://h/x", good.as_str(), Code::INVALIDARG),
            ("file://elsewhere/etc/passwd", &good, Code::INVALIDARG),
            ("s3://unknown/key", &good, Code::INVALIDARG),
            ("no url", &good, Code::INVALIDARG),
            ("http://", &good, Code::INVALIDARG),
            (&long, &good, Code::STRING_TOO_LONG),
            ("http://h/x", "x", Code::INVALIDARG),
            ("http://h/x", "", Code::INVALIDARG),
            ("http://h/x", "/", Code::INVALIDARG),
            ("http://h/x", "/tmp/a\0b", Code::INVALIDARG),
            ("http://h/x", &inside, Code::INVALIDARG),
            ("http://h/x", &missing, Code::INVALIDARG),
            ("http://h/x", &directory, Code::INVALIDARG),
        ];
        for (remote, local, code) in table {
            let (found, text) = checked(remote, local).unwrap_err();
            assert_eq!(found, code, "{text}");
            assert!(!text.contains('\0'));
        }
    }

    #[test]
    fn a_refusal_does_not_repeat_a_password() {
        let (_, text) = checked("http://me:hunter2@ /x", "/tmp/x").unwrap_err();
        assert!(!text.contains("hunter2"), "{text}");
    }

    #[test]
    fn shown_urls_carry_no_credentials() {
        let shown = display_url("https://me:pw@h:8443/p?X-Amz-Signature=abc&part=2&access_token=t#frag");
        assert_eq!(
            shown,
            "https://h:8443/p?X-Amz-Signature=***&part=2&access_token=***"
        );
        assert_eq!(display_url("::"), "(not a URL)");
    }
}
