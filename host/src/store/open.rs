//! Opening the store: the directory, the lock, the version, the writer.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};
use rustix::fs::{FlockOperation, flock};
use tokio::sync::broadcast;

use crate::job::{EventKind, Job, Route, Router};

use super::sqlite::SqliteOptions;
use super::writer::{Damage, Writer, WriterSetup, configure};
use super::{Change, StoreError, schema};

/// SQLite versions before this may corrupt a WAL with several connections (J-150).
const SQLITE_MIN: i32 = 3_051_003;

/// Until the first router is set nobody hears of anything; backfill makes up for it.
struct NoRoutes;

impl Router for NoRoutes {
    fn routes(&self, _: &Job, _: EventKind) -> Vec<Route> {
        Vec::new()
    }
}

/// What opening leads to.
pub(super) struct Opened {
    pub(super) writer: Writer,
    pub(super) lock: File,
    pub(super) incarnation: u64,
    pub(super) unclean: bool,
}

pub(super) fn open_writer(
    options: &SqliteOptions,
    changes: broadcast::Sender<Change>,
    damage: Damage,
) -> Result<Opened, StoreError> {
    let dir = &options.state_dir;
    make_private_dir(dir)?;
    refuse_network_fs(options)?;
    let lock = lock(dir)?;
    let path = dir.join("sexton.db");
    // SQLite gives its WAL the mode of the database: URLs and contexts may hold secrets.
    private_file(&path)?;
    let mut db = Connection::open(&path).map_err(|why| unusable(&path, &why.to_string()))?;
    check_version(&path, &mut db)?;
    let (incarnation, unclean) = next_incarnation(&db).map_err(|why| unusable(&path, &why.to_string()))?;
    let setup = WriterSetup {
        db,
        clock: options.clock.clone(),
        router: Arc::new(NoRoutes),
        incarnation,
        changes,
        damage,
        failing: Arc::default(),
    };
    let writer = Writer::start(setup).map_err(|why| unusable(&path, &why.to_string()))?;
    Ok(Opened {
        writer,
        lock,
        incarnation,
        unclean,
    })
}

fn make_private_dir(dir: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|why| unusable(dir, &format!("the directory cannot be made: {why}")))
}

/// SQLite's locks do not hold on network file systems (J-156).
fn refuse_network_fs(options: &SqliteOptions) -> Result<(), StoreError> {
    const NETWORK: [(i64, &str); 5] = [
        (0x6969, "nfs"),
        (0xFF53_4D42, "cifs"),
        (0xFE53_4D42, "smb2"),
        (0x0102_1997, "9p"),
        (0x517B, "smb"),
    ];
    let Ok(stat) = rustix::fs::statfs(&options.state_dir) else {
        return Ok(());
    };
    let kind = NETWORK.iter().find(|(magic, _)| *magic == stat.f_type);
    match kind {
        Some((_, name)) if !options.force => Err(unusable(
            &options.state_dir,
            &format!(
                "it lies on a network file system ({name}), where its locks do not hold; put state_dir on a local disk"
            ),
        )),
        _ => Ok(()),
    }
}

/// Opens a file that only its owner may read, or makes it.
fn private_file(path: &Path) -> Result<File, StoreError> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(|why| unusable(path, &why.to_string()))
}

fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join("lock");
    let file = private_file(&path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(StoreError::Locked {
            dir: dir.display().to_string(),
            lock: path.display().to_string(),
        }),
        Err(why) => Err(unusable(&path, &why.to_string())),
    }
}

fn check_version(path: &Path, db: &mut Connection) -> Result<(), StoreError> {
    if rusqlite::version_number() < SQLITE_MIN {
        let why = format!(
            "SQLite {} has a known WAL fault; 3.51.3 or newer is needed",
            rusqlite::version()
        );
        return Err(unusable(path, &why));
    }
    let pragma = |name: &str| db.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
    let read =
        || -> rusqlite::Result<(i64, i64)> { Ok((pragma("application_id")?, pragma("user_version")?)) };
    let (application, found) = read().map_err(|why| unusable(path, &why.to_string()))?;
    if application != 0 && application != schema::APPLICATION_ID {
        return Err(unusable(path, "it is another program's database"));
    }
    let supported = i64::try_from(schema::MIGRATIONS.len()).unwrap_or(i64::MAX);
    if found > supported {
        return Err(StoreError::Newer {
            path: path.display().to_string(),
            found,
            supported,
        });
    }
    configure(db)
        .and_then(|()| schema::migrate(db, found))
        .map_err(|why| unusable(path, &why.to_string()))
}

/// Each start has a number, which claims carry; and says whether the one before it closed the store.
fn next_incarnation(db: &Connection) -> rusqlite::Result<(u64, bool)> {
    let number = |key: &str| -> rusqlite::Result<Option<u64>> {
        let text: Option<String> = db
            .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0))
            .optional()?;
        Ok(text.and_then(|text| text.parse().ok()))
    };
    let last = number("incarnation")?;
    let unclean = last.is_some() && last != number("closed")?;
    let next = last.unwrap_or(0) + 1;
    db.execute(
        "INSERT OR REPLACE INTO meta (key, value) VALUES ('incarnation', ?1)",
        [next.to_string()],
    )?;
    Ok((next, unclean))
}

pub(super) fn unusable(path: &Path, why: &str) -> StoreError {
    StoreError::Unusable {
        path: path.display().to_string(),
        why: why.to_owned(),
    }
}
