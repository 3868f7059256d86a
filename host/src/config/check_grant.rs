//! Checks `grant`: origins, environment variables and folders. What is not plainly written is
//! refused, because a grant is the only wall between a component and the machine.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use url::Url;

use super::check::Check;
use super::error::Fault;
use super::raw::{RawDir, RawGrant};
use super::value::{At, Span};
use super::{DirGrant, Grant, HostConfig, Origin};

/// `key` is the path of the table; `host` says which folders no component may have.
pub(super) fn grant(check: &mut Check<'_, '_>, key: &str, raw: &RawGrant, host: &HostConfig) -> Grant {
    let mut http = Vec::new();
    for at in raw.http.iter().flatten() {
        match origin(&at.value) {
            Ok(origin) if http.contains(&origin) => {}
            Ok(origin) => http.push(origin),
            Err(fault) => check.report.add(&at.span, &format!("{key}.http"), fault),
        }
    }
    let mut env: Vec<String> = Vec::new();
    for at in raw.env.iter().flatten() {
        if let Some(fault) = bad_variable(&at.value) {
            check.report.add(&at.span, &format!("{key}.env"), fault);
        } else if !env.contains(&at.value) {
            env.push(at.value.clone());
        }
    }
    Grant {
        http,
        env,
        dirs: dirs(
            check,
            &format!("{key}.dirs"),
            raw.dirs.as_deref().unwrap_or_default(),
            host,
        ),
        job_control: raw.job_control.unwrap_or(true),
    }
}

/// Scheme, host and port, and nothing else.
fn origin(text: &str) -> Result<Origin, Fault> {
    let refused = |why: &str| {
        Fault::new(format!("`{text}` is not an origin: {why}"))
            .expected("scheme://host or scheme://host:port, such as \"https://hooks.example.com\"")
    };
    if text.contains('*') {
        return Err(refused("wildcards are not allowed").hint("name each host: a grant is exact"));
    }
    if !text.contains("://") {
        return Err(refused("it has no scheme").hint(format!("write \"https://{text}\"")));
    }
    let url = Url::parse(text).map_err(|error| refused(&error.to_string()))?;
    let (scheme, Some(host)) = (url.scheme(), url.host_str()) else {
        return Err(refused("it has no host"));
    };
    let (Some(port), "http" | "https") = (url.port_or_known_default(), scheme) else {
        return Err(refused("only http and https can be granted"));
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("it has a user or password")
            .hint("pass secrets with grant.env, where no listing shows them"));
    }
    let bare = url.origin().ascii_serialization();
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() || text.ends_with('/') {
        return Err(
            refused("it has a path").hint(format!("write \"{bare}\": a grant is for the whole origin"))
        );
    }
    Ok(Origin {
        scheme: scheme.to_owned(),
        host: host.to_owned(),
        port,
    })
}

fn bad_variable(text: &str) -> Option<Fault> {
    let first = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if first && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return None;
    }
    let fault = Fault::new(format!("\"{text}\" is not the name of an environment variable"))
        .expected("letters, digits and `_`, such as \"PAGER_TOKEN\"");
    let name = text.trim_start_matches('$').split('=').next().unwrap_or("");
    Some(if text.contains('=') {
        fault.hint(format!(
            "write only the name, \"{name}\": the value comes from the host's environment"
        ))
    } else if text.contains('*') {
        fault.hint("name each variable: a grant is exact")
    } else if text.starts_with('$') {
        fault.hint(format!("write \"{name}\""))
    } else {
        fault
    })
}

fn dirs(check: &mut Check<'_, '_>, key: &str, raw: &[At<RawDir>], host: &HostConfig) -> Vec<DirGrant> {
    let mut granted = Vec::new();
    let mut lines: BTreeMap<String, usize> = BTreeMap::new();
    for at in raw {
        let Some(dir) = dir(check, key, at) else { continue };
        if let Some(fault) = touches_host(&dir, host) {
            check.report.add(&at.span, key, fault);
        }
        let line = check.report.source.line(&at.span);
        if let Some(other) = lines.insert(dir.guest.clone(), line) {
            let fault = Fault::new(format!(
                "two folders are called `{}`; the other is in line {other}",
                dir.guest
            ))
            .hint("give one of them a name: { path = \"…\", as = \"/other\" }");
            check.report.add(&at.span, key, fault);
        }
        granted.push(dir);
    }
    granted
}

fn dir(check: &mut Check<'_, '_>, key: &str, at: &At<RawDir>) -> Option<DirGrant> {
    let (text, name, write, span) = match &at.value {
        RawDir::Short(text) => match text.strip_suffix(":rw") {
            Some(path) => (path, None, true, &at.span),
            None => (text.strip_suffix(":ro").unwrap_or(text), None, false, &at.span),
        },
        RawDir::Table(table) => {
            let Some(path) = &table.path else {
                let fault =
                    Fault::new("a folder without `path`").expected("{ path = \"logs\", as = \"/logs\" }");
                check.report.add(&at.span, key, fault);
                return None;
            };
            let write = table.write.unwrap_or(false);
            (path.value.as_str(), table.guest.as_ref(), write, &path.span)
        }
    };
    if Path::new(text)
        .components()
        .any(|part| part == Component::ParentDir)
    {
        let fault = Fault::new(format!(
            "`{text}` has `..` in it, so it is not plain what is granted"
        ))
        .hint("write the path from `/`");
        check.report.add(span, key, fault);
        return None;
    }
    let place = At {
        value: (),
        span: span.clone(),
    };
    let path = check.path_text(key, text, &place);
    let guest = match name {
        Some(name) => guest_name(check, key, name)?,
        None => last_name(check, key, &path, span)?,
    };
    Some(DirGrant { path, guest, write })
}

fn guest_name(check: &mut Check<'_, '_>, key: &str, at: &At<String>) -> Option<String> {
    let name = at.value.strip_prefix('/').unwrap_or(&at.value);
    let plain = !name.is_empty() && name != "." && name != "..";
    if plain && !name.contains(|c: char| c == '/' || c == '\\' || c.is_control()) {
        return Some(format!("/{name}"));
    }
    let fault = Fault::new(format!(
        "`{}` cannot be what the component calls a folder",
        at.value
    ))
    .expected("one name, such as \"/logs\"");
    check.report.add(&at.span, &format!("{key}.as"), fault);
    None
}

fn last_name(check: &mut Check<'_, '_>, key: &str, path: &Path, span: &Span) -> Option<String> {
    if let Some(name) = path.file_name().and_then(|name| name.to_str()) {
        return Some(format!("/{name}"));
    }
    let fault = Fault::new(format!(
        "`{}` has no last part that could be its name",
        path.display()
    ))
    .hint("name it: { path = \"…\", as = \"/data\" }");
    check.report.add(span, key, fault);
    None
}

/// A component that reaches the state folder reads every job and writes its own verdicts; one that
/// writes the plugin folder grants itself whatever the next component has.
fn touches_host(dir: &DirGrant, host: &HostConfig) -> Option<Fault> {
    let overlaps = |folder: &PathBuf| folder.starts_with(&dir.path) || dir.path.starts_with(folder);
    let which = if overlaps(&host.state_dir) {
        "the host's state"
    } else if dir.write && overlaps(&host.plugin_dir) {
        "the plugin folder"
    } else {
        return None;
    };
    Some(
        Fault::new(format!(
            "`{}` would open {which} to the component",
            dir.path.display()
        ))
        .hint("grant a folder of its own beside it"),
    )
}
