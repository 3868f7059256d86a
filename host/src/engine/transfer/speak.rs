//! How one run of a job speaks to servers: every request of a transfer goes through [`Speaker::send`],
//! whatever it fetches or sends.
//!
//! ```text
//! make ─► headers ─► credentials ─► send ─► challenge? ─► answered, sent again
//!   ▲                                        redirect?  ─► there, without what is not meant for there
//!   └────────────────────────────────────────────┘      ─► the answer
//! ```
//! A request is made anew for each try, so that a body can be read from its file again.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use http::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION,
    WWW_AUTHENTICATE,
};
use http::{HeaderName, HeaderValue, Method};
use reqwest::{Client, Request, RequestBuilder, Response};
use url::{Origin, Position, Url};

use super::classify::Class;
use super::client::Purpose;
use super::clients::Clients;
use super::fault::Fault;
use super::lanes::{Lane, Lanes};
use super::proof::{Proof, Tries};
use super::redirect::{Hop, Rules};
use super::tls::Material;
use super::{disk, secret, target};
use crate::engine::RunEnd;
use crate::job::{
    AuthTarget, ErrorContext, FileStatus, Header, HttpSpec, Job, Redirects, StatusClass, Timestamp,
};

/// What is read of the body of a refusal, so that its connection can carry the answer.
const REFUSAL_BYTES_MAX: usize = 64 << 10;

/// How one run of a job speaks to servers. Secrets live in it, and only as long as the run.
pub(super) struct Speaker {
    clients: Arc<Clients>,
    lanes: Lanes,
    proxy: Proof,
    lines: Vec<Line>,
    server: Proof,
    /// Of the files' remote names: what opens doors is for these alone. Mirrors are not among them.
    origins: HashSet<Origin>,
    secrets: bool,
    rules: Rules,
    /// Whether redirects are followed at all: a file that is sent goes to nobody else than who was
    /// named.
    follows: bool,
    method: Method,
    anew: bool,
    classes: BTreeMap<u16, StatusClass>,
}

/// A header of the job as it is sent.
struct Line {
    name: HeaderName,
    value: HeaderValue,
    /// Only for the servers that the job's files name.
    secret: bool,
}

impl Line {
    /// Whether it goes with a request that is still where it began (`own`), and there is trusted. The
    /// name that a server goes by is no other server's.
    fn goes(&self, own: bool, trusted: bool) -> bool {
        (!self.secret || (own && trusted)) && (own || self.name != HOST)
    }
}

impl fmt::Debug for Speaker {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Speaker").finish_non_exhaustive()
    }
}

impl Speaker {
    /// The speaker of a run of `job`.
    ///
    /// # Errors
    /// How the run ends if a secret cannot be had, or a list not be understood.
    pub(super) async fn of(
        clients: &Arc<Clients>,
        job: &Job,
        files: &[FileStatus],
        now: Timestamp,
    ) -> Result<Self, RunEnd> {
        let http = &job.spec.transfer().http;
        let ignored = http.tls.ignored();
        if !ignored.is_empty() {
            let what = ignored.join(", ");
            tracing::warn!(job = %job.id, "INSECURE: certificates are not checked in full, {what} may be wrong");
        }
        match (Self::new(clients, http, files).await, files.first()) {
            (Ok(speaker), _) => Ok(speaker),
            (Err(fault), Some(file)) => Err(fault.into_end(file, job.attempt, now)),
            // A job without files speaks to nobody.
            (Err(_), None) => Err(RunEnd::Finished),
        }
    }

    /// What `http` says, its secrets read, for a run of a job with these files.
    ///
    /// # Errors
    /// When a secret cannot be had.
    pub(super) async fn new(
        clients: &Arc<Clients>,
        http: &HttpSpec,
        files: &[FileStatus],
    ) -> Result<Self, Fault> {
        let secrets = http.has_secrets();
        let read = if secrets || !http.tls.is_default() {
            let http = http.clone();
            disk::off_thread(move || Read::of(&http)).await?
        } else {
            Read::of(http)?
        };
        let lanes = Lanes::new(&http.proxy, clients, &read.proxy, read.tls)?;
        let origins = if secrets {
            let urls = files
                .iter()
                .filter_map(|file| Url::parse(&target::spoken(&file.remote)).ok());
            urls.map(|url| url.origin()).collect()
        } else {
            HashSet::new()
        };
        let method = http
            .own_method()
            .map(|method| Method::from_bytes(method.as_bytes()));
        Ok(Self {
            clients: Arc::clone(clients),
            lanes,
            proxy: read.proxy,
            lines: read.lines,
            server: read.server,
            origins,
            secrets,
            rules: Rules {
                redirects: http.redirects,
                https_to_http: http.https_to_http,
            },
            follows: clients.purpose() == Purpose::Fetching,
            method: method.and_then(Result::ok).unwrap_or(Method::GET),
            anew: http.begins_anew(),
            classes: http.classes.clone(),
        })
    }

    /// The client that requests are made with, whichever sends them.
    pub(super) fn client(&self) -> &Client {
        self.clients.shared()
    }

    /// The method of downloads (B-144).
    pub(super) fn method(&self) -> Method {
        self.method.clone()
    }

    /// Whether an interrupted file is begun anew whatever its server can do (B-128, B-144).
    pub(super) fn begins_anew(&self) -> bool {
        self.anew
    }

    /// Sends what `make` makes: with the job's headers and credentials, challenges answered and
    /// redirects followed. `make` is called for every try.
    ///
    /// # Errors
    /// What kept the last try from being answered, and redirects that may not be followed.
    pub(super) async fn send(&self, make: impl Fn(&Client) -> RequestBuilder) -> Result<Response, Fault> {
        self.converse(make, self.secrets).await
    }

    /// Sends what brings its own right to be answered, such as a signature: as [`Speaker::send`], but no
    /// secret of the job goes with it, whosever server it is.
    ///
    /// # Errors
    /// As of [`Speaker::send`].
    pub(super) async fn send_bare(
        &self,
        make: impl Fn(&Client) -> RequestBuilder,
    ) -> Result<Response, Fault> {
        self.converse(make, false).await
    }

    async fn converse(
        &self,
        make: impl Fn(&Client) -> RequestBuilder,
        secrets: bool,
    ) -> Result<Response, Fault> {
        let maker = self.clients.shared();
        let first = built(&make, maker)?;
        let trusted = secrets && self.origins.contains(&first.url().origin());
        let mut hop = Hop::first(first.url().clone(), first.method().clone());
        let mut tries = AllTries::default();
        let mut ready = Some(first);
        loop {
            let request = match ready.take() {
                Some(request) => request,
                None => built(&make, maker)?,
            };
            let body = request.body().is_some() && !hop.bare;
            let lane = self.lanes.lane(&hop.url);
            let request = self.dressed(request, &hop, trusted, lane, &tries);
            let client = lane.client(&self.clients, &self.lanes).await?;
            let answer = match client.execute(request).await {
                Ok(answer) => answer,
                Err(why) => match self.lanes.after(lane, &why) {
                    None => continue,
                    Some(fault) => return Err(fault),
                },
            };
            if self.heard(&answer, &hop, trusted && hop.own, lane, &mut tries) {
                drain(answer).await;
                continue;
            }
            if !self.follows {
                return Ok(answer);
            }
            let status = answer.status().as_u16();
            match hop.next(status, answer.headers(), self.rules, body)? {
                None => return Ok(answer),
                Some(next) => (hop, tries) = (next, AllTries::default()),
            }
        }
    }

    /// Whether an answer is a challenge to which the next try has another answer.
    fn heard(&self, answer: &Response, hop: &Hop, own: bool, lane: &Lane, tries: &mut AllTries) -> bool {
        let (url, headers) = (&hop.url, answer.headers());
        match answer.status().as_u16() {
            401 if own => self
                .server
                .hears(url, headers, &WWW_AUTHENTICATE, &mut tries.server),
            407 => lane.forwards(url).is_some_and(|proxy| {
                let tries = &mut tries.proxy;
                self.proxy.hears(proxy, headers, &PROXY_AUTHENTICATE, tries)
            }),
            _ => false,
        }
    }

    fn dressed(
        &self,
        mut request: Request,
        hop: &Hop,
        trusted: bool,
        lane: &Lane,
        tries: &AllTries,
    ) -> Request {
        let own = hop.own && trusted;
        if hop.moved() {
            *request.url_mut() = hop.url.clone();
            *request.method_mut() = hop.method.clone();
        }
        if hop.bare {
            *request.body_mut() = None;
            request.headers_mut().remove(CONTENT_TYPE);
            request.headers_mut().remove(CONTENT_LENGTH);
        }
        if !hop.own {
            for name in [AUTHORIZATION, COOKIE, HOST] {
                request.headers_mut().remove(name);
            }
        }
        let mut before = None;
        for line in self.lines.iter().filter(|line| line.goes(hop.own, trusted)) {
            // The first of a name takes the place of what a transfer says by itself.
            if before == Some(&line.name) {
                request.headers_mut().append(&line.name, line.value.clone());
            } else {
                request.headers_mut().insert(&line.name, line.value.clone());
            }
            before = Some(&line.name);
        }
        if own {
            let uri = &hop.url[Position::BeforePath..Position::AfterQuery];
            if let Some(value) = self.server.show(&hop.url, &hop.method, uri, &tries.server) {
                request.headers_mut().insert(AUTHORIZATION, value);
            }
        }
        if let Some(proxy) = lane.forwards(&hop.url)
            && let Some(value) = self
                .proxy
                .show(proxy, &hop.method, hop.url.as_str(), &tries.proxy)
        {
            request.headers_mut().insert(PROXY_AUTHORIZATION, value);
        }
        request
    }

    /// The remote name of a file that was redirected, where the job wants it reported (B-145). The name
    /// of another server would have the job's secrets sent there by the next run, so a job that has any
    /// keeps the name it was given.
    pub(super) fn reported(&self, remote: &str, answered: &Url) -> Option<String> {
        if self.rules.redirects != Redirects::Report {
            return None;
        }
        let before = Url::parse(remote).ok()?;
        let mut after = answered.clone();
        let secret = self.secrets || !before.username().is_empty() || before.password().is_some();
        if secret && before.origin() != after.origin() {
            return None;
        }
        let _ = after.set_username(before.username());
        let _ = after.set_password(before.password());
        (after != before).then(|| after.into())
    }

    /// Whether a fault leaves open if the server did what the method asks, which must not be asked
    /// again then, of nobody (B-144).
    pub(super) fn asks_once(&self, fault: &Fault) -> bool {
        fault.context == ErrorContext::GeneralTransport && self.method != Method::GET
    }

    /// What a fault means to this job: its own classes of statuses (B-82…B-85), and the network errors
    /// of a method that must not be repeated unasked (B-144).
    pub(super) fn weigh(&self, mut fault: Fault) -> Fault {
        let status = fault.code.http_status();
        match status.and_then(|status| self.classes.get(&status)) {
            Some(StatusClass::Transient) => fault.class = Class::Transient,
            Some(StatusClass::Fatal) => fault.class = Class::Fatal,
            None => {}
        }
        if self.asks_once(&fault) {
            fault.class = Class::Fatal;
        }
        let proof = match status {
            Some(401) => &self.server,
            Some(407) => &self.proxy,
            _ => return fault,
        };
        fault.what.push_str(if proof.is_empty() {
            "; the job has no credentials for it"
        } else {
            "; the job's credentials were not accepted"
        });
        fault
    }
}

/// What was tried for one request, with both who may ask.
#[derive(Debug, Default)]
struct AllTries {
    server: Tries,
    proxy: Tries,
}

/// What stands in files and variables.
struct Read {
    lines: Vec<Line>,
    server: Proof,
    proxy: Proof,
    tls: Option<Material>,
}

impl Read {
    fn of(http: &HttpSpec) -> Result<Self, Fault> {
        let lines: Result<Vec<Line>, Fault> = http.headers.iter().map(Line::read).collect();
        let mut lines = lines?;
        // Those of one name stand together, in their order.
        lines.sort_by(|one, other| one.name.as_str().cmp(other.name.as_str()));
        let own_tls = !http.tls.is_default();
        Ok(Self {
            lines,
            server: Proof::read(&http.credentials, &AuthTarget::Server)?,
            proxy: Proof::read(&http.credentials, &AuthTarget::Proxy)?,
            tls: own_tls.then(|| Material::read(&http.tls)).transpose()?,
        })
    }
}

impl Line {
    fn read(header: &Header) -> Result<Self, Fault> {
        let read = header.secret.as_ref().map(secret::read).transpose()?;
        let text = read.or_else(|| header.value.clone()).unwrap_or_default();
        let unusable = || secret::missing(format!("the header {} cannot be sent", header.name));
        let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| unusable())?;
        let mut value = HeaderValue::from_str(&text).map_err(|_| unusable())?;
        value.set_sensitive(header.is_secret());
        let secret = header.is_secret();
        Ok(Self { name, value, secret })
    }
}

fn built(make: &impl Fn(&Client) -> RequestBuilder, client: &Client) -> Result<Request, Fault> {
    make(client).build().map_err(|why| Fault::wire(&why))
}

async fn drain(mut answer: Response) {
    let mut read = 0;
    while let Ok(Some(chunk)) = answer.chunk().await {
        read += chunk.len();
        if read > REFUSAL_BYTES_MAX {
            break;
        }
    }
}
