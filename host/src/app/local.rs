//! Commands that need no host: `init`, `config`, `db`, `completions`, and the compile child.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cli::{CliError, Complaint, ConfigCommand, DbCommand, ExitStatus, Global, LaunchArgs, Output};
use crate::clock::Clock;
use crate::config;
use crate::store::{SqliteOptions, SqliteStore, Store};

use super::host::store_error;
use super::load_config;

/// `init`: a directory that `run` can start from. Nothing that exists is touched.
pub(super) fn init(dir: Option<PathBuf>, output: &mut Output<'_>) -> Result<ExitStatus, CliError> {
    let dir = dir.unwrap_or_else(|| PathBuf::from("."));
    let failed = |what: String, why: std::io::Error| CliError::Failed(Complaint::new(what).cause(why));
    for folder in [dir.clone(), dir.join("plugins"), dir.join("state")] {
        let mode = if folder.ends_with("state") { 0o700 } else { 0o755 };
        let made = std::fs::DirBuilder::new()
            .recursive(true)
            .mode(mode)
            .create(&folder);
        made.map_err(|why| failed(format!("{} cannot be made", folder.display()), why))?;
    }
    let path = dir.join("sexton.toml");
    let created = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(&path);
    let mut file = match created {
        Ok(file) => file,
        Err(why) if why.kind() == std::io::ErrorKind::AlreadyExists => {
            let complaint = Complaint::new(format!("{} exists already", path.display()));
            return Err(CliError::Failed(
                complaint.hint("it was left as it is; start the host with `sexton run`"),
            ));
        }
        Err(why) => return Err(failed(format!("{} cannot be written", path.display()), why)),
    };
    let written = file
        .write_all(config::init_text().as_bytes())
        .and_then(|()| file.sync_all());
    written.map_err(|why| failed(format!("{} cannot be written", path.display()), why))?;
    if output.is_json() {
        output.object(&json!({ "config_file": path, "plugin_dir": dir.join("plugins"), "state_dir": dir.join("state") }))?;
    } else {
        output.line(path.display().to_string())?;
    }
    output.note(format!(
        "start the host with `sexton run --config {}`",
        path.display()
    ));
    Ok(ExitStatus::Done)
}

/// `config check|show|schema`
pub(super) fn config(
    command: ConfigCommand,
    global: &Global,
    output: &mut Output<'_>,
) -> Result<ExitStatus, CliError> {
    let named = |file: &Option<PathBuf>| file.clone().or_else(|| global.config.clone());
    match command {
        ConfigCommand::Check { file } => {
            let config = load_config(named(&file).as_deref())?;
            if output.is_json() {
                output.object(&json!({ "config_file": config.source, "good": true }))?;
            } else {
                let source = config.source;
                let source = source.map_or("defaults".to_owned(), |path| path.display().to_string());
                output.line(format!("{source}: good"))?;
            }
        }
        ConfigCommand::Show { file } => {
            let text = load_config(named(&file).as_deref())?.to_toml();
            if output.is_json() {
                let table: toml::Table = text
                    .parse()
                    .map_err(|why| CliError::Failed(Complaint::new("it cannot be shown").cause(why)))?;
                output.object(&table)?;
            } else {
                output.line(text.trim_end())?;
            }
        }
        ConfigCommand::Schema => output.line(config::schema().trim_end())?,
    }
    Ok(ExitStatus::Done)
}

/// `db check`
pub(super) fn db(
    command: DbCommand,
    global: &Global,
    output: &mut Output<'_>,
) -> Result<ExitStatus, CliError> {
    let DbCommand::Check = command;
    let config = load_config(global.config.as_deref())?;
    let path = config.host.state_dir.join("sexton.db");
    if !path.exists() {
        return Err(CliError::Store(Complaint::new(format!(
            "there is no store at {}",
            path.display()
        ))));
    }
    let options = SqliteOptions {
        state_dir: config.host.state_dir,
        clock: Clock::real(),
        force: false,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let store = SqliteStore::open(options).await.map_err(store_error)?;
        let checked = store.check(true).await;
        store.close().await;
        checked.map_err(|why| {
            CliError::Store(
                Complaint::new(why.to_string()).hint("restore a backup, or `sqlite3 sexton.db .recover`"),
            )
        })
    })?;
    if output.is_json() {
        output.object(&json!({ "store": path, "good": true }))?;
    } else {
        output.line(format!("{}: good", path.display()))?;
    }
    Ok(ExitStatus::Done)
}

/// `completions SHELL`
pub(super) fn completions(shell: clap_complete::Shell) -> Result<ExitStatus, CliError> {
    crate::cli::completions(shell, &mut std::io::stdout())?;
    Ok(ExitStatus::Done)
}

/// `compile-component IN OUT`: the child in which the host has components compiled.
pub(super) fn compile_component(input: &Path, output: &Path) -> Result<ExitStatus, CliError> {
    match crate::plugin::compile_component(input, output) {
        Ok(()) => Ok(ExitStatus::Done),
        Err(why) => Err(CliError::Failed(Complaint::new(why))),
    }
}

/// `reap-children`: what outlives the host to end its commands.
pub(super) fn reap_children() -> ExitStatus {
    crate::fail_fast::reap(std::io::stdin().lock());
    ExitStatus::Done
}

/// `launch-command`: what becomes a command. It returns only when it could not.
pub(super) fn launch_command(launch: &LaunchArgs) -> ExitStatus {
    crate::engine::batch::launch(&launch.fault, &launch.dir, launch.input, &launch.argv);
    ExitStatus::Failed
}
