//! `sqlite:PATH`: any database file of SQLite, opened to be read.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};

use super::provider::{Ask, Provider, QueryFault, RowSink};
use super::sql::on_thread;

/// How long another's lock on the file is waited for; longer is a transient error, and tried again.
const BUSY: Duration = Duration::from_secs(2);

/// One file.
pub(super) struct SqliteFile {
    pub(super) path: PathBuf,
}

#[async_trait]
impl Provider for SqliteFile {
    fn name(&self) -> String {
        format!("sqlite:{}", self.path.display())
    }

    async fn ask(&self, ask: Ask, rows: RowSink) -> Result<(), QueryFault> {
        let path = self.path.clone();
        on_thread(move |_| open(&path).map_err(QueryFault::from), ask, rows).await
    }
}

fn open(path: &std::path::Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(BUSY)?;
    // What is named is what is read: no other file by ATTACH, and none written by VACUUM INTO.
    db.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    Ok(db)
}
