//! Where a secret is to be found. The secret itself is never in a job, a configuration or the store.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Code;

/// Where a secret is to be found when it is needed: `env:NAME`, `file:/PATH` or `credential:NAME`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretRef(String);

/// What a [`SecretRef`] names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretSource<'a> {
    /// A variable of the host's environment.
    Variable(&'a str),
    /// A file, without its last line break.
    File(&'a Path),
    /// A file below `$CREDENTIALS_DIRECTORY`, which is what systemd calls a credential.
    Credential(&'a str),
}

impl SecretRef {
    /// Longest secret (B-141; the documents disagree about one more, BX-03).
    pub const SECRET_CHARS_MAX: usize = 65_535;

    /// A reference as it is written; [`SecretRef::source`] says whether it is one.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it names; nothing if it is no reference.
    #[must_use]
    pub fn source(&self) -> Option<SecretSource<'_>> {
        let plain = |text: &str| !text.is_empty() && !text.chars().any(char::is_control);
        let (kind, rest) = self.0.split_once(':')?;
        let source = match kind {
            // `env:$NAME` is somebody who thinks of a shell.
            "env" if !rest.contains(['=', ' ', '$']) => SecretSource::Variable(rest),
            "file" if rest.starts_with('/') => SecretSource::File(Path::new(rest)),
            "credential" if !rest.contains('/') && !matches!(rest, "." | "..") => {
                SecretSource::Credential(rest)
            }
            _ => return None,
        };
        plain(rest).then_some(source)
    }

    /// Whether it is a reference. What is none may be the secret itself, so it is not repeated.
    ///
    /// # Errors
    /// The code and a sentence that says what is right.
    pub fn check(&self, what: &str) -> Result<(), (Code, String)> {
        match self.source() {
            _ if self.0.chars().count() > Self::SECRET_CHARS_MAX => {
                let why = format!("{what} is longer than {} characters", Self::SECRET_CHARS_MAX);
                Err((Code::PASSWORD_TOO_LARGE, why))
            }
            Some(_) => Ok(()),
            None => {
                let why = format!(
                    "{what} has to name where its secret is: `env:NAME`, `file:/PATH` or `credential:NAME`"
                );
                Err((Code::INVALIDARG, why))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_says_where_and_nothing_else_is_one() {
        for (text, expected) in [
            ("env:TOKEN", Some(SecretSource::Variable("TOKEN"))),
            ("file:/run/t", Some(SecretSource::File(Path::new("/run/t")))),
            ("credential:t", Some(SecretSource::Credential("t"))),
            ("env:", None),
            ("env:$TOKEN", None),
            ("env:A=b", None),
            ("env:A B", None),
            ("file:relative", None),
            ("file:/a\nb", None),
            ("credential:../t", None),
            ("credential:..", None),
            ("hunter2", None),
        ] {
            let reference = SecretRef::new(text);
            assert_eq!(reference.source(), expected, "{text}");
            let refused = reference.check("the key").err();
            assert_eq!(refused.is_none(), expected.is_some());
            assert!(refused.is_none_or(|(_, why)| !why.contains("hunter2")), "{text}");
        }
    }
}
