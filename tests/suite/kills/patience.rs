//! How often a host may die while a delivery is open.
//!
//! A delivery whose call was under way at six deaths in a row is parked by law. A test does not rely
//! on luck for that not to happen: it puts a death off while any delivery has seen so many that the
//! next could be one too many.

use std::collections::HashMap;

use sexton::api::request::DeliveryQuery;
use sexton::api::view::{DeliveryId, DeliveryState};
use sexton_tests::poll::until;

use super::caller::Caller;

/// Deaths that a delivery may see: well below the law's six.
const DEATHS_SEEN_MAX: u32 = 4;

/// Looks in vain after which it is said what is waited for.
const LOOKS_BEFORE_WORDS: u32 = 200;

/// Keeps count of the deaths that open deliveries may have seen.
#[derive(Default)]
pub(crate) struct Patience {
    /// So far.
    pub(crate) kills: u32,
    /// Deaths before the look at which an open delivery was first seen, and before the look before it:
    /// it is younger than that.
    born: HashMap<DeliveryId, u32>,
    last_look: u32,
}

impl Patience {
    /// Waits until `more` deaths can be borne by all that is open.
    pub(crate) fn wait(&mut self, caller: &Caller, more: u32) {
        let open = DeliveryQuery {
            states: vec![DeliveryState::Pending, DeliveryState::Running],
            limit: Some(1_000),
            ..DeliveryQuery::default()
        };
        let (mut old, mut looks) = (Vec::new(), 0);
        until("no open delivery has seen too many deaths", || {
            let open = caller
                .ask(async |client| client.deliveries(&open).await)?
                .deliveries;
            assert!(open.len() < 1_000, "all were seen");
            let born = open.iter().map(|delivery| {
                let born = self.born.get(&delivery.id).copied().unwrap_or(self.last_look);
                (delivery.id, born)
            });
            self.born = born.collect();
            self.last_look = self.kills;
            let borne = |born: &u32| self.kills - born + more <= DEATHS_SEEN_MAX;
            old = open;
            old.retain(|delivery| !borne(&self.born[&delivery.id]));
            looks += 1;
            if looks == LOOKS_BEFORE_WORDS {
                eprintln!("{} deaths, and these are not over: {old:#?}", self.kills);
            }
            old.is_empty().then_some(())
        });
    }
}
