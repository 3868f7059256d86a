//! The text of a job set as values that know where they stand.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Fault;
use crate::cli::change::folder_of;
use crate::cli::error::{CliError, Complaint};

/// The longest file: ten thousand jobs of one file each have some three MiB.
const BYTES_MAX: u64 = 64 << 20;

/// A file and what it is called.
#[derive(Debug)]
pub(super) struct Source {
    /// As it was given; `stdin` for `-`.
    pub(super) name: String,
    /// Where relative paths in it begin.
    pub(super) folder: PathBuf,
    text: String,
}

/// One value of the file.
#[derive(Debug)]
pub(super) struct Item {
    /// Its first byte.
    pub(super) start: usize,
    /// The value.
    pub(super) value: Value,
    /// Where its keys stand, by path; only of TOML.
    keys: BTreeMap<Vec<String>, usize>,
}

impl Item {
    /// Where the part at `path` stands, or the innermost part around it that has a place.
    pub(super) fn at(&self, source: &Source, path: &[String]) -> usize {
        let known = (1..=path.len()).rev().find_map(|n| self.keys.get(path.get(..n)?));
        let last_key = path.iter().rev().find(|step| step.parse::<usize>().is_err());
        known.copied().unwrap_or_else(|| {
            let text = source.text.get(self.start..).unwrap_or_default();
            let found = last_key
                .filter(|_| self.keys.is_empty())
                .and_then(|key| text.find(&format!("\"{key}\"")));
            self.start + found.unwrap_or(0)
        })
    }
}

impl Source {
    /// Reads a file, or the standard input for `-`.
    pub(super) fn read(file: &Path) -> Result<Self, CliError> {
        let stdin = file.as_os_str() == "-";
        let name = if stdin {
            "stdin".to_owned()
        } else {
            file.display().to_string()
        };
        let mut text = String::new();
        let read = if stdin {
            std::io::stdin()
                .lock()
                .take(BYTES_MAX + 1)
                .read_to_string(&mut text)
        } else {
            std::fs::File::open(file).and_then(|file| file.take(BYTES_MAX + 1).read_to_string(&mut text))
        };
        read.map_err(|why| CliError::Usage(Complaint::new(format!("cannot read {name}")).cause(why)))?;
        if text.len() as u64 > BYTES_MAX {
            let complaint = Complaint::new(format!("{name} is over {} MiB", BYTES_MAX >> 20));
            return Err(CliError::Usage(complaint.hint("submit it in several files")));
        }
        Ok(Self {
            name,
            folder: folder_of(file)?,
            text,
        })
    }

    #[cfg(test)]
    pub(super) fn test(text: &str) -> Self {
        Self {
            name: "jobs".to_owned(),
            folder: PathBuf::from("/sets"),
            text: text.to_owned(),
        }
    }

    /// `jobs.toml:12:3`, both from 1, the column in characters.
    pub(super) fn place(&self, at: usize) -> String {
        let before = self.text.get(..at).unwrap_or(&self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        format!("{}:{line}:{column}", self.name)
    }

    /// The entries called `name`, with what `defaults` says where they say nothing.
    pub(super) fn items(&self, name: &str) -> Result<Vec<Item>, Vec<Fault>> {
        let (defaults, mut items) = if self.is_json() {
            self.json_items(name)?
        } else {
            self.toml_items(name)?
        };
        if items.is_empty() {
            let what = format!(
                "there is no {name} in it; write [[{name}]] tables, a JSON list, or one JSON object a line"
            );
            return Err(vec![Fault { at: 0, what }]);
        }
        for item in &mut items {
            fill(&mut item.value, &defaults);
        }
        Ok(items)
    }

    /// The whole file as one value.
    pub(super) fn whole(&self) -> Result<Item, Vec<Fault>> {
        if self.is_json() {
            let value = serde_json::from_str(&self.text).map_err(|why| vec![self.json_fault(0, &why)])?;
            return Ok(Item {
                start: 0,
                value,
                keys: BTreeMap::new(),
            });
        }
        let mut keys = BTreeMap::new();
        let value = object(&self.toml()?, &mut Vec::new(), &mut keys);
        Ok(Item {
            start: 0,
            value,
            keys,
        })
    }

    /// `[` begins both a JSON list and a TOML table.
    fn is_json(&self) -> bool {
        let mut marks = self.text.chars().filter(|c| !c.is_whitespace());
        match marks.next() {
            Some('{') => true,
            Some('[') => matches!(marks.next(), Some('{' | ']')),
            _ => false,
        }
    }

    fn toml(&self) -> Result<DeTable<'_>, Vec<Fault>> {
        let (root, errors) = DeTable::parse_recoverable(&self.text);
        if errors.is_empty() {
            return Ok(root.into_inner());
        }
        let faults = errors.iter().map(|error| Fault {
            at: error.span().map_or(0, |span| span.start),
            what: error.message().to_owned(),
        });
        Err(faults.collect())
    }

    fn toml_items(&self, name: &str) -> Result<(Value, Vec<Item>), Vec<Fault>> {
        let (mut defaults, mut items, mut faults) = (Value::Null, Vec::new(), Vec::new());
        for (key, value) in self.toml()? {
            let at = key.span().start;
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("defaults", DeValue::Table(table)) => {
                    defaults = object(table, &mut Vec::new(), &mut BTreeMap::new());
                }
                (word, DeValue::Array(array)) if word == name => {
                    items.extend(array.iter().map(|entry| {
                        let mut keys = BTreeMap::new();
                        let start = entry.span().start;
                        let value = json(entry, &mut Vec::new(), &mut keys);
                        Item { start, value, keys }
                    }));
                }
                (word, _) => {
                    let what = format!("`{word}` is not known here; there are [defaults] and [[{name}]]");
                    faults.push(Fault { at, what });
                }
            }
        }
        if faults.is_empty() {
            Ok((defaults, items))
        } else {
            Err(faults)
        }
    }

    /// A list, an object with a list and defaults, or one object a line.
    fn json_items(&self, name: &str) -> Result<(Value, Vec<Item>), Vec<Fault>> {
        let first = self.text.find(['[', '{']).unwrap_or(0);
        if self.text.get(first..).is_some_and(|text| text.starts_with('[')) {
            return Ok((Value::Null, self.elements(first + 1)?));
        }
        let lines = self.elements(0)?;
        let whole = lines
            .first()
            .filter(|item| lines.len() == 1 && item.value.get(name).is_some_and(Value::is_array));
        let Some(whole) = whole else {
            return Ok((Value::Null, lines));
        };
        let defaults = whole.value.get("defaults").cloned().unwrap_or_default();
        let key = self.text.find(&format!("\"{name}\"")).unwrap_or(0);
        let list = self.text.get(key..).and_then(|text| text.find('[')).unwrap_or(0);
        Ok((defaults, self.elements(key + list + 1)?))
    }

    /// Values one after the other, up to the end or a `]`.
    fn elements(&self, from: usize) -> Result<Vec<Item>, Vec<Fault>> {
        let (mut items, mut at) = (Vec::new(), from);
        loop {
            let rest = self.text.get(at..).unwrap_or_default();
            let skipped = rest.find(|c: char| !c.is_whitespace() && c != ',');
            let Some(skipped) = skipped else { return Ok(items) };
            at += skipped;
            let rest = rest.get(skipped..).unwrap_or_default();
            if rest.starts_with(']') {
                return Ok(items);
            }
            let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
            match values.next() {
                Some(Ok(value)) => items.push(Item {
                    start: at,
                    value,
                    keys: BTreeMap::new(),
                }),
                Some(Err(why)) => return Err(vec![self.json_fault(at, &why)]),
                None => return Ok(items),
            }
            at += values.byte_offset();
        }
    }

    /// Where serde's line and column, counted from `from`, are in the text.
    fn json_fault(&self, from: usize, why: &serde_json::Error) -> Fault {
        let rest = self.text.get(from..).unwrap_or_default();
        let lines: usize = rest
            .split_inclusive('\n')
            .take(why.line().saturating_sub(1))
            .map(str::len)
            .sum();
        let mut at = from + lines + why.column().saturating_sub(1);
        while at > from && !self.text.is_char_boundary(at) {
            at -= 1;
        }
        let what = why.to_string();
        let what = what
            .rsplit_once(" at line ")
            .map_or(what.as_str(), |(what, _)| what);
        Fault {
            at,
            what: what.to_owned(),
        }
    }
}

/// What `into` does not say, `from` says.
fn fill(into: &mut Value, from: &Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        for (name, value) in from {
            match into.get_mut(name) {
                Some(known) => fill(known, value),
                None => drop(into.insert(name.clone(), value.clone())),
            }
        }
    }
}

fn object(table: &DeTable<'_>, path: &mut Vec<String>, keys: &mut BTreeMap<Vec<String>, usize>) -> Value {
    let mut fields = Map::new();
    for (key, value) in table {
        path.push(key.get_ref().to_string());
        keys.insert(path.clone(), key.span().start);
        fields.insert(key.get_ref().to_string(), json(value, path, keys));
        path.pop();
    }
    Value::Object(fields)
}

fn json(
    value: &Spanned<DeValue<'_>>,
    path: &mut Vec<String>,
    keys: &mut BTreeMap<Vec<String>, usize>,
) -> Value {
    match value.get_ref() {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map_or(Value::Null, Value::from)
        }
        DeValue::Float(number) => {
            let number = number.as_str().parse().ok().and_then(Number::from_f64);
            number.map_or(Value::Null, Value::Number)
        }
        DeValue::Datetime(time) => Value::String(time.to_string()),
        DeValue::Array(items) => {
            let mut list = Vec::new();
            for (index, item) in items.iter().enumerate() {
                path.push(index.to_string());
                keys.insert(path.clone(), item.span().start);
                list.push(json(item, path, keys));
                path.pop();
            }
            Value::Array(list)
        }
        DeValue::Table(table) => object(table, path, keys),
    }
}
