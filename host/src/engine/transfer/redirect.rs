//! Where an answer sends a request to, and whether it goes there (B-145).

use http::header::LOCATION;
use http::{HeaderMap, Method};
use url::Url;

use super::address;
use super::classify::Class;
use super::fault::Fault;
use crate::job::{Code, ErrorContext, Redirects};

/// Redirects that are followed (B-145). Ten is what browsers and curl's users settled near; more is
/// a loop.
const HOPS_MAX: u32 = 10;
/// Longest name that is followed: more than any server takes.
const TARGET_BYTES_MAX: usize = 8 << 10;
/// Most characters of a redirect's target that are repeated: a server may send a header full.
const SHOWN_CHARS_MAX: usize = 200;

/// The rules of one job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) redirects: Redirects,
    pub(super) https_to_http: bool,
}

/// A request that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hop {
    pub(super) url: Url,
    pub(super) method: Method,
    /// The answers so far were all of the origin that was asked first: what opens its doors may be
    /// shown.
    pub(super) own: bool,
    /// The request goes on without its body.
    pub(super) bare: bool,
    count: u32,
}

impl Hop {
    pub(super) fn first(url: Url, method: Method) -> Self {
        Self {
            url,
            method,
            own: true,
            bare: false,
            count: 0,
        }
    }

    /// Whether it was redirected at all.
    pub(super) fn moved(&self) -> bool {
        self.count > 0
    }

    /// Where the answer sends it; nowhere if it is no redirect, or one that leads to no place.
    ///
    /// # Errors
    /// When it may not go there: fatal, with the status of the redirect.
    pub(super) fn next(
        &self,
        status: u16,
        headers: &HeaderMap,
        rules: Rules,
        body: bool,
    ) -> Result<Option<Self>, Fault> {
        let Some(method) = self.method_after(status, body) else {
            return Ok(None);
        };
        let Some(location) = headers.get(LOCATION) else {
            return Ok(None);
        };
        if rules.redirects == Redirects::Disallow {
            return Err(refused(status, "redirects are not allowed to this job"));
        }
        if location.len() > TARGET_BYTES_MAX {
            let why = format!("redirected to a name longer than {TARGET_BYTES_MAX} bytes");
            return Err(refused(status, &why));
        }
        let target = std::str::from_utf8(location.as_bytes()).ok();
        let Some(mut url) = target.and_then(|target| self.url.join(target).ok()) else {
            return Ok(None);
        };
        // A server does not say by which name we are known to another one.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        self.may_go(&url, rules).map_err(|why| refused(status, &why))?;
        Ok(Some(Self {
            own: self.own && url.origin() == self.url.origin(),
            bare: self.bare || method != self.method,
            url,
            method,
            count: self.count + 1,
        }))
    }

    /// The method behind a redirect; none if it is not followed. A body that was sent is for the place
    /// it was sent to, unless the server asks to have it elsewhere (307, 308).
    fn method_after(&self, status: u16, body: bool) -> Option<Method> {
        match status {
            307 | 308 => Some(self.method.clone()),
            301..=303 if body => None,
            303 => Some(Method::GET),
            301 | 302 if self.method == Method::POST => Some(Method::GET),
            301 | 302 => Some(self.method.clone()),
            _ => None,
        }
    }

    fn may_go(&self, url: &Url, rules: Rules) -> Result<(), String> {
        if self.count >= HOPS_MAX {
            return Err(format!("redirected more than {HOPS_MAX} times"));
        }
        if !matches!(url.scheme(), "http" | "https") {
            let scheme = capped(url.scheme());
            return Err(format!("redirected to `{scheme}`, which is not spoken"));
        }
        if self.url.scheme() == "https" && url.scheme() == "http" && !rules.https_to_http {
            let shown = capped(&address::display_url(url.as_str()));
            return Err(format!("redirected from https to {shown}, which is not secure"));
        }
        Ok(())
    }
}

fn refused(status: u16, why: &str) -> Fault {
    Fault {
        code: Code::http(status),
        class: Class::Fatal,
        context: ErrorContext::RemoteFile,
        what: format!("the server answered {status} and {why}"),
        retry_after: None,
    }
}

fn capped(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).collect()
}
