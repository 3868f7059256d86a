//! Checks `[transfer.s3.BUCKET]`: where a bucket is and whose keys open it.

use std::path::PathBuf;
use std::str::FromStr;
use std::{env, fmt, fs};

use url::Url;

use super::check::Check;
use super::error::Fault;
use super::raw::RawS3;
use super::value::At;
use super::{S3Config, S3Keys};

/// Longest secret that is read from a file: none is as long, and a wrong path may be a disk image.
const SECRET_BYTES_MAX: u64 = 16 << 10;

/// Where a secret is, so that the configuration itself holds none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretRef {
    /// `env:NAME`, a variable of the host's environment.
    Env(String),
    /// `file:PATH`, a file that holds nothing else.
    File(PathBuf),
}

impl SecretRef {
    /// The secret as it is now. Blocks.
    ///
    /// # Errors
    /// A sentence without the secret.
    pub fn read(&self) -> Result<String, String> {
        use std::io::Read;
        let text = match self {
            Self::Env(name) => {
                env::var(name).map_err(|_| format!("the environment variable {name} is not set"))?
            }
            Self::File(path) => {
                let mut text = String::new();
                fs::File::open(path)
                    .and_then(|file| file.take(SECRET_BYTES_MAX).read_to_string(&mut text))
                    .map_err(|why| format!("{} cannot be read: {why}", path.display()))?;
                text
            }
        };
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            return Err(format!("{self} is empty"));
        }
        Ok(text.to_owned())
    }
}

impl FromStr for SecretRef {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() && !name.contains(['=', '\0', ' ', '$']) => {
                Ok(Self::Env(name.to_owned()))
            }
            Some(("file", path)) if path.starts_with('/') && !path.contains('\0') => {
                Ok(Self::File(path.into()))
            }
            _ => Err("a secret is written as \"env:NAME\" or \"file:/absolute/path\""),
        }
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(out, "env:{name}"),
            Self::File(path) => write!(out, "file:{}", path.display()),
        }
    }
}

/// One bucket's table; `None` when it has faults, which are reported.
pub(super) fn bucket(check: &mut Check<'_, '_>, name: &str, raw: &At<RawS3>) -> Option<S3Config> {
    let key = format!("transfer.s3.{name}");
    let Some(written) = &raw.value.endpoint else {
        let fault = Fault::new(format!("the bucket `{name}` has no endpoint"))
            .hint("write endpoint = \"https://s3.eu-west-1.amazonaws.com\" or your own server");
        check.report.add(&raw.span, &key, fault);
        return None;
    };
    let url = Url::parse(&written.value)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.host_str().is_some());
    let Some(endpoint) = url.filter(|url| url.username().is_empty() && url.query().is_none()) else {
        let fault = Fault::new(format!("`{}` is not an endpoint", written.value)).expected(
            "an http or https URL without user and query, such as \"https://s3.eu-west-1.amazonaws.com\"",
        );
        check.report.add(&written.span, &format!("{key}.endpoint"), fault);
        return None;
    };
    let mut secret = |field: &str, at: &Option<At<String>>| {
        let at = at.as_ref()?;
        let parsed = at.value.parse();
        if parsed.is_err() {
            // What stands there may be the secret itself, so it is not repeated.
            let fault = Fault::new(format!("`{field}` is no reference to a secret"))
                .expected("\"env:NAME\" or \"file:/absolute/path\"; the secret itself does not belong here");
            check.report.add(&at.span, &format!("{key}.{field}"), fault);
        }
        parsed.ok()
    };
    let access_key = secret("access_key", &raw.value.access_key);
    let secret_key = secret("secret_key", &raw.value.secret_key);
    let session_token = secret("session_token", &raw.value.session_token);
    let keys = match (access_key, secret_key) {
        (Some(access_key), Some(secret_key)) => Some(S3Keys {
            access_key,
            secret_key,
            session_token,
        }),
        _ => None,
    };
    let (one, other) = (&raw.value.access_key, &raw.value.secret_key);
    if one.is_some() != other.is_some() || (one.is_none() && raw.value.session_token.is_some()) {
        let fault = Fault::new("`access_key` and `secret_key` belong together");
        check.report.add(&raw.span, &key, fault);
    }
    Some(S3Config {
        endpoint,
        region: raw.value.region.clone().unwrap_or_else(|| "us-east-1".to_owned()),
        path_style: raw.value.path_style.unwrap_or(false),
        keys,
    })
}
