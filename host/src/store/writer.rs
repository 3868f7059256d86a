//! The writer: one thread, one connection, group commit. Many waiting verbs share one sync; each
//! is answered only after the commit that holds it is durable.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::clock::Clock;
use crate::job::{Router, Timestamp};

use super::claims::Turns;
use super::journal::Note;
use super::lanes::Lanes;
use super::tally::Ledger;
use super::{Change, StoreError};

/// Verbs that may wait for the writer. Senders wait beyond it, so that a slow disk is felt as
/// back-pressure and not as memory.
const QUEUE_VERBS: usize = 4096;

/// Verbs in one transaction: enough to share a sync among thousands of callers, few enough that the
/// first of them does not wait long for the last. A list of jobs counts as many as it has.
const BATCH_VERBS: usize = 1024;

/// Pages of WAL after which the writer checkpoints (SQLite's default is 1000); only this thread does.
const CHECKPOINT_PAGES: u32 = 4000;

/// What is said of a full disk.
pub(super) const FULL: &str = "the disk of the state directory is full; free some space on it";

/// What a verb works on inside the writer's transaction.
pub(super) struct Work<'a> {
    /// The connection, inside a transaction.
    pub(super) db: &'a Connection,
    /// Who hears of what.
    pub(super) router: &'a mut Arc<dyn Router>,
    /// The time of the batch.
    pub(super) now: Timestamp,
    /// This start's number.
    pub(super) incarnation: u64,
    /// What to tell after the commit.
    pub(super) changes: Vec<Change>,
    /// What to write in the journal after the commit.
    pub(super) notes: Vec<Note>,
    /// What is counted, written before the commit.
    pub(super) ledger: Ledger,
    /// Where claims looked last.
    pub(super) turns: &'a mut Turns,
    /// What the lanes of batch work are.
    pub(super) lanes: &'a mut Arc<Lanes>,
}

/// What a verb says. A refusal must come before its first write.
pub(super) type Done<T> = Result<T, StoreError>;

/// A verb with its caller. It can be run again: when one verb of a batch breaks the transaction, the
/// others are run anew, each by itself, so that nobody fails for another's fault.
trait Verb: Send {
    /// Runs it, keeps what it said, and tells whether the transaction can still be committed.
    fn run(&mut self, work: &mut Work<'_>) -> Health;
    /// Tells its caller: what it said if that was committed, or why not.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Asked<T, F> {
    verb: F,
    said: Option<Done<T>>,
    tell: oneshot::Sender<Done<T>>,
}

impl<T: Send, F: Fn(&mut Work<'_>) -> Done<T> + Send> Verb for Asked<T, F> {
    fn run(&mut self, work: &mut Work<'_>) -> Health {
        let before = work.db.total_changes();
        let said = (self.verb)(work);
        let health = match &said {
            // SQLite rolls a transaction back by itself on a full disk or an I/O error; whatever
            // came after would be committed statement by statement.
            _ if work.db.is_autocommit() => Health::Broken,
            Ok(_) => Health::Sound,
            Err(StoreError::Backend(_)) => Health::Broken,
            // A refusal that has already written would commit half a verb.
            Err(_) if work.db.total_changes() != before => Health::Broken,
            Err(_) => Health::Sound,
        };
        self.said = Some(said);
        health
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let said = match (committed, self.said) {
            (Ok(()), Some(said)) => said,
            (Err(_), Some(Err(why))) => Err(why),
            (Err(why), _) => Err(why),
            (Ok(()), None) => Err(StoreError::Closed),
        };
        // The caller may have gone; the commit stands.
        let _ = self.tell.send(said);
    }
}

/// Whether the transaction can still be committed after a verb.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Health {
    Sound,
    Broken,
}

/// Sends verbs to the writer thread.
#[derive(Clone)]
pub(super) struct Writer {
    queue: mpsc::Sender<Message>,
    damage: Damage,
    failing: Arc<AtomicBool>,
}

enum Message {
    /// A verb, and how many it counts as.
    Verb(Box<dyn Verb>, usize),
    Close(oneshot::Sender<()>),
}

/// What the thread starts with.
pub(super) struct WriterSetup {
    pub(super) db: Connection,
    pub(super) clock: Clock,
    pub(super) router: Arc<dyn Router>,
    pub(super) incarnation: u64,
    pub(super) changes: broadcast::Sender<Change>,
    pub(super) damage: Damage,
    /// Whether the last commit failed; told to whoever asks how the store is.
    pub(super) failing: Arc<AtomicBool>,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(setup: WriterSetup) -> std::io::Result<Self> {
        let (queue, verbs) = mpsc::channel(QUEUE_VERBS);
        let (damage, failing) = (setup.damage.clone(), Arc::clone(&setup.failing));
        std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || run(setup, verbs))?;
        Ok(Self {
            queue,
            damage,
            failing,
        })
    }

    /// Whether the last commit failed.
    pub(super) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::SeqCst)
    }

    /// Runs `verb` in the next transaction and returns what it said once that is durable.
    pub(super) async fn write<T, F>(&self, verb: F) -> Done<T>
    where
        T: Send + 'static,
        F: Fn(&mut Work<'_>) -> Done<T> + Send + 'static,
    {
        self.write_many(1, verb).await
    }

    /// The same for a verb that does the work of `count`.
    pub(super) async fn write_many<T, F>(&self, count: usize, verb: F) -> Done<T>
    where
        T: Send + 'static,
        F: Fn(&mut Work<'_>) -> Done<T> + Send + 'static,
    {
        let (tell, told) = oneshot::channel();
        let asked = Asked {
            verb,
            said: None,
            tell,
        };
        let message = Message::Verb(Box::new(asked), count);
        self.queue.send(message).await.map_err(|_| StoreError::Closed)?;
        self.damage.noted(told.await.map_err(|_| StoreError::Closed)?)
    }

    /// Commits what is queued, then ends the thread.
    pub(super) async fn close(&self) {
        let (tell, told) = oneshot::channel();
        if self.queue.send(Message::Close(tell)).await.is_ok() {
            let _ = told.await;
        }
    }
}

/// What claims go by, kept in memory.
#[derive(Default)]
struct Looks {
    turns: Turns,
    lanes: Arc<Lanes>,
}

fn run(mut setup: WriterSetup, mut verbs: mpsc::Receiver<Message>) {
    let mut closing = None;
    let mut batch = Vec::new();
    let mut looks = Looks::default();
    while closing.is_none() {
        let Some(first) = verbs.blocking_recv() else { break };
        let mut next = Some(first);
        let mut weight = 0;
        while let Some(message) = next {
            match message {
                Message::Verb(verb, count) => {
                    weight += count;
                    batch.push(verb);
                }
                Message::Close(tell) => {
                    closing = Some(tell);
                    break;
                }
            }
            next = if weight < BATCH_VERBS {
                verbs.try_recv().ok()
            } else {
                None
            };
        }
        if !batch.is_empty() {
            commit_batch(&mut setup, &mut looks, std::mem::take(&mut batch));
        }
    }
    let _ = setup.db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE);");
    drop(setup);
    if let Some(tell) = closing {
        let _ = tell.send(());
    }
}

fn commit_batch(setup: &mut WriterSetup, looks: &mut Looks, mut batch: Vec<Box<dyn Verb>>) {
    match try_batch(setup, looks, &mut batch) {
        Ok((changes, notes)) => {
            setup.failing.store(false, Ordering::SeqCst);
            batch.into_iter().for_each(|verb| verb.answer(Ok(())));
            notes.iter().for_each(Note::write);
            // Who hears once that deliveries are due need not hear it again for the same commit.
            let mut told = false;
            for change in changes {
                if change == Change::Deliveries && std::mem::replace(&mut told, true) {
                    continue;
                }
                // No receiver is fine: nobody watches.
                let _ = setup.changes.send(change);
            }
        }
        Err(Failed::Verb) if batch.len() > 1 => {
            for verb in batch {
                commit_batch(setup, looks, vec![verb]);
            }
        }
        Err(failed) => {
            setup.failing.store(true, Ordering::SeqCst);
            let why = match failed {
                Failed::Verb => StoreError::Backend("it could not be carried out".to_owned()),
                Failed::Transaction(why) => {
                    tracing::error!("{why}; nothing of this batch was acknowledged");
                    why
                }
            };
            batch.into_iter().for_each(|verb| verb.answer(Err(why.clone())));
        }
    }
}

/// Why a batch was rolled back.
enum Failed {
    /// A verb of it broke the transaction.
    Verb,
    /// It could not be begun or committed.
    Transaction(StoreError),
}

/// Runs and commits a batch, or leaves everything as it was.
fn try_batch(
    setup: &mut WriterSetup,
    looks: &mut Looks,
    batch: &mut [Box<dyn Verb>],
) -> Result<(Vec<Change>, Vec<Note>), Failed> {
    let router_before = Arc::clone(&setup.router);
    let begun = setup.db.transaction_with_behavior(TransactionBehavior::Immediate);
    let transaction = begun.map_err(|why| Failed::Transaction(backend(&why)))?;
    let before = transaction.total_changes();
    let mut work = Work {
        db: &transaction,
        router: &mut setup.router,
        now: setup.clock.now(),
        incarnation: setup.incarnation,
        changes: Vec::new(),
        notes: Vec::new(),
        ledger: Ledger::default(),
        turns: &mut looks.turns,
        lanes: &mut looks.lanes,
    };
    let sound = batch.iter_mut().all(|verb| verb.run(&mut work) == Health::Sound);
    let Work {
        changes,
        notes,
        ledger,
        now,
        ..
    } = work;
    let ended = if sound {
        // Verbs that only looked leave nothing to sync.
        let counted = if transaction.total_changes() == before {
            Ok(())
        } else {
            ledger.write(&transaction, now)
        };
        counted
            .and_then(|()| transaction.commit())
            .map_err(|why| Failed::Transaction(backend(&why)))
    } else {
        // Where SQLite has rolled back by itself there is nothing left to undo.
        drop(transaction);
        Err(Failed::Verb)
    };
    if ended.is_err() {
        setup.router = router_before;
    }
    ended.map(|()| (changes, notes))
}

/// Settings of the writing connection (J-151).
pub(super) fn configure(db: &Connection) -> rusqlite::Result<()> {
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "foreign_keys", true)?;
    db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.pragma_update(None, "cache_size", -16_384)?;
    db.busy_timeout(std::time::Duration::from_secs(5))?;
    db.set_prepared_statement_cache_capacity(128);
    keep_plans(db)
}

/// A statement is planned once. Without this SQLite plans it anew whenever a value is bound that
/// might change its mind, such as that of `LIMIT ?`: that took more time than all else it did.
pub(super) fn keep_plans(db: &Connection) -> rusqlite::Result<()> {
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// How every sentence about a damaged file begins.
pub(super) const DAMAGED: &str = "the database is damaged";

/// A failure of SQLite as the store tells it.
pub(super) fn backend(why: &rusqlite::Error) -> StoreError {
    match why.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Backend(format!("{DAMAGED}: {why}"))
        }
        // SQLite's own words leave open which of the two it is, and where.
        Some(ErrorCode::DiskFull) => StoreError::Backend(FULL.to_owned()),
        _ => StoreError::Backend(why.to_string()),
    }
}

/// What was seen of damage. It stays once seen: a page that can be read again does not make the
/// others whole.
#[derive(Clone, Debug, Default)]
pub(super) struct Damage(Arc<OnceLock<String>>);

impl Damage {
    /// Takes note of a result, and hands it on.
    pub(super) fn noted<T>(&self, said: Done<T>) -> Done<T> {
        if let Err(StoreError::Backend(why)) = &said
            && why.starts_with(DAMAGED)
            && self.0.set(why.clone()).is_ok()
        {
            tracing::error!("{why}; stop the host and run `sexton db check`");
        }
        said
    }

    /// The first damage that was seen.
    pub(super) fn seen(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(why: rusqlite::Error) -> Self {
        backend(&why)
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;

    /// How often a statement was planned anew while it ran with three limits.
    fn plans(db: &Connection) -> i32 {
        db.execute_batch("CREATE TABLE t (n INTEGER PRIMARY KEY) STRICT;")
            .unwrap();
        let mut statement = db.prepare("SELECT n FROM t WHERE n > ?1 LIMIT ?2").unwrap();
        for limit in 1..4 {
            let mut rows = statement.query([0, limit]).unwrap();
            assert!(rows.next().unwrap().is_none());
        }
        statement.get_status(StatementStatus::RePrepare)
    }

    #[test]
    fn a_statement_is_planned_once_whatever_is_bound() {
        let plain = Connection::open_in_memory().unwrap();
        assert!(
            plans(&plain) > 0,
            "SQLite has changed its ways: is this still needed?"
        );
        let db = Connection::open_in_memory().unwrap();
        configure(&db).unwrap();
        assert_eq!(plans(&db), 0);
    }
}
