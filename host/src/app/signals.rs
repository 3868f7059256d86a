//! The signals a host hears, from before its first durable act until its end.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::{CliError, Complaint};

/// SIGTERM, SIGINT and SIGHUP, which from now on end nobody by themselves.
pub(super) struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// SIGTERM, SIGINT.
    End,
    /// SIGHUP.
    Reload,
}

impl Signals {
    /// Begins to hear them.
    pub(super) fn listen() -> Result<Self, CliError> {
        let listen = |kind| {
            signal(kind).map_err(|why| CliError::Failed(Complaint::new("signals cannot be heard").cause(why)))
        };
        Ok(Self {
            term: listen(SignalKind::terminate())?,
            int: listen(SignalKind::interrupt())?,
            hup: listen(SignalKind::hangup())?,
        })
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.term.recv() => Asked::End,
            _ = self.int.recv() => Asked::End,
            _ = self.hup.recv() => Asked::Reload,
        }
    }

    /// The next one that ends the host.
    pub(super) async fn end(&mut self) {
        while self.next().await != Asked::End {}
    }
}
