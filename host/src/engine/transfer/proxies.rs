//! Lists of proxies and of hosts that need none, as they are understood when a run begins (B-142).

use std::net::IpAddr;

use url::{Host, Url};

use super::classify::Class;
use super::fault::Fault;
use crate::job::{Code, ErrorContext, ProxySpec, ProxyUse};

/// Proxies of one list; each may cost a time-out.
const PROXIES_MAX: usize = 16;

/// What a list means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Proxies {
    /// As the host's environment says.
    Environment,
    None,
    /// These, in this order, except for some hosts.
    Listed(Vec<Url>, Bypass),
}

/// Hosts that are reached without a proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bypass(Vec<Rule>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    what: Hosts,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    /// Names without a dot.
    Local,
    /// This one.
    Name(String),
    /// All that end so.
    Ending(String),
}

impl Proxies {
    /// Understands what a job says, or what its host says where the job leaves it to that.
    ///
    /// # Errors
    /// `BG_E_INVALID_PROXY_INFO`.
    pub(super) fn of(job: &ProxySpec, host: &ProxySpec) -> Result<Self, Fault> {
        let spec = match job.usage {
            ProxyUse::Preconfig => host,
            _ => job,
        };
        match spec.usage {
            ProxyUse::None => Ok(Self::None),
            ProxyUse::Override => {
                let proxies = entries(&spec.list).map(proxy).collect::<Result<Vec<_>, _>>()?;
                if proxies.is_empty() || proxies.len() > PROXIES_MAX {
                    return Err(bad(&format!(
                        "the list of proxies has none, or more than {PROXIES_MAX}"
                    )));
                }
                let rules = entries(&spec.bypass).map(rule).collect::<Result<_, _>>()?;
                Ok(Self::Listed(proxies, Bypass(rules)))
            }
            ProxyUse::Preconfig | ProxyUse::Autodetect => Ok(Self::Environment),
        }
    }
}

impl Bypass {
    /// Whether this server is reached without a proxy.
    pub(super) fn covers(&self, url: &Url) -> bool {
        let Some(host) = url.host() else {
            return false;
        };
        let named = matches!(host, Host::Domain(_));
        let host = match host {
            Host::Domain(name) => name.to_ascii_lowercase(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        self.0.iter().any(|rule| {
            let port = rule
                .port
                .is_none_or(|port| url.port_or_known_default() == Some(port));
            port && match &rule.what {
                Hosts::Local => named && !host.contains('.'),
                Hosts::Name(name) => *name == host,
                Hosts::Ending(ending) => host.ends_with(ending),
            }
        })
    }
}

fn entries(list: &str) -> impl Iterator<Item = &str> {
    list.split(|char: char| char.is_whitespace() || matches!(char, ',' | ';'))
        .filter(|entry| !entry.is_empty())
}

fn proxy(entry: &str) -> Result<Url, Fault> {
    let unusable = || {
        bad(&format!(
            "`{}` is not a proxy that can be used; write it like http://proxy:3128 or socks5h://proxy",
            shown(entry)
        ))
    };
    let text = match entry.contains("://") {
        true => entry.to_owned(),
        false => format!("http://{entry}"),
    };
    let mut url = Url::parse(&text).map_err(|_| unusable())?;
    let good = matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h")
        && url.host_str().is_some_and(|host| !host.is_empty())
        && matches!(url.path(), "" | "/")
        && url.query().is_none()
        && url.fragment().is_none();
    if !good || url.port() == Some(0) {
        return Err(unusable());
    }
    if url.port().is_none() && url.scheme().starts_with("socks") {
        url.set_port(Some(1080)).map_err(|()| unusable())?;
    }
    Ok(url)
}

fn rule(entry: &str) -> Result<Rule, Fault> {
    let unusable = || {
        bad(&format!(
            "`{}` names no hosts that need no proxy; a `*` stands at the left only",
            shown(entry)
        ))
    };
    if entry == "<local>" {
        return Ok(Rule {
            what: Hosts::Local,
            port: None,
        });
    }
    let bare = entry.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (name, port) = match (bare, entry.rsplit_once(':')) {
        (Some((address, rest)), _) => (address, rest.strip_prefix(':')),
        (None, Some((name, port))) if !name.contains(':') => (name, Some(port)),
        (None, _) => (entry, None),
    };
    let port = match port.map(str::parse) {
        None => None,
        Some(Ok(port)) => Some(port),
        Some(Err(_)) => return Err(unusable()),
    };
    let name = name.to_ascii_lowercase();
    let (ending, name) = match name.strip_prefix('*') {
        Some(rest) => (true, rest.to_owned()),
        None => (false, name),
    };
    let allowed = |char: char| char.is_ascii_alphanumeric() || matches!(char, '.' | '-' | '_' | ':');
    let plain = name.chars().all(allowed) && (ending || !name.is_empty());
    if !plain || (name.contains(':') && name.parse::<IpAddr>().is_err()) {
        return Err(unusable());
    }
    let what = if ending {
        Hosts::Ending(name)
    } else {
        Hosts::Name(name)
    };
    Ok(Rule { what, port })
}

fn shown(entry: &str) -> String {
    entry.chars().take(80).flat_map(char::escape_debug).collect()
}

fn bad(what: &str) -> Fault {
    Fault {
        code: Code::INVALID_PROXY_INFO,
        class: Class::Fatal,
        context: ErrorContext::GeneralQueueManager,
        what: what.to_owned(),
        retry_after: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(list: &str, bypass: &str) -> Result<Proxies, Code> {
        let spec = ProxySpec {
            usage: ProxyUse::Override,
            list: list.to_owned(),
            bypass: bypass.to_owned(),
        };
        Proxies::of(&spec, &ProxySpec::DEFAULT).map_err(|fault| fault.code)
    }

    #[test]
    fn b142_a_list_is_read_in_its_order_and_a_bad_one_has_its_code() {
        let Proxies::Listed(proxies, _) =
            listed("one; http://two:8080 ,socks5h://three https://four", "").unwrap()
        else {
            panic!()
        };
        let proxies: Vec<String> = proxies.iter().map(Url::to_string).collect();
        assert_eq!(
            proxies,
            [
                "http://one/",
                "http://two:8080/",
                "socks5h://three:1080",
                "https://four/"
            ]
        );
        for list in [
            "ftp://p",
            "http://",
            "http://p/path",
            "http://p:x",
            "p q:99999",
            ";",
            "http://p?x",
        ] {
            assert_eq!(listed(list, ""), Err(Code(0x8020_003F)), "{list}");
        }
        for bypass in ["a*b", "a.*", "**", "h:port", "a/b", "[::1", "<remote>"] {
            assert_eq!(listed("p", bypass), Err(Code(0x8020_003F)), "{bypass}");
        }
    }

    #[test]
    fn b142_hosts_that_need_no_proxy() {
        let table = [
            ("<local>", "http://printer/x", true),
            ("<local>", "http://printer.lan/x", false),
            ("<local>", "http://127.0.0.1/x", false),
            ("*.example.com", "http://a.example.com/", true),
            ("*.example.com", "http://example.com/", false),
            ("*example.com", "http://example.com/", true),
            ("*", "http://anything/", true),
            ("Example.com", "https://EXAMPLE.com/", true),
            ("example.com:8080", "http://example.com/", false),
            ("example.com:443", "https://example.com/", true),
            ("127.0.0.1", "http://127.0.0.1:81/", true),
            ("127.*", "http://127.0.0.1/", false),
            ("[::1]:81", "http://[::1]:81/", true),
            ("[::1]", "http://[::1]:81/", true),
            ("a b;c,d", "http://c/", true),
        ];
        for (bypass, url, expected) in table {
            let covered = match listed("p", bypass) {
                Ok(Proxies::Listed(_, bypass)) => bypass.covers(&Url::parse(url).unwrap()),
                _ => false,
            };
            assert_eq!(covered, expected, "{bypass} {url}");
        }
    }

    #[test]
    fn b142_the_host_decides_where_the_job_leaves_it() {
        let host = ProxySpec::from_words("none", "");
        let job = |words| ProxySpec::from_words(words, "");
        assert_eq!(Proxies::of(&job("preconfig"), &host).unwrap(), Proxies::None);
        assert!(matches!(
            Proxies::of(&job("p"), &host).unwrap(),
            Proxies::Listed(..)
        ));
        let plain = Proxies::of(&job("preconfig"), &ProxySpec::DEFAULT).unwrap();
        assert_eq!(plain, Proxies::Environment);
    }
}
