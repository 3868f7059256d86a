//! Whether a job can be accepted by this host: its kind, its destinations, its handler.

use std::path::Path;

use crate::config::Config;
use crate::engine::transfer;
use crate::job::{Code, JobKind, PluginName};
use crate::store::NewJob;

/// What of a job depends on this host.
///
/// # Errors
/// The code, and a sentence that says what is wrong.
pub(super) fn files(config: &Config, new: &NewJob) -> Result<(), (Code, String)> {
    let transfer = new.spec.transfer();
    let upload = &transfer.upload;
    upload.check(new.kind, &new.files)?;
    transfer.placing.check()?;
    for file in &new.files {
        match new.kind {
            JobKind::Download => {
                transfer::check_file(file, &config.transfer)?;
                not_our_own(config, &file.local)?;
            }
            JobKind::Upload => transfer::check_source(file, &config.transfer)?,
            JobKind::UploadReply => {
                transfer::check_source(file, &config.transfer)?;
                if upload.reply.is_none() {
                    // Its name is made up later; that it can be written there is seen now.
                    reply(config, &format!("{}.reply", file.local))?;
                }
            }
            JobKind::Batch | JobKind::Query => {}
        }
    }
    match (&upload.reply, new.kind) {
        (_, JobKind::Batch) if new.files.is_empty() => Ok(()),
        (_, JobKind::Batch) => Err((Code::INVALIDARG, "only transfers have files".to_owned())),
        (_, JobKind::Query) => {
            let why = format!(
                "this host runs no jobs of kind {} yet; it runs downloads, uploads and batches",
                new.kind
            );
            Err((Code::NOTIMPL, why))
        }
        (Some(local), _) => reply(config, local),
        (None, _) => Ok(()),
    }
}

/// Whether a reply can be put there.
///
/// # Errors
/// As [`files`].
pub(super) fn reply(config: &Config, local: &str) -> Result<(), (Code, String)> {
    transfer::check_reply(local)?;
    not_our_own(config, local)
}

/// What is fetched must not replace what the host itself lives by.
fn not_our_own(config: &Config, local: &str) -> Result<(), (Code, String)> {
    let path = Path::new(local);
    // The name may be new; its folder exists, and may be reached through a link.
    let real = match (
        path.parent().and_then(|dir| dir.canonicalize().ok()),
        path.file_name(),
    ) {
        (Some(dir), Some(name)) => dir.join(name),
        _ => path.to_path_buf(),
    };
    let resolved = |own: &Path| own.canonicalize().unwrap_or_else(|_| own.to_path_buf());
    let folders = [
        &config.host.state_dir,
        &config.host.plugin_dir,
        &config.fail_fast.report_dir,
    ];
    let files = [Some(&config.host.control), config.source.as_ref()];
    let taken = folders.iter().any(|folder| real.starts_with(resolved(folder)))
        || files.into_iter().flatten().any(|file| real == resolved(file));
    if taken {
        let why = format!("`{local}` belongs to the host itself; choose another destination");
        return Err((Code::ACCESSDENIED, why));
    }
    Ok(())
}

/// The refusal of a handler that nobody knows. A file that was refused may name it, so that is said.
pub(super) fn unknown_handler<'a>(
    handler: &PluginName,
    known: impl Iterator<Item = &'a PluginName>,
    file_is_refused: bool,
) -> (Code, String) {
    let known: Vec<&str> = known.map(PluginName::as_str).collect();
    let known = if known.is_empty() {
        "there are none".to_owned()
    } else {
        known.join(", ")
    };
    let refused = if file_is_refused {
        "; the configuration file as it is now was refused and does not count, `sexton config check` says why"
    } else {
        ""
    };
    let why = format!("there is no plugin `{handler}`; known: {known}{refused}");
    (Code::INVALIDARG, why)
}
