//! Objects of a query, as plain JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::job::{ObjectBatch, ObjectChange, Value};
use crate::store::ObjectsPage;

/// A piece of the objects that are kept of a query.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectsView {
    /// How many are kept in all.
    pub total: u64,
    /// Objects that were found together.
    pub batches: Vec<BatchView>,
}

/// Objects with the same columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchView {
    /// The run of the job that found them.
    pub run: u32,
    /// Their place among the batches of that run.
    pub index: u32,
    /// What has happened to them.
    pub change: ObjectChange,
    /// Names of the columns.
    pub columns: Vec<String>,
    /// A value for every column; bytes are `{"base64": …}`.
    pub rows: Vec<Vec<serde_json::Value>>,
}

impl From<ObjectsPage> for ObjectsView {
    fn from(page: ObjectsPage) -> Self {
        Self {
            total: page.total,
            batches: page.batches.into_iter().map(BatchView::from).collect(),
        }
    }
}

impl From<ObjectBatch> for BatchView {
    fn from(batch: ObjectBatch) -> Self {
        let rows = batch.rows.into_iter();
        Self {
            run: batch.run,
            index: batch.index,
            change: batch.change,
            columns: batch.columns,
            rows: rows.map(|row| row.into_iter().map(plain).collect()).collect(),
        }
    }
}

fn plain(value: Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Boolean(value) => value.into(),
        Value::Integer(value) => value.into(),
        Value::Number(value) => value.into(),
        Value::Text(value) => value.into(),
        Value::Bytes(value) => json!({ "base64": STANDARD.encode(value) }),
    }
}
