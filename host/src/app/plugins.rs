//! `plugin add` and `plugin remove`: file operations on the plugin folder, seen by a running host.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::api::client::{Client, ClientError};
use crate::api::view::CountView;
use crate::cli::{CliError, Complaint, ExitStatus, Global, Output, PluginAddArgs, PluginRemoveArgs};
use crate::config::Config;
use crate::job::PluginName;
use crate::shipped;

use super::{bad_config, environment, load_config};

/// `plugin add NAME|FILE`
pub(super) fn add(
    args: &PluginAddArgs,
    global: &Global,
    output: &mut Output<'_>,
) -> Result<ExitStatus, CliError> {
    let config = load_config(global.config.as_deref())?;
    let (name, bytes, snippet) = match shipped::find(&args.name) {
        Some(shipped) => (
            shipped.name.to_owned(),
            shipped.wasm.to_vec(),
            Some(shipped.config),
        ),
        None => {
            let (name, bytes) = read_component(&args.name)?;
            (name, bytes, None)
        }
    };
    let name: PluginName = name.parse().map_err(|why: crate::job::InvalidName| {
        CliError::Usage(
            Complaint::new(why.to_string()).hint("rename the file: its stem is the plugin's name"),
        )
    })?;
    let path = config.host.plugin_dir.join(format!("{name}.wasm"));
    write_whole(&config.host.plugin_dir, &path, &bytes).map_err(|why| {
        CliError::Failed(Complaint::new(format!("{} cannot be written", path.display())).cause(why))
    })?;
    output.note(format!("written: {}", path.display()));
    let configured = is_configured(&config, &name);
    if output.is_json() {
        let added = json!({ "name": name, "file": path, "configured": configured, "config": snippet });
        output.object(&added)?;
        return Ok(ExitStatus::Done);
    }
    if configured {
        output.note("it is configured already");
        return Ok(ExitStatus::Done);
    }
    match snippet {
        // On stdout alone, so that `>> sexton.toml` adds it.
        Some(snippet) => {
            output.note("add this to the configuration:");
            output.line(format!("\n{}", snippet.trim_end()))?;
        }
        None => output.note(format!(
            "`sexton plugin list` tells what {name} exports and what to subscribe"
        )),
    }
    Ok(ExitStatus::Done)
}

/// `plugin remove NAME [--purge]`
pub(super) fn remove(
    args: &PluginRemoveArgs,
    global: &Global,
    output: &mut Output<'_>,
) -> Result<ExitStatus, CliError> {
    let config = load_config(global.config.as_deref())?;
    let path = config.host.plugin_dir.join(format!("{}.wasm", args.name));
    let removed = match std::fs::remove_file(&path) {
        Ok(()) => true,
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => false,
        Err(why) => {
            let complaint = Complaint::new(format!("{} cannot be removed", path.display()));
            return Err(CliError::Failed(complaint.cause(why)));
        }
    };
    let known = forget(&args.name, &config, global)? || removed;
    if !known && !args.purge {
        let complaint = Complaint::new(format!("there is no {}", path.display()));
        return Err(CliError::Illegal(
            complaint.hint("`sexton plugin list` shows those there are"),
        ));
    }
    let purged = match args.purge {
        true => Some(ask(global, async |client| client.purge_plugin(&args.name).await)?.count),
        false => None,
    };
    if output.is_json() {
        output.object(
            &json!({ "name": args.name, "file": path, "removed": removed, "keys_forgotten": purged }),
        )?;
        return Ok(ExitStatus::Done);
    }
    if removed {
        output.line(path.display().to_string())?;
    } else if known {
        output.note("there was no file; its last good component was forgotten");
    }
    if let Some(keys) = purged {
        output.note(format!("{keys} keys of its state were forgotten"));
    }
    Ok(ExitStatus::Done)
}

/// The last good component must not come back in place of what was removed on purpose. A running host
/// has it; without one it is a file.
fn forget(name: &PluginName, config: &Config, global: &Global) -> Result<bool, CliError> {
    match ask(global, async |client| client.forget_plugin(name).await) {
        Ok(count) => Ok(count.count > 0),
        Err(CliError::Client(ClientError::NoHost { .. })) => {
            crate::plugin::forget_last_good(&config.host.state_dir, name).map_err(|why| {
                let complaint = Complaint::new(format!("the last good {name} cannot be forgotten"));
                CliError::Failed(complaint.cause(why))
            })
        }
        Err(why) => Err(why),
    }
}

/// Asks the running host, which owns what is durable.
fn ask(
    global: &Global,
    question: impl AsyncFnOnce(Client) -> Result<CountView, ClientError>,
) -> Result<CountView, CliError> {
    let socket =
        crate::config::client_socket(global.socket.as_deref(), global.config.as_deref(), &environment)
            .map_err(|errors| bad_config(&errors))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(question(Client::new(socket)))?)
}

fn is_configured(config: &Config, name: &PluginName) -> bool {
    config.plugins.contains_key(name) || config.subscriptions.iter().any(|known| known.plugin == *name)
}

/// A component from a file; its stem is the name.
fn read_component(argument: &str) -> Result<(String, Vec<u8>), CliError> {
    let path = Path::new(argument);
    let looks_like_file = argument.contains('/') || path.extension().is_some_and(|ext| ext == "wasm");
    if !looks_like_file {
        let known: Vec<&str> = shipped::ALL.iter().map(|shipped| shipped.name).collect();
        let complaint = Complaint::new(format!("`{argument}` is no shipped plugin and no .wasm file"));
        return Err(CliError::Usage(
            complaint.hint(format!("shipped: {}", known.join(", "))),
        ));
    }
    let bytes = std::fs::read(path)
        .map_err(|why| CliError::Failed(Complaint::new(format!("{argument} cannot be read")).cause(why)))?;
    crate::plugin::check_bytes(&bytes).map_err(|why| {
        CliError::Failed(Complaint::new(format!("{argument} is no plugin and was not copied")).cause(why))
    })?;
    let stem = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or_default();
    Ok((stem.to_owned(), bytes))
}

/// Whole or not at all: a running host must not see half a file.
fn write_whole(dir: &Path, path: &PathBuf, bytes: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(dir)?;
    let mut file = tempfile::Builder::new()
        .prefix(".")
        .suffix(".tmp")
        .permissions(std::fs::Permissions::from_mode(0o644))
        .tempfile_in(dir)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|why| why.error)?;
    Ok(())
}
