//! Checks `[transfer.s3.BUCKET]`: where a bucket is and whose keys open it.

use url::Url;

use super::check::Check;
use super::error::Fault;
use super::raw::RawS3;
use super::value::At;
use super::{S3Config, S3Keys};
use crate::job::SecretRef;

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
        let reference = SecretRef::new(at.value.as_str());
        if let Err((_, why)) = reference.check(&format!("`{field}`")) {
            let fault = Fault::new(why).hint("the secret itself does not belong here");
            check.report.add(&at.span, &format!("{key}.{field}"), fault);
            return None;
        }
        Some(reference)
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
