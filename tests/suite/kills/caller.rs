//! Asking a host that may be dead.

use std::path::Path;

use sexton::api::client::{Client, ClientError};
use tokio::runtime::Runtime;

/// A client of the control API for a plain thread.
pub(crate) struct Caller {
    client: Client,
    runtime: Runtime,
}

impl Caller {
    pub(crate) fn new(dir: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        Self {
            client: Client::new(dir.join("control.sock")),
            runtime,
        }
    }

    /// Asks once; `None` when the host died or was not there. A refusal is a failure of the test.
    pub(crate) fn ask<T, F>(&self, question: impl FnOnce(Client) -> F) -> Option<T>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        match self.runtime.block_on(question(self.client.clone())) {
            Ok(answer) => Some(answer),
            Err(ClientError::NoHost { .. } | ClientError::Broken { .. }) => None,
            Err(other) => panic!("the host said no: {other}"),
        }
    }
}
