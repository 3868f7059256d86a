//! A job's own handler and its flags are set while the job goes on: who waits to be
//! told follows at once (B-98, B-103, B-111).

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension, params};

use crate::job::{DeliveryState, EventKind, JobChange, JobState, PluginName, Transition};

use super::Change;
use super::backfill::resting_event;
use super::rows::{StoredJob, word};
use super::writer::{Done, Work};

impl Work<'_> {
    /// Writes new properties. Where they say who is told, whoever is no longer to be told of something
    /// that waits is not told of it; whoever is new hears of the state in which the job rests, and a
    /// handler that is set anew hears of it again, even after a success.
    pub(super) fn register(
        &mut self,
        stored: &mut StoredJob,
        transition: Transition,
        change: &JobChange,
    ) -> Done<()> {
        if !change.registers() {
            self.write_transition(stored, transition)?;
            // It may have been held. A failed batch that waits for somebody to be told is another matter.
            return match stored.job.state {
                JobState::Transferred => self.release_if_done(stored),
                _ => Ok(()),
            };
        }
        let before = self.told(stored);
        self.write_transition(stored, transition)?;
        let after = self.told(stored);
        for (event, plugin) in before.difference(&after) {
            self.withdraw(stored.seq, *event, plugin)?;
        }
        if stored.job.intent.is_none() && !stored.job.state.is_final() {
            self.backfill_job(stored)?;
            if change.names_handler()
                && let Some(handler) = stored.job.spec.handler.clone()
            {
                self.tell_again(stored, &handler)?;
            }
        }
        self.follow_routing_of(stored.seq)?;
        // Its completion may have waited for what is no longer to be told.
        self.release_if_done(stored)
    }

    /// Who is told of what, as the job is registered now.
    fn told(&self, stored: &StoredJob) -> BTreeSet<(EventKind, PluginName)> {
        let all = EventKind::ALL.iter().copied();
        all.flat_map(|event| {
            let routes = self.router.routes(&stored.job, event);
            routes.into_iter().map(move |route| (event, route.plugin))
        })
        .collect()
    }

    /// What waits of `event` for `plugin` is over; a call under way is not taken back.
    fn withdraw(&mut self, job: i64, event: EventKind, plugin: &PluginName) -> Done<()> {
        let withdrawn = self
            .db
            .prepare_cached(
                "UPDATE deliveries INDEXED BY deliveries_open SET state = 'settled', \
                 result = 'withdrawn: the job tells another handler, or nobody', ended = ?4, due = NULL \
                 WHERE job = ?1 AND plugin = ?2 AND kind = ?3 AND state IN ('pending', 'running') AND +state = 'pending'",
            )?
            .execute(params![
                job,
                plugin.as_str(),
                event.as_str(),
                self.now.as_millis()
            ])?;
        for _ in 0..withdrawn {
            let (was, is) = (DeliveryState::Pending, DeliveryState::Settled);
            self.ledger.delivery(plugin, Some(was), Some(is));
        }
        self.unblock(job, plugin)?;
        self.changes.push(Change::Deliveries);
        Ok(())
    }

    /// The delivery by which `handler` heard of the state in which the job rests is made again, under its
    /// id, if it is over.
    fn tell_again(&mut self, stored: &StoredJob, handler: &PluginName) -> Done<()> {
        let Some(kind) = resting_event(&stored.job) else {
            return Ok(());
        };
        let Some(event) = self.event_of_entry(stored, kind)? else {
            return Ok(());
        };
        let known = self
            .db
            .prepare_cached("SELECT seq, state FROM deliveries WHERE event = ?1 AND plugin = ?2")?
            .query_row(params![event, handler.as_str()], |row| {
                Ok((row.get::<_, i64>(0)?, word::<DeliveryState>(row, 1)?))
            })
            .optional()?;
        match known {
            Some((seq, state)) if state.is_over() => self.open_again(seq),
            _ => Ok(()),
        }
    }
}
