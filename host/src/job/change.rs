//! What can be changed about a job after it was made, and what cannot (B-156).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::{Code, FlagsRefused, JobSpec, NotifyFlag, PluginName, Priority, RefusedKey, TransferSpec};

/// What a job tells of itself and nobody sets (E-58).
const READ_ONLY: &[&str] = &[
    "id",
    "kind",
    "owner",
    "state",
    "intent",
    "outcome",
    "profile",
    "revision",
    "attempt",
    "error",
    "error_count",
    "bytes_total",
    "bytes_transferred",
    "files",
    "files_total",
    "files_transferred",
    "created",
    "modified",
    "transferred",
    "due",
    "key",
    "suspended",
];

/// New values of some properties; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobChange {
    /// The label (B-05).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The description (B-05).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The text echoed to handlers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// All key/values, in place of those before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// The level (B-67).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// Whether a finished job waits to be completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<bool>,
    /// The job's own handler; empty takes it away (B-111).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handler: Option<String>,
    /// Program and arguments run when the handler fails; empty takes them away (B-114).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notify_command: Option<Vec<String>>,
    /// What its handlers are told (B-98); `null` brings back what they are subscribed to.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "said")]
    pub notify: Option<Option<BTreeSet<NotifyFlag>>>,
    /// How often handlers hear of changes (B-110).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notify_interval_ms: Option<u64>,
    /// The first delay between retries (B-57).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_delay_ms: Option<u64>,
    /// The no-progress time-out; 0 makes any error fatal (B-59).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_progress_ms: Option<u64>,
    /// Merged into what is there, field by field; `null` brings a field back to its default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transfer: Option<Map<String, Value>>,
}

/// Why a property is not set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropertyError {
    /// Which of them, as codes go.
    pub code: Code,
    /// Which property, and what would be right.
    pub message: String,
}

impl PropertyError {
    fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

impl JobChange {
    /// Reads new values from JSON, one property after the other, so that each mistake has its own code:
    /// one that there is not (E-57), one that nobody sets (E-58), a word that is none of an
    /// enumeration's (B-47).
    ///
    /// # Errors
    /// The first property that cannot be set so.
    pub fn read(values: &Map<String, Value>) -> Result<Self, PropertyError> {
        let mut change = Self::default();
        for (name, value) in values {
            match name.as_str() {
                "name" => change.name = typed(name, value)?,
                "description" => change.description = typed(name, value)?,
                "context" => change.context = typed(name, value)?,
                "labels" => change.labels = typed(name, value)?,
                "priority" => {
                    let word: String = required(name, value)?;
                    let known = word.parse::<Priority>();
                    change.priority =
                        Some(known.map_err(|why| {
                            PropertyError::new(Code::NOTIMPL, format!("`priority`: {why}"))
                        })?);
                }
                "hold" => change.hold = typed(name, value)?,
                // `null` as a person would write it.
                "handler" if value.is_null() => change.handler = Some(String::new()),
                "handler" => change.handler = typed(name, value)?,
                "notify_command" if value.is_null() => change.notify_command = Some(Vec::new()),
                "notify_command" => change.notify_command = typed(name, value)?,
                "notify" if value.is_null() => change.notify = Some(None),
                "notify" => {
                    let words: Vec<String> = required(name, value)?;
                    let flags = NotifyFlag::read(&words);
                    change.notify = Some(Some(flags.map_err(|why| {
                        PropertyError::new(FlagsRefused::CODE, format!("`notify`: {why}"))
                    })?));
                }
                "notify_interval_ms" => change.notify_interval_ms = typed(name, value)?,
                "retry_delay_ms" => change.retry_delay_ms = typed(name, value)?,
                "no_progress_ms" => change.no_progress_ms = typed(name, value)?,
                "transfer" => change.transfer = typed(name, value)?,
                name if READ_ONLY.contains(&name) => {
                    let why = format!("`{name}` is told by the host and cannot be set");
                    return Err(PropertyError::new(Code::READ_ONLY_PROPERTY, why));
                }
                name => return Err(no_property(name)),
            }
        }
        Ok(change)
    }

    /// Nothing but the level: that may change while files are put in place, too.
    #[must_use]
    pub fn only_priority(&self) -> Option<Priority> {
        let rest = Self {
            priority: None,
            ..self.clone()
        };
        self.priority.filter(|_| rest == Self::default())
    }

    /// Somebody is to decide from here on, maybe who does already (B-103, B-111).
    #[must_use]
    pub fn names_handler(&self) -> bool {
        self.handler.as_ref().is_some_and(|name| !name.is_empty())
    }

    /// Who is told of what is another matter afterwards.
    #[must_use]
    pub const fn registers(&self) -> bool {
        self.handler.is_some() || self.notify.is_some() || self.notify_command.is_some()
    }

    /// `spec` with the new values.
    ///
    /// # Errors
    /// A handler's name that cannot be one, or a `transfer` part that there is not.
    pub fn onto(&self, spec: &JobSpec) -> Result<JobSpec, PropertyError> {
        let mut spec = spec.clone();
        set(&mut spec.name, self.name.as_ref());
        set(&mut spec.description, self.description.as_ref());
        set(&mut spec.context, self.context.as_ref());
        set(&mut spec.labels, self.labels.as_ref());
        set(&mut spec.hold, self.hold.as_ref());
        set(&mut spec.notify_command, self.notify_command.as_ref());
        if let Some(handler) = &self.handler {
            spec.handler = plugin(handler)?;
        }
        set(&mut spec.notify, self.notify.as_ref());
        if let Some(interval) = self.notify_interval_ms {
            spec.notify_interval = Duration::from_millis(interval);
        }
        if let Some(delay) = self.retry_delay_ms {
            spec.retry.initial = Duration::from_millis(delay);
            spec.retry.max = spec.retry.max.max(spec.retry.initial);
        }
        if let Some(limit) = self.no_progress_ms {
            spec.no_progress = Duration::from_millis(limit);
        }
        if let Some(patch) = &self.transfer {
            let merged = merged(spec.transfer(), patch)?;
            spec.transfer = (!merged.is_default()).then(|| Box::new(merged));
        }
        Ok(spec)
    }
}

/// Tells `null` from absent.
fn said<'de, T: Deserialize<'de>, D: Deserializer<'de>>(value: D) -> Result<Option<T>, D::Error> {
    T::deserialize(value).map(Some)
}

/// A name that the ancestors have is refused with its reason.
fn no_property(name: &str) -> PropertyError {
    if let Some(key) = RefusedKey::named(name) {
        let why = format!("`{name}`: {} ({}); {}", key.why, key.row, key.instead);
        return PropertyError::new(RefusedKey::CODE, why);
    }
    let name: String = name.chars().take(60).flat_map(char::escape_default).collect();
    PropertyError::new(
        Code::UNKNOWN_PROPERTY_ID,
        format!("a job has no property `{name}`"),
    )
}

fn set<T: Clone>(place: &mut T, value: Option<&T>) {
    if let Some(value) = value {
        place.clone_from(value);
    }
}

fn plugin(name: &str) -> Result<Option<PluginName>, PropertyError> {
    if name.is_empty() {
        return Ok(None);
    }
    let parsed = PluginName::of_component(name);
    parsed
        .map(Some)
        .map_err(|why| PropertyError::new(Code::INVALIDARG, format!("`handler`: {why}")))
}

fn typed<T: DeserializeOwned>(name: &str, value: &Value) -> Result<Option<T>, PropertyError> {
    required(name, value).map(Some)
}

fn required<T: DeserializeOwned>(name: &str, value: &Value) -> Result<T, PropertyError> {
    T::deserialize(value).map_err(|why| PropertyError::new(Code::INVALIDARG, format!("`{name}`: {why}")))
}

/// A merge as of RFC 7396, which the types then read: what they do not know is no property.
fn merged(before: &TransferSpec, patch: &Map<String, Value>) -> Result<TransferSpec, PropertyError> {
    let mut json = json(before);
    merge(&mut json, patch);
    TransferSpec::deserialize(&json).map_err(|why| {
        let why = why.to_string();
        let code = if why.starts_with("unknown field") {
            Code::UNKNOWN_PROPERTY_ID
        } else {
            Code::INVALIDARG
        };
        PropertyError::new(code, format!("`transfer`: {why}"))
    })
}

fn merge(into: &mut Value, patch: &Map<String, Value>) {
    if !into.is_object() {
        *into = Value::Object(Map::new());
    }
    let Some(fields) = into.as_object_mut() else {
        return;
    };
    for (name, value) in patch {
        match value {
            Value::Null => drop(fields.remove(name)),
            Value::Object(patch) => merge(fields.entry(name.as_str()).or_insert(Value::Null), patch),
            value => drop(fields.insert(name.clone(), value.clone())),
        }
    }
}

fn json(spec: &TransferSpec) -> Value {
    // Plain data with keys that are text: writing it cannot fail.
    serde_json::to_value(spec).unwrap_or_default()
}

/// The first property that shapes what is fetched, so that it is fixed with the first resume (B-51), and
/// differs between the two.
pub(super) fn fixed_after_resume(before: &TransferSpec, after: &TransferSpec) -> Option<&'static str> {
    let fixed = [
        ("http/method", before.http.method != after.http.method),
        ("http/dynamic", before.http.dynamic != after.http.dynamic),
        (
            "limits/max_bytes",
            before.limits.max_bytes != after.limits.max_bytes,
        ),
    ];
    let first = fixed.into_iter().find(|(_, differs)| *differs);
    first.map(|(name, _)| name)
}

/// `spec` without what its owner trusted it with (B-15).
pub(super) fn without_trust(spec: &JobSpec) -> JobSpec {
    let mut transfer = spec.transfer().clone();
    transfer.http.headers.clear();
    transfer.http.credentials.clear();
    transfer.http.tls.certificate = None;
    transfer.http.tls.key = None;
    JobSpec {
        notify_command: Vec::new(),
        transfer: (!transfer.is_default()).then(|| Box::new(transfer)),
        ..spec.clone()
    }
}

#[cfg(test)]
mod tests;
