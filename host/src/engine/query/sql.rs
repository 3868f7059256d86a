//! Asking anything that SQLite can read: one statement that only reads, on a thread of its own.

use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::types::ValueRef;
use rusqlite::{Batch, Connection, Error, ErrorCode};

use super::provider::{Ask, Enough, QueryFault, RowSink};
use crate::job::{Code, Severity, Value};

/// Steps of SQLite's machine between two looks at whether anybody still wants to know.
const STEPS: i32 = 1_000;

/// Opens with `open` and asks, on a thread of its own: never one of the store, engine or API.
pub(super) async fn on_thread<F>(open: F, ask: Ask, mut rows: RowSink) -> Result<(), QueryFault>
where
    F: FnOnce(&Ask) -> Result<Connection, QueryFault> + Send + 'static,
{
    let (tell, told) = tokio::sync::oneshot::channel();
    let work = move || {
        let said = open(&ask).and_then(|mut db| run(&mut db, &ask, &mut rows));
        if said.is_ok() {
            rows.blocking_end();
        }
        // Who asked may have gone.
        let _ = tell.send(said);
    };
    std::thread::Builder::new()
        .name("query".to_owned())
        .spawn(work)
        .map_err(|why| {
            QueryFault::new(
                Code::WBEM_SERVER_TOO_BUSY,
                format!("no thread can be started: {why}"),
            )
        })?;
    told.await
        .unwrap_or_else(|_| Err(QueryFault::new(Code::WBEM_PROVIDER_FAILURE, "the provider died")))
}

/// Runs the one statement of the query.
fn run(db: &mut Connection, ask: &Ask, rows: &mut RowSink) -> Result<(), QueryFault> {
    let stop = ask.stop.clone();
    db.progress_handler(STEPS, Some(move || stop.is_cancelled()))?;
    let mut batch = Batch::new(db, &ask.text);
    let first = batch.next()?;
    let Some(mut statement) = first else {
        return Err(QueryFault::new(
            Code::WBEM_INVALID_QUERY,
            "the query has no statement",
        ));
    };
    if !matches!(batch.next(), Ok(None)) {
        let why = "the query has more than one statement";
        return Err(QueryFault::new(Code::WBEM_INVALID_QUERY, why));
    }
    if !statement.readonly() {
        return Err(not_capable("a query only reads, and this one would write"));
    }
    if statement.column_count() == 0 {
        return Err(not_capable("the statement answers nothing: ask with SELECT"));
    }
    rows.columns(statement.column_names().map(str::to_owned).collect());
    let columns = statement.column_count();
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        let values: Result<Vec<Value>, Error> =
            (0..columns).map(|index| row.get_ref(index).map(value)).collect();
        match rows.blocking_row(values?) {
            Ok(()) => {}
            Err(Enough::Done) => break,
            Err(Enough::TooLarge(why)) => return Err(why),
        }
    }
    Ok(())
}

fn not_capable(why: &str) -> QueryFault {
    QueryFault::new(Code::WBEM_PROVIDER_NOT_CAPABLE, why)
}

fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Number(number),
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
    }
}

/// What SQLite says, in both shapes (W-40…W-47).
fn fault(why: &Error) -> QueryFault {
    let (message, position) = match why {
        Error::SqlInputError { msg, sql, offset, .. } => (msg.clone(), position(sql, *offset)),
        Error::SqliteFailure(_, Some(message)) => (message.clone(), None),
        other => (other.to_string(), None),
    };
    let sqlite = match why {
        Error::SqlInputError { error, .. } => Some(error),
        other => other.sqlite_error(),
    };
    let (code, name, severity) = match sqlite.map(|error| error.code) {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            (Code::WBEM_SERVER_TOO_BUSY, "SQLITE_BUSY", Severity::Minor)
        }
        Some(ErrorCode::CannotOpen) => (Code::WBEM_NOT_FOUND, "SQLITE_CANTOPEN", Severity::Minor),
        Some(ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied) => {
            (Code::WBEM_ACCESS_DENIED, "SQLITE_AUTH", Severity::Functional)
        }
        Some(ErrorCode::ReadOnly) => (
            Code::WBEM_PROVIDER_NOT_CAPABLE,
            "SQLITE_READONLY",
            Severity::Functional,
        ),
        Some(ErrorCode::OperationInterrupted) => (
            Code::WBEM_CALL_CANCELLED,
            "SQLITE_INTERRUPT",
            Severity::Functional,
        ),
        Some(ErrorCode::OutOfMemory | ErrorCode::TooBig) => {
            (Code::WBEM_OUT_OF_MEMORY, "SQLITE_NOMEM", Severity::Functional)
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            (Code::WBEM_CRITICAL_ERROR, "SQLITE_CORRUPT", Severity::Major)
        }
        Some(ErrorCode::SystemIoFailure | ErrorCode::DiskFull) => {
            (Code::WBEM_PROVIDER_FAILURE, "SQLITE_IOERR", Severity::Minor)
        }
        // What SQLite has no special word for is the statement's fault.
        _ => (Code::WBEM_INVALID_QUERY, "SQLITE_ERROR", Severity::Functional),
    };
    let object = message
        .split_once("no such table: ")
        .or_else(|| message.split_once("no such column: "));
    let object = object.map(|(_, name)| name.to_owned()).unwrap_or_default();
    let mut fault = QueryFault::new(code, message).of(name, severity);
    fault.position = position;
    if let Some(provider) = &mut fault.provider {
        provider.object_info = object;
        if let Some(sqlite) = sqlite {
            provider.cause_info = format!("result code {}", sqlite.extended_code);
        }
    }
    fault
}

impl From<Error> for QueryFault {
    fn from(why: Error) -> Self {
        fault(&why)
    }
}

/// Characters before byte `offset`.
fn position(sql: &str, offset: i32) -> Option<u32> {
    let before = sql.get(..usize::try_from(offset).ok()?)?;
    u32::try_from(before.chars().count()).ok()
}
