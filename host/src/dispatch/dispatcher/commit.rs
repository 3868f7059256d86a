//! Putting a verdict into the store, whatever befalls the store meanwhile.

use std::sync::Arc;

use crate::clock::Clock;
use crate::job::Refusal;
use crate::store::{SettleResult, Settlement, Store, StoreError};

use super::STORE_RETRY;

/// Settles, and settles again while the store is in trouble: a verdict must not be lost. A FailFast
/// does not wait for a store that fails. Returns why the law refused, if it did.
pub(super) async fn commit(
    settlement: Settlement,
    store: Arc<dyn Store>,
    clock: Clock,
    fatal: bool,
) -> Option<Refusal> {
    loop {
        match store.settle(settlement.clone()).await {
            Ok(SettleResult::Conflict) => {
                tracing::info!(delivery = %settlement.delivery, "the job moved while its handler decided; called again");
                return None;
            }
            Ok(_) => return None,
            Err(StoreError::Refused(why)) => return Some(why),
            Err(StoreError::Backend(why)) if !fatal => {
                tracing::error!(delivery = %settlement.delivery, "a verdict cannot be committed: {why}");
                clock.sleep_until(clock.now().after(STORE_RETRY)).await;
            }
            Err(why) => {
                tracing::warn!(delivery = %settlement.delivery, "a verdict was not committed: {why}");
                return None;
            }
        }
    }
}
