//! What a provider is: it is asked, and hands over what it finds piece by piece.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::job::{Code, Job, PluginName, ProviderError, QueryProgress, Severity, Value};

/// Objects of one batch (W-13).
const BATCH_ROWS: usize = 1_000;
/// Bytes of one batch, and so of one object: each is a row of the store and crosses into a guest.
const BATCH_BYTES: usize = 1 << 20;

/// One question to a provider.
#[derive(Clone, Debug)]
pub struct Ask {
    /// What, in the provider's language.
    pub text: String,
    /// For which job.
    pub job: Job,
    /// How long it may take in all; who asks sees to it, a provider may pass it on.
    pub deadline: Duration,
    /// Fires when nobody wants to know any more.
    pub stop: CancellationToken,
}

/// Somebody who can be asked.
#[async_trait]
pub trait Provider: Send + Sync {
    /// What it is called in errors, without secrets.
    fn name(&self) -> String;

    /// Answers: the columns, then the objects.
    ///
    /// # Errors
    /// What went wrong.
    async fn ask(&self, ask: Ask, rows: RowSink) -> Result<(), QueryFault>;
}

/// Components that export `provider`, as the plugin room offers them.
#[async_trait]
pub trait ComponentProvider: Send + Sync + 'static {
    /// Whether the plugin is one.
    fn provides(&self, plugin: &PluginName) -> bool;

    /// Asks it.
    ///
    /// # Errors
    /// What went wrong.
    async fn ask(&self, plugin: &PluginName, ask: Ask, rows: RowSink) -> Result<(), QueryFault>;
}

/// What a provider says of an error. Operation, argument and its own name are not its to say (W-42).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryFault {
    /// In general.
    pub code: Code,
    /// In words.
    pub description: String,
    /// Where in the query, in characters from 0.
    pub position: Option<u32>,
    /// Precisely; boxed, as most of what is asked succeeds.
    pub provider: Option<Box<ProviderError>>,
}

impl QueryFault {
    /// A fault of the platform.
    #[must_use]
    pub fn new(code: Code, description: impl Into<String>) -> Self {
        Self {
            code,
            description: description.into(),
            position: None,
            provider: None,
        }
    }

    /// The same of the provider, with its own code.
    #[must_use]
    pub fn of(mut self, error_code: impl Into<String>, severity: Severity) -> Self {
        self.provider = Some(Box::new(ProviderError {
            error_code: error_code.into(),
            cause_info: String::new(),
            object_info: String::new(),
            file: String::new(),
            line: 0,
            severity,
            backend_message: self.description.clone(),
        }));
        self
    }

    /// It may pass (W-95).
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        matches!(
            self.code,
            Code::WBEM_NOT_AVAILABLE
                | Code::WBEM_TRANSPORT_FAILURE
                | Code::WBEM_SERVER_TOO_BUSY
                | Code::WBEM_TIMED_OUT
                | Code::WBEM_QUOTA_VIOLATION
                | Code::WBEM_PROVIDER_TIMED_OUT
        )
    }
}

impl fmt::Display for QueryFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.description)
    }
}

/// Something a provider found.
#[derive(Debug)]
pub(super) enum Found {
    /// Objects.
    Rows(Vec<String>, Vec<Vec<Value>>),
    /// That is all.
    End,
    /// There is more, beyond the limit.
    Partial,
    /// How far it is.
    Progress(QueryProgress),
    /// It stored something (W-32).
    Put(String),
}

/// Nothing more is wanted, or the row could not be taken.
#[derive(Debug)]
pub enum Enough {
    /// The limit is reached, or nobody listens any more.
    Done,
    /// The object is too large.
    TooLarge(QueryFault),
}

/// Takes what a provider finds. It waits while handlers have enough before them.
#[derive(Debug)]
pub struct RowSink {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
    bytes: usize,
    left: Option<u64>,
    to: mpsc::Sender<Found>,
}

impl RowSink {
    pub(super) fn new(limit: Option<u64>) -> (Self, mpsc::Receiver<Found>) {
        // One is told while the next is found.
        let (to, found) = mpsc::channel(1);
        let sink = Self {
            columns: Vec::new(),
            rows: Vec::new(),
            bytes: 0,
            left: limit,
            to,
        };
        (sink, found)
    }

    /// Names the columns; before the first row.
    pub fn columns(&mut self, names: Vec<String>) {
        self.columns = names;
    }

    /// Takes one object.
    ///
    /// # Errors
    /// [`Enough`]
    pub async fn row(&mut self, row: Vec<Value>) -> Result<(), Enough> {
        match self.take(row)? {
            Some(found) => self.to.send(found).await.map_err(|_| Enough::Done),
            None => Ok(()),
        }
    }

    /// The same where waiting blocks the thread.
    ///
    /// # Errors
    /// [`Enough`]
    pub fn blocking_row(&mut self, row: Vec<Value>) -> Result<(), Enough> {
        match self.take(row)? {
            Some(found) => self.to.blocking_send(found).map_err(|_| Enough::Done),
            None => Ok(()),
        }
    }

    /// Tells how far it is.
    pub async fn progress(&self, progress: QueryProgress) {
        // Nobody listens: it is told to stop, too.
        let _ = self.to.send(Found::Progress(progress)).await;
    }

    /// Tells that something was stored.
    pub async fn put(&self, path: String) {
        let _ = self.to.send(Found::Put(path)).await;
    }

    /// Everything is found.
    pub async fn end(mut self) {
        for found in self.rest() {
            let _ = self.to.send(found).await;
        }
    }

    /// The same where waiting blocks the thread.
    pub fn blocking_end(mut self) {
        for found in self.rest() {
            let _ = self.to.blocking_send(found);
        }
    }

    /// What is not sent yet. An answer without objects has its columns all the same.
    fn rest(&mut self) -> Vec<Found> {
        let mut found = vec![Found::Rows(
            std::mem::take(&mut self.columns),
            std::mem::take(&mut self.rows),
        )];
        if self.left == Some(u64::MAX) {
            found.push(Found::Partial);
        }
        found.push(Found::End);
        found
    }

    fn take(&mut self, mut row: Vec<Value>) -> Result<Option<Found>, Enough> {
        match &mut self.left {
            Some(left) if *left == 0 || *left == u64::MAX => {
                // It is known only now that there is more.
                *left = u64::MAX;
                return Err(Enough::Done);
            }
            Some(left) => *left -= 1,
            None => {}
        }
        row.iter_mut().for_each(make_plain);
        let bytes: usize = row.iter().map(size_of_value).sum();
        if bytes > BATCH_BYTES {
            let why = format!("an object has {bytes} bytes; at most {BATCH_BYTES} are taken");
            return Err(Enough::TooLarge(QueryFault::new(Code::WBEM_OUT_OF_MEMORY, why)));
        }
        let full = self.rows.len() >= BATCH_ROWS || self.bytes + bytes > BATCH_BYTES;
        let before = full.then(|| Found::Rows(self.columns.clone(), std::mem::take(&mut self.rows)));
        self.bytes = if full { bytes } else { self.bytes + bytes };
        self.rows.push(row);
        Ok(before)
    }
}

/// JSON has no such numbers.
fn make_plain(value: &mut Value) {
    if let Value::Number(number) = value
        && !number.is_finite()
    {
        *value = Value::Text(number.to_string());
    }
}

/// Bytes of a value as it is kept; of bytes each takes up to four.
fn size_of_value(value: &Value) -> usize {
    match value {
        Value::Null | Value::Boolean(_) => 8,
        Value::Integer(_) | Value::Number(_) => 24,
        Value::Text(text) => text.len() + 8,
        Value::Bytes(bytes) => bytes.len() * 4 + 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn batches(limit: Option<u64>, rows: Vec<Vec<Value>>) -> (Vec<usize>, bool) {
        let (mut sink, mut found) = RowSink::new(limit);
        let listening = tokio::spawn(async move {
            let (mut sizes, mut partial) = (Vec::new(), false);
            while let Some(one) = found.recv().await {
                match one {
                    Found::Rows(_, rows) => sizes.push(rows.len()),
                    Found::Partial => partial = true,
                    _ => {}
                }
            }
            (sizes, partial)
        });
        for row in rows {
            if sink.row(row).await.is_err() {
                break;
            }
        }
        sink.end().await;
        listening.await.unwrap()
    }

    fn numbers(count: i64) -> Vec<Vec<Value>> {
        (0..count).map(|n| vec![Value::Integer(n)]).collect()
    }

    #[tokio::test]
    async fn w13_a_batch_has_at_most_a_thousand_objects_and_a_mebibyte() {
        assert_eq!(
            batches(None, numbers(2_001)).await,
            (vec![1_000, 1_000, 1], false)
        );
        let large = vec![vec![Value::Text("x".repeat(600_000))]; 3];
        assert_eq!(batches(None, large).await, (vec![1, 1, 1], false));
        let (mut sink, _found) = RowSink::new(None);
        let too_large = vec![Value::Text("x".repeat(BATCH_BYTES))];
        assert!(matches!(sink.row(too_large).await, Err(Enough::TooLarge(_))));
    }

    #[tokio::test]
    async fn w65_a_limit_is_partial_only_where_there_was_more() {
        assert_eq!(batches(Some(3), numbers(3)).await, (vec![3], false));
        assert_eq!(batches(Some(3), numbers(4)).await, (vec![3], true));
    }

    #[tokio::test]
    async fn numbers_that_json_has_not_become_text() {
        let (mut sink, mut found) = RowSink::new(None);
        sink.row(vec![Value::Number(f64::NAN)]).await.unwrap();
        let _ending = tokio::spawn(sink.end());
        match found.recv().await {
            Some(Found::Rows(_, rows)) => assert_eq!(rows, [vec![Value::Text("NaN".to_owned())]]),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn w95_what_may_pass_is_what_the_row_lists() {
        let passes = |code| QueryFault::new(Code(code), "").may_pass();
        for code in [
            0x8004_1009,
            0x8004_1015,
            0x8004_1045,
            0x8004_1069,
            0x8004_1088,
            0x8004_106C,
        ] {
            assert!(passes(code), "{code:08X}");
        }
        for code in [
            0x8004_1003,
            0x8004_1008,
            0x8004_1017,
            0x8004_1024,
            0x8004_100A,
            0x8004_1032,
        ] {
            assert!(!passes(code), "{code:08X}");
        }
    }
}
