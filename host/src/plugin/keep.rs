//! The last good components, kept by digest: a bad file never unloads a good one, not even across
//! a restart.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use super::compile::{digest, write_durably};
use crate::job::PluginName;

const INDEX: &str = "index.json";

/// The folder of last good components and its index.
#[derive(Debug)]
pub(super) struct Keep {
    dir: PathBuf,
    index: BTreeMap<PluginName, String>,
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
        self.index.get(name).map(String::as_str)
    }

    /// Every name with a last good component.
    pub(super) fn names(&self) -> Vec<PluginName> {
        self.index.keys().cloned().collect()
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
        self.index.insert(name.clone(), digest.to_owned());
        self.write_index()
    }

    /// Forgets `name`: its file was removed on purpose.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub(super) fn forget(&mut self, name: &PluginName) -> std::io::Result<()> {
        match self.index.remove(name) {
            Some(_) => self.write_index(),
            None => Ok(()),
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
                && !self.index.values().any(|digest| digest == stem)
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
        keep.forget(&name).unwrap();
        assert_eq!(keep.names(), []);
        assert!(!keep.path(&digest(b"two")).exists());
    }
}
