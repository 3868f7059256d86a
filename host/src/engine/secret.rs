//! Secrets, read where a job or the configuration says they are when a run needs them
//! (B-141). What they are is told to nobody: errors name the reference.

use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::job::{Code, SecretRef, SecretSource};

/// Where systemd puts the credentials of a service.
const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";
/// A secret of [`SecretRef::SECRET_CHARS_MAX`] characters has at most four times as many bytes.
const SECRET_BYTES_MAX: u64 = 4 * SecretRef::SECRET_CHARS_MAX as u64;

/// Reads a secret. It may read a file, so it is not for the async threads.
///
/// # Errors
/// `BG_E_INVALID_CREDENTIALS` where nothing is found (B-96), and a sentence that names the reference.
pub(super) fn read(reference: &SecretRef) -> Result<String, (Code, String)> {
    let missing = |why: String| Err((Code::INVALID_CREDENTIALS, why));
    let found = match reference.source() {
        Some(SecretSource::Variable(name)) => {
            std::env::var(name).map_err(|why| io::Error::other(why_variable(&why)))
        }
        Some(SecretSource::File(path)) => from_file(path),
        Some(SecretSource::Credential(name)) => match std::env::var_os(CREDENTIALS_DIRECTORY) {
            Some(directory) => from_file(&PathBuf::from(directory).join(name)),
            None => Err(io::Error::other("$CREDENTIALS_DIRECTORY is not set")),
        },
        None => return missing("a secret is not named as one is".to_owned()),
    };
    let secret = match found {
        Ok(secret) => secret,
        Err(why) => return missing(format!("the secret `{}`: {why}", reference.as_str())),
    };
    if secret.chars().count() > SecretRef::SECRET_CHARS_MAX {
        let what = format!(
            "the secret `{}` is longer than {} characters",
            reference.as_str(),
            SecretRef::SECRET_CHARS_MAX
        );
        return Err((Code::PASSWORD_TOO_LARGE, what));
    }
    if secret.is_empty() || secret.chars().any(char::is_control) {
        return missing(format!(
            "the secret `{}` is empty or not one line of text",
            reference.as_str()
        ));
    }
    Ok(secret)
}

/// `VarError` repeats a value that is not text.
fn why_variable(why: &std::env::VarError) -> &'static str {
    match why {
        std::env::VarError::NotPresent => "the host has no such variable",
        std::env::VarError::NotUnicode(_) => "the variable is not text",
    }
}

fn from_file(path: &Path) -> io::Result<String> {
    // Opening a pipe would wait for whoever writes into it, and what is looked at before it is opened may
    // be another thing by then.
    let mut open = std::fs::File::options();
    let file = open.read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut bytes = Vec::new();
    // With a line break, and a character more by which it is seen to be too long.
    file.take(SECRET_BYTES_MAX + 6).read_to_end(&mut bytes)?;
    let text = if bytes.len() as u64 > SECRET_BYTES_MAX + 2 {
        String::from_utf8_lossy(&bytes).into_owned()
    } else {
        String::from_utf8(bytes).map_err(|_| io::Error::other("it is not text"))?
    };
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: String) -> Result<String, (Code, String)> {
        read(&SecretRef::new(text))
    }

    #[test]
    fn bx03_a_password_has_65535_characters_at_most() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let reference = format!("file:{}", path.display());
        for (chars, good) in [(65_535, true), (65_536, false)] {
            // A character of four bytes: characters are counted.
            std::fs::write(&path, "\u{1F511}".repeat(chars)).unwrap();
            let found = of(reference.clone());
            if good {
                assert_eq!(found.unwrap().chars().count(), chars);
            } else {
                assert_eq!(found.unwrap_err().0, Code(0x8020_0026));
            }
        }
    }

    #[test]
    fn b96_what_is_not_found_is_named_and_never_shown() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, content).unwrap();
            format!("file:{}", path.display())
        };
        assert_eq!(of(file("good", "hunter2\r\n")).unwrap(), "hunter2");
        let pipe = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        for reference in [
            // Nobody ever writes into it.
            format!("file:{}", pipe.display()),
            "env:SEXTON_NO_SUCH_VARIABLE".to_owned(),
            "credential:none".to_owned(),
            "file:/no/such/file".to_owned(),
            format!("file:{}", dir.path().display()),
            file("lines", "hunter2\nhunter2\n"),
            file("empty", "\n"),
        ] {
            let (code, why) = of(reference.clone()).unwrap_err();
            assert_eq!(code, Code(0x8020_0040));
            assert!(why.contains(&reference) && !why.contains("hunter2"), "{why}");
        }
    }
}
