//! Writing a job's transition: the new state, its events, and one delivery for every handler, in
//! one transaction.

use std::time::Duration;

use rusqlite::{OptionalExtension, params};

use crate::job::{
    Command, DeliveryId, DeliveryState, EventKind, FileStatus, FilesChange, HoldReason, Job, JobState,
    PluginName, Route, SinkEvent, Timestamp, Transition, apply,
};

use super::Change;
use super::finally::Finally;
use super::journal::Note;
use super::rows::{EventData, StoredJob, int, millis, rank, to_json, word};
use super::writer::{Done, Work};

impl Work<'_> {
    /// Puts `command` through the law and writes what it says. Nothing is written on a refusal.
    pub(super) fn apply(&mut self, stored: &mut StoredJob, command: &Command) -> Done<()> {
        if let Command::Validate { file, .. } = command {
            self.check_validation(stored, command, file)?;
        }
        let transition = apply(&stored.job, command)?;
        if transition.is_noop(&stored.job) {
            return Ok(());
        }
        if transition.files != FilesChange::None && !self.changes_files(stored, &transition.files)? {
            return Ok(());
        }
        let was = stored.job.state;
        match command {
            Command::Change(change) => self.register(stored, transition, change)?,
            Command::Validate { file, .. } => {
                self.drop_bytes(stored, file.index)?;
                self.write_transition(stored, transition)?;
            }
            _ => self.write_transition(stored, transition)?,
        }
        self.notes.extend(Note::of(command, was, &stored.job));
        Ok(())
    }

    pub(super) fn write_transition(
        &mut self,
        stored: &mut StoredJob,
        mut transition: Transition,
    ) -> Done<()> {
        // An error that the law itself made up is of now.
        if let Some(error) = transition
            .error
            .as_mut()
            .filter(|error| error.at == Timestamp::default())
        {
            error.at = self.now;
        }
        let was = stored.job.state;
        let new_error = transition.error != stored.job.error;
        let events = transition.events.clone();
        let goes_behind = transition.goes_behind;
        self.write_set(stored, &transition)?;
        stored.advance(transition, self.now);
        for event in &events {
            let mut data = EventData {
                error: stored.job.error.clone(),
                outcome: stored.job.outcome,
                ..EventData::default()
            };
            if *event == EventKind::OnCompleted {
                data.sink = Some(SinkEvent::Completed(Box::new(self.completion(stored)?)));
            }
            self.raise(stored, *event, &data)?;
        }
        // With nobody to wait for, completion follows at once, in the same row.
        if stored.job.state == JobState::Transferred
            && was != JobState::Transferred
            && let Some(release) = self.release(stored)?
        {
            stored.advance(release, self.now);
        }
        self.write_job(stored)?;
        if goes_behind {
            self.db
                .prepare_cached("UPDATE jobs SET turn = ?2 WHERE seq = ?1")?
                .execute([stored.seq, self.now.as_millis()])?;
        }
        if new_error {
            let error = stored.job.error.as_ref().map(to_json).transpose()?;
            self.db
                .prepare_cached("UPDATE job_data SET error = ?2 WHERE job = ?1")?
                .execute(params![stored.seq, error])?;
        }
        self.ledger.job(Some(was), Some(stored.job.state));
        self.count_in_lane(Some(was), &stored.job)?;
        if stored.job.state.is_final() {
            self.ledger.count_open(self.db, &stored.job.owner, -1)?;
        }
        if let Some(outcome) = stored.job.outcome {
            self.tell_dependents(stored.job.id, outcome)?;
        }
        // Whoever is told what happened need not be told that something did (B-106).
        if events.is_empty() && !stored.job.state.is_final() {
            self.raise_modification(stored)?;
        }
        self.changed(stored);
        Ok(())
    }

    /// Writes what a transition says of properties, owner and files.
    fn write_set(&mut self, stored: &StoredJob, transition: &Transition) -> Done<()> {
        self.write_files_change(stored, &transition.files)?;
        if let Some(spec) = &transition.spec {
            self.write_spec(stored.seq, spec)?;
        }
        if let Some(owner) = &transition.owner {
            self.write_owner(stored.seq, &stored.job.owner, owner)?;
        }
        Ok(())
    }

    fn write_job(&self, stored: &StoredJob) -> Done<()> {
        let job = &stored.job;
        let claim = stored.claim.filter(|_| job.state.is_running());
        self.db
            .prepare_cached(
                "UPDATE jobs SET state = ?2, intent = ?3, outcome = ?4, priority = ?5, revision = ?6, \
                 entered = ?7, attempt = ?8, error_count = ?9, retries = ?10, no_progress_since = ?11, \
                 due = ?12, modified = ?13, transferred = ?14, \
                 claimed_by = ?15, claim_expires = ?16, held = ?17, active_ms = ?18, active_since = ?19, \
                 call = ?20 \
                 WHERE seq = ?1",
            )?
            .execute(params![
                stored.seq,
                job.state.as_str(),
                job.intent.map(|intent| intent.as_str()),
                job.outcome.map(|outcome| outcome.as_str()),
                rank(job.priority),
                int(job.revision),
                int(stored.entered),
                job.attempt,
                job.error_count,
                job.retries,
                job.no_progress_since.map(|time| time.as_millis()),
                job.due.map(|time| time.as_millis()),
                job.modified.as_millis(),
                job.transferred.map(|time| time.as_millis()),
                claim.map(|claim| claim.incarnation),
                claim.map(|claim| claim.expires),
                stored.held().map(HoldReason::as_str),
                u64::try_from(stored.active.ended.as_millis()).map_or(i64::MAX, int),
                stored.active.since.map(|time| time.as_millis()),
                (!job.call.is_default()).then(|| to_json(&job.call)).transpose()?,
            ])?;
        Ok(())
    }

    /// Writes an event and a delivery for every handler routed to it. Without handlers nothing is
    /// written: the job itself says what happened, and a handler that comes later gets its row then.
    pub(super) fn raise(&mut self, stored: &StoredJob, event: EventKind, data: &EventData) -> Done<()> {
        let routes = self.router.routes(&stored.job, event);
        if routes.is_empty() {
            return Ok(());
        }
        let seq = self.insert_event(stored, event, data)?;
        for route in routes {
            if event != EventKind::FileTransferred {
                self.overtake_modification(stored.seq, &route.plugin)?;
            }
            self.insert_delivery(stored, seq, event, &route)?;
        }
        self.changes.push(Change::Deliveries);
        Ok(())
    }

    /// What ends a job's run goes before news of a change (B-107), and shows the job as it now is: the
    /// news is dropped (B-106).
    fn overtake_modification(&mut self, job: i64, plugin: &PluginName) -> Done<()> {
        let overtaken = self
            .db
            .prepare_cached(
                "UPDATE deliveries INDEXED BY deliveries_open SET state = 'settled', result = 'overtaken', \
                 ended = coalesce(ended, ?3), due = NULL \
                 WHERE job = ?1 AND plugin = ?2 AND kind = 'job-modification' AND state IN ('pending', 'running') AND +state = 'pending'",
            )?
            .execute(params![job, plugin.as_str(), self.now.as_millis()])?;
        if overtaken > 0 {
            let (was, is) = (DeliveryState::Pending, DeliveryState::Settled);
            self.ledger.delivery(plugin, Some(was), Some(is));
        }
        Ok(())
    }

    pub(super) fn insert_event(&self, stored: &StoredJob, event: EventKind, data: &EventData) -> Done<i64> {
        self.db
            .prepare_cached("INSERT INTO events (job, kind, revision, at, data) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![
                stored.seq,
                event.as_str(),
                int(stored.job.revision),
                self.now.as_millis(),
                to_json(data)?
            ])?;
        Ok(self.db.last_insert_rowid())
    }

    /// A delivery of `event`, unless its handler has it; due at once if it is first of its pair.
    pub(super) fn insert_delivery(
        &mut self,
        stored: &StoredJob,
        event: i64,
        kind: EventKind,
        route: &Route,
    ) -> Done<()> {
        let blocked = self.is_blocked(stored.seq, &route.plugin, i64::MAX)?;
        let now = self.now.as_millis();
        let made = self
            .db
            .prepare_cached(
                "INSERT INTO deliveries (id, event, job, kind, owner, plugin, role, state, stage, attempt, \
                 charged, conflicts, interrupted, host_faults, fail_fasts, rounds, due, since, created, digest) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'pending', 'handler', 0, 0, 0, 0, 0, 0, 0, ?8, ?9, ?9, '') \
                 ON CONFLICT (event, plugin) DO NOTHING",
            )?
            .execute(params![
                DeliveryId::fresh().as_bytes(),
                event,
                stored.seq,
                kind.as_str(),
                stored.job.owner.as_str(),
                route.plugin.as_str(),
                route.role.as_str(),
                (!blocked).then_some(now),
                now,
            ])?;
        if made > 0 {
            self.ledger
                .delivery(&route.plugin, None, Some(DeliveryState::Pending));
        }
        Ok(())
    }

    /// One row per (job, handler), made due again at most once in the job's interval, never blocking
    /// (B-106, B-110).
    pub(super) fn raise_modification(&mut self, stored: &StoredJob) -> Done<()> {
        self.raise_latest(stored, EventKind::JobModification, &EventData::default())
    }

    /// The same for any event of which only the latest counts: it carries `data`.
    pub(super) fn raise_latest(&mut self, stored: &StoredJob, kind: EventKind, data: &EventData) -> Done<()> {
        let routes = self.router.routes(&stored.job, kind);
        if routes.is_empty() {
            return Ok(());
        }
        let known = self
            .db
            .prepare_cached("SELECT seq FROM events WHERE job = ?1 AND kind = ?2")?
            .query_row(params![stored.seq, kind.as_str()], |row| row.get::<_, i64>(0))
            .optional()?;
        let event = match known {
            Some(event) => {
                if data.sink.is_some() {
                    self.db
                        .prepare_cached("UPDATE events SET data = ?2, at = ?3 WHERE seq = ?1")?
                        .execute(params![event, to_json(data)?, self.now.as_millis()])?;
                }
                event
            }
            None => self.insert_event(stored, kind, data)?,
        };
        for route in routes {
            self.insert_delivery(stored, event, kind, &route)?;
            self.renew_modification(stored, event, &route.plugin)?;
        }
        self.changes.push(Change::Deliveries);
        Ok(())
    }

    fn renew_modification(&mut self, stored: &StoredJob, event: i64, plugin: &PluginName) -> Done<()> {
        let interval = millis(stored.job.spec.notify_interval);
        let known: Option<(i64, DeliveryState, Option<i64>)> = self
            .db
            .prepare_cached("SELECT seq, state, ended FROM deliveries WHERE event = ?1 AND plugin = ?2")?
            .query_row(params![event, plugin.as_str()], |row| {
                Ok((row.get(0)?, word(row, 1)?, row.get(2)?))
            })
            .optional()?;
        let Some((seq, state @ (DeliveryState::Pending | DeliveryState::Settled), ended)) = known else {
            return Ok(());
        };
        let now = self.now.as_millis();
        let rest = ended.map_or(0, |ended| {
            ended
                .saturating_add(interval)
                .saturating_sub(now)
                .clamp(0, interval)
        });
        let blocked = self.is_blocked(stored.seq, plugin, seq)?;
        self.db
            .prepare_cached("UPDATE deliveries SET state = 'pending', due = ?2, since = ?3 WHERE seq = ?1")?
            .execute(params![seq, (!blocked).then_some(now + rest), now])?;
        self.ledger
            .delivery(plugin, Some(state), Some(DeliveryState::Pending));
        Ok(())
    }

    /// One file is here; told before the job's own event (B-107).
    pub(super) fn raise_file(&mut self, stored: &StoredJob, file: &FileStatus) -> Done<()> {
        let data = EventData {
            file: Some(file.clone()),
            ..EventData::default()
        };
        self.raise(stored, EventKind::FileTransferred, &data)
    }

    /// Completion by itself, see [`Work::release`].
    pub(super) fn release_if_done(&mut self, stored: &mut StoredJob) -> Done<()> {
        if self.ask_finally(stored)? == Finally::Stays {
            return Ok(());
        }
        match self.release(stored)? {
            Some(transition) => self.write_transition(stored, transition),
            None => Ok(()),
        }
    }

    /// Completion by itself: once every `job-transferred` delivery is settled, dead or parked, unless the
    /// job is held; and every `file-transferred` of whoever decides, who may find the file bad (B-97). The
    /// same ends a failed batch, but one whose `on-error` of this entry ended in the dead letters stays in
    /// `error`, whichever of its handlers was last.
    pub(super) fn release(&self, stored: &StoredJob) -> Done<Option<Transition>> {
        let (event, files) = match stored.job.state {
            JobState::Transferred => (EventKind::JobTransferred, EventKind::FileTransferred),
            JobState::Error => (EventKind::OnError, EventKind::OnError),
            _ => return Ok(None),
        };
        let waits: bool = self
            .db
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM events e JOIN deliveries d ON d.event = e.seq \
                 WHERE e.job = ?1 AND e.kind IN (?2, ?4) \
                 AND (d.state IN ('pending', 'running') AND (e.kind = ?2 OR d.role = 'decider') \
                 OR (e.kind = 'on-error' AND d.state IN ('dead', 'poison') AND e.revision >= ?3)))",
            )?
            .query_row(
                params![stored.seq, event.as_str(), int(stored.entered), files.as_str()],
                |row| row.get(0),
            )?;
        if waits {
            return Ok(None);
        }
        // The law knows who may not be released: held jobs, failed transfers.
        let released = apply(&stored.job, &Command::Release).ok();
        Ok(released.filter(|transition| !transition.is_noop(&stored.job)))
    }

    /// Notes that a job changed, for those who watch.
    pub(super) fn changed(&mut self, stored: &StoredJob) {
        let Job {
            id,
            state,
            revision,
            priority,
            intent,
            due,
            ..
        } = stored.job;
        self.changes.push(Change::Job {
            id,
            state,
            revision,
            priority,
            intent: intent.is_some(),
            due,
        });
    }
}

impl StoredJob {
    /// The job after a transition, as it will be written.
    fn advance(&mut self, transition: Transition, now: Timestamp) {
        let entered = self.job.state != transition.to || !transition.events.is_empty();
        if transition.resets_active {
            self.active.ended = Duration::ZERO;
        }
        match (self.active.since, transition.to.is_running()) {
            (None, true) => self.active.since = Some(now),
            (Some(since), false) => {
                self.active.ended = self.active.ended.saturating_add(now.since(since));
                self.active.since = None;
            }
            _ => {}
        }
        transition.carry_out(&mut self.job);
        self.job.modified = now;
        if entered {
            self.entered = self.job.revision;
        }
    }

    /// The condition that the job waits for: one that waits for its retry has a due time.
    fn held(&self) -> Option<HoldReason> {
        let waits = self.job.state == JobState::TransientError && self.job.due.is_none();
        let error = self.job.error.as_ref().filter(|_| waits)?;
        HoldReason::of(error.code)
    }
}
