//! By which proxies servers are reached (B-142).

use serde::{Deserialize, Serialize};

use super::invalid;
use crate::job::Code;

/// E-18, E-19.
const LIST_CHARS_MAX: usize = 4000;

/// By which proxies servers are reached (B-142).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProxySpec {
    /// Whose word holds.
    #[serde(rename = "use")]
    pub usage: ProxyUse,
    /// `http://proxy:3128 socks5h://other`, parted by blanks, `,` or `;`, tried in this order.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub list: String,
    /// Hosts that are reached without: `name`, `name:port`, `*.domain`, `<local>` for all names without
    /// a dot.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub bypass: String,
}

/// Whose word about proxies holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProxyUse {
    /// The host's: `[transfer] proxy`, and by default its environment.
    #[default]
    Preconfig,
    /// There is no proxy.
    None,
    /// The list here.
    Override,
    /// Asking the network; refused, as no service of this system answers.
    Autodetect,
}

impl ProxySpec {
    /// The host's word.
    pub const DEFAULT: Self = Self {
        usage: ProxyUse::Preconfig,
        list: String::new(),
        bypass: String::new(),
    };

    /// Nothing was said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::DEFAULT
    }

    /// As it is written in one word: `preconfig`, `none`, or a list.
    #[must_use]
    pub fn from_words(proxy: &str, bypass: &str) -> Self {
        let (usage, list) = match proxy {
            "preconfig" => (ProxyUse::Preconfig, ""),
            "none" => (ProxyUse::None, ""),
            "autodetect" => (ProxyUse::Autodetect, ""),
            list => (ProxyUse::Override, list),
        };
        Self {
            usage,
            list: list.to_owned(),
            bypass: bypass.to_owned(),
        }
    }

    /// The one word again.
    #[must_use]
    pub fn as_words(&self) -> &str {
        match self.usage {
            ProxyUse::Preconfig => "preconfig",
            ProxyUse::None => "none",
            ProxyUse::Autodetect => "autodetect",
            ProxyUse::Override => &self.list,
        }
    }

    /// Whether it can be kept. What the lists mean is seen when a run begins, as in BITS.
    ///
    /// # Errors
    /// The code, and a sentence that says what is wrong.
    pub fn check(&self) -> Result<(), (Code, String)> {
        let too_large = |what: &str| format!("the {what} is longer than {LIST_CHARS_MAX} characters");
        if self.list.chars().count() > LIST_CHARS_MAX {
            return Err((Code::PROXY_LIST_TOO_LARGE, too_large("list of proxies")));
        }
        if self.bypass.chars().count() > LIST_CHARS_MAX {
            let why = too_large("list of hosts that need no proxy");
            return Err((Code::PROXY_BYPASS_LIST_TOO_LARGE, why));
        }
        let lists = self.usage == ProxyUse::Override;
        if self.usage == ProxyUse::Autodetect {
            let why =
                "proxies cannot be found by asking the network; name them, or use `preconfig` or `none`";
            return Err((Code::NOTIMPL, why.to_owned()));
        }
        if lists == self.list.trim().is_empty() {
            return invalid("a list of proxies is needed for `override`, and has no use otherwise");
        }
        if !lists && !self.bypass.is_empty() {
            return invalid("hosts that need no proxy can be listed beside a list of proxies only");
        }
        if self.list.contains('@') {
            return invalid("a list of proxies holds no passwords; set credentials for the proxy");
        }
        Ok(())
    }
}
