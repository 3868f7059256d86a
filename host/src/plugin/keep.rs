//! The last good components, kept by digest: a bad file never unloads a good one, not even across
//! a restart. They stay until their file was seen to be removed, or `plugin remove` forgets them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::compile::{digest, write_durably};
use crate::job::PluginName;

const INDEX: &str = "index.json";

/// The folder of last good components and its index.
#[derive(Debug)]
pub(super) struct Keep {
    dir: PathBuf,
    index: BTreeMap<PluginName, Kept>,
}

/// What the index says of one plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    /// SHA-256 of its last good component, hex.
    digest: String,
    /// Its file was gone when a host last looked into a folder that had others: it stands in for a
    /// bad file that may come, and not for a folder that is gone.
    #[serde(default)]
    withdrawn: bool,
}

impl Keep {
    /// Opens or makes the folder. An index that cannot be read is a lost convenience, not an
    /// error: it is logged and begun anew.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub(super) fn open(dir: PathBuf) -> std::io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        let path = dir.join(INDEX);
        let index = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::warn!(file = %path.display(), "the index of last good plugins is begun anew: {error}");
                BTreeMap::new()
            }),
            Err(_) => BTreeMap::new(),
        };
        Ok(Self { dir, index })
    }

    /// The digest of the last good component of `name`.
    pub(super) fn digest(&self, name: &PluginName) -> Option<&str> {
        self.index.get(name).map(|kept| kept.digest.as_str())
    }

    /// The digest of every last good component.
    pub(super) fn digests(&self) -> impl Iterator<Item = &str> {
        self.index.values().map(|kept| kept.digest.as_str())
    }

    /// The plugins that a folder without them lacks.
    pub(super) fn expected(&self) -> Vec<PluginName> {
        let expected = self.index.iter().filter(|(_, kept)| !kept.withdrawn);
        expected.map(|(name, _)| name.clone()).collect()
    }

    /// Takes note of which files a sound folder has.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub(super) fn note_present(&mut self, is_there: impl Fn(&PluginName) -> bool) -> std::io::Result<()> {
        let mut changed = false;
        for (name, kept) in &mut self.index {
            let withdrawn = !is_there(name);
            changed |= kept.withdrawn != withdrawn;
            kept.withdrawn = withdrawn;
        }
        if changed { self.write_index() } else { Ok(()) }
    }

    /// The bytes of the last good component of `name`, if they are still what they were.
    pub(super) fn read(&self, name: &PluginName) -> Option<(String, Vec<u8>)> {
        let wanted = self.digest(name)?;
        let bytes = fs::read(self.path(wanted)).ok()?;
        (digest(&bytes) == wanted).then(|| (wanted.to_owned(), bytes))
    }

    /// Makes `wasm` the last good component of `name`.
    ///
    /// # Errors
    /// When it cannot be written; the one before stays.
    pub(super) fn remember(&mut self, name: &PluginName, digest: &str, wasm: &[u8]) -> std::io::Result<()> {
        if self.digest(name) == Some(digest) {
            return Ok(());
        }
        write_durably(&self.path(digest), wasm)?;
        let kept = Kept {
            digest: digest.to_owned(),
            withdrawn: false,
        };
        self.index.insert(name.clone(), kept);
        self.write_index()
    }

    /// Forgets `name`, which was removed on purpose; says whether there was anything to forget.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub(super) fn forget(&mut self, name: &PluginName) -> std::io::Result<bool> {
        match self.index.remove(name) {
            Some(_) => self.write_index().map(|()| true),
            None => Ok(false),
        }
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.dir.join(format!("{digest}.wasm"))
    }

    fn write_index(&self) -> std::io::Result<()> {
        let text = serde_json::to_vec_pretty(&self.index).map_err(std::io::Error::other)?;
        write_durably(&self.dir.join(INDEX), &text)?;
        // Only now is what the index no longer names of no use to anybody.
        for entry in fs::read_dir(&self.dir)?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some(stem) = name.strip_suffix(".wasm")
                && !self.digests().any(|digest| digest == stem)
            {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_good_bytes_survive_a_restart_and_only_as_they_were() {
        let dir = tempfile::tempdir().unwrap();
        let name: PluginName = "pager".parse().unwrap();
        let mut keep = Keep::open(dir.path().to_owned()).unwrap();
        keep.remember(&name, &digest(b"one"), b"one").unwrap();
        keep.remember(&name, &digest(b"two"), b"two").unwrap();
        assert!(!keep.path(&digest(b"one")).exists());
        let mut keep = Keep::open(dir.path().to_owned()).unwrap();
        assert_eq!(keep.read(&name).unwrap().1, b"two");
        fs::write(keep.path(&digest(b"two")), b"tampered").unwrap();
        assert_eq!(keep.read(&name), None);
        assert!(keep.forget(&name).unwrap());
        assert!(!keep.forget(&name).unwrap());
        assert_eq!(keep.expected(), []);
        assert!(!keep.path(&digest(b"two")).exists());
    }

    #[test]
    fn what_a_sound_folder_lacks_is_kept_and_not_expected() {
        let dir = tempfile::tempdir().unwrap();
        let [gone, there]: [PluginName; 2] = ["gone".parse().unwrap(), "there".parse().unwrap()];
        let mut keep = Keep::open(dir.path().to_owned()).unwrap();
        keep.remember(&gone, &digest(b"one"), b"one").unwrap();
        keep.remember(&there, &digest(b"two"), b"two").unwrap();
        keep.note_present(|name| *name == there).unwrap();
        let mut keep = Keep::open(dir.path().to_owned()).unwrap();
        assert_eq!(keep.expected(), [there]);
        assert_eq!(keep.read(&gone).unwrap().1, b"one");
        keep.note_present(|_| true).unwrap();
        assert_eq!(keep.expected().len(), 2);
    }
}
