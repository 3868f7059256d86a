//! The clients that jobs share. Most jobs share the one; a job with its own word about proxies or
//! certificates shares one with those that say the same, so that connections are reused there too.

use std::fmt;
use std::io;
use std::sync::{Mutex, PoisonError};

use http::HeaderValue;
use reqwest::{Client, ClientBuilder, Proxy};
use sha2::{Digest, Sha256};
use url::Url;

use super::client::{self, Purpose, TransferError};
use super::fault::Fault;
use super::proxies::Proxies;
use super::tls::Material;
use super::{disk, secret};
use crate::config::TransferConfig;
use crate::job::ProxySpec;

/// Clients kept beside the shared one. Each has its own pool of connections and its own copy of the
/// system's authorities (some 300 KiB); a client in use stays alive without being kept here.
const CLIENTS_MAX: usize = 16;

/// The way to a server.
#[derive(Clone)]
pub(super) enum Way {
    /// As the environment says.
    Environment,
    Direct,
    /// By a proxy that is shown these.
    Proxy(Url, Login),
}

/// What a proxy is shown unasked.
#[derive(Clone, Default)]
pub(super) struct Login {
    /// To those that speak HTTP.
    pub(super) header: Option<HeaderValue>,
    /// To those that speak SOCKS.
    pub(super) user: Option<(String, String)>,
}

impl Way {
    /// Its proxy as it may be shown.
    pub(super) fn proxy(&self) -> Option<&Url> {
        match self {
            Self::Proxy(url, _) => Some(url),
            Self::Environment | Self::Direct => None,
        }
    }
}

type Key = [u8; 32];

/// The clients that jobs share.
pub(super) struct Clients {
    purpose: Purpose,
    shared: Client,
    config: TransferConfig,
    /// The one that was used last stands last.
    own: Mutex<Vec<(Key, Client)>>,
}

impl fmt::Debug for Clients {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Clients").finish_non_exhaustive()
    }
}

impl Clients {
    /// # Errors
    /// When the configuration makes no client.
    pub(super) fn new(config: &TransferConfig, purpose: Purpose) -> Result<Self, TransferError> {
        // A list that cannot be understood is better seen now than by every job.
        if let Err(why) = Proxies::of(&ProxySpec::DEFAULT, &config.proxy) {
            return Err(TransferError::Proxy(io::Error::other(why.what)));
        }
        Ok(Self::around(client::build(config, purpose)?, config, purpose))
    }

    /// With this client for most jobs.
    pub(super) fn around(shared: Client, config: &TransferConfig, purpose: Purpose) -> Self {
        Self {
            purpose,
            shared,
            config: config.clone(),
            own: Mutex::default(),
        }
    }

    /// The client of most jobs; all requests are made with it, whichever sends them.
    pub(super) fn shared(&self) -> &Client {
        &self.shared
    }

    /// What they are for.
    pub(super) fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// What the host says about proxies.
    pub(super) fn proxies(&self) -> &ProxySpec {
        &self.config.proxy
    }

    /// The client for a way and, where a job has its own, a word about certificates.
    ///
    /// # Errors
    /// When the job's certificates make no client.
    pub(super) async fn get(&self, way: &Way, tls: Option<&Material>) -> Result<Client, Fault> {
        if let (Way::Environment, None) = (way, tls) {
            return Ok(self.shared.clone());
        }
        let key = key(way, tls);
        if let Some(client) = self.find(&key) {
            return Ok(client);
        }
        let (config, purpose) = (self.config.clone(), self.purpose);
        let (way, tls) = (way.clone(), tls.cloned());
        let client = disk::off_thread(move || build(&config, purpose, &way, tls.as_ref())).await?;
        self.keep(key, client.clone());
        Ok(client)
    }

    fn keep(&self, key: Key, client: Client) {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        // Another run may have built the same meanwhile.
        own.retain(|(other, _)| *other != key);
        if own.len() >= CLIENTS_MAX {
            own.remove(0);
        }
        own.push((key, client));
    }

    fn find(&self, key: &Key) -> Option<Client> {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let at = own.iter().position(|(other, _)| other == key)?;
        let found = own.remove(at);
        let client = found.1.clone();
        own.push(found);
        Some(client)
    }
}

/// Settings as a digest: what is compared for as long as the host lives holds no password.
fn key(way: &Way, tls: Option<&Material>) -> Key {
    let mut hash = Sha256::new();
    let mut field = |bytes: &[u8]| {
        hash.update(bytes.len().to_be_bytes());
        hash.update(bytes);
    };
    match way {
        Way::Environment => field(b"environment"),
        Way::Direct => field(b"direct"),
        Way::Proxy(url, login) => {
            field(url.as_str().as_bytes());
            field(login.header.as_ref().map_or(b"", HeaderValue::as_bytes));
            let (user, password) = login
                .user
                .as_ref()
                .map_or(("", ""), |(user, password)| (user, password));
            field(user.as_bytes());
            field(password.as_bytes());
        }
    }
    if let Some(tls) = tls {
        tls.identify(&mut hash);
    }
    hash.finalize().into()
}

fn build(
    config: &TransferConfig,
    purpose: Purpose,
    way: &Way,
    tls: Option<&Material>,
) -> Result<Client, Fault> {
    let proxy = match way {
        Way::Proxy(url, login) => Some(proxy(url, login).map_err(unusable)?),
        Way::Environment | Way::Direct => None,
    };
    let shaped = |builder: ClientBuilder| match (way, &proxy) {
        (_, Some(proxy)) => builder.proxy(proxy.clone()),
        (Way::Direct, None) => builder.no_proxy(),
        _ => builder,
    };
    let Some(tls) = tls else {
        return client::build_as(config, purpose, shaped).map_err(unusable);
    };
    let trusted = client::authorities(config).map_err(unusable)?;
    let config_of_tls = tls.config(&trusted)?;
    let builder = shaped(client::builder(config, purpose)).tls_backend_preconfigured(config_of_tls);
    builder.build().map_err(unusable)
}

fn proxy(url: &Url, login: &Login) -> reqwest::Result<Proxy> {
    let proxy = Proxy::all(url.as_str())?;
    Ok(match (&login.header, &login.user) {
        (_, Some((user, password))) if url.scheme().starts_with("socks") => proxy.basic_auth(user, password),
        (Some(header), _) => proxy.custom_http_auth(header.clone()),
        _ => proxy,
    })
}

/// Neither names a password: those are not in the URL of a proxy.
fn unusable(why: impl fmt::Display) -> Fault {
    secret::missing(format!(
        "no connections can be made as this job wants them: {why}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clients() -> Clients {
        let config = crate::engine::transfer::tests::config();
        Clients::new(&config, Purpose::Fetching).unwrap()
    }

    fn kept(clients: &Clients) -> usize {
        clients.own.lock().unwrap().len()
    }

    fn by(port: u16, user: &str) -> Way {
        let login = Login {
            header: None,
            user: Some((user.to_owned(), "hunter2".to_owned())),
        };
        Way::Proxy(Url::parse(&format!("http://127.0.0.1:{port}")).unwrap(), login)
    }

    #[tokio::test]
    async fn jobs_that_say_the_same_share_a_client_and_no_others_do() {
        let clients = clients();
        clients.get(&Way::Environment, None).await.unwrap();
        assert_eq!(kept(&clients), 0, "most jobs share the one");
        let pinned = Material::read(&crate::job::TlsSpec {
            ignore_name: true,
            ..crate::job::TlsSpec::DEFAULT
        });
        let pinned = pinned.unwrap();
        let ways = [
            (by(1, "a"), None),
            (by(2, "a"), None),
            (by(1, "b"), None),
            (Way::Direct, None),
            (Way::Environment, Some(&pinned)),
            (Way::Direct, Some(&pinned)),
        ];
        for (count, (way, tls)) in ways.iter().enumerate() {
            for _ in 0..2 {
                clients.get(way, *tls).await.unwrap();
                assert_eq!(kept(&clients), count + 1);
            }
        }
    }

    #[test]
    fn the_client_that_was_not_used_for_longest_goes_first() {
        let clients = clients();
        let key = |number: usize| [u8::try_from(number).unwrap(); 32];
        for number in 0..CLIENTS_MAX {
            clients.keep(key(number), clients.shared.clone());
        }
        assert!(clients.find(&key(0)).is_some());
        clients.keep(key(99), clients.shared.clone());
        assert_eq!(kept(&clients), CLIENTS_MAX);
        assert!(clients.find(&key(1)).is_none(), "the oldest");
        assert!(clients.find(&key(0)).is_some(), "it was used since");
        assert!(clients.find(&key(99)).is_some());
    }
}
