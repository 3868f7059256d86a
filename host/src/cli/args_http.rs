//! Arguments about how servers are spoken to, and what they come to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args as ClapArgs};

use super::error::{CliError, Complaint};
use crate::api::view::{
    AuthScheme, AuthTarget, Credential, Header, HttpSpec, ProxySpec, Redirects, SecretRef, StatusClass,
    TlsSpec,
};

/// How servers are spoken to.
#[derive(Clone, Debug, Default, PartialEq, Eq, ClapArgs)]
#[command(next_help_heading = "Servers")]
pub struct HttpArgs {
    /// Send this with every request, such as `X-Version: 7`; may be repeated
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    pub headers: Vec<(String, String)>,
    /// Send this header with a value that is at `env:NAME`, `file:/PATH` or `credential:NAME`; may be
    /// repeated
    #[arg(long = "secret-header", value_name = "NAME: REF", value_parser = header)]
    pub secret_headers: Vec<(String, String)>,
    /// Never show the values of headers again
    #[arg(long)]
    pub hide_headers: bool,
    /// Who we are to the server
    #[arg(long, value_name = "NAME", requires = "password_ref")]
    pub user: Option<String>,
    /// Where the password or token is: `env:NAME`, `file:/PATH` or `credential:NAME`
    #[arg(long, value_name = "REF")]
    pub password_ref: Option<String>,
    /// How it is shown to the server
    #[arg(long, value_name = "SCHEME", requires = "password_ref", value_parser = scheme())]
    pub auth: Option<AuthScheme>,
    /// `preconfig` (as the host says), `none`, or proxies such as `http://proxy:3128 socks5h://other`,
    /// tried in this order
    #[arg(long, value_name = "LIST")]
    pub proxy: Option<String>,
    /// Hosts that need no proxy: `name`, `name:port`, `*.domain`, `<local>`
    #[arg(long, value_name = "LIST", requires = "proxy")]
    pub proxy_bypass: Option<String>,
    /// Who we are to the proxy
    #[arg(long, value_name = "NAME", requires = "proxy_password_ref")]
    pub proxy_user: Option<String>,
    /// Where the password for the proxy is
    #[arg(long, value_name = "REF")]
    pub proxy_password_ref: Option<String>,
    /// How it is shown to the proxy
    #[arg(long, value_name = "SCHEME", requires = "proxy_password_ref", value_parser = scheme())]
    pub proxy_auth: Option<AuthScheme>,
    /// What becomes of redirects: followed, followed and reported, or an error
    #[arg(long, value_name = "WORD", value_parser = redirects())]
    pub redirects: Option<Redirects>,
    /// Follow redirects from https to http
    #[arg(long)]
    pub allow_https_to_http: bool,
    /// Trust the authorities of this PEM file too; may be repeated
    #[arg(long = "cacert", value_name = "FILE")]
    pub authorities: Vec<PathBuf>,
    /// Accept only a server with this key: `sha256:` and the digest of its public key; may be repeated
    #[arg(long = "pin", value_name = "DIGEST")]
    pub pins: Vec<String>,
    /// Show servers that ask for one the certificate of this PEM file
    #[arg(long = "cert", value_name = "FILE")]
    pub certificate: Option<PathBuf>,
    /// Its key [default: it is in the same file]
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub key_file: Option<PathBuf>,
    /// Accept certificates for other names
    #[arg(long)]
    pub insecure_name: bool,
    /// Accept certificates that expired or are not valid yet
    #[arg(long)]
    pub insecure_date: bool,
    /// Accept certificates by anyone
    #[arg(long)]
    pub insecure_unknown_ca: bool,
    /// Ask by this method instead of GET; the job is in the foreground and network errors are fatal
    #[arg(long, value_name = "WORD")]
    pub method: Option<String>,
    /// The file is made while it is sent: begin anew after an interruption
    #[arg(long)]
    pub dynamic: bool,
    /// What a status means instead of the usual, such as `404=transient`; may be repeated
    #[arg(long = "class", value_name = "STATUS=CLASS", value_parser = class, action = ArgAction::Append)]
    pub classes: Vec<(u16, StatusClass)>,
}

impl HttpArgs {
    /// What the host is asked.
    ///
    /// # Errors
    /// When a file cannot be named.
    pub(super) fn spec(self) -> Result<HttpSpec, CliError> {
        let plain = self.headers.into_iter();
        let secret = self.secret_headers.into_iter();
        let headers = plain
            .map(|(name, value)| Header::new(name, value))
            .chain(secret.map(|(name, place)| Header::secret(name, SecretRef::new(place))));
        let server = credential(AuthTarget::Server, self.auth, self.user, self.password_ref);
        let proxy = credential(
            AuthTarget::Proxy,
            self.proxy_auth,
            self.proxy_user,
            self.proxy_password_ref,
        );
        Ok(HttpSpec {
            headers: headers.collect(),
            headers_hidden: self.hide_headers,
            credentials: server.into_iter().chain(proxy).collect(),
            proxy: self.proxy.map_or(ProxySpec::DEFAULT, |proxy| {
                ProxySpec::from_words(&proxy, self.proxy_bypass.as_deref().unwrap_or_default())
            }),
            tls: TlsSpec {
                authorities: self
                    .authorities
                    .iter()
                    .map(|path| absolute(path))
                    .collect::<Result<_, _>>()?,
                pins: self.pins,
                certificate: self.certificate.as_deref().map(absolute).transpose()?,
                key: self.key_file.as_deref().map(absolute).transpose()?,
                ignore_name: self.insecure_name,
                ignore_date: self.insecure_date,
                ignore_unknown_ca: self.insecure_unknown_ca,
                ..TlsSpec::DEFAULT
            },
            redirects: self.redirects.unwrap_or_default(),
            https_to_http: self.allow_https_to_http,
            method: self.method,
            dynamic: self.dynamic,
            classes: self.classes.into_iter().collect::<BTreeMap<_, _>>(),
        })
    }
}

fn credential(
    target: AuthTarget,
    scheme: Option<AuthScheme>,
    user: Option<String>,
    password: Option<String>,
) -> Option<Credential> {
    Some(Credential {
        target,
        scheme: scheme.unwrap_or_default(),
        user: user.unwrap_or_default(),
        password: SecretRef::new(password?),
    })
}

/// The host reads it from elsewhere.
fn absolute(path: &Path) -> Result<String, CliError> {
    let absolute = std::path::absolute(path).ok();
    let text = absolute.and_then(|path| path.into_os_string().into_string().ok());
    text.ok_or_else(|| {
        CliError::Usage(Complaint::new(format!(
            "the file {} cannot be named to the host",
            path.display()
        )))
    })
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("write it as `NAME: VALUE`")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

fn class(text: &str) -> Result<(u16, StatusClass), String> {
    let wrong = || "write it as `404=transient` or `503=fatal`".to_owned();
    let (status, class) = text.split_once('=').ok_or_else(wrong)?;
    let class = match class {
        "transient" => StatusClass::Transient,
        "fatal" => StatusClass::Fatal,
        _ => return Err(wrong()),
    };
    Ok((status.parse().map_err(|_| wrong())?, class))
}

/// All words of BITS, so that it is the host who says which of them it refuses.
fn scheme() -> impl TypedValueParser<Value = AuthScheme> {
    PossibleValuesParser::new(["basic", "digest", "bearer", "ntlm", "negotiate", "passport"]).map(|word| {
        match word.as_str() {
            "basic" => AuthScheme::Basic,
            "digest" => AuthScheme::Digest,
            "bearer" => AuthScheme::Bearer,
            _ => AuthScheme::Unknown(word),
        }
    })
}

fn redirects() -> impl TypedValueParser<Value = Redirects> {
    PossibleValuesParser::new(Redirects::ALL.iter().map(|rule| rule.as_str())).map(|word| {
        let found = Redirects::ALL.iter().find(|rule| rule.as_str() == word);
        found.copied().unwrap_or_default()
    })
}
