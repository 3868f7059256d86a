//! Which provider a query means, and whether it may.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;

use super::provider::{Ask, ComponentProvider, Provider, QueryFault, RowSink};
use super::{QueryRunner, postgres, sexton, sqlite, system};
use crate::config::QueryConfig;
use crate::job::{Code, PluginName, ProviderRef, SecretRef};

/// A component that exports `provider`.
struct Component {
    plugin: PluginName,
    components: Arc<dyn ComponentProvider>,
}

#[async_trait]
impl Provider for Component {
    fn name(&self) -> String {
        self.plugin.to_string()
    }

    async fn ask(&self, ask: Ask, rows: RowSink) -> Result<(), QueryFault> {
        self.components.ask(&self.plugin, ask, rows).await
    }
}

impl QueryRunner {
    pub(super) fn resolve(&self, provider: &ProviderRef) -> Result<Arc<dyn Provider>, QueryFault> {
        if let Some(alias) = self.config.providers.get(&provider.0) {
            return self.built_in(&ProviderRef(alias.url.clone()), alias.password.clone());
        }
        match (provider.rest(), PluginName::from_str(&provider.0)) {
            (None, Ok(plugin)) if !matches!(provider.0.as_str(), "sexton" | "system") => {
                let Some(components) = self.components.clone().filter(|all| all.provides(&plugin)) else {
                    let why = format!(
                        "no component `{plugin}` provides objects; the others are sexton, system, sqlite:PATH and postgres:URL, and those of `[query.provider]`"
                    );
                    return Err(QueryFault::new(Code::WBEM_PROVIDER_LOAD_FAILURE, why));
                };
                Ok(Arc::new(Component { plugin, components }))
            }
            _ => self.built_in(provider, None),
        }
    }

    fn built_in(
        &self,
        provider: &ProviderRef,
        password: Option<SecretRef>,
    ) -> Result<Arc<dyn Provider>, QueryFault> {
        Ok(match (provider.scheme(), provider.rest()) {
            ("sexton", None) => Arc::new(sexton::Own {
                state_dir: self.state_dir.clone(),
                inventory: Arc::clone(&self.inventory),
            }),
            ("system", None) => Arc::new(system::Machine),
            ("sqlite", Some(path)) => Arc::new(sqlite::SqliteFile { path: path.into() }),
            ("postgres" | "postgresql", Some(_)) => {
                let (url, config) = postgres_url(&provider.0)
                    .map_err(|why| QueryFault::new(Code::WBEM_INVALID_PARAMETER, why))?;
                Arc::new(postgres::Postgres {
                    config,
                    password,
                    name: url,
                })
            }
            _ => {
                return Err(QueryFault::new(
                    Code::WBEM_PROVIDER_LOAD_FAILURE,
                    unknown(provider),
                ));
            }
        })
    }
}

fn unknown(provider: &ProviderRef) -> String {
    let scheme: String = provider
        .scheme()
        .chars()
        .take(40)
        .flat_map(char::escape_default)
        .collect();
    format!(
        "there is no provider `{scheme}`; there are sexton, system, sqlite:PATH, postgres:URL, those of `[query.provider]` and components"
    )
}

/// What it is called, without secrets, and how it is reached.
fn postgres_url(text: &str) -> Result<(String, tokio_postgres::Config), String> {
    // `postgres:URL`, or the URL itself.
    let bare = text.split_once(':').map_or("", |(_, rest)| rest);
    let text = if bare.starts_with("postgres") { bare } else { text };
    let config = tokio_postgres::Config::from_str(text)
        .map_err(|why| format!("a database is named as postgres://USER@HOST:PORT/NAME: {why}"))?;
    let hosts = config.get_hosts().iter().map(|host| match host {
        tokio_postgres::config::Host::Tcp(name) => name.clone(),
        tokio_postgres::config::Host::Unix(path) => path.display().to_string(),
    });
    let hosts: Vec<String> = hosts.collect();
    let user = config
        .get_user()
        .map(|user| format!("{user}@"))
        .unwrap_or_default();
    let name = format!(
        "postgres://{user}{}/{}",
        hosts.join(","),
        config.get_dbname().unwrap_or_default()
    );
    Ok((name, config))
}

/// Whether a query may be put to a provider at all: it is known, and what it is asked by holds no secret.
///
/// # Errors
/// The code, and a sentence that says what would be right.
pub fn check(config: &QueryConfig, provider: &ProviderRef) -> Result<(), (Code, String)> {
    if config.providers.contains_key(&provider.0) {
        return Ok(());
    }
    let invalid = |why: &str| Err((Code::INVALIDARG, why.to_owned()));
    match (provider.scheme(), provider.rest()) {
        ("sexton" | "system", None) => Ok(()),
        ("sqlite", Some(path)) if Path::new(path).is_absolute() => Ok(()),
        ("sqlite", _) => invalid("a database file is named by its absolute path: sqlite:/var/lib/app.db"),
        ("postgres" | "postgresql", Some(_)) => {
            let (_, parsed) = postgres_url(&provider.0).map_err(|why| (Code::INVALIDARG, why))?;
            if parsed.get_password().is_some() {
                return invalid(
                    "a password does not belong into a job: name the database in `[query.provider.NAME]`, with url and password",
                );
            }
            Ok(())
        }
        (_, None) if PluginName::from_str(&provider.0).is_ok() => Ok(()),
        _ => Err((Code::INVALIDARG, unknown(provider))),
    }
}
