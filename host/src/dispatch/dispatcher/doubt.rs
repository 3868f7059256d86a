//! After a claim of which nobody knows whether it was committed.

use crate::job::DeliveryState;
use crate::store::{AfterFailure, DeliveryFilter, Settlement, StoreError, Verdict};

use super::super::words::host_fault;
use super::Dispatcher;

/// Running deliveries looked through; more than dispatch ever has.
const RUNNING_MAX: usize = 100_000;

impl Dispatcher {
    /// Deliveries of a claim that was committed though it was told to have failed become due again,
    /// uncharged. The fence keeps this from deliveries of other hosts.
    pub(super) async fn give_back(&mut self) -> Result<(), StoreError> {
        let running = DeliveryFilter {
            states: vec![DeliveryState::Running],
            limit: RUNNING_MAX,
            ..DeliveryFilter::default()
        };
        for delivery in self.store.deliveries(running).await? {
            if self.under_way.contains(&delivery.id) {
                continue;
            }
            let now = self.clock.now();
            let record = host_fault(
                "its claim failed halfway; nothing was called".to_owned(),
                delivery.attempt,
                now,
            );
            let next = AfterFailure::Retry {
                due: now,
                stage: delivery.stage,
            };
            let settlement = Settlement {
                delivery: delivery.id,
                attempt: delivery.attempt,
                revision: 0,
                digest: String::new(),
                state_reads: Vec::new(),
                verdict: Verdict::Failed {
                    record: Box::new(record),
                    next,
                },
            };
            match self.store.settle(settlement).await {
                Ok(_) => tracing::warn!(delivery = %delivery.id, "given back: its claim failed halfway"),
                Err(why @ (StoreError::Backend(_) | StoreError::Closed)) => return Err(why),
                Err(_) => {}
            }
        }
        self.claim_in_doubt = false;
        Ok(())
    }
}
