//! What a query of the `sexton` provider sees of the store: views of its own, and nothing else. What jobs
//! were trusted with is in none of them.

use std::path::Path;

use rusqlite::functions::FunctionFlags;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::{Connection, OpenFlags};
use uuid::Uuid;

use crate::job::without_password;

/// One of the host's plugins, as queries see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownPlugin {
    /// Its name.
    pub name: String,
    /// Digest of what serves.
    pub digest: String,
    /// It has a component to call.
    pub serving: bool,
    /// Why not, or what is wrong with a newer one.
    pub problem: Option<String>,
}

/// Views by name: what each selects. Error texts and names are as `job show` tells them.
const VIEWS: [(&str, &str); 4] = [
    (
        "jobs",
        "SELECT j.seq, uuid(j.id) AS id, j.owner, j.kind, j.state, j.intent, j.outcome, \
         CASE j.priority WHEN 0 THEN 'foreground' WHEN 1 THEN 'high' WHEN 2 THEN 'normal' ELSE 'low' END AS priority, \
         j.revision, j.attempt, j.error_count, moment(j.created) AS created, moment(j.modified) AS modified, \
         moment(j.due) AS due, j.bytes_transferred, j.files_total, j.files_transferred, \
         json_extract(d.spec, '$.name') AS name, json_extract(d.error, '$.code') AS error \
         FROM main.jobs j JOIN main.job_data d ON d.job = j.seq",
    ),
    (
        "files",
        "SELECT uuid(j.id) AS job, f.idx AS \"index\", shown(f.remote) AS remote, f.local, f.bytes_total, \
         f.bytes_transferred, f.transferred, f.completed FROM main.files f JOIN main.jobs j ON j.seq = f.job",
    ),
    (
        "errors",
        "SELECT uuid(j.id) AS job, j.kind, j.state, json_extract(d.error, '$.code') AS code, \
         json_extract(d.error, '$.context') AS context, json_extract(d.error, '$.description') AS description, \
         json_extract(d.error, '$.attempt') AS attempt, json_extract(d.error, '$.at') AS at \
         FROM main.jobs j JOIN main.job_data d ON d.job = j.seq WHERE d.error IS NOT NULL",
    ),
    (
        "deliveries",
        "SELECT d.seq, uuid(d.id) AS id, uuid(j.id) AS job, d.kind AS event, d.plugin, d.role, d.state, d.attempt, \
         d.result, moment(d.created) AS created, moment(d.due) AS due, \
         json_extract(d.last_failure, '$.class') AS failure \
         FROM main.deliveries d JOIN main.jobs j ON j.seq = d.job",
    ),
];

/// A connection that shows the store in `state_dir`, and `plugins`, as tables.
///
/// # Errors
/// SQLite's.
pub fn open_shown(state_dir: &Path, plugins: &[ShownPlugin]) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(state_dir.join("sexton.db"), flags)?;
    db.busy_timeout(std::time::Duration::from_secs(5))?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    let pure = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    db.create_scalar_function("uuid", 1, pure, |args| {
        Ok(Uuid::from_bytes(args.get(0)?).to_string())
    })?;
    db.create_scalar_function("shown", 1, pure, |args| {
        Ok(without_password(&args.get::<String>(0)?))
    })?;
    db.create_scalar_function("moment", 1, pure, |args| {
        let millis: Option<i64> = args.get(0)?;
        Ok(millis.map(|millis| crate::job::Timestamp::from_millis(millis).to_string()))
    })?;
    // Only through a view whose name nobody can know may the store's own tables be read: SQLite tells who
    // reads by a name that a query could give to a part of itself.
    let door = format!("door_{}", Uuid::new_v4().simple());
    for (name, select) in VIEWS {
        db.execute_batch(&format!(
            "CREATE TEMP VIEW {door}_{name} AS {select}; CREATE TEMP VIEW {name} AS SELECT * FROM temp.{door}_{name};"
        ))?;
    }
    show_plugins(&db, plugins)?;
    db.authorizer(Some(move |context: AuthContext<'_>| permit(&context, &door)))?;
    Ok(db)
}

fn show_plugins(db: &Connection, plugins: &[ShownPlugin]) -> rusqlite::Result<()> {
    db.execute_batch(
        "CREATE TEMP TABLE plugins (name TEXT, digest TEXT, serving INTEGER, problem TEXT) STRICT;",
    )?;
    let mut insert = db.prepare("INSERT INTO temp.plugins VALUES (?1, ?2, ?3, ?4)")?;
    for plugin in plugins {
        insert.execute((&plugin.name, &plugin.digest, plugin.serving, &plugin.problem))?;
    }
    Ok(())
}

fn permit(context: &AuthContext<'_>, door: &str) -> Authorization {
    let allowed = match context.action {
        AuthAction::Select | AuthAction::Function { .. } | AuthAction::Recursive => true,
        AuthAction::Read {
            table_name,
            column_name,
        } => match context.database_name {
            // Without a column no value is read: a table that the answer needs nothing of is still named.
            Some("main") => {
                column_name.is_empty() || context.accessor.is_some_and(|view| view.starts_with(door))
            }
            // The schema would tell the name of the door.
            _ => !table_name.starts_with("sqlite_"),
        },
        _ => false,
    };
    if !allowed {
        tracing::debug!(?context, "a query may not do this");
    }
    if allowed {
        Authorization::Allow
    } else {
        Authorization::Deny
    }
}
