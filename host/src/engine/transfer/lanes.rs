//! The ways on which one job reaches its servers: straight, or by proxies tried in order (B-142).

use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::Client;
use tokio::sync::OnceCell;
use url::Url;

use super::classify::Class;
use super::clients::{Clients, Way};
use super::fault::Fault;
use super::proof::Proof;
use super::proxies::{Bypass, Proxies};
use super::tls::Material;
use crate::job::{Code, ProxySpec};

/// The ways of one job.
pub(super) struct Lanes {
    /// For what needs no proxy.
    straight: Lane,
    listed: Vec<Lane>,
    bypass: Bypass,
    /// The one that is tried first: the last that led anywhere.
    first: AtomicUsize,
    tls: Option<Material>,
}

/// One way, and the client that takes it once it is needed.
pub(super) struct Lane {
    way: Way,
    client: OnceCell<Client>,
}

impl Lanes {
    /// What a job says, and its host where the job leaves it to that.
    ///
    /// # Errors
    /// `BG_E_INVALID_PROXY_INFO`.
    pub(super) fn new(
        spec: &ProxySpec,
        clients: &Clients,
        proof: &Proof,
        tls: Option<Material>,
    ) -> Result<Self, Fault> {
        let mut lanes = Self {
            straight: Lane::new(Way::Direct),
            listed: Vec::new(),
            bypass: Bypass::default(),
            first: AtomicUsize::new(0),
            tls,
        };
        match Proxies::of(spec, clients.proxies())? {
            Proxies::Environment => lanes.straight = Lane::new(Way::Environment),
            Proxies::None => {}
            Proxies::Listed(proxies, bypass) => {
                let ways = proxies.into_iter().map(|url| Way::Proxy(url, proof.login()));
                lanes.listed = ways.map(Lane::new).collect();
                lanes.bypass = bypass;
            }
        }
        Ok(lanes)
    }

    /// The way to a server.
    pub(super) fn lane(&self, url: &Url) -> &Lane {
        let first = self.first.load(Ordering::Relaxed);
        match self.listed.get(first) {
            Some(lane) if !self.bypass.covers(url) => lane,
            _ => &self.straight,
        }
    }

    /// What an attempt that was not answered comes to; `None` has the next proxy tried.
    pub(super) fn after(&self, lane: &Lane, error: &reqwest::Error) -> Option<Fault> {
        let mut fault = Fault::wire(error);
        let Some(proxy) = lane.way.proxy() else {
            return Some(fault);
        };
        // A server that was reached, and whose certificate is not accepted, is no fault of its proxy.
        if error.is_connect() && fault.class == Class::Transient {
            let next = self.first.load(Ordering::Relaxed) + 1;
            if next < self.listed.len() {
                tracing::info!(%proxy, "the next proxy is tried: {}", fault.what);
                self.first.store(next, Ordering::Relaxed);
                return None;
            }
            // The next request begins with the first again.
            self.first.store(0, Ordering::Relaxed);
        }
        if fault.code == Code::NAME_NOT_RESOLVED && proxy.scheme() != "socks5" {
            // It was the name of the proxy: nobody else's is resolved here (B-89).
            fault.code = Code::INVALIDARG;
        }
        fault.what = format!("by the proxy {proxy}: {}", fault.what);
        Some(fault)
    }

    fn tls(&self) -> Option<&Material> {
        self.tls.as_ref()
    }
}

impl Lane {
    fn new(way: Way) -> Self {
        Self {
            way,
            client: OnceCell::new(),
        }
    }

    /// The client that takes it.
    ///
    /// # Errors
    /// When the job's settings make none.
    pub(super) async fn client(&self, clients: &Clients, lanes: &Lanes) -> Result<&Client, Fault> {
        self.client
            .get_or_try_init(|| clients.get(&self.way, lanes.tls()))
            .await
    }

    /// The proxy that reads requests for this URL, and may ask who sends them. What is encrypted for
    /// the server goes through it unread.
    pub(super) fn forwards(&self, url: &Url) -> Option<&Url> {
        let proxy = self.way.proxy()?;
        (url.scheme() == "http" && proxy.scheme().starts_with("http")).then_some(proxy)
    }
}
