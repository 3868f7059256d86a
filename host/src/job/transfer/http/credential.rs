//! Credentials (B-141). A password is never here: a job names the place where its host finds it.

use serde::{Deserialize, Serialize};

use super::invalid;
use crate::job::{Code, SecretRef};

/// B-141.
const USER_CHARS_MAX: usize = 300;

/// Who is shown who we are, how, and by what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// Whom it is shown to.
    #[serde(default)]
    pub target: AuthTarget,
    /// How it is shown.
    #[serde(default)]
    pub scheme: AuthScheme,
    /// Empty for a token.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// Where the password or token is to be found.
    pub password: SecretRef,
}

/// Whom a credential is shown to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthTarget {
    /// The servers that the job's files name.
    #[default]
    Server,
    /// The proxy.
    Proxy,
    /// No target that is known: refused by its code (E-27).
    #[serde(untagged)]
    Unknown(String),
}

/// How a credential is shown. All schemes of BITS have their word; those that need a Windows domain or
/// a service that is gone are refused by their code (E-28, BN-04).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthScheme {
    /// User and password as they are, with every request.
    #[default]
    Basic,
    /// A proof of the password, when asked for it. A proxy is asked to let https through before it can
    /// be shown one, so there it is of no use.
    Digest,
    /// A token, with every request.
    Bearer,
    /// Refused.
    Ntlm,
    /// Refused.
    Negotiate,
    /// Refused.
    Passport,
    /// Refused.
    #[serde(untagged)]
    Unknown(String),
}

pub(super) fn check(credentials: &[Credential]) -> Result<(), (Code, String)> {
    for (index, credential) in credentials.iter().enumerate() {
        check_one(credential)?;
        let others = credentials.iter().take(index);
        for other in others.filter(|other| other.target == credential.target) {
            // Both would be sent unasked, and a request has room for one.
            let both_unasked = ![&other.scheme, &credential.scheme].contains(&&AuthScheme::Digest);
            if both_unasked || other.scheme == credential.scheme {
                return invalid("two credentials for one target exclude each other");
            }
        }
    }
    Ok(())
}

fn check_one(credential: &Credential) -> Result<(), (Code, String)> {
    if matches!(credential.target, AuthTarget::Unknown(_)) {
        let why = "credentials are for the target `server` or `proxy`";
        return Err((Code::INVALID_AUTH_TARGET, why.to_owned()));
    }
    let named = match credential.scheme {
        AuthScheme::Basic | AuthScheme::Digest => true,
        AuthScheme::Bearer => false,
        _ => {
            let why = "credentials are shown by the scheme `basic`, `digest` or `bearer`; `ntlm`, \
                `negotiate` and `passport` are not supported";
            return Err((Code::INVALID_AUTH_SCHEME, why.to_owned()));
        }
    };
    let user = &credential.user;
    if user.chars().count() > USER_CHARS_MAX {
        let why = format!("the user name is longer than {USER_CHARS_MAX} characters");
        return Err((Code::USERNAME_TOO_LARGE, why));
    }
    if named == user.is_empty() {
        return invalid("`basic` and `digest` need a user name, `bearer` has none");
    }
    if user.chars().any(char::is_control) || (credential.scheme == AuthScheme::Basic && user.contains(':')) {
        return invalid("the user name has a control character, or a `:` that ends it for `basic`");
    }
    credential.password.check("the password")
}
