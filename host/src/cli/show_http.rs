//! How servers are spoken to, as people read it.

use crate::api::view::{AuthScheme, AuthTarget, HttpSpec, StatusClass};

/// What a job says beyond the usual, one line for each word.
pub(super) fn fields(http: &HttpSpec) -> Vec<(&'static str, String)> {
    let mut fields = Vec::new();
    let ignored = http.tls.ignored();
    if !ignored.is_empty() {
        let what = ignored.join(", ");
        fields.push((
            "WARNING",
            format!("certificates are not checked in full: {what} may be wrong"),
        ));
    }
    for header in &http.headers {
        let secret = header
            .secret
            .as_ref()
            .map(|secret| format!("({})", secret.as_str()));
        let value = header.value.clone().or(secret).unwrap_or_default();
        fields.push(("header", format!("{}: {value}", header.name)));
    }
    for credential in &http.credentials {
        let target = match &credential.target {
            AuthTarget::Server => "server",
            AuthTarget::Proxy => "proxy",
            AuthTarget::Unknown(word) => word,
        };
        let scheme = match &credential.scheme {
            AuthScheme::Digest => "digest",
            AuthScheme::Bearer => "bearer",
            _ => "basic",
        };
        let who = match credential.user.as_str() {
            "" => "a token",
            user => user,
        };
        let place = credential.password.as_str();
        fields.push(("credential", format!("{target}, {scheme}: {who} ({place})")));
    }
    if !http.proxy.is_default() {
        fields.push(("proxy", http.proxy.as_words().to_owned()));
        if !http.proxy.bypass.is_empty() {
            fields.push(("no proxy for", http.proxy.bypass.clone()));
        }
    }
    for (label, values) in [("authority", &http.tls.authorities), ("pin", &http.tls.pins)] {
        fields.extend(values.iter().map(|value| (label, value.clone())));
    }
    if let Some(certificate) = &http.tls.certificate {
        fields.push(("certificate", certificate.clone()));
    }
    if !http.redirects_are_plain() {
        let down = if http.https_to_http { ", also to http" } else { "" };
        fields.push(("redirects", format!("{}{down}", http.redirects.as_str())));
    }
    if let Some(method) = http.own_method() {
        fields.push(("method", method.to_owned()));
    }
    if http.dynamic {
        fields.push(("content", "made while it is sent (dynamic)".to_owned()));
    }
    for (status, class) in &http.classes {
        let class = match class {
            StatusClass::Transient => "transient",
            StatusClass::Fatal => "fatal",
        };
        fields.push(("status", format!("{status} is {class}")));
    }
    fields
}
