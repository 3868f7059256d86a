//! What one run of the suite was asked for, and what all benchmarks share.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// What a benchmark runs with.
pub struct Bench {
    picked: Vec<String>,
    quick: bool,
    dir: PathBuf,
}

impl Bench {
    /// Reads the command line; `ids` are the benchmarks there are.
    pub fn from_args(args: impl Iterator<Item = String>, ids: &[&str]) -> Result<Self, String> {
        let mut bench = Self {
            picked: Vec::new(),
            quick: false,
            dir: PathBuf::from(env!("CARGO_TARGET_TMPDIR")),
        };
        let mut args = args;
        while let Some(arg) = args.next() {
            match arg.as_str() {
                // Cargo's own word to every bench.
                "--bench" => {}
                "--quick" => bench.quick = true,
                "--dir" => bench.dir = args.next().ok_or("--dir needs a path")?.into(),
                id if ids.contains(&id) => bench.picked.push(arg),
                other => {
                    let known = ids.join(", ");
                    return Err(format!(
                        "`{other}` is no benchmark; there are {known}, and --quick, --dir PATH"
                    ));
                }
            }
        }
        std::fs::create_dir_all(&bench.dir)
            .map_err(|why| format!("{} cannot be made: {why}", bench.dir.display()))?;
        Ok(bench)
    }

    /// Whether this benchmark is to run.
    pub fn wants(&self, id: &str) -> bool {
        self.picked.is_empty() || self.picked.iter().any(|picked| picked == id)
    }

    /// Whether sizes are small and numbers mean nothing.
    pub const fn quick(&self) -> bool {
        self.quick
    }

    /// The full size, or the quick one.
    pub fn pick<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// The disk that is measured: everything durable happens below this folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A folder of its own on that disk, gone when dropped.
    pub fn folder(&self) -> TempDir {
        tempfile::tempdir_in(&self.dir).expect("a folder can be made where the bench runs")
    }
}

/// The real program, built with the profile of this bench.
pub fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_sexton-under-test"))
}

/// The path of an installed program, if there is one.
pub fn installed(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}
