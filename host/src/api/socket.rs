//! The control socket as a file: made private, never taken from a living host.

use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

/// Why the control socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// A host answers there.
    #[error("another host answers at the control socket {}", path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something else has the name.
    #[error("{} is in the way: it is not a socket", path.display())]
    NotASocket {
        /// The file.
        path: PathBuf,
    },
    /// The system's limit.
    #[error("the control socket's path {} is longer than the system allows (107 bytes)", path.display())]
    TooLong {
        /// The path.
        path: PathBuf,
    },
    /// The system said no.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl ListenError {
    /// What to do next.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::InUse { .. } => "stop it, or set another `[host] control`",
            Self::NotASocket { .. } => "move it away, or set another `[host] control`",
            Self::TooLong { .. } => "set a shorter `[host] control`",
            Self::Io { .. } => "`[host] control` must lie in a directory that the host may write to",
        }
    }
}

/// Listens at `path`: mode 0600, in a directory that is made with mode 0700 if it is missing. The
/// socket of a host that has died is replaced. Call it within a tokio runtime.
///
/// # Errors
/// See [`ListenError`].
pub fn listen(path: &Path) -> Result<UnixListener, ListenError> {
    let failed = |what: &'static str, path: &Path| {
        let path = path.to_owned();
        move |source| ListenError::Io { what, path, source }
    };
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        let mut builder = std::fs::DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(parent);
        made.map_err(failed("make the directory", parent))?;
    }
    clear(path)?;
    let listener = match UnixListener::bind(path) {
        Ok(listener) => listener,
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            return Err(ListenError::TooLong {
                path: path.to_owned(),
            });
        }
        Err(error) => return Err(failed("listen at", path)(error)),
    };
    // Between `bind` and here others could connect; the server asks the system who they are anyway.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .map_err(failed("make private the socket", path))?;
    Ok(listener)
}

/// Removes a socket that nobody answers at.
fn clear(path: &Path) -> Result<(), ListenError> {
    let failed = |what| {
        move |source| ListenError::Io {
            what,
            path: path.to_owned(),
            source,
        }
    };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("look at")(error)),
        Ok(meta) if !meta.file_type().is_socket() => {
            return Err(ListenError::NotASocket {
                path: path.to_owned(),
            });
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(ListenError::InUse {
            path: path.to_owned(),
        }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(failed("remove the dead socket"))
        }
        Err(error) => Err(failed("connect to")(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dead_socket_is_replaced_and_a_living_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/control.sock");
        let first = listen(&path).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        assert!(matches!(listen(&path), Err(ListenError::InUse { .. })));
        drop(first);
        listen(&path).unwrap();
    }

    #[tokio::test]
    async fn a_file_in_the_way_is_not_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        std::fs::write(&path, "precious").unwrap();
        assert!(matches!(listen(&path), Err(ListenError::NotASocket { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        let long = dir.path().join("x".repeat(200));
        assert!(matches!(listen(&long), Err(ListenError::TooLong { .. })));
    }
}
