//! Whether a job can be accepted by this host: its kind, its destinations, its handler.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::engine::{query, transfer};
use crate::job::{Code, Family, JobKind, PluginName, QuerySpec};
use crate::store::NewJob;

/// Where the host itself lives, looked up once for all jobs of a list: links are followed, and that
/// costs a look at every folder on the way.
pub(super) struct Own {
    folders: Vec<PathBuf>,
    files: Vec<PathBuf>,
    /// The folder of the last destination, as it was named and as it is.
    last: RefCell<Option<(PathBuf, PathBuf)>>,
}

impl Own {
    /// That of a host so configured.
    pub(super) fn of(config: &Config) -> Self {
        let resolved = |own: &Path| own.canonicalize().unwrap_or_else(|_| own.to_path_buf());
        let folders = [
            &config.host.state_dir,
            &config.host.plugin_dir,
            &config.fail_fast.report_dir,
        ];
        let files = [Some(&config.host.control), config.source.as_ref()];
        Self {
            folders: folders.into_iter().map(|folder| resolved(folder)).collect(),
            files: files.into_iter().flatten().map(|file| resolved(file)).collect(),
            last: RefCell::default(),
        }
    }

    /// The folder of a destination, if it exists.
    fn folder(&self, path: &Path) -> Option<PathBuf> {
        let named = path.parent()?;
        let mut last = self.last.borrow_mut();
        if let Some((known, real)) = &*last
            && known == named
        {
            return Some(real.clone());
        }
        let real = named.canonicalize().ok()?;
        *last = Some((named.to_path_buf(), real.clone()));
        Some(real)
    }

    /// What is fetched must not replace what the host itself lives by.
    fn refuse(&self, local: &str) -> Result<(), (Code, String)> {
        let path = Path::new(local);
        // The name may be new; its folder exists, and may be reached through a link.
        let real = match (self.folder(path), path.file_name()) {
            (Some(dir), Some(name)) => dir.join(name),
            _ => path.to_path_buf(),
        };
        let taken = self.folders.iter().any(|folder| real.starts_with(folder)) || self.files.contains(&real);
        if taken {
            let why = format!("`{local}` belongs to the host itself; choose another destination");
            return Err((Code::ACCESSDENIED, why));
        }
        Ok(())
    }
}

/// What of a job depends on this host.
///
/// # Errors
/// The code, and a sentence that says what is wrong.
pub(super) fn files(config: &Config, own: &Own, new: &NewJob) -> Result<(), (Code, String)> {
    if new.kind.family() != Family::Transfer && !new.files.is_empty() {
        return Err((Code::INVALIDARG, "only transfers have files".to_owned()));
    }
    if let Some(asked) = &new.spec.query {
        return ask(config, own, asked);
    }
    let transfer = new.spec.transfer();
    let upload = &transfer.upload;
    upload.check(new.kind, &new.files)?;
    transfer.placing.check()?;
    for file in &new.files {
        match new.kind {
            JobKind::Download => {
                transfer::check_file(file, &config.transfer)?;
                own.refuse(&file.local)?;
            }
            JobKind::Upload => transfer::check_source(file, &config.transfer)?,
            JobKind::UploadReply => {
                transfer::check_source(file, &config.transfer)?;
                if upload.reply.is_none() {
                    // Its name is made up later; that it can be written there is seen now.
                    reply(own, &format!("{}.reply", file.local))?;
                }
            }
            JobKind::Batch | JobKind::Query => {}
        }
    }
    match (&upload.reply, new.kind) {
        // A query was dealt with before.
        (_, JobKind::Batch | JobKind::Query) => Ok(()),
        (Some(local), _) => reply(own, local),
        (None, _) => Ok(()),
    }
}

/// Whether a query can be put to its provider.
fn ask(config: &Config, own: &Own, asked: &QuerySpec) -> Result<(), (Code, String)> {
    query::check(&config.query, &asked.provider)?;
    match (asked.provider.scheme(), asked.provider.rest()) {
        // What jobs were trusted with is in there.
        ("sqlite", Some(path)) => own.refuse(path),
        _ => Ok(()),
    }
}

/// Whether a reply can be put there.
///
/// # Errors
/// As [`files`].
pub(super) fn reply(own: &Own, local: &str) -> Result<(), (Code, String)> {
    transfer::check_reply(local)?;
    own.refuse(local)
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
