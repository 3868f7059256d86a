//! Finds the file, and lays environment and flags over it.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::error::{ConfigErrors, Fault};
use super::{Config, Overrides};

/// Largest configuration file: a thousand plugins with long tables are a quarter of it.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The file of the whole machine.
const SYSTEM_FILE: &str = "/etc/sexton/sexton.toml";

/// Reads one environment variable.
type Env<'e> = &'e dyn Fn(&str) -> Option<String>;

/// A file that was found, with its text.
struct Found {
    path: PathBuf,
    text: String,
}

impl Found {
    /// What messages call the file: as short as the operator would write it here.
    fn shown(&self, cwd: &Path) -> &Path {
        self.path.strip_prefix(cwd).unwrap_or(&self.path)
    }
}

impl Config {
    /// The effective configuration: defaults, then the file, then `SEXTON_STATE_DIR`,
    /// `SEXTON_PLUGIN_DIR`, `SEXTON_CONTROL` and `SEXTON_LOG`, then `overrides`.
    ///
    /// The file is `explicit`, or that of `SEXTON_CONFIG`, or the first of `./sexton.toml`,
    /// `$XDG_CONFIG_HOME/sexton/sexton.toml` and `/etc/sexton/sexton.toml` that exists. With none
    /// the defaults hold, and the folders lie in `$XDG_STATE_HOME/sexton`.
    ///
    /// # Errors
    /// Every fault of the file, or why it cannot be read.
    pub fn load(explicit: Option<&Path>, env: Env<'_>, overrides: &Overrides) -> Result<Self, ConfigErrors> {
        Self::load_in(&current_dir()?, explicit, env, overrides)
    }

    /// [`Config::load`] as seen from the folder `cwd`.
    pub(super) fn load_in(
        cwd: &Path,
        explicit: Option<&Path>,
        env: Env<'_>,
        overrides: &Overrides,
    ) -> Result<Self, ConfigErrors> {
        let overrides = overrides.over_env(cwd, env);
        match find(cwd, explicit, env)? {
            Some(found) => {
                let base = found.path.parent().unwrap_or(cwd);
                let mut config = Self::parse(&found.text, found.shown(cwd), base, &overrides)?;
                config.source = Some(found.path);
                Ok(config)
            }
            None => {
                let mut config = Self::parse("", Path::new("defaults"), &home_of_state(env), &overrides)?;
                config.source = None;
                Ok(config)
            }
        }
    }
}

/// The socket a client talks to: `flag`, `SEXTON_SOCKET`, or `[host] control` of the configuration
/// that [`Config::load`] would find.
///
/// Of the file only that key is looked at, so that a fault elsewhere in a half-edited file does
/// not keep the operator from asking the running host what it thinks of it.
///
/// # Errors
/// The file cannot be read, or is not TOML before that key.
pub fn client_socket(
    flag: Option<&Path>,
    config: Option<&Path>,
    env: Env<'_>,
) -> Result<PathBuf, ConfigErrors> {
    client_socket_in(&current_dir()?, flag, config, env)
}

/// [`client_socket`] as seen from the folder `cwd`.
pub(super) fn client_socket_in(
    cwd: &Path,
    flag: Option<&Path>,
    config: Option<&Path>,
    env: Env<'_>,
) -> Result<PathBuf, ConfigErrors> {
    if let Some(path) = flag {
        return Ok(cwd.join(path));
    }
    if let Some(path) = set(env, "SEXTON_SOCKET").or_else(|| set(env, "SEXTON_CONTROL")) {
        return Ok(cwd.join(path));
    }
    let Some(found) = find(cwd, config, env)? else {
        return Ok(home_of_state(env).join("control.sock"));
    };
    let base = found.path.parent().unwrap_or(cwd);
    let (root, errors) = DeTable::parse_recoverable(&found.text);
    let control = root
        .get_ref()
        .get("host")
        .and_then(|host| host.get_ref().get("control"))
        .and_then(|control| control.get_ref().as_str());
    match control {
        Some(control) => Ok(base.join(control)),
        None if errors.is_empty() => Ok(base.join("control.sock")),
        // Whether the key is missing cannot be told; say what is wrong with the file instead.
        None => Config::parse(&found.text, found.shown(cwd), base, &Overrides::default())
            .map(|config| config.host.control),
    }
}

impl Overrides {
    /// These, and where they say nothing, what the environment says.
    fn over_env(&self, cwd: &Path, env: Env<'_>) -> Self {
        let path = |flag: &Option<PathBuf>, name: &str| {
            let from_env = || set(env, name).map(PathBuf::from);
            flag.clone().or_else(from_env).map(|path| cwd.join(path))
        };
        Self {
            state_dir: path(&self.state_dir, "SEXTON_STATE_DIR"),
            plugin_dir: path(&self.plugin_dir, "SEXTON_PLUGIN_DIR"),
            control: path(&self.control, "SEXTON_CONTROL"),
            log: self.log.clone().or_else(|| set(env, "SEXTON_LOG")),
        }
    }
}

/// A variable that says something: an empty one counts as unset.
fn set(env: Env<'_>, name: &str) -> Option<String> {
    env(name).filter(|value| !value.is_empty())
}

/// XDG folders count only when absolute, as their specification says.
fn xdg(env: Env<'_>, name: &str, below_home: &str) -> Option<PathBuf> {
    let absolute = |text: String| Some(PathBuf::from(text)).filter(|path| path.is_absolute());
    set(env, name).and_then(absolute).or_else(|| {
        set(env, "HOME")
            .and_then(absolute)
            .map(|home| home.join(below_home))
    })
}

fn home_of_state(env: Env<'_>) -> PathBuf {
    xdg(env, "XDG_STATE_HOME", ".local/state")
        .unwrap_or_else(|| PathBuf::from("/var/lib"))
        .join("sexton")
}

fn find(cwd: &Path, explicit: Option<&Path>, env: Env<'_>) -> Result<Option<Found>, ConfigErrors> {
    let named = explicit
        .map(Path::to_path_buf)
        .or_else(|| set(env, "SEXTON_CONFIG").map(PathBuf::from));
    if let Some(path) = named {
        let path = cwd.join(path);
        return match read(&path)? {
            Some(text) => Ok(Some(Found { path, text })),
            None => Err(ConfigErrors::one(
                path.display().to_string(),
                Fault::new("there is no such file")
                    .hint("`sexton init` writes one; or name another with --config"),
            )),
        };
    }
    let mut places = vec![cwd.join("sexton.toml")];
    places.extend(xdg(env, "XDG_CONFIG_HOME", ".config").map(|dir| dir.join("sexton/sexton.toml")));
    places.push(PathBuf::from(SYSTEM_FILE));
    for path in places {
        if let Some(text) = read(&path)? {
            return Ok(Some(Found { path, text }));
        }
    }
    Ok(None)
}

/// The file's text, or nothing when there is no such file. A file that exists and cannot be read
/// is an error: to go on without it would run another configuration than the operator wrote.
fn read(path: &Path) -> Result<Option<String>, ConfigErrors> {
    let place = || path.display().to_string();
    let refused = |fault: Fault| ConfigErrors::one(place(), fault);
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(refused(Fault::new(format!("cannot be opened: {error}")))),
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| refused(Fault::new(format!("cannot be read: {error}"))))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(refused(
            Fault::new("is over 1 MiB").expected("a configuration file"),
        ));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(refused(
            Fault::new("is not UTF-8 text").expected("a configuration file in TOML"),
        )),
    }
}

fn current_dir() -> Result<PathBuf, ConfigErrors> {
    std::env::current_dir().map_err(|error| {
        ConfigErrors::one(
            "current folder",
            Fault::new(format!("cannot be told: {error}")).hint("change to a folder that exists"),
        )
    })
}
