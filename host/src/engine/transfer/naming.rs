//! What becomes of a file that is at the destination already (B-123, D-21).

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::job::{DownloadSession, Existing, FileStatus};

/// Names that are tried for a file whose destination is taken.
const NAMES_MAX: u32 = 10_000;

/// The first of `x.1`, `x.2`… that is free, if `local` is taken.
pub(super) fn other_name(local: &str) -> Option<String> {
    let taken = |path: &str| std::fs::symlink_metadata(path).is_ok();
    if !taken(local) {
        return None;
    }
    names(local).find(|name| !taken(name))
}

fn names(local: &str) -> impl Iterator<Item = String> {
    (1..=NAMES_MAX).map(move |number| format!("{local}.{number}"))
}

/// Where a whole file goes: its destination, or the name it was given instead.
pub(super) fn target(file: &FileStatus, existing: Existing) -> PathBuf {
    let other = match existing {
        Existing::Rename => DownloadSession::read(file.session.as_deref()).placed,
        Existing::Overwrite | Existing::Fail | Existing::Keep => None,
    };
    PathBuf::from(other.unwrap_or_else(|| file.local.clone()))
}

/// Moves a whole file to its target. Only `overwrite` replaces what is there.
///
/// # Errors
/// The system's; `EEXIST` where something is in the way of `fail`.
pub(super) fn put(temporary: &Path, target: &Path, existing: Existing) -> io::Result<()> {
    match existing {
        Existing::Overwrite => std::fs::rename(temporary, target),
        Existing::Fail => without_replacing(temporary, target),
        Existing::Keep => match without_replacing(temporary, target) {
            Err(why) if why.kind() == io::ErrorKind::AlreadyExists => super::disk::remove(temporary),
            put => put,
        },
        Existing::Rename => {
            let mut put = without_replacing(temporary, target);
            // Somebody took the name since it was found free.
            let taken = target.to_string_lossy();
            let mut others = names(&taken);
            while matches!(&put, Err(why) if why.kind() == io::ErrorKind::AlreadyExists) {
                let Some(other) = others.next() else { break };
                put = without_replacing(temporary, Path::new(&other));
                if put.is_ok() {
                    tracing::warn!("{} was taken; the file is {other}", target.display());
                }
            }
            put
        }
    }
}

fn without_replacing(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Some file systems cannot; a link cannot replace anything either.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            std::fs::hard_link(from, to)?;
            std::fs::remove_file(from)
        }
        moved => Ok(moved?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b123_what_is_there_is_replaced_kept_or_gone_round_as_said() {
        for (existing, there, beside) in [
            (Existing::Overwrite, "new", None),
            (Existing::Fail, "old", None),
            (Existing::Keep, "old", None),
            (Existing::Rename, "old", Some("new")),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let (temporary, target) = (dir.path().join("t"), dir.path().join("x"));
            std::fs::write(&temporary, "new").unwrap();
            std::fs::write(&target, "old").unwrap();
            let put = put(&temporary, &target, existing);
            assert_eq!(put.is_ok(), existing != Existing::Fail, "{existing}");
            assert_eq!(temporary.exists(), existing == Existing::Fail, "{existing}");
            assert_eq!(std::fs::read_to_string(&target).unwrap(), there, "{existing}");
            let found = std::fs::read_to_string(dir.path().join("x.1")).ok();
            assert_eq!(found.as_deref(), beside, "{existing}");
        }
    }

    #[test]
    fn b123_a_free_name_is_taken_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let local = dir.path().join("x").to_str().unwrap().to_owned();
        assert_eq!(other_name(&local), None);
        for expected in ["x.1", "x.2"] {
            std::fs::write(dir.path().join("x"), "").unwrap();
            let name = other_name(&local).unwrap();
            assert!(name.ends_with(expected), "{name}");
            std::fs::write(name, "").unwrap();
        }
    }
}
