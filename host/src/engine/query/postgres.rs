//! `postgres:URL`: any database that speaks the protocol of PostgreSQL, in a transaction that only reads.

use std::future::poll_fn;

use async_trait::async_trait;
use futures::StreamExt;
use tokio_postgres::error::{DbError, ErrorPosition, SqlState};
use tokio_postgres::types::Type;
use tokio_postgres::{AsyncMessage, Client, Config, Error, NoTls, SimpleQueryMessage, SimpleQueryRow};

use super::provider::{Ask, Enough, Provider, QueryFault, RowSink};
use crate::engine::secret;
use crate::job::{Code, SecretRef, Severity, Value};

/// One database.
pub(super) struct Postgres {
    /// How it is reached.
    pub(super) config: Config,
    /// Where the password is, if it is not in the environment of the server's own making.
    pub(super) password: Option<SecretRef>,
    /// What it is called in errors.
    pub(super) name: String,
}

#[async_trait]
impl Provider for Postgres {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn ask(&self, ask: Ask, rows: RowSink) -> Result<(), QueryFault> {
        let mut config = self.config.clone();
        if let Some(reference) = self.password.clone() {
            let read = tokio::task::spawn_blocking(move || secret::read(&reference)).await;
            let unread = |why| QueryFault::new(Code::WBEM_INITIALIZATION_FAILURE, why);
            let read = read.map_err(|why| unread(why.to_string()))?;
            let password = read.map_err(|(_, why)| unread(why))?;
            config.password(password);
        }
        // The server gives up by itself too, should nobody be left to tell it.
        let limit = ask.deadline.as_millis();
        config.options(format!(
            "-c default_transaction_read_only=on -c statement_timeout={limit}"
        ));
        config.application_name("sexton");
        let (client, mut connection) = config.connect(NoTls).await.map_err(|why| fault(&why))?;
        let speaking = tokio::spawn(async move {
            // Notices are nobody's; it ends with the client.
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
                if let AsyncMessage::Notice(notice) = message {
                    tracing::debug!("postgres: {notice}");
                }
            }
        });
        let cancel = client.cancel_token();
        let said = tokio::select! {
            said = answer(&client, &ask.text, rows) => said,
            () = ask.stop.cancelled() => {
                // It may have ended meanwhile, or be gone: then there is nothing to cancel.
                let _ = cancel.cancel_query(NoTls).await;
                Err(QueryFault::new(Code::WBEM_CALL_CANCELLED, "nobody wants to know any more"))
            }
        };
        drop(client);
        speaking.abort();
        said
    }
}

async fn answer(client: &Client, text: &str, mut rows: RowSink) -> Result<(), QueryFault> {
    // Preparing takes one statement only, and tells the types; the answer itself comes as text, in which
    // every type can be read.
    let statement = client.prepare(text).await.map_err(|why| fault(&why))?;
    if statement.columns().is_empty() {
        let why = "the statement answers nothing: ask with SELECT";
        return Err(QueryFault::new(Code::WBEM_PROVIDER_NOT_CAPABLE, why));
    }
    let types: Vec<Type> = statement
        .columns()
        .iter()
        .map(|column| column.type_().clone())
        .collect();
    rows.columns(
        statement
            .columns()
            .iter()
            .map(|column| column.name().to_owned())
            .collect(),
    );
    client
        .batch_execute("START TRANSACTION READ ONLY")
        .await
        .map_err(|why| fault(&why))?;
    let found = client.simple_query_raw(text).await.map_err(|why| fault(&why))?;
    let mut found = std::pin::pin!(found);
    while let Some(message) = found.next().await {
        let SimpleQueryMessage::Row(row) = message.map_err(|why| fault(&why))? else {
            continue;
        };
        match rows.row(object(&row, &types)).await {
            Ok(()) => {}
            Err(Enough::Done) => break,
            Err(Enough::TooLarge(why)) => return Err(why),
        }
    }
    rows.end().await;
    Ok(())
}

fn object(row: &SimpleQueryRow, types: &[Type]) -> Vec<Value> {
    let values = types.iter().enumerate();
    values
        .map(|(index, kind)| match row.try_get(index) {
            Ok(Some(text)) => value(text, kind),
            _ => Value::Null,
        })
        .collect()
}

/// A value by its type; what is none of ours stays as the database writes it.
fn value(text: &str, kind: &Type) -> Value {
    let parsed = match *kind {
        Type::BOOL => Some(Value::Boolean(text == "t")),
        Type::INT2 | Type::INT4 | Type::INT8 | Type::OID => text.parse().ok().map(Value::Integer),
        Type::FLOAT4 | Type::FLOAT8 => text.parse().ok().map(Value::Number),
        Type::BYTEA => text.strip_prefix("\\x").and_then(bytes).map(Value::Bytes),
        _ => None,
    };
    parsed.unwrap_or_else(|| Value::Text(text.to_owned()))
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let pairs = hex.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

/// What the server or the way to it says, in both shapes (W-40…W-47).
fn fault(why: &Error) -> QueryFault {
    let Some(said) = why.as_db_error() else {
        let cause = std::error::Error::source(why).map_or(String::new(), |cause| format!(": {cause}"));
        let severity = Severity::Minor;
        return QueryFault::new(Code::WBEM_TRANSPORT_FAILURE, format!("{why}{cause}"))
            .of("connection", severity);
    };
    let (code, severity) = class(said);
    let mut fault = QueryFault::new(code, said.message()).of(said.code().code(), severity);
    fault.position = match said.position() {
        Some(ErrorPosition::Original(position)) => position.checked_sub(1),
        _ => None,
    };
    if let Some(provider) = &mut fault.provider {
        let cause = [said.detail(), said.hint()];
        provider.cause_info = cause.into_iter().flatten().collect::<Vec<_>>().join("; ");
        let object = [said.table(), said.column(), said.datatype(), said.constraint()];
        provider.object_info = object.into_iter().flatten().collect::<Vec<_>>().join(".");
        provider.file = said.file().unwrap_or_default().to_owned();
        provider.line = said.line().unwrap_or(0);
        provider.backend_message = format!("{}: {}", said.severity(), said.message());
    }
    fault
}

/// By the class of its SQLSTATE.
fn class(said: &DbError) -> (Code, Severity) {
    let state = said.code();
    match state {
        _ if *state == SqlState::QUERY_CANCELED => (Code::WBEM_PROVIDER_TIMED_OUT, Severity::Functional),
        _ if *state == SqlState::INSUFFICIENT_PRIVILEGE => (Code::WBEM_ACCESS_DENIED, Severity::Functional),
        _ if *state == SqlState::READ_ONLY_SQL_TRANSACTION => {
            (Code::WBEM_PROVIDER_NOT_CAPABLE, Severity::Functional)
        }
        _ if *state == SqlState::CANNOT_CONNECT_NOW => (Code::WBEM_NOT_AVAILABLE, Severity::Minor),
        _ => match state.code().get(..2) {
            Some("08") => (Code::WBEM_TRANSPORT_FAILURE, Severity::Minor),
            Some("28") => (Code::WBEM_ACCESS_DENIED, Severity::Minor),
            Some("3D") => (Code::WBEM_NOT_FOUND, Severity::Minor),
            Some("42") => (Code::WBEM_INVALID_QUERY, Severity::Functional),
            Some("40") => (Code::WBEM_SERVER_TOO_BUSY, Severity::Functional),
            Some("53") => (Code::WBEM_SERVER_TOO_BUSY, Severity::Minor),
            Some("57") => (Code::WBEM_NOT_AVAILABLE, Severity::Minor),
            Some("58" | "XX") => (Code::WBEM_CRITICAL_ERROR, Severity::Major),
            _ => (Code::WBEM_FAILED, Severity::Functional),
        },
    }
}
