//! Printing objects: as a table, as JSON, or separated by commas.

use serde_json::{Map, Value};
use unicode_width::UnicodeWidthStr;

use super::error::{CliError, Complaint};
use super::output::Output;
use super::text::clean;
use crate::api::view::{BatchView, ObjectChange};

/// No column of a table is wider: the rest is cut.
const WIDTH_MAX: usize = 60;

/// How objects are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// For people.
    Table,
    /// One object a line.
    Json,
    /// For spreadsheets.
    Csv,
}

/// Prints batches one after the other.
pub(super) struct Printer {
    form: Form,
    /// What stands at the head, once it is printed.
    head: Vec<String>,
    widths: Vec<usize>,
}

impl Printer {
    pub(super) const fn new(form: Form) -> Self {
        Self {
            form,
            head: Vec::new(),
            widths: Vec::new(),
        }
    }

    pub(super) fn batch(&mut self, batch: &BatchView, output: &mut Output<'_>) -> Result<(), CliError> {
        if self.form == Form::Json {
            return batch.rows.iter().try_for_each(|row| json(batch, row, output));
        }
        let watched = batch.change != ObjectChange::Result;
        let mut head = batch.columns.clone();
        if watched {
            head.insert(0, "change".to_owned());
        }
        let rows: Vec<Vec<String>> = batch
            .rows
            .iter()
            .map(|row| {
                let change = watched.then(|| batch.change.to_string());
                change.into_iter().chain(row.iter().map(text)).collect()
            })
            .collect();
        match self.form {
            Form::Csv => self.csv(head, &rows, output),
            Form::Table | Form::Json => self.table(head, &rows, output),
        }
    }

    fn csv(
        &mut self,
        head: Vec<String>,
        rows: &[Vec<String>],
        output: &mut Output<'_>,
    ) -> Result<(), CliError> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let bad =
            |why: csv::Error| CliError::Failed(Complaint::new("an object cannot be written").cause(why));
        if self.head != head {
            writer.write_record(&head).map_err(bad)?;
            self.head = head;
        }
        for row in rows {
            writer.write_record(row).map_err(bad)?;
        }
        let text = writer.into_inner().unwrap_or_default();
        output.raw(&text)
    }

    fn table(
        &mut self,
        head: Vec<String>,
        rows: &[Vec<String>],
        output: &mut Output<'_>,
    ) -> Result<(), CliError> {
        let rows: Vec<Vec<String>> = rows
            .iter()
            .map(|row| row.iter().map(|text| cut(text)).collect())
            .collect();
        if self.head != head {
            let names: Vec<String> = head.iter().map(|name| cut(name)).collect();
            let widest = |index: usize| {
                let cells = rows.iter().chain([&names]).filter_map(|row| row.get(index));
                cells.map(|text| text.width()).max().unwrap_or(0)
            };
            self.widths = (0..head.len()).map(widest).collect();
            output.line(self.aligned(&names))?;
            let rule: Vec<String> = self.widths.iter().map(|width| "-".repeat(*width)).collect();
            output.line(rule.join("  "))?;
            self.head = head;
        }
        rows.iter().try_for_each(|row| output.line(self.aligned(row)))
    }

    fn aligned(&self, row: &[String]) -> String {
        let cells = row.iter().zip(&self.widths).map(|(text, width)| {
            let gap = width.saturating_sub(text.width());
            format!("{text}{}", " ".repeat(gap))
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    }
}

/// One line: the object, and in a watch what has happened to it.
fn json(batch: &BatchView, row: &[Value], output: &mut Output<'_>) -> Result<(), CliError> {
    let object: Map<String, Value> = batch.columns.iter().cloned().zip(row.iter().cloned()).collect();
    if batch.change == ObjectChange::Result {
        return output.object(&object);
    }
    let mut told = Map::new();
    told.insert("change".to_owned(), batch.change.to_string().into());
    told.insert("object".to_owned(), object.into());
    output.object(&told)
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Object(bytes) => bytes
            .get("base64")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        other => other.to_string(),
    }
}

fn cut(text: &str) -> String {
    super::table::cut(&clean(text), WIDTH_MAX)
}
