//! The plugin folder: what lies in it, and what its files hold.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::compile::digest;
use super::refusal::Refusal;
use crate::job::PluginName;

/// Largest file that is loaded; a Python component has 18 MB (HB-13).
pub(super) const SIZE_MAX: u64 = 64 << 20;

/// What tells one state of a file from the next without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// Bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    fn of(meta: &Metadata) -> Self {
        Self {
            inode: meta.ino(),
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }
}

/// What a look into the folder found.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// The candidates.
    pub(super) files: BTreeMap<PluginName, (PathBuf, Stamp)>,
    /// Files that look like plugins and are not: name and why, for the log.
    pub(super) strange: Vec<(String, String)>,
    /// Which folder it is: another one when something is mounted or unmounted there, or when it was
    /// replaced.
    pub(super) place: Place,
}

/// Device and inode of a folder.
pub(super) type Place = (u64, u64);

/// Which folder this is about.
pub(super) fn place(meta: &Metadata) -> Place {
    (meta.dev(), meta.ino())
}

/// Lists the folder.
///
/// # Errors
/// When the folder cannot be read: it is gone, or not ours.
pub(super) fn list(dir: &Path) -> std::io::Result<Listing> {
    let root = fs::canonicalize(dir)?;
    let mut listing = Listing {
        place: place(&fs::metadata(&root)?),
        ..Listing::default()
    };
    for entry in fs::read_dir(&root)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // Dotfiles, and what editors and downloads leave behind: `x.wasm~`, `x.wasm.part` (HH-07).
        let Some(stem) = name.strip_suffix(".wasm").filter(|_| !name.starts_with('.')) else {
            if name.ends_with(".cwasm") {
                listing.strange.push((name, Refusal::Precompiled.to_string()));
            }
            continue;
        };
        let path = entry.path();
        // Gone again, or a link to nowhere: the next look will tell.
        let (Ok(target), Ok(meta)) = (fs::canonicalize(&path), fs::metadata(&path)) else {
            continue;
        };
        if !meta.is_file() {
            continue;
        }
        if !target.starts_with(&root) {
            let why = "it is a link that leaves the plugin folder; copy the component itself".to_owned();
            listing.strange.push((name, why));
            continue;
        }
        match PluginName::of_component(stem) {
            Ok(plugin) => drop(listing.files.insert(plugin, (path, Stamp::of(&meta)))),
            Err(error) => listing.strange.push((name, error.to_string())),
        }
    }
    Ok(listing)
}

/// One reading of a file.
#[derive(Debug)]
pub(super) enum Reading {
    /// Its bytes and their SHA-256.
    Whole {
        /// Of the moment it was read.
        stamp: Stamp,
        /// SHA-256, hex.
        digest: String,
        /// All of it.
        bytes: Vec<u8>,
    },
    /// It changed while it was read, or is gone.
    Moving,
    /// Over the cap.
    TooLarge {
        /// Of the moment it was looked at.
        stamp: Stamp,
    },
}

/// Reads a file once: everything after this works on the same bytes (HH-04).
pub(super) fn read(path: &Path) -> Reading {
    let attempt = || -> std::io::Result<Reading> {
        let file = File::open(path)?;
        let stamp = Stamp::of(&file.metadata()?);
        if stamp.size > SIZE_MAX {
            return Ok(Reading::TooLarge { stamp });
        }
        let mut bytes = Vec::with_capacity(usize::try_from(stamp.size).unwrap_or(0));
        (&file).take(SIZE_MAX + 1).read_to_end(&mut bytes)?;
        // By path: a file that was replaced meanwhile is another file.
        let after = Stamp::of(&fs::metadata(path)?);
        if after != stamp || bytes.len() as u64 != stamp.size {
            return Ok(Reading::Moving);
        }
        let digest = digest(&bytes);
        Ok(Reading::Whole { stamp, digest, bytes })
    };
    attempt().unwrap_or(Reading::Moving)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hh07_only_plugins_are_listed() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::NamedTempFile::new().unwrap();
        let path = |name: &str| dir.path().join(name);
        for name in [
            "pager.wasm",
            ".hidden.wasm",
            "pager.wasm~",
            "x.wasm.tmp",
            "x.wasm.part",
            "notes.txt",
            "Bad Name.wasm",
            "old.cwasm",
        ] {
            fs::write(path(name), b"x").unwrap();
        }
        fs::create_dir(path("dir.wasm")).unwrap();
        std::os::unix::fs::symlink(outside.path(), path("leaves.wasm")).unwrap();
        std::os::unix::fs::symlink(path("pager.wasm"), path("alias.wasm")).unwrap();
        std::os::unix::fs::symlink(path("nowhere"), path("broken.wasm")).unwrap();
        let listing = list(dir.path()).unwrap();
        let names: Vec<_> = listing.files.keys().map(PluginName::as_str).collect();
        assert_eq!(names, ["alias", "pager"]);
        let mut strange: Vec<_> = listing.strange.iter().map(|(name, _)| name.as_str()).collect();
        strange.sort_unstable();
        assert_eq!(strange, ["Bad Name.wasm", "leaves.wasm", "old.cwasm"]);
    }

    #[test]
    fn an_oversized_file_is_not_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(SIZE_MAX + 1).unwrap();
        assert!(matches!(read(file.path()), Reading::TooLarge { .. }));
        assert!(matches!(read(Path::new("/nowhere")), Reading::Moving));
    }
}
