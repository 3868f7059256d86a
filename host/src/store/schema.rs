//! The schema and its versions. Hot columns stand apart from wide ones (J-153), all tables are
//! `STRICT`, and the views are the stable surface for operators (J-150).

use rusqlite::Connection;

/// Marks the file as ours: "SXTN".
pub(super) const APPLICATION_ID: i64 = 0x5358_544E;

/// Numbered, forward only. `user_version` says how many have run.
pub(super) const MIGRATIONS: &[&str] = &[V1, V2, V3];

/// What may grow without end is only ever reached through an index that holds nothing else: the
/// partial indexes are as small as the work they find (`store/tests/plans.rs` keeps it true).
const V1: &str = r"
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- Numbers that are asked for often and must not be counted anew: see tally.rs.
CREATE TABLE tally (
    name TEXT NOT NULL,                -- jobs, deliveries, open, clock
    whose TEXT NOT NULL,               -- the plugin of deliveries, the owner of open jobs
    state TEXT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (name, whose, state)
) STRICT, WITHOUT ROWID;

CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    intent TEXT,
    outcome TEXT,
    priority INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    entered INTEGER NOT NULL,          -- the revision at which the state was entered
    attempt INTEGER NOT NULL,
    error_count INTEGER NOT NULL,
    retries INTEGER NOT NULL,
    no_progress_since INTEGER,
    due INTEGER,
    created INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    looked_after INTEGER NOT NULL,     -- no earlier than this its inactivity is looked at again
    transferred INTEGER,
    host TEXT NOT NULL,                -- the remote host, for slots
    claimed_by INTEGER,                -- incarnation of the claim
    claim_expires INTEGER,
    bytes_known INTEGER NOT NULL,
    bytes_transferred INTEGER NOT NULL,
    sizes_unknown INTEGER NOT NULL,
    files_total INTEGER NOT NULL,
    files_transferred INTEGER NOT NULL
) STRICT;
CREATE INDEX jobs_runnable ON jobs (priority, seq, host) WHERE state = 'queued' AND intent IS NULL AND due IS NULL;
CREATE INDEX jobs_by_host ON jobs (priority, host, seq) WHERE state = 'queued' AND intent IS NULL AND due IS NULL;
CREATE INDEX jobs_due ON jobs (due) WHERE due IS NOT NULL;
CREATE INDEX jobs_by_state ON jobs (state, seq);
CREATE INDEX jobs_by_owner ON jobs (owner, state, seq) WHERE state NOT IN ('connecting', 'transferring');
CREATE INDEX jobs_intents ON jobs (seq) WHERE intent IS NOT NULL;
CREATE INDEX jobs_ended ON jobs (outcome, modified) WHERE outcome IS NOT NULL;
CREATE INDEX jobs_resting ON jobs (looked_after) WHERE outcome IS NULL;

CREATE TABLE job_data (
    job INTEGER PRIMARY KEY REFERENCES jobs (seq) ON DELETE CASCADE,
    spec TEXT NOT NULL,
    error TEXT
) STRICT;

CREATE TABLE job_keys (
    owner TEXT NOT NULL,
    key TEXT NOT NULL,
    job INTEGER NOT NULL REFERENCES jobs (seq) ON DELETE CASCADE,
    PRIMARY KEY (owner, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_keys_by_job ON job_keys (job);

CREATE TABLE files (
    job INTEGER NOT NULL REFERENCES jobs (seq) ON DELETE CASCADE,
    idx INTEGER NOT NULL,
    remote TEXT NOT NULL,
    local TEXT NOT NULL,
    temporary TEXT,
    bytes_total INTEGER,
    bytes_transferred INTEGER NOT NULL,
    validator TEXT,
    last_modified TEXT,
    transferred INTEGER NOT NULL,
    completed INTEGER NOT NULL,
    PRIMARY KEY (job, idx)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    job INTEGER NOT NULL REFERENCES jobs (seq) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    revision INTEGER NOT NULL,
    at INTEGER NOT NULL,
    data TEXT NOT NULL
) STRICT;
CREATE INDEX events_by_job ON events (job, kind, seq);

CREATE TABLE deliveries (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    event INTEGER NOT NULL REFERENCES events (seq) ON DELETE CASCADE,
    job INTEGER NOT NULL REFERENCES jobs (seq) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    owner TEXT NOT NULL,
    plugin TEXT NOT NULL,
    role TEXT NOT NULL,
    state TEXT NOT NULL,
    stage TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    charged INTEGER NOT NULL,
    conflicts INTEGER NOT NULL,
    interrupted INTEGER NOT NULL,
    host_faults INTEGER NOT NULL,
    fail_fasts INTEGER NOT NULL,
    rounds INTEGER NOT NULL,
    due INTEGER,                       -- NULL while pending: an earlier one of the pair comes first
    since INTEGER NOT NULL,            -- when the wait for `due` began
    created INTEGER NOT NULL,
    ended INTEGER,
    claimed_by INTEGER,
    claim_expires INTEGER,
    result TEXT,
    digest TEXT NOT NULL,
    last_failure TEXT,
    UNIQUE (event, plugin)
) STRICT;
CREATE INDEX deliveries_due ON deliveries (plugin, owner, due, seq) WHERE state = 'pending' AND due IS NOT NULL;
CREATE INDEX deliveries_blocked ON deliveries (job, plugin, seq) WHERE state = 'pending' AND due IS NULL;
CREATE INDEX deliveries_open ON deliveries (job, plugin, seq, kind) WHERE state IN ('pending', 'running');
CREATE INDEX deliveries_by_job ON deliveries (job);
CREATE INDEX deliveries_by_plugin ON deliveries (plugin, state, seq);
CREATE INDEX deliveries_running ON deliveries (seq) WHERE state = 'running';
CREATE INDEX deliveries_buried ON deliveries (ended) WHERE state IN ('dead', 'poison');
CREATE INDEX deliveries_suspect ON deliveries (seq) WHERE interrupted >= 5;

CREATE TABLE attempts (
    delivery INTEGER NOT NULL REFERENCES deliveries (seq) ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (delivery, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE plugin_state (
    plugin TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (plugin, key)
) STRICT, WITHOUT ROWID;

CREATE VIEW job_list AS
    SELECT seq, lower(hex(id)) AS id, owner, kind, state, intent, outcome, revision, attempt, error_count,
           datetime(created / 1000, 'unixepoch') AS created, datetime(modified / 1000, 'unixepoch') AS modified,
           json_extract(spec, '$.name') AS name, json_extract(error, '$.code') AS error
    FROM jobs JOIN job_data ON job_data.job = jobs.seq;
CREATE VIEW delivery_list AS
    SELECT d.seq, lower(hex(d.id)) AS id, lower(hex(j.id)) AS job, d.kind, d.plugin, d.role, d.state, d.attempt,
           d.result, datetime(d.due / 1000, 'unixepoch') AS due, json_extract(d.last_failure, '$.class') AS class
    FROM deliveries d JOIN jobs j ON j.seq = d.job;
";

/// What transfers need beyond plain downloads.
const V2: &str = r"
ALTER TABLE files ADD COLUMN plan TEXT;                 -- JSON; NULL is plain
ALTER TABLE files ADD COLUMN session TEXT;              -- the runner's own words
ALTER TABLE jobs ADD COLUMN turn INTEGER NOT NULL DEFAULT 0;         -- since when it waits its turn within its level
ALTER TABLE jobs ADD COLUMN held TEXT;                               -- the condition that it waits for
ALTER TABLE jobs ADD COLUMN active_ms INTEGER NOT NULL DEFAULT 0;    -- time spent running, in runs that ended
ALTER TABLE jobs ADD COLUMN active_since INTEGER;                    -- when the run under way began
DROP INDEX jobs_runnable;
DROP INDEX jobs_by_host;
CREATE INDEX jobs_runnable ON jobs (priority, turn, seq, host) WHERE state = 'queued' AND intent IS NULL AND due IS NULL;
CREATE INDEX jobs_by_host ON jobs (priority, host, turn, seq) WHERE state = 'queued' AND intent IS NULL AND due IS NULL;
CREATE INDEX jobs_held ON jobs (held, priority, seq) WHERE held IS NOT NULL;
ALTER TABLE jobs ADD COLUMN reply_total INTEGER;        -- NULL until the server told
ALTER TABLE jobs ADD COLUMN reply_transferred INTEGER;  -- NULL until its download begins
CREATE TABLE destinations (                             -- who has a destination for itself (B-19)
    local TEXT PRIMARY KEY,
    job BLOB NOT NULL                                   -- its id; the job may have ended, or be gone
) STRICT, WITHOUT ROWID;
";

/// What batch work and queries need.
const V3: &str = r"
ALTER TABLE jobs ADD COLUMN pool INTEGER NOT NULL DEFAULT 0;         -- whose slots it runs in: transfers 0, batch 1, queries 2
ALTER TABLE jobs ADD COLUMN call TEXT;                               -- JSON of how a call stands; NULL while nothing is to be said
UPDATE jobs SET pool = CASE kind WHEN 'batch' THEN 1 WHEN 'query' THEN 2 ELSE 0 END;
DROP INDEX jobs_runnable;
DROP INDEX jobs_by_host;
ALTER TABLE jobs ADD COLUMN waits INTEGER NOT NULL DEFAULT 0;        -- ends of other jobs that it waits for
CREATE INDEX jobs_runnable ON jobs (pool, priority, turn, seq, host) WHERE state = 'queued' AND intent IS NULL AND due IS NULL AND waits = 0;
CREATE INDEX jobs_by_host ON jobs (pool, priority, host, turn, seq) WHERE state = 'queued' AND intent IS NULL AND due IS NULL AND waits = 0;
CREATE TABLE dependencies (
    ends BLOB NOT NULL,                                 -- the id of the job that is waited for
    job INTEGER NOT NULL REFERENCES jobs (seq) ON DELETE CASCADE,
    PRIMARY KEY (ends, job)
) STRICT, WITHOUT ROWID;
CREATE INDEX dependencies_by_job ON dependencies (job);
CREATE INDEX jobs_in_lane ON jobs (host, seq) WHERE pool = 1 AND host <> '' AND state IN ('queued', 'connecting', 'transferring', 'transient-error', 'suspended');
CREATE TABLE activities (
    name TEXT PRIMARY KEY,
    spec TEXT,                                          -- JSON; NULL where the configuration file has it
    created INTEGER NOT NULL,
    paused INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE query_tally (                              -- what became of a query's objects
    job INTEGER PRIMARY KEY REFERENCES jobs (seq) ON DELETE CASCADE,
    run INTEGER NOT NULL,                               -- the run that this is of; a watch counts them all
    delivered INTEGER NOT NULL,
    dropped INTEGER NOT NULL,
    kept INTEGER NOT NULL,                              -- objects in `objects`
    kept_bytes INTEGER NOT NULL,
    partial INTEGER NOT NULL,                           -- not all there was
    columns TEXT NOT NULL                               -- JSON; of what a watch found last
) STRICT;
CREATE TABLE objects (                                  -- batches that are kept for who asks
    seq INTEGER PRIMARY KEY,
    job INTEGER NOT NULL REFERENCES jobs (seq) ON DELETE CASCADE,
    first INTEGER NOT NULL,                             -- the place of its first object among the job's
    count INTEGER NOT NULL,
    batch TEXT NOT NULL
) STRICT;
CREATE INDEX objects_by_job ON objects (job, first);
CREATE TABLE watch_rows (                               -- what a watch found last
    job INTEGER NOT NULL REFERENCES jobs (seq) ON DELETE CASCADE,
    key TEXT NOT NULL,
    row TEXT NOT NULL,
    PRIMARY KEY (job, key)
) STRICT, WITHOUT ROWID;
";

/// Brings a store up to this version.
///
/// # Errors
/// SQLite's; the transaction of the failing step is rolled back.
pub(super) fn migrate(db: &mut Connection, from: i64) -> rusqlite::Result<()> {
    let done = usize::try_from(from).unwrap_or(0);
    for (index, step) in MIGRATIONS.iter().enumerate().skip(done) {
        let transaction = db.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", index + 1)?;
        transaction.commit()?;
    }
    Ok(())
}
