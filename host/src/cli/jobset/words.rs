//! Words that people write where the API has numbers and absolute paths.

use std::path::Path;

use serde_json::{Map, Value};
use url::Url;

use crate::cli::submit::destination;
use crate::cli::value::{duration, size};

/// Where, and what is wrong there.
type Wrong = (Vec<String>, String);

/// One job: durations and sizes in words, local paths from `folder` on, `download` if nothing is said.
pub(super) fn job(value: &mut Value, folder: &Path) -> Result<(), Wrong> {
    properties(value)?;
    let Some(fields) = value.as_object_mut() else {
        return Err((Vec::new(), "a job is a table".to_owned()));
    };
    fields.entry("kind").or_insert_with(|| "download".into());
    let download = fields.get("kind").is_some_and(|kind| kind == "download");
    let files = fields.get_mut("files").and_then(Value::as_array_mut);
    for (index, file) in files.into_iter().flatten().enumerate() {
        place(file, folder, download).map_err(|(mut path, what)| {
            path.splice(0..0, ["files".to_owned(), index.to_string()]);
            (path, what)
        })?;
    }
    let reply = value.pointer_mut("/transfer/upload/reply");
    if let Some(reply) = reply {
        absolute(reply, folder);
    }
    Ok(())
}

/// One file of a job.
pub(super) fn file(value: &mut Value, folder: &Path) -> Result<(), Wrong> {
    numbers(value, &mut Vec::new())?;
    place(value, folder, true)
}

/// Durations and sizes; durations also by the names that the command line has for them.
pub(super) fn properties(value: &mut Value) -> Result<(), Wrong> {
    if let Some(fields) = value.as_object_mut() {
        for (word, name) in [
            ("retry_delay", "retry_delay_ms"),
            ("no_progress", "no_progress_ms"),
            ("notify_interval", "notify_interval_ms"),
        ] {
            if let Some(said) = fields.remove(word) {
                let number = number(name, &said).map_err(|what| (vec![word.to_owned()], what))?;
                fields.insert(name.to_owned(), number.unwrap_or(said));
            }
        }
    }
    numbers(value, &mut Vec::new())
}

/// A download without a local path, or with a directory as one, gets the name from its URL.
fn place(file: &mut Value, folder: &Path, download: bool) -> Result<(), Wrong> {
    let Some(fields) = file.as_object_mut() else {
        return Err((
            Vec::new(),
            "a file is a table with `remote` and `local`".to_owned(),
        ));
    };
    let remote = fields.get("remote").and_then(Value::as_str).map(Url::parse);
    let local = fields
        .get("local")
        .and_then(Value::as_str)
        .map(|local| folder.join(local));
    match remote {
        Some(Ok(url)) if download && (local.is_some() || !fields.contains_key("local")) => {
            let local = local.unwrap_or_else(|| folder.join(""));
            let local = destination(&url, Some(&local))
                .map_err(|why| (vec!["local".to_owned()], why.complaint().message))?;
            fields.insert("local".to_owned(), local.into());
        }
        _ => {
            if let Some(local) = fields.get_mut("local") {
                absolute(local, folder);
            }
        }
    }
    Ok(())
}

fn absolute(path: &mut Value, folder: &Path) {
    if let Some(text) = path.as_str().map(|text| folder.join(text))
        && let Some(text) = text.to_str()
    {
        *path = text.into();
    }
}

/// Everything below that is a number by its name and a text by its value.
fn numbers(value: &mut Value, path: &mut Vec<String>) -> Result<(), Wrong> {
    match value {
        Value::Object(fields) => fields_of(fields, path),
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                path.push(index.to_string());
                numbers(item, path)?;
                path.pop();
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn fields_of(fields: &mut Map<String, Value>, path: &mut Vec<String>) -> Result<(), Wrong> {
    for (name, value) in fields {
        path.push(name.clone());
        match number(name, value).map_err(|what| (path.clone(), what))? {
            Some(number) => *value = number,
            // The keys of labels are the submitter's own.
            None if name == "labels" => {}
            None => numbers(value, path)?,
        }
        path.pop();
    }
    Ok(())
}

/// `*_ms` is a duration, `size`, `rate` and `*_bytes` are sizes.
fn number(name: &str, value: &Value) -> Result<Option<Value>, String> {
    let Some(text) = value.as_str() else {
        return Ok(None);
    };
    if name.ends_with("_ms") {
        let millis = duration(text)?.as_millis();
        return Ok(Some(u64::try_from(millis).unwrap_or(u64::MAX).into()));
    }
    if name == "size" || name == "rate" || name.ends_with("_bytes") {
        return size(text).map(|bytes| Some(bytes.into()));
    }
    Ok(None)
}
