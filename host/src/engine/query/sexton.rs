//! `sexton`: the host's own jobs, files, errors, deliveries and plugins.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use super::provider::{Ask, Provider, QueryFault, RowSink};
use super::sql::on_thread;
use crate::store::{ShownPlugin, open_shown};

/// What plugins there are: the plugin room's to say.
pub type Inventory = Arc<dyn Fn() -> Vec<ShownPlugin> + Send + Sync>;

/// The host itself.
pub(super) struct Own {
    pub(super) state_dir: PathBuf,
    pub(super) inventory: Inventory,
}

#[async_trait]
impl Provider for Own {
    fn name(&self) -> String {
        "sexton".to_owned()
    }

    async fn ask(&self, ask: Ask, rows: RowSink) -> Result<(), QueryFault> {
        let (state_dir, plugins) = (self.state_dir.clone(), (self.inventory)());
        let open = move |_: &Ask| open_shown(&state_dir, &plugins).map_err(QueryFault::from);
        on_thread(open, ask, rows).await
    }
}
